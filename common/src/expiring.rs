//! A bounded map whose entries expire: explicit `now`, explicit next deadline, no hidden sweep.
//!
//! Keeps an index ordered by deadline beside the entries, so expiry costs what expires. When full,
//! an insertion evicts the entry that would have expired first and says so.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Moment;

/// What became of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted<V> {
    /// The key was new.
    New,
    /// The key was there; this was its value.
    Replaced(V),
    /// The map was full; the entry nearest to its end made room.
    Evicted(V),
}

/// A map of at most `capacity` entries, each with a deadline.
#[derive(Clone, Debug)]
pub struct ExpiringMap<K, V> {
    entries: BTreeMap<K, (Moment, V)>,
    deadlines: BTreeSet<(Moment, K)>,
    capacity: usize,
}

impl<K: Ord + Clone, V> ExpiringMap<K, V> {
    /// An empty map that holds at most `capacity` entries (at least one).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self {
            entries: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            capacity,
        }
    }

    /// Entries held, expired ones included until [`expire`](Self::expire).
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether an entry is held under `key`, expired or not.
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// Holds `value` under `key` until `deadline`.
    pub fn insert(&mut self, key: K, value: V, deadline: Moment) -> Inserted<V> {
        if let Some((old_deadline, old)) = self.entries.insert(key.clone(), (deadline, value)) {
            self.deadlines.remove(&(old_deadline, key.clone()));
            self.deadlines.insert((deadline, key));
            return Inserted::Replaced(old);
        }
        self.deadlines.insert((deadline, key.clone()));
        if self.entries.len() <= self.capacity {
            return Inserted::New;
        }
        // The newcomer itself stays: refusing it would make a full map deaf.
        let victim = self.deadlines.iter().find(|(_, k)| *k != key).cloned();
        match victim.and_then(|(_, k)| self.remove(&k)) {
            Some(evicted) => Inserted::Evicted(evicted),
            None => Inserted::New,
        }
    }

    /// The value under `key`, unless its deadline has passed.
    #[must_use]
    pub fn at(&self, key: &K, now: Moment) -> Option<&V> {
        self.entries
            .get(key)
            .filter(|(deadline, _)| *deadline > now)
            .map(|(_, value)| value)
    }

    /// The value under `key` to change, unless its deadline has passed.
    pub fn at_mut(&mut self, key: &K, now: Moment) -> Option<&mut V> {
        self.entries
            .get_mut(key)
            .filter(|(deadline, _)| *deadline > now)
            .map(|(_, value)| value)
    }

    /// The value under `key` to change, expired or not; it is held until `deadline` from now on.
    pub fn extend(&mut self, key: &K, deadline: Moment) -> Option<&mut V> {
        let (held_until, value) = self.entries.get_mut(key)?;
        if *held_until != deadline {
            self.deadlines.remove(&(*held_until, key.clone()));
            self.deadlines.insert((deadline, key.clone()));
            *held_until = deadline;
        }
        Some(value)
    }

    /// Takes the entry under `key` out, expired or not.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (deadline, value) = self.entries.remove(key)?;
        self.deadlines.remove(&(deadline, key.clone()));
        Some(value)
    }

    /// Takes one entry out whose deadline has passed; call until `None`.
    pub fn expire(&mut self, now: Moment) -> Option<(K, V)> {
        let (deadline, key) = self.deadlines.first()?;
        if *deadline > now {
            return None;
        }
        let key = key.clone();
        self.remove(&key).map(|value| (key, value))
    }

    /// When the next entry expires.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Live entries in key order.
    pub fn iter(&self, now: Moment) -> impl Iterator<Item = (&K, &V)> {
        self.entries
            .iter()
            .filter(move |(_, (deadline, _))| *deadline > now)
            .map(|(key, (_, value))| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn forgets_at_the_deadline_and_not_before() {
        let mut map = ExpiringMap::new(4);
        map.insert("a", 1, at(10));
        assert_eq!(map.at(&"a", at(9)), Some(&1));
        assert_eq!(map.at(&"a", at(10)), None);
        assert_eq!(map.next_deadline(), Some(at(10)));
        assert_eq!(map.expire(at(9)), None);
        assert_eq!(map.expire(at(10)), Some(("a", 1)));
        assert!(map.is_empty());
    }

    #[test]
    fn a_full_map_evicts_what_would_expire_first() {
        let mut map = ExpiringMap::new(2);
        map.insert("a", 1, at(30));
        map.insert("b", 2, at(20));
        assert_eq!(map.insert("c", 3, at(10)), Inserted::Evicted(2));
        assert_eq!(map.len(), 2);
        assert_eq!(map.at(&"c", at(0)), Some(&3));
    }

    #[test]
    fn extending_moves_the_deadline_and_leaves_the_value() {
        let mut map = ExpiringMap::new(2);
        map.insert("a", 1, at(10));
        assert_eq!(map.extend(&"a", at(50)), Some(&mut 1));
        assert_eq!(map.extend(&"b", at(50)), None);
        assert_eq!(map.expire(at(20)), None);
        assert_eq!(map.expire(at(50)), Some(("a", 1)));
        assert_eq!(map.next_deadline(), None);
    }

    #[test]
    fn replacing_moves_the_deadline() {
        let mut map = ExpiringMap::new(2);
        map.insert("a", 1, at(10));
        assert_eq!(map.insert("a", 2, at(50)), Inserted::Replaced(1));
        assert_eq!(map.expire(at(20)), None);
        assert_eq!(map.at(&"a", at(20)), Some(&2));
    }
}
