//! The state page and readiness: the engine's view as JSON.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use common::shell::admin::{Inspect, Ordered, Readiness};
use http::HeaderMap;
use serde_json::{Value, json};

use super::capture::Captures;
use super::disk::Disk;
use super::retiring::Retiring;
use super::traces::Traces;
use crate::api::{micros, millis};
use crate::engine::cluster::Membership;
use crate::engine::message::{Kind, Service};
use crate::engine::view::ContactView;
use crate::engine::{Index, health::Health};

/// The engine, shared between its loop and those who look.
#[derive(Debug)]
pub(super) struct Shared {
    node: Mutex<Box<dyn Index>>,
    clock: SystemClock,
    about: About,
    pub(super) traces: Traces,
    pub(super) captures: Captures,
    pub(super) disk: Disk,
    retiring: Option<Arc<Retiring>>,
}

/// What the daemon was told of itself, for whoever looks.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// Its name for people.
    pub(super) name: String,
    /// The network that its secret makes it part of.
    pub(super) network: String,
    /// Where its siblings reach it; empty if nowhere.
    pub(super) socket: String,
}

impl Shared {
    pub(super) fn new(
        (node, disk): (Box<dyn Index>, Disk),
        clock: SystemClock,
        (about, retiring): (About, Option<Arc<Retiring>>),
        (traces, captures): (Traces, Captures),
    ) -> Self {
        Self {
            node: Mutex::new(node),
            clock,
            about,
            traces,
            captures,
            disk,
            retiring,
        }
    }

    /// How it goes about leaving, if its network has a successor.
    pub(super) const fn retiring(&self) -> Option<&Arc<Retiring>> {
        self.retiring.as_ref()
    }

    /// Requests about keys that others sent here since the start.
    pub(super) fn asked(&self) -> u64 {
        asked(&**self.node())
    }

    /// Where services of this kind are, here and at nodes that live.
    pub(super) fn proxies(&self, kind: &str) -> BTreeSet<SocketAddr> {
        let node = self.node();
        let contacts = node.contacts(self.clock.moment());
        let live = contacts.into_iter().filter(|contact| !contact.failed);
        let services = live.flat_map(|contact| contact.services);
        let services = services.chain(node.services().iter().cloned());
        let named = services.filter(|(name, _)| name == kind);
        named.map(|(_, addr)| addr).collect()
    }

    /// The engine. Held for one turn or one look, never across a wait.
    pub(super) fn node(&self) -> MutexGuard<'_, Box<dyn Index>> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn clock(&self) -> SystemClock {
        self.clock
    }

    pub(super) fn health(&self) -> Health {
        self.node().health(self.clock.moment())
    }
}

impl Inspect for Shared {
    fn readiness(&self) -> Readiness {
        let (node, now) = (self.node(), self.clock.moment());
        let has_left = |retiring: &Arc<Retiring>| retiring.has_left();
        // Of one that has left nothing more is wanted: it does not speak against its node.
        if node.is_ready(now) || self.retiring.as_ref().is_some_and(has_left) {
            return Readiness::Ready;
        }
        Readiness::NotReady(match node.health(now) {
            Health::Alone => "no other node answers; check join.seeds and the secret".to_owned(),
            health => format!("{}: no put and get through others yet", health.as_str()),
        })
    }

    fn page(&self, path: &str, query: &str) -> Option<Value> {
        let now = self.clock.moment();
        match path {
            "/trace" => Some(self.traces.page(&self.about.name, query, now)),
            "/capture" => Some(self.captures.page(&self.about.name, query, now)),
            _ => None,
        }
    }

    fn order(&self, path: &str, headers: &HeaderMap) -> Option<Ordered> {
        let now = self.clock.moment();
        (path == "/capture").then(|| self.captures.order(now, headers))?
    }

    fn state(&self) -> Value {
        let (node, now) = (self.node(), self.clock.moment());
        let sizes = node.sizes();
        let retiring = self.retiring.as_ref().map(|retiring| retiring.shown(now));
        json!({
            "asked": asked(&**node),
            "retire": retiring,
            "disk": self.disk.shown(now),
            "schema": 1,
            "name": self.about.name,
            "network": self.about.network,
            "socket": self.about.socket,
            "version": env!("CARGO_PKG_VERSION"),
            "index": node.kind().as_str(),
            "id": node.id(),
            "addr": node.addr(),
            "seen_elsewhere": node.seen_elsewhere(),
            "health": node.health(now).as_str(),
            "ready": node.is_ready(now),
            "services": services(node.services()),
            "network_size": sizes.network,
            "store": {
                "keys": sizes.keys, "values": sizes.values, "bytes": sizes.value_bytes,
                "kept": sizes.kept, "rated_keys": sizes.rates,
            },
            "under_way": { "calls": sizes.calls, "tasks": sizes.tasks },
            "levels": levels(&**node, now),
            "rtt_ms": round_trips(&node.contacts(now)),
            "contacts": node.contacts(now).iter().map(contact).collect::<Vec<_>>(),
        })
    }
}

/// Requests about keys: what is left of an index when nobody uses it any more is upkeep.
fn asked(node: &dyn Index) -> u64 {
    let received = &node.stats().received;
    let kinds = [Kind::Get, Kind::Put, Kind::Claim, Kind::Withdraw];
    kinds.into_iter().map(|kind| received.of(kind)).sum()
}

/// The memberships, innermost last, and why each is as it is.
fn levels(node: &dyn Index, now: Moment) -> Vec<Value> {
    let shown = (1..).zip(node.memberships());
    let level = |(level, m): (u8, &Membership)| {
        json!({
            "level": level,
            "threshold_ms": millis(m.threshold),
            "cluster": m.cluster,
            "size": m.size,
            "age_s": now.since(m.founded).as_secs(),
            "contacts": m.table.len(),
            "here_because": m.moved.as_str(),
            "stayed_because": m.kept.as_str(),
            "changes": m.changes,
            "trying": m.trial.map(|trial| trial.cluster),
        })
    };
    shown.map(level).collect()
}

/// Upper bounds of the bars of the histogram, in milliseconds; those of `atoll ring`.
const RTT_BOUNDS_MS: [u64; 9] = [1, 2, 5, 10, 20, 60, 100, 200, 400];

/// Live contacts by smoothed round trip: `at_most` milliseconds (null for the rest), how many.
fn round_trips(contacts: &[ContactView]) -> Vec<Value> {
    let mut counts = [0_u32; RTT_BOUNDS_MS.len() + 1];
    for rtt in contacts
        .iter()
        .filter(|view| !view.failed)
        .filter_map(|view| view.rtt)
    {
        let bar = RTT_BOUNDS_MS.partition_point(|bound| Duration::from_millis(*bound) < rtt);
        counts[bar] += 1;
    }
    let bounds = RTT_BOUNDS_MS.into_iter().map(Some).chain([None]);
    bounds
        .zip(counts)
        .map(|(at_most, nodes)| json!({ "at_most": at_most, "nodes": nodes }))
        .collect()
}

fn contact(view: &ContactView) -> Value {
    json!({
        "id": view.id,
        "addr": view.addr,
        "failed": view.failed,
        "heard_ms_ago": view.heard.map(millis),
        "rtt_us": view.rtt.map(|rtt: Duration| micros(rtt)),
        "level": view.level,
        "services": services(&view.services),
    })
}

fn services(services: &[Service]) -> Vec<Value> {
    services
        .iter()
        .map(|(name, addr)| json!({ "name": name, "addr": addr }))
        .collect()
}
