//! Nothing grows without bound: no datagram over its size, no table of any node over its own.

use common::clock::Moment;
use common::limits::DATAGRAM_MAX;
use dht::engine::{Config, IndexKind};

use super::{Checker, Seen};
use crate::model::Model;
use crate::report::{Report, ratio};
use crate::world::World;

/// Buckets of a routing table: one per bit of an id.
const BUCKETS: usize = 160;

/// Requests a task may have under way, with those of upkeep.
const CALLS_PER_TASK: usize = 4;

/// Checks sizes.
#[derive(Debug)]
pub(crate) struct Bounds {
    config: Config,
    largest: usize,
    most: [(usize, &'static str); 9],
    broken: Vec<String>,
    broken_count: usize,
}

impl Bounds {
    /// Against the bounds of `config`.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            config: config.clone(),
            largest: 0,
            most: [(0, ""); 9],
            broken: Vec::new(),
            broken_count: 0,
        }
    }

    fn broke(&mut self, what: String) {
        self.broken_count += 1;
        if self.broken.len() < 4 {
            self.broken.push(what);
        }
    }

    fn sampled(&mut self, host: usize, node: &dyn dht::engine::Index) {
        let sizes = node.sizes();
        let Config {
            store,
            lookup,
            admit,
            contacts,
            full,
            ..
        } = &self.config;
        let (known, peers) = match node.kind() {
            IndexKind::Sloppy => (contacts.bucket * BUCKETS, contacts.peers),
            IndexKind::Full => (full.members, full.peers),
        };
        let all = [
            (sizes.contacts, known, "contacts"),
            (sizes.peers, peers, "peers"),
            (sizes.keys, store.values, "keys"),
            (sizes.values, store.values, "values"),
            (sizes.value_bytes, store.bytes, "value_bytes"),
            (sizes.kept, contacts.kept, "kept"),
            (sizes.calls, CALLS_PER_TASK * lookup.tasks, "calls"),
            (sizes.tasks, lookup.tasks, "tasks"),
            (sizes.replays, 2 * admit.replays, "replays"),
        ];
        for (at, (size, bound, name)) in all.into_iter().enumerate() {
            let (most, _) = self.most[at];
            self.most[at] = (most.max(size), name);
            if size > bound {
                self.broke(format!(
                    "bounds: node {host} holds {size} {name}, over {bound}"
                ));
            }
        }
    }
}

impl Checker for Bounds {
    fn saw(&mut self, now: Moment, seen: &Seen<'_>, _model: &mut Model) {
        match *seen {
            Seen::Sent { host, bytes, .. } => {
                self.largest = self.largest.max(bytes.len());
                if bytes.len() > DATAGRAM_MAX {
                    let size = bytes.len();
                    self.broke(format!("bounds: node {host} sent {size} bytes at {now:?}"));
                }
            }
            Seen::Sampled { host, node } => self.sampled(host, node),
            _ => {}
        }
    }

    fn tell(&mut self, _world: &World, report: &mut Report) {
        let limit = ratio(DATAGRAM_MAX);
        report
            .figure("largest datagram", ratio(self.largest), "B")
            .at_most(limit);
        for (most, name) in self.most {
            if !name.is_empty() {
                report.count(&format!("most {name} of a node"), most as u64);
            }
        }
        for broken in self.broken.drain(..) {
            report.violation(broken);
        }
        report.violated = report.violated.max(self.broken_count);
    }
}
