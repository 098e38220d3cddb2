//! Whom to check when: due times, checks under way, and the bound on those.
//!
//! Each proxy has one check of each kind either waiting in due order or under way, never both. At
//! the bound the due wait; since the longest overdue goes first, the shortage is spread evenly.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use common::rng::Generator;

use super::timers::OVERDUE_AFTER;

/// Kind of check.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Ping of the proxy's index daemon.
    Ping,
    /// HTTP request to the proxy.
    Http,
}

impl Kind {
    /// The word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Http => "http",
        }
    }
}

/// The checks of one kind.
#[derive(Clone, Debug)]
pub struct Schedule {
    every: Duration,
    timeout: Duration,
    concurrency: usize,
    /// Between the first checks of two proxies: a whole set enters within one period.
    gap: Duration,
    /// Nobody else is checked for the first time before.
    entrance: Moment,
    due: BTreeSet<(Moment, SocketAddr)>,
    waiting: BTreeMap<SocketAddr, Moment>,
    under_way: BTreeMap<SocketAddr, Moment>,
}

/// Share of the period by which checks are drawn earlier at random, so that name servers and
/// proxies do not fall into step: a tenth. Never later, so that the bounds on detection hold.
const JITTER_DIVISOR: u32 = 10;

/// The first check of a proxy comes within this time after its turn: soon, and not all of those that
/// came together at the same instant.
const FIRST_WITHIN: Duration = Duration::from_millis(100);

/// Between the first checks of two proxies at the most, however few seats there are.
const GAP_MOST: Duration = Duration::from_millis(5);

impl Schedule {
    /// An empty schedule for up to `seats` proxies (at least one) and so many checks at once.
    #[must_use]
    pub fn new(every: Duration, timeout: Duration, seats: usize, concurrency: usize) -> Self {
        Self {
            every,
            timeout,
            concurrency,
            gap: (every / u32::try_from(seats).unwrap_or(u32::MAX).max(1)).min(GAP_MOST),
            entrance: Moment::ZERO,
            due: BTreeSet::new(),
            waiting: BTreeMap::new(),
            under_way: BTreeMap::new(),
        }
    }

    /// Checks `proxy` for the first time, soon; a crowd one after the other.
    pub fn enter(&mut self, proxy: SocketAddr, rng: &mut Generator, now: Moment) {
        if !self.waiting.contains_key(&proxy) && !self.under_way.contains_key(&proxy) {
            self.entrance = self.entrance.max(now) + self.gap;
            self.wait(proxy, self.entrance + rng.jitter(FIRST_WITHIN));
        }
    }

    /// Drops `proxy`. A result still to come will find it gone.
    pub fn leave(&mut self, proxy: SocketAddr) {
        if let Some(at) = self.waiting.remove(&proxy) {
            self.due.remove(&(at, proxy));
        }
        self.under_way.remove(&proxy);
    }

    /// The next check to make, if one is due and the bound allows it.
    pub fn start(&mut self, now: Moment) -> Option<SocketAddr> {
        self.start_before(now, now)
    }

    /// The next check to make if it is due by `by`, which may lie ahead of `now`, and the bound
    /// allows it.
    pub fn start_before(&mut self, by: Moment, now: Moment) -> Option<SocketAddr> {
        if self.under_way.len() >= self.concurrency {
            return None;
        }
        let (at, proxy) = *self.due.first()?;
        if at > by {
            return None;
        }
        self.due.pop_first();
        self.waiting.remove(&proxy);
        self.under_way.insert(proxy, now);
        Some(proxy)
    }

    /// A result came: when its check began, or `None` if no check of `proxy` is under way.
    pub fn finish(&mut self, proxy: SocketAddr) -> Option<Moment> {
        self.under_way.remove(&proxy)
    }

    /// Checks `proxy` again one period after the check that `began`.
    pub fn again(&mut self, proxy: SocketAddr, began: Moment, rng: &mut Generator, now: Moment) {
        let period = self
            .every
            .saturating_sub(rng.jitter(self.every / JITTER_DIVISOR));
        self.wait(proxy, (began + period).max(now));
    }

    /// Checks `proxy` again shortly, since the last check taught nothing.
    pub fn retry(&mut self, proxy: SocketAddr, rng: &mut Generator, now: Moment) {
        let quarter = self.every / 4;
        self.wait(proxy, now + quarter + rng.jitter(quarter));
    }

    /// Ends checks whose result should have come long ago, as if they had taught nothing.
    pub fn give_up_overdue(&mut self, rng: &mut Generator, now: Moment) {
        let limit = self.timeout + OVERDUE_AFTER;
        let late = self
            .under_way
            .extract_if(.., |_, began| now.since(*began) >= limit);
        for (proxy, _) in late.collect::<Vec<_>>() {
            self.retry(proxy, rng, now);
        }
    }

    /// When [`start`](Self::start) has something to do, unless it is at the bound.
    #[must_use]
    pub fn next_due(&self) -> Option<Moment> {
        if self.under_way.len() >= self.concurrency {
            return None;
        }
        self.due.first().map(|(at, _)| *at)
    }

    /// When [`give_up_overdue`](Self::give_up_overdue) has something to do.
    #[must_use]
    pub fn next_overdue(&self) -> Option<Moment> {
        let first = self.under_way.values().min()?;
        Some(*first + self.timeout + OVERDUE_AFTER)
    }

    /// How many are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    fn wait(&mut self, proxy: SocketAddr, at: Moment) {
        self.waiting.insert(proxy, at);
        self.due.insert((at, proxy));
    }
}
