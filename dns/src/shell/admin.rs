//! What the admin pages show: numbers for machines, the proxies one by one for people.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use common::clock::{Clock as _, SystemClock};
use common::shell::admin::{Inspect, Readiness};
use common::telemetry::{Kind, Metric, MetricTable};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::answering::Tally;
use super::learning::Learnt;
use super::traffic::Traffic;
use super::zone_pages::ZonePages;
use super::{check_metrics, lock, state};
use crate::engine::checker::Checker;
use crate::engine::named::Named;
use crate::engine::proxy::Proxy;

/// The view of the daemon.
#[derive(Clone, Debug)]
pub struct View {
    /// Who is alive.
    pub checker: Arc<Mutex<Checker>>,
    /// What is known of client networks.
    pub near: Learnt,
    /// What was answered.
    pub tally: Tally,
    /// What came in.
    pub traffic: Arc<Traffic>,
    /// Who was named, by thread.
    pub named: Arc<[Arc<Mutex<Named>>]>,
    /// How long the dead were named at most.
    pub detection: Histogram,
    /// The zones.
    pub zones: ZonePages,
    /// This node.
    pub node: String,
    /// The clock.
    pub clock: SystemClock,
}

impl View {
    /// A registry with all metrics.
    #[must_use]
    pub fn registry(&self) -> Registry {
        let mut registry = Registry::default();
        let view = self.clone();
        let table = MetricTable::new(move || {
            let mut metrics = view.answer_metrics();
            metrics.extend(view.traffic_metrics());
            metrics.extend(view.check_metrics());
            metrics.extend(view.near.metrics());
            metrics.extend(view.zones.metrics(view.tally.sum().signing));
            metrics
        });
        registry.register_collector(Box::new(table));
        registry.register(
            "atoll_dns_detection_seconds",
            "Between the last good check of a proxy and its leaving the answers",
            self.detection.clone(),
        );
        registry
    }

    fn answer_metrics(&self) -> Vec<Metric> {
        let stats = self.tally.sum();
        vec![
            Metric::counters(
                "atoll_dns_questions",
                "Questions by type",
                "qtype",
                stats.by_type(),
            ),
            Metric::counters(
                "atoll_dns_replies",
                "Replies by response code",
                "rcode",
                stats.by_code(),
            ),
            Metric::counters(
                "atoll_dns_answers",
                "Replies by what they were made from",
                "reason",
                stats.by_reason(),
            ),
            Metric::counters(
                "atoll_dns_received",
                "Messages by transport",
                "transport",
                stats.by_transport(),
            ),
            Metric::counters(
                "atoll_dns_silences",
                "Messages that got no reply",
                "reason",
                stats.by_silence(),
            ),
            Metric::counters(
                "atoll_dns_cookies",
                "Cookies by what they were worth",
                "worth",
                stats.by_cookie(),
            ),
            Metric::counters(
                "atoll_dns_written",
                "Replies by the door that wrote them",
                "door",
                stats.by_door(),
            ),
        ]
    }

    fn traffic_metrics(&self) -> Vec<Metric> {
        let traffic = &self.traffic;
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        vec![
            Metric::plain(
                "atoll_dns_unsent",
                "Datagrams that the system did not take",
                Kind::Counter,
                read(&traffic.unsent),
            ),
            Metric::plain(
                "atoll_dns_unlogged",
                "Replies missing in the query log",
                Kind::Counter,
                read(&traffic.unlogged),
            ),
            Metric::counters(
                "atoll_dns_connections",
                "TCP connections by fate",
                "fate",
                [
                    ("taken", read(&traffic.tcp_taken)),
                    ("refused", read(&traffic.tcp_refused)),
                    ("crowded", read(&traffic.tcp_crowded)),
                    ("timed_out", read(&traffic.tcp_timed_out)),
                ],
            ),
        ]
    }

    fn check_metrics(&self) -> Vec<Metric> {
        let checker = lock(&self.checker);
        let mut metrics = check_metrics::all(&checker, self.clock.moment());
        let named = |proxy: &Proxy| (proxy.http.to_string(), self.times_named(proxy));
        metrics.push(Metric::counters(
            "atoll_dns_named",
            "Answers that named each checked proxy, estimated from one in sixteen",
            "proxy",
            checker.proxies().map(named),
        ));
        metrics
    }

    /// About how many answers named `proxy`.
    fn times_named(&self, proxy: &Proxy) -> u64 {
        let address = proxy.http.ip();
        self.named.iter().map(|named| lock(named).of(address)).sum()
    }
}

impl Inspect for View {
    fn readiness(&self) -> Readiness {
        match lock(&self.checker).readiness() {
            Ok(()) => Readiness::Ready,
            Err(why) => Readiness::NotReady(why),
        }
    }

    fn page(&self, path: &str, query: &str) -> Option<Value> {
        self.near.page(self.clock.moment(), path, query)
    }

    fn state(&self) -> Value {
        let now = self.clock.moment();
        let checker = lock(&self.checker);
        let published = checker.published();
        json!({
            "daemon": "atoll-dns",
            "version": env!("CARGO_PKG_VERSION"),
            "node": self.node,
            "zones": self.zones.state(now),
            "client_networks": self.near.state(),
            "index_answers": checker.index_answers(),
            "live": checker.live(),
            "known": checker.known(),
            "nobody_alive_for_ms": published.lost.map(|lost| state::millis(now.since(lost))),
            "named": {
                "v4": published.v4.addresses().collect::<Vec<_>>(),
                "v6": published.v6.addresses().collect::<Vec<_>>(),
            },
            "checks": state::seats(&checker, now),
            "proxies": state::proxies(&checker, now, |proxy| self.times_named(proxy)),
            "unchecked": state::unchecked(&checker, now),
        })
    }
}
