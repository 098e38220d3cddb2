//! Freshness: how long, how old (RFC 9111 §4.2, §4.2.1 to §4.2.3).

use common::clock::{Clock as _, SystemClock, WallTime};
use harness::origin::Reply;
use proxy::engine::http::date;

use crate::claims::{asked_again, not_stored, reused};
use crate::lab::{DATE, Lab};
use crate::rig::Site;

const MODIFIED: &str = "last-modified: Mon, 07 Nov 1994 08:49:37 GMT";

/// §4.2: "response_is_fresh = (freshness_lifetime > current_age)"
#[test]
fn a_response_is_fresh_until_its_age_reaches_its_lifetime() {
    let mut lab = Lab::with("cache-control: max-age=60\netag: \"v\"");
    for (second, expected) in [
        (0, "fresh"),
        (59, "fresh"),
        (60, "validate"),
        (61, "validate"),
    ] {
        assert_eq!(lab.ask(second, ""), expected, "{second}");
    }
    reused("cache-control: max-age=60\nage: 30");
    asked_again("cache-control: max-age=60\nage: 60");
}

/// §4.2: "a cache recipient SHOULD match the field value case-insensitively" (of dates)
#[test]
fn dates_are_read_in_any_case() {
    for date in [
        "THU, 18 Aug 2050 02:01:18 GMT",
        "thu, 18 aug 2050 02:01:18 gmt",
        "Thu, 18 AUG 2050 02:01:18 gMT",
    ] {
        reused(&format!("expires: {date}"));
    }
}

/// §4.2: "the recipient MUST internally represent a parsed Expires date as the nearest time equal to
/// or earlier than the received value"
#[test]
fn expires_is_not_rounded_up() {
    let mut lab = Lab::with(&format!(
        "date: {DATE}\nexpires: Sun, 06 Nov 1994 08:49:47 GMT\netag: \"v\""
    ));
    assert_eq!((lab.ask(9, ""), lab.ask(10, "")), ("fresh", "validate"));
}

/// §4.2: "A cache recipient MUST NOT allow local time zones to influence the calculation or comparison
/// of an age or expiration time."
#[test]
fn all_three_forms_of_a_date_are_in_gmt() {
    for expires in [
        "Sun, 06 Nov 1994 08:49:47 GMT",
        "Sunday, 06-Nov-94 08:49:47 GMT",
        "Sun Nov  6 08:49:47 1994",
    ] {
        let mut lab = Lab::with(&format!("date: {DATE}\nexpires: {expires}\netag: \"v\""));
        assert_eq!(
            (lab.ask(9, ""), lab.ask(10, "")),
            ("fresh", "validate"),
            "{expires}"
        );
    }
}

/// §4.2: "A cache recipient SHOULD consider a date with a zone abbreviation other than \"GMT\" to be
/// invalid for calculating expiration."
#[test]
fn another_time_zone_is_no_date() {
    for zone in ["UTC", "EST", "+0000", "Z", ""] {
        asked_again(&format!(
            "expires: Thu, 18 Aug 2050 02:01:18 {zone}\netag: \"v\""
        ));
    }
}

/// §4.2.1: "If the cache is shared and the s-maxage response directive is present, use its value"
#[test]
fn s_maxage_comes_first() {
    reused("cache-control: max-age=0, s-maxage=60\nexpires: Mon, 07 Nov 1994 08:49:37 GMT");
    asked_again(
        "cache-control: s-maxage=0, max-age=60\nexpires: Fri, 01 Jan 2100 00:00:00 GMT\netag: \"v\"",
    );
}

/// §4.2.1: "If the max-age response directive is present, use its value"
#[test]
fn max_age_comes_before_expires() {
    reused("cache-control: max-age=60\nexpires: Mon, 07 Nov 1994 08:49:37 GMT");
    asked_again("cache-control: max-age=0\nexpires: Fri, 01 Jan 2100 00:00:00 GMT\netag: \"v\"");
}

/// §4.2.1: "If the Expires response header field is present, use its value minus the value of the Date
/// response header field"
#[test]
fn expires_counts_from_date_whatever_our_calendar_says() {
    reused(&format!(
        "date: {DATE}\nexpires: Sun, 06 Nov 1994 09:49:37 GMT"
    ));
    asked_again(
        "date: Fri, 01 Jan 2100 00:00:00 GMT\nexpires: Thu, 31 Dec 2099 23:59:59 GMT\netag: \"v\"",
    );
    asked_again(&format!("date: {DATE}\nexpires: {DATE}\netag: \"v\""));
}

/// §4.2.1: "(using the time the message was received if it is not present)"
#[test]
fn without_a_date_the_time_of_receipt_counts() {
    let mut lab = Lab::with("expires: Sun, 06 Nov 1994 08:49:47 GMT\netag: \"v\"");
    assert_eq!((lab.ask(9, ""), lab.ask(10, "")), ("fresh", "validate"));
    let mut lab = Lab::with("date: yesterday\nexpires: Sun, 06 Nov 1994 08:49:47 GMT\netag: \"v\"");
    assert_eq!((lab.ask(9, ""), lab.ask(10, "")), ("fresh", "validate"));
}

/// §4.2.1: "When there is more than one value present for a given directive ... either the first
/// occurrence should be used or the response should be considered stale." (Expires)
#[test]
fn a_repeated_expires_that_disagrees_is_stale() {
    let (far, past) = (
        "Fri, 01 Jan 2100 00:00:00 GMT",
        "Mon, 07 Nov 1994 08:49:37 GMT",
    );
    for (one, two) in [
        (far, past),
        (past, far),
        (far, "0"),
        (far, "Fri, 01 Jan 2101 00:00:00 GMT"),
    ] {
        asked_again(&format!("expires: {one}\nexpires: {two}\netag: \"v\""));
    }
    asked_again(&format!("expires: {far}, {past}\netag: \"v\""));
}

/// §4.2.1: "either the first occurrence should be used or the response should be considered stale"
/// (max-age)
#[test]
fn of_a_repeated_max_age_the_first_counts() {
    reused("cache-control: max-age=1800, max-age=0");
    reused("cache-control: max-age=1800\ncache-control: max-age=0");
    asked_again("cache-control: max-age=0, max-age=1800\netag: \"v\"");
    asked_again("cache-control: max-age=0\ncache-control: max-age=1800\netag: \"v\"");
}

/// §4.2.1: "If directives conflict (e.g., both max-age and no-cache are present), the most restrictive
/// directive should be honored."
#[test]
fn the_most_restrictive_directive_wins() {
    asked_again("cache-control: max-age=60, no-cache\netag: \"v\"");
    not_stored("cache-control: public, max-age=60, no-store");
    not_stored("cache-control: public, private, max-age=60");
    asked_again("cache-control: no-cache=\"x\", no-cache, max-age=60\netag: \"v\"");
}

/// §4.2.1: "Caches are encouraged to consider responses that have invalid freshness information (e.g.,
/// a max-age directive with non-integer content) to be stale."
#[test]
fn an_unreadable_max_age_is_stale() {
    for value in [
        "3600.0", "3600.5", "a3600", "3600a", "-1", "+60", "'3600'", "0x60", "", "\"60", " 60",
    ] {
        asked_again(&format!(
            "cache-control: max-age={value}\netag: \"v\"\n{MODIFIED}"
        ));
    }
    asked_again(&format!("cache-control: max-age\netag: \"v\"\n{MODIFIED}"));
    asked_again(&format!(
        "cache-control: max-age =60\netag: \"v\"\n{MODIFIED}"
    ));
}

/// §1.2.2: "If a cache receives a delta-seconds value greater than the greatest integer it can
/// represent ... the cache MUST consider the value to be 2147483648 (2^31) or the greatest positive
/// integer it can conveniently represent."
#[test]
fn an_overflowing_number_of_seconds_is_the_greatest_one() {
    for value in [
        "2147483647",
        "2147483648",
        "99999999999",
        "99999999999999999999999999",
    ] {
        reused(&format!("cache-control: max-age={value}"));
        reused(&format!("cache-control: s-maxage={value}"));
        asked_again(&format!(
            "cache-control: max-age=2147483647\nage: {value}\netag: \"v\""
        ));
    }
}

/// §4.2.2: "A cache MUST NOT use heuristics to determine freshness when an explicit expiration time is
/// present in the stored response."
#[test]
fn heuristics_override_nothing_explicit() {
    for explicit in [
        "cache-control: max-age=0",
        "cache-control: s-maxage=0",
        "expires: 0",
        "expires: Mon, 07 Nov 1994 08:49:37 GMT",
        "cache-control: max-age=0, public",
    ] {
        asked_again(&format!("{explicit}\n{MODIFIED}"));
    }
}

/// §4.2.2: "heuristics can only be used on responses without explicit freshness whose status codes are
/// defined as heuristically cacheable"
#[test]
fn heuristics_need_a_status_that_allows_them() {
    let mut lab = Lab::new();
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        assert_eq!(lab.receive(0, status, MODIFIED, ""), "stored", "{status}");
    }
    for status in [
        201, 202, 205, 302, 303, 307, 400, 403, 418, 500, 502, 503, 504,
    ] {
        assert_eq!(lab.receive(0, status, MODIFIED, ""), "status", "{status}");
    }
}

/// §4.2.2: "and on responses without explicit freshness that have been marked as explicitly cacheable
/// (e.g., with a public response directive)"
#[test]
fn public_allows_heuristics() {
    let site = Site::new().replies(&[&format!("599\ncache-control: public\n{MODIFIED}")]);
    site.get().is("599 stored");
    site.get().is("599 hit").origin(1);
}

/// §4.2.2: "caches are encouraged to use a heuristic expiration value that is no more than some
/// fraction of the interval since that time. A typical setting of this fraction might be 10%."
#[test]
fn the_heuristic_is_a_tenth_of_the_time_since_last_modified() {
    let mut lab = Lab::with(&format!(
        "date: {DATE}\nlast-modified: Sun, 06 Nov 1994 08:33:07 GMT"
    ));
    // 990 s before Date: 99 s.
    assert_eq!((lab.ask(98, ""), lab.ask(99, "")), ("fresh", "validate"));
    let mut lab = Lab::with(&format!(
        "date: {DATE}\nlast-modified: Sat, 06 Nov 1993 08:49:37 GMT"
    ));
    let day = 24 * 3_600;
    assert_eq!(
        (lab.ask(day - 1, ""), lab.ask(day, "")),
        ("fresh", "validate"),
        "at most a day"
    );
}

/// §4.2.2: "prohibited caches from calculating heuristic freshness for URIs with query components ...
/// has not been widely implemented"
#[test]
fn a_query_does_not_forbid_heuristics() {
    let site = Site::new().serves_at("?q=1", |_| {
        Reply::page("page").header("last-modified", "Mon, 07 Nov 1994 08:49:37 GMT")
    });
    site.send("GET", "?q=1", "").is("stored");
    site.send("GET", "?q=1", "").is("hit");
}

/// §4.2.3: "A cache MUST interpret this value relative to the time the request was initiated, not the
/// time that the response was received."
#[test]
fn age_counts_from_the_request() {
    let site = Site::new().serves(|_| {
        let slow = std::time::Duration::from_millis(1_100);
        Reply::page("slow")
            .fresh_for(600)
            .header("age", "100")
            .after(slow)
    });
    site.get();
    assert!(site.get().is("hit").age() >= 101);
}

/// §4.2.3: "The term \"age_value\" denotes the value of the Age header field, in a form appropriate for
/// arithmetic operation; or 0, if not available."
#[test]
fn an_age_received_shortens_what_is_left() {
    let mut lab = Lab::with("cache-control: max-age=60\nage: 50\netag: \"v\"");
    assert_eq!((lab.ask(9, ""), lab.ask(10, "")), ("fresh", "validate"));
    assert_eq!(Lab::with("cache-control: max-age=60").age(10), 10);
}

/// §4.2.3: "current_age = corrected_initial_age + resident_time"
#[test]
fn age_grows_by_the_time_in_the_cache() {
    let mut lab = Lab::with("cache-control: max-age=600\nage: 7");
    for second in [0, 1, 100, 500] {
        assert_eq!(lab.age(second), 7 + second);
    }
}

/// §4.2.3: "The corrected_age_value MAY be used as the corrected_initial_age": a Date long ago or in the
/// future changes no age, since clocks are not compared.
#[test]
fn a_wrong_clock_at_the_origin_expires_nothing() {
    for date in [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Fri, 01 Jan 2100 00:00:00 GMT",
        "junk",
    ] {
        let site = Site::with(&format!("cache-control: max-age=600\ndate: {date}"));
        site.get();
        assert!(site.get().is("hit").age() < 60, "{date}");
    }
}

/// §4.2.3: "In circumstances where very old cache implementations that might not correctly insert Age are present,
/// corrected_initial_age can be calculated more conservatively as: corrected_initial_age = max(apparent_age,
/// corrected_age_value)"
#[test]
fn behind_a_cache_of_http_1_0_the_apparent_age_counts() {
    let ago = |seconds: i64| {
        let now = SystemClock::new().wall();
        date::format(WallTime::from_unix(now.unix() - seconds))
    };
    let age = |fields: &str, seconds: i64| {
        let date = ago(seconds);
        let date = date.to_str().unwrap();
        let site = Site::with(&format!(
            "cache-control: max-age=90000\ndate: {date}\n{fields}"
        ));
        site.get();
        site.get().is("hit").age()
    };
    let about = |seconds: u64| seconds..seconds + 60;
    assert!(about(500).contains(&age("via: 1.0 old", 500)));
    assert!(
        about(700).contains(&age("via: 1.0 old\nage: 700", 500)),
        "the greater"
    );
    assert!(
        about(0).contains(&age("via: 1.1 new", 500)),
        "that knows Age"
    );
    assert!(
        about(0).contains(&age("via: 1.0 old", 3 * 86_400)),
        "a clock is wrong"
    );
    assert!(
        about(0).contains(&age("via: 1.0 old", -500)),
        "\"max(0, ...)\""
    );
}
