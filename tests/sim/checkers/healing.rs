//! How a network recovers: get success by time since the blow.

use std::time::Duration;

use common::clock::Moment;

use super::{Checker, Seen};
use crate::model::{End, Model, Op, What};
use crate::report::{Report, percent};
use crate::world::World;

/// Bounds of the times that are told apart, in seconds since the blow.
const STEPS: [u64; 8] = [0, 5, 10, 20, 40, 60, 120, 600];

/// Watches gets after a phase began.
#[derive(Debug)]
pub(crate) struct Healing {
    phase: &'static str,
    by: Duration,
    target: f64,
    since: Option<Moment>,
}

impl Healing {
    /// From the beginning of that phase; `by` then, `target` percent are to succeed again.
    pub(crate) const fn new(phase: &'static str, by: Duration, target: f64) -> Self {
        Self {
            phase,
            by,
            target,
            since: None,
        }
    }
}

impl Checker for Healing {
    fn saw(&mut self, now: Moment, seen: &Seen<'_>, _model: &mut Model) {
        if let Seen::Phase { name } = *seen
            && name == self.phase
        {
            self.since = Some(now);
        }
    }

    fn tell(&mut self, world: &World, report: &mut Report) {
        let Some(since) = self.since else {
            return;
        };
        let gets = world.model.of(What::Get, None);
        let gets: Vec<_> = gets.filter(|op| op.expected && op.done.is_some()).collect();
        let within = |op: &Op, from: u64, until: u64| {
            let age = op.asked.since(since).as_secs();
            op.asked >= since && age >= from && age < until
        };
        for step in STEPS.windows(2) {
            let &[from, until] = step else {
                continue;
            };
            let of: Vec<_> = gets.iter().filter(|op| within(op, from, until)).collect();
            let tended: Vec<_> = of.iter().filter(|op| op.tended).collect();
            let found = |op: &&&&&Op| op.end == Some(End::Found);
            if tended.is_empty() {
                continue;
            }
            let success = percent(tended.iter().filter(found).count(), tended.len());
            let name = format!("get success {from}-{until} s after, publisher up");
            let figure = report.figure(name, success, "%");
            if from >= self.by.as_secs() {
                figure.at_least(self.target);
            }
            if of.len() > tended.len() {
                let all = percent(
                    of.iter().filter(|op| op.end == Some(End::Found)).count(),
                    of.len(),
                );
                report.figure(format!("get success {from}-{until} s after, all"), all, "%");
            }
        }
    }
}
