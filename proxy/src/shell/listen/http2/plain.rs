//! The plain door for HTTP/2: a request for what is here, whole, short and fresh is answered before anything
//! is made of it that only others need.
//!
//! It asks the same questions in the same order as the [plain door](crate::shell::plain) of HTTP/1, and what
//! it does not answer goes on to where all requests are answered.

use std::sync::Arc;

use common::clock::Moment;
use http::request::Parts;
use http::{HeaderMap, Response};

use super::stream::SHORT;
use crate::engine::access;
use crate::engine::hit::HandReason;
use crate::engine::http2::plain::Plain;
use crate::engine::http2::request;
use crate::engine::steps::deliver::{Content, Delivery};
use crate::engine::steps::receive::Seen;
use crate::shell::access::Due;
use crate::shell::context::Context;
use crate::shell::downstream::{Entry, Served};
use crate::shell::fill::Response as Object;
use crate::shell::metered::Duties;
use crate::shell::metrics::Outcome;
use crate::shell::outgoing::Outgoing;
use crate::shell::ready::{self, AskedFor, Asker, Found, URL_ROOM};

/// The requests that came together.
pub(super) struct Batch<'a> {
    ctx: &'a Arc<Context>,
    entry: &'a Entry,
    seen: &'a mut Seen,
    began: Moment,
    url: String,
    hits: u32,
}

impl<'a> Batch<'a> {
    pub(super) fn new(ctx: &'a Arc<Context>, entry: &'a Entry, seen: &'a mut Seen) -> Self {
        Self {
            began: ctx.now(),
            ctx,
            entry,
            seen,
            url: String::with_capacity(URL_ROOM),
            hits: 0,
        }
    }

    /// What the connection has seen.
    pub(super) const fn seen(&mut self) -> &mut Seen {
        self.seen
    }

    /// The answer to `head`, a request without a body, if it is plain and a copy answers it.
    ///
    /// # Errors
    /// It is for others to answer; and whether it may be served, if that was asked.
    pub(super) fn answer(&mut self, head: &Parts) -> Result<Served, AskedFor> {
        let mut asked = None;
        let found = self.look(head, &mut asked);
        let found = found.map_err(|reason| {
            self.ctx.metrics.careful(reason);
            asked
        })?;
        self.hits += 1;
        Ok(self.served(head, &found))
    }

    fn look(&mut self, head: &Parts, asked: &mut AskedFor) -> Result<Found, HandReason> {
        let plain = Plain::read(head, self.entry.scheme)?;
        let asker = Asker {
            ctx: self.ctx,
            entry: self.entry,
            now: self.began,
            seen: self.seen,
            url: &mut self.url,
            asked,
        };
        let fields = || head.headers.clone();
        asker.find((plain.authority, plain.target), fields, |object, _| {
            is_short(object)
        })
    }

    fn served(&self, head: &Parts, found: &Found) -> Served {
        let (ctx, now, object) = (self.ctx, self.began, &found.object);
        let stand = object.body.stand();
        // Of the request nothing is left that could make it another answer.
        let silent = HeaderMap::new();
        let delivery = Delivery {
            now,
            heat: found.heat,
            method: &head.method,
            length: stand.length,
            whole: stand.whole,
            ..ready::delivery(ctx, &silent, found.front)
        };
        let answer = delivery.answer(object);
        let body = match (answer.content, stand.bytes) {
            (Content::Whole, Some(bytes)) => Outgoing::Here(bytes),
            _ => Outgoing::empty(),
        };
        ctx.metrics.request(Outcome::Hit);
        let mut response = Response::new(body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        let duties = Duties {
            account: ctx.shares.account(&object.key),
            due: self.due(head, object).map(Box::new),
            in_flight: None,
        };
        (response, duties)
    }

    /// The line of the access log, if there is one.
    fn due(&self, head: &Parts, object: &Object) -> Option<Due> {
        let log = self.ctx.access.clone()?;
        let mut head = head.clone();
        // It was found to be in order.
        let _ = request::plain(&mut head, self.entry.scheme);
        let asked = access::Asked {
            client: self.entry.client,
            scheme: self.entry.scheme,
            request: Some((head.method, head.uri, head.version)),
            fields: access::Fields::of(head.headers),
            status: object.status,
            first_byte: self.ctx.now().since(self.began),
            outcome: Outcome::Hit.as_str(),
            reason: "",
        };
        let began = self.began;
        Some(Due { log, asked, began })
    }

    /// All of them are answered, or somebody sees to it.
    pub(super) fn over(self) {
        if self.hits == 0 {
            return;
        }
        let after = self.ctx.now().since(self.began);
        for _ in 0..self.hits {
            self.ctx.metrics.first_byte(after);
        }
    }
}

/// Whether its body can go out at once.
fn is_short(object: &Object) -> bool {
    let one = object.body.one();
    one.is_some_and(|bytes| !bytes.is_empty() && bytes.len() as u64 <= SHORT)
}
