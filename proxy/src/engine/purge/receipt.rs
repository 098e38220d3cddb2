//! What came of an order in the network: who confirmed it, who did not, and why.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::Tally;
use super::order::Order;
use crate::engine::reason::FailReason;

/// Proxies that one order is sent to.
pub const NODES_MAX: usize = 256;

/// Why a proxy did not confirm an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unconfirmed {
    /// It did not answer in time.
    Late,
    /// It answered something else.
    Refused,
    /// It could not be reached, or the connection failed.
    Failed(FailReason),
}

impl Unconfirmed {
    /// The word for receipts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Refused => "refused",
            Self::Failed(reason) => reason.as_str(),
        }
    }
}

/// Whether all who had to be told were known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// There is no index: this proxy is on its own.
    Alone,
    /// The index named everybody it knows.
    All,
    /// The index named more than one order is sent to.
    Bounded,
    /// The index did not answer.
    NoIndex,
}

impl Reach {
    /// The word for receipts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::All => "all",
            Self::Bounded => "bounded",
            Self::NoIndex => "no_index",
        }
    }
}

/// A proxy that carried an order out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confirmed {
    /// Its name, as it says.
    pub node: String,
    /// Its peer port; `None` for the proxy that was asked.
    pub peer: Option<SocketAddr>,
    /// What it did.
    pub tally: Tally,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// What was ordered.
    pub order: Order,
    /// Whether everybody is on one of the two lists.
    pub reach: Reach,
    /// Who carried it out.
    pub confirmed: Vec<Confirmed>,
    /// Who did not say so.
    pub unconfirmed: Vec<(SocketAddr, Unconfirmed)>,
}

impl Receipt {
    /// Whether the order was carried out wherever it had to be, as far as is known.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.unconfirmed.is_empty() && matches!(self.reach, Reach::Alone | Reach::All)
    }

    /// The receipt as the answer to an order.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let confirmed = self.confirmed.iter().map(|one| {
            json!({
                "node": one.node, "peer": one.peer.map(|peer| peer.to_string()),
                "stale": one.tally.stale, "gone": one.tally.gone,
            })
        });
        let unconfirmed = self
            .unconfirmed
            .iter()
            .map(|(peer, why)| json!({ "peer": peer.to_string(), "reason": why.as_str() }));
        json!({
            "schema": 1,
            "id": self.order.id.to_string(),
            "order": self.order.to_string(),
            "complete": self.is_complete(),
            "reach": self.reach.as_str(),
            "confirmed": confirmed.collect::<Vec<_>>(),
            "unconfirmed": unconfirmed.collect::<Vec<_>>(),
        })
    }
}
