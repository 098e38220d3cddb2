//! Expectations (RFC 9110 §10.1.1).

use crate::rig::Site;

/// §10.1.1: "A server that responds with a final status code instead of reading the entire request content SHOULD
/// indicate whether it intends to close the connection"; "A server MAY omit sending a 100 (Continue) response": the
/// content of a GET is not wanted.
#[test]
fn a_request_that_expects_100_gets_its_final_answer_at_once() {
    let site = Site::with("cache-control: max-age=60");
    let text = site.raw(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n",
    );
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let text = text.to_ascii_lowercase();
    assert!(
        text.contains("connection: close") && !text.contains("100 continue"),
        "{text}"
    );
    assert!(text.ends_with("page 1"), "{text}");
}

/// §10.1.1: "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that expectation."
#[test]
fn an_old_request_s_expectation_is_ignored() {
    let site = Site::with("cache-control: max-age=60");
    let text = site.raw("GET {path} HTTP/1.0\r\nhost: {host}\r\nexpect: 100-continue\r\n\r\n");
    let first = text.lines().next().unwrap();
    assert!(
        first.ends_with("200 OK") && text.matches("HTTP/1.").count() == 1,
        "{text}"
    );
}

/// §10.1.1: "A client MUST NOT generate a 100-continue expectation in a request that does not include content": none
/// reaches the origin.
#[test]
fn an_expectation_is_not_forwarded() {
    let site = Site::with("cache-control: max-age=60");
    site.ask("expect: 100-continue").is("200");
    assert_eq!(site.seen(1).header("expect"), None);
}
