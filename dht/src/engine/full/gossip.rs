//! Which news this node still passes on, and how often it has.
//!
//! Only whom the news is of is kept; what is told is what is believed at that moment, so that news
//! that overtake each other become one. Each is passed on a number of times that grows with the
//! logarithm of the membership, the least told first; whoever it misses learns it when digests are
//! compared.

use std::collections::{BTreeMap, BTreeSet};

use common::ids::NodeId;

use super::owners::{head, mix};
use crate::engine::message::Rumour;
use crate::engine::message::rumour::{RUMOURS_MAX, rumour_len};

/// News that are still passed on.
#[derive(Clone, Debug)]
pub struct News {
    told: BTreeMap<NodeId, u32>,
    queue: BTreeSet<(u32, u64, NodeId)>,
    salt: u64,
}

/// How often each of `members` passes a piece of news on: every one of them hears it from others
/// this often on average, in either direction of a probe, so that fewer than one in a hundred does
/// not hear it at all.
#[must_use]
pub const fn times(members: usize) -> u32 {
    2 + (usize::BITS - members.leading_zeros()) / 2
}

impl News {
    /// None. Among news told equally often the order depends on `salt`, so that nodes differ.
    #[must_use]
    pub const fn new(salt: u64) -> Self {
        Self {
            told: BTreeMap::new(),
            queue: BTreeSet::new(),
            salt,
        }
    }

    /// Members of whom there is news.
    #[must_use]
    pub fn len(&self) -> usize {
        self.told.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// There is something new of `id`.
    pub fn add(&mut self, id: NodeId) {
        if let Some(times) = self.told.insert(id, 0) {
            self.queue.remove(&self.place(times, id));
        }
        self.queue.insert(self.place(0, id));
    }

    /// News to add to a message that carries `message` already and has `room` bytes left, each told
    /// at most `times` in all; `believed` says what is to be told.
    pub fn pick(
        &mut self,
        message: &mut Vec<Rumour>,
        mut room: usize,
        times: u32,
        believed: impl Fn(NodeId) -> Option<Rumour>,
    ) {
        let mut picked = Vec::new();
        for &(_, _, id) in &self.queue {
            if message.len() >= RUMOURS_MAX || room < rumour_len_least() {
                break;
            }
            let Some(rumour) = believed(id) else {
                picked.push((id, true));
                continue;
            };
            if let Some(rest) = room.checked_sub(rumour_len(&rumour)) {
                room = rest;
                picked.push((id, false));
                message.push(rumour);
            }
        }
        for (id, forgotten) in picked {
            let before = self.told.get(&id).copied().unwrap_or(0);
            self.queue.remove(&self.place(before, id));
            if forgotten || before + 1 >= times {
                self.told.remove(&id);
            } else {
                self.told.insert(id, before + 1);
                self.queue.insert(self.place(before + 1, id));
            }
        }
    }

    fn place(&self, times: u32, id: NodeId) -> (u32, u64, NodeId) {
        (times, mix(head(id.as_bytes()) ^ self.salt), id)
    }
}

/// Bytes of the shortest rumour: an IPv4 address without services.
const fn rumour_len_least() -> usize {
    17
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::engine::message::Standing;

    fn addr(n: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, n], 1))
    }

    fn rumour(id: NodeId) -> Option<Rumour> {
        let addr = (0..=9).map(addr).find(|addr| NodeId::of(*addr) == id)?;
        Some(Rumour {
            addr,
            incarnation: 0,
            run: 0,
            standing: Standing::Alive,
            services: Vec::new(),
        })
    }

    fn picked(news: &mut News, room: usize) -> Vec<NodeId> {
        let mut message = Vec::new();
        news.pick(&mut message, room, 2, rumour);
        message.iter().map(|r| NodeId::of(r.addr)).collect()
    }

    #[test]
    fn each_is_told_so_often_and_the_least_told_first() {
        let mut news = News::new(5);
        (0..4).for_each(|n| news.add(NodeId::of(addr(n))));
        let (first, second) = (picked(&mut news, 40), picked(&mut news, 40));
        assert_eq!((first.len(), second.len()), (2, 2));
        assert!(first.iter().all(|id| !second.contains(id)));
        assert_eq!(picked(&mut news, 1_000).len(), 4);
        assert!(news.is_empty() && picked(&mut news, 1_000).is_empty());
    }

    #[test]
    fn what_is_new_again_is_told_anew_and_who_is_forgotten_not_at_all() {
        let mut news = News::new(5);
        news.add(NodeId::of(addr(1)));
        news.add(NodeId::of(addr(99)));
        assert_eq!(picked(&mut news, 1_000).len(), 1);
        assert_eq!(news.len(), 1);
        news.add(NodeId::of(addr(1)));
        assert_eq!(picked(&mut news, 1_000).len(), 1);
        assert_eq!(picked(&mut news, 1_000).len(), 1);
        assert!(news.is_empty());
    }

    #[test]
    fn a_full_message_takes_no_more() {
        let mut news = News::new(5);
        news.add(NodeId::of(addr(1)));
        assert!(picked(&mut news, 16).is_empty());
        assert_eq!(news.len(), 1);
    }
}
