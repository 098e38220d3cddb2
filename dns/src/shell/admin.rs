//! What the admin pages show: numbers for machines, the proxies one by one for people.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use common::shell::admin::{Inspect, Readiness};
use common::telemetry::{Kind, Metric, MetricTable, Sample};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::answering::Tally;
use super::lock;
use super::traffic::Traffic;
use super::zone_pages::ZonePages;
use crate::engine::checker::Checker;
use crate::engine::probe;
use crate::engine::proxy::{Proxy, Standing};
use crate::engine::reason::Fault;

/// Proxies on the state page. The rest is counted.
const SHOWN_MAX: usize = 1_000;

/// The view of the daemon.
#[derive(Clone, Debug)]
pub struct View {
    /// Who is alive.
    pub checker: Arc<Mutex<Checker>>,
    /// What was answered.
    pub tally: Tally,
    /// What came in.
    pub traffic: Arc<Traffic>,
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
            metrics.extend(view.zones.metrics(view.tally.sum().signing));
            metrics
        });
        registry.register_collector(Box::new(table));
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
        let stats = checker.stats();
        let out = |fault: &Fault| stats.taken_out.get(fault).copied().unwrap_or(0);
        let faults = Fault::ALL.iter().map(|fault| (fault.as_str(), out(fault)));
        let under_way = |kind| u64::try_from(checker.under_way(kind)).unwrap_or(u64::MAX);
        vec![
            checks(&[
                (probe::Kind::Ping, "good", stats.pings_answered),
                (probe::Kind::Ping, "failed", stats.pings_failed),
                (probe::Kind::Ping, "void", stats.pings_void),
                (probe::Kind::Http, "good", stats.pages_served),
                (probe::Kind::Http, "failed", stats.pages_failed),
                (probe::Kind::Http, "void", stats.pages_void),
            ]),
            Metric::counters(
                "atoll_dns_proxies_out",
                "Proxies taken out, by fault",
                "fault",
                faults,
            ),
            Metric::plain(
                "atoll_dns_proxies_in",
                "Proxies that became live",
                Kind::Counter,
                stats.taken_in,
            ),
            gauge(
                "atoll_dns_proxies_live",
                "Proxies that answers may name",
                checker.live(),
            ),
            gauge(
                "atoll_dns_proxies_known",
                "Proxies known, dead or alive",
                checker.proxies().count(),
            ),
            Metric {
                name: "atoll_dns_checks_under_way",
                help: "Checks under way",
                kind: Kind::Gauge,
                samples: [probe::Kind::Ping, probe::Kind::Http]
                    .map(|kind| sample(&[("kind", kind.as_str())], under_way(kind)))
                    .to_vec(),
            },
            Metric::counters(
                "atoll_dns_mentions_refused",
                "Proxies not taken up",
                "reason",
                [("full", stats.pool_full), ("unusable", stats.unusable)],
            ),
            Metric::plain(
                "atoll_dns_starved",
                "Times the prober was starved of time",
                Kind::Counter,
                stats.starved,
            ),
            Metric::plain(
                "atoll_dns_index_gone",
                "Questions the local index did not answer",
                Kind::Counter,
                stats.index_gone,
            ),
        ]
    }
}

impl Inspect for View {
    fn readiness(&self) -> Readiness {
        match lock(&self.checker).readiness() {
            Ok(()) => Readiness::Ready,
            Err(why) => Readiness::NotReady(why),
        }
    }

    fn state(&self) -> Value {
        let now = self.clock.moment();
        let checker = lock(&self.checker);
        let published = checker.published();
        let shown = checker
            .proxies()
            .take(SHOWN_MAX)
            .map(|proxy| proxy_state(proxy, now));
        json!({
            "daemon": "atoll-dns",
            "version": env!("CARGO_PKG_VERSION"),
            "node": self.node,
            "zones": self.zones.state(now),
            "index_answers": checker.index_answers(),
            "live": checker.live(),
            "known": checker.proxies().count(),
            "nobody_alive_for_ms": published.lost.map(|lost| millis(now.since(lost))),
            "named": {
                "v4": published.v4.addresses().collect::<Vec<_>>(),
                "v6": published.v6.addresses().collect::<Vec<_>>(),
            },
            "proxies": shown.collect::<Vec<_>>(),
        })
    }
}

fn proxy_state(proxy: &Proxy, now: Moment) -> Value {
    let since = match proxy.standing {
        Standing::Unverified => None,
        Standing::Live { since } | Standing::Out { since, .. } => Some(millis(now.since(since))),
    };
    let reason = match proxy.standing {
        Standing::Out { fault, .. } => Some(fault.as_str()),
        Standing::Unverified | Standing::Live { .. } => None,
    };
    json!({
        "addr": proxy.http,
        "index": proxy.index,
        "fixed": proxy.fixed,
        "state": proxy.standing.as_str(),
        "reason": reason,
        "for_ms": since,
        "last_fault": proxy.last_fault.map(Fault::as_str),
        "ping_rtt_us": proxy.ping_rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
        "http_ms": proxy.http_took.map(millis),
        "level": proxy.level,
        "spare_percent": proxy.spare,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn gauge(name: &'static str, help: &'static str, value: usize) -> Metric {
    Metric::plain(
        name,
        help,
        Kind::Gauge,
        u64::try_from(value).unwrap_or(u64::MAX),
    )
}

fn checks(rows: &[(probe::Kind, &'static str, u64)]) -> Metric {
    let row = |(kind, outcome, value): &(probe::Kind, &'static str, u64)| {
        sample(&[("kind", kind.as_str()), ("outcome", outcome)], *value)
    };
    Metric {
        name: "atoll_dns_checks",
        help: "Checks of proxies by kind and outcome",
        kind: Kind::Counter,
        samples: rows.iter().map(row).collect(),
    }
}

fn sample(labels: &[(&'static str, &str)], value: u64) -> Sample {
    Sample {
        labels: labels
            .iter()
            .map(|(name, text)| (*name, (*text).to_owned()))
            .collect(),
        value,
    }
}
