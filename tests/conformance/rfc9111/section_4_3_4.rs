//! Freshening stored responses upon validation, and with HEAD (RFC 9111 §4.3.4, §4.3.5).

use harness::origin::Reply;

use crate::rig::{Site, reply};

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const LATER: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

/// A page with the fields `stored`, stale on arrival, whose validation is answered by a 304 with the
/// fields `confirming`, and anything later in full.
fn validation(stored: &str, confirming: &str) -> Site {
    let site = Site::new().replies(&[
        &format!("cache-control: max-age=60\nage: 100\n{stored}"),
        &format!("304\ncache-control: max-age=60\n{confirming}"),
        "cache-control: max-age=60",
    ]);
    site.get();
    site
}

/// §4.3.4: "All the stored responses in the initial set with one of those same strong validators are
/// identified for update."
#[test]
fn the_same_strong_validator_confirms() {
    for (stored, confirming) in [
        ("etag: \"v\"".to_owned(), "etag: \"v\"".to_owned()),
        (
            format!("last-modified: {DATE}"),
            format!("last-modified: {DATE}"),
        ),
        (
            format!("etag: \"v\"\nlast-modified: {DATE}"),
            format!("etag: \"v\"\nlast-modified: {DATE}"),
        ),
    ] {
        let site = validation(&stored, &format!("{confirming}\nx-new: yes"));
        site.get()
            .is("200 revalidated")
            .text("page 1")
            .field("x-new", "yes");
        site.get().is("200 hit").origin(2).field("x-new", "yes");
    }
}

/// §4.3.4: "If none of the initial set contains at least one of the same strong validators, then the
/// cache MUST NOT use the new response to update any stored responses."
#[test]
fn another_strong_validator_updates_nothing() {
    for (stored, confirming) in [
        ("etag: \"v\"".to_owned(), "etag: \"w\"".to_owned()),
        (format!("last-modified: {DATE}"), "etag: \"w\"".to_owned()),
        (
            format!("last-modified: {DATE}"),
            format!("last-modified: {LATER}"),
        ),
    ] {
        let site = validation(&stored, &format!("{confirming}\nx-new: yes"));
        // It is asked for again, without conditions.
        site.get()
            .is("200 stored")
            .text("page 3")
            .field("x-new", "")
            .origin(3);
        assert_eq!(site.seen(3).header("if-none-match"), None);
        assert_eq!(site.seen(3).header("if-modified-since"), None);
    }
}

/// §4.3.4: "If the new response contains no strong validators but does contain one or more weak
/// validators, and those validators correspond to one of the initial set's stored responses"
#[test]
fn the_same_weak_validator_confirms() {
    for (stored, confirming) in [("W/\"v\"", "W/\"v\""), ("\"v\"", "W/\"v\"")] {
        let site = validation(&format!("etag: {stored}"), &format!("etag: {confirming}"));
        site.get()
            .is("200 revalidated")
            .text("page 1")
            .field("etag", stored);
        site.get().is("200 hit").origin(2).field("etag", stored);
    }
}

/// §4.3.4: a strong tag confirms a weak one of the same text: servers that compress on the fly weaken
/// the tag of the 200 and not that of the 304.
#[test]
fn a_strong_304_confirms_the_weakened_copy() {
    let site = validation("etag: W/\"v\"", "etag: \"v\"");
    site.get()
        .is("200 revalidated")
        .text("page 1")
        .field("etag", "W/\"v\"");
    site.get().is("200 hit").origin(2).field("etag", "W/\"v\"");
}

/// §4.3.4: a 304 without any validator confirms the one copy that it was asked about.
#[test]
fn a_304_without_validators_confirms_what_was_asked() {
    let site = validation("etag: \"v\"", "x-new: yes");
    site.get()
        .is("200 revalidated")
        .text("page 1")
        .field("etag", "\"v\"")
        .field("x-new", "yes");
}

/// §4.3.4: "For each stored response identified, the cache MUST update its header fields with the header
/// fields provided in the 304 (Not Modified) response"
#[test]
fn the_update_is_stored_and_not_only_shown() {
    let site = validation(
        "etag: \"v\"\nx-old: 1\nx-both: a",
        "etag: \"v\"\nx-new: 2\nx-both: b",
    );
    site.get().is("revalidated");
    let hit = site.get().is("hit").origin(2);
    hit.field("x-old", "1")
        .field("x-new", "2")
        .field("x-both", "b");
}

/// §4.3.4: the age of what is confirmed is that of the 304.
#[test]
fn a_confirmed_copy_is_as_old_as_its_confirmation() {
    let site = validation("etag: \"v\"", "etag: \"v\"\nage: 30");
    site.get().is("revalidated");
    let age = site.get().is("hit").age();
    assert!((30..60).contains(&age), "{age}");
}

/// A page with the fields `stored`, no longer fresh, at a site that answers a HEAD with `head`.
fn beside_head(stored: &str, head: &'static str) -> Site {
    let stored = format!("cache-control: max-age=60\nage: 100\n{stored}");
    let site = Site::new().serves(move |request| match request.method.as_str() {
        "HEAD" => reply(head, 1),
        _ if request.header("if-none-match").is_some() => Reply::status(304, "").fresh_for(60),
        _ => reply(&stored, request.nth),
    });
    site.get().is("200 stored");
    site
}

/// §4.3.5: "if the stored response and HEAD response have matching values for any received validator
/// fields ... the cache SHOULD update the stored response"
#[test]
fn a_head_freshens_the_stored_response() {
    let site = beside_head(
        "etag: \"v\"",
        "cache-control: max-age=60\netag: \"v\"\nx-new: yes\n\npage 1",
    );
    site.send("HEAD", "", "").is("200 fwd=method");
    site.get()
        .is("200 hit")
        .text("page 1")
        .origin(2)
        .field("x-new", "yes");
}

/// §4.3.5: "If a cache updates a stored response with the metadata provided in a HEAD response, the cache
/// MUST use the header fields provided in the HEAD response to update the stored response"
#[test]
fn every_field_of_a_head_updates_the_stored_one() {
    let site = beside_head(
        "etag: \"v\"\nx-a: old\nx-b: kept\ncontent-type: text/plain",
        "cache-control: max-age=60\netag: \"v\"\nx-a: new\ncontent-type: text/html\n\npage 1",
    );
    site.send("HEAD", "", "");
    let hit = site.get().is("200 hit").origin(2);
    hit.field("x-a", "new")
        .field("x-b", "kept")
        .field("content-type", "text/html");
}

/// §4.3.5: "otherwise, the cache SHOULD consider the stored response to be stale" (another validator)
#[test]
fn a_head_with_another_validator_makes_the_copy_stale() {
    let head = "cache-control: max-age=60\netag: \"w\"\n\npage 1";
    let site = Site::new().serves(move |request| match request.method.as_str() {
        "HEAD" => reply(head, 1),
        _ => reply("cache-control: max-age=60\netag: \"v\"", request.nth),
    });
    site.get().is("200 stored");
    // A HEAD that has to reach the origin, though the copy is fresh.
    site.send("HEAD", "", "cache-control: no-cache")
        .is("200 fwd=method");
    site.get().is("200 !hit").text("page 3");
}

/// §4.3.5: "if the HEAD response has a Content-Length header field, the value of Content-Length matches
/// that of the stored response"
#[test]
fn a_head_with_another_length_makes_the_copy_stale() {
    let head = "cache-control: max-age=60\netag: \"v\"\n\na longer page";
    let site = Site::new().serves(move |request| match request.method.as_str() {
        "HEAD" => reply(head, 1),
        _ => reply("cache-control: max-age=60\netag: \"v\"", request.nth),
    });
    site.get().is("200 stored");
    site.send("HEAD", "", "cache-control: no-cache")
        .is("200 fwd=method");
    site.get().is("200 !hit").text("page 3");
}

/// §4.3.5: only a 200 tells of the representation.
#[test]
fn a_head_that_fails_changes_nothing() {
    let site = Site::new().serves(|request| match request.method.as_str() {
        "HEAD" => Reply::status(403, "").fresh_for(60),
        _ => reply("cache-control: max-age=60\netag: \"v\"", request.nth),
    });
    site.get().is("200 stored");
    site.send("HEAD", "", "cache-control: no-cache").is("403");
    site.get().is("200 hit").text("page 1");
}

/// §4.3.5: a response to HEAD that may not be stored ends the life of the copy.
#[test]
fn a_head_that_forbids_storing_removes_the_copy() {
    let head = "cache-control: no-store\netag: \"v\"\n\npage 1";
    let site = Site::new().serves(move |request| match request.method.as_str() {
        "HEAD" => reply(head, 1),
        _ => reply("cache-control: max-age=60\netag: \"v\"", request.nth),
    });
    site.get().is("200 stored");
    site.send("HEAD", "", "cache-control: no-cache").is("200");
    site.get().is("200 fwd=uri-miss");
}
