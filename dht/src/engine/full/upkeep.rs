//! What the node does by itself: joining, probing, comparing, testing, healing.
//!
//! Each duty has a moment in [`Schedule`] or in its own room; all are jittered, because nodes that
//! started together would otherwise act together for ever.

use std::time::Duration;

use common::backoff::Backoff;
use common::clock::Moment;
use common::ids::{Key, NodeId};
use common::rng::Generator;

use super::node::Member;
use super::task::{Goal, Owner, Task};
use crate::engine::output::Event;
use crate::engine::routing::Entry;

/// First wait before seeds are tried again, and the longest.
const JOIN_FLOOR: Duration = Duration::from_millis(250);
const JOIN_CAP: Duration = Duration::from_secs(10);

/// Once there are members, seeds that are not among them and one of the dead are still tried this
/// often: it is what brings the halves of a healed partition together.
const REJOIN_EVERY: Duration = Duration::from_secs(60);

/// Remembered nodes tried beside the seeds, per attempt to join.
const OTHERS_TRIED: usize = 8;

/// Nearest members that are kept measured, and how old a measurement may become.
const NEAR_KEPT: usize = 8;
const NEAR_FOR: Duration = Duration::from_secs(10);

/// A node that has measured fewer members probes one more each time.
const MEASURED_SOON: usize = 48;

/// A comparison that failed is begun anew, with another partner, after this.
const SYNC_AGAIN: Duration = Duration::from_millis(500);

/// Ended values are swept at this grain; they are invisible from their very end.
pub(super) const EXPIRE_GRAIN: Duration = Duration::from_secs(1);

/// When the node's duties are due.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) join: Moment,
    pub(super) probe: Option<Moment>,
    pub(super) near: Option<Moment>,
    pub(super) sync: Option<Moment>,
    /// Members to be probed at once beside the next in turn.
    pub(super) eager: usize,
    turn: NodeId,
    backoff: Backoff,
}

impl Schedule {
    /// Joining is due at once, the rest once there is somebody.
    pub(super) fn new(now: Moment, rng: &mut Generator) -> Self {
        Self {
            join: now,
            probe: None,
            near: None,
            sync: None,
            eager: 0,
            turn: NodeId::from_bytes(rng.bytes()),
            backoff: Backoff::new(JOIN_FLOOR, JOIN_CAP),
        }
    }
}

impl Member {
    /// Does every duty that is due.
    pub(super) fn handle_schedule(&mut self, now: Moment) {
        let due = |at: Option<Moment>| at.is_some_and(|at| at <= now);
        if self.schedule.join <= now {
            self.join(now);
        }
        if due(self.schedule.probe) {
            self.probe_next(now);
        }
        if due(self.schedule.near) {
            self.probe_near(now);
        }
        if due(self.schedule.sync) {
            self.sync_next(now);
        }
        if due(self.release_due()) {
            self.release(now);
        }
        while let Some(dead) = self.roster.expire(now) {
            self.lost(now, dead.id, dead.addr);
        }
        self.test_if_due(now);
        self.heal(now);
        self.hand_on(now);
        if due(self.store.next_end().map(|at| at + EXPIRE_GRAIN)) {
            self.store.expire(now);
        }
        self.judge(now);
    }

    fn join(&mut self, now: Moment) {
        let alone = self.schedule.probe.is_none();
        let wait = if alone {
            self.schedule.backoff.fail(&mut self.rng)
        } else {
            REJOIN_EVERY + self.rng.jitter(REJOIN_EVERY / 4)
        };
        self.schedule.join = now + wait;
        let mut candidates = self.config.seeds.clone();
        if alone {
            let mut others = self.config.remembered.clone();
            self.shuffle(&mut others);
            others.truncate(OTHERS_TRIED);
            candidates.extend(others);
        }
        candidates.extend(
            self.roster
                .someone_dead(&mut self.rng)
                .map(|dead| dead.addr),
        );
        for addr in candidates {
            let id = NodeId::of(addr);
            if alone || !self.roster.lives(id) {
                self.probe(now, Entry { id, addr });
            }
        }
    }

    /// `with` has answered a probe: if it is the first, this node is in the network.
    pub(super) fn met(&mut self, now: Moment, with: Entry) {
        if self.schedule.probe.is_some() {
            return;
        }
        let every = self.config.full.probe_every;
        self.schedule.backoff.succeed();
        self.schedule.join = now + REJOIN_EVERY;
        self.schedule.probe = Some(now + self.rng.jitter(every));
        self.schedule.near = Some(now + every);
        self.test.joined(now);
        self.news.add(self.own.id);
        self.event(Event::Joined(with.addr));
        let every = self.config.full.sync_every;
        self.schedule.sync = Some(now + every / 4 + self.rng.jitter(every));
        self.sync(now, with);
    }

    /// The last member is dead.
    pub(super) fn left_alone(&mut self, now: Moment) {
        let schedule = &mut self.schedule;
        (schedule.probe, schedule.near, schedule.sync) = (None, None, None);
        schedule.join = now;
        self.syncing = None;
        self.test.alone();
        self.event(Event::Alone);
    }

    /// The next member in turn, and others where there is reason to.
    fn probe_next(&mut self, now: Moment) {
        let every = self.config.full.probe_every;
        self.schedule.probe = Some(now + every - every / 8 + self.rng.jitter(every / 4));
        if let Some(next) = self.roster.after(self.schedule.turn) {
            self.schedule.turn = next.id;
            self.probe(now, next);
        }
        let mut others = std::mem::take(&mut self.schedule.eager);
        let measured = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.rtt.mean().is_some());
        let enough = self.roster.living().min(MEASURED_SOON);
        others += usize::from(measured.take(enough).count() < enough);
        for _ in 0..others.min(self.roster.living().saturating_sub(1)) {
            if let Some(other) = self.roster.anyone(&mut self.rng) {
                self.probe(now, other);
            }
        }
    }

    /// Keeps the nearest members measured, so that they are known to live first-hand.
    fn probe_near(&mut self, now: Moment) {
        let count = u32::try_from(NEAR_KEPT).unwrap_or(1);
        self.schedule.near = Some(now + NEAR_FOR / count + self.rng.jitter(NEAR_FOR / 16));
        let near = self.nearest(NEAR_KEPT);
        let tabled: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.is_tabled())
            .collect();
        let gone: Vec<_> = tabled.into_iter().map(|(id, _)| id).collect();
        for id in gone {
            if let Some(peer) = self.peers.at_mut(id) {
                peer.tabled = 0;
            }
        }
        let mut oldest = None;
        for entry in near {
            if let Some(peer) = self.peers.at_mut(entry.id) {
                // What is in a table is not forgotten.
                peer.tabled = 1;
                let seen = peer.heard.max(peer.asked);
                if seen.is_none_or(|at| now.since(at) >= NEAR_FOR) {
                    oldest = oldest
                        .min(Some((seen, entry.id)))
                        .or(Some((seen, entry.id)));
                }
            }
        }
        let record = oldest.and_then(|(_, id)| Some((id, self.roster.at(id)?)));
        if let Some(entry) = record.map(|(id, record)| record.entry(id)) {
            self.probe(now, entry);
        }
    }

    fn sync_next(&mut self, now: Moment) {
        let every = self.config.full.sync_every;
        self.schedule.sync = Some(now + every - every / 8 + self.rng.jitter(every / 4));
        if let Some(partner) = self.roster.anyone(&mut self.rng) {
            self.sync(now, partner);
        }
    }

    /// A comparison came to nothing.
    pub(super) fn sync_soon(&mut self, now: Moment) {
        if self.schedule.sync.is_some() {
            self.schedule.sync = Some(now + SYNC_AGAIN);
        }
    }

    fn test_if_due(&mut self, now: Moment) {
        // Twice what a test may take, so that a late get still finds its value.
        const TTL: Duration = Duration::from_secs(30);
        if let Some(probe) = self.test.begin(now, &mut self.rng) {
            let goal = Goal::Put {
                value: probe.value,
                until: now + TTL,
            };
            self.begin_own(now, probe.key, goal, Owner::TestPut);
        }
    }

    pub(super) fn test_get(&mut self, now: Moment, key: Key) {
        self.begin_own(now, key, Goal::Get { want: 1 }, Owner::TestGet);
    }

    pub(super) fn tested(&mut self, now: Moment, get: &Task) {
        let found: Vec<_> = get.values().iter().map(|it| it.bytes.clone()).collect();
        match self.test.get_done(now, &found) {
            Some(true) => self.stats.tests_passed += 1,
            Some(false) => self.stats.tests_failed += 1,
            None => {}
        }
        self.judge(now);
    }

    fn heal(&mut self, now: Moment) {
        for (key, own) in self.keep.take_due(now) {
            let goal = Goal::Put {
                value: own.value,
                until: own.until,
            };
            self.begin_own(now, key, goal, Owner::Heal);
        }
    }

    /// Says so when the verdict on this node's own work changes.
    pub(super) fn judge(&mut self, now: Moment) {
        let health = self.verdict(now);
        if health != self.health {
            self.health = health;
            self.event(Event::HealthChanged(health));
        }
    }

    /// Fisher and Yates, from this node's generator.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for n in (1..items.len()).rev() {
            items.swap(n, self.rng.below(n + 1));
        }
    }
}
