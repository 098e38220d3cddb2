//! Representation data and validators (RFC 9110 §8.6, §8.8).

use harness::origin::Reply;

use crate::rig::Site;

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// §8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx
/// (Informational) or 204 (No Content)."
#[test]
fn a_204_has_no_length() {
    let site = Site::new().replies(&["204\ncache-control: max-age=60"]);
    for _ in 0..2 {
        site.get().is("204").field("content-length", "").text("");
    }
}

/// §8.6: "A sender MUST NOT forward a message with a Content-Length header field value that is known to be
/// incorrect."
#[test]
fn a_length_beside_chunks_is_not_forwarded() {
    let site = Site::new().serves(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\ncontent-length: 99\r\n\r\n\
             4\r\npage\r\n0\r\n\r\n",
        )
    });
    for _ in 0..2 {
        let got = site.get().text("page");
        assert!(["", "4"].contains(&&*got.answer.field("content-length")));
    }
}

/// §8.6: "a server MAY send a Content-Length header field in a response to a HEAD request; a server MUST NOT
/// send Content-Length in such a response unless its field value equals the decimal number of octets that would
/// have been sent in the content of a response if the same request had used the GET method."
#[test]
fn the_length_of_a_head_is_that_of_the_get() {
    let site = Site::new().serves(|_| Reply::page("0123456789").fresh_for(60).chunked());
    site.get();
    site.send("HEAD", "", "")
        .is("hit")
        .field("content-length", "10");
}

/// §8.8.1: "A strong validator is unique across all versions of all representations": parts are sent for a
/// strong one only.
#[test]
fn a_weak_validator_does_not_tie_ranges_together() {
    let site = Site::with("cache-control: max-age=60\netag: W/\"v\"");
    site.get();
    site.ask("range: bytes=0-3\nif-range: W/\"v\"")
        .is("200 hit")
        .text("page 1");
}

/// §8.8.2.2: "the validator is about to be used by an intermediate cache to compare with the validator stored in
/// its cache entry ... the stored Last-Modified is at least one second before the Date value"
#[test]
fn a_date_is_strong_only_if_it_lies_back() {
    let strong = Site::with(&format!("cache-control: max-age=60\nlast-modified: {DATE}"));
    strong.get();
    strong
        .ask(&format!("range: bytes=0-3\nif-range: {DATE}"))
        .is("206 hit");
    let weak = Site::with(&format!(
        "cache-control: max-age=60\nlast-modified: {DATE}\ndate: {DATE}"
    ));
    weak.get();
    weak.ask(&format!("range: bytes=0-3\nif-range: {DATE}"))
        .is("200 hit");
}

/// §8.8.3: "An entity tag ... opaque-tag": what it holds is compared byte for byte, backslashes and commas too.
#[test]
fn entity_tags_are_opaque() {
    for tag in ["\"a,b\"", "\"a\\\"", "\"\"", "\"W/\""] {
        let site = Site::with(&format!("cache-control: max-age=60\netag: {tag}"));
        site.get();
        site.ask(&format!("if-none-match: \"x\", {tag}"))
            .is("304 hit");
        site.ask("if-none-match: \"x\"").is("200 hit");
    }
    let case = Site::with("cache-control: max-age=60\netag: \"abc\"");
    case.get();
    case.ask("if-none-match: \"ABC\"").is("200 hit");
}

/// §8.8.3: an entity tag without quotes is sent by some and echoed by clients: it is compared as a weak one.
#[test]
fn an_unquoted_tag_is_a_weak_one() {
    let site = Site::with("cache-control: max-age=60\netag: abc");
    site.get();
    site.ask("if-none-match: abc").is("304 hit");
    site.ask("if-none-match: \"abc\"").is("304 hit");
    site.ask("range: bytes=0-3\nif-range: abc").is("200 hit");
}

/// §8.8.3.2: "Weak comparison: two entity tags are equivalent if their opaque-tags match character-by-character,
/// regardless of either or both being tagged as \"weak\"."
#[test]
fn weak_comparison_ignores_the_mark() {
    for (stored, asked) in [
        ("W/\"1\"", "W/\"1\""),
        ("W/\"1\"", "\"1\""),
        ("\"1\"", "W/\"1\""),
        ("\"1\"", "\"1\""),
    ] {
        let site = Site::with(&format!("cache-control: max-age=60\netag: {stored}"));
        site.get();
        site.ask(&format!("if-none-match: {asked}")).is("304 hit");
    }
    let site = Site::with("cache-control: max-age=60\netag: W/\"1\"");
    site.get();
    site.ask("if-none-match: W/\"2\"").is("200 hit");
}

/// §8.8.3.2: "Strong comparison: two entity tags are equivalent if both are not weak and their opaque-tags match
/// character-by-character."
#[test]
fn strong_comparison_wants_two_strong_ones() {
    for (stored, asked, status) in [
        ("\"1\"", "\"1\"", "206"),
        ("W/\"1\"", "W/\"1\"", "200"),
        ("W/\"1\"", "\"1\"", "200"),
        ("\"1\"", "W/\"1\"", "200"),
    ] {
        let site = Site::with(&format!("cache-control: max-age=60\netag: {stored}"));
        site.get();
        site.ask(&format!("range: bytes=0-0\nif-range: {asked}"))
            .is(status)
            .is("hit");
    }
}
