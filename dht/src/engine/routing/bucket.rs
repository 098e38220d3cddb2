//! One bucket and its replacement rule: the old half stays as long as it answers, the other half
//! goes to whoever is near.
//!
//! Old live nodes are the ones likeliest to stay (Kademlia §2.2), and what keeps the two sides of an
//! ocean linked. Near ones make every hop cheaper (proximity selection). So a newcomer to a full
//! bucket takes the place of the farthest of the younger half if it is clearly nearer than that.
//! Whoever fails is taken out at once, so buckets hold nobody who has failed.

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
    /// It is there now, in the place of this one, which was farther.
    Replaced(NodeId),
    /// There is no room.
    Full,
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
        rtt: impl Fn(NodeId) -> Option<Duration>,
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
        let Some(at) = self.replaceable(entry.id, width, rtt) else {
            return Offer::Full;
        };
        let replaced = self.entries.remove(at);
        self.entries.push(entry.into());
        Offer::Replaced(replaced.id)
    }

    /// The farthest of the younger half, if `id` takes under three quarters of its time. Each node
    /// is looked up once: it is where offers spend their time.
    fn replaceable(
        &self,
        id: NodeId,
        width: usize,
        rtt: impl Fn(NodeId) -> Option<Duration>,
    ) -> Option<usize> {
        let near = rtt(id)?;
        let younger = (0..).zip(&self.entries).skip(width.div_ceil(2));
        let measured = younger.filter_map(|(at, held)| Some((rtt(held.id)?, at)));
        let (far, at) = measured.max()?;
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
        let unmeasured = |_| None;
        assert_eq!(bucket.offer(entry(1), 2, unmeasured), Offer::Added);
        assert_eq!(bucket.offer(entry(2), 2, unmeasured), Offer::Added);
        assert_eq!(bucket.offer(entry(1), 2, unmeasured), Offer::Known);
        assert_eq!(bucket.offer(entry(3), 2, unmeasured), Offer::Full);
        assert!(bucket.remove(entry(1).id));
        assert_eq!(bucket.offer(entry(3), 2, unmeasured), Offer::Added);
        assert!(bucket.entries().eq([entry(2), entry(3)]));
    }

    #[test]
    fn the_younger_half_goes_to_the_near_and_the_older_stays() {
        let far = |n: u16| Duration::from_millis(if n < 4 { 100 } else { 80 - u64::from(n) });
        let rtt = |id| (0..20).find(|n| entry(*n).id == id).map(far);
        let mut bucket = Bucket::default();
        for n in 0..4 {
            bucket.offer(entry(n), 4, rtt);
        }
        assert_eq!(
            bucket.offer(entry(10), 4, rtt),
            Offer::Replaced(entry(3).id)
        );
        assert_eq!(
            bucket.offer(entry(11), 4, rtt),
            Offer::Replaced(entry(2).id)
        );
        // Not near enough to be worth a change.
        assert_eq!(bucket.offer(entry(12), 4, rtt), Offer::Full);
        let left = [entry(0), entry(1), entry(10), entry(11)];
        assert!(bucket.entries().eq(left));
    }
}
