//! Handing on: a node that stores values gives them to a neighbour that is by now among the closest
//! to their keys, because it came or because another went.
//!
//! The publisher need not notice: most deaths happen outside its routing table, while the nodes
//! around a key know each other first-hand. Only the nodes closest to a key hand its values on, and
//! only to those that the change has made so: one request per value and change. Changes are
//! collected for a moment, then the store is gone through once, a bounded number of keys and
//! requests at a time, so that neither a mass death nor a full store makes a flood (docs/adr/0014).

use std::collections::BTreeSet;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{Key, NodeId};

use super::exchange::Purpose;
use super::message::{Ask, Say};
use super::node::Node;
use super::routing::Entry;
use crate::refusal::Refusal;
use crate::value::Value;

/// Nearest nodes whose coming and going matters: of the keys around this node, a farther one is
/// not among the closest.
const NEIGHBOURS: usize = 16;

/// Changes told apart; if there are more before a sweep begins, it hands everything to everybody
/// close to it.
const CHANGES_MAX: usize = 32;

/// Changes are collected for this long, and half as long at least.
const COLLECT: Duration = Duration::from_secs(1);

/// Keys looked at, and values handed on, at one moment; and the time to the next. 16 requests a
/// second, at most 5 KB/s and only while there is something to hand on.
const LOOKED: usize = 256;
const HANDED: usize = 8;
const PAUSE: Duration = Duration::from_millis(500);

/// Nodes handed to beyond those that a put goes to. Where nodes come and go copies more bridge the
/// time in which deaths are not yet known; where they do not they cost nothing.
const SPARE: usize = 2;

/// What ends within this time is not worth handing on.
const ENDING: Duration = Duration::from_secs(2);

/// Which changes a sweep is about.
#[derive(Clone, Debug, Default)]
struct Changes {
    nodes: BTreeSet<NodeId>,
    /// More than could be told apart.
    many: bool,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.nodes.is_empty() && !self.many
    }
}

/// The changes not yet acted on, and the sweep under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Hands {
    changes: Changes,
    sweep: Option<(Changes, Option<Key>)>,
    due: Option<Moment>,
}

impl Hands {
    /// When the next step of a sweep is due.
    pub(super) const fn next_due(&self) -> Option<Moment> {
        self.due
    }

    fn changed(&mut self, id: NodeId) {
        if self.changes.nodes.len() < CHANGES_MAX {
            self.changes.nodes.insert(id);
        } else {
            self.changes.many = true;
        }
    }
}

impl Node {
    /// A node entered the world's table, left it, or lost what it stored.
    pub(super) fn neighbour_changed(&mut self, now: Moment, id: NodeId) {
        let own = self.own.id.as_key();
        let nearest = self.table.closest(&own, NEIGHBOURS);
        let reach = nearest.last().filter(|_| nearest.len() == NEIGHBOURS);
        if reach.is_some_and(|last| id.distance(&own) > last.id.distance(&own)) {
            return;
        }
        self.keep.neighbour_changed(now);
        if self.store.is_empty() {
            return;
        }
        self.hands.changed(id);
        if self.hands.due.is_none() {
            self.hands.due = Some(now + COLLECT / 2 + self.rng.jitter(COLLECT / 2));
        }
    }

    /// The next step of the sweep through the store.
    pub(super) fn hand_on(&mut self, now: Moment) {
        if self.hands.due.is_none_or(|due| due > now) {
            return;
        }
        let begun = self.hands.sweep.take();
        let (changes, mut cursor) =
            begun.unwrap_or_else(|| (std::mem::take(&mut self.hands.changes), None));
        let keys: Vec<_> = self.store.keys_after(cursor).take(LOOKED).collect();
        let mut over = keys.len() < LOOKED;
        let mut handed = 0;
        for key in keys {
            if handed >= HANDED {
                over = false;
                break;
            }
            cursor = Some(key);
            handed += self.hand_key(now, key, &changes);
        }
        self.hands.due = Some(now + PAUSE);
        if !over {
            self.hands.sweep = Some((changes, cursor));
        } else if self.hands.changes.is_empty() {
            self.hands.due = None;
        } else {
            self.hands.due = Some(now + COLLECT);
        }
    }

    /// Hands on what is under `key`. Says how many requests that took.
    fn hand_key(&mut self, now: Moment, key: Key, changes: &Changes) -> usize {
        let heirs = self.heirs(&key, changes);
        if heirs.is_empty() {
            return 0;
        }
        let mut values = self.store.values(now, key, None);
        values.retain(|value| value.ttl > ENDING);
        values.truncate(self.config.store.full);
        for heir in &heirs {
            for value in &values {
                self.hand(now, key, *heir, value.clone());
            }
        }
        heirs.len() * values.len()
    }

    fn hand(&mut self, now: Moment, key: Key, heir: Entry, value: Value) {
        let ask = Ask::Hand {
            key,
            publisher: value.publisher,
            value: value.bytes,
            ttl: value.ttl,
        };
        let asked = self.ask(now, heir, 0, ask, Purpose::Hand { again: false });
        self.stats.handed += u64::from(asked.is_ok());
    }

    /// The nodes that are among the closest to `key` because of `changes`, if this one is, or was
    /// until now, among them too.
    fn heirs(&self, key: &Key, changes: &Changes) -> Vec<Entry> {
        let put = self.config.lookup.replicas.max(1);
        let replicas = put + SPARE;
        let mut near = self.table.closest(key, replicas + 1);
        let distance = |id: NodeId| id.distance(key);
        let own = near.partition_point(|entry| distance(entry.id) < distance(self.own.id));
        near.insert(own, self.own);
        near.truncate(replicas + 1);
        let close = &near[..replicas.min(near.len())];
        let others = |entry: &&Entry| entry.id != self.own.id;
        if changes.many {
            let all = close.iter().filter(others).copied().collect();
            return if own < replicas { all } else { Vec::new() };
        }
        let came: Vec<_> = close
            .iter()
            .filter(others)
            .filter(|entry| changes.nodes.contains(&entry.id))
            .copied()
            .collect();
        // Those that came are not counted when it comes to who was here before.
        if own >= replicas + came.len() || own >= near.len() {
            return Vec::new();
        }
        let edge = close.last().map(|entry| distance(entry.id));
        let gone = changes.nodes.iter().filter(|id| {
            let there = near.iter().any(|entry| entry.id == **id);
            !there && edge.is_some_and(|edge| distance(**id) < edge)
        });
        // Who was beyond those that a put goes to may never have had it.
        let moved_up = match gone.count() {
            0 => close.len(),
            gone => put.min(close.len()).saturating_sub(gone),
        };
        let mut heirs = came;
        if own < replicas {
            let up = close[moved_up..].iter().filter(others);
            heirs.extend(up.copied());
            heirs.sort_unstable();
            heirs.dedup();
        }
        heirs
    }

    /// The answer to a value handed on: one that wants a token has given it.
    pub(super) fn handed(&mut self, now: Moment, to: Entry, ask: Ask, again: bool, say: &Say) {
        if !again && *say == Say::Refused(Refusal::Token) {
            // A spare copy the fewer, should there be no room for one more request.
            self.ask(now, to, 0, ask, Purpose::Hand { again: true })
                .ok();
        }
    }
}
