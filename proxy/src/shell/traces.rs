//! Traces: each request has an id, and the spans of some are kept in a ring on this node.
//!
//! Kept are requests that failed, that were slow, one in a thousand, and those of operators, who show a
//! warrant of this process. Requests that are answered with bytes made before are hits, and quick: they are
//! counted, and those of the sample are left to whoever answers the others.

mod fill;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::clock::{Moment, SystemClock};
use common::rng::Generator;
use common::shell::export::{Exporter, Names};
use common::telemetry::{Kind, Metric};
use common::trace::otlp::{Collector, Origin};
use common::trace::ring::{Ring, is_sampled, judge};
use common::trace::{Context as TraceContext, Ids, Keep, Span, SpanId, TraceId, What, clip};
use http::header::{HeaderMap, HeaderName};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::outgoing::Outgoing;
use crate::engine::http::key::PrimaryKey;
use crate::engine::warrant::{Seal, WarrantRefusal};

pub(crate) use fill::Story;

/// On a client's request: the warrant.
pub(crate) const WARRANT: HeaderName = HeaderName::from_static("atoll-warrant");

/// On a request between proxies: the trace it is part of.
pub(crate) const TRACE: HeaderName = HeaderName::from_static("atoll-trace");

/// A request's place in its trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Track {
    pub(crate) trace: TraceId,
    /// The request's own span.
    pub(crate) request: SpanId,
    /// Its number on this node.
    number: u64,
    /// By an operator.
    asked: bool,
}

impl Track {
    /// What others are told of it, who do something for the span `parent`.
    pub(crate) const fn context(&self, parent: SpanId) -> TraceContext {
        let keep = if self.asked {
            Some(Keep::Asked)
        } else if is_sampled(self.number) {
            Some(Keep::Sampled)
        } else {
            None
        };
        TraceContext {
            trace: self.trace,
            parent,
            keep,
        }
    }

    /// The same for the index, which is not told of what nobody will look at.
    pub(crate) fn context_for_index(&self, parent: SpanId) -> Option<TraceContext> {
        let context = self.context(parent);
        context.keep.is_some().then_some(context)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Traces {
    ring: Mutex<Ring>,
    start: [u8; 8],
    requests: AtomicU64,
    /// The number of a request that was left over for the sample; 0 if none is.
    left: AtomicU64,
    spans: Mutex<Ids>,
    seal: Seal,
    accepted: AtomicU64,
    refused: [AtomicU64; WarrantRefusal::ALL.len()],
    /// `None` if spans go nowhere.
    exporter: Option<Arc<Exporter>>,
}

impl Traces {
    /// No traces yet. Where there is a collector, a task sends it what is kept.
    pub(crate) fn new(
        rng: &mut Generator,
        (collector, node): (Option<Collector>, &str),
        clock: SystemClock,
    ) -> Self {
        let of = Origin::new("atoll-proxy", node);
        let exporter =
            collector.map(|collector| Exporter::start(collector, of, (clock, rng.child())));
        Self {
            exporter,
            ring: Mutex::default(),
            start: rng.bytes(),
            // The first of all is no more usual than the others.
            requests: AtomicU64::new(1),
            left: AtomicU64::new(0),
            spans: Mutex::new(Ids::new(rng.bytes())),
            seal: Seal::new(rng.bytes()),
            accepted: AtomicU64::new(0),
            refused: Default::default(),
        }
    }

    /// Counts a request that could be answered with bytes made before; whether it is in the sample, and so is to
    /// be answered by somebody who [begins](Self::begin) its trace.
    pub(crate) fn samples(&self) -> bool {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let sampled = is_sampled(number);
        if sampled {
            self.left.store(number, Ordering::Relaxed);
        }
        sampled
    }

    /// The number of a request: the one that was left over, or the next one. That another request may come in
    /// between and be the one that is kept does the sample no harm.
    fn number(&self) -> u64 {
        let left = match self.left.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.left.swap(0, Ordering::Relaxed),
        };
        match left {
            0 => self.requests.fetch_add(1, Ordering::Relaxed),
            left => left,
        }
    }

    /// A new span's name.
    pub(crate) fn span(&self) -> SpanId {
        let mut ids = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        ids.span()
    }

    /// A client's request begins.
    pub(crate) fn begin(&self, headers: &HeaderMap, now: Moment) -> Track {
        let number = self.number();
        let asked = headers.get(WARRANT).and_then(|warrant| {
            let checked = self.seal.check(warrant.as_bytes(), now);
            let counter = match checked {
                Ok(_) => &self.accepted,
                Err(refusal) => &self.refused[refusal as usize],
            };
            counter.fetch_add(1, Ordering::Relaxed);
            checked.ok()
        });
        Track {
            trace: asked.unwrap_or_else(|| Ids::trace_at(self.start, number)),
            request: self.span(),
            number,
            asked: asked.is_some(),
        }
    }

    /// Whether a client's request is kept, now that it is answered.
    pub(crate) const fn judge(track: &Track, failed: bool, took: Duration) -> Option<Keep> {
        judge(track.asked, failed, took, track.number)
    }

    /// A client's request is answered, and kept.
    pub(crate) fn answered(&self, track: &Track, keep: Keep, told: Told) {
        let span = Span {
            trace: track.trace,
            id: track.request,
            parent: None,
            what: What::Request,
            target: clip(&told.url),
            began: told.began,
            took: told.took,
            outcome: told.outcome,
            failed: told.failed,
        };
        self.keep(keep, vec![span]);
    }

    /// Keeps spans of one trace.
    fn keep(&self, keep: Keep, spans: Vec<Span>) {
        if let Some(exporter) = &self.exporter {
            exporter.offer(&spans);
        }
        self.ring().add(keep, spans);
    }

    /// Another proxy's request is answered.
    pub(crate) fn served(
        &self,
        context: &TraceContext,
        (began, took): (Moment, Duration),
        (key, answer): (&PrimaryKey, &Response<Outgoing>),
    ) {
        let Some(keep) = context.keep.or_else(|| judge(false, false, took, 1)) else {
            return;
        };
        let word = answer.headers().get("atoll-peer");
        let outcome = match word.map(|word| word.as_bytes()) {
            Some(b"hit") => "hit",
            Some(b"fill") => "fill",
            Some(b"slices") => "slices",
            _ => "nothing",
        };
        let span = Span {
            trace: context.trace,
            id: self.span(),
            parent: Some(context.parent),
            what: What::Serve,
            target: clip(key.as_str()),
            began,
            took,
            outcome,
            failed: false,
        };
        self.keep(keep, vec![span]);
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The admin page.
    pub(crate) fn page(&self, node: &str, query: &str, now: Moment) -> Value {
        self.ring().page(node, query, now)
    }

    /// A warrant for a new trace, for the admin listener.
    pub(crate) fn warrant(&self, now: Moment) -> (TraceId, String) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let trace = Ids::trace_at(self.start, number);
        (trace, self.seal.issue(trace, now))
    }

    /// Gives a warrant to whoever asks at the admin listener.
    pub(crate) fn hand_out(&self, now: Moment) -> common::shell::admin::Ordered {
        let (trace, warrant) = self.warrant(now);
        let page =
            json!({ "trace": trace.to_string(), "field": WARRANT.as_str(), "warrant": warrant });
        Pin::from(Box::new(std::future::ready((StatusCode::OK, page))))
    }

    /// What is counted.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let refused =
            WarrantRefusal::ALL.map(|why| (why.as_str(), load(&self.refused[why as usize])));
        let all = [("accepted", load(&self.accepted))]
            .into_iter()
            .chain(refused);
        let (pushed_out, _) = self.ring().lost();
        let exported = self.exporter.as_ref().map(|exporter| {
            exporter.metrics(Names {
                exported: "atoll_proxy_trace_exported",
                lost: "atoll_proxy_trace_export_lost",
                failures: "atoll_proxy_trace_export_failures",
            })
        });
        let mut metrics = vec![
            Metric::counters(
                "atoll_proxy_trace_warrants",
                "Requests that bore a warrant for a trace",
                "outcome",
                all,
            ),
            Metric::plain(
                "atoll_proxy_trace_spans",
                "Spans kept",
                Kind::Gauge,
                self.ring().len() as u64,
            ),
            Metric::plain(
                "atoll_proxy_trace_spans_pushed_out",
                "Spans that had to go for newer ones",
                Kind::Counter,
                pushed_out,
            ),
        ];
        metrics.extend(exported.into_iter().flatten());
        metrics
    }
}

/// What a client got.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) url: String,
    pub(crate) began: Moment,
    pub(crate) took: Duration,
    pub(crate) outcome: &'static str,
    pub(crate) failed: bool,
}

/// The trace that another proxy's request is part of.
pub(crate) fn context_of(headers: &HeaderMap) -> Option<TraceContext> {
    headers.get(TRACE)?.to_str().ok()?.parse().ok()
}

/// A peer as a span's target.
fn peer(addr: SocketAddr) -> String {
    addr.to_string()
}
