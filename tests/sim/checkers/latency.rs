//! How long clients wait: for the first value when there is one, for the word that there is none,
//! for a put to be stored.

use common::clock::Moment;

use super::{Checker, Seen};
use crate::model::{End, Model, Op, What};
use crate::pictures::{Curve, Curves, Picture, Shape};
use crate::report::{Report, Spread, millis};
use crate::world::World;

/// Measures waiting, with targets where the network is calm.
#[derive(Debug)]
pub(crate) struct Latency;

impl Checker for Latency {
    fn saw(&mut self, _now: Moment, _seen: &Seen<'_>, _model: &mut Model) {}

    fn tell(&mut self, world: &World, report: &mut Report) {
        let model = &world.model;
        let waited =
            |op: &Op, until: Option<Moment>| until.map(|until| millis(until.since(op.asked)));
        let gets = || model.of(What::Get, None);
        let first = Spread::of(gets().filter_map(|op| waited(op, op.first)));
        let missed = gets().filter(|op| op.end == Some(End::Nothing) && !op.expected);
        let miss = Spread::of(missed.filter_map(|op| waited(op, op.done)));
        let stored = model.of(What::Put, None);
        let stored = stored.filter(|op| matches!(op.end, Some(End::Stored(_))));
        let stored = Spread::of(stored.filter_map(|op| waited(op, op.done)));
        let curve = |name: &str, spread: &Spread| Curve {
            name: name.to_owned(),
            values: spread.values().to_vec(),
        };
        let curves = [
            curve("get: first value", &first),
            curve("get: no value, decided", &miss),
            curve("put: stored", &stored),
        ];
        report.pictures.push(Picture {
            file: "latency",
            title: "How long clients wait".to_owned(),
            note: report.scenario.clone(),
            shape: Shape::Curves(Curves {
                x: "milliseconds",
                curves: curves
                    .into_iter()
                    .filter(|c| !c.values.is_empty())
                    .collect(),
            }),
        });
        if first.len() > 0 {
            let figure = report.figure("first value, median", first.percentile(50), "ms");
            figure.at_most(300.0).elsewhere("plain Kademlia 623");
            report.figure("first value, 96th", first.percentile(96), "ms");
            let figure = report.figure("first value, 99th", first.percentile(99), "ms");
            figure.at_most(1_000.0).elsewhere("plain Kademlia 1,716");
        }
        if miss.len() > 0 {
            report.figure("miss decided, median", miss.percentile(50), "ms");
            report
                .figure("miss decided, 99th", miss.percentile(99), "ms")
                .at_most(1_000.0);
        }
        if stored.len() > 0 {
            report.figure("put stored, median", stored.percentile(50), "ms");
            report.figure("put stored, 99th", stored.percentile(99), "ms");
        }
    }
}
