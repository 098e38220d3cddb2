//! `levels`: clusters form, nobody wishes anything for a while, then values are got whose copies
//! are in the asker's own innermost cluster, anywhere, and nowhere.

use std::collections::BTreeMap;
use std::time::Duration;

use common::ids::Key;

use super::{Scenario, Stage};
use crate::checkers::reach::{ANYWHERE, MISS, NEAR};
use crate::checkers::{Bounds, Clusters, Gets, Reach, Silence, Traffic, Walks};

/// See the head of this file.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "levels",
    what: "clusters form (--settle), rest, and gets go as far as they must",
    nodes: 1_000,
    seconds: 300,
    settle: 1_780,
    ops: 1_000,
    lasts: |plan| plan.seconds + 50,
    run,
};

/// Bytes a second a node may send at rest.
const IDLE_TRAFFIC: f64 = 1_000.0;

/// Each sort of wish comes within this.
const WITHIN: Duration = Duration::from_secs(10);

/// Values outlast the run.
const TTL: Duration = Duration::from_secs(3_600);

fn run(stage: &mut Stage) {
    stage.weighed = true;
    stage.world.watch(Box::new(Gets::new(99.99)));
    let walks = Walks::new(&stage.world);
    stage.world.watch(Box::new(walks));
    stage.world.watch(Box::new(Reach::default()));
    stage.world.watch(Box::new(Clusters::new("idle")));
    let traffic = Traffic::new("idle", IDLE_TRAFFIC, stage.plan.nodes);
    stage.world.watch(Box::new(traffic));
    let bounds = Bounds::new(&stage.config(0));
    stage.world.watch(Box::new(bounds));
    let silence = Silence::new(&stage.world);
    stage.world.watch(Box::new(silence));
    stage.join();
    stage.world.phase("idle");
    stage.run(stage.span());
    stage.world.phase("put");
    let near = neighbours(stage);
    let near: Vec<_> = near
        .into_iter()
        .map(|(publisher, asker)| (asker, put(stage, publisher)))
        .collect();
    let anywhere: Vec<_> = (0..stage.plan.ops)
        .map(|_| {
            let publisher = stage.anyone();
            (stage.anyone(), put(stage, publisher))
        })
        .collect();
    stage.run(WITHIN + super::stage::PATIENCE);
    let nowhere: Vec<_> = (0..stage.plan.ops / 2)
        .map(|_| (stage.anyone(), stage.key()))
        .collect();
    for (phase, gets) in [(NEAR, near), (ANYWHERE, anywhere), (MISS, nowhere)] {
        stage.world.phase(phase);
        for (asker, key) in gets {
            let at = stage.sometime(WITHIN);
            stage.get(at, asker, key);
        }
        stage.run(WITHIN + super::stage::PATIENCE);
    }
}

fn put(stage: &mut Stage, publisher: usize) -> Key {
    let (at, key) = (stage.sometime(WITHIN), stage.key());
    stage.put(at, publisher, key, TTL);
    key
}

/// Pairs of different nodes of one innermost cluster, of any cluster that has two.
fn neighbours(stage: &mut Stage) -> Vec<(usize, usize)> {
    let mut clusters = BTreeMap::<_, Vec<usize>>::new();
    for (host, place) in stage.world.hosts.iter().enumerate() {
        let innermost = place
            .node
            .as_deref()
            .and_then(|node| node.memberships().last());
        if let Some(level) = innermost {
            clusters.entry(level.cluster).or_default().push(host);
        }
    }
    let clusters: Vec<_> = clusters.into_values().filter(|all| all.len() > 1).collect();
    let members: Vec<_> = (0..clusters.len())
        .flat_map(|at| clusters[at].iter().map(move |host| (at, *host)))
        .collect();
    if members.is_empty() {
        return Vec::new();
    }
    let mut pairs = Vec::with_capacity(stage.plan.ops);
    for _ in 0..stage.plan.ops {
        // Every node in company is as likely to publish as any other.
        let (at, publisher) = members[stage.world.rng.below(members.len())];
        let others: Vec<_> = clusters[at].iter().filter(|it| **it != publisher).collect();
        let asker = *others[stage.world.rng.below(others.len())];
        pairs.push((publisher, asker));
    }
    pairs
}
