//! The bytes of a fill: from a source's body into the shared body, counted and hashed, and across
//! a change of source in the middle.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, IF_RANGE, RANGE};
use http::{StatusCode, response};

use super::body::Writer;
use super::context::Context;
use super::fill::{Fill, Response};
use super::peer;
use super::upstream::UpstreamBody;
use crate::engine::http::conditional;
use crate::engine::http::range::{self, ContentRange};
use crate::engine::pointer::Digest;
use crate::engine::reason::FailReason;

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

    /// Bytes taken so far: where to resume.
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    /// Takes everything that `body` has, the first `skip` bytes of which are known already.
    /// Returns the digest that the source stated after the body, if it did.
    pub(crate) async fn take(
        &mut self,
        ctx: &Context,
        fill: &Fill,
        source: &'static str,
        body: &mut UpstreamBody,
        mut skip: Skip,
    ) -> Result<(), FailReason> {
        while let Some(bytes) = body.next().await? {
            ctx.metrics.fetched(source, bytes.len() as u64);
            let bytes = skip.rest_of(bytes, &self.hasher)?;
            if bytes.is_empty() {
                continue;
            }
            self.hasher.update(&bytes);
            self.received += bytes.len() as u64;
            self.writer.push(bytes).await;
            if fill.is_unwatched() && !self.is_worth_finishing() {
                return Err(FailReason::Abandoned);
            }
        }
        self.check(body.trailers.as_ref())
    }

    /// Nobody waits any more: a shareable object more than half here is finished all the same.
    fn is_worth_finishing(&self) -> bool {
        self.shared
            && self
                .announced
                .is_some_and(|length| self.received * 2 > length)
    }

    fn check(&self, trailers: Option<&HeaderMap>) -> Result<(), FailReason> {
        if self.announced.is_some_and(|length| length != self.received) {
            return Err(FailReason::Truncated);
        }
        match trailers.and_then(peer::stated_digest) {
            Some(stated) => self.check_digest(stated),
            None => Ok(()),
        }
    }

    /// Compares what came with what its sender said it is.
    pub(crate) fn check_digest(&self, stated: Digest) -> Result<(), FailReason> {
        if self.hasher.finalize() == stated {
            Ok(())
        } else {
            Err(FailReason::Digest)
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
        if self.received == 0 {
            return;
        }
        if let Some(validator) = conditional::resume_validator(&self.object.headers) {
            headers.insert(RANGE, range::from_offset(self.received));
            headers.insert(IF_RANGE, validator);
        }
    }

    /// How a second source's answer joins on, if it is the same object at all.
    pub(crate) fn join(&self, head: &response::Parts) -> Result<Skip, FailReason> {
        let same_length = |length: Option<u64>| match (length, self.announced) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        match head.status {
            StatusCode::PARTIAL_CONTENT => match ContentRange::of(&head.headers) {
                Some(ContentRange::Part { range, complete })
                    if range.start == self.received && same_length(complete) =>
                {
                    Ok(Skip::nothing())
                }
                _ => Err(FailReason::Malformed),
            },
            status if status == self.object.status => {
                if same_length(content_length(&head.headers)) {
                    Ok(Skip::first(self.received))
                } else {
                    Err(FailReason::Truncated)
                }
            }
            _ => Err(FailReason::Truncated),
        }
    }
}

/// The length a message states, if it states one.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// The beginning of a second answer, which has to be what was received before.
#[derive(Debug)]
pub(crate) struct Skip {
    left: u64,
    hasher: blake3::Hasher,
}

impl Skip {
    /// The answer begins where the last one broke off.
    pub(crate) fn nothing() -> Self {
        Self::first(0)
    }

    /// The answer begins at its beginning.
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
