//! What the node shows of itself: live nodes, levels, numbers. Changes nothing; of the nodes it
//! recommends it pings the silent ones.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{ClusterId, Key, NodeId};

use super::cluster::Membership;
use super::command::{LevelInfo, NodeInfo};
use super::message::Service;
use super::node::Node;
use super::routing::{Entry, Table};
use super::stats::Stats;

/// Pings a live contact may have missed: two, and the third is under way.
const LIVE_WITHIN_PINGS: u32 = 3;

/// Nodes recommended to a client that are pinged at once.
const VERIFIED_AT_ONCE: usize = 8;

/// Sizes of the node's tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// Nodes in the routing table.
    pub contacts: usize,
    /// Remote nodes remembered.
    pub peers: usize,
    /// Keys with values of others and own.
    pub keys: usize,
    /// Values stored.
    pub values: usize,
    /// Bytes of values stored.
    pub value_bytes: usize,
    /// Own values remembered for healing.
    pub kept: usize,
    /// Requests under way.
    pub calls: usize,
    /// Tasks under way.
    pub tasks: usize,
    /// Requests in the replay filter.
    pub replays: usize,
    /// Times the replay filter filled before its time.
    pub replays_rotated_early: u64,
    /// Keys whose rate of requests is remembered.
    pub rates: usize,
    /// Services registered here.
    pub services: usize,
    /// Estimated nodes in the network.
    pub network: u32,
}

/// A contact as the state page shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContactView {
    /// Its id.
    pub id: NodeId,
    /// Its address.
    pub addr: SocketAddr,
    /// Time since it was last heard directly.
    pub heard: Option<Duration>,
    /// Smoothed round-trip time.
    pub rtt: Option<Duration>,
    /// The innermost level at which it shares a cluster with this node.
    pub level: u8,
    /// What runs there.
    pub services: Vec<Service>,
    /// Whether it has failed and was not heard since.
    pub failed: bool,
}

impl Node {
    /// This node's id.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.own.id
    }

    /// The address others reach this node at.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.own.addr
    }

    /// Services registered by local clients.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Where a contact last saw this node, if not at its own address.
    #[must_use]
    pub const fn seen_elsewhere(&self) -> Option<SocketAddr> {
        self.seen_elsewhere
    }

    /// Sizes of all tables.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        Sizes {
            contacts: self.table.len(),
            peers: self.peers.len(),
            keys: self.store.keys(),
            values: self.store.len(),
            value_bytes: self.store.bytes(),
            kept: self.keep.len(),
            calls: self.calls.len(),
            tasks: self.tasks.len(),
            replays: self.replays.len(),
            replays_rotated_early: self.replays.rotated_early(),
            rates: self.spill.len(),
            services: self.services.len(),
            network: self.size,
        }
    }

    /// Addresses worth remembering across a restart: contacts, the lately heard first.
    #[must_use]
    pub fn known_peers(&self) -> Vec<SocketAddr> {
        let mut known: Vec<_> = self
            .table
            .iter()
            .map(|entry| {
                (
                    self.peers.at(entry.id).and_then(|peer| peer.heard),
                    entry.addr,
                )
            })
            .collect();
        known.sort_unstable_by(|a, b| b.cmp(a));
        known.into_iter().map(|(_, addr)| addr).collect()
    }

    /// Contacts and lately failed nodes, in order of id.
    #[must_use]
    pub fn contacts(&self, now: Moment) -> Vec<ContactView> {
        let shown = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.is_tabled() || peer.has_failed());
        let view = |(id, peer): (NodeId, &super::liveness::Peer)| ContactView {
            id,
            addr: peer.addr(),
            heard: peer.heard.map(|heard| now.since(heard)),
            rtt: peer.rtt.mean(),
            level: self.shared_with(peer),
            services: peer.services().to_vec(),
            failed: peer.has_failed(),
        };
        shown.map(view).collect()
    }

    /// Whether this node holds a value of `publisher` under `key`.
    #[must_use]
    pub fn holds(&self, now: Moment, key: Key, publisher: NodeId) -> bool {
        self.store.until(now, key, publisher).is_some()
    }

    /// The levels of this node, the world first.
    pub(super) fn levels(&self, now: Moment) -> Vec<LevelInfo> {
        let age = now.since(self.born);
        let cluster = ClusterId::ZERO;
        let mut levels = vec![LevelInfo {
            level: 0,
            threshold: None,
            cluster,
            size: self.size,
            age,
        }];
        levels.extend((1..).zip(&self.memberships).map(|(level, m)| LevelInfo {
            level,
            threshold: Some(m.threshold),
            cluster: m.cluster,
            size: m.size,
            age: now.since(m.founded),
        }));
        levels
    }

    /// The memberships above the world, level 1 first, for the state page.
    #[must_use]
    pub fn memberships(&self) -> &[Membership] {
        &self.memberships
    }

    /// Up to `count` nodes of `level` live by first-hand evidence, this one included, in random
    /// order. Where the cluster has too few, nodes of the levels around it follow, nearest first.
    pub(super) fn live_nodes(
        &mut self,
        now: Moment,
        level: u8,
        count: usize,
        service: Option<&str>,
    ) -> Vec<NodeInfo> {
        let runs = |services: &[Service]| {
            service.is_none_or(|wanted| services.iter().any(|(name, _)| name == wanted))
        };
        let within = self.ping_round() * LIVE_WITHIN_PINGS;
        let contact = |entry: Entry| {
            let peer = self
                .peers
                .at(entry.id)
                .filter(|peer| peer.is_live(now, within))?;
            runs(peer.services()).then(|| NodeInfo {
                id: entry.id,
                addr: entry.addr,
                rtt: peer.rtt.mean(),
                near: None,
                services: peer.services().to_vec(),
            })
        };
        let table = self.table_at(level);
        let mut nodes: Vec<_> = table
            .into_iter()
            .flat_map(Table::iter)
            .filter_map(contact)
            .collect();
        let outside = (0..level).rev().filter_map(|outer| self.table_at(outer));
        let mut outside: Vec<_> = outside.flat_map(Table::iter).filter_map(contact).collect();
        outside.retain(|node| nodes.iter().all(|inner| inner.id != node.id));
        outside.sort_by_key(|node| (node.rtt.unwrap_or(Duration::MAX), node.id));
        outside.dedup_by_key(|node| node.id);
        if runs(&self.services) {
            let Entry { id, addr } = self.own;
            nodes.push(NodeInfo {
                id,
                addr,
                rtt: None,
                near: None,
                services: self.services.clone(),
            });
        }
        self.shuffle(&mut nodes);
        nodes.extend(outside);
        nodes.truncate(count);
        self.verify(now, &nodes);
        nodes
    }

    /// Whoever is recommended is pinged unless it was heard lately: contacts that are asked for
    /// are known better than those that are not.
    fn verify(&mut self, now: Moment, nodes: &[NodeInfo]) {
        let pace = self.config.contacts.ping_idle;
        for NodeInfo { id, addr, .. } in nodes.iter().take(VERIFIED_AT_ONCE) {
            let peer = self.peers.at(*id);
            let lately = peer.and_then(|peer| peer.heard.max(peer.asked));
            if lately.is_none_or(|at| now.since(at) > pace) {
                self.probe(
                    now,
                    Entry {
                        id: *id,
                        addr: *addr,
                    },
                );
            }
        }
    }
}
