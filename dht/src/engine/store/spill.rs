//! When a node says "not here": how often each key is asked for, and what leaks past a hot one.
//!
//! A node is *loaded* for a key when it had more than `beta` requests for it within a minute. A
//! loaded node that is also full turns stores away, all but one per leak interval: that one passes
//! on, and refreshes the nodes nearer the key (NSDI'04 §3). Counts only; what is held is `store`'s.

use std::time::Duration;

use common::clock::Moment;
use common::expiring::ExpiringMap;
use common::ids::Key;

use crate::refusal::Refusal;

/// The window that `beta` is about.
const MINUTE: Duration = Duration::from_secs(60);

/// Stores let in at a crowded key per leak interval: what fills a node within one.
const LET_IN_PER_LEAK: u32 = 4;

/// Events in the last minute, from two half-overlapping windows: the whole of the present one and
/// the share of the one before that is still within a minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rate {
    began: Moment,
    current: u32,
    before: u32,
}

impl Rate {
    const fn new(now: Moment) -> Self {
        Self {
            began: now,
            current: 0,
            before: 0,
        }
    }

    fn roll(&mut self, now: Moment) {
        let age = now.since(self.began);
        if age < MINUTE {
            return;
        }
        self.before = if age < 2 * MINUTE { self.current } else { 0 };
        self.current = 0;
        // Windows stay aligned, so that a steady stream is never counted twice.
        self.began = if age < 2 * MINUTE {
            self.began + MINUTE
        } else {
            now
        };
    }

    fn count(&mut self, now: Moment) {
        self.roll(now);
        self.current = self.current.saturating_add(1);
    }

    fn within_a_minute(&mut self, now: Moment) -> u32 {
        self.roll(now);
        let left = MINUTE.saturating_sub(now.since(self.began)).as_millis();
        let share = u128::from(self.before) * left / MINUTE.as_millis();
        self.current
            .saturating_add(u32::try_from(share).unwrap_or(u32::MAX))
    }
}

#[derive(Clone, Copy, Debug)]
struct Load {
    requests: Rate,
    stores: Rate,
    leaked: Option<Moment>,
    let_in: Option<Moment>,
    gets: Budget,
    puts: Budget,
}

/// A token bucket as one moment: when it will be full again (the generic cell rate algorithm of
/// ITU-T I.371). It holds a second's worth.
#[derive(Clone, Copy, Debug, Default)]
struct Budget(Option<Moment>);

impl Budget {
    /// Takes one token of a bucket that fills at `per_second`. Says whether there was one.
    fn take(&mut self, now: Moment, per_second: u32) -> bool {
        let each = Duration::from_secs(1) / per_second.max(1);
        let full = self.0.map_or(now, |full| full.max(now)) + each;
        let admitted = full.since(now) <= Duration::from_secs(1);
        if admitted {
            self.0 = Some(full);
        }
        admitted
    }
}

/// The load of every key lately asked for, at most so many; of too many, the one asked for longest
/// ago is forgotten and counts as cold.
#[derive(Clone, Debug)]
pub struct Spill {
    beta: u32,
    leak_every: Duration,
    gets_per_second: u32,
    puts_per_second: u32,
    loads: ExpiringMap<Key, Load>,
}

impl Spill {
    /// Nothing asked for yet. `beta` requests per minute and key; one store in `leak_every` passes
    /// a loaded node; `keys` remembered.
    #[must_use]
    pub fn new(beta: u32, leak_every: Duration, keys: usize) -> Self {
        Self {
            beta,
            leak_every,
            gets_per_second: u32::MAX,
            puts_per_second: u32::MAX,
            loads: ExpiringMap::new(keys),
        }
    }

    /// The same with at most so many gets and puts a second under one key. Without it there is no
    /// bound to speak of.
    #[must_use]
    pub const fn limited(mut self, gets_per_second: u32, puts_per_second: u32) -> Self {
        self.gets_per_second = gets_per_second;
        self.puts_per_second = puts_per_second;
        self
    }

    /// Keys remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.loads.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.loads.is_empty()
    }

    /// One more request for `key`. Says whether the node is loaded for it.
    ///
    /// # Errors
    /// [`Refusal::KeyRate`]: the key's budget of gets is used up.
    pub fn asked(&mut self, now: Moment, key: Key) -> Result<bool, Refusal> {
        let (beta, per_second) = (self.beta, self.gets_per_second);
        self.change(now, key, |load| {
            load.requests.count(now);
            if load.gets.take(now, per_second) {
                Ok(load.requests.within_a_minute(now) > beta)
            } else {
                Err(Refusal::KeyRate)
            }
        })
    }

    /// One more attempt to store under `key`. Says whether the node is loaded, except to the one
    /// attempt per leak interval that shall pass.
    pub fn offered(&mut self, now: Moment, key: Key) -> bool {
        let (beta, every) = (self.beta, self.leak_every);
        self.change(now, key, |load| {
            load.requests.count(now);
            if load.requests.within_a_minute(now) <= beta {
                return false;
            }
            let due = load.leaked.is_none_or(|last| now.since(last) >= every);
            if due {
                load.leaked = Some(now);
            }
            !due
        })
    }

    /// A value is about to be stored under `key`. Says whether that is one too many in a minute
    /// for a node that is full: others got in first.
    ///
    /// # Errors
    /// [`Refusal::KeyRate`]: the key's budget of puts is used up.
    pub fn stores(&mut self, now: Moment, key: Key) -> Result<bool, Refusal> {
        let (beta, per_second) = (self.beta, self.puts_per_second);
        self.change(now, key, |load| {
            load.stores.count(now);
            if load.puts.take(now, per_second) {
                Ok(load.stores.within_a_minute(now) > beta)
            } else {
                Err(Refusal::KeyRate)
            }
        })
    }

    /// Whether more is stored under `key` than should be within a minute.
    pub fn is_crowded(&mut self, now: Moment, key: Key) -> bool {
        let beta = self.beta;
        self.change(now, key, |load| load.stores.within_a_minute(now) > beta)
    }

    /// Somebody wants to store under a key that is crowded and yet not full. Says whether it may:
    /// room is given to one after the other, or all who ask before the first store arrives come.
    pub fn lets_in(&mut self, now: Moment, key: Key) -> bool {
        let every = self.leak_every / LET_IN_PER_LEAK;
        self.change(now, key, |load| {
            let may = load.let_in.is_none_or(|last| now.since(last) >= every);
            if may {
                load.let_in = Some(now);
            }
            may
        })
    }

    fn change<T>(&mut self, now: Moment, key: Key, change: impl FnOnce(&mut Load) -> T) -> T {
        while self.loads.expire(now).is_some() {}
        let until = now + 2 * MINUTE;
        if let Some(load) = self.loads.extend(&key, until) {
            return change(load);
        }
        let mut load = Load {
            requests: Rate::new(now),
            stores: Rate::new(now),
            leaked: None,
            let_in: None,
            gets: Budget::default(),
            puts: Budget::default(),
        };
        let said = change(&mut load);
        self.loads.insert(key, load, until);
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key::from_bytes([1; 20]);

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    fn spill() -> Spill {
        Spill::new(12, Duration::from_secs(5), 3)
    }

    #[test]
    fn is_loaded_by_the_thirteenth_request_of_a_minute_and_recovers() {
        let mut spill = spill();
        for _ in 0..12 {
            assert_eq!(spill.asked(at(10), KEY), Ok(false));
        }
        assert_eq!(spill.asked(at(11), KEY), Ok(true));
        assert_eq!(spill.asked(at(200), KEY), Ok(false));
    }

    #[test]
    fn a_steady_stream_at_the_limit_never_loads_and_just_above_it_does() {
        let mut spill = spill();
        assert!((0..200).all(|n| spill.asked(at(n * 6), KEY) == Ok(false)));
        let mut faster = Spill::new(12, Duration::from_secs(5), 3);
        assert!((0..200).any(|n| faster.asked(at(n * 4), KEY) == Ok(true)));
    }

    #[test]
    fn one_store_in_five_seconds_passes_a_loaded_node() {
        let mut spill = spill();
        (0..12).for_each(|_| assert!(!spill.offered(at(0), KEY)));
        let passed = (0..6_000u64)
            .filter(|n| !spill.offered(Moment::from_millis(1_000 + n * 10), KEY))
            .count();
        assert_eq!(passed, 12, "beta a minute");
    }

    #[test]
    fn a_key_over_its_budget_is_refused_and_no_other_key_feels_it() {
        let mut spill = spill().limited(100, 10);
        let admitted = |spill: &mut Spill, second: u64| {
            let gets = (0..500).filter(|_| spill.asked(at(second), KEY).is_ok());
            let gets = gets.count();
            let puts = (0..500).filter(|_| spill.stores(at(second), KEY).is_ok());
            (gets, puts.count())
        };
        assert_eq!(admitted(&mut spill, 10), (100, 10));
        assert_eq!(admitted(&mut spill, 10), (0, 0));
        assert_eq!(spill.asked(at(10), KEY), Err(Refusal::KeyRate));
        let other = Key::from_bytes([2; 20]);
        assert!(spill.asked(at(10), other).is_ok() && spill.stores(at(10), other).is_ok());
        assert_eq!(admitted(&mut spill, 11), (100, 10));
    }

    #[test]
    fn keeps_count_of_so_many_keys_only() {
        let mut spill = spill();
        for n in 0..9u8 {
            let asked = spill.asked(at(u64::from(n)), Key::from_bytes([n; 20]));
            assert!(asked.is_ok());
        }
        assert_eq!(spill.len(), 3);
        assert!(spill.asked(at(500), KEY).is_ok());
        assert_eq!(spill.len(), 1);
    }
}
