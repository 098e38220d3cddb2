//! One bucket and its replacement rule: the old half stays as long as it answers, the other half
//! goes to whoever is near.
//!
//! Old live nodes are the ones likeliest to stay (Kademlia §2.2), and what keeps the two sides of an
//! ocean linked. Near ones make every hop cheaper (proximity selection). So a newcomer to a full
//! bucket takes the place of one that failed, or else of the farthest of the younger half if it is
//! clearly nearer than that.

use std::time::Duration;

use common::ids::NodeId;

use super::Entry;
use crate::engine::place::Place;

/// What became of an offered node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    /// It was there already.
    Known,
    /// It is there now.
    Added,
    /// It is there now, in the place of this one, which had failed.
    Replaced(NodeId),
    /// There is no room.
    Full,
}

/// What is known of a node that is in a bucket or wants to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// It does not answer.
    pub failed: bool,
    /// How far it is, if measured.
    pub rtt: Option<Duration>,
}

/// Nodes at one distance, the longest known first.
#[derive(Clone, Debug, Default)]
pub(super) struct Bucket {
    entries: Vec<Held>,
}

/// An [`Entry`] in fewer bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) id: NodeId,
    place: Place,
}

impl Held {
    pub(super) fn entry(&self) -> Entry {
        Entry {
            id: self.id,
            addr: self.place.into(),
        }
    }
}

impl From<Entry> for Held {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            place: entry.addr.into(),
        }
    }
}

impl Bucket {
    pub(super) fn held(&self) -> &[Held] {
        &self.entries
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.entries.iter().map(Held::entry)
    }

    pub(super) fn offer(
        &mut self,
        entry: Entry,
        width: usize,
        standing: impl Fn(NodeId) -> Standing,
    ) -> Offer {
        if self.entries.iter().any(|held| held.id == entry.id) {
            return Offer::Known;
        }
        if self.entries.len() < width {
            // Most buckets are not full, and growth by doubling would leave them half empty.
            self.entries.reserve_exact(1);
            self.entries.push(entry.into());
            return Offer::Added;
        }
        let Some(at) = self.replaceable(entry.id, width, standing) else {
            return Offer::Full;
        };
        let replaced = self.entries.remove(at);
        self.entries.push(entry.into());
        Offer::Replaced(replaced.id)
    }

    /// The first that failed; else the farthest of the younger half, if `id` takes under three
    /// quarters of its time. Each node is looked up once: it is where offers spend their time.
    fn replaceable(
        &self,
        id: NodeId,
        width: usize,
        standing: impl Fn(NodeId) -> Standing,
    ) -> Option<usize> {
        let young = width.div_ceil(2);
        let mut farthest = None;
        for (at, held) in self.entries.iter().enumerate() {
            let Standing { failed, rtt } = standing(held.id);
            if failed {
                return Some(at);
            }
            if let Some(rtt) = rtt.filter(|_| at >= young) {
                farthest = farthest.max(Some((rtt, at)));
            }
        }
        let ((far, at), near) = (farthest?, standing(id).rtt?);
        (near * 4 < far * 3).then_some(at)
    }

    pub(super) fn remove(&mut self, id: NodeId) -> bool {
        let before = self.entries.len();
        self.entries.retain(|held| held.id != id);
        let removed = self.entries.len() < before;
        if removed {
            self.entries.shrink_to_fit();
        }
        removed
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
    fn the_old_stay_while_they_answer() {
        let mut bucket = Bucket::default();
        let fine = |_| Standing::default();
        assert_eq!(bucket.offer(entry(1), 2, fine), Offer::Added);
        assert_eq!(bucket.offer(entry(2), 2, fine), Offer::Added);
        assert_eq!(bucket.offer(entry(1), 2, fine), Offer::Known);
        assert_eq!(bucket.offer(entry(3), 2, fine), Offer::Full);
        let failed = |id| Standing {
            failed: id == entry(1).id,
            rtt: None,
        };
        assert_eq!(
            bucket.offer(entry(3), 2, failed),
            Offer::Replaced(entry(1).id)
        );
        assert!(bucket.entries().eq([entry(2), entry(3)]));
    }

    #[test]
    fn the_younger_half_goes_to_the_near_and_the_older_stays() {
        let far = |n: u16| Duration::from_millis(if n < 4 { 100 } else { 80 - u64::from(n) });
        let standing = |id| Standing {
            failed: false,
            rtt: (0..20).find(|n| entry(*n).id == id).map(far),
        };
        let mut bucket = Bucket::default();
        for n in 0..4 {
            bucket.offer(entry(n), 4, standing);
        }
        assert_eq!(
            bucket.offer(entry(10), 4, standing),
            Offer::Replaced(entry(3).id)
        );
        assert_eq!(
            bucket.offer(entry(11), 4, standing),
            Offer::Replaced(entry(2).id)
        );
        // Not near enough to be worth a change.
        assert_eq!(bucket.offer(entry(12), 4, standing), Offer::Full);
        let left = [entry(0), entry(1), entry(10), entry(11)];
        assert!(bucket.entries().eq(left));
    }
}
