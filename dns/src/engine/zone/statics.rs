//! The static records of a zone as a tree: record sets by name, and the names that exist only
//! because others lie below them.
//!
//! Which records may stand together is decided here, once, when the zone is made: an alias alone
//! (RFC 1034 §3.6.2, RFC 2181 §10.1), no alias as the target of MX (RFC 2181 §10.3), one TTL per set
//! (RFC 2181 §5.2), no circle of aliases.

use std::collections::{BTreeMap, BTreeSet};

use common::name::Zone;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::BinEncodable as _;

use super::super::asked::AskedName;
use super::error::{RECORDS_MAX, RRSET_MAX, ZoneError};
use super::names::{Relative, absolute, relative};
use super::records::{self, StaticRecord, type_word};

/// Most aliases that one answer follows: more are a mistake, and each makes the answer longer.
pub const ALIASES_MAX: usize = 8;

/// The record sets of one name.
#[derive(Clone, Debug, Default)]
pub struct StaticNode {
    sets: BTreeMap<RecordType, Vec<Record>>,
}

impl StaticNode {
    /// The records of type `kind`.
    #[must_use]
    pub fn set(&self, kind: RecordType) -> &[Record] {
        self.sets.get(&kind).map_or(&[], Vec::as_slice)
    }

    /// The target, if the name is an alias.
    #[must_use]
    pub fn alias(&self) -> Option<&Name> {
        match &self.set(RecordType::CNAME).first()?.data {
            RData::CNAME(target) => Some(&target.0),
            _ => None,
        }
    }

    /// The types there are.
    pub fn types(&self) -> impl Iterator<Item = RecordType> {
        self.sets.keys().copied()
    }

    /// Whether its own addresses, or its alias, stand in the place of live proxies.
    #[must_use]
    pub fn replaces_proxies(&self) -> bool {
        let replacing = [RecordType::A, RecordType::AAAA, RecordType::CNAME];
        replacing.iter().any(|kind| self.sets.contains_key(kind))
    }
}

/// All static records of a zone.
#[derive(Clone, Debug, Default)]
pub struct Statics {
    nodes: BTreeMap<String, StaticNode>,
    /// Names below the zone that have names below them.
    parents: BTreeSet<String>,
}

/// What else stands in the zone, which records must respect.
pub(super) struct Surroundings<'a> {
    pub(super) zone: &'a Zone,
    pub(super) is_service: &'a dyn Fn(&str) -> bool,
    pub(super) is_server: &'a dyn Fn(&str) -> bool,
}

impl Statics {
    /// Reads and checks `lines`; every mistake is reported.
    pub(super) fn read(
        lines: &[String],
        around: &Surroundings<'_>,
    ) -> Result<Self, Vec<ZoneError>> {
        if lines.len() > RECORDS_MAX {
            return Err(vec![ZoneError::TooMany(lines.len())]);
        }
        let (mut statics, mut mistakes) = (Self::default(), Vec::new());
        for line in lines {
            let read = records::read(line, around.zone);
            let added = read.map_err(|error| ZoneError::Record {
                line: line.clone(),
                error,
            });
            let added = added.and_then(|record| statics.add(line, record, around.zone));
            mistakes.extend(added.err());
        }
        for below in statics.nodes.keys() {
            mistakes.extend(statics.check(below, around).err());
        }
        for below in statics.nodes.keys().cloned().collect::<Vec<_>>() {
            statics.enter_parents(&below);
        }
        if mistakes.is_empty() {
            Ok(statics)
        } else {
            Err(mistakes)
        }
    }

    fn add(&mut self, line: &str, record: StaticRecord, zone: &Zone) -> Result<(), ZoneError> {
        let StaticRecord { below, ttl, data } = record;
        let shown = shown(&below);
        let owner = if below.is_empty() {
            absolute(zone.as_str())?
        } else {
            absolute(&format!("{below}.{zone}"))?
        };
        let kind = data.record_type();
        let set = self.nodes.entry(below).or_default().sets.entry(kind);
        let set = set.or_default();
        if set.iter().any(|other| other.data == data) {
            return Err(ZoneError::Duplicate(line.to_owned()));
        }
        if set.iter().any(|other| other.ttl != ttl) {
            return Err(ZoneError::Ttls(shown, type_word(kind)));
        }
        set.push(Record::from_rdata(owner, ttl, data));
        Ok(())
    }

    fn check(&self, below: &str, around: &Surroundings<'_>) -> Result<(), ZoneError> {
        let node = self.nodes.get(below).cloned().unwrap_or_default();
        let shown = || shown(below);
        if node.replaces_proxies() {
            if below.is_empty() || (around.is_service)(below) {
                return Err(ZoneError::AtService(shown()));
            }
            if (around.is_server)(below) {
                return Err(ZoneError::AtServer(shown()));
            }
        }
        let aliases = node.set(RecordType::CNAME).len();
        if aliases > 1 {
            return Err(ZoneError::TwoAliases(shown()));
        }
        if aliases == 1 && node.sets.len() > 1 {
            return Err(ZoneError::AliasAndOther(shown()));
        }
        if aliases == 1 && self.is_endless(below, around.zone) {
            return Err(ZoneError::AliasLoop(shown(), ALIASES_MAX));
        }
        for record in node.set(RecordType::MX) {
            if let RData::MX(mx) = &record.data {
                let host = self.at_name(&mx.exchange, around.zone);
                if host.is_some_and(|(_, host)| host.alias().is_some()) {
                    return Err(ZoneError::AliasAsTarget(mx.exchange.to_ascii()));
                }
            }
        }
        for (kind, set) in &node.sets {
            let bytes = |record: &Record| record.data.to_bytes().map_or(0, |bytes| bytes.len());
            let size: usize = set.iter().map(bytes).sum();
            if size > RRSET_MAX {
                return Err(ZoneError::TooLarge(shown(), type_word(*kind), size));
            }
        }
        Ok(())
    }

    fn is_endless(&self, start: &str, zone: &Zone) -> bool {
        let mut below = start.to_owned();
        for _ in 0..ALIASES_MAX {
            let alias = self.nodes.get(&below).and_then(StaticNode::alias);
            let Some((next, _)) = alias.and_then(|target| self.at_name(target, zone)) else {
                return false;
            };
            below = next;
        }
        self.nodes
            .get(&below)
            .is_some_and(|node| node.alias().is_some())
    }

    fn at_name(&self, name: &Name, zone: &Zone) -> Option<(String, &StaticNode)> {
        let name = AskedName::from_labels(name.iter())?;
        let below = match relative(zone, &name) {
            Relative::Below(below) => below,
            Relative::Apex => "",
            Relative::Outside | Relative::Odd(_) => return None,
        };
        let node = self.nodes.get(below)?;
        Some((below.to_owned(), node))
    }

    /// Enters that `below` exists, and with it all names above it.
    pub(super) fn enter_parents(&mut self, below: &str) {
        let mut rest = below;
        while let Some((_, parent)) = rest.split_once('.') {
            self.parents.insert(parent.to_owned());
            rest = parent;
        }
    }

    /// The records of the name at `below`; of the zone itself if that is empty.
    #[must_use]
    pub fn at(&self, below: &str) -> Option<&StaticNode> {
        // The common case costs nothing: most zones have few records or none.
        if self.nodes.is_empty() {
            return None;
        }
        self.nodes.get(below)
    }

    /// Whether a static record or a name server lies below `below`.
    #[must_use]
    pub fn has_below(&self, below: &str) -> bool {
        self.parents.contains(below)
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let sets = self.nodes.values().flat_map(|node| node.sets.values());
        sets.map(Vec::len).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

/// A name below the zone as messages show it.
fn shown(below: &str) -> String {
    if below.is_empty() { "@" } else { below }.to_owned()
}
