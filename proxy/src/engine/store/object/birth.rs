//! What is decided of a response once, at receipt: of one that an origin or a peer sent, or of one that was
//! put aside.

use std::time::Duration;

use common::clock::{Moment, WallTime};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::engine::http::cache_status::{CACHE_STATUS, RECEIVED_MAX};
use crate::engine::http::control::Directives;
use crate::engine::http::fresh::{self, FreshPolicy, Heat, Lifetime};
use crate::engine::http::key::PrimaryKey;
use crate::engine::http::proxy_status::PROXY_STATUS;
use crate::engine::http::vary::{Vary, VaryKey};
use crate::engine::http::verdict::Rules;

/// A response's head as it was received from an origin or a peer.
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// Status code.
    pub status: StatusCode,
    /// Fields as received.
    pub headers: &'a HeaderMap,
    /// When the head had arrived.
    pub at: Moment,
    /// The calendar at that time, for a missing Date and for caches without Age.
    pub wall: WallTime,
    /// From sending the request to that time.
    pub delay: Duration,
}

/// A response as it was kept elsewhere: what makes an [`Object`](super::Object) again.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Which resource it is.
    pub key: PrimaryKey,
    /// Status code.
    pub status: StatusCode,
    /// The fields that are kept.
    pub headers: HeaderMap,
    /// The values of the fields in its Vary in the request it answered.
    pub vary_key: VaryKey,
    /// Whether it came out of some cache.
    pub aged: bool,
    /// Its age when it was put aside.
    pub age: Duration,
    /// Its lifetime while its site is quiet.
    pub quiet: Lifetime,
    /// Its lifetime while its site is hot.
    pub hot: Lifetime,
}

/// What is known of a response at receipt, beside its fields and its body.
pub(super) struct Birth {
    pub(super) received: Moment,
    pub(super) asked: Moment,
    pub(super) initial_age: Duration,
    pub(super) lives: [Lifetime; 2],
    pub(super) vary_key: VaryKey,
    pub(super) aged: bool,
    /// What its Cache-Control says of its use.
    pub(super) rules: Rules,
    pub(super) told: HeaderMap,
}

impl Birth {
    /// That of a response which `received` brought or confirmed, with these fields from now on.
    pub(super) fn of(
        received: &Received<'_>,
        (status, headers): (StatusCode, &HeaderMap),
        request: &HeaderMap,
        policy: &FreshPolicy,
    ) -> Self {
        let directives = Directives::of(headers);
        let life =
            |heat| fresh::lifetime(headers, status, &directives, received.wall, policy, heat);
        Self {
            received: received.at,
            asked: asked(received),
            initial_age: fresh::initial_age(received.headers, received.wall, received.delay),
            lives: [Heat::Quiet, Heat::Hot].map(life),
            vary_key: Vary::of(headers).key(request).unwrap_or(VaryKey::PLAIN),
            aged: fresh::is_aged(received.headers),
            rules: Rules::of(&directives),
            told: told(received.headers),
        }
    }
}

/// When a response was asked for at its origin, at the latest. An Age is cut to whole seconds.
pub(in crate::engine) fn asked(received: &Received<'_>) -> Moment {
    if !fresh::is_aged(received.headers) {
        return received.at - received.delay;
    }
    let age = fresh::initial_age(received.headers, received.wall, received.delay);
    received.at - age.saturating_add(Duration::from_secs(1))
}

/// The members of Cache-Status and Proxy-Status; too many are none.
fn told(received: &HeaderMap) -> HeaderMap {
    let mut told = HeaderMap::new();
    for name in [CACHE_STATUS, PROXY_STATUS] {
        let lines = received.get_all(&name);
        if lines.iter().map(HeaderValue::len).sum::<usize>() > RECEIVED_MAX {
            continue;
        }
        for line in lines {
            // A copy: the value is a view of the connection's buffer.
            if let Ok(line) = HeaderValue::from_bytes(line.as_bytes()) {
                told.append(&name, line);
            }
        }
    }
    told
}
