//! `withdrawal`: values are put, half of them taken back by their publishers, and all asked for,
//! before their time would have been over and after it.
//!
//! What was taken back may be seen for a while, where word of it did not come. Beyond its time it
//! must not: that is a violation, as for any value that ended.

use std::time::Duration;

use dht::engine::Wish;

use super::{Scenario, Stage};
use crate::checkers::Withdrawals;
use crate::host::Act;

/// See the head of this file.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "withdrawal",
    what: "publishers take values back; who still finds them, before and after their time",
    nodes: 200,
    seconds: 60,
    settle: 60,
    ops: 300,
    lasts: |plan| plan.seconds * 2 + 30,
    run,
};

/// Puts, and then withdrawals, come within this.
const WITHIN: Duration = Duration::from_secs(5);

fn run(stage: &mut Stage) {
    stage.watch_basics(99.0);
    stage.world.watch(Box::new(Withdrawals));
    stage.join();
    stage.world.phase("put");
    let ttl = stage.span();
    let keys: Vec<_> = (0..stage.plan.ops)
        .map(|_| {
            let (at, host, key) = (stage.sometime(WITHIN), stage.anyone(), stage.key());
            stage.put(at, host, key, ttl);
            (host, key)
        })
        .collect();
    stage.run(WITHIN + super::stage::PATIENCE);
    stage.world.phase("withdraw");
    for (host, key) in keys.iter().copied().step_by(2) {
        let (at, wish) = (stage.sometime(WITHIN), Wish::Withdraw { key });
        stage
            .world
            .at(at, Act::Ask(host, wish, super::stage::PATIENCE));
    }
    stage.run(WITHIN + super::stage::PATIENCE);
    // Until all have ended, and as long again.
    stage.world.phase("asked for");
    let span = ttl * 2;
    let keys: Vec<_> = keys.into_iter().map(|(_, key)| key).collect();
    let count = keys.len() * 6;
    stage.gets(&keys, count, span);
    stage.run(span + super::stage::PATIENCE);
}
