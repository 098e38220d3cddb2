//! Tests of `control`: rules by section in each row, and properties.

use proptest::prelude::*;

use super::super::samples::{any_value, headers};
use super::*;

fn response(value: &str) -> Directives {
    Directives::of(&headers(&[("cache-control", value)]))
}

fn request(value: &str) -> RequestDirectives {
    RequestDirectives::of(&headers(&[("cache-control", value)]))
}

#[test]
fn lifetimes_are_read_in_every_spelling() {
    let rows: &[(&str, &str, Option<u64>)] = &[
        ("9111 5.2.2.1", "max-age=60", Some(60)),
        ("9111 5.2 case", "Max-AGE=60", Some(60)),
        ("9111 5.2 quoted", "max-age=\"60\"", Some(60)),
        ("9111 1.2.2 zeros", "max-age=0060", Some(60)),
        ("9111 1.2.2 overflow", "max-age=4294967296", Some(1 << 31)),
        (
            "9111 1.2.2 overflow",
            "max-age=99999999999999999999999",
            Some(1 << 31),
        ),
        ("9111 4.2.1 invalid", "max-age=-1", Some(0)),
        ("9111 4.2.1 invalid", "max-age=1.5", Some(0)),
        ("9111 4.2.1 invalid", "max-age=60s", Some(0)),
        ("9111 4.2.1 invalid", "max-age", Some(0)),
        ("9111 4.2.1 invalid", "max-age=", Some(0)),
        ("9111 4.2.1 invalid", "max-age=60 public", Some(0)),
        ("9111 4.2.1 invalid", "max-age='60'", Some(0)),
        ("9111 4.2.1 invalid", "max-age=\"60", Some(0)),
        ("9111 5.2 no space", "max-age =60", Some(0)),
        ("9111 5.2 no space", "max-age= 60", Some(0)),
        ("9111 4.2.1 first", "max-age=60, max-age=5", Some(60)),
        ("9111 4.2.1 first", "max-age=5, max-age=60", Some(5)),
        (
            "9111 4.2.1 invalid among valid",
            "max-age=60, max-age=x",
            Some(0),
        ),
        (
            "9111 4.2.1 invalid among valid",
            "max-age=x, max-age=60",
            Some(0),
        ),
        ("9111 5.2.3 other name", "xmax-age=60", None),
        (
            "9111 5.2.3 long name",
            "max-ageeeeeeeeeeeeeeeeeeeeeeeee=60",
            None,
        ),
        ("9110 5.6.4 inside quotes", "a=\"max-age=60\"", None),
        ("9110 5.6.4 inside quotes", "a=\"b, max-age=60\"", None),
        ("9110 5.6.1.2 empty members", ", ,max-age=60,,", Some(60)),
        ("9110 5.6.1 tabs", "\tmax-age=60\t,\tpublic", Some(60)),
    ];
    for (section, value, expected) in rows {
        let expected = expected.map(Duration::from_secs);
        assert_eq!(response(value).max_age, expected, "{section}: {value}");
    }
}

#[test]
fn all_lines_are_one_list() {
    let directives = Directives::of(&headers(&[
        ("cache-control", "max-age=60"),
        ("cache-control", "no-cache"),
        ("cache-control", "s-maxage=5"),
    ]));
    assert_eq!(directives.max_age, Some(Duration::from_secs(60)));
    assert_eq!(directives.s_maxage, Some(Duration::from_secs(5)));
    assert!(directives.no_cache.is_whole());
}

#[test]
fn restricting_directives_survive_odd_arguments_and_permitting_ones_do_not() {
    let strict = response("NO-STORE=1, must-revalidate=\"x\", proxy-revalidate=, no-transform=y");
    assert!(strict.no_store && strict.must_revalidate);
    assert!(strict.proxy_revalidate && strict.no_transform);
    let lax = response("public=1, must-understand=1");
    assert!(!lax.public && !lax.must_understand);
    let plain = response("public, immutable, must-understand");
    assert!(plain.public && plain.immutable && plain.must_understand);
}

#[test]
fn no_cache_and_private_apply_to_fields_or_to_everything() {
    let fields = |names: &[&'static str]| {
        Scope::Fields(
            names
                .iter()
                .map(|name| HeaderName::from_static(name))
                .collect(),
        )
    };
    let rows: &[(&str, &str, Scope)] = &[
        ("9111 5.2.2.4", "no-cache", Scope::Whole),
        (
            "9111 5.2.2.4 qualified",
            "no-cache=\"X-A, x-b\"",
            fields(&["x-a", "x-b"]),
        ),
        ("9111 5.2.2.4 token form", "no-cache=X-A", fields(&["x-a"])),
        ("both forms", "no-cache=\"x-a\", no-cache", Scope::Whole),
        ("both forms", "no-cache, no-cache=\"x-a\"", Scope::Whole),
        (
            "two lists",
            "no-cache=\"x-a\", no-cache=\"x-b\"",
            fields(&["x-a", "x-b"]),
        ),
        ("empty list", "no-cache=\"\"", Scope::Whole),
        ("no field name", "no-cache=\"x a\"", Scope::Whole),
        ("bad quoting", "no-cache=\"x-a", Scope::Whole),
        ("space", "no-cache = x-a", Scope::Whole),
    ];
    for (section, value, expected) in rows {
        assert_eq!(response(value).no_cache, *expected, "{section}: {value}");
        let private = value.replace("no-cache", "private");
        assert_eq!(
            response(&private).private,
            *expected,
            "{section}: {private}"
        );
    }
}

#[test]
fn stale_windows_are_read() {
    let directives = response("stale-while-revalidate=10, stale-if-error=\"20\"");
    assert_eq!(
        directives.stale_while_revalidate,
        Some(Duration::from_secs(10))
    );
    assert_eq!(directives.stale_if_error, Some(Duration::from_secs(20)));
}

#[test]
fn a_stray_quote_does_not_hide_what_follows() {
    assert!(response("x=\"a, no-store").no_store);
}

#[test]
fn request_directives_are_read() {
    let all = request("max-age=1, min-fresh=2, only-if-cached, no-store, No-Cache, no-transform");
    assert_eq!(all.max_age, Some(Duration::from_secs(1)));
    assert_eq!(all.min_fresh, Some(Duration::from_secs(2)));
    assert!(all.only_if_cached && all.no_store && all.no_cache && all.no_transform);
    let rows: &[(&str, &str, Option<MaxStale>)] = &[
        ("9111 5.2.1.2", "max-stale", Some(MaxStale::Any)),
        (
            "9111 5.2.1.2",
            "max-stale=5",
            Some(MaxStale::Within(Duration::from_secs(5))),
        ),
        ("unreadable asks for nothing", "max-stale=x", None),
    ];
    for (section, value, expected) in rows {
        assert_eq!(request(value).max_stale, *expected, "{section}");
    }
    assert_eq!(request("min-fresh=x").min_fresh, None);
    assert_eq!(
        request("max-age=x").max_age,
        Some(Duration::ZERO),
        "the stricter reading"
    );
}

#[test]
fn pragma_speaks_only_where_cache_control_is_silent() {
    let no_cache = |lines| RequestDirectives::of(&headers(lines)).no_cache;
    assert!(no_cache(&[("pragma", "x, No-Cache")]), "9111 5.4");
    assert!(
        !no_cache(&[("pragma", "no-cache"), ("cache-control", "max-age=9")]),
        "9111 5.4"
    );
    assert!(Directives::of(&headers(&[("pragma", "no-cache")])) == Directives::default());
}

proptest! {
    #[test]
    fn any_value_is_read_without_panic(first in any_value(), second in any_value()) {
        let mut map = HeaderMap::new();
        map.append(CACHE_CONTROL, first.clone());
        map.append(CACHE_CONTROL, second);
        let _ = Directives::of(&map);
        let _ = RequestDirectives::of(&map);
        map.remove(CACHE_CONTROL);
        map.insert(PRAGMA, first);
        let _ = RequestDirectives::of(&map);
    }

    #[test]
    fn no_store_is_seen_wherever_it_stands(before in "[a-z=0-9, ]{0,30}", after in "[ -~]{0,30}") {
        let value = format!("{before}, no-store, {after}");
        prop_assert!(response(&value).no_store);
    }
}
