//! A client's request from head to answer: receive, then a page of a site, or what is our own.

mod own;
mod page;
mod purge;
mod sliced;
mod told;

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{self, Poll};
use std::time::Duration;

use common::clock::Moment;
use http::header::{CONNECTION, HOST, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};

use super::access::Due;
use super::context::Context;
use super::guard::Link;
use super::metered::Duties;
use super::metrics::Outcome;
use super::outgoing::Outgoing;
use super::share::Account;
use super::traces::{Told, Traces, Track};
use crate::engine::access;
use crate::engine::certificates::Shown;
use crate::engine::http::hop;
use crate::engine::http::key::Scheme;
use crate::engine::http::rewrite::Front;
use crate::engine::reason::RefuseReason;
use crate::engine::share::Denied;
use crate::engine::steps::receive::{self, Asked, Entrance, Seen};

/// What is the same for all requests of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// How the client reached us.
    pub(crate) scheme: Scheme,
    /// Where.
    pub(crate) local_port: u16,
    /// Its address.
    pub(crate) client: IpAddr,
    /// What it was shown; `None` over plain HTTP.
    pub(crate) shown: Option<Shown>,
}

impl Entry {
    /// The same for the engine.
    pub(crate) fn entrance<'a>(&'a self, ctx: &'a Context) -> Entrance<'a> {
        Entrance {
            scheme: self.scheme,
            local_port: self.local_port,
            shown: self.shown.as_ref(),
            zone: &ctx.zone,
            policy: &ctx.policy,
        }
    }
}

/// One request's way here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    /// The connection ends with this request.
    pub(crate) last: bool,
    /// Its head was refused for this.
    pub(crate) refused: Option<RefuseReason>,
    /// What became of the question whether it may be served, if it was asked before.
    pub(crate) asked: Option<Result<(), Denied>>,
}

/// An answer, and what has to be done about it.
pub(crate) type Served = (Response<Outgoing>, Duties);

/// An answer that is here, or will be. One that is here costs no more than it has to.
pub(crate) enum Serving {
    /// `None` once it has been taken.
    Now(Option<Served>),
    Later(Pin<Box<dyn Future<Output = Served> + Send>>),
}

impl Future for Serving {
    type Output = Served;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Served> {
        match &mut *self {
            Self::Now(served) => served.take().map_or(Poll::Pending, Poll::Ready),
            Self::Later(serving) => serving.as_mut().poll(cx),
        }
    }
}

/// Answers one client request. `seen` is what was seen on the same connection, `link` leads to it.
pub(crate) fn serve<B>(
    ctx: &Arc<Context>,
    entry: &Entry,
    visit: Visit,
    request: Request<B>,
    seen: &mut Seen,
    link: &Arc<Link>,
) -> Serving {
    let began = ctx.now();
    let (mut head, _) = request.into_parts();
    let entrance = entry.entrance(ctx);
    let mut judge =
        |method: &Method| receive::judge(&entrance, method, &head.uri, &head.headers, seen);
    let judged = match visit.refused {
        Some(reason) => {
            let client = entry.client;
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
    hop::strip_listed(&mut head.headers);
    let host = match &judged {
        Ok(Asked::Page { key, .. }) => Some(key.host()),
        _ => None,
    };
    let asked = visit.asked;
    let asked = asked.unwrap_or_else(|| ctx.shares.ask(began, entry.client, host));
    let denied = asked.err();
    let list = ctx.blocked.list();
    let blocked = !list.is_empty()
        && (list.has_client(entry.client)
            || matches!(&judged, Ok(Asked::Page { key, .. }) if list.has_page(key)));
    let client = Client {
        ctx: Arc::clone(ctx),
        address: entry.client,
        scheme: entry.scheme,
        visit,
        began,
        track: ctx.traces.begin(&head.headers, began),
        method: head.method,
        uri: head.uri,
        headers: head.headers,
        version: head.version,
        note: OnceLock::new(),
        account: OnceLock::new(),
    };
    let response = match judged {
        _ if matches!(denied, Some(Denied::Client(_))) => {
            client.refuse(RefuseReason::ClientRate, None)
        }
        _ if blocked => client.refuse(RefuseReason::Blocked, None),
        Ok(Asked::Page { key, .. }) if let Some(Denied::Bytes(over)) = denied => {
            client.bounce(&key, over.as_str())
        }
        Ok(Asked::Page { key, port }) => {
            let scheme = entry.scheme;
            return client.page(key, Front { scheme, port }, link);
        }
        Ok(Asked::Service(name)) => client.service(&name, client.uri.path()),
        Ok(Asked::Home(key)) => client.home(&key),
        Ok(Asked::Options) => client.options(),
        Err(reason) => match meant {
            Some(Asked::Page { key, .. }) if client.orders() => return client.purge(key),
            Some(Asked::Page { key, .. }) => client.refuse(reason, Some(&key)),
            _ => client.refuse(reason, None),
        },
    };
    Serving::Now(Some(client.done(response)))
}

/// Who asks, and how.
struct Client {
    ctx: Arc<Context>,
    address: IpAddr,
    /// How it came.
    scheme: Scheme,
    visit: Visit,
    began: Moment,
    track: Track,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    version: Version,
    /// For the access log: how it ended, and why if there is a why.
    note: OnceLock<(Outcome, &'static str)>,
    /// Where the bytes of its answer are counted, if they are.
    account: OnceLock<Account>,
}

impl Client {
    /// Counts how the request ended. The first word is the one that is logged.
    fn note(&self, outcome: Outcome, reason: &'static str) {
        // Only the first counts.
        let _ = self.note.set((outcome, reason));
    }

    /// The answer is here.
    fn done(self, mut response: Response<Outgoing>) -> Served {
        if self.visit.last {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        let after = self.ctx.now().since(self.began);
        self.ctx.metrics.first_byte(after);
        self.trace(response.status(), after);
        let duties = self.duties(response.status(), after);
        (response, duties)
    }

    /// Tells the ring of the request, if it is to be kept.
    fn trace(&self, status: StatusCode, took: Duration) {
        let (outcome, reason) = self.note.get().copied().unwrap_or((Outcome::Own, ""));
        let failed = outcome == Outcome::Failed || status.is_server_error();
        let Some(keep) = Traces::judge(&self.track, failed, took) else {
            return;
        };
        let host = self.headers.get(HOST).and_then(|host| host.to_str().ok());
        let target = self.uri.path_and_query();
        let told = Told {
            url: format!(
                "{}://{}{}",
                self.scheme,
                host.unwrap_or_default(),
                target.map_or("", |target| target.as_str())
            ),
            began: self.began,
            took,
            outcome: if failed && !reason.is_empty() {
                reason
            } else {
                outcome.as_str()
            },
            failed,
        };
        self.ctx.traces.answered(&self.track, keep, told);
    }

    /// What is left to be done: a line is written when the answer is over, if there is a log at all.
    fn duties(mut self, status: StatusCode, first_byte: Duration) -> Duties {
        let account = self.account.take();
        let Some(log) = self.ctx.access.clone() else {
            return Duties {
                account,
                ..Duties::default()
            };
        };
        let (outcome, reason) = self.note.get().copied().unwrap_or((Outcome::Own, ""));
        let understood = self.visit.refused.is_none();
        let asked = access::Asked {
            client: self.address,
            scheme: self.scheme,
            request: understood.then_some((self.method, self.uri, self.version)),
            fields: access::Fields::of(self.headers),
            status,
            first_byte,
            outcome: outcome.as_str(),
            reason,
        };
        let began = self.began;
        Duties {
            account,
            due: Some(Box::new(Due { log, asked, began })),
            in_flight: None,
        }
    }
}
