//! Who listens where, with which arguments: the plan of a cluster. Pure.
//!
//! An A record carries no port, so all proxies share one port P and differ in their loopback
//! address: 127.0.0.11, 127.0.0.12, ... All other ports derive from P, so that a whole cluster is
//! known by one number. Name servers live on 127.0.0.2 and up, the demo origin on 127.0.0.10.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::name::{Host, NameError, Zone};

use super::binaries::Programs;

/// Most nodes of one cluster. A node is two processes; more than this is a matter for a simulator.
pub const NODES_MAX: u16 = 1_000;

/// Most name servers: 127.0.0.2 to 127.0.0.9.
pub const DNS_MAX: u16 = 8;

/// Nodes an index daemon is told to join through. Any one that answers is enough.
pub const SEEDS: usize = 3;

/// Longest path of a Unix socket, in bytes: `sun_path` has 108 with the final zero.
pub const SOCKET_PATH_MAX: usize = 107;

/// Ports from the base port on that a cluster uses.
pub const PORTS: u16 = 10;

/// What each port is for, as its distance from the base port.
mod offset {
    pub(super) const HTTP: u16 = 0;
    pub(super) const PEER: u16 = 1;
    pub(super) const PROXY_ADMIN: u16 = 2;
    pub(super) const INDEX: u16 = 3;
    pub(super) const INDEX_ADMIN: u16 = 4;
    pub(super) const DNS: u16 = 5;
    pub(super) const DNS_ADMIN: u16 = 6;
    pub(super) const ORIGIN: u16 = 7;
    pub(super) const ORIGIN_ADMIN: u16 = 8;
    pub(super) const HTTPS: u16 = 9;
}

/// What kind of process.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `atoll-proxy`.
    Proxy,
    /// `atoll-dht`, the index.
    Dht,
    /// `atoll-dns`, a name server.
    Dns,
    /// `atoll origin`, the demo's web site.
    Origin,
}

impl Kind {
    /// The word for tables and files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Dht => "dht",
            Self::Dns => "dns",
            Self::Origin => "origin",
        }
    }
}

/// A transport that a process listens on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// What is to be started.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The zone served.
    pub zone: Zone,
    /// Nodes: a proxy and an index daemon each. 1..=[`NODES_MAX`].
    pub nodes: u16,
    /// Name servers. 0..=[`DNS_MAX`].
    pub dns: u16,
    /// The demo origin and its delay; none to bring one's own.
    pub origin_delay: Option<Duration>,
    /// The proxies' port, from which the others derive.
    pub base_port: u16,
    /// Whether proxies may fetch from private addresses.
    pub allow_private: bool,
    /// Extra settings for every proxy.
    pub proxy_config: Option<PathBuf>,
    /// Where state, sockets and logs go.
    pub dir: PathBuf,
    /// The programs.
    pub programs: Programs,
}

/// A planned cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The zone served.
    pub zone: Zone,
    /// The certificate that clients over TLS have to trust.
    pub authority: PathBuf,
    /// The demo origin's address.
    pub origin: Option<SocketAddr>,
    /// The processes, in the order in which they are started.
    pub processes: Vec<Planned>,
}

/// One planned process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    /// Its kind.
    pub kind: Kind,
    /// Its name: `node1`, `ns1`, `origin`. Unique within a kind.
    pub name: String,
    /// The program to start.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its public address.
    pub addr: SocketAddr,
    /// Its admin pages.
    pub admin: SocketAddr,
    /// A proxy's address for other proxies.
    pub peer: Option<SocketAddr>,
    /// A proxy's address for clients over TLS.
    pub https: Option<SocketAddr>,
    /// An index daemon's socket for its siblings.
    pub socket: Option<PathBuf>,
    /// Everything it binds.
    pub listens: Vec<(Transport, SocketAddr)>,
    /// Its log file.
    pub log: PathBuf,
}

impl Planned {
    /// How people call it: `proxy node1`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.name)
    }
}

/// Why a wish cannot be planned. `Display` says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LayoutError {
    /// No nodes or too many.
    #[error("{0} nodes: choose 1 to {NODES_MAX} with --nodes")]
    Nodes(u16),
    /// Too many name servers.
    #[error("{0} name servers: choose 0 to {DNS_MAX} with --dns")]
    Dns(u16),
    /// The ports derived from the base port do not exist.
    #[error("base port {0}: choose 1 to {max} with --base-port", max = u16::MAX - PORTS + 1)]
    BasePort(u16),
    /// The directory makes a socket's path longer than the system allows.
    #[error("{} is too long for a Unix socket ({SOCKET_PATH_MAX} bytes): choose a shorter --dir", .0.display())]
    SocketPath(PathBuf),
}

impl Plan {
    /// Plans `wish`.
    ///
    /// # Errors
    /// A number is out of bounds, or the directory's name is too long.
    pub fn of(wish: &Wish) -> Result<Self, LayoutError> {
        if wish.nodes == 0 || wish.nodes > NODES_MAX {
            return Err(LayoutError::Nodes(wish.nodes));
        }
        if wish.dns > DNS_MAX {
            return Err(LayoutError::Dns(wish.dns));
        }
        if wish.base_port == 0 || wish.base_port > u16::MAX - PORTS + 1 {
            return Err(LayoutError::BasePort(wish.base_port));
        }
        let longest = wish.socket(wish.nodes);
        if longest.as_os_str().len() > SOCKET_PATH_MAX {
            return Err(LayoutError::SocketPath(longest));
        }
        let origin = wish.origin_delay.map(|delay| wish.origin(delay));
        let address = origin.as_ref().map(|origin| origin.addr);
        let nodes = || 1..=wish.nodes;
        let mut processes: Vec<Planned> = origin.into_iter().collect();
        processes.extend(nodes().map(|node| wish.index(node)));
        processes.extend(nodes().map(|node| wish.proxy(node)));
        processes.extend((1..=wish.dns).map(|server| wish.name_server(server)));
        Ok(Self {
            zone: wish.zone.clone(),
            authority: authority_file(&wish.dir),
            origin: address,
            processes,
        })
    }

    /// The processes of one kind, in order.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Planned> {
        self.processes
            .iter()
            .filter(move |planned| planned.kind == kind)
    }

    /// The coralised host name of the demo origin, or of a documentation address (RFC 5737) if
    /// there is none: a name that every name server of the zone must answer.
    ///
    /// # Errors
    /// The zone is too long for it.
    pub fn sample_host(&self) -> Result<String, NameError> {
        sample_host(&self.zone, self.origin)
    }
}

/// The coralised host of `origin`; of a documentation address (RFC 5737) if there is none.
///
/// # Errors
/// The zone is too long for it.
pub fn sample_host(zone: &Zone, origin: Option<SocketAddr>) -> Result<String, NameError> {
    match origin {
        Some(SocketAddr::V4(origin)) => zone.dotted(&Host::Ipv4(*origin.ip()), Some(origin.port())),
        _ => zone.dotted(&Host::Ipv4(Ipv4Addr::new(192, 0, 2, 1)), None),
    }
}

impl Wish {
    fn origin(&self, delay: Duration) -> Planned {
        let ip = Ipv4Addr::new(127, 0, 0, 10);
        let (addr, admin) = (
            self.at(ip, offset::ORIGIN),
            self.at(ip, offset::ORIGIN_ADMIN),
        );
        let args = [
            "origin".to_owned(),
            format!("--listen={addr}"),
            format!("--admin={admin}"),
            format!("--delay={}ms", delay.as_millis()),
            format!("--dir={}", site_dir(&self.dir).display()),
        ];
        Planned {
            kind: Kind::Origin,
            name: "origin".to_owned(),
            program: self.programs.atoll.clone(),
            args: args.to_vec(),
            addr,
            admin,
            peer: None,
            https: None,
            socket: None,
            listens: vec![(Transport::Tcp, addr), (Transport::Tcp, admin)],
            log: self.dir.join("origin.log"),
        }
    }

    fn index(&self, node: u16) -> Planned {
        let ip = node_ip(node);
        let (addr, admin) = (self.at(ip, offset::INDEX), self.at(ip, offset::INDEX_ADMIN));
        let seeds: Vec<String> = (1..=self.nodes)
            .filter(|seed| *seed != node)
            .take(SEEDS)
            .map(|seed| self.at(node_ip(seed), offset::INDEX).to_string())
            .collect();
        let socket = self.socket(node);
        let mut args = self.common_args(&format!("node{node}"), admin);
        set(&mut args, "udp.listen", addr);
        set(&mut args, "join.seeds", seeds.join(","));
        set(&mut args, "local.socket", socket.display());
        set(&mut args, "state.dir", self.node_dir(node).display());
        set(&mut args, "network.secret_file", self.secret().display());
        Planned {
            kind: Kind::Dht,
            name: format!("node{node}"),
            program: self.programs.dht.clone(),
            args,
            addr,
            admin,
            peer: None,
            https: None,
            socket: Some(socket),
            listens: vec![(Transport::Udp, addr), (Transport::Tcp, admin)],
            log: self.dir.join(format!("node{node}-dht.log")),
        }
    }

    fn proxy(&self, node: u16) -> Planned {
        let ip = node_ip(node);
        let (addr, admin) = (self.at(ip, offset::HTTP), self.at(ip, offset::PROXY_ADMIN));
        let (peer, https) = (self.at(ip, offset::PEER), self.at(ip, offset::HTTPS));
        let mut args = Vec::new();
        if let Some(config) = &self.proxy_config {
            args.extend(["--config".to_owned(), config.display().to_string()]);
        }
        args.extend(self.common_args(&format!("node{node}"), admin));
        set(&mut args, "zone", &self.zone);
        set(&mut args, "http.listen", addr);
        set(&mut args, "https.listen", https);
        let certificate = certificate_file(&self.dir);
        set(&mut args, "https.certificates", certificate.display());
        set(&mut args, "peer.listen", peer);
        set(&mut args, "index.socket", self.socket(node).display());
        set(&mut args, "network.secret_file", self.secret().display());
        set(
            &mut args,
            "store.dir",
            self.node_dir(node).join("store").display(),
        );
        if self.allow_private {
            set(&mut args, "origin.allow_private", true);
        }
        let listens = [addr, peer, admin, https].map(|addr| (Transport::Tcp, addr));
        Planned {
            kind: Kind::Proxy,
            name: format!("node{node}"),
            program: self.programs.proxy.clone(),
            args,
            addr,
            admin,
            peer: Some(peer),
            https: Some(https),
            socket: None,
            listens: listens.to_vec(),
            log: self.dir.join(format!("node{node}-proxy.log")),
        }
    }

    fn name_server(&self, server: u16) -> Planned {
        let ip = dns_ip(server);
        let (addr, admin) = (self.at(ip, offset::DNS), self.at(ip, offset::DNS_ADMIN));
        let all: Vec<String> = (1..=self.dns)
            .map(|each| format!("ns{each}={}", dns_ip(each)))
            .collect();
        // Each name server asks another node's index; they share when there are fewer nodes.
        let node = (server - 1) % self.nodes + 1;
        let mut args = self.common_args(&format!("ns{server}"), admin);
        set(&mut args, "zone", &self.zone);
        set(&mut args, "zone.ns", all.join(","));
        set(&mut args, "dns.listen", addr);
        set(&mut args, "index.socket", self.socket(node).display());
        Planned {
            kind: Kind::Dns,
            name: format!("ns{server}"),
            program: self.programs.dns.clone(),
            args,
            addr,
            admin,
            peer: None,
            https: None,
            socket: None,
            listens: vec![
                (Transport::Udp, addr),
                (Transport::Tcp, addr),
                (Transport::Tcp, admin),
            ],
            log: self.dir.join(format!("ns{server}.log")),
        }
    }

    fn common_args(&self, name: &str, admin: SocketAddr) -> Vec<String> {
        let mut args = Vec::new();
        set(&mut args, "node.name", name);
        set(&mut args, "admin.listen", admin);
        args
    }

    fn at(&self, ip: Ipv4Addr, offset: u16) -> SocketAddr {
        // Checked by `Plan::of`: the last port exists.
        SocketAddr::new(IpAddr::V4(ip), self.base_port.saturating_add(offset))
    }

    fn node_dir(&self, node: u16) -> PathBuf {
        self.dir.join(format!("node{node}"))
    }

    fn socket(&self, node: u16) -> PathBuf {
        self.node_dir(node).join("index.sock")
    }

    fn secret(&self) -> PathBuf {
        secret_file(&self.dir)
    }
}

/// Where the network secret of a cluster in `dir` lies.
#[must_use]
pub fn secret_file(dir: &Path) -> PathBuf {
    dir.join("secret")
}

/// Where the certificate and key that proxies of a cluster in `dir` show lie.
#[must_use]
pub fn certificate_file(dir: &Path) -> PathBuf {
    dir.join("certificate.pem")
}

/// Where the certificate of the authority that signed it lies: for clients to trust.
#[must_use]
pub fn authority_file(dir: &Path) -> PathBuf {
    dir.join("authority.pem")
}

/// Where the files of the demo origin of a cluster in `dir` lie.
#[must_use]
pub fn site_dir(dir: &Path) -> PathBuf {
    dir.join("site")
}

/// The loopback address of node `node`, counted from 1: 127.0.0.11 to 127.0.0.250, then
/// 127.0.1.1 to 127.0.1.250 and so on.
#[must_use]
pub fn node_ip(node: u16) -> Ipv4Addr {
    const FIRST: u16 = 11;
    const PER_NET: u16 = 250;
    let at = node.saturating_sub(1) + FIRST - 1;
    let [net, host] = [at / PER_NET, at % PER_NET + 1].map(|n| u8::try_from(n).unwrap_or(u8::MAX));
    Ipv4Addr::new(127, 0, net, host)
}

/// The loopback address of name server `server`, counted from 1: 127.0.0.2 to 127.0.0.9.
#[must_use]
pub fn dns_ip(server: u16) -> Ipv4Addr {
    let last = u8::try_from(server.saturating_add(1)).unwrap_or(u8::MAX);
    Ipv4Addr::new(127, 0, 0, last)
}

fn set(args: &mut Vec<String>, key: &str, value: impl std::fmt::Display) {
    args.extend(["--set".to_owned(), format!("{key}={value}")]);
}

#[cfg(test)]
mod tests;
