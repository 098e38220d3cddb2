//! Tests of `conditional`: preconditions, validators and merging, a section in each row.

use proptest::prelude::*;

use super::super::samples::{any_value, headers};
use super::Outcome::{NotModified, PreconditionFailed, Proceed};
use super::Role::{Cache, Gateway};
use super::*;

const T0: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const T0_PLUS_60: &str = "Sun, 06 Nov 1994 08:50:37 GMT";
const RECEIVED: WallTime = WallTime::from_unix(784_111_777);

type Lines<'a> = &'a [(&'a str, &'a str)];

fn outcome(status: u16, request: Lines<'_>, stored: Lines<'_>, role: Role) -> Outcome {
    let (request, stored) = (headers(request), headers(stored));
    let status = StatusCode::from_u16(status).unwrap();
    evaluate(
        &Method::GET,
        &request,
        Selected {
            status,
            headers: &stored,
        },
        role,
    )
}

#[test]
fn entity_tags_compare_strongly_and_weakly() {
    // The table of RFC 9110 §8.8.3.2, and what broken servers send.
    let rows: &[(&str, &str, &str, bool, bool)] = &[
        ("9110 8.8.3.2", "W/\"1\"", "W/\"1\"", false, true),
        ("9110 8.8.3.2", "W/\"1\"", "W/\"2\"", false, false),
        ("9110 8.8.3.2", "W/\"1\"", "\"1\"", false, true),
        ("9110 8.8.3.2", "\"1\"", "\"1\"", true, true),
        ("empty tag", "\"\"", "\"\"", true, true),
        ("no quotes", "abc", "abc", false, true),
        ("no quotes", "abc", "abd", false, false),
        ("half a quote", "\"abc", "\"abc", false, true),
        ("lower-case mark", "w/\"1\"", "\"1\"", false, true),
    ];
    for (why, a, b, strong, weak) in rows {
        let (a, b) = (
            EntityTag::parse(a.as_bytes()),
            EntityTag::parse(b.as_bytes()),
        );
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(
            (a.strong_eq(&b), a.weak_eq(&b)),
            (*strong, *weak),
            "{why}: {a:?} {b:?}"
        );
    }
}

const STORED: Lines<'_> = &[
    ("etag", "\"a,b\\\""),
    ("last-modified", T0),
    ("date", T0_PLUS_60),
];
const TAG: &str = "\"x\", W/\"a,b\\\"";

type PreconditionRow = (
    &'static str,
    Role,
    u16,
    Lines<'static>,
    Lines<'static>,
    Outcome,
);

#[rustfmt::skip]
const PRECONDITIONS: &[PreconditionRow] = &[
    ("none", Cache, 200, &[], STORED, Proceed),
    ("9110 13.1.2", Cache, 200, &[("if-none-match", TAG)], STORED, NotModified),
    ("9110 13.1.2 lines", Cache, 200, &[("if-none-match", "\"x\""), ("if-none-match", TAG)],
     STORED, NotModified),
    ("9110 13.1.2 other", Cache, 200, &[("if-none-match", "\"x\"")], STORED, Proceed),
    ("9110 13.1.2 star", Cache, 200, &[("if-none-match", " * ")], &[], NotModified),
    ("9110 13.1.2 no tag stored", Cache, 200, &[("if-none-match", "\"x\"")],
     &[("last-modified", T0)], Proceed),
    ("9110 13.1.3", Cache, 200, &[("if-modified-since", T0)], STORED, NotModified),
    ("9110 13.1.3 later", Cache, 200, &[("if-modified-since", T0_PLUS_60)], STORED, NotModified),
    ("9110 13.1.3 earlier", Cache, 200, &[("if-modified-since", T0)],
     &[("last-modified", T0_PLUS_60)], Proceed),
    ("9110 13.1.3 invalid", Cache, 200, &[("if-modified-since", "x")], STORED, Proceed),
    ("9110 13.1.3 repeated", Cache, 200,
     &[("if-modified-since", T0), ("if-modified-since", T0_PLUS_60)], STORED, Proceed),
    ("9111 4.3.2 by Date", Cache, 200, &[("if-modified-since", T0)], &[("date", T0)], NotModified),
    ("9111 4.3.2 not by Date", Cache, 200, &[("if-modified-since", T0)],
     &[("last-modified", "x"), ("date", T0)], Proceed),
    ("9110 13.1.3 tag first", Cache, 200, &[("if-none-match", "\"x\""), ("if-modified-since", T0)],
     STORED, Proceed),
    ("9110 13.2.1 not 2xx", Cache, 404, &[("if-none-match", "*")], STORED, Proceed),
    ("9111 4.3.2 not ours", Cache, 200, &[("if-match", "\"x\"")], STORED, Proceed),
    ("9110 13.1.1", Gateway, 200, &[("if-match", "\"x\"")], STORED, PreconditionFailed),
    ("9110 13.1.1", Gateway, 200, &[("if-match", "\"x\", \"a,b\\\"")], STORED, Proceed),
    ("9110 13.1.1 strong", Gateway, 200, &[("if-match", TAG)], STORED, PreconditionFailed),
    ("9110 13.1.1 star", Gateway, 200, &[("if-match", "*")], STORED, Proceed),
    ("9110 13.1.4", Gateway, 200, &[("if-unmodified-since", T0)], STORED, Proceed),
    ("9110 13.1.4", Gateway, 200, &[("if-unmodified-since", T0)], &[("last-modified", T0_PLUS_60)],
     PreconditionFailed),
    ("9110 13.2.2 order", Gateway, 200, &[("if-match", "\"x\""), ("if-none-match", "*")], STORED,
     PreconditionFailed),
];

#[test]
fn preconditions_are_evaluated_in_order() {
    for (section, role, status, request, stored, expected) in PRECONDITIONS {
        assert_eq!(
            outcome(*status, request, stored, *role),
            *expected,
            "{section}: {request:?}"
        );
    }
}

#[test]
fn preconditions_count_only_on_get_and_head() {
    let request = headers(&[("if-none-match", "*")]);
    let stored = HeaderMap::new();
    let selected = Selected {
        status: StatusCode::OK,
        headers: &stored,
    };
    let outcome = |method| evaluate(&method, &request, selected, Cache);
    assert_eq!(outcome(Method::HEAD), NotModified);
    assert_eq!(outcome(Method::OPTIONS), Proceed, "9110 13.2.1");
}

#[test]
fn validation_sends_validators_as_they_came() {
    let rows: &[(&str, Lines<'_>, Option<&str>, Option<&str>)] = &[
        (
            "9111 4.3.1",
            &[("etag", "W/\"x\""), ("last-modified", T0)],
            Some("W/\"x\""),
            Some(T0),
        ),
        ("no quotes", &[("etag", "x")], Some("x"), None),
        ("unreadable date", &[("last-modified", "x")], None, None),
        (
            "two tags",
            &[("etag", "\"a\""), ("etag", "\"b\"")],
            None,
            None,
        ),
    ];
    for (why, stored, tag, date) in rows {
        let mut request = HeaderMap::new();
        let any = add_validators(&headers(stored), &mut request);
        let sent = |name| request.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(
            (sent(IF_NONE_MATCH), sent(IF_MODIFIED_SINCE)),
            (*tag, *date),
            "{why}"
        );
        assert_eq!(any, tag.is_some() || date.is_some(), "{why}");
    }
}

#[test]
fn a_304_confirms_only_what_it_names() {
    use MismatchReason::{EntityTag, LastModified};
    let rows: &[(&str, Lines<'_>, Lines<'_>, Result<(), MismatchReason>)] = &[
        (
            "9111 4.3.4",
            &[("etag", "\"a\"")],
            &[("etag", "\"a\"")],
            Ok(()),
        ),
        (
            "9111 4.3.4",
            &[("etag", "\"b\"")],
            &[("etag", "\"a\"")],
            Err(EntityTag),
        ),
        (
            "9111 4.3.4",
            &[("etag", "\"b\"")],
            &[("last-modified", T0)],
            Err(EntityTag),
        ),
        (
            "weakened on the fly",
            &[("etag", "\"a\"")],
            &[("etag", "W/\"a\"")],
            Ok(()),
        ),
        (
            "9111 4.3.4 weak",
            &[("last-modified", T0)],
            &[("last-modified", T0)],
            Ok(()),
        ),
        (
            "9111 4.3.4 weak",
            &[("last-modified", T0_PLUS_60)],
            &[("last-modified", T0)],
            Err(LastModified),
        ),
        (
            "tag settles it",
            &[("etag", "\"a\""), ("last-modified", T0_PLUS_60)],
            &[("etag", "\"a\""), ("last-modified", T0)],
            Ok(()),
        ),
        ("says nothing", &[], &[("etag", "\"a\"")], Ok(())),
    ];
    for (section, update, stored, expected) in rows {
        assert_eq!(
            confirms(&headers(update), &headers(stored)),
            *expected,
            "{section}"
        );
    }
}

#[test]
fn a_304_replaces_all_fields_but_those_of_the_bytes() {
    let mut stored = headers(&[
        ("etag", "W/\"a\""),
        ("content-length", "5"),
        ("content-encoding", "gzip"),
        ("content-type", "text/html"),
        ("x-list", "1"),
        ("x-list", "2"),
        ("x-kept", "1"),
        ("date", T0),
    ]);
    let update = headers(&[
        ("etag", "\"a\""),
        ("content-length", "0"),
        ("content-encoding", "br"),
        ("content-range", "bytes 0-1/2"),
        ("content-type", "text/plain"),
        ("x-list", "3"),
        ("x-list", "4"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("set-cookie", "a=b"),
        ("age", "5"),
        ("cache-control", "max-age=60, no-cache=\"x-fresh\""),
        ("x-fresh", "1"),
        ("date", T0_PLUS_60),
    ]);
    merge(&mut stored, &update, RECEIVED);
    let expected = headers(&[
        ("etag", "W/\"a\""),
        ("content-length", "5"),
        ("content-encoding", "gzip"),
        ("content-type", "text/plain"),
        ("x-list", "3"),
        ("x-list", "4"),
        ("x-kept", "1"),
        ("cache-control", "max-age=60, no-cache=\"x-fresh\""),
        ("date", T0_PLUS_60),
    ]);
    assert_eq!(stored, expected, "9111 3.2");
}

#[test]
fn a_304_without_date_gets_the_time_of_receipt() {
    let mut stored = headers(&[("date", T0_PLUS_60)]);
    merge(&mut stored, &HeaderMap::new(), RECEIVED);
    assert_eq!(stored[DATE], T0, "9110 6.6.1");
}

#[test]
fn a_304_to_a_client_describes_no_content() {
    let stored = headers(&[
        ("content-length", "5"),
        ("content-type", "text/html"),
        ("content-location", "/x"),
        ("etag", "\"a\""),
        ("last-modified", T0),
        ("vary", "accept"),
        ("cache-control", "max-age=60"),
    ]);
    let names: Vec<_> = not_modified_headers(&stored)
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names.len(), 4, "{names:?}");
    for name in ["content-location", "etag", "vary", "cache-control"] {
        assert!(names.iter().any(|kept| kept == name), "9110 15.4.5: {name}");
    }
}

#[test]
fn only_strong_validators_join_two_halves() {
    let strong_date: Lines<'_> = &[("last-modified", T0), ("date", T0_PLUS_60)];
    let rows: &[(&str, Lines<'_>, Lines<'_>, bool)] = &[
        (
            "9110 8.8.1",
            &[("etag", "\"a\"")],
            &[("etag", "\"a\"")],
            true,
        ),
        (
            "9110 8.8.1 other",
            &[("etag", "\"a\"")],
            &[("etag", "\"b\"")],
            false,
        ),
        (
            "9110 8.8.1 weak",
            &[("etag", "W/\"a\"")],
            &[("etag", "W/\"a\"")],
            false,
        ),
        (
            "tag on one side",
            &[("etag", "\"a\""), ("last-modified", T0)],
            strong_date,
            false,
        ),
        ("9110 8.8.2.2", strong_date, strong_date, true),
        (
            "9110 8.8.2.2 too close",
            &[("last-modified", T0), ("date", T0)],
            strong_date,
            false,
        ),
        ("nothing", &[], &[], false),
        (
            "9110 15.3.7 not repeated",
            &[("etag", "\"a\""), ("content-encoding", "gzip")],
            &[("etag", "\"a\"")],
            true,
        ),
        (
            "another coding",
            &[("etag", "\"a\"")],
            &[("etag", "\"a\""), ("content-encoding", "gzip")],
            false,
        ),
    ];
    for (section, stored, other, same) in rows {
        let (stored, other) = (headers(stored), headers(other));
        assert_eq!(same_representation(&stored, &other), *same, "{section}");
    }
}

#[test]
fn if_range_carries_a_strong_validator_or_nothing() {
    let rows: &[(&str, Lines<'_>, Option<&str>)] = &[
        ("9110 13.1.5", &[("etag", "\"a\"")], Some("\"a\"")),
        (
            "9110 13.1.5 weak",
            &[
                ("etag", "W/\"a\""),
                ("last-modified", T0),
                ("date", T0_PLUS_60),
            ],
            None,
        ),
        (
            "9110 13.1.5 date",
            &[("last-modified", T0), ("date", T0_PLUS_60)],
            Some(T0),
        ),
        ("9110 8.8.2.2", &[("last-modified", T0), ("date", T0)], None),
    ];
    for (section, stored, expected) in rows {
        let value = resume_validator(&headers(stored));
        assert_eq!(
            value.as_ref().map(|v| v.to_str().unwrap()),
            *expected,
            "{section}"
        );
    }
}

proptest! {
    #[test]
    fn any_values_are_evaluated(
        a in any_value(), b in any_value(), c in any_value(), d in any_value(),
    ) {
        let mut request = HeaderMap::new();
        request.insert(IF_NONE_MATCH, a);
        request.insert(IF_MATCH, b);
        request.insert(IF_MODIFIED_SINCE, c.clone());
        let mut stored = HeaderMap::new();
        stored.insert(ETAG, d);
        stored.insert(LAST_MODIFIED, c);
        let selected = Selected { status: StatusCode::OK, headers: &stored };
        let _ = evaluate(&Method::GET, &request, selected, Gateway);
        let _ = confirms(&request, &stored);
        let _ = same_representation(&stored, &request);
        let _ = resume_validator(&stored);
        merge(&mut stored, &request, RECEIVED);
        prop_assert!(stored.contains_key(DATE));
    }

    #[test]
    fn what_we_validate_with_matches_what_is_stored(opaque in "[!#-~]{0,20}", weak in any::<bool>()) {
        let mark = if weak { "W/" } else { "" };
        let stored = headers(&[("etag", &format!("{mark}\"{opaque}\""))]);
        let mut request = HeaderMap::new();
        prop_assert!(add_validators(&stored, &mut request));
        let selected = Selected { status: StatusCode::OK, headers: &stored };
        prop_assert_eq!(evaluate(&Method::GET, &request, selected, Cache), NotModified);
    }
}
