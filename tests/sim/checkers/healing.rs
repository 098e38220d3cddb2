//! How a network recovers: get success by time since the blow.

use std::time::Duration;

use common::clock::Moment;

use super::{Checker, Seen};
use crate::model::{End, Model, Op, What};
use crate::report::{Report, percent};
use crate::world::World;

/// Bounds of the times that are told apart, in seconds since the blow.
const STEPS: [u64; 9] = [0, 5, 10, 20, 60, 120, 300, 540, 1_200];

/// Watches gets after a phase began.
#[derive(Debug)]
pub(crate) struct Healing {
    phase: &'static str,
    by: Duration,
    target: f64,
    since: Option<Moment>,
    until: Moment,
}

impl Healing {
    /// During that phase, from its beginning; `by` then, `target` percent are to succeed again.
    pub(crate) const fn new(phase: &'static str, by: Duration, target: f64) -> Self {
        Self {
            phase,
            by,
            target,
            since: None,
            until: Moment::NEVER,
        }
    }
}

impl Checker for Healing {
    fn saw(&mut self, now: Moment, seen: &Seen<'_>, _model: &mut Model) {
        match *seen {
            Seen::Phase { name } if name == self.phase => self.since = Some(now),
            Seen::Phase { .. } if self.since.is_some() => self.until = self.until.min(now),
            _ => {}
        }
    }

    fn tell(&mut self, world: &World, report: &mut Report) {
        let Some(since) = self.since else {
            return;
        };
        let phase = self.phase;
        let gets = world.model.of(What::Get, None);
        let gets: Vec<_> = gets.filter(|op| op.expected && op.done.is_some()).collect();
        let within = |op: &Op, from: u64, until: u64| {
            let age = op.asked.since(since).as_secs();
            op.asked >= since && op.asked < self.until && age >= from && age < until
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
            let name = format!("get success {from}-{until} s after {phase}, publisher up");
            let figure = report.figure(name, success, "%");
            if from >= self.by.as_secs() {
                figure.at_least(self.target);
            }
            if of.len() > tended.len() {
                let all = percent(
                    of.iter().filter(|op| op.end == Some(End::Found)).count(),
                    of.len(),
                );
                report.figure(
                    format!("get success {from}-{until} s after {phase}, all"),
                    all,
                    "%",
                );
            }
        }
    }
}
