//! The iterator of a walk: whom to ask next, and when the closest nodes have spoken.
//!
//! Fed with answers and failures, asks nothing itself. Candidates are kept in order of distance.
//! A candidate's state only moves forward:
//!
//! ```text
//! Fresh ⇒ Waiting ⇒ (Slow ⇒) (Answered | Failed)
//! ```
//!
//! A slow candidate (its first attempt timed out) no longer counts against the window, so one dead
//! node does not hold the walk up, but the walk does not settle past it before it has failed.

use common::ids::{Distance, Key, NodeId};

use crate::engine::routing::Entry;

/// Candidates remembered per walk; the farthest are forgotten. Eight per reply and a dozen replies
/// is the most a walk sees before it settles.
const CANDIDATES_MAX: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Fresh,
    Waiting,
    Slow,
    Answered,
    Failed,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    distance: Distance,
    entry: Entry,
    state: State,
}

/// A walk towards a point of the id space.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    target: Key,
    window: usize,
    settle: usize,
    candidates: Vec<Candidate>,
}

impl Walk {
    /// A walk to `target` with at most `window` nodes waited for, ending when the `settle` closest
    /// reachable ones have answered.
    #[must_use]
    pub(super) fn new(target: Key, window: usize, settle: usize) -> Self {
        let (window, settle) = (window.max(1), settle.max(1));
        Self {
            target,
            window,
            settle,
            candidates: Vec::new(),
        }
    }

    /// A node that may be asked.
    pub(super) fn offer(&mut self, entry: Entry) {
        self.insert(entry, State::Fresh);
    }

    /// A node whose answer is known without asking: this one.
    pub(super) fn settle_at(&mut self, entry: Entry) {
        self.insert(entry, State::Answered);
    }

    fn insert(&mut self, entry: Entry, state: State) {
        let distance = entry.id.distance(&self.target);
        let at = self.candidates.partition_point(|c| c.distance < distance);
        if self
            .candidates
            .get(at)
            .is_some_and(|c| c.entry.id == entry.id)
        {
            return;
        }
        self.candidates.insert(
            at,
            Candidate {
                distance,
                entry,
                state,
            },
        );
        self.candidates.truncate(CANDIDATES_MAX);
    }

    /// The next node to ask, which counts as asked from now on.
    pub(super) fn next(&mut self) -> Option<Entry> {
        let waiting = self
            .candidates
            .iter()
            .filter(|c| c.state == State::Waiting)
            .count();
        if waiting >= self.window {
            return None;
        }
        // Slow ones may yet fail, so as many behind them are worth asking now.
        let slow = self
            .candidates
            .iter()
            .filter(|c| c.state == State::Slow)
            .count();
        let reachable = self
            .candidates
            .iter_mut()
            .filter(|c| c.state != State::Failed);
        let next = reachable
            .take(self.settle + slow)
            .find(|c| c.state == State::Fresh)?;
        next.state = State::Waiting;
        Some(next.entry)
    }

    /// `id` answered.
    pub(super) fn answered(&mut self, id: NodeId) {
        self.change(id, State::Answered);
    }

    /// `id` takes long.
    pub(super) fn slow(&mut self, id: NodeId) {
        self.change(id, State::Slow);
    }

    /// `id` did not answer.
    pub(super) fn failed(&mut self, id: NodeId) {
        self.change(id, State::Failed);
    }

    // (Waiting | Slow) ⇒ (Slow | Answered | Failed); a final state stays.
    fn change(&mut self, id: NodeId, to: State) {
        let underway = |c: &&mut Candidate| matches!(c.state, State::Waiting | State::Slow);
        let found = self.candidates.iter_mut().find(|c| c.entry.id == id);
        if let Some(candidate) = found.filter(underway) {
            candidate.state = to;
        }
    }

    /// Whether the closest reachable nodes have all answered.
    #[must_use]
    pub(super) fn is_settled(&self) -> bool {
        let reachable = self.candidates.iter().filter(|c| c.state != State::Failed);
        reachable
            .take(self.settle)
            .all(|c| c.state == State::Answered)
    }

    /// Nodes that answered, closest first.
    pub(super) fn reached(&self) -> impl Iterator<Item = Entry> {
        let answered = self
            .candidates
            .iter()
            .filter(|c| c.state == State::Answered);
        answered.map(|c| c.entry)
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

    fn sorted(nodes: u16) -> Vec<Entry> {
        let mut all: Vec<_> = (0..nodes).map(entry).collect();
        all.sort_by_key(|e| e.id.distance(&Key::ZERO));
        all
    }

    fn walk(nodes: u16) -> Walk {
        let mut walk = Walk::new(Key::ZERO, 3, 4);
        (0..nodes).for_each(|n| walk.offer(entry(n)));
        walk
    }

    #[test]
    fn asks_the_closest_first_within_its_window_and_settles() {
        let (mut walk, all) = (walk(20), sorted(20));
        let first: Vec<_> = std::iter::from_fn(|| walk.next()).collect();
        assert_eq!(first, all[..3]);
        first.iter().for_each(|e| walk.answered(e.id));
        assert!(!walk.is_settled());
        assert_eq!(walk.next(), Some(all[3]));
        walk.answered(all[3].id);
        assert!(walk.is_settled());
        assert_eq!(walk.next(), None);
        assert_eq!(walk.reached().collect::<Vec<_>>(), all[..4]);
    }

    #[test]
    fn a_slow_node_frees_the_window_but_holds_the_end() {
        let (mut walk, all) = (walk(20), sorted(20));
        while walk.next().is_some() {}
        walk.slow(all[0].id);
        assert_eq!(walk.next(), Some(all[3]));
        (1..4).for_each(|n| walk.answered(all[n].id));
        assert_eq!(walk.next(), Some(all[4]));
        walk.answered(all[4].id);
        assert!(!walk.is_settled());
        walk.failed(all[0].id);
        assert!(walk.is_settled());
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
        assert_eq!(walk.candidates[0].entry, sorted(200)[0]);
    }

    proptest! {
        #[test]
        fn every_walk_ends(nodes in 0..100u16, fates in proptest::collection::vec(0..3u8, 300)) {
            let mut walk = walk(nodes);
            let mut fates = fates.into_iter();
            let mut steps = 0;
            while !walk.is_settled() {
                steps += 1;
                prop_assert!(steps < 400);
                let Some(entry) = walk.next() else { break };
                match fates.next() {
                    Some(0) => walk.failed(entry.id),
                    Some(1) => { walk.slow(entry.id); walk.answered(entry.id); }
                    _ => walk.answered(entry.id),
                }
            }
            prop_assert!(walk.is_settled());
        }
    }
}
