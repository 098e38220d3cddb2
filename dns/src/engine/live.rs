//! The set of proxies that may be named, as the checker publishes it and answers read it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::clock::Moment;

/// Addresses of verified proxies, each once, in address order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LiveSet {
    /// IPv4.
    pub v4: Vec<Ipv4Addr>,
    /// IPv6.
    pub v6: Vec<Ipv6Addr>,
    /// When the last of them was lost: then the addresses are those that were alive last. `None`
    /// while somebody is alive, or if nobody ever was.
    pub lost: Option<Moment>,
}

impl LiveSet {
    /// The set of `addresses`, which may repeat themselves (two ports of one machine).
    #[must_use]
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>, lost: Option<Moment>) -> Self {
        let mut set = Self {
            lost,
            ..Self::default()
        };
        for address in addresses {
            match address {
                IpAddr::V4(v4) => set.v4.push(v4),
                IpAddr::V6(v6) => set.v6.push(v6),
            }
        }
        set.v4.sort_unstable();
        set.v4.dedup();
        set.v6.sort_unstable();
        set.v6.dedup();
        set
    }

    /// Whether somebody is alive now.
    #[must_use]
    pub fn anyone(&self) -> bool {
        self.lost.is_none() && !self.is_empty()
    }

    /// Whether the set has no address at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}
