//! Age, Expires and Pragma (RFC 9111 §5.1, §5.3, §5.4).

use crate::claims::{asked_again, reused, validated};
use crate::rig::Site;

/// §5.1: "Although it is defined as a singleton header field, a cache encountering a message with a
/// list-based Age field value SHOULD use the first member of the field value, discarding subsequent
/// ones."
#[test]
fn of_a_repeated_age_the_first_counts() {
    reused("cache-control: max-age=60\nage: 0, 100");
    reused("cache-control: max-age=60\nage: 0\nage: 100");
    asked_again("cache-control: max-age=60\nage: 100, 0\netag: \"v\"");
    asked_again("cache-control: max-age=60\nage: 100\nage: 0\netag: \"v\"");
}

/// §5.1: "If the field value (after discarding additional members, as per above) is invalid (e.g., it
/// contains something other than a non-negative integer), a cache SHOULD ignore the field."
#[test]
fn an_invalid_age_is_ignored() {
    for age in [
        "-100", "100.0", "100.5", "abc", "100a", "+100", "\"100\"", "0x100", "", "100 100",
        "100; foo",
    ] {
        reused(&format!("cache-control: max-age=60\nage: {age}"));
    }
}

/// §5.1: a large Age makes a response stale.
#[test]
fn a_valid_age_counts() {
    asked_again("cache-control: max-age=60\nage: 60\netag: \"v\"");
    asked_again("cache-control: max-age=60\nage: 0060\netag: \"v\"");
    reused("cache-control: max-age=60\nage: 0");
}

/// §5.1: "Age values are calculated as specified in Section 4.2.3": there is one, and a whole number.
#[test]
fn our_age_is_one_number() {
    let site = Site::with("cache-control: max-age=600\nage: 30, 7\nage: 5");
    site.get();
    let hit = site.get().is("hit");
    assert_eq!(hit.answer.headers.get_all("age").iter().count(), 1);
    assert!((30..90).contains(&hit.age()));
}

/// §5.1: "The presence of an Age header field implies that the response was not generated or validated
/// by the origin server for this request."
#[test]
fn what_the_origin_made_for_this_request_has_no_age() {
    let site = Site::new().replies(&[
        "cache-control: max-age=60",
        "cache-control: no-cache\netag: \"v\"",
        "304\ncache-control: no-cache\netag: \"v\"",
    ]);
    site.get().is("stored").field("age", "");
    site.ask("cache-control: no-cache")
        .is("stored")
        .field("age", "");
    site.get().is("revalidated").field("age", "");
    let old = Site::with("cache-control: max-age=600\nage: 100");
    assert!(
        old.get().is("stored").age() >= 100,
        "what came out of a cache keeps its age"
    );
}

/// §5.3: "A cache recipient MUST interpret invalid date formats, especially the value \"0\", as
/// representing a time in the past (i.e., \"already expired\")."
#[test]
fn an_unreadable_expires_is_in_the_past() {
    for value in [
        "0",
        "-1",
        "",
        "never",
        "Thu, 18 Aug 2050",
        "Thu, 18 Aug 50 02:01:18 GMT",
        "Thu 18 Aug 2050 02:01:18 GMT",
        "Thu, 18  Aug  2050 02:01:18 GMT",
        "Thu, 18-Aug-2050 02:01:18 GMT",
        "Thu, 18 Aug 2050 02.01.18 GMT",
        "Thu, 18 Aug 2050 2:01:18 GMT",
        "Thu, 32 Aug 2050 02:01:18 GMT",
        "2050-08-18T02:01:18Z",
        "4102444800",
    ] {
        validated(&format!(
            "expires: {value}\nlast-modified: Mon, 07 Nov 1994 08:49:37 GMT"
        ));
    }
}

/// §5.3: "If a response includes a Cache-Control header field with the max-age directive, a recipient
/// MUST ignore the Expires header field."
#[test]
fn max_age_puts_expires_out_of_force() {
    for expires in ["0", "Mon, 07 Nov 1994 08:49:37 GMT", "junk"] {
        reused(&format!("cache-control: max-age=60\nexpires: {expires}"));
    }
    asked_again("cache-control: max-age=0\nexpires: Fri, 01 Jan 2100 00:00:00 GMT\netag: \"v\"");
}

/// §5.3: "Likewise, if a response includes the s-maxage directive, a shared cache recipient MUST ignore
/// the Expires header field."
#[test]
fn s_maxage_puts_expires_out_of_force() {
    reused("cache-control: s-maxage=60\nexpires: 0");
    asked_again("cache-control: s-maxage=0\nexpires: Fri, 01 Jan 2100 00:00:00 GMT\netag: \"v\"");
}

/// §5.3: "extremely large values have been demonstrated to cause problems (e.g., clock overflows due to
/// use of 32-bit integers for time values)"
#[test]
fn a_far_future_expires_does_not_overflow() {
    for year in [2038, 2106, 9999] {
        reused(&format!("expires: Fri, 01 Jan {year} 00:00:00 GMT"));
    }
}

/// §5.4: "so that clients could specify a \"no-cache\" request (as Cache-Control was not defined until
/// HTTP/1.1)"
#[test]
fn pragma_asks_for_validation_where_there_is_no_cache_control() {
    let site = Site::with("cache-control: max-age=60");
    site.get();
    site.ask("pragma: no-cache").is("200 fwd=request").origin(2);
    site.ask("pragma: NO-CACHE, x")
        .is("200 fwd=request")
        .origin(3);
    site.ask("pragma: no-cache\ncache-control: max-age=60")
        .is("200 hit");
    site.ask("pragma: something-else").is("200 hit").origin(3);
}

/// §5.4: "the meaning of \"Pragma: no-cache\" in responses was never specified"
#[test]
fn pragma_in_a_response_means_nothing() {
    reused("cache-control: max-age=60\npragma: no-cache");
    reused("expires: Fri, 01 Jan 2100 00:00:00 GMT\npragma: no-cache");
}

/// §5.5: "This specification obsoletes it" (Warning): none is made, and one received passes.
#[test]
fn no_warning_is_generated() {
    let site = Site::with("cache-control: max-age=60, stale-while-revalidate=600\nage: 100");
    site.get();
    site.get()
        .is("200 hit stale-while-revalidate")
        .field("warning", "");
    let other = Site::with("cache-control: max-age=60\nwarning: 199 - \"x\"");
    other.get().field("warning", "199 - \"x\"");
}
