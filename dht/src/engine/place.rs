//! An address in as few bytes as it takes: thousands are remembered, in tables and of peers.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The address and port of a node: what of a [`SocketAddr`] goes over the wire. An IPv4 address is
/// kept in its IPv6 form and given back as IPv4, as nodes write it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    ip: [u8; 16],
    port: [u8; 2],
}

impl From<SocketAddr> for Place {
    fn from(addr: SocketAddr) -> Self {
        let ip = match addr.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self {
            ip: ip.octets(),
            port: addr.port().to_be_bytes(),
        }
    }
}

impl From<Place> for SocketAddr {
    fn from(place: Place) -> Self {
        let ip = IpAddr::V6(Ipv6Addr::from(place.ip)).to_canonical();
        Self::new(ip, u16::from_be_bytes(place.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_it_keeps() {
        for addr in ["192.0.2.1:7400", "[2001:db8::1]:65535", "[::1]:1"] {
            let addr: SocketAddr = addr.parse().unwrap();
            assert_eq!(SocketAddr::from(Place::from(addr)), addr);
        }
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:7400".parse().unwrap();
        let plain: SocketAddr = "192.0.2.1:7400".parse().unwrap();
        assert_eq!(SocketAddr::from(Place::from(mapped)), plain);
    }
}
