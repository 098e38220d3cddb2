//! Request directives (RFC 9111 §5.2.1).

use crate::lab::Lab;
use crate::rig::Site;

/// A page that is stored and fresh for a while.
fn stored() -> Site {
    let site = Site::with("cache-control: max-age=600\nage: 100");
    site.get().is("stored");
    site
}

/// §5.2.1.1: "the client prefers a response whose age is less than or equal to the specified number of
/// seconds"
#[test]
fn max_age_limits_the_age() {
    let site = stored();
    site.ask("cache-control: max-age=1000").is("hit").origin(1);
    site.ask("cache-control: max-age=50")
        .is("fwd=request")
        .origin(2);
    let mut lab = Lab::with("cache-control: max-age=600\netag: \"v\"");
    assert_eq!(lab.ask(10, "cache-control: max-age=10"), "fresh");
    assert_eq!(lab.ask(11, "cache-control: max-age=10"), "validate");
    assert_eq!(lab.ask(1, "cache-control: max-age=0"), "validate");
}

/// §5.2.1.1: "Unless the max-stale request directive is also present, the client does not wish to
/// receive a stale response."
#[test]
fn max_age_forbids_stale_responses_without_max_stale() {
    let fields = "cache-control: max-age=60, stale-while-revalidate=600\netag: \"v\"";
    assert_eq!(
        Lab::with(fields).ask(100, "cache-control: max-age=1000"),
        "validate"
    );
    assert_eq!(
        Lab::with(fields).ask(100, "cache-control: max-age=1000, max-stale=100"),
        "stale-while-revalidate"
    );
}

/// §5.2.1.2: "the client is willing to accept a response that has exceeded its freshness lifetime by no
/// more than the specified number of seconds"
#[test]
fn max_stale_accepts_that_much() {
    let site = Site::with("cache-control: max-age=60\nage: 100");
    site.get().is("stored");
    site.ask("cache-control: max-stale=1000")
        .is("200 hit max-stale")
        .origin(1);
    site.ask("cache-control: max-stale=10")
        .is("200 !hit")
        .origin(2);
}

/// §5.2.1.2: "If no value is assigned to max-stale, then the client will accept a stale response of any
/// age."
#[test]
fn max_stale_alone_accepts_anything() {
    let mut lab = Lab::with("cache-control: max-age=60\netag: \"v\"");
    assert_eq!(lab.ask(1_000_000, "cache-control: max-stale"), "max-stale");
    assert_eq!(
        lab.ask(1_000_000, "cache-control: max-stale=junk"),
        "validate"
    );
}

/// §5.2.1.3: "the client wants a response that will still be fresh for at least the specified number of
/// seconds"
#[test]
fn min_fresh_wants_freshness_left() {
    let site = stored();
    site.ask("cache-control: min-fresh=100").is("hit").origin(1);
    site.ask("cache-control: min-fresh=550")
        .is("fwd=request")
        .origin(2);
    let mut lab = Lab::with("cache-control: max-age=60\netag: \"v\"");
    assert_eq!(lab.ask(50, "cache-control: min-fresh=10"), "fresh");
    assert_eq!(lab.ask(51, "cache-control: min-fresh=10"), "validate");
}

/// §5.2.1.4: "the client prefers a stored response not be used to satisfy the request without successful
/// validation on the origin server"
#[test]
fn no_cache_validates() {
    let site = Site::new().replies(&[
        "cache-control: max-age=60\netag: \"v\"",
        "304\ncache-control: max-age=60\netag: \"v\"",
    ]);
    site.get();
    site.ask("cache-control: no-cache")
        .is("200 fwd=request revalidated")
        .text("page 1")
        .origin(2);
    site.get().is("hit").origin(2);
}

/// §5.2.1.5: "a cache MUST NOT store any part of either this request or any response to it"
#[test]
fn no_store_keeps_nothing() {
    let site = Site::with("cache-control: max-age=60\netag: \"v\"");
    site.ask("cache-control: no-store")
        .is("200 !stored")
        .text("page 1");
    site.get().is("200 fwd=uri-miss stored").text("page 2");
}

/// §5.2.1.5: "if a request containing this directive is satisfied from a cache, the no-store request
/// directive does not apply to the already stored response"
#[test]
fn no_store_does_not_touch_what_is_stored() {
    let site = stored();
    site.ask("cache-control: no-store").is("hit");
    site.get().is("hit").origin(1);
}

/// §5.2.1.6: "the client is asking for intermediaries to avoid transforming the content"
#[test]
fn no_transform_is_nothing_new() {
    let site = Site::with(
        "cache-control: max-age=60\ncontent-type: text/plain\ncontent-encoding: gzip\n\nnot really gzip",
    );
    for _ in 0..2 {
        let got = site.ask("cache-control: no-transform\naccept-encoding: identity");
        got.text("not really gzip")
            .field("content-encoding", "gzip");
    }
    assert_eq!(site.seen(1).header("cache-control"), Some("no-transform"));
}

/// §5.2.1.7: "Caches that honor this request directive SHOULD, upon receiving it, respond with either a
/// stored response consistent with the other constraints of the request or a 504 (Gateway Timeout)
/// status code."
#[test]
fn only_if_cached_never_goes_forward() {
    let site = Site::with("cache-control: max-age=600\nage: 100");
    site.ask("cache-control: only-if-cached")
        .is("504")
        .origin(0);
    site.get();
    site.ask("cache-control: only-if-cached")
        .is("200 hit")
        .origin(1);
    site.ask("cache-control: only-if-cached, max-age=50")
        .is("504")
        .origin(1);
    let stale = Site::with("cache-control: max-age=60\nage: 100");
    stale.get();
    stale
        .ask("cache-control: only-if-cached")
        .is("504")
        .origin(1);
    stale
        .ask("cache-control: only-if-cached, max-stale")
        .is("200 hit")
        .origin(1);
}
