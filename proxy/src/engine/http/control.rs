//! Cache-Control, of responses and of requests (RFC 9111 §5.2, RFC 5861, RFC 8246), and Pragma.
//! A field [`targeted`] at CDNs takes the place of a response's Cache-Control.
//!
//! All lines count as one list; names match in any case; arguments may be quoted or not. Choices
//! for what the standard leaves open or calls invalid:
//! - a repeated directive with different arguments: the first counts (§4.2.1);
//! - a lifetime that is missing, negative, fractional or otherwise no number: zero, that is, stale
//!   (§4.2.1); one that is too large: 2^31 seconds (§1.2.2);
//! - a directive that restricts counts even with an argument it does not take, one that permits
//!   does not;
//! - a list of field names with anything else in it: as if there were no list, which is stricter.
//!
//! What the directives mean for storing and reusing is decided in [`store`](super::store),
//! [`fresh`](super::fresh) and [`verdict`](super::verdict).

use std::borrow::Cow;
use std::time::Duration;

use http::header::{CACHE_CONTROL, HeaderMap, HeaderName, PRAGMA};

use super::field::{self, Members};
use super::targeted;

/// Longest directive name that means something here, in bytes: `stale-while-revalidate` has 22.
const NAME_MAX: usize = 24;

/// How much of a response `no-cache` or `private` applies to (RFC 9111 §5.2.2.4, §5.2.2.7).
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The directive is not there.
    #[default]
    Absent,
    /// It names these fields, and applies to them alone.
    Fields(Vec<HeaderName>),
    /// It applies to the whole response.
    Whole,
}

impl Scope {
    /// Whether the directive applies to the whole response.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
    }

    /// Whether the directive applies to the field `name` but not to the whole response.
    #[must_use]
    pub fn names(&self, name: &HeaderName) -> bool {
        matches!(self, Self::Fields(names) if names.contains(name))
    }

    /// Adds one occurrence of the directive.
    pub(super) fn widen(&mut self, argument: &Argument<'_>) {
        let listed = match argument {
            Argument::Absent => None,
            Argument::Malformed => return *self = Self::Whole,
            Argument::Given(bytes) => field_names(bytes),
        };
        match (listed, &mut *self) {
            (Some(_), Self::Whole) => {}
            (Some(more), Self::Fields(names)) => names.extend(more),
            (Some(names), Self::Absent) => *self = Self::Fields(names),
            (None, _) => *self = Self::Whole,
        }
    }
}

/// The names in the argument; `None` if there is none, or one that is no field name.
fn field_names(argument: &[u8]) -> Option<Vec<HeaderName>> {
    let names: Result<Vec<_>, _> = Members::of(argument).map(HeaderName::from_bytes).collect();
    names.ok().filter(|names| !names.is_empty())
}

/// What a response's Cache-Control says (RFC 9111 §5.2.2), or the field that is targeted at us
/// instead (RFC 9213). Absent directives are `false` or `None`.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Directives {
    /// They come from a targeted field, which puts Expires out of force (RFC 9213 §2.2).
    pub targeted: bool,
    /// Keep nothing of the exchange (§5.2.2.5).
    pub no_store: bool,
    /// Do not reuse without validation (§5.2.2.4).
    pub no_cache: Scope,
    /// For one user only; this cache is shared (§5.2.2.7).
    pub private: Scope,
    /// May be stored even where it would not be otherwise (§5.2.2.9).
    pub public: bool,
    /// Never reuse stale (§5.2.2.2).
    pub must_revalidate: bool,
    /// Never reuse stale in a shared cache (§5.2.2.8).
    pub proxy_revalidate: bool,
    /// Store only if the status code's rules are known (§5.2.2.3).
    pub must_understand: bool,
    /// Will not change while fresh, so a reload needs no validation (RFC 8246 §2).
    pub immutable: bool,
    /// Do not transform the content (§5.2.2.6).
    pub no_transform: bool,
    /// Freshness lifetime (§5.2.2.1).
    pub max_age: Option<Duration>,
    /// Freshness lifetime in shared caches (§5.2.2.10).
    pub s_maxage: Option<Duration>,
    /// How long past its lifetime it may be served while being validated (RFC 5861 §3).
    pub stale_while_revalidate: Option<Duration>,
    /// How long past its lifetime it may be served instead of an error (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
}

impl Directives {
    /// Reads the targeted field of a response, or else its Cache-Control lines.
    #[must_use]
    pub fn of(response: &HeaderMap) -> Self {
        if let Some(directives) = targeted::directives(response) {
            return directives;
        }
        let mut directives = Self::default();
        for member in field::members(response, &CACHE_CONTROL) {
            with_directive(member, |name, argument| directives.add(name, &argument));
        }
        directives
    }

    fn add(&mut self, name: &[u8], argument: &Argument<'_>) {
        match name {
            b"no-store" => self.no_store = true,
            b"no-cache" => self.no_cache.widen(argument),
            b"private" => self.private.widen(argument),
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"no-transform" => self.no_transform = true,
            b"public" => self.public |= argument.is_absent(),
            b"must-understand" => self.must_understand |= argument.is_absent(),
            // RFC 8246 §2: an argument has no meaning.
            b"immutable" => self.immutable = true,
            b"max-age" => argument.first_seconds(&mut self.max_age),
            b"s-maxage" => argument.first_seconds(&mut self.s_maxage),
            b"stale-while-revalidate" => argument.first_seconds(&mut self.stale_while_revalidate),
            b"stale-if-error" => argument.first_seconds(&mut self.stale_if_error),
            // RFC 9111 §5.2.3: unknown directives are ignored.
            _ => {}
        }
    }
}

/// How stale a response a client accepts (RFC 9111 §5.2.1.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MaxStale {
    /// Of any staleness.
    Any,
    /// At most this long past its lifetime.
    Within(Duration),
}

/// What a request's Cache-Control says (RFC 9111 §5.2.1). Absent directives are `false` or `None`.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct RequestDirectives {
    /// Validate before answering (§5.2.1.4), also said by Pragma (§5.4).
    pub no_cache: bool,
    /// Keep nothing of the exchange (§5.2.1.5).
    pub no_store: bool,
    /// Answer from the cache or with 504 (§5.2.1.7).
    pub only_if_cached: bool,
    /// Do not transform the content (§5.2.1.6).
    pub no_transform: bool,
    /// The greatest age accepted (§5.2.1.1).
    pub max_age: Option<Duration>,
    /// The staleness accepted (§5.2.1.2).
    pub max_stale: Option<MaxStale>,
    /// The freshness that must remain (§5.2.1.3).
    pub min_fresh: Option<Duration>,
    /// The staleness accepted instead of an error (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
}

impl RequestDirectives {
    /// Reads the Cache-Control lines of a request, or Pragma if there are none (RFC 9111 §5.4).
    #[must_use]
    pub fn of(request: &HeaderMap) -> Self {
        let mut directives = Self::default();
        if !request.contains_key(CACHE_CONTROL) {
            directives.no_cache = field::members(request, &PRAGMA)
                .any(|member| member.eq_ignore_ascii_case(b"no-cache"));
            return directives;
        }
        for member in field::members(request, &CACHE_CONTROL) {
            with_directive(member, |name, argument| directives.add(name, &argument));
        }
        directives
    }

    fn add(&mut self, name: &[u8], argument: &Argument<'_>) {
        match name {
            b"no-cache" => self.no_cache = true,
            b"no-store" => self.no_store = true,
            b"only-if-cached" => self.only_if_cached = true,
            b"no-transform" => self.no_transform = true,
            b"max-age" => argument.first_seconds(&mut self.max_age),
            b"stale-if-error" => argument.first_seconds(&mut self.stale_if_error),
            // Unreadable, it asks for nothing that could be granted.
            b"min-fresh" => self.min_fresh = self.min_fresh.or_else(|| argument.seconds()),
            b"max-stale" if self.max_stale.is_none() => {
                self.max_stale = if argument.is_absent() {
                    Some(MaxStale::Any)
                } else {
                    argument.seconds().map(MaxStale::Within)
                };
            }
            _ => {}
        }
    }
}

/// What follows the name of a directive.
pub(super) enum Argument<'a> {
    Absent,
    /// Its bytes, out of their quotes.
    Given(Cow<'a, [u8]>),
    /// Bad quoting, or a space around the equals sign (RFC 9111 §5.2 allows none).
    Malformed,
}

impl Argument<'_> {
    const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    fn seconds(&self) -> Option<Duration> {
        match self {
            Self::Given(bytes) => field::delta_seconds(bytes),
            Self::Absent | Self::Malformed => None,
        }
    }

    /// Fills `slot` unless an earlier occurrence did; what is no number of seconds makes it zero.
    fn first_seconds(&self, slot: &mut Option<Duration>) {
        match self.seconds() {
            Some(seconds) => *slot = slot.or(Some(seconds)),
            None => *slot = Some(Duration::ZERO),
        }
    }
}

/// Takes one list member apart and hands on its name in lower case and its argument.
fn with_directive(member: &[u8], mut act: impl FnMut(&[u8], Argument<'_>)) {
    let (name, argument) = match member.iter().position(|byte| *byte == b'=') {
        None => (member, Argument::Absent),
        Some(at) => {
            let (name, argument) = (&member[..at], &member[at + 1..]);
            let spaced = name.trim_ascii_end() != name || argument.trim_ascii_start() != argument;
            let argument = if spaced {
                None
            } else {
                field::unquote(argument)
            };
            (
                name.trim_ascii_end(),
                argument.map_or(Argument::Malformed, Argument::Given),
            )
        }
    };
    let mut lower = [0; NAME_MAX];
    if let Some(lower) = lower.get_mut(..name.len()) {
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        act(lower, argument);
    }
}

#[cfg(test)]
mod tests;
