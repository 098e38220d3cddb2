//! A claim is granted to one: of those who claim a key at once, exactly one is told to fetch.
//!
//! Two grants for one key whose times overlap are one fetch from the origin too many. It is counted,
//! not a violation: nodes that cannot hear each other cannot find each other. A key that nobody was
//! granted is counted too: there, everybody waits for nobody.

use std::collections::BTreeMap;

use common::clock::Moment;

use super::{Checker, Seen};
use crate::model::{End, Model, What};
use crate::report::{Report, Spread, millis, percent, ratio};
use crate::world::World;

/// Counts grants per key.
#[derive(Debug)]
pub(crate) struct Claims {
    keys_per_round: usize,
}

impl Claims {
    /// Keys come in rounds of so many.
    pub(crate) const fn new(keys_per_round: usize) -> Self {
        Self { keys_per_round }
    }
}

impl Checker for Claims {
    fn saw(&mut self, _now: Moment, _seen: &Seen<'_>, _model: &mut Model) {}

    fn tell(&mut self, world: &World, report: &mut Report) {
        let mut order = Vec::new();
        let mut grants = BTreeMap::<_, usize>::new();
        let (mut claims, mut refused) = (0, 0);
        for op in world.model.of(What::Claim, None) {
            let granted = grants.entry(op.key).or_insert_with(|| {
                order.push(op.key);
                0
            });
            claims += 1;
            *granted += usize::from(op.end == Some(End::Granted));
            refused += usize::from(matches!(op.end, Some(End::Refused(_))));
        }
        if claims == 0 {
            return;
        }
        let rounds = order.chunks(self.keys_per_round.max(1));
        // Whoever is refused fetches as well: that is what the proxy does when patience runs out.
        let fetches = |keys: &[_]| keys.iter().filter_map(|key| grants.get(key)).sum::<usize>();
        let fetched = Spread::of(rounds.map(|keys| ratio(fetches(keys))));
        let keys = ratio(self.keys_per_round);
        let name = |which| format!("fetches for {} cold keys, {which}", self.keys_per_round);
        let figure = report.figure(name("mean"), fetched.mean(), "");
        figure.at_most(keys).elsewhere("CoralCDN 14 for 12");
        report
            .figure(name("worst round"), fetched.most(), "")
            .at_most(keys + 2.0);
        let exact = grants.values().filter(|granted| **granted == 1).count();
        let none = grants.values().filter(|granted| **granted == 0).count();
        report.figure(
            "keys granted exactly once",
            percent(exact, grants.len()),
            "%",
        );
        report
            .figure("keys granted to nobody", ratio(none), "")
            .at_most(0.0);
        report
            .figure("claims refused", ratio(refused), "")
            .at_most(0.0);
        let answered = world
            .model
            .of(What::Claim, None)
            .filter_map(|op| Some(op.done?.since(op.asked)));
        let latency = Spread::of(answered.map(millis));
        report.figure("claim answered, median", latency.percentile(50), "ms");
        report.figure("claim answered, 99th", latency.percentile(99), "ms");
        report.count("claims", claims);
    }
}
