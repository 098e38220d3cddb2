//! The immutable extension (RFC 8246 §2).

use crate::lab::Lab;
use crate::rig::Site;

/// §2: "Clients SHOULD NOT issue a conditional request during the response's freshness lifetime (e.g., upon a
/// reload) unless explicitly overridden by the user": a reload (max-age=0) is answered from the cache.
#[test]
fn a_reload_of_an_immutable_response_is_not_forwarded() {
    let site = Site::with("cache-control: max-age=600, immutable");
    site.get();
    site.ask("cache-control: max-age=0").is("hit").origin(1);
    let other = Site::with("cache-control: max-age=600");
    other.get();
    other
        .ask("cache-control: max-age=0")
        .is("fwd=request")
        .origin(2);
}

/// §2.1: "proxies SHOULD skip conditionally revalidating fresh responses containing the immutable extension
/// unless there is a signal from the client that a validation is necessary (e.g., a no-cache Cache-Control
/// request directive ...)"
#[test]
fn a_forced_reload_is_forwarded() {
    let site = Site::with("cache-control: max-age=600, immutable");
    site.get();
    site.ask("cache-control: no-cache")
        .is("fwd=request")
        .origin(2);
    site.ask("pragma: no-cache").is("fwd=request").origin(3);
}

/// §2: "The immutable extension only applies during the freshness lifetime of the stored response. Stale
/// responses SHOULD be revalidated as they normally would be in the absence of the immutable extension."
#[test]
fn a_stale_immutable_response_is_validated() {
    let mut lab = Lab::with("cache-control: max-age=60, immutable\netag: \"v\"");
    assert_eq!(lab.ask(59, "cache-control: max-age=0"), "fresh");
    assert_eq!(lab.ask(60, "cache-control: max-age=0"), "validate");
    assert_eq!(lab.ask(60, ""), "validate");
}

/// §2: "The immutable extension takes no arguments. If any arguments are present, they have no meaning and
/// MUST be ignored."
#[test]
fn an_argument_means_nothing() {
    for argument in ["=5", "=\"no-store\"", "=?0", "=", "=\"x"] {
        let fields = format!("cache-control: max-age=60, immutable{argument}\netag: \"v\"");
        let fresh = Lab::with(&fields).ask(30, "cache-control: max-age=0");
        assert_eq!(fresh, "fresh", "{argument}");
    }
}

/// §2: "Multiple instances of the immutable extension are equivalent to one instance."
#[test]
fn repetition_means_nothing() {
    let mut lab = Lab::with("cache-control: immutable, max-age=60, immutable, IMMUTABLE");
    assert_eq!(lab.ask(59, "cache-control: max-age=0"), "fresh");
}

/// §2: "The presence of an immutable Cache-Control extension in a request has no effect."
#[test]
fn in_a_request_it_means_nothing() {
    let mut lab = Lab::with("cache-control: max-age=60\netag: \"v\"");
    assert_eq!(
        lab.ask(30, "cache-control: immutable, max-age=0"),
        "validate"
    );
    assert_eq!(lab.ask(30, "cache-control: immutable"), "fresh");
}
