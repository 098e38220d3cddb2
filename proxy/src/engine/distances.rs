//! How far real clients are from here, by prefix, and which of it the index is to be told.
//!
//! Told the round trip that the kernel measured on a connection that a client opened anyway; nobody
//! is pinged or traced. Name servers look the hints up to name near proxies first.
//!
//! The estimate of a prefix is its lowest round trip, forgotten slowly: queues and slow links only
//! ever add. A prefix is told when it is first measured, again when its estimate has moved by a
//! quarter, and again in the middle of a hint's life if clients still come; the farther, the shorter
//! that is, so that the index keeps those of near proxies. At most so many a second
//! are told, in the order in which they became due. Both tables are bounded.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use common::clock::Moment;
use common::nearness::hint_life;
use common::netaddr::{Prefix, SpecialUse, special_use};
use lru::LruCache;

/// Prefixes remembered; the one heard of least recently is forgotten. Each costs about 100 bytes.
pub const PREFIXES_MAX: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Prefixes that wait to be told; further ones wait for their next client.
pub const WAITING_MAX: usize = 1_024;

/// Round trips beyond this say that this node is nowhere near: not worth a hint, and the index takes
/// none.
pub const FAR: Duration = Duration::from_secs(2);

/// Between two hints about one prefix, at least, however its estimate moves.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Part of the way by which the estimate follows a longer round trip: an eighth, so that one crowded
/// moment says little and a changed route is believed after a dozen connections.
const FORGET_DIVISOR: u32 = 8;

/// Part of an estimate by which it has to move to be told again.
const MOVED_DIVISOR: u32 = 4;

/// What the index is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hint {
    /// The first address of the prefix.
    pub client: IpAddr,
    /// How far its clients are.
    pub rtt: Duration,
    /// How long the index is to keep it.
    pub ttl: Duration,
}

/// Why a measurement is not kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Unkept {
    /// The kernel had no estimate.
    Unknown,
    /// It is longer than [`FAR`].
    Far,
    /// The address says nothing about where the client is: other networks have it too.
    Private,
}

impl Unkept {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 3] = [Self::Unknown, Self::Far, Self::Private];

    /// The word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Far => "far",
            Self::Private => "private",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Known {
    rtt: Duration,
    told: Option<(Moment, Duration)>,
    waits: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Distances {
    known: LruCache<Prefix, Known>,
    waiting: VecDeque<Prefix>,
    /// How long the index keeps a hint of no distance.
    ttl: Duration,
    /// Between two hints of any prefix.
    pace: Duration,
    next: Moment,
    crowded: u64,
}

impl Distances {
    /// A table that tells hints which last `ttl` if their clients are no distance away, one per `pace`.
    #[must_use]
    pub fn new(ttl: Duration, pace: Duration) -> Self {
        Self {
            known: LruCache::new(PREFIXES_MAX),
            waiting: VecDeque::new(),
            ttl,
            pace,
            next: Moment::ZERO,
            crowded: 0,
        }
    }

    /// A connection of `client` ended whose round trip was `rtt`.
    ///
    /// # Errors
    /// Why that says nothing.
    pub fn measured(&mut self, now: Moment, client: IpAddr, rtt: Duration) -> Result<(), Unkept> {
        if rtt.is_zero() {
            return Err(Unkept::Unknown);
        }
        if rtt > FAR {
            return Err(Unkept::Far);
        }
        // Loopback is this very machine, which is as near as can be.
        if special_use(client).is_some_and(|kind| kind != SpecialUse::Loopback) {
            return Err(Unkept::Private);
        }
        let prefix = Prefix::of(client);
        let known = self.known.get_or_insert_mut(prefix, || Known {
            rtt,
            told: None,
            waits: false,
        });
        known.rtt = match rtt.checked_sub(known.rtt) {
            Some(more) => known.rtt + more / FORGET_DIVISOR,
            None => rtt,
        };
        if known.waits || !known.is_due(now, self.ttl) {
            return Ok(());
        }
        if self.waiting.len() >= WAITING_MAX {
            self.crowded += 1;
            return Ok(());
        }
        known.waits = true;
        self.waiting.push_back(prefix);
        Ok(())
    }

    /// The next hint to tell, if there is one and it is time.
    pub fn due(&mut self, now: Moment) -> Option<Hint> {
        if now < self.next {
            return None;
        }
        loop {
            let prefix = self.waiting.pop_front()?;
            // What was forgotten while it waited is not worth a hint.
            let Some(known) = self.known.peek_mut(&prefix) else {
                continue;
            };
            known.waits = false;
            known.told = Some((now, known.rtt));
            self.next = now + self.pace;
            return Some(Hint {
                client: prefix.network(),
                rtt: known.rtt,
                ttl: hint_life(known.rtt, self.ttl),
            });
        }
    }

    /// The index did not take the hint about `client`: it is told again when the next one comes.
    pub fn untold(&mut self, client: IpAddr) {
        if let Some(known) = self.known.peek_mut(&Prefix::of(client)) {
            known.told = None;
        }
    }

    /// Prefixes known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Prefixes that wait to be told.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Prefixes that could not wait, because as many as may did.
    #[must_use]
    pub const fn crowded(&self) -> u64 {
        self.crowded
    }

    /// Up to `count` prefixes and how far they are, the latest first.
    pub fn latest(&self, count: usize) -> impl Iterator<Item = (IpAddr, Duration)> {
        let known = self.known.iter().take(count);
        known.map(|(prefix, known)| (prefix.network(), known.rtt))
    }
}

impl Known {
    fn is_due(&self, now: Moment, ttl: Duration) -> bool {
        let Some((at, rtt)) = self.told else {
            return true;
        };
        let age = now.since(at);
        let moved = self.rtt.abs_diff(rtt) > rtt / MOVED_DIVISOR;
        age >= hint_life(rtt, ttl) / 2 || (moved && age >= AGAIN_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(3_600);
    const PACE: Duration = Duration::from_millis(500);

    fn table() -> Distances {
        Distances::new(TTL, PACE)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    /// Address `n` of as many public networks.
    fn far_and_wide(n: u32) -> IpAddr {
        IpAddr::from((0x5000_0000 + (n << 8)).to_be_bytes())
    }

    #[test]
    fn the_first_measurement_of_a_prefix_is_told_once_for_all_its_clients() {
        let mut distances = table();
        distances.measured(at(0), ip("81.2.3.4"), ms(20)).unwrap();
        distances.measured(at(0), ip("81.2.3.99"), ms(18)).unwrap();
        let hint = Hint {
            client: ip("81.2.3.0"),
            rtt: ms(18),
            ttl: Duration::from_secs(2_250),
        };
        assert_eq!(distances.due(at(1)), Some(hint));
        assert_eq!(distances.due(at(9)), None);
        distances.measured(at(10), ip("81.2.3.4"), ms(18)).unwrap();
        assert_eq!(distances.due(at(20)), None, "nothing new");
    }

    #[test]
    fn a_queue_moves_the_estimate_little_and_a_new_route_moves_it() {
        let mut distances = table();
        distances.measured(at(0), ip("81.2.3.4"), ms(20)).unwrap();
        distances.due(at(1)).unwrap();
        distances.measured(at(2), ip("81.2.3.4"), ms(52)).unwrap();
        assert_eq!(distances.latest(1).next(), Some((ip("81.2.3.0"), ms(24))));
        assert_eq!(distances.due(at(3)), None, "too little to tell");
        for second in 4..40 {
            distances
                .measured(at(second), ip("81.2.3.4"), ms(52))
                .unwrap();
        }
        assert_eq!(distances.due(at(40)), None, "told a minute ago at most");
        distances.measured(at(62), ip("81.2.3.4"), ms(52)).unwrap();
        let rtt = distances.due(at(62)).unwrap().rtt;
        assert!(rtt > ms(45) && rtt <= ms(52), "{rtt:?}");
    }

    #[test]
    fn a_hint_is_renewed_in_the_middle_of_its_life_if_clients_still_come() {
        let mut distances = table();
        distances.measured(at(0), ip("81.2.3.4"), ms(20)).unwrap();
        distances.due(at(0)).unwrap();
        distances
            .measured(at(1_079), ip("81.2.3.4"), ms(20))
            .unwrap();
        assert_eq!(distances.due(at(1_079)), None);
        distances
            .measured(at(1_080), ip("81.2.3.4"), ms(20))
            .unwrap();
        assert!(distances.due(at(1_080)).is_some());
    }

    #[test]
    fn hints_keep_their_pace_and_one_that_the_index_refused_comes_again() {
        let mut distances = table();
        for n in 0..3 {
            distances.measured(at(0), far_and_wide(n), ms(9)).unwrap();
        }
        let first = distances.due(at(0)).unwrap();
        assert_eq!(distances.due(at(0)), None, "half a second between two");
        assert!(distances.due(at(1)).is_some() && distances.due(at(2)).is_some());
        distances.untold(first.client);
        distances.measured(at(3), first.client, ms(9)).unwrap();
        assert_eq!(distances.due(at(3)), Some(first));
    }

    #[test]
    fn what_says_nothing_is_not_kept() {
        let mut distances = table();
        for (client, rtt, why) in [
            ("81.2.3.4", ms(0), Unkept::Unknown),
            ("81.2.3.4", ms(2_001), Unkept::Far),
            ("192.168.1.7", ms(3), Unkept::Private),
            ("::ffff:10.0.0.1", ms(3), Unkept::Private),
            ("fd00::1", ms(3), Unkept::Private),
        ] {
            assert_eq!(
                distances.measured(at(0), ip(client), rtt),
                Err(why),
                "{client}"
            );
        }
        assert!(distances.is_empty());
        distances.measured(at(0), ip("127.0.0.1"), ms(1)).unwrap();
    }

    #[test]
    fn both_tables_are_bounded_and_the_crowded_out_come_again() {
        let mut distances = table();
        let many = u32::try_from(PREFIXES_MAX.get()).unwrap() + 100;
        for n in 0..many {
            distances.measured(at(0), far_and_wide(n), ms(9)).unwrap();
        }
        assert_eq!(distances.len(), PREFIXES_MAX.get());
        assert_eq!(distances.waiting(), WAITING_MAX);
        assert_eq!(distances.crowded(), u64::from(many) - 1_024);
        // The first to wait were forgotten since: their turn goes to the next that is known.
        let last = far_and_wide(many - 1);
        let hint = distances.due(at(0)).unwrap();
        assert_ne!(hint.client, far_and_wide(0));
        distances.measured(at(1), last, ms(9)).unwrap();
        let told = (2..2_000).filter_map(|second| distances.due(at(second)));
        assert!(told.map(|hint| hint.client).any(|client| client == last));
    }
}
