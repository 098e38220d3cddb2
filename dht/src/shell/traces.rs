//! The ring of spans: what the engine tells of traced commands, kept for whoever asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::clock::{Clock as _, Moment, SystemClock};
use common::rng::Generator;
use common::shell::export::{Exporter, Names};
use common::telemetry::Metric;
use common::trace::otlp::{Collector, Origin};
use common::trace::ring::Ring;
use common::trace::{Ids, Keep, Span, What};
use serde_json::Value;

use crate::engine::Event;
use crate::engine::message::Kind;
use crate::engine::traced::{Answered, Hop};

/// See the module.
#[derive(Debug)]
pub(super) struct Traces {
    held: Mutex<(Ring, Ids)>,
    /// `None` if spans go nowhere.
    exporter: Option<Arc<Exporter>>,
}

impl Traces {
    /// No traces yet. Where there is a collector, a task sends it what is kept.
    pub(super) fn new(
        rng: &mut Generator,
        (collector, node): (Option<Collector>, &str),
        clock: SystemClock,
    ) -> Self {
        let of = Origin::new("atoll-dht", node);
        let exporter =
            collector.map(|collector| Exporter::start(collector, of, (clock, rng.child())));
        Self {
            held: Mutex::new((Ring::default(), Ids::new(rng.bytes()))),
            exporter,
        }
    }

    fn held(&self) -> MutexGuard<'_, (Ring, Ids)> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offer(&self, span: &Span) {
        if let Some(exporter) = &self.exporter {
            exporter.offer(std::slice::from_ref(span));
        }
    }

    /// What is counted; nothing if spans go nowhere.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let names = Names {
            exported: "atoll_dht_trace_exported",
            lost: "atoll_dht_trace_export_lost",
            failures: "atoll_dht_trace_export_failures",
        };
        let metrics = self.exporter.as_ref().map(|one| one.metrics(names));
        metrics.unwrap_or_default()
    }

    /// Keeps what `event` tells of a trace; whether it was such an event.
    pub(super) fn took(&self, event: &Event, clock: SystemClock) -> bool {
        match event {
            Event::Hop(hop) => self.hopped(hop, clock.moment()),
            Event::Answered(answered) => self.answered(answered, clock.moment()),
            _ => return false,
        }
        true
    }

    fn hopped(&self, hop: &Hop, now: Moment) {
        let mut held = self.held();
        let (ring, ids) = &mut *held;
        let span = Span {
            trace: hop.context.trace,
            id: hop.id.unwrap_or_else(|| ids.span()),
            parent: Some(hop.context.parent),
            what: What::Hop,
            target: format!("{} at level {}", hop.to, hop.level),
            began: hop.began,
            took: now.since(hop.began),
            outcome: hop.reply.map_or("silence", Kind::as_str),
            failed: hop.reply.is_none(),
        };
        self.offer(&span);
        ring.add(hop.context.keep.unwrap_or(Keep::Sampled), [span]);
    }

    fn answered(&self, answered: &Answered, now: Moment) {
        let mut held = self.held();
        let (ring, ids) = &mut *held;
        let span = Span {
            trace: answered.context.trace,
            id: ids.span(),
            parent: Some(answered.context.parent),
            what: What::Answer,
            target: format!("{} of {}", answered.asked.as_str(), answered.from),
            began: now,
            took: std::time::Duration::ZERO,
            outcome: answered.reply.as_str(),
            failed: answered.reply == Kind::Refused,
        };
        self.offer(&span);
        ring.add(answered.context.keep.unwrap_or(Keep::Sampled), [span]);
    }

    /// The admin page.
    pub(super) fn page(&self, node: &str, query: &str, now: Moment) -> Value {
        self.held().0.page(node, query, now)
    }
}
