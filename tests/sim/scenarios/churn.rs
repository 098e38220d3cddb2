//! `churn`: nodes stay for exponentially distributed times, go without a word, and come back with
//! nothing stored.

use std::time::Duration;

use super::{Scenario, Stage};
use crate::checkers::Traffic;
use crate::host::Act;

/// See the head of this file.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "churn",
    what: "nodes come and go (--session: median seconds up); values are put and got meanwhile",
    nodes: 300,
    seconds: 600,
    settle: 60,
    ops: 1_000,
    lasts: |plan| plan.seconds + 10,
    run,
};

/// Median time up, in seconds, unless asked otherwise.
const SESSION: u64 = 1_800;

/// Time down is this part of the time up, on average.
const DOWN: u32 = 10;

/// Bytes a second a node may send, work included (Bamboo's figure at a median of 1.4 minutes).
const TRAFFIC: f64 = 900.0;

fn run(stage: &mut Stage) {
    stage.watch_basics(99.0);
    let traffic = Traffic::new("churn", TRAFFIC, stage.plan.nodes);
    stage.world.watch(Box::new(traffic));
    stage.join();
    stage.world.phase("churn");
    let span = stage.span();
    let session = stage.plan.options.session.unwrap_or(SESSION);
    // Of an exponential distribution the median is ln 2 times the mean.
    let mean = Duration::from_secs_f64(
        Duration::from_secs(session).as_secs_f64() / std::f64::consts::LN_2,
    );
    for node in 0..stage.plan.nodes {
        comings_and_goings(stage, node, mean, span);
    }
    let count = stage.plan.ops;
    let keys = stage.puts(count, span / 2, span * 2);
    stage.run(span / 2 + super::stage::PATIENCE);
    stage.gets(&keys, count * 3, span / 2);
    stage.run(span / 2 + super::stage::PATIENCE);
}

fn comings_and_goings(stage: &mut Stage, node: usize, mean: Duration, span: Duration) {
    let end = stage.world.now + span;
    let mut at = stage.world.now + exponential(stage, mean);
    while at < end {
        stage.world.at(at, Act::Kill(node));
        at = at + exponential(stage, mean / DOWN);
        stage.world.at(at, Act::Boot(node));
        at = at + exponential(stage, mean);
    }
}

/// A time from the exponential distribution of that mean.
fn exponential(stage: &mut Stage, mean: Duration) -> Duration {
    // 53 random bits over 2^53, never 0.
    let unit = f64::from_bits((stage.world.rng.u64() >> 12) | 0x3ff0_0000_0000_0000) - 1.0;
    mean.mul_f64(-(1.0 - unit).ln())
}
