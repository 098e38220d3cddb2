//! What answers cost clients, by how they were made.

use super::world::{Knowledge, World};
use crate::pictures::{Curve, Curves, Picture, Shape};
use crate::report::{Report, Spread, ratio};

/// Round trips of all clients under one policy, in milliseconds: of what they are sent to, and how
/// much more that is than the best.
#[derive(Debug)]
struct Policy {
    name: &'static str,
    file: &'static str,
    absolute: Spread,
    extra: Spread,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Outcome {
    policies: Vec<Policy>,
}

/// Whom a policy names to a client.
type Answers = Box<dyn FnMut(&mut World, usize) -> Vec<usize>>;

impl Outcome {
    /// Every client asks `draws` times under every policy; its figure is the mean over all addresses
    /// of its answers, since resolvers put any of them first.
    pub(super) fn of(world: &mut World, draws: usize) -> Self {
        let best: Vec<f64> = (0..world.clients())
            .map(|client| {
                let all = (0..world.proxies()).map(|proxy| millis(world.round_trip(client, proxy)));
                all.fold(f64::INFINITY, f64::min)
            })
            .collect();
        let mut turn = 0;
        let mut policies = Vec::new();
        let mut policy = |name, file, mut answer: Answers| {
            let means: Vec<f64> = (0..best.len())
                .map(|client| {
                    let mut all = Vec::new();
                    for _ in 0..draws {
                        let named = answer(world, client);
                        all.extend(named.iter().map(|p| millis(world.round_trip(client, *p))));
                    }
                    all.iter().sum::<f64>() / ratio(all.len().max(1))
                })
                .collect();
            let extra = means.iter().zip(&best).map(|(mean, best)| mean - best);
            policies.push(Policy {
                name,
                file,
                extra: Spread::of(extra),
                absolute: Spread::of(means),
            });
        };
        let drawn = |with| {
            Box::new(move |world: &mut World, client| {
                let server = world.server_of(client);
                world.answer(client, server, with)
            })
        };
        policy("hints of proxies", "hints", drawn(Knowledge::Everything));
        policy("own cluster only", "own", drawn(Knowledge::Surroundings));
        policy(
            "random",
            "random",
            Box::new(|world, _| {
                let proxies = world.proxies();
                (0..4).map(|_| world.chance(proxies)).collect()
            }),
        );
        policy(
            "round robin",
            "round-robin",
            Box::new(move |world, _| {
                turn += 4;
                (turn - 4..turn).map(|n| n % world.proxies()).collect()
            }),
        );
        policies.push(Policy {
            name: "best possible",
            file: "best",
            extra: Spread::of(best.iter().map(|_| 0.0)),
            absolute: Spread::of(best),
        });
        Self { policies }
    }

    /// Writes it down.
    pub(super) fn tell(&self, report: &mut Report, most: f64) {
        for policy in &self.policies {
            let Policy {
                name,
                file,
                extra,
                absolute,
            } = policy;
            let middle =
                report.figure(format!("{name}: extra, median"), extra.percentile(50), "ms");
            match *file {
                "hints" => {
                    middle.at_most(most);
                }
                "random" => {
                    middle.elsewhere("about 100 ms is said of it");
                }
                _ => {}
            }
            report.figure(format!("{name}: extra, 90th"), extra.percentile(90), "ms");
            report.figure(
                format!("{name}: round trip, median"),
                absolute.percentile(50),
                "ms",
            );
            report.figure(
                format!("{name}: round trip, 90th"),
                absolute.percentile(90),
                "ms",
            );
        }
        let curve = |policy: &Policy| Curve {
            name: policy.name.to_owned(),
            values: policy.absolute.values().to_vec(),
        };
        report.pictures.push(Picture {
            file: "nearness",
            title: "Round trips to the proxies that clients are sent to".to_owned(),
            note: report.scenario.clone(),
            shape: Shape::Curves(Curves {
                x: "round trip, ms",
                curves: self.policies.iter().map(curve).collect(),
            }),
        });
    }
}

fn millis(micros: u32) -> f64 {
    f64::from(micros) / 1_000.0
}
