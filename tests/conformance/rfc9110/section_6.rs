//! Messages and their way through intermediaries (RFC 9110 §5.3, §6.5, §6.6.1, §7.6, §9.3.2, §12.5.5).

use harness::origin::Reply;

use crate::rig::{Site, reply};

/// §5.3: "A proxy MUST NOT change the order of these field line values when forwarding a message."
#[test]
fn lines_of_a_field_stay_in_order() {
    let site = Site::with("cache-control: max-age=60\nx-list: b\nx-list: a\nx-list: c");
    for _ in 0..2 {
        site.get().field("x-list", "b, a, c");
    }
}

/// §6.5.1: "a recipient MUST NOT merge a received trailer field into the header section unless the recipient
/// understands the corresponding header field definition and that definition explicitly permits"
#[test]
fn trailers_are_not_merged() {
    let site = Site::new().serves(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n\
             1\r\nx\r\n0\r\nage: 1000\r\nvary: *\r\nlast-modified: Mon, 07 Nov 1994 08:49:37 GMT\r\n\r\n",
        )
    });
    site.get().is("stored").text("x");
    site.get()
        .is("hit")
        .field("vary", "")
        .field("last-modified", "");
}

/// §6.6.1: "A recipient with a clock that receives a response message without a Date header field MUST record
/// the time it was received and append a corresponding Date header field to the message's header section if it
/// is cached or forwarded downstream."
#[test]
fn a_missing_date_is_added() {
    let site = Site::with("cache-control: max-age=60");
    let first = site.get().answer.field("date");
    assert!(first.ends_with(" GMT"), "{first}");
    site.get().is("hit").field("date", &first);
    let stated = "Sun, 06 Nov 1994 08:49:37 GMT";
    let site = Site::with(&format!("cache-control: max-age=60\ndate: {stated}"));
    for _ in 0..2 {
        site.get().field("date", stated);
    }
}

/// §7.6.1: "Intermediaries MUST parse a received Connection header field before a message is forwarded and, for
/// each connection-option in this field, remove any header or trailer field(s) from the message with the same
/// name as the connection-option"
#[test]
fn fields_that_a_client_s_connection_lists_stay_here() {
    let site = Site::with("cache-control: max-age=60");
    site.ask("connection: accept-language, close\naccept-language: en\nreferer: http://a.example/")
        .is("200");
    let seen = site.seen(1);
    assert_eq!(seen.header("accept-language"), None);
    assert_eq!(seen.header("referer"), Some("http://a.example/"));
}

/// §7.6.1: "and then remove the Connection header field itself (or replace it with the intermediary's own
/// control options for the forwarded message)"
#[test]
fn connection_is_not_forwarded() {
    let site = Site::with("cache-control: max-age=60\nconnection: x-a, close\nx-a: 1");
    let got = site.ask("connection: x-b, keep-alive\nx-b: 1\nkeep-alive: 5");
    let answer = got.field("x-a", "").answer;
    assert!(!answer.field("connection").contains("x-a"));
    let seen = site.seen(1);
    assert!(
        !seen
            .header("connection")
            .unwrap_or_default()
            .contains("x-b")
    );
    assert_eq!(
        (seen.header("keep-alive"), seen.header("x-b")),
        (None, None)
    );
}

/// §7.6.1: "Proxy-Connection, Keep-Alive, TE, Transfer-Encoding, Upgrade"
#[test]
fn fields_of_the_connection_are_not_forwarded() {
    let site = Site::with("cache-control: max-age=60");
    site.ask("proxy-connection: keep-alive\nkeep-alive: 5\nte: gzip\nupgrade: h2c\nproxy-authorization: x\nhttp2-settings: AAA");
    for name in [
        "proxy-connection",
        "keep-alive",
        "te",
        "upgrade",
        "proxy-authorization",
        "http2-settings",
    ] {
        assert_eq!(site.seen(1).header(name), None, "{name}");
    }
}

/// §7.6.3: "A proxy MUST send an appropriate Via header field ... in each message that it forwards."
#[test]
fn via_names_us_in_both_directions() {
    let site = Site::with("cache-control: max-age=60\nvia: 1.0 origin-cache");
    site.ask("via: 1.1 client-proxy")
        .field("via", "1.0 origin-cache, 1.1 node11.nyud.test");
    let seen: Vec<_> = site
        .seen(1)
        .headers
        .into_iter()
        .filter(|(name, _)| name == "via")
        .collect();
    let via: Vec<_> = seen.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(via.join(", "), "1.1 client-proxy, 1.1 node11.nyud.test");
    assert!(
        site.get()
            .is("hit")
            .answer
            .field("via")
            .ends_with("node11.nyud.test")
    );
}

/// §7.6.3: "avoiding request loops"
#[test]
fn a_request_that_passed_here_is_refused() {
    let site = Site::with("cache-control: max-age=60");
    site.ask("via: 1.1 other, 1.1 node11.nyud.test")
        .is("508")
        .origin(0);
    site.ask("via: 1.1 node12.nyud.test").is("200");
}

/// §7.7: "A proxy MUST NOT transform the content of a response message that contains a no-transform cache
/// directive", and here not of any other.
#[test]
fn content_passes_as_it_is() {
    let site = Site::with(
        "cache-control: max-age=60\ncontent-encoding: gzip\ncontent-type: text/html\n\nnot gzip at all",
    );
    for accept in ["accept-encoding: identity", "accept-encoding: gzip", ""] {
        site.ask(accept)
            .text("not gzip at all")
            .field("content-encoding", "gzip");
    }
}

/// §9.3.2: "The HEAD method is identical to GET except that the server MUST NOT send content in the response."
#[test]
fn a_head_has_the_fields_of_the_get_and_no_content() {
    let site = Site::with("cache-control: max-age=60\netag: \"v\"\nx-a: b");
    site.get();
    let head = site.send("HEAD", "", "").is("200 hit").text("");
    head.field("etag", "\"v\"")
        .field("x-a", "b")
        .field("content-length", "6");
    let other = Site::with("cache-control: max-age=60\nx-a: b");
    other
        .send("HEAD", "", "")
        .is("200")
        .text("")
        .field("x-a", "b")
        .field("content-length", "6");
}

/// §9.3.7: "OPTIONS ... Responses to the OPTIONS method are not cacheable."
#[test]
fn options_is_answered_and_not_kept() {
    let site = Site::with("cache-control: max-age=60");
    let answer = site.send("OPTIONS", "", "").is("200").origin(0).answer;
    assert_eq!(answer.field("allow"), "GET, HEAD, OPTIONS");
    site.get().is("200 fwd=uri-miss");
}

/// §9.3.1: "A client SHOULD NOT generate content in a GET request": such content is never forwarded.
#[test]
fn content_of_a_get_is_not_forwarded() {
    let site = Site::with("cache-control: max-age=60");
    site.raw(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbody",
    );
    if site.count() == 1 {
        let seen = site.seen(1);
        assert_eq!(
            (
                seen.header("content-length"),
                seen.header("transfer-encoding")
            ),
            (None, None)
        );
    }
}

/// §10.2.2: redirects are led back to where the client is, or the next page would be somewhere else.
#[test]
fn redirects_stay_in_the_zone() {
    let site = Site::new().replies(&["301\nlocation: http://www.example.com/next"]);
    let location = site.get().is("301").answer.field("location");
    assert!(
        location.starts_with("http://www.example.com.nyud.test"),
        "{location}"
    );
}

/// §11.6.2: "A proxy forwarding a request MUST NOT modify any Authorization header fields in that request":
/// a gateway that stands for the site has none to forward, because all sites share one parent domain.
#[test]
fn credentials_stay_here() {
    let site = Site::with("cache-control: no-store\nset-cookie: a=b\nwww-authenticate: Basic");
    site.ask("authorization: x\ncookie: c=d")
        .field("set-cookie", "");
    let seen = site.seen(1);
    assert_eq!(
        (seen.header("authorization"), seen.header("cookie")),
        (None, None)
    );
}

/// §12.5.5: "A Vary field containing a list of field names ... inform cache recipients that they MUST NOT use
/// this response to satisfy a later request unless the later request has the same values for the listed header
/// fields as the original request"
#[test]
fn vary_on_what_the_origin_never_sees_is_told_apart_all_the_same() {
    let site =
        Site::new().serves(|request| reply("cache-control: max-age=60\nvary: x-own", request.nth));
    site.ask("x-own: 1").is("stored");
    site.ask("x-own: 2").is("fwd=vary-miss");
    site.ask("x-own: 1").is("hit");
}
