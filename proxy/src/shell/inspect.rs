//! What an operator sees of a running proxy: readiness, state, and gauges of the moment.

mod inject;
mod why;

use std::sync::Arc;

use common::clock::Moment;
use common::shell::admin::{Inspect, Ordered, Readiness};
use common::telemetry::{Kind, Metric};
use http::HeaderMap;
use serde_json::json;

use super::context::Context;
use super::fill::{Fill, Look};
use super::hints::Hints;
use super::purge;
use super::store::DiskStore;
use crate::engine::http::key::PrimaryKey;
use crate::engine::share::Share;
use crate::engine::shelf::Shelf;
use crate::engine::store::Kept;

/// URLs and sites shown on the state page.
const SHOWN: usize = 20;

/// Bytes of a URL that are shown.
const URL_SHOWN: usize = 256;

/// See the module.
#[derive(Debug)]
pub(crate) struct Window(pub(crate) Arc<Context>);

impl Inspect for Window {
    fn readiness(&self) -> Readiness {
        // A proxy whose index is away serves all the same: that is no reason to restart it.
        if self.0.is_draining() {
            Readiness::NotReady("draining".to_owned())
        } else {
            Readiness::Ready
        }
    }

    fn drain(&self, draining: bool) -> bool {
        tracing::info!(draining, "told by the admin listener");
        self.0.drain(draining);
        true
    }

    fn order(&self, path: &str, headers: &HeaderMap) -> Option<Ordered> {
        match path {
            "/purge" => Some(purge::told_by_admin(Arc::clone(&self.0), headers)),
            "/inject" if headers.contains_key("atoll-inject") => {
                Some(inject::ordered(Arc::clone(&self.0), headers))
            }
            "/warrant" if headers.contains_key("atoll-warrant") => {
                Some(self.0.traces.hand_out(self.0.now()))
            }
            _ => None,
        }
    }

    fn page(&self, path: &str, query: &str) -> Option<serde_json::Value> {
        match path {
            "/why" => Some(why::page(&self.0, query)),
            "/trace" => {
                let ctx = &self.0;
                Some(ctx.traces.page(ctx.identity.name(), query, ctx.now()))
            }
            _ => None,
        }
    }

    fn state(&self) -> serde_json::Value {
        let ctx = &self.0;
        let now = ctx.now();
        let mut flow = ctx.flow();
        let store = flow.store();
        let objects: Vec<_> = store.hottest(now, SHOWN).iter().map(kept_state).collect();
        let failing: Vec<_> = flow
            .gates()
            .failing(now)
            .take(SHOWN)
            .map(|(origin, left, why)| {
                json!({ "origin": origin, "asked_again_s": left.as_secs(), "reason": why.as_str() })
            })
            .collect();
        let hot: Vec<_> = flow
            .heat_map()
            .hottest(now, SHOWN)
            .into_iter()
            .map(|(site, requests)| json!({ "site": site, "requests_10s": requests }))
            .collect();
        let (used, evictions, count) = (store.used(), store.evictions(), store.len());
        let blamed: Vec<_> = flow
            .blame()
            .iter(now)
            .map(|(peer, why)| json!({ "peer": peer.to_string(), "reason": why.as_str() }))
            .collect();
        let disk = ctx
            .store
            .as_ref()
            .map(|store| disk_state(store, flow.shelf(), now));
        let pointers = flow.ledger().len();
        let alone = flow.filling_alone();
        let fills = flow.fills();
        let fills: Vec<_> = fills
            .map(|(key, fill)| (key.clone(), Arc::clone(fill)))
            .collect();
        drop(flow);
        let (requests, connections) = ctx.metrics.crowd();
        json!({
            "schema": 1,
            "node": ctx.identity.name(),
            "zone": ctx.zone.as_str(),
            "index": ctx.index.as_ref().map(|link| json!({
                "registered": ctx.metrics.is_registered(),
                "network": link.network.id().to_string(),
                "peer": link.peer.to_string(),
                "clients": link.hints.as_ref().map(clients_state),
            })),
            "store": {
                "objects": count, "memory_bytes": used.memory, "disk_bytes": used.disk,
                "evictions": evictions, "hottest": objects,
            },
            "disk": disk,
            "draining": ctx.is_draining(),
            "share": ctx.shares.look(share_state),
            "spill_bytes": ctx.spill.space.used(),
            "body_memory_bytes": ctx.room.used(),
            "in_flight": { "requests": requests, "connections": connections },
            "fills": { "shared": fills.len(), "alone": alone, "largest": fills_state(fills) },
            "pointers": pointers,
            "origins_failing": failing,
            "peers_blamed": blamed,
            "hottest_sites": hot,
        })
    }
}

/// What is on disk, and how the disk is.
fn disk_state(store: &DiskStore, shelf: &Shelf, now: Moment) -> serde_json::Value {
    let failing = store.failing().map(|failing| {
        json!({
            "what": failing.what.as_str(), "error": failing.error,
            "for_s": now.since(failing.since).as_secs(),
        })
    });
    json!({
        "dir": store.dir(), "writing": shelf.is_on(), "failing": failing,
        "objects": shelf.len(), "bytes": shelf.used(), "budget": shelf.budget(),
        "segments": shelf.segments(), "files": shelf.files(),
        "index_bytes": shelf.index_bytes(), "queued_bytes": store.queued(),
        "queued": shelf.pending(), "removals_lost": shelf.removals_lost(),
    })
}

fn kept_state(kept: &Kept) -> serde_json::Value {
    json!({
        "url": clip(kept.key.as_str()), "found": kept.found, "bytes": kept.bytes,
        "variants": kept.variants, "age_s": kept.age.map(|age| age.as_secs()),
    })
}

/// The client networks heard of last.
fn clients_state(hints: &Hints) -> serde_json::Value {
    let distances = hints.distances();
    let latest = distances
        .latest(SHOWN)
        .map(|(network, rtt)| json!({ "network": network, "rtt_ms": rtt.as_secs_f64() * 1e3 }));
    let latest: Vec<_> = latest.collect();
    json!({ "networks": distances.len(), "waiting": distances.waiting(), "latest": latest })
}

/// Those with most readers first.
fn fills_state(fills: Vec<(PrimaryKey, Arc<Fill>)>) -> Vec<serde_json::Value> {
    let look = |(key, fill): (PrimaryKey, Arc<Fill>)| (key, fill.look());
    let mut fills: Vec<_> = fills.into_iter().map(look).collect();
    fills.sort_by_key(|(_, look)| std::cmp::Reverse(look.readers));
    fills.truncate(SHOWN);
    let row = |(key, look): &(PrimaryKey, Look)| {
        json!({
            "url": clip(key.as_str()), "from": look.from, "readers": look.readers,
            "bytes": look.received, "length": look.length,
        })
    };
    fills.iter().map(row).collect()
}

/// The beginning of a URL: nobody fills the page with one.
fn clip(url: &str) -> &str {
    let end = url.floor_char_boundary(URL_SHOWN);
    &url[..end]
}

/// Who has how much.
fn share_state(share: &mut Share) -> serde_json::Value {
    let clients = json!({
        "known": share.clients().known(), "forgotten": share.clients().forgotten(),
    });
    let bytes = share.bytes();
    let bytes = json!({
        "last_24h": bytes.today(), "full": bytes.is_full(), "site_level": bytes.level(),
    });
    let slots = share.slots();
    let busiest: Vec<_> = slots
        .busiest(SHOWN)
        .into_iter()
        .map(|(site, running, waiting)| json!({ "site": site, "running": running, "waiting": waiting }))
        .collect();
    let (running, waiting) = (slots.running(), slots.waiting());
    json!({
        "clients": clients, "bytes": bytes,
        "origin_fetches": { "running": running, "waiting": waiting, "busiest": busiest },
    })
}

/// Gauges that the engine knows at the moment of a scrape.
pub(crate) fn gauges(ctx: &Context) -> Vec<Metric> {
    let hints = ctx.index.as_ref().and_then(|link| link.hints.as_ref());
    let hints = hints.map(Hints::metrics).unwrap_or_default();
    [
        share_gauges(ctx),
        flow_gauges(ctx),
        disk_gauges(ctx),
        hints,
        ctx.traces.metrics(),
    ]
    .concat()
}

fn share_gauges(ctx: &Context) -> Vec<Metric> {
    let gauge = |name, help, value| Metric::plain(name, help, Kind::Gauge, value);
    let (running, waiting, today) = ctx.shares.look(|share| {
        let today = share.bytes().today();
        (
            share.slots().running() as u64,
            share.slots().waiting() as u64,
            today,
        )
    });
    vec![
        gauge(
            "atoll_proxy_origin_fetches",
            "Slots for fetches from origins in use",
            running,
        ),
        gauge(
            "atoll_proxy_origin_fetches_waiting",
            "Fetches from origins waiting for a slot",
            waiting,
        ),
        gauge(
            "atoll_proxy_day_bytes",
            "Bytes sent to clients in the last 24 hours, if they are bounded",
            today,
        ),
        gauge(
            "atoll_proxy_block_rules",
            "Rules of the block list in force",
            ctx.blocked.list().len() as u64,
        ),
        gauge(
            "atoll_proxy_spare_percent",
            "How much more could be sent here; 0 is full",
            u64::from(ctx.spare()),
        ),
        gauge(
            "atoll_proxy_draining",
            "Whether nobody should be sent here",
            u64::from(ctx.is_draining()),
        ),
    ]
}

fn disk_gauges(ctx: &Context) -> Vec<Metric> {
    let Some(store) = &ctx.store else {
        return Vec::new();
    };
    let mut flow = ctx.flow();
    let shelf = flow.shelf();
    let gauge = |name, help, value| Metric::plain(name, help, Kind::Gauge, value);
    vec![
        gauge(
            "atoll_proxy_disk_writing",
            "Whether responses are written to disk; 0 while the disk fails",
            u64::from(shelf.is_on()),
        ),
        gauge(
            "atoll_proxy_disk_objects",
            "Responses on disk",
            shelf.len() as u64,
        ),
        gauge(
            "atoll_proxy_disk_bytes",
            "Bytes of the disk store, everything included",
            shelf.used(),
        ),
        gauge(
            "atoll_proxy_disk_index_bytes",
            "Memory of the index of what is on disk",
            shelf.index_bytes(),
        ),
        gauge(
            "atoll_proxy_disk_queued_bytes",
            "Bytes that wait to be written to disk",
            store.queued(),
        ),
    ]
}

fn flow_gauges(ctx: &Context) -> Vec<Metric> {
    let mut flow = ctx.flow();
    let used = flow.store().used();
    let gauge = |name, help, value| Metric::plain(name, help, Kind::Gauge, value);
    let evictions = flow.store().evictions();
    vec![
        gauge(
            "atoll_proxy_objects",
            "URLs kept",
            flow.store().len() as u64,
        ),
        gauge(
            "atoll_proxy_store_memory_bytes",
            "Memory used by what is kept",
            used.memory,
        ),
        gauge(
            "atoll_proxy_store_disk_bytes",
            "Disk used by what is kept",
            used.disk,
        ),
        gauge(
            "atoll_proxy_spill_bytes",
            "Disk used by bodies kept or under way",
            ctx.spill.space.used(),
        ),
        gauge(
            "atoll_proxy_body_memory_bytes",
            "Memory held by bodies kept or under way",
            ctx.room.used(),
        ),
        gauge(
            "atoll_proxy_fills",
            "Fetches under way",
            flow.filling() as u64,
        ),
        gauge(
            "atoll_proxy_pointers",
            "Pointers kept alive in the index",
            flow.ledger().len() as u64,
        ),
        gauge(
            "atoll_proxy_registered",
            "Whether the index daemon knows of this proxy",
            u64::from(ctx.metrics.is_registered()),
        ),
        Metric::plain(
            "atoll_proxy_evictions",
            "URLs that had to make room",
            Kind::Counter,
            evictions,
        ),
    ]
}
