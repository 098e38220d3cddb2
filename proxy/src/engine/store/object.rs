//! One response as it is kept: the head with everything that reuse needs, decided once at receipt,
//! and a handle to the body.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::clock::{Moment, WallTime};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::fields::Fields;
use crate::engine::hit::prepared::Prepared;
use crate::engine::http::cache_status::{CACHE_STATUS, RECEIVED_MAX};
use crate::engine::http::control::Directives;
use crate::engine::http::fresh::{self, FreshPolicy, Heat, Lifetime, LifetimeSource};
use crate::engine::http::key::PrimaryKey;
use crate::engine::http::proxy_status::PROXY_STATUS;
use crate::engine::http::rewrite::Front;
use crate::engine::http::vary::{Vary, VaryKey};
use crate::engine::http::verdict::{Rules, Standing};
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
///
/// There may be a million of them: what most do not have is in a box, and fields are [packed](Fields).
#[derive(Debug)]
pub struct Object<B> {
    /// Which resource it is.
    pub key: PrimaryKey,
    /// Status code.
    pub status: StatusCode,
    /// Whether it came with an Age, that is, out of some cache (RFC 9111 §5.1).
    pub aged: bool,
    /// The fields that are kept.
    fields: Fields,
    /// What its Cache-Control says of its use.
    rules: Rules,
    rare: Option<Box<Rare>>,
    received: Moment,
    asked: Moment,
    /// In nanoseconds, as are the lifetimes.
    initial_age: u64,
    lives: [u64; 2],
    sources: [LifetimeSource; 2],
    usual: OnceLock<Box<Usual>>,
    /// The body.
    pub body: B,
}

/// What most do not have.
#[derive(Clone, Debug)]
struct Rare {
    /// Which requests it answers.
    vary: Vary,
    /// The values of those fields in the request it answered.
    vary_key: VaryKey,
    /// What others said they did.
    told: HeaderMap,
    /// Of how many bytes it is the manifest.
    sliced: Option<u64>,
}

impl Rare {
    fn boxed(self) -> Option<Box<Self>> {
        let usual = self.vary == Vary::None && self.told.is_empty() && self.sliced.is_none();
        (!usual).then(|| Box::new(self))
    }
}

/// Through which of its doors an answer leaves the proxy; each has it made in its own way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door {
    /// As [fields](Ready).
    Careful,
    /// As [bytes](Prepared).
    Plain,
}

/// The usual answer with an object, once it was given.
#[derive(Debug, Default)]
struct Usual {
    ready: OnceLock<Option<Box<Ready>>>,
    prepared: OnceLock<Option<Prepared>>,
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

/// What is known of a response at receipt, beside its fields and its body.
struct Birth {
    received: Moment,
    asked: Moment,
    initial_age: Duration,
    lives: [Lifetime; 2],
    vary_key: VaryKey,
    aged: bool,
    told: HeaderMap,
}

impl Birth {
    /// That of a response which `received` brought or confirmed, with these fields from now on.
    fn of(
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
            told: told(received.headers),
        }
    }
}

impl<B> Object<B> {
    fn born(
        key: PrimaryKey,
        (status, headers): (StatusCode, &HeaderMap),
        birth: Birth,
        body: B,
    ) -> Self {
        Self {
            key,
            status,
            aged: birth.aged,
            fields: Fields::of(headers),
            rules: Rules::of(&Directives::of(headers)),
            rare: Rare {
                vary: Vary::of(headers),
                vary_key: birth.vary_key,
                told: birth.told,
                sliced: manifest::total_of(headers),
            }
            .boxed(),
            received: birth.received,
            asked: birth.asked,
            initial_age: nanos(birth.initial_age),
            lives: birth.lives.map(|life| nanos(life.duration)),
            sources: birth.lives.map(|life| life.source),
            usual: OnceLock::new(),
            body,
        }
    }

    /// The object of a response to `request`, of which `headers` are kept. `None` if it answers no
    /// other request at all (`Vary: *`), in which case the key of the plain variant stands in.
    #[must_use]
    pub fn new(
        key: PrimaryKey,
        received: &Received<'_>,
        headers: &HeaderMap,
        request: &HeaderMap,
        policy: &FreshPolicy,
        body: B,
    ) -> Self {
        // What is not kept may still say how long it lives.
        let status = received.status;
        let birth = Birth::of(received, (status, received.headers), request, policy);
        let rules = Rules::of(&Directives::of(received.headers));
        let object = Self::born(key, (status, headers), birth, body);
        Self { rules, ..object }
    }

    /// The object that was put aside `elapsed` before `now`, with its `body`.
    #[must_use]
    pub fn restored(from: Restored, now: Moment, elapsed: Duration, body: B) -> Self {
        let age = from.age.saturating_add(elapsed);
        let birth = Birth {
            received: now,
            asked: now - age,
            initial_age: age,
            lives: [from.quiet, from.hot],
            vary_key: from.vary_key,
            aged: from.aged,
            told: HeaderMap::new(),
        };
        Self::born(from.key, (from.status, &from.headers), birth, body)
    }

    /// The fields that are kept.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        self.fields.to_headers()
    }

    /// The same as they are kept.
    #[must_use]
    pub const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Which requests it answers.
    #[must_use]
    pub fn vary(&self) -> &Vary {
        static ALL: Vary = Vary::None;
        self.rare.as_deref().map_or(&ALL, |rare| &rare.vary)
    }

    /// The values of those fields in the request it answered.
    #[must_use]
    pub fn vary_key(&self) -> VaryKey {
        let rare = self.rare.as_deref();
        rare.map_or(VaryKey::PLAIN, |rare| rare.vary_key)
    }

    /// What caches and proxies before this one said they did, of the message that came last: for who
    /// asked for that message, and nobody later.
    #[must_use]
    pub fn told(&self) -> Option<&HeaderMap> {
        self.rare.as_deref().map(|rare| &rare.told)
    }

    /// Of how many bytes it is the [manifest](crate::engine::slices), if it is one: its body is elsewhere,
    /// in slices.
    #[must_use]
    pub fn sliced(&self) -> Option<u64> {
        self.rare.as_deref()?.sliced
    }

    /// Whether it may answer a request with these fields, as far as Vary goes.
    #[must_use]
    pub fn answers(&self, request: &HeaderMap) -> bool {
        self.vary().matches(self.vary_key(), request)
    }

    /// Its age (RFC 9111 §4.2.3), measured from local receipt.
    #[must_use]
    pub fn age(&self, now: Moment) -> Duration {
        let initial = Duration::from_nanos(self.initial_age);
        fresh::current_age(initial, self.received, now)
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
        let [quiet, hot] = self.lives;
        let [of_quiet, of_hot] = self.sources;
        let (nanos, source) = match heat {
            Heat::Quiet => (quiet, of_quiet),
            Heat::Hot => (hot, of_hot),
        };
        Lifetime {
            duration: Duration::from_nanos(nanos),
            source,
        }
    }

    /// What a verdict on it needs.
    #[must_use]
    pub fn standing(&self, now: Moment, heat: Heat) -> Standing {
        let lifetime = self.lifetime(heat).duration;
        Standing {
            rules: self.rules,
            lifetime,
            age: self.age(now),
        }
    }

    /// How long it remains fresh; zero when it is stale.
    #[must_use]
    pub fn remaining(&self, now: Moment, heat: Heat) -> Duration {
        self.lifetime(heat).duration.saturating_sub(self.age(now))
    }

    fn usual(&self) -> &Usual {
        self.usual.get_or_init(Box::default)
    }

    /// The fields of the usual answer, of `make` the first time. `None` if there are none: each
    /// answer is made anew.
    pub(in crate::engine) fn ready(&self, make: impl FnOnce() -> Option<Ready>) -> Option<&Ready> {
        let ready = &self.usual().ready;
        ready.get_or_init(|| make().map(Box::new)).as_deref()
    }

    /// The same as bytes.
    pub(in crate::engine) fn prepared(
        &self,
        make: impl FnOnce() -> Option<Prepared>,
    ) -> Option<&Prepared> {
        self.usual().prepared.get_or_init(make).as_ref()
    }

    /// The head that was prepared for a body of `length` and clients that see us at `front`, if there is
    /// one by now.
    #[must_use]
    pub fn known(&self, length: u64, front: Front) -> Option<&Prepared> {
        let prepared = self.usual.get()?.prepared.get()?.as_ref()?;
        (prepared.length == length && prepared.is_for(front)).then_some(prepared)
    }

    /// Bytes that its usual answer takes through this door, about, as measured.
    #[must_use]
    pub fn answer_bytes(&self, door: Door) -> u64 {
        let (each, more) = match door {
            Door::Careful => (128, 1_344),
            Door::Plain => (16, 240),
        };
        (self.fields.len() * each + self.fields.weight() + more) as u64
    }

    /// Bytes of its URL and its packed fields.
    #[must_use]
    pub fn head_bytes(&self) -> u64 {
        (self.key.as_str().len() + self.fields.weight()) as u64
    }
}

impl<B: Clone> Object<B> {
    /// The object after a 304 to `request` confirmed it: `headers` merged, age and lifetime those of
    /// `received` with the merged fields, the same body (RFC 9111 §4.3.4).
    #[must_use]
    pub fn confirmed(
        &self,
        received: &Received<'_>,
        headers: &HeaderMap,
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
        headers: &HeaderMap,
        request: &HeaderMap,
        policy: &FreshPolicy,
        body: B,
    ) -> Arc<Self> {
        // Age tells of the message it came in: an Age kept from before would age twice. The new Vary is
        // what the next request is to be judged by.
        let birth = Birth::of(received, (self.status, headers), request, policy);
        Arc::new(Self::born(
            self.key.clone(),
            (self.status, headers),
            birth,
            body,
        ))
    }

    /// The object as one whose lifetime is over: something newer is known to exist (RFC 9111
    /// §4.3.5).
    #[must_use]
    pub fn outdated(&self) -> Arc<Self> {
        Arc::new(Self {
            key: self.key.clone(),
            status: self.status,
            aged: self.aged,
            fields: self.fields.clone(),
            rules: self.rules,
            rare: Rare {
                vary: self.vary().clone(),
                vary_key: self.vary_key(),
                told: HeaderMap::new(),
                sliced: self.sliced(),
            }
            .boxed(),
            received: self.received,
            asked: self.asked,
            initial_age: self.initial_age,
            lives: [0; 2],
            sources: [LifetimeSource::None; 2],
            usual: OnceLock::new(),
            body: self.body.clone(),
        })
    }
}

/// A span as it is kept: five hundred years at most.
fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
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
        Arc::new(Object::new(key, &received, &kept, &request, &policy, body))
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
        let confirmed = stored.confirmed(&received, &fields, &request, &policy);
        assert_eq!((confirmed.body, confirmed.status), (7, StatusCode::OK));
        assert_eq!(confirmed.remaining(at, Heat::Quiet), Duration::from_secs(5));
    }
}
