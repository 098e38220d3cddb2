//! `hot-key`: everybody puts and gets one key again and again, as in CoralCDN's evaluation
//! (NSDI'04: 494 nodes in one cluster, 400 pairs per node and second).

use std::time::Duration;

use common::ids::Key;

use super::{Scenario, Stage};
use crate::checkers::Load;
use crate::report::ratio;

/// See the head of this file.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "hot-key",
    what: "everybody puts and gets one key (--rate: pairs per node and minute)",
    nodes: 494,
    seconds: 60,
    settle: 60,
    ops: 0,
    lasts: |plan| plan.seconds + 70,
    run,
};

/// Pairs of put and get per node and minute, unless asked otherwise.
const RATE: usize = 12;

/// Values live so long; as long as an optimistic pointer.
const TTL: Duration = Duration::from_secs(20);

/// Time until the index has found its footing; not counted. At a great rate that takes the moments
/// of [`RAMP`]: until then demand is moderate.
const WARM: Duration = Duration::from_secs(60);
const RAMP: Duration = Duration::from_secs(3);

/// Pairs per node and minute at most before the ramp.
const MODERATE: usize = 60;

/// Wishes are planned for so long at a time: a second of them may be hundreds of thousands.
const SLICE: Duration = Duration::from_millis(250);

fn run(stage: &mut Stage) {
    stage.watch_basics(99.0);
    let key = stage.key();
    let load = Load::new(key, "hot", stage.plan.nodes);
    stage.world.watch(Box::new(load));
    stage.join();
    let rate = stage.plan.options.rate.unwrap_or(RATE).max(1);
    let span = stage.span();
    stage.world.phase("warm");
    demand(stage, key, rate.min(MODERATE), WARM);
    demand(stage, key, rate, RAMP);
    stage.world.phase("hot");
    demand(stage, key, rate, span);
    stage.world.phase("after");
    stage.run(super::stage::PATIENCE);
}

/// So many pairs per node and minute, for `span`.
fn demand(stage: &mut Stage, key: Key, rate: usize, span: Duration) {
    let end = stage.world.now + span;
    let mut due = 0.0;
    while stage.world.now < end {
        let slice = end.since(stage.world.now).min(SLICE);
        due += ratio(rate * stage.plan.nodes) * slice.as_secs_f64() / 60.0;
        let pairs = count(due.floor());
        due -= ratio(pairs);
        for _ in 0..pairs {
            let (at, host) = (stage.sometime(slice), stage.anyone());
            stage.put_own(at, host, key, TTL);
            stage.get(at + super::stage::PATIENCE / 100, host, key);
        }
        stage.run(slice);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count that memory bounds long before"
)]
const fn count(value: f64) -> usize {
    value as usize
}
