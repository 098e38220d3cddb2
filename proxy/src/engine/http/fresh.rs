//! Freshness: how long a response is good for, and how old it is (RFC 9111 §4.2).
//!
//! Time is measured on the monotonic clock from the local receipt of the response, plus what its
//! Age field says it had lived before, plus the time the request took. The origin's Date is
//! compared with dates of the same message alone, so a wall clock that jumps, here or there,
//! expires nothing. One exception, with bounds: the apparent age of §4.2.3 (our clock minus its
//! Date) counts where a cache of HTTP/1.0, which knew no Age, stands between.
//!
//! Whether a response may be used at all is [`verdict`](super::verdict)'s question.

use std::time::Duration;

use common::clock::{Moment, WallTime};
use http::StatusCode;
use http::header::{AGE, DATE, EXPIRES, HeaderMap, LAST_MODIFIED, VIA};

use super::control::Directives;
use super::{date, field};

/// Longest apparent age that is believed: clocks that are wrong are mostly so by days and more, and
/// caches of old seldom kept anything longer unasked.
pub const APPARENT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// How much a site is asked for here at the moment; who measures it decides where hot begins.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Heat {
    /// A few requests, nothing to protect the origin from.
    #[default]
    Quiet,
    /// A crowd, or an origin that suffers.
    Hot,
}

/// What the operator decides about responses that say nothing themselves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FreshPolicy {
    /// Percent of the time since Last-Modified that a response is taken to stay fresh.
    pub heuristic_percent: u32,
    /// Longest lifetime that heuristic may give.
    pub heuristic_max: Duration,
    /// Lifetime of a response with nothing to go by, while its site is quiet.
    pub default_quiet: Duration,
    /// The same while its site is hot: a crowd must not fall through to the origin.
    pub default_hot: Duration,
    /// How long past its lifetime a copy may stand in for an origin that fails, unless the
    /// response says otherwise with `stale-if-error`.
    pub stale_on_error_max: Duration,
}

impl FreshPolicy {
    /// The lifetime of a response with nothing to go by.
    const fn default_for(&self, heat: Heat) -> Duration {
        match heat {
            Heat::Quiet => self.default_quiet,
            Heat::Hot => self.default_hot,
        }
    }
}

impl Default for FreshPolicy {
    fn default() -> Self {
        Self {
            // RFC 9111 §4.2.2 names 10 % as the typical fraction.
            heuristic_percent: 10,
            heuristic_max: Duration::from_secs(24 * 3_600),
            default_quiet: Duration::ZERO,
            default_hot: Duration::from_secs(60),
            stale_on_error_max: Duration::from_secs(24 * 3_600),
        }
    }
}

/// Where a freshness lifetime came from, in order of precedence (RFC 9111 §4.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LifetimeSource {
    /// `s-maxage`.
    SMaxage,
    /// `max-age`.
    MaxAge,
    /// Expires less Date, or an Expires that cannot be read and means "stale" (§5.3).
    Expires,
    /// A fraction of the time since Last-Modified (§4.2.2).
    Heuristic,
    /// The operator's default for responses with nothing to go by (§4.2.2).
    Default,
    /// Nothing gives it a lifetime.
    None,
}

impl LifetimeSource {
    /// Every one, each at its own number.
    pub const ALL: [Self; 6] = [
        Self::SMaxage,
        Self::MaxAge,
        Self::Expires,
        Self::Heuristic,
        Self::Default,
        Self::None,
    ];

    /// Name for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SMaxage => "s-maxage",
            Self::MaxAge => "max-age",
            Self::Expires => "expires",
            Self::Heuristic => "heuristic",
            Self::Default => "default",
            Self::None => "none",
        }
    }

    /// Whether the origin said it, rather than us (§4.2.2).
    #[must_use]
    pub const fn is_explicit(self) -> bool {
        matches!(self, Self::SMaxage | Self::MaxAge | Self::Expires)
    }
}

/// A freshness lifetime and the reason for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetime {
    /// Fresh while the age is below this.
    pub duration: Duration,
    /// What it was taken from.
    pub source: LifetimeSource,
}

/// Status codes whose responses may be kept without explicit freshness (RFC 9110 §15.1).
#[must_use]
pub const fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

/// The freshness lifetime of a response in a shared cache (RFC 9111 §4.2.1, §4.2.2).
///
/// `received` is the local calendar at receipt and stands in for a Date that is missing or
/// unreadable (RFC 9110 §6.6.1). An Expires that is unreadable, repeated with different values, or
/// not after Date gives zero, and so overrides any heuristic (RFC 9111 §5.3).
#[must_use]
pub fn lifetime(
    headers: &HeaderMap,
    status: StatusCode,
    directives: &Directives,
    received: WallTime,
    policy: &FreshPolicy,
    heat: Heat,
) -> Lifetime {
    let of = |duration, source| Lifetime { duration, source };
    if let Some(duration) = directives.s_maxage {
        return of(duration, LifetimeSource::SMaxage);
    }
    if let Some(duration) = directives.max_age {
        return of(duration, LifetimeSource::MaxAge);
    }
    let date = date::field(headers, &DATE).unwrap_or(received);
    // RFC 9213 §2.2: a targeted field puts Expires out of force.
    if headers.contains_key(EXPIRES) && !directives.targeted {
        let expires = date::field(headers, &EXPIRES).unwrap_or(date);
        let cap = Duration::from_secs(field::DELTA_SECONDS_MAX);
        return of(expires.since(date).min(cap), LifetimeSource::Expires);
    }
    if !is_heuristically_cacheable(status) && !directives.public {
        return of(Duration::ZERO, LifetimeSource::None);
    }
    let default = policy.default_for(heat);
    if let Some(modified) = date::field(headers, &LAST_MODIFIED) {
        let share = date
            .since(modified)
            .saturating_mul(policy.heuristic_percent)
            / 100;
        // A page changed a minute ago would live for six seconds and let a crowd through each time:
        // while the site is hot the default is the least a page gets.
        if share >= default {
            return of(share.min(policy.heuristic_max), LifetimeSource::Heuristic);
        }
    }
    let source = if default.is_zero() {
        LifetimeSource::None
    } else {
        LifetimeSource::Default
    };
    of(default, source)
}

/// What the Age field says: zero if it is absent or invalid (RFC 9111 §5.1).
///
/// Of several lines or members the first counts. A negative, fractional or otherwise malformed
/// number is ignored; one that is too large counts as 2^31 seconds.
#[must_use]
pub fn age_value(headers: &HeaderMap) -> Duration {
    stated_age(headers).unwrap_or_default()
}

/// Whether a response says with a valid Age that it was not made for this request (RFC 9111 §5.1).
#[must_use]
pub fn is_aged(headers: &HeaderMap) -> bool {
    stated_age(headers).is_some()
}

fn stated_age(headers: &HeaderMap) -> Option<Duration> {
    field::members(headers, &AGE)
        .next()
        .and_then(field::delta_seconds)
}

/// The age of a response at the moment it arrived (corrected_initial_age, RFC 9111 §4.2.3): Age plus
/// the time from sending the request to receiving the header, or the [apparent
/// age](apparent_age) if that is more.
#[must_use]
pub fn initial_age(headers: &HeaderMap, received: WallTime, request_delay: Duration) -> Duration {
    let corrected = age_value(headers).saturating_add(request_delay);
    corrected.max(apparent_age(headers, received))
}

/// The time from Date to receipt, where it tells anything; else zero (RFC 9111 §4.2.3).
///
/// It compares two clocks, either of which may be wrong, and the standard leaves it out where no
/// "very old cache implementations" are about. Those show by an HTTP/1.0 hop in Via (RFC 7234
/// §4.2.3); without one Age is to be trusted. More than [`APPARENT_MAX`] is a wrong clock.
#[must_use]
pub fn apparent_age(headers: &HeaderMap, received: WallTime) -> Duration {
    let old =
        |hop: &[u8]| hop.starts_with(b"1.0 ") || hop.to_ascii_lowercase().starts_with(b"http/1.0 ");
    if !field::members(headers, &VIA).any(old) {
        return Duration::ZERO;
    }
    let age = date::field(headers, &DATE).map(|date| received.since(date));
    age.filter(|age| *age <= APPARENT_MAX).unwrap_or_default()
}

/// The age of a stored response (current_age, RFC 9111 §4.2.3).
#[must_use]
pub fn current_age(initial_age: Duration, received: Moment, now: Moment) -> Duration {
    initial_age.saturating_add(now.since(received))
}

#[cfg(test)]
mod tests;
