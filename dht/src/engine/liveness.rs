//! What is known first-hand of other nodes: one object per node, for every level and every walk.
//!
//! Only what this node heard or failed to hear itself counts. A mention by a third node is
//! believed against a failure seen here only if the third node heard the mentioned one later. A
//! node fails when two requests in a row, each with its retransmissions and the second begun after
//! the first had failed, go unanswered.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{ClusterId, NodeId};
use common::wire::header::LevelInfo;

use super::message::{Service, Token};
use super::place::Place;
use super::rtt::Rtt;
use super::second::Second;
use super::token;

/// Failed requests in a row that make a node failed.
const FAILURES_MAX: u8 = 2;

/// Whoever was given a token this long ago at most has it, and knows that it still holds.
const TOKEN_KEPT: Duration = Duration::from_secs(token::USE_FOR.as_secs() - 5);

/// A full memory forgets this part of what it may hold.
const FORGOTTEN_SHARE: usize = 16;

/// Whether a node has said in which clusters it is, and which run of it this is.
const HAS_LEVELS: u8 = 1;
const HAS_BOOT: u8 = 2;

/// A remote node. Hundreds are remembered, so what few have is boxed, and what can be small is.
#[derive(Clone, Debug)]
pub struct Peer {
    /// When it was last heard directly.
    pub heard: Option<Moment>,
    /// When it was last asked anything.
    pub asked: Option<Moment>,
    /// Its round-trip time.
    pub rtt: Rtt,
    /// When it was last given a token.
    pub served: Option<Second>,
    /// When it was last offered to the routing tables.
    pub offered: Option<Second>,
    /// Its clusters, by its own word, from level 1 inward: the world is the same for all.
    inner: Box<[LevelInfo]>,
    /// The levels whose routing tables hold it, one bit each.
    pub tabled: u8,
    /// [`HAS_LEVELS`] and [`HAS_BOOT`].
    said: u8,
    place: Place,
    boot: u64,
    /// Boxed and dropped when it is over: few are in use at a time.
    token: Option<Box<(Token, Moment)>>,
    rare: Option<Box<Rare>>,
}

/// What few nodes have.
#[derive(Clone, Debug, Default)]
struct Rare {
    services: Vec<Service>,
    failures: u8,
    last_failure: Option<Moment>,
    failed: Option<Moment>,
}

impl Peer {
    fn new(addr: SocketAddr) -> Self {
        Self {
            heard: None,
            asked: None,
            rtt: Rtt::UNMEASURED,
            served: None,
            offered: None,
            inner: Box::default(),
            tabled: 0,
            said: 0,
            place: Place::from(addr),
            boot: 0,
            token: None,
            rare: None,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.place.into()
    }

    /// What runs there, by its own word.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        self.rare.as_ref().map_or(&[], |rare| &rare.services)
    }

    /// It said what runs there.
    pub fn runs(&mut self, services: &[Service]) {
        if self.services() != services {
            self.rare.get_or_insert_default().services = services.to_vec();
        }
    }

    /// Whether a pong has said which run of the node this is.
    #[must_use]
    pub const fn is_introduced(&self) -> bool {
        self.said & HAS_BOOT != 0
    }

    /// It said which run of it this is. Says whether it was another one before.
    pub const fn booted(&mut self, boot: u64) -> bool {
        let restarted = self.is_introduced() && self.boot != boot;
        (self.said, self.boot) = (self.said | HAS_BOOT, boot);
        restarted
    }

    /// Whether any routing table holds it.
    #[must_use]
    pub const fn is_tabled(&self) -> bool {
        self.tabled != 0
    }

    /// Its cluster at `level`, if it said so.
    #[must_use]
    pub fn cluster(&self, level: u8) -> Option<ClusterId> {
        match level {
            0 => self.has_levels().then_some(ClusterId::ZERO),
            level => self.word(level).map(|word| word.cluster),
        }
    }

    /// What it said of its cluster at `level`, from 1 inward.
    #[must_use]
    pub fn word(&self, level: u8) -> Option<&LevelInfo> {
        self.inner.get(usize::from(level.checked_sub(1)?))
    }

    /// Whether it has said in which clusters it is.
    #[must_use]
    pub const fn has_levels(&self) -> bool {
        self.said & HAS_LEVELS != 0
    }

    /// It said in which clusters it is, the world first. If it said others before: those inside
    /// the world, from level 1 inward.
    pub fn said_levels(&mut self, levels: &[LevelInfo]) -> Option<Box<[LevelInfo]>> {
        let inner = levels.get(1..).unwrap_or_default();
        let clusters = |levels| <[LevelInfo]>::iter(levels).map(|l| l.cluster);
        if self.has_levels() != levels.is_empty() && clusters(&self.inner).eq(clusters(inner)) {
            self.inner.copy_from_slice(inner);
            return None;
        }
        self.said = self.said & !HAS_LEVELS | if levels.is_empty() { 0 } else { HAS_LEVELS };
        Some(std::mem::replace(&mut self.inner, inner.into()))
    }

    /// The token it gave, while it certainly holds.
    #[must_use]
    pub fn token(&self, now: Moment) -> Option<Token> {
        let (token, given) = self.token.as_deref()?;
        (now.since(*given) < token::USE_FOR).then_some(*token)
    }

    /// Whether it holds a token of this node, unless it was restarted since or the reply was lost.
    #[must_use]
    pub fn holds_token(&self, now: Moment) -> bool {
        self.served.is_some_and(|at| at.is_within(now, TOKEN_KEPT))
    }

    /// A reply of it came with this token. With none, the one that the request bore is what it
    /// would have given.
    pub fn given_token(&mut self, now: Moment, token: Option<Token>) {
        let Some(token) = token.or_else(|| self.token(now)) else {
            return;
        };
        match &mut self.token {
            Some(kept) => **kept = (token, now),
            None => self.token = Some(Box::new((token, now))),
        }
    }

    /// Drops what has no use any more.
    pub fn tidy(&mut self, now: Moment) {
        if self.token(now).is_none() {
            self.token = None;
        }
    }

    /// It was heard directly. Says whether it counted as failed until now.
    pub fn hear(&mut self, now: Moment) -> bool {
        self.heard = Some(now);
        let Some(rare) = &mut self.rare else {
            return false;
        };
        rare.failures = 0;
        rare.failed.take().is_some()
    }

    /// Whether it has failed and was not heard since.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed_at().is_some()
    }

    /// When it failed.
    #[must_use]
    pub fn failed_at(&self) -> Option<Moment> {
        self.rare.as_ref()?.failed
    }

    /// Whether it was heard within `within`.
    #[must_use]
    pub fn is_live(&self, now: Moment, within: Duration) -> bool {
        !self.has_failed() && self.heard.is_some_and(|heard| now.since(heard) <= within)
    }

    /// Whether a third node's mention of it, `age` old, is worth following.
    #[must_use]
    pub fn mention_counts(&self, now: Moment, age: Duration) -> bool {
        self.failed_at().is_none_or(|failed| now - age > failed)
    }
}

/// What a failed request came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// One failure: routed around in that walk only.
    Doubtful,
    /// It has failed now: routed around everywhere until it is heard.
    Failed,
    /// Nothing new: it had failed before, or the failure overlaps one already counted.
    Known,
}

/// All remote nodes remembered, at most so many.
///
/// In order of id: a search touches a few lines of memory that ids alone fill, and the order in
/// which nodes are visited is the same in every run.
#[derive(Clone, Debug)]
pub struct Peers {
    ids: Vec<NodeId>,
    /// The node at the same place of `ids`. Boxed, because nodes come and go in the middle.
    #[expect(
        clippy::vec_box,
        reason = "moving places in the middle moves 8 bytes each"
    )]
    peers: Vec<Box<Peer>>,
    max: usize,
}

impl Peers {
    /// An empty memory for at most `max` nodes.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self {
            ids: Vec::new(),
            peers: Vec::new(),
            max,
        }
    }

    /// Nodes remembered.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Where `id` is, or would be. Ids are spread evenly, so its first bits say about where to begin,
    /// and from there it is a few steps.
    fn search(&self, id: NodeId) -> Result<usize, usize> {
        let [a, b, c, d, ..] = *id.as_bytes();
        let share = u64::from(u32::from_be_bytes([a, b, c, d]));
        let about = usize::try_from((share * self.ids.len() as u64) >> 32).unwrap_or(0);
        let (before, after) = self.ids.split_at(about);
        let steps = after.iter().take_while(|known| **known < id).count();
        let place = if steps > 0 {
            about + steps
        } else {
            let back = before.iter().rev().take_while(|known| **known >= id);
            about - back.count()
        };
        if self.ids.get(place) == Some(&id) {
            Ok(place)
        } else {
            Err(place)
        }
    }

    /// The node with this id.
    #[must_use]
    pub fn at(&self, id: NodeId) -> Option<&Peer> {
        let place = self.search(id).ok()?;
        self.peers.get(place).map(Box::as_ref)
    }

    /// The node with this id, to change.
    pub fn at_mut(&mut self, id: NodeId) -> Option<&mut Peer> {
        let place = self.search(id).ok()?;
        self.peers.get_mut(place).map(Box::as_mut)
    }

    /// The node at `addr`, remembered from now on. When full, nodes that are not in the routing
    /// tables are forgotten, the longest unheard first.
    pub fn meet(&mut self, id: NodeId, addr: SocketAddr) -> &mut Peer {
        let place = match self.search(id) {
            Ok(place) => place,
            Err(place) => {
                let place = if self.len() >= self.max {
                    self.forget_some();
                    self.search(id).unwrap_or_else(|place| place)
                } else {
                    place
                };
                self.ids.insert(place, id);
                self.peers.insert(place, Box::new(Peer::new(addr)));
                place
            }
        };
        &mut self.peers[place]
    }

    /// The node that follows `id` in the order of ids; after the last comes the first.
    #[must_use]
    pub fn after(&self, id: NodeId) -> Option<(NodeId, &Peer)> {
        let next = self
            .search(id)
            .map_or_else(|place| place, |place| place + 1);
        let next = if next < self.len() { next } else { 0 };
        Some((*self.ids.get(next)?, self.peers.get(next)?))
    }

    /// Nodes in order of id.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        let peers = self.peers.iter().map(Box::as_ref);
        self.ids.iter().copied().zip(peers)
    }

    /// `id` was heard directly. Says whether it counted as failed until now.
    pub fn heard(&mut self, now: Moment, id: NodeId) -> bool {
        self.at_mut(id).is_some_and(|peer| peer.hear(now))
    }

    /// A request to `id`, begun at `began`, went unanswered.
    pub fn failure(&mut self, now: Moment, id: NodeId, began: Moment) -> Verdict {
        let Some(peer) = self.at_mut(id) else {
            return Verdict::Known;
        };
        let rare = peer.rare.get_or_insert_default();
        let overlaps = rare.last_failure.is_some_and(|last| began < last);
        let heard_since = peer.heard.is_some_and(|heard| heard > began);
        if rare.failed.is_some() || overlaps || heard_since {
            return Verdict::Known;
        }
        rare.last_failure = Some(now);
        rare.failures += 1;
        // One never heard is not worth a second doubt.
        if rare.failures < FAILURES_MAX && peer.heard.is_some() {
            return Verdict::Doubtful;
        }
        rare.failed = Some(now);
        rare.services = Vec::new();
        peer.said &= !HAS_BOOT;
        Verdict::Failed
    }

    /// Several at once, so that a search for the oldest is rare.
    fn forget_some(&mut self) {
        let untabled = self.iter().filter(|(_, peer)| !peer.is_tabled());
        let mut oldest: Vec<_> = untabled
            .map(|(id, peer)| (peer.heard.max(peer.asked), id))
            .collect();
        oldest.sort_unstable();
        oldest.truncate((self.max / FORGOTTEN_SHARE).max(1));
        let mut gone: Vec<_> = oldest.into_iter().map(|(_, id)| id).collect();
        gone.sort_unstable();
        let is_gone = |id: &NodeId| gone.binary_search(id).is_ok();
        let mut ids = self.ids.iter();
        self.peers
            .retain(|_| ids.next().is_none_or(|id| !is_gone(id)));
        self.ids.retain(|id| !is_gone(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(n: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], n))
    }

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn met(peers: &mut Peers, n: u16) -> NodeId {
        let id = NodeId::of(addr(n));
        peers.meet(id, addr(n));
        id
    }

    #[test]
    fn fails_after_two_failures_in_a_row_that_do_not_overlap() {
        let mut peers = Peers::new(8);
        let id = met(&mut peers, 1);
        peers.heard(at(0), id);
        assert_eq!(peers.failure(at(10), id, at(1)), Verdict::Doubtful);
        assert_eq!(peers.failure(at(11), id, at(2)), Verdict::Known);
        assert_eq!(peers.failure(at(20), id, at(12)), Verdict::Failed);
        assert_eq!(peers.failure(at(30), id, at(21)), Verdict::Known);
        assert!(peers.heard(at(40), id));
        assert!(!peers.at(id).unwrap().has_failed());
        assert_eq!(peers.failure(at(50), id, at(41)), Verdict::Doubtful);
    }

    #[test]
    fn a_failure_of_one_heard_meanwhile_is_none() {
        let mut peers = Peers::new(8);
        let id = met(&mut peers, 1);
        peers.heard(at(5), id);
        assert_eq!(peers.failure(at(10), id, at(1)), Verdict::Known);
    }

    #[test]
    fn hearsay_counts_only_when_younger_than_the_failure_seen_here() {
        let mut peers = Peers::new(8);
        let id = met(&mut peers, 1);
        assert_eq!(peers.failure(at(1_000), id, at(0)), Verdict::Failed);
        let peer = peers.at(id).unwrap();
        assert!(!peer.mention_counts(at(2_000), Duration::from_millis(1_500)));
        assert!(peer.mention_counts(at(2_000), Duration::from_millis(500)));
    }

    #[test]
    fn a_full_memory_forgets_the_longest_unheard_outside_the_table() {
        let mut peers = Peers::new(3);
        let ids = [met(&mut peers, 1), met(&mut peers, 2), met(&mut peers, 3)];
        peers.heard(at(1), ids[0]);
        peers.heard(at(2), ids[1]);
        peers.heard(at(3), ids[2]);
        peers.at_mut(ids[0]).unwrap().tabled = 1;
        met(&mut peers, 4);
        assert_eq!(peers.len(), 3);
        assert!(peers.at(ids[0]).is_some() && peers.at(ids[1]).is_none());
    }
}
