//! `partition`: two fifths of the sites reach only each other for a while, then all reach all again.

use std::time::Duration;

use super::{Scenario, Stage};
use crate::checkers::Healing;
use crate::net::{Partition, Ppm};

/// See the head of this file.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "partition",
    what: "two fifths of the sites are cut off (--seconds), then reachable again for ten minutes",
    nodes: 300,
    seconds: 300,
    settle: 60,
    ops: 500,
    lasts: |plan| plan.seconds + AFTER.as_secs() + 75,
    run,
};

/// Sites on the smaller side.
const SMALLER: Ppm = 400_000;

/// Time after the partition that is watched.
const AFTER: Duration = Duration::from_secs(600);

/// Time each side has to notice that the other is gone.
const NOTICE: Duration = Duration::from_secs(60);

fn run(stage: &mut Stage) {
    stage.watch_basics(0.0);
    let span = stage.span();
    let by = AFTER.saturating_sub(Duration::from_secs(60));
    stage
        .world
        .watch(Box::new(Healing::new("divided", NOTICE, 99.0)));
    stage
        .world
        .watch(Box::new(Healing::new("healed", by, 99.0)));
    stage.join();
    stage.world.phase("divided");
    let (from, until) = (stage.world.now, stage.world.now + span);
    let partition = Partition {
        from,
        until,
        share: SMALLER,
    };
    stage.world.net.sins.partitions.push(partition);
    let ttl = span + AFTER * 2;
    let first = (span / 4).min(NOTICE / 2);
    let keys = stage.puts_by_side(stage.plan.ops, first, ttl);
    stage.run(first + super::stage::PATIENCE);
    let rest = until
        .since(stage.world.now)
        .saturating_sub(super::stage::PATIENCE);
    for (key, side) in &keys {
        let (at, host) = (stage.sometime(rest), stage.someone(*side));
        stage.get(at, host, *key);
    }
    stage.run(until.since(stage.world.now));
    stage.world.phase("healed");
    for _ in 0..stage.plan.ops * 6 {
        let which = stage.world.rng.below(keys.len());
        if let Some((key, side)) = keys.get(which).copied() {
            // Asked for where it could not have been known.
            let (at, host) = (stage.sometime(AFTER), stage.someone(!side));
            stage.get(at, host, key);
        }
    }
    stage.run(AFTER + super::stage::PATIENCE);
    // Gets in vain go all the way: they show whether everybody finds the closest of all again.
    stage.world.phase("one again");
    for _ in 0..stage.plan.ops {
        let (at, host, key) = (stage.sometime(NOTICE), stage.anyone(), stage.key());
        stage.get(at, host, key);
    }
    stage.run(NOTICE + super::stage::PATIENCE);
}

impl Stage {
    /// Somebody on one side.
    fn someone(&mut self, side: bool) -> usize {
        // Each side has at least one node unless there are only a handful; then anyone will do.
        const TRIES: usize = 200;
        let mut host = self.anyone();
        for _ in 0..TRIES {
            if self.world.net.side(SMALLER, host) == side {
                break;
            }
            host = self.anyone();
        }
        host
    }

    fn puts_by_side(
        &mut self,
        count: usize,
        span: Duration,
        ttl: Duration,
    ) -> Vec<(common::ids::Key, bool)> {
        let mut keys = Vec::with_capacity(count);
        for n in 0..count {
            let side = n % 2 == 0;
            let (at, host, key) = (self.sometime(span), self.someone(side), self.key());
            self.put(at, host, key, ttl);
            keys.push((key, side));
        }
        keys
    }
}
