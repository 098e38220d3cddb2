//! Answers that are the proxy's own: pages of Atoll itself, the way home, refusals, failures.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use http::{Response, StatusCode};

use super::Client;
use crate::engine::http::cache_status::{self, CacheStatus, ForwardReason, Handling};
use crate::engine::http::key::PrimaryKey;
use crate::engine::http::proxy_status::{self, ProxyStatus};
use crate::engine::page::{self, Form, Page};
use crate::engine::reason::{FailReason, RefuseReason};
use crate::engine::trail::Trail;
use crate::shell::fill::Failure;
use crate::shell::metrics::Outcome;
use crate::shell::outgoing::Outgoing;

/// On the check page: nobody should be sent here any more.
const DRAINING: HeaderName = HeaderName::from_static("atoll-draining");

/// On the check page: how much more could be sent here, in percent. 0 is full: others should be
/// named if there are any.
const SPARE: HeaderName = HeaderName::from_static("atoll-spare");

impl Client {
    /// A page of Atoll itself. The name servers' check goes through here like everybody's request.
    pub(super) fn service(&self, name: &str, path: &str) -> Response<Outgoing> {
        let node = self.ctx.identity.name();
        let text = match (name, path) {
            ("check", "/atoll/check") if self.ctx.is_draining() => {
                let kind = HeaderValue::from_static("text/plain; charset=utf-8");
                let text = format!("draining {node}\n");
                let mut response = own(StatusCode::SERVICE_UNAVAILABLE, kind, text);
                let headers = response.headers_mut();
                headers.insert(DRAINING, HeaderValue::from_static("1"));
                return response;
            }
            ("check", "/atoll/check") => {
                self.ctx.metrics.request(Outcome::Own);
                let kind = HeaderValue::from_static("text/plain; charset=utf-8");
                let mut response = own(StatusCode::OK, kind, format!("ok {node}\n"));
                let spare = HeaderValue::from(u16::from(self.ctx.spare()));
                response.headers_mut().insert(SPARE, spare);
                return response;
            }
            ("" | "www", "/") => format!(
                "This is {node}, a proxy of the cooperative CDN under {zone}.\n\
                 For http://example.com/page ask for http://example.com.{zone}/page\n",
                zone = self.ctx.zone
            ),
            ("" | "www", "/robots.txt") => "User-agent: *\nDisallow: /\n".to_owned(),
            _ => return self.refuse(RefuseReason::NoService, None),
        };
        self.ctx.metrics.request(Outcome::Own);
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        own(StatusCode::OK, kind, text)
    }

    /// Sends the client to the page at its own site.
    pub(super) fn home(&self, key: &PrimaryKey) -> Response<Outgoing> {
        self.ctx.metrics.request(Outcome::Own);
        let home = key.home();
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        let mut response = own(StatusCode::FOUND, kind, format!("see {home}\n"));
        if let Ok(location) = HeaderValue::try_from(home) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }

    /// Sends the client home because its site, or this node, has had its share.
    pub(super) fn bounce(&self, key: &PrimaryKey, reason: &'static str) -> Response<Outgoing> {
        self.ctx.metrics.bounced(reason);
        self.note(Outcome::Own, reason);
        let mut response = self.home(key);
        let own = CacheStatus {
            cache: self.ctx.identity.name(),
            handling: Handling::Forwarded {
                why: ForwardReason::Bypass,
                status: None,
                stored: false,
                collapsed: false,
            },
            ttl: None,
            detail: Some(reason),
        };
        cache_status::append(response.headers_mut(), &own);
        response
    }

    pub(super) fn options(&self) -> Response<Outgoing> {
        self.ctx.metrics.request(Outcome::Own);
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        let mut response = own(StatusCode::OK, kind, String::new());
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
        response
    }

    // ---- failures

    pub(super) fn refuse(
        &self,
        reason: RefuseReason,
        key: Option<&PrimaryKey>,
    ) -> Response<Outgoing> {
        self.ctx.metrics.refused(reason);
        self.note(Outcome::Refused, reason.as_str());
        let home = key.map(PrimaryKey::as_str);
        let advice = reason.advice(self.ctx.zone.as_str());
        let said = Said {
            status: reason.status(),
            reason: reason.as_str(),
            advice: &advice,
            tried: &Trail::default(),
            home,
        };
        let copy = key.filter(|_| reason == RefuseReason::OnlyIfCached);
        let mut response = self.error(&said, copy);
        let headers = response.headers_mut();
        match reason {
            RefuseReason::Method | RefuseReason::Tunnel => {
                headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
            }
            RefuseReason::Busy | RefuseReason::ClientRate | RefuseReason::Crowded => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        let error = reason.proxy_error();
        self.say_status(&mut response, error, None, reason.as_str());
        response
    }

    pub(super) fn fail(&self, failure: &Failure, key: &PrimaryKey) -> Response<Outgoing> {
        let reason = failure.reason;
        if reason == FailReason::SiteBusy {
            return self.bounce(key, reason.as_str());
        }
        self.ctx.metrics.failed(reason);
        self.note(Outcome::Failed, reason.as_str());
        tracing::debug!(url = %key, reason = reason.as_str(), "a request failed");
        let advice = reason.advice(key.authority());
        let said = Said {
            status: reason.status(),
            reason: reason.as_str(),
            advice: &advice,
            tried: &failure.trail,
            home: Some(key.as_str()),
        };
        let mut response = self.error(&said, Some(key));
        let details = match reason {
            FailReason::Address(why) => why.as_str(),
            other => other.as_str(),
        };
        if reason.status() == StatusCode::SERVICE_UNAVAILABLE {
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(RETRY_AFTER, soon);
        }
        self.say_status(
            &mut response,
            reason.proxy_error(),
            Some(key.authority()),
            details,
        );
        response
    }

    fn say_status(
        &self,
        response: &mut Response<Outgoing>,
        error: proxy_status::ProxyError,
        next_hop: Option<&str>,
        details: &str,
    ) {
        let status = ProxyStatus {
            proxy: self.ctx.identity.name(),
            error: Some(error),
            next_hop,
            received_status: None,
            details: Some(details),
        };
        proxy_status::append(response.headers_mut(), &status);
    }

    /// The page of an error. If a copy is kept of `copy`, it tells of it.
    fn error(&self, said: &Said<'_>, copy: Option<&PrimaryKey>) -> Response<Outgoing> {
        let (now, headers) = (self.ctx.now(), &self.headers);
        let saved = copy.and_then(|key| self.ctx.flow().saved(now, key, headers));
        let page = Page {
            status: said.status,
            reason: said.reason,
            advice: said.advice,
            tried: said.tried,
            saved,
            home: said.home,
            node: self.ctx.identity.name(),
        };
        let rendered = page::render(&page, Form::wanted(headers));
        own(said.status, rendered.kind, rendered.body)
    }
}

/// What an error page says, beside what is kept.
struct Said<'a> {
    status: StatusCode,
    reason: &'a str,
    advice: &'a str,
    tried: &'a Trail,
    home: Option<&'a str>,
}

/// A short answer of our own, which nobody keeps.
pub(super) fn own(status: StatusCode, kind: HeaderValue, text: String) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::Here(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
