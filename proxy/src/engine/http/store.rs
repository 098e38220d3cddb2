//! Whether a response may be kept, and which of its fields (RFC 9111 §3).
//!
//! Set-Cookie does not stand in the way: the field is stripped wherever a response passes (see
//! [`hop`](super::hop)), and so are the request's cookies, which leaves nothing personal in what
//! an origin answers. Size, room and worth are the store's business, not this file's.

use common::clock::WallTime;
use http::header::{
    AGE, AUTHORIZATION, CONTENT_LENGTH, DATE, ETAG, EXPIRES, HeaderMap, HeaderName, LAST_MODIFIED,
    TRANSFER_ENCODING,
};
use http::{Method, StatusCode};

use super::control::{Directives, RequestDirectives};
use super::date;
use super::fresh::{Lifetime, is_heuristically_cacheable};
use super::hop::{connection_listed, is_hop_by_hop, is_site_wide};
use super::vary::Vary;

/// A response and the request it answers.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// The client's header, before anything was taken out on the way to the origin.
    pub request: &'a HeaderMap,
    /// The response's status code.
    pub status: StatusCode,
    /// The response's header as it was received.
    pub response: &'a HeaderMap,
}

/// Why a response is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NoStoreReason {
    /// The answer to something other than GET; HEAD only updates what is stored (§3, §4.3.5).
    Method,
    /// Not a final response (§3).
    Interim,
    /// Part of a representation; parts are not combined here (§3.3).
    Partial,
    /// A 304 updates a stored response and is none itself (§4.3.3).
    NotModified,
    /// The status code forbids it, or needs explicit freshness that is not there (§3).
    Status,
    /// The response says `must-understand` and the status code is unknown here (§5.2.2.3).
    MustUnderstandUnknownStatus,
    /// The response says `no-store` (§5.2.2.5).
    NoStoreDirective,
    /// The request says `no-store` (§5.2.1.5).
    RequestNoStore,
    /// The response says `private` of itself as a whole (§5.2.2.7).
    Private,
    /// The request was authenticated and the response does not say that it is for all (§3.5).
    Authorization,
    /// Vary matches no later request (§4.1).
    VaryStar,
    /// It was not formed well enough to be sure of what it says about keeping.
    Doubtful,
    /// Neither fresh for any time nor possible to validate, so it could never be used.
    NoLifetimeNoValidator,
}

impl NoStoreReason {
    /// Name for logs, metrics and the `detail` of Cache-Status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Interim => "interim",
            Self::Partial => "partial",
            Self::NotModified => "not-modified",
            Self::Status => "status",
            Self::MustUnderstandUnknownStatus => "must-understand",
            Self::NoStoreDirective => "no-store",
            Self::RequestNoStore => "request-no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::VaryStar => "vary-star",
            Self::Doubtful => "doubtful",
            Self::NoLifetimeNoValidator => "no-lifetime-no-validator",
        }
    }

    /// Whether the next response for the same key will likely be refused for the same reason, so
    /// that a crowd should not queue behind one fetch of it.
    ///
    /// Not so for a response without lifetime and validator: a crowd makes its site hot, and that
    /// may give it a lifetime.
    #[must_use]
    pub const fn is_lasting(self) -> bool {
        match self {
            Self::Status
            | Self::MustUnderstandUnknownStatus
            | Self::NoStoreDirective
            | Self::Private
            | Self::VaryStar
            | Self::Doubtful => true,
            Self::Method
            | Self::Interim
            | Self::Partial
            | Self::NotModified
            | Self::RequestNoStore
            | Self::Authorization
            | Self::NoLifetimeNoValidator => false,
        }
    }
}

/// Whether a shared cache may, and should, keep this response (RFC 9111 §3).
///
/// `directives` are those of the response; `lifetime` is what [`super::fresh::lifetime`] gave.
///
/// # Errors
///
/// The first reason against it, in the order of the standard's list.
pub fn may_store(
    exchange: &Exchange<'_>,
    directives: &Directives,
    lifetime: Lifetime,
) -> Result<(), NoStoreReason> {
    if *exchange.method != Method::GET {
        return Err(NoStoreReason::Method);
    }
    check_status(exchange.status)?;
    check_directives(exchange, directives)?;
    if !is_cacheable(exchange, directives) {
        return Err(NoStoreReason::Status);
    }
    if Vary::of(exchange.response).is_star() {
        return Err(NoStoreReason::VaryStar);
    }
    let reusable = !lifetime.duration.is_zero() && !directives.no_cache.is_whole();
    let stale_window = directives
        .stale_while_revalidate
        .max(directives.stale_if_error);
    if !reusable && stale_window.is_none() && !has_validator(exchange.response) {
        return Err(NoStoreReason::NoLifetimeNoValidator);
    }
    Ok(())
}

fn check_status(status: StatusCode) -> Result<(), NoStoreReason> {
    match status.as_u16() {
        100..=199 => Err(NoStoreReason::Interim),
        206 => Err(NoStoreReason::Partial),
        304 => Err(NoStoreReason::NotModified),
        // RFC 6585 §3 to §6: these must not be stored by a cache.
        428 | 429 | 431 | 511 => Err(NoStoreReason::Status),
        _ => Ok(()),
    }
}

fn check_directives(exchange: &Exchange<'_>, directives: &Directives) -> Result<(), NoStoreReason> {
    if directives.must_understand && !is_understood(exchange.status) {
        return Err(NoStoreReason::MustUnderstandUnknownStatus);
    }
    // RFC 9111 §5.2.2.3: who understands the status code ignores a no-store beside it.
    if directives.no_store && !directives.must_understand {
        return Err(NoStoreReason::NoStoreDirective);
    }
    if directives.private.is_whole() {
        return Err(NoStoreReason::Private);
    }
    // What the response says of itself comes first: it will be so for the next client too.
    if RequestDirectives::of(exchange.request).no_store {
        return Err(NoStoreReason::RequestNoStore);
    }
    let for_all = directives.public || directives.s_maxage.is_some() || directives.must_revalidate;
    if exchange.request.contains_key(AUTHORIZATION) && !for_all {
        return Err(NoStoreReason::Authorization);
    }
    Ok(())
}

/// The last condition of RFC 9111 §3: something allows it.
fn is_cacheable(exchange: &Exchange<'_>, directives: &Directives) -> bool {
    directives.public
        || directives.max_age.is_some()
        || directives.s_maxage.is_some()
        || (exchange.response.contains_key(EXPIRES) && !directives.targeted)
        || is_heuristically_cacheable(exchange.status)
}

/// Status codes whose caching this proxy implements (RFC 9111 §5.2.2.3): the final ones of RFC
/// 9110 §15, less 206 and 304, and those of RFC 6585 and RFC 7725.
const fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200..=205 | 300..=303 | 305 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 428 | 429 | 431
            | 451 | 500..=505 | 511
    )
}

/// Whether there is anything to validate with (RFC 9110 §8.8).
fn has_validator(response: &HeaderMap) -> bool {
    response.contains_key(ETAG) || date::field(response, &LAST_MODIFIED).is_some()
}

/// Which fields of one response are kept (RFC 9111 §3.1).
///
/// Not kept: fields of the connection and those Connection lists; those named by `no-cache` and
/// `private`, which may not be reused unvalidated or by others; those that speak for a domain;
/// Age, Cache-Status and Proxy-Status, which told of one delivery; a Content-Length that a
/// Transfer-Encoding overrides.
pub(super) struct Kept<'a> {
    directives: &'a Directives,
    listed: Vec<HeaderName>,
    coded: bool,
}

impl<'a> Kept<'a> {
    pub(super) fn of(response: &HeaderMap, directives: &'a Directives) -> Self {
        Self {
            directives,
            listed: connection_listed(response).collect(),
            coded: response.contains_key(TRANSFER_ENCODING),
        }
    }

    pub(super) fn includes(&self, name: &HeaderName) -> bool {
        let told = *name == AGE || matches!(name.as_str(), "cache-status" | "proxy-status");
        let false_length = self.coded && *name == CONTENT_LENGTH;
        !told
            && !false_length
            && !is_hop_by_hop(name)
            && !is_site_wide(name)
            && !self.listed.contains(name)
            && !self.directives.no_cache.names(name)
            && !self.directives.private.names(name)
    }
}

/// The fields to keep of a response (RFC 9111 §3.1), with a Date if it had none (RFC 9110 §6.6.1).
#[must_use]
pub fn stored_headers(
    response: &HeaderMap,
    directives: &Directives,
    received: WallTime,
) -> HeaderMap {
    let kept = Kept::of(response, directives);
    let mut headers = HeaderMap::with_capacity(response.keys_len());
    for (name, value) in response.iter().filter(|(name, _)| kept.includes(name)) {
        headers.append(name, value.clone());
    }
    if !headers.contains_key(DATE) {
        headers.insert(DATE, date::format(received));
    }
    headers
}

#[cfg(test)]
mod tests;
