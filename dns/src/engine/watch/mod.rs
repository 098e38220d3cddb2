//! The delegation watch: does the parent lead resolvers to us, and to nobody else? Dead registered
//! name servers were CoralCDN's worst pain, and nobody but the operator can see them.
//!
//! For each zone in turn it asks, from time to time: a server of the parent for the delegation and
//! its DS records, then every address that this leads to for the zone's SOA. With a resolver given
//! instead of the parent's servers, it first asks that who they are. The difference to the zone is
//! what [`mod@compare`] finds.
//!
//! It is a state machine of rounds: it says what to ask ([`Action::Ask`]), at most
//! [`QUERIES_MAX`] questions at once, and is told the answers together. Whoever asks bounds the
//! time of each. A round that the parent does not answer changes nothing but its own counter.

pub mod compare;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use common::rng::Generator;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use self::compare::{Delegation, Difference, compare, ds_records};
use super::zone::{ZoneData, Zones};

/// Most questions of one step: the addresses of all name servers that a delegation may sensibly have.
pub const QUERIES_MAX: usize = 32;

/// Servers of the parent that are tried in a round.
const PARENTS_MAX: usize = 3;

/// Where delegations lead.
const DNS: u16 = 53;

/// How the watch works.
#[derive(Clone, Debug)]
pub struct WatchConfig {
    /// Between two rounds.
    pub every: Duration,
    /// Servers of the parent zones.
    pub parents: Vec<SocketAddr>,
    /// A resolver that knows them.
    pub resolver: Option<SocketAddr>,
    /// The port of name servers: 53 but in tests.
    pub port: u16,
}

impl WatchConfig {
    /// Whether there is anybody to ask.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.parents.is_empty() || self.resolver.is_some()
    }
}

impl Default for WatchConfig {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(600),
            parents: Vec::new(),
            resolver: None,
            port: DNS,
        }
    }
}

/// A question to be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// Of whom.
    pub server: SocketAddr,
    /// Name.
    pub name: Name,
    /// Type.
    pub kind: RecordType,
    /// Whether it is a resolver that shall resolve.
    pub recursive: bool,
}

/// What came back.
#[derive(Clone, PartialEq, Debug)]
pub struct Heard {
    /// Response code.
    pub code: ResponseCode,
    /// Whether the server speaks for the zone.
    pub authoritative: bool,
    /// Answer section.
    pub answers: Vec<Record>,
    /// Authority and additional section.
    pub others: Vec<Record>,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Ask all of these at once, and tell [`Watch::handle_answers`] what came, in their order.
    Ask(Vec<Query>),
    /// Nothing before then.
    Wait(Moment),
}

/// What a round came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WatchStats {
    /// Rounds that compared something.
    pub complete: u64,
    /// Rounds in which no server of the parent answered.
    pub unreachable: u64,
}

/// What is known of a zone's delegation.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// When it was compared last.
    pub at: Moment,
    /// How it differs.
    pub differences: Vec<Difference>,
}

/// Where a round stands.
#[derive(Clone, Debug)]
enum Phase {
    /// Between two rounds.
    Idle,
    /// The resolver is asked in which zone the parent's name lies.
    FindZone,
    /// The resolver is asked for the name servers of that zone.
    FindServers,
    /// The resolver is asked for their addresses.
    FindAddresses,
    /// Servers of the parent are asked for the delegation and for DS.
    Parent,
    /// The resolver is asked for addresses that the parent did not give.
    Elsewhere(Delegation, Vec<Name>),
    /// Every address is asked for the zone.
    Servers(Delegation, Vec<(Name, IpAddr)>),
}

/// The watch over all zones of a server.
#[derive(Debug)]
pub struct Watch {
    config: WatchConfig,
    zones: Arc<Zones>,
    rng: Generator,
    /// Zones still to be looked at in this round, by number.
    left: VecDeque<usize>,
    zone: usize,
    phase: Phase,
    pending: Vec<Query>,
    wake: Moment,
    reports: Vec<Option<Report>>,
    stats: WatchStats,
}

impl Watch {
    /// A watch whose first round begins soon after `now`, when the server itself answers.
    #[must_use]
    pub fn new(config: WatchConfig, zones: Arc<Zones>, mut rng: Generator, now: Moment) -> Self {
        const SETTLE: Duration = Duration::from_secs(2);
        let wake = now + SETTLE.min(config.every) + rng.jitter(config.every / 10);
        let reports = vec![None; zones.iter().count()];
        Self {
            config,
            zones,
            rng,
            left: VecDeque::new(),
            zone: 0,
            phase: Phase::Idle,
            pending: Vec::new(),
            wake,
            reports,
            stats: WatchStats::default(),
        }
    }

    /// Watches `zones` instead, from the next round on. What was found of those that stay is kept;
    /// answers to what was just asked are not.
    pub fn replace(&mut self, zones: Arc<Zones>) {
        let known = |zone: &ZoneData| {
            let mut reports = self.reports();
            let found = reports.find(|(other, _)| other.origin() == zone.origin());
            found.and_then(|(_, report)| report).cloned()
        };
        self.reports = zones.iter().map(known).collect();
        self.zones = zones;
        self.left.clear();
        self.pending.clear();
        self.phase = Phase::Idle;
        self.zone = 0;
    }

    /// What to do at `now`.
    pub fn act(&mut self, now: Moment) -> Action {
        if self.pending.is_empty() && matches!(self.phase, Phase::Idle) {
            if self.left.is_empty() && now >= self.wake {
                self.left = (0..self.reports.len()).collect();
                // Downwards only, and never in step with other servers of the zone.
                let early = self.rng.jitter(self.config.every / 10);
                self.wake = now + self.config.every - early;
            }
            match self.left.pop_front() {
                Some(zone) => self.begin(zone),
                None => return Action::Wait(self.wake),
            }
        }
        Action::Ask(self.pending.clone())
    }

    /// What is known of each zone's delegation; `None` before it was compared.
    pub fn reports(&self) -> impl Iterator<Item = (&ZoneData, Option<&Report>)> {
        let reports = self.reports.iter().map(Option::as_ref);
        self.zones.iter().zip(reports)
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> WatchStats {
        self.stats
    }

    fn origin(&self) -> Name {
        let zone = self.zones.iter().nth(self.zone);
        zone.map_or_else(Name::root, |zone| zone.origin().clone())
    }

    fn begin(&mut self, zone: usize) {
        self.zone = zone;
        if !self.config.parents.is_empty() {
            let parents = self.config.parents.clone();
            return self.ask_parents(parents);
        }
        let above = self.origin().base_name();
        self.phase = Phase::FindZone;
        self.pending = self.resolve([(above, RecordType::SOA)]);
    }

    fn resolve(&self, what: impl IntoIterator<Item = (Name, RecordType)>) -> Vec<Query> {
        let Some(server) = self.config.resolver else {
            return Vec::new();
        };
        let query = |(name, kind)| Query {
            server,
            name,
            kind,
            recursive: true,
        };
        what.into_iter().take(QUERIES_MAX).map(query).collect()
    }

    fn ask_parents(&mut self, mut parents: Vec<SocketAddr>) {
        // Another one first each time, so that each is looked at in the end.
        if !parents.is_empty() {
            let first = self.rng.below(parents.len());
            parents.rotate_left(first);
        }
        let origin = self.origin();
        let queries = parents.into_iter().take(PARENTS_MAX).flat_map(|server| {
            let query = |kind| Query {
                server,
                name: origin.clone(),
                kind,
                recursive: false,
            };
            [query(RecordType::NS), query(RecordType::DS)]
        });
        self.pending = queries.collect();
        self.phase = Phase::Parent;
        if self.pending.is_empty() {
            self.unreachable();
        }
    }

    /// What came of the questions of the last [`Action::Ask`], in their order. Returns the new
    /// differences, and those that are gone, if a zone was compared.
    pub fn handle_answers(&mut self, now: Moment, heard: &[Option<Heard>]) -> Option<Change> {
        let asked = std::mem::take(&mut self.pending);
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Idle => None,
            Phase::FindZone => {
                self.find_servers(heard);
                None
            }
            Phase::FindServers => {
                self.find_addresses(heard);
                None
            }
            Phase::FindAddresses => {
                let found = heard.iter().flatten().flat_map(|heard| ips(&heard.answers));
                let port = self.config.port;
                self.ask_parents(found.map(|ip| SocketAddr::new(ip, port)).collect());
                None
            }
            Phase::Parent => self.read_parent(&asked, heard, now),
            Phase::Elsewhere(mut delegation, names) => {
                // Two questions per name, one of each family.
                for (name, pair) in names.iter().zip(heard.chunks(2)) {
                    let found = pair.iter().flatten().flat_map(|heard| ips(&heard.answers));
                    delegation
                        .glue
                        .entry(name.clone())
                        .or_default()
                        .extend(found);
                }
                self.ask_servers(delegation, now)
            }
            Phase::Servers(delegation, asked) => Some(self.finish(&delegation, &asked, heard, now)),
        }
    }

    fn find_servers(&mut self, heard: &[Option<Heard>]) {
        // The SOA of the zone that the parent's name lies in, in whichever section.
        let soa = |record: &&Record| record.record_type() == RecordType::SOA;
        let records = heard.iter().flatten();
        let mut records = records.flat_map(|heard| heard.answers.iter().chain(&heard.others));
        let Some(zone) = records.find(soa).map(|soa| soa.name.clone()) else {
            return self.unreachable();
        };
        self.phase = Phase::FindServers;
        self.pending = self.resolve([(zone, RecordType::NS)]);
    }

    fn find_addresses(&mut self, heard: &[Option<Heard>]) {
        let answers = heard.iter().flatten().flat_map(|heard| &heard.answers);
        let names = answers.filter_map(|record| match &record.data {
            RData::NS(ns) => Some(ns.0.clone()),
            _ => None,
        });
        let names: Vec<Name> = names.take(PARENTS_MAX).collect();
        let both = names.into_iter().flat_map(both_families);
        self.phase = Phase::FindAddresses;
        self.pending = self.resolve(both);
        if self.pending.is_empty() {
            self.unreachable();
        }
    }

    fn read_parent(
        &mut self,
        asked: &[Query],
        heard: &[Option<Heard>],
        now: Moment,
    ) -> Option<Change> {
        let origin = self.origin();
        let read = asked.chunks(2).zip(heard.chunks(2)).find_map(|(_, pair)| {
            let [Some(ns), ds] = pair else {
                return None;
            };
            let records = ns.answers.iter().chain(&ns.others);
            let mut delegation = Delegation::read(&origin, records);
            // A server that has not heard of the zone refuses, or denies it.
            if delegation.servers.is_empty() && ns.code == ResponseCode::Refused {
                return None;
            }
            let known = ds.as_ref().filter(|ds| ds.code == ResponseCode::NoError);
            delegation.ds = known.map(|ds| ds_records(&ds.answers));
            Some(delegation)
        });
        let Some(delegation) = read else {
            self.unreachable();
            return None;
        };
        let known = |name: &&Name| !delegation.glue.contains_key(name);
        let elsewhere: Vec<Name> = delegation.servers.iter().filter(known).cloned().collect();
        let queries = self.resolve(elsewhere.iter().cloned().flat_map(both_families));
        if queries.is_empty() {
            return self.ask_servers(delegation, now);
        }
        self.pending = queries;
        self.phase = Phase::Elsewhere(delegation, elsewhere);
        None
    }

    fn ask_servers(&mut self, delegation: Delegation, now: Moment) -> Option<Change> {
        let addresses = delegation.addresses().take(QUERIES_MAX);
        let addresses: Vec<(Name, IpAddr)> =
            addresses.map(|(name, ip)| (name.clone(), ip)).collect();
        if addresses.is_empty() {
            return Some(self.finish(&delegation, &[], &[], now));
        }
        let origin = self.origin();
        let query = |(_, ip): &(Name, IpAddr)| Query {
            server: SocketAddr::new(*ip, self.config.port),
            name: origin.clone(),
            kind: RecordType::SOA,
            recursive: false,
        };
        self.pending = addresses.iter().map(query).collect();
        self.phase = Phase::Servers(delegation, addresses);
        None
    }

    fn finish(
        &mut self,
        delegation: &Delegation,
        asked: &[(Name, IpAddr)],
        heard: &[Option<Heard>],
        now: Moment,
    ) -> Change {
        self.stats.complete += 1;
        let answers = |heard: &Option<Heard>| heard.as_ref().is_some_and(speaks_for_zone);
        let silent = asked.iter().zip(heard).filter(|(_, heard)| !answers(heard));
        let lame: Vec<(Name, IpAddr)> = silent.map(|(server, _)| server.clone()).collect();
        let zone = self.zones.iter().nth(self.zone);
        let differences = zone.map_or_else(Vec::new, |zone| compare(zone, delegation, &lame));
        let before = self.reports.get_mut(self.zone).and_then(Option::take);
        let before = before.map_or_else(Vec::new, |report| report.differences);
        let change = Change {
            zone: self.origin(),
            found: differences
                .iter()
                .filter(|d| !before.contains(d))
                .cloned()
                .collect(),
            gone: before
                .into_iter()
                .filter(|d| !differences.contains(d))
                .collect(),
        };
        if let Some(report) = self.reports.get_mut(self.zone) {
            *report = Some(Report {
                at: now,
                differences,
            });
        }
        change
    }

    fn unreachable(&mut self) {
        self.stats.unreachable += 1;
        self.phase = Phase::Idle;
        self.pending = Vec::new();
    }
}

/// What is different from the last time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The zone.
    pub zone: Name,
    /// Differences that are new.
    pub found: Vec<Difference>,
    /// Differences that are no more.
    pub gone: Vec<Difference>,
}

fn both_families(name: Name) -> [(Name, RecordType); 2] {
    [(name.clone(), RecordType::A), (name, RecordType::AAAA)]
}

fn speaks_for_zone(heard: &Heard) -> bool {
    let soa = |record: &Record| record.record_type() == RecordType::SOA;
    heard.authoritative && heard.code == ResponseCode::NoError && heard.answers.iter().any(soa)
}

fn ips(records: &[Record]) -> impl Iterator<Item = IpAddr> {
    records.iter().filter_map(|record| match &record.data {
        RData::A(a) => Some(a.0.into()),
        RData::AAAA(aaaa) => Some(aaaa.0.into()),
        _ => None,
    })
}
