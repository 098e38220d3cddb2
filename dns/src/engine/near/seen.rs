//! The networks that one answering engine was asked for, on their way to the learner.
//!
//! Each network is told once in a while and not with every question, by a small direct-mapped table;
//! what waits to be told is bounded. Both cost a few nanoseconds a question and allocate nothing but
//! the list that is handed over.

use std::time::Duration;

use common::clock::Moment;

use super::Network;

/// Networks remembered as told. Where two share a place, both are told more often: that costs the
/// learner a look each.
const PLACES: usize = 1 << PLACES_BITS;
const PLACES_BITS: u32 = 10;

/// A network that is still asked for is told again after so long, so that the learner knows which
/// are in use.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Networks in one list; further ones until it is handed over are told when they are asked for again.
pub const LIST_MAX: usize = 64;

/// Between two lists that are not full.
const LIST_EVERY: Duration = Duration::from_millis(50);

/// See the module.
#[derive(Clone, Debug)]
pub struct Seen {
    told: Box<[(Option<Network>, Moment)]>,
    list: Vec<Network>,
    handed: Option<Moment>,
    untold: u64,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            told: vec![(None, Moment::ZERO); PLACES].into(),
            list: Vec::new(),
            handed: None,
            untold: 0,
        }
    }
}

impl Seen {
    /// A question about proxies came for `network`.
    pub fn saw(&mut self, now: Moment, network: Network) {
        let place = usize::try_from(network.spread() >> (u64::BITS - PLACES_BITS)).unwrap_or(0);
        let Some((told, at)) = self.told.get_mut(place) else {
            return;
        };
        if *told == Some(network) && now.since(*at) < AGAIN_AFTER {
            return;
        }
        if self.list.len() >= LIST_MAX {
            self.untold += 1;
            return;
        }
        (*told, *at) = (Some(network), now);
        self.list.push(network);
    }

    /// The networks to tell the learner of, if there are some and it is time.
    pub fn take(&mut self, now: Moment) -> Option<Vec<Network>> {
        let early = |at| now.since(at) < LIST_EVERY && self.list.len() < LIST_MAX;
        if self.list.is_empty() || self.handed.is_some_and(early) {
            return None;
        }
        self.handed = Some(now);
        Some(std::mem::take(&mut self.list))
    }

    /// Networks that could not be told, because the list was full.
    #[must_use]
    pub const fn untold(&self) -> u64 {
        self.untold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(n: u32) -> Network {
        Network::of(std::net::Ipv4Addr::from_bits(n << 8).into())
    }

    fn at(millis: u64) -> Moment {
        Moment::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_network_is_told_at_once_and_again_only_after_a_while() {
        let mut seen = Seen::default();
        seen.saw(at(0), network(1));
        assert_eq!(seen.take(at(0)), Some(vec![network(1)]));
        for millis in 1..30_000 {
            seen.saw(at(millis), network(1));
            assert_eq!(seen.take(at(millis)), None);
        }
        seen.saw(at(30_000), network(1));
        assert_eq!(seen.take(at(30_000)), Some(vec![network(1)]));
    }

    #[test]
    fn lists_come_every_50_ms_at_most() {
        let mut seen = Seen::default();
        seen.saw(at(0), network(1));
        seen.take(at(0)).unwrap();
        seen.saw(at(1), network(2));
        seen.saw(at(2), network(3));
        assert_eq!(seen.take(at(49)), None);
        assert_eq!(seen.take(at(50)), Some(vec![network(2), network(3)]));
    }

    #[test]
    fn a_full_list_goes_at_once_and_the_rest_is_counted_and_comes_again() {
        let mut seen = Seen::default();
        for n in 0..1_000 {
            seen.saw(at(0), network(n));
        }
        assert_eq!(seen.take(at(0)).unwrap().len(), LIST_MAX);
        assert_eq!(seen.untold(), 1_000 - LIST_MAX as u64);
        seen.saw(at(1), network(999));
        assert_eq!(seen.take(at(51)), Some(vec![network(999)]));
    }
}
