//! What this node's clients have put, and where: so that a value survives the death of those that
//! store it, and is withdrawn where it is. Whom a key belongs to is known here exactly, so there is
//! nothing to look for, unlike in the sloppy index's `keep`.
//!
//! Renewal is the clients' affair and nothing here outlives its TTL. When a storing node dies or
//! restarts, the values placed there are put again at the nodes that are closest now, after a
//! jitter and at a bounded rate, because everyone who stored there notices at the same time.

use std::collections::BTreeSet;
use std::time::Duration;

use common::clock::Moment;
use common::expiring::ExpiringMap;
use common::ids::{Key, NodeId};
use common::rng::Generator;

/// Longest wait between a death and the first value put again.
const JITTER: Duration = Duration::from_millis(500);

/// Values put again at once; the rest waits for [`PAUSE`].
const BATCH: usize = 16;

/// Time between two batches. With [`BATCH`] that makes 64 values a second.
const PAUSE: Duration = Duration::from_millis(250);

/// Places remembered per value; the oldest are forgotten.
const PLACES_MAX: usize = 4;

/// An own value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Own {
    /// The value.
    pub value: Vec<u8>,
    /// When it ends.
    pub until: Moment,
    /// Nodes that stored it, the latest first.
    pub places: Vec<NodeId>,
}

/// All own values, at most so many; of too many, those that end first are forgotten.
#[derive(Clone, Debug)]
pub struct Owned {
    own: ExpiringMap<Key, Own>,
    lost: BTreeSet<Key>,
    due: Option<Moment>,
}

impl Owned {
    /// Nothing yet, and at most `max` values ever.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            own: ExpiringMap::new(max),
            lost: BTreeSet::new(),
            due: None,
        }
    }

    /// Values remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.own.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// A value was placed.
    pub fn placed(&mut self, now: Moment, key: Key, value: Vec<u8>, until: Moment, at: &[NodeId]) {
        while self.own.expire(now).is_some() {}
        let mut places = at.to_vec();
        let before = self
            .own
            .remove(&key)
            .map(|own| own.places)
            .unwrap_or_default();
        places.extend(before.into_iter().filter(|id| !at.contains(id)));
        places.truncate(PLACES_MAX);
        self.own.insert(
            key,
            Own {
                value,
                until,
                places,
            },
            until,
        );
        self.lost.remove(&key);
    }

    /// A value was taken back; where it was placed.
    pub fn withdrawn(&mut self, key: Key) -> Option<Vec<NodeId>> {
        self.lost.remove(&key);
        self.own.remove(&key).map(|own| own.places)
    }

    /// A node lost what it stored.
    pub fn lost(&mut self, now: Moment, id: NodeId, rng: &mut Generator) {
        while self.own.expire(now).is_some() {}
        let there = self
            .own
            .iter(now)
            .filter(|(_, own)| own.places.contains(&id));
        let keys: Vec<_> = there.map(|(key, _)| *key).collect();
        for key in keys {
            if let Some(own) = self.own.at_mut(&key, now) {
                own.places.retain(|place| *place != id);
                self.lost.insert(key);
            }
        }
        if !self.lost.is_empty() && self.due.is_none() {
            self.due = Some(now + rng.jitter(JITTER));
        }
    }

    /// The nodes that should store values have changed: those for which `misplaced` says so, given
    /// the key and where the value is, are put again.
    pub fn moved(
        &mut self,
        now: Moment,
        misplaced: impl Fn(&Key, &[NodeId]) -> bool,
        rng: &mut Generator,
    ) {
        let own = self.own.iter(now);
        let moved = own.filter(|(key, own)| misplaced(key, &own.places));
        self.lost.extend(moved.map(|(key, _)| *key));
        if !self.lost.is_empty() && self.due.is_none() {
            self.due = Some(now + rng.jitter(JITTER));
        }
    }

    /// When values are to be put again.
    #[must_use]
    pub const fn next_due(&self) -> Option<Moment> {
        self.due
    }

    /// The values to put again now.
    pub fn take_due(&mut self, now: Moment) -> Vec<(Key, Own)> {
        if self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let Some(key) = self.lost.pop_first() else {
                break;
            };
            batch.extend(self.own.at(&key, now).map(|own| (key, own.clone())));
        }
        self.due = (!self.lost.is_empty()).then(|| now + PAUSE);
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 20])
    }

    #[test]
    fn puts_again_what_the_dead_node_held_at_a_bounded_rate() {
        let mut rng = Generator::from_seed(1);
        let mut owned = Owned::new(100);
        for n in 0..40 {
            let place = [node(1 + n % 2)];
            owned.placed(at(0), Key::from_bytes([n; 20]), vec![n], at(60_000), &place);
        }
        owned.lost(at(10), node(1), &mut rng);
        let due = owned.next_due().unwrap();
        assert!(due <= at(10) + JITTER);
        assert_eq!(owned.take_due(due).len(), 16);
        assert_eq!(owned.next_due(), Some(due + PAUSE));
        assert_eq!(owned.take_due(due + PAUSE).len(), 4);
        assert_eq!(owned.next_due(), None);
    }

    #[test]
    fn puts_again_what_is_no_longer_where_it_should_be() {
        let mut rng = Generator::from_seed(1);
        let mut owned = Owned::new(100);
        for n in 1..=2 {
            let place = [node(n)];
            owned.placed(at(0), Key::from_bytes([n; 20]), vec![n], at(60_000), &place);
        }
        owned.moved(at(10), |_, places| places.contains(&node(2)), &mut rng);
        let again = owned.take_due(at(10) + JITTER);
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].1.places, [node(2)]);
    }

    #[test]
    fn what_ended_or_was_withdrawn_stays_dead() {
        let mut rng = Generator::from_seed(1);
        let mut owned = Owned::new(100);
        let (one, two) = (Key::from_bytes([1; 20]), Key::from_bytes([2; 20]));
        owned.placed(at(0), one, vec![1], at(100), &[node(1)]);
        owned.placed(at(0), two, vec![2], at(60_000), &[node(1)]);
        assert_eq!(owned.withdrawn(two), Some(vec![node(1)]));
        owned.lost(at(200), node(1), &mut rng);
        assert_eq!(owned.next_due(), None);
        assert!(owned.is_empty());
    }

    #[test]
    fn a_full_memory_forgets_what_ends_first() {
        let mut owned = Owned::new(2);
        for n in 0..3u8 {
            let until = at(1_000 + u64::from(n));
            owned.placed(at(0), Key::from_bytes([n; 20]), vec![n], until, &[node(1)]);
        }
        assert_eq!(owned.len(), 2);
        assert_eq!(owned.withdrawn(Key::from_bytes([0; 20])), None);
    }
}
