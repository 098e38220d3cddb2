//! `claims`: a flash crowd of proxies. All of them claim the same few cold keys within a tenth of a
//! second, as when a page is linked from everywhere at once (CoralCDN: 166 proxies, 12 files, 14
//! fetches from the origin).

use std::time::Duration;

use dht::engine::Wish;

use super::{Scenario, Stage};
use crate::checkers::Claims;
use crate::host::Act;

/// See the head of this file.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "claims",
    what: "all nodes claim the same cold keys within 100 ms (--rounds, --ops: keys per round)",
    nodes: 166,
    seconds: 5,
    settle: 60,
    ops: 12,
    lasts: |plan| rounds(plan) * (plan.seconds + 5),
    run,
};

/// Rounds unless asked otherwise.
const ROUNDS: usize = 10;

/// Everybody claims within this.
const WITHIN: Duration = Duration::from_millis(100);

/// A claim lives so long.
const TTL: Duration = Duration::from_secs(20);

fn rounds(plan: &super::Plan) -> u64 {
    plan.options.rounds.unwrap_or(ROUNDS) as u64
}

fn run(stage: &mut Stage) {
    stage.watch_basics(0.0);
    stage.world.watch(Box::new(Claims::new(stage.plan.ops)));
    stage.join();
    stage.world.phase("claim");
    for _ in 0..rounds(&stage.plan) {
        for _ in 0..stage.plan.ops {
            let key = stage.key();
            for host in 0..stage.plan.nodes {
                let (at, value) = (stage.sometime(WITHIN), stage.value());
                let wish = Wish::Claim {
                    key,
                    value,
                    ttl: TTL,
                };
                stage
                    .world
                    .at(at, Act::Ask(host, wish, super::stage::PATIENCE));
            }
        }
        stage.run(stage.span() + super::stage::PATIENCE);
    }
}
