//! Response directives (RFC 9111 §5.2.2): "A cache MUST obey the Cache-Control directives defined in this
//! section."

use harness::origin::Reply;

use crate::claims::{asked_again, not_stored, reused, validated};
use crate::lab::Lab;
use crate::rig::Site;

/// §5.2.2.1: "the response is to be considered stale after its age is greater than the specified number
/// of seconds"
#[test]
fn max_age_gives_the_lifetime() {
    let mut lab = Lab::with("cache-control: max-age=10\netag: \"v\"");
    assert_eq!((lab.ask(9, ""), lab.ask(11, "")), ("fresh", "validate"));
    reused("cache-control: max-age=1");
    asked_again("cache-control: max-age=0\netag: \"v\"");
}

/// §5.2.2.2: "once the response has become stale, a cache MUST NOT reuse that response to satisfy
/// another request until it has been successfully validated by the origin"
#[test]
fn must_revalidate_forbids_stale_reuse() {
    let fields = "cache-control: max-age=60, must-revalidate, stale-while-revalidate=600, stale-if-error=600\netag: \"v\"";
    let mut lab = Lab::with(fields);
    assert_eq!(lab.ask(59, ""), "fresh");
    assert_eq!(lab.ask(61, ""), "validate");
    assert_eq!(lab.ask(61, "cache-control: max-stale"), "validate");
    assert!(!lab.stands_in(61, "") && !lab.stands_in(61, "cache-control: stale-if-error=600"));
}

/// §5.2.2.2: "if a cache is disconnected, the cache MUST generate an error response rather than reuse the
/// stale response. The generated status code SHOULD be 504 (Gateway Timeout) unless another error status
/// code is more applicable."
#[test]
fn must_revalidate_makes_an_error_of_a_dead_origin() {
    let site = Site::new().serves(|request| match request.nth {
        1 => crate::rig::reply("cache-control: max-age=60, must-revalidate\nage: 100", 1),
        _ => Reply::raw(""),
    });
    site.get().is("200 stored");
    let error = site.get().is("502").answer;
    assert!(
        error
            .field("proxy-status")
            .contains("error=connection_terminated"),
        "{error:?}"
    );
}

/// §5.2.2.2: "also permits a shared cache to reuse a response to a request containing an Authorization
/// header field"
#[test]
fn must_revalidate_allows_sharing_authorized_answers() {
    let site = Site::with("cache-control: max-age=60, must-revalidate");
    site.ask("authorization: x").is("stored");
    site.get().is("hit").origin(1);
}

/// §5.2.2.3: "the cache SHOULD ignore the no-store directive if it understands and implements the status
/// code's caching requirements"
#[test]
fn must_understand_lifts_no_store_for_known_statuses() {
    for status in [200, 404, 301] {
        let site = Site::new().replies(&[&format!(
            "{status}\ncache-control: must-understand, no-store, max-age=60"
        )]);
        site.get().is(&format!("{status} stored"));
        site.get().is(&format!("{status} hit")).origin(1);
    }
}

/// §5.2.2.3: "limits caching of the response to a cache that understands and conforms to the requirements
/// for that response's status code"
#[test]
fn must_understand_forbids_storing_unknown_statuses() {
    for control in [
        "must-understand, no-store, max-age=60",
        "must-understand, max-age=60",
        "must-understand, public",
    ] {
        let site = Site::new().replies(&[&format!("299\ncache-control: {control}")]);
        site.get().is("299 !stored");
        site.get().is("299 !hit").origin(2);
    }
}

/// §5.2.2.4: "in its unqualified form (without an argument), indicates that the response MUST NOT be used
/// to satisfy any other request without forwarding it for validation and receiving a successful response"
#[test]
fn no_cache_is_never_reused_unvalidated() {
    validated("cache-control: no-cache");
    validated("cache-control: max-age=60, no-cache");
    let mut lab =
        Lab::with("cache-control: no-cache, max-age=60, stale-while-revalidate=60\netag: \"v\"");
    assert_eq!(lab.ask(0, ""), "validate");
    assert_eq!(lab.ask(0, "cache-control: max-stale"), "validate");
    assert!(!lab.stands_in(0, ""));
}

/// §5.2.2.4: "a cache MAY use the response to satisfy a subsequent request ... if the listed header
/// fields are excluded from the subsequent response"
#[test]
fn qualified_no_cache_leaves_its_fields_out() {
    let site =
        Site::with("cache-control: max-age=60, no-cache=\"x-a, X-B\"\nx-a: 1\nx-b: 2\nx-c: 3");
    site.get().is("stored");
    let hit = site.get().is("hit").origin(1);
    hit.field("x-a", "").field("x-b", "").field("x-c", "3");
}

/// §5.2.2.4: "or the subsequent response has been successfully revalidated with the origin server
/// (updating or removing those fields)"
#[test]
fn qualified_no_cache_holds_for_what_a_304_brings() {
    let site = Site::new().replies(&[
        "cache-control: max-age=60, no-cache=\"x-a\"\nage: 100\netag: \"v\"\nx-a: 1",
        "304\ncache-control: max-age=60, no-cache=\"x-a\"\netag: \"v\"\nx-a: 2",
    ]);
    site.get();
    site.get().is("revalidated");
    site.get().is("hit").field("x-a", "");
}

/// §5.2.2.4, §5.2.2.7: a list with anything but field names in it applies to the whole response.
#[test]
fn an_unreadable_list_of_fields_is_none() {
    for list in ["\"\"", "\"a b\"", "\",\"", "\"x"] {
        asked_again(&format!(
            "cache-control: max-age=60, no-cache={list}\netag: \"v\""
        ));
        not_stored(&format!("cache-control: max-age=60, private={list}"));
    }
}

/// §5.2.2.5: "a cache MUST NOT store any part of either the immediate request or the response and MUST NOT
/// use the response to satisfy any other request"
#[test]
fn no_store_is_neither_kept_nor_shared() {
    not_stored("cache-control: no-store");
    not_stored("cache-control: no-store, max-age=60, public, s-maxage=60, immutable");
    not_stored("cache-control: no-store\nexpires: Fri, 01 Jan 2100 00:00:00 GMT");
}

/// §5.2.2.5: a copy from before is not brought back by a no-store in its place.
#[test]
fn no_store_in_a_304_ends_the_copy() {
    let site = Site::new().replies(&[
        "cache-control: max-age=60\nage: 100\netag: \"v\"",
        "304\ncache-control: no-store\netag: \"v\"",
        "cache-control: max-age=60",
    ]);
    site.get();
    site.get().is("200").text("page 1");
    site.get().is("200 !hit").text("page 3");
    assert_eq!(site.seen(3).header("if-none-match"), None);
}

/// §5.2.2.6: "an intermediary (regardless of whether it implements a cache) MUST NOT transform the content"
#[test]
fn content_is_never_transformed() {
    for control in ["no-transform, max-age=60", "max-age=60"] {
        let body = "<a href=\"http://other.example/\">\r\n\u{e9}  </a>";
        let site = Site::with(&format!(
            "cache-control: {control}\ncontent-type: text/html\n\n{body}"
        ));
        for _ in 0..2 {
            site.get().text(body).field("content-type", "text/html");
        }
    }
}

/// §5.2.2.7: "a shared cache MUST NOT store the response (i.e., the response is intended for a single
/// user)"
#[test]
fn private_is_for_one() {
    not_stored("cache-control: private");
    not_stored("cache-control: private, max-age=60, public, s-maxage=60");
    not_stored("cache-control: private\nexpires: Fri, 01 Jan 2100 00:00:00 GMT");
}

/// §5.2.2.7: "a shared cache MUST NOT store the listed header fields if they are present in the original
/// response but MAY store the remainder of the response message without those header fields"
#[test]
fn qualified_private_leaves_its_fields_out() {
    let site =
        Site::with("cache-control: max-age=60, private=\"x-a, X-B\"\nx-a: 1\nx-b: 2\nx-c: 3");
    site.get().is("stored");
    let hit = site.get().is("hit").origin(1);
    hit.field("x-a", "").field("x-b", "").field("x-c", "3");
}

/// §5.2.2.8: "once the response has become stale, a shared cache MUST NOT reuse that response to satisfy
/// another request until it has been successfully validated by the origin"
#[test]
fn proxy_revalidate_forbids_stale_reuse() {
    let mut lab = Lab::with("cache-control: max-age=60, proxy-revalidate\netag: \"v\"");
    assert_eq!(lab.ask(59, ""), "fresh");
    assert_eq!(lab.ask(61, "cache-control: max-stale"), "validate");
    assert!(!lab.stands_in(61, ""));
}

/// §5.2.2.8: "proxy-revalidate on its own does not imply that a response is cacheable"
#[test]
fn proxy_revalidate_alone_makes_nothing_storable() {
    let site = Site::new().replies(&["302\nlocation: /\ncache-control: proxy-revalidate\nlast-modified: Mon, 07 Nov 1994 08:49:37 GMT"]);
    site.get().is("302 !stored");
}

/// §5.2.2.9: "a cache MAY store the response even if it would otherwise be prohibited, subject to the
/// constraints defined in Section 3"
#[test]
fn public_marks_as_cacheable_within_the_rules() {
    let site = Site::with("cache-control: public, max-age=60");
    site.ask("authorization: x").is("stored");
    site.get().is("hit");
    not_stored("cache-control: public, no-store");
}

/// §5.2.2.9: "If a response with the public directive has no explicit freshness information, it is
/// heuristically cacheable"
#[test]
fn public_is_heuristically_cacheable() {
    let mut lab = Lab::new();
    let fields = "cache-control: public\nlast-modified: Sat, 06 Nov 1993 08:49:37 GMT";
    assert_eq!(lab.receive(0, 302, fields, ""), "stored");
    assert_eq!(lab.ask(100, ""), "fresh");
}

/// §5.2.2.10: "for a shared cache, the maximum age specified by this directive overrides the maximum age
/// specified by either the max-age directive or the Expires header field"
#[test]
fn s_maxage_overrides() {
    let mut lab = Lab::with("cache-control: max-age=10, s-maxage=60\nexpires: 0\netag: \"v\"");
    assert_eq!((lab.ask(59, ""), lab.ask(61, "")), ("fresh", "validate"));
    let mut lab = Lab::with("cache-control: s-maxage=10, max-age=60\netag: \"v\"");
    assert_eq!((lab.ask(9, ""), lab.ask(11, "")), ("fresh", "validate"));
}

/// §5.2.2.10: "A shared cache MUST NOT reuse a stale response with s-maxage to satisfy another request
/// until it has been successfully validated by the origin"
#[test]
fn s_maxage_forbids_stale_reuse() {
    let mut lab = Lab::with("cache-control: s-maxage=60\netag: \"v\"");
    assert_eq!(lab.ask(61, "cache-control: max-stale"), "validate");
    assert!(!lab.stands_in(61, ""));
}

/// §5.2.2.10: "also permits a shared cache to reuse a response to a request containing an Authorization
/// header field"
#[test]
fn s_maxage_allows_sharing_authorized_answers() {
    let site = Site::with("cache-control: s-maxage=60");
    site.ask("authorization: x").is("stored");
    site.get().is("hit").origin(1);
}
