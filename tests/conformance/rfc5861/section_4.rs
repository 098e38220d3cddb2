//! stale-if-error (RFC 5861 §4).

use harness::origin::Reply;

use crate::lab::Lab;
use crate::rig::{Site, reply};

/// A page that is stale on arrival, at a site that answers every later request with `status`.
fn failing(directives: &str, status: u16) -> Site {
    let fields = format!("cache-control: max-age=60{directives}\nage: 100");
    let site = Site::new().serves(move |request| match (request.nth, status) {
        (1, _) => reply(&fields, 1),
        (_, 0) => Reply::raw(""),
        _ => Reply::status(status, "failure"),
    });
    site.get().is("200 stored");
    site
}

/// §4: "when an error is encountered, a cached stale response MAY be used to satisfy the request,
/// regardless of other freshness information"
#[test]
fn a_stale_response_is_used_on_an_error() {
    failing(", stale-if-error=600", 503)
        .get()
        .is("200 fwd=stale fwd-status=503")
        .text("page 1");
}

/// §4: "an error is any situation which would result in a 500, 502, 503 or 504 HTTP response status code
/// being returned"
#[test]
fn every_server_error_counts_and_so_does_silence() {
    for status in [500, 502, 503, 504, 0] {
        failing(", stale-if-error=600", status)
            .get()
            .is("200 fwd=stale")
            .text("page 1");
    }
    for status in [404, 403, 410, 401] {
        failing(", stale-if-error=600", status)
            .get()
            .is(&status.to_string());
    }
}

/// §4: "when the cached response is more stale than the indicated amount, the cached response SHOULD NOT be
/// used to satisfy the request, absent other information"
#[test]
fn past_its_limit_the_error_shows() {
    failing(", stale-if-error=10", 503)
        .get()
        .is("503")
        .text("failure");
    let lab = Lab::with("cache-control: max-age=600, stale-if-error=1200");
    assert!(lab.stands_in(1_800, ""));
    assert!(!lab.stands_in(1_801, ""));
}

/// §4: "When used as a request Cache-Control extension, its scope of application is the request it appears
/// in"
#[test]
fn a_request_may_widen_the_limit_for_itself() {
    let site = failing(", stale-if-error=10", 503);
    site.ask("cache-control: stale-if-error=600")
        .is("200 fwd=stale")
        .text("page 1");
    site.get().is("503");
}

/// §4: "stale cached responses that are used SHOULD still be visibly stale when sent (i.e., have a non-zero
/// Age header ...)"
#[test]
fn what_stands_in_is_visibly_stale() {
    let site = failing(", stale-if-error=600", 500);
    let got = site.get().is("200");
    assert!(
        got.age() >= 100 && got.cache().contains("ttl=-"),
        "{}",
        got.cache()
    );
}

/// §4: an s-maxage beside it does not void it: the origin has said what it means.
#[test]
fn it_holds_beside_s_maxage_and_not_beside_must_revalidate() {
    failing(", s-maxage=60, stale-if-error=600", 503)
        .get()
        .is("200 fwd=stale");
    failing(", must-revalidate, stale-if-error=600", 503)
        .get()
        .is("503");
}
