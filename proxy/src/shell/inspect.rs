//! What an operator sees of a running proxy: readiness, state, and gauges of the moment.

use std::sync::Arc;

use common::shell::admin::{Inspect, Readiness};
use common::telemetry::{Kind, Metric};
use serde_json::json;

use super::context::Context;
use crate::engine::share::Share;

/// URLs and sites shown on the state page.
const SHOWN: usize = 20;

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

    fn state(&self) -> serde_json::Value {
        let ctx = &self.0;
        let now = ctx.now();
        let mut flow = ctx.flow();
        let store = flow.store();
        let recent: Vec<_> = store
            .recent(now, SHOWN)
            .into_iter()
            .map(|(url, age, bytes)| json!({ "url": url, "age_s": age, "bytes": bytes }))
            .collect();
        let shut: Vec<_> = flow
            .gates()
            .shut(now)
            .take(SHOWN)
            .map(|(origin, left, why)| {
                json!({ "origin": origin, "for_s": left.as_secs(), "reason": why.as_str() })
            })
            .collect();
        let hot: Vec<_> = flow
            .heat_map()
            .hottest(now, SHOWN)
            .into_iter()
            .map(|(site, requests)| json!({ "site": site, "requests_10s": requests }))
            .collect();
        let (objects, used, evictions) = (store.len(), store.used(), store.evictions());
        let filling = flow.filling();
        let blamed: Vec<_> = flow
            .blame()
            .iter(now)
            .map(|(peer, why)| json!({ "peer": peer.to_string(), "reason": why.as_str() }))
            .collect();
        let pointers = flow.ledger().len();
        json!({
            "schema": 1,
            "node": ctx.identity.name(),
            "zone": ctx.zone.as_str(),
            "index": ctx.index.as_ref().map(|link| json!({
                "registered": ctx.metrics.is_registered(),
                "network": link.network.id().to_string(),
                "peer": link.peer.to_string(),
            })),
            "store": {
                "objects": objects, "memory_bytes": used.memory, "disk_bytes": used.disk,
                "evictions": evictions, "recent": recent,
            },
            "draining": ctx.is_draining(),
            "share": ctx.shares.look(share_state),
            "spill_bytes": ctx.spill.space.used(),
            "body_memory_bytes": ctx.room.used(),
            "fills": filling,
            "pointers": pointers,
            "origins_shut": shut,
            "peers_blamed": blamed,
            "hottest_sites": hot,
        })
    }
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
    [share_gauges(ctx), flow_gauges(ctx)].concat()
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
            "atoll_proxy_draining",
            "Whether nobody should be sent here",
            u64::from(ctx.is_draining()),
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
