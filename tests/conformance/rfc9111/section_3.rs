//! Storing responses, and which of their fields (RFC 9111 §3, §3.1, §3.5).

use harness::origin::Reply;

use crate::claims::{not_stored, reused};
use crate::rig::Site;

/// §3: "if the response status code is 206 ... the cache understands the response status code": a part that nobody asked
/// for is no whole. A beginning is completed, anything else is an error.
#[test]
fn a_206_that_was_not_asked_for_is_not_stored_as_it_is() {
    let site = Site::new().serves(|_| {
        Reply::status(206, "middle")
            .header("cache-control", "max-age=60")
            .header("etag", "\"v\"")
            .header("content-range", "bytes 10-15/100")
    });
    for asked in 1..=2 {
        site.get().is("502 !stored").origin(asked);
    }
    let site = Site::new().serves(|request| {
        let reply = Reply::pattern(300_000)
            .fresh_for(60)
            .ranged_by("\"v\"", request);
        if request.nth > 1 {
            return reply;
        }
        let part = harness::pattern::whole(0..100_000);
        let part = Reply::page(part).with_status(206).fresh_for(60);
        part.header("etag", "\"v\"")
            .header("content-range", "bytes 0-99999/300000")
    });
    let got = site.get().is("200 stored").origin(2);
    assert_eq!(got.answer.body, harness::pattern::whole(0..300_000));
    site.get().is("200 hit");
}

/// §3: "the request method is understood by the cache"
#[test]
fn an_answer_to_another_method_is_not_stored() {
    let site = Site::with("cache-control: max-age=60");
    site.send("POST", "", "").is("405");
    site.send("HEAD", "", "").is("200 fwd=method !stored");
    site.get().is("200 fwd=uri-miss stored");
}

/// §3: "the response status code is final"
#[test]
fn an_interim_response_is_not_stored() {
    let site = Site::new().serves(|_| {
        Reply::raw(
            "HTTP/1.1 103 Early Hints\r\ncache-control: max-age=60\r\n\r\n\
             HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\npage",
        )
    });
    site.get().is("200 stored").text("page");
    site.get().is("200 hit").text("page").origin(1);
}

/// §3: "if the response status code is 206 or 304 ... the cache understands the response status code"
#[test]
fn a_304_that_was_not_asked_for_is_not_stored() {
    let site = Site::new().replies(&[
        "304\ncache-control: max-age=60",
        "cache-control: max-age=60",
    ]);
    site.get().is("502");
    site.get().is("200 stored").text("page 2");
}

/// §3: "the no-store cache directive is not present in the response"
#[test]
fn no_store_is_not_stored() {
    for fields in [
        "cache-control: no-store",
        "cache-control: max-age=60, no-store",
    ] {
        not_stored(fields);
    }
}

/// §3: "the private response directive is either not present or allows a shared cache to store a
/// modified response"
#[test]
fn private_is_not_stored() {
    not_stored("cache-control: private, max-age=60");
}

/// §3: "the Authorization header field is not present in the request ... or a response directive is
/// present that explicitly allows shared caching"
#[test]
fn an_authorized_answer_is_not_stored() {
    let site = Site::with("cache-control: max-age=60");
    site.ask("authorization: Basic eDp5").is("200 !stored");
    site.get().is("200 stored").text("page 2");
}

/// §3: "the response contains at least one of the following: a public response directive"
#[test]
fn public_makes_any_final_status_storable() {
    let site = Site::new()
        .replies(&["500\ncache-control: public\nlast-modified: Mon, 07 Nov 1994 08:49:37 GMT"]);
    site.get().is("500 stored");
    site.get().is("500 hit").origin(1);
}

/// §3: "an Expires header field"
#[test]
fn expires_makes_it_storable() {
    let site = Site::new().replies(&["302\nlocation: /x\nexpires: Fri, 01 Jan 2100 00:00:00 GMT"]);
    site.get().is("302 stored");
    site.get().is("302 hit").origin(1);
}

/// §3: "a max-age response directive"
#[test]
fn max_age_makes_it_storable_whatever_the_status() {
    for status in [
        200, 201, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 405, 410, 500, 503, 599,
    ] {
        let site = Site::new().replies(&[&format!("{status}\ncache-control: max-age=60")]);
        site.get().is(&format!("{status} stored"));
        site.get().is(&format!("{status} hit")).origin(1);
    }
}

/// §3: "if the cache is shared: an s-maxage response directive"
#[test]
fn s_maxage_makes_it_storable() {
    let site = Site::new().replies(&["503\ncache-control: s-maxage=60"]);
    site.get().is("503 stored");
    site.get().is("503 hit").origin(1);
}

/// §3: "a status code that is defined as heuristically cacheable"
#[test]
fn heuristics_make_only_some_statuses_storable() {
    let modified = "last-modified: Mon, 07 Nov 1994 08:49:37 GMT";
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        let site = Site::new().replies(&[&format!("{status}\n{modified}")]);
        site.get().is(&format!("{status} stored"));
        site.get().is(&format!("{status} hit")).origin(1);
    }
    for status in [
        201, 202, 302, 303, 307, 400, 403, 418, 500, 502, 503, 504, 599,
    ] {
        let site = Site::new().replies(&[&format!("{status}\n{modified}")]);
        site.get().is(&format!("{status} !stored"));
        site.get().is(&format!("{status} !hit")).origin(2);
    }
}

/// §3: "some caches will not store a response that has neither a cache validator nor an explicit
/// expiration time, as such responses are not usually useful to store"
#[test]
fn what_could_never_be_used_is_not_stored() {
    let site = Site::with("x-nothing: to go by");
    site.get().is("200 !stored");
    site.get().is("200 !hit").origin(2);
}

/// §3.1: "Caches MUST include all received response header fields -- including unrecognized ones --
/// when storing a response"
#[test]
fn unknown_fields_are_kept() {
    let site = Site::with(
        "cache-control: max-age=60\nx-unknown: a\nx-unknown: b\ncontent-foo: c\nserver: s",
    );
    for _ in 0..2 {
        let got = site
            .get()
            .field("x-unknown", "a, b")
            .field("content-foo", "c");
        got.field("server", "s");
    }
}

/// §3.1: "The Connection header field and fields whose names are listed in it are required by [HTTP]
/// to be removed before forwarding the message."
#[test]
fn fields_that_connection_lists_are_not_kept() {
    let site = Site::with(
        "cache-control: max-age=60\nconnection: X-Hop, x-other\nx-hop: a\nx-other: b\nx-kept: c",
    );
    for _ in 0..2 {
        let got = site.get().field("x-hop", "").field("x-other", "");
        got.field("x-kept", "c");
    }
    site.get().is("hit");
}

/// §3.1: "some fields' semantics require them to be removed before forwarding the message"
#[test]
fn fields_of_one_connection_are_not_kept() {
    let site = Site::with(
        "cache-control: max-age=60\nkeep-alive: timeout=5\nproxy-connection: keep-alive\nte: x\nupgrade: h2c",
    );
    for _ in 0..2 {
        let got = site
            .get()
            .field("keep-alive", "")
            .field("proxy-connection", "");
        got.field("te", "").field("upgrade", "");
    }
}

/// §3.1: "The no-cache and private cache directives can have arguments that prevent storage of header
/// fields by all caches and shared caches, respectively."
#[test]
fn fields_named_by_no_cache_and_private_are_not_kept() {
    let site = Site::with(
        "cache-control: max-age=60, no-cache=\"X-A, x-b\", private=\"x-c\"\nx-a: 1\nx-b: 2\nx-c: 3\nx-d: 4",
    );
    site.get().is("200 stored");
    let hit = site.get().is("200 hit").origin(1);
    hit.field("x-a", "")
        .field("x-b", "")
        .field("x-c", "")
        .field("x-d", "4");
}

/// §3.1: "Header fields that are specific to the proxy that a cache uses when forwarding a request
/// MUST NOT be stored"
#[test]
fn fields_of_proxy_authentication_are_not_kept() {
    let site = Site::with(
        "cache-control: max-age=60\nproxy-authenticate: Basic\nproxy-authentication-info: x\nproxy-authorization: y",
    );
    for _ in 0..2 {
        let got = site.get().field("proxy-authenticate", "");
        got.field("proxy-authentication-info", "")
            .field("proxy-authorization", "");
    }
}

/// §3.1: "Caches MUST NOT combine trailer fields with header fields."
#[test]
fn trailers_do_not_become_header_fields() {
    let site = Site::new().serves(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntrailer: x-late\r\n\
             transfer-encoding: chunked\r\n\r\n4\r\npage\r\n0\r\nx-late: yes\r\n\
             cache-control: no-store\r\netag: \"late\"\r\n\r\n",
        )
    });
    site.get().is("200 stored").text("page");
    let hit = site.get().is("200 hit").text("page").origin(1);
    hit.field("x-late", "")
        .field("etag", "")
        .field("cache-control", "max-age=60");
}

/// §3.5: "A shared cache MUST NOT use a cached response to a request with an Authorization header
/// field to satisfy any subsequent request unless the response contains a Cache-Control field with a
/// response directive that allows it to be stored by a shared cache"
#[test]
fn an_authorized_answer_is_shared_only_if_it_says_so() {
    for allowed in ["must-revalidate", "public", "s-maxage=60"] {
        let site = Site::with(&format!("cache-control: max-age=60, {allowed}"));
        site.ask("authorization: Basic eDp5").is("200 stored");
        site.get().is("200 hit").origin(1);
    }
    for other in [
        "proxy-revalidate",
        "immutable",
        "max-age=60",
        "no-transform",
    ] {
        let site = Site::with(&format!("cache-control: max-age=60, {other}"));
        site.ask("authorization: Basic eDp5").is("200 !stored");
        site.get().is("200 !hit").origin(2);
    }
}

/// §3.5: credentials are stripped on the way to the origin, so what it answers is for everybody and
/// may be used for those who sent some.
#[test]
fn an_authorized_request_is_served_what_is_for_all() {
    let site = Site::with("cache-control: max-age=60");
    site.get().is("200 stored");
    site.ask("authorization: Basic eDp5")
        .is("200 hit")
        .origin(1);
    let other = Site::with("cache-control: max-age=60");
    other.ask("authorization: Basic eDp5");
    assert_eq!(other.seen(1).header("authorization"), None);
}

/// §7.3: "the Set-Cookie response header field does not inhibit caching"
#[test]
fn a_cookie_does_not_keep_a_response_from_being_stored() {
    reused("cache-control: max-age=60\nset-cookie: a=b");
    let site = Site::with("cache-control: max-age=60");
    site.ask("cookie: a=b").is("200 stored");
    site.ask("cookie: c=d").is("200 hit").origin(1);
    assert_eq!(site.seen(1).header("cookie"), None);
}
