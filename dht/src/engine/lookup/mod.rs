//! A get, put, claim, withdrawal or search for nodes, from the first request to the last.
//!
//! `path` is the rule of where to go, `walk` whom to ask next, `insert` where to leave a value.
//!
//! A [`Task`] walks (`walk`), then places (`insert`); it asks nothing itself but says what to
//! ask ([`Step`]) and is told what came back. This node takes part in its own walks like any
//! other, through [`Step::AskSelf`], unless the task is to go through others only.

mod insert;
mod path;
mod task;
#[cfg(test)]
mod tests;
mod walk;

use std::time::Duration;

use super::message::Ask;
use super::routing::Entry;
use super::stats::Lookup;
use crate::refusal::Refusal;
use crate::value::Value;

pub use task::Task;
pub use walk::Lead;

/// The levels a task goes through, from the innermost outward.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Where it begins.
    pub innermost: u8,
    /// Where it ends at the latest; 0 is the world.
    pub outermost: u8,
}

impl Span {
    /// The world alone.
    pub const WORLD: Self = Self {
        innermost: 0,
        outermost: 0,
    };
}

/// What a task is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Goal {
    /// Values; so many are enough.
    Get {
        /// How many.
        want: usize,
    },
    /// Place a value.
    Put {
        /// The value.
        value: Vec<u8>,
        /// For so long.
        ttl: Duration,
    },
    /// Place a value unless others have one.
    Claim {
        /// The value.
        value: Vec<u8>,
        /// For so long.
        ttl: Duration,
    },
    /// Take this node's value back.
    Withdraw,
    /// Nodes near the key.
    Find,
}

impl Goal {
    /// For counting.
    #[must_use]
    pub const fn lookup(&self) -> Lookup {
        match self {
            Self::Get { .. } => Lookup::Get,
            Self::Put { .. } => Lookup::Put,
            Self::Claim { .. } => Lookup::Claim,
            Self::Withdraw => Lookup::Withdraw,
            Self::Find => Lookup::Find,
        }
    }
}

/// What a task wants next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Ask this node at this level.
    Ask(Entry, u8, Ask),
    /// Ask this very node.
    AskSelf(Ask),
    /// Tell the owner.
    Report(Report),
    /// Nothing more: the task is over.
    Over,
}

/// What a task tells its owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    /// Values not told before, and whether that is all.
    Values {
        /// The values.
        values: Vec<Value>,
        /// Whether the search is over.
        last: bool,
    },
    /// The value is stored.
    Stored,
    /// The key is ours. Copies may still be made.
    Granted,
    /// Others have the key.
    Taken(Vec<Value>),
    /// The value is taken back as far as can be.
    Withdrawn,
    /// The nodes near the key have been asked.
    Walked,
    /// It did not work.
    Refused(Refusal),
}
