//! What the checks come to, in numbers for machines.

use std::time::Duration;

use common::clock::Moment;
use common::telemetry::{Kind, Metric, Sample};
use prometheus_client::metrics::histogram::Histogram;

use crate::engine::checker::{Checker, Seats};
use crate::engine::probe;
use crate::engine::proxy::Standing;
use crate::engine::reason::Fault;
use crate::engine::share::Why;
use crate::engine::stats::CheckStats;

/// A histogram for how long the dead may have been named. The bound is 2.8 s (docs/adr/0002), 3 s are
/// promised.
#[must_use]
pub fn detection() -> Histogram {
    let bounds = [250, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 4_000, 8_000];
    Histogram::new(bounds.map(|millis| Duration::from_millis(millis).as_secs_f64()))
}

/// All metrics of the checker.
#[must_use]
pub fn all(checker: &Checker, now: Moment) -> Vec<Metric> {
    let mut metrics = counters(checker.stats());
    metrics.extend(seats(&checker.seats(now)));
    let under_way = |kind| number(checker.under_way(kind));
    metrics.push(Metric {
        name: "atoll_dns_checks_under_way",
        help: "Checks under way",
        kind: Kind::Gauge,
        samples: [probe::Kind::Ping, probe::Kind::Http]
            .map(|kind| sample(&[("kind", kind.as_str())], under_way(kind)))
            .to_vec(),
    });
    metrics.push(gauge(
        "atoll_dns_proxies_live",
        "Proxies that answers may name",
        checker.live(),
    ));
    metrics
}

fn counters(stats: &CheckStats) -> Vec<Metric> {
    let by_fault = |counts: &std::collections::BTreeMap<Fault, u64>| {
        let count = |fault: &Fault| counts.get(fault).copied().unwrap_or(0);
        Fault::ALL.map(|fault| (fault.as_str(), count(&fault)))
    };
    let plain = |name, help, value| Metric::plain(name, help, Kind::Counter, value);
    vec![
        checks(&[
            (probe::Kind::Ping, "good", stats.pings_answered),
            (probe::Kind::Ping, "failed", stats.pings_failed),
            (probe::Kind::Ping, "void", stats.pings_void),
            (
                probe::Kind::Http,
                "good",
                stats.pages_served.saturating_sub(stats.pages_slow),
            ),
            (probe::Kind::Http, "slow", stats.pages_slow),
            (probe::Kind::Http, "failed", stats.pages_failed),
            (probe::Kind::Http, "void", stats.pages_void),
        ]),
        Metric::counters(
            "atoll_dns_checks_failed",
            "Checks that failed, by what they said",
            "fault",
            by_fault(&stats.failures),
        ),
        Metric::counters(
            "atoll_dns_proxies_out",
            "Proxies taken out, by fault",
            "fault",
            by_fault(&stats.taken_out),
        ),
        plain(
            "atoll_dns_proxies_in",
            "Proxies that became live",
            stats.taken_in,
        ),
        Metric::counters(
            "atoll_dns_seats",
            "Proxies that began or ceased to be checked",
            "change",
            [("taken", stats.seated), ("given_up", stats.unseated)],
        ),
        Metric::counters(
            "atoll_dns_mentions_refused",
            "Proxies not taken up",
            "reason",
            [
                ("full", stats.pool_full),
                ("unusable", stats.unusable),
                ("wanted_unknown", stats.wanted_unknown),
            ],
        ),
        plain(
            "atoll_dns_starved",
            "Times the prober was starved of time",
            stats.starved,
        ),
        plain(
            "atoll_dns_index_gone",
            "Questions the local index did not answer",
            stats.index_gone,
        ),
    ]
}

fn seats(seats: &Seats) -> Vec<Metric> {
    let by = |name, help, label, counts: Vec<(&str, usize)>| Metric {
        name,
        help,
        kind: Kind::Gauge,
        samples: counts
            .into_iter()
            .map(|(word, count)| sample(&[(label, word)], number(count)))
            .collect(),
    };
    vec![
        gauge(
            "atoll_dns_proxies_known",
            "Proxies known, checked or not",
            seats.known,
        ),
        by(
            "atoll_dns_proxies_checked",
            "Proxies checked, by why",
            "why",
            Why::ALL
                .map(Why::as_str)
                .into_iter()
                .zip(seats.checked)
                .collect(),
        ),
        by(
            "atoll_dns_proxies_standing",
            "Proxies checked, by where they stand",
            "standing",
            Standing::WORDS.into_iter().zip(seats.standing).collect(),
        ),
        gauge(
            "atoll_dns_proxies_held",
            "Proxies that are well and held back for coming and going",
            seats.held,
        ),
    ]
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn gauge(name: &'static str, help: &'static str, value: usize) -> Metric {
    Metric::plain(name, help, Kind::Gauge, number(value))
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
