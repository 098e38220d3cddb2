//! Requests per client neighbourhood: a token bucket each, in a table of fixed size.
//!
//! The bucket is governor's; its own keyed store grows without limit, so the table is ours. When it
//! is full, the neighbourhood that has asked least recently is forgotten and starts anew.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::clock::Moment;
use common::netaddr::Prefix;
use governor::clock::{Clock, Reference as _};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use lru::LruCache;

/// Neighbourhoods remembered: about 10 MB.
pub const CLIENTS_MAX: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// The limiters' clock: the moment of the call under way.
#[derive(Clone, Debug)]
struct CallClock(Arc<AtomicU64>);

impl Clock for CallClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, CallClock, NoOpMiddleware<Nanos>>;

/// See the module.
pub struct Clients {
    clock: CallClock,
    quota: Option<Quota>,
    buckets: LruCache<Prefix, Box<Bucket>>,
    forgotten: u64,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients")
            .field("quota", &self.quota)
            .field("known", &self.buckets.len())
            .finish_non_exhaustive()
    }
}

impl Clients {
    /// Buckets of `burst` requests that fill at `per_second`; zero means no limit.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self {
            clock: CallClock(Arc::default()),
            quota: quota(per_second, burst),
            // Grows with those who come: most nodes never see that many.
            buckets: LruCache::unbounded(),
            forgotten: 0,
        }
    }

    /// Other limits from now on; everyone starts with a full bucket.
    pub fn reset(&mut self, per_second: u32, burst: u32) {
        let quota = quota(per_second, burst);
        if quota != self.quota {
            self.quota = quota;
            self.buckets.clear();
        }
    }

    /// Counts a request of `client`.
    ///
    /// # Errors
    /// It has asked for too much; after this long it may ask again.
    pub fn ask(&mut self, now: Moment, client: Prefix) -> Result<(), Duration> {
        let Some(quota) = self.quota else {
            return Ok(());
        };
        self.clock.0.store(now.as_nanos(), Ordering::Relaxed);
        let clock = &self.clock;
        let full = self.buckets.len() >= CLIENTS_MAX.get();
        if full && !self.buckets.contains(&client) {
            self.buckets.pop_lru();
            self.forgotten += 1;
        }
        let bucket = self.buckets.get_or_insert(client, || {
            Box::new(Bucket::direct_with_clock(quota, clock.clone()))
        });
        bucket.check().map_err(|not_until| {
            let at = not_until.earliest_possible();
            Duration::from(at.duration_since(self.clock.now()))
        })
    }

    /// Neighbourhoods remembered.
    #[must_use]
    pub fn known(&self) -> usize {
        self.buckets.len()
    }

    /// Times one was forgotten for lack of room.
    #[must_use]
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

fn quota(per_second: u32, burst: u32) -> Option<Quota> {
    let rate = Quota::per_second(NonZeroU32::new(per_second)?);
    Some(rate.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(n: u32) -> Prefix {
        Prefix::of(std::net::Ipv4Addr::from(n << 8).into())
    }

    #[test]
    fn a_bucket_empties_and_fills_and_is_nobody_elses() {
        let mut clients = Clients::new(10, 20);
        let now = Moment::from_millis(1_000);
        let passed = (0..100).filter(|_| clients.ask(now, client(1)).is_ok());
        assert_eq!(passed.count(), 20);
        assert_eq!(clients.ask(now, client(1)), Err(Duration::from_millis(100)));
        assert_eq!(clients.ask(now, client(2)), Ok(()));
        let later = now + Duration::from_secs(1);
        let passed = (0..100).filter(|_| clients.ask(later, client(1)).is_ok());
        assert_eq!(passed.count(), 10);
    }

    #[test]
    fn a_flood_of_neighbourhoods_takes_bounded_memory() {
        let mut clients = Clients::new(1, 1);
        let now = Moment::from_millis(1_000);
        let most = u32::try_from(CLIENTS_MAX.get()).unwrap();
        for n in 0..most + 1_000 {
            assert!(clients.ask(now, client(n)).is_ok());
        }
        assert_eq!(
            (clients.known(), clients.forgotten()),
            (CLIENTS_MAX.get(), 1_000)
        );
        // Who is in the table is still bounded; who was forgotten starts anew.
        assert!(clients.ask(now, client(most)).is_err());
        assert!(clients.ask(now, client(0)).is_ok());
    }

    #[test]
    fn no_limit_means_none() {
        let mut clients = Clients::new(0, 0);
        assert!((0..10_000).all(|_| clients.ask(Moment::ZERO, client(1)).is_ok()));
        assert_eq!(clients.known(), 0);
    }
}
