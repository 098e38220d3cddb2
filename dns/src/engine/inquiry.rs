//! What a message asks, apart from how it was written.
//!
//! [`Asker`] is the part that decides whom an answer names; the rest decides what the reply's
//! message looks like.

use std::net::IpAddr;

use hickory_proto::op::OpCode;
use hickory_proto::rr::{DNSClass, Name, RecordType};

/// How a message came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// One datagram; the sender's address is not proven.
    Udp,
    /// A connection, which proves the address.
    Tcp,
}

impl Transport {
    /// Every transport, in the order of the counters.
    pub const ALL: [Self; 2] = [Self::Udp, Self::Tcp];

    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// A question. The name keeps the case it was asked in; comparisons ignore it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Name.
    pub name: Name,
    /// Type.
    pub qtype: RecordType,
    /// Class.
    pub qclass: DNSClass,
}

/// The network on whose behalf a resolver asks (RFC 7871 §6), already checked: no bit beyond
/// `source` is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subnet {
    /// Its first address.
    pub address: IpAddr,
    /// Length of the prefix in bits, at most 32 or 128. 0: the resolver declines to say.
    pub source: u8,
}

/// A cookie as it came (RFC 7873 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CookieAsked {
    /// What the client chose.
    pub client: [u8; 8],
    /// What follows, if it has the length of a cookie that this server makes (RFC 9018 §4).
    pub server: Option<[u8; 16]>,
}

/// What the OPT record of a message says (RFC 6891 §6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edns {
    /// Version.
    pub version: u8,
    /// Largest datagram that the sender takes, in bytes, as it says.
    pub payload: u16,
    /// Whether signatures are wanted (RFC 3225).
    pub dnssec_ok: bool,
    /// Whether a denial by NXNAME may come with NXDOMAIN (RFC 9824 §5.1, flag CO).
    pub compact_ok: bool,
    /// On whose behalf.
    pub client_subnet: Option<Subnet>,
    /// Cookie.
    pub cookie: Option<CookieAsked>,
    /// Whether this server is asked for its name (RFC 5001).
    pub nsid_asked: bool,
}

/// Who asks: all that the choice of proxies may depend on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asker {
    /// Where the message came from: a resolver, or a client itself.
    pub from: IpAddr,
    /// The network for which it asks.
    pub subnet: Option<Subnet>,
    /// How many addresses the reply has room for; at least 1.
    pub room: usize,
}

/// What matters of a message that asks something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inquiry {
    /// The operation.
    pub operation: OpCode,
    /// Sender.
    pub from: IpAddr,
    /// How it came.
    pub transport: Transport,
    /// EDNS, if the message has it.
    pub edns: Option<Edns>,
    /// How many addresses the reply has room for; at least 1.
    pub room: usize,
    /// The question, if there is exactly one.
    pub question: Option<Question>,
}

impl Inquiry {
    /// Who asks.
    #[must_use]
    pub fn asker(&self) -> Asker {
        Asker {
            from: self.from,
            subnet: self.edns.and_then(|edns| edns.client_subnet),
            room: self.room,
        }
    }
}
