//! The zone's own records, made once from the configuration.
//!
//! | file | holds |
//! |---|---|
//! | [`names`] | where a name lies with regard to the zone |
//! | [`records`] | a static record as an operator writes it |
//! | [`statics`] | all of them as a tree, and which may stand together |
//! | [`zones`] | several zones of one server |
//! | [`error`] | what can be wrong with all that |
//!
//! Coralised names are not here: they follow from the grammar
//! ([`locate`](super::answer::locate)).

pub mod error;
pub mod names;
pub mod records;
pub mod statics;
#[cfg(test)]
mod tests;
pub mod zones;

use std::collections::BTreeSet;
use std::net::IpAddr;

use common::name::Zone;
use hickory_proto::rr::rdata::{A, AAAA, NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

pub use self::error::ZoneError;
pub use self::names::{Relative, relative};
use self::names::{absolute, mailbox};
use self::statics::{StaticNode, Statics, Surroundings};
pub use self::zones::{Zones, ZonesError};
use super::asked::AskedName;
use super::config::{NameServer, SERVERS_MAX, ZoneConfig};
use super::sign::ring::Ring;

/// TTL of NS and of the name servers' addresses, in seconds: an hour. They change rarely, and a
/// resolver that has them does not ask the parent.
const SERVER_TTL: u32 = 3_600;

/// TTL of the SOA record when asked for, in seconds.
const SOA_TTL: u32 = 3_600;

/// SOA timers of secondaries, in seconds (RIPE-203). Nobody transfers the zone; checkers complain
/// about odd values.
const REFRESH: i32 = 86_400;
const RETRY: i32 = 7_200;
const EXPIRE: i32 = 3_600_000;

/// The zone.
#[derive(Clone, Debug)]
pub struct ZoneData {
    zone: Zone,
    origin: Name,
    soa: Record,
    /// The SOA of negative answers: its TTL is how long they may be kept (RFC 2308 §5).
    negative: Record,
    servers: Vec<Server>,
    services: BTreeSet<String>,
    statics: Statics,
    ring: Option<Ring>,
}

#[derive(Clone, Debug)]
struct Server {
    name: Name,
    /// Lower-case text of the name below the zone, if it lies there.
    below: Option<String>,
    addresses: Vec<IpAddr>,
}

impl Server {
    fn is_at(&self, below: &str) -> bool {
        self.below.as_deref() == Some(below)
    }
}

impl ZoneData {
    /// Makes the zone.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration; see [`ZoneError`].
    pub fn new(config: &ZoneConfig) -> Result<Self, Vec<ZoneError>> {
        let origin = absolute(config.zone.as_str()).map_err(|error| vec![error])?;
        let (servers, mut mistakes) = servers(config);
        let services: BTreeSet<String> = config
            .services
            .iter()
            .map(|service| service.to_ascii_lowercase())
            .collect();
        let statics = Statics::read(
            &config.records,
            &Surroundings {
                zone: &config.zone,
                is_service: &|below| services.contains(below),
                is_server: &|below| servers.iter().any(|server| server.is_at(below)),
            },
        );
        let mut statics = statics.unwrap_or_else(|more| {
            mistakes.extend(more);
            Statics::default()
        });
        for below in servers.iter().filter_map(|server| server.below.as_deref()) {
            statics.enter_parents(below);
        }
        let ring = config.signing.as_ref().map(|keys| Ring::new(&origin, keys));
        let ring = ring.transpose().unwrap_or_else(|error| {
            mistakes.push(ZoneError::Keys(error));
            None
        });
        let soa = match soa(config, &origin, &servers) {
            Ok(soa) if mistakes.is_empty() => soa,
            Ok(_) => return Err(mistakes),
            Err(error) => {
                if !mistakes.contains(&error) {
                    mistakes.push(error);
                }
                return Err(mistakes);
            }
        };
        let mut negative = soa.clone();
        negative.ttl = config.negative_ttl.min(SOA_TTL);
        Ok(Self {
            zone: config.zone.clone(),
            services,
            origin,
            soa,
            negative,
            servers,
            statics,
            ring,
        })
    }

    /// The grammar of names under the zone.
    #[must_use]
    pub const fn grammar(&self) -> &Zone {
        &self.zone
    }

    /// The SOA record as data.
    #[must_use]
    pub const fn soa(&self) -> &Record {
        &self.soa
    }

    /// The SOA record of negative answers.
    #[must_use]
    pub const fn negative_soa(&self) -> &Record {
        &self.negative
    }

    /// The NS records.
    pub fn ns(&self) -> impl Iterator<Item = Record> {
        self.servers.iter().map(|server| {
            let data = RData::NS(NS(server.name.clone()));
            Record::from_rdata(self.origin.clone(), SERVER_TTL, data)
        })
    }

    /// Addresses of all name servers in the zone, in their order.
    pub fn glue(&self) -> impl Iterator<Item = Record> {
        self.servers.iter().flat_map(|server| {
            let record = |ip: &IpAddr| address(server.name.clone(), SERVER_TTL, *ip);
            server.addresses.iter().map(record)
        })
    }

    /// Whether `below` is the name of a name server below the zone.
    #[must_use]
    pub fn is_server(&self, below: &str) -> bool {
        self.servers_at(below).next().is_some()
    }

    /// Addresses of type `qtype` of the name server at `below`, in records owned by `owner`.
    #[must_use]
    pub fn server(&self, below: &str, owner: &Name, qtype: RecordType) -> Vec<Record> {
        let addresses = self
            .servers_at(below)
            .flat_map(|server| server.addresses.iter());
        let wanted = addresses.filter(|ip| address_type(**ip) == qtype);
        wanted
            .map(|ip| address(owner.clone(), SERVER_TTL, *ip))
            .collect()
    }

    /// The types of addresses of the name server at `below`.
    pub fn server_types(&self, below: &str) -> impl Iterator<Item = RecordType> {
        self.servers_at(below)
            .flat_map(|server| server.addresses.iter().map(|ip| address_type(*ip)))
    }

    fn servers_at(&self, below: &str) -> impl Iterator<Item = &Server> {
        self.servers
            .iter()
            .filter(move |server| server.is_at(below))
    }

    /// The static records of the name at `below`; of the zone itself if that is empty.
    #[must_use]
    pub fn statics(&self, below: &str) -> Option<&StaticNode> {
        self.statics.at(below)
    }

    /// How many static records there are.
    #[must_use]
    pub fn static_count(&self) -> usize {
        self.statics.len()
    }

    /// Whether a name server or a static record lies below `below`.
    #[must_use]
    pub fn has_names_below(&self, below: &str) -> bool {
        self.statics.has_below(below)
    }

    /// The keys, if the zone is signed.
    #[must_use]
    pub const fn ring(&self) -> Option<&Ring> {
        self.ring.as_ref()
    }

    /// The zone's name.
    #[must_use]
    pub const fn origin(&self) -> &Name {
        &self.origin
    }

    /// Whether `label` is a service that answers with live proxies.
    #[must_use]
    pub fn is_service(&self, label: &str) -> bool {
        self.services.contains(label)
    }

    /// Where `name` lies.
    #[must_use]
    pub fn relative<'a>(&self, name: &'a AskedName) -> Relative<'a> {
        relative(&self.zone, name)
    }
}

/// The name servers, and what is wrong with them.
fn servers(config: &ZoneConfig) -> (Vec<Server>, Vec<ZoneError>) {
    if config.servers.is_empty() || config.servers.len() > SERVERS_MAX {
        return (Vec::new(), vec![ZoneError::Servers]);
    }
    let (mut servers, mut mistakes) = (Vec::new(), Vec::new());
    for server in &config.servers {
        match read_server(server, &config.zone) {
            Ok(server) => servers.push(server),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    (servers, mistakes)
}

fn read_server(server: &NameServer, zone: &Zone) -> Result<Server, ZoneError> {
    let name = absolute(&server.name)?;
    let lower = server.name.to_ascii_lowercase();
    let below = lower.strip_suffix(&format!(".{zone}")).map(str::to_owned);
    match (&below, server.addresses.is_empty()) {
        (Some(_), true) => Err(ZoneError::NoAddress(server.name.clone())),
        (None, false) => Err(ZoneError::ForeignAddress(server.name.clone())),
        (Some(_), false) | (None, true) => Ok(Server {
            name,
            below,
            addresses: server.addresses.clone(),
        }),
    }
}

fn soa(config: &ZoneConfig, origin: &Name, servers: &[Server]) -> Result<Record, ZoneError> {
    let primary = servers.first().ok_or(ZoneError::Servers)?;
    let data = SOA::new(
        primary.name.clone(),
        mailbox(&config.hostmaster)?,
        config.serial,
        REFRESH,
        RETRY,
        EXPIRE,
        config.negative_ttl,
    );
    let data = RData::SOA(data);
    Ok(Record::from_rdata(origin.clone(), SOA_TTL, data))
}

/// An address record.
#[must_use]
pub fn address(owner: Name, ttl: u32, ip: IpAddr) -> Record {
    let data = match ip {
        IpAddr::V4(v4) => RData::A(A(v4)),
        IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    };
    Record::from_rdata(owner, ttl, data)
}

/// The type of record that carries `ip`.
const fn address_type(ip: IpAddr) -> RecordType {
    match ip {
        IpAddr::V4(_) => RecordType::A,
        IpAddr::V6(_) => RecordType::AAAA,
    }
}
