//! Whether a stored response may answer a request: as it is, although stale, or only after the
//! origin confirmed it (RFC 9111 §4, §4.2.4, §5.2; RFC 5861; RFC 8246).
//!
//! The caller has already matched the key and the variant. Nothing is fetched here; a verdict that
//! allows a stale answer says whether it wants a validation in the background.
//!
//! One choice: `s-maxage` forbids stale answers in a shared cache (§5.2.2.10), but an origin that
//! writes `stale-while-revalidate` or `stale-if-error` beside it has said that it means otherwise,
//! and is believed. `must-revalidate`, `proxy-revalidate` and `no-cache` are never lifted.

use std::time::Duration;

use super::control::{Directives, MaxStale, RequestDirectives};
use super::fresh::FreshPolicy;

/// What is left to say for a response's directives once it is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// What there is of every response.
    pub word: Word,
    /// What few have.
    pub windows: Windows,
}

/// What a response's directives say without a number; small, since there is one for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word {
    /// Why a stale answer is forbidden, if it is.
    ban: Option<StaleBan>,
    immutable: bool,
}

/// For how long an origin lets its response be used once it is stale (RFC 5861).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Windows {
    while_revalidate: Seconds,
    if_error: Seconds,
}

impl Windows {
    /// It says nothing.
    pub const UNSAID: Self = Self {
        while_revalidate: Seconds(Seconds::UNSAID),
        if_error: Seconds(Seconds::UNSAID),
    };
}

/// So many, or nothing said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Seconds(u32);

impl Seconds {
    const UNSAID: u32 = u32::MAX;

    fn of(span: Option<Duration>) -> Self {
        // More than a field can state (RFC 9111 §1.2.2) is as much as one can.
        let most = |span: Duration| u32::try_from(span.as_secs()).unwrap_or(Self::UNSAID - 1);
        Self(span.map_or(Self::UNSAID, |span| most(span).min(Self::UNSAID - 1)))
    }

    const fn said(self) -> Option<Duration> {
        match self.0 {
            Self::UNSAID => None,
            seconds => Some(Duration::from_secs(seconds as u64)),
        }
    }
}

impl Rules {
    /// Those of a response with these directives.
    #[must_use]
    pub fn of(directives: &Directives) -> Self {
        // RFC 9111 §4.2.4.
        let ban = if directives.no_cache.is_whole() {
            Some(StaleBan::NoCache)
        } else if directives.must_revalidate {
            Some(StaleBan::MustRevalidate)
        } else if directives.proxy_revalidate {
            Some(StaleBan::ProxyRevalidate)
        } else if directives.s_maxage.is_some() {
            Some(StaleBan::SMaxage)
        } else {
            None
        };
        Self {
            word: Word {
                ban,
                immutable: directives.immutable,
            },
            windows: Windows {
                while_revalidate: Seconds::of(directives.stale_while_revalidate),
                if_error: Seconds::of(directives.stale_if_error),
            },
        }
    }

    fn is_no_cache(self) -> bool {
        self.word.ban == Some(StaleBan::NoCache)
    }
}

/// A stored response as it stands at the moment of the request.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// What its Cache-Control says of its use.
    pub rules: Rules,
    /// Its freshness lifetime.
    pub lifetime: Duration,
    /// Its current age.
    pub age: Duration,
}

impl Standing {
    /// Whether the age is below the lifetime (response_is_fresh, RFC 9111 §4.2).
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.age < self.lifetime
    }

    /// How far past its lifetime it is; zero while fresh.
    #[must_use]
    pub const fn staleness(&self) -> Duration {
        self.age.saturating_sub(self.lifetime)
    }

    /// Remaining lifetime in seconds, rounded down; negative once stale (`ttl`, RFC 9211 §2.4).
    #[must_use]
    pub fn ttl(&self) -> i64 {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        match self.lifetime.checked_sub(self.age) {
            Some(remaining) => seconds(remaining),
            None => -seconds(self.staleness()),
        }
    }

    /// What forbids a stale answer, with `s-maxage` lifted by the origin's own `window`.
    fn ban_beside(&self, window: Option<Duration>) -> Option<StaleBan> {
        let ban = self.rules.word.ban;
        ban.filter(|ban| *ban != StaleBan::SMaxage || window.is_none())
    }
}

/// What may be done with a stored response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Answer with it.
    Fresh,
    /// Answer with it although it is stale.
    StaleUsable(StaleReason),
    /// Ask the origin first; if that fails, [`on_error`] says whether it may be used after all.
    MustRevalidate(RevalidateReason),
    /// It would have to be validated, but the client wants no forwarding: 504 (§5.2.1.7).
    NotForwardable(RevalidateReason),
}

/// Why a stale response may be used.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StaleReason {
    /// Within `stale-while-revalidate`; validate in the background (RFC 5861 §3).
    WhileRevalidate,
    /// The client said `max-stale` (RFC 9111 §5.2.1.2).
    ClientAccepts,
    /// The origin fails (RFC 5861 §4, RFC 9111 §4.2.4).
    OnError,
}

impl StaleReason {
    /// Name for logs, metrics and the `detail` of Cache-Status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WhileRevalidate => "stale-while-revalidate",
            Self::ClientAccepts => "max-stale",
            Self::OnError => "stale-if-error",
        }
    }
}

/// Why a stored response has to be validated first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RevalidateReason {
    /// It is stale and nothing lets it be used so.
    Expired,
    /// It says `no-cache` (RFC 9111 §5.2.2.4).
    ResponseNoCache,
    /// The client says `no-cache` (§5.2.1.4).
    RequestNoCache,
    /// It is older than the client's `max-age` (§5.2.1.1).
    RequestMaxAge,
    /// It will be stale before the client's `min-fresh` is over (§5.2.1.3).
    RequestMinFresh,
}

impl RevalidateReason {
    /// Name for logs, metrics and the `detail` of Cache-Status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::ResponseNoCache => "response-no-cache",
            Self::RequestNoCache => "request-no-cache",
            Self::RequestMaxAge => "request-max-age",
            Self::RequestMinFresh => "request-min-fresh",
        }
    }

    /// Whether it was the client's wish, not the copy's state (`fwd=request`, RFC 9211 §2.2).
    #[must_use]
    pub const fn is_request(self) -> bool {
        matches!(
            self,
            Self::RequestNoCache | Self::RequestMaxAge | Self::RequestMinFresh
        )
    }
}

/// Why a stale copy may not stand in for a failing origin.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StaleBan {
    /// `no-cache` (RFC 9111 §5.2.2.4).
    NoCache,
    /// `must-revalidate` (§5.2.2.2).
    MustRevalidate,
    /// `proxy-revalidate` (§5.2.2.8).
    ProxyRevalidate,
    /// `s-maxage` (§5.2.2.10).
    SMaxage,
    /// It is past the window that the origin, the client or the operator allows.
    TooStale,
}

impl StaleBan {
    /// Name for logs, metrics and the `details` of Proxy-Status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCache => "no-cache",
            Self::MustRevalidate => "must-revalidate",
            Self::ProxyRevalidate => "proxy-revalidate",
            Self::SMaxage => "s-maxage",
            Self::TooStale => "too-stale",
        }
    }
}

/// Judges a stored response against a request's directives.
///
/// A caller that does not let clients reach through to the origin passes default directives.
#[must_use]
pub fn judge(stored: &Standing, request: &RequestDirectives) -> Verdict {
    match reuse(stored, request) {
        Ok(None) => Verdict::Fresh,
        Ok(Some(reason)) => Verdict::StaleUsable(reason),
        Err(reason) if request.only_if_cached => Verdict::NotForwardable(reason),
        Err(reason) => Verdict::MustRevalidate(reason),
    }
}

/// Whether a response that had to be validated may be used now that the origin could not be
/// reached or answered with an error (RFC 5861 §4, RFC 9111 §4.2.4).
///
/// The window is the larger of the response's and the request's `stale-if-error`, or the
/// operator's if neither is there.
///
/// # Errors
///
/// What forbids it.
pub fn on_error(
    stored: &Standing,
    request: &RequestDirectives,
    policy: &FreshPolicy,
) -> Result<StaleReason, StaleBan> {
    if stored.rules.is_no_cache() {
        return Err(StaleBan::NoCache);
    }
    if stored.is_fresh() {
        return Ok(StaleReason::OnError);
    }
    let said = stored.rules.windows.if_error.said();
    if let Some(ban) = stored.ban_beside(said) {
        return Err(ban);
    }
    let window = said
        .max(request.stale_if_error)
        .unwrap_or(policy.stale_on_error_max);
    if stored.staleness() <= window {
        Ok(StaleReason::OnError)
    } else {
        Err(StaleBan::TooStale)
    }
}

/// `None` if fresh, the reason if usable though stale.
fn reuse(
    stored: &Standing,
    request: &RequestDirectives,
) -> Result<Option<StaleReason>, RevalidateReason> {
    if stored.rules.is_no_cache() {
        return Err(RevalidateReason::ResponseNoCache);
    }
    if request.no_cache {
        return Err(RevalidateReason::RequestNoCache);
    }
    let fresh = stored.is_fresh();
    // RFC 8246 §2: a reload (`max-age=0`) of an immutable response needs no validation.
    let reload = stored.rules.word.immutable && request.max_age == Some(Duration::ZERO);
    if request.max_age.is_some_and(|max| stored.age > max) && !(fresh && reload) {
        // RFC 9111 §5.2.1.1: with max-stale beside it, a stale response is still welcome.
        if fresh || request.max_stale.is_none() {
            return Err(RevalidateReason::RequestMaxAge);
        }
    }
    if request
        .min_fresh
        .is_some_and(|min| stored.lifetime.saturating_sub(stored.age) < min)
    {
        return Err(RevalidateReason::RequestMinFresh);
    }
    if fresh {
        Ok(None)
    } else {
        stale(stored, request).map(Some)
    }
}

fn stale(stored: &Standing, request: &RequestDirectives) -> Result<StaleReason, RevalidateReason> {
    // RFC 9111 §5.2.1.1: who names an age without max-stale does not wish for stale responses.
    if request.max_age.is_some() && request.max_stale.is_none() {
        return Err(RevalidateReason::Expired);
    }
    let staleness = stored.staleness();
    let window = stored.rules.windows.while_revalidate.said();
    if stored.ban_beside(window).is_none() && window.is_some_and(|window| staleness <= window) {
        return Ok(StaleReason::WhileRevalidate);
    }
    let accepted = match request.max_stale {
        None => false,
        Some(MaxStale::Any) => true,
        Some(MaxStale::Within(limit)) => staleness <= limit,
    };
    if accepted && stored.rules.word.ban.is_none() {
        return Ok(StaleReason::ClientAccepts);
    }
    Err(RevalidateReason::Expired)
}

#[cfg(test)]
mod tests;
