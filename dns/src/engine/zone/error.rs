//! What can be wrong with a zone's configuration. Every message says what to do.

use super::super::config::SERVERS_MAX;
use super::records::RecordError;
use crate::engine::sign::ring::RingError;

/// Most static records of a zone. They are few by nature: whatever is many is a coralised name.
pub const RECORDS_MAX: usize = 1_000;

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
    /// The keys make no ring.
    #[error("{0}")]
    Keys(RingError),
    /// A static record cannot be read.
    #[error("\"{line}\": {error}")]
    Record {
        /// The record as written.
        line: String,
        /// What is wrong with it.
        error: RecordError,
    },
    /// There are too many static records.
    #[error("{0} records are more than the {RECORDS_MAX} that a zone keeps")]
    TooMany(usize),
    /// An address or alias at a name that answers with live proxies.
    #[error(
        "\"{0}\" answers with live proxies and cannot have an address or alias of its own; \
         take it out of zone.services, or choose another name"
    )]
    AtService(String),
    /// An address or alias at a name server.
    #[error(
        "the addresses of name server \"{0}\" come from zone.ns; no address or alias stands beside them"
    )]
    AtServer(String),
    /// RFC 1034 §3.6.2: an alias has no other data.
    #[error("\"{0}\" is an alias (CNAME) and can have no other record (RFC 1034 section 3.6.2)")]
    AliasAndOther(String),
    /// RFC 2181 §10.1: an alias has one target.
    #[error("\"{0}\" has two aliases (CNAME); keep one (RFC 2181 section 10.1)")]
    TwoAliases(String),
    /// Aliases that lead back to themselves.
    #[error(
        "the aliases from \"{0}\" lead back to it, or through more than {1}; point them at a name with data"
    )]
    AliasLoop(String, usize),
    /// RFC 2181 §10.3: the target of MX is no alias.
    #[error(
        "the mail host \"{0}\" is an alias (CNAME); name the host itself (RFC 2181 section 10.3)"
    )]
    AliasAsTarget(String),
    /// RFC 2181 §5.2: one record set, one TTL.
    #[error("the {1} records of \"{0}\" have different TTLs; give them one (RFC 2181 section 5.2)")]
    Ttls(String, &'static str),
    /// RFC 2181 §5: a record set has no duplicates.
    #[error("\"{0}\" stands there twice; remove one")]
    Duplicate(String),
    /// A set of records that no answer holds.
    #[error("the {1} records of \"{0}\" are {2} bytes; an answer holds at most {RRSET_MAX}")]
    TooLarge(String, &'static str, usize),
}

/// Bytes of data of one record set: what fits a TCP answer with its signatures and to spare.
pub const RRSET_MAX: usize = 16_384;

impl ZoneError {
    /// The setting that it concerns.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Name(_) | Self::Servers | Self::NoAddress(_) | Self::ForeignAddress(_) => {
                "zone.ns"
            }
            Self::Keys(_) => "zone.keys",
            Self::Record { .. }
            | Self::TooMany(_)
            | Self::AtService(_)
            | Self::AtServer(_)
            | Self::AliasAndOther(_)
            | Self::TwoAliases(_)
            | Self::AliasLoop(..)
            | Self::AliasAsTarget(_)
            | Self::Ttls(..)
            | Self::Duplicate(_)
            | Self::TooLarge(..) => "zone.records",
        }
    }
}
