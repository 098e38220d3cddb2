//! One routing table of one level: who is where in the id space.
//!
//! Holds only nodes that answered this node; whether they still do is `liveness`'s knowledge and
//! comes in as an argument. Bucket `i` holds nodes that share exactly `i` leading bits with us, so
//! the table is small where nodes are many and complete where they are near.

mod bucket;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use common::ids::{Distance, Key, NodeId};

use bucket::Bucket;
pub use bucket::{Offer, Standing};

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
    buckets: BTreeMap<u32, Bucket>,
}

/// The closest nodes found so far.
struct Closest<'a> {
    target: &'a Key,
    count: usize,
    best: Vec<(Distance, Entry)>,
}

impl Closest<'_> {
    /// Adds buckets whose nodes are all farther than those added before.
    fn add<'a>(&mut self, buckets: impl Iterator<Item = &'a Bucket>) {
        let nearer = self.best.len();
        if nearer >= self.count {
            return;
        }
        let entries = buckets.flat_map(Bucket::entries);
        let target = self.target;
        self.best
            .extend(entries.map(|entry| (entry.id.distance(target), *entry)));
        self.best[nearer..].sort_unstable_by_key(|(distance, _)| *distance);
        self.best.truncate(self.count);
    }
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
            buckets: BTreeMap::new(),
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
        self.buckets
            .values()
            .flat_map(|bucket| bucket.entries().iter().copied())
    }

    /// Whether a node with this id would find room.
    #[must_use]
    pub fn has_room(&self, id: NodeId) -> bool {
        let bucket = self.buckets.get(&self.index(id));
        id != self.own_id && bucket.is_none_or(|bucket| bucket.entries().len() < self.width)
    }

    /// A node that answered just now. `standing` says which nodes it may replace.
    pub fn offer(&mut self, entry: Entry, standing: impl Fn(NodeId) -> Standing) -> Offer {
        if entry.id == self.own_id {
            return Offer::Full;
        }
        let index = self.index(entry.id);
        let bucket = self.buckets.entry(index).or_default();
        let offer = bucket.offer(entry, self.width, standing);
        self.len += usize::from(offer == Offer::Added);
        offer
    }

    /// Takes a node out. Says whether it was there.
    pub fn remove(&mut self, id: NodeId) -> bool {
        let index = self.index(id);
        let Some(bucket) = self.buckets.get_mut(&index) else {
            return false;
        };
        let removed = bucket.remove(id);
        self.len -= usize::from(removed);
        if bucket.entries().is_empty() {
            self.buckets.remove(&index);
        }
        removed
    }

    /// The nodes that share more leading bits with `target` than this one does: those that a
    /// splice step may go to.
    pub fn toward(&self, target: &Key) -> impl Iterator<Item = Entry> {
        let index = self.own.distance(target).leading_zeros();
        let bucket = self.buckets.get(&index);
        bucket
            .into_iter()
            .flat_map(|bucket| bucket.entries().iter().copied())
    }

    /// The `count` nodes closest to `target`, closest first.
    ///
    /// Bucket by bucket: where `target` lies in our bucket `i`, the nodes of that bucket are closer
    /// to it than all others, then come those that are nearer to us, all at one distance class,
    /// then bucket `i - 1` and so on down.
    pub fn closest(&self, target: &Key, count: usize) -> Vec<Entry> {
        let index = self.own.distance(target).leading_zeros();
        let mut best = Closest {
            target,
            count,
            best: Vec::with_capacity(count),
        };
        let here = self.buckets.get(&index);
        best.add(here.into_iter());
        let nearer_to_us = self.buckets.range(index.saturating_add(1)..);
        best.add(nearer_to_us.map(|(_, bucket)| bucket));
        for (_, farther) in self.buckets.range(..index).rev() {
            best.add(std::iter::once(farther));
        }
        best.best.into_iter().map(|(_, entry)| entry).collect()
    }

    /// Estimated nodes at this level, this one included: exact while the table has room for
    /// everyone. A full bucket stands for as many nodes as lie nearer than it, which is how many
    /// there are where ids are spread evenly.
    #[must_use]
    pub fn size_estimate(&self) -> u32 {
        let nearest_first = self.buckets.values().rev();
        nearest_first.fold(1, |nearer: u32, bucket| {
            let held = bucket.entries().len();
            let held_here = u32::try_from(held).unwrap_or(u32::MAX);
            let here = if held < self.width {
                held_here
            } else {
                held_here.max(nearer)
            };
            nearer.saturating_add(here)
        })
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
            table.offer(entry(n), |_| Standing::default());
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
        let fine = |_| Standing::default();
        assert_eq!(table.offer(entry(0), fine), Offer::Full);
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
