//! Reports: what one node runs, in its own words, signed with its own key.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::intent::{DAEMONS_MAX, SERIAL_MAX};
use super::key::PublicKey;
use super::refusal::RefusalReason;
use super::times::Times;
use super::words::{DaemonName, Digest, Program, Version, is_node_name};
use super::{Body, Kind};

/// Most slots of a report.
pub const SLOTS_MAX: usize = 32;

/// Most pages that an agent asks its own proxy for.
pub const INJECTED_MAX: usize = 8;

/// Most stragglers that are named of an index; all are counted.
pub const STRAGGLERS_MAX: usize = 8;

/// Longest text of a report, in bytes.
const TEXT_MAX: usize = 256;

/// What one node runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The node, by its key.
    pub node: PublicKey,
    /// Numbers the agent's starts: each has a higher one than those before.
    pub boot: u64,
    /// Counts the reports since then: an old one sent again has a lower number.
    pub count: u64,
    /// What the node's operator calls it: as a node may be enrolled.
    pub name: String,
    /// The agent's own version.
    pub agent: String,
    /// The serial of the last intent that was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<u64>,
    /// The serial of the intent in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_force: Option<u64>,
    /// Why the node is held by its operator, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// What made it return to the intent before, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallen: Option<Fallen>,
    /// Why the last document was refused, unless one was accepted since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusalReason>,
    /// Whether each daemon is the process that the intent in force asks for; absent where an older agent reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<bool>,
    /// Its daemons. One that is not to run, and does not, is none of them.
    pub daemons: BTreeMap<DaemonName, Observed>,
    /// The releases on its disk.
    pub slots: BTreeSet<Version>,
    /// What its daemons' pages counted since the agent started.
    #[serde(default)]
    pub counted: Counted,
    /// Pages that the agent asked its own proxy for, by URL, and what came.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub injected: BTreeMap<String, Injected>,
    /// How long the controller may wait for news before it answers, in milliseconds.
    pub wait_ms: u64,
}

/// What came of asking the own proxy for a page, since the agent started.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Injected {
    /// How often it was asked for.
    pub asked: u64,
    /// How often there was no whole 200 in time.
    pub failed: u64,
    /// The BLAKE3 of the last whole body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Digest>,
}

/// What the pages of a node's daemons counted since the agent started. It never falls: what a daemon
/// counted before it was started anew stays counted.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Counted {
    /// Requests of clients.
    pub requests: u64,
    /// Those that failed here: 5xx of ours, not the site's.
    pub errors: u64,
    /// Requests whose time to first byte was taken.
    pub first_bytes: u64,
    /// That time over all of them, summed, in microseconds.
    pub first_byte_micros: u64,
    /// Each of those times; nothing where the proxy counts by other bounds.
    #[serde(skip_serializing_if = "Times::is_empty")]
    pub first_byte_times: Times,
    /// Questions of the proxy to the index.
    pub lookups: u64,
    /// Those that failed.
    pub lookups_failed: u64,
}

/// What made a node return to the intent before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fallen {
    /// The serial that it returned from.
    pub from: u64,
    /// The daemon that did not stay up.
    pub daemon: DaemonName,
    /// The release it ran.
    pub release: Version,
}

/// One daemon as it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Observed {
    /// Its program.
    pub program: Program,
    /// The release it runs, or is to run.
    pub release: Version,
    /// What it does.
    pub doing: Doing,
    /// For how long, in milliseconds.
    pub for_ms: u64,
    /// How often it ended by itself since the agent started.
    pub crashes: u64,
    /// Whether it says that it does its work (`/readyz`); absent where nobody asked it, or could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// How it leaves, if it is an index of an old network; absent if it is to stay, or does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Leaving>,
}

/// An index of an old network on its way out. Rates are requests about keys in a thousand seconds.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Leaving {
    /// Why it has left, once it has: a word of the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
    /// How much it is asked, once that was counted for its `retire.window`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_per_ks: Option<u64>,
    /// How much the index of the new network is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_asked_per_ks: Option<u64>,
    /// The rate under which it is quiet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_under_per_ks: Option<u64>,
    /// For how long it has been quiet, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_for_s: Option<u64>,
    /// How long it has to be, in seconds.
    pub quiet_s: u64,
    /// When it leaves at the latest, in seconds from then.
    pub deadline_in_s: u64,
    /// How many proxies it knows that are in the old network alone.
    pub straggler_count: u64,
    /// Where those are, or the first of them, as their peers know them.
    pub stragglers: Vec<SocketAddr>,
}

impl Leaving {
    /// Whether it says other than `before` what somebody may want to hear of at once: that it has left, and who
    /// holds it. Rates and times change all the while.
    #[must_use]
    pub fn is_news(&self, before: &Self) -> bool {
        (&self.left, self.straggler_count, &self.stragglers)
            != (&before.left, before.straggler_count, &before.stragglers)
    }
}

/// What a daemon does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Doing {
    /// Its process runs.
    Up,
    /// Its process was asked to end.
    Ending,
    /// It ended by itself and is started again after a while.
    Resting,
    /// It does not run.
    Down,
}

impl Doing {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Ending => "ending",
            Self::Resting => "resting",
            Self::Down => "down",
        }
    }
}

impl Body for Report {
    const KIND: Kind = Kind::Report;
    const SCHEMA: u64 = 1;
    const FIELDS: &'static [&'static str] = &[
        "node", "boot", "count", "name", "agent", "accepted", "in_force", "held", "fallen",
        "refused", "settled", "daemons", "slots", "counted", "injected", "wait_ms",
    ];

    fn check(&self) -> Result<(), RefusalReason> {
        // Whoever reaches the controller may send a report, and it is shown at terminals.
        let plain = |text: &String| text.len() <= TEXT_MAX && !text.contains(char::is_control);
        let leaving = || self.daemons.values().filter_map(|one| one.leaving.as_ref());
        let words = leaving().filter_map(|leaving| leaving.left.as_ref());
        let texts = [Some(&self.agent), self.held.as_ref()];
        let mut texts = texts.into_iter().flatten().chain(words);
        let pages = self.injected.len() <= INJECTED_MAX && self.injected.keys().all(plain);
        let plain = pages && is_node_name(&self.name) && texts.all(plain);
        let many = leaving().any(|leaving| leaving.stragglers.len() > STRAGGLERS_MAX);
        // Twice, because a daemon that is ending may not be in the intent in force.
        let serials = [self.accepted, self.in_force];
        let past = serials
            .into_iter()
            .flatten()
            .any(|serial| serial > SERIAL_MAX);
        if !plain
            || past
            || many
            || self.daemons.len() > 2 * DAEMONS_MAX
            || self.slots.len() > SLOTS_MAX
        {
            return Err(RefusalReason::OutOfBounds);
        }
        Ok(())
    }
}
