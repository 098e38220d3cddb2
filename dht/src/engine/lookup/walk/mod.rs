//! The iterator of a walk: whom to ask next, and when the closest nodes of a level have spoken.
//!
//! Fed with answers and failures, asks nothing itself. Two kinds of steps share one window. The
//! *splice* step corrects a digit of the id at a time (see `path`) and prefers near nodes: it meets
//! pointers on the way and spreads the load of a hot key. The *greedy* step goes to the closest
//! node known and settles cold keys fast; it is taken only while nobody on the way knew the key
//! (a walk is *warm* once somebody did), or the key's node would be everybody's first stop.
//!
//! A walk begins at its innermost level and goes outward over the same candidates: what was asked
//! once is not asked again, and the id space is crossed once. A candidate's state only moves
//! forward, except that one asked inside a cluster it has left is asked again outside:
//!
//! ```text
//! Fresh ⇒ Waiting ⇒ (Slow ⇒) (Answered | Failed)
//! ```
//!
//! A slow candidate (its answer is later than 95 of 100) no longer counts against the window, so
//! one dead node does not hold the walk up. Where copies are left, at the closest nodes, the walk does
//! not settle past a slow one before it has failed; farther out the next in line speaks for it.

#[cfg(test)]
mod tests;

use std::time::Duration;

use common::ids::{Distance, Key, NodeId};

use super::path::{next_point, shared_bits};
use crate::engine::config::LookupConfig;
use crate::engine::routing::Entry;

/// Candidates remembered per walk; the farthest are forgotten. A dozen per reply and a dozen
/// replies are the most a walk sees before it settles, most of them twice.
const CANDIDATES_MAX: usize = 96;

/// Nodes that must have answered at a level inside the world: the closest one, which is where the
/// level's pointer is. In the innermost cluster one more: what two nodes know of it may differ by its
/// closest, and going on outside costs far more than one more request next door.
const SETTLE_INNER: usize = 1;
const SETTLE_INNERMOST: usize = 2;

/// Which steps a walk takes. Where the key is warm it goes by splice alone, if it may splice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Steps {
    /// Greedy ones: nobody on the way knows anything worth meeting.
    Greedy,
    /// The first by splice, then both kinds side by side: pointers are met on the way.
    Both,
    /// The first by splice, then greedy ones while the key is cold: who brings a value needs to know
    /// whether the key is hot, and no more.
    SpliceFirst,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Fresh,
    Waiting,
    Slow,
    Answered,
    Failed,
}

/// A node that a walk may ask, and what is known of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lead {
    /// Which.
    pub entry: Entry,
    /// The innermost level at which it shares a cluster with the walking node.
    pub level: u8,
    /// How far it is, if measured.
    pub rtt: Option<Duration>,
    /// Who named it, if somebody did; it can relay.
    pub via: Option<NodeId>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    distance: Distance,
    lead: Lead,
    state: State,
}

/// What an answer said about the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Warmth {
    /// Nothing is known there.
    Cold,
    /// Somebody's value is there, or many ask for it.
    Warm,
}

/// A walk towards a point of the id space.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    target: Key,
    window: usize,
    settle: usize,
    /// So many of the closest are waited for however slow they are.
    sure: usize,
    innermost: u8,
    steps: Steps,
    /// Bits per splice step.
    digit: u32,
    level: u8,
    candidates: Vec<Candidate>,
    at: Key,
    splicing: Option<NodeId>,
    greedy: bool,
    warm: bool,
    halted: bool,
}

impl Walk {
    /// A walk of `own` to `target` that begins at `level`.
    #[must_use]
    pub(super) fn new(
        config: &LookupConfig,
        own: NodeId,
        target: Key,
        level: u8,
        steps: Steps,
    ) -> Self {
        Self {
            target,
            window: config.window.max(1),
            settle: config.settle.max(1),
            sure: config.replicas.max(1),
            innermost: level,
            steps,
            digit: config.bits_per_hop.max(1),
            level,
            candidates: Vec::new(),
            at: own.as_key(),
            splicing: None,
            greedy: steps == Steps::Greedy,
            warm: false,
            halted: false,
        }
    }

    /// The level it is at.
    #[must_use]
    pub(super) const fn level(&self) -> u8 {
        self.level
    }

    /// Goes on at the next level outward.
    pub(super) const fn outward(&mut self) {
        debug_assert!(self.level > 0, "there is nothing outside the world");
        self.level = self.level.saturating_sub(1);
    }

    /// Asks nobody else: the key has all it needs.
    pub(super) const fn halt(&mut self) {
        self.halted = true;
    }

    /// Whether it was halted.
    #[must_use]
    pub(super) const fn is_halted(&self) -> bool {
        self.halted
    }

    /// A node that may be asked.
    pub(super) fn offer(&mut self, lead: Lead) {
        self.insert(lead, State::Fresh);
    }

    /// A node whose answer is known without asking: this one.
    pub(super) fn settle_at(&mut self, entry: Entry, level: u8) {
        let lead = Lead {
            entry,
            level,
            rtt: None,
            via: None,
        };
        self.insert(lead, State::Answered);
    }

    fn insert(&mut self, lead: Lead, state: State) {
        let distance = lead.entry.id.distance(&self.target);
        let at = self.candidates.partition_point(|c| c.distance < distance);
        let known = self.candidates.get_mut(at);
        if let Some(known) = known.filter(|known| known.lead.entry.id == lead.entry.id) {
            known.lead.level = known.lead.level.max(lead.level);
            known.lead.via = known.lead.via.or(lead.via);
            return;
        }
        let candidate = Candidate {
            distance,
            lead,
            state,
        };
        self.candidates.insert(at, candidate);
        self.candidates.truncate(CANDIDATES_MAX);
    }

    /// The next node to ask, which counts as asked from now on.
    pub(super) fn next(&mut self) -> Option<Entry> {
        let waiting = self.count(State::Waiting);
        if self.halted || waiting >= self.window {
            return None;
        }
        if self.splicing.is_none()
            && self.splices()
            && let Some(entry) = self.next_splice()
        {
            self.splicing = Some(entry.id);
            return Some(entry);
        }
        // Past the last digit a warm walk settles one node at a time.
        let arrived = self.splicing.is_none() && (!self.warm || waiting == 0);
        let greedy = if self.warm {
            arrived
        } else {
            self.greedy || arrived
        };
        greedy.then(|| self.next_greedy()).flatten()
    }

    /// Whether the next step may be one by splice.
    fn splices(&self) -> bool {
        match self.steps {
            Steps::Greedy => false,
            Steps::Both => true,
            Steps::SpliceFirst => self.warm || !self.greedy,
        }
    }

    /// Of the nodes that correct the next digit, the nearest by round trip; of those not measured,
    /// the one nearest to the spliced point.
    fn next_splice(&mut self) -> Option<Entry> {
        let (point, bits) = next_point(&self.target, &self.at, self.digit)?;
        let (target, level) = (self.target, self.level);
        let corrects = |c: &&mut Candidate| {
            c.state == State::Fresh
                && c.lead.level >= level
                && shared_bits(&c.lead.entry.id.as_key(), &target) >= bits
        };
        let rank = |c: &&mut Candidate| {
            let rtt = c.lead.rtt.unwrap_or(Duration::MAX);
            (rtt, c.lead.entry.id.distance(&point))
        };
        let next = self
            .candidates
            .iter_mut()
            .filter(corrects)
            .min_by_key(rank)?;
        next.state = State::Waiting;
        Some(next.lead.entry)
    }

    fn next_greedy(&mut self) -> Option<Entry> {
        // Slow ones may yet fail, so as many behind them are worth asking now.
        let reach = self.settles() + self.count(State::Slow);
        let level = self.level;
        let reachable = self
            .candidates
            .iter_mut()
            .filter(|c| c.state != State::Failed && c.lead.level >= level);
        let next = reachable.take(reach).find(|c| c.state == State::Fresh)?;
        next.state = State::Waiting;
        Some(next.lead.entry)
    }

    /// `id` answered.
    pub(super) fn answered(&mut self, id: NodeId, warmth: Warmth) {
        self.warm |= warmth == Warmth::Warm;
        if self.splicing == Some(id) {
            self.splicing = None;
            self.greedy = true;
            let here = id.as_key();
            if here.distance(&self.target) < self.at.distance(&self.target) {
                self.at = here;
            }
        }
        self.change(id, State::Answered);
    }

    /// `id` takes long.
    pub(super) fn slow(&mut self, id: NodeId) {
        self.pass(id);
        self.change(id, State::Slow);
    }

    /// `id` did not answer.
    pub(super) fn failed(&mut self, id: NodeId) {
        self.pass(id);
        self.change(id, State::Failed);
    }

    /// `id` is not in this node's cluster at the walk's level (any more).
    pub(super) fn foreign(&mut self, id: NodeId) {
        self.pass(id);
        let level = self.level;
        self.change(id, State::Failed);
        let found = self.candidates.iter_mut().find(|c| c.lead.entry.id == id);
        if let (Some(candidate), Some(outer)) = (found, level.checked_sub(1)) {
            candidate.lead.level = outer;
            candidate.state = State::Fresh;
        }
    }

    /// The splice step does not wait for `id` any longer.
    fn pass(&mut self, id: NodeId) {
        if self.splicing == Some(id) {
            self.splicing = None;
            self.greedy = true;
        }
    }

    // (Waiting | Slow) ⇒ (Slow | Answered | Failed); a final state stays.
    fn change(&mut self, id: NodeId, to: State) {
        let underway = |c: &&mut Candidate| matches!(c.state, State::Waiting | State::Slow);
        let found = self.candidates.iter_mut().find(|c| c.lead.entry.id == id);
        if let Some(candidate) = found.filter(underway) {
            candidate.state = to;
        }
    }

    /// Whether the closest reachable nodes of the level have answered: all of those that may hold a
    /// copy, and as many in all as settle it, slow ones beyond not counted.
    #[must_use]
    pub(super) fn is_settled(&self) -> bool {
        let (mut answered, mut passed) = (0, 0);
        for (rank, candidate) in self.usable().enumerate() {
            if answered >= self.settles() {
                return true;
            }
            match candidate.state {
                State::Answered => answered += 1,
                State::Slow if rank >= self.sure => passed += 1,
                _ => return false,
            }
        }
        answered >= self.settles() || passed == 0
    }

    /// Whether requests are under way that are worth waiting for.
    #[must_use]
    pub(super) fn is_waiting(&self) -> bool {
        self.count(State::Waiting) > 0
    }

    /// Nodes of `level` that answered, closest first.
    pub(super) fn reached(&self, level: u8) -> impl Iterator<Item = Entry> {
        let answered = self
            .candidates
            .iter()
            .filter(move |c| c.state == State::Answered && c.lead.level >= level);
        answered.map(|c| c.lead.entry)
    }

    /// Whether the walk knows of anybody but `own` at `level`.
    #[must_use]
    pub(super) fn has_company(&self, level: u8, own: NodeId) -> bool {
        let other = |c: &Candidate| c.lead.level >= level && c.lead.entry.id != own;
        self.candidates.iter().any(other)
    }

    /// Who named `id`, and so may reach it where this node cannot.
    #[must_use]
    pub(super) fn introducer(&self, id: NodeId) -> Option<NodeId> {
        let found = self.candidates.iter().find(|c| c.lead.entry.id == id);
        found.and_then(|c| c.lead.via)
    }

    fn usable(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates
            .iter()
            .filter(|c| c.state != State::Failed && c.lead.level >= self.level)
    }

    const fn settles(&self) -> usize {
        if self.level > 0 && self.level == self.innermost && !self.warm {
            SETTLE_INNERMOST
        } else if self.level > 0 || self.warm {
            SETTLE_INNER
        } else {
            self.settle
        }
    }

    fn count(&self, state: State) -> usize {
        self.candidates.iter().filter(|c| c.state == state).count()
    }
}
