//! The proxies known and, of them, those that are checked; both bounded. And the live set made of the
//! latter.
//!
//! Known costs a table entry, checked costs connections and datagrams for ever. [`super::share`] says
//! who of the known is to be checked; here it is carried out. A proxy without a seat has no standing
//! and is never named, whatever it was before.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;

use super::config::PROXIES_MAX;
use super::live::LiveSet;
use super::output::Candidate;
use super::proxy::{Hold, Proxy, Standing};
use super::share::{self, Bid, Draw, Moves, Why};
use super::timers::{FORGET_AFTER, REST_AFTER, REST_FOR, WANTED_FOR};

/// Round trips up to this are near this server: the width of a cluster of level 1.
pub const NEAR: Duration = Duration::from_millis(60);

/// What became of a mention.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mention {
    /// It was not known before.
    New,
    /// It was known, and now its index is known too: ping it, if it is checked.
    NewIndex,
    /// It was known.
    Known,
    /// Not an address that a client could connect to.
    Unusable,
    /// As many proxies are known as are kept.
    Full,
}

/// What is kept of every proxy.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its index daemon; `None` for a proxy that only the configuration names.
    pub index: Option<SocketAddr>,
    /// Whether the configuration names it: then it is never forgotten.
    pub fixed: bool,
    /// How far its index is from the local one, as far as that knows.
    pub rtt: Option<Duration>,
    /// When the index last mentioned it.
    pub mentioned: Moment,
    /// Until when it is wanted for clients near it.
    pub wanted: Option<Moment>,
    draw: Draw,
    hold: Hold,
    /// It was dead when it gave up its seat: until then others go first.
    rest_until: Option<Moment>,
}

impl Known {
    /// Its best reason to be checked.
    #[must_use]
    pub fn why(&self, now: Moment) -> Why {
        if self.fixed {
            Why::Fixed
        } else if self.wanted.is_some_and(|until| now < until) {
            Why::Wanted
        } else if self.rtt.is_some_and(|rtt| rtt <= NEAR) {
            Why::Cluster
        } else {
            Why::Share
        }
    }
}

/// The proxies.
#[derive(Clone, Debug)]
pub struct Pool {
    /// What this server is called among others, for the hash.
    server: String,
    seats: usize,
    known: BTreeMap<SocketAddr, Known>,
    checked: BTreeMap<SocketAddr, Proxy>,
}

impl Pool {
    /// An empty pool of so many seats at the server called `server`.
    #[must_use]
    pub const fn new(server: String, seats: usize) -> Self {
        Self {
            server,
            seats,
            known: BTreeMap::new(),
            checked: BTreeMap::new(),
        }
    }

    /// Enters a proxy that the configuration names.
    pub fn fix(&mut self, http: SocketAddr, now: Moment) -> Mention {
        let mention = self.enter(http, None, now);
        if let Some(known) = self.known.get_mut(&http) {
            known.fixed = true;
        }
        mention
    }

    /// Enters or refreshes a proxy that the index mentions.
    pub fn mention(&mut self, candidate: Candidate, now: Moment) -> Mention {
        let mention = self.enter(candidate.http, Some(candidate.index), now);
        if let Some(known) = self.known.get_mut(&candidate.http) {
            known.rtt = candidate.rtt.or(known.rtt);
        }
        mention
    }

    /// `http` is wanted for clients near it; false if it is not known.
    pub fn want(&mut self, http: SocketAddr, now: Moment) -> bool {
        let known = self.known.get_mut(&http);
        let is_known = known.is_some();
        if let Some(known) = known {
            known.wanted = Some(now + WANTED_FOR);
        }
        is_known
    }

    fn enter(&mut self, http: SocketAddr, index: Option<SocketAddr>, now: Moment) -> Mention {
        if let Some(known) = self.known.get_mut(&http) {
            known.mentioned = now;
            let first = known.index.is_none() && index.is_some();
            known.index = index.or(known.index);
            if let Some(proxy) = self.checked.get_mut(&http) {
                proxy.index = known.index;
            }
            return if first {
                Mention::NewIndex
            } else {
                Mention::Known
            };
        }
        if http.ip().is_unspecified() || http.ip().is_multicast() || http.port() == 0 {
            return Mention::Unusable;
        }
        if self.known.len() >= PROXIES_MAX {
            return Mention::Full;
        }
        let known = Known {
            index,
            fixed: false,
            rtt: None,
            mentioned: now,
            wanted: None,
            draw: Draw::of(&self.server, http),
            hold: Hold::default(),
            rest_until: None,
        };
        self.known.insert(http, known);
        Mention::New
    }

    /// Who is to get a seat and who is to give his up, at most so many of the latter.
    #[must_use]
    pub fn deal(&self, swaps: usize, now: Moment) -> Moves {
        let bids = self.known.iter().map(|(http, known)| {
            let seated = self.checked.get(http);
            let dead =
                |proxy: &Proxy| !proxy.is_live() && now.since(proxy.idle_since) >= REST_AFTER;
            let rests = known.rest_until.is_some_and(|until| now < until);
            Bid {
                proxy: *http,
                why: known.why(now),
                draw: known.draw,
                seated: seated.is_some(),
                resting: !known.fixed && seated.map_or(rests, dead),
            }
        });
        share::deal(bids.collect(), self.seats, swaps)
    }

    /// Whether there is a free seat.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.checked.len() < self.seats
    }

    /// Whether somebody known has no seat.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.checked.len() < self.known.len() || self.checked.len() > self.seats
    }

    /// Gives `http` a seat if it is known and has none; says whether its index can be pinged.
    pub fn seat(&mut self, http: SocketAddr, now: Moment) -> Option<bool> {
        let known = self.known.get(&http)?;
        if self.checked.contains_key(&http) {
            return None;
        }
        let from = (known.why(now), known.hold);
        let proxy = Proxy::new(http, known.index, from, now);
        self.checked.insert(http, proxy);
        Some(known.index.is_some())
    }

    /// Takes the seat of `http`. What it did while it had it is forgotten, but for what coming and
    /// going costs.
    pub fn unseat(&mut self, http: SocketAddr, now: Moment) -> Option<Proxy> {
        let proxy = self.checked.remove(&http)?;
        if let Some(known) = self.known.get_mut(&http) {
            known.hold = proxy.hold;
            let dead = !proxy.is_live() && now.since(proxy.idle_since) >= REST_AFTER;
            known.rest_until = dead.then(|| now + REST_FOR);
        }
        Some(proxy)
    }

    /// Refreshes for which reason each is checked.
    pub fn review(&mut self, now: Moment) {
        for (http, proxy) in &mut self.checked {
            if let Some(known) = self.known.get(http) {
                proxy.why = known.why(now);
            }
        }
    }

    /// The checked proxy at `http`.
    #[must_use]
    pub fn proxy(&self, http: SocketAddr) -> Option<&Proxy> {
        self.checked.get(&http)
    }

    /// The checked proxy at `http`, to be told what was seen.
    pub fn proxy_mut(&mut self, http: SocketAddr) -> Option<&mut Proxy> {
        self.checked.get_mut(&http)
    }

    /// All checked proxies in address order.
    pub fn iter(&self) -> impl Iterator<Item = &Proxy> {
        self.checked.values()
    }

    /// All proxies in address order.
    pub fn known(&self) -> impl Iterator<Item = (&SocketAddr, &Known)> {
        self.known.iter()
    }

    /// How many are live.
    #[must_use]
    pub fn live(&self) -> usize {
        self.iter().filter(|proxy| proxy.is_live()).count()
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Drops proxies that are not live, not fixed and long unmentioned, and returns them.
    pub fn forget(&mut self, now: Moment) -> Vec<SocketAddr> {
        let live = |http: &SocketAddr| self.checked.get(http).is_some_and(Proxy::is_live);
        let stale = |(http, known): &(&SocketAddr, &Known)| {
            !known.fixed && now.since(known.mentioned) >= FORGET_AFTER && !live(http)
        };
        let gone = self.known.iter().filter(stale);
        let gone: Vec<_> = gone.map(|(http, _)| *http).collect();
        for http in &gone {
            self.known.remove(http);
            self.checked.remove(http);
        }
        gone
    }

    /// Forgives failures that took nobody out.
    pub fn forgive(&mut self) {
        self.checked.values_mut().for_each(Proxy::forgive);
    }

    /// The set to answer from. When nobody is live, those that left within `together` before now,
    /// all of them and not only the very last: of proxies that die at once one is seen to be the
    /// last. Those that asked to be left alone, and those whose process is known to be gone, are
    /// not among them.
    #[must_use]
    pub fn live_set(&self, together: Duration, now: Moment) -> LiveSet {
        let live = self.iter().filter(|proxy| proxy.is_live());
        let set = LiveSet::of(live.map(Proxy::member), None);
        if set.anyone() {
            return set;
        }
        let recent = self.iter().filter(|proxy| {
            let left_lately = proxy.left.is_some_and(|left| now.since(left) <= together);
            left_lately && may_stand_in(proxy.standing)
        });
        let last = LiveSet::of(recent.map(Proxy::member), Some(now));
        if last.is_empty() {
            LiveSet::default()
        } else {
            last
        }
    }
}

fn may_stand_in(standing: Standing) -> bool {
    match standing {
        Standing::Unverified | Standing::Live { .. } => false,
        Standing::Out { fault, .. } => fault.may_stand_in(),
    }
}
