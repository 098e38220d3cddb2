//! Tests of `hop`: rules by section in each row, and properties.

use proptest::prelude::*;

use super::super::samples::{any_value, headers};
use super::*;

fn identity() -> Identity {
    Identity::new("nyud.test", "n1", "0.1.0").unwrap()
}

fn sent(lines: &[(&str, &str)]) -> HeaderMap {
    let host = HeaderValue::from_static("a.example");
    to_origin(&headers(lines), Version::HTTP_11, host, &identity())
}

fn delivered(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = headers(lines);
    to_client(&mut map, Version::HTTP_10, &identity());
    map
}

#[test]
fn an_origin_sees_only_what_it_may() {
    let rows: &[(&str, &str, &str, bool)] = &[
        ("selects a variant", "accept", "text/html", true),
        ("selects a variant", "accept-encoding", "gzip", true),
        ("9111 5.2 must pass", "cache-control", "no-cache", true),
        ("logged", "referer", "http://b.example/", true),
        ("cookies stay here", "cookie", "a=b", false),
        (
            "credentials stay here",
            "authorization",
            "Basic eDp5",
            false,
        ),
        ("9110 11.7.1", "proxy-authorization", "Basic eDp5", false),
        ("9110 7.6.1", "connection", "x", false),
        ("9110 7.6.1", "te", "trailers", false),
        ("9110 7.8", "upgrade", "h2c", false),
        ("a fill wants the whole", "range", "bytes=0-1", false),
        ("a fill wants the whole", "if-none-match", "\"x\"", false),
        ("a fill wants the whole", "if-modified-since", "x", false),
        ("unkeyed", "x-forwarded-host", "evil.example", false),
        ("unkeyed", "x-original-url", "/admin", false),
    ];
    for (why, name, value, passes) in rows {
        assert_eq!(
            sent(&[(name, value)]).contains_key(*name),
            *passes,
            "{why}: {name}"
        );
    }
    assert_eq!(
        sent(&[("host", "www.a.example.nyud.test")])[HOST],
        "a.example"
    );
}

#[test]
fn fields_listed_in_connection_do_not_cross() {
    let up = sent(&[
        ("connection", "close, Accept"),
        ("accept", "x"),
        ("dnt", "1"),
    ]);
    assert!(
        !up.contains_key(ACCEPT) && up.contains_key(DNT),
        "9110 7.6.1"
    );
    let down = delivered(&[("connection", "X-A, \"x\" y"), ("x-a", "1"), ("x-b", "2")]);
    assert!(
        !down.contains_key("x-a") && down.contains_key("x-b"),
        "9110 7.6.1"
    );
    assert!(!down.contains_key(CONNECTION));
}

#[test]
fn a_client_gets_no_field_of_connection_or_domain() {
    let gone = [
        ("set-cookie", "a=b"),
        ("strict-transport-security", "max-age=1"),
        ("alt-svc", "h3=\":443\""),
        ("clear-site-data", "\"*\""),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("trailer", "x"),
    ];
    let map = delivered(&gone);
    for (name, _) in gone {
        assert!(!map.contains_key(name), "{name}");
    }
    assert!(
        delivered(&[("x-odd", "1")]).contains_key("x-odd"),
        "9110 5.1 unknown fields pass"
    );
}

#[test]
fn a_content_length_beside_transfer_encoding_is_dropped() {
    let both = [("content-length", "5"), ("transfer-encoding", "chunked")];
    assert!(!delivered(&both).contains_key(CONTENT_LENGTH), "9112 6.3");
    assert!(delivered(&both[..1]).contains_key(CONTENT_LENGTH));
}

#[test]
fn marks_are_appended_to_those_of_others() {
    let map = sent(&[
        ("via", "1.0 x"),
        ("cdn-loop", "other"),
        ("user-agent", "curl/8"),
    ]);
    let all = |name| {
        map.get_all(name)
            .iter()
            .map(|v| v.to_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(all(VIA), ["1.0 x", "1.1 n1.nyud.test"], "9110 7.6.3");
    assert_eq!(all(CDN_LOOP), ["other", "nyud.test; node=n1"], "8586 2");
    assert_eq!(
        map[USER_AGENT], "curl/8 Atoll/0.1.0 (+http://nyud.test/)",
        "9110 10.1.5"
    );
    assert_eq!(sent(&[])[USER_AGENT], "Atoll/0.1.0 (+http://nyud.test/)");
    assert_eq!(delivered(&[])[VIA], "1.0 n1.nyud.test");
}

#[test]
fn loops_are_seen() {
    let many = vec!["x"; HOPS_MAX + 1].join(", ");
    let enough = vec!["x"; HOPS_MAX].join(", ");
    let rows: &[(&str, &str, &str, Result<(), LoopReason>)] = &[
        (
            "8586 2",
            "cdn-loop",
            "nyud.test; node=n1",
            Err(LoopReason::OwnNode),
        ),
        (
            "8586 2 quoted",
            "cdn-loop",
            "x, NYUD.test;a=b;node=\"n1\"",
            Err(LoopReason::OwnNode),
        ),
        ("another node", "cdn-loop", "nyud.test; node=n2", Ok(())),
        ("another CDN", "cdn-loop", "other.test; node=n1", Ok(())),
        (
            "own hops",
            "cdn-loop",
            "nyud.test, nyud.test;node=b, nyud.test",
            Err(LoopReason::OwnCdn),
        ),
        ("all hops", "cdn-loop", &many, Err(LoopReason::TooManyHops)),
        ("all hops", "via", &many, Err(LoopReason::TooManyHops)),
        ("all hops", "via", &enough, Ok(())),
        (
            "9110 7.6.3",
            "via",
            "1.1 a, 1.1  N1.nyud.test (x)",
            Err(LoopReason::OwnNode),
        ),
        (
            "9110 7.6.3 not in a comment",
            "via",
            "1.1 a (n1.nyud.test)",
            Ok(()),
        ),
        ("9110 7.6.3 not as version", "via", "n1.nyud.test", Ok(())),
    ];
    for (why, name, value, expected) in rows {
        assert_eq!(
            check_loop(&headers(&[(name, value)]), &identity()),
            *expected,
            "{why}"
        );
    }
}

#[test]
fn what_we_send_out_is_a_loop_when_it_comes_back() {
    assert_eq!(
        check_loop(&sent(&[]), &identity()),
        Err(LoopReason::OwnNode)
    );
}

#[test]
fn names_that_could_break_a_field_are_refused() {
    for bad in ["", "a b", "a\r\nx: y", "a;b", "a,b", "\u{e9}"] {
        assert!(Identity::new("nyud.test", bad, "1").is_err(), "{bad:?}");
        assert!(Identity::new(bad, "n1", "1").is_err(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn any_values_cross_without_panic(values in proptest::collection::vec(any_value(), 6)) {
        let mut map = HeaderMap::new();
        let names = [CONNECTION, VIA, CDN_LOOP, USER_AGENT, CACHE_CONTROL, TRANSFER_ENCODING];
        for (name, value) in names.into_iter().zip(values) {
            map.append(name, value);
        }
        let _ = check_loop(&map, &identity());
        let host = HeaderValue::from_static("a.example");
        let up = to_origin(&map, Version::HTTP_11, host, &identity());
        prop_assert!(!up.contains_key(CONNECTION));
        to_client(&mut map, Version::HTTP_11, &identity());
        prop_assert!(!map.contains_key(CONNECTION) && !map.contains_key(TRANSFER_ENCODING));
    }
}
