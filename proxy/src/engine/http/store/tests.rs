//! Tests of `store`: rules by section in each row, and properties.

use std::time::Duration;

use proptest::prelude::*;

use super::super::fresh::{FreshPolicy, Heat, lifetime};
use super::super::samples::{any_value, headers};
use super::NoStoreReason as No;
use super::*;

const RECEIVED: WallTime = WallTime::from_unix(784_111_777);

type Lines<'a> = &'a [(&'a str, &'a str)];

fn decide(
    method: &Method,
    status: u16,
    request: Lines<'_>,
    response: Lines<'_>,
) -> Result<(), NoStoreReason> {
    let (request, response) = (headers(request), headers(response));
    let status = StatusCode::from_u16(status).unwrap();
    let directives = Directives::of(&response);
    let policy = FreshPolicy::default();
    let life = lifetime(
        &response,
        status,
        &directives,
        RECEIVED,
        &policy,
        Heat::Quiet,
    );
    let exchange = Exchange {
        method,
        request: &request,
        status,
        response: &response,
    };
    may_store(&exchange, &directives, life)
}

const FRESH: Lines<'_> = &[("cache-control", "max-age=60")];
const AUTH: Lines<'_> = &[("authorization", "Basic eDp5")];

type ConditionRow = (
    &'static str,
    u16,
    Lines<'static>,
    Lines<'static>,
    Result<(), No>,
);

#[rustfmt::skip]
const CONDITIONS: &[ConditionRow] = &[
    ("9111 3", 200, &[], FRESH, Ok(())),
    ("9111 3 final", 103, &[], FRESH, Err(No::Interim)),
    ("9111 3.3", 206, &[], FRESH, Err(No::Partial)),
    ("9111 4.3.3", 304, &[], FRESH, Err(No::NotModified)),
    ("9111 3 explicit", 302, &[], FRESH, Ok(())),
    ("9111 3 explicit", 599, &[], FRESH, Ok(())),
    ("9111 3 explicit", 302, &[], &[("expires", "Sun, 06 Nov 1994 09:49:37 GMT")], Ok(())),
    ("9111 3 nothing allows it", 302, &[], &[("etag", "\"x\"")], Err(No::Status)),
    ("9111 3 public", 302, &[], &[("cache-control", "public"), ("etag", "\"x\"")], Ok(())),
    ("9111 3 heuristic", 404, &[], &[("etag", "\"x\"")], Ok(())),
    ("6585 4", 429, &[], FRESH, Err(No::Status)),
    ("9111 5.2.2.5", 200, &[], &[("cache-control", "max-age=60, no-store")],
     Err(No::NoStoreDirective)),
    ("9111 5.2.2.3", 200, &[], &[("cache-control", "max-age=60, no-store, must-understand")],
     Ok(())),
    ("9111 5.2.2.3", 599, &[], &[("cache-control", "max-age=60, must-understand")],
     Err(No::MustUnderstandUnknownStatus)),
    ("9111 5.2.1.5", 200, &[("cache-control", "no-store")], FRESH, Err(No::RequestNoStore)),
    ("9111 5.2.2.7", 200, &[], &[("cache-control", "max-age=60, private")], Err(No::Private)),
    ("9111 5.2.2.7 qualified", 200, &[], &[("cache-control", "max-age=60, private=\"x-a\"")],
     Ok(())),
    ("9111 3.5", 200, AUTH, FRESH, Err(No::Authorization)),
    ("9111 3.5", 200, AUTH, &[("cache-control", "max-age=60, public")], Ok(())),
    ("9111 3.5", 200, AUTH, &[("cache-control", "s-maxage=60")], Ok(())),
    ("9111 3.5", 200, AUTH, &[("cache-control", "max-age=60, must-revalidate")], Ok(())),
    ("9111 4.1", 200, &[], &[("cache-control", "max-age=60"), ("vary", "a, *")], Err(No::VaryStar)),
    ("of no use", 200, &[], &[], Err(No::NoLifetimeNoValidator)),
    ("of no use", 200, &[], &[("cache-control", "max-age=60, no-cache")],
     Err(No::NoLifetimeNoValidator)),
    ("of no use", 200, &[], &[("last-modified", "yesterday")], Err(No::NoLifetimeNoValidator)),
    ("validated each time", 200, &[], &[("cache-control", "no-cache"), ("etag", "x")], Ok(())),
    ("5861 3", 200, &[], &[("cache-control", "max-age=0, stale-while-revalidate=9")], Ok(())),
    ("cookies are stripped", 200, &[("cookie", "a=b")],
     &[("cache-control", "max-age=60"), ("set-cookie", "a=b")], Ok(())),
];

#[test]
fn each_condition_of_storing_is_checked() {
    for (section, status, request, response, expected) in CONDITIONS {
        let got = decide(&Method::GET, *status, request, response);
        assert_eq!(
            got, *expected,
            "{section}: {status} {request:?} {response:?}"
        );
    }
}

#[test]
fn a_crowd_queues_unless_the_response_itself_is_unshareable() {
    assert!(No::Private.is_lasting() && No::VaryStar.is_lasting());
    assert!(!No::RequestNoStore.is_lasting() && !No::NoLifetimeNoValidator.is_lasting());
    let both = decide(
        &Method::GET,
        200,
        &[("cache-control", "no-store")],
        &[("cache-control", "private, max-age=60")],
    );
    assert_eq!(
        both,
        Err(No::Private),
        "the lasting reason is the one reported"
    );
}

#[test]
fn only_answers_to_get_are_kept() {
    let fresh = [("cache-control", "max-age=60")];
    for method in [Method::HEAD, Method::POST, Method::OPTIONS, Method::DELETE] {
        let got = decide(&method, 200, &[], &fresh);
        assert_eq!(got, Err(NoStoreReason::Method), "9111 3: {method}");
    }
}

#[test]
fn fields_that_may_not_be_stored_are_left_out() {
    let map = headers(&[
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "1"),
        ("proxy-authenticate", "Basic"),
        ("set-cookie", "a=b"),
        ("age", "5"),
        ("cache-status", "x; hit"),
        ("cache-control", "no-cache=\"X-Fresh\", private=\"x-mine\""),
        ("x-fresh", "1"),
        ("x-mine", "1"),
        ("x-odd", "1"),
        ("x-odd", "2"),
        ("date", "x"),
    ]);
    let stored = stored_headers(&map, &Directives::of(&map), RECEIVED);
    let names: Vec<_> = stored.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["cache-control", "x-odd", "date"], "9111 3.1");
    assert_eq!(stored.get_all("x-odd").iter().count(), 2);
}

#[test]
fn a_missing_date_is_the_time_of_receipt() {
    let stored = stored_headers(&HeaderMap::new(), &Directives::default(), RECEIVED);
    assert_eq!(stored[DATE], "Sun, 06 Nov 1994 08:49:37 GMT", "9110 6.6.1");
}

#[test]
fn a_length_that_a_coding_overrides_is_not_stored() {
    let map = headers(&[("transfer-encoding", "chunked"), ("content-length", "5")]);
    let stored = stored_headers(&map, &Directives::default(), RECEIVED);
    assert!(!stored.contains_key(CONTENT_LENGTH), "9112 6.3");
}

proptest! {
    #[test]
    fn any_exchange_is_decided(
        control in any_value(), vary in any_value(), connection in any_value(), status in 100_u16..1000,
    ) {
        let mut response = HeaderMap::new();
        response.insert("cache-control", control);
        response.insert("vary", vary);
        response.insert("connection", connection);
        let status = StatusCode::from_u16(status).unwrap();
        let directives = Directives::of(&response);
        let life = Lifetime {
            duration: Duration::from_secs(9),
            source: super::super::fresh::LifetimeSource::MaxAge,
        };
        let request = HeaderMap::new();
        let exchange =
            Exchange { method: &Method::GET, request: &request, status, response: &response };
        let _ = may_store(&exchange, &directives, life);
        let stored = stored_headers(&response, &directives, RECEIVED);
        prop_assert!(!stored.contains_key("connection"));
    }
}
