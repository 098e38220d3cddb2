//! The CDN-Loop request header field (RFC 8586 §2).

use crate::rig::Site;

/// §2: "Conforming Content Delivery Networks SHOULD add a cdn-info to this header field in all requests they
/// generate or forward (creating the header field if necessary)."
#[test]
fn every_request_to_an_origin_names_this_cdn() {
    let site = Site::with("cache-control: no-cache\netag: \"v\"");
    site.get();
    site.get();
    site.send("HEAD", "", "");
    for nth in 1..=3 {
        assert_eq!(
            site.seen(nth).header("cdn-loop"),
            Some("nyud.test; node=node11")
        );
    }
}

/// §2: "The effectiveness of this mechanism relies on all intermediaries preserving the header field"
#[test]
fn members_of_other_cdns_are_kept() {
    let site = Site::with("cache-control: max-age=60");
    site.ask("cdn-loop: foo123.foocdn.example, barcdn.example; trace=\"abcdef\"\ncdn-loop: AnotherCDN; abc=123; def=\"456\"");
    let lines: Vec<_> = site
        .seen(1)
        .headers
        .into_iter()
        .filter(|(name, _)| name == "cdn-loop")
        .collect();
    let values: Vec<_> = lines.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(
        values.join(", "),
        "foo123.foocdn.example, barcdn.example; trace=\"abcdef\", AnotherCDN; abc=123; def=\"456\", \
         nyud.test; node=node11"
    );
}

/// §2: "to help a Content Delivery Network identify when an incoming request has already passed through that
/// CDN's servers to detect loops"
#[test]
fn a_request_that_was_here_before_is_refused() {
    let site = Site::with("cache-control: max-age=60");
    for field in [
        "cdn-loop: nyud.test; node=node11",
        "cdn-loop: other, NYUD.test;node=\"node11\"",
        "cdn-loop: nyud.test\ncdn-loop: nyud.test\ncdn-loop: nyud.test",
    ] {
        let refused = site.ask(field).is("508").origin(0).answer;
        assert!(
            refused
                .field("proxy-status")
                .contains("proxy_loop_detected")
        );
    }
}

/// §3: "its contents cannot be trusted": a member that looks like ours once, through another node, is no loop.
#[test]
fn one_other_node_of_this_cdn_is_no_loop() {
    let site = Site::with("cache-control: max-age=60");
    site.ask("cdn-loop: nyud.test; node=other").is("200");
    site.ask("cdn-loop: x.nyud.test, nyud.testing, \"nyud.test\"")
        .is("200");
}

/// §3: "its contents cannot be trusted": junk makes no difference to what is served.
#[test]
fn junk_is_no_loop() {
    let site = Site::with("cache-control: max-age=60");
    site.ask("cdn-loop: ;;;,,,=\"").is("200").text("page 1");
    let many = vec!["other"; 30].join(", ");
    let endless = Site::with("cache-control: max-age=60");
    endless
        .ask(&format!("cdn-loop: {many}"))
        .is("508")
        .origin(0);
}
