//! What was taken back is gone: how many gets still see it within its time. Beyond its time it is a
//! violation, which `gets` reports for every value that ended.

use std::collections::BTreeMap;

use common::clock::Moment;

use super::{Checker, Seen};
use crate::model::{End, Model, What};
use crate::report::{Report, percent};
use crate::world::World;

/// Compares gets with withdrawals.
#[derive(Debug)]
pub(crate) struct Withdrawals;

impl Checker for Withdrawals {
    fn saw(&mut self, _now: Moment, _seen: &Seen<'_>, _model: &mut Model) {}

    fn tell(&mut self, world: &World, report: &mut Report) {
        let gone: BTreeMap<_, _> = world
            .model
            .of(What::Withdraw, None)
            .filter_map(|op| Some((op.key, op.done?)))
            .collect();
        let after: Vec<_> = world
            .model
            .of(What::Get, None)
            .filter(|op| gone.get(&op.key).is_some_and(|since| op.asked > *since))
            .collect();
        let found = after.iter().filter(|op| op.end == Some(End::Found));
        let seen = percent(found.count(), after.len().max(1));
        report.figure("withdrawn and still found within its time", seen, "%");
        let wrong: u32 = after.iter().map(|op| op.wrong).sum();
        report
            .figure("withdrawn and found beyond its time", f64::from(wrong), "")
            .at_most(0.0);
        report.count("gets of what was withdrawn", after.len() as u64);
    }
}
