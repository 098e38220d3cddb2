//! Cache-Status: what each cache on the way did with the request (RFC 9211).
//!
//! The member nearest the origin comes first, so ours goes last. Members received from a peer or
//! from a cache of the origin's are kept if they are a structured list at all: one malformed line
//! would make the whole field unreadable (RFC 9651 §4.2).

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::structured::{into_value, is_list, push_integer, push_item};

/// Cache-Status (RFC 9211 §2).
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Bytes of received members that are passed on; a longer list is dropped. A member has about 60.
pub const RECEIVED_MAX: usize = 2_048;

/// Why a request went on towards the origin (RFC 9211 §2.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ForwardReason {
    /// The cache was configured not to handle it.
    Bypass,
    /// The method cannot be answered from a cache.
    Method,
    /// Nothing is stored for its URL.
    UriMiss,
    /// Something is, but for other values of the Vary fields.
    VaryMiss,
    /// Nothing is stored that could be used, for both reasons or one not told apart.
    Miss,
    /// Something usable is, but the client asked for more.
    Request,
    /// What is stored is stale.
    Stale,
    /// What is stored lacks part of what was asked for.
    Partial,
}

impl ForwardReason {
    /// The token of the `fwd` parameter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// What the cache did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handling {
    /// It answered with what it had (`hit`, §2.1), fresh or, with a negative `ttl`, stale.
    Hit,
    /// It went on towards the origin (`fwd`, §2.2).
    Forwarded {
        /// Why.
        why: ForwardReason,
        /// The status the next hop gave, if that is not the one the client gets (§2.3).
        status: Option<StatusCode>,
        /// Whether the answer was stored (`stored`, §2.5).
        stored: bool,
        /// Whether the request shared the fetch of another (`collapsed`, §2.6).
        collapsed: bool,
    },
}

/// One member: what this node did.
#[derive(Clone, Copy, Debug)]
pub struct CacheStatus<'a> {
    /// The cache's name: [`Identity::name`](super::hop::Identity::name).
    pub cache: &'a str,
    /// What it did.
    pub handling: Handling,
    /// Remaining freshness in seconds, negative if stale (§2.4).
    pub ttl: Option<i64>,
    /// More about it, from a reason's `as_str` (§2.8).
    pub detail: Option<&'a str>,
}

impl CacheStatus<'_> {
    /// The member as a field value.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        let mut out = String::with_capacity(64);
        push_item(&mut out, self.cache);
        match self.handling {
            Handling::Hit => out.push_str("; hit"),
            Handling::Forwarded {
                why,
                status,
                stored,
                collapsed,
            } => {
                out.push_str("; fwd=");
                out.push_str(why.as_str());
                if let Some(status) = status {
                    out.push_str("; fwd-status=");
                    out.push_str(status.as_str());
                }
                if stored {
                    out.push_str("; stored");
                }
                if collapsed {
                    out.push_str("; collapsed");
                }
            }
        }
        if let Some(ttl) = self.ttl {
            out.push_str("; ttl=");
            push_integer(&mut out, ttl);
        }
        if let Some(detail) = self.detail {
            out.push_str("; detail=");
            push_item(&mut out, detail);
        }
        into_value(out)
    }
}

/// Adds this node's member after those received, if they can be kept.
pub fn append(headers: &mut HeaderMap, own: &CacheStatus<'_>) {
    append_member(headers, &CACHE_STATUS, own.value());
}

/// Appends a member to a list field, and drops what was received if it is no list, or too long.
pub(super) fn append_member(headers: &mut HeaderMap, name: &HeaderName, own: HeaderValue) {
    let received = headers.get_all(name);
    let length: usize = received.iter().map(HeaderValue::len).sum();
    if length > RECEIVED_MAX || !received.iter().all(|value| is_list(value.as_bytes())) {
        headers.remove(name);
    }
    headers.append(name, own);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{any_value, headers};
    use super::*;

    const HIT: CacheStatus<'_> = CacheStatus {
        cache: "n1.nyud.test",
        handling: Handling::Hit,
        ttl: Some(9),
        detail: None,
    };

    fn forwarded(why: ForwardReason) -> Handling {
        Handling::Forwarded {
            why,
            status: None,
            stored: false,
            collapsed: false,
        }
    }

    fn lines(headers: &HeaderMap) -> Vec<&str> {
        headers
            .get_all(CACHE_STATUS)
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect()
    }

    #[test]
    fn members_say_what_was_done() {
        let full = Handling::Forwarded {
            why: ForwardReason::Stale,
            status: Some(StatusCode::NOT_MODIFIED),
            stored: true,
            collapsed: true,
        };
        let rows: &[(&str, CacheStatus<'_>, &str)] = &[
            ("9211 2.1", HIT, "n1.nyud.test; hit; ttl=9"),
            (
                "9211 2.4 stale",
                CacheStatus {
                    ttl: Some(-5),
                    ..HIT
                },
                "n1.nyud.test; hit; ttl=-5",
            ),
            (
                "9211 2.2",
                CacheStatus {
                    handling: forwarded(ForwardReason::UriMiss),
                    ttl: None,
                    ..HIT
                },
                "n1.nyud.test; fwd=uri-miss",
            ),
            (
                "9211 2",
                CacheStatus {
                    handling: full,
                    detail: Some("peer-L2"),
                    ..HIT
                },
                "n1.nyud.test; fwd=stale; fwd-status=304; stored; collapsed; ttl=9; detail=peer-L2",
            ),
            (
                "9211 2.8 string",
                CacheStatus {
                    cache: "a b",
                    ttl: None,
                    detail: Some("it \"died\""),
                    ..HIT
                },
                "\"a b\"; hit; detail=\"it \\\"died\\\"\"",
            ),
        ];
        for (section, status, expected) in rows {
            assert_eq!(status.value(), *expected, "{section}");
        }
    }

    #[test]
    fn our_member_comes_after_those_received() {
        let mut map = headers(&[
            ("cache-status", "origin; hit"),
            ("cache-status", "peer; hit"),
        ]);
        append(&mut map, &HIT);
        assert_eq!(
            lines(&map),
            ["origin; hit", "peer; hit", "n1.nyud.test; hit; ttl=9"],
            "9211 2"
        );
    }

    #[test]
    fn a_list_that_is_none_or_too_long_is_dropped() {
        let long = format!("a; detail=\"{}\"", "x".repeat(RECEIVED_MAX));
        for received in ["HIT from cache", &long] {
            let mut map = headers(&[("cache-status", "a; hit"), ("cache-status", received)]);
            append(&mut map, &HIT);
            assert_eq!(lines(&map), ["n1.nyud.test; hit; ttl=9"]);
        }
    }

    proptest! {
        #[test]
        fn the_field_stays_readable(received in any_value(), detail in ".{0,40}", ttl in any::<i64>()) {
            let mut map = HeaderMap::new();
            map.append(CACHE_STATUS, received);
            append(&mut map, &CacheStatus { ttl: Some(ttl), detail: Some(&detail), ..HIT });
            prop_assert!(map.get_all(CACHE_STATUS).iter().all(|value| is_list(value.as_bytes())));
        }
    }
}
