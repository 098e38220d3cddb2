//! How long nodes take to prove their work again after they all restarted: from the blow to the
//! first completed put and get through others, which is what the engine calls healthy.

use common::clock::Moment;
use dht::engine::Event;
use dht::engine::health::Health;

use super::{Checker, Seen};
use crate::model::Model;
use crate::report::{Report, Spread, percent};
use crate::world::World;

/// Everybody is to be healthy again after this, in seconds.
const TARGET: f64 = 120.0;

/// Watches health after a phase began.
#[derive(Debug)]
pub(crate) struct Recovery {
    phase: &'static str,
    since: Option<Moment>,
    joined: Vec<Option<Moment>>,
    healthy: Vec<Option<Moment>>,
}

impl Recovery {
    /// From the beginning of that phase.
    pub(crate) fn new(phase: &'static str, nodes: usize) -> Self {
        Self {
            phase,
            since: None,
            joined: vec![None; nodes],
            healthy: vec![None; nodes],
        }
    }
}

impl Checker for Recovery {
    fn saw(&mut self, now: Moment, seen: &Seen<'_>, _model: &mut Model) {
        match *seen {
            Seen::Phase { name } if name == self.phase => self.since = Some(now),
            Seen::Event { host, event } if self.since.is_some() => {
                let of = match event {
                    Event::Joined(_) => &mut self.joined,
                    Event::HealthChanged(Health::Healthy) => &mut self.healthy,
                    _ => return,
                };
                if let Some(at) = of.get_mut(host) {
                    at.get_or_insert(now);
                }
            }
            _ => {}
        }
    }

    fn tell(&mut self, world: &World, report: &mut Report) {
        let Some(since) = self.since else {
            return;
        };
        for (what, at) in [("joined", &self.joined), ("healthy", &self.healthy)] {
            let up = at
                .iter()
                .enumerate()
                .filter(|(host, _)| world.model.is_up(*host));
            let up: Vec<_> = up.map(|(_, at)| *at).collect();
            let took = up.iter().flatten().map(|at| at.since(since).as_secs_f64());
            let took = Spread::of(took);
            report.figure(format!("{what} again, median"), took.percentile(50), "s");
            report
                .figure(format!("{what} again, last"), took.most(), "s")
                .at_most(TARGET);
            let share = percent(took.len(), up.len());
            report
                .figure(format!("{what} again"), share, "%")
                .at_least(100.0);
        }
    }
}
