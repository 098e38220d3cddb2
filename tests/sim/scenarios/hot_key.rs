//! `hot-key`: everybody puts and gets one key again and again, as in CoralCDN's evaluation
//! (NSDI'04: 494 nodes in one cluster, 400 pairs per node and second).

use std::time::Duration;

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
    lasts: |plan| plan.seconds + 65,
    run,
};

/// Pairs of put and get per node and minute, unless asked otherwise.
const RATE: usize = 12;

/// Values live so long; as long as an optimistic pointer.
const TTL: Duration = Duration::from_secs(20);

/// Time until the index has found its footing; not counted.
const WARM: Duration = Duration::from_secs(60);

fn run(stage: &mut Stage) {
    stage.watch_basics(99.0);
    let key = stage.key();
    let load = Load::new(key, "hot", stage.plan.nodes);
    stage.world.watch(Box::new(load));
    stage.join();
    let rate = stage.plan.options.rate.unwrap_or(RATE).max(1);
    for (name, span) in [("warm", WARM), ("hot", stage.span())] {
        stage.world.phase(name);
        let pairs = (ratio(rate * stage.plan.nodes) * span.as_secs_f64() / 60.0).round();
        for _ in 0..count(pairs) {
            let (at, host) = (stage.sometime(span), stage.anyone());
            stage.put_own(at, host, key, TTL);
            stage.get(at + super::stage::PATIENCE / 100, host, key);
        }
        stage.run(span);
    }
    stage.world.phase("after");
    stage.run(super::stage::PATIENCE);
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count that memory bounds long before"
)]
const fn count(value: f64) -> usize {
    value as usize
}
