//! A rollout: one release to many nodes, a few at a time, with a look at each few before the next.
//!
//! Pure. The caller tells what nodes are seen to do ([`Rollout::observe`]) and carries out the orders that
//! come back. [`plan`] divides the nodes into waves, [`gate`] judges a wave against nodes of the same
//! clusters that were not touched.
//!
//! What always holds: of one cluster at most a tenth, and at least one, is being changed at a time; a node
//! that was not seen to run the release counts as failed at its deadline; a failed gate stops everything and
//! sends back whoever was changed, at once and from the slots on their disks, without a canary.

pub mod gate;
pub mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::clock::Moment;

use self::gate::{FailReason, Measures, Verdict, judge};
use self::plan::Plan;
use crate::engine::document::key::PublicKey;

/// How a rollout goes about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// From an order until the node is seen to run the release; then it counts as failed.
    pub start_deadline: Duration,
    /// A wave is watched for so long, from when all of it runs the release.
    pub soak: Duration,
    /// A gate that stays inconclusive for so long after the soak pauses the rollout.
    pub patience: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            start_deadline: Duration::from_secs(300),
            soak: Duration::from_secs(600),
            patience: Duration::from_secs(900),
        }
    }
}

/// What a node is seen to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Which release all its daemons run.
    pub runs: Runs,
    /// What was counted of it since the rollout began.
    pub measures: Measures,
}

/// Which release all daemons of a node run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Runs {
    /// The one before.
    Old,
    /// The new one.
    New,
    /// Neither, or some of each.
    Neither,
    /// It went to the new one and came back by itself.
    FellBack,
    /// Its operator holds it.
    Held,
}

/// What to tell a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Order {
    /// Run the new release.
    Forward(PublicKey),
    /// Run the one before.
    Back(PublicKey),
}

/// Where a node is in a rollout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Its wave has not come, or its cluster has as many as may change at once.
    Waiting,
    /// It was told at this moment.
    Told(Moment),
    /// It was first seen to run the release at this moment.
    Runs(Moment),
    /// It does not run the release, for this reason.
    Failed(FailReason),
    /// Its operator holds it; the rollout goes on without it.
    Held,
    /// It was sent back.
    SentBack,
}

/// Where a rollout is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// This wave, counted from 0, is under way.
    Wave(usize),
    /// Nothing new is begun until somebody says so.
    Paused(usize, PauseReason),
    /// A gate failed, or somebody said so: whoever was changed is sent back.
    Back(StopReason),
    /// Everybody was sent back and is seen to run the release before.
    RolledBack(StopReason),
    /// Stopped as it is.
    Halted,
    /// All nodes run the release, but for those that are held.
    Done,
}

/// Why a rollout pauses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PauseReason {
    /// Somebody said so.
    Asked,
    /// The gate had too little to go by.
    Inconclusive,
}

/// Why a rollout is taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopReason {
    /// Somebody said so.
    Asked,
    /// A gate failed.
    Gate(FailReason),
}

/// A rollout under way.
#[derive(Debug)]
pub struct Rollout {
    config: Config,
    plan: Plan,
    phase: Phase,
    places: BTreeMap<PublicKey, Place>,
    /// Since when the whole wave has been running the release.
    whole: Option<Moment>,
}

impl Rollout {
    /// A rollout by `plan` that begins with the next look.
    #[must_use]
    pub fn new(plan: Plan, config: Config) -> Self {
        let places = plan.nodes().map(|node| (*node, Place::Waiting)).collect();
        Self {
            config,
            plan,
            phase: Phase::Wave(0),
            places,
            whole: None,
        }
    }

    /// Where it is.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Where a node is, and in which wave.
    #[must_use]
    pub fn explain(&self, node: &PublicKey) -> Option<(usize, Place)> {
        Some((self.plan.wave_of(node)?, *self.places.get(node)?))
    }

    /// Begins nothing new. What was told is watched on.
    pub const fn pause(&mut self) {
        if let Phase::Wave(wave) = self.phase {
            self.phase = Phase::Paused(wave, PauseReason::Asked);
        }
    }

    /// Goes on. After an inconclusive gate that is the word of whoever looked: the wave passes.
    pub const fn resume(&mut self) {
        match self.phase {
            Phase::Paused(wave, PauseReason::Asked) => self.phase = Phase::Wave(wave),
            Phase::Paused(wave, PauseReason::Inconclusive) => {
                self.phase = Phase::Wave(wave + 1);
                self.whole = None;
            }
            Phase::Wave(_)
            | Phase::Back(_)
            | Phase::RolledBack(_)
            | Phase::Halted
            | Phase::Done => {}
        }
    }

    /// Stops as it is: nobody is sent anywhere.
    pub const fn halt(&mut self) {
        if !matches!(self.phase, Phase::Done | Phase::RolledBack(_)) {
            self.phase = Phase::Halted;
        }
    }

    /// Sends back whoever was changed, also after the end.
    pub const fn roll_back(&mut self) {
        if !matches!(self.phase, Phase::Back(_) | Phase::RolledBack(_)) {
            self.phase = Phase::Back(StopReason::Asked);
        }
    }

    /// Looks at what nodes are seen to do, and says what to tell whom. A node that is missing from `seen` was
    /// not heard of.
    pub fn observe(&mut self, seen: &BTreeMap<PublicKey, Seen>, now: Moment) -> Vec<Order> {
        self.note(seen, now);
        match self.phase {
            Phase::Wave(_) | Phase::Paused(..) => self.advance(seen, now),
            Phase::Back(_) | Phase::RolledBack(_) | Phase::Halted | Phase::Done => {}
        }
        match self.phase {
            Phase::Wave(wave) => self.begin(wave, now),
            Phase::Back(reason) => self.send_back(reason, seen),
            Phase::Paused(..) | Phase::RolledBack(_) | Phase::Halted | Phase::Done => Vec::new(),
        }
    }

    /// Notes where everybody is.
    fn note(&mut self, seen: &BTreeMap<PublicKey, Seen>, now: Moment) {
        for (node, place) in &mut self.places {
            let runs = seen.get(node).map(|seen| seen.runs);
            *place = match (*place, runs) {
                // Waiting, Held ⇒ (Waiting | Held | Runs)
                (Place::Waiting, Some(Runs::Held)) => Place::Held,
                (Place::Held, Some(Runs::Old | Runs::Neither)) => Place::Waiting,
                (Place::Waiting | Place::Held, Some(Runs::New)) => Place::Runs(now),
                // Told ⇒ (Runs | Failed | Held)
                (Place::Told(_), Some(Runs::New)) => Place::Runs(now),
                (Place::Told(_), Some(Runs::FellBack)) => Place::Failed(FailReason::FellBack),
                (Place::Told(_), Some(Runs::Held)) => Place::Held,
                (Place::Told(at), _) if now.since(at) >= self.config.start_deadline => {
                    Place::Failed(FailReason::NeverStarted)
                }
                // Runs ⇒ Failed
                (Place::Runs(_), Some(Runs::FellBack)) => Place::Failed(FailReason::FellBack),
                (place, _) => place,
            };
        }
    }

    /// Whether the wave under way is over, and how.
    fn advance(&mut self, seen: &BTreeMap<PublicKey, Seen>, now: Moment) {
        let (Phase::Wave(wave) | Phase::Paused(wave, _)) = self.phase else {
            return;
        };
        let failed = self.places.values().find_map(|place| match place {
            Place::Failed(reason) => Some(*reason),
            _ => None,
        });
        let verdict = failed.map_or_else(|| self.verdict(seen), Verdict::Fail);
        if let Verdict::Fail(reason) = verdict {
            // Wave, Paused ⇒ Back
            self.phase = Phase::Back(StopReason::Gate(reason));
            return;
        }
        let members = self.plan.wave(wave);
        let there = |place: &Place| matches!(place, Place::Runs(_) | Place::Held);
        if !members
            .iter()
            .all(|node| self.places.get(node).is_some_and(there))
        {
            self.whole = None;
            return;
        }
        let soaked = now.since(*self.whole.get_or_insert(now));
        if soaked < self.config.soak || !matches!(self.phase, Phase::Wave(_)) {
            return;
        }
        // Wave ⇒ (Wave | Done | Paused)
        let last = wave + 1 >= self.plan.waves();
        match verdict {
            // After the last wave nobody is left to compare with, and nothing to hold back.
            _ if last => self.phase = Phase::Done,
            Verdict::Pass => {
                self.phase = Phase::Wave(wave + 1);
                self.whole = None;
            }
            Verdict::Inconclusive if soaked >= self.config.soak + self.config.patience => {
                self.phase = Phase::Paused(wave, PauseReason::Inconclusive);
            }
            Verdict::Inconclusive | Verdict::Fail(_) => {}
        }
    }

    /// The gate over all that run the release, against all that do not.
    fn verdict(&self, seen: &BTreeMap<PublicKey, Seen>) -> Verdict {
        let mut clusters: BTreeMap<&str, [Measures; 2]> = BTreeMap::new();
        for (node, place) in &self.places {
            let side = match place {
                Place::Runs(_) => 0,
                Place::Waiting => 1,
                Place::Told(_) | Place::Failed(_) | Place::Held | Place::SentBack => continue,
            };
            let Some(seen) = seen.get(node) else {
                continue;
            };
            let both = clusters.entry(self.plan.cluster_of(node)).or_default();
            both[side] += seen.measures;
        }
        // One cluster's failure is a failure; one that has too little to go by makes no other wait.
        let verdicts = clusters
            .values()
            .map(|[changed, control]| judge(changed, control));
        verdicts.fold(Verdict::Inconclusive, Verdict::and)
    }

    /// Tells as many of the wave as may change at once.
    fn begin(&mut self, wave: usize, now: Moment) -> Vec<Order> {
        let mut changing: BTreeMap<&str, usize> = BTreeMap::new();
        for (node, place) in &self.places {
            if matches!(place, Place::Told(_)) {
                *changing.entry(self.plan.cluster_of(node)).or_default() += 1;
            }
        }
        let mut orders = Vec::new();
        for node in self.plan.wave(wave) {
            let cluster = self.plan.cluster_of(node);
            let there = changing.entry(cluster).or_default();
            let waits = matches!(self.places.get(node), Some(Place::Waiting));
            if waits && *there < self.plan.at_once(cluster) {
                *there += 1;
                self.places.insert(*node, Place::Told(now));
                orders.push(Order::Forward(*node));
            }
        }
        orders
    }

    /// Sends back all that were changed, at once: what they return to is on their disks and known.
    fn send_back(&mut self, reason: StopReason, seen: &BTreeMap<PublicKey, Seen>) -> Vec<Order> {
        let mut orders = Vec::new();
        let mut back = BTreeSet::new();
        for (node, place) in &mut self.places {
            match place {
                Place::Told(_) | Place::Runs(_) | Place::Failed(_) => {
                    orders.push(Order::Back(*node));
                    *place = Place::SentBack;
                }
                Place::SentBack => {
                    let runs = seen.get(node).map(|seen| seen.runs);
                    back.insert(matches!(runs, Some(Runs::Old)));
                }
                Place::Waiting | Place::Held => {}
            }
        }
        // Back ⇒ RolledBack
        if orders.is_empty() && !back.contains(&false) {
            self.phase = Phase::RolledBack(reason);
        }
        orders
    }
}
