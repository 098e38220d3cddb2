//! Networks as operators write them: `192.0.2.0/24`, `2001:db8::/32`, or one address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use common::config::FromSetting;

/// A set of addresses that share their first bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Net {
    first: IpAddr,
    bits: u8,
}

impl Net {
    /// Reads `address/bits`, or an address that stands for itself.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is no network such as 192.0.2.0/24");
        let (ip, bits) = match text.split_once('/') {
            Some((ip, bits)) => (ip, Some(bits)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().map_err(|_| wrong())?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| wrong()))?;
        if bits > most {
            return Err(wrong());
        }
        let net = Self { first: ip, bits };
        if masked(widened(ip), net.width()) != widened(ip) {
            return Err(format!("\"{text}\" has bits set beyond its length"));
        }
        Ok(net)
    }

    /// Whether `ip` is one of them. An IPv4 address in IPv6 clothes counts as what it is.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.first.to_canonical().is_ipv4()
            && masked(widened(ip), self.width()) == widened(self.first)
    }

    /// Bits of the widened address that are fixed.
    const fn width(&self) -> u32 {
        let above = if self.first.is_ipv4() { 96 } else { 0 };
        above + self.bits as u32
    }
}

const fn widened(ip: IpAddr) -> u128 {
    let v6: Ipv6Addr = match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    v6.to_bits()
}

const fn masked(bits: u128, width: u32) -> u128 {
    match 128 - width {
        128 => 0,
        shift => bits >> shift << shift,
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl FromSetting for Net {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_addresses_and_no_others() {
        for (net, ip, inside) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("::/0", "2001:db9::", true),
        ] {
            let net = Net::parse(net).unwrap();
            assert_eq!(net.contains(ip.parse().unwrap()), inside, "{net} {ip}");
        }
        for wrong in [
            "",
            "x",
            "192.0.2.0/33",
            "192.0.2.1/24",
            "192.0.2.0/",
            "::/129",
        ] {
            assert!(Net::parse(wrong).is_err(), "{wrong}");
        }
    }
}
