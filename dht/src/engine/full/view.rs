//! What the node shows of itself, and what it is to its caller.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{ClusterId, NodeId};

use super::node::Member;
use crate::engine::cluster::Membership;
use crate::engine::command::{Command, LevelInfo, NodeInfo};
use crate::engine::config::IndexKind;
use crate::engine::health::Health;
use crate::engine::index::Index;
use crate::engine::liveness::Peer;
use crate::engine::message::{Service, Standing};
use crate::engine::output::Output;
use crate::engine::routing::Entry;
use crate::engine::stats::Stats;
use crate::engine::store::Held;
use crate::engine::view::{ContactView, Sizes};

impl Member {
    /// The largest round trip inside `level`, without end for the world; `None`: no such level.
    pub(super) fn threshold(&self, level: u8) -> Option<Option<Duration>> {
        match level {
            0 => Some(None),
            level => {
                let thresholds = &self.config.levels.thresholds;
                thresholds.get(usize::from(level) - 1).copied().map(Some)
            }
        }
    }

    /// The innermost level in whose threshold a round trip is.
    fn level_of(&self, rtt: Option<Duration>) -> u8 {
        let thresholds = &self.config.levels.thresholds;
        let inside = |limit: &&Duration| rtt.is_some_and(|rtt| rtt < **limit);
        let inside = thresholds.iter().take_while(inside).count();
        u8::try_from(inside).unwrap_or(u8::MAX)
    }

    /// Living members by their measured round trip, the nearest first.
    pub(super) fn nearest(&self, count: usize) -> Vec<Entry> {
        let usable = |(id, peer): (NodeId, &Peer)| {
            let rtt = peer.rtt.mean().filter(|_| !peer.has_failed())?;
            self.roster.lives(id).then_some((rtt, id, peer.addr()))
        };
        let mut near: Vec<_> = self.peers.iter().filter_map(usable).collect();
        near.sort_unstable();
        near.truncate(count);
        near.into_iter()
            .map(|(_, id, addr)| Entry { id, addr })
            .collect()
    }

    /// The levels of this node, the world first. A level is a neighbourhood of this node's own:
    /// its size is the share of measured members that are near, of all.
    pub(super) fn levels(&self, now: Moment) -> Vec<LevelInfo> {
        let living = self.roster.living() + 1;
        let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let age = now.since(self.born);
        let mut levels = vec![LevelInfo {
            level: 0,
            threshold: None,
            cluster: ClusterId::ZERO,
            size: size(living),
            age,
        }];
        // Nobody else is in it: everybody has a circle of its own.
        let [a, b, c, d, e, f, g, h, ..] = *self.own.id.as_bytes();
        let circle = ClusterId::new(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        let measured = self.peers.iter().filter(|(id, _)| self.roster.lives(*id));
        let measured: Vec<_> = measured.filter_map(|(_, peer)| peer.rtt.least()).collect();
        for (level, limit) in (1..).zip(&self.config.levels.thresholds) {
            let near = measured.iter().filter(|least| *least < limit).count();
            levels.push(LevelInfo {
                level,
                threshold: Some(*limit),
                cluster: circle,
                size: size(1 + near * (living - 1) / measured.len().max(1)),
                age,
            });
        }
        levels
    }

    /// Up to `count` living nodes within `level`, this one included, in random order; where there
    /// are too few, others follow, nearest first. `None`: no such level.
    pub(super) fn live_nodes(
        &mut self,
        level: u8,
        count: usize,
        service: Option<&str>,
    ) -> Option<Vec<NodeInfo>> {
        let within = self.threshold(level)?;
        let runs = |services: &[Service]| {
            service.is_none_or(|wanted| services.iter().any(|(name, _)| name == wanted))
        };
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for (id, record) in self.roster.iter_living() {
            let peer = self.peers.at(id);
            let silent = peer.is_some_and(Peer::has_failed);
            if silent || record.standing != Standing::Alive || !runs(&record.services) {
                continue;
            }
            let rtt = peer.and_then(|peer| peer.rtt.mean());
            let near = within.is_none_or(|limit| rtt.is_some_and(|rtt| rtt < limit));
            let info = NodeInfo {
                id,
                addr: record.addr,
                rtt,
                near: None,
                services: record.services.clone(),
            };
            if near { &mut inside } else { &mut outside }.push(info);
        }
        if runs(&self.services) {
            let Entry { id, addr } = self.own;
            let services = self.services.clone();
            let rtt = None;
            inside.push(NodeInfo {
                id,
                addr,
                rtt,
                near: None,
                services,
            });
        }
        self.shuffle(&mut inside);
        outside.sort_by_key(|node| (node.rtt.unwrap_or(Duration::MAX), node.id));
        inside.extend(outside);
        inside.truncate(count);
        Some(inside)
    }

    pub(super) fn verdict(&self, now: Moment) -> Health {
        self.test.health(now, self.roster.living() > 0)
    }
}

impl Index for Member {
    fn kind(&self) -> IndexKind {
        IndexKind::Full
    }

    fn id(&self) -> NodeId {
        self.own.id
    }

    fn addr(&self) -> SocketAddr {
        self.own.addr
    }

    fn handle_datagram(&mut self, now: Moment, from: SocketAddr, datagram: &[u8]) {
        self.receive(now, from, datagram);
    }

    fn handle_command(&mut self, now: Moment, command: Command) {
        self.command(now, command);
    }

    fn handle_timeout(&mut self, now: Moment) {
        self.wake_up(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.next_output()
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }

    fn sizes(&self) -> Sizes {
        Sizes {
            contacts: self.roster.living(),
            peers: self.peers.len(),
            keys: self.store.keys(),
            values: self.store.len(),
            value_bytes: self.store.bytes(),
            kept: self.keep.len(),
            calls: self.calls.len(),
            tasks: self.tasks.len(),
            replays: self.replays.len(),
            replays_rotated_early: self.replays.rotated_early(),
            rates: 0,
            services: self.services.len(),
            network: u32::try_from(self.roster.living() + 1).unwrap_or(u32::MAX),
        }
    }

    fn contacts(&self, now: Moment) -> Vec<ContactView> {
        let view = |(id, record): (NodeId, &super::roster::Record)| {
            let peer = self.peers.at(id);
            let rtt = peer.and_then(|peer| peer.rtt.mean());
            ContactView {
                id,
                addr: record.addr,
                heard: peer.and_then(|peer| peer.heard).map(|at| now.since(at)),
                rtt,
                level: self.level_of(rtt),
                services: record.services.clone(),
                failed: !record.lives() || peer.is_some_and(Peer::has_failed),
            }
        };
        self.roster.iter().map(view).collect()
    }

    fn memberships(&self) -> &[Membership] {
        &[]
    }

    fn services(&self) -> &[Service] {
        &self.services
    }

    fn seen_elsewhere(&self) -> Option<SocketAddr> {
        self.seen_elsewhere
    }

    fn known_peers(&self) -> Vec<SocketAddr> {
        let heard = |id| self.peers.at(id).and_then(|peer| peer.heard);
        let living = self.roster.iter_living();
        let mut known: Vec<_> = living
            .map(|(id, record)| (heard(id), record.addr))
            .collect();
        known.sort_unstable_by(|a, b| b.cmp(a));
        known.truncate(self.config.full.peers);
        known.into_iter().map(|(_, addr)| addr).collect()
    }

    fn held(&self, now: Moment) -> Vec<Held> {
        self.store.all(now)
    }

    fn restore(&mut self, now: Moment, held: Vec<Held>) -> usize {
        self.store.restore(now, held)
    }

    fn health(&self, now: Moment) -> Health {
        self.verdict(now)
    }

    fn is_ready(&self, now: Moment) -> bool {
        match self.verdict(now) {
            Health::Healthy => true,
            Health::Alone | Health::Untested => self.config.seeds.is_empty(),
            Health::Failing => false,
        }
    }
}
