//! Validation: asking, being asked, and what comes of it (RFC 9111 §4.3.1 to §4.3.3).

use crate::claims::asked_again;
use crate::rig::Site;

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const LATER: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

/// A stored page that has to be validated, with these fields, and the second request for it.
fn second_request(fields: &str, client: &str) -> harness::origin::Request {
    let site = Site::with(&format!("cache-control: max-age=60\nage: 100\n{fields}"));
    site.ask(client).is("200");
    site.ask(client).is("200 !hit").origin(2);
    site.seen(2)
}

/// §4.3.1: "MUST send the relevant entity tags (using If-Match, If-None-Match, or If-Range) if the
/// entity tags were provided in the stored response(s) being validated."
#[test]
fn entity_tags_are_sent_as_they_came() {
    for tag in [
        "\"v\"",
        "W/\"v\"",
        "\"\"",
        "\"a,b\"",
        "\"a\\\"",
        "unquoted",
        "W/\"\u{e9}\"",
    ] {
        let asked = second_request(&format!("etag: {tag}"), "");
        assert_eq!(asked.header("if-none-match"), Some(tag));
        assert_eq!(asked.header("if-modified-since"), None);
    }
}

/// §4.3.1: "SHOULD send the Last-Modified value (using If-Modified-Since) if the request is not for a
/// subrange, a single stored response is being validated, and that response contains a Last-Modified
/// value."
#[test]
fn last_modified_is_sent() {
    let asked = second_request(&format!("last-modified: {DATE}"), "");
    assert_eq!(asked.header("if-modified-since"), Some(DATE));
    assert_eq!(asked.header("if-none-match"), None);
}

/// §4.3.1: "In most cases, both validators are generated in cache validation requests"
#[test]
fn both_validators_are_sent() {
    let asked = second_request(&format!("etag: \"v\"\nlast-modified: {DATE}"), "");
    assert_eq!(asked.header("if-modified-since"), Some(DATE));
    assert_eq!(asked.header("if-none-match"), Some("\"v\""));
}

/// §4.3.1: "a cache either starts with a request it is attempting to satisfy"
#[test]
fn a_validation_carries_what_the_client_asks_with() {
    let asked = second_request("etag: \"v\"\nvary: accept-language", "accept-language: en");
    assert_eq!(asked.header("accept-language"), Some("en"));
}

/// §4.3.1: without a validator the request is an ordinary one.
#[test]
fn without_a_validator_nothing_is_compared() {
    let asked = second_request("x: y", "");
    assert_eq!(
        (
            asked.header("if-none-match"),
            asked.header("if-modified-since")
        ),
        (None, None)
    );
    let asked = second_request("last-modified: yesterday", "");
    assert_eq!(asked.header("if-modified-since"), None);
}

/// §4.3.1: validators are the cache's own: those of a client would tell of another copy.
#[test]
fn a_client_s_preconditions_do_not_reach_the_origin() {
    let asked = second_request(
        "etag: \"v\"",
        &format!(
            "if-none-match: \"x\"\nif-modified-since: {DATE}\nif-match: \"y\"\nif-unmodified-since: {DATE}\nif-range: \"z\""
        ),
    );
    assert_eq!(asked.header("if-none-match"), Some("\"v\""));
    for name in [
        "if-modified-since",
        "if-match",
        "if-unmodified-since",
        "if-range",
        "range",
    ] {
        assert_eq!(asked.header(name), None, "{name}");
    }
}

/// §4.3.2: "the cache SHOULD evaluate any applicable conditional header field preconditions received in
/// that request with respect to the corresponding validators contained within the stored response"
#[test]
fn a_client_s_validators_are_compared_with_the_stored_ones() {
    let fields = format!("cache-control: max-age=60\netag: \"v\"\nlast-modified: {DATE}");
    let site = Site::with(&fields);
    site.get();
    for request in [
        "if-none-match: \"v\"".to_owned(),
        format!("if-modified-since: {DATE}"),
        format!("if-modified-since: {LATER}"),
    ] {
        site.ask(&request).is("304 hit").text("").origin(1);
    }
    site.ask("if-none-match: \"w\"")
        .is("200 hit")
        .text("page 1");
    site.ask("if-modified-since: Sat, 05 Nov 1994 08:49:37 GMT")
        .is("200 hit")
        .text("page 1");
}

/// §4.3.2: "A cache MUST NOT evaluate conditional header fields that only apply to an origin server"
#[test]
fn if_match_and_if_unmodified_since_are_not_the_cache_s_to_judge() {
    let site = Site::with(&format!(
        "cache-control: max-age=60\netag: \"v\"\nlast-modified: {LATER}"
    ));
    site.get();
    site.ask("if-match: \"other\"").is("200 hit").text("page 1");
    site.ask(&format!("if-unmodified-since: {DATE}"))
        .is("200 hit")
        .text("page 1");
}

/// §4.3.2: "or occur in a request with a target resource for which it has no stored responses": such a
/// request is answered by what the origin sends, fetched without conditions.
#[test]
fn a_conditional_request_for_something_unknown_asks_the_origin() {
    let site = Site::with("cache-control: max-age=60\netag: \"v\"");
    site.ask("if-none-match: \"other\"")
        .is("200 stored fwd=uri-miss")
        .text("page 1");
    assert_eq!(site.seen(1).header("if-none-match"), None);
    let site = Site::with("cache-control: max-age=60\netag: \"v\"");
    site.ask("if-none-match: \"v\"")
        .is("304 stored fwd=uri-miss");
    site.get().is("200 hit").text("page 1").origin(1);
}

/// §4.3.2: "If-None-Match takes precedence over If-Modified-Since"
#[test]
fn if_none_match_decides_beside_if_modified_since() {
    let site = Site::with(&format!(
        "cache-control: max-age=60\netag: \"v\"\nlast-modified: {DATE}"
    ));
    site.get();
    site.ask(&format!("if-none-match: \"w\"\nif-modified-since: {LATER}"))
        .is("200 hit");
    site.ask("if-none-match: \"v\"\nif-modified-since: Sat, 05 Nov 1994 08:49:37 GMT")
        .is("304 hit");
}

/// §4.3.2: "If a request contains an If-Modified-Since header field and the Last-Modified header field
/// is not present in a stored response, a cache SHOULD use the stored response's Date field value"
#[test]
fn date_stands_in_for_last_modified() {
    let site = Site::with(&format!("cache-control: max-age=60\ndate: {DATE}"));
    site.get();
    site.ask(&format!("if-modified-since: {DATE}"))
        .is("304 hit");
    site.ask("if-modified-since: Sat, 05 Nov 1994 08:49:37 GMT")
        .is("200 hit");
}

/// §4.3.2: "(or, if no Date field is present, the time that the stored response was received)"
#[test]
fn the_time_of_receipt_stands_in_for_date() {
    let site = Site::with("cache-control: max-age=60");
    site.get();
    site.ask("if-modified-since: Fri, 01 Jan 2100 00:00:00 GMT")
        .is("304 hit");
    site.ask(&format!("if-modified-since: {DATE}"))
        .is("200 hit");
}

/// §4.3.2: "A cache that implements partial responses to range requests ... also needs to evaluate a
/// received If-Range header field with respect to the cache's chosen response."
#[test]
fn if_range_is_judged_by_the_stored_response() {
    let site = Site::with("cache-control: max-age=60\netag: \"v\"");
    site.get();
    site.ask("range: bytes=0-3\nif-range: \"v\"")
        .is("206 hit")
        .text("page");
    site.ask("range: bytes=0-3\nif-range: \"w\"")
        .is("200 hit")
        .text("page 1");
}

/// §4.3.2: "If the response to the forwarded request is 304 (Not Modified) and has an ETag field value
/// with an entity tag that is not in the client's list, the cache MUST generate a 200 (OK) response for
/// the client by reusing its corresponding stored response"
#[test]
fn a_304_for_the_cache_is_a_200_for_a_client_with_another_copy() {
    let site = Site::new().replies(&[
        "cache-control: max-age=60\nage: 100\netag: \"v\"",
        "304\ncache-control: max-age=60\netag: \"v\"",
    ]);
    site.get();
    site.ask("if-none-match: \"old\"")
        .is("200 revalidated")
        .text("page 1")
        .origin(2);
    site.ask("if-none-match: \"old\", \"v\"").is("304 hit");
}

/// §4.3.3: "A 304 (Not Modified) response status code indicates that the stored response can be updated
/// and reused"
#[test]
fn a_304_makes_the_copy_fresh_again() {
    let site = Site::new().replies(&[
        "cache-control: max-age=60\nage: 100\netag: \"v\"",
        "304\ncache-control: max-age=60\netag: \"v\"",
    ]);
    site.get();
    site.get().is("200 fwd=stale revalidated").text("page 1");
    let hit = site.get().is("200 hit").text("page 1").origin(2).age();
    assert!(hit < 60, "its age begins anew: {hit}");
}

/// §4.3.3: "A full response ... indicates that none of the stored responses nominated in the conditional
/// request are suitable. Instead, the cache MUST use the full response to satisfy the request. The
/// cache MAY store such a full response"
#[test]
fn a_full_response_replaces_the_copy() {
    let site = Site::new().replies(&[
        "cache-control: max-age=60\nage: 100\netag: \"v\"",
        "cache-control: max-age=60\netag: \"w\"",
    ]);
    site.get();
    site.get()
        .is("200 fwd=stale stored")
        .text("page 2")
        .field("etag", "\"w\"");
    site.get().is("200 hit").text("page 2").origin(2);
}

/// §4.3.3: "if a cache receives a 5xx (Server Error) response while attempting to validate a response,
/// it can either forward this response to the requesting client or act as if the server failed to
/// respond"
#[test]
fn a_server_error_does_not_replace_the_copy() {
    let site = Site::new().replies(&[
        "cache-control: max-age=60\nage: 100\netag: \"v\"",
        "500",
        "304\ncache-control: max-age=60\netag: \"v\"",
    ]);
    site.get();
    site.get()
        .is("200 fwd=stale fwd-status=500 server_error")
        .text("page 1");
    site.get().is("200 revalidated").text("page 1").origin(3);
}

/// §4.3.3: a new response that may not be stored takes the copy's place for its client, and the copy is
/// not used as if nothing had happened.
#[test]
fn a_copy_that_was_superseded_is_not_fresh_again() {
    let site = Site::new().replies(&[
        "cache-control: max-age=60\nage: 100\netag: \"v\"",
        "cache-control: no-store\netag: \"w\"",
    ]);
    site.get();
    site.get().is("200 !stored").text("page 2");
    site.get().is("200 !hit").text("page 3");
}

/// §4.3.3: an entity tag that changes on every request leads to no false confirmation.
#[test]
fn what_changes_each_time_is_fetched_each_time() {
    let site = Site::new().serves(|request| {
        let fields = format!("cache-control: no-cache\netag: \"{}\"", request.nth);
        crate::rig::reply(&fields, request.nth)
    });
    for nth in 1..4 {
        site.get().is("200 !hit").text(&format!("page {nth}"));
    }
    asked_again("cache-control: no-cache\netag: \"v\"");
}
