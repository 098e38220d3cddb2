//! stale-while-revalidate (RFC 5861 §3).

use crate::lab::Lab;
use crate::rig::Site;

/// §3: "caches MAY serve the response it appears in after it becomes stale, up to the indicated number of
/// seconds"
#[test]
fn a_stale_response_is_served_within_the_window() {
    let mut lab = Lab::with("cache-control: max-age=60, stale-while-revalidate=30\netag: \"v\"");
    for (second, expected) in [
        (59, "fresh"),
        (61, "stale-while-revalidate"),
        (90, "stale-while-revalidate"),
        (91, "validate"),
    ] {
        assert_eq!(lab.ask(second, ""), expected, "{second}");
    }
}

/// §3: "the cache SHOULD attempt to revalidate it while still serving stale responses (i.e., without
/// blocking)"
#[test]
fn it_is_validated_in_the_background() {
    let site = Site::new().replies(&[
        "cache-control: max-age=60, stale-while-revalidate=600\nage: 100\netag: \"v\"",
        "cache-control: max-age=60\netag: \"w\"",
    ]);
    site.get();
    site.get()
        .is("200 hit stale-while-revalidate")
        .text("page 1");
    site.until_asked(2);
    assert_eq!(site.seen(2).header("if-none-match"), Some("\"v\""));
    site.settle();
    site.get().is("200 hit").text("page 2").origin(2);
}

/// §3: "\"stale\" implies that the response will have a non-zero Age header"
#[test]
fn what_is_stale_shows_its_age() {
    let site = Site::with("cache-control: max-age=60, stale-while-revalidate=600\nage: 100");
    site.get();
    let stale = site.get().is("hit");
    assert!(
        stale.age() >= 100 && stale.cache().contains("ttl=-4"),
        "{}",
        stale.cache()
    );
}

/// §3: "If delta-seconds passes without the cached entity being revalidated, it SHOULD NOT continue to be
/// served stale, absent other information."
#[test]
fn after_the_window_a_request_waits_for_validation() {
    let site = Site::new().replies(&[
        "cache-control: max-age=60, stale-while-revalidate=10\nage: 100",
        "cache-control: max-age=60",
    ]);
    site.get();
    site.get().is("200 fwd=stale").text("page 2").origin(2);
}

/// §3: a value that is no number of seconds gives no window.
#[test]
fn an_unreadable_window_is_none() {
    for value in ["", "=junk", "=-5", "=1.5"] {
        let fields =
            format!("cache-control: max-age=60, stale-while-revalidate{value}\netag: \"v\"");
        assert_eq!(Lab::with(&fields).ask(62, ""), "validate", "{value}");
    }
}
