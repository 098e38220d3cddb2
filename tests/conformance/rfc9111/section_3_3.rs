//! Incomplete responses: never used, completed and combined (RFC 9111 §3.3, §3.4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::origin::{Reply, Request};

use crate::rig::{Site, reply};

/// §3.3: "A cache MUST NOT use an incomplete response to answer requests unless the response has been
/// made complete"
#[test]
fn a_body_that_broke_off_is_never_reused() {
    for chunked in [false, true] {
        let mended = Arc::new(AtomicBool::new(false));
        let is_mended = Arc::clone(&mended);
        let site = Site::new().serves(move |_| {
            let reply = Reply::page("0123456789").fresh_for(60);
            let reply = if chunked { reply.chunked() } else { reply };
            if is_mended.load(Ordering::SeqCst) {
                reply
            } else {
                reply.cut_after(5)
            }
        });
        let first = site.get();
        assert!(first.answer.broken.is_some(), "a visible break");
        let asked = site.count();
        mended.store(true, Ordering::SeqCst);
        let second = site.get().is("200 stored !hit");
        second.text("0123456789").origin(asked + 1);
    }
}

/// §3.3: "A cache MAY complete a stored incomplete response by making a subsequent range request and
/// combining the successful response with the stored response"
#[test]
fn a_body_that_broke_off_is_completed_by_a_range_request() {
    let site = Site::new().serves(|request| {
        let reply = Reply::pattern(400_000)
            .fresh_for(60)
            .ranged_by("\"v\"", request);
        if request.nth == 1 {
            reply.cut_after(100_000)
        } else {
            reply
        }
    });
    let whole = harness::pattern::whole(0..400_000);
    for expected in ["200 stored", "200 hit"] {
        let got = site.get().is(expected).origin(2);
        assert_eq!(got.answer.broken, None);
        assert_eq!(got.answer.body, whole);
    }
    let resumed = site.seen(2);
    assert_eq!(resumed.header("range"), Some("bytes=100000-"));
    assert_eq!(resumed.header("if-range"), Some("\"v\""));
}

/// A site of 400,000 bytes whose origin goes away after the first 100,000 and comes back later.
fn broken_off(make: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Site {
    let site = Site::new().serves(move |request| {
        let reply = make(request);
        match request.nth {
            1 => reply.cut_after(100_000),
            // The same fetch asks once more.
            2 => reply.cut_after(0),
            _ => reply,
        }
    });
    let first = site.get().origin(2).answer;
    assert!(first.broken.is_some(), "a visible break");
    assert!(harness::pattern::matches(0, &first.body));
    site
}

/// §3.3: "A cache MUST NOT use an incomplete response to answer requests unless the response has been made complete":
/// by a later request, for the rest alone.
#[test]
fn an_incomplete_response_is_completed_by_the_next_request() {
    let site = broken_off(|request| {
        Reply::pattern(400_000)
            .fresh_for(60)
            .ranged_by("\"v\"", request)
            .header("x-nth", &request.nth.to_string())
    });
    let whole = harness::pattern::whole(0..400_000);
    let got = site.get().origin(3);
    let got = got.is("200 fwd=partial fwd-status=206 stored completed");
    assert_eq!((&got.answer.body, &got.answer.broken), (&whole, &None));
    let rest = site.seen(3);
    assert_eq!(rest.header("range"), Some("bytes=100000-"));
    assert_eq!(rest.header("if-range"), Some("\"v\""));
    assert_eq!(site.get().is("200 hit").origin(3).answer.body, whole);
}

/// §3.3: "A cache MUST NOT send a partial response to a client without explicitly marking it": a part is asked of what
/// is incomplete, and is cut from the whole.
#[test]
fn a_range_of_an_incomplete_response_is_of_the_whole() {
    let site = broken_off(|request| {
        Reply::pattern(400_000)
            .fresh_for(60)
            .ranged_by("\"v\"", request)
    });
    let got = site.ask("range: bytes=99990-100009").is("206 fwd=partial");
    let got = got.field("content-range", "bytes 99990-100009/400000");
    assert!(harness::pattern::matches(99_990, &got.answer.body));
    assert_eq!(got.answer.body.len(), 20);
    assert_eq!(site.seen(3).header("range"), Some("bytes=100000-"));
    // The part was had before the rest was here, and a fetch less than half done does not go on for
    // nobody: a hit, the same fetch, or one that goes on from where that was left.
    let whole = harness::pattern::whole(0..400_000);
    assert_eq!(site.get().answer.body, whole);
    for nth in 4..=site.count() {
        let range = site.seen(nth).header("range").map(str::to_owned);
        let from = range.and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse()
                .ok()
        });
        assert!(
            from.is_some_and(|from: u64| from >= 100_000),
            "request {nth} begins anew"
        );
    }
}

/// §3.3: what is incomplete is newer than the copy it was to replace: it is completed, and the copy not asked about. To
/// a HEAD it is nothing.
#[test]
fn an_incomplete_response_comes_before_the_stale_copy_it_replaces() {
    let site = Site::new().serves(|request| {
        let new = Reply::pattern(400_000)
            .fresh_for(60)
            .ranged_by("\"v2\"", request);
        match request.nth {
            1 => reply("cache-control: max-age=60\nage: 100\netag: \"v1\"", 1),
            2 => new.cut_after(100_000),
            3 => new.cut_after(0),
            _ => new,
        }
    });
    site.get().is("200 stored").text("page 1");
    assert!(site.get().origin(3).answer.broken.is_some());
    assert_eq!(site.seen(2).header("if-none-match"), Some("\"v1\""));
    let head = site.send("HEAD", "", "").is("200 fwd=method").origin(4);
    head.field("content-length", "400000");
    assert_eq!(site.seen(4).header("range"), None);
    site.get().is("200 fwd=partial stored").origin(5);
    assert_eq!(site.seen(5).header("if-none-match"), None);
    assert_eq!(site.seen(5).header("if-range"), Some("\"v2\""));
    site.get().is("200 hit");
}

/// §3.3: "A cache MAY complete a stored incomplete response by making a subsequent range request": an origin that fails meanwhile costs nothing, one that knows no such
/// range is asked for the whole.
#[test]
fn an_incomplete_response_waits_for_its_origin() {
    let site = broken_off(|request| match request.nth {
        3 => Reply::status(503, "later"),
        _ => Reply::pattern(400_000)
            .fresh_for(60)
            .ranged_by("\"v\"", request),
    });
    site.get().is("503");
    site.get().is("200 fwd=partial").origin(4);
    let site = broken_off(|request| match request.header("range") {
        Some(_) if request.nth > 2 => Reply::status(416, ""),
        _ => Reply::pattern(400_000)
            .fresh_for(60)
            .header("etag", "\"v\""),
    });
    let got = site.get().is("200 fwd=uri-miss stored").origin(4);
    assert_eq!(got.answer.body.len(), 400_000);
    assert_eq!(site.seen(4).header("range"), None);
}

/// §3.4: "the cache MUST update the stored response header fields using the header fields provided in the new response,
/// aside from Content-Range, as per Section 3.2"
#[test]
fn a_part_that_completes_updates_the_fields() {
    let site = broken_off(|request| {
        Reply::pattern(400_000)
            .fresh_for(60)
            .ranged_by("\"v\"", request)
            .header("x-nth", &request.nth.to_string())
    });
    for expected in ["200 completed", "200 hit"] {
        let got = site.get().is(expected).field("x-nth", "3");
        got.field("content-range", "")
            .field("content-length", "400000");
    }
}

/// §3.4: "if they all share the same strong validator": the rest of another version is never joined on, whether the
/// origin says so by a 200 or by the part's validator.
#[test]
fn an_incomplete_response_of_an_old_version_is_fetched_anew() {
    for heeds_if_range in [true, false] {
        let site = broken_off(move |request| {
            let reply = Reply::pattern(400_000).fresh_for(60);
            if request.nth < 3 {
                return reply.header("etag", "\"v1\"");
            }
            match request.header("range") {
                Some(_) if !heeds_if_range => Reply::status(206, "different")
                    .header("content-range", "bytes 100000-399999/400000")
                    .header("etag", "\"v2\""),
                _ => Reply::page("all new").header("etag", "\"v2\""),
            }
        });
        let asked = if heeds_if_range { 3 } else { 4 };
        site.get()
            .is("200 fwd=uri-miss")
            .text("all new")
            .origin(asked);
    }
}

/// §3.4: without a strong validator nothing proves that parts belong together.
#[test]
fn an_incomplete_response_without_a_strong_validator_is_not_kept() {
    for etag in ["W/\"v\"", ""] {
        let site = broken_off(move |_| Reply::pattern(400_000).fresh_for(60).header("etag", etag));
        let got = site.get().is("200 fwd=uri-miss stored").origin(3);
        assert_eq!(got.answer.body, harness::pattern::whole(0..400_000));
        assert_eq!(site.seen(3).header("range"), None);
    }
}

/// §3.3: "A cache MUST NOT send a partial response to a client without explicitly marking it using
/// the 206 (Partial Content) status code."
#[test]
fn a_part_is_marked_as_one() {
    let site = Site::with("cache-control: max-age=60");
    site.ask("range: bytes=0-3").is("206").text("page");
    site.ask("range: bytes=0-3")
        .is("206 hit")
        .text("page")
        .field("content-range", "bytes 0-3/6");
    site.get().is("200 hit").text("page 1");
}

/// §3.4: "A cache MAY combine these ranges into a single stored response ... if they all share the
/// same strong validator"
#[test]
fn parts_with_another_validator_are_not_combined() {
    let site = Site::new().serves(|request| {
        let etag = format!("\"v{}\"", request.nth);
        let reply = Reply::pattern(400_000).fresh_for(60);
        // It ignores If-Range, as some servers do.
        let asked = request.header("range").is_some();
        let reply = if asked {
            reply.ranged_by("\"v1\"", request)
        } else {
            reply.header("etag", "\"v1\"")
        };
        match request.nth {
            1 => reply.cut_after(100_000),
            _ if asked => {
                let mut other = Reply::status(206, "different");
                other = other.header("content-range", "bytes 100000-100008/400000");
                other.header("etag", &etag)
            }
            _ => reply,
        }
    });
    let first = site.get();
    assert!(
        first.answer.broken.is_some(),
        "a visible break, not a mixture"
    );
    assert!(harness::pattern::matches(0, &first.answer.body));
}
