//! What nodes say to each other: requests and their replies, at a level.
//!
//! `Probe` and `Sync` with their replies belong to the full-membership index, `Find`, `Offer` and
//! what they carry to the sloppy one; the rest is common.
//!
//! Data only. `codec` turns it into the body of a datagram and back; the header around it belongs
//! to `common::wire`. Times are durations, never dates, because clocks differ.

mod codec;
mod lists;
pub mod rumour;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use common::ids::{Key, NodeId};
use common::trace::Context;

pub use codec::decode::decode;
pub use codec::{encode_reply, encode_request};
pub use rumour::{FANOUT, Path, Rumour, Standing};

use crate::refusal::Refusal;
use crate::value::Value;

/// Contacts in one reply, at most.
pub const CONTACTS_MAX: usize = 12;

/// Services a node may name, at most.
pub const SERVICES_MAX: usize = 16;

/// Bytes of a write token.
pub const TOKEN_LEN: usize = 16;

/// Proof that the bearer receives datagrams at the address it claims.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token(pub [u8; TOKEN_LEN]);

/// A service and its public address.
pub type Service = (String, SocketAddr);

/// A mention of a third node. Its id follows from its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contact {
    /// Where it was last heard.
    pub addr: SocketAddr,
    /// How long ago the mentioning node heard it directly, in whole milliseconds.
    pub age: Duration,
    /// The innermost level at which the mentioning node shares a cluster with it.
    pub level: u8,
}

/// A request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The level (cluster) it is about; 0 is the world.
    pub level: u8,
    /// The token the receiver last gave to the sender.
    pub token: Option<Token>,
    /// The node the sender asks for, when it relays; `None`: for itself.
    pub behalf: Option<SocketAddr>,
    /// The trace it is part of.
    pub trace: Option<Context>,
    /// What is asked.
    pub ask: Ask,
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// Are you there, and what runs with you? Tells what runs here, believed only with a token.
    Ping {
        /// Services of the sender.
        services: Vec<Service>,
    },
    /// Which nodes do you know near this point?
    Find {
        /// The point.
        target: Key,
    },
    /// Which values do you hold, and which nodes do you know nearer the key?
    Get {
        /// The key.
        key: Key,
        /// Values that are enough.
        want: u8,
    },
    /// Hold this value. Needs a token.
    Put {
        /// Under this key.
        key: Key,
        /// The value.
        value: Vec<u8>,
        /// For so long, in whole milliseconds.
        ttl: Duration,
    },
    /// Hold this value unless another publisher has one. Needs a token.
    Claim {
        /// Under this key.
        key: Key,
        /// The value.
        value: Vec<u8>,
        /// For so long, in whole milliseconds.
        ttl: Duration,
    },
    /// Forget the sender's value. Needs a token.
    Withdraw {
        /// Under this key.
        key: Key,
    },
    /// Would you take a value that lasts so long, and which nodes do you know nearer the key?
    Offer {
        /// The key.
        key: Key,
        /// How long the value would last, in whole milliseconds.
        ttl: Duration,
    },
    /// Hold this value of a third node as well: you are among the closest to its key by now. One
    /// that lasts longer is kept instead. Needs a token.
    Hand {
        /// Under this key.
        key: Key,
        /// Whose value it is.
        publisher: NodeId,
        /// The value.
        value: Vec<u8>,
        /// For so long, in whole milliseconds.
        ttl: Duration,
    },
    /// Ask a node you named, which the sender cannot reach, and say what it answered. Needs a
    /// token.
    Relay {
        /// Where that node is.
        to: SocketAddr,
        /// What it is asked; never a relay.
        ask: Box<Self>,
    },
    /// Are you there? And this is what I know of members, the sender first.
    Probe {
        /// What is known.
        rumours: Vec<Rumour>,
    },
    /// Do you know the same members under this prefix of ids?
    Sync {
        /// The prefix.
        path: Path,
        /// The sum over the members under each of its continuations; see `full::roster`.
        sums: Box<[u64; FANOUT]>,
    },
}

/// A reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The level of the request.
    pub level: u8,
    /// A token for the requester, to prove its address with from now on. None: the one that the
    /// request bore still is it.
    pub token: Option<Token>,
    /// What is said.
    pub say: Say,
}

/// What is said in reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Say {
    /// To a ping.
    Pong {
        /// Where the requester's datagram came from, so that it learns its public address.
        seen: SocketAddr,
        /// Random number of this run of the node: another one means it lost what it stored.
        boot: u64,
        /// What runs here.
        services: Vec<Service>,
    },
    /// To a find: the closest nodes known, closest first.
    Nodes {
        /// The nodes.
        contacts: Vec<Contact>,
    },
    /// To a get, to an offer (then without values), and to a claim when others have values.
    Values {
        /// Values held, longest remaining first; at most four unless fewer fit.
        values: Vec<Value>,
        /// Values held in all; to an offer, those of others than the asking node.
        held: u8,
        /// Whether the key was asked for more often in the last minute than one node should serve.
        loaded: bool,
        /// To an offer: whether the key has its values, all lasting at least half as long.
        full: bool,
        /// To an offer: whether a value of the asking node is held.
        own: bool,
        /// The closest nodes known.
        contacts: Vec<Contact>,
    },
    /// To a put: the value is held.
    Stored,
    /// To a claim: nobody else had the key, and the value is held.
    Granted,
    /// To a withdrawal: nothing of the sender's is held any more.
    Withdrawn,
    /// No.
    Refused(Refusal),
    /// To a relay: what the other node said; never relayed itself.
    Relayed(Box<Self>),
    /// To a probe.
    Ack {
        /// Where the requester's datagram came from, so that it learns its public address.
        seen: SocketAddr,
        /// What is known of members, the sender first.
        rumours: Vec<Rumour>,
    },
    /// To a sync: where knowledge differs, one bit per continuation of the prefix.
    Differ {
        /// It differs there, by too many members to list.
        differing: u16,
        /// It differs there, and all members under it are listed.
        listed: u16,
        /// The members listed.
        rumours: Vec<Rumour>,
    },
}

/// Either.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Asks.
    Request(Request),
    /// Answers.
    Reply(Reply),
}

/// The kind byte of the header. Replies have the high bit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// See [`Ask::Ping`].
    Ping,
    /// See [`Ask::Find`].
    Find,
    /// See [`Ask::Get`].
    Get,
    /// See [`Ask::Put`].
    Put,
    /// See [`Ask::Claim`].
    Claim,
    /// See [`Ask::Withdraw`].
    Withdraw,
    /// See [`Ask::Offer`].
    Offer,
    /// See [`Ask::Relay`].
    Relay,
    /// See [`Ask::Hand`].
    Hand,
    /// See [`Say::Pong`].
    Pong,
    /// See [`Say::Nodes`].
    Nodes,
    /// See [`Say::Values`].
    Values,
    /// See [`Say::Stored`].
    Stored,
    /// See [`Say::Granted`].
    Granted,
    /// See [`Say::Withdrawn`].
    Withdrawn,
    /// See [`Say::Refused`].
    Refused,
    /// See [`Say::Relayed`].
    Relayed,
    /// See [`Ask::Probe`].
    Probe,
    /// See [`Ask::Sync`].
    Sync,
    /// See [`Say::Ack`].
    Ack,
    /// See [`Say::Differ`].
    Differ,
}

impl Kind {
    /// Every kind, in the order of the codes.
    pub const ALL: [Self; 21] = [
        Self::Ping,
        Self::Find,
        Self::Get,
        Self::Put,
        Self::Claim,
        Self::Withdraw,
        Self::Offer,
        Self::Relay,
        Self::Hand,
        Self::Pong,
        Self::Nodes,
        Self::Values,
        Self::Stored,
        Self::Granted,
        Self::Withdrawn,
        Self::Refused,
        Self::Relayed,
        Self::Probe,
        Self::Sync,
        Self::Ack,
        Self::Differ,
    ];

    /// The byte in the header.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ping => 0x01,
            Self::Find => 0x02,
            Self::Get => 0x03,
            Self::Put => 0x04,
            Self::Claim => 0x05,
            Self::Withdraw => 0x06,
            Self::Offer => 0x07,
            Self::Relay => 0x08,
            Self::Hand => 0x09,
            Self::Pong => 0x81,
            Self::Nodes => 0x82,
            Self::Values => 0x83,
            Self::Stored => 0x84,
            Self::Granted => 0x85,
            Self::Withdrawn => 0x86,
            Self::Refused => 0x87,
            Self::Relayed => 0x88,
            Self::Probe => 0x10,
            Self::Sync => 0x11,
            Self::Ack => 0x90,
            Self::Differ => 0x91,
        }
    }

    /// The kind with this byte.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Find => "find",
            Self::Get => "get",
            Self::Put => "put",
            Self::Claim => "claim",
            Self::Withdraw => "withdraw",
            Self::Offer => "offer",
            Self::Relay => "relay",
            Self::Hand => "hand",
            Self::Pong => "pong",
            Self::Nodes => "nodes",
            Self::Values => "values",
            Self::Stored => "stored",
            Self::Granted => "granted",
            Self::Withdrawn => "withdrawn",
            Self::Refused => "refused",
            Self::Relayed => "relayed",
            Self::Probe => "probe",
            Self::Sync => "sync",
            Self::Ack => "ack",
            Self::Differ => "differ",
        }
    }
}

impl Ask {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Ping { .. } => Kind::Ping,
            Self::Find { .. } => Kind::Find,
            Self::Get { .. } => Kind::Get,
            Self::Put { .. } => Kind::Put,
            Self::Claim { .. } => Kind::Claim,
            Self::Withdraw { .. } => Kind::Withdraw,
            Self::Offer { .. } => Kind::Offer,
            Self::Relay { .. } => Kind::Relay,
            Self::Hand { .. } => Kind::Hand,
            Self::Probe { .. } => Kind::Probe,
            Self::Sync { .. } => Kind::Sync,
        }
    }
}

impl Say {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Pong { .. } => Kind::Pong,
            Self::Nodes { .. } => Kind::Nodes,
            Self::Values { .. } => Kind::Values,
            Self::Stored => Kind::Stored,
            Self::Granted => Kind::Granted,
            Self::Withdrawn => Kind::Withdrawn,
            Self::Refused(_) => Kind::Refused,
            Self::Relayed(_) => Kind::Relayed,
            Self::Ack { .. } => Kind::Ack,
            Self::Differ { .. } => Kind::Differ,
        }
    }
}
