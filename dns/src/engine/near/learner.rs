//! The learner: looks up where client networks are, keeps it for a while, and publishes it.
//!
//! Callers use it as the checker: `handle_*` when something happened, then `poll_output` until it says
//! `Wake`. It asks one network after the other at a bounded pace: those that are new first, then
//! those whose knowledge has become old and that are still asked for; after a first look in vain once
//! more unasked, since whoever was just sent somewhere is being measured. What nobody asks for any more
//! is forgotten when its time is over.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;

use super::Network;
use super::places::Places;
use super::table::{Memory, Table};
use crate::engine::config::NearConfig;

/// New networks that wait to be looked up; further ones are dropped and counted, and come again with
/// their next question. At the usual pace the last one waits for twenty seconds.
pub const WAITING_MAX: usize = 1_024;

/// After a lookup in vain, the first time; each further one doubles it, up to
/// [`VAIN_MOST`]. Proxies learn of a new network from the first clients they are sent.
const VAIN_FIRST: Duration = Duration::from_secs(20);
const VAIN_MOST: Duration = Duration::from_secs(640);

/// After a lookup that nobody answered.
const GONE: Duration = Duration::from_secs(5);

/// A lookup whose result has not come after so long is over.
const OVERDUE: Duration = Duration::from_secs(10);

/// Between two editions, at least: what is found within it goes out together.
const EDITION_EVERY: Duration = Duration::from_millis(200);

/// Why the learner is to be woken. All are computed afresh in `Learner::poll_output`, so that none can
/// be forgotten.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// The pace allows the next lookup.
    Pace,
    /// A network is to be looked up again, or forgotten.
    Due,
    /// A lookup is overdue.
    Overdue,
    /// The next edition may go out.
    Edition,
    /// Nothing is planned.
    Idle,
}

/// One wish of the learner. `Wake` comes last.
#[derive(Clone, Debug)]
pub enum Output {
    /// Ask the local index for proxies near `client` and report with `handle_found`.
    Ask {
        /// First address of the network.
        client: IpAddr,
        /// Whether to name the outer clusters of those near it: its best proxy is not yet found, and
        /// is most likely there.
        wide: bool,
    },
    /// Answers are to be made with these places from now on.
    Publish(Arc<Places>),
    /// Call `handle_timeout` at this moment.
    Wake(Moment, Timer),
}

/// What came of a lookup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// These are near, the nearest first.
    Near(Vec<(SocketAddr, Duration)>),
    /// Nobody has measured it; by the map these are near, the nearest first.
    Guessed(Vec<(SocketAddr, Duration)>),
    /// Nobody knows.
    Nothing,
    /// Nobody answered.
    Gone,
}

/// What the learner counts.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stats {
    /// Lookups that found measured proxies.
    pub hinted: u64,
    /// Lookups that found nothing measured, but a place on the map.
    pub guessed: u64,
    /// Lookups that found nothing.
    pub nothing: u64,
    /// Lookups that nobody answered.
    pub gone: u64,
    /// Lookups whose result never came.
    pub overdue: u64,
    /// New networks dropped because as many waited as may.
    pub crowded: u64,
    /// Editions published.
    pub editions: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Learner {
    config: NearConfig,
    table: Table,
    waiting: VecDeque<Network>,
    /// Those in `waiting`, so that none waits twice.
    queued: BTreeSet<Network>,
    /// When what is known of a network is to be looked at again; one entry per network.
    due: BTreeSet<(Moment, Network)>,
    due_at: BTreeMap<Network, Moment>,
    asking: BTreeMap<Network, Moment>,
    next_ask: Moment,
    next_edition: Moment,
    published: Arc<Places>,
    stats: Stats,
}

impl Learner {
    /// A learner that knows nothing.
    #[must_use]
    pub fn new(config: NearConfig) -> Self {
        Self {
            table: Table::new(config.networks, config.networks_unknown),
            config,
            waiting: VecDeque::new(),
            queued: BTreeSet::new(),
            due: BTreeSet::new(),
            due_at: BTreeMap::new(),
            asking: BTreeMap::new(),
            next_ask: Moment::ZERO,
            next_edition: Moment::ZERO,
            published: Arc::default(),
            stats: Stats::default(),
        }
    }

    /// Questions came for `network`.
    pub fn handle_seen(&mut self, now: Moment, network: Network) {
        if let Some(memory) = self.table.seen(now, network) {
            // One that nobody asked for when its time came was left alone until now.
            let at = self.again(memory).max(now);
            if self
                .due_at
                .get(&network)
                .is_some_and(|planned| *planned > at)
            {
                self.plan(network, at);
            }
            return;
        }
        if self.asking.contains_key(&network) || self.queued.contains(&network) {
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            self.stats.crowded += 1;
            return;
        }
        self.queued.insert(network);
        self.waiting.push_back(network);
    }

    /// A lookup came to this.
    pub fn handle_found(&mut self, now: Moment, client: IpAddr, found: &Found) {
        let network = Network::of(client);
        if self.asking.remove(&network).is_none() {
            return;
        }
        match found {
            Found::Near(near) if !near.is_empty() => {
                self.stats.hinted += 1;
                let gone = self.table.learn(now, network, near);
                self.unplan(gone);
                self.plan(network, now + self.config.refresh);
            }
            Found::Guessed(near) => {
                self.stats.guessed += 1;
                self.found_nothing(now, network);
                self.table.guess(network, near);
            }
            Found::Near(_) | Found::Nothing => {
                self.stats.nothing += 1;
                self.found_nothing(now, network);
            }
            Found::Gone => {
                self.stats.gone += 1;
                if self.table.memory(network).is_some() {
                    self.plan(network, now + GONE);
                }
            }
        }
    }

    fn found_nothing(&mut self, now: Moment, network: Network) {
        let gone = self.table.in_vain(now, network, self.config.forget);
        self.unplan(gone);
        if let Some(memory) = self.table.memory(network) {
            self.plan(network, self.again(memory));
        }
    }

    /// The moment of the last `Wake` has come.
    pub fn handle_timeout(&mut self, now: Moment) {
        let late = self
            .asking
            .extract_if(.., |_, began| now.since(*began) >= OVERDUE);
        let late: Vec<_> = late.map(|(network, _)| network).collect();
        for network in late {
            self.stats.overdue += 1;
            if self.table.memory(network).is_some() {
                self.plan(network, now + GONE);
            }
        }
    }

    /// The next thing to do; call until it says `Wake`.
    pub fn poll_output(&mut self, now: Moment) -> Output {
        if let Some(network) = self.next(now) {
            self.asking.insert(network, now);
            self.next_ask = now + self.config.pace;
            let nearest = self.table.nearest(network);
            return Output::Ask {
                client: network.address(),
                wide: nearest.is_some_and(|rtt| rtt >= self.config.inner),
            };
        }
        if self.table.has_changed() && now >= self.next_edition {
            self.next_edition = now + EDITION_EVERY;
            self.published = Arc::new(self.table.edition(&self.published));
            self.stats.editions += 1;
            return Output::Publish(Arc::clone(&self.published));
        }
        let (at, timer) = self.next_wake(now);
        Output::Wake(at, timer)
    }

    /// The network to look up now, if there is one and it may be.
    fn next(&mut self, now: Moment) -> Option<Network> {
        if now < self.next_ask || self.asking.len() >= self.config.concurrency {
            return None;
        }
        while let Some(network) = self.waiting.pop_front() {
            self.queued.remove(&network);
            // Found while it waited, by a lookup that was thought lost.
            if self.table.memory(network).is_none() {
                return Some(network);
            }
        }
        while let Some((at, network)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, network));
            self.due_at.remove(&network);
            let Some(memory) = self.table.memory(network) else {
                continue;
            };
            if now.since(memory.seen) >= self.config.forget {
                self.table.forget(network);
            } else if memory.seen > memory.looked || is_just_sent(memory) {
                return Some(network);
            } else {
                // Nobody asked for it since: it stays until somebody does, or its time is over.
                self.plan(network, memory.seen + self.config.forget);
            }
        }
        None
    }

    fn next_wake(&self, now: Moment) -> (Moment, Timer) {
        let can_ask = self.asking.len() < self.config.concurrency;
        let waiting = can_ask && !self.waiting.is_empty();
        let due = self.due.first().filter(|_| can_ask);
        let overdue = self.asking.values().min().map(|began| *began + OVERDUE);
        let timers = [
            (waiting.then_some(self.next_ask), Timer::Pace),
            (due.map(|(at, _)| (*at).max(self.next_ask)), Timer::Due),
            (overdue, Timer::Overdue),
            (
                self.table.has_changed().then_some(self.next_edition),
                Timer::Edition,
            ),
        ];
        let armed = timers
            .into_iter()
            .filter_map(|(at, timer)| Some((at?, timer)));
        armed.fold((now + self.config.forget, Timer::Idle), std::cmp::min)
    }

    /// When what is remembered is old.
    fn again(&self, memory: Memory) -> Moment {
        if memory.in_vain == 0 {
            return memory.looked + self.config.refresh;
        }
        let doublings = memory.in_vain.saturating_sub(1).min(8);
        memory.looked + VAIN_FIRST.saturating_mul(1 << doublings).min(VAIN_MOST)
    }

    /// Those that the table had no room for any more are not looked at again.
    fn unplan(&mut self, gone: Option<Network>) {
        if let Some(network) = gone
            && let Some(at) = self.due_at.remove(&network)
        {
            self.due.remove(&(at, network));
        }
    }

    fn plan(&mut self, network: Network, at: Moment) {
        if let Some(before) = self.due_at.insert(network, at) {
            self.due.remove(&(before, network));
        }
        self.due.insert((at, network));
    }

    /// The edition published last.
    #[must_use]
    pub const fn published(&self) -> &Arc<Places> {
        &self.published
    }

    /// Networks with a place, networks looked up in vain, networks that wait.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize, usize) {
        let waiting = self.waiting.len() + self.asking.len();
        (self.table.known(), self.table.unknown(), waiting)
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> Stats {
        self.stats
    }
}

/// Whether clients of a network were just sent to a proxy for the first time: it measures them while
/// their resolver still has the answer, which is to be a better one when it asks again.
const fn is_just_sent(memory: Memory) -> bool {
    memory.learnt.is_none() && memory.in_vain == 1
}

#[cfg(test)]
mod tests;
