//! Signatures made lately, so that the same record set is not signed twice: a bounded table, least
//! recently used first out. And the bound on new ones, so that questions for random names cannot take
//! the whole processor.
//!
//! What was asked for once has a quarter of the table, and what was asked for again the rest: questions
//! for random names, each asked once, push out only each other.
//!
//! An entry is found by the digest of what was signed, so it can never be stale in content; only its
//! times end its use.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use common::clock::{Moment, WallTime};
use lru::LruCache;

use super::signer::SIGNATURE;

/// Digest of a key's tag and a canonical record set.
pub type Digest = [u8; 32];

/// Over this time new signatures are counted.
const WINDOW: Duration = Duration::from_secs(1);

/// A signature and when it holds, in seconds of the calendar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signed {
    /// The signature.
    pub signature: [u8; SIGNATURE],
    /// Not before.
    pub inception: WallTime,
    /// Not after.
    pub expiration: WallTime,
}

/// One part in so many of the table is for what was asked for once.
const ONCE_PART: usize = 4;

/// Bounds of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheConfig {
    /// Signatures kept, about 250 bytes each.
    pub entries: NonZeroUsize,
    /// New signatures in a second. One costs about 20 microseconds.
    pub fresh_per_second: u32,
}

impl CacheConfig {
    /// Room for what was asked for once.
    const fn once(self) -> usize {
        self.entries.get().div_ceil(ONCE_PART)
    }

    /// Room for what was asked for again.
    const fn again(self) -> usize {
        self.entries.get() - self.once()
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            entries: NonZeroUsize::MIN.saturating_add(16_383),
            fresh_per_second: 10_000,
        }
    }
}

/// What came of looking for signatures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SignStats {
    /// Found.
    pub reused: u64,
    /// Made.
    pub made: u64,
    /// Not made, because as many as allowed were made in this second.
    pub refused: u64,
}

impl SignStats {
    /// Adds what another thread counted.
    pub const fn merge(&mut self, other: Self) {
        self.reused = self.reused.wrapping_add(other.reused);
        self.made = self.made.wrapping_add(other.made);
        self.refused = self.refused.wrapping_add(other.refused);
    }
}

/// The table.
pub struct SignatureCache {
    once: LruCache<Digest, Signed>,
    again: LruCache<Digest, Signed>,
    config: CacheConfig,
    window: Moment,
    made_in_window: u32,
    stats: SignStats,
}

impl SignatureCache {
    /// An empty table.
    #[must_use]
    pub fn new(config: CacheConfig) -> Self {
        Self {
            // Grows with use: a zone that is not signed has none.
            once: LruCache::unbounded(),
            again: LruCache::unbounded(),
            config,
            window: Moment::ZERO,
            made_in_window: 0,
            stats: SignStats::default(),
        }
    }

    /// The signature for `digest`, if one is there of whose `life` at least half is left.
    pub fn find(&mut self, digest: &Digest, life: Duration, wall: WallTime) -> Option<Signed> {
        let signed = match self.again.get(digest) {
            Some(signed) => *signed,
            None => {
                let signed = self.once.pop(digest)?;
                put(&mut self.again, self.config.again(), *digest, signed);
                signed
            }
        };
        // A clock that was set back may lie before the signature's own beginning.
        let begun = signed.inception <= wall;
        let fresh = signed.expiration.since(wall) >= life / 2;
        if begun && fresh {
            self.stats.reused += 1;
            return Some(signed);
        }
        None
    }

    /// Whether one more may be made now; counts it.
    pub fn may_make(&mut self, now: Moment) -> bool {
        if now.since(self.window) >= WINDOW {
            self.window = now;
            self.made_in_window = 0;
        }
        if self.made_in_window >= self.config.fresh_per_second {
            self.stats.refused += 1;
            return false;
        }
        self.made_in_window += 1;
        self.stats.made += 1;
        true
    }

    /// Keeps `signed`.
    pub fn keep(&mut self, digest: Digest, signed: Signed) {
        match self.again.get_mut(&digest) {
            Some(old) => *old = signed,
            None => put(&mut self.once, self.config.once(), digest, signed),
        }
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.once.len() + self.again.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> SignStats {
        self.stats
    }
}

/// Puts `signed` into a table of at most `most`, or of one.
fn put(table: &mut LruCache<Digest, Signed>, most: usize, digest: Digest, signed: Signed) {
    while table.len() >= most.max(1) {
        table.pop_lru();
    }
    table.put(digest, signed);
}

impl Clone for SignatureCache {
    /// An empty table with the same bounds: what is in it belongs to one thread.
    fn clone(&self) -> Self {
        Self::new(self.config)
    }
}

impl fmt::Debug for SignatureCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureCache")
            .field("len", &self.len())
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(100);

    fn cache(entries: usize, fresh_per_second: u32) -> SignatureCache {
        let entries = NonZeroUsize::new(entries).unwrap();
        SignatureCache::new(CacheConfig {
            entries,
            fresh_per_second,
        })
    }

    fn signed(at: i64) -> Signed {
        Signed {
            signature: [0; SIGNATURE],
            inception: WallTime::from_unix(at - 50),
            expiration: WallTime::from_unix(at + 100),
        }
    }

    #[test]
    fn the_table_never_grows_beyond_its_bound_and_keeps_what_is_used() {
        let mut cache = cache(2, 100);
        let wall = WallTime::from_unix(1_000);
        for n in 0..10 {
            cache.keep([n; 32], signed(1_000));
            assert!(cache.find(&[0; 32], LIFE, wall).is_some());
        }
        assert_eq!(cache.len(), 2);
        assert!(cache.find(&[5; 32], LIFE, wall).is_none());
    }

    #[test]
    fn names_that_are_asked_for_once_push_out_none_that_were_asked_for_again() {
        let mut cache = cache(8, 100);
        let wall = WallTime::from_unix(1_000);
        for n in 0..6 {
            cache.keep([n; 32], signed(1_000));
            assert!(cache.find(&[n; 32], LIFE, wall).is_some());
        }
        for n in 100..200 {
            cache.keep([n; 32], signed(1_000));
            assert!(cache.len() <= 8);
        }
        let known = |n: u8| cache.find(&[n; 32], LIFE, wall).is_some();
        assert!((0..6).all(known));
    }

    #[test]
    fn a_signature_is_used_for_half_its_life_and_not_before_its_beginning() {
        let mut cache = cache(2, 100);
        cache.keep([1; 32], signed(1_000));
        for (at, found) in [(949, false), (950, true), (1_050, true), (1_051, false)] {
            let wall = WallTime::from_unix(at);
            assert_eq!(cache.find(&[1; 32], LIFE, wall).is_some(), found, "{at}");
        }
    }

    #[test]
    fn more_signatures_than_allowed_in_a_second_are_refused_and_counted() {
        let mut cache = cache(2, 3);
        let made = (0..5).filter(|_| cache.may_make(Moment::ZERO)).count();
        assert_eq!((made, cache.stats().refused), (3, 2));
        assert!(cache.may_make(Moment::from_millis(1_000)));
    }
}
