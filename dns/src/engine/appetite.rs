//! How many proxies to ask the local index for at a time: more while its answers bring unknown ones,
//! else as few as keep the known ones from being forgotten.
//!
//! The index names proxies at random. With a fixed number a name server of a large network would know
//! only those that were named within [`FORGET_AFTER`](super::timers::FORGET_AFTER): of ten thousand with
//! 64 a second 3,600 at most, ever others. So, starting from nothing, half are known after 8 s, 95 %
//! after 18 s and 99 % after 29 s (the tests below), as far as the index itself knows them: one that
//! knows few names few.

use super::config::PROXIES_MAX;

/// Asked for at least. A small network is told whole.
pub const LEAST: usize = 64;

/// Asked for at most: half a mebibyte of answer, a few milliseconds of the index.
pub const MOST: usize = 2_048;

/// While more than one in so many of an answer are unknown, the next question is for twice as many.
const NEW_DIVISOR: usize = 16;

/// In quiet one in so many of the known ones is asked for: each is then named within a minute but for
/// one in three thousand, (7/8)^60.
const KNOWN_DIVISOR: usize = 8;

const _: () = assert!(LEAST <= MOST && PROXIES_MAX / KNOWN_DIVISOR <= MOST);

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appetite {
    count: usize,
}

impl Default for Appetite {
    fn default() -> Self {
        Self { count: LEAST }
    }
}

impl Appetite {
    /// How many to ask for now, from [`LEAST`] to [`MOST`].
    #[must_use]
    pub const fn count(self) -> usize {
        self.count
    }

    /// The index named so many proxies, so many of them `new`; with them so many are `known`.
    pub fn fed(&mut self, named: usize, new: usize, known: usize) {
        let quiet = (known / KNOWN_DIVISOR).max(LEAST);
        // Fewer than were asked for are all that it knows.
        let more = named >= self.count && new > named / NEW_DIVISOR;
        self.count = if more {
            self.count * 2
        } else {
            (self.count / 2).max(quiet)
        };
        self.count = self.count.min(MOST);
    }

    /// The index did not answer: if that was too much for it, the next question is for less.
    pub fn unanswered(&mut self) {
        self.count = (self.count / 2).max(LEAST);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use common::clock::Moment;
    use common::rng::Generator;

    use super::*;
    use crate::engine::output::Candidate;
    use crate::engine::pool::{Mention, Pool};
    use crate::engine::timers::{FORGET_EVERY, REFRESH_EVERY};

    /// So many seconds of a name server that knew nobody, beside an index that knows `all`: how many it
    /// knew in each, and how many it had asked for. With `fixed` it always asks for as many.
    fn learn(all: usize, seconds: usize, fixed: Option<usize>) -> Vec<(usize, usize)> {
        let (mut pool, mut rng) = (Pool::new("ns1".to_owned(), 0), Generator::from_seed(1));
        let (mut appetite, mut now) = (Appetite::default(), Moment::ZERO);
        let mut forget_at = now + FORGET_EVERY;
        let mut order: Vec<usize> = (0..all).collect();
        let mut course = Vec::new();
        for _ in 0..seconds {
            let count = fixed.unwrap_or(appetite.count()).min(all);
            let mut new = 0;
            for at in 0..count {
                let other = at + rng.below(all - at);
                order.swap(at, other);
                let octets = u32::try_from(order[at]).unwrap().to_be_bytes();
                let http = SocketAddr::from(([10, octets[1], octets[2], octets[3]], 80));
                let candidate = Candidate {
                    http,
                    index: http,
                    rtt: Some(Duration::from_millis(100)),
                };
                new += usize::from(pool.mention(candidate, now) == Mention::New);
            }
            appetite.fed(count, new, pool.len());
            course.push((pool.len(), count));
            now = now + REFRESH_EVERY;
            if now >= forget_at {
                forget_at = now + FORGET_EVERY;
                pool.forget(now);
            }
        }
        course
    }

    #[test]
    fn of_ten_thousand_nearly_all_are_known_within_half_a_minute_and_stay_known() {
        let course = learn(PROXIES_MAX, 600, None);
        let until = |part: usize| {
            let reached = course.iter().position(|(known, _)| *known >= part);
            reached.map(|at| at + 1)
        };
        let (half, most, nearly) = (until(5_000), until(9_500), until(9_900));
        assert!(half.unwrap() <= 10 && most.unwrap() <= 25 && nearly.unwrap() <= 35);
        assert!(course[60..].iter().all(|(known, _)| *known >= 9_900));
        assert!(course[60..].iter().all(|(_, count)| *count <= 1_250));
        assert!(
            course
                .iter()
                .all(|(_, count)| (LEAST..=MOST).contains(count))
        );
    }

    #[test]
    fn a_fixed_appetite_would_never_know_them() {
        let course = learn(PROXIES_MAX, 600, Some(LEAST));
        let most = course.iter().map(|(known, _)| *known).max();
        assert!(most.unwrap() < 4_000);
    }

    #[test]
    fn a_small_network_is_asked_for_as_little_as_can_be() {
        let course = learn(30, 60, None);
        assert!(course.iter().all(|(known, _)| *known == 30));
        let mut appetite = Appetite::default();
        appetite.fed(30, 30, 30);
        assert_eq!(appetite.count(), LEAST);
    }

    #[test]
    fn an_index_that_does_not_answer_is_asked_for_less_and_never_for_too_little() {
        let mut appetite = Appetite { count: MOST };
        appetite.unanswered();
        assert_eq!(appetite.count(), MOST / 2);
        for _ in 0..10 {
            appetite.unanswered();
        }
        assert_eq!(appetite.count(), LEAST);
    }
}
