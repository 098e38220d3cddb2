//! What the engine counted since it started. Plain numbers: metrics are the shell's.

use std::collections::BTreeMap;

use super::admit::DropReason;
use super::cluster::Moved;
use super::message::Kind;
use crate::refusal::Refusal;

/// A count per variant of a closed enum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tally<K>(BTreeMap<K, u64>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Copy> Tally<K> {
    /// One more of `kind`.
    pub fn count(&mut self, kind: K) {
        *self.0.entry(kind).or_default() += 1;
    }

    /// How many of `kind`.
    #[must_use]
    pub fn of(&self, kind: K) -> u64 {
        self.0.get(&kind).copied().unwrap_or(0)
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// Which walk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Lookup {
    /// For values.
    Get,
    /// To place a value.
    Put,
    /// To claim a key.
    Claim,
    /// To take a value back.
    Withdraw,
    /// For nodes.
    Find,
}

impl Lookup {
    /// Every one, for metrics.
    pub const ALL: [Self; 5] = [
        Self::Get,
        Self::Put,
        Self::Claim,
        Self::Withdraw,
        Self::Find,
    ];

    /// The word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Claim => "claim",
            Self::Withdraw => "withdraw",
            Self::Find => "find",
        }
    }
}

/// The counters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Messages sent.
    pub sent: Tally<Kind>,
    /// Messages received and acted on.
    pub received: Tally<Kind>,
    /// Datagrams dropped.
    pub dropped: Tally<DropReason>,
    /// Refusals sent to other nodes.
    pub refused: Tally<Refusal>,
    /// Refusals given to local clients.
    pub refused_here: Tally<Refusal>,
    /// Walks begun, for clients and for upkeep.
    pub lookups: Tally<Lookup>,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received, dropped ones included.
    pub bytes_received: u64,
    /// Attempts beyond the first.
    pub retransmissions: u64,
    /// Replies to attempts nobody waited for any more.
    pub late_replies: u64,
    /// Requests that went unanswered for good.
    pub timeouts: u64,
    /// Requests not sent because as many were under way as may be.
    pub busy: u64,
    /// Requests given grace because this node was late itself.
    pub forgiven: u64,
    /// Contacts that failed.
    pub contacts_failed: u64,
    /// Values put again after a death.
    pub healed: u64,
    /// Own values looked for where they should be.
    pub checks: u64,
    /// Values handed on to neighbours.
    pub handed: u64,
    /// Own tests passed.
    pub tests_passed: u64,
    /// Own tests failed.
    pub tests_failed: u64,
    /// Changes of cluster, at all levels.
    pub moved: Tally<Moved>,
    /// Requests sent through the node that named an unreachable one.
    pub detours: u64,
    /// Requests relayed for others.
    pub relayed: u64,
    /// Members that were not taken in because as many are known as may be.
    pub members_refused: u64,
    /// Walks whose next step was asked beside a late one.
    pub hedged: u64,
}
