//! Placing a value: at each level the closest nodes first, further ones when those fail or refuse.
//!
//! The reverse phase of a put (NSDI'04 §3): the queue of a level is the stack of nodes that may
//! take the value, the nearest to the key on top. A node that stands in the queues of several
//! levels is asked once and counts for all. A node that refuses for want of a token has given one
//! with its refusal and is asked once more.

use std::collections::{BTreeSet, VecDeque};

use common::ids::NodeId;

use crate::engine::routing::Entry;
use crate::refusal::Refusal;

/// What is wanted at one level.
#[derive(Clone, Debug)]
struct Slot {
    level: u8,
    queue: VecDeque<Entry>,
    wanted: usize,
    taken: Vec<NodeId>,
}

/// A placement under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Placement {
    slots: Vec<Slot>,
    pending: Vec<Entry>,
    placed: Vec<Entry>,
    failed: BTreeSet<NodeId>,
    retried: Vec<NodeId>,
    refusal: Option<Refusal>,
}

impl Placement {
    /// Nowhere yet.
    #[must_use]
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// And at `wanted` of `queue` at `level`, tried in its order.
    #[must_use]
    pub(super) fn at(
        mut self,
        level: u8,
        queue: impl IntoIterator<Item = Entry>,
        wanted: usize,
    ) -> Self {
        self.slots.push(Slot {
            level,
            queue: queue.into_iter().collect(),
            wanted,
            taken: Vec::new(),
        });
        self
    }

    /// The next node to ask and at which level; it counts as asked from now on.
    pub(super) fn next(&mut self) -> Option<(Entry, u8)> {
        for slot in &mut self.slots {
            while slot.taken.len() < slot.wanted {
                let Some(entry) = slot.queue.pop_front() else {
                    break;
                };
                if self.failed.contains(&entry.id) || slot.taken.contains(&entry.id) {
                    continue;
                }
                slot.taken.push(entry.id);
                let asked = self.pending.iter().any(|pending| pending.id == entry.id);
                if !asked && !self.placed.contains(&entry) {
                    self.pending.push(entry);
                    return Some((entry, slot.level));
                }
            }
        }
        None
    }

    /// `id` took it.
    pub(super) fn placed(&mut self, id: NodeId) {
        let taken = self.take(id);
        self.placed.extend(taken);
    }

    /// `id` refused.
    pub(super) fn refused(&mut self, id: NodeId, refusal: Refusal) {
        let Some(entry) = self.take(id) else { return };
        let again = refusal == Refusal::Token && !self.retried.contains(&id);
        if again {
            self.retried.push(id);
        } else {
            self.refusal = Some(refusal);
            self.failed.insert(id);
        }
        self.release(entry, again);
    }

    /// `id` did not answer.
    pub(super) fn failed(&mut self, id: NodeId) {
        if let Some(entry) = self.take(id) {
            self.failed.insert(id);
            self.release(entry, false);
        }
    }

    /// No level counts on `entry` any more; the first that did may try it again.
    fn release(&mut self, entry: Entry, again: bool) {
        for slot in &mut self.slots {
            let before = slot.taken.len();
            slot.taken.retain(|taken| *taken != entry.id);
            if again && slot.taken.len() < before {
                slot.queue.push_front(entry);
            }
        }
    }

    /// Where it is placed.
    #[must_use]
    pub(super) fn places(&self) -> &[Entry] {
        &self.placed
    }

    /// The last refusal, if any.
    #[must_use]
    pub(super) const fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    /// Whether nothing more will come of it. Only after [`next`](Self::next) gave nothing.
    #[must_use]
    pub(super) const fn is_over(&self) -> bool {
        self.pending.is_empty()
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
        let mut placement = Placement::new().at(0, (0..4).map(entry), 2);
        assert_eq!(placement.next(), Some((entry(0), 0)));
        assert_eq!(placement.next(), Some((entry(1), 0)));
        assert_eq!(placement.next(), None);
        placement.failed(entry(0).id);
        placement.refused(entry(1).id, Refusal::StoreFull);
        assert_eq!(placement.next(), Some((entry(2), 0)));
        assert_eq!(placement.next(), Some((entry(3), 0)));
        placement.placed(entry(2).id);
        assert!(!placement.is_over());
        placement.placed(entry(3).id);
        assert!(placement.next().is_none() && placement.is_over());
        assert_eq!(placement.places(), [entry(2), entry(3)]);
        assert_eq!(placement.refusal(), Some(Refusal::StoreFull));
    }

    #[test]
    fn asks_again_once_with_the_token_that_came_with_the_refusal() {
        let mut placement = Placement::new().at(0, [entry(0)], 1);
        for _ in 0..2 {
            assert_eq!(placement.next(), Some((entry(0), 0)));
            placement.refused(entry(0).id, Refusal::Token);
        }
        assert!(placement.next().is_none() && placement.is_over());
        assert_eq!(placement.refusal(), Some(Refusal::Token));
    }

    #[test]
    fn a_node_of_several_levels_is_asked_once() {
        let inner = [entry(1), entry(2)];
        let outer = [entry(1), entry(3), entry(4)];
        let mut placement = Placement::new().at(2, inner, 1).at(0, outer, 2);
        assert_eq!(placement.next(), Some((entry(1), 2)));
        assert_eq!(placement.next(), Some((entry(3), 0)));
        assert_eq!(placement.next(), None);
        placement.failed(entry(1).id);
        assert_eq!(placement.next(), Some((entry(2), 2)));
        assert_eq!(placement.next(), Some((entry(4), 0)));
        for n in 2..5 {
            placement.placed(entry(n).id);
        }
        assert!(placement.next().is_none() && placement.is_over());
    }
}
