//! The zone's own records, made once from the configuration, and names relative to the zone.

use std::collections::BTreeSet;
use std::net::IpAddr;

use common::name::{NameError, Zone};
use hickory_proto::rr::rdata::{A, AAAA, NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::asked::{AskedName, is_odd};
use super::config::{SERVERS_MAX, ZoneConfig};

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

/// Why the zone's configuration makes no zone.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ZoneError {
    /// A name is no domain name.
    #[error("\"{0}\" is not a domain name")]
    Name(String),
    /// The list of servers is empty or too long.
    #[error("a zone has between 1 and {SERVERS_MAX} name servers")]
    Servers,
    /// A server in the zone has no address, so nobody could find it.
    #[error("name server \"{0}\" lies in the zone and needs an address: {0}=192.0.2.1")]
    NoAddress(String),
    /// A server outside the zone has one, which is not ours to give.
    #[error("name server \"{0}\" lies outside the zone, which cannot give its address")]
    ForeignAddress(String),
}

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
}

#[derive(Clone, Debug)]
struct Server {
    name: Name,
    /// Lower-case text of the name below the zone, if it lies there.
    below: Option<String>,
    addresses: Vec<IpAddr>,
}

/// Where a name lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Relative<'a> {
    /// Not under the zone.
    Outside,
    /// The zone itself.
    Apex,
    /// Under it: lower-case labels between the name's start and the zone, joined by dots.
    Below(&'a str),
    /// Under it, with bytes that no host name has.
    Odd(NameError),
}

impl ZoneData {
    /// Makes the zone.
    ///
    /// # Errors
    /// See [`ZoneError`].
    pub fn new(config: &ZoneConfig) -> Result<Self, ZoneError> {
        let origin = absolute(config.zone.as_str())?;
        if config.servers.is_empty() || config.servers.len() > SERVERS_MAX {
            return Err(ZoneError::Servers);
        }
        let mut servers = Vec::with_capacity(config.servers.len());
        for server in &config.servers {
            let name = absolute(&server.name)?;
            let lower = server.name.to_ascii_lowercase();
            let suffix = format!(".{}", config.zone);
            let below = lower.strip_suffix(&suffix).map(str::to_owned);
            match (&below, server.addresses.is_empty()) {
                (Some(_), true) => return Err(ZoneError::NoAddress(server.name.clone())),
                (None, false) => return Err(ZoneError::ForeignAddress(server.name.clone())),
                (Some(_), false) | (None, true) => {}
            }
            servers.push(Server {
                name,
                below,
                addresses: server.addresses.clone(),
            });
        }
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
        let soa = Record::from_rdata(origin.clone(), SOA_TTL, RData::SOA(data));
        let mut negative = soa.clone();
        negative.ttl = config.negative_ttl.min(SOA_TTL);
        Ok(Self {
            zone: config.zone.clone(),
            services: config
                .services
                .iter()
                .map(|s| s.to_ascii_lowercase())
                .collect(),
            origin,
            soa,
            negative,
            servers,
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

    fn servers_at(&self, below: &str) -> impl Iterator<Item = &Server> {
        self.servers
            .iter()
            .filter(move |server| server.below.as_deref() == Some(below))
    }

    /// Whether the name of a server lies under `below`.
    #[must_use]
    pub fn has_server_under(&self, below: &str) -> bool {
        self.servers.iter().any(|server| {
            let rest = server
                .below
                .as_deref()
                .and_then(|name| name.strip_suffix(below));
            rest.is_some_and(|rest| rest.ends_with('.'))
        })
    }

    /// Whether `label` is a service that answers with live proxies.
    #[must_use]
    pub fn is_service(&self, label: &str) -> bool {
        self.services.contains(label)
    }

    /// Where `name` lies.
    #[must_use]
    pub fn relative<'a>(&self, name: &'a AskedName) -> Relative<'a> {
        let Some(rest) = name.as_str().strip_suffix(self.zone.as_str()) else {
            return Relative::Outside;
        };
        if rest.is_empty() {
            return Relative::Apex;
        }
        match rest.strip_suffix('.') {
            None => Relative::Outside,
            Some(below) if is_odd(below) => Relative::Odd(NameError::BadByte),
            Some(below) => Relative::Below(below),
        }
    }
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

fn absolute(text: &str) -> Result<Name, ZoneError> {
    let wrong = || ZoneError::Name(text.to_owned());
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() {
        return Err(wrong());
    }
    let mut name = Name::from_ascii(text).map_err(|_| wrong())?;
    name.set_fqdn(true);
    Ok(name)
}

/// `user@host` as RFC 1035 §8 writes mailboxes: the part before the `@` is the first label, dots
/// and all.
fn mailbox(text: &str) -> Result<Name, ZoneError> {
    let Some((user, host)) = text.split_once('@') else {
        return absolute(text);
    };
    let wrong = || ZoneError::Name(text.to_owned());
    let host = absolute(host)?;
    let labels = std::iter::once(user.as_bytes()).chain(host.iter());
    let mut name = Name::from_labels(labels).map_err(|_| wrong())?;
    name.set_fqdn(true);
    Ok(name)
}
