//! `locality`: people in one region want the same things. Each region has its own keys, some far
//! more popular than others; whoever has asked for a key has a copy and says so.
//!
//! Run it with `--levels 1` and with `--levels 3`: what clusters are worth is the difference
//! (NSDI'04 compared the two on PlanetLab).

use std::collections::BTreeSet;
use std::time::Duration;

use common::clock::Moment;
use common::ids::Key;

use super::{Scenario, Stage};

/// See the head of this file.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "locality",
    what: "regions ask for their own keys (Zipf) and keep copies; compare --levels 1 and 3",
    nodes: 490,
    seconds: 300,
    settle: 600,
    ops: 10_000,
    lasts: |plan| plan.seconds + 10,
    run,
};

/// Regions, unless nodes are few.
const REGIONS: usize = 24;

/// A region is all that is within this of its middle.
const RADIUS: Duration = Duration::from_millis(20);

/// Nodes of a region: fewer are nobody to share with, more are left out.
const MEMBERS: (usize, usize) = (3, 40);

/// Keys of a region. The k-th is asked for 1/k as often as the first.
const KEYS: usize = 60;

/// Whoever has asked has a copy after this.
const FETCHED: Duration = Duration::from_millis(1_500);

/// Copies are announced for this.
const TTL: Duration = Duration::from_secs(3_600);

/// Draws that may find nobody who has not asked yet.
const TRIES: usize = 20;

struct Region {
    members: Vec<usize>,
    keys: Vec<Key>,
}

fn run(stage: &mut Stage) {
    stage.watch_basics(99.0);
    stage.join();
    stage.world.phase("demand");
    let span = stage.span();
    let regions = regions(stage);
    let mut asked = BTreeSet::new();
    let mut times: Vec<Moment> = (0..stage.plan.ops).map(|_| stage.sometime(span)).collect();
    times.sort_unstable();
    for at in times {
        let fresh = (0..TRIES).find_map(|_| {
            let wish = draw(stage, &regions)?;
            asked.insert(wish).then_some(wish)
        });
        if let Some((host, key)) = fresh {
            stage.get(at, host, key);
            stage.put_own(at + FETCHED, host, key, TTL);
        }
    }
    stage.run(span + FETCHED + super::stage::PATIENCE);
}

fn regions(stage: &mut Stage) -> Vec<Region> {
    let nodes = stage.plan.nodes;
    let wanted = REGIONS.min(nodes / 10).max(1);
    let mut regions = Vec::with_capacity(wanted);
    // Many nodes of PlanetLab have nobody near; a middle without a region is drawn again.
    for _ in 0..wanted * TRIES {
        let middle = stage.anyone();
        let near = |node: &usize| stage.world.net.round_trip(middle, *node) <= RADIUS;
        let members: Vec<_> = (0..nodes).filter(near).take(MEMBERS.1).collect();
        if members.len() >= MEMBERS.0 && regions.len() < wanted {
            let keys = (0..KEYS).map(|_| stage.key()).collect();
            regions.push(Region { members, keys });
        }
    }
    regions
}

fn draw(stage: &mut Stage, regions: &[Region]) -> Option<(usize, Key)> {
    let Region { members, keys } = regions.get(stage.world.rng.below(regions.len().max(1)))?;
    let host = *members.get(stage.world.rng.below(members.len()))?;
    let key = *keys.get(zipf(stage, keys.len()))?;
    Some((host, key))
}

/// A rank below `count`, the k-th of them 1/k as likely as the first: in whole numbers, so that
/// every machine draws the same.
fn zipf(stage: &mut Stage, count: usize) -> usize {
    const UNIT: usize = 1 << 20;
    let total: usize = (1..=count).map(|rank| UNIT / rank).sum();
    let mut left = stage.world.rng.below(total.max(1));
    for rank in 1..=count {
        let share = UNIT / rank;
        if left < share {
            return rank - 1;
        }
        left -= share;
    }
    count.saturating_sub(1)
}
