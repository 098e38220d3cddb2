//! One routing table of one level: who is where in the id space.
//!
//! Holds only nodes that answered this node; whether they still do is `liveness`'s knowledge and
//! comes in as an argument. Bucket `i` holds nodes that share exactly `i` leading bits with us, so
//! the table is small where nodes are many and complete where they are near.

mod bucket;

use std::net::SocketAddr;
use std::time::Duration;

use common::ids::{Key, NodeId};

use bucket::Bucket;
pub use bucket::Offer;

/// A node and where it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// Its id.
    pub id: NodeId,
    /// Its address.
    pub addr: SocketAddr,
}

/// The table.
#[derive(Clone, Debug)]
pub struct Table {
    own: Key,
    own_id: NodeId,
    width: usize,
    len: usize,
    /// The buckets in use, the farthest first, each with its number.
    buckets: Vec<(u32, Bucket)>,
}

impl Table {
    /// An empty table of node `own` with buckets of `width` nodes.
    #[must_use]
    pub const fn new(own: NodeId, width: usize) -> Self {
        Self {
            own: own.as_key(),
            own_id: own,
            width,
            len: 0,
            buckets: Vec::new(),
        }
    }

    /// Nodes held.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All nodes, the farthest buckets first.
    pub fn iter(&self) -> impl Iterator<Item = Entry> {
        self.buckets.iter().flat_map(|(_, bucket)| bucket.entries())
    }

    /// Whether a node with this id would find room.
    #[must_use]
    pub fn has_room(&self, id: NodeId) -> bool {
        let bucket = self.bucket(self.index(id));
        id != self.own_id && bucket.is_none_or(|bucket| bucket.held().len() < self.width)
    }

    /// A node that answered just now. `rtt` says how far it and those are that it may replace, if
    /// they were measured.
    pub fn offer(&mut self, entry: Entry, rtt: impl Fn(NodeId) -> Option<Duration>) -> Offer {
        if entry.id == self.own_id {
            return Offer::Full;
        }
        let index = self.index(entry.id);
        let at = match self.place(index) {
            Ok(at) => at,
            Err(at) => {
                self.buckets.insert(at, (index, Bucket::default()));
                at
            }
        };
        let (_, bucket) = &mut self.buckets[at];
        let offer = bucket.offer(entry, self.width, rtt);
        self.len += usize::from(offer == Offer::Added);
        offer
    }

    /// Takes a node out. Says whether it was there.
    pub fn remove(&mut self, id: NodeId) -> bool {
        let index = self.index(id);
        let Ok(at) = self.place(index) else {
            return false;
        };
        let (_, bucket) = &mut self.buckets[at];
        let removed = bucket.remove(id);
        self.len -= usize::from(removed);
        if bucket.held().is_empty() {
            self.buckets.remove(at);
        }
        removed
    }

    /// The nodes that share more leading bits with `target` than this one does: those that a
    /// splice step may go to.
    pub fn toward(&self, target: &Key) -> impl Iterator<Item = Entry> {
        let index = self.own.distance(target).leading_zeros();
        self.bucket(index).into_iter().flat_map(Bucket::entries)
    }

    /// The `count` nodes closest to `target`, closest first.
    ///
    /// Bucket by bucket, so that only those needed are looked at: a bucket's nodes are the ones
    /// that differ from us in its bit and agree above. Where `target` differs from us in that bit
    /// they are closer to it than all in later buckets, and where it does not they are farther.
    pub fn closest(&self, target: &Key, count: usize) -> Vec<Entry> {
        let apart = self.own.distance(target);
        let mut best = Vec::with_capacity(count.min(self.len));
        let closer = self.buckets.iter().filter(|(bit, _)| apart.has_bit(*bit));
        let farther = self.buckets.iter().rev();
        let farther = farther.filter(|(bit, _)| !apart.has_bit(*bit));
        for (_, bucket) in closer.chain(farther) {
            let nearer = best.len();
            if nearer >= count {
                break;
            }
            best.extend(bucket.entries());
            best[nearer..].sort_unstable_by_key(|entry: &Entry| entry.id.distance(target));
        }
        best.truncate(count);
        best
    }

    /// Estimated nodes at this level, this one included: exact while the table has room for
    /// everyone. A full bucket stands for as many nodes as lie nearer than it, which is how many
    /// there are where ids are spread evenly.
    #[must_use]
    pub fn size_estimate(&self) -> u32 {
        let nearest_first = self.buckets.iter().rev();
        nearest_first.fold(1, |nearer: u32, (_, bucket)| {
            let held = bucket.held().len();
            let held_here = u32::try_from(held).unwrap_or(u32::MAX);
            let here = if held < self.width {
                held_here
            } else {
                held_here.max(nearer)
            };
            nearer.saturating_add(here)
        })
    }

    /// Where bucket `index` is, or would be.
    fn place(&self, index: u32) -> Result<usize, usize> {
        self.buckets
            .binary_search_by_key(&index, |(index, _)| *index)
    }

    fn bucket(&self, index: u32) -> Option<&Bucket> {
        self.place(index).ok().map(|at| &self.buckets[at].1)
    }

    fn index(&self, id: NodeId) -> u32 {
        id.distance(&self.own).leading_zeros()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u16) -> Entry {
        let addr = SocketAddr::from(([192, 0, 2, 1], n));
        Entry {
            id: NodeId::of(addr),
            addr,
        }
    }

    fn full(nodes: u16) -> Table {
        let mut table = Table::new(entry(0).id, 8);
        for n in 1..=nodes {
            table.offer(entry(n), |_| None);
        }
        table
    }

    #[test]
    fn gives_the_closest_nodes_in_order() {
        let table = full(200);
        let mut all: Vec<_> = table.iter().collect();
        assert_eq!(all.len(), table.len());
        let targets = (0..200).map(|n: u8| Key::of(&[n]));
        for target in targets.chain(all.clone().iter().map(|e| e.id.as_key())) {
            all.sort_by_key(|e| e.id.distance(&target));
            for count in [1, 5, 20, 500] {
                let closest = table.closest(&target, count);
                assert_eq!(closest, all[..count.min(all.len())]);
            }
        }
        assert_eq!(table.closest(&entry(0).id.as_key(), 3).len(), 3);
    }

    #[test]
    fn never_holds_itself_and_is_logarithmic() {
        let mut table = full(1_000);
        let unmeasured = |_| None;
        assert_eq!(table.offer(entry(0), unmeasured), Offer::Full);
        assert!(table.len() < 8 * 12, "{} nodes", table.len());
        assert!(!table.has_room(entry(0).id));
    }

    #[test]
    fn removal_leaves_no_empty_bucket() {
        let mut table = full(1);
        assert!(table.remove(entry(1).id));
        assert!(!table.remove(entry(1).id));
        assert!(table.is_empty());
    }

    #[test]
    fn estimates_the_size_of_the_network() {
        assert_eq!(full(0).size_estimate(), 1);
        assert_eq!(full(3).size_estimate(), 4);
        assert_eq!(full(12).size_estimate(), 13);
        let estimate = full(1_000).size_estimate();
        assert!((300..3_000).contains(&estimate), "{estimate}");
    }
}
