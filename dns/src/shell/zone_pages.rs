//! What the admin pages show of the zones: their keys, their signatures, their delegation.

use std::sync::{Arc, Mutex};

use common::clock::Moment;
use common::telemetry::{Kind, Metric, Sample};
use serde_json::{Value, json};

use super::lock;
use super::published::Published;
use super::reload::Reloads;
use crate::engine::sign::cache::SignStats;
use crate::engine::watch::compare::Mismatch;
use crate::engine::watch::{Report, Watch};
use crate::engine::zone::ZoneData;

/// The view of the zones.
#[derive(Clone, Debug)]
pub struct ZonePages {
    /// The zones, as answers are made from them.
    pub published: Arc<Published>,
    /// How often they were read anew.
    pub reloads: Reloads,
    /// The delegation watch, if somebody can be asked.
    pub watch: Option<Arc<Mutex<Watch>>>,
}

impl ZonePages {
    /// Metrics of signing and of the delegation.
    #[must_use]
    pub fn metrics(&self, signatures: SignStats) -> Vec<Metric> {
        let mut metrics = vec![Metric::counters(
            "atoll_dns_signatures",
            "Signatures by where they came from",
            "source",
            [
                ("made", signatures.made),
                ("reused", signatures.reused),
                ("refused", signatures.refused),
            ],
        )];
        metrics.push(self.reloads.metric());
        if let Some(watch) = &self.watch {
            let watch = lock(watch);
            let stats = watch.stats();
            metrics.push(Metric::counters(
                "atoll_dns_delegation_rounds",
                "Comparisons of a zone with its parent, by outcome",
                "outcome",
                [
                    ("complete", stats.complete),
                    ("unreachable", stats.unreachable),
                ],
            ));
            metrics.push(Metric {
                name: "atoll_dns_delegation_differences",
                help: "Differences between the zones and what their parents say",
                kind: Kind::Gauge,
                samples: Mismatch::ALL
                    .map(|mismatch| sample(mismatch, count(&watch, mismatch)))
                    .to_vec(),
            });
        }
        metrics
    }

    /// The zones one by one.
    #[must_use]
    pub fn state(&self, now: Moment) -> Value {
        let watch = self.watch.as_deref().map(lock);
        let reports = |zone: &ZoneData| {
            let watch = watch.as_ref()?;
            let mut reports = watch.reports();
            let found = reports.find(|(other, _)| other.origin() == zone.origin());
            found.and_then(|(_, report)| report).cloned()
        };
        let snapshot = self.published.current();
        let zones = snapshot.zones.iter().map(|zone| {
            let keys = zone.ring().map_or(&[][..], |ring| ring.keys());
            let keys = keys
                .iter()
                .map(|key| json!({ "tag": key.tag, "role": key.role.as_str() }));
            json!({
                "zone": zone.grammar().as_str(),
                "signed": zone.ring().is_some(),
                "keys": keys.collect::<Vec<_>>(),
                "static_records": zone.static_count(),
                "delegation": reports(zone).map(|report| delegation(&report, now)),
            })
        });
        Value::Array(zones.collect())
    }
}

fn delegation(report: &Report, now: Moment) -> Value {
    let difference = |d: &crate::engine::watch::compare::Difference| json!({ "mismatch": d.mismatch.as_str(), "server": d.server, "detail": d.detail });
    json!({
        "compared_ms_ago": u64::try_from(now.since(report.at).as_millis()).unwrap_or(u64::MAX),
        "differences": report.differences.iter().map(difference).collect::<Vec<_>>(),
    })
}

fn count(watch: &Watch, mismatch: Mismatch) -> u64 {
    let reports = watch.reports().filter_map(|(_, report)| report);
    let differences = reports.flat_map(|report| &report.differences);
    let found = differences.filter(|difference| difference.mismatch == mismatch);
    u64::try_from(found.count()).unwrap_or(u64::MAX)
}

fn sample(mismatch: Mismatch, value: u64) -> Sample {
    Sample {
        labels: vec![("mismatch", mismatch.as_str().to_owned())],
        value,
    }
}
