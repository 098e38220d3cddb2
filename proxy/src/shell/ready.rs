//! Copies that are ready: what both plain doors ask, of HTTP/1 and of HTTP/2, before anything is made of a request.
//!
//! The order of the questions is that of the careful door, which goes on where they stop. How the answer is written
//! is each door's own business.

use std::sync::Arc;

use common::clock::Moment;
use http::{HeaderMap, Method};

use super::context::Context;
use super::downstream::Entry;
use super::fill::Response as Object;
use crate::engine::hit::HandReason;
use crate::engine::http::cache_status::Handling;
use crate::engine::http::fresh::Heat;
use crate::engine::http::rewrite::Front;
use crate::engine::share::Denied;
use crate::engine::steps::deliver::Delivery;
use crate::engine::steps::receive::{self, Seen};

/// Room for a URL that is looked up. Grown once; nearly all are shorter.
pub(super) const URL_ROOM: usize = 256;

/// Whether a request may be served, if the question was asked. Whoever goes on does not ask it again.
pub(super) type AskedFor = Option<Result<(), Denied>>;

/// A copy that answers a plain request.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) object: Arc<Object>,
    pub(super) heat: Heat,
    pub(super) front: Front,
}

/// What an answer with a copy that is whole is made from, to a request with nothing in it that changes the answer:
/// `silent` are no fields at all. The time, the heat and the length are each door's to say.
pub(super) const fn delivery<'a>(
    ctx: &'a Context,
    silent: &'a HeaderMap,
    front: Front,
) -> Delivery<'a> {
    Delivery {
        now: Moment::ZERO,
        heat: Heat::Quiet,
        method: &Method::GET,
        request: silent,
        length: None,
        whole: true,
        validated: false,
        handling: Handling::Hit,
        detail: None,
        before: &[],
        identity: &ctx.identity,
        zone: &ctx.zone,
        front,
    }
}

/// Who asks, and what is kept from one question to the next.
pub(super) struct Asker<'a> {
    pub(super) ctx: &'a Context,
    pub(super) entry: &'a Entry,
    /// When the request was read.
    pub(super) now: Moment,
    pub(super) seen: &'a mut Seen,
    pub(super) url: &'a mut String,
    pub(super) asked: &'a mut AskedFor,
}

impl Asker<'_> {
    /// What answers a request for `target` of the site that `authority` names; `fields` are asked for only if they
    /// matter, and no copy is taken that is not `usable`.
    ///
    /// # Errors
    /// Why it is left to the careful door.
    pub(super) fn find(
        self,
        (authority, target): (&str, &str),
        fields: impl FnOnce() -> HeaderMap,
        usable: impl FnOnce(&Object, Front) -> bool,
    ) -> Result<Found, HandReason> {
        let (ctx, entry) = (self.ctx, self.entry);
        let entrance = entry.entrance(ctx);
        let place = receive::locate(&entrance, authority, target, self.seen, self.url);
        let place = place.ok_or(HandReason::Place)?;
        let host = place.site.host();
        let ask = || ctx.shares.ask(self.now, entry.client, Some(host));
        if self.asked.get_or_insert_with(ask).is_err() {
            return Err(HandReason::Denied);
        }
        if ctx.blocked.any() {
            let list = ctx.blocked.list();
            if list.has_client(entry.client) || list.has_page(&place.site.sibling(target)) {
                return Err(HandReason::Denied);
            }
        }
        let front = Front {
            scheme: entry.scheme,
            port: place.port,
        };
        let mut why = HandReason::Miss;
        let found = ctx
            .flow()
            .hit(self.now, self.url, host, fields, |object, _| {
                let usable = usable(object, front);
                if !usable {
                    why = HandReason::Answer;
                }
                usable
            });
        let (object, heat) = found.ok_or(why)?;
        if ctx.traces.samples() {
            return Err(HandReason::Sampled);
        }
        Ok(Found {
            object,
            heat,
            front,
        })
    }
}
