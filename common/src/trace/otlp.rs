//! Spans as OTLP over HTTP in JSON (opentelemetry-proto 1.x, `ExportTraceServiceRequest` in the JSON mapping of the OTLP
//! specification: ids in lower-case hex, 64-bit numbers as text). Pure; who sends it is
//! [`shell::export`](crate::shell::export)'s.
//!
//! Not here: protobuf, gRPC, TLS. A collector on the node or beside it takes JSON and does the rest.

use serde_json::{Value, json};

use super::{Span, What};
use crate::clock::Moment;
use crate::config::FromSetting;

/// The path of the signal below a collector's own (OTLP specification, "OTLP/HTTP Request").
const PATH: &str = "/v1/traces";

/// Where a collector is: `http://HOST:PORT`, with a path of its own if it has one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Collector {
    /// Host and port.
    pub authority: String,
    /// Where traces go.
    pub path: String,
}

impl FromSetting for Collector {
    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not http://HOST:PORT");
        let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = authority.rsplit_once(':').ok_or_else(wrong)?;
        let odd = |c: char| !c.is_ascii_graphic() || "@?#\\\"<>".contains(c);
        if host.is_empty() || port.parse::<u16>().is_err() || rest.contains(odd) {
            return Err(wrong());
        }
        let path = path.trim_end_matches('/');
        let before = if path.is_empty() { "" } else { "/" };
        Ok(Self {
            authority: authority.to_owned(),
            path: format!("{before}{path}{PATH}"),
        })
    }
}

/// Whose spans they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The program.
    pub service: &'static str,
    /// The node's name.
    pub node: String,
}

impl Origin {
    /// A program of a node.
    #[must_use]
    pub fn new(service: &'static str, node: &str) -> Self {
        Self {
            service,
            node: node.to_owned(),
        }
    }
}

/// What the calendar and the clock say in one moment, so that moments become dates: spans are timed by the clock
/// alone, and dated by the calendar as it is when they leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// The clock.
    pub moment: Moment,
    /// Nanoseconds since 1970.
    pub unix_nanos: u64,
}

impl Now {
    const fn date(self, moment: Moment) -> u64 {
        let ago = self.moment.as_nanos().saturating_sub(moment.as_nanos());
        self.unix_nanos.saturating_sub(ago)
    }
}

/// The request that brings `spans` to a collector.
#[must_use]
pub fn request(of: &Origin, spans: &[Span], now: Now) -> Value {
    let spans: Vec<Value> = spans.iter().map(|one| span(one, now)).collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            text("service.name", of.service),
            text("service.instance.id", &of.node),
            text("service.version", env!("CARGO_PKG_VERSION")),
        ] },
        "scopeSpans": [{ "scope": { "name": "atoll" }, "spans": spans }],
    }] })
}

fn span(span: &Span, now: Now) -> Value {
    let began = now.date(span.began);
    let took = u64::try_from(span.took.as_nanos()).unwrap_or(u64::MAX);
    // SPAN_KIND_SERVER is who is asked, SPAN_KIND_CLIENT who asks, SPAN_KIND_INTERNAL neither.
    let kind = match span.what {
        What::Request | What::Serve | What::Answer => 2,
        What::Index | What::Peer | What::Origin | What::Hop => 3,
        What::FirstByte => 1,
    };
    let mut one = json!({
        "traceId": span.trace.to_string(), "spanId": span.id.to_string(),
        "name": span.what.as_str(), "kind": kind,
        "startTimeUnixNano": began.to_string(),
        "endTimeUnixNano": began.saturating_add(took).to_string(),
        "attributes": [text("atoll.target", &span.target), text("atoll.outcome", span.outcome)],
        // STATUS_CODE_ERROR, or unset: what is well is the reader's to say.
        "status": { "code": if span.failed { 2 } else { 0 } },
    });
    if let Some(parent) = span.parent {
        one["parentSpanId"] = parent.to_string().into();
    }
    one
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// How many spans the collector says in its answer that it did not take (`partialSuccess`).
#[must_use]
pub fn rejected(answer: &[u8]) -> u64 {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let told = &answer["partialSuccess"]["rejectedSpans"];
    let text = told.as_str().and_then(|text| text.parse().ok());
    text.or_else(|| told.as_u64()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::trace::{SpanId, TraceId};

    #[test]
    fn a_collector_is_a_url_with_a_port() {
        let read = |text: &str| Collector::from_text(text).ok();
        let at = |authority: &str, path: &str| {
            let (authority, path) = (authority.to_owned(), path.to_owned());
            Some(Collector { authority, path })
        };
        assert_eq!(
            read("http://127.0.0.1:4318"),
            at("127.0.0.1:4318", "/v1/traces")
        );
        assert_eq!(read("http://[::1]:4318/"), at("[::1]:4318", "/v1/traces"));
        assert_eq!(
            read("http://otel.example:80/in/"),
            at("otel.example:80", "/in/v1/traces")
        );
        for wrong in [
            "",
            "127.0.0.1:4318",
            "https://a:1",
            "http://a",
            "http://a:1/?b",
            "http://u@a:1",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_span_is_dated_by_the_calendar_and_measured_by_the_clock() {
        let span = Span {
            trace: TraceId([0xab; 16]),
            id: SpanId(0x12),
            parent: Some(SpanId(u64::MAX)),
            what: What::Hop,
            target: "192.0.2.1:7 at level 0".to_owned(),
            began: Moment::from_millis(1_000),
            took: Duration::from_millis(30),
            outcome: "silence",
            failed: true,
        };
        let of = Origin::new("atoll-dht", "reef1");
        let now = Now {
            moment: Moment::from_millis(3_000),
            unix_nanos: 1_800_000_000_000_000_000,
        };
        let request = request(&of, std::slice::from_ref(&span), now);
        let resource = &request["resourceSpans"][0];
        assert_eq!(
            resource["resource"]["attributes"][0],
            json!({ "key": "service.name", "value": { "stringValue": "atoll-dht" } })
        );
        assert_eq!(
            resource["scopeSpans"][0]["spans"][0],
            json!({
                "traceId": "ab".repeat(16), "spanId": "0000000000000012", "parentSpanId": "f".repeat(16),
                "name": "hop", "kind": 3,
                "startTimeUnixNano": "1799999998000000000", "endTimeUnixNano": "1799999998030000000",
                "attributes": [
                    { "key": "atoll.target", "value": { "stringValue": "192.0.2.1:7 at level 0" } },
                    { "key": "atoll.outcome", "value": { "stringValue": "silence" } },
                ],
                "status": { "code": 2 },
            })
        );
        let first = Span {
            parent: None,
            ..span
        };
        let request = super::request(&of, &[first], now);
        assert_eq!(
            request["resourceSpans"][0]["scopeSpans"][0]["spans"][0].get("parentSpanId"),
            None
        );
    }

    #[test]
    fn what_a_collector_did_not_take_is_heard() {
        assert_eq!(rejected(br#"{"partialSuccess":{"rejectedSpans":"3"}}"#), 3);
        assert_eq!(rejected(br#"{"partialSuccess":{"rejectedSpans":3}}"#), 3);
        for nothing in [
            "{}",
            "",
            "[]",
            r#"{"partialSuccess":{"rejectedSpans":"x"}}"#,
        ] {
            assert_eq!(rejected(nothing.as_bytes()), 0, "{nothing}");
        }
    }
}
