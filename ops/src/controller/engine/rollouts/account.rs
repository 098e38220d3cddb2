//! What operators are shown of rollouts: plans, where one is, why a node is where it is. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use common::clock::Moment;
use serde::Serialize;

use super::{Active, Draft, LeftOut};
use crate::controller::engine::Desk;
use crate::controller::engine::reason::DeskReason;
use crate::controller::engine::rollout::gate::{FEWEST, Measures, Verdict};
use crate::controller::engine::rollout::member::{AsideReason, Member, Place};
use crate::controller::engine::rollout::plan::at_once;
use crate::controller::engine::rollout::{Config, Phase, Seen, Sides, StopReason};
use crate::engine::document::key::PublicKey;
use crate::engine::document::words::{DaemonName, Version};

/// Nodes of a status that are listed by name. The rest is counted.
const LISTED_MAX: usize = 100;

/// A node by its names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Named {
    key: PublicKey,
    name: String,
    cluster: String,
}

/// A plan.
#[derive(Debug, Serialize)]
pub struct PlanView {
    release: Version,
    config: ConfigView,
    waves: Vec<Vec<Named>>,
    clusters: BTreeMap<String, ClusterPlan>,
    left_out: Vec<LeftOutView>,
}

#[derive(Debug, Default, Serialize)]
struct ClusterPlan {
    nodes: usize,
    at_once: usize,
    from: BTreeMap<Version, usize>,
}

#[derive(Debug, Serialize)]
struct LeftOutView {
    #[serde(flatten)]
    node: Named,
    why: LeftOut,
}

#[derive(Debug, Serialize)]
struct ConfigView {
    deadline_ms: u64,
    soak_ms: u64,
    patience_ms: u64,
    silence_ms: u64,
}

/// Where a rollout is.
#[derive(Debug, Serialize)]
pub struct RolloutView {
    id: u64,
    release: Version,
    phase: &'static str,
    why: Option<&'static str>,
    /// The wave under way, counted from 1.
    wave: Option<usize>,
    config: ConfigView,
    waves: Vec<WaveView>,
    /// For how long the waves so far have been running the release without a break, in milliseconds.
    soaked_ms: Option<u64>,
    verdict: Option<Verdict>,
    clusters: Vec<ClusterView>,
    /// Who is not where the rollout wants it.
    stragglers: Vec<Straggler>,
    stragglers_more: usize,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct WaveView {
    nodes: usize,
    waiting: usize,
    told: usize,
    runs: usize,
    failed: usize,
    aside: usize,
    sent_back: usize,
    returned: usize,
}

#[derive(Debug, Serialize)]
struct ClusterView {
    cluster: String,
    verdict: Verdict,
    changed: SideView,
    control: SideView,
}

/// What was counted of one side, and what its times to first byte come to.
#[derive(Debug, Serialize)]
struct SideView {
    #[serde(flatten)]
    measures: Measures,
    first_byte_median_micros: Option<u64>,
    first_byte_95th_micros: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Straggler {
    #[serde(flatten)]
    node: Named,
    place: Place,
    for_ms: u64,
}

/// Why a node is where it is.
#[derive(Debug, Serialize)]
pub struct Explanation {
    rollout: u64,
    release: Version,
    #[serde(flatten)]
    node: Named,
    wave: usize,
    waves: usize,
    place: Place,
    for_ms: u64,
    /// In a sentence.
    why: String,
    before: BTreeMap<DaemonName, Version>,
    counted: SideView,
    verdict: Option<Verdict>,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<&Config> for ConfigView {
    fn from(config: &Config) -> Self {
        Self {
            deadline_ms: millis(config.start_deadline),
            soak_ms: millis(config.soak),
            patience_ms: millis(config.patience),
            silence_ms: millis(config.silence),
        }
    }
}

impl From<Measures> for SideView {
    fn from(measures: Measures) -> Self {
        let times = &measures.first_byte_times;
        let at = |percent| times.quantile(percent).map(|found| found.micros);
        Self {
            first_byte_median_micros: at(50),
            first_byte_95th_micros: at(95),
            measures,
        }
    }
}

impl WaveView {
    const fn count(&mut self, place: Place) {
        self.nodes += 1;
        let count = match place {
            Place::Waiting => &mut self.waiting,
            Place::Told => &mut self.told,
            Place::Runs => &mut self.runs,
            Place::Failed(_) => &mut self.failed,
            Place::Aside(_) => &mut self.aside,
            Place::SentBack => &mut self.sent_back,
            Place::Returned => &mut self.returned,
        };
        *count += 1;
    }
}

impl Desk {
    fn named(&self, key: PublicKey) -> Named {
        let node = self.nodes.get(&key).map(|node| &node.row);
        Named {
            key,
            name: node.map_or_else(String::new, |row| row.name.clone()),
            cluster: node.map_or_else(String::new, |row| row.cluster.clone()),
        }
    }

    /// What a draft comes to.
    #[must_use]
    pub fn show_draft(&self, draft: &Draft) -> PlanView {
        let mut clusters: BTreeMap<String, ClusterPlan> = BTreeMap::new();
        for (key, before) in &draft.before {
            let cluster = clusters
                .entry(draft.plan.cluster_of(key).to_owned())
                .or_default();
            cluster.nodes += 1;
            cluster.at_once = at_once(cluster.nodes);
            let mut versions: Vec<&Version> = before.values().collect();
            versions.sort();
            versions.dedup();
            for version in versions {
                *cluster.from.entry(version.clone()).or_default() += 1;
            }
        }
        let wave = |nodes: &Vec<PublicKey>| nodes.iter().map(|key| self.named(*key)).collect();
        let left_out = draft.left_out.iter().map(|(key, why)| LeftOutView {
            node: self.named(*key),
            why: *why,
        });
        PlanView {
            release: draft.release.clone(),
            config: (&draft.config).into(),
            waves: draft.plan.waves().iter().map(wave).collect(),
            clusters,
            left_out: left_out.collect(),
        }
    }

    /// Where the latest rollout is.
    ///
    /// # Errors
    /// There is none, or `id` is another one's.
    pub fn show_rollout(&self, id: Option<u64>, now: Moment) -> Result<RolloutView, DeskReason> {
        let active = self.rollout(id)?;
        let rollout = &active.rollout;
        let seen = self.seen(active, now);
        let mut waves = vec![WaveView::default(); rollout.waves()];
        let mut stragglers = Vec::new();
        for (key, member) in rollout.members() {
            if let Some(wave) = waves.get_mut(member.written.wave) {
                wave.count(member.place());
            }
            if is_straggler(member, rollout.phase()) {
                stragglers.push(Straggler {
                    node: self.named(*key),
                    place: member.place(),
                    for_ms: millis(member.for_(now)),
                });
            }
        }
        let more = stragglers.len().saturating_sub(LISTED_MAX);
        stragglers.truncate(LISTED_MAX);
        let (phase, why, wave) = words(rollout.phase());
        let evidence = rollout.evidence();
        let gate: Vec<(&str, Sides)> = match rollout.phase() {
            Phase::Back(_) | Phase::RolledBack(_) => evidence
                .iter()
                .map(|(name, sides)| (&**name, *sides))
                .collect(),
            Phase::Done | Phase::Halted => Vec::new(),
            Phase::Wave(_) | Phase::Paused(..) => rollout.gate(&seen, now).into_iter().collect(),
        };
        let clusters = gate.into_iter().map(|(cluster, sides)| ClusterView {
            cluster: cluster.to_owned(),
            verdict: sides.verdict,
            changed: sides.changed.into(),
            control: sides.control.into(),
        });
        Ok(RolloutView {
            id: active.row.id,
            release: active.row.release.clone(),
            phase,
            why,
            wave,
            config: rollout.config().into(),
            waves,
            soaked_ms: rollout.soaked(now).map(millis),
            verdict: wave.map(|_| rollout.verdict(&seen, now)),
            clusters: clusters.collect(),
            stragglers,
            stragglers_more: more,
        })
    }

    /// Why a node is where it is in the latest rollout.
    ///
    /// # Errors
    /// There is no such rollout or node, or the node takes no part.
    pub fn explain(
        &self,
        id: Option<u64>,
        word: &str,
        now: Moment,
    ) -> Result<Explanation, DeskReason> {
        let active = self.rollout(id)?;
        let rollout = &active.rollout;
        let key = self.find(word)?.row.key;
        let member = rollout
            .members()
            .get(&key)
            .ok_or(DeskReason::NotInRollout)?;
        let seen = self.seen(active, now);
        let sides = rollout.gate(&seen, now);
        let verdict = sides
            .get(&*member.written.cluster)
            .map(|sides| sides.verdict);
        Ok(Explanation {
            rollout: active.row.id,
            release: active.row.release.clone(),
            node: self.named(key),
            wave: member.written.wave + 1,
            waves: rollout.waves(),
            place: member.place(),
            for_ms: millis(member.for_(now)),
            why: self.why(active, member, &seen, (&key, now)),
            before: member.written.before.clone(),
            counted: member
                .measures(seen.get(&key), rollout.config(), now)
                .into(),
            verdict,
        })
    }

    fn why(
        &self,
        active: &Active,
        member: &Member,
        seen: &BTreeMap<PublicKey, Seen>,
        (key, now): (&PublicKey, Moment),
    ) -> String {
        let rollout = &active.rollout;
        let config = rollout.config();
        let wave = member.written.wave;
        let why = match member.place() {
            Place::Waiting => match rollout.phase() {
                Phase::Wave(under_way) if wave <= under_way => {
                    let changing = rollout.changing();
                    let (there, most) = changing
                        .get(&*member.written.cluster)
                        .copied()
                        .unwrap_or_default();
                    let cluster = &member.written.cluster;
                    format!(
                        "its wave is under way; {there} of {cluster} change, and {most} may at once"
                    )
                }
                Phase::Wave(under_way) => {
                    let rest = rollout
                        .soaked(now)
                        .map(|soaked| config.soak.saturating_sub(soaked).as_secs());
                    let under_way = under_way + 1;
                    match rest {
                        None => format!("wave {under_way} is being changed"),
                        Some(0) => format!(
                            "wave {under_way} waits for its gate: {}",
                            self.gate_word(active, seen, now)
                        ),
                        Some(rest) => format!("wave {under_way} is watched for another {rest} s"),
                    }
                }
                Phase::Paused(..) => {
                    "the rollout is paused: `atoll rollout resume` goes on".to_owned()
                }
                _ => "the rollout ended before its wave came; it was not touched".to_owned(),
            },
            Place::Told => {
                let rest = config.start_deadline.saturating_sub(member.for_(now));
                let refused = self
                    .nodes
                    .get(key)
                    .and_then(|node| node.report.as_ref()?.refused);
                let refused = refused.map_or_else(String::new, |reason| {
                    format!("; it refuses: {}", reason.as_str())
                });
                format!(
                    "it was told, and has {} s to be ready{refused}",
                    rest.as_secs()
                )
            }
            Place::Runs => "it runs the release".to_owned(),
            Place::Failed(reason) => reason.advice().to_owned(),
            Place::Aside(AsideReason::Held) => "its operator holds it".to_owned(),
            Place::Aside(AsideReason::Absent) => {
                "it was silent when its wave came; it is told when it calls again".to_owned()
            }
            Place::Aside(AsideReason::OtherOrder) => "somebody ordered something else".to_owned(),
            Place::SentBack => "it was sent back, and is not seen to be ready yet".to_owned(),
            Place::Returned => "it was sent back and runs what it ran before".to_owned(),
        };
        match member.written.failed {
            Some(reason) if !matches!(member.place(), Place::Failed(_)) => {
                format!("{why}; it failed before: {}", reason.advice())
            }
            Some(_) | None => why,
        }
    }

    fn gate_word(&self, active: &Active, seen: &BTreeMap<PublicKey, Seen>, now: Moment) -> String {
        let sides = active.rollout.gate(seen, now);
        let most = sides
            .values()
            .map(|sides| sides.changed.requests.min(sides.control.requests));
        match active.rollout.verdict(seen, now) {
            Verdict::Pass => "pass".to_owned(),
            Verdict::Fail(reason) => reason.as_str().to_owned(),
            Verdict::Inconclusive => {
                let most = most.max().unwrap_or_default();
                format!("inconclusive, {most} requests of the {FEWEST} it needs on both sides")
            }
        }
    }
}

/// Whether a node is one that its operator may want to look at.
const fn is_straggler(member: &Member, phase: Phase) -> bool {
    match member.place() {
        Place::Failed(_) | Place::Aside(_) | Place::SentBack | Place::Told => true,
        Place::Waiting => matches!(phase, Phase::Done),
        Place::Runs | Place::Returned => false,
    }
}

/// The word of a phase, why it is so, and the wave under way, counted from 1.
#[must_use]
pub const fn words(phase: Phase) -> (&'static str, Option<&'static str>, Option<usize>) {
    match phase {
        Phase::Wave(wave) => ("wave", None, Some(wave + 1)),
        Phase::Paused(wave, reason) => ("paused", Some(reason.as_str()), Some(wave + 1)),
        Phase::Back(reason) => ("back", Some(stop(reason)), None),
        Phase::RolledBack(reason) => ("rolled_back", Some(stop(reason)), None),
        Phase::Halted => ("halted", None, None),
        Phase::Done => ("done", None, None),
    }
}

const fn stop(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Asked => "asked",
        StopReason::Gate(reason) => reason.as_str(),
    }
}
