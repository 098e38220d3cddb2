//! The desk's rollouts: which nodes take part, what they are ordered, what is written of it.
//!
//! One rollout is under way at a time. [`rollout`](super::rollout) decides; here nodes' reports become what
//! it sees, and what it says becomes orders and rows. Orders and the rollout's own rows are written
//! together, so no crash parts them. `rows` are what is written,
//! [`account`] is what operators are shown.

pub mod account;
mod rows;
#[cfg(test)]
mod tests;

use self::rows::difference;
pub use self::rows::{MemberRow, RolloutRow};

use std::collections::BTreeMap;
use std::time::Duration;

use common::clock::Moment;
use serde::{Deserialize, Serialize};

use super::reason::DeskReason;
use super::rollout::gate::Count;
use super::rollout::member::{Member, Place, Written};
use super::rollout::plan::{Candidate, Plan};
use super::rollout::{Command, Config, Order, Phase, Rollout, Runs, Seen};
use super::{Desired, Desk, Node, Row};
use crate::engine::document::key::{PublicKey, SigningKey};
use crate::engine::document::refusal::RefusalReason;
use crate::engine::document::release::Manifest;
use crate::engine::document::report::{Doing, Report};
use crate::engine::document::words::{DaemonName, Digest, RunState, Version};

/// Rollouts that are remembered in memory; the database has all.
pub const REMEMBERED: usize = 100;

/// Longest of a rollout's times.
const TIME_MAX: Duration = Duration::from_secs(30 * 86_400);

/// What a rollout is asked to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// The release.
    pub release: Version,
    /// Only nodes of these clusters; of all, if there are none.
    #[serde(default)]
    pub clusters: Vec<String>,
    /// Who is to be first.
    #[serde(default)]
    pub canary: Option<String>,
    /// Whether an older version than before is meant.
    #[serde(default)]
    pub downgrade: bool,
    /// From an order until a node is seen to run the release, in milliseconds.
    #[serde(default)]
    pub deadline_ms: Option<u64>,
    /// For a wave to be watched, in milliseconds.
    #[serde(default)]
    pub soak_ms: Option<u64>,
    /// For a gate to become conclusive after that, in milliseconds.
    #[serde(default)]
    pub patience_ms: Option<u64>,
    /// Until a silent node counts as down, in milliseconds.
    #[serde(default)]
    pub silence_ms: Option<u64>,
}

/// Why a node takes no part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// Nothing was ever ordered for it.
    NoOrder,
    /// It was ordered to run the release already.
    HasIt,
    /// The release has none of its programs.
    NoProgram,
}

/// A rollout that could be started.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The release.
    pub release: Version,
    /// How it would go about it.
    pub config: Config,
    /// The waves.
    pub plan: Plan,
    /// What the daemons of each node run now, of those that would change.
    pub before: BTreeMap<PublicKey, BTreeMap<DaemonName, Version>>,
    /// Who takes no part.
    pub left_out: BTreeMap<PublicKey, LeftOut>,
}

/// The latest rollout.
#[derive(Clone, Debug)]
pub struct Active {
    /// What was written of it last; its phase counts from the rollout itself.
    pub row: RolloutRow,
    /// The rollout.
    pub rollout: Rollout,
}

/// What a decision about a rollout comes to: rows to write, and the rollout from then on.
#[derive(Debug)]
pub struct Step {
    /// Written together.
    pub rows: Vec<Row>,
    /// See [`Desk::take`].
    pub active: Active,
}

impl Desk {
    /// The latest rollout.
    ///
    /// # Errors
    /// There is none, or `id` is another one's.
    pub fn rollout(&self, id: Option<u64>) -> Result<&Active, DeskReason> {
        let active = self.active.as_ref().ok_or(DeskReason::NoRollout)?;
        match id {
            Some(id) if id != active.row.id => Err(DeskReason::NoRollout),
            Some(_) | None => Ok(active),
        }
    }

    /// The last rollouts, oldest first.
    pub fn rollouts(&self) -> impl Iterator<Item = &RolloutRow> {
        self.rollouts.values()
    }

    /// Takes in a rollout's row.
    pub(super) fn apply_rollout(&mut self, row: RolloutRow) {
        match &mut self.active {
            Some(active) if active.row.id == row.id => {
                let evidence = row.evidence.clone();
                active.rollout.restore(row.phase, row.soaked, evidence);
            }
            Some(active) if active.row.id > row.id => {}
            Some(_) | None => {
                let mut rollout = Rollout::new(row.config, row.phase);
                rollout.restore(row.phase, row.soaked, row.evidence.clone());
                let row = row.clone();
                self.active = Some(Active { row, rollout });
            }
        }
        self.rollouts.insert(row.id, row);
        while self.rollouts.len() > REMEMBERED {
            self.rollouts.pop_first();
        }
    }

    /// Takes in a row of a rollout's node.
    pub(super) fn apply_member(&mut self, row: MemberRow) {
        if let Some(active) = &mut self.active
            && active.row.id == row.rollout
        {
            let member = Member::new(row.written, self.began);
            active.rollout.insert(row.node, member);
        }
    }

    /// A controller begins to look: silence counts from here, and deadlines go on.
    pub fn begin(&mut self, now: Moment) {
        self.began = now;
        if let Some(active) = &mut self.active {
            active.rollout.wake(now);
        }
    }

    /// Goes on with the rollout of a step whose rows were written and applied.
    pub fn take(&mut self, active: Active) {
        self.active = Some(active);
    }

    /// Divides the nodes for a rollout.
    ///
    /// # Errors
    /// There is no such release, nobody to run it, or nodes would refuse it.
    pub fn draft(&self, wish: &Wish, now: Moment) -> Result<Draft, DeskReason> {
        let config = config(wish)?;
        let release = self.releases.get(&wish.release);
        let release = &release.ok_or(DeskReason::UnknownRelease)?.body;
        let mut nodes = BTreeMap::new();
        let mut before = BTreeMap::new();
        let mut left_out = BTreeMap::new();
        for (key, node) in &self.nodes {
            let cluster = &node.row.cluster;
            if !wish.clusters.is_empty() && !wish.clusters.contains(cluster) {
                continue;
            }
            match changes(node, release) {
                Ok(changed) => {
                    self.check(&changed, release, wish.downgrade)?;
                    let held = node
                        .report
                        .as_ref()
                        .is_none_or(|report| report.held.is_some());
                    let well = !held && self.is_heard(node, &config, now);
                    let cluster = cluster.clone();
                    nodes.insert(*key, Candidate { cluster, well });
                    before.insert(*key, changed);
                }
                Err(why) => drop(left_out.insert(*key, why)),
            }
        }
        if nodes.is_empty() {
            return Err(DeskReason::NothingToDo);
        }
        let canary = wish
            .canary
            .as_deref()
            .map(|word| self.find(word))
            .transpose()?;
        let canary = canary.map(|node| node.row.key);
        if canary.is_some_and(|key| !nodes.contains_key(&key)) {
            return Err(DeskReason::NotInRollout);
        }
        Ok(Draft {
            release: wish.release.clone(),
            config,
            plan: Plan::of(nodes, canary),
            before,
            left_out,
        })
    }

    /// Whether daemons of these releases may go over to `release` node by node.
    fn check(
        &self,
        before: &BTreeMap<DaemonName, Version>,
        release: &Manifest,
        downgrade: bool,
    ) -> Result<(), DeskReason> {
        for version in before.values() {
            if *version > release.version && !downgrade {
                return Err(DeskReason::Refused(RefusalReason::Downgrade));
            }
            let old = self.releases.get(version);
            if old.is_some_and(|old| old.body.generation != release.generation) {
                return Err(DeskReason::OtherGeneration);
            }
        }
        Ok(())
    }

    /// Begins a rollout.
    ///
    /// # Errors
    /// As [`draft`](Self::draft), or another one is under way.
    pub fn start(&self, wish: &Wish, now: Moment) -> Result<Step, DeskReason> {
        if self
            .active
            .as_ref()
            .is_some_and(|active| !active.rollout.phase().is_over())
        {
            return Err(DeskReason::UnderWay);
        }
        let draft = self.draft(wish, now)?;
        let mut before = draft.before;
        let phase = Phase::Wave(0);
        let mut rollout = Rollout::new(draft.config, phase);
        for (wave, nodes) in draft.plan.waves().iter().enumerate() {
            for node in nodes {
                let written = Written {
                    wave,
                    cluster: draft.plan.cluster_of(node).to_owned(),
                    place: Place::Waiting,
                    told: false,
                    told_for: Duration::ZERO,
                    failed: None,
                    before: before.remove(node).unwrap_or_default(),
                    base: None,
                };
                rollout.insert(*node, Member::new(written, now));
            }
        }
        let last = self.rollouts.last_key_value().map_or(0, |(id, _)| *id);
        let row = RolloutRow {
            id: last + 1,
            release: draft.release,
            downgrade: wish.downgrade,
            config: draft.config,
            phase,
            soaked: None,
            evidence: BTreeMap::new(),
        };
        let active = Active { row, rollout };
        let rows = difference(None, &active);
        Ok(Step { rows, active })
    }

    /// Tells a rollout what its operator wants.
    ///
    /// # Errors
    /// There is no such rollout, or it means nothing where the rollout is.
    pub fn tell(&self, id: Option<u64>, command: Command) -> Result<Step, DeskReason> {
        let before = self.rollout(id)?;
        let mut active = before.clone();
        if !active.rollout.command(command) {
            return Err(DeskReason::NotNow);
        }
        let rows = difference(Some(before), &active);
        Ok(Step { rows, active })
    }

    /// Looks how the rollout under way is, and says what follows; nothing if none is under way.
    #[must_use]
    pub fn look(&self, key: &SigningKey, now: Moment) -> Option<Step> {
        let before = self.active.as_ref()?;
        if before.rollout.phase().is_over() {
            return None;
        }
        let mut active = before.clone();
        let seen = self.seen(before, now);
        let mut rows = Vec::new();
        for order in active.rollout.observe(&seen, now) {
            // A node whose order is refused here is not seen to follow it, and fails at its deadline.
            rows.extend(self.carry_out(before, order, key).unwrap_or_default());
        }
        rows.extend(difference(Some(before), &active));
        Some(Step { rows, active })
    }

    /// What the rollout's nodes are seen to do.
    #[must_use]
    pub fn seen(&self, active: &Active, now: Moment) -> BTreeMap<PublicKey, Seen> {
        let config = active.rollout.config();
        let one = |key: &PublicKey| {
            let node = self.nodes.get(key)?;
            let report = node.report.as_ref()?;
            let seen = Seen {
                runs: runs(node, &active.row.release),
                heard: node.seen.is_some(),
                count: Count::of(report),
                bodies: bodies(report),
            };
            self.is_heard(node, config, now).then_some((*key, seen))
        };
        active.rollout.members().keys().filter_map(one).collect()
    }

    fn is_heard(&self, node: &Node, config: &Config, now: Moment) -> bool {
        // A controller that was just started has yet to be called.
        let heard = node.seen.map_or(self.began, |seen| seen.max(self.began));
        now.since(heard) < config.silence
    }

    fn carry_out(
        &self,
        active: &Active,
        order: Order,
        key: &SigningKey,
    ) -> Result<Vec<Row>, DeskReason> {
        let (node, forward) = match order {
            Order::Forward(node) => (node, true),
            Order::Back(node) => (node, false),
        };
        let member = active.rollout.members().get(&node);
        let before = &member.ok_or(DeskReason::NotInRollout)?.written.before;
        let intent = self
            .nodes
            .get(&node)
            .and_then(|node| node.row.intent.as_ref());
        let mut daemons = intent.ok_or(DeskReason::UnknownNode)?.body.daemons.clone();
        for (name, version) in before {
            if let Some(daemon) = daemons.get_mut(name) {
                let release = if forward {
                    &active.row.release
                } else {
                    version
                };
                daemon.release.clone_from(release);
            }
        }
        let downgrade = active.row.downgrade || !forward;
        self.order(&node, &Desired { daemons, downgrade }, key)
    }
}

/// The times of a rollout.
fn config(wish: &Wish) -> Result<Config, DeskReason> {
    let usual = Config::default();
    let time = |wished: Option<u64>, usual: Duration| {
        let time = wished.map_or(usual, Duration::from_millis);
        (time <= TIME_MAX).then_some(time).ok_or(DeskReason::Times)
    };
    Ok(Config {
        start_deadline: time(wish.deadline_ms, usual.start_deadline)?,
        soak: time(wish.soak_ms, usual.soak)?,
        patience: time(wish.patience_ms, usual.patience)?,
        silence: time(wish.silence_ms, usual.silence)?,
    })
}

/// What a node's daemons run, of those that `release` would change.
fn changes(node: &Node, release: &Manifest) -> Result<BTreeMap<DaemonName, Version>, LeftOut> {
    let intent = node.row.intent.as_ref().ok_or(LeftOut::NoOrder)?;
    let daemons = &intent.body.daemons;
    let has = |daemon: &_| {
        let daemon: &crate::engine::document::intent::Wanted = daemon;
        release.binaries.contains_key(&daemon.program)
    };
    let all: BTreeMap<_, _> = daemons.iter().filter(|(_, daemon)| has(daemon)).collect();
    if all.is_empty() {
        return Err(LeftOut::NoProgram);
    }
    let others = all
        .into_iter()
        .filter(|(_, daemon)| daemon.release != release.version);
    let others = others.map(|(name, daemon)| (name.clone(), daemon.release.clone()));
    let others: BTreeMap<DaemonName, Version> = others.collect();
    if others.is_empty() {
        return Err(LeftOut::HasIt);
    }
    Ok(others)
}

/// The bodies of a node's test pages.
fn bodies(report: &Report) -> BTreeMap<String, Digest> {
    let pages = report.injected.iter();
    let bodies = pages.filter_map(|(url, page)| Some((url.clone(), page.body?)));
    bodies.collect()
}

/// Which release a node's daemons run.
fn runs(node: &Node, release: &Version) -> Runs {
    let (Some(report), Some(intent)) = (&node.report, &node.row.intent) else {
        return Runs::Neither;
    };
    let serial = intent.body.serial;
    if report.held.is_some() {
        return Runs::Held;
    }
    if report
        .fallen
        .as_ref()
        .is_some_and(|fallen| fallen.from == serial)
    {
        return Runs::FellBack;
    }
    let mut wanted = intent.body.daemons.iter();
    let as_wished = wanted.all(|(name, wanted)| {
        let daemon = report.daemons.get(name);
        wanted.state != RunState::Run
            || daemon.is_some_and(|daemon| {
                let ready = daemon.ready != Some(false);
                daemon.release == wanted.release && daemon.doing == Doing::Up && ready
            })
    });
    let new = intent
        .body
        .daemons
        .values()
        .any(|wanted| wanted.release == *release);
    match (report.in_force == Some(serial) && as_wished, new) {
        (true, true) => Runs::New,
        (true, false) => Runs::Old,
        (false, _) => Runs::Neither,
    }
}
