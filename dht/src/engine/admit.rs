//! The gate: what a datagram must pass before anything reads its body.
//!
//! In this order, each check cheaper or surer than what it protects: form and network tag
//! (`common::wire`), the sender's id against the address the datagram came from, the receiver's
//! id, replays, and how much that source has sent. Whatever fails is dropped without a reply and
//! counted.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::clock::Moment;
use common::ids::{NodeId, TxId};
use common::wire::header;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::config::AdmitConfig;

/// Time one generation of the replay filter covers. Tokens hold for at most two minutes, so a
/// replayed write is either remembered here or refused there.
const GENERATION: Duration = Duration::from_secs(120);

/// Why a datagram was dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DropReason {
    /// Not a datagram of this network; the header says why.
    Header(header::DropReason),
    /// The sender's id does not follow from the address it came from.
    Sender,
    /// Meant for another node.
    Receiver,
    /// Seen before.
    Replay,
    /// Its source has sent too much.
    RateLimited,
    /// The body is not of its kind's form.
    Body,
    /// A reply to nothing this node asked.
    UnknownTransaction,
    /// Even the smallest reply would exceed the request of an unproven address.
    Unpadded,
}

impl DropReason {
    /// Every reason, for metrics.
    pub const ALL: [Self; 13] = [
        Self::Header(header::DropReason::ALL[0]),
        Self::Header(header::DropReason::ALL[1]),
        Self::Header(header::DropReason::ALL[2]),
        Self::Header(header::DropReason::ALL[3]),
        Self::Header(header::DropReason::ALL[4]),
        Self::Header(header::DropReason::ALL[5]),
        Self::Sender,
        Self::Receiver,
        Self::Replay,
        Self::RateLimited,
        Self::Body,
        Self::UnknownTransaction,
        Self::Unpadded,
    ];

    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Header(reason) => reason.as_str(),
            Self::Sender => "sender",
            Self::Receiver => "receiver",
            Self::Replay => "replay",
            Self::RateLimited => "rate_limited",
            Self::Body => "body",
            Self::UnknownTransaction => "unknown_transaction",
            Self::Unpadded => "unpadded",
        }
    }
}

/// Remembers requests for at least two minutes, unless so many come that a generation fills.
#[derive(Clone, Debug)]
pub struct ReplayFilter {
    current: Seen,
    previous: Seen,
    rotated: Moment,
    max: usize,
    early: u64,
}

type Seen = HashSet<u64, BuildHasherDefault<Folded>>;

/// Transaction ids are random already; folding the sender in is all the hashing they need.
#[derive(Clone, Copy, Debug, Default)]
struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        // A member that picks transaction ids cannot pick the bucket as well: the multiplier
        // spreads the low bits (golden ratio, as in Fibonacci hashing).
        self.0 = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl ReplayFilter {
    /// An empty filter of at most `max` requests per generation.
    #[must_use]
    pub fn new(max: usize, now: Moment) -> Self {
        let (current, previous) = (Seen::default(), Seen::default());
        Self {
            current,
            previous,
            rotated: now,
            max: max.max(1),
            early: 0,
        }
    }

    /// Whether the transaction is new; it is remembered from now on.
    pub fn is_new(&mut self, now: Moment, sender: NodeId, tx: TxId) -> bool {
        let full = self.current.len() >= self.max;
        if full || now.since(self.rotated) >= GENERATION {
            self.early += u64::from(full);
            self.previous = std::mem::take(&mut self.current);
            if now.since(self.rotated) >= 2 * GENERATION {
                self.previous.clear();
            }
            self.rotated = now;
        }
        let [a, b, c, d, e, f, g, h, ..] = *sender.as_bytes();
        let mark = tx.0 ^ u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        !self.previous.contains(&mark) && self.current.insert(mark)
    }

    /// Requests remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.current.len() + self.previous.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Times a generation filled before its time.
    #[must_use]
    pub const fn rotated_early(&self) -> u64 {
        self.early
    }
}

/// The limiters' clock: the moment of the call under way.
#[derive(Clone, Debug)]
struct EngineClock(Arc<AtomicU64>);

impl Clock for EngineClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, EngineClock, NoOpMiddleware<Nanos>>;

/// A limiter unused for this long is as good as new, whatever its rate: bursts are of one second.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// How much each source may send: so many limiters at most, found by a keyed hash of the source.
///
/// Two sources that hash alike share a limiter; which ones do cannot be predicted from outside.
/// Those in use are in `lately`, those used in the ten to twenty seconds before in `before`.
pub struct Limits {
    config: AdmitConfig,
    clock: EngineClock,
    secret: [u8; 32],
    lately: BTreeMap<Slot, Limiter>,
    before: BTreeMap<Slot, Limiter>,
    rotated: Moment,
    all_strangers: Limiter,
}

/// Whether for proven addresses, and the hash of the source.
type Slot = (bool, u32);

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Limits {
    /// Full buckets for everyone.
    #[must_use]
    pub fn new(config: AdmitConfig, secret: [u8; 32], now: Moment) -> Self {
        let clock = EngineClock(Arc::new(AtomicU64::new(now.as_nanos())));
        let all = quota(config.strangers_total_per_second);
        let all_strangers = Limiter::direct_with_clock(all, clock.clone());
        Self {
            config,
            clock,
            secret,
            lately: BTreeMap::new(),
            before: BTreeMap::new(),
            rotated: now,
            all_strangers,
        }
    }

    /// Whether one more datagram from `from` is within bounds. A proven address has a budget of
    /// its own, so that strangers cannot use it up.
    pub fn admits(&mut self, now: Moment, from: SocketAddr, proven: bool) -> bool {
        self.clock.0.store(now.as_nanos(), Ordering::Relaxed);
        self.forget(now);
        let slot = self.slot(from, proven);
        let (clock, before) = (&self.clock, &mut self.before);
        let per_second = if proven {
            self.config.members_per_second
        } else {
            self.config.strangers_per_second
        };
        let limiter = self.lately.entry(slot).or_insert_with(|| {
            let known = before.remove(&slot);
            known.unwrap_or_else(|| Limiter::direct_with_clock(quota(per_second), clock.clone()))
        });
        limiter.check().is_ok() && (proven || self.all_strangers.check().is_ok())
    }

    /// Limiters kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lately.len() + self.before.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn forget(&mut self, now: Moment) {
        if now.since(self.rotated) >= FORGOTTEN_AFTER {
            self.before = std::mem::take(&mut self.lately);
            self.rotated = now;
        }
    }

    fn slot(&self, from: SocketAddr, proven: bool) -> Slot {
        let (ip, port) = (from.ip().to_canonical(), from.port().to_be_bytes());
        let mut source = [0; 18];
        let host = match (ip, proven) {
            (IpAddr::V4(ip), true) => copied(&mut source, &ip.octets()),
            (IpAddr::V6(ip), true) => copied(&mut source, &ip.octets()),
            (IpAddr::V4(ip), false) => copied(&mut source, &ip.octets()[..3]),
            (IpAddr::V6(ip), false) => copied(&mut source, &ip.octets()[..7]),
        };
        let len = if proven {
            host + copied(&mut source[host..], &port)
        } else {
            host
        };
        let hash = blake3::keyed_hash(&self.secret, &source[..len]);
        let [a, b, c, d, ..] = *hash.as_bytes();
        let slots = u32::try_from(self.config.limiters.max(1)).unwrap_or(u32::MAX);
        (proven, u32::from_be_bytes([a, b, c, d]) % slots)
    }
}

/// Copies `from` to the beginning of `to` and says how long it is.
fn copied(to: &mut [u8], from: &[u8]) -> usize {
    to[..from.len()].copy_from_slice(from);
    from.len()
}

/// So many per second, with a burst of one second's worth.
fn quota(per_second: u32) -> Quota {
    Quota::per_second(NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_transaction_counts_once_for_at_least_two_minutes() {
        let mut filter = ReplayFilter::new(100, at(0));
        let (one, two) = (NodeId::from_bytes([1; 20]), NodeId::from_bytes([2; 20]));
        assert!(filter.is_new(at(119), one, TxId(7)));
        assert!(filter.is_new(at(119), two, TxId(7)));
        assert!(!filter.is_new(at(121), one, TxId(7)));
        assert!(!filter.is_new(at(238), one, TxId(7)));
        assert!(filter.is_new(at(600), one, TxId(7)));
    }

    #[test]
    fn a_full_generation_rotates_early_and_is_counted() {
        let mut filter = ReplayFilter::new(10, at(0));
        for tx in 0..35 {
            assert!(filter.is_new(at(0), NodeId::ZERO, TxId(tx)));
        }
        assert_eq!(filter.rotated_early(), 3);
        assert!(filter.len() <= 20);
    }

    #[test]
    fn strangers_of_one_prefix_share_a_budget_that_members_do_not_feel() {
        let config = AdmitConfig {
            strangers_per_second: 5,
            members_per_second: 50,
            ..AdmitConfig::default()
        };
        let mut limits = Limits::new(config, [1; 32], at(0));
        let host = |n| SocketAddr::from(([192, 0, 2, n], 7400));
        let admitted = (0..100)
            .filter(|n| limits.admits(at(0), host(*n), false))
            .count();
        assert_eq!(admitted, 5);
        let admitted = (0..100)
            .filter(|_| limits.admits(at(0), host(1), true))
            .count();
        assert_eq!(admitted, 50);
        assert!(limits.admits(at(1), host(9), false));
    }

    #[test]
    fn limiters_are_bounded_and_forgotten_when_unused() {
        let config = AdmitConfig {
            limiters: 8,
            members_per_second: 3,
            ..AdmitConfig::default()
        };
        let mut limits = Limits::new(config, [1; 32], at(0));
        let from = |n: u16| SocketAddr::from(([10, 0, 0, 1], n));
        for n in 0..1_000 {
            limits.admits(at(9), from(n), true);
        }
        assert_eq!(limits.len(), 8);
        assert!(!limits.admits(at(9), from(1), true));
        assert!(limits.admits(at(10), from(1), true), "a second later");
        assert_eq!(limits.len(), 8, "one of them in use");
        limits.admits(at(20), from(1), true);
        assert_eq!(limits.len(), 1);
    }

    #[test]
    fn strangers_together_are_bounded_whatever_their_prefixes() {
        let config = AdmitConfig {
            strangers_total_per_second: 30,
            ..AdmitConfig::default()
        };
        let mut limits = Limits::new(config, [1; 32], at(0));
        let from = |n: u8| SocketAddr::from(([10, n, 0, 1], 7400));
        let admitted = (0..=255)
            .filter(|n| limits.admits(at(0), from(*n), false))
            .count();
        assert_eq!(admitted, 30);
    }
}
