//! Targeted fields, and CDN-Cache-Control (RFC 9213 §2.1, §2.2, §3).

use crate::claims::{asked_again, not_stored, reused, validated};
use crate::lab::Lab;
use crate::rig::Site;

/// §2.1: "Targeted fields are Dictionary Structured Fields"
#[test]
fn the_field_is_a_dictionary() {
    reused("cdn-cache-control: max-age=60;why=\"x\", new=(a b), other=:aGk=:");
    reused("cdn-cache-control: max-age=0, max-age=60");
    reused("cdn-cache-control: public\ncdn-cache-control: max-age=60");
    asked_again("cdn-cache-control: max-age=60, max-age=0\netag: \"v\"");
}

/// §2.1: "Implementations SHOULD NOT consume values that violate these inferred constraints. For example, a
/// consuming implementation that coerces a max-age with a decimal value into an integer would behave
/// differently"
#[test]
fn a_value_of_the_wrong_type_voids_the_field() {
    for value in [
        "max-age=60.0",
        "max-age=\"60\"",
        "max-age",
        "max-age=-1",
        "max-age=a",
        "no-store=1, max-age=60",
        "private=5, max-age=60",
    ] {
        not_stored(&format!(
            "cdn-cache-control: {value}\ncache-control: no-store"
        ));
    }
}

/// §2.1: "Parameters received on cache directives are to be ignored"
#[test]
fn parameters_are_ignored() {
    reused("cdn-cache-control: max-age=60;no-store;private=1");
}

/// §2.1: "If a targeted field in a given response is empty, or a parsing error is encountered, that field MUST
/// be ignored by the cache (i.e., it behaves as if the field were not present, likely falling back to other
/// cache-control mechanisms present)."
#[test]
fn an_empty_or_broken_field_is_ignored() {
    for value in [
        "",
        "max-age=60, &&&&&",
        "max-age =60",
        "max-age= 60",
        "MaX-aGe=60",
        "max-age=60,",
        "\"max-age=60\"",
    ] {
        not_stored(&format!(
            "cdn-cache-control: {value}\ncache-control: no-store"
        ));
        reused(&format!(
            "cdn-cache-control: {}\ncache-control: max-age=60",
            value.replace("60", "0")
        ));
    }
}

/// §2.2: "the cache MUST select the first (in target-list order) field with a valid, non-empty value and use
/// its value to determine the caching policy for the response"
#[test]
fn our_own_field_comes_before_that_of_all_cdns() {
    reused("atoll-cache-control: max-age=60\ncdn-cache-control: no-store\ncache-control: no-store");
    not_stored(
        "atoll-cache-control: no-store\ncdn-cache-control: max-age=60\ncache-control: max-age=60",
    );
    reused("atoll-cache-control: junk=\ncdn-cache-control: max-age=60\ncache-control: no-store");
}

/// §2.2: "and it MUST ignore the Cache-Control and Expires header fields in that response, unless no valid,
/// non-empty value is available from the listed header fields"
#[test]
fn cache_control_and_expires_are_ignored_beside_it() {
    reused("cdn-cache-control: max-age=60\ncache-control: no-store");
    reused("cdn-cache-control: max-age=60\ncache-control: private, max-age=0, must-revalidate");
    reused("cdn-cache-control: max-age=60\nexpires: 0");
    asked_again(
        "cdn-cache-control: max-age=0\ncache-control: max-age=60\nexpires: Fri, 01 Jan 2100 00:00:00 GMT\netag: \"v\"",
    );
    let none = Site::new().replies(&["302\nlocation: /\ncdn-cache-control: none\nexpires: Fri, 01 Jan 2100 00:00:00 GMT\netag: \"v\""]);
    none.get().is("302 !stored");
}

/// §2.2: "Note that this occurs on a response-by-response basis"
#[test]
fn every_response_is_judged_by_its_own_field() {
    let site = Site::new().replies(&[
        "cdn-cache-control: max-age=60\nage: 100\ncache-control: no-store\netag: \"v\"",
        "cache-control: no-store",
    ]);
    site.get().is("stored");
    site.get().is("200 !stored").text("page 2");
}

/// §2.2: "Targeted fields that are not on a cache's target list MUST NOT change that cache's behavior and MUST
/// be passed through."
#[test]
fn other_targets_mean_nothing_here() {
    let site = Site::with(
        "cache-control: max-age=60\nexamplecdn-cache-control: no-store\nsurrogate-control: no-store",
    );
    site.get();
    let hit = site.get().is("hit");
    hit.field("examplecdn-cache-control", "no-store")
        .field("surrogate-control", "no-store");
}

/// §2.2: "Caches that use a targeted field MUST implement the semantics of the following cache directives:
/// max-age"
#[test]
fn max_age_is_obeyed() {
    let mut lab = Lab::with("cdn-cache-control: max-age=60\ncache-control: max-age=1\netag: \"v\"");
    assert_eq!((lab.ask(59, ""), lab.ask(60, "")), ("fresh", "validate"));
    reused("cdn-cache-control: max-age=99999999999");
    asked_again("cdn-cache-control: max-age=60\nage: 100\netag: \"v\"");
}

/// §2.2: "must-revalidate"
#[test]
fn must_revalidate_is_obeyed() {
    let mut lab = Lab::with("cdn-cache-control: max-age=60, must-revalidate\netag: \"v\"");
    assert_eq!(lab.ask(61, "cache-control: max-stale"), "validate");
    assert!(!lab.stands_in(61, ""));
}

/// §2.2: "no-store"
#[test]
fn no_store_is_obeyed() {
    not_stored("cdn-cache-control: no-store\ncache-control: max-age=60");
    not_stored("cdn-cache-control: max-age=60, no-store\ncache-control: max-age=60");
}

/// §2.2: "no-cache"
#[test]
fn no_cache_is_obeyed() {
    validated("cdn-cache-control: no-cache\ncache-control: max-age=60");
    validated("cdn-cache-control: no-cache, max-age=60");
    let site = Site::with("cdn-cache-control: max-age=60, no-cache=\"x-a\"\nx-a: 1");
    site.get();
    site.get().is("hit").field("x-a", "");
}

/// §2.2: "private"
#[test]
fn private_is_obeyed() {
    not_stored("cdn-cache-control: private\ncache-control: max-age=60");
    let site = Site::with("cdn-cache-control: max-age=60, private=\"x-a, x-b\"\nx-a: 1\nx-c: 2");
    site.get();
    site.get().is("hit").field("x-a", "").field("x-c", "2");
}

/// §2.2: "Furthermore, they SHOULD implement other cache directives (including extension cache directives) that
/// they support in the Cache-Control response header field."
#[test]
fn all_other_directives_are_obeyed_too() {
    reused("cdn-cache-control: s-maxage=60, max-age=0");
    let mut lab =
        Lab::with("cdn-cache-control: max-age=60, stale-while-revalidate=30, stale-if-error=30");
    assert_eq!(lab.ask(70, ""), "stale-while-revalidate");
    assert!(lab.stands_in(90, "") && !lab.stands_in(91, ""));
    let mut lab = Lab::with("cdn-cache-control: max-age=60, immutable");
    assert_eq!(lab.ask(1, "cache-control: max-age=0"), "fresh");
    let site = Site::with("cdn-cache-control: max-age=60, public");
    site.ask("authorization: x").is("stored");
    let site = Site::new().replies(&["299\ncdn-cache-control: max-age=60, must-understand"]);
    site.get().is("299 !stored");
}

/// §2.2: "no-store and no-cache make max-age inoperative, and unrecognized extension directives are ignored"
#[test]
fn precedence_is_that_of_cache_control() {
    reused("cdn-cache-control: foobar, max-age=60, community=\"UCI\"");
    asked_again("cdn-cache-control: max-age=60, no-cache\netag: \"v\"");
}

/// §2.4: "this suffix MUST NOT be used on its own to identify targeted fields; it is only a convention"
#[test]
fn the_suffix_alone_makes_no_target() {
    reused("x-cache-control: no-store\nany-cache-control: private\ncache-control: max-age=60");
}

/// §3: "CDN caches that use CDN-Cache-Control will typically forward this header so that downstream CDN caches
/// can use it as well."
#[test]
fn targeted_fields_are_passed_on() {
    let site = Site::with(
        "cdn-cache-control: max-age=60\natoll-cache-control: max-age=50\ncache-control: max-age=5",
    );
    for _ in 0..2 {
        let got = site.get().field("cdn-cache-control", "max-age=60");
        got.field("atoll-cache-control", "max-age=50")
            .field("cache-control", "max-age=5");
    }
}

/// §3.1: "these would prevent all caches except for CDN caches from storing the response"
#[test]
fn none_leaves_it_to_heuristics() {
    reused(
        "cache-control: no-store\ncdn-cache-control: none\nlast-modified: Mon, 07 Nov 1994 08:49:37 GMT",
    );
}
