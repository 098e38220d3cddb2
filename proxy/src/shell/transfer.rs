//! The bytes of a fill: from a source's body into the shared body, across a change of source in the
//! middle. What belongs to what is decided by the engine's [`splice`](crate::engine::splice).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, IF_RANGE, RANGE, TRANSFER_ENCODING};

use super::body::Writer;
use super::context::Context;
use super::fill::{Fill, Response};
use super::peer;
use super::upstream::{Head, UpstreamBody};
use crate::engine::http::{conditional, range};
use crate::engine::reason::FailReason;
use crate::engine::splice::{Described, Intake, Promise, Splice};

/// A body on its way into a shared body.
pub(crate) struct Transfer {
    /// What it is the body of.
    pub(crate) object: Arc<Response>,
    writer: Writer,
    splice: Splice,
    /// What makes it whole: shown in one step with its end.
    last: Bytes,
}

/// A source's body and how it joins on.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    /// The source's word in metrics.
    pub(crate) label: &'static str,
    pub(crate) body: &'a mut UpstreamBody,
    pub(crate) intake: Intake,
}

impl Transfer {
    pub(crate) const fn new(object: Arc<Response>, writer: Writer, splice: Splice) -> Self {
        Self {
            object,
            writer,
            splice,
            last: Bytes::new(),
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
        loop {
            let next = tokio::select! {
                biased;
                next = from.body.next() => next?,
                () = fill.deserted(), if !self.splice.is_worth_finishing() => {
                    if unwanted() {
                        return Err(FailReason::Abandoned);
                    }
                    continue;
                }
            };
            let Some(bytes) = next else { break };
            ctx.metrics.fetched(from.label, bytes.len() as u64);
            let shown = self.splice.take(&mut from.intake, bytes)?;
            if shown.is_empty() {
                continue;
            }
            self.writer.push(shown).await;
            if !self.splice.is_worth_finishing() && unwanted() {
                return Err(FailReason::Abandoned);
            }
        }
        let trailer = from.body.trailers.as_ref().and_then(peer::stated_digest);
        self.last = self.splice.end(from.intake, trailer)?;
        self.writer.prepare(&self.last).await;
        Ok(())
    }

    /// Everything is here.
    pub(crate) fn finish(self) {
        self.writer.finish(self.last, self.splice.digest());
    }

    /// It ends here, broken.
    pub(crate) fn break_off(self, reason: FailReason) {
        self.writer.break_off(reason);
    }

    /// The fields that ask an origin for the rest: a range where a strong validator ties it to what
    /// is here, else the whole again, whose beginning is then compared.
    pub(crate) fn ask_for_rest(&self, headers: &mut HeaderMap) {
        let (validator, received) = (
            conditional::resume_validator(&self.object.headers),
            self.splice.received(),
        );
        if let Some(validator) = validator.filter(|_| received > 0) {
            headers.insert(RANGE, range::from_offset(received));
            headers.insert(IF_RANGE, validator);
        }
    }

    /// Where a peer is asked to begin, by the same rule.
    pub(crate) fn offset(&self) -> u64 {
        self.splice.offset(&self.object.headers)
    }

    /// How an origin's second answer joins on, if it is the same object at all.
    pub(crate) fn join_origin(&self, head: &Head) -> Result<Intake, FailReason> {
        let length = content_length(&head.headers);
        self.splice
            .join_origin(self.shown(), described(head), length)
    }

    /// How a peer's answer that begins at `offset` of a body of `length` joins on.
    pub(crate) fn join(
        &self,
        head: &Head,
        offset: u64,
        length: Option<u64>,
        promise: Promise,
    ) -> Result<Intake, FailReason> {
        self.splice
            .join(self.shown(), described(head), offset, length, promise)
    }

    fn shown(&self) -> Described<'_> {
        Described {
            status: self.object.status,
            headers: &self.object.headers,
        }
    }
}

const fn described(head: &Head) -> Described<'_> {
    Described {
        status: head.status,
        headers: &head.headers,
    }
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
