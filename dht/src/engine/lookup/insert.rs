//! Placing a value: the closest nodes first, further ones when those fail or refuse.
//!
//! A node that refuses for want of a token has given one with its refusal and is asked once more.

use std::collections::VecDeque;

use common::ids::NodeId;

use crate::engine::routing::Entry;
use crate::refusal::Refusal;

/// A placement under way.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    queue: VecDeque<Entry>,
    wanted: usize,
    pending: Vec<Entry>,
    placed: Vec<NodeId>,
    retried: Vec<NodeId>,
    refusal: Option<Refusal>,
}

impl Placement {
    /// At `wanted` of `queue`, tried in its order.
    #[must_use]
    pub(super) fn new(queue: impl IntoIterator<Item = Entry>, wanted: usize) -> Self {
        Self {
            queue: queue.into_iter().collect(),
            wanted,
            pending: Vec::new(),
            placed: Vec::new(),
            retried: Vec::new(),
            refusal: None,
        }
    }

    /// The next node to ask, which counts as asked from now on.
    pub(super) fn next(&mut self) -> Option<Entry> {
        if self.placed.len() + self.pending.len() >= self.wanted {
            return None;
        }
        let entry = self.queue.pop_front()?;
        self.pending.push(entry);
        Some(entry)
    }

    /// `id` took it.
    pub(super) fn placed(&mut self, id: NodeId) {
        if self.take(id).is_some() {
            self.placed.push(id);
        }
    }

    /// `id` refused.
    pub(super) fn refused(&mut self, id: NodeId, refusal: Refusal) {
        let Some(entry) = self.take(id) else { return };
        if refusal == Refusal::Token && !self.retried.contains(&id) {
            self.retried.push(id);
            self.queue.push_front(entry);
        } else {
            self.refusal = Some(refusal);
        }
    }

    /// `id` did not answer.
    pub(super) fn failed(&mut self, id: NodeId) {
        self.take(id);
    }

    /// More copies are wanted, `wanted` in all.
    pub(super) const fn want(&mut self, wanted: usize) {
        self.wanted = wanted;
    }

    /// Where it is placed.
    #[must_use]
    pub(super) fn places(&self) -> &[NodeId] {
        &self.placed
    }

    /// The last refusal, if any.
    #[must_use]
    pub(super) const fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    /// Whether nothing more will come of it.
    #[must_use]
    pub(super) fn is_over(&self) -> bool {
        self.pending.is_empty() && (self.placed.len() >= self.wanted || self.queue.is_empty())
    }

    fn take(&mut self, id: NodeId) -> Option<Entry> {
        let at = self.pending.iter().position(|entry| entry.id == id)?;
        Some(self.pending.swap_remove(at))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn entry(n: u16) -> Entry {
        let addr = SocketAddr::from(([192, 0, 2, 1], n));
        Entry {
            id: NodeId::of(addr),
            addr,
        }
    }

    #[test]
    fn goes_outward_past_those_that_fail_or_refuse() {
        let mut placement = Placement::new((0..4).map(entry), 2);
        assert_eq!(placement.next(), Some(entry(0)));
        assert_eq!(placement.next(), Some(entry(1)));
        assert_eq!(placement.next(), None);
        placement.failed(entry(0).id);
        placement.refused(entry(1).id, Refusal::StoreFull);
        assert_eq!(placement.next(), Some(entry(2)));
        assert_eq!(placement.next(), Some(entry(3)));
        placement.placed(entry(2).id);
        assert!(!placement.is_over());
        placement.placed(entry(3).id);
        assert!(placement.is_over());
        assert_eq!(placement.places(), [entry(2).id, entry(3).id]);
        assert_eq!(placement.refusal(), Some(Refusal::StoreFull));
    }

    #[test]
    fn asks_again_once_with_the_token_that_came_with_the_refusal() {
        let mut placement = Placement::new([entry(0)], 1);
        for _ in 0..2 {
            assert_eq!(placement.next(), Some(entry(0)));
            placement.refused(entry(0).id, Refusal::Token);
        }
        assert!(placement.is_over());
        assert_eq!(placement.refusal(), Some(Refusal::Token));
    }
}
