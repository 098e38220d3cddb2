//! Serving stale responses (RFC 9111 §4.2.4).

use harness::origin::Reply;

use crate::lab::Lab;
use crate::rig::Site;

/// A page that is stale on arrival, with these directives, at a site that fails after the first time.
fn failing(directives: &str, failure: &'static str) -> Site {
    let fields = format!("cache-control: max-age=60{directives}\nage: 100\netag: \"v\"");
    let site = Site::new().serves(move |request| match (request.nth, failure) {
        (1, _) => crate::rig::reply(&fields, 1),
        (_, "") => Reply::raw(""),
        (_, status) => Reply::status(status.parse().unwrap(), "failure"),
    });
    site.get().is("200 stored");
    site
}

/// §4.2.4: "A cache MUST NOT generate a stale response if it is prohibited by an explicit in-protocol
/// directive (e.g., by a no-cache response directive, a must-revalidate response directive, or an
/// applicable s-maxage or proxy-revalidate response directive)"
#[test]
fn a_stale_response_that_may_not_be_used_is_not() {
    for directive in [
        ", must-revalidate",
        ", proxy-revalidate",
        ", s-maxage=60",
        ", no-cache",
    ] {
        failing(directive, "503").get().is("503");
        failing(directive, "").get().is("502");
        let accepted = failing(directive, "")
            .ask("cache-control: max-stale")
            .answer
            .status;
        assert_eq!(accepted, 502, "{directive}");
    }
}

/// §4.2.4: "A cache MUST NOT generate a stale response unless it is disconnected or doing so is
/// explicitly permitted by the client or origin server"
#[test]
fn a_stale_response_is_not_used_while_the_origin_answers() {
    let mut lab = Lab::with("cache-control: max-age=60\netag: \"v\"");
    assert_eq!(lab.ask(61, ""), "validate");
    let site = Site::new().replies(&[
        "cache-control: max-age=60\nage: 100",
        "cache-control: max-age=60",
    ]);
    site.get().text("page 1");
    site.get().is("200 fwd=stale").text("page 2");
}

/// §4.2.4: a cache that is disconnected may serve stale responses.
#[test]
fn a_stale_response_stands_in_for_an_origin_that_does_not_answer() {
    let stale = failing("", "")
        .get()
        .is("200 fwd=stale broken")
        .text("page 1")
        .age();
    assert!(stale >= 100);
}

/// §4.2.4: 404 and 410 are the owner's word and no failure.
#[test]
fn what_is_gone_is_gone() {
    for status in ["404", "410"] {
        failing("", status).get().is(status);
    }
}

/// §4.2.4: "(e.g., by the max-stale request directive ...)"
#[test]
fn a_client_may_accept_a_stale_response() {
    let mut lab = Lab::with("cache-control: max-age=60\netag: \"v\"");
    assert_eq!(lab.ask(100, "cache-control: max-stale"), "max-stale");
    assert_eq!(lab.ask(100, "cache-control: max-stale=40"), "max-stale");
    assert_eq!(lab.ask(101, "cache-control: max-stale=40"), "validate");
}

/// §4.2.4: "configuration in accordance with an out-of-band contract": a day at most.
#[test]
fn a_copy_stands_in_for_a_day_and_no_longer() {
    let lab = Lab::with("cache-control: max-age=60\netag: \"v\"");
    let day = 24 * 3_600;
    assert!(lab.stands_in(60 + day, ""));
    assert!(!lab.stands_in(61 + day, ""));
}

/// §4.2.4: a HEAD gets the copy as well.
#[test]
fn a_stale_response_stands_in_for_a_head_too() {
    failing("", "")
        .send("HEAD", "", "")
        .is("200 fwd=method broken");
    failing(", must-revalidate", "")
        .send("HEAD", "", "")
        .is("502");
}
