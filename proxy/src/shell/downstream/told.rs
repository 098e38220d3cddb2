//! An answer as its client gets it: what is kept, and what is said of where it came from.

use std::sync::Arc;

use common::clock::Moment;
use http::header::{HeaderMap, HeaderValue};
use http::{Response, StatusCode};

use super::Client;
use crate::engine::flow::Miss;
use crate::engine::http::cache_status::{ForwardReason, Handling};
use crate::engine::http::fresh::Heat;
use crate::engine::http::key::PrimaryKey;
use crate::engine::http::rewrite::Front;
use crate::engine::http::verdict::RevalidateReason;
use crate::engine::reason::FailReason;
use crate::engine::steps::deliver::{Content, Delivery};
use crate::shell::fill::{Response as Object, Seat, Source};
use crate::shell::multipart::Parts;
use crate::shell::outgoing::Outgoing;

/// What an answer says of where it came from.
pub(super) struct Told<'a> {
    pub(super) handling: Handling,
    pub(super) detail: Option<&'a str>,
    pub(super) before: &'a [HeaderValue],
    /// Whether the origin made or confirmed it for this very request.
    pub(super) validated: bool,
    /// When the answer was found.
    pub(super) now: Moment,
    /// How hot the site was then.
    pub(super) heat: Heat,
}

impl Client {
    pub(super) fn deliver(
        &self,
        object: &Arc<Object>,
        front: Front,
        told: &Told<'_>,
        seat: Option<Seat>,
    ) -> Response<Outgoing> {
        let stand = object.body.stand();
        let delivery = self.delivery(front, told, stand.length, stand.whole);
        let answer = delivery.answer(object);
        let body = match (answer.content, stand.bytes) {
            (Content::Empty, _) => Outgoing::empty(),
            (Content::Whole, Some(bytes)) if seat.is_none() && !bytes.is_empty() => {
                Outgoing::Here(bytes)
            }
            (Content::Whole, _) => Outgoing::of(object.body.reader(0, None, seat)),
            (Content::Part(part), _) => {
                Outgoing::of(object.body.reader(part.start, Some(part.end), seat))
            }
            (Content::Parts(parts), _) => Outgoing::of(Parts::new(&object.body, parts)),
        };
        self.respond(&object.key, answer.status, answer.headers, body)
    }

    /// What an answer is made of beside its object.
    pub(super) fn delivery<'a>(
        &'a self,
        front: Front,
        told: &Told<'a>,
        length: Option<u64>,
        whole: bool,
    ) -> Delivery<'a> {
        Delivery {
            now: told.now,
            heat: told.heat,
            method: &self.method,
            request: &self.headers,
            length,
            whole,
            validated: told.validated,
            handling: told.handling,
            detail: told.detail,
            before: told.before,
            identity: &self.ctx.identity,
            zone: &self.ctx.zone,
            front,
        }
    }

    /// The response, whose bytes are counted for the site of `key`.
    pub(super) fn respond(
        &self,
        key: &PrimaryKey,
        status: StatusCode,
        headers: HeaderMap,
        body: Outgoing,
    ) -> Response<Outgoing> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        if let Some(account) = self.ctx.shares.account(key) {
            // An answer is delivered once.
            let _ = self.account.set(account);
        }
        response
    }
}

/// The status that came from the next hop, where it is not the one that is passed on (RFC 9211 §2.3).
pub(super) const fn forward_status(source: &Source) -> Option<StatusCode> {
    match source {
        Source::Completed => Some(StatusCode::PARTIAL_CONTENT),
        Source::Revalidated => Some(StatusCode::NOT_MODIFIED),
        Source::Stale(FailReason::ServerError(status)) => Some(*status),
        Source::Stale(_) | Source::Origin | Source::Peer(..) => None,
    }
}

pub(super) const fn forward_reason(miss: Miss) -> ForwardReason {
    match miss {
        Miss::Uri => ForwardReason::UriMiss,
        Miss::Vary => ForwardReason::VaryMiss,
        Miss::Stale(why) if RevalidateReason::is_request(why) => ForwardReason::Request,
        Miss::Stale(_) => ForwardReason::Stale,
        Miss::Method => ForwardReason::Method,
        Miss::Unshareable(_) => ForwardReason::Bypass,
    }
}
