//! What this node's clients have put, and where: so that a value survives the death of a node that
//! stored it.
//!
//! Renewal is the clients' affair and nothing here outlives its TTL. Nodes that store a value hand
//! it on when their neighbourhood changes (`hand`); the publisher only looks whether that went well.
//! A value is *in doubt* when a node that stored it fails or restarts, when this node's own
//! neighbourhood changes much, because then others' have, and now and then. Doubt is settled by one
//! request to the place closest to the key (`tend`). What is not there is *lost* and put again.
//! Both at a bounded rate and after a jitter, because all who stored there notice at the same time
//! (docs/adr/0014).

use std::collections::BTreeSet;
use std::time::Duration;

use common::clock::Moment;
use common::expiring::ExpiringMap;
use common::ids::{Key, NodeId};
use common::rng::Generator;

use super::routing::Entry;

/// Longest wait between a reason to act and the first act.
const JITTER: Duration = Duration::from_millis(500);

/// Values put again at once; the rest waits for [`PAUSE`]. A put costs about ten requests.
const BATCH: usize = 4;

/// Time between two batches. With [`BATCH`] that makes 8 values a second.
const PAUSE: Duration = Duration::from_millis(500);

/// Doubts settled at once, and the time to the next: 8 requests a second, about 1 KB/s.
const CHECKS: usize = 4;
const CHECKS_PAUSE: Duration = Duration::from_millis(500);

/// So many changes of the neighbourhood, of the sixteen nearest nodes, put every value in doubt:
/// an eighth of the network has come or gone.
const CHANGES: u32 = 2;

/// Least time between two such rounds of doubt.
const ROUND_GAP: Duration = Duration::from_secs(20);

/// Every value is in doubt once in this time, at the latest a quarter later.
const ROUND_EVERY: Duration = Duration::from_secs(600);

/// Places remembered per value; the oldest are forgotten. Two of the world, one of each level
/// inside, and those of the put before.
const PLACES_MAX: usize = 6;

/// A put of what was stored within this time is answered without a packet.
const FRESH: Duration = Duration::from_secs(5);

/// An own value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Own {
    /// The value.
    pub value: Vec<u8>,
    /// When it ends.
    pub until: Moment,
    /// When it was last stored.
    pub stored: Moment,
    /// Nodes that stored it, the latest first.
    pub places: Vec<Entry>,
}

impl Own {
    fn closest(&self, key: &Key) -> Option<Entry> {
        let places = self.places.iter();
        places.copied().min_by_key(|place| place.id.distance(key))
    }
}

/// What looking for an own value at one place came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// It is there.
    There,
    /// It is there, and this node, closer to the key, should have it too.
    Closer(Entry),
    /// The node answers and does not hold it.
    Missing,
    /// The node does not answer.
    Silent,
}

/// All own values, at most so many; of too many, those that end first are forgotten.
#[derive(Clone, Debug)]
pub struct Keep {
    own: ExpiringMap<Key, Own>,
    lost: BTreeSet<Key>,
    due: Option<Moment>,
    doubts: BTreeSet<Key>,
    check: Moment,
    changes: u32,
    /// When the last round of doubt began, and when the next does even if nothing happens.
    round: Moment,
    next_round: Option<Moment>,
}

impl Keep {
    /// Nothing yet, and at most `max` values ever.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            own: ExpiringMap::new(max),
            lost: BTreeSet::new(),
            due: None,
            doubts: BTreeSet::new(),
            check: Moment::ZERO,
            changes: 0,
            round: Moment::ZERO,
            next_round: None,
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

    /// The own value under `key`.
    #[must_use]
    pub fn at(&self, now: Moment, key: Key) -> Option<&Own> {
        self.own.at(&key, now)
    }

    /// A value was placed.
    pub fn placed(&mut self, now: Moment, key: Key, value: Vec<u8>, until: Moment, at: &[Entry]) {
        while self.own.expire(now).is_some() {}
        let mut places = at.to_vec();
        let before = self
            .own
            .remove(&key)
            .map(|own| own.places)
            .unwrap_or_default();
        places.extend(before.into_iter().filter(|place| !at.contains(place)));
        places.truncate(PLACES_MAX);
        let own = Own {
            value,
            until,
            stored: now,
            places,
        };
        self.own.insert(key, own, until);
        self.lost.remove(&key);
        self.doubts.remove(&key);
        self.next_round.get_or_insert(now + ROUND_EVERY);
    }

    /// Whether a put of `value` for `ttl` would change nothing: it was stored a moment ago for as
    /// long, and nothing has happened to it. Says at how many places.
    #[must_use]
    pub fn stands(&self, now: Moment, key: Key, value: &[u8], ttl: Duration) -> Option<usize> {
        let own = self.own.at(&key, now)?;
        let (until, slack) = (now + ttl, FRESH.min(ttl / 4));
        let as_long = own.until <= until && until.since(own.until) <= slack;
        let untouched = !self.lost.contains(&key) && !self.doubts.contains(&key);
        let stands = own.value == value
            && now.since(own.stored) <= FRESH
            && as_long
            && untouched
            && !own.places.is_empty();
        stands.then_some(own.places.len())
    }

    /// A value was taken back; what was known of it.
    pub fn withdrawn(&mut self, key: Key) -> Option<Own> {
        self.lost.remove(&key);
        self.doubts.remove(&key);
        self.own.remove(&key)
    }

    /// A node lost what it stored.
    pub fn lost(&mut self, now: Moment, id: NodeId, rng: &mut Generator) {
        while self.own.expire(now).is_some() {}
        let stored = |own: &Own| own.places.iter().any(|place| place.id == id);
        let there = self.own.iter(now).filter(|(_, own)| stored(own));
        let keys: Vec<_> = there.map(|(key, _)| *key).collect();
        for key in keys {
            self.leave(now, key, id, rng);
        }
    }

    /// A node has left a cluster of this one, with the copies that were for those in it.
    pub fn moved(&mut self, now: Moment, id: NodeId, rng: &mut Generator) {
        while self.own.expire(now).is_some() {}
        let stored = |own: &Own| own.places.iter().any(|place| place.id == id);
        let there = self.own.iter(now).filter(|(_, own)| stored(own));
        let keys: Vec<_> = there.map(|(key, _)| *key).collect();
        for key in keys {
            self.lose(now, key, rng);
        }
    }

    /// The value is not, or no longer, at `id`: in doubt while it is elsewhere, lost if not.
    fn leave(&mut self, now: Moment, key: Key, id: NodeId, rng: &mut Generator) {
        let Some(own) = self.own.at_mut(&key, now) else {
            return;
        };
        own.places.retain(|place| place.id != id);
        if own.places.is_empty() {
            self.lose(now, key, rng);
        } else {
            self.doubt(now, key, rng);
        }
    }

    fn lose(&mut self, now: Moment, key: Key, rng: &mut Generator) {
        self.doubts.remove(&key);
        self.lost.insert(key);
        self.due.get_or_insert_with(|| now + rng.jitter(JITTER));
    }

    fn doubt(&mut self, now: Moment, key: Key, rng: &mut Generator) {
        if self.doubts.is_empty() {
            self.check = self.check.max(now + rng.jitter(JITTER));
        }
        self.doubts.insert(key);
    }

    /// One of the nearest nodes has come or gone: if many do, what other nodes store may be lost or
    /// out of place as well.
    pub fn neighbour_changed(&mut self, now: Moment) {
        self.changes = self.changes.saturating_add(1);
        if self.changes >= CHANGES && self.next_round.is_some() {
            let earliest = (self.round + ROUND_GAP).max(now);
            self.next_round = self.next_round.map(|next| next.min(earliest));
        }
    }

    /// When values are to be put again.
    #[must_use]
    pub const fn next_due(&self) -> Option<Moment> {
        self.due
    }

    /// When doubts are to be settled.
    #[must_use]
    pub fn next_check(&self) -> Option<Moment> {
        let doubts = (!self.doubts.is_empty()).then_some(self.check);
        doubts.into_iter().chain(self.next_round).min()
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

    /// The doubts to settle now: which value, whom to ask, and until when it lasts.
    pub fn take_checks(&mut self, now: Moment, rng: &mut Generator) -> Vec<(Key, Entry, Moment)> {
        if self.next_round.is_some_and(|at| at <= now) {
            self.begin_round(now, rng);
        }
        let mut checks = Vec::new();
        if self.check > now {
            return checks;
        }
        while checks.len() < CHECKS {
            let Some(key) = self.doubts.pop_first() else {
                break;
            };
            let Some(own) = self.own.at(&key, now) else {
                continue;
            };
            match own.closest(&key) {
                Some(place) => checks.push((key, place, own.until)),
                None => self.lose(now, key, rng),
            }
        }
        self.check = now + CHECKS_PAUSE;
        checks
    }

    fn begin_round(&mut self, now: Moment, rng: &mut Generator) {
        while self.own.expire(now).is_some() {}
        self.changes = 0;
        self.round = now;
        let every = ROUND_EVERY + rng.jitter(ROUND_EVERY / 4);
        self.next_round = (!self.own.is_empty()).then(|| now + every);
        let keys: Vec<_> = self.own.iter(now).map(|(key, _)| *key).collect();
        for key in keys {
            if !self.lost.contains(&key) {
                self.doubt(now, key, rng);
            }
        }
    }

    /// A doubt was looked into at `place`.
    pub fn checked(
        &mut self,
        now: Moment,
        key: Key,
        place: NodeId,
        found: Found,
        rng: &mut Generator,
    ) {
        let Some(own) = self.own.at_mut(&key, now) else {
            return;
        };
        match found {
            Found::There => {}
            Found::Closer(closer) if own.places.contains(&closer) => {}
            Found::Closer(closer) => {
                own.places.insert(0, closer);
                own.places.truncate(PLACES_MAX);
                self.doubt(now, key, rng);
            }
            Found::Missing => {
                own.places.retain(|held| held.id != place);
                self.lose(now, key, rng);
            }
            Found::Silent => self.leave(now, key, place, rng),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn node(n: u8) -> Entry {
        let addr = SocketAddr::from(([192, 0, 2, n], 7400));
        Entry {
            id: NodeId::from_bytes([n; 20]),
            addr,
        }
    }

    fn key(n: u8) -> Key {
        Key::from_bytes([n; 20])
    }

    /// A keep of one value under `key(3)` for a minute, at these nodes, and a generator.
    fn keep_at(places: &[Entry]) -> (Keep, Generator) {
        let mut keep = Keep::new(100);
        keep.placed(at(0), key(3), vec![3], at(60_000), places);
        (keep, Generator::from_seed(1))
    }

    #[test]
    fn puts_again_what_only_the_dead_node_held_at_a_bounded_rate() {
        let mut rng = Generator::from_seed(1);
        let mut keep = Keep::new(100);
        for n in 0..12 {
            let place = [node(1 + n % 2)];
            keep.placed(at(0), key(n), vec![n], at(60_000), &place);
        }
        keep.lost(at(10), node(1).id, &mut rng);
        let due = keep.next_due().unwrap();
        assert!(due <= at(10) + JITTER);
        assert_eq!(keep.take_due(due).len(), 4);
        assert_eq!(keep.next_due(), Some(due + PAUSE));
        assert_eq!(keep.take_due(due + PAUSE).len(), 2);
        assert_eq!(keep.next_due(), None);
    }

    #[test]
    fn looks_at_the_closest_place_left_before_it_puts_again() {
        let (mut keep, mut rng) = keep_at(&[node(1), node(2), node(7)]);
        keep.lost(at(10), node(2).id, &mut rng);
        assert_eq!(keep.next_due(), None);
        let due = keep.next_check().unwrap();
        let checks = keep.take_checks(due, &mut rng);
        assert_eq!(checks, [(key(3), node(1), at(60_000))]);
        keep.checked(due, key(3), node(1).id, Found::There, &mut rng);
        assert_eq!((keep.next_due(), keep.doubts.len()), (None, 0));
        keep.checked(due, key(3), node(1).id, Found::Missing, &mut rng);
        assert!(keep.next_due().is_some());
    }

    #[test]
    fn puts_again_what_a_node_held_that_left_the_cluster() {
        let (mut keep, mut rng) = keep_at(&[node(1), node(2)]);
        keep.moved(at(10), node(7).id, &mut rng);
        assert_eq!(keep.next_due(), None, "it held nothing");
        keep.moved(at(10), node(2).id, &mut rng);
        let due = keep.next_due().unwrap();
        assert!(due <= at(10) + JITTER);
        let again = keep.take_due(due);
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].1.places.len(), 2, "it still holds what it held");
    }

    #[test]
    fn silence_is_followed_to_the_last_place() {
        let (mut keep, mut rng) = keep_at(&[node(1), node(2)]);
        keep.checked(at(10), key(3), node(2).id, Found::Silent, &mut rng);
        let due = keep.next_check().unwrap();
        assert_eq!(keep.take_checks(due, &mut rng)[0].1, node(1));
        keep.checked(due, key(3), node(1).id, Found::Silent, &mut rng);
        assert!(keep.next_due().is_some());
    }

    #[test]
    fn a_closer_node_is_looked_at_next() {
        let (mut keep, mut rng) = keep_at(&[node(1)]);
        let closer = Found::Closer(node(2));
        keep.checked(at(10), key(3), node(1).id, closer, &mut rng);
        let due = keep.next_check().unwrap();
        assert_eq!(keep.take_checks(due, &mut rng)[0].1, node(2));
        keep.checked(due, key(3), node(2).id, closer, &mut rng);
        assert!(keep.doubts.is_empty(), "once");
    }

    #[test]
    fn many_changes_nearby_put_every_value_in_doubt_but_not_too_often() {
        let (mut keep, mut rng) = keep_at(&[node(1)]);
        let now = at(30_000);
        keep.neighbour_changed(now);
        assert_eq!(keep.next_check(), Some(at(0) + ROUND_EVERY));
        keep.neighbour_changed(now);
        assert_eq!(keep.next_check(), Some(now));
        keep.take_checks(now, &mut rng);
        assert_eq!(keep.take_checks(now + JITTER, &mut rng).len(), 1);
        (0..9).for_each(|_| keep.neighbour_changed(now + JITTER));
        assert_eq!(keep.next_check(), Some(now + ROUND_GAP));
    }

    #[test]
    fn a_value_stored_a_moment_ago_stands() {
        let ttl = Duration::from_secs(60);
        let (mut keep, mut rng) = keep_at(&[node(1), node(2)]);
        let stands = |keep: &Keep, now, value, ttl| keep.stands(now, key(3), &[value], ttl);
        assert_eq!(stands(&keep, at(4_000), 3, ttl), Some(2));
        assert_eq!(stands(&keep, at(5_001), 3, ttl), None, "no longer fresh");
        assert_eq!(stands(&keep, at(4_000), 4, ttl), None, "another value");
        assert_eq!(stands(&keep, at(4_000), 3, ttl / 2), None, "shorter");
        assert_eq!(stands(&keep, at(4_000), 3, ttl * 2), None, "longer");
        keep.lost(at(4_000), node(1).id, &mut rng);
        assert_eq!(stands(&keep, at(4_000), 3, ttl), None, "in doubt");
    }

    #[test]
    fn what_ended_or_was_withdrawn_stays_dead() {
        let mut rng = Generator::from_seed(1);
        let mut keep = Keep::new(100);
        keep.placed(at(0), key(1), vec![1], at(100), &[node(1)]);
        keep.placed(at(0), key(2), vec![2], at(60_000), &[node(1)]);
        assert_eq!(keep.withdrawn(key(2)).unwrap().places, [node(1)]);
        keep.lost(at(200), node(1).id, &mut rng);
        assert_eq!(keep.next_due(), None);
        assert!(keep.is_empty());
    }

    #[test]
    fn a_full_memory_forgets_what_ends_first() {
        let mut keep = Keep::new(2);
        for n in 0..3u8 {
            let until = at(1_000 + u64::from(n));
            keep.placed(at(0), key(n), vec![n], until, &[node(1)]);
        }
        assert_eq!(keep.len(), 2);
        assert_eq!(keep.withdrawn(key(0)), None);
    }
}
