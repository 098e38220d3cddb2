//! Tests of `range`: what is asked for, what arrives, and what abuse costs.

use proptest::prelude::*;

use super::super::samples::{any_value, headers};
use super::*;

const T0: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const T0_PLUS_60: &str = "Sun, 06 Nov 1994 08:50:37 GMT";

type Lines<'a> = &'a [(&'a str, &'a str)];

fn asked(method: &Method, status: u16, request: Lines<'_>, stored: Lines<'_>, len: u64) -> Ranges {
    let (request, stored) = (headers(request), headers(stored));
    let status = StatusCode::from_u16(status).unwrap();
    resolve(
        method,
        &request,
        Selected {
            status,
            headers: &stored,
        },
        len,
    )
}

fn ranges(value: &str, length: u64) -> Ranges {
    asked(&Method::GET, 200, &[("range", value)], &[], length)
}

/// Ranges as a table can hold them: `0..5, 7..9`, `416`, or why the whole is sent.
fn shown(ranges: &Ranges) -> String {
    match ranges {
        Ranges::Whole(reason) => reason.as_str().to_owned(),
        Ranges::Single(range) => format!("{range:?}"),
        Ranges::Multi(list) => list
            .iter()
            .map(|range| format!("{range:?}"))
            .collect::<Vec<_>>()
            .join(", "),
        Ranges::Unsatisfiable => "416".to_owned(),
    }
}

#[rustfmt::skip]
const RESOLVED: &[(&str, &str, u64, &str)] = &[
    ("9110 14.1.2", "bytes=0-499", 10_000, "0..500"),
    ("9110 14.1.2", "bytes=9500-", 10_000, "9500..10000"),
    ("9110 14.1.2", "bytes=-500", 10_000, "9500..10000"),
    ("9110 14.1.2 beyond", "bytes=9000-20000", 10_000, "9000..10000"),
    ("9110 14.1.2 longer suffix", "bytes=-20000", 10_000, "0..10000"),
    ("9110 14.1.2 one byte", "bytes=0-0", 10_000, "0..1"),
    ("9110 14.1.2", "bytes=0-0,-1", 10_000, "0..1, 9999..10000"),
    ("9110 14.1.2 order kept", "bytes=5000-5001, 0-1", 10_000, "5000..5002, 0..2"),
    ("9110 14.1.2 some exist", "bytes=0-1, 20000-", 10_000, "0..2"),
    ("9110 15.3.7.2 joined", "bytes=0-99, 100-199", 10_000, "0..200"),
    ("9110 15.3.7.2 joined", "bytes=0-99, 150-199", 10_000, "0..200"),
    ("9110 15.3.7.2 bridged", "bytes=0-99, 300-399, 90-310", 10_000, "0..400"),
    ("9110 15.3.7.2 apart", "bytes=0-99, 180-199", 10_000, "0..100, 180..200"),
    ("9110 15.5.17", "bytes=10000-", 10_000, "416"),
    ("9110 15.5.17", "bytes=-0", 10_000, "416"),
    ("9110 15.5.17 empty", "bytes=0-", 0, "416"),
    ("9110 14.1.2 empty", "bytes=-5", 0, "empty"),
    ("9110 14.1 case", "BYTES=0-1", 10, "0..2"),
    ("9110 5.6.1.2", "bytes= ,0-1,, ", 10, "0..2"),
    ("9110 14.2 unit", "lines=0-1", 10, "unit"),
    ("9110 14.1.1 reversed", "bytes=5-4", 10, "malformed"),
    ("9110 14.1.1 one bad", "bytes=0-1,x", 10, "malformed"),
    ("9110 14.1.1", "bytes=-", 10, "malformed"),
    ("9110 14.1.1", "bytes=", 10, "malformed"),
    ("9110 14.1.1", "bytes 0-1", 10, "malformed"),
    ("9110 14.1.1", "bytes=0 - 1", 10, "malformed"),
    ("9110 14.1.1", "bytes=--1", 10, "malformed"),
    ("overflow", "bytes=0-99999999999999999999999", 10, "0..10"),
    ("overflow", "bytes=99999999999999999999999-", 10, "416"),
    ("overflow", "bytes=-99999999999999999999999", 10, "0..10"),
];

#[test]
fn ranges_are_resolved_against_the_length() {
    for (section, value, length, expected) in RESOLVED {
        assert_eq!(
            shown(&ranges(value, *length)),
            *expected,
            "{section}: {value} of {length}"
        );
    }
}

#[test]
fn too_many_or_overlapping_ranges_get_the_whole() {
    let apart = |count: u64| {
        let specs: Vec<_> = (0..count)
            .map(|at| format!("{}-{}", at * 1_000, at * 1_000))
            .collect();
        format!("bytes={}", specs.join(","))
    };
    assert!(matches!(ranges(&apart(16), 1 << 20), Ranges::Multi(list) if list.len() == RANGES_MAX));
    assert_eq!(
        ranges(&apart(17), 1 << 20),
        Ranges::Whole(WholeReason::TooMany),
        "9110 17.15"
    );
    assert_eq!(
        ranges("bytes=0-,0-,5-9", 10),
        Ranges::Whole(WholeReason::Overlapping),
        "9110 14.2"
    );
    assert_eq!(ranges("bytes=0-5,5-9", 10), Ranges::Single(0..10));
}

#[test]
fn ranges_apply_to_get_of_a_200_with_one_line() {
    let range: Lines<'_> = &[("range", "bytes=0-1")];
    let whole = |reason| Ranges::Whole(reason);
    assert_eq!(
        asked(&Method::GET, 200, &[], &[], 9),
        whole(WholeReason::NoRange)
    );
    assert_eq!(
        asked(&Method::HEAD, 200, range, &[], 9),
        whole(WholeReason::Method),
        "9110 14.2"
    );
    assert_eq!(
        asked(&Method::GET, 404, range, &[], 9),
        whole(WholeReason::Status),
        "9110 14.2"
    );
    let twice = [("range", "bytes=0-1"), ("range", "bytes=2-3")];
    assert_eq!(
        asked(&Method::GET, 200, &twice, &[], 9),
        whole(WholeReason::Repeated)
    );
}

#[test]
fn if_range_must_name_the_representation_for_sure() {
    let strong: Lines<'_> = &[
        ("etag", "\"a\""),
        ("last-modified", T0),
        ("date", T0_PLUS_60),
    ];
    let fuzzy: Lines<'_> = &[("etag", "W/\"a\""), ("last-modified", T0), ("date", T0)];
    let rows: &[(&str, &str, Lines<'_>, bool)] = &[
        ("9110 13.1.5", "\"a\"", strong, true),
        ("9110 13.1.5 other", "\"b\"", strong, false),
        ("9110 13.1.5 weak", "W/\"a\"", strong, false),
        ("9110 13.1.5 weak", "\"a\"", fuzzy, false),
        ("9110 13.1.5 date", T0, strong, true),
        ("9110 13.1.5 other date", T0_PLUS_60, strong, false),
        ("9110 8.8.2.2 weak date", T0, fuzzy, false),
        ("unreadable", "a", strong, false),
        ("unreadable", "", strong, false),
        ("nothing stored", "\"a\"", &[], false),
    ];
    for (section, value, stored, holds) in rows {
        let request = [("range", "bytes=0-1"), ("if-range", value)];
        let expected = if *holds {
            Ranges::Single(0..2)
        } else {
            Ranges::Whole(WholeReason::IfRange)
        };
        assert_eq!(
            asked(&Method::GET, 200, &request, stored, 9),
            expected,
            "{section}: {value}"
        );
    }
}

#[test]
fn content_ranges_are_read_strictly() {
    let part = |range, complete| Some(ContentRange::Part { range, complete });
    let rows: &[(&str, &str, Option<ContentRange>)] = &[
        ("9110 14.4", "bytes 0-4/10", part(0..5, Some(10))),
        ("9110 14.4 unknown length", "bytes 0-4/*", part(0..5, None)),
        (
            "9110 14.4 unsatisfied",
            "bytes */10",
            Some(ContentRange::Unsatisfied { complete: 10 }),
        ),
        ("9110 14.1 case", "Bytes  0-4/10 ", part(0..5, Some(10))),
        ("9110 14.4 reversed", "bytes 4-0/10", None),
        ("9110 14.4 beyond", "bytes 0-10/10", None),
        ("9110 14.4", "bytes */*", None),
        ("other unit", "lines 0-4/10", None),
        ("not a request", "bytes=0-4/10", None),
        ("no length", "bytes 0-4", None),
        ("overflow", "bytes 0-18446744073709551615/*", None),
        ("short", "byte", None),
    ];
    for (section, value, expected) in rows {
        assert_eq!(
            ContentRange::parse(value.as_bytes()),
            *expected,
            "{section}: {value}"
        );
    }
    let twice = headers(&[
        ("content-range", "bytes 0-4/10"),
        ("content-range", "bytes 0-4/10"),
    ]);
    assert_eq!(ContentRange::of(&twice), None);
}

#[test]
fn values_are_written_as_the_grammar_has_them() {
    assert_eq!(part(&(0..5), 10), "bytes 0-4/10", "9110 14.4");
    assert_eq!(unsatisfied(10), "bytes */10", "9110 14.4");
    assert_eq!(from_offset(5), "bytes=5-", "9110 14.1.2");
}

proptest! {
    #[test]
    fn any_range_stays_inside(value in any_value(), if_range in any_value(), length in 0_u64..100) {
        let mut request = HeaderMap::new();
        request.insert(RANGE, value.clone());
        let stored = HeaderMap::new();
        let selected = Selected { status: StatusCode::OK, headers: &stored };
        for _ in 0..2 {
            match resolve(&Method::GET, &request, selected, length) {
                Ranges::Single(range) => prop_assert!(range.start < range.end && range.end <= length),
                Ranges::Multi(ranges) => {
                    prop_assert!(ranges.len() > 1 && ranges.len() <= RANGES_MAX);
                    prop_assert!(ranges.iter().all(|r| r.start < r.end && r.end <= length));
                }
                Ranges::Whole(_) | Ranges::Unsatisfiable => {}
            }
            request.insert(IF_RANGE, if_range.clone());
        }
        let _ = ContentRange::parse(value.as_bytes());
    }

    #[test]
    fn what_is_joined_covers_the_same_bytes(
        starts in proptest::collection::vec((0_u64..2_000, 1_u64..50), 1..8),
    ) {
        let given: Vec<_> = starts.iter().map(|(start, size)| *start..start + size).collect();
        let joined = coalesce(given.clone());
        prop_assert_eq!(overlaps(&joined), 0);
        for range in &given {
            let covered = joined.iter().any(|one| one.start <= range.start && range.end <= one.end);
            prop_assert!(covered);
        }
    }

    #[test]
    fn a_written_part_reads_back(start in 0_u64..1 << 60, size in 1_u64..1 << 60) {
        let range = start..start + size;
        let value = part(&range, start + size);
        let expected = ContentRange::Part { range, complete: Some(start + size) };
        prop_assert_eq!(ContentRange::parse(value.as_bytes()), Some(expected));
    }
}
