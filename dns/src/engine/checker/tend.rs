//! What is looked at once a second and not with every check: how fast proxies are as a whole, who is
//! held back, and who is to be checked.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;

use super::Checker;
use crate::engine::output::Output;
use crate::engine::pool::Mention;
use crate::engine::proxy::{Change, Standing};
use crate::engine::share::Why;
use crate::engine::timers::{DEAL_EVERY, SWAPS_DIVISOR};

/// What the tending found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tended {
    /// What serving the check page took last at the median proxy; `None` unless there are two others
    /// beside any one. Of the last pages and not of what is usual, so that it follows a crowd at once.
    pub(super) serving: Option<Duration>,
    /// Proxies that are well and held back for coming and going.
    pub(super) held: usize,
    /// Proxies that are live.
    pub(super) live: usize,
}

/// Fewer proxies that serve than this are no measure of what is slow: one and the others beside it.
const OTHERS_MIN: usize = 3;

/// How the seats are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seats {
    /// Proxies known.
    pub known: usize,
    /// Of them, checked for each reason, in the order of [`Why::ALL`].
    pub checked: [usize; Why::ALL.len()],
    /// Of those, in each standing, in the order of [`Standing::WORDS`].
    pub standing: [usize; Standing::WORDS.len()],
    /// Of those out, well and held back for coming and going.
    pub held: usize,
}

impl Checker {
    /// How the seats are taken at `now`.
    #[must_use]
    pub fn seats(&self, now: Moment) -> Seats {
        let count = |why| self.pool.iter().filter(|proxy| proxy.why == why).count();
        let standing = |word| {
            let has = self
                .pool
                .iter()
                .filter(|proxy| proxy.standing.as_str() == word);
            has.count()
        };
        Seats {
            known: self.pool.len(),
            checked: Why::ALL.map(count),
            standing: Standing::WORDS.map(standing),
            held: self.pool.iter().filter(|proxy| proxy.is_held(now)).count(),
        }
    }

    pub(super) fn tend(&mut self, now: Moment) {
        let served = self.pool.iter().filter(|proxy| proxy.fetches.failures == 0);
        let mut lately: Vec<_> = served.filter_map(|proxy| proxy.pace.last()).collect();
        lately.sort_unstable();
        let median = lately.get(lately.len() / 2).copied();
        self.tended = Tended {
            serving: median.filter(|_| lately.len() >= OTHERS_MIN),
            held: self.pool.iter().filter(|proxy| proxy.is_held(now)).count(),
            live: self.pool.live(),
        };
        self.deal_if_due(now);
        self.pool.review(now);
    }

    /// Takes up what the index or the configuration mentions.
    pub(super) fn take_up(&mut self, proxy: SocketAddr, mention: Mention, now: Moment) {
        match mention {
            Mention::NewIndex if self.pool.proxy(proxy).is_some() => {
                self.pings.enter(proxy, &mut self.rng, now);
            }
            Mention::New | Mention::NewIndex | Mention::Known => {}
            Mention::Unusable => self.stats.unusable += 1,
            Mention::Full => self.stats.pool_full += 1,
        }
    }

    /// Deals the seats that are free, if there are any and somebody wants them.
    pub(super) fn fill_seats(&mut self, now: Moment) {
        if self.pool.has_room() && self.pool.is_crowded() {
            for (proxy, _) in self.pool.deal(0, now).sit {
                self.seat(proxy, now);
            }
        }
    }

    /// Deals the seats anew if there are too few for all, and not more often than is due.
    pub(super) fn deal_if_due(&mut self, now: Moment) {
        if now < self.deal_at || !self.pool.is_crowded() {
            return;
        }
        self.deal_at = now + DEAL_EVERY;
        let swaps = (self.config.proxies / SWAPS_DIVISOR).max(1);
        let moves = self.pool.deal(swaps, now);
        for proxy in moves.rise {
            self.unseat(proxy, now);
        }
        for (proxy, _) in moves.sit {
            self.seat(proxy, now);
        }
    }

    /// `proxy` is checked from now on.
    pub(super) fn seat(&mut self, proxy: SocketAddr, now: Moment) {
        let Some(pinged) = self.pool.seat(proxy, now) else {
            return;
        };
        self.stats.seated += 1;
        self.fetches.enter(proxy, &mut self.rng, now);
        if pinged {
            self.pings.enter(proxy, &mut self.rng, now);
        }
    }

    /// `proxy` is not checked from now on, and so not named.
    fn unseat(&mut self, proxy: SocketAddr, now: Moment) {
        let Some(left) = self.pool.unseat(proxy, now) else {
            return;
        };
        self.stats.unseated += 1;
        self.pings.leave(proxy);
        self.fetches.leave(proxy);
        if left.is_live() {
            let change = Change {
                proxy,
                from: left.standing,
                to: Standing::Unverified,
                unseen: None,
            };
            self.outputs.push_back(Output::Changed(change));
            self.changed = true;
        }
    }
}
