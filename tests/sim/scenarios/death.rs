//! `mass-death`: a third of the nodes is gone at one moment, with all they stored.

use std::time::Duration;

use super::{Scenario, Stage};
use crate::checkers::Healing;
use crate::host::Act;

/// See the head of this file.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "mass-death",
    what: "a third of the nodes dies at once; how soon is what was put found again",
    nodes: 1_000,
    seconds: 120,
    settle: 60,
    ops: 1_000,
    lasts: |plan| plan.seconds + 15,
    run,
};

/// One in so many dies.
const DIES: usize = 3;

fn run(stage: &mut Stage) {
    stage.watch_basics(0.0);
    stage.world.watch(Box::new(Healing::new(
        "death",
        Duration::from_secs(60),
        99.0,
    )));
    stage.join();
    stage.world.phase("put");
    let count = stage.plan.ops;
    let keys = stage.puts(count, Duration::from_secs(10), Duration::from_secs(3_600));
    stage.run(Duration::from_secs(10) + super::stage::PATIENCE);
    stage.world.phase("death");
    let mut all: Vec<_> = (0..stage.plan.nodes).collect();
    for left in 0..all.len() / DIES {
        let which = left + stage.world.rng.below(all.len() - left);
        all.swap(left, which);
        let now = stage.world.now;
        stage.world.at(now, Act::Kill(all[left]));
    }
    let span = stage.span();
    stage.gets(&keys, count * 6, span);
    stage.run(span + super::stage::PATIENCE);
}
