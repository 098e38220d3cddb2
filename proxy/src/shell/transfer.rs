//! The bytes of a fill: from a source's body into the shared body, across a change of source in the
//! middle. What belongs to what is decided by the engine's [`splice`](crate::engine::splice).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};

use super::body::{SharedBody, Writer};
use super::context::Context;
use super::fill::{Fill, Response};
use super::peer;
use super::upstream::{Head, UpstreamBody};
use crate::engine::beginnings;
use crate::engine::pointer::Digest;
use crate::engine::reason::FailReason;
use crate::engine::splice::{Described, Intake, Promise, Splice};

/// A body that broke off, with the shell's handle.
pub(crate) type Beginning = beginnings::Beginning<Arc<SharedBody>>;

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

    /// What it takes to finish it elsewhere: its writer, and what makes it whole with the digest of all.
    pub(crate) fn into_parts(self) -> (Writer, (Bytes, Digest)) {
        let digest = self.splice.digest();
        (self.writer, (self.last, digest))
    }

    /// Bytes shown so far.
    pub(crate) const fn received(&self) -> u64 {
        self.splice.received()
    }

    /// It ends here, broken. Gives what there is of it.
    pub(crate) fn break_off(self, reason: FailReason) -> Beginning {
        self.writer.break_off(reason);
        Beginning {
            object: self.object,
            splice: Box::new(self.splice),
        }
    }

    /// The fields that ask an origin for the rest.
    pub(crate) fn ask_for_rest(&self, headers: &mut HeaderMap) {
        self.splice.ask_for_rest(&self.object.headers(), headers);
    }

    /// Where a peer is asked to begin, by the same rule.
    pub(crate) fn offset(&self) -> u64 {
        self.splice.offset(&self.object.headers())
    }

    /// How an origin's second answer joins on, if it is the same object at all.
    pub(crate) fn join_origin(&self, head: &Head) -> Result<Intake, FailReason> {
        join_origin(&self.object, &self.splice, head)
    }

    /// How a peer's answer that begins at `offset` of a body of `length` joins on.
    pub(crate) fn join(
        &self,
        head: &Head,
        offset: u64,
        length: Option<u64>,
        promise: Promise,
    ) -> Result<Intake, FailReason> {
        let shown = Described {
            status: self.object.status,
            headers: &self.object.headers(),
        };
        self.splice
            .join(shown, described(head), offset, length, promise)
    }
}

/// How an origin's answer joins on to what there is of `object`.
pub(crate) fn join_origin(
    object: &Response,
    splice: &Splice,
    head: &Head,
) -> Result<Intake, FailReason> {
    let length = content_length(&head.headers);
    let shown = Described {
        status: object.status,
        headers: &object.headers(),
    };
    splice.join_origin(shown, described(head), length)
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
