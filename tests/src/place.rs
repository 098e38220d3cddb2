//! Addresses and a directory of a test's own, so that tests running at once cannot collide.
//!
//! A place owns the loopback network 127.x.y.0/24: no other test, in this process or another, has
//! it at the same time. So every daemon has the port it wants on an address nobody else uses, and
//! no port has to be found free and then lost again. A place also says how much the test minds
//! others: measuring tests take the machine alone.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use tempfile::TempDir;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static TURN: RwLock<()> = RwLock::const_new(());
/// The threads that hold places; one per place. A test runs on a thread of its own.
static HELD: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());
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
    /// The index of a network that takes the place of another, towards others.
    NextIndex,
    /// Its admin pages.
    NextIndexAdmin,
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
            Self::NextIndex => 10,
            Self::NextIndexAdmin => 11,
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
    holder: ThreadId,
    _claim: TcpListener,
    _turn: Turn,
}

/// Whether the calling test has a place already.
fn holds_one() -> bool {
    held().contains(&thread::current().id())
}

fn held() -> MutexGuard<'static, Vec<ThreadId>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    /// A place for a test that does not mind others beside it. Take one per test, first of all.
    ///
    /// # Panics
    /// The test holds one already, and another waits to be alone: it waits for the first, and this
    /// one would wait for it.
    pub async fn shared() -> Self {
        let guard = match TURN.try_read() {
            Ok(guard) => guard,
            Err(_) if holds_one() => panic!(
                "a test that holds a place asks for another while one that wants to be alone waits for \
                 it: neither would ever go on; take one place per test and give it to all that need it"
            ),
            Err(_) => TURN.read().await,
        };
        Self::claim(Turn::Shared { _guard: guard })
    }

    /// A place for a test that measures, or that would starve others: the machine is its own, as
    /// far as this process goes.
    ///
    /// # Panics
    /// The test holds a place already, and would wait for itself.
    pub async fn alone() -> Self {
        assert!(
            !holds_one(),
            "a test that holds a place asks to be alone: it would wait for itself for ever"
        );
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
            let holder = thread::current().id();
            held().push(holder);
            return Self {
                holder,
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

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = held();
        if let Some(at) = held.iter().position(|thread| *thread == self.holder) {
            held.swap_remove(at);
        }
    }
}

/// The first of as many ports as there are uses that nothing on the machine holds for every address.
fn free_ports(ip: Ipv4Addr) -> u16 {
    const WANTED: u16 = 12;
    let free = |base: &u16| (0..WANTED).all(|n| TcpListener::bind((ip, base + n)).is_ok());
    let mut bases = (18_000..27_000).step_by(usize::from(WANTED));
    bases.find(free).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_share_no_address() {
        // Two tests, as it were: each has a thread of its own.
        let other = thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.unwrap().block_on(Place::shared())
        });
        let (one, two) = (Place::shared().await, other.join().unwrap());
        assert_ne!(one.ip(host::NODE), two.ip(host::NODE));
        assert_ne!(one.dir(), two.dir());
        assert!(std::net::UdpSocket::bind(one.at(host::NODE, Port::Index)).is_ok());
    }

    #[tokio::test]
    #[should_panic(expected = "it would wait for itself")]
    async fn whoever_has_a_place_cannot_be_alone() {
        let _place = Place::shared().await;
        drop(Place::alone().await);
    }

    #[tokio::test]
    #[should_panic(expected = "take one place per test")]
    async fn a_second_place_is_refused_while_another_waits_to_be_alone() {
        let _place = Place::shared().await;
        // Polled once it stands in the queue, as another test would.
        let alone = std::pin::pin!(TURN.write());
        tokio::select! {
            biased;
            _ = alone => {}
            second = Place::shared() => drop(second),
        }
    }
}
