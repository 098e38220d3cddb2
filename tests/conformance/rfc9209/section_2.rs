//! Proxy-Status (RFC 9209 §2).

use harness::client::{Ask, Page};
use harness::origin::{Reply, ZONE};

use crate::rig::Site;

/// The Proxy-Status of an answer that the proxy made, and its status.
fn failing(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (u16, String) {
    let site = Site::new().serves(move |_| reply());
    let answer = site.get().answer;
    (answer.status, answer.field("proxy-status"))
}

/// §2: "Each member of the List identifies the intermediary that inserted the value and MUST have a type of
/// either String or Token."
#[test]
fn we_are_named_by_a_token() {
    let (_, status) = failing(|| Reply::raw(""));
    assert!(status.starts_with("node11.nyud.test; error="), "{status}");
}

/// §2: "When adding a value to the Proxy-Status field, intermediaries SHOULD preserve the existing members of
/// the field": of an answer that is passed on, they are passed on.
#[test]
fn members_of_others_are_passed_on() {
    let site =
        Site::new().replies(&["502\nproxy-status: r34.example.net; error=http_request_error"]);
    site.get()
        .is("502")
        .field("proxy-status", "r34.example.net; error=http_request_error");
}

/// §2: what one request met is not told to the next one.
#[test]
fn members_of_others_are_not_kept() {
    let site = Site::with("cache-control: max-age=60\nproxy-status: other");
    site.get();
    site.get().is("hit").field("proxy-status", "");
}

/// §2: "Origin servers MUST NOT generate the Proxy-Status field", and a success has nothing to report.
#[test]
fn an_answer_that_went_well_has_none() {
    let site = Site::with("cache-control: max-age=60");
    site.get().is("200").field("proxy-status", "");
    site.get().is("hit").field("proxy-status", "");
}

/// §2.1.1: "When sending the error parameter, the most specific proxy error type SHOULD be sent, provided that
/// it accurately represents the error condition."
#[test]
fn the_error_is_the_most_specific_one() {
    for (reply, error) in [
        (Reply::raw(""), "connection_terminated"),
        (
            Reply::raw("junk that is no HTTP\r\n\r\n"),
            "http_protocol_error",
        ),
        (Reply::status(304, ""), "http_protocol_error"),
    ] {
        let (status, field) = failing(move || reply.clone());
        assert_eq!(status, 502);
        assert!(field.contains(&format!("error={error};")), "{field}");
    }
}

/// §2.1.1: "When generating an HTTP response containing the error, its HTTP status code SHOULD be set to the
/// recommended HTTP status code."
#[test]
fn the_status_is_the_recommended_one() {
    let site = Site::with("cache-control: max-age=60");
    let ask = |host: &str| site.run(Ask::of(site.proxy(), &Page::new(host, "/")).fetch());
    for (host, status, error) in [
        (format!("www.nowhere.com.{ZONE}"), 502, "dns_error"),
        (format!("a..b.{ZONE}"), 400, "http_request_error"),
        (
            format!("www.site0.com.22.{ZONE}"),
            403,
            "http_request_denied",
        ),
        (
            format!("www.site0.com.1.{ZONE}"),
            403,
            "http_request_denied",
        ),
    ] {
        let answer = ask(&host);
        let field = answer.field("proxy-status");
        assert_eq!(answer.status, status, "{host} {field}");
        assert!(field.contains(&format!("error={error};")), "{host} {field}");
    }
}

/// §2.1.2: "identifies the intermediary or origin server selected (and used, if contacted) to obtain this
/// response"
#[test]
fn next_hop_is_the_origin() {
    let site = Site::new().serves(|_| Reply::raw(""));
    let field = site.get().answer.field("proxy-status");
    let host = site.page("").host;
    let origin = host.strip_suffix(&format!(".{ZONE}")).unwrap();
    let (name, port) = origin.rsplit_once('.').unwrap();
    assert!(
        field.contains(&format!("next-hop={name}:{port};")),
        "{field}"
    );
}

/// §2.1.5: "additional information not captured anywhere else"
#[test]
fn details_name_our_own_reason() {
    let site = Site::with("cache-control: max-age=60");
    let refused = site.send("POST", "", "").answer;
    assert!(
        refused
            .field("proxy-status")
            .ends_with("details=\"method\"")
    );
    let looping = site.ask("cdn-loop: nyud.test; node=node11").answer;
    assert!(
        looping
            .field("proxy-status")
            .contains("error=proxy_loop_detected")
    );
}
