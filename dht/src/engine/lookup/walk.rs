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
//! one dead node does not hold the walk up, but the walk does not settle past it before it has
//! failed.

use std::time::Duration;

use common::ids::{Distance, Key, NodeId};

use super::path::{next_point, shared_bits};
use crate::engine::config::LookupConfig;
use crate::engine::routing::Entry;

/// Candidates remembered per walk; the farthest are forgotten. A dozen per reply and a dozen
/// replies are the most a walk sees before it settles, most of them twice.
const CANDIDATES_MAX: usize = 96;

/// Nodes that must have answered at a level inside the world: the closest one, which is where the
/// level's pointer is.
const SETTLE_INNER: usize = 1;

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
    /// Bits per splice step; none when every step is greedy.
    digit: Option<u32>,
    level: u8,
    candidates: Vec<Candidate>,
    at: Key,
    splicing: Option<NodeId>,
    greedy: bool,
    warm: bool,
    halted: bool,
}

impl Walk {
    /// A walk of `own` to `target` that begins at `level`. `splices`: whether nodes on the way are
    /// worth meeting.
    #[must_use]
    pub(super) fn new(
        config: &LookupConfig,
        own: NodeId,
        target: Key,
        level: u8,
        splices: bool,
    ) -> Self {
        Self {
            target,
            window: config.window.max(1),
            settle: config.settle.max(1),
            digit: splices.then_some(config.bits_per_hop.max(1)),
            level,
            candidates: Vec::new(),
            at: own.as_key(),
            splicing: None,
            greedy: !splices,
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

    /// Of the nodes that correct the next digit, the nearest by round trip; of those not measured,
    /// the one nearest to the spliced point.
    fn next_splice(&mut self) -> Option<Entry> {
        let (point, bits) = next_point(&self.target, &self.at, self.digit?)?;
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

    /// Whether the closest reachable nodes of the level have all answered.
    #[must_use]
    pub(super) fn is_settled(&self) -> bool {
        self.usable()
            .take(self.settles())
            .all(|c| c.state == State::Answered)
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
        if self.level > 0 || self.warm {
            SETTLE_INNER
        } else {
            self.settle
        }
    }

    fn count(&self, state: State) -> usize {
        self.candidates.iter().filter(|c| c.state == state).count()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;

    fn entry(n: u16) -> Entry {
        let addr = SocketAddr::from(([192, 0, 2, 1], n));
        Entry {
            id: NodeId::of(addr),
            addr,
        }
    }

    fn lead(n: u16, level: u8) -> Lead {
        Lead {
            entry: entry(n),
            level,
            rtt: None,
            via: None,
        }
    }

    fn sorted(nodes: u16) -> Vec<Entry> {
        let mut all: Vec<_> = (0..nodes).map(entry).collect();
        all.sort_by_key(|e| e.id.distance(&Key::ZERO));
        all
    }

    /// A walk from the far end of the id space.
    fn walk_at(level: u8, splices: bool) -> Walk {
        let far = NodeId::from_bytes([0xff; 20]);
        Walk::new(&LookupConfig::default(), far, Key::ZERO, level, splices)
    }

    fn walk(nodes: u16) -> Walk {
        let mut walk = walk_at(0, false);
        (0..nodes).for_each(|n| walk.offer(lead(n, 0)));
        walk
    }

    fn cold(walk: &mut Walk, id: NodeId) {
        walk.answered(id, Warmth::Cold);
    }

    #[test]
    fn asks_the_closest_first_within_its_window_and_settles() {
        let (mut walk, all) = (walk(20), sorted(20));
        let first: Vec<_> = std::iter::from_fn(|| walk.next()).collect();
        assert_eq!(first, all[..3]);
        first.iter().for_each(|e| cold(&mut walk, e.id));
        assert!(!walk.is_settled());
        assert_eq!(walk.next(), Some(all[3]));
        cold(&mut walk, all[3].id);
        assert!(walk.is_settled());
        assert_eq!(walk.next(), None);
        assert_eq!(walk.reached(0).collect::<Vec<_>>(), all[..4]);
    }

    #[test]
    fn a_slow_node_frees_the_window_but_holds_the_end() {
        let (mut walk, all) = (walk(20), sorted(20));
        while walk.next().is_some() {}
        walk.slow(all[0].id);
        assert_eq!(walk.next(), Some(all[3]));
        (1..4).for_each(|n| cold(&mut walk, all[n].id));
        assert_eq!(walk.next(), Some(all[4]));
        cold(&mut walk, all[4].id);
        assert!(!walk.is_settled());
        walk.failed(all[0].id);
        assert!(walk.is_settled());
    }

    #[test]
    fn the_first_step_splices_to_the_nearest_and_greedy_steps_follow_a_cold_answer() {
        let mut walk = walk_at(0, true);
        for n in 0..40 {
            let rtt = Some(Duration::from_millis(if n == 7 { 2 } else { 90 }));
            walk.offer(Lead { rtt, ..lead(n, 0) });
        }
        let near = entry(7).id;
        let corrects = shared_bits(&near.as_key(), &Key::ZERO) >= 1;
        let first = walk.next().unwrap();
        assert!(
            !corrects || first.id == near,
            "the near one, if it corrects a bit"
        );
        assert!(shared_bits(&first.id.as_key(), &Key::ZERO) >= 1);
        assert_eq!(walk.next(), None, "the rest waits for what it says");
        cold(&mut walk, first.id);
        let second = walk.next().unwrap();
        let (a, b) = (
            first.id.distance(&Key::ZERO),
            second.id.distance(&Key::ZERO),
        );
        assert!(b < a, "digit by digit");
        assert_eq!(walk.next(), Some(sorted(40)[0]), "and greedily beside it");
    }

    #[test]
    fn a_warm_walk_never_jumps() {
        let mut walk = walk_at(0, true);
        (0..200).for_each(|n| walk.offer(lead(n, 0)));
        let mut last = Key::from_bytes([0xff; 20]).distance(&Key::ZERO);
        let mut hops = 0;
        while let Some(next) = walk.next() {
            assert_eq!(walk.next(), None, "one at a time");
            let distance = next.id.distance(&Key::ZERO);
            assert!(distance < last);
            (last, hops) = (distance, hops + 1);
            walk.answered(next.id, Warmth::Warm);
        }
        assert!(walk.is_settled());
        assert!((3..=9).contains(&hops), "{hops} hops among 200 nodes");
    }

    #[test]
    fn a_dead_splice_step_holds_nothing_up() {
        let mut walk = walk_at(0, true);
        (0..40).for_each(|n| walk.offer(lead(n, 0)));
        let dead = walk.next().unwrap();
        walk.slow(dead.id);
        assert!(walk.next().is_some() && walk.next().is_some());
    }

    #[test]
    fn goes_outward_over_the_same_candidates() {
        let mut walk = walk_at(2, true);
        (0..3).for_each(|n| walk.offer(lead(n, 2)));
        (3..30).for_each(|n| walk.offer(lead(n, 0)));
        let mut inner = Vec::new();
        while !walk.is_settled() {
            let next = walk.next().unwrap();
            assert!(
                (0..3).any(|n| entry(n) == next),
                "no message leaves the cluster"
            );
            cold(&mut walk, next.id);
            inner.push(next);
        }
        assert_eq!(walk.reached(2).count(), inner.len());
        walk.outward();
        assert!(walk.is_settled(), "the same node is the closest of level 1");
        walk.outward();
        while !walk.is_settled() {
            let next = walk.next().unwrap();
            assert!(!inner.contains(&next), "nobody is asked twice");
            cold(&mut walk, next.id);
        }
    }

    #[test]
    fn who_has_left_the_cluster_is_asked_again_outside_it() {
        let mut walk = walk_at(1, false);
        walk.offer(lead(1, 1));
        assert_eq!(walk.next(), Some(entry(1)));
        walk.foreign(entry(1).id);
        assert!(walk.is_settled());
        walk.outward();
        assert!(!walk.is_settled());
        assert_eq!(walk.next(), Some(entry(1)));
        walk.foreign(entry(1).id);
        assert!(walk.is_settled(), "outside the world there is nothing");
    }

    #[test]
    fn a_halted_walk_asks_nobody() {
        let mut walk = walk(5);
        walk.halt();
        assert!(walk.is_halted() && walk.next().is_none());
    }

    #[test]
    fn a_walk_with_nobody_is_settled() {
        assert!(walk(0).is_settled());
        let mut one = walk(1);
        assert!(!one.is_settled());
        one.next();
        one.failed(entry(0).id);
        assert!(one.is_settled() && one.next().is_none());
    }

    #[test]
    fn forgets_the_farthest_of_too_many() {
        let walk = walk(200);
        assert_eq!(walk.candidates.len(), CANDIDATES_MAX);
        assert_eq!(walk.candidates[0].lead.entry, sorted(200)[0]);
    }

    proptest! {
        #[test]
        fn every_walk_ends(
            nodes in 0..100u16, splices: bool, depth in 0..3u8,
            fates in proptest::collection::vec(0..5u8, 600)
        ) {
            let mut walk = walk_at(depth, splices);
            for n in 0..nodes {
                walk.offer(lead(n, u8::try_from(n % 3).unwrap()));
            }
            let mut fates = fates.into_iter();
            let mut steps = 0;
            loop {
                if walk.is_settled() {
                    if walk.level() == 0 { break }
                    walk.outward();
                    continue;
                }
                steps += 1;
                prop_assert!(steps < 800);
                let Some(entry) = walk.next() else { break };
                match fates.next() {
                    Some(0) => walk.failed(entry.id),
                    Some(1) => { walk.slow(entry.id); cold(&mut walk, entry.id); }
                    Some(2) => walk.answered(entry.id, Warmth::Warm),
                    Some(3) => walk.foreign(entry.id),
                    _ => cold(&mut walk, entry.id),
                }
            }
            prop_assert!(walk.is_settled() && walk.level() == 0);
        }
    }
}
