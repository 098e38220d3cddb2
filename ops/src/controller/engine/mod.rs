//! What a controller decides. Pure: rows come out as values, and are applied once they are written.
//!
//! [`Desk`] is the whole state in memory. It changes by [`Desk::apply`] alone, with the very rows that
//! the database holds: after a restart the rows make the same desk again. A decision gives rows; the
//! caller writes them, applies them, and then answers. What nodes observe may be applied first and
//! written soon, many at once: a lost report is made again.

mod checkin;
pub mod reason;
pub mod rollout;
pub mod rollouts;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use common::clock::Moment;
use serde::{Deserialize, Serialize};

use self::reason::DeskReason;
use self::rollouts::{Active, MemberRow, RolloutRow};
use crate::engine::document::Signed;
use crate::engine::document::intent::{Intent, News, Wanted, judge};
use crate::engine::document::key::{PublicKey, SigningKey};
use crate::engine::document::refusal::RefusalReason;
use crate::engine::document::release::Manifest;
use crate::engine::document::report::Report;
use crate::engine::document::words::{DaemonName, Version, is_node_name};

/// Most nodes.
pub const NODES_MAX: usize = 10_000;

/// Most releases.
pub const RELEASES_MAX: usize = 1_000;

/// Most nodes that called and are not enrolled, as they are shown: those that called last.
pub const STRANGERS_MAX: usize = 64;

/// What a node is to run, as an operator says it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Desired {
    /// Its daemons.
    pub daemons: BTreeMap<DaemonName, Wanted>,
    /// Whether an older version than before is meant.
    #[serde(default)]
    pub downgrade: bool,
}

/// A row: what is written, and what a desk is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Row {
    /// A node that is enrolled.
    Node(NodeRow),
    /// What a node reported.
    Observed(Box<Report>),
    /// A release, signed.
    Release(Box<Signed<Manifest>>),
    /// Something that happened.
    Event(EventRow),
    /// A rollout.
    Rollout(RolloutRow),
    /// A node of a rollout.
    Member(Box<MemberRow>),
}

/// A node that is enrolled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeRow {
    /// Its key.
    pub key: PublicKey,
    /// What people call it.
    pub name: String,
    /// Which nodes it is compared with.
    pub cluster: String,
    /// The last order for it.
    pub intent: Option<Signed<Intent>>,
}

/// Something that happened, for people. Never changed, never removed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventRow {
    /// The node it is about, if it is about one.
    pub node: Option<PublicKey>,
    /// A word from a closed list.
    pub kind: EventKind,
    /// The rest, for people.
    pub detail: String,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A node was enrolled, or renamed.
    Enrolled,
    /// A node was given an order.
    Ordered,
    /// A release was published.
    Published,
    /// An order came into force on a node.
    InForce,
    /// A node returned to the order before.
    FellBack,
    /// A node refused an order.
    Refused,
    /// A node's operator holds it.
    Held,
    /// A node follows its controller again.
    Resumed,
    /// A daemon ended by itself.
    Crashed,
    /// A node accepted orders that this controller does not know: its database is not the one they came from.
    Ahead,
    /// A rollout began.
    RolloutStarted,
    /// A wave of a rollout began.
    RolloutWave,
    /// A rollout waits for its operator.
    RolloutPaused,
    /// A node of a rollout failed.
    RolloutFailed,
    /// A rollout is taken back.
    RolloutBack,
    /// A rollout came to its end.
    RolloutOver,
}

impl EventKind {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::Ordered => "ordered",
            Self::Published => "published",
            Self::InForce => "in_force",
            Self::FellBack => "fell_back",
            Self::Refused => "refused",
            Self::Held => "held",
            Self::Resumed => "resumed",
            Self::Crashed => "crashed",
            Self::Ahead => "ahead",
            Self::RolloutStarted => "rollout_started",
            Self::RolloutWave => "rollout_wave",
            Self::RolloutPaused => "rollout_paused",
            Self::RolloutFailed => "rollout_failed",
            Self::RolloutBack => "rollout_back",
            Self::RolloutOver => "rollout_over",
        }
    }
}

/// One node at the desk.
#[derive(Clone, Debug)]
pub struct Node {
    /// As it is written.
    pub row: NodeRow,
    /// What it last reported.
    pub report: Option<Report>,
    /// When that was; nothing if it was before this process began.
    pub seen: Option<Moment>,
}

/// The state of a controller.
#[derive(Debug, Default)]
pub struct Desk {
    nodes: BTreeMap<PublicKey, Node>,
    releases: BTreeMap<Version, Signed<Manifest>>,
    strangers: BTreeMap<PublicKey, (String, Moment)>,
    rollouts: BTreeMap<u64, RolloutRow>,
    active: Option<Active>,
    /// When this controller began.
    began: Moment,
}

impl Desk {
    /// Takes in a row that is written, or is about to be.
    pub fn apply(&mut self, row: Row) {
        match row {
            Row::Node(row) => {
                self.strangers.remove(&row.key);
                let node = self.nodes.entry(row.key).or_insert_with(|| Node {
                    row: row.clone(),
                    report: None,
                    seen: None,
                });
                node.row = row;
            }
            Row::Observed(report) => {
                if let Some(node) = self.nodes.get_mut(&report.node) {
                    node.report = Some(*report);
                }
            }
            Row::Release(release) => {
                self.releases.insert(release.body.version.clone(), *release);
            }
            Row::Event(_) => {}
            Row::Rollout(row) => self.apply_rollout(row),
            Row::Member(row) => self.apply_member(*row),
        }
    }

    /// The nodes, by key.
    #[must_use]
    pub const fn nodes(&self) -> &BTreeMap<PublicKey, Node> {
        &self.nodes
    }

    /// The releases, by version.
    #[must_use]
    pub const fn releases(&self) -> &BTreeMap<Version, Signed<Manifest>> {
        &self.releases
    }

    /// Nodes that called and are not enrolled: what they call themselves, and when they last called.
    #[must_use]
    pub const fn strangers(&self) -> &BTreeMap<PublicKey, (String, Moment)> {
        &self.strangers
    }

    /// A node by its key, the beginning of its key, or its name.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn find(&self, word: &str) -> Result<&Node, DeskReason> {
        let named = |node: &&Node| {
            let key = node.row.key.to_string();
            node.row.name == word || (word.len() >= 4 && key.starts_with(word))
        };
        let mut found = self.nodes.values().filter(named);
        match (found.next(), found.next()) {
            (Some(node), None) => Ok(node),
            (Some(_), Some(_)) => Err(DeskReason::Ambiguous),
            (None, _) => Err(DeskReason::UnknownNode),
        }
    }

    /// Enrols a node, or renames it.
    ///
    /// # Errors
    /// The name is none or another node's, or there are as many nodes as there may be.
    pub fn enrol(&self, key: PublicKey, name: &str, cluster: &str) -> Result<Vec<Row>, DeskReason> {
        if !is_node_name(name) || !is_node_name(cluster) {
            return Err(DeskReason::Name);
        }
        let taken = |node: &Node| node.row.name == name && node.row.key != key;
        if self.nodes.values().any(taken) {
            return Err(DeskReason::NameTaken);
        }
        if !self.nodes.contains_key(&key) && self.nodes.len() >= NODES_MAX {
            return Err(DeskReason::TooManyNodes);
        }
        let intent = self
            .nodes
            .get(&key)
            .and_then(|node| node.row.intent.clone());
        let row = NodeRow {
            key,
            name: name.to_owned(),
            cluster: cluster.to_owned(),
            intent,
        };
        let event = event(key, EventKind::Enrolled, format!("{name} in {cluster}"));
        Ok(vec![Row::Node(row), event])
    }

    /// Takes a release in; the same one twice is no harm.
    ///
    /// # Errors
    /// Another one of the same version is here, or there are as many as there may be.
    pub fn publish(&self, release: Signed<Manifest>) -> Result<Vec<Row>, DeskReason> {
        match self.releases.get(&release.body.version) {
            Some(here) if here.digest == release.digest => return Ok(Vec::new()),
            Some(_) => return Err(DeskReason::OtherRelease),
            None if self.releases.len() >= RELEASES_MAX => return Err(DeskReason::TooManyReleases),
            None => {}
        }
        let event = Row::Event(EventRow {
            node: None,
            kind: EventKind::Published,
            detail: release.body.version.to_string(),
        });
        Ok(vec![Row::Release(Box::new(release)), event])
    }

    /// Gives a node an order. Its serial is higher than any that this controller gave, and than any that
    /// the node says it accepted: also a controller with an empty database gets through, once an
    /// operator says what is meant.
    ///
    /// # Errors
    /// There is no such node or release, or the node would refuse the order.
    pub fn order(
        &self,
        node: &PublicKey,
        desired: &Desired,
        key: &SigningKey,
    ) -> Result<Vec<Row>, DeskReason> {
        let node = self.nodes.get(node).ok_or(DeskReason::UnknownNode)?;
        let mut releases = BTreeMap::new();
        for wanted in desired.daemons.values() {
            let release = self.releases.get(&wanted.release);
            let release = release.ok_or(DeskReason::UnknownRelease)?;
            if !release.body.binaries.contains_key(&wanted.program) {
                return Err(DeskReason::Refused(RefusalReason::NoSuchProgram));
            }
            releases.insert(wanted.release.clone(), release.digest);
        }
        let before = node.row.intent.as_ref();
        let ours = before.map_or(0, |intent| intent.body.serial);
        let theirs = node.report.as_ref().and_then(|report| report.accepted);
        let intent = Intent {
            node: node.row.key,
            serial: ours.max(theirs.unwrap_or(0)).saturating_add(1),
            releases,
            daemons: desired.daemons.clone(),
            downgrade: desired.downgrade,
        };
        let intent = Signed::seal(intent, key);
        // What the node would refuse is better refused here. It may know more.
        let again = Signed::<Intent>::read(intent.text().as_bytes(), &[key.public()]);
        let verdict = again.and_then(|intent| judge(&intent, &node.row.key, before));
        match verdict {
            Ok(News::New | News::Known) => {}
            Err(reason) => return Err(DeskReason::Refused(reason)),
        }
        let detail = format!("intent {}", intent.body.serial);
        let mut row = node.row.clone();
        row.intent = Some(intent);
        let event = event(row.key, EventKind::Ordered, detail);
        Ok(vec![Row::Node(row), event])
    }
}

fn event(node: PublicKey, kind: EventKind, detail: String) -> Row {
    Row::Event(EventRow {
        node: Some(node),
        kind,
        detail,
    })
}
