//! What is to happen, in order of time; of two things at one moment, the one that was planned first.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use common::clock::Moment;

/// An ordered queue of happenings.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    next: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Moment,
    turn: u64,
    what: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.turn).cmp(&(other.at, other.turn))
    }
}

impl<T> Queue<T> {
    /// Nothing to happen.
    pub(crate) const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            next: 0,
        }
    }

    /// `what` will happen at `at`.
    pub(crate) fn push(&mut self, at: Moment, what: T) {
        let turn = self.next;
        self.next += 1;
        self.heap.push(Reverse(Entry { at, turn, what }));
    }

    /// The next thing, if it happens by `end`.
    pub(crate) fn pop_by(&mut self, end: Moment) -> Option<(Moment, T)> {
        if self.heap.peek()?.0.at > end {
            return None;
        }
        self.heap
            .pop()
            .map(|Reverse(Entry { at, what, .. })| (at, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_earliest_and_of_equals_the_first() {
        let mut queue = Queue::new();
        for (at, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b')] {
            queue.push(Moment::from_millis(at), what);
        }
        let by = |queue: &mut Queue<char>, ms| queue.pop_by(Moment::from_millis(ms));
        assert_eq!(by(&mut queue, 0), None);
        let order: String = std::iter::from_fn(|| by(&mut queue, 9))
            .map(|(_, what)| what)
            .collect();
        assert_eq!(order, "abcd");
    }
}
