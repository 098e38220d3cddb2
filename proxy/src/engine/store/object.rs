//! One response as it is kept: the head with everything that reuse needs, decided once at receipt,
//! and a handle to the body.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::clock::{Moment, WallTime};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::engine::hit::prepared::Prepared;
use crate::engine::http::cache_status::{CACHE_STATUS, RECEIVED_MAX};
use crate::engine::http::control::Directives;
use crate::engine::http::fresh::{self, FreshPolicy, Heat, Lifetime, LifetimeSource};
use crate::engine::http::key::PrimaryKey;
use crate::engine::http::proxy_status::PROXY_STATUS;
use crate::engine::http::rewrite::Front;
use crate::engine::http::vary::{Vary, VaryKey};
use crate::engine::http::verdict::Standing;
use crate::engine::slices::manifest;

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

/// A response kept, or on its way to be.
#[derive(Debug)]
pub struct Object<B> {
    /// Which resource it is.
    pub key: PrimaryKey,
    /// Status code.
    pub status: StatusCode,
    /// The fields that are kept.
    pub headers: HeaderMap,
    /// What its Cache-Control says.
    pub directives: Directives,
    /// Which requests it answers.
    pub vary: Vary,
    /// The values of those fields in the request it answered.
    pub vary_key: VaryKey,
    /// What caches and proxies before this one said they did, of the message that came last: for who
    /// asked for that message, and nobody later.
    pub told: HeaderMap,
    /// Whether it came with an Age, that is, out of some cache (RFC 9111 §5.1).
    pub aged: bool,
    /// Of how many bytes it is the [manifest](crate::engine::slices), if it is one: its body is elsewhere,
    /// in slices.
    pub sliced: Option<u64>,
    received: Moment,
    asked: Moment,
    initial_age: Duration,
    quiet: Lifetime,
    hot: Lifetime,
    ready: OnceLock<Option<Ready>>,
    prepared: OnceLock<Option<Box<Prepared>>>,
    /// The body.
    pub body: B,
}

/// A response as it was kept elsewhere: what makes an [`Object`] again.
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

/// The fields of the usual answer with an object, made once: only two of them change with time.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Length of the body that they are for.
    pub length: u64,
    /// Where the client sees us for whom they are; `None` if they are the same for all.
    pub front: Option<Front>,
    /// The fields, Age and Cache-Status among them.
    pub headers: HeaderMap,
}

impl Ready {
    /// Whether they are for a client that sees us at `front`.
    #[must_use]
    pub fn is_for(&self, front: Front) -> bool {
        self.front.is_none_or(|mine| mine == front)
    }
}

impl<B> Object<B> {
    /// The object of a response to `request`, of which `headers` are kept. `None` if it answers no
    /// other request at all (`Vary: *`), in which case the key of the plain variant stands in.
    #[must_use]
    pub fn new(
        key: PrimaryKey,
        received: &Received<'_>,
        headers: HeaderMap,
        request: &HeaderMap,
        policy: &FreshPolicy,
        body: B,
    ) -> Self {
        let directives = Directives::of(received.headers);
        let vary = Vary::of(received.headers);
        let lifetime = |heat| {
            let (status, wall) = (received.status, received.wall);
            fresh::lifetime(received.headers, status, &directives, wall, policy, heat)
        };
        let (quiet, hot) = (lifetime(Heat::Quiet), lifetime(Heat::Hot));
        Self {
            key,
            status: received.status,
            vary_key: vary.key(request).unwrap_or(VaryKey::PLAIN),
            vary,
            told: told(received.headers),
            aged: fresh::is_aged(received.headers),
            received: received.at,
            asked: asked(received),
            initial_age: fresh::initial_age(received.headers, received.wall, received.delay),
            quiet,
            hot,
            ready: OnceLock::new(),
            prepared: OnceLock::new(),
            sliced: manifest::total_of(&headers),
            headers,
            directives,
            body,
        }
    }

    /// The object that was put aside `elapsed` before `now`, with its `body`.
    #[must_use]
    pub fn restored(from: Restored, now: Moment, elapsed: Duration, body: B) -> Self {
        Self {
            directives: Directives::of(&from.headers),
            vary: Vary::of(&from.headers),
            vary_key: from.vary_key,
            told: HeaderMap::new(),
            aged: from.aged,
            received: now,
            asked: now - from.age.saturating_add(elapsed),
            initial_age: from.age.saturating_add(elapsed),
            quiet: from.quiet,
            hot: from.hot,
            ready: OnceLock::new(),
            prepared: OnceLock::new(),
            key: from.key,
            status: from.status,
            sliced: manifest::total_of(&from.headers),
            headers: from.headers,
            body,
        }
    }

    /// Whether it may answer a request with these fields, as far as Vary goes.
    #[must_use]
    pub fn answers(&self, request: &HeaderMap) -> bool {
        self.vary.matches(self.vary_key, request)
    }

    /// Its age (RFC 9111 §4.2.3), measured from local receipt.
    #[must_use]
    pub fn age(&self, now: Moment) -> Duration {
        fresh::current_age(self.initial_age, self.received, now)
    }

    /// When it was asked for at its origin, or that long ago at the latest where it comes out of some
    /// cache: what was purged after this was purged of it too.
    #[must_use]
    pub const fn asked(&self) -> Moment {
        self.asked
    }

    /// Its lifetime while the site is this hot.
    #[must_use]
    pub const fn lifetime(&self, heat: Heat) -> Lifetime {
        match heat {
            Heat::Quiet => self.quiet,
            Heat::Hot => self.hot,
        }
    }

    /// What a verdict on it needs.
    #[must_use]
    pub fn standing(&self, now: Moment, heat: Heat) -> Standing<'_> {
        let lifetime = self.lifetime(heat).duration;
        Standing {
            directives: &self.directives,
            lifetime,
            age: self.age(now),
        }
    }

    /// How long it remains fresh; zero when it is stale.
    #[must_use]
    pub fn remaining(&self, now: Moment, heat: Heat) -> Duration {
        self.lifetime(heat).duration.saturating_sub(self.age(now))
    }

    /// The fields of the usual answer, of `make` the first time. `None` if there are none: each
    /// answer is made anew.
    pub(in crate::engine) fn ready(&self, make: impl FnOnce() -> Option<Ready>) -> Option<&Ready> {
        self.ready.get_or_init(make).as_ref()
    }

    /// The same as bytes.
    pub(in crate::engine) fn prepared(
        &self,
        make: impl FnOnce() -> Option<Prepared>,
    ) -> Option<&Prepared> {
        self.prepared
            .get_or_init(|| make().map(Box::new))
            .as_deref()
    }

    /// The head that was prepared for a body of `length` and clients that see us at `front`, if there is
    /// one by now.
    #[must_use]
    pub fn known(&self, length: u64, front: Front) -> Option<&Prepared> {
        let prepared = self.prepared.get()?.as_deref()?;
        (prepared.length == length && prepared.is_for(front)).then_some(prepared)
    }

    /// Bytes of its header fields, and of those of the usual answer, which share the values.
    #[must_use]
    pub fn head_bytes(&self) -> u64 {
        self.headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 192)
            .sum::<usize>() as u64
    }
}

impl<B: Clone> Object<B> {
    /// The object after a 304 to `request` confirmed it: `headers` merged, age and lifetime those of
    /// `received` with the merged fields, the same body (RFC 9111 §4.3.4).
    #[must_use]
    pub fn confirmed(
        &self,
        received: &Received<'_>,
        headers: HeaderMap,
        request: &HeaderMap,
        policy: &FreshPolicy,
    ) -> Arc<Self> {
        self.updated(received, headers, request, policy, self.body.clone())
    }

    /// The object after a 206 to `request` completed it: as [confirmed](Self::confirmed), with the
    /// `body` that has become of its own (RFC 9111 §3.4).
    #[must_use]
    pub fn updated(
        &self,
        received: &Received<'_>,
        headers: HeaderMap,
        request: &HeaderMap,
        policy: &FreshPolicy,
        body: B,
    ) -> Arc<Self> {
        // Age tells of the message it came in: an Age kept from before would age twice.
        let merged = Received {
            status: self.status,
            headers: &headers,
            ..received.clone()
        };
        let directives = Directives::of(&headers);
        let lifetime = |heat| {
            fresh::lifetime(
                &headers,
                self.status,
                &directives,
                merged.wall,
                policy,
                heat,
            )
        };
        // The new Vary is what the next request is to be judged by.
        let vary = Vary::of(&headers);
        Arc::new(Self {
            key: self.key.clone(),
            status: self.status,
            vary_key: vary.key(request).unwrap_or(VaryKey::PLAIN),
            vary,
            told: told(received.headers),
            aged: fresh::is_aged(received.headers),
            received: received.at,
            asked: asked(received),
            initial_age: fresh::initial_age(received.headers, received.wall, received.delay),
            quiet: lifetime(Heat::Quiet),
            hot: lifetime(Heat::Hot),
            ready: OnceLock::new(),
            prepared: OnceLock::new(),
            sliced: manifest::total_of(&headers),
            directives,
            body,
            headers,
        })
    }

    /// The object as one whose lifetime is over: something newer is known to exist (RFC 9111
    /// §4.3.5).
    #[must_use]
    pub fn outdated(&self) -> Arc<Self> {
        let over = Lifetime {
            duration: Duration::ZERO,
            source: LifetimeSource::None,
        };
        Arc::new(Self {
            key: self.key.clone(),
            status: self.status,
            headers: self.headers.clone(),
            directives: self.directives.clone(),
            vary: self.vary.clone(),
            vary_key: self.vary_key,
            told: HeaderMap::new(),
            aged: self.aged,
            sliced: self.sliced,
            received: self.received,
            asked: self.asked,
            initial_age: self.initial_age,
            quiet: over,
            hot: over,
            ready: OnceLock::new(),
            prepared: OnceLock::new(),
            body: self.body.clone(),
        })
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

#[cfg(test)]
pub(crate) mod tests {
    use http::header::HeaderName;

    use super::*;
    use crate::engine::http::key::Scheme;

    pub(crate) fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    /// An object of `example.com` received at the clock's origin.
    pub(crate) fn object(
        path: &str,
        response: &[(&str, &str)],
        request: &[(&str, &str)],
        body: u32,
    ) -> Arc<Object<u32>> {
        let kept = headers(response);
        let received = Received {
            status: StatusCode::OK,
            headers: &kept,
            at: Moment::ZERO,
            wall: WallTime::from_unix(1_000_000),
            delay: Duration::ZERO,
        };
        let key = PrimaryKey::new(Scheme::Http, "example.com", 80, path);
        let (request, policy) = (headers(request), FreshPolicy::default());
        Arc::new(Object::new(
            key,
            &received,
            kept.clone(),
            &request,
            &policy,
            body,
        ))
    }

    #[test]
    fn ages_from_receipt_whatever_the_calendar_says() {
        let stored = object(
            "/",
            &[("cache-control", "max-age=60"), ("age", "10")],
            &[],
            0,
        );
        let now = Moment::ZERO + Duration::from_secs(30);
        assert_eq!(stored.age(now), Duration::from_secs(40));
        assert_eq!(stored.remaining(now, Heat::Quiet), Duration::from_secs(20));
        assert!(stored.standing(now, Heat::Quiet).is_fresh());
    }

    #[test]
    fn a_page_with_nothing_to_go_by_lives_only_while_its_site_is_hot() {
        let stored = object("/", &[], &[], 0);
        assert_eq!(stored.remaining(Moment::ZERO, Heat::Quiet), Duration::ZERO);
        assert_eq!(
            stored.remaining(Moment::ZERO, Heat::Hot),
            Duration::from_secs(60)
        );
    }

    #[test]
    fn confirmation_starts_a_new_life_with_the_same_body() {
        let stored = object(
            "/",
            &[("cache-control", "max-age=60"), ("etag", "\"a\"")],
            &[],
            7,
        );
        let fields = headers(&[("cache-control", "max-age=5"), ("etag", "\"a\"")]);
        let at = Moment::ZERO + Duration::from_secs(100);
        let wall = WallTime::from_unix(0);
        let received = Received {
            status: StatusCode::NOT_MODIFIED,
            headers: &fields,
            at,
            wall,
            delay: Duration::ZERO,
        };
        let (request, policy) = (HeaderMap::new(), FreshPolicy::default());
        let confirmed = stored.confirmed(&received, fields.clone(), &request, &policy);
        assert_eq!((confirmed.body, confirmed.status), (7, StatusCode::OK));
        assert_eq!(confirmed.remaining(at, Heat::Quiet), Duration::from_secs(5));
    }
}
