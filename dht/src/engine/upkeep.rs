//! What the node does by itself: joining, pinging, refreshing, testing, telling, healing.
//!
//! Each duty has a moment in [`Schedule`] or in its own room; all are jittered, because nodes that
//! started together would otherwise act together for ever.

use std::net::SocketAddr;
use std::time::Duration;

use common::backoff::Backoff;
use common::clock::Moment;
use common::ids::{Key, NodeId};

use super::config::LookupConfig;
use super::health::Health;
use super::lookup::{Goal, Span, Task};
use super::node::Node;
use super::output::Event;
use super::routing::Entry;
use super::work::{OWN_DEADLINE, Owner};

/// First wait before seeds are tried again, and the longest.
const JOIN_FLOOR: Duration = Duration::from_millis(250);
const JOIN_CAP: Duration = Duration::from_secs(10);

/// Once there are contacts, seeds that are not among them are still tried this often: it is what
/// brings the halves of a healed partition together.
const REJOIN_EVERY: Duration = Duration::from_secs(60);

/// So many contacts double that time, and so many are counted: seeds are everybody's.
const REJOIN_CONTACTS: u32 = 16;
const REJOIN_CONTACTS_MAX: u32 = 64;

/// Remembered and failed nodes tried beside the seeds, per attempt to join.
const OTHERS_TRIED: usize = 8;

/// A refreshing walk is due after so many pings, once the first ones, which begin a second apart,
/// are over.
const REFRESH_GAPS: u32 = 75;

/// At the quickest a round over so many contacts takes the configured time.
const PINGED_AT_PACE: u32 = 16;

/// While all contacts live, the gap between two pings grows with every so many of them, up to this
/// many times the quickest one.
const CALM_CONTACTS: u32 = 5;
const CALM_MOST: u32 = 13;

/// Every live contact lengthens the gap by this part of it: from the quickest to the slowest pace
/// it takes 65 of them.
const CALMER_BY: u32 = 25;

/// Remembered nodes looked at for whose turn it is.
const LOOKED_AT: usize = 8;

/// A failed node is tried again no sooner than this, for so long.
const RETRY_FAILED_EVERY: Duration = Duration::from_secs(30);
const RETRY_FAILED_FOR: Duration = Duration::from_secs(600);

/// Whoever failed so long ago and is heard again may be one of many that were out of reach, and is
/// asked who is near, once in so long.
const REUNITED_AFTER: Duration = Duration::from_secs(30);
const REUNITED_EVERY: Duration = Duration::from_secs(15);

/// The self-test's walks: so many nodes to start from and to have answered, and a digit that no
/// contact corrects, so that every step goes to the closest node known.
const TEST_START: usize = 3;
const TEST_SETTLE: usize = 2;
const TEST_DIGIT: u32 = 64;

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
    /// Time between two pings, before it is held to its bounds.
    gap: Duration,
    /// The remembered node that was looked at last.
    turn: NodeId,
    backoff: Backoff,
    refreshes: u32,
    announced: Option<Moment>,
    reunited: Option<Moment>,
}

impl Schedule {
    /// Joining is due at once, the rest once there is somebody.
    pub(super) const fn new(now: Moment) -> Self {
        Self {
            join: now,
            ping: None,
            refresh: None,
            announce: None,
            gap: Duration::ZERO,
            turn: NodeId::ZERO,
            backoff: Backoff::new(JOIN_FLOOR, JOIN_CAP),
            refreshes: 0,
            announced: None,
            reunited: None,
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
            self.ping_next(now);
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
            // The larger the network, the more others there are to meet the other side.
            let contacts = self.contacts_count().min(REJOIN_CONTACTS_MAX);
            let wait = REJOIN_EVERY * (REJOIN_CONTACTS + contacts) / REJOIN_CONTACTS;
            wait + self.rng.jitter(wait / 4)
        };
        self.schedule.join = now + wait;
        let mut candidates = self.config.seeds.clone();
        if self.table.is_empty() {
            let mut others = self.config.remembered.clone();
            others.extend(self.peers.iter().map(|(_, peer)| peer.addr()));
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
        self.schedule.gap = Duration::ZERO;
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

    /// Pings the contact whose turn it is, and now and then one that had failed.
    ///
    /// Contacts and failed nodes take turns in the order of ids. One that was heard or asked within
    /// half a round is passed over: any datagram is as good as a pong. Only a few are looked at, so
    /// that a turn costs the same however many are remembered.
    fn ping_next(&mut self, now: Moment) {
        let gap = self.ping_gap();
        self.schedule.ping = Some(now + gap - gap / 8 + self.rng.jitter(gap / 4));
        let half_round = self.ping_round() / 2;
        for _ in 0..LOOKED_AT {
            let Some((id, peer)) = self.peers.after(self.schedule.turn) else {
                return;
            };
            let addr = peer.addr();
            let within = |at: Option<Moment>, span| at.is_some_and(|at| now.since(at) < span);
            let due = if peer.is_tabled() {
                !within(peer.heard.max(peer.asked), half_round)
            } else {
                within(peer.failed_at(), RETRY_FAILED_FOR)
                    && !within(peer.asked, RETRY_FAILED_EVERY)
            };
            self.schedule.turn = id;
            if let Some(peer) = self.peers.at_mut(id) {
                peer.tidy(now);
            }
            if due {
                self.probe(now, Entry { id, addr });
                return;
            }
        }
    }

    /// Contacts of the level that has most; most of the others are among them.
    fn contacts_count(&self) -> u32 {
        let inner = self.memberships.iter().map(|m| m.table.len());
        let most = inner.max().unwrap_or(0).max(self.table.len());
        u32::try_from(most).unwrap_or(u32::MAX)
    }

    /// Time between two pings: between the configured pace, as long as contacts are found dead,
    /// and a thirteenth of it while all of them live.
    fn ping_gap(&self) -> Duration {
        let quick = self.config.contacts.ping_idle / PINGED_AT_PACE;
        let calm = self.contacts_count() / CALM_CONTACTS;
        let slow = quick * calm.clamp(1, CALM_MOST);
        self.schedule.gap.clamp(quick, slow)
    }

    /// Time in which every contact has its turn.
    pub(super) fn ping_round(&self) -> Duration {
        let round = self.ping_gap().saturating_mul(self.contacts_count());
        round.max(self.config.contacts.ping_idle)
    }

    /// A contact answered a ping: the next may come a little later.
    pub(super) fn calmer(&mut self) {
        let gap = self.ping_gap();
        self.schedule.gap = gap + gap / CALMER_BY;
    }

    /// A contact was found dead: others may be, and are looked for at the quickest pace. Where
    /// nodes come and go all the time the pace settles between the two ends.
    fn alarmed(&mut self, now: Moment) {
        self.schedule.gap = Duration::ZERO;
        let ping = now + self.rng.jitter(self.ping_gap());
        self.schedule.ping = self.schedule.ping.map(|at| at.min(ping));
        let refresh = now + self.refresh_wait();
        self.schedule.refresh = self.schedule.refresh.map(|at| at.min(refresh));
    }

    /// A node that was in the tables has failed.
    pub(super) fn contact_lost(&mut self, now: Moment) {
        if self.table.is_empty() {
            self.left_alone(now);
        } else {
            self.alarmed(now);
        }
    }

    /// Longest time between two refreshing walks: seldom where nobody dies.
    fn refresh_wait(&self) -> Duration {
        self.ping_gap() * REFRESH_GAPS
    }

    /// A walk towards this node's own place, then towards anywhere, in turns.
    fn refresh(&mut self, now: Moment) {
        let n = self.schedule.refreshes;
        self.schedule.refreshes = n.saturating_add(1);
        let wait = Duration::from_secs(1)
            .saturating_mul(1 << n.min(8))
            .min(self.refresh_wait());
        self.schedule.refresh = Some(now + wait + self.rng.jitter(wait / 4));
        let target = if n.is_multiple_of(2) {
            self.own.id.as_key()
        } else {
            Key::from_bytes(self.rng.bytes())
        };
        // The levels take turns. Of one in whose cluster nobody is known the one around is walked:
        // whoever is near is there.
        let levels = u32::from(self.innermost()) + 1;
        let level = u8::try_from(n / 2 % levels).unwrap_or(0);
        let known = |level: &u8| self.table_at(*level).is_some_and(|table| !table.is_empty());
        let level = [level, level.saturating_sub(1)].into_iter().find(known);
        let level = level.unwrap_or(0);
        let span = Span {
            innermost: level,
            outermost: level,
        };
        self.begin_within(now, target, span, Goal::Find, Owner::Refresh);
    }

    /// A node that failed at `gone` is heard again. If it was out of reach for long, so were
    /// others, and while they were gone they heard nothing of this side: a walk towards this node's
    /// own place that begins there and nowhere else finds the neighbours among them. Whoever it
    /// meets hears this node again in turn and does the same.
    pub(super) fn reunite(&mut self, now: Moment, with: Entry, gone: Moment) {
        let lately = |at: Moment| now.since(at) < REUNITED_EVERY;
        if now.since(gone) < REUNITED_AFTER || self.schedule.reunited.is_some_and(lately) {
            return;
        }
        self.schedule.reunited = Some(now);
        let (key, span) = (self.own.id.as_key(), Span::WORLD);
        let start = [self.lead(with, 0, None)];
        let task = Task::new(
            &self.config.lookup,
            (key, span),
            self.own,
            true,
            Goal::Find,
            start,
        );
        self.start(now, task, (Owner::Refresh, now + OWN_DEADLINE));
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
            self.tell(now, entry);
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
            self.test_walk(now, probe.key, goal, Owner::TestPut);
        }
    }

    /// A walk of the self-test: through others, in the world, for one copy, one step at a time and
    /// straight on. Nobody waits for it, so it may be slow; it runs for ever, so it must be cheap.
    pub(super) fn test_walk(&mut self, now: Moment, key: Key, goal: Goal, owner: Owner) {
        let config = LookupConfig {
            bits_per_hop: TEST_DIGIT,
            window: 1,
            settle: TEST_SETTLE,
            replicas: 1,
            ..self.config.lookup
        };
        let start = self.start_of(&key, Span::WORLD, TEST_START);
        let task = Task::new(&config, (key, Span::WORLD), self.own, false, goal, start);
        self.start(now, task, (owner, now + OWN_DEADLINE));
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
