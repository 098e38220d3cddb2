//! The move of nodes to a network that does not speak with the one they are in, step by step.
//!
//! How far a node is stands in its order and nowhere else ([`stand`]), so nobody has to remember what was
//! begun, and whoever has the order can go on or back. [`change`] makes the order of the next step out of the one
//! before; [`successor`] says where the index of the new network lies beside the old one; [`plan`] does that for many
//! nodes, [`seen`] says when a node has come to where it was ordered, [`diff`] shows what would change.
//!
//! It gives orders to nobody, and does not look into secret files: those are the nodes' own.

pub mod change;
pub mod diff;
pub mod plan;
pub mod refusal;
pub mod seen;
pub mod stand;
pub mod successor;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use super::document::intent::Wanted;
use super::document::release::Manifest;
use super::document::words::{DaemonName, Version};

/// The daemons of an order.
pub type Daemons = BTreeMap<DaemonName, Wanted>;

/// The releases of a controller.
pub type Releases = BTreeMap<Version, Manifest>;

/// How far a node is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// One index: before the move, or after it.
    Single,
    /// The index of the new network runs beside the old one, and nobody asks it.
    Shadow,
    /// Of the new release, in both networks.
    Dual,
    /// In the new one; peers of the old one are believed, and the old index leaves when it is not asked any more.
    Drained,
    /// In the new one alone. The old index does not run; the order still says what it was.
    Retired,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::Single,
        Self::Shadow,
        Self::Dual,
        Self::Drained,
        Self::Retired,
    ];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Shadow => "shadow",
            Self::Dual => "dual",
            Self::Drained => "drained",
            Self::Retired => "retired",
        }
    }

    /// The step before.
    #[must_use]
    pub const fn before(self) -> Option<Self> {
        match self {
            Self::Single => None,
            Self::Shadow => Some(Self::Single),
            Self::Dual => Some(Self::Shadow),
            Self::Drained => Some(Self::Dual),
            Self::Retired => Some(Self::Drained),
        }
    }

    /// Whether one order leads from one to the other, or they are the same.
    #[must_use]
    pub fn is_next_to(self, other: Self) -> bool {
        self == other || self.before() == Some(other) || other.before() == Some(self)
    }
}
