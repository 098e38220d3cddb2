//! Plain numbers as metrics: the bridge from an engine's counters to the registry.
//!
//! An engine counts in plain integers and knows no registry. The shell renders those integers at
//! the moment of a scrape, as a table of [`Metric`]s, so nothing is counted twice.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Whether a number only grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only grows while the process lives. The text format appends `_total`.
    Counter,
    /// Goes both ways.
    Gauge,
}

/// One number and its labels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Label names and values.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: u64,
}

/// One metric with all its samples.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metric {
    /// Full name without the `_total` of counters.
    pub name: &'static str,
    /// One sentence for the operator.
    pub help: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// One sample per combination of labels.
    pub samples: Vec<Sample>,
}

impl Metric {
    /// A metric with one number and no labels.
    #[must_use]
    pub fn plain(name: &'static str, help: &'static str, kind: Kind, value: u64) -> Self {
        Self {
            name,
            help,
            kind,
            samples: vec![Sample {
                labels: Vec::new(),
                value,
            }],
        }
    }

    /// A counter with one sample per value of `label`.
    #[must_use]
    pub fn counters<V: Into<String>>(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (V, u64)>,
    ) -> Self {
        let sample = |(text, value): (V, u64)| Sample {
            labels: vec![(label, text.into())],
            value,
        };
        Self {
            name,
            help,
            kind: Kind::Counter,
            samples: values.into_iter().map(sample).collect(),
        }
    }
}

/// Makes the metrics of the moment.
type Snapshot = dyn Fn() -> Vec<Metric> + Send + Sync;

/// A collector that asks for the numbers when scraped.
#[derive(Clone)]
pub struct MetricTable(Arc<Snapshot>);

impl fmt::Debug for MetricTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetricTable")
    }
}

impl MetricTable {
    /// A table whose numbers `snapshot` gives at each scrape. It must not block.
    #[must_use]
    pub fn new(snapshot: impl Fn() -> Vec<Metric> + Send + Sync + 'static) -> Self {
        Self(Arc::new(snapshot))
    }
}

impl Collector for MetricTable {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in (self.0)() {
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut family = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            match metric.samples.as_slice() {
                [one] if one.labels.is_empty() => encode_value(metric.kind, one.value, family)?,
                samples => {
                    for sample in samples {
                        let encoder = family.encode_family(&sample.labels)?;
                        encode_value(metric.kind, sample.value, encoder)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn encode_value(
    kind: Kind,
    value: u64,
    encoder: prometheus_client::encoding::MetricEncoder<'_>,
) -> fmt::Result {
    match kind {
        Kind::Counter => ConstCounter::new(value).encode(encoder),
        Kind::Gauge => ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(encoder),
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn renders_the_numbers_of_the_moment_of_the_scrape() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(MetricTable::new(|| {
            vec![
                Metric::counters(
                    "atoll_dht_dropped",
                    "Datagrams dropped",
                    "reason",
                    [("tag", 3)],
                ),
                Metric::plain("atoll_dht_contacts", "Contacts", Kind::Gauge, 5),
            ]
        })));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert_eq!(
            text,
            "# HELP atoll_dht_dropped Datagrams dropped\n# TYPE atoll_dht_dropped counter\n\
             atoll_dht_dropped_total{reason=\"tag\"} 3\n\
             # HELP atoll_dht_contacts Contacts\n# TYPE atoll_dht_contacts gauge\n\
             atoll_dht_contacts 5\n# EOF\n"
        );
    }
}
