//! What is wrong with a node, and what to do about it: findings made of facts. Pure.
//!
//! The facts are gathered by `atoll doctor`; here is what they mean. Each check says one thing in one
//! sentence, and what a person does next in another. What is merely unusual is a warning; only what keeps
//! a daemon from its work, or soon will, makes the node degraded.

mod judge;

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

pub use judge::{judge, judge_agent, judge_room};

use crate::agent::engine::report::View;
use crate::cluster::layout::Kind;
use crate::figures::Figures;

/// Clocks that differ by more than this are wrong: certificates and signed documents are judged by them.
pub const SKEW_MAX: Duration = Duration::from_secs(30);

/// How far two calendars are apart, in seconds, if that is wrong.
#[must_use]
pub fn skewed(ahead_s: Option<i64>) -> Option<i64> {
    ahead_s.filter(|seconds| seconds.unsigned_abs() > SKEW_MAX.as_secs())
}

/// A disk with less than this share free, in percent, will be full soon.
pub const FREE_LEAST_PERCENT: u64 = 5;

/// What is checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Whether the daemon answers and does its work.
    Daemon,
    /// Whether its public ports answer.
    Port,
    /// Whether its clock agrees with this machine's.
    Clock,
    /// Whether all are under the same network secret.
    Secret,
    /// Whether its disk takes writes and has room.
    Disk,
    /// Whether it finds others and others find it.
    Peers,
    /// Whether the agent follows the controller.
    Serial,
}

impl Check {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Port => "port",
            Self::Clock => "clock",
            Self::Secret => "secret",
            Self::Disk => "disk",
            Self::Peers => "peers",
            Self::Serial => "serial",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It keeps something from its work.
    Wrong,
    /// It is unusual, and worth a look.
    Warning,
}

impl Severity {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wrong => "WRONG",
            Self::Warning => "warning",
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which check found it.
    pub check: Check,
    /// Where.
    pub whom: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub advice: String,
}

/// Whether a daemon does its work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It does.
    Ready,
    /// It says that it does not.
    NotReady(String),
    /// It does not answer.
    Gone(String),
}

/// A file system that a daemon writes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Room {
    /// The directory.
    pub dir: String,
    /// What is free of it, in percent.
    pub free_percent: u64,
}

/// What was found out about one daemon.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What it is.
    pub kind: Kind,
    /// The name of its node.
    pub name: String,
    /// Whether it answers.
    pub answer: Answer,
    /// Ports that do not answer, and why: `TCP 127.0.0.11:8080`.
    pub shut: Vec<(String, String)>,
    /// How far its clock is from this one's.
    pub skew: Option<Duration>,
    /// Its state page; null if there is none.
    pub state: Value,
    /// Its figures.
    pub figures: Figures,
    /// Where it writes, as far as this machine can see.
    pub room: Option<Room>,
}

impl Facts {
    /// The daemon in words.
    #[must_use]
    pub fn whom(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.name)
    }
}

/// What was found out about an agent.
#[derive(Clone, Debug)]
pub enum Agent {
    /// It answered.
    Here(Box<View>),
    /// It did not.
    Gone(String),
}

/// How many checks were made of so many daemons: for the last line.
#[must_use]
pub const fn checks(daemons: usize, agent: bool) -> usize {
    // Daemon, port, clock, secret, disk, peers; and of an agent serial, disk and clock.
    daemons * 6 + 3 * agent as usize
}
