//! Clients, proxies and name servers at the sites of a matrix, and an hour of visits.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use common::name::Zone;
use common::rng::Generator;
use dns::engine::answer::View;
use dns::engine::answer::locate::Node;
use dns::engine::answer::select::{Selection, select};
use dns::engine::config::{AnswerConfig, NameServer, NearConfig, NearLevels, ZoneConfig};
use dns::engine::inquiry::{Asker, Subnet};
use dns::engine::live::{LiveSet, Member, WEIGHT_MAX};
use dns::engine::near::Network;
use dns::engine::near::learner::{Found, Learner, Output};
use dns::engine::near::places::Places;
use dns::engine::snapshot::Snapshot;
use dns::engine::zone::{ZoneData, Zones};
use hickory_proto::rr::RecordType;
use proxy::engine::distances::Distances;

use super::index::Index;
use crate::matrix::Matrix;
use crate::report::Report;

/// Name servers, each at a proxy.
const SERVERS: usize = 10;

/// Microseconds below which two machines are in one inner, or outer, cluster.
const INNER: u32 = 20_000;
const OUTER: u32 = 60_000;

/// One network in so many has visitors all the time, the others now and then.
const BUSY_ONE_IN: usize = 2;

/// Seconds between two visits, on average, of busy networks and of others.
const BETWEEN: (usize, usize) = (10, 120);

/// What queues add to a measured round trip, at most, as a share of it: a fifth.
const QUEUES: u32 = 5;

/// A client network.
#[derive(Debug)]
struct Client {
    address: IpAddr,
    busy: bool,
    /// The server that its resolver prefers; `None` for a resolver that asks any of them.
    prefers: Option<usize>,
}

/// A name server.
#[derive(Debug)]
struct Server {
    learner: Learner,
    snapshot: Snapshot,
    rng: Generator,
}

/// What an answer is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Knowledge {
    /// All that was learnt.
    Everything,
    /// The server's own surroundings.
    Surroundings,
}

/// See the module.
#[derive(Debug)]
pub(super) struct World {
    matrix: Matrix,
    /// Sites of the proxies.
    proxies: Vec<usize>,
    measured: Vec<Distances>,
    clients: Vec<Client>,
    servers: Vec<Server>,
    index: Index,
    rng: Generator,
    visits: u64,
    hints: u64,
    pub(super) now: Moment,
}

fn proxy_address(proxy: usize) -> IpAddr {
    let n = u16::try_from(proxy).unwrap_or(0).to_be_bytes();
    IpAddr::from([100 + n[0], n[1], 7, 1])
}

fn proxy_at(address: IpAddr) -> Option<usize> {
    let IpAddr::V4(v4) = address else { return None };
    let [high, low, ..] = v4.octets();
    Some(usize::from(high - 100) * 256 + usize::from(low))
}

fn zones() -> Zones {
    let config = ZoneConfig {
        zone: Zone::parse("nyud.test").expect("a zone"),
        servers: vec![NameServer {
            name: "ns.example.net".to_owned(),
            addresses: Vec::new(),
        }],
        hostmaster: "hostmaster@nyud.test".to_owned(),
        serial: 1,
        services: Vec::new(),
        records: Vec::new(),
        negative_ttl: 30,
        signing: None,
    };
    let zone = ZoneData::new(&config).expect("a zone with a server");
    Zones::new(vec![zone]).expect("one zone")
}

impl World {
    pub(super) fn new(matrix: Matrix, proxies: usize, mut rng: Generator) -> Self {
        let sites = matrix.sites();
        let proxies = sample(&mut rng, sites, proxies);
        let at = sample(&mut rng, proxies.len(), SERVERS);
        let servers = at.iter().map(|proxy| {
            let site = proxies[*proxy];
            let levels = NearLevels::default();
            let member = |(number, of): (usize, &usize)| Member {
                address: proxy_address(number),
                level: levels.of(micros(matrix.round_trip(site, *of))),
                weight: WEIGHT_MAX,
            };
            let live = LiveSet::of(proxies.iter().enumerate().map(member), None);
            Server {
                learner: Learner::new(NearConfig::default()),
                snapshot: Snapshot::new(zones(), AnswerConfig::default()).with_live(live),
                rng: rng.child(),
            }
        });
        let servers: Vec<_> = servers.collect();
        let clients = (0..sites).map(|site| {
            let nearest =
                (0..at.len()).min_by_key(|server| matrix.round_trip(site, proxies[at[*server]]));
            let [high, low] = u16::try_from(site).unwrap_or(0).to_be_bytes();
            Client {
                address: IpAddr::from([20, high, low, 9]),
                busy: rng.below(BUSY_ONE_IN) == 0,
                // Some resolvers learn which server is near, others ask in turn.
                prefers: nearest.filter(|_| rng.below(2) == 0),
            }
        });
        let clients = clients.collect();
        let ttl = dht::hints::TTL;
        let measured = proxies
            .iter()
            .map(|_| Distances::new(ttl, Duration::from_millis(500)));
        Self {
            measured: measured.collect(),
            matrix,
            proxies,
            clients,
            servers,
            index: Index::default(),
            rng,
            visits: 0,
            hints: 0,
            now: Moment::ZERO,
        }
    }

    /// A second of everybody's life.
    pub(super) fn second(&mut self) {
        for client in 0..self.clients.len() {
            let (busy, rare) = BETWEEN;
            let between = if self.clients[client].busy {
                busy
            } else {
                rare
            };
            if self.rng.below(between) == 0 {
                self.visit(client);
            }
        }
        for proxy in 0..self.proxies.len() {
            while let Some(hint) = self.measured[proxy].due(self.now) {
                self.index.tell(self.now, proxy, hint);
                self.hints += 1;
            }
        }
        let end = self.now + Duration::from_secs(1);
        for server in 0..self.servers.len() {
            self.learn(server, end);
        }
        self.now = end;
    }

    /// A client asks, and goes to one of those named, whichever its resolver puts first.
    fn visit(&mut self, client: usize) {
        self.visits += 1;
        let server = self.server_of(client);
        let network = Network::of(self.clients[client].address);
        self.servers[server].learner.handle_seen(self.now, network);
        let named = self.answer(client, server, Knowledge::Everything);
        let Some(proxy) = named.get(self.rng.below(named.len().max(1))).copied() else {
            return;
        };
        let rtt = micros(self.round_trip(client, proxy)).max(Duration::from_micros(300));
        let measured = rtt + self.rng.jitter(rtt / QUEUES);
        // Those too far for a hint say nothing.
        let _ = self.measured[proxy].measured(self.now, self.clients[client].address, measured);
    }

    fn learn(&mut self, server: usize, end: Moment) {
        let mut now = self.now;
        loop {
            match self.servers[server].learner.poll_output(now) {
                Output::Ask { client, wide } => {
                    let rng = &mut self.servers[server].rng;
                    let (matrix, proxies) = (&self.matrix, &self.proxies);
                    let cluster = |proxy| cluster(matrix, proxies, proxy, wide);
                    let near = self.index.near(now, client, wide, cluster, rng);
                    let near: Vec<_> = near
                        .into_iter()
                        .map(|(proxy, far)| (SocketAddr::new(proxy_address(proxy), 80), far))
                        .collect();
                    let found = if near.is_empty() {
                        Found::Nothing
                    } else {
                        Found::Near(near)
                    };
                    self.servers[server]
                        .learner
                        .handle_found(now, client, &found);
                }
                Output::Publish(places) => {
                    let snapshot = &mut self.servers[server].snapshot;
                    *snapshot = snapshot.with_places(places);
                }
                Output::Wake(at, _) if at >= end => return,
                Output::Wake(at, _) => {
                    now = at;
                    self.servers[server].learner.handle_timeout(now);
                }
            }
        }
    }

    /// The server that the resolver of `client` asks this time.
    pub(super) fn server_of(&mut self, client: usize) -> usize {
        let any = self.rng.below(self.servers.len());
        self.clients[client].prefers.unwrap_or(any)
    }

    /// The proxies that `server` names to `client`.
    pub(super) fn answer(&mut self, client: usize, server: usize, with: Knowledge) -> Vec<usize> {
        let address = self.clients[client].address;
        let server = &mut self.servers[server];
        let blind = match with {
            Knowledge::Everything => None,
            Knowledge::Surroundings => {
                Some(server.snapshot.with_places(Arc::new(Places::default())))
            }
        };
        let view = View::new(blind.as_ref().unwrap_or(&server.snapshot), self.now);
        let asker = Asker {
            from: IpAddr::from([9, 9, 9, 9]),
            room: 4,
            subnet: Some(Subnet {
                address,
                source: 24,
            }),
        };
        let picked = select(&view, &mut server.rng, Node::Proxied, RecordType::A, &asker);
        match picked {
            Selection::Named(pick) => pick.addresses.iter().filter_map(|a| proxy_at(*a)).collect(),
            Selection::Unneeded | Selection::Nobody => Vec::new(),
        }
    }

    /// Microseconds from `client` to `proxy` and back.
    pub(super) fn round_trip(&self, client: usize, proxy: usize) -> u32 {
        self.matrix.round_trip(client, self.proxies[proxy])
    }

    pub(super) const fn clients(&self) -> usize {
        self.clients.len()
    }

    pub(super) const fn proxies(&self) -> usize {
        self.proxies.len()
    }

    pub(super) fn chance(&mut self, below: usize) -> usize {
        self.rng.below(below)
    }

    pub(super) fn count(&self, report: &mut Report) {
        report.count("visits", self.visits);
        report.count("hints told", self.hints);
        report.count("networks hinted", self.index.networks() as u64);
        let known = self.servers.iter().map(|server| server.learner.sizes().0);
        report.count(
            "networks known, sum of all servers",
            known.sum::<usize>() as u64,
        );
        report.count("name servers", self.servers.len() as u64);
    }
}

/// Others in the inner or outer cluster of `proxy`.
fn cluster(matrix: &Matrix, proxies: &[usize], proxy: usize, outer: bool) -> Vec<usize> {
    let width = if outer { OUTER } else { INNER };
    let inside = |other: &usize| {
        *other != proxy && matrix.round_trip(proxies[proxy], proxies[*other]) < width
    };
    (0..proxies.len()).filter(inside).collect()
}

fn micros(round_trip: u32) -> Duration {
    Duration::from_micros(u64::from(round_trip))
}

/// `count` of the numbers below `of`, each set equally likely.
fn sample(rng: &mut Generator, of: usize, count: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..of).collect();
    for at in 0..count.min(of) {
        all.swap(at, at + rng.below(of - at));
    }
    all.truncate(count);
    all
}
