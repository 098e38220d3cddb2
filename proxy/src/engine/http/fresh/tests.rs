//! Tests of `fresh`: rules by section in each row, and properties.

use proptest::prelude::*;

use super::super::samples::{any_value, headers};
use super::LifetimeSource as Source;
use super::*;

type Lines<'a> = &'a [(&'a str, &'a str)];

const T0: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const T0_PLUS_60: &str = "Sun, 06 Nov 1994 08:50:37 GMT";
const T0_MINUS_1000: &str = "Sun, 06 Nov 1994 08:32:57 GMT";
const RECEIVED: WallTime = WallTime::from_unix(784_111_777);

fn life(status: u16, lines: &[(&str, &str)], heat: Heat) -> (u64, LifetimeSource) {
    let map = headers(lines);
    let status = StatusCode::from_u16(status).unwrap();
    let directives = Directives::of(&map);
    let got = lifetime(
        &map,
        status,
        &directives,
        RECEIVED,
        &FreshPolicy::default(),
        heat,
    );
    (got.duration.as_secs(), got.source)
}

#[rustfmt::skip]
const EXPLICIT: &[(&str, Lines<'_>, u64, LifetimeSource)] = &[
    ("9111 4.2.1", &[("cache-control", "max-age=20, s-maxage=10"), ("expires", T0_PLUS_60)], 10, Source::SMaxage),
    ("9111 5.3", &[("cache-control", "max-age=20"), ("expires", T0_PLUS_60)], 20, Source::MaxAge),
    ("9111 4.2.1", &[("date", T0), ("expires", T0_PLUS_60)], 60, Source::Expires),
    ("9110 6.6.1 no date", &[("expires", T0_PLUS_60)], 60, Source::Expires),
    ("9110 6.6.1 bad date", &[("date", "x"), ("expires", T0_PLUS_60)], 60, Source::Expires),
    ("9111 5.3 past", &[("date", T0_PLUS_60), ("expires", T0)], 0, Source::Expires),
    ("9111 5.3 invalid", &[("expires", "0")], 0, Source::Expires),
    ("9111 5.3 repeated", &[("expires", T0_PLUS_60), ("expires", "0")], 0, Source::Expires),
    ("same twice", &[("expires", T0_PLUS_60), ("expires", T0_PLUS_60)], 60, Source::Expires),
    ("9111 4.2.2 explicit wins", &[("expires", "0"), ("last-modified", T0_MINUS_1000)], 0, Source::Expires),
    ("9111 4.2.1 invalid is stale", &[("cache-control", "max-age=x"), ("expires", T0_PLUS_60)], 0,
     Source::MaxAge),
];

#[test]
fn explicit_lifetimes_take_precedence_in_order() {
    for (section, lines, seconds, source) in EXPLICIT {
        assert_eq!(
            life(200, lines, Heat::Hot),
            (*seconds, *source),
            "{section}"
        );
    }
}

const MODIFIED: Lines<'_> = &[("date", T0), ("last-modified", T0_MINUS_1000)];

#[rustfmt::skip]
const HEURISTIC: &[(&str, u16, Lines<'_>, Heat, u64, LifetimeSource)] = &[
    ("9111 4.2.2", 200, MODIFIED, Heat::Quiet, 100, Source::Heuristic),
    ("9110 15.1", 404, MODIFIED, Heat::Quiet, 100, Source::Heuristic),
    ("9110 15.1", 302, MODIFIED, Heat::Hot, 0, Source::None),
    ("9110 15.1", 503, &[], Heat::Hot, 0, Source::None),
    ("9111 4.2.2 public", 302, &[("cache-control", "public")], Heat::Hot, 60, Source::Default),
    ("24 h at most", 200, &[("last-modified", "Sun, 06 Nov 1983 08:49:37 GMT")], Heat::Hot, 86_400,
     Source::Heuristic),
    ("from the future", 200, &[("date", T0), ("last-modified", T0_PLUS_60)], Heat::Quiet, 0,
     Source::Heuristic),
    ("just changed, quiet", 200, &[("date", T0), ("last-modified", T0)], Heat::Quiet, 0,
     Source::Heuristic),
    ("just changed, hot", 200, &[("date", T0), ("last-modified", T0)], Heat::Hot, 60,
     Source::Default),
    ("unreadable", 200, &[("last-modified", "yesterday")], Heat::Hot, 60, Source::Default),
    ("nothing, quiet", 200, &[], Heat::Quiet, 0, Source::None),
    ("nothing, hot", 200, &[], Heat::Hot, 60, Source::Default),
];

#[test]
fn heuristics_apply_only_where_nothing_explicit_is_said() {
    for (section, status, lines, heat, seconds, source) in HEURISTIC {
        assert_eq!(
            life(*status, lines, *heat),
            (*seconds, *source),
            "{section}"
        );
    }
}

#[test]
fn ages_are_non_negative_integers_or_ignored() {
    let rows: &[(&str, Lines<'_>, u64)] = &[
        ("9111 5.1", &[("age", "60")], 60),
        ("9111 5.1 absent", &[], 0),
        ("9111 5.1 list", &[("age", "60, 5")], 60),
        ("9111 5.1 lines", &[("age", "60"), ("age", "5")], 60),
        ("9111 5.1 negative", &[("age", "-60")], 0),
        ("9111 5.1 fraction", &[("age", "60.5")], 0),
        ("9111 5.1 text", &[("age", "60s")], 0),
        ("9111 5.1 quoted", &[("age", "\"60\"")], 0),
        ("9111 5.1 empty", &[("age", "")], 0),
        ("9111 1.2.2", &[("age", "99999999999999999999")], 1 << 31),
    ];
    for (section, lines, seconds) in rows {
        assert_eq!(age_value(&headers(lines)).as_secs(), *seconds, "{section}");
    }
}

#[test]
fn age_grows_from_receipt_on_the_monotonic_clock() {
    let map = headers(&[("age", "10"), ("date", "Thu, 01 Jan 1970 00:00:00 GMT")]);
    let initial = initial_age(&map, WallTime::from_unix(1 << 31), Duration::from_secs(2));
    assert_eq!(
        initial,
        Duration::from_secs(12),
        "9111 4.2.3, whatever Date says"
    );
    let received = Moment::from_millis(5_000);
    let age = current_age(initial, received, Moment::from_millis(8_000));
    assert_eq!(age, Duration::from_secs(15));
    assert_eq!(
        current_age(initial, received, Moment::ZERO),
        initial,
        "time does not run back"
    );
}

proptest! {
    #[test]
    fn any_values_give_a_bounded_lifetime(
        expires in any_value(), modified in any_value(), date in any_value(), age in any_value(),
    ) {
        let mut map = HeaderMap::new();
        map.insert(EXPIRES, expires);
        map.insert(LAST_MODIFIED, modified);
        map.insert(DATE, date);
        map.insert(AGE, age);
        let bound = Duration::from_secs(1 << 31);
        prop_assert!(age_value(&map) <= bound);
        for _ in 0..2 {
            let directives = Directives::of(&map);
            let policy = FreshPolicy::default();
            let got = lifetime(&map, StatusCode::OK, &directives, RECEIVED, &policy, Heat::Hot);
            prop_assert!(got.duration <= bound);
            map.remove(EXPIRES);
        }
    }
}

/// Case, fields, seconds from Date to receipt, expected age.
type AgeRow<'a> = (&'a str, &'a [(&'a str, &'a str)], i64, u64);

#[test]
fn an_apparent_age_counts_behind_a_cache_of_http_1_0_alone_and_within_a_day() {
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let age = |fields: &[(&str, &str)], seconds_after: i64| {
        let wall = WallTime::from_unix(784_111_777 + seconds_after);
        initial_age(&headers(fields), wall, Duration::from_secs(2)).as_secs()
    };
    let (day, old) = (86_400, ("via", "1.1 a, 1.0 squid"));
    let rows: [AgeRow<'_>; 12] = [
        ("an old cache", &[date, old], 100, 100),
        ("named in full", &[date, ("via", "HTTP/1.0 fred")], 100, 100),
        ("Age says more", &[date, old, ("age", "500")], 100, 502),
        ("Age says less", &[date, old, ("age", "5")], 100, 100),
        ("a cache that knows Age", &[date, ("via", "1.1 a")], 100, 2),
        (
            "1.0 in a name is no version",
            &[date, ("via", "1.1 1.0")],
            100,
            2,
        ),
        ("no cache", &[date], 100, 2),
        ("no Date", &[old], 100, 2),
        ("Date ahead of our clock", &[date, old], -100, 2),
        ("a day", &[date, old], day, 86_400),
        ("our clock jumped ahead", &[date, old], 3 * day, 2),
        ("our clock jumped back", &[date, old], -3 * day, 2),
    ];
    for (case, fields, seconds_after, expected) in rows {
        assert_eq!(age(fields, seconds_after), expected, "9111 4.2.3 {case}");
    }
}
