//! How often what is gone was asked for, roughly and in little memory. No keys, only counts.
//!
//! A count-min sketch (Cormode and Muthukrishnan, 2005): each key has four counters, of which the least
//! is at most too high. Halving all of them lets the past fade (TinyLFU: Einziger, Friedman and Manes,
//! 2017).

use std::hash::{BuildHasher as _, Hash};

use foldhash::quality::FixedState;

/// The highest count that is told from a higher one.
const MOST: u8 = u8::MAX;

/// See the module.
#[derive(Clone)]
pub(super) struct Ghosts {
    counters: Box<[u8]>,
    state: FixedState,
}

impl std::fmt::Debug for Ghosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ghosts")
            .field("counters", &self.counters.len())
            .finish_non_exhaustive()
    }
}

impl Ghosts {
    /// Room for about `keys` keys, 16 to 32 bytes each; `seed` decides which keys share counters, so
    /// that nobody outside can choose it.
    #[must_use]
    pub(super) fn new(keys: usize, seed: u64) -> Self {
        let counters = keys.saturating_mul(16).max(16).next_power_of_two();
        Self {
            counters: vec![0; counters].into_boxed_slice(),
            state: FixedState::with_seed(seed),
        }
    }

    /// How often `key` was asked for, or a little more.
    #[must_use]
    pub(super) fn count(&self, key: impl Hash) -> u8 {
        let counters = self.places(key).map(|at| self.counters[at]);
        counters.into_iter().min().unwrap_or(0)
    }

    /// Remembers that `key` was asked for `count` times, or more often if that is known already.
    pub(super) fn remember(&mut self, key: impl Hash, count: u32) {
        let count = u8::try_from(count).unwrap_or(MOST);
        for at in self.places(key) {
            self.counters[at] = self.counters[at].max(count);
        }
    }

    /// Halves all counts.
    pub(super) fn fade(&mut self) {
        self.counters.iter_mut().for_each(|count| *count /= 2);
    }

    /// The counters of a key: four draws from one hash (Kirsch and Mitzenmacher, 2006).
    fn places(&self, key: impl Hash) -> [usize; 4] {
        let hash = self.state.hash_one(key);
        let step = hash.rotate_right(32) | 1;
        let mask = self.counters.len() as u64 - 1;
        let place = |row: u64| hash.wrapping_add(row.wrapping_mul(step)) & mask;
        [0, 1, 2, 3].map(|row| usize::try_from(place(row)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_highest_count_until_it_fades() {
        let mut ghosts = Ghosts::new(100, 1);
        ghosts.remember("/a", 5);
        ghosts.remember("/a", 3);
        assert_eq!((ghosts.count("/a"), ghosts.count("/b")), (5, 0));
        ghosts.fade();
        assert_eq!(ghosts.count("/a"), 2);
        ghosts.remember("/a", 100_000);
        assert_eq!(ghosts.count("/a"), MOST);
    }

    #[test]
    fn strangers_are_seldom_taken_for_acquaintances() {
        let mut ghosts = Ghosts::new(1_000, 7);
        (0..1_000).for_each(|key| ghosts.remember(key, 9));
        let mistaken = (1_000..11_000).filter(|key| ghosts.count(key) > 0).count();
        assert!(mistaken < 200, "{mistaken} of 10,000");
        assert!((0..1_000).all(|key| ghosts.count(key) == 9));
    }
}
