//! Addresses and a directory of a test's own, so that tests running at once cannot collide.
//!
//! A place owns the loopback network 127.x.y.0/24: no other test, in this process or another, has
//! it at the same time. So every daemon has the port it wants on an address nobody else uses, and
//! no port has to be found free and then lost again. A place also says how much the test minds
//! others: measuring tests take the machine alone.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static TURN: RwLock<()> = RwLock::const_new(());
static NEXT: AtomicU16 = AtomicU16::new(0);

/// Holding this port of a network's address 254 means owning the network.
const CLAIM_PORT: u16 = 29_999;

/// What a port is for; its number is the same on every address of a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Port {
    /// A proxy, towards clients.
    Http,
    /// A proxy, towards proxies.
    Peer,
    /// A proxy's admin pages.
    ProxyAdmin,
    /// An index, towards others.
    Index,
    /// An index's admin pages.
    IndexAdmin,
    /// A name server.
    Dns,
    /// A name server's admin pages.
    DnsAdmin,
    /// The resolver of the test's own.
    Resolver,
    /// A real web server.
    Web,
    /// A proxy, towards clients over TLS.
    Https,
}

impl Port {
    const fn offset(self) -> u16 {
        match self {
            Self::Http => 0,
            Self::Peer => 1,
            Self::ProxyAdmin => 2,
            Self::Index => 3,
            Self::IndexAdmin => 4,
            Self::Dns => 5,
            Self::DnsAdmin => 6,
            Self::Resolver => 7,
            Self::Web => 8,
            Self::Https => 9,
        }
    }
}

/// The last part of the addresses of a place.
pub mod host {
    /// The first name server; others follow.
    pub const NAME_SERVER: u8 = 2;
    /// The test's resolver.
    pub const RESOLVER: u8 = 9;
    /// Origins.
    pub const ORIGIN: u8 = 10;
    /// The first node; others follow.
    pub const NODE: u8 = 11;
}

/// How much a test minds others. The guards are held, never read.
#[derive(Debug)]
enum Turn {
    Shared {
        _guard: RwLockReadGuard<'static, ()>,
    },
    Alone {
        _guard: RwLockWriteGuard<'static, ()>,
    },
}

/// See the module. Give it up last: its directory goes with it.
#[derive(Debug)]
pub struct Place {
    net: [u8; 2],
    base: u16,
    dir: TempDir,
    _claim: TcpListener,
    _turn: Turn,
}

impl Place {
    /// A place for a test that does not mind others beside it. Take one per test, first of all.
    pub async fn shared() -> Self {
        Self::claim(Turn::Shared {
            _guard: TURN.read().await,
        })
    }

    /// A place for a test that measures, or that would starve others: the machine is its own, as
    /// far as this process goes.
    pub async fn alone() -> Self {
        Self::claim(Turn::Alone {
            _guard: TURN.write().await,
        })
    }

    fn claim(turn: Turn) -> Self {
        // Spread processes out, so that they rarely try for the same network.
        let process = std::process::id().wrapping_mul(0x9E37_79B9);
        let start = u16::try_from(process >> 16).unwrap();
        for _ in 0..1_000 {
            let n = start.wrapping_add(NEXT.fetch_add(1, Ordering::SeqCst));
            // 127.0.0.x belongs to everybody, `atoll dev` above all.
            let net = [n.to_be_bytes()[0] | 1, n.to_be_bytes()[1]];
            let ip = Ipv4Addr::new(127, net[0], net[1], 254);
            let Ok(claim) = TcpListener::bind((ip, CLAIM_PORT)) else {
                continue;
            };
            return Self {
                net,
                base: free_ports(ip),
                dir: tempfile::tempdir().unwrap(),
                _claim: claim,
                _turn: turn,
            };
        }
        panic!("no loopback network is free: does this system have all of 127.0.0.0/8?");
    }

    /// An address of the place; see [`host`].
    #[must_use]
    pub const fn ip(&self, host: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, self.net[0], self.net[1], host))
    }

    /// An address and port of the place.
    #[must_use]
    pub const fn at(&self, host: u8, port: Port) -> SocketAddr {
        SocketAddr::new(self.ip(host), self.base + port.offset())
    }

    /// The directory of the place.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// The first of ten ports that nothing on the machine holds for every address.
fn free_ports(ip: Ipv4Addr) -> u16 {
    const WANTED: u16 = 10;
    let free = |base: &u16| (0..WANTED).all(|n| TcpListener::bind((ip, base + n)).is_ok());
    let mut bases = (18_000..27_000).step_by(usize::from(WANTED));
    bases.find(free).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_share_no_address() {
        let (one, two) = (Place::shared().await, Place::shared().await);
        assert_ne!(one.ip(host::NODE), two.ip(host::NODE));
        assert_ne!(one.dir(), two.dir());
        assert!(std::net::UdpSocket::bind(one.at(host::NODE, Port::Index)).is_ok());
    }
}
