//! Where this proxy may send a stranger's request: not a weapon against its own network.
//!
//! Judged on the very address about to be connected to, after resolution, so that a name which
//! resolves differently the second time gains nothing.

use std::net::{IpAddr, SocketAddr};

use common::netaddr::{SpecialUse, special_use};

/// Why an origin's address is not connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressRefusal {
    /// The address is not a public one.
    Special(SpecialUse),
    /// The port is neither 80, 443 nor an ordinary high port.
    Port,
    /// The address is this very proxy.
    Own,
}

impl AddressRefusal {
    /// The word for logs, metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Special(kind) => kind.as_str(),
            Self::Port => "port",
            Self::Own => "own",
        }
    }
}

/// High ports where something other than the Web listens: what browsers block (WHATWG Fetch, "port
/// blocking"), and the usual databases, caches, and remote-control services.
const PORTS_DENIED: &[u16] = &[
    1080, 1433, 1521, 1719, 1720, 1723, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190,
    5060, 5061, 5432, 5900, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042, 9200,
    9300, 10080, 10250, 11211, 27017,
];

/// The rules of this node.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Lets origins be on private and loopback addresses: for the demo and for tests. Multicast,
    /// unspecified and reserved addresses stay refused.
    pub allow_private: bool,
    /// Addresses this proxy itself listens on.
    pub own: Vec<SocketAddr>,
}

impl Policy {
    /// Whether a port may be asked for at all; checked before any name is resolved.
    ///
    /// # Errors
    /// [`AddressRefusal::Port`].
    pub fn check_port(&self, port: u16) -> Result<(), AddressRefusal> {
        let usual = matches!(port, 80 | 443 | 1024..);
        if usual && !PORTS_DENIED.contains(&port) {
            Ok(())
        } else {
            Err(AddressRefusal::Port)
        }
    }

    /// Whether `addr` may be connected to.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn check(&self, addr: SocketAddr) -> Result<(), AddressRefusal> {
        self.check_port(addr.port())?;
        if self.own.iter().any(|own| is_same(*own, addr)) {
            return Err(AddressRefusal::Own);
        }
        match special_use(addr.ip()) {
            None => Ok(()),
            Some(SpecialUse::Loopback | SpecialUse::Private | SpecialUse::Shared)
                if self.allow_private =>
            {
                Ok(())
            }
            Some(kind) => Err(AddressRefusal::Special(kind)),
        }
    }

    /// Whether a connection to `peer` that was opened from `local` may be used: not if it led to a listener of
    /// ours on all addresses, of which only the machine knows which they are.
    ///
    /// # Errors
    /// [`AddressRefusal::Own`].
    pub fn check_opened(&self, local: SocketAddr, peer: SocketAddr) -> Result<(), AddressRefusal> {
        let here = local.ip().to_canonical() == peer.ip().to_canonical();
        let any = |own: &SocketAddr| own.ip().is_unspecified() && own.port() == peer.port();
        if here && self.own.iter().any(any) {
            return Err(AddressRefusal::Own);
        }
        Ok(())
    }
}

/// Whether `addr` reaches a listener on `own`.
fn is_same(own: SocketAddr, addr: SocketAddr) -> bool {
    let ip = addr.ip().to_canonical();
    let any = own.ip().is_unspecified() && ip.is_loopback();
    own.port() == addr.port() && (any || own.ip().to_canonical() == ip)
}

/// Whether `ip` is an address a peer may have. Peers are members of the network, so private ones
/// are fine; only what cannot be a host is refused.
#[must_use]
pub fn may_be_peer(ip: IpAddr) -> bool {
    !matches!(
        special_use(ip),
        Some(SpecialUse::Unspecified | SpecialUse::Multicast | SpecialUse::Reserved)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &Policy, addr: &str) -> Result<(), &'static str> {
        policy
            .check(addr.parse().unwrap())
            .map_err(AddressRefusal::as_str)
    }

    #[test]
    fn refuses_what_is_not_public() {
        let policy = Policy::default();
        for (addr, why) in [
            ("127.0.0.1:80", "loopback"),
            ("10.0.0.1:80", "private"),
            ("169.254.169.254:80", "link-local"),
            ("[::ffff:127.0.0.1]:80", "loopback"),
            ("[fd00:ec2::254]:80", "private"),
            ("0.0.0.0:80", "unspecified"),
            ("224.0.0.1:80", "multicast"),
            ("93.184.216.34:22", "port"),
            ("93.184.216.34:6379", "port"),
            ("93.184.216.34:1023", "port"),
        ] {
            assert_eq!(check(&policy, addr), Err(why), "{addr}");
        }
        for addr in [
            "93.184.216.34:80",
            "93.184.216.34:443",
            "[2606:4700::1]:8080",
        ] {
            assert_eq!(check(&policy, addr), Ok(()), "{addr}");
        }
    }

    #[test]
    fn an_own_listener_on_all_addresses_is_known_by_where_a_connection_led() {
        let policy = Policy {
            allow_private: false,
            own: vec![
                "0.0.0.0:8082".parse().unwrap(),
                "[::]:8443".parse().unwrap(),
            ],
        };
        let opened = |local: &str, peer: &str| {
            policy.check_opened(local.parse().unwrap(), peer.parse().unwrap())
        };
        let public = "93.184.216.34:8082";
        assert_eq!(
            policy.check(public.parse().unwrap()),
            Ok(()),
            "nobody knows before"
        );
        assert_eq!(
            opened("93.184.216.34:40000", public),
            Err(AddressRefusal::Own)
        );
        let six = opened("[2606:4700::1]:40000", "[2606:4700::1]:8443");
        assert_eq!(six, Err(AddressRefusal::Own));
        assert_eq!(
            opened("93.184.216.35:40000", public),
            Ok(()),
            "another machine's"
        );
        assert_eq!(
            opened("93.184.216.34:40000", "93.184.216.34:80"),
            Ok(()),
            "another server's"
        );
    }

    #[test]
    fn the_demo_may_use_loopback_but_never_metadata_addresses() {
        let policy = Policy {
            allow_private: true,
            own: Vec::new(),
        };
        assert_eq!(check(&policy, "127.0.0.1:8080"), Ok(()));
        assert_eq!(check(&policy, "192.168.1.1:80"), Ok(()));
        assert_eq!(check(&policy, "169.254.169.254:80"), Err("link-local"));
        assert_eq!(check(&policy, "255.255.255.255:80"), Err("reserved"));
    }

    #[test]
    fn never_connects_to_itself() {
        let own = vec![
            "0.0.0.0:8080".parse().unwrap(),
            "127.0.0.11:8081".parse().unwrap(),
        ];
        let policy = Policy {
            allow_private: true,
            own,
        };
        assert_eq!(check(&policy, "127.0.0.1:8080"), Err("own"));
        assert_eq!(check(&policy, "127.0.0.11:8081"), Err("own"));
        assert_eq!(check(&policy, "127.0.0.12:8081"), Ok(()));
    }
}
