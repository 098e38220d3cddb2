//! Updating stored header fields (RFC 9111 §3.2).

use crate::rig::Site;

/// Fields beside the validators in a stored response, and those of the 304 that confirms it.
fn after_304(stored: &str, update: &str) -> Site {
    let validator = "etag: \"v\"";
    let site = Site::new().replies(&[
        &format!("cache-control: max-age=60\nage: 100\n{validator}\n{stored}"),
        &format!("304\ncache-control: max-age=60\n{validator}\n{update}"),
    ]);
    site.get();
    site.get().is("200 revalidated").text("page 1");
    site
}

/// §3.2: "the cache MUST add each header field in the provided response to the stored response,
/// replacing field values that are already present"
#[test]
fn every_field_of_a_304_replaces_the_stored_one() {
    for (name, old, new) in [
        ("test-header", "a", "b"),
        ("x-test-header", "a", "b"),
        ("content-foo", "a", "b"),
        ("x-content-foo", "a", "b"),
        ("content-type", "text/plain", "text/plain;charset=utf-8"),
        (
            "content-md5",
            "rL0Y20zC+Fzt72VPzMSk2A==",
            "N7UdGUp1E+RbVvZSTy1R8g==",
        ),
        ("content-location", "/foo", "/bar"),
        ("content-language", "en", "de"),
        (
            "content-security-policy",
            "default-src 'self'",
            "default-src 'self' cdn.example.com",
        ),
        ("content-disposition", "inline", "attachment"),
        ("x-frame-options", "deny", "sameorigin"),
        ("x-xss-protection", "1", "1; mode=block"),
        (
            "expires",
            "Mon, 07 Nov 1994 08:49:37 GMT",
            "Fri, 01 Jan 2100 00:00:00 GMT",
        ),
        (
            "date",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Mon, 07 Nov 1994 08:49:37 GMT",
        ),
        ("link", "</a>", "</b>"),
    ] {
        let site = after_304(&format!("{name}: {old}"), &format!("{name}: {new}"));
        site.get().is("hit").origin(2).field(name, new);
    }
}

/// §3.2: a field that is not there yet is added.
#[test]
fn a_new_field_of_a_304_is_added() {
    let site = after_304("x-old: kept", "x-new: a\nx-new: b");
    site.get()
        .is("hit")
        .field("x-new", "a, b")
        .field("x-old", "kept");
}

/// §3.2: "replacing field values that are already present": all lines of that name.
#[test]
fn all_lines_of_a_field_are_replaced() {
    let site = after_304("x-many: a\nx-many: b\nx-many: c", "x-many: d");
    site.get().is("hit").field("x-many", "d");
}

/// §3.2: a directive of the 304 governs from then on.
#[test]
fn a_new_cache_control_governs() {
    let site = Site::new().replies(&[
        "cache-control: max-age=60\nage: 100\netag: \"v\"",
        "304\ncache-control: no-cache\netag: \"v\"",
    ]);
    site.get();
    site.get().is("200 revalidated");
    site.get().is("200 revalidated").origin(3).text("page 1");
}

/// §3.2: "Header fields excepted from storage"
#[test]
fn fields_not_stored_do_not_come_with_a_304_either() {
    let site = after_304(
        "x-kept: a",
        "connection: x-hop\nx-hop: b\nset-cookie: c=d\nproxy-authenticate: Basic\nkeep-alive: x",
    );
    let hit = site.get().is("hit").field("x-kept", "a");
    hit.field("x-hop", "")
        .field("set-cookie", "")
        .field("keep-alive", "");
}

/// §3.2: "The Content-Length header field."
#[test]
fn the_length_of_a_304_means_nothing() {
    let site = after_304("x: y", "content-length: 0");
    site.get()
        .is("hit")
        .field("content-length", "6")
        .text("page 1");
}

/// §3.2: "Header fields that the cache's stored response depends upon"
#[test]
fn what_describes_the_bytes_at_hand_stays() {
    let site = after_304(
        "content-encoding: identity",
        "content-encoding: gzip\ncontent-range: bytes 0-1/2",
    );
    site.get()
        .is("hit")
        .field("content-encoding", "identity")
        .field("content-range", "");
}

/// §3.2: a Vary that a 304 changes decides about the next request.
#[test]
fn a_new_vary_of_a_304_counts() {
    let site = Site::new().replies(&[
        "cache-control: max-age=60\nage: 100\netag: \"v\"",
        "304\ncache-control: max-age=60\netag: \"v\"\nvary: accept-language",
        "cache-control: max-age=60\netag: \"w\"\nvary: accept-language",
    ]);
    site.ask("accept-language: en");
    site.ask("accept-language: en").is("revalidated");
    site.ask("accept-language: en").is("hit").text("page 1");
    site.ask("accept-language: de")
        .is("fwd=vary-miss")
        .text("page 3");
}
