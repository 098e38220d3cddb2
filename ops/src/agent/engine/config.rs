//! How an agent goes about it: its name, whom it trusts, and how long things may take.

use std::time::Duration;

use super::life::Times;
use crate::engine::document::key::PublicKey;

/// How an agent goes about it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's own key.
    pub node: PublicKey,
    /// What its operator calls it; for people alone.
    pub name: String,
    /// The agent's version, for reports.
    pub version: String,
    /// Who may sign intents.
    pub trust: Vec<PublicKey>,
    /// Longest time a controller may keep a call waiting.
    pub wait: Duration,
    /// A new intent is on probation until all its daemons were up for so long. A daemon that does not
    /// stay up before then takes the node back to the intent before.
    pub probation: Duration,
    /// A daemon that ends by itself so often within [`crash_window`](Self::crash_window) does not stay up.
    pub crashes_max: usize,
    /// See [`crashes_max`](Self::crashes_max).
    pub crash_window: Duration,
    /// For a daemon that was asked to end; then it is killed.
    pub grace: Duration,
    /// For a process that is to take another one's place to be ready; then it is killed, and the other one
    /// goes on.
    pub ready: Duration,
    /// For a process whose place was taken to finish what it began; then it is killed.
    pub drain: Duration,
}

impl Config {
    pub(super) const fn times(&self) -> Times {
        Times {
            grace: self.grace,
            ready: self.ready,
            drain: self.drain,
        }
    }
}
