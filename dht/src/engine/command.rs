//! What local clients ask of the engine and what it answers.
//!
//! A command carries a ticket of the caller's choosing; every answer to it carries the same one.
//! Each command gets exactly one final answer, at its deadline at the latest; only a get may have
//! partial ones before.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::clock::Moment;
use common::ids::{ClusterId, Key, NodeId};

use super::message::Service;
use crate::refusal::Refusal;
use crate::value::Value;

/// Ties answers to a command.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// A command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// Whose it is.
    pub ticket: Ticket,
    /// When an answer is of no use any more.
    pub deadline: Moment,
    /// What is wanted.
    pub wish: Wish,
}

/// What is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Values under `key`; `want` of them end the search.
    Get {
        /// The key.
        key: Key,
        /// Values that are enough; at least one.
        want: usize,
    },
    /// Values under `key` from the innermost level outward to `outermost` at the most: 0 is a
    /// [`Get`](Self::Get), anything else stays inside this node's cluster at that level.
    GetWithin {
        /// The key.
        key: Key,
        /// Values that are enough; at least one.
        want: usize,
        /// The last level asked.
        outermost: u8,
    },
    /// Put this node's value under `key`.
    Put {
        /// The key.
        key: Key,
        /// The value.
        value: Vec<u8>,
        /// For so long.
        ttl: Duration,
    },
    /// Others' values under `key` or, if there are none, put this node's there.
    Claim {
        /// The key.
        key: Key,
        /// The value.
        value: Vec<u8>,
        /// For so long.
        ttl: Duration,
    },
    /// Take this node's value under `key` back.
    Withdraw {
        /// The key.
        key: Key,
    },
    /// Live nodes.
    Nodes {
        /// Of this level.
        level: u8,
        /// So many at most.
        count: usize,
        /// Those near clients at this address first, where a hint says where that is.
        near: Option<IpAddr>,
        /// Only those that run this service.
        service: Option<String>,
    },
    /// The levels of this node.
    Levels,
    /// One first-hand ping.
    Ping {
        /// Of the index there.
        addr: SocketAddr,
    },
    /// A service runs on this node from now on.
    Register {
        /// The service.
        service: Service,
    },
    /// It runs no longer.
    Deregister {
        /// The service.
        service: Service,
    },
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// To a get: values not reported before, and whether that was all.
    Values {
        /// The values, possibly none.
        values: Vec<Value>,
        /// Whether the search is over.
        last: bool,
    },
    /// To a put: stored at so many nodes.
    Stored {
        /// Nodes, this one included if it is among the closest.
        copies: usize,
    },
    /// To a claim: nobody else has the key.
    Granted,
    /// To a claim: others have it.
    Taken {
        /// Their values, at least one.
        values: Vec<Value>,
    },
    /// To a withdrawal: so many nodes were told.
    Withdrawn {
        /// Nodes.
        copies: usize,
    },
    /// To `nodes`, in random order.
    Nodes(Vec<NodeInfo>),
    /// To `levels`, level 0 first.
    Levels(Vec<LevelInfo>),
    /// To a ping.
    Pong {
        /// Round-trip time of this ping.
        rtt: Duration,
        /// What runs there.
        services: Vec<Service>,
    },
    /// The service is registered.
    Registered,
    /// The service is not registered any more.
    Deregistered,
    /// No.
    Refused(Refusal),
}

impl Answer {
    /// Whether nothing follows for the ticket.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Values { last: false, .. })
    }
}

/// A live node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeInfo {
    /// Its id.
    pub id: NodeId,
    /// Address of its index.
    pub addr: SocketAddr,
    /// Smoothed round-trip time; `None` for this node itself.
    pub rtt: Option<Duration>,
    /// How far the client asked about is from it by the hints; `None` where no hint leads to it.
    pub near: Option<Duration>,
    /// What runs there.
    pub services: Vec<Service>,
}

/// A level of this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LevelInfo {
    /// Its number; 0 is the world.
    pub level: u8,
    /// Largest round-trip time inside a cluster; `None` for the world.
    pub threshold: Option<Duration>,
    /// This node's cluster.
    pub cluster: ClusterId,
    /// Estimated members, this node included.
    pub size: u32,
    /// Since it was founded.
    pub age: Duration,
}
