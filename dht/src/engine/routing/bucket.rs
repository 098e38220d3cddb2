//! One bucket and its replacement rule: who answered first stays as long as it answers.
//!
//! Old live nodes are the ones likeliest to stay (Kademlia §2.2), so a newcomer to a full bucket
//! only takes the place of one that failed.

use common::ids::NodeId;

use super::Entry;

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

/// Nodes at one distance, the longest known first.
#[derive(Clone, Debug, Default)]
pub(super) struct Bucket {
    entries: Vec<Entry>,
}

impl Bucket {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn offer(
        &mut self,
        entry: Entry,
        width: usize,
        failed: impl Fn(NodeId) -> bool,
    ) -> Offer {
        if self.entries.iter().any(|held| held.id == entry.id) {
            return Offer::Known;
        }
        if self.entries.len() < width {
            self.entries.push(entry);
            return Offer::Added;
        }
        let Some(at) = self.entries.iter().position(|held| failed(held.id)) else {
            return Offer::Full;
        };
        let replaced = self.entries.remove(at);
        self.entries.push(entry);
        Offer::Replaced(replaced.id)
    }

    pub(super) fn remove(&mut self, id: NodeId) -> bool {
        let before = self.entries.len();
        self.entries.retain(|held| held.id != id);
        self.entries.len() < before
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
        assert_eq!(bucket.offer(entry(1), 2, |_| false), Offer::Added);
        assert_eq!(bucket.offer(entry(2), 2, |_| false), Offer::Added);
        assert_eq!(bucket.offer(entry(1), 2, |_| false), Offer::Known);
        assert_eq!(bucket.offer(entry(3), 2, |_| false), Offer::Full);
        let failed = |id| id == entry(1).id;
        assert_eq!(
            bucket.offer(entry(3), 2, failed),
            Offer::Replaced(entry(1).id)
        );
        assert_eq!(bucket.entries(), [entry(2), entry(3)]);
    }
}
