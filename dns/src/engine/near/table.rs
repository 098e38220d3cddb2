//! What the learner knows, bounded: networks with a place, networks of which nothing is known, and the
//! numbers of the proxies that places name.
//!
//! The two kinds of networks have bounds of their own, and in each the one that was asked for least
//! recently goes first: questions in the name of networks that do not exist push out nobody who has
//! a place.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use lru::LruCache;

use super::Network;
use super::places::{NEAR_MAX, Near, Place, Places, ProxyNumber, shard_of, shards};
use crate::engine::config::PROXIES_MAX;

/// What is remembered of a network beside its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// When it was last looked up.
    pub looked: Moment,
    /// When it was last asked for.
    pub seen: Moment,
    /// When its place was last confirmed, if it has one.
    pub learnt: Option<Moment>,
    /// Lookups in a row that found nothing.
    pub in_vain: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Table {
    known: LruCache<Network, Memory>,
    unknown: LruCache<Network, Memory>,
    most_known: usize,
    most_unknown: usize,
    shards: Vec<BTreeMap<Network, Place>>,
    changed: BTreeSet<usize>,
    numbers: BTreeMap<SocketAddr, ProxyNumber>,
    /// By number: the proxy, and the places that name it.
    named: Vec<Option<(SocketAddr, u32)>>,
    free: Vec<ProxyNumber>,
}

impl Table {
    /// An empty table for so many networks with a place, and so many without.
    #[must_use]
    pub fn new(most_known: usize, most_unknown: usize) -> Self {
        Self {
            known: LruCache::unbounded(),
            unknown: LruCache::unbounded(),
            most_known,
            most_unknown,
            shards: vec![BTreeMap::new(); shards()],
            changed: BTreeSet::new(),
            numbers: BTreeMap::new(),
            named: Vec::new(),
            free: Vec::new(),
        }
    }

    /// What is remembered of `network`, which was just asked for.
    pub fn seen(&mut self, now: Moment, network: Network) -> Option<Memory> {
        let memory = match self.known.get_mut(&network) {
            Some(memory) => memory,
            None => self.unknown.get_mut(&network)?,
        };
        memory.seen = now;
        Some(*memory)
    }

    /// What is remembered of `network`.
    #[must_use]
    pub fn memory(&self, network: Network) -> Option<Memory> {
        let known = self.known.peek(&network);
        known.or_else(|| self.unknown.peek(&network)).copied()
    }

    /// `network` is near these proxies, the nearest first. Those for which there is no number left
    /// are passed over. Returns the network that had to go for it.
    pub fn learn(
        &mut self,
        now: Moment,
        network: Network,
        near: &[(SocketAddr, Duration)],
    ) -> Option<Network> {
        let seen = self.forget(network).map_or(now, |memory| memory.seen);
        let mut gone = None;
        if self.known.len() >= self.most_known {
            gone = self.known.pop_lru().map(|(oldest, _)| oldest);
            gone.into_iter().for_each(|oldest| self.unplace(oldest));
        }
        let place = Place::new(self.named(near));
        self.put(network, place);
        let memory = Memory {
            looked: now,
            seen,
            learnt: Some(now),
            in_vain: 0,
        };
        self.known.put(network, memory);
        gone
    }

    /// Nothing is known of `network`. A place that it has stays for `lasts` after it was confirmed: it
    /// was measured, and until then nothing says that it is wrong. Returns the network that had to go
    /// for it.
    pub fn in_vain(&mut self, now: Moment, network: Network, lasts: Duration) -> Option<Network> {
        let fresh = |memory: &&mut Memory| memory.learnt.is_some_and(|at| now.since(at) < lasts);
        if let Some(memory) = self.known.peek_mut(&network).filter(fresh) {
            memory.looked = now;
            memory.in_vain = memory.in_vain.saturating_add(1);
            return None;
        }
        let before = self.forget(network);
        let mut gone = None;
        if self.unknown.len() >= self.most_unknown {
            gone = self.unknown.pop_lru().map(|(oldest, _)| oldest);
            gone.into_iter().for_each(|oldest| self.unplace(oldest));
        }
        let memory = Memory {
            looked: now,
            seen: before.map_or(now, |memory| memory.seen),
            learnt: None,
            in_vain: before.map_or(1, |memory| memory.in_vain.saturating_add(1)),
        };
        self.unknown.put(network, memory);
        gone
    }

    /// By the map `network` is near these proxies, the nearest first. It remains one of those looked up
    /// in vain; unless it is one of them nothing happens.
    pub fn guess(&mut self, network: Network, near: &[(SocketAddr, Duration)]) {
        if self.unknown.contains(&network) {
            self.unplace(network);
            let place = Place::guess(self.named(near));
            self.put(network, place);
        }
    }

    /// Forgets `network`.
    pub fn forget(&mut self, network: Network) -> Option<Memory> {
        let memory = self.known.pop(&network);
        let memory = memory.or_else(|| self.unknown.pop(&network));
        if memory.is_some() {
            self.unplace(network);
        }
        memory
    }

    /// How far the nearest proxy of `network` is, if that was measured.
    #[must_use]
    pub fn nearest(&self, network: Network) -> Option<Duration> {
        let place = self.shards.get(shard_of(network))?.get(&network)?;
        let place = Some(place).filter(|place| !place.is_guessed())?;
        place.near().first().map(|near| near.rtt())
    }

    /// Networks with a place.
    #[must_use]
    pub fn known(&self) -> usize {
        self.known.len()
    }

    /// Networks looked up in vain.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.unknown.len()
    }

    /// Whether an edition made now would differ from the last.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The edition after `last`.
    pub fn edition(&mut self, last: &Places) -> Places {
        let proxies: Arc<[_]> = self
            .named
            .iter()
            .map(|named| named.map(|(proxy, _)| proxy))
            .collect();
        let changed = std::mem::take(&mut self.changed).into_iter();
        let rows = |shard: usize| Some((shard, self.shards.get(shard)?.iter()));
        last.next(changed.filter_map(rows), proxies)
    }

    /// As many of `near` as a place has room and there are numbers for.
    fn named(&mut self, near: &[(SocketAddr, Duration)]) -> Vec<Near> {
        let mut named = Vec::with_capacity(NEAR_MAX);
        for (proxy, rtt) in near {
            if named.len() < NEAR_MAX
                && let Some(number) = self.number(*proxy)
            {
                named.push(Near::new(number, *rtt));
            }
        }
        named
    }

    fn put(&mut self, network: Network, place: Place) {
        let shard = shard_of(network);
        if let Some(places) = self.shards.get_mut(shard) {
            places.insert(network, place);
            self.changed.insert(shard);
        }
    }

    fn unplace(&mut self, network: Network) {
        let shard = shard_of(network);
        let places = self.shards.get_mut(shard);
        let Some(place) = places.and_then(|places| places.remove(&network)) else {
            return;
        };
        self.changed.insert(shard);
        for near in place.near() {
            self.release(near.proxy);
        }
    }

    /// The number of `proxy`, one place more naming it. `None` if all numbers are taken.
    fn number(&mut self, proxy: SocketAddr) -> Option<ProxyNumber> {
        if let Some(number) = self.numbers.get(&proxy).copied() {
            if let Some(Some((_, places))) = self.named.get_mut(number.index()) {
                *places += 1;
            }
            return Some(number);
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None if self.named.len() < PROXIES_MAX => {
                let number = ProxyNumber(u16::try_from(self.named.len()).ok()?);
                self.named.push(None);
                number
            }
            None => return None,
        };
        *self.named.get_mut(number.index())? = Some((proxy, 1));
        self.numbers.insert(proxy, number);
        Some(number)
    }

    /// One place fewer names the proxy of `number`; after the last its number is free. No edition made
    /// from now on has an old place beside the number's new owner: the part that named it changed.
    fn release(&mut self, number: ProxyNumber) {
        let Some(slot) = self.named.get_mut(number.index()) else {
            return;
        };
        let Some((proxy, places)) = slot else { return };
        *places = places.saturating_sub(1);
        if *places == 0 {
            self.numbers.remove(proxy);
            *slot = None;
            self.free.push(number);
        }
    }
}
