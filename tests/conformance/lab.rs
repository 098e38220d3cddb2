//! The engine in virtual time: for requirements that are about when.
//!
//! A [`Lab`] does what the steps of a request do with the engine, without any socket: it judges and
//! keeps a response that arrives at a moment, and asks for it at another.

use std::sync::Arc;
use std::time::Duration;

use common::clock::{Moment, WallTime};
use common::rng::Generator;
use http::{HeaderMap, Method, StatusCode};
use proxy::engine::flow::{Ask, Flow, Lookup, Miss};
use proxy::engine::http::control::Directives;
use proxy::engine::http::fresh::{self, FreshPolicy};
use proxy::engine::http::key::{PrimaryKey, Scheme};
use proxy::engine::http::store::{self, Exchange};
use proxy::engine::store::object::{Object, Received};
use proxy::engine::store::{Budget, Weight};

/// Sunday, 6 November 1994, 08:49:37 GMT: the calendar when the lab's clock begins.
pub(crate) const BEGAN: i64 = 784_111_777;

/// The same as a date.
pub(crate) const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// See the module.
pub(crate) struct Lab {
    flow: Flow<u32, u32>,
    key: PrimaryKey,
    policy: FreshPolicy,
}

impl Lab {
    /// An empty cache.
    pub(crate) fn new() -> Self {
        let budget = Budget {
            memory: 1 << 20,
            disk: 1 << 20,
        };
        let policy = FreshPolicy::default();
        Self {
            flow: Flow::new(budget, policy.clone(), Generator::from_seed(1)),
            key: PrimaryKey::new(Scheme::Http, "example.com", 80, "/"),
            policy,
        }
    }

    /// A cache that got a 200 with these fields, one a line, when its clock began.
    pub(crate) fn with(fields: &str) -> Self {
        let mut lab = Self::new();
        assert_eq!(lab.receive(0, 200, fields, ""), "stored", "{fields}");
        lab
    }

    /// A response arrives for a GET with the fields `request`. Says `stored` or why not.
    pub(crate) fn receive(
        &mut self,
        second: u64,
        status: u16,
        fields: &str,
        request: &str,
    ) -> &'static str {
        let (response, request) = (headers(fields), headers(request));
        let status = StatusCode::from_u16(status).unwrap();
        let received = Received {
            status,
            headers: &response,
            at: at(second),
            wall: WallTime::from_unix(BEGAN + i64::try_from(second).unwrap()),
            delay: Duration::ZERO,
        };
        let directives = Directives::of(&response);
        let heat = self.flow.heat(at(second), &self.key);
        let lifetime = fresh::lifetime(
            &response,
            status,
            &directives,
            received.wall,
            &self.policy,
            heat,
        );
        let exchange = Exchange {
            method: &Method::GET,
            request: &request,
            status,
            response: &response,
        };
        if let Err(reason) = store::may_store(&exchange, &directives, lifetime) {
            return reason.as_str();
        }
        let kept = store::stored_headers(&response, &directives, received.wall);
        let body = u32::try_from(second).unwrap();
        let object = Object::new(
            self.key.clone(),
            &received,
            &kept,
            &request,
            &self.policy,
            body,
        );
        self.flow
            .keep(at(second), Arc::new(object), Weight::default());
        "stored"
    }

    /// What a GET with these fields gets at `second`: `fresh`, the reason of a stale hit, or what has
    /// to be done first.
    pub(crate) fn ask(&mut self, second: u64, fields: &str) -> &'static str {
        let request = headers(fields);
        let ask = Ask {
            key: &self.key,
            method: &Method::GET,
            headers: &request,
        };
        match self.flow.lookup(at(second), ask, || 0) {
            Lookup::Hit { stale: None, .. } => "fresh",
            Lookup::Hit {
                stale: Some(reason),
                background,
                ..
            } => {
                if let Some((_, plan)) = background {
                    self.flow.over(&self.key, plan.id);
                }
                reason.as_str()
            }
            Lookup::Start(_, plan) => {
                self.flow.over(&self.key, plan.id);
                match plan.miss {
                    Miss::Stale(_) => "validate",
                    Miss::Vary => "vary-miss",
                    Miss::Uri => "miss",
                    Miss::Method | Miss::Unshareable(_) => "alone",
                }
            }
            Lookup::Join(..) => "join",
            Lookup::OnlyIfCached => "504",
            Lookup::Busy => "503",
            Lookup::Shelved => "shelved",
        }
    }

    /// The age of what a plain GET is answered with at `second`.
    pub(crate) fn age(&mut self, second: u64) -> u64 {
        let request = HeaderMap::new();
        let ask = Ask {
            key: &self.key,
            method: &Method::GET,
            headers: &request,
        };
        match self.flow.lookup(at(second), ask, || 0) {
            Lookup::Hit { object, .. } => object.age(at(second)).as_secs(),
            other => panic!("no hit at {second}: {other:?}"),
        }
    }

    /// Whether what is kept may stand in at `second` for an origin that fails.
    pub(crate) fn stands_in(&self, second: u64, fields: &str) -> bool {
        let request = headers(fields);
        let stored = Arc::clone(self.flow.store().latest(&self.key).unwrap());
        self.flow.may_stand_in(at(second), &stored, &request)
    }
}

/// A moment on the lab's clock.
fn at(second: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(second)
}

/// Fields from text, one a line.
pub(crate) fn headers(fields: &str) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in fields.lines().filter(|line| !line.trim().is_empty()) {
        let (name, value) = line.trim().split_once(':').unwrap();
        let name: http::HeaderName = name.parse().unwrap();
        map.append(name, value.trim().parse().unwrap());
    }
    map
}
