//! What a crowd found, added up and shown. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use common::config::ByteSize;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::cache_status::Source;
use crate::render::{self, Align, Table};

/// Why a request of the crowd failed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FailureReason {
    /// No connection to the proxy.
    Connect,
    /// The connection broke, before or during the body.
    Broken,
    /// No whole answer in time.
    Deadline,
    /// A status other than 200.
    Status(u16),
    /// More or fewer bytes than the object has.
    Length,
    /// Other bytes than the object's.
    Content,
}

impl FailureReason {
    /// The words for tables.
    #[must_use]
    pub fn as_text(self) -> String {
        match self {
            Self::Connect => "no connection".to_owned(),
            Self::Broken => "connection broke".to_owned(),
            Self::Deadline => "too slow".to_owned(),
            Self::Status(status) => format!("status {status}"),
            Self::Length => "wrong length".to_owned(),
            Self::Content => "wrong content".to_owned(),
        }
    }
}

/// What came of one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// From sending the request to the last byte, or to the failure.
    pub latency: Duration,
    /// Body bytes received.
    pub bytes: u64,
    /// Where the proxy had it from, or why the request failed.
    pub result: Result<Source, FailureReason>,
}

/// Everything that a crowd found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Clients.
    pub clients: usize,
    /// Objects each of them asked for.
    pub objects: usize,
    /// Bytes of an object.
    pub size: u64,
    /// Proxies they were spread over.
    pub proxies: usize,
    /// Requests that reached the origin meanwhile; `None` if it could not be asked.
    pub origin_fetches: Option<u64>,
    /// From the first request to the last byte.
    pub wall: Duration,
    bytes: u64,
    sources: BTreeMap<Source, u64>,
    failures: BTreeMap<FailureReason, u64>,
    latency: Histogram<u64>,
}

/// Largest latency told apart, in microseconds: ten minutes.
const LATENCY_MAX: u64 = 600_000_000;

impl Report {
    /// A report of nothing yet.
    #[must_use]
    #[expect(
        clippy::missing_panics_doc,
        reason = "the histogram's bounds are constants"
    )]
    pub fn new(clients: usize, objects: usize, size: u64, proxies: usize) -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX, 3);
        Self {
            clients,
            objects,
            size,
            proxies,
            origin_fetches: None,
            wall: Duration::ZERO,
            bytes: 0,
            sources: BTreeMap::new(),
            failures: BTreeMap::new(),
            latency: latency.expect("the bounds are constants that the histogram accepts"),
        }
    }

    /// Adds one request.
    pub fn add(&mut self, sample: Sample) {
        self.bytes += sample.bytes;
        match sample.result {
            Ok(source) => {
                *self.sources.entry(source).or_default() += 1;
                let micros = u64::try_from(sample.latency.as_micros()).unwrap_or(u64::MAX);
                self.latency.saturating_record(micros.max(1));
            }
            Err(reason) => *self.failures.entry(reason).or_default() += 1,
        }
    }

    /// Requests answered as they should be.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.sources.values().sum()
    }

    /// Requests that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// All requests.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.answered() + self.failed()
    }

    /// Body bytes that clients received.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The latency that `percent` of the answered requests did not exceed.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_micros(self.latency.value_at_percentile(percent))
    }

    fn hits(&self, source: Source) -> u64 {
        self.sources.get(&source).copied().unwrap_or_default()
    }

    /// The table for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut table = Table::new(&[("", Align::Left), ("", Align::Right), ("", Align::Left)]);
        let mut row = |name: &str, value: String, remark: String| {
            table.row([name.to_owned(), value, remark]);
        };
        let size = ByteSize(self.size);
        let Self {
            clients,
            objects,
            proxies,
            ..
        } = self;
        row(
            "requests",
            render::count(self.requests()),
            format!("{clients} clients x {objects} cold objects of {size}, over {proxies} proxies"),
        );
        row("failures", render::count(self.failed()), String::new());
        for (reason, count) in &self.failures {
            row("", render::count(*count), reason.as_text());
        }
        row("bytes served", render::bytes(self.bytes), String::new());
        match self.origin_fetches {
            Some(fetches) => row(
                "origin fetches",
                render::count(fetches),
                self.verdict(fetches),
            ),
            None => row(
                "origin fetches",
                "?".to_owned(),
                "the origin could not be asked".to_owned(),
            ),
        }
        row(
            "median",
            render::duration(self.percentile(50.0)),
            "to the last byte".to_owned(),
        );
        row(
            "99th percentile",
            render::duration(self.percentile(99.0)),
            String::new(),
        );
        for source in Source::ALL {
            let count = self.hits(source);
            if source != Source::Unknown || count > 0 {
                row(
                    &format!("hits {}", source.as_str()),
                    render::count(count),
                    remark(source).to_owned(),
                );
            }
        }
        row("wall time", render::duration(self.wall), String::new());
        table.to_text()
    }

    fn verdict(&self, fetches: u64) -> String {
        let objects = self.objects as u64;
        match fetches {
            _ if fetches == objects => "one for each object".to_owned(),
            _ if fetches < objects => "fewer than objects: not all were cold".to_owned(),
            _ => format!("{} more than objects", fetches - objects),
        }
    }

    /// The same for programs. Durations are in microseconds.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let failures: serde_json::Map<String, Value> = self
            .failures
            .iter()
            .map(|(reason, count)| (reason.as_text(), (*count).into()))
            .collect();
        json!({
            "clients": self.clients,
            "objects": self.objects,
            "object_bytes": self.size,
            "proxies": self.proxies,
            "requests": self.requests(),
            "failed": self.failed(),
            "failures": failures,
            "bytes": self.bytes,
            "origin_fetches": self.origin_fetches,
            "median_us": micros(self.percentile(50.0)),
            "p99_us": micros(self.percentile(99.0)),
            "hits": {
                "local": self.hits(Source::Local),
                "peer": self.hits(Source::Peer),
                "origin": self.hits(Source::Origin),
                "unknown": self.hits(Source::Unknown),
            },
            "wall_us": micros(self.wall),
        })
    }
}

const fn remark(source: Source) -> &'static str {
    match source {
        Source::Local => "from the proxy asked: cached, or already being fetched",
        Source::Peer => "from another proxy",
        Source::Origin => "from the origin",
        Source::Unknown => "without a Cache-Status that says",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(millis: u64, result: Result<Source, FailureReason>) -> Sample {
        let bytes = if result.is_ok() { 41_984 } else { 0 };
        Sample {
            latency: Duration::from_millis(millis),
            bytes,
            result,
        }
    }

    fn report() -> Report {
        let mut report = Report::new(2, 12, 41_984, 5);
        for _ in 0..20 {
            report.add(sample(10, Ok(Source::Local)));
        }
        report.add(sample(200, Ok(Source::Peer)));
        report.add(sample(230, Ok(Source::Origin)));
        report.add(sample(1, Err(FailureReason::Status(502))));
        report.add(sample(1, Err(FailureReason::Length)));
        report.origin_fetches = Some(12);
        report.wall = Duration::from_millis(431);
        report
    }

    #[test]
    fn the_table_is_the_golden_one() {
        assert_eq!(report().to_text() + "\n", include_str!("report/golden.txt"));
    }

    #[test]
    fn json_adds_up() {
        let json = report().to_json();
        assert_eq!(json["requests"], 24);
        assert_eq!(json["failed"], 2);
        assert_eq!(json["failures"]["status 502"], 1);
        assert_eq!(json["hits"]["local"], 20);
        assert_eq!(json["bytes"], 22 * 41_984);
    }

    #[test]
    fn failures_do_not_make_the_crowd_look_fast() {
        let mut report = Report::new(1, 1, 1, 1);
        report.add(sample(100, Ok(Source::Local)));
        for _ in 0..100 {
            report.add(sample(1, Err(FailureReason::Connect)));
        }
        assert!(report.percentile(50.0) >= Duration::from_millis(99));
    }
}
