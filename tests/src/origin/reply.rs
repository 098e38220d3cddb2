//! What an origin answers, and how it fails to.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::Request;
use crate::pattern;

/// Holds replies back until the test opens it. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everybody pass, from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn pass(&self) {
        let mut state = self.0.subscribe();
        // The sender lives in `self`.
        let _ = state.wait_for(|open| *open).await;
    }
}

/// Where a body's bytes come from.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Bytes(Bytes),
    Pattern(Range<u64>),
}

impl Body {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Pattern(range) => range.end - range.start,
        }
    }

    /// The beginning of what lies between two offsets.
    pub(super) fn piece(&self, range: Range<u64>) -> Bytes {
        let at = |offset| usize::try_from(offset).unwrap();
        match self {
            Self::Bytes(bytes) => bytes.slice(at(range.start)..at(range.end)),
            Self::Pattern(whole) => {
                pattern::piece(whole.start + range.start..whole.start + range.end)
            }
        }
    }

    fn part(&self, range: Range<u64>) -> Self {
        match self {
            Self::Bytes(_) => Self::Bytes(self.piece(range)),
            Self::Pattern(whole) => {
                Self::Pattern(whole.start + range.start..whole.start + range.end)
            }
        }
    }
}

/// How a body's end is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    Length,
    Claimed(u64),
    Chunked,
    UntilClose,
}

/// A scripted answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
    pub(super) framing: Framing,
    pub(super) delay: Duration,
    pub(super) hint: Option<Bytes>,
    pub(super) before_head: Option<Gate>,
    pub(super) hold: Option<(u64, Gate)>,
    pub(super) cut_after: Option<u64>,
    pub(super) trickle: Option<(u64, Duration)>,
    pub(super) raw: Option<Bytes>,
    pub(super) ending: Ending,
}

/// How a connection ends that is not used again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    Clean,
    /// Over TLS without the word that ends it.
    Cut,
    Reset,
}

impl Reply {
    fn new(status: u16, body: Body) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
            framing: Framing::Length,
            delay: Duration::ZERO,
            hint: None,
            before_head: None,
            hold: None,
            cut_after: None,
            trickle: None,
            raw: None,
            ending: Ending::Clean,
        }
    }

    /// 200 with `body` and nothing else said about it.
    #[must_use]
    pub fn page(body: impl Into<Bytes>) -> Self {
        Self::new(200, Body::Bytes(body.into()))
    }

    /// 200 with `length` bytes of the [`pattern`].
    #[must_use]
    pub fn pattern(length: u64) -> Self {
        Self::new(200, Body::Pattern(0..length))
    }

    /// 200 with `length` bytes of the [`pattern`] from `offset` on: another version of the same.
    #[must_use]
    pub fn pattern_from(offset: u64, length: u64) -> Self {
        Self::new(200, Body::Pattern(offset..offset + length))
    }

    /// Any status.
    #[must_use]
    pub fn status(status: u16, body: &str) -> Self {
        Self::new(status, Body::Bytes(Bytes::copy_from_slice(body.as_bytes())))
    }

    /// These bytes and nothing else, after which the connection ends.
    #[must_use]
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        let mut reply = Self::status(200, "");
        reply.raw = Some(bytes.into());
        reply
    }

    /// With the connection closed at the end as if it had broken: over TLS, without `close_notify`.
    #[must_use]
    pub const fn then_cut(mut self) -> Self {
        self.ending = Ending::Cut;
        self
    }

    /// With the connection reset at the end.
    #[must_use]
    pub const fn then_reset(mut self) -> Self {
        self.ending = Ending::Reset;
        self
    }

    /// With these bytes as its body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Body::Bytes(body.into());
        self
    }

    /// With another field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `Cache-Control: max-age=<seconds>`.
    #[must_use]
    pub fn fresh_for(self, seconds: u32) -> Self {
        self.header("cache-control", &format!("max-age={seconds}"))
    }

    /// As 304 without a body, if the request says that it has `etag` already; else with it.
    #[must_use]
    pub fn validated_by(mut self, etag: &str, request: &Request) -> Self {
        if request.header("if-none-match") == Some(etag) {
            self.status = 304;
            self.body = Body::Bytes(Bytes::new());
        }
        self.header("etag", etag)
    }

    /// As 206, if the request asks for a part of what `etag` names; else whole with that `ETag`.
    #[must_use]
    pub fn ranged_by(mut self, etag: &str, request: &Request) -> Self {
        let whole = self.body.len();
        let same = request.header("if-range").is_none_or(|named| named == etag);
        if let Some(range) = request.header("range").filter(|_| same) {
            let range = parse_range(range, whole);
            let stated = format!("bytes {}-{}/{whole}", range.start, range.end - 1);
            self.status = 206;
            self.body = self.body.part(range);
            self = self.header("content-range", &stated);
        }
        self.header("etag", etag)
    }

    /// With this status.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// In chunks instead of with a length.
    #[must_use]
    pub const fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    /// Ended by the connection's end.
    #[must_use]
    pub const fn until_close(mut self) -> Self {
        self.framing = Framing::UntilClose;
        self
    }

    /// With a length that is not the body's.
    #[must_use]
    pub const fn claiming(mut self, length: u64) -> Self {
        self.framing = Framing::Claimed(length);
        self
    }

    /// After this time.
    #[must_use]
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Once `gate` is open.
    #[must_use]
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.before_head = Some(gate.clone());
        self
    }

    /// With these bytes at once, before anything that holds the rest up.
    #[must_use]
    pub fn hinting(mut self, bytes: impl Into<Bytes>) -> Self {
        self.hint = Some(bytes.into());
        self
    }

    /// With a halt after `bytes` of the body until `gate` is open.
    #[must_use]
    pub fn held_after(mut self, bytes: u64, gate: &Gate) -> Self {
        self.hold = Some((bytes, gate.clone()));
        self
    }

    /// With the connection cut after `bytes` of the body.
    #[must_use]
    pub const fn cut_after(mut self, bytes: u64) -> Self {
        self.cut_after = Some(bytes);
        self
    }

    /// Slowly: so many bytes, then a pause, and so on.
    #[must_use]
    pub const fn trickled(mut self, bytes: u64, pause: Duration) -> Self {
        self.trickle = Some((bytes, pause));
        self
    }
}

/// The range that `text` (`bytes=a-b`, `bytes=a-` or `bytes=-n`) names in `whole` bytes.
fn parse_range(text: &str, whole: u64) -> Range<u64> {
    let (first, last) = text
        .strip_prefix("bytes=")
        .unwrap()
        .split_once('-')
        .unwrap();
    if first.is_empty() {
        return whole.saturating_sub(last.parse().unwrap())..whole;
    }
    let end = if last.is_empty() {
        whole
    } else {
        last.parse::<u64>().unwrap() + 1
    };
    first.parse().unwrap()..end.min(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&str, &str)]) -> Request {
        Request {
            method: "GET".to_owned(),
            target: "/".to_owned(),
            headers: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            nth: 1,
        }
    }

    #[test]
    fn a_part_is_given_only_of_the_object_named() {
        let asked = request(&[("range", "bytes=10-19"), ("if-range", "\"v1\"")]);
        let part = Reply::pattern(100).ranged_by("\"v1\"", &asked);
        assert_eq!((part.status, part.body.len()), (206, 10));
        assert_eq!(part.body.piece(0..10), pattern::whole(10..20));
        let other = Reply::pattern(100).ranged_by("\"v2\"", &asked);
        assert_eq!((other.status, other.body.len()), (200, 100));
    }

    #[test]
    fn who_has_it_is_told_so() {
        let asked = request(&[("if-none-match", "\"v1\"")]);
        let reply = Reply::page("x").validated_by("\"v1\"", &asked);
        assert_eq!((reply.status, reply.body.len()), (304, 0));
        assert_eq!(Reply::page("x").validated_by("\"v2\"", &asked).status, 200);
    }
}
