//! The order of what is told to the index about one key: one word at a time, the last one wins.
//!
//! A claim, a pointer and a withdrawal that are under way at once may arrive in any order, and a
//! claim that lands after its withdrawal sends others to somebody who has nothing. So a word waits
//! until the one before it has been answered or given up; of those that wait only the newest is
//! said. Withdrawals that did not arrive are said again, a bounded number of times; after that the
//! lease ends them.

use std::collections::HashMap;
use std::time::Duration;

use common::clock::Moment;
use common::expiring::ExpiringMap;

use super::http::key::PrimaryKey;
use super::pointer::Progress;

/// Keys with a word on its way; beyond that words are dropped, and a withdrawal is owed.
pub const UNDER_WAY_MAX: usize = 256;

/// Withdrawals owed; beyond that they are left to the lease.
pub const OWED_MAX: usize = 4_096;

/// How often a withdrawal is said again.
pub const AGAIN_MAX: u8 = 5;

/// Before a withdrawal is said again: doubled each time, so that five fit into a lease.
pub const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Something to tell the index about a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// It is here, or on its way, for so long.
    Here(Progress, Duration),
    /// It is not here any more.
    Gone,
}

/// What becomes of a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Say {
    /// It is to be said at once; tell [`Words::said`] when it has been.
    Now,
    /// It waits for the one before it.
    After,
    /// Too many are on their way.
    Dropped,
}

/// What is on its way about one key.
#[derive(Clone, Copy, Default, Debug)]
struct Flight {
    /// Words not answered yet: one, or several claims.
    count: u32,
    /// It is a withdrawal.
    gone: bool,
    /// How often that withdrawal was said before.
    again: u8,
    /// The word to say next.
    next: Option<Word>,
}

impl Flight {
    const fn of(word: Option<Word>, again: u8) -> Self {
        Self {
            count: 1,
            gone: matches!(word, Some(Word::Gone)),
            again,
            next: None,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Words {
    under_way: HashMap<PrimaryKey, Flight>,
    /// Withdrawals to say again, with how often they were said.
    owed: ExpiringMap<PrimaryKey, u8>,
}

impl Default for Words {
    fn default() -> Self {
        Self {
            under_way: HashMap::new(),
            owed: ExpiringMap::new(OWED_MAX),
        }
    }
}

impl Words {
    /// Whether a claim of `key` may be made now: not while a withdrawal is on its way, which might
    /// undo it. If so, [`said`](Self::said) is to be told when it is over.
    pub fn claim(&mut self, key: &PrimaryKey) -> bool {
        let Some(flight) = self.under_way.get_mut(key) else {
            self.owed.remove(key);
            self.under_way.insert(key.clone(), Flight::of(None, 0));
            return true;
        };
        let withdrawn = flight.gone || flight.next == Some(Word::Gone);
        flight.count += u32::from(!withdrawn);
        !withdrawn
    }

    /// There is a word to say.
    pub fn say(&mut self, now: Moment, key: &PrimaryKey, word: Word) -> Say {
        self.owed.remove(key);
        if let Some(flight) = self.under_way.get_mut(key) {
            flight.next = Some(word);
            return Say::After;
        }
        if self.under_way.len() >= UNDER_WAY_MAX {
            if word == Word::Gone {
                self.owe(now, key, 0);
            }
            return Say::Dropped;
        }
        self.under_way
            .insert(key.clone(), Flight::of(Some(word), 0));
        Say::Now
    }

    /// A word or claim was answered (`arrived`) or given up. Gives the next word to say of this key,
    /// of which this is to be told too.
    pub fn said(&mut self, now: Moment, key: &PrimaryKey, arrived: bool) -> Option<Word> {
        let flight = self.under_way.get_mut(key)?;
        flight.count = flight.count.saturating_sub(1);
        if flight.count > 0 {
            return None;
        }
        let over = *flight;
        if let Some(word) = over.next {
            *flight = Flight::of(Some(word), 0);
            return Some(word);
        }
        self.under_way.remove(key);
        if over.gone && !arrived && over.again < AGAIN_MAX {
            self.owe(now, key, over.again);
        }
        None
    }

    /// A key to withdraw once more, now; call until `None`, a bounded number of times per wake-up.
    pub fn due(&mut self, now: Moment) -> Option<PrimaryKey> {
        if self.under_way.len() >= UNDER_WAY_MAX {
            return None;
        }
        let (key, again) = self.owed.expire(now)?;
        let flight = Flight::of(Some(Word::Gone), again + 1);
        self.under_way.insert(key.clone(), flight);
        Some(key)
    }

    /// Withdrawals owed.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.owed.len()
    }

    fn owe(&mut self, now: Moment, key: &PrimaryKey, again: u8) {
        let due = now + AGAIN_AFTER * (1 << again);
        // The one evicted is left to its lease.
        let _ = self.owed.insert(key.clone(), again, due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::http::key::Scheme;

    const HERE: Word = Word::Here(Progress::Fetching, Duration::from_secs(20));

    fn key(n: usize) -> PrimaryKey {
        PrimaryKey::new(Scheme::Http, "example.com", 80, &format!("/{n}"))
    }

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn a_withdrawal_waits_for_the_claim_before_it() {
        let mut words = Words::default();
        assert!(words.claim(&key(1)));
        assert_eq!(words.say(at(0), &key(1), HERE), Say::After);
        assert_eq!(words.say(at(1), &key(1), Word::Gone), Say::After);
        // Late or not: only when the claim is over, and only the last word.
        let next = words.said(at(2), &key(1), false);
        assert_eq!(next, Some(Word::Gone));
        assert!(!words.claim(&key(1)), "not beside a withdrawal");
        assert_eq!(words.said(at(3), &key(1), true), None);
        assert_eq!(words.owed(), 0);
        assert!(words.claim(&key(1)));
    }

    #[test]
    fn a_withdrawal_that_did_not_arrive_is_said_again_a_few_times() {
        let mut words = Words::default();
        assert_eq!(words.say(at(0), &key(1), Word::Gone), Say::Now);
        let (mut now, mut times) = (0, 0);
        words.said(at(now), &key(1), false);
        while words.owed() > 0 {
            now += 100;
            while let Some(due) = words.due(at(now)) {
                times += 1;
                words.said(at(now), &due, false);
            }
            assert!(now < 60_000, "for ever");
        }
        assert_eq!(times, usize::from(AGAIN_MAX));
        assert!(now < 20_000, "within a lease");
    }

    #[test]
    fn what_comes_back_is_not_withdrawn_late() {
        let mut words = Words::default();
        words.say(at(0), &key(1), Word::Gone);
        words.said(at(0), &key(1), false);
        assert_eq!(words.say(at(1), &key(1), HERE), Say::Now);
        words.said(at(2), &key(1), true);
        assert_eq!(words.due(at(60_000)), None);
    }

    #[test]
    fn keeps_to_its_bounds() {
        let mut words = Words::default();
        for n in 0..UNDER_WAY_MAX {
            assert_eq!(words.say(at(0), &key(n), HERE), Say::Now);
        }
        assert_eq!(words.say(at(0), &key(9_999), HERE), Say::Dropped);
        for n in 0..2 * OWED_MAX {
            assert_eq!(words.say(at(0), &key(10_000 + n), Word::Gone), Say::Dropped);
        }
        assert_eq!(words.owed(), OWED_MAX);
    }
}
