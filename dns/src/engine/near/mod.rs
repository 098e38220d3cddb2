//! Where clients are: which proxies are near the clients of a network, learnt in the background.
//!
//! | file | is |
//! |---|---|
//! | [`atlas`] | which proxies are near on the map, where nobody has measured |
//! | [`seen`] | the networks that one answering engine was asked for |
//! | [`learner`] | the machine that looks them up, keeps and forgets them, and publishes a table |
//! | [`table`] | what the learner knows, bounded |
//! | [`places`] | the published table, which answers read without waiting for anybody |
//!
//! No question starts anything: an answer is made from what is known, and the network it was made
//! for is looked up afterwards. Nobody outside is probed either: what is known is what proxies measured
//! on connections that clients opened, or what a file says.

pub mod atlas;
pub mod learner;
pub mod places;
pub mod seen;
pub mod table;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::netaddr::Prefix;

/// A client network in one word: IPv4 /24 or IPv6 /56.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Network(u64);

/// Marks the word of an IPv4 network; those of IPv6 have 56 bits.
const V4: u64 = 1 << 60;

impl Network {
    /// The network of `address`.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match Prefix::of(address).network() {
            IpAddr::V4(v4) => Self(V4 | u64::from(v4.to_bits())),
            IpAddr::V6(v6) => {
                // The upper half of an address fits.
                Self(u64::try_from(v6.to_bits() >> 72).unwrap_or(0))
            }
        }
    }

    /// Its first address.
    #[must_use]
    pub fn address(self) -> IpAddr {
        if self.0 & V4 == 0 {
            return Ipv6Addr::from_bits(u128::from(self.0 << 8) << 64).into();
        }
        let bits = u32::try_from(self.0 & u64::from(u32::MAX)).unwrap_or(0);
        Ipv4Addr::from_bits(bits).into()
    }

    /// Bits of an address that say which network it is in.
    #[must_use]
    pub const fn bits(address: IpAddr) -> u8 {
        match address {
            IpAddr::V4(_) => 24,
            IpAddr::V6(_) => 56,
        }
    }

    /// A number that differs between networks as if at random.
    #[must_use]
    const fn spread(self) -> u64 {
        // Fibonacci hashing (Knuth 6.4): neighbours end up far apart; the high bits are the good ones.
        self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_that_of_all_its_addresses_and_reads_back() {
        let of = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("192.0.2.200"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.9"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8:1:2200::1"), of("2001:db8:1:22ff::1"));
        assert_ne!(of("2001:db8:1:2200::1"), of("2001:db8:1:2300::1"));
        for text in [
            "192.0.2.0",
            "0.0.0.0",
            "255.255.255.0",
            "2001:db8:1:2200::",
            "::",
            "ffff:ffff:ffff:ff00::",
        ] {
            assert_eq!(of(text).address(), text.parse::<IpAddr>().unwrap());
        }
    }
}
