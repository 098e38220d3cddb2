//! `static`: nobody comes, nobody goes. First nobody wishes anything, then values are put and got.

use std::time::Duration;

use super::{Scenario, Stage};
use crate::checkers::Traffic;

/// See the head of this file.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "static",
    what: "nobody comes or goes: traffic at rest, then puts, gets and misses",
    nodes: 1_000,
    seconds: 40,
    settle: 60,
    ops: 1_000,
    lasts: |plan| plan.seconds * 3 / 2 + 10,
    run,
};

/// Bytes a second a node may send at rest.
const IDLE_TRAFFIC: f64 = 1_000.0;

/// Gets per value put, and one miss for so many values put.
const GETS_PER_PUT: usize = 3;
const PUTS_PER_MISS: usize = 2;

fn run(stage: &mut Stage) {
    let faults = stage.plan.options.faults.non_transitive > 0.0;
    stage.weighed = true;
    stage.watch_basics(if faults { 99.0 } else { 99.99 });
    let traffic = Traffic::new("idle", IDLE_TRAFFIC, stage.plan.nodes);
    stage.world.watch(Box::new(traffic));
    stage.join();
    stage.world.phase("idle");
    let idle = stage.span() / 2;
    stage.run(idle);
    stage.world.phase("put");
    let (span, count) = (stage.span(), stage.plan.ops);
    let keys = stage.puts(count, span / 4, Duration::from_secs(3_600));
    stage.run(span / 4 + super::stage::PATIENCE);
    stage.world.phase("get");
    stage.gets(&keys, count * GETS_PER_PUT, span * 3 / 4);
    for _ in 0..count / PUTS_PER_MISS {
        let (at, host, key) = (stage.sometime(span * 3 / 4), stage.anyone(), stage.key());
        stage.get(at, host, key);
    }
    stage.run(span * 3 / 4 + super::stage::PATIENCE);
}
