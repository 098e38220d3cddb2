//! A rollout: one release to many nodes, a few at a time, with a look at each few before the next.
//!
//! Pure. The caller tells what nodes are seen to do ([`Rollout::observe`]) and carries out the orders that
//! come back. [`plan`] divides the nodes into waves, [`member`] is one node, [`gate`] judges a wave against
//! nodes of the same clusters that were not touched, `slower` their times to first byte. What is written of a rollout are its [`Phase`] and
//! [`member::Written`] of each node, with what of a deadline and of the soak under way has [`passed`].
//!
//! What always holds: of one cluster at most a tenth, and at least one, is being changed at a time; a node
//! that was not seen to run the release counts as failed at its deadline; a failed gate stops everything and
//! sends back whoever was changed, at once and from the slots on their disks, without a canary.

pub mod gate;
pub mod member;
pub mod passed;
mod phase;
pub mod plan;
mod slower;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use common::clock::Moment;
use serde::{Deserialize, Serialize};

use self::gate::{Count, Measures, Verdict, judge};
use self::member::{AsideReason, Member, Place};
use self::passed::Soak;
pub use self::phase::{Command, PauseReason, Phase, StopReason};
use self::plan::at_once;
use crate::engine::document::key::PublicKey;
use crate::engine::document::words::Digest;

/// How a rollout goes about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// From an order until the node is seen to run the release; then it counts as failed.
    pub start_deadline: Duration,
    /// A wave is watched for so long, from when all of it runs the release.
    pub soak: Duration,
    /// A gate that stays inconclusive for so long after the soak pauses the rollout.
    pub patience: Duration,
    /// Silent, or not ready, for so long, a node counts as down.
    pub silence: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            start_deadline: Duration::from_secs(300),
            soak: Duration::from_secs(600),
            patience: Duration::from_secs(900),
            silence: Duration::from_secs(120),
        }
    }
}

/// What a node is seen to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Which release all its daemons run.
    pub runs: Runs,
    /// Whether it called this very controller; else it is what it last told one before.
    pub heard: bool,
    /// What its agent has counted.
    pub count: Count,
    /// The bodies of its test pages, by URL.
    pub bodies: BTreeMap<String, Digest>,
}

/// Which release all daemons of a node run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Runs {
    /// The one before.
    Old,
    /// The new one, and all of them are ready.
    New,
    /// Neither, or some of each, or they are not ready.
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

/// The two sides of a cluster, and what the gate says of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sides {
    /// Nodes that run the release.
    pub changed: Measures,
    /// Nodes that were not touched.
    pub control: Measures,
    /// The gate.
    pub verdict: Verdict,
}

/// A rollout under way.
#[derive(Clone, Debug)]
pub struct Rollout {
    config: Config,
    phase: Phase,
    members: BTreeMap<PublicKey, Member>,
    /// For how long all waves so far have been running the release.
    soak: Soak,
    /// The wave has yet to begin: what was counted before is of no account.
    fresh: bool,
    /// What the gate saw when it failed, by cluster.
    evidence: BTreeMap<String, Sides>,
}

impl Rollout {
    /// A rollout that was at `phase`, without nodes; [`insert`](Self::insert) adds them.
    #[must_use]
    pub const fn new(config: Config, phase: Phase) -> Self {
        Self {
            config,
            phase,
            members: BTreeMap::new(),
            soak: Soak::of(None),
            fresh: false,
            evidence: BTreeMap::new(),
        }
    }

    /// Adds a node.
    pub fn insert(&mut self, node: PublicKey, member: Member) {
        self.members.insert(node, member);
    }

    /// A controller begins to look: deadlines go on from here.
    pub fn wake(&mut self, now: Moment) {
        self.members
            .values_mut()
            .for_each(|member| member.wake(now));
    }

    /// Where it is.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Goes where it was written to be: for how long its waves so far had been watched, and what a gate saw that
    /// failed.
    pub fn restore(
        &mut self,
        phase: Phase,
        soaked: Option<Duration>,
        evidence: BTreeMap<String, Sides>,
    ) {
        self.phase = phase;
        self.soak = Soak::of(soaked);
        self.evidence = evidence;
    }

    /// What the gate saw when it failed, by cluster; nothing if it did not.
    #[must_use]
    pub const fn evidence(&self) -> &BTreeMap<String, Sides> {
        &self.evidence
    }

    /// How it goes about it.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Its nodes.
    #[must_use]
    pub const fn members(&self) -> &BTreeMap<PublicKey, Member> {
        &self.members
    }

    /// How many waves there are.
    #[must_use]
    pub fn waves(&self) -> usize {
        let last = self
            .members
            .values()
            .map(|member| member.written.wave)
            .max();
        last.map_or(0, |last| last + 1)
    }

    /// For how long all waves so far have been running the release.
    #[must_use]
    pub fn soaked(&self, now: Moment) -> Option<Duration> {
        self.soak.by(now)
    }

    /// The same as it is to be written.
    #[must_use]
    pub const fn soaked_as_kept(&self) -> Option<Duration> {
        self.soak.kept()
    }

    /// Carries out a command: whether it means anything where the rollout is.
    pub const fn command(&mut self, command: Command) -> bool {
        let next = match (command, self.phase) {
            (Command::Pause, Phase::Wave(wave)) => Phase::Paused(wave, PauseReason::Asked),
            (Command::Resume, Phase::Paused(wave, PauseReason::Asked)) => Phase::Wave(wave),
            (Command::Resume, Phase::Paused(wave, PauseReason::Inconclusive)) => {
                self.soak = Soak::of(None);
                self.fresh = true;
                Phase::Wave(wave + 1)
            }
            (Command::Halt, Phase::Wave(_) | Phase::Paused(..) | Phase::Back(_)) => Phase::Halted,
            (
                Command::RollBack,
                Phase::Wave(_) | Phase::Paused(..) | Phase::Halted | Phase::Done,
            ) => Phase::Back(StopReason::Asked),
            _ => return false,
        };
        self.phase = next;
        true
    }

    /// Looks at what nodes are seen to do, and says what to tell whom. A node that is missing from `seen` was
    /// not heard of.
    pub fn observe(&mut self, seen: &BTreeMap<PublicKey, Seen>, now: Moment) -> Vec<Order> {
        for (node, member) in &mut self.members {
            member.note(seen.get(node), &self.config, now);
        }
        self.advance(seen, now);
        if self.fresh {
            self.fresh = false;
            for (node, member) in &mut self.members {
                member.rebase(seen.get(node));
            }
        }
        match self.phase {
            Phase::Wave(wave) => self.begin(wave, seen, now),
            Phase::Back(reason) => self.send_back(reason, seen, now),
            Phase::Paused(..) | Phase::RolledBack(_) | Phase::Halted | Phase::Done => Vec::new(),
        }
    }

    /// Whether the wave under way is over, and how.
    fn advance(&mut self, seen: &BTreeMap<PublicKey, Seen>, now: Moment) {
        let (Phase::Wave(wave) | Phase::Paused(wave, _)) = self.phase else {
            return;
        };
        let failed = self
            .members
            .values()
            .find_map(|member| match member.place() {
                Place::Failed(reason) => Some(reason),
                _ => None,
            });
        let verdict = failed.map_or_else(|| self.verdict(seen, now), Verdict::Fail);
        if let Verdict::Fail(reason) = verdict {
            let evidence = self.gate(seen, now).into_iter();
            let evidence = evidence.filter(|(_, sides)| sides.changed.nodes > 0);
            self.evidence = evidence
                .map(|(cluster, sides)| (cluster.to_owned(), sides))
                .collect();
            // Wave, Paused ⇒ Back
            self.phase = Phase::Back(StopReason::Gate(reason));
            return;
        }
        let mut begun = self
            .members
            .iter()
            .filter(|(_, member)| member.written.wave <= wave)
            .filter(|(_, member)| !matches!(member.place(), Place::Aside(_)));
        if !begun.clone().all(|(_, member)| member.is_well()) {
            self.soak = Soak::of(None);
            return;
        }
        // After a restart: what they told the controller before is not seen by this one.
        let heard = |node| seen.get(node).is_some_and(|seen| seen.heard);
        if !self.soak.passes() && !begun.all(|(node, _)| heard(node)) {
            return;
        }
        let soaked = self.soak.pass(&self.config, now);
        if soaked < self.config.soak || !matches!(self.phase, Phase::Wave(_)) {
            return;
        }
        // Wave ⇒ (Wave | Done | Paused)
        match verdict {
            // After the last wave nobody is left to compare with, and nothing to hold back.
            _ if wave + 1 >= self.waves() => self.phase = Phase::Done,
            Verdict::Pass => {
                self.phase = Phase::Wave(wave + 1);
                self.soak = Soak::of(None);
                self.fresh = true;
            }
            Verdict::Inconclusive if soaked >= self.config.soak + self.config.patience => {
                self.phase = Phase::Paused(wave, PauseReason::Inconclusive);
            }
            Verdict::Inconclusive | Verdict::Fail(_) => {}
        }
    }

    /// The body that all untouched nodes of a cluster have of a test page; nothing where they do not agree.
    fn usual_bodies<'a>(
        &'a self,
        seen: &'a BTreeMap<PublicKey, Seen>,
    ) -> BTreeMap<(&'a str, &'a str), Option<Digest>> {
        let mut usual: BTreeMap<(&str, &str), Option<Digest>> = BTreeMap::new();
        let waiting = self.members.iter();
        for (node, member) in waiting.filter(|(_, member)| member.place() == Place::Waiting) {
            for (url, body) in seen.get(node).into_iter().flat_map(|seen| &seen.bodies) {
                let of = (&*member.written.cluster, url.as_str());
                let found = usual.entry(of).or_insert(Some(*body));
                *found = found.filter(|found| found == body);
            }
        }
        usual
    }

    /// What the gate says of each cluster: all that run the release, against all that were not touched.
    #[must_use]
    pub fn gate(&self, seen: &BTreeMap<PublicKey, Seen>, now: Moment) -> BTreeMap<&str, Sides> {
        let usual = self.usual_bodies(seen);
        let mut clusters: BTreeMap<&str, [Measures; 2]> = BTreeMap::new();
        for (node, member) in &self.members {
            let side = match member.place() {
                Place::Runs => 0,
                Place::Waiting => 1,
                _ => continue,
            };
            let both = clusters.entry(&member.written.cluster).or_default();
            let seen = seen.get(node);
            both[side] += member.measures(seen, &self.config, now);
            let other = |(url, body): &(&String, &Digest)| {
                let usual = usual.get(&(&*member.written.cluster, url.as_str()));
                usual.is_some_and(|usual| usual.is_some_and(|usual| usual != **body))
            };
            let bodies = seen.into_iter().flat_map(|seen| &seen.bodies);
            both[side].injected_other += bodies.filter(other).count() as u64;
        }
        let judged = clusters.into_iter().map(|(cluster, [changed, control])| {
            let verdict = judge(&changed, &control);
            (
                cluster,
                Sides {
                    changed,
                    control,
                    verdict,
                },
            )
        });
        judged.collect()
    }

    /// The gate over all clusters: one's failure is a failure, and one that has too little to go by makes no
    /// other wait.
    #[must_use]
    pub fn verdict(&self, seen: &BTreeMap<PublicKey, Seen>, now: Moment) -> Verdict {
        let sides = self.gate(seen, now);
        let verdicts = sides.values().map(|sides| sides.verdict);
        verdicts.fold(Verdict::Inconclusive, Verdict::and)
    }

    /// Of each cluster, how many are being changed and how many may be at a time.
    #[must_use]
    pub fn changing(&self) -> BTreeMap<&str, (usize, usize)> {
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for member in self.members.values() {
            let count = counts.entry(&member.written.cluster).or_default();
            count.0 += usize::from(member.is_changing());
            count.1 += 1;
        }
        counts
            .values_mut()
            .for_each(|count| count.1 = at_once(count.1));
        counts
    }

    /// Tells as many of the waves so far as may change at once.
    fn begin(&mut self, wave: usize, seen: &BTreeMap<PublicKey, Seen>, now: Moment) -> Vec<Order> {
        let changing = self.changing();
        let mut room: BTreeMap<String, usize> = changing
            .into_iter()
            .map(|(cluster, (there, most))| (cluster.to_owned(), most.saturating_sub(there)))
            .collect();
        let mut orders = Vec::new();
        for (node, member) in &mut self.members {
            if member.place() != Place::Waiting || member.written.wave > wave {
                continue;
            }
            if !seen.contains_key(node) {
                member.go(Place::Aside(AsideReason::Absent), now);
                continue;
            }
            let room = room.get_mut(&member.written.cluster);
            if let Some(room) = room.filter(|room| **room > 0) {
                *room -= 1;
                member.go(Place::Told, now);
                member.written.told = true;
                orders.push(Order::Forward(*node));
            }
        }
        orders
    }

    /// Sends back all that were told, at once: what they return to is on their disks and known.
    fn send_back(
        &mut self,
        reason: StopReason,
        seen: &BTreeMap<PublicKey, Seen>,
        now: Moment,
    ) -> Vec<Order> {
        let mut orders = Vec::new();
        let mut awaited = false;
        for (node, member) in &mut self.members {
            match member.place() {
                Place::SentBack => awaited |= seen.contains_key(node),
                Place::Told | Place::Runs | Place::Failed(_) | Place::Aside(_)
                    if member.written.told =>
                {
                    member.written.told = false;
                    orders.push(Order::Back(*node));
                    member.go(Place::SentBack, now);
                }
                _ => {}
            }
        }
        // Back ⇒ RolledBack
        if orders.is_empty() && !awaited {
            self.phase = Phase::RolledBack(reason);
        }
        orders
    }
}
