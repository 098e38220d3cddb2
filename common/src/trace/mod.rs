//! What one request did, on whichever nodes: spans, the context that ties them together, and the bounded
//! ring in which each node keeps those worth keeping. No collector: whoever wants a trace asks each node.
//!
//! Every span is timed by its own node's monotonic clock alone. Nothing here compares the clocks of two
//! nodes; who draws a trace places a node's spans inside the span that caused them.

pub mod otlp;
pub mod ring;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::wire::codec::{DecodeError, Reader, Writer};

/// Bytes of a [`Context`] on the wire.
pub const CONTEXT_LEN: usize = 25;

/// Longest target of a span that is kept, in bytes.
pub const TARGET_MAX: usize = 200;

/// Names one request across all nodes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TraceId(pub [u8; 16]);

/// Names one span within its trace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SpanId(pub u64);

/// Why a trace is kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// An operator asked for it.
    Asked,
    /// It failed.
    Failed,
    /// It took long.
    Slow,
    /// One in so many is kept.
    Sampled,
}

impl Keep {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Asked, Self::Failed, Self::Slow, Self::Sampled];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Failed => "failed",
            Self::Slow => "slow",
            Self::Sampled => "sampled",
        }
    }
}

/// What another node has to know to join a trace.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Context {
    /// The trace.
    pub trace: TraceId,
    /// The span that causes what happens there.
    pub parent: SpanId,
    /// Whether it is to be kept there whatever comes of it.
    pub keep: Option<Keep>,
}

/// What a span is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A client's request at a proxy.
    Request,
    /// A proxy asks its index who has a page.
    Index,
    /// A proxy asks another one.
    Peer,
    /// A proxy asks the origin, to the end of the body.
    Origin,
    /// The part of it until the first byte.
    FirstByte,
    /// A proxy answers another one.
    Serve,
    /// One index asks another.
    Hop,
    /// An index answers another one.
    Answer,
}

impl What {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Index => "index",
            Self::Peer => "peer",
            Self::Origin => "origin",
            Self::FirstByte => "first_byte",
            Self::Serve => "serve",
            Self::Hop => "hop",
            Self::Answer => "answer",
        }
    }
}

/// A stretch of time in which something was done for a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// Of which trace.
    pub trace: TraceId,
    /// Its name.
    pub id: SpanId,
    /// What caused it, if anything did.
    pub parent: Option<SpanId>,
    /// What it is about.
    pub what: What,
    /// Whom it concerns: a URL, an address.
    pub target: String,
    /// When it began, by this node's clock.
    pub began: Moment,
    /// How long it took.
    pub took: Duration,
    /// What came of it, in a word of a closed list.
    pub outcome: &'static str,
    /// Whether that is a failure.
    pub failed: bool,
}

impl Span {
    /// The span as a document; `now` is when it is looked at.
    #[must_use]
    pub fn to_json(&self, now: Moment) -> serde_json::Value {
        serde_json::json!({
            "trace": self.trace.to_string(), "id": self.id.to_string(),
            "parent": self.parent.map(|parent| parent.to_string()), "what": self.what,
            "target": self.target, "began_us": self.began.as_nanos() / 1_000,
            "ago_us": micros(now.since(self.began)), "took_us": micros(self.took),
            "outcome": self.outcome, "failed": self.failed,
        })
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The beginning of `text` that a span keeps of its target.
#[must_use]
pub fn clip(text: &str) -> String {
    text[..text.floor_char_boundary(TARGET_MAX)].to_owned()
}

/// Gives out ids of traces and spans: a random beginning, and a count. Not secret, only not the same twice.
#[derive(Clone, Debug)]
pub struct Ids {
    start: [u8; 8],
    next: u64,
}

impl Ids {
    /// Ids that begin with `start`, which is random.
    #[must_use]
    pub const fn new(start: [u8; 8]) -> Self {
        Self { start, next: 0 }
    }

    /// A new trace, and the number of those before it.
    pub const fn trace(&mut self) -> (TraceId, u64) {
        let count = self.next;
        self.next += 1;
        (Self::trace_at(self.start, count), count)
    }

    /// The trace numbered `count` of those that begin with `start`.
    #[must_use]
    pub const fn trace_at(start: [u8; 8], count: u64) -> TraceId {
        let mut id = [0; 16];
        let count = count.to_be_bytes();
        let mut at = 0;
        while at < 8 {
            id[at] = start[at];
            id[at + 8] = count[at];
            at += 1;
        }
        TraceId(id)
    }

    /// A new span.
    pub const fn span(&mut self) -> SpanId {
        let count = self.next;
        self.next += 1;
        SpanId(Self::span_at(self.start, count))
    }

    /// The span numbered `count`: a bijection of 64 bits, so that no two of a node are alike, with the
    /// node's own beginning in it, so that those of two nodes hardly are.
    const fn span_at(start: [u8; 8], count: u64) -> u64 {
        // An odd factor with its bits spread (Knuth's multiplicative hashing, 2^64 over the golden ratio).
        u64::from_be_bytes(start) ^ (count.wrapping_add(1)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

/// A text that is no id or context.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a trace")]
pub struct ParseTraceError;

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for TraceId {
    type Err = ParseTraceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER.decode(text.as_bytes());
        let bytes = bytes.ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(ParseTraceError)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for SpanId {
    type Err = ParseTraceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = u64::from_str_radix(text, 16).ok().filter(|_| digits);
        id.map(Self).ok_or(ParseTraceError)
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.trace, self.parent, code(self.keep))
    }
}

impl FromStr for Context {
    type Err = ParseTraceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '-');
        let mut next = || parts.next().ok_or(ParseTraceError);
        let (trace, parent, keep) = (next()?.parse()?, next()?.parse()?, next()?);
        let keep = keep.parse().map_err(|_| ParseTraceError)?;
        Ok(Self {
            trace,
            parent,
            keep: keep_of(keep),
        })
    }
}

/// On the wire and in text; what a later version adds is kept as a sample.
const fn code(keep: Option<Keep>) -> u8 {
    match keep {
        None => 0,
        Some(Keep::Asked) => 1,
        Some(Keep::Failed) => 2,
        Some(Keep::Slow) => 3,
        Some(Keep::Sampled) => 4,
    }
}

const fn keep_of(code: u8) -> Option<Keep> {
    match code {
        0 => None,
        1 => Some(Keep::Asked),
        2 => Some(Keep::Failed),
        3 => Some(Keep::Slow),
        _ => Some(Keep::Sampled),
    }
}

impl Context {
    /// Writes it, [`CONTEXT_LEN`] bytes.
    pub fn write(&self, w: &mut Writer) {
        w.put(&self.trace.0).u64(self.parent.0).u8(code(self.keep));
    }

    /// Reads it.
    ///
    /// # Errors
    /// There are too few bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            trace: TraceId(r.array("a trace id")?),
            parent: SpanId(r.u64("a span id")?),
            keep: keep_of(r.u8("why it is kept")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_the_same_after_text_and_wire() {
        let mut ids = Ids::new(*b"12345678");
        for keep in [None].into_iter().chain(Keep::ALL.map(Some)) {
            let context = Context {
                trace: ids.trace().0,
                parent: ids.span(),
                keep,
            };
            assert_eq!(context.to_string().parse(), Ok(context));
            let mut w = Writer::new(CONTEXT_LEN);
            context.write(&mut w);
            let bytes = w.finish().unwrap();
            assert_eq!(bytes.len(), CONTEXT_LEN);
            assert_eq!(Context::read(&mut Reader::new(&bytes)), Ok(context));
        }
    }

    #[test]
    fn what_is_no_context_is_refused() {
        let id = "00112233445566778899aabbccddeeff";
        for text in [
            "",
            "-",
            id,
            &format!("{id}-0123456789abcdef"),
            &format!("{id}-123456789abcdef-1"),
            &format!("{id}-+123456789abcdef-1"),
            &format!("{id}-0123456789abcdef-x"),
            &format!("{id}0-0123456789abcdef-1"),
        ] {
            assert!(text.parse::<Context>().is_err(), "{text}");
        }
    }

    #[test]
    fn ids_of_a_node_differ() {
        let mut ids = Ids::new([7; 8]);
        let spans: std::collections::BTreeSet<_> = (0..1_000).map(|_| ids.span()).collect();
        assert_eq!(spans.len(), 1_000);
        assert_ne!(ids.trace().0, ids.trace().0);
    }

    #[test]
    fn a_target_is_cut_between_letters() {
        let long = "ä".repeat(TARGET_MAX);
        assert_eq!(clip(&long).len(), TARGET_MAX);
        assert_eq!(clip("short"), "short");
    }
}
