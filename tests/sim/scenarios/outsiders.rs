//! `outsiders`: while members work, others throw at them all that can be thrown: nodes of another
//! generation and of another secret, garbage, headers without bodies, damaged, replayed and
//! misdirected datagrams of members.

use std::time::Duration;

use common::wire::header::MAGIC;

use super::stage::NETWORK;
use super::{Scenario, Stage};
use crate::host::{Act, Parcel};
use crate::world::World;

/// See the head of this file.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "outsiders",
    what: "strangers of every kind knock (--ops: datagrams of each kind) while members work",
    nodes: 100,
    seconds: 60,
    settle: 60,
    ops: 5_000,
    lasts: |plan| plan.seconds + 20,
    run,
};

/// Nodes of each foreign network.
const FOREIGN: usize = 10;

/// Silent places that datagrams are thrown from.
const THROWERS: usize = 20;

/// Datagrams of members that are remembered, to be abused.
const TAPPED: usize = 2_000;

/// Longest garbage, over what any datagram may have.
const GARBAGE_MAX: usize = 1_600;

fn run(stage: &mut Stage) {
    let members = stage.plan.nodes;
    let generation = World::network(NETWORK.0, NETWORK.1 + 1);
    let secret = World::network(NETWORK.0 + 1, NETWORK.1);
    for network in [generation, secret] {
        for _ in 0..FOREIGN {
            let config = stage.config(usize::MAX);
            stage
                .world
                .place(std::sync::Arc::clone(&network), false, config);
        }
    }
    for _ in 0..THROWERS {
        let nobody = World::network(0, 0);
        let config = stage.config(usize::MAX);
        stage.world.place(nobody, false, config);
    }
    stage.watch_basics(99.99);
    stage.join();
    stage.world.tap(TAPPED);
    for foreigner in members..members + 2 * FOREIGN {
        let at = stage.sometime(Duration::from_secs(5));
        stage.world.at(at, Act::Boot(foreigner));
    }
    stage.world.phase("flood");
    stage.run(Duration::from_secs(10));
    let tapped = stage.world.tap(0);
    let span = stage.span();
    for _ in 0..stage.plan.ops {
        throw(stage, &tapped, span);
    }
    let count = 500;
    let keys = stage.puts(count, span / 4, Duration::from_secs(3_600));
    stage.run(span / 4 + super::stage::PATIENCE);
    stage.gets(&keys, count * 2, span * 3 / 4);
    stage.run(span * 3 / 4 + super::stage::PATIENCE);
}

/// One of each kind.
fn throw(stage: &mut Stage, tapped: &[Parcel], span: Duration) {
    let thrower = stage.plan.nodes + 2 * FOREIGN + stage.world.rng.below(THROWERS);
    let garbage = |stage: &mut Stage| {
        let length = stage.world.rng.below(GARBAGE_MAX);
        let bytes = (0..length.div_ceil(8)).flat_map(|_| stage.world.rng.u64().to_be_bytes());
        bytes.take(length).collect::<Vec<_>>()
    };
    let mut thrown = Vec::new();
    let to = stage.anyone();
    thrown.push(Parcel {
        from: thrower,
        to,
        bytes: garbage(stage),
    });
    let headed = [&MAGIC[..], &garbage(stage)].concat();
    thrown.push(Parcel {
        from: thrower,
        to,
        bytes: headed,
    });
    let which = stage.world.rng.below(tapped.len());
    if let Some(genuine) = tapped.get(which) {
        let again = genuine.clone();
        let elsewhere = Parcel {
            to,
            ..genuine.clone()
        };
        let stolen = Parcel {
            from: thrower,
            ..genuine.clone()
        };
        let mut damaged = genuine.clone();
        let at = stage.world.rng.below(damaged.bytes.len());
        damaged.bytes[at] ^= 0x10;
        let mut cut = stolen.clone();
        cut.bytes.truncate(at);
        thrown.extend([again, elsewhere, stolen, damaged, cut]);
    }
    for parcel in thrown {
        let at = stage.sometime(span);
        stage.world.at(at, Act::Inject(parcel));
    }
}
