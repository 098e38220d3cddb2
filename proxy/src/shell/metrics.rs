//! The proxy's counters, each declared here with its sentence. Labels are closed words.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use common::telemetry::first_byte_seconds;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::engine::handshake::HandshakeEnd;
use crate::engine::hit::HandReason;
use crate::engine::http2::purse::Flood;
use crate::engine::reason::{FailReason, RefuseReason};
use crate::engine::share::connections::TurnedAway;

/// How a client's request ended, by where its answer came from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Outcome {
    /// A fresh copy here.
    Hit,
    /// A stale copy here.
    Stale,
    /// A fetch that was under way here.
    Collapsed,
    /// Another proxy.
    Peer,
    /// The origin.
    Origin,
    /// The origin confirmed the copy here.
    Revalidated,
    /// Our own page, redirect or options.
    Own,
    /// Refused.
    Refused,
    /// Failed.
    Failed,
}

impl Outcome {
    /// How many there are.
    const COUNT: usize = Self::Failed as usize + 1;

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Collapsed => "collapsed",
            Self::Peer => "peer",
            Self::Origin => "origin",
            Self::Revalidated => "revalidated",
            Self::Own => "own",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What became of a word with the index.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum IndexOutcome {
    /// A claim was granted.
    Granted,
    /// A claim found others.
    Found,
    /// No answer within the patience.
    Late,
    /// The index said no.
    Refused,
    /// The index could not be reached or understood.
    Failed,
    /// A pointer was put or withdrawn.
    Told,
    /// Too many were on their way already.
    Dropped,
}

impl IndexOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Found => "found",
            Self::Late => "late",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Told => "told",
            Self::Dropped => "dropped",
        }
    }
}

/// What became of a peer's request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Served {
    /// From a whole copy.
    Hit,
    /// From a fetch under way.
    Fill,
    /// Nothing here.
    Nothing,
    /// It had no proof of membership, or no sense.
    Forbidden,
    /// It would have closed a circle.
    Loop,
}

impl Served {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Fill => "fill",
            Self::Nothing => "nothing",
            Self::Forbidden => "forbidden",
            Self::Loop => "loop",
        }
    }
}

/// One label and its word.
type Label = [(&'static str, &'static str); 1];

/// See the module. Every handle is shared with the registry.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Family<Label, Counter>,
    /// Those of `requests`, by outcome, from its first time on: every request counts there, and the
    /// family is behind a lock.
    of_outcome: [OnceLock<Counter>; Outcome::COUNT],
    refusals: Family<Label, Counter>,
    careful: Family<Label, Counter>,
    failures: Family<Label, Counter>,
    bounced: Family<Label, Counter>,
    reload_failures: Family<Label, Counter>,
    fetches: Family<Label, Counter>,
    fetch_failures: Family<Label, Counter>,
    fetched_bytes: Family<Label, Counter>,
    beginnings: Family<Label, Counter>,
    index: Family<Label, Counter>,
    peer_requests: Family<Label, Counter>,
    purges: Family<Label, Counter>,
    in_flight: Gauge,
    connections: Gauge,
    connections_refused: Family<Label, Counter>,
    connections_cut: Counter,
    handshakes: Family<Label, Counter>,
    streams_cut: Counter,
    http2_floods: Family<Label, Counter>,
    first_byte: Option<Histogram>,
    access_dropped: Counter,
    registered: AtomicBool,
}

/// A client's request under way.
#[derive(Debug)]
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// The counters, registered with their sentences.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            first_byte: Some(Histogram::new(first_byte_seconds())),
            ..Self::default()
        };
        let m = &metrics;
        m.register_requests(registry);
        registry.register(
            "atoll_proxy_reload_failures",
            "Times a changed block list or configuration was bad and not taken over",
            m.reload_failures.clone(),
        );
        registry.register(
            "atoll_proxy_failures",
            "Requests that failed",
            m.failures.clone(),
        );
        registry.register(
            "atoll_proxy_fetches",
            "Requests sent to origins and peers",
            m.fetches.clone(),
        );
        registry.register(
            "atoll_proxy_fetch_failures",
            "Requests to origins and peers that failed",
            m.fetch_failures.clone(),
        );
        registry.register(
            "atoll_proxy_fetched_bytes",
            "Body bytes received from origins and peers",
            m.fetched_bytes.clone(),
        );
        registry.register(
            "atoll_proxy_beginnings",
            "Bodies that broke off for good: kept, completed later, or why let go",
            m.beginnings.clone(),
        );
        registry.register("atoll_proxy_index", "Words with the index", m.index.clone());
        registry.register(
            "atoll_proxy_peer_requests",
            "Requests of other proxies",
            m.peer_requests.clone(),
        );
        m.register_purges_and_log(registry);
        m.register_connections(registry);
        if let Some(histogram) = &m.first_byte {
            registry.register(
                "atoll_proxy_first_byte_seconds",
                "Time from a request's head to its answer's head",
                histogram.clone(),
            );
        }
        metrics
    }

    fn register_requests(&self, registry: &mut Registry) {
        let m = self;
        registry.register(
            "atoll_proxy_requests",
            "Client requests by where their answer came from",
            m.requests.clone(),
        );
        registry.register(
            "atoll_proxy_refusals",
            "Requests refused",
            m.refusals.clone(),
        );
        registry.register(
            "atoll_proxy_careful",
            "Requests for which there was no prepared answer",
            m.careful.clone(),
        );
        registry.register(
            "atoll_proxy_bounced",
            "Requests sent to the site itself because it, or this node, had its share",
            m.bounced.clone(),
        );
    }

    fn register_purges_and_log(&self, registry: &mut Registry) {
        registry.register(
            "atoll_proxy_access_lines_dropped",
            "Lines of the access log that were lost because the disk did not take them",
            self.access_dropped.clone(),
        );
        registry.register(
            "atoll_proxy_purges",
            "Orders to purge: given here, told by peers, or why refused",
            self.purges.clone(),
        );
    }

    fn register_connections(&self, registry: &mut Registry) {
        let m = self;
        registry.register(
            "atoll_proxy_requests_in_flight",
            "Client requests under way",
            self.in_flight.clone(),
        );
        registry.register(
            "atoll_proxy_connections",
            "Client connections",
            m.connections.clone(),
        );
        registry.register(
            "atoll_proxy_connections_refused",
            "Connections closed at once: no room at all, or none for this client",
            m.connections_refused.clone(),
        );
        registry.register(
            "atoll_proxy_connections_cut",
            "Connections cut because the client took its answer too slowly",
            m.connections_cut.clone(),
        );
        registry.register(
            "atoll_proxy_handshakes",
            "TLS handshakes with clients, by how they ended",
            m.handshakes.clone(),
        );
        registry.register(
            "atoll_proxy_http2_streams_cut",
            "Answers over HTTP/2 cut because the client took them too slowly",
            m.streams_cut.clone(),
        );
        registry.register(
            "atoll_proxy_http2_floods",
            "HTTP/2 connections cut because of what they sent beside requests",
            m.http2_floods.clone(),
        );
    }

    /// Counts lines of the access log that were lost.
    pub(crate) fn access_dropped(&self) -> Counter {
        self.access_dropped.clone()
    }

    pub(crate) fn request(&self, outcome: Outcome) {
        let label = [("outcome", outcome.as_str())];
        let counter = &self.of_outcome[outcome as usize];
        counter
            .get_or_init(|| self.requests.get_or_create(&label).clone())
            .inc();
    }

    pub(crate) fn refused(&self, reason: RefuseReason) {
        self.request(Outcome::Refused);
        self.refusals
            .get_or_create(&[("reason", reason.as_str())])
            .inc();
    }

    /// A request was left to the careful door.
    pub(crate) fn careful(&self, reason: HandReason) {
        self.careful
            .get_or_create(&[("reason", reason.as_str())])
            .inc();
    }

    #[cfg(test)]
    pub(crate) fn careful_so_far(&self, reason: HandReason) -> u64 {
        let label = [("reason", reason.as_str())];
        self.careful.get_or_create(&label).get()
    }

    pub(crate) fn bounced(&self, reason: &'static str) {
        self.bounced.get_or_create(&[("reason", reason)]).inc();
    }

    pub(crate) fn reload_failed(&self, what: &'static str) {
        self.reload_failures.get_or_create(&[("what", what)]).inc();
    }

    pub(crate) fn failed(&self, reason: FailReason) {
        self.request(Outcome::Failed);
        self.failures
            .get_or_create(&[("reason", reason.as_str())])
            .inc();
    }

    pub(crate) fn fetch(&self, source: &'static str) {
        self.fetches.get_or_create(&[("source", source)]).inc();
    }

    pub(crate) fn fetch_failed(&self, reason: FailReason) {
        self.fetch_failures
            .get_or_create(&[("reason", reason.as_str())])
            .inc();
    }

    /// What became of a body that broke off: `kept`, `completed`, or the reason for letting it go.
    pub(crate) fn beginning(&self, outcome: &'static str) {
        self.beginnings.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn fetched(&self, source: &'static str, bytes: u64) {
        self.fetched_bytes
            .get_or_create(&[("source", source)])
            .inc_by(bytes);
    }

    pub(crate) fn index(&self, outcome: IndexOutcome) {
        self.index
            .get_or_create(&[("outcome", outcome.as_str())])
            .inc();
    }

    pub(crate) fn peer_request(&self, outcome: Served) {
        self.peer_requests
            .get_or_create(&[("outcome", outcome.as_str())])
            .inc();
    }

    pub(crate) fn purge(&self, outcome: &'static str) {
        self.purges.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// A client's request is under way until this is dropped.
    pub(crate) fn in_flight(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Client requests under way, and client connections.
    pub(crate) fn crowd(&self) -> (i64, i64) {
        (self.in_flight.get(), self.connections.get())
    }

    pub(crate) fn connection_opened(&self) {
        self.connections.inc();
    }

    pub(crate) fn connection_closed(&self) {
        self.connections.dec();
    }

    pub(crate) fn connection_refused(&self, reason: TurnedAway) {
        self.connections_refused
            .get_or_create(&[("reason", reason.as_str())])
            .inc();
    }

    pub(crate) fn connection_cut(&self) {
        self.connections_cut.inc();
    }

    pub(crate) fn stream_cut(&self) {
        self.streams_cut.inc();
    }

    pub(crate) fn flooded(&self, flood: Flood) {
        self.http2_floods
            .get_or_create(&[("reason", flood.as_str())])
            .inc();
    }

    pub(crate) fn handshake(&self, end: HandshakeEnd) {
        self.handshakes
            .get_or_create(&[("outcome", end.as_str())])
            .inc();
    }

    pub(crate) fn first_byte(&self, after: std::time::Duration) {
        if let Some(histogram) = &self.first_byte {
            histogram.observe(after.as_secs_f64());
        }
    }

    /// Whether the index daemon knows of us.
    pub(crate) fn registered(&self, registered: bool) {
        self.registered.store(registered, Ordering::Relaxed);
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.registered.load(Ordering::Relaxed)
    }
}
