//! All proxies known, by their HTTP address, bounded; and the live set made of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;

use super::config::PROXIES_MAX;
use super::live::LiveSet;
use super::output::Candidate;
use super::proxy::{Proxy, Standing};
use super::reason::Fault;
use super::timers::FORGET_AFTER;

/// What became of a mention.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mention {
    /// It was not known before: check it.
    New,
    /// It was known, and now its index is known too: ping it.
    NewIndex,
    /// It was known.
    Known,
    /// Not an address that a client could connect to.
    Unusable,
    /// As many proxies are known as are kept.
    Full,
}

/// The proxies.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    proxies: BTreeMap<SocketAddr, Proxy>,
}

impl Pool {
    /// Enters a proxy that the configuration names.
    pub fn fix(&mut self, http: SocketAddr, now: Moment) -> Mention {
        let mention = self.enter(http, None, now);
        if let Some(proxy) = self.proxies.get_mut(&http) {
            proxy.fixed = true;
        }
        mention
    }

    /// Enters or refreshes a proxy that the index mentions.
    pub fn mention(&mut self, candidate: Candidate, now: Moment) -> Mention {
        self.enter(candidate.http, Some(candidate.index), now)
    }

    fn enter(&mut self, http: SocketAddr, index: Option<SocketAddr>, now: Moment) -> Mention {
        if let Some(known) = self.proxies.get_mut(&http) {
            known.mentioned = now;
            let first = known.index.is_none() && index.is_some();
            known.index = index.or(known.index);
            return if first {
                Mention::NewIndex
            } else {
                Mention::Known
            };
        }
        if http.ip().is_unspecified() || http.ip().is_multicast() || http.port() == 0 {
            return Mention::Unusable;
        }
        if self.proxies.len() >= PROXIES_MAX {
            return Mention::Full;
        }
        self.proxies.insert(http, Proxy::new(http, index, now));
        Mention::New
    }

    /// The proxy at `http`.
    #[must_use]
    pub fn proxy(&self, http: SocketAddr) -> Option<&Proxy> {
        self.proxies.get(&http)
    }

    /// The proxy at `http`, to be told what was seen.
    pub fn proxy_mut(&mut self, http: SocketAddr) -> Option<&mut Proxy> {
        self.proxies.get_mut(&http)
    }

    /// All proxies in address order.
    pub fn iter(&self) -> impl Iterator<Item = &Proxy> {
        self.proxies.values()
    }

    /// How many are live.
    #[must_use]
    pub fn live(&self) -> usize {
        self.iter().filter(|proxy| proxy.is_live()).count()
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.proxies.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.proxies.is_empty()
    }

    /// Drops proxies that are not live, not fixed and long unmentioned, and returns them.
    pub fn forget(&mut self, now: Moment) -> Vec<SocketAddr> {
        let stale = |proxy: &&Proxy| {
            !proxy.is_live() && !proxy.fixed && now.since(proxy.mentioned) >= FORGET_AFTER
        };
        let gone: Vec<_> = self.iter().filter(stale).map(|proxy| proxy.http).collect();
        for http in &gone {
            self.proxies.remove(http);
        }
        gone
    }

    /// Forgives failures that took nobody out.
    pub fn forgive(&mut self) {
        self.proxies.values_mut().for_each(Proxy::forgive);
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

const fn may_stand_in(standing: Standing) -> bool {
    match standing {
        Standing::Unverified | Standing::Live { .. } => false,
        Standing::Out { fault, .. } => !matches!(fault, Fault::Draining | Fault::ServiceGone),
    }
}
