//! What this proxy has told the index and when to tell it again: a short lease while fetching, a
//! long pointer after, renewed at half its life, withdrawn with the copy.
//!
//! Pure bookkeeping: says which keys are due; what the pointer then says is decided from the copy
//! as it is at that time.

use std::time::Duration;

use common::clock::Moment;
use common::expiring::{ExpiringMap, Inserted};

use super::http::key::PrimaryKey;

/// Life of a pointer while the object is being fetched (the NSDI'04 paper's figure): a proxy that
/// dies is believed no longer than this.
pub const LEASE: Duration = Duration::from_secs(20);

/// Life of a pointer to a whole copy, unless its freshness ends sooner.
pub const POINTER_MOST: Duration = Duration::from_secs(3_600);

/// A copy that is fresh for less than this is not worth a pointer: it would be stale when found.
pub const POINTER_LEAST: Duration = Duration::from_secs(2);

/// Pointers kept alive; beyond that the one due first is left to run out.
pub const POINTERS_MAX: usize = 100_000;

/// How long a pointer to a copy that remains fresh for `remaining` should live, if it should be.
#[must_use]
pub fn pointer_life(remaining: Duration) -> Option<Duration> {
    (remaining >= POINTER_LEAST).then(|| remaining.min(POINTER_MOST))
}

/// The pointers that the index holds of ours.
#[derive(Clone, Debug)]
pub struct Ledger {
    due: ExpiringMap<PrimaryKey, ()>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            due: ExpiringMap::new(POINTERS_MAX),
        }
    }
}

impl Ledger {
    /// A pointer for `key` was put for `life`; it is due again at half of that.
    pub fn told(&mut self, now: Moment, key: PrimaryKey, life: Duration) {
        if let Inserted::Evicted(()) = self.due.insert(key, (), now + life / 2) {
            // The evicted pointer runs out by itself; nothing is wrong but a lost hit.
            tracing::debug!("more pointers than are renewed");
        }
    }

    /// The copy behind `key` is gone. Whether the index has to be told.
    pub fn gone(&mut self, key: &PrimaryKey) -> bool {
        self.due.remove(key).is_some()
    }

    /// One key whose pointer is due; call until `None`, a bounded number of times per wake-up.
    pub fn due(&mut self, now: Moment) -> Option<PrimaryKey> {
        self.due.expire(now).map(|(key, ())| key)
    }

    /// Whether the index has been told of `key`, as far as is known here.
    #[must_use]
    pub fn has(&self, key: &PrimaryKey) -> bool {
        self.due.contains(key)
    }

    /// Pointers kept alive.
    #[must_use]
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::http::key::Scheme;

    fn key(n: usize) -> PrimaryKey {
        PrimaryKey::new(Scheme::Http, "example.com", 80, &format!("/{n}"))
    }

    #[test]
    fn a_pointer_is_due_at_half_its_life_and_not_once_it_is_gone() {
        let mut ledger = Ledger::default();
        ledger.told(Moment::ZERO, key(1), LEASE);
        ledger.told(Moment::ZERO, key(2), LEASE);
        assert!(ledger.gone(&key(2)) && !ledger.gone(&key(2)));
        assert!(ledger.has(&key(1)) && !ledger.has(&key(2)));
        assert_eq!(ledger.due(Moment::ZERO + LEASE / 3), None);
        assert_eq!(ledger.due(Moment::ZERO + LEASE / 2), Some(key(1)));
        assert_eq!(ledger.due(Moment::ZERO + LEASE), None);
    }

    #[test]
    fn lives_no_longer_than_the_copy_is_fresh() {
        assert_eq!(pointer_life(Duration::from_secs(1)), None);
        assert_eq!(
            pointer_life(Duration::from_secs(90)),
            Some(Duration::from_secs(90))
        );
        assert_eq!(
            pointer_life(Duration::from_secs(90_000)),
            Some(POINTER_MOST)
        );
    }

    #[test]
    fn keeps_a_bounded_number_of_pointers_alive() {
        let mut ledger = Ledger::default();
        for n in 0..=POINTERS_MAX {
            ledger.told(Moment::ZERO, key(n), LEASE);
        }
        assert_eq!(ledger.len(), POINTERS_MAX);
    }
}
