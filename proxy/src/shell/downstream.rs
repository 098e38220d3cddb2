//! A client's request from head to answer: receive, look up, wait for a fill, deliver or fail.

mod own;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use common::clock::Moment;
use http::header::{CONNECTION, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;

use self::own::empty;
use super::access::Due;
use super::body::Cut;
use super::context::Context;
use super::fill::{Asker, Failure, Fill, Headed, Response as Object, Seat, Source};
use super::metrics::Outcome;
use super::multipart::Parts;
use super::task::Task;
use crate::engine::access;
use crate::engine::flow::{Ask, Lookup, Miss, Plan};
use crate::engine::http::cache_status::{ForwardReason, Handling};
use crate::engine::http::hop;
use crate::engine::http::key::{PrimaryKey, Scheme};
use crate::engine::http::verdict::RevalidateReason;
use crate::engine::reason::{FailReason, RefuseReason};
use crate::engine::share::Denied;
use crate::engine::steps::deliver::{Content, Delivery};
use crate::engine::steps::receive::{self, Asked};

/// The body of any answer of ours.
pub(crate) type Outgoing = UnsyncBoxBody<Bytes, Cut>;

/// How often a waiter may find that what it waited for is not for it, before it fetches alone.
const ROUNDS_MAX: usize = 4;

/// One request's way here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    /// Where the client connected.
    pub(crate) local_port: u16,
    /// Its address.
    pub(crate) client: IpAddr,
    /// The connection ends with this request.
    pub(crate) last: bool,
    /// Its head was refused for this.
    pub(crate) refused: Option<RefuseReason>,
}

/// Answers one client request.
pub(crate) async fn serve<B>(
    ctx: Arc<Context>,
    visit: Visit,
    request: Request<B>,
) -> Response<Outgoing> {
    let began = ctx.now();
    let (head, _) = request.into_parts();
    let judge = |method: &Method| {
        let (zone, policy) = (&ctx.zone, &ctx.policy);
        receive::judge(
            method,
            &head.uri,
            &head.headers,
            Scheme::Http,
            visit.local_port,
            zone,
            policy,
        )
    };
    let judged = match visit.refused {
        Some(reason) => {
            let client = visit.client;
            tracing::debug!(%client, reason = reason.as_str(), "a request's head was refused");
            Err(reason)
        }
        None => judge(&head.method),
    };
    // Who may not post here is told where to: the page a GET would have meant.
    let meant = match judged {
        Err(RefuseReason::Method) => judge(&Method::GET).ok(),
        _ => None,
    };
    let host = match &judged {
        Ok(Asked::Page { key, .. }) => Some(key.host()),
        _ => None,
    };
    let denied = ctx.shares.ask(began, visit.client, host).err();
    let list = ctx.blocked.list();
    let blocked = !list.is_empty()
        && (list.has_client(visit.client)
            || matches!(&judged, Ok(Asked::Page { key, .. }) if list.has_page(key)));
    let client = Client {
        ctx,
        method: head.method,
        headers: head.headers,
        version: head.version,
        note: OnceLock::new(),
    };
    let mut response = match judged {
        _ if matches!(denied, Some(Denied::Client(_))) => {
            client.refuse(RefuseReason::ClientRate, None)
        }
        _ if blocked => client.refuse(RefuseReason::Blocked, None),
        Ok(Asked::Page { key, .. }) if let Some(Denied::Bytes(over)) = denied => {
            client.bounce(&key, over.as_str())
        }
        Ok(Asked::Page { key, port }) => client.page(key, port).await,
        Ok(Asked::Service(name)) => client.service(&name, head.uri.path()),
        Ok(Asked::Home(key)) => client.home(&key),
        Ok(Asked::Options) => client.options(),
        Err(reason) => match meant {
            Some(Asked::Page { key, .. }) => client.refuse(reason, Some(&key)),
            _ => client.refuse(reason, None),
        },
    };
    if visit.last {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    let after = client.ctx.now().since(began);
    client.ctx.metrics.first_byte(after);
    client.log(&mut response, &visit, head.uri, (began, after));
    response
}

/// Who asks, and how.
struct Client {
    ctx: Arc<Context>,
    method: Method,
    headers: HeaderMap,
    version: Version,
    /// For the access log: how it ended, and why if there is a why.
    note: OnceLock<(Outcome, &'static str)>,
}

/// What one look at the cache gave.
enum Looked {
    /// An answer.
    Answered(Response<Outgoing>),
    /// A fetch to wait for.
    Waiting(Waiting),
}

/// What an answer says of where it came from.
struct Told<'a> {
    handling: Handling,
    detail: Option<&'a str>,
    before: &'a [HeaderValue],
    /// Whether the origin made or confirmed it for this very request.
    validated: bool,
}

/// A fetch that a client waits for.
struct Waiting {
    fill: Arc<Fill>,
    miss: Miss,
    /// Whether another client began it.
    collapsed: bool,
    seat: Option<Seat>,
}

impl Client {
    /// Counts how the request ended. The first word is the one that is logged.
    fn note(&self, outcome: Outcome, reason: &'static str) {
        // Only the first counts.
        let _ = self.note.set((outcome, reason));
    }

    /// Sees to it that a line is written when the answer is over, if there is a log at all.
    fn log(
        self,
        response: &mut Response<Outgoing>,
        visit: &Visit,
        uri: Uri,
        (began, first_byte): (Moment, Duration),
    ) {
        let Some(log) = &self.ctx.access else {
            return;
        };
        let (outcome, reason) = self.note.get().copied().unwrap_or((Outcome::Own, ""));
        let understood = visit.refused.is_none();
        let asked = access::Asked {
            client: visit.client,
            request: understood.then_some((self.method, uri, self.version)),
            fields: access::Fields::of(self.headers),
            status: response.status(),
            first_byte,
            outcome: outcome.as_str(),
            reason,
        };
        let log = Arc::clone(log);
        response.extensions_mut().insert(Due { log, asked, began });
    }

    // ---- a page of a site

    async fn page(&self, key: PrimaryKey, port: u16) -> Response<Outgoing> {
        if hop::check_loop(&self.headers, &self.ctx.identity).is_err() {
            return self.refuse(RefuseReason::Loop, Some(&key));
        }
        let asker = Asker {
            key,
            method: self.method.clone(),
            headers: self.headers.clone(),
            version: self.version,
        };
        for round in 0..=ROUNDS_MAX {
            let waiting = match self.look_up(&asker, port, round == ROUNDS_MAX) {
                Looked::Answered(response) => return response,
                Looked::Waiting(waiting) => waiting,
            };
            match waiting.fill.answer().await {
                Ok(headed) if !waiting.collapsed || self.may_have(&headed) => {
                    return self.fetched(headed, waiting, port);
                }
                // Not for us: look again, it may have been stored or proved unshareable.
                Ok(_) => {}
                Err(failure) if failure.reason == FailReason::Abandoned => {}
                Err(failure) => return self.fail(&failure, &asker.key),
            }
        }
        self.fail(&Failure::of(FailReason::Abandoned), &asker.key)
    }

    /// One look at what is kept and what is under way. Starts what has to be started.
    fn look_up(&self, asker: &Asker, port: u16, alone: bool) -> Looked {
        let ask = Ask {
            key: &asker.key,
            method: &self.method,
            headers: &self.headers,
        };
        let (found, seat) = {
            let mut flow = self.ctx.flow();
            let found = match flow.lookup(self.ctx.now(), ask, Fill::new) {
                Lookup::Join(_, miss) if alone => flow.alone(miss, Fill::new),
                found => found,
            };
            // Seated under the lock, or it might find nobody waiting and give up.
            let seat = match &found {
                Lookup::Join(fill, _) | Lookup::Start(fill, _) => Some(fill.seat()),
                Lookup::Hit { .. } | Lookup::OnlyIfCached | Lookup::Busy => None,
            };
            (found, seat)
        };
        match found {
            Lookup::Hit {
                object,
                stale,
                background,
            } => {
                if let Some((fill, plan)) = background {
                    // Nobody waits for it, yet somebody wants it to finish.
                    let seat = fill.seat();
                    // Others may join it, whatever this client asked with.
                    let mut asker = asker.clone();
                    asker.method = Method::GET;
                    self.start(fill, plan, &asker, Some(seat));
                }
                let detail = stale.map(|reason| reason.as_str());
                Looked::Answered(self.hit(&object, port, detail))
            }
            Lookup::OnlyIfCached => {
                Looked::Answered(self.refuse(RefuseReason::OnlyIfCached, Some(&asker.key)))
            }
            Lookup::Busy => Looked::Answered(self.refuse(RefuseReason::Busy, Some(&asker.key))),
            Lookup::Join(fill, miss) => Looked::Waiting(Waiting {
                fill,
                miss,
                collapsed: true,
                seat,
            }),
            Lookup::Start(fill, plan) => {
                let miss = plan.miss;
                self.start(Arc::clone(&fill), plan, asker, None);
                Looked::Waiting(Waiting {
                    fill,
                    miss,
                    collapsed: false,
                    seat,
                })
            }
        }
    }

    /// Whether a fetch that another began gave something for this client too.
    fn may_have(&self, headed: &Headed) -> bool {
        use crate::engine::http::store::NoStoreReason::{NoLifetimeNoValidator, Status};
        // Without a lifetime it cannot be kept, but those who asked before it came may have it. So
        // may they an error of the site: to ask again, each of them, is what it needs least.
        let shared = match headed.shared {
            Ok(()) | Err(NoLifetimeNoValidator) => true,
            Err(Status) => headed.object.status.is_server_error(),
            Err(_) => false,
        };
        shared && headed.object.answers(&self.headers) && headed.object.body.is_joinable()
    }

    fn start(
        &self,
        fill: Arc<Fill>,
        plan: Plan<Arc<super::body::SharedBody>>,
        asker: &Asker,
        seat: Option<Seat>,
    ) {
        let task = Task::new(Arc::clone(&self.ctx), fill, plan, asker.clone());
        tokio::spawn(async move {
            task.run().await;
            drop(seat);
        });
    }

    fn hit(
        &self,
        object: &Arc<Object>,
        port: u16,
        detail: Option<&'static str>,
    ) -> Response<Outgoing> {
        let outcome = if detail.is_some() {
            Outcome::Stale
        } else {
            Outcome::Hit
        };
        self.ctx.metrics.request(outcome);
        self.note(outcome, detail.unwrap_or_default());
        let told = Told {
            handling: Handling::Hit,
            detail,
            before: &[],
            validated: false,
        };
        self.deliver(object, port, &told, None)
    }

    fn fetched(&self, headed: Headed, waiting: Waiting, port: u16) -> Response<Outgoing> {
        let Waiting {
            miss,
            collapsed,
            seat,
            ..
        } = waiting;
        let (outcome, detail, before): (_, _, &[HeaderValue]) = match &headed.source {
            Source::Origin => (Outcome::Origin, "origin", &[]),
            Source::Completed => (Outcome::Origin, "completed", &[]),
            Source::Revalidated => (Outcome::Revalidated, "revalidated", &[]),
            Source::Peer(found, members) => (Outcome::Peer, found, members),
            Source::Stale(reason) => (Outcome::Stale, reason.as_str(), &[]),
        };
        let outcome = if collapsed {
            Outcome::Collapsed
        } else {
            outcome
        };
        self.ctx.metrics.request(outcome);
        let reason = match &headed.source {
            Source::Stale(reason) => reason.as_str(),
            Source::Origin | Source::Completed | Source::Revalidated | Source::Peer(..) => "",
        };
        self.note(outcome, reason);
        let handling = Handling::Forwarded {
            why: match headed.source {
                Source::Completed => ForwardReason::Partial,
                _ => forward_reason(miss),
            },
            status: forward_status(&headed.source),
            stored: is_kept(&headed, miss),
            collapsed,
        };
        let by_origin = matches!(
            headed.source,
            Source::Origin | Source::Completed | Source::Revalidated
        );
        let told = Told {
            handling,
            detail: Some(detail),
            before,
            validated: by_origin && !collapsed,
        };
        self.deliver(&headed.object, port, &told, seat)
    }

    fn deliver(
        &self,
        object: &Arc<Object>,
        port: u16,
        told: &Told<'_>,
        seat: Option<Seat>,
    ) -> Response<Outgoing> {
        let ctx = &self.ctx;
        let now = ctx.now();
        let delivery = Delivery {
            now,
            heat: ctx.flow().heat(now, &object.key),
            method: &self.method,
            request: &self.headers,
            length: object.body.length(),
            whole: object.body.is_whole(),
            validated: told.validated,
            handling: told.handling,
            detail: told.detail,
            before: told.before,
            identity: &ctx.identity,
            zone: &ctx.zone,
            port,
        };
        let answer = delivery.answer(object);
        let body = match answer.content {
            Content::Empty => empty(),
            Content::Whole => object.body.reader(0, None, seat).boxed_unsync(),
            Content::Part(part) => object
                .body
                .reader(part.start, Some(part.end), seat)
                .boxed_unsync(),
            Content::Parts(parts) => Parts::new(&object.body, parts).boxed_unsync(),
        };
        let mut response = Response::new(body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        if let Some(account) = ctx.shares.account(&object.key) {
            response.extensions_mut().insert(account);
        }
        response
    }
}

/// Whether the answer is kept here: not one fetched for a single client, nor an old copy.
const fn is_kept(headed: &Headed, miss: Miss) -> bool {
    let alone = matches!(miss, Miss::Method | Miss::Unshareable(_));
    headed.shared.is_ok() && !alone && !matches!(headed.source, Source::Stale(_))
}

/// The status that came from the next hop, where it is not the one that is passed on (RFC 9211 §2.3).
const fn forward_status(source: &Source) -> Option<StatusCode> {
    match source {
        Source::Completed => Some(StatusCode::PARTIAL_CONTENT),
        Source::Revalidated => Some(StatusCode::NOT_MODIFIED),
        Source::Stale(FailReason::ServerError(status)) => Some(*status),
        Source::Stale(_) | Source::Origin | Source::Peer(..) => None,
    }
}

const fn forward_reason(miss: Miss) -> ForwardReason {
    match miss {
        Miss::Uri => ForwardReason::UriMiss,
        Miss::Vary => ForwardReason::VaryMiss,
        Miss::Stale(why) if RevalidateReason::is_request(why) => ForwardReason::Request,
        Miss::Stale(_) => ForwardReason::Stale,
        Miss::Method => ForwardReason::Method,
        Miss::Unshareable(_) => ForwardReason::Bypass,
    }
}
