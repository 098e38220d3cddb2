//! What the node does by itself: joining, pinging, refreshing, testing, telling, healing.
//!
//! Each duty has a moment in [`Schedule`] or in its own room; all are jittered, because nodes that
//! started together would otherwise act together for ever.

use std::net::SocketAddr;
use std::time::Duration;

use common::backoff::Backoff;
use common::clock::Moment;
use common::ids::{Key, NodeId};

use super::health::Health;
use super::lookup::{Goal, Span};
use super::node::Node;
use super::output::Event;
use super::routing::Entry;
use super::work::Owner;

/// First wait before seeds are tried again, and the longest.
const JOIN_FLOOR: Duration = Duration::from_millis(250);
const JOIN_CAP: Duration = Duration::from_secs(10);

/// Once there are contacts, seeds that are not among them are still tried this often: it is what
/// brings the halves of a healed partition together.
const REJOIN_EVERY: Duration = Duration::from_secs(60);

/// Remembered and failed nodes tried beside the seeds, per attempt to join.
const OTHERS_TRIED: usize = 8;

/// Longest time between two refreshing walks; they begin a second apart and slow down.
const REFRESH_MAX: Duration = Duration::from_secs(60);

/// Contacts pinged at one moment; the next batch follows [`PING_GAP`] later.
const PINGS_AT_ONCE: usize = 8;
const PING_GAP: Duration = Duration::from_millis(250);

/// Contacts that are pinged at the configured pace; with more, the pace slows in proportion.
const PINGED_AT_PACE: u32 = 16;

/// A failed node is tried again this often, for so long.
const RETRY_FAILED_EVERY: Duration = Duration::from_secs(30);
const RETRY_LOOK_EVERY: Duration = Duration::from_secs(2);
const RETRY_FAILED_FOR: Duration = Duration::from_secs(600);

/// Least time between two announcements of changed services.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);

/// Contacts told of a change at once; others learn from their next ping.
const ANNOUNCED_TO: usize = 64;

/// Ended values are swept at this grain; they are invisible from their very end.
pub(super) const EXPIRE_GRAIN: Duration = Duration::from_secs(1);

/// When the node's duties are due.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) join: Moment,
    pub(super) ping: Option<Moment>,
    pub(super) refresh: Option<Moment>,
    pub(super) announce: Option<Moment>,
    /// Contacts of all levels when they were last counted.
    contacts: u32,
    retry: Moment,
    backoff: Backoff,
    refreshes: u32,
    announced: Option<Moment>,
}

impl Schedule {
    /// Joining is due at once, the rest once there is somebody.
    pub(super) const fn new(now: Moment) -> Self {
        Self {
            join: now,
            ping: None,
            refresh: None,
            announce: None,
            contacts: 0,
            retry: now,
            backoff: Backoff::new(JOIN_FLOOR, JOIN_CAP),
            refreshes: 0,
            announced: None,
        }
    }
}

impl Node {
    /// Does every duty that is due.
    pub(super) fn handle_schedule(&mut self, now: Moment) {
        let due = |at: Option<Moment>| at.is_some_and(|at| at <= now);
        if self.schedule.join <= now {
            self.join(now);
        }
        if due(self.schedule.ping) {
            self.ping_silent(now);
        }
        if due(self.schedule.refresh) {
            self.refresh(now);
        }
        if due(self.schedule.announce) {
            self.announce(now);
        }
        self.handle_looks(now);
        self.test_if_due(now);
        self.tend(now);
        self.hand_on(now);
        if due(self.store.next_end().map(|at| at + EXPIRE_GRAIN)) {
            self.store.expire(now);
        }
        self.judge(now);
    }

    fn join(&mut self, now: Moment) {
        let wait = if self.table.is_empty() {
            self.schedule.backoff.fail(&mut self.rng)
        } else {
            REJOIN_EVERY + self.rng.jitter(REJOIN_EVERY / 4)
        };
        self.schedule.join = now + wait;
        let mut candidates = self.config.seeds.clone();
        if self.table.is_empty() {
            let mut others = self.config.remembered.clone();
            others.extend(self.peers.iter().map(|(_, peer)| peer.addr));
            self.shuffle(&mut others);
            others.truncate(OTHERS_TRIED);
            candidates.extend(others);
        }
        for addr in candidates {
            let id = NodeId::of(addr);
            if self.peers.at(id).is_none_or(|peer| !peer.is_tabled()) {
                self.probe(now, Entry { id, addr });
            }
        }
    }

    /// The first contact was made.
    pub(super) fn joined(&mut self, now: Moment, addr: SocketAddr) {
        self.schedule.backoff.succeed();
        self.schedule.join = now + REJOIN_EVERY;
        self.schedule.refreshes = 0;
        self.schedule.refresh = Some(now);
        self.schedule.ping = Some(now + self.config.contacts.ping_idle);
        self.test.joined(now);
        self.look_at_levels(now);
        self.event(Event::Joined(addr));
    }

    /// The last contact is gone.
    pub(super) fn left_alone(&mut self, now: Moment) {
        self.schedule.ping = None;
        self.schedule.refresh = None;
        self.schedule.join = now + self.schedule.backoff.fail(&mut self.rng);
        self.test.alone();
        self.event(Event::Alone);
        self.judge(now);
    }

    /// Pings contacts not heard for a while, and now and then one that had failed.
    fn ping_silent(&mut self, now: Moment) {
        let idle = self.ping_idle();
        let due_at = |node: &Self, entry: Entry| {
            let peer = node.peers.at(entry.id);
            let last = peer
                .and_then(|peer| peer.heard.max(peer.asked))
                .unwrap_or(Moment::ZERO);
            // Up to a quarter earlier, by a bit of the id: contacts do not fall due together.
            let [share, ..] = *entry.id.as_bytes();
            last + idle - idle / 4 * u32::from(share) / 256
        };
        let mut due: Vec<_> = self
            .contacts_of_all_levels()
            .map(|entry| (due_at(self, entry), entry))
            .collect();
        self.schedule.contacts = u32::try_from(due.len()).unwrap_or(u32::MAX);
        due.sort_unstable();
        let silent = due.iter().take_while(|(at, _)| *at <= now).count();
        for (_, entry) in due.iter().take(silent.min(PINGS_AT_ONCE)) {
            self.probe(now, *entry);
        }
        let next = due.get(silent).map_or(now + idle, |(at, _)| *at);
        let next = if silent > PINGS_AT_ONCE { now } else { next };
        // Where there are many the pace is slower, and so is the look at whose turn it is.
        let gap = PING_GAP * self.schedule.contacts.max(PINGED_AT_PACE) / PINGED_AT_PACE;
        self.schedule.ping = Some(next.clamp(now + gap, now + idle.max(gap)));
        if self.schedule.retry <= now {
            self.schedule.retry = now + RETRY_LOOK_EVERY;
            self.retry_failed(now);
        }
    }

    /// Each contact once: those of the world, then those that only inner tables hold.
    fn contacts_of_all_levels(&self) -> impl Iterator<Item = Entry> {
        let held_outside = |id, level: u8| {
            let tabled = self.peers.at(id).map_or(0, |peer| peer.tabled);
            tabled & ((1 << level) - 1) != 0
        };
        (0..=self.innermost())
            .filter_map(|level| Some((level, self.table_at(level)?)))
            .flat_map(|(level, table)| table.iter().map(move |entry| (level, entry)))
            .filter(move |(level, entry)| !held_outside(entry.id, *level))
            .map(|(_, entry)| entry)
    }

    /// How long a contact may be silent: longer where there are many.
    pub(super) fn ping_idle(&self) -> Duration {
        let contacts = self.schedule.contacts.max(PINGED_AT_PACE);
        self.config.contacts.ping_idle * contacts / PINGED_AT_PACE
    }

    fn retry_failed(&mut self, now: Moment) {
        let retry = self.peers.iter().find(|(_, peer)| {
            let recent = |at: Moment| now.since(at) < RETRY_FAILED_FOR;
            let rested = peer
                .asked
                .is_none_or(|at| now.since(at) >= RETRY_FAILED_EVERY);
            peer.failed_at().is_some_and(recent) && rested
        });
        if let Some(entry) = retry.map(|(id, peer)| Entry {
            id,
            addr: peer.addr,
        }) {
            self.probe(now, entry);
        }
    }

    /// A walk towards this node's own place, then towards anywhere, in turns.
    fn refresh(&mut self, now: Moment) {
        let n = self.schedule.refreshes;
        self.schedule.refreshes = n.saturating_add(1);
        let wait = Duration::from_secs(1)
            .saturating_mul(1 << n.min(8))
            .min(REFRESH_MAX);
        self.schedule.refresh = Some(now + wait + self.rng.jitter(wait / 4));
        let target = if n.is_multiple_of(2) {
            self.own.id.as_key()
        } else {
            Key::from_bytes(self.rng.bytes())
        };
        // The levels take turns; one of whose cluster nobody is known has nothing to walk.
        let levels = u32::from(self.innermost()) + 1;
        let level = u8::try_from(n / 2 % levels).unwrap_or(0);
        let level = match self.table_at(level) {
            Some(table) if !table.is_empty() => level,
            _ => 0,
        };
        let span = Span {
            innermost: level,
            outermost: level,
        };
        self.begin_within(now, target, span, Goal::Find, Owner::Refresh);
    }

    /// A membership has changed: its table is to be filled.
    pub(super) fn refresh_soon(&mut self, now: Moment) {
        if !self.table.is_empty() {
            self.schedule.refreshes = self.schedule.refreshes.min(2);
            self.schedule.refresh = Some(now);
        }
    }

    /// Services changed: contacts shall know soon, but not more often than once a second.
    pub(super) fn announce_soon(&mut self, now: Moment) {
        let earliest = self
            .schedule
            .announced
            .map_or(now, |last| last + ANNOUNCE_EVERY);
        self.schedule.announce = Some(earliest.max(now));
    }

    fn announce(&mut self, now: Moment) {
        self.schedule.announce = None;
        self.schedule.announced = Some(now);
        let mut contacts: Vec<_> = self.table.iter().collect();
        self.shuffle(&mut contacts);
        for entry in contacts.into_iter().take(ANNOUNCED_TO) {
            // A ping under way tells what was true when it left.
            self.probes.remove(&entry.id);
            self.probe(now, entry);
        }
    }

    fn test_if_due(&mut self, now: Moment) {
        // Twice what a test may take, so that a late get still finds its value.
        let ttl = Duration::from_secs(30);
        if let Some(probe) = self.test.begin(now, &mut self.rng) {
            let goal = Goal::Put {
                value: probe.value,
                ttl,
            };
            self.begin_own(now, probe.key, goal, Owner::TestPut, true);
        }
    }

    /// Says so when the verdict on this node's own work changes.
    pub(super) fn judge(&mut self, now: Moment) {
        let health = self.test.health(now, !self.table.is_empty());
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

    /// What the node says of its work.
    #[must_use]
    pub fn health(&self, now: Moment) -> Health {
        self.test.health(now, !self.table.is_empty())
    }

    /// Whether clients should rely on this node: its work was proven in the last minute, or it has
    /// nobody to join by its configuration and has not failed.
    #[must_use]
    pub fn is_ready(&self, now: Moment) -> bool {
        match self.health(now) {
            Health::Healthy => true,
            Health::Alone | Health::Untested => self.config.seeds.is_empty(),
            Health::Failing => false,
        }
    }
}
