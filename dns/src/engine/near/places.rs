//! The published table: for each known client network a short list of proxies, the nearest first.
//!
//! Immutable. A new edition shares with the last one all parts in which nothing changed, so that it
//! costs what changed and not what there is. A look takes one index, one binary search among some
//! two hundred words and no lock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Network;

/// Proxies remembered of one network. An answer names four; some may be dead, full or of the other
/// address family.
pub const NEAR_MAX: usize = 8;

/// Parts of the table: at 100,000 networks each holds two hundred, and a change rewrites one.
const SHARDS: usize = 1 << SHARD_BITS;
const SHARD_BITS: u32 = 9;

/// Unit of round trips in the table: 16 bits then reach six seconds.
const UNIT_MICROS: u16 = 100;

/// A proxy in the table: its number in [`Places::proxy`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ProxyNumber(pub(super) u16);

impl ProxyNumber {
    /// As an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A proxy near a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Near {
    /// Which.
    pub proxy: ProxyNumber,
    rtt: u16,
}

impl Near {
    pub(super) fn new(proxy: ProxyNumber, rtt: Duration) -> Self {
        let units = rtt.as_micros() / u128::from(UNIT_MICROS);
        Self {
            proxy,
            rtt: u16::try_from(units).unwrap_or(u16::MAX),
        }
    }

    /// The round trip between it and clients of the network.
    #[must_use]
    pub fn rtt(self) -> Duration {
        Duration::from_micros(u64::from(self.rtt) * u64::from(UNIT_MICROS))
    }
}

/// What is known of one network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    near: [Near; NEAR_MAX],
    count: u8,
    guessed: bool,
}

impl Place {
    /// A place near these, the nearest first; those beyond [`NEAR_MAX`] are left out.
    pub(super) fn new(nearest_first: impl IntoIterator<Item = Near>) -> Self {
        let mut place = Self {
            near: [Near {
                proxy: ProxyNumber(0),
                rtt: 0,
            }; NEAR_MAX],
            count: 0,
            guessed: false,
        };
        for (to, from) in place.near.iter_mut().zip(nearest_first) {
            *to = from;
            place.count += 1;
        }
        place
    }

    /// The same, by the map alone: nobody has measured it.
    pub(super) fn guess(nearest_first: impl IntoIterator<Item = Near>) -> Self {
        Self {
            guessed: true,
            ..Self::new(nearest_first)
        }
    }

    /// Whether it is by the map alone.
    #[must_use]
    pub const fn is_guessed(&self) -> bool {
        self.guessed
    }

    /// The proxies, the nearest first.
    #[must_use]
    pub fn near(&self) -> &[Near] {
        self.near.get(..usize::from(self.count)).unwrap_or_default()
    }
}

/// Networks of one part, in order, and their places.
#[derive(Clone, Debug, Default)]
struct Shard {
    networks: Vec<Network>,
    places: Vec<Place>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Places {
    shards: Vec<Arc<Shard>>,
    proxies: Arc<[Option<SocketAddr>]>,
    count: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            shards: vec![Arc::default(); SHARDS],
            proxies: Arc::default(),
            count: 0,
        }
    }
}

impl Places {
    /// What is known of `network`.
    #[must_use]
    pub fn place(&self, network: Network) -> Option<&Place> {
        let shard = self.shards.get(shard_of(network))?;
        let at = shard.networks.binary_search(&network).ok()?;
        shard.places.get(at)
    }

    /// The proxy of a number.
    #[must_use]
    pub fn proxy(&self, number: ProxyNumber) -> Option<SocketAddr> {
        self.proxies.get(number.index()).copied().flatten()
    }

    /// The proxies by number; `None` for a number that nobody has.
    #[must_use]
    pub fn proxies(&self) -> &[Option<SocketAddr>] {
        &self.proxies
    }

    /// Networks known.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether no network is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The next edition, in which the parts in `changed` are as they say.
    pub(super) fn next<'a, R>(
        &self,
        changed: impl IntoIterator<Item = (usize, R)>,
        proxies: Arc<[Option<SocketAddr>]>,
    ) -> Self
    where
        R: Iterator<Item = (&'a Network, &'a Place)>,
    {
        let mut shards = self.shards.clone();
        let mut count = self.count;
        for (number, rows) in changed {
            let Some(shard) = shards.get_mut(number) else {
                continue;
            };
            let (networks, places): (Vec<_>, Vec<_>) = rows.map(|(n, p)| (*n, *p)).unzip();
            count = count + networks.len() - shard.networks.len();
            *shard = Arc::new(Shard { networks, places });
        }
        Self {
            shards,
            proxies,
            count,
        }
    }
}

/// Which part `network` is in.
pub(super) fn shard_of(network: Network) -> usize {
    usize::try_from(network.spread() >> (u64::BITS - SHARD_BITS)).unwrap_or(0)
}

/// How many parts there are.
pub(super) const fn shards() -> usize {
    SHARDS
}
