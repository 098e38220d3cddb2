//! The bytes of a fill: from a source's body into the shared body, counted and hashed, and across
//! a change of source in the middle.
//!
//! A client that was told a length takes the last byte for a clean end. So the piece that completes
//! an announced length is held back until the source has ended cleanly and the digest is right.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, HeaderMap, IF_RANGE, RANGE, TRANSFER_ENCODING};

use super::body::Writer;
use super::context::Context;
use super::fill::{Fill, Response};
use super::peer;
use super::upstream::{Head, UpstreamBody};
use crate::engine::http::conditional::{self, EntityTag};
use crate::engine::http::range::{self, ContentRange};
use crate::engine::pointer::Digest;
use crate::engine::reason::FailReason;

/// Bodies up to this many bytes cost less to finish than to ask for again.
const SMALL: u64 = 256 << 10;

/// A body on its way into a shared body.
pub(crate) struct Transfer {
    /// What it is the body of.
    pub(crate) object: Arc<Response>,
    writer: Writer,
    hasher: blake3::Hasher,
    received: u64,
    announced: Option<u64>,
    /// Whether it may be kept and others may join.
    shared: bool,
}

/// A source's body and how it joins on.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    /// The source's word in metrics.
    pub(crate) label: &'static str,
    pub(crate) body: &'a mut UpstreamBody,
    /// The first bytes, which may be known already.
    pub(crate) skip: Skip,
    pub(crate) promise: Promise,
}

impl Transfer {
    pub(crate) fn new(
        object: Arc<Response>,
        writer: Writer,
        announced: Option<u64>,
        shared: bool,
    ) -> Self {
        let hasher = blake3::Hasher::new();
        Self {
            object,
            writer,
            hasher,
            received: 0,
            announced,
            shared,
        }
    }

    /// Takes everything that a body has. `unwanted` says whether nobody waits for it any more.
    pub(crate) async fn take(
        &mut self,
        ctx: &Context,
        mut from: Incoming<'_>,
        fill: &Fill,
        unwanted: impl Fn() -> bool,
    ) -> Result<(), FailReason> {
        let mut last = Bytes::new();
        loop {
            let next = tokio::select! {
                biased;
                next = from.body.next() => next?,
                () = fill.deserted(), if !self.is_worth_finishing() => {
                    if unwanted() {
                        return Err(FailReason::Abandoned);
                    }
                    continue;
                }
            };
            let Some(bytes) = next else { break };
            ctx.metrics.fetched(from.label, bytes.len() as u64);
            let bytes = from.skip.rest_of(bytes, &self.hasher)?;
            if bytes.is_empty() {
                continue;
            }
            let total = self.received + bytes.len() as u64;
            if !last.is_empty() || self.announced.is_some_and(|length| total > length) {
                return Err(FailReason::Malformed);
            }
            if self.announced == Some(total) {
                last = bytes;
                continue;
            }
            self.write(bytes).await;
            if !self.is_worth_finishing() && unwanted() {
                return Err(FailReason::Abandoned);
            }
        }
        if from.skip.left > 0 {
            return Err(FailReason::Truncated);
        }
        self.check(&last, from.promise, from.body.trailers.as_ref())?;
        self.write(last).await;
        Ok(())
    }

    async fn write(&mut self, bytes: Bytes) {
        self.hasher.update(&bytes);
        self.received += bytes.len() as u64;
        self.writer.push(bytes).await;
    }

    /// Nobody waits any more: a shareable object that is small, or more than half here, is finished
    /// all the same. The first client may have left with a 304 and a crowd be on its way.
    fn is_worth_finishing(&self) -> bool {
        let nearly = |length: u64| length <= SMALL || self.received * 2 > length;
        self.shared && self.announced.map_or(self.received <= SMALL, nearly)
    }

    /// Whether what is here and the `last` piece are what the source said they are.
    fn check(
        &self,
        last: &Bytes,
        promise: Promise,
        trailers: Option<&HeaderMap>,
    ) -> Result<(), FailReason> {
        let total = self.received + last.len() as u64;
        if self.announced.is_some_and(|length| length != total) {
            return Err(FailReason::Truncated);
        }
        let stated = match promise {
            Promise::None => return Ok(()),
            Promise::Digest(digest) => Some(digest),
            Promise::Trailer => trailers.and_then(peer::stated_digest),
        };
        let mut hasher = self.hasher.clone();
        match stated {
            // Cut off before its trailer, or a member that does not keep to the protocol.
            None => Err(FailReason::Truncated),
            Some(stated) if hasher.update(last).finalize() == stated => Ok(()),
            Some(_) => Err(FailReason::Digest),
        }
    }

    /// Everything is here.
    pub(crate) fn finish(self) -> Arc<Response> {
        self.writer.finish(*self.hasher.finalize().as_bytes());
        self.object
    }

    /// It ends here, broken.
    pub(crate) fn break_off(self, reason: FailReason) {
        self.writer.break_off(reason);
    }

    /// The fields that ask an origin for the rest: a range where a strong validator ties it to what
    /// is here, else the whole again, whose beginning is then compared.
    pub(crate) fn ask_for_rest(&self, headers: &mut HeaderMap) {
        let validator = conditional::resume_validator(&self.object.headers);
        if let Some(validator) = validator.filter(|_| self.received > 0) {
            headers.insert(RANGE, range::from_offset(self.received));
            headers.insert(IF_RANGE, validator);
        }
    }

    /// Where a peer is asked to begin, by the same rule.
    pub(crate) fn offset(&self) -> u64 {
        match conditional::resume_validator(&self.object.headers) {
            Some(_) => self.received,
            None => 0,
        }
    }

    /// How an origin's second answer joins on, if it is the same object at all.
    pub(crate) fn join_origin(&self, head: &Head) -> Result<Skip, FailReason> {
        if head.status != StatusCode::PARTIAL_CONTENT {
            return self.join(head.status, &head.headers, 0, content_length(&head.headers));
        }
        match ContentRange::of(&head.headers) {
            Some(ContentRange::Part { range, complete }) => {
                self.join(self.object.status, &head.headers, range.start, complete)
            }
            _ => Err(FailReason::Malformed),
        }
    }

    /// How an answer that begins at `offset` of a body of `length` joins on.
    pub(crate) fn join(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        offset: u64,
        length: Option<u64>,
    ) -> Result<Skip, FailReason> {
        let known = &self.object.headers;
        let other_length = length.zip(self.announced).is_some_and(|(a, b)| a != b);
        if status != self.object.status || other_length {
            return Err(FailReason::Truncated);
        }
        let same = match offset {
            // From its beginning the bytes are compared; only their description may differ.
            0 => !differ(EntityTag::of(known), EntityTag::of(headers)),
            // RFC 9110 §15.3.7.3: the rest of another version must not be joined on, and some
            // servers send it whatever If-Range says.
            _ => offset == self.received && conditional::same_representation(known, headers),
        };
        if same {
            Ok(Skip::first(self.received - offset))
        } else {
            Err(FailReason::Malformed)
        }
    }
}

fn differ(one: Option<EntityTag<'_>>, other: Option<EntityTag<'_>>) -> bool {
    one.zip(other)
        .is_some_and(|(one, other)| !one.weak_eq(&other))
}

/// What a source said it would let its body be checked by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Promise {
    /// Nothing: an origin.
    None,
    /// This digest of the whole.
    Digest(Digest),
    /// A digest after the body.
    Trailer,
}

/// The length of a message's body, if it states one: a transfer coding overrides it, and repetition
/// is harmless (RFC 9112 §6.3).
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    let lines = headers.get_all(CONTENT_LENGTH).iter();
    let mut lengths = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(',').map(|length| length.trim().parse().ok()));
    let first = lengths.next()??;
    lengths.all(|other| other == Some(first)).then_some(first)
}

/// The beginning of a second answer, which has to be what was received before.
#[derive(Debug)]
pub(crate) struct Skip {
    left: u64,
    hasher: blake3::Hasher,
}

impl Skip {
    /// The answer is all new.
    pub(crate) fn nothing() -> Self {
        Self::first(0)
    }

    /// The first `left` bytes, from the beginning, are here already.
    fn first(left: u64) -> Self {
        Self {
            left,
            hasher: blake3::Hasher::new(),
        }
    }

    /// What of `bytes` is new. `known` has hashed what was received before.
    fn rest_of(&mut self, bytes: Bytes, known: &blake3::Hasher) -> Result<Bytes, FailReason> {
        if self.left == 0 {
            return Ok(bytes);
        }
        let old = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        self.hasher.update(&bytes[..old]);
        self.left -= old as u64;
        // Only a beginning that is the same to the byte makes the rest belong to it.
        if self.left == 0 && self.hasher.finalize() != known.finalize() {
            return Err(FailReason::Digest);
        }
        Ok(bytes.slice(old..))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::clock::{Moment, WallTime};
    use http::header::HeaderValue;

    use super::*;
    use crate::engine::http::fresh::FreshPolicy;
    use crate::engine::http::key::{PrimaryKey, Scheme};
    use crate::engine::store::object::{Object, Received};
    use crate::shell::body::SharedBody;
    use crate::shell::room::Room;

    fn tagged(tag: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static(tag))])
    }

    /// A transfer of version "a", three of whose bytes are here.
    fn transfer(announced: Option<u64>) -> Transfer {
        let (body, writer) = SharedBody::new(announced, None, &Arc::new(Room::new(1 << 20)));
        let headers = tagged("\"a\"");
        let received = Received {
            status: StatusCode::OK,
            headers: &headers,
            at: Moment::ZERO,
            wall: WallTime::from_unix(0),
            delay: Duration::ZERO,
        };
        let key = PrimaryKey::new(Scheme::Http, "example.com", 80, "/");
        let (none, policy) = (HeaderMap::new(), FreshPolicy::default());
        let object = Object::new(key, &received, headers.clone(), &none, &policy, body);
        let mut transfer = Transfer::new(Arc::new(object), writer, announced, true);
        transfer.received = 3;
        transfer.hasher.update(b"abc");
        transfer
    }

    #[test]
    fn the_last_piece_is_released_only_when_the_promise_is_kept() {
        let (transfer, last) = (transfer(Some(5)), Bytes::from_static(b"de"));
        let right = *blake3::hash(b"abcde").as_bytes();
        let check = |promise| transfer.check(&last, promise, None);
        assert_eq!(check(Promise::None), Ok(()));
        assert_eq!(check(Promise::Digest(right)), Ok(()));
        assert_eq!(check(Promise::Digest([0; 32])), Err(FailReason::Digest));
        assert_eq!(check(Promise::Trailer), Err(FailReason::Truncated));
        let short = transfer.check(&Bytes::new(), Promise::None, None);
        assert_eq!(short, Err(FailReason::Truncated));
    }

    #[test]
    fn a_peer_goes_on_only_with_the_same_version() {
        let transfer = transfer(Some(5));
        assert_eq!(transfer.offset(), 3);
        let join = |tag, offset, length| {
            let joined = transfer.join(StatusCode::OK, &tagged(tag), offset, length);
            joined.map(|skip| skip.left)
        };
        assert_eq!(join("\"a\"", 3, Some(5)), Ok(0));
        assert_eq!(join("\"b\"", 3, Some(5)), Err(FailReason::Malformed));
        assert_eq!(join("\"a\"", 2, Some(5)), Err(FailReason::Malformed));
        assert_eq!(join("\"a\"", 3, Some(6)), Err(FailReason::Truncated));
        assert_eq!(join("\"a\"", 0, None), Ok(3));
        assert_eq!(join("\"b\"", 0, None), Err(FailReason::Malformed));
    }
}
