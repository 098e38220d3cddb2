//! Message bodies and incomplete messages (RFC 9112 §3.2, §6, §7, §8, §9.3).

use harness::origin::Reply;

use crate::rig::Site;

/// §3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host
/// header field and to any request message that contains more than one Host header field line or a Host header field
/// with an invalid field value."
#[test]
fn host_has_to_be_there_once() {
    let site = Site::with("cache-control: max-age=60");
    for head in ["", "host: {host}\r\nhost: {host}\r\n", "host: a b\r\n"] {
        let text = site.raw(&format!(
            "GET {{path}} HTTP/1.1\r\n{head}connection: close\r\n\r\n"
        ));
        assert!(text.starts_with("HTTP/1.1 400"), "{head:?}: {text}");
    }
    assert_eq!(site.count(), 0);
}

/// §3.2.2: "When an origin server receives a request with an absolute-form of request-target, the origin server MUST
/// ignore the received Host header field (if any) and instead use the host information of the request-target."
#[test]
fn an_absolute_target_names_the_host() {
    let site = Site::with("cache-control: max-age=60");
    let text = site.raw("GET http://{host}{path} HTTP/1.1\r\nhost: www.other.com.nyud.test\r\nconnection: close\r\n\r\n");
    assert!(
        text.starts_with("HTTP/1.1 200") && text.contains("page 1"),
        "{text}"
    );
    site.get().is("hit").origin(1);
}

/// §6.1: "A server MUST NOT send a response containing Transfer-Encoding unless the corresponding request indicates
/// HTTP/1.1 (or later minor revisions)."
#[test]
fn an_old_client_gets_no_chunks() {
    let site = Site::new().serves(|_| Reply::page("0123456789").chunked());
    let text = site.raw("GET {path} HTTP/1.0\r\nhost: {host}\r\n\r\n");
    assert!(
        !text.to_ascii_lowercase().contains("transfer-encoding"),
        "{text}"
    );
    assert!(text.ends_with("\r\n\r\n0123456789"), "{text}");
}

/// §6.3: "If a message is received with both a Transfer-Encoding and a Content-Length header field, the
/// Transfer-Encoding overrides the Content-Length."
#[test]
fn chunks_override_a_length() {
    let site = Site::new().serves(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n\
             4\r\npage\r\n0\r\n\r\n",
        )
    });
    site.get().is("200").text("page");
    site.get().is("200").text("page");
}

/// §6.3: "If a message is received without Transfer-Encoding and with an invalid Content-Length header field, then the
/// message framing is invalid and the recipient MUST treat it as an unrecoverable error ... If this is a response
/// message received by a proxy, the proxy MUST close the connection to the server, discard the received response, and
/// send a 502 (Bad Gateway) response to the client."
#[test]
fn an_invalid_length_is_a_502() {
    for length in ["five", "-1", "4, 5", "0x4", "4\r\ncontent-length: 5"] {
        let site = Site::new().serves(move |_| {
            Reply::raw(format!("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: {length}\r\n\r\npage"))
        });
        site.get().is("502");
        assert!(!site.get().cache().contains("hit"), "{length}");
    }
}

/// §6.3: "unless the field value can be successfully parsed as a comma-separated list, all values in the list are valid,
/// and all values in the list are the same"
#[test]
fn a_repeated_length_that_agrees_is_one() {
    let site = Site::new().serves(|_| {
        Reply::raw("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\npage")
    });
    site.get().is("200 stored").text("page");
    site.get().is("hit").text("page");
}

/// §6.3: "Otherwise, this is a response message without a declared message body length, so the message body length is
/// determined by the number of octets received prior to the server closing the connection."
#[test]
fn a_body_ended_by_close_is_whole() {
    let site = Site::new().serves(|_| Reply::page("0123456789").fresh_for(60).until_close());
    site.get().is("200 stored").text("0123456789");
    site.get()
        .is("200 hit")
        .text("0123456789")
        .field("content-length", "10");
}

/// §6.3: "Any response to a HEAD request and any response with a 1xx, 204, or 304 status code is always terminated by
/// the first empty line after the header fields ... and thus cannot contain a message body"
#[test]
fn what_has_no_body_is_not_waited_for() {
    for status in ["204 No Content", "304 Not Modified"] {
        let site = Site::new().serves(move |request| match (request.nth, status) {
            (1, "304 Not Modified") => crate::rig::reply("cache-control: max-age=60\nage: 100\netag: \"v\"", 1),
            _ => Reply::raw(format!("HTTP/1.1 {status}\r\ncache-control: max-age=60\r\netag: \"v\"\r\ncontent-length: 10\r\n\r\n")),
        });
        site.get();
        let got = site.get();
        assert_eq!(got.answer.broken, None);
    }
}

/// §6.3: an answer to a HTTP/1.1 client is framed so that its end can be told from a cut.
#[test]
fn every_answer_is_framed() {
    let site = Site::new().serves(|_| Reply::page("0123456789").until_close());
    let text = site.raw("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let head = text.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    assert!(
        head.contains("transfer-encoding: chunked") || head.contains("content-length: 10"),
        "{head}"
    );
}

/// §7.1: "A recipient MUST be able to parse and decode the chunked transfer coding", extensions included.
#[test]
fn chunks_with_extensions_are_read() {
    let site = Site::new().serves(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n\
             2;a=b\r\npa\r\n02 ; c=\"d\"\r\nge\r\n000\r\n\r\n",
        )
    });
    site.get().is("stored").text("page");
    site.get().is("hit").text("page");
}

/// §8: "A message body that uses the chunked transfer coding is incomplete if the zero-sized chunk that terminates the
/// encoding has not been received."
#[test]
fn chunks_without_their_end_are_incomplete() {
    let site = Site::new().serves(|_| {
        Reply::raw("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n4\r\npage\r\n")
    });
    assert!(site.get().answer.broken.is_some(), "a visible break");
    assert!(!site.get().cache().contains("hit"));
}

/// §8: "A message that uses a valid Content-Length is incomplete if the size of the message body received (in octets) is
/// less than the value given by Content-Length."
#[test]
fn less_than_the_length_is_incomplete() {
    let site = Site::new().serves(|_| Reply::page("0123").fresh_for(60).claiming(10));
    assert!(site.get().answer.broken.is_some(), "a visible break");
    assert!(!site.get().cache().contains("hit"));
}

/// §9.3: "A server MUST read the entire request message body or close the connection after sending its response": bytes
/// after an answer are not the next answer.
#[test]
fn what_follows_an_answer_is_not_another_one() {
    let site = Site::new().serves(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\npage\
             HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\nevil",
        )
    });
    let site = site.serves_at("/next", |_| Reply::page("good").fresh_for(60));
    site.get().text("page");
    site.send("GET", "/next", "").text("good");
    site.get().text("page");
}

/// §2.3, §9.3: connections go on after an answer, in order.
#[test]
fn pipelined_requests_are_answered_in_order() {
    let site = Site::with("cache-control: max-age=60")
        .serves_at("/2", |_| Reply::page("second").fresh_for(60));
    let text = site.raw(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\nGET {path}/2 HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n",
    );
    let (first, second) = (text.find("page 1"), text.find("second"));
    assert!(first.is_some() && first < second, "{text}");
}
