//! Conditional requests (RFC 9110 §13).

use crate::rig::Site;

const EARLIER: &str = "Sat, 05 Nov 1994 08:49:37 GMT";
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const LATER: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

/// A stored page with both validators.
fn stored() -> Site {
    let site = Site::with(&format!(
        "cache-control: max-age=60\netag: \"v\"\nlast-modified: {DATE}"
    ));
    site.get();
    site
}

/// §13.1.2: "If the field value is \"*\", the condition is false if the origin server has a current representation
/// for the target resource."
#[test]
fn if_none_match_star_matches_anything() {
    stored().ask("if-none-match: *").is("304 hit");
}

/// §13.1.2: "If the field value is a list of entity tags, the condition is false if one of the listed tags matches
/// the entity tag of the selected representation."
#[test]
fn one_of_a_list_of_tags_is_enough() {
    let site = stored();
    site.ask("if-none-match: \"a\", W/\"v\" , \"b\"")
        .is("304 hit");
    site.ask("if-none-match: \"a\"\nif-none-match: \"v\"")
        .is("304 hit");
    site.ask("if-none-match: \"a\", \"b\"").is("200 hit");
}

/// §13.1.2: "A recipient MUST use the weak comparison function when comparing entity tags for If-None-Match"
#[test]
fn if_none_match_compares_weakly() {
    stored().ask("if-none-match: W/\"v\"").is("304 hit");
}

/// §13.1.3: "A recipient MUST ignore If-Modified-Since if the request contains an If-None-Match header field"
#[test]
fn if_modified_since_is_ignored_beside_if_none_match() {
    let site = stored();
    site.ask(&format!("if-none-match: \"w\"\nif-modified-since: {LATER}"))
        .is("200 hit");
    site.ask(&format!(
        "if-none-match: \"v\"\nif-modified-since: {EARLIER}"
    ))
    .is("304 hit");
}

/// §13.1.3: "A recipient MUST ignore the If-Modified-Since header field if the received field value is not a valid
/// HTTP-date, the field value has more than one member, or if the request method is neither GET nor HEAD."
#[test]
fn an_unreadable_if_modified_since_is_ignored() {
    let site = stored();
    for value in ["yesterday", "0", "Mon, 07 Nov 1994 08:49:37 UTC"] {
        site.ask(&format!("if-modified-since: {value}"))
            .is("200 hit")
            .text("page 1");
    }
    site.ask(&format!(
        "if-modified-since: {LATER}\nif-modified-since: {EARLIER}"
    ))
    .is("200 hit");
}

/// §13.1.3: "If the selected representation's last modification date is earlier or equal to the date provided in
/// the field value, the condition is false."
#[test]
fn if_modified_since_compares_dates() {
    let site = stored();
    site.ask(&format!("if-modified-since: {DATE}"))
        .is("304 hit");
    site.ask(&format!("if-modified-since: {LATER}"))
        .is("304 hit");
    site.ask(&format!("if-modified-since: {EARLIER}"))
        .is("200 hit");
    site.ask("if-modified-since: Sunday, 06-Nov-94 08:49:37 GMT")
        .is("304 hit");
}

/// §13.1.5: "A recipient of an If-Range header field MUST ignore the Range header field if the If-Range condition
/// evaluates as false. Otherwise, the recipient SHOULD process the Range header field as requested."
#[test]
fn if_range_decides_about_range() {
    let site = stored();
    site.ask("range: bytes=0-3\nif-range: \"v\"")
        .is("206 hit")
        .text("page");
    site.ask("range: bytes=0-3\nif-range: \"w\"")
        .is("200 hit")
        .text("page 1");
    site.ask(&format!("range: bytes=0-3\nif-range: {DATE}"))
        .is("206 hit");
    site.ask(&format!("range: bytes=0-3\nif-range: {LATER}"))
        .is("200 hit");
}

/// §13.1.5: "A client MUST NOT generate an If-Range header field in a request that does not contain a Range header
/// field. A server MUST ignore an If-Range header field received in a request that does not contain a Range header
/// field."
#[test]
fn if_range_alone_means_nothing() {
    stored().ask("if-range: \"w\"").is("200 hit").text("page 1");
}

/// §13.1.5: "A client MUST NOT generate an If-Range header field containing an HTTP-date ... Note that this
/// comparison by exact match"
#[test]
fn a_junk_if_range_sends_the_whole() {
    let site = stored();
    for value in ["junk", "v", "\"v", "0", "W/\"v\""] {
        site.ask(&format!("range: bytes=0-3\nif-range: {value}"))
            .is("200 hit");
    }
}

/// §13.2.1: "a server MUST ignore all received preconditions if its response to the same request without those
/// conditions, prior to processing the request content, would have been a status code other than a 2xx (Successful)
/// or 412 (Precondition Failed)"
#[test]
fn preconditions_do_not_apply_to_errors_and_redirects() {
    for status in [404, 301, 410] {
        let site =
            Site::new().replies(&[&format!("{status}\ncache-control: max-age=60\netag: \"v\"")]);
        site.get();
        site.ask("if-none-match: \"v\"")
            .is(&format!("{status} hit"));
    }
}

/// §13.2.1: "A server that is not the origin server for the target resource and cannot act as a cache for requests
/// on the target resource MUST NOT evaluate the conditional request header fields defined by this specification"
#[test]
fn what_is_not_kept_is_compared_with_what_just_came() {
    let site = Site::with("cache-control: no-store\netag: \"v\"");
    site.ask("if-none-match: \"w\"").is("200").text("page 1");
    assert_eq!(site.seen(1).header("if-none-match"), None);
}

/// §13.2.2: "When the method is GET and both Range and If-Range are present, evaluate the If-Range precondition":
/// after If-None-Match.
#[test]
fn preconditions_come_before_ranges() {
    let site = stored();
    site.ask("range: bytes=0-3\nif-none-match: \"v\"")
        .is("304 hit")
        .text("");
    site.ask("range: bytes=0-3\nif-none-match: \"w\"")
        .is("206 hit");
    site.ask("range: bytes=100-\nif-none-match: \"v\"")
        .is("304 hit");
}

/// §13.2.1: preconditions apply to "GET, HEAD": a HEAD of what is kept is answered with 304 like a GET.
#[test]
fn preconditions_of_a_head_are_evaluated_too() {
    let site = Site::with("cache-control: max-age=60\netag: \"v\"");
    site.get();
    let got = site.send("HEAD", "", "if-none-match: \"v\"");
    got.is("304 hit").text("").field("etag", "\"v\"");
    site.send("HEAD", "", "if-none-match: \"w\"")
        .is("200 hit")
        .origin(1);
}
