//! `restart`: all nodes restart within one second; what they stored is lost, their contacts are
//! remembered. (OpenDHT's incident of 2026 was such a restart: a limiter made it last a day.)

use std::time::Duration;

use super::{Scenario, Stage};
use crate::checkers::Recovery;
use crate::host::Act;

/// See the head of this file.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "restart",
    what: "all nodes restart within one second; how soon do they do their work again",
    nodes: 1_000,
    seconds: 120,
    settle: 60,
    ops: 500,
    lasts: |plan| plan.seconds,
    run,
};

/// All restart within this.
const WITHIN: Duration = Duration::from_secs(1);

fn run(stage: &mut Stage) {
    stage.watch_basics(99.0);
    let recovery = Recovery::new("restart", stage.plan.nodes);
    stage.world.watch(Box::new(recovery));
    stage.join();
    stage.world.phase("restart");
    for node in 0..stage.plan.nodes {
        let at = stage.sometime(WITHIN);
        stage.world.at(at, Act::Boot(node));
    }
    let span = stage.span();
    stage.run(span / 2);
    let count = stage.plan.ops;
    let keys = stage.puts(count, span / 8, Duration::from_secs(3_600));
    stage.run(span / 8 + super::stage::PATIENCE);
    stage.gets(&keys, count * 2, span / 4);
    stage.run(span / 4 + super::stage::PATIENCE);
}
