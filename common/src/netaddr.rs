//! What kind of address this is, and which neighbourhood it counts for.
//!
//! Pure tests on addresses; which kinds are refused is the caller's policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not one to send a stranger's request to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SpecialUse {
    /// `0.0.0.0/8`, `::`.
    Unspecified,
    /// `127.0.0.0/8`, `::1`.
    Loopback,
    /// `10/8`, `172.16/12`, `192.168/16`, `fc00::/7`.
    Private,
    /// `100.64.0.0/10`: behind a carrier's translator.
    Shared,
    /// `169.254/16` (cloud metadata lives here), `fe80::/10`.
    LinkLocal,
    /// `224/4`, `ff00::/8`.
    Multicast,
    /// `240/4` with the broadcast address.
    Reserved,
    /// Documentation, benchmarking and protocol-assignment ranges, never routed.
    Unrouted,
}

impl SpecialUse {
    /// The word for logs, metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Shared => "shared",
            Self::LinkLocal => "link-local",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
            Self::Unrouted => "unrouted",
        }
    }
}

/// The special use of `ip`, or `None` for an ordinary public address (RFC 6890 and its updates).
///
/// An IPv4 address inside an IPv6 one (mapped, 6to4, NAT64) is judged as the IPv4 address, because
/// that is where the packet would end. One inside an ISATAP interface identifier is judged beside
/// the prefix: where the packet ends depends on a router of the site, so both have to be public.
#[must_use]
pub fn special_use(ip: IpAddr) -> Option<SpecialUse> {
    match ip.to_canonical() {
        IpAddr::V4(v4) => special_use_v4(v4),
        IpAddr::V6(v6) => special_use_v6(v6),
    }
}

fn special_use_v4(ip: Ipv4Addr) -> Option<SpecialUse> {
    let [a, b, c, _] = ip.octets();
    Some(match (a, b, c) {
        (0, ..) => SpecialUse::Unspecified,
        (127, ..) => SpecialUse::Loopback,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => SpecialUse::Private,
        (100, 64..=127, _) => SpecialUse::Shared,
        (169, 254, _) => SpecialUse::LinkLocal,
        (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) | (198, 18..=19, _) | (192, 88, 99) => {
            SpecialUse::Unrouted
        }
        (224..=239, ..) => SpecialUse::Multicast,
        (240..=255, ..) => SpecialUse::Reserved,
        _ => return None,
    })
}

fn special_use_v6(ip: Ipv6Addr) -> Option<SpecialUse> {
    let inner = isatap_v4(ip).and_then(special_use_v4);
    if let Some(embedded) = embedded_v4(ip) {
        return special_use_v4(embedded).or(inner);
    }
    let [s0, s1, ..] = ip.segments();
    Some(match (s0, s1) {
        _ if ip.is_unspecified() => SpecialUse::Unspecified,
        _ if ip.is_loopback() => SpecialUse::Loopback,
        (0xfc00..=0xfdff, _) => SpecialUse::Private,
        (0xfe80..=0xfeff, _) => SpecialUse::LinkLocal,
        (0xff00..=0xffff, _) => SpecialUse::Multicast,
        (0x2001, 0x0000..=0x01ff | 0x0db8) | (0x3fff, 0..=0x0fff) | (0x0100, 0) | (0x5f00, _) => {
            SpecialUse::Unrouted
        }
        (0x2000..=0x3fff, _) => return inner,
        _ => SpecialUse::Reserved,
    })
}

/// The IPv4 address that 6to4 (`2002::/16`) or NAT64 (`64:ff9b::/96`) carries.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = ip.octets();
    let four = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&octets[at..at + 4]);
        Ipv4Addr::from(bytes)
    };
    match ip.segments() {
        [0x2002, ..] => Some(four(2)),
        [0x0064, 0xff9b, 0, 0, 0, 0, _, _] => Some(four(12)),
        // Deprecated IPv4-compatible form `::a.b.c.d`; `::` and `::1` are not such addresses.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => Some(four(12)),
        _ => None,
    }
}

/// The IPv4 address in the interface identifier `[02]00:5efe:a.b.c.d` under any prefix (ISATAP, RFC
/// 5214 §6.1).
fn isatap_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., universal, 0x5efe, high, low] = ip.segments() else {
        return None;
    };
    let [[a, b], [c, d]] = [high, low].map(u16::to_be_bytes);
    matches!(universal, 0 | 0x0200).then(|| Ipv4Addr::new(a, b, c, d))
}

/// The neighbourhood an address counts for in limits and in nearness: IPv4 /24, IPv6 /56.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Prefix(IpAddr);

impl Prefix {
    /// The neighbourhood of `ip`.
    #[must_use]
    #[inline]
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                Self(IpAddr::V4(Ipv4Addr::new(a, b, c, 0)))
            }
            IpAddr::V6(v6) => {
                let mut octets = v6.octets();
                octets[7..].fill(0);
                Self(IpAddr::V6(Ipv6Addr::from(octets)))
            }
        }
    }

    /// Its first address.
    #[must_use]
    pub const fn network(self) -> IpAddr {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_is_not_public() {
        for (ip, want) in [
            ("127.8.9.1", SpecialUse::Loopback),
            ("10.0.0.1", SpecialUse::Private),
            ("172.31.255.1", SpecialUse::Private),
            ("169.254.169.254", SpecialUse::LinkLocal),
            ("100.64.0.1", SpecialUse::Shared),
            ("0.1.2.3", SpecialUse::Unspecified),
            ("255.255.255.255", SpecialUse::Reserved),
            ("::ffff:127.0.0.1", SpecialUse::Loopback),
            ("::1", SpecialUse::Loopback),
            ("::127.0.0.1", SpecialUse::Loopback),
            ("fd00:ec2::254", SpecialUse::Private),
            ("fe80::1", SpecialUse::LinkLocal),
            ("2002:7f00:1::", SpecialUse::Loopback),
            ("64:ff9b::a00:1", SpecialUse::Private),
            ("64:ff9b::169.254.169.254", SpecialUse::LinkLocal),
            ("64:ff9b:1::10.0.0.1", SpecialUse::Reserved),
            ("2002:a9fe:a9fe::1", SpecialUse::LinkLocal),
            ("::ffff:0:10.0.0.1", SpecialUse::Reserved),
            ("::10.0.0.1", SpecialUse::Private),
            ("2001:0:4136:e378::1", SpecialUse::Unrouted),
            ("fec0::1", SpecialUse::LinkLocal),
            ("2001:db8::1", SpecialUse::Unrouted),
            ("ff02::1", SpecialUse::Multicast),
        ] {
            assert_eq!(special_use(ip.parse().unwrap()), Some(want), "{ip}");
        }
    }

    #[test]
    fn an_address_behind_an_isatap_router_is_judged_as_such() {
        for (ip, want) in [
            ("2606:4700::5efe:10.0.0.1", Some(SpecialUse::Private)),
            (
                "2606:4700:1:2:0:5efe:169.254.169.254",
                Some(SpecialUse::LinkLocal),
            ),
            ("2606:4700::200:5efe:127.0.0.1", Some(SpecialUse::Loopback)),
            // Under a prefix that carries a public address itself.
            (
                "2002:5db8:d822::5efe:192.168.0.1",
                Some(SpecialUse::Private),
            ),
            // The prefix has to be public too.
            ("fe80::5efe:93.184.216.34", Some(SpecialUse::LinkLocal)),
            ("fd00::200:5efe:93.184.216.34", Some(SpecialUse::Private)),
            ("::200:5efe:10.0.0.1", Some(SpecialUse::Reserved)),
            ("::5efe:10.0.0.1", Some(SpecialUse::Reserved)),
            ("2606:4700::5efe:93.184.216.34", None),
            ("2606:4700::200:5efe:93.184.216.34", None),
            // Another identifier that only looks like it.
            ("2606:4700::1:5efe:10.0.0.1", None),
        ] {
            assert_eq!(special_use(ip.parse().unwrap()), want, "{ip}");
        }
    }

    #[test]
    fn lets_public_addresses_be() {
        for ip in [
            "93.184.216.34",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1",
            "2a00:1450::1",
        ] {
            assert_eq!(special_use(ip.parse().unwrap()), None, "{ip}");
        }
    }

    #[test]
    fn neighbours_share_a_prefix() {
        let prefix = |ip: &str| Prefix::of(ip.parse().unwrap());
        assert_eq!(prefix("192.0.2.1"), prefix("192.0.2.200"));
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.3.1"));
        assert_eq!(prefix("2001:db8:1:2200::1"), prefix("2001:db8:1:22ff::1"));
        assert_ne!(prefix("2001:db8:1:2200::1"), prefix("2001:db8:1:2300::1"));
    }
}
