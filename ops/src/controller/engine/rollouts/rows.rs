//! What is written of rollouts, and what happened between two moments of one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Active;
use crate::controller::engine::rollout::member::Written;
use crate::controller::engine::rollout::{Config, Phase, Sides, StopReason};
use crate::controller::engine::{EventKind, EventRow, Row, event};
use crate::engine::document::key::PublicKey;
use crate::engine::document::words::Version;

/// A rollout as it is written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RolloutRow {
    /// Counts rollouts.
    pub id: u64,
    /// The release.
    pub release: Version,
    /// Whether an older version is meant.
    pub downgrade: bool,
    /// How it goes about it.
    pub config: Config,
    /// Where it is.
    pub phase: Phase,
    /// For how long all waves so far have been running the release, as far as it was seen.
    #[serde(default)]
    pub soaked: Option<Duration>,
    /// What the gate saw when it failed, by cluster.
    #[serde(default)]
    pub evidence: BTreeMap<String, Sides>,
}

/// A node of a rollout as it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberRow {
    /// The rollout.
    pub rollout: u64,
    /// The node.
    pub node: PublicKey,
    /// The rest.
    pub written: Written,
}

/// The rows between a rollout before and after.
pub(super) fn difference(before: Option<&Active>, after: &Active) -> Vec<Row> {
    let mut rows = Vec::new();
    let at = |active: &Active| (active.rollout.phase(), active.rollout.soaked_as_kept());
    let (phase, soaked) = at(after);
    if before.map(at) != Some((phase, soaked)) {
        let row = RolloutRow {
            phase,
            soaked,
            evidence: after.rollout.evidence().clone(),
            ..after.row.clone()
        };
        rows.push(Row::Rollout(row));
    }
    if before.map(|before| before.rollout.phase()) != Some(phase) {
        rows.push(told(before.is_none(), after));
    }
    let id = after.row.id;
    for (node, member) in after.rollout.members() {
        let was = before.and_then(|before| before.rollout.members().get(node));
        let was = was.map(|was| &was.written);
        if was == Some(&member.written) {
            continue;
        }
        if let Some(reason) = member.written.failed
            && was.is_some_and(|was| was.failed.is_none())
        {
            let detail = format!("rollout {id}: {}", reason.as_str());
            rows.push(event(*node, EventKind::RolloutFailed, detail));
        }
        rows.push(Row::Member(Box::new(MemberRow {
            rollout: id,
            node: *node,
            written: member.written.clone(),
        })));
    }
    rows
}

/// The event of a rollout's new phase.
fn told(new: bool, active: &Active) -> Row {
    let (waves, nodes) = (active.rollout.waves(), active.rollout.members().len());
    let why = |reason: StopReason| match reason {
        StopReason::Asked => "asked to",
        StopReason::Gate(reason) => reason.as_str(),
    };
    let (kind, what) = match active.rollout.phase() {
        Phase::Wave(_) if new => {
            let release = &active.row.release;
            let what = format!("{release} to {nodes} nodes in {waves} waves");
            (EventKind::RolloutStarted, what)
        }
        Phase::Wave(wave) => (
            EventKind::RolloutWave,
            format!("wave {} of {waves}", wave + 1),
        ),
        Phase::Paused(wave, reason) => {
            let what = format!("wave {} of {waves}: {}", wave + 1, reason.as_str());
            (EventKind::RolloutPaused, what)
        }
        Phase::Back(reason) => (EventKind::RolloutBack, why(reason).to_owned()),
        Phase::RolledBack(reason) => (
            EventKind::RolloutOver,
            format!("rolled back: {}", why(reason)),
        ),
        Phase::Halted => (EventKind::RolloutOver, "halted".to_owned()),
        Phase::Done => (EventKind::RolloutOver, "done".to_owned()),
    };
    Row::Event(EventRow {
        node: None,
        kind,
        detail: format!("rollout {}: {what}", active.row.id),
    })
}
