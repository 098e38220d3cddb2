//! One response as it is kept: the head with everything that reuse needs, decided once at receipt,
//! and a handle to the body. What is decided at receipt is `birth`'s, the answer that mostly goes out with
//! it `usual`'s.

pub(in crate::engine) mod birth;
mod span;
mod usual;

use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use http::{HeaderMap, StatusCode};
use once_cell::race::OnceBox;

use self::birth::Birth;
pub use self::birth::{Received, Restored};
use self::span::Span;
use self::usual::Usual;
pub use self::usual::{Door, Ready};
use super::fields::Fields;
use crate::engine::http::control::Directives;
use crate::engine::http::fresh::{self, FreshPolicy, Heat, Lifetime, LifetimeSource};
use crate::engine::http::key::PrimaryKey;
use crate::engine::http::vary::{Vary, VaryKey};
use crate::engine::http::verdict::{Rules, Standing, Windows, Word};
use crate::engine::slices::manifest;

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
    word: Word,
    rare: Option<Box<Rare>>,
    received: Moment,
    /// How long before that it was asked for.
    delay: Span,
    initial_age: Span,
    lives: [Span; 2],
    sources: [LifetimeSource; 2],
    /// One pointer wide: a lock beside it would make the whole of it larger for the allocator.
    usual: OnceBox<Usual>,
    /// The body.
    pub body: B,
}

/// With the two counters of an `Arc` it is one of the allocator's sizes.
const _: () = assert!(size_of::<Object<Arc<()>>>() == 112 - 16);

/// What most do not have.
#[derive(Clone, Debug)]
struct Rare {
    /// Which requests it answers.
    vary: Vary,
    /// The values of those fields in the request it answered.
    vary_key: VaryKey,
    /// What others said they did, if they said anything.
    told: Option<Box<HeaderMap>>,
    /// Of how many bytes it is the manifest.
    sliced: Option<u64>,
    /// What else its Cache-Control says.
    windows: Windows,
}

impl Rare {
    fn boxed(self) -> Option<Box<Self>> {
        let usual = self.vary == Vary::None
            && self.told.is_none()
            && self.sliced.is_none()
            && self.windows == Windows::UNSAID;
        (!usual).then(|| Box::new(self))
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
            word: birth.rules.word,
            rare: Rare {
                vary: Vary::of(headers),
                vary_key: birth.vary_key,
                told: (!birth.told.is_empty()).then(|| Box::new(birth.told)),
                sliced: manifest::total_of(headers),
                windows: birth.rules.windows,
            }
            .boxed(),
            received: birth.received,
            // What was purged after it was asked for is purged of it: rather too early than too late.
            delay: Span::beyond(birth.received.since(birth.asked)),
            initial_age: Span::within(birth.initial_age),
            lives: birth.lives.map(|life| Span::within(life.duration)),
            sources: birth.lives.map(|life| life.source),
            usual: OnceBox::new(),
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
        Self::born(key, (status, headers), birth, body)
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
            rules: Rules::of(&Directives::of(&from.headers)),
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
        self.rare.as_deref()?.told.as_deref()
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
        fresh::current_age(self.initial_age.duration(), self.received, now)
    }

    /// When it was asked for at its origin, or that long ago at the latest where it comes out of some
    /// cache: what was purged after this was purged of it too.
    #[must_use]
    pub fn asked(&self) -> Moment {
        self.received - self.delay.duration()
    }

    /// Its lifetime while the site is this hot.
    #[must_use]
    pub const fn lifetime(&self, heat: Heat) -> Lifetime {
        let [quiet, hot] = self.lives;
        let [of_quiet, of_hot] = self.sources;
        let (span, source) = match heat {
            Heat::Quiet => (quiet, of_quiet),
            Heat::Hot => (hot, of_hot),
        };
        Lifetime {
            duration: span.duration(),
            source,
        }
    }

    /// What a verdict on it needs.
    #[must_use]
    pub fn standing(&self, now: Moment, heat: Heat) -> Standing {
        let lifetime = self.lifetime(heat).duration;
        let rare = self.rare.as_deref();
        Standing {
            rules: Rules {
                word: self.word,
                windows: rare.map_or(Windows::UNSAID, |rare| rare.windows),
            },
            lifetime,
            age: self.age(now),
        }
    }

    /// How long it remains fresh; zero when it is stale.
    #[must_use]
    pub fn remaining(&self, now: Moment, heat: Heat) -> Duration {
        self.lifetime(heat).duration.saturating_sub(self.age(now))
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
            word: self.word,
            rare: self.rare.as_deref().cloned().and_then(|rare| {
                let told = None;
                Rare { told, ..rare }.boxed()
            }),
            received: self.received,
            delay: self.delay,
            initial_age: self.initial_age,
            lives: [Span::ZERO; 2],
            sources: [LifetimeSource::None; 2],
            usual: OnceBox::new(),
            body: self.body.clone(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use common::clock::WallTime;
    use http::HeaderValue;
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
