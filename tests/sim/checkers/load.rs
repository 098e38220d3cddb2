//! How a hot key's load falls on the nodes: requests for it per minute at the node closest to it,
//! and at the others.

use common::clock::Moment;
use common::ids::Key;
use dht::engine::message::{Ask, Kind, Message};

use super::{Checker, KIND_AT, Seen, read};
use crate::model::Model;
use crate::pictures::{Curve, Dots, Picture, Shape};
use crate::report::{Report, Spread, ratio};
use crate::world::World;

/// Store attempts for one key a node takes per minute before it sheds them (CORAL's beta).
const BETA: f64 = 12.0;

/// Counts requests for one key.
#[derive(Debug)]
pub(crate) struct Load {
    key: Key,
    phase: &'static str,
    counting: Option<Moment>,
    seconds: f64,
    puts: Vec<u64>,
    gets: Vec<u64>,
}

impl Load {
    /// Requests for `key` during the phase of that name.
    pub(crate) fn new(key: Key, phase: &'static str, nodes: usize) -> Self {
        Self {
            key,
            phase,
            counting: None,
            seconds: 0.0,
            puts: vec![0; nodes],
            gets: vec![0; nodes],
        }
    }

    /// The count that a datagram adds to.
    fn count_of(&mut self, bytes: &[u8]) -> Option<&mut Vec<u64>> {
        let kind = Kind::from_code(*bytes.get(KIND_AT)?)?;
        if !matches!(kind, Kind::Get | Kind::Put | Kind::Claim) {
            return None;
        }
        let (_, Message::Request(request)) = read(bytes)? else {
            return None;
        };
        match request.ask {
            Ask::Get { key, .. } if key == self.key => Some(&mut self.gets),
            Ask::Put { key, .. } | Ask::Claim { key, .. } if key == self.key => {
                Some(&mut self.puts)
            }
            _ => None,
        }
    }
}

/// What each node was asked, by how close it is to the key.
fn picture(world: &World, key: &Key, [puts, gets]: [&[f64]; 2], bound: f64) -> Picture {
    let mut hosts: Vec<_> = (0..puts.len())
        .filter(|host| world.model.is_up(*host))
        .collect();
    hosts.sort_by_key(|host| world.id(*host).distance(key));
    let series = |name: &str, rates: &[f64]| Curve {
        name: name.to_owned(),
        values: hosts
            .iter()
            .filter_map(|host| rates.get(*host).copied())
            .collect(),
    };
    Picture {
        file: "load",
        title: "Requests for a hot key, by distance from it".to_owned(),
        note: format!("{} nodes, each a dot; at the foot: none", hosts.len()),
        shape: Shape::Dots(Dots {
            x: "nodes in order of their distance from the key, the closest first",
            y: "requests per minute",
            series: vec![series("puts", puts), series("gets", gets)],
            bound: (bound, "bound of puts at the closest".to_owned()),
        }),
    }
}

impl Checker for Load {
    fn saw(&mut self, now: Moment, seen: &Seen<'_>, _model: &mut Model) {
        match *seen {
            Seen::Phase { name } => {
                if let Some(since) = self.counting.take() {
                    self.seconds += now.since(since).as_secs_f64();
                }
                self.counting = (name == self.phase).then_some(now);
            }
            Seen::Arrived { parcel } if self.counting.is_some() => {
                let count = self.count_of(&parcel.bytes);
                if let Some(count) = count.and_then(|all| all.get_mut(parcel.to)) {
                    *count += 1;
                }
            }
            _ => {}
        }
    }

    fn tell(&mut self, world: &World, report: &mut Report) {
        if let Some(since) = self.counting.take() {
            self.seconds += world.now.since(since).as_secs_f64();
        }
        let minutes = self.seconds / 60.0;
        let Some(closest) = world.model.closest(&self.key).filter(|_| minutes > 0.0) else {
            return;
        };
        let per_minute = |counts: &[u64]| {
            let rates = counts
                .iter()
                .map(|count| ratio(usize::try_from(*count).unwrap_or(0)) / minutes);
            rates.collect::<Vec<_>>()
        };
        let (puts, gets) = (per_minute(&self.puts), per_minute(&self.gets));
        let digits = f64::from(
            world
                .model
                .alive()
                .max(2)
                .next_power_of_two()
                .trailing_zeros(),
        );
        report
            .pictures
            .push(picture(world, &self.key, [&puts, &gets], BETA * digits));
        let at_closest = puts.get(closest).copied().unwrap_or(0.0);
        let figure = report.figure("puts per minute at the closest node", at_closest, "/min");
        figure
            .at_most(BETA * digits)
            .elsewhere("CoralCDN 83 of 108 at n = 494");
        let median = Spread::of(puts.iter().copied()).percentile(50);
        report
            .figure("puts per minute at the median node", median, "/min")
            .at_most(2.0 * BETA);
        report.figure(
            "puts per minute at the busiest node",
            Spread::of(puts).most(),
            "/min",
        );
        let at_closest = gets.get(closest).copied().unwrap_or(0.0);
        report.figure("gets per minute at the closest node", at_closest, "/min");
        report.figure(
            "gets per minute at the busiest node",
            Spread::of(gets).most(),
            "/min",
        );
    }
}
