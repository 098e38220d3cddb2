//! Parsing of messages and fields (RFC 9112 §2, §3, §5, §6.1).

use harness::origin::Reply;

use crate::rig::Site;

/// What a request with these lines after its first one is answered: the status line.
fn answered(site: &Site, line: &str, fields: &str) -> String {
    let text = site.raw(&format!("{line}\r\n{fields}connection: close\r\n\r\n"));
    text.lines().next().unwrap_or_default().to_owned()
}

const GET: &str = "GET {path} HTTP/1.1";
const HOST: &str = "host: {host}\r\n";

/// §2.2: "In the interest of robustness, a server that is expecting to receive and parse a request-line SHOULD ignore
/// at least one empty line (CRLF) received prior to the request-line."
#[test]
fn empty_lines_before_a_request_are_ignored() {
    let site = Site::with("cache-control: max-age=60");
    let line = answered(&site, &format!("\r\n{GET}"), HOST);
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
}

/// §2.2: "a recipient MAY recognize a single LF as a line terminator and ignore any preceding CR."
#[test]
fn a_lone_lf_ends_a_line() {
    let site = Site::with("cache-control: max-age=60");
    let text = site.raw("GET {path} HTTP/1.1\nhost: {host}\nconnection: close\n\n");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

/// §2.2: "A recipient of such a bare CR MUST consider that element to be invalid or replace each bare CR with SP before
/// processing the element or forwarding the message."
#[test]
fn a_bare_cr_is_invalid() {
    let site = Site::with("cache-control: max-age=60");
    let line = answered(&site, GET, "host: {host}\r\nx: a\rb: c\r\n");
    assert!(line.starts_with("HTTP/1.1 400"), "{line}");
    assert_eq!(site.count(), 0);
    let site = Site::new().serves(|_| {
        Reply::raw("HTTP/1.1 200 OK\r\nx: a\rset-cookie: b\r\ncontent-length: 4\r\n\r\npage")
    });
    let got = site.get();
    assert!(!got.answer.field("x").contains('\r'));
    got.field("set-cookie", "");
}

/// §2.2: "A recipient that receives whitespace between the start-line and the first header field MUST either reject the
/// message as invalid or consume each whitespace-preceded line without further processing of it"
#[test]
fn white_space_before_the_first_field_is_invalid() {
    let site = Site::with("cache-control: max-age=60");
    let line = answered(&site, GET, " x: y\r\nhost: {host}\r\n");
    assert!(line.starts_with("HTTP/1.1 400"), "{line}");
    assert_eq!(site.count(), 0);
}

/// §3: "Recipients of an invalid request-line SHOULD respond with either a 400 (Bad Request) error or a 301 (Moved
/// Permanently) redirect with the request-target properly encoded."
#[test]
fn an_invalid_request_line_is_refused() {
    let site = Site::with("cache-control: max-age=60");
    for line in [
        "GET {path} x HTTP/1.1",
        "GET  {path} HTTP/1.1",
        "GET {path}",
        "G@T {path} HTTP/1.1",
        "GET {path} http/1.1",
    ] {
        let answer = answered(&site, line, HOST);
        assert!(answer.starts_with("HTTP/1.1 400"), "{line}: {answer}");
    }
    assert_eq!(site.count(), 0);
}

/// §2.3: "A server can send a 505 (HTTP Version Not Supported) response if it wishes, for any reason, to refuse service
/// of the client's major protocol version."
#[test]
fn another_major_version_is_a_505() {
    let site = Site::with("cache-control: max-age=60");
    for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/3.0"] {
        let line = answered(&site, &format!("GET {{path}} {version}"), HOST);
        assert!(line.starts_with("HTTP/1.1 505"), "{version}: {line}");
    }
}

/// §3: "A server that receives a request-target longer than any URI it wishes to parse MUST respond with a 414 (URI Too
/// Long) status code." "It is RECOMMENDED that all HTTP senders and recipients support, at a minimum, request-line
/// lengths of 8000 octets."
#[test]
fn a_target_of_8000_octets_is_served_and_a_longer_one_is_a_414() {
    let site = Site::with("cache-control: max-age=60");
    let line = |length| format!("GET {{path}}?{} HTTP/1.1", "x".repeat(length));
    let answer = answered(&site, &line(7_950), HOST);
    assert!(
        answer.starts_with("HTTP/1.1 404"),
        "it reached the site: {answer}"
    );
    let answer = answered(&site, &line(9_000), HOST);
    assert!(answer.starts_with("HTTP/1.1 414"), "{answer}");
}

/// §5.1: "A server MUST reject, with a response status code of 400 (Bad Request), any received request message that
/// contains whitespace between a header field name and colon. A proxy MUST remove any such whitespace from a response
/// message before forwarding the message downstream."
#[test]
fn white_space_before_a_colon_is_refused_here_and_removed_there() {
    let site = Site::with("cache-control: max-age=60");
    let line = answered(&site, GET, "host: {host}\r\nx : y\r\n");
    assert!(line.starts_with("HTTP/1.1 400"), "{line}");
    let site = Site::new()
        .serves(|_| Reply::raw("HTTP/1.1 200 OK\r\nx-a : y\r\ncontent-length: 4\r\n\r\npage"));
    site.get().is("200").field("x-a", "y").text("page");
}

/// §5.2: "A server that receives an obs-fold in a request message ... MUST either reject the message by sending a 400
/// (Bad Request) ... or replace each received obs-fold with one or more SP octets". "A proxy or gateway that receives an
/// obs-fold in a response message ... MUST either discard the message and replace it with a 502 ... or replace".
#[test]
fn folded_lines_are_refused_here_and_unfolded_there() {
    let site = Site::with("cache-control: max-age=60");
    let line = answered(&site, GET, "host: {host}\r\nx: a\r\n b\r\n");
    assert!(line.starts_with("HTTP/1.1 400"), "{line}");
    let site = Site::new().serves(|_| {
        Reply::raw("HTTP/1.1 200 OK\r\nx-a: a\r\n  b\r\ncontent-length: 4\r\n\r\npage")
    });
    let got = site.get().is("200").text("page");
    let unfolded: Vec<_> = got
        .answer
        .field("x-a")
        .split(' ')
        .map(str::to_owned)
        .collect();
    assert_eq!(
        (unfolded.first().unwrap(), unfolded.last().unwrap()),
        (&"a".to_owned(), &"b".to_owned())
    );
}

/// §6.1: "A server that receives a request message with a transfer coding it does not understand SHOULD respond with
/// 501", and §6.3: "If a Transfer-Encoding header field is present in a request and the chunked transfer coding is not
/// the final encoding, the message body length cannot be determined reliably; the server MUST respond with the 400 (Bad
/// Request) status code and then close the connection."
#[test]
fn a_coding_that_is_not_chunked_is_refused_and_the_connection_closed() {
    let site = Site::with("cache-control: max-age=60");
    for coding in [
        "gzip",
        "chunked, gzip",
        "gzip, chunked",
        "x",
        "chunked, chunked",
    ] {
        let next = "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n";
        let text = site.raw(&format!(
            "{GET}\r\n{HOST}transfer-encoding: {coding}\r\n\r\n0\r\n\r\n{next}"
        ));
        assert!(text.starts_with("HTTP/1.1 400"), "{coding}: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{coding}: {text}");
    }
    assert_eq!(site.count(), 0);
}

/// §6.1: "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding header field MUST treat the
/// message as if the framing is faulty, even if a Content-Length is present, and close the connection after processing
/// the message."
#[test]
fn a_coding_in_an_old_request_is_a_fault() {
    let site = Site::with("cache-control: max-age=60");
    let text = site.raw(
        "GET {path} HTTP/1.0\r\nhost: {host}\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    assert!(
        text.starts_with("HTTP/1.1 400") || text.starts_with("HTTP/1.0 400"),
        "{text}"
    );
}
