//! Values that others put here: many per key, soft state, bounded.
//!
//! A value's identity is (key, publisher): a put by the same publisher replaces. When a bound is
//! reached, the value that ends first makes room, but only for one that ends later; otherwise the
//! newcomer is refused with the name of the bound. So long pointers displace short ones even at
//! high insertion rates (CORAL's rule), and a flood of short ones displaces nothing.

mod spill;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{Key, NodeId};
use common::limits::VALUE_MAX;

pub use spill::Spill;

use super::config::StoreConfig;
use crate::refusal::Refusal;
use crate::value::Value;

/// Expired values removed per call, so that one call stays short.
const EXPIRE_BUDGET: usize = 256;

/// A value as it outlives a process: with what is left of it, not with when it ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// What it is stored under.
    pub key: Key,
    /// Who put it.
    pub publisher: NodeId,
    /// What is left of its life.
    pub left: Duration,
    /// The value, at most [`VALUE_MAX`] bytes.
    pub bytes: Box<[u8]>,
}

/// One value held.
#[derive(Clone, Debug)]
struct Kept {
    publisher: NodeId,
    bytes: Box<[u8]>,
    until: Moment,
}

/// The store of one node, for all levels: what was put inside a cluster is found by whoever passes.
#[derive(Clone, Debug)]
pub struct Store {
    config: StoreConfig,
    keys: BTreeMap<Key, Vec<Kept>>,
    ends: BTreeSet<(Moment, Key, NodeId)>,
    publishers: BTreeMap<NodeId, usize>,
    bytes: usize,
}

impl Store {
    /// An empty store.
    #[must_use]
    pub const fn new(config: StoreConfig) -> Self {
        Self {
            config,
            keys: BTreeMap::new(),
            ends: BTreeSet::new(),
            publishers: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Values held, expired ones included until [`expire`](Self::expire).
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Keys with values.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Bytes of all values.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Holds `bytes` of `publisher` under `key` for `ttl`, capped.
    ///
    /// # Errors
    /// The value is none, or a bound is reached by values that last at least as long.
    pub fn put(
        &mut self,
        now: Moment,
        key: Key,
        publisher: NodeId,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<(), Refusal> {
        if bytes.len() > VALUE_MAX {
            return Err(Refusal::ValueTooLong);
        }
        if ttl.is_zero() {
            return Err(Refusal::TtlZero);
        }
        self.expire(now);
        let until = now + ttl.min(self.config.ttl_max);
        // What is replaced makes room first; it is put back if the newcomer is refused after all.
        let replaced = self.remove(key, publisher);
        let admitted = self.make_room(key, publisher, bytes.len(), until);
        match (admitted, replaced) {
            (Ok(()), _) => self.insert(
                key,
                Kept {
                    publisher,
                    bytes: bytes.into(),
                    until,
                },
            ),
            (Err(refusal), replaced) => {
                if let Some(held) = replaced {
                    self.insert(key, held);
                }
                return Err(refusal);
            }
        }
        debug_assert!(self.bytes <= self.config.bytes && self.len() <= self.config.values);
        Ok(())
    }

    /// Values under `key`, the longest remaining first, without those of `except`.
    #[must_use]
    pub fn values(&self, now: Moment, key: Key, except: Option<NodeId>) -> Vec<Value> {
        let held = self.keys.get(&key).into_iter().flatten();
        let mut live: Vec<_> = held
            .filter(|held| held.until > now && Some(held.publisher) != except)
            .collect();
        live.sort_by_key(|held| (std::cmp::Reverse(held.until), held.publisher));
        let value = |held: &Kept| Value {
            bytes: held.bytes.to_vec(),
            ttl: held.until.since(now),
            publisher: held.publisher,
            level: 0,
        };
        live.into_iter().map(value).collect()
    }

    /// All values, in order of key.
    #[must_use]
    pub fn all(&self, now: Moment) -> Vec<Held> {
        let of_key = |(key, kept): (&Key, &Vec<Kept>)| {
            let live = kept.iter().filter(|kept| kept.until > now);
            let held = |kept: &Kept| Held {
                key: *key,
                publisher: kept.publisher,
                left: kept.until.since(now),
                bytes: kept.bytes.clone(),
            };
            live.map(held).collect::<Vec<_>>()
        };
        self.keys.iter().flat_map(of_key).collect()
    }

    /// Takes values that were [all](Self::all) of an earlier store; what does not fit is left. How many it
    /// took.
    pub fn restore(&mut self, now: Moment, held: Vec<Held>) -> usize {
        let put = |held: &Held| {
            let Held {
                key,
                publisher,
                left,
                bytes,
            } = held;
            self.put(now, *key, *publisher, bytes, *left).is_ok()
        };
        held.iter().map(put).filter(|took| *took).count()
    }

    /// Whether `key` has its values, not counting those of `except`: enough of them, the best all
    /// lasting at least half as long as a new one of `ttl` would.
    #[must_use]
    pub fn is_full(&self, now: Moment, key: Key, ttl: Duration, except: Option<NodeId>) -> bool {
        let lasting = now + ttl.min(self.config.ttl_max) / 2;
        let held = self.keys.get(&key).into_iter().flatten();
        let good = held.filter(|held| Some(held.publisher) != except && held.until >= lasting);
        good.count() >= self.config.full
    }

    /// When the value of `publisher` under `key` ends, if one is held.
    #[must_use]
    pub fn until(&self, now: Moment, key: Key, publisher: NodeId) -> Option<Moment> {
        let held = self.keys.get(&key).into_iter().flatten();
        let mut live = held.filter(|held| held.publisher == publisher && held.until > now);
        live.next().map(|held| held.until)
    }

    /// Keys with values, in order, from the one after `after` on.
    pub fn keys_after(&self, after: Option<Key>) -> impl Iterator<Item = Key> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.keys
            .range((from, Bound::Unbounded))
            .map(|(key, _)| *key)
    }

    /// Forgets the value of `publisher` under `key`. Says whether there was one.
    pub fn withdraw(&mut self, key: Key, publisher: NodeId) -> bool {
        self.remove(key, publisher).is_some()
    }

    /// Drops values that have ended, a bounded number per call.
    pub fn expire(&mut self, now: Moment) {
        for _ in 0..EXPIRE_BUDGET {
            match self.ends.first() {
                Some(&(until, key, publisher)) if until <= now => {
                    self.remove(key, publisher);
                }
                _ => return,
            }
        }
    }

    /// When the next value ends.
    #[must_use]
    pub fn next_end(&self) -> Option<Moment> {
        self.ends.first().map(|(until, ..)| *until)
    }

    fn make_room(
        &mut self,
        key: Key,
        publisher: NodeId,
        bytes: usize,
        until: Moment,
    ) -> Result<(), Refusal> {
        if self.publishers.get(&publisher).copied().unwrap_or(0) >= self.config.values_per_publisher
        {
            return Err(Refusal::PublisherFull);
        }
        let under_key = self.keys.get(&key).map_or(&[][..], Vec::as_slice);
        let crowded = under_key.len() >= self.config.values_per_key;
        let mut victims = Vec::new();
        if crowded {
            let first = under_key
                .iter()
                .min_by_key(|held| (held.until, held.publisher));
            let first = first
                .filter(|held| held.until < until)
                .ok_or(Refusal::KeyFull)?;
            victims.push((key, first.publisher, first.bytes.len()));
        }
        let freed: usize = victims.iter().map(|(.., len)| len).sum();
        let mut values = (self.len() + 1).saturating_sub(victims.len());
        let mut total = (self.bytes + bytes).saturating_sub(freed);
        let mut ends = self.ends.iter();
        while values > self.config.values || total > self.config.bytes {
            let &(end, key, publisher) = ends.next().ok_or(Refusal::StoreFull)?;
            if end >= until {
                return Err(Refusal::StoreFull);
            }
            if victims.iter().any(|(k, p, _)| (*k, *p) == (key, publisher)) {
                continue;
            }
            let len = self.value_len(key, publisher);
            victims.push((key, publisher, len));
            values -= 1;
            total = total.saturating_sub(len);
        }
        for (key, publisher, _) in victims {
            self.remove(key, publisher);
        }
        Ok(())
    }

    fn value_len(&self, key: Key, publisher: NodeId) -> usize {
        let held = self.keys.get(&key).into_iter().flatten();
        held.filter(|held| held.publisher == publisher)
            .map(|held| held.bytes.len())
            .sum()
    }

    fn insert(&mut self, key: Key, held: Kept) {
        self.bytes += held.bytes.len();
        self.ends.insert((held.until, key, held.publisher));
        *self.publishers.entry(held.publisher).or_default() += 1;
        self.keys.entry(key).or_default().push(held);
    }

    fn remove(&mut self, key: Key, publisher: NodeId) -> Option<Kept> {
        let values = self.keys.get_mut(&key)?;
        let at = values.iter().position(|held| held.publisher == publisher)?;
        let held = values.swap_remove(at);
        if values.is_empty() {
            self.keys.remove(&key);
        }
        self.bytes -= held.bytes.len();
        self.ends.remove(&(held.until, key, publisher));
        if let Some(count) = self.publishers.get_mut(&publisher) {
            *count -= 1;
            if *count == 0 {
                self.publishers.remove(&publisher);
            }
        }
        Some(held)
    }
}
