//! Get what you put: a value that was acknowledged and has not ended is found; nothing is found
//! that nobody put or that ended long ago; every wish is answered, by its deadline.

use std::collections::BTreeMap;
use std::time::Duration;

use common::clock::Moment;

use super::{Checker, Seen};
use crate::model::{End, Model, Op, What};
use crate::report::{Report, percent};
use crate::world::World;

/// Longest patience of any scenario's wish, with room for a clock that stands still and a node that
/// is starved.
const LONGEST: Duration = Duration::from_secs(100);

/// Checks gets against the oracle.
#[derive(Debug)]
pub(crate) struct Gets {
    target: f64,
}

impl Gets {
    /// At least `target` percent of gets are to find what must be there.
    pub(crate) const fn new(target: f64) -> Self {
        Self { target }
    }
}

impl Checker for Gets {
    fn saw(&mut self, _now: Moment, _seen: &Seen<'_>, _model: &mut Model) {}

    fn tell(&mut self, world: &World, report: &mut Report) {
        let model = &world.model;
        let found = |ops: &[&Op]| ops.iter().filter(|op| op.end == Some(End::Found)).count();
        let done: Vec<_> = model
            .of(What::Get, None)
            .filter(|op| op.done.is_some())
            .collect();
        let expected: Vec<_> = done.iter().copied().filter(|op| op.expected).collect();
        let tended: Vec<_> = expected.iter().copied().filter(|op| op.tended).collect();
        if !expected.is_empty() {
            let success = percent(found(&expected), expected.len());
            report
                .figure("get what was put", success, "%")
                .at_least(self.target);
            report.count("gets of what was put", expected.len() as u64);
        }
        if !tended.is_empty() && tended.len() < expected.len() {
            let success = percent(found(&tended), tended.len());
            report
                .figure("of those, publisher still up", success, "%")
                .at_least(self.target);
        }
        let mut refused = BTreeMap::<_, u64>::new();
        for op in &model.ops {
            if let Some(End::Refused(reason)) = op.end {
                *refused
                    .entry(format!("refused here: {reason}"))
                    .or_default() += 1;
            }
            if op.wrong > 0 {
                let (key, host) = (op.key, op.host);
                report.violation(format!(
                    "gets: node {host} found what was not there under {key}"
                ));
            }
            let waited = world.now.since(op.asked);
            if op.done.is_none() && op.what != What::Other && waited > LONGEST {
                let (host, what, key) = (op.host, op.what, op.key);
                report.violation(format!(
                    "gets: node {host} never answered {what:?} of {key}"
                ));
            }
        }
        report.counts.extend(refused);
    }
}
