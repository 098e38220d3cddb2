//! Proxies, indexes and name servers of a test's own, as real processes.
//!
//! All proxies of a place share one port and differ in their address, since an A record carries no
//! port; so do name servers. A node is a proxy and an index at one address.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use common::rng::Generator;
use common::shell::secret;
use common::wire::secret::NetworkSecret;
use hickory_proto::rr::RecordType;

use crate::binaries::Program;
use crate::client::{Answer, Ask, Page};
use crate::daemon::{Daemon, Vars};
use crate::metrics;
use crate::origin::ZONE;
use crate::place::{Place, Port, host};
use crate::resolver;
use crate::wait::{self, EVENTUALLY, SOON};

/// A proxy.
#[derive(Debug)]
pub struct Proxy {
    /// The process.
    pub daemon: Daemon,
    /// Where clients connect.
    pub http: SocketAddr,
    /// Where peers connect, if it has an index.
    pub peer: SocketAddr,
    /// Its admin pages.
    pub admin: SocketAddr,
}

/// An index daemon.
#[derive(Debug)]
pub struct Index {
    /// The process.
    pub daemon: Daemon,
    /// Where datagrams arrive.
    pub udp: SocketAddr,
    /// Its admin pages.
    pub admin: SocketAddr,
    /// Its local socket.
    pub socket: PathBuf,
}

/// A name server.
#[derive(Debug)]
pub struct NameServer {
    /// The process.
    pub daemon: Daemon,
    /// Where questions arrive.
    pub dns: SocketAddr,
    /// Its admin pages.
    pub admin: SocketAddr,
}

/// `key=value`, for `--set`.
#[must_use]
pub fn set(key: &str, value: impl std::fmt::Display) -> String {
    format!("{key}={value}")
}

impl Proxy {
    /// A proxy without an index, that may fetch from loopback, with these settings beside.
    pub async fn alone(place: &Place, sets: &[String]) -> Self {
        let proxy = Self::start(place, host::NODE, sets);
        proxy.until_up().await;
        proxy
    }

    fn start(place: &Place, host: u8, sets: &[String]) -> Self {
        Self::start_among(&Vars::new(), place, host, sets)
    }

    fn start_among(vars: &Vars, place: &Place, host: u8, sets: &[String]) -> Self {
        let http = place.at(host, Port::Http);
        let admin = place.at(host, Port::ProxyAdmin);
        let name = format!("node{host}");
        let mut all = vec![
            set("zone", ZONE),
            set("node.name", &name),
            set("http.listen", http),
            set("admin.listen", admin),
            set("store.dir", place.file(&format!("{name}-store")).display()),
            set("origin.allow_private", true),
        ];
        all.extend_from_slice(sets);
        let title = format!("proxy-{name}");
        Self {
            daemon: Daemon::start_among(vars, &title, Program::Proxy, &all, place.dir()),
            http,
            peer: place.at(host, Port::Peer),
            admin,
        }
    }

    /// Waits until it serves.
    pub async fn until_up(&self) {
        wait::until("the proxy is up", SOON, async || {
            metrics::is_ready(self.admin).await
        })
        .await;
    }

    /// Waits until its index knows of it.
    pub async fn until_registered(&self) {
        self.until_up().await;
        let registered = async || metrics::value(self.admin, "atoll_proxy_registered").await == 1;
        wait::until("the proxy is registered", SOON, registered).await;
    }

    /// A request for `page`.
    #[must_use]
    pub fn ask(&self, page: &Page) -> Ask {
        Ask::of(self.http, page)
    }

    /// The answer to a plain GET for `page`.
    pub async fn get(&self, page: &Page) -> Answer {
        self.ask(page).fetch().await
    }

    /// A counter or gauge.
    pub async fn metric(&self, series: &str) -> u64 {
        metrics::value(self.admin, series).await
    }
}

impl Index {
    /// The index number `n` of a place, from 0, joining through `seeds`. Does not wait.
    #[must_use]
    pub fn start(place: &Place, n: u8, seeds: &[SocketAddr], sets: &[String]) -> Self {
        Self::start_among(&Vars::new(), place, n, seeds, sets)
    }

    fn start_among(
        vars: &Vars,
        place: &Place,
        n: u8,
        seeds: &[SocketAddr],
        sets: &[String],
    ) -> Self {
        let host = host::NODE + n;
        let (udp, admin) = (
            place.at(host, Port::Index),
            place.at(host, Port::IndexAdmin),
        );
        let name = format!("node{host}");
        let socket = place.file(&format!("{name}.sock"));
        let seeds: Vec<String> = seeds.iter().map(ToString::to_string).collect();
        let mut all = vec![
            set("node.name", &name),
            set("udp.listen", udp),
            set("admin.listen", admin),
            set("local.socket", socket.display()),
            set("state.dir", place.file(&name).display()),
            set("network.secret_file", secret_file(place).display()),
            set("join.seeds", seeds.join(",")),
        ];
        all.extend_from_slice(sets);
        let title = format!("dht-{name}");
        Self {
            daemon: Daemon::start_among(vars, &title, Program::Dht, &all, place.dir()),
            udp,
            admin,
            socket,
        }
    }

    /// Waits until it has put and got a value through others.
    pub async fn until_ready(&self) {
        wait::until("the index is ready", EVENTUALLY, async || {
            metrics::is_ready(self.admin).await
        })
        .await;
    }

    /// A counter or gauge.
    pub async fn metric(&self, series: &str) -> u64 {
        metrics::value(self.admin, series).await
    }

    /// A client of its local API.
    #[must_use]
    pub fn client(&self) -> dht::client::Client {
        dht::client::Client::new(self.socket.clone())
    }
}

/// The file with the network's secret of a place; made when it is first asked for.
#[must_use]
pub fn secret_file(place: &Place) -> PathBuf {
    let path = place.file("secret");
    if !path.exists() {
        make_secret(&path);
    }
    path
}

/// Writes a new secret to `path`.
pub fn make_secret(path: &std::path::Path) {
    let made = NetworkSecret::generate(&mut Generator::from_system().unwrap());
    secret::create(path, &made).unwrap();
}

/// What a cluster is to have.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    nodes: u8,
    servers: u8,
    proxy_sets: Vec<String>,
    index_sets: Vec<String>,
    server_sets: Vec<String>,
    /// A node whose processes have something in their environment that the others have not.
    odd: Option<(u8, Vars)>,
}

/// A whole CDN.
#[derive(Debug)]
pub struct Cluster {
    /// The proxies; proxy `n` has index `n`.
    pub proxies: Vec<Proxy>,
    /// The indexes.
    pub indexes: Vec<Index>,
    /// The name servers.
    pub servers: Vec<NameServer>,
}

impl Wish {
    /// Name servers beside the nodes.
    #[must_use]
    pub const fn name_servers(mut self, servers: u8) -> Self {
        self.servers = servers;
        self
    }

    /// A setting for every proxy.
    #[must_use]
    pub fn proxies_with(mut self, set: String) -> Self {
        self.proxy_sets.push(set);
        self
    }

    /// A setting for every name server.
    #[must_use]
    pub fn servers_with(mut self, set: String) -> Self {
        self.server_sets.push(set);
        self
    }

    /// The proxy and the index of node `n`, from 0, have these in their environment.
    #[must_use]
    pub fn node_among(mut self, n: u8, vars: Vars) -> Self {
        self.odd = Some((n, vars));
        self
    }

    fn vars(&self, n: u8) -> Vars {
        let own = self.odd.as_ref().filter(|(odd, _)| *odd == n);
        own.map(|(_, vars)| vars.clone()).unwrap_or_default()
    }

    /// A setting for every index.
    #[must_use]
    pub fn indexes_with(mut self, set: String) -> Self {
        self.index_sets.push(set);
        self
    }

    /// Starts all of it and waits until it works.
    pub async fn start(self, place: &Place) -> Cluster {
        let at = |n| place.at(host::NODE + n, Port::Index);
        let seeds = |own| -> Vec<SocketAddr> {
            let others = (0..self.nodes).filter(|n| *n != own).take(3);
            others.map(at).collect()
        };
        let indexes: Vec<Index> = (0..self.nodes)
            .map(|n| Index::start_among(&self.vars(n), place, n, &seeds(n), &self.index_sets))
            .collect();
        let proxies = indexes.iter().zip(0..).map(|(index, n)| {
            let mut sets = vec![
                set("peer.listen", place.at(host::NODE + n, Port::Peer)),
                set("index.socket", index.socket.display()),
                set("network.secret_file", secret_file(place).display()),
            ];
            sets.extend_from_slice(&self.proxy_sets);
            Proxy::start_among(&self.vars(n), place, host::NODE + n, &sets)
        });
        let proxies = proxies.collect();
        let servers = (0..self.servers)
            .map(|n| {
                let index = &indexes[usize::from(n % self.nodes)];
                NameServer::start(place, (n, self.servers), index, &self.server_sets)
            })
            .collect();
        let cluster = Cluster {
            proxies,
            indexes,
            servers,
        };
        cluster.until_ready().await;
        cluster
    }
}

impl Cluster {
    /// A wish for so many nodes.
    #[must_use]
    pub fn of(nodes: u8) -> Wish {
        Wish {
            nodes,
            ..Wish::default()
        }
    }

    async fn until_ready(&self) {
        for index in &self.indexes {
            index.until_ready().await;
        }
        for proxy in &self.proxies {
            proxy.until_registered().await;
        }
        for server in &self.servers {
            server.until_naming(&self.proxies).await;
        }
    }

    /// Puts a new proxy at host number `host` in the place of the dead proxy number `n`, with the same
    /// index, and waits until that knows of it.
    pub async fn replace(&mut self, place: &Place, n: usize, host: u8) {
        let sets = [
            set("peer.listen", place.at(host, Port::Peer)),
            set("index.socket", self.indexes[n].socket.display()),
            set("network.secret_file", secret_file(place).display()),
        ];
        self.proxies[n] = Proxy::start(place, host, &sets);
        self.proxies[n].until_registered().await;
    }

    /// The sum of a counter over all proxies.
    pub async fn proxy_total(&self, series: &str) -> u64 {
        let mut total = 0;
        for proxy in &self.proxies {
            total += proxy.metric(series).await;
        }
        total
    }
}

impl NameServer {
    /// One without an index, that checks `proxies`, with these settings beside.
    #[must_use]
    pub fn alone(place: &Place, proxies: &[SocketAddr], sets: &[String]) -> Self {
        let own = host::NAME_SERVER;
        let (dns, admin) = (place.at(own, Port::Dns), place.at(own, Port::DnsAdmin));
        let fixed: Vec<_> = proxies.iter().map(ToString::to_string).collect();
        let mut all = vec![
            set("zone", ZONE),
            set("node.name", "ns1"),
            set("dns.listen", dns),
            set("admin.listen", admin),
            set("check.fixed", fixed.join(",")),
            // All who ask in a test are of one neighbourhood.
            set("limit.replies_per_second", 0),
        ];
        all.extend_from_slice(sets);
        Self {
            daemon: Daemon::start("dns-ns1", Program::Dns, &all, place.dir()),
            dns,
            admin,
        }
    }

    /// Waits until it would name so many proxies.
    pub async fn until_live(&self, proxies: usize) {
        let live = async || {
            metrics::is_ready(self.admin).await
                && metrics::value(self.admin, "atoll_dns_proxies_live").await == proxies as u64
        };
        wait::until("the name server names as many proxies", EVENTUALLY, live).await;
    }

    fn start(place: &Place, (n, all): (u8, u8), index: &Index, more: &[String]) -> Self {
        let own = host::NAME_SERVER + n;
        let (dns, admin) = (place.at(own, Port::Dns), place.at(own, Port::DnsAdmin));
        let name = |n: u8| format!("ns{}={}", n + 1, place.ip(host::NAME_SERVER + n));
        let names: Vec<String> = (0..all).map(name).collect();
        let mut sets = vec![
            set("zone", ZONE),
            set("node.name", format!("ns{}", n + 1)),
            set("zone.ns", names.join(",")),
            set("dns.listen", dns),
            set("admin.listen", admin),
            set("index.socket", index.socket.display()),
            // All who ask in a test are of one neighbourhood.
            set("limit.replies_per_second", 0),
        ];
        sets.extend_from_slice(more);
        Self {
            daemon: Daemon::start(
                &format!("dns-ns{}", n + 1),
                Program::Dns,
                &sets,
                place.dir(),
            ),
            dns,
            admin,
        }
    }

    /// Waits until it would name each of `proxies`.
    pub async fn until_naming(&self, proxies: &[Proxy]) {
        self.until_naming_within(proxies, EVENTUALLY).await;
    }

    /// The same for a server that may have a reason to wait.
    pub async fn until_naming_within(&self, proxies: &[Proxy], deadline: Duration) {
        let live = async || {
            metrics::is_ready(self.admin).await
                && metrics::value(self.admin, "atoll_dns_proxies_live").await
                    == proxies.len() as u64
        };
        wait::until("the name server names all proxies", deadline, live).await;
    }

    /// Whether it names `proxy` in any of several answers: an answer has four addresses at most.
    pub async fn names(&self, proxy: &Proxy, name: &str) -> bool {
        for _ in 0..8 {
            let answer = resolver::ask(self.dns, name, RecordType::A).await;
            if resolver::addresses(&answer).contains(&proxy.http.ip()) {
                return true;
            }
        }
        false
    }
}
