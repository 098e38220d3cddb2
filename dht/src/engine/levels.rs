//! Levels at work: which cluster this node says it is in, who shares it, and its routing tables.
//!
//! Whether the node moves to another cluster is the business of `moves`.

use std::time::Duration;

use common::clock::Moment;
use common::ids::{ClusterId, Key, NodeId};
use common::limits::LEVELS_MAX;
use common::wire::header::LevelInfo;

use super::cluster::Membership;
use super::liveness::Peer;
use super::lookup::{Lead, Span};
use super::node::Node;
use super::routing::{Entry, Offer, Table};

/// A node in the same clusters as before that was offered to the tables within this time is not
/// offered again: what had no room for it then has none now.
const OFFERED_LATELY: Duration = Duration::from_secs(60);

impl Node {
    /// The innermost level.
    pub(super) fn innermost(&self) -> u8 {
        u8::try_from(self.memberships.len()).unwrap_or(u8::MAX)
    }

    /// All levels.
    pub(super) fn span(&self) -> Span {
        Span {
            innermost: self.innermost(),
            outermost: 0,
        }
    }

    /// The routing table of `level`, if there is such a level.
    pub(super) fn table_at(&self, level: u8) -> Option<&Table> {
        match level.checked_sub(1) {
            None => Some(&self.table),
            Some(n) => self.memberships.get(usize::from(n)).map(|m| &m.table),
        }
    }

    pub(super) fn membership(&mut self, level: u8) -> Option<&mut Membership> {
        self.memberships.get_mut(usize::from(level.checked_sub(1)?))
    }

    /// This node's cluster at `level`.
    pub(super) fn cluster_at(&self, level: u8) -> Option<ClusterId> {
        match level.checked_sub(1) {
            None => Some(ClusterId::ZERO),
            Some(n) => self.memberships.get(usize::from(n)).map(|m| m.cluster),
        }
    }

    /// Whether a node that says `theirs` is in this node's cluster at `level`.
    pub(super) fn shares(&self, level: u8, theirs: &[LevelInfo]) -> bool {
        let own = self.cluster_at(level);
        level == 0 || theirs.get(usize::from(level)).map(|l| l.cluster) == own && own.is_some()
    }

    /// The innermost level up to `most` at which a node that says `theirs` shares a cluster.
    pub(super) fn shared(&self, theirs: &[LevelInfo], most: u8) -> u8 {
        let mut levels = (1..=most.min(self.innermost())).rev();
        levels
            .find(|level| self.shares(*level, theirs))
            .unwrap_or(0)
    }

    /// The innermost level at which a remembered node shares a cluster, by its own word.
    pub(super) fn shared_with(&self, peer: &Peer) -> u8 {
        let mut levels = (1..=self.innermost()).rev();
        let shares = |level: &u8| {
            let theirs = peer.cluster(*level);
            theirs.is_some() && theirs == self.cluster_at(*level)
        };
        levels.find(shares).unwrap_or(0)
    }

    /// Whether a node that was in these clusters, from level 1 inward, was in this node's.
    fn shared_before(&self, level: u8, inner: &[LevelInfo]) -> bool {
        let theirs = level.checked_sub(1).and_then(|n| inner.get(usize::from(n)));
        theirs.is_some_and(|theirs| self.cluster_at(level) == Some(theirs.cluster))
    }

    /// What every datagram says of this node's clusters.
    pub(super) fn header_levels(&self, now: Moment) -> Vec<LevelInfo> {
        let age_s = |since| u32::try_from(now.since(since).as_secs()).unwrap_or(u32::MAX);
        let mut levels = vec![LevelInfo {
            size: self.size,
            age_s: age_s(self.born),
            ..LevelInfo::default()
        }];
        levels.extend(self.memberships.iter().map(|m| LevelInfo {
            cluster: m.cluster,
            size: m.size,
            age_s: age_s(m.founded),
        }));
        levels
    }

    /// A node was heard and says it is in these clusters: it enters or leaves the routing tables.
    /// Says whether it is new to the world's.
    pub(super) fn enlist(&mut self, now: Moment, entry: Entry, levels: &[LevelInfo]) -> bool {
        let Some(peer) = self.peers.at_mut(entry.id) else {
            return false;
        };
        let levels = &levels[..levels.len().min(LEVELS_MAX)];
        let lately = peer
            .offered
            .is_some_and(|at| at.is_within(now, OFFERED_LATELY));
        let before = peer.said_levels(levels);
        if before.is_none() && lately {
            return false;
        }
        if !lately {
            peer.offered = Some(now.into());
        }
        for level in 1..=self.innermost() {
            if self.shares(level, levels) {
                self.tabulate(level, entry);
            } else if before
                .as_ref()
                .is_some_and(|b| self.shared_before(level, b))
            {
                self.untable_at(level, entry.id);
                self.neighbour_moved(now, level, entry.id);
            }
        }
        !lately && self.tabulate(0, entry)
    }

    /// A neighbour has left for another cluster: it may know better, and what it holds for this one
    /// is to be held by another.
    fn neighbour_moved(&mut self, now: Moment, level: u8, id: NodeId) {
        let mut rng = self.rng.child();
        self.keep.moved(now, id, &mut rng);
        if let Some(membership) = self.membership(level) {
            membership.look_soon(now, &mut rng);
        }
    }

    /// Offers a node to the table of `level`. Says whether it entered.
    pub(super) fn tabulate(&mut self, level: u8, entry: Entry) -> bool {
        let bit = 1 << level;
        if self.peers.at(entry.id).is_some_and(|p| p.tabled & bit != 0) {
            return false;
        }
        let peers = &self.peers;
        let rtt = |id| peers.at(id).and_then(|peer| peer.rtt.mean());
        let table = match level.checked_sub(1) {
            None => Some(&mut self.table),
            Some(n) => self
                .memberships
                .get_mut(usize::from(n))
                .map(|m| &mut m.table),
        };
        let offer = table.map_or(Offer::Full, |table| table.offer(entry, rtt));
        match offer {
            Offer::Known | Offer::Full => return false,
            Offer::Added => {}
            Offer::Replaced(old) => {
                if let Some(peer) = self.peers.at_mut(old) {
                    peer.tabled &= !bit;
                }
            }
        }
        if let Some(peer) = self.peers.at_mut(entry.id) {
            peer.tabled |= bit;
        }
        self.resize(level);
        true
    }

    /// Takes a node out of the table of `level`. Says whether it was there.
    pub(super) fn untable_at(&mut self, level: u8, id: NodeId) -> bool {
        if let Some(peer) = self.peers.at_mut(id) {
            peer.tabled &= !(1 << level);
            peer.offered = None;
        }
        let removed = match level.checked_sub(1) {
            None => self.table.remove(id),
            Some(n) => self
                .memberships
                .get_mut(usize::from(n))
                .is_some_and(|m| m.table.remove(id)),
        };
        if removed {
            self.resize(level);
        }
        removed
    }

    fn resize(&mut self, level: u8) {
        match self.membership(level) {
            None => self.size = self.table.size_estimate(),
            Some(membership) => membership.size = membership.table.size_estimate(),
        }
    }

    /// A node of the table of `level` as a walk wants to know it.
    pub(super) fn lead(&self, entry: Entry, level: u8, via: Option<NodeId>) -> Lead {
        let peer = self.peers.at(entry.id);
        Lead {
            entry,
            level,
            rtt: peer.and_then(|peer| peer.rtt.mean()),
            via,
        }
    }

    /// Nodes a walk to `key` starts from: the closest of every level, and those on the way. Tables
    /// hold nobody who has failed.
    pub(super) fn start_of(&self, key: &Key, span: Span, count: usize) -> Vec<Lead> {
        let mut leads = Vec::new();
        for level in (span.outermost..=span.innermost).rev() {
            let Some(table) = self.table_at(level) else {
                continue;
            };
            let closest = table.closest(key, count);
            for entry in closest.into_iter().chain(table.toward(key)) {
                leads.push(self.lead(entry, level, None));
            }
        }
        leads
    }
}
