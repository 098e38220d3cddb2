//! Status codes (RFC 9110 §15).

use harness::origin::{Gate, Reply};
use harness::wait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rig::{Site, reply};

/// §15: "A client MUST understand the class of any status code, as indicated by the first digit, and treat an
/// unrecognized status code as being equivalent to the x00 status code of that class": it passes as it is.
#[test]
fn unknown_status_codes_pass() {
    for status in [299, 399, 499, 599] {
        let site = Site::new().replies(&[&status.to_string()]);
        site.get().is(&format!("{status} !stored")).text("page 1");
    }
}

/// §15.1: "Responses with status codes that are defined as heuristically cacheable (e.g., 200, 203, 204, 206, 300,
/// 301, 308, 404, 405, 410, 414, and 501 in this specification) can be reused by a cache with heuristic expiration
/// unless otherwise indicated"
#[test]
fn the_heuristically_cacheable_ones_are_these() {
    let modified = "last-modified: Mon, 07 Nov 1994 08:49:37 GMT";
    for (status, kept) in [
        (200, true),
        (301, true),
        (308, true),
        (404, true),
        (410, true),
        (302, false),
        (307, false),
        (403, false),
        (500, false),
    ] {
        let site = Site::new().replies(&[&format!("{status}\n{modified}")]);
        let own = site.get().cache();
        assert_eq!(own.contains("stored"), kept, "{status}: {own}");
    }
}

/// §15.2: "A client MUST be able to parse one or more 1xx responses received prior to a final response, even if the
/// client does not expect one."
#[test]
fn interim_responses_are_read_past() {
    let interim = [
        "100 Continue",
        "102 Processing",
        "103 Early Hints",
        "199 Odd",
    ];
    let head: String = interim
        .iter()
        .map(|line| format!("HTTP/1.1 {line}\r\nlink: </a>\r\n\r\n"))
        .collect();
    let site = Site::new().serves(move |_| {
        Reply::raw(format!(
            "{head}HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\npage"
        ))
    });
    site.get().is("200 stored").text("page").field("link", "");
    site.get().is("200 hit").text("page");
}

/// §15.2: "Since HTTP/1.0 did not define any 1xx status codes, a server MUST NOT send a 1xx response to an HTTP/1.0
/// client."
#[test]
fn an_old_client_gets_no_interim_response() {
    let site = Site::new().serves(|_| {
        Reply::raw(
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\npage",
        )
    });
    let text = site.raw("GET {path} HTTP/1.0\r\nhost: {host}\r\n\r\n");
    assert!(
        text.starts_with("HTTP/1.0 200") || text.starts_with("HTTP/1.1 200"),
        "{text}"
    );
    assert!(!text.contains("103"), "{text}");
}

/// What a client with these fields gets of a page before whose answer a hint comes: what comes before the answer, and
/// all of it.
fn hinted(fields: &str) -> (String, String) {
    let gate = Gate::new();
    let behind = gate.clone();
    let site = Site::new().serves(move |_| {
        let hint = "HTTP/1.1 100 Continue\r\n\r\n\
             HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nset-cookie: a=b\r\n\r\n";
        Reply::page("page").hinting(hint).behind(&behind)
    });
    let page = site.page("");
    let head = format!("GET {} HTTP/1.1\r\nhost: {}\r\n", page.path, page.host);
    let request = format!("{head}{fields}connection: close\r\n\r\n");
    site.run(async {
        let mut stream = TcpStream::connect(site.proxy()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut before = Vec::new();
        if fields.is_empty() {
            site.wait_for_requests(1).await;
        } else {
            while !before.ends_with(b"\r\n\r\n") {
                let read = wait::within("a hint", wait::SOON, stream.read_buf(&mut before)).await;
                assert!(read.unwrap() > 0, "a hint before the end");
            }
        }
        gate.open();
        let mut all = before.clone();
        let rest = wait::within("the answer", wait::SOON, stream.read_to_end(&mut all)).await;
        rest.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(before), text(all))
    })
}

/// §15.2: "A proxy MUST forward 1xx responses unless the proxy itself requested the generation of the 1xx response"; RFC
/// 8297 §3: a server "might refrain from sending 103 (Early Hints) responses over HTTP/1.1 unless the client is known to
/// handle informational responses correctly".
#[test]
fn interim_responses_reach_clients_that_are_known_to_read_them() {
    let (before, all) = hinted("sec-fetch-mode: navigate\r\n");
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";
    assert_eq!(before, hint);
    let answer = all.strip_prefix(hint).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("page"), "{answer}");
    let (_, all) = hinted("");
    assert!(all.starts_with("HTTP/1.1 200 OK\r\n"), "{all}");
}

/// §15.2: "A proxy MUST forward 1xx responses unless ...": what is not forwarded does no harm: however many come and
/// however large they are, nothing of them is kept, and too many are an error.
#[test]
fn interim_responses_are_bounded_and_leave_nothing_behind() {
    let of = |count: usize, size: usize| {
        let hint = format!(
            "HTTP/1.1 103 Early Hints\r\nlink: <{}>\r\nset-cookie: a=b\r\n\r\n",
            "x".repeat(size)
        );
        Site::new().serves(move |_| {
            let last =
                "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\npage";
            Reply::raw(hint.repeat(count) + last)
        })
    };
    for (count, size) in [(20, 10), (20, 30_000)] {
        let site = of(count, size);
        for expected in ["200 stored", "200 hit"] {
            let got = site.get().is(expected).text("page");
            got.field("link", "").field("set-cookie", "");
        }
    }
    for (count, size) in [(21, 10), (1, 600_000)] {
        of(count, size).get().is("502 !stored");
    }
}

/// §15.2.2: "The server MUST generate an Upgrade header field in the response that indicates which protocol(s) will be in
/// effect": nothing here asks for another one, so a switch is an error.
#[test]
fn a_switch_of_protocols_is_refused() {
    let site = Site::new().serves(|_| {
        Reply::raw("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")
    });
    let text = site.raw(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nupgrade: x\r\nconnection: upgrade, close\r\n\r\n",
    );
    assert!(text.starts_with("HTTP/1.1 502"), "{text}");
    assert_eq!(site.seen(1).header("upgrade"), None);
}

/// §15.3.7: "A server MUST generate the following header fields, in addition to those required in the subsections
/// below, if the field would have been sent in a 200 (OK) response to the same request: Date, Cache-Control, ETag,
/// Expires, Content-Location, and Vary."
#[test]
fn a_206_has_what_the_200_has() {
    let fields = "cache-control: max-age=60\netag: \"v\"\nexpires: Fri, 01 Jan 2100 00:00:00 GMT\nvary: accept\ncontent-location: /x\ndate: Sun, 06 Nov 1994 08:49:37 GMT";
    let site = Site::with(fields);
    site.get();
    let part = site.ask("range: bytes=0-3").is("206 hit").answer;
    for line in fields.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        assert_eq!(part.field(name), value, "{name}");
    }
}

/// §15.3.7.1: "If a single part is being transferred, the server generating the 206 response MUST generate a
/// Content-Range header field, describing what range of the selected representation is enclosed, and a content
/// consisting of the range."
#[test]
fn a_single_part_says_its_range() {
    let site = Site::with("cache-control: max-age=60");
    site.get();
    site.ask("range: bytes=2-3")
        .is("206 hit")
        .text("ge")
        .field("content-range", "bytes 2-3/6");
}

/// §15.3.7.3: "A client that has received multiple partial responses to GET requests on a target resource MAY combine
/// those responses into a larger continuous range if they share the same strong validator."
#[test]
fn parts_without_a_strong_validator_are_not_combined() {
    let site = Site::new().serves(|request| {
        let reply = Reply::pattern(400_000)
            .fresh_for(60)
            .header("etag", "W/\"v\"");
        if request.nth == 1 {
            reply.cut_after(100_000)
        } else {
            reply
        }
    });
    let got = site.get();
    assert_eq!(
        got.answer.body,
        harness::pattern::whole(0..400_000),
        "the whole again, compared"
    );
    assert_eq!(site.seen(2).header("range"), None);
}

/// §15.4.5: "The server generating a 304 response MUST generate any of the following header fields that would have
/// been sent in a 200 (OK) response to the same request: Content-Location, Date, ETag, and Vary; Cache-Control and
/// Expires."
#[test]
fn a_304_has_what_a_cache_needs() {
    let fields = "cache-control: max-age=60\netag: \"v\"\nexpires: Fri, 01 Jan 2100 00:00:00 GMT\nvary: accept\ncontent-location: /x\ndate: Sun, 06 Nov 1994 08:49:37 GMT";
    let site = Site::with(fields);
    site.get();
    let answer = site.ask("if-none-match: \"v\"").is("304 hit").answer;
    for line in fields.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        assert_eq!(answer.field(name), value, "{name}");
    }
}

/// §15.4.5: "a sender SHOULD NOT generate representation metadata other than the above listed fields unless said
/// metadata exists for the purpose of guiding cache updates"
#[test]
fn a_304_has_no_metadata_of_the_content() {
    let site = Site::with(
        "cache-control: max-age=60\netag: \"v\"\ncontent-type: text/plain\ncontent-language: en\nlast-modified: Sun, 06 Nov 1994 08:49:37 GMT",
    );
    site.get();
    let got = site.ask("if-none-match: \"v\"").is("304 hit").text("");
    let got = got
        .field("content-type", "")
        .field("content-language", "")
        .field("last-modified", "");
    got.field("content-length", "");
}

/// §15.5.6: "The origin server MUST generate an Allow header field in a 405 response containing a list of the target
/// resource's currently supported methods."
#[test]
fn a_405_says_what_is_allowed() {
    let site = Site::with("cache-control: max-age=60");
    site.send("DELETE", "", "")
        .is("405")
        .field("allow", "GET, HEAD, OPTIONS");
}

/// §15.5.17: "A server that generates a 416 response to a byte-range request SHOULD generate a Content-Range header
/// field specifying the current length of the selected representation."
#[test]
fn a_416_says_how_long_it_is() {
    let site = Site::with("cache-control: max-age=60");
    site.get();
    for range in ["bytes=6-", "bytes=100-200", "bytes=10-,20-30", "bytes=-0"] {
        site.ask(&format!("range: {range}"))
            .is("416 hit")
            .field("content-range", "bytes */6");
    }
}

/// §15.6: a server error of the site's is passed on and not kept.
#[test]
fn a_server_error_passes_and_is_not_kept() {
    let site = Site::new().serves(|request| match request.nth {
        1 => Reply::status(500, "sorry"),
        nth => reply("cache-control: max-age=60", nth),
    });
    site.get().is("500 !stored").text("sorry");
    site.get().is("200 stored").text("page 2");
}
