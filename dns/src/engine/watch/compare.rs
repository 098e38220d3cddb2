//! What the parent says of a zone beside what the zone says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use hickory_proto::dnssec::rdata::{DNSSECRData, DS};
use hickory_proto::rr::{Name, RData, Record};

use crate::engine::sign::ring::Role;
use crate::engine::zone::ZoneData;

/// How the parent and the zone differ.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mismatch {
    /// A name server of the zone that the parent does not name: it is hardly asked.
    Missing,
    /// A name server that the parent names and the zone does not: resolvers ask it in vain, or
    /// somebody else.
    Extra,
    /// The parent gives other addresses for a name server than the zone does.
    WrongGlue,
    /// An address that the parent leads to does not answer for the zone.
    Lame,
    /// The parent vouches for keys, and none of them signs: to validating resolvers the zone is
    /// forged.
    WrongDs,
    /// The zone is signed and the parent does not say so: nobody validates it.
    NoDs,
}

impl Mismatch {
    /// Every one, in the order of the metrics.
    pub const ALL: [Self; 6] = [
        Self::Missing,
        Self::Extra,
        Self::WrongGlue,
        Self::Lame,
        Self::WrongDs,
        Self::NoDs,
    ];

    /// The word for logs, metrics and the state page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::WrongGlue => "wrong_glue",
            Self::Lame => "lame",
            Self::WrongDs => "wrong_ds",
            Self::NoDs => "no_ds",
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One difference.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Difference {
    /// What kind.
    pub mismatch: Mismatch,
    /// The name server, or the zone if it concerns keys. Without the final dot.
    pub server: String,
    /// What the parent says, what the zone says.
    pub detail: String,
}

/// What the parent says.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Delegation {
    /// The name servers, lower case.
    pub servers: BTreeSet<Name>,
    /// Addresses that it gives for them.
    pub glue: BTreeMap<Name, BTreeSet<IpAddr>>,
    /// DS records; `None` if that could not be learnt.
    pub ds: Option<Vec<DS>>,
}

impl Delegation {
    /// Reads a referral, or an answer of a server that has both zones: NS records of `zone` and
    /// addresses for them, in whatever section.
    #[must_use]
    pub fn read<'a>(zone: &Name, records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut delegation = Self::default();
        for record in records {
            let owner = record.name.to_lowercase();
            match &record.data {
                RData::NS(ns) if owner == *zone => {
                    delegation.servers.insert(ns.0.to_lowercase());
                }
                RData::A(a) => {
                    delegation.glue.entry(owner).or_default().insert(a.0.into());
                }
                RData::AAAA(aaaa) => {
                    let ips = delegation.glue.entry(owner).or_default();
                    ips.insert(aaaa.0.into());
                }
                _ => {}
            }
        }
        let servers = &delegation.servers;
        delegation.glue.retain(|name, _| servers.contains(name));
        delegation
    }

    /// The addresses that it leads to, with whose they are.
    pub fn addresses(&self) -> impl Iterator<Item = (&Name, IpAddr)> {
        let of = |(name, ips)| {
            let ips: &BTreeSet<IpAddr> = ips;
            ips.iter().map(move |ip| (name, *ip))
        };
        self.glue.iter().flat_map(of)
    }
}

/// The DS records among `records`.
#[must_use]
pub fn ds_records<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<DS> {
    let of = |record: &Record| match &record.data {
        RData::DNSSEC(DNSSECRData::DS(ds)) => Some(ds.clone()),
        _ => None,
    };
    records.into_iter().filter_map(of).collect()
}

/// Every difference between `parent` and `zone`; `lame` are the addresses that did not answer.
#[must_use]
pub fn compare(zone: &ZoneData, parent: &Delegation, lame: &[(Name, IpAddr)]) -> Vec<Difference> {
    let own: BTreeMap<Name, BTreeSet<IpAddr>> = own_servers(zone);
    let mut differences = Vec::new();
    let mut push = |mismatch, name: &Name, detail: String| {
        let server = name.to_ascii();
        let server = server.strip_suffix('.').unwrap_or(&server).to_owned();
        differences.push(Difference {
            mismatch,
            server,
            detail,
        });
    };
    for name in own.keys().filter(|name| !parent.servers.contains(name)) {
        push(
            Mismatch::Missing,
            name,
            "the parent does not name it".to_owned(),
        );
    }
    for name in parent.servers.iter().filter(|name| !own.contains_key(name)) {
        push(
            Mismatch::Extra,
            name,
            "the parent names it, the zone does not".to_owned(),
        );
    }
    for (name, ours) in &own {
        let theirs = parent.glue.get(name);
        // Names outside the zone have addresses of their own, which are not ours to know.
        let Some(theirs) = theirs.filter(|theirs| !ours.is_empty() && *theirs != ours) else {
            continue;
        };
        let detail = format!("the parent gives {}, the zone {}", list(theirs), list(ours));
        push(Mismatch::WrongGlue, name, detail);
    }
    for (name, ip) in lame {
        push(
            Mismatch::Lame,
            name,
            format!("{ip} does not answer for the zone"),
        );
    }
    if let Some((mismatch, detail)) = parent.ds.as_deref().and_then(|ds| key_mismatch(zone, ds)) {
        push(mismatch, zone.origin(), detail);
    }
    differences
}

fn own_servers(zone: &ZoneData) -> BTreeMap<Name, BTreeSet<IpAddr>> {
    let mut own: BTreeMap<Name, BTreeSet<IpAddr>> = BTreeMap::new();
    for record in zone.ns() {
        if let RData::NS(ns) = &record.data {
            own.entry(ns.0.to_lowercase()).or_default();
        }
    }
    for record in zone.glue() {
        let ip: Option<IpAddr> = match &record.data {
            RData::A(a) => Some(a.0.into()),
            RData::AAAA(aaaa) => Some(aaaa.0.into()),
            _ => None,
        };
        own.entry(record.name.to_lowercase())
            .or_default()
            .extend(ip);
    }
    own
}

/// A chain of trust needs one DS record that is that of a key which signs the keys; all do. But a
/// key that is not active yet, or no more, is about to be one that does not.
fn key_mismatch(zone: &ZoneData, parent: &[DS]) -> Option<(Mismatch, String)> {
    let tags = |list: &[u16]| {
        let list: Vec<String> = list.iter().map(u16::to_string).collect();
        if list.is_empty() {
            "none".to_owned()
        } else {
            list.join(" ")
        }
    };
    let theirs: Vec<u16> = parent.iter().map(DS::key_tag).collect();
    let keys = zone.ring().map_or(&[][..], |ring| ring.keys());
    let active: Vec<u16> = keys
        .iter()
        .filter(|key| key.role == Role::Active)
        .map(|key| key.tag)
        .collect();
    let vouched = keys.iter().any(|key| {
        parent.iter().any(|ds| {
            ds.key_tag() == key.tag && ds.covers(zone.origin(), key.dnskey()).unwrap_or(false)
        })
    });
    let detail = format!(
        "the parent vouches for keys {}, active is {}",
        tags(&theirs),
        tags(&active)
    );
    match (parent.is_empty(), keys.is_empty(), vouched) {
        (true, false, _) => Some((Mismatch::NoDs, detail)),
        (false, _, false) => Some((Mismatch::WrongDs, detail)),
        (true, true, _) | (false, _, true) => None,
    }
}

fn list(ips: &BTreeSet<IpAddr>) -> String {
    let ips: Vec<String> = ips.iter().map(IpAddr::to_string).collect();
    ips.join(" ")
}
