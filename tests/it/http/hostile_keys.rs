//! What one client sends must not become what another gets: keys are not confused, fields outside
//! the key do not reach the origin, and one client's odd request poisons nothing.

use harness::client::{Page, raw};
use harness::cluster::Proxy;
use harness::origin::{Origin, Reply};
use harness::place::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_that_an_origin_may_tell_apart_are_apart() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let paths = [
        "/a/b",
        "/a%2fb",
        "/a%2Fb",
        "/a//b",
        "/a/./b",
        "/a/x/../b",
        "/a/%2e%2e/b",
        "/A/b",
        "/a/b/",
        "/a/b?",
        "/a/b?x=1&y=2",
        "/a/b?y=2&x=1",
        "/a/b?x=%31&y=2",
        "/a/b;x",
        "/a\\b",
        "/a/b?X=1",
        "/a/b%00",
        "/a/b%23x",
        "/a/b%3fx",
        "/a/b%zz",
        "/a/b+",
        "/a/b%20",
    ];
    for path in paths {
        let body = format!("body of {path}");
        origin.serves(path, move |_| Reply::page(body.clone()).fresh_for(60));
    }
    for _ in 0..2 {
        for path in paths {
            let host = origin.page("/").host;
            let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let answer = raw(proxy.http, head.as_bytes()).await;
            assert!(
                answer.ends_with(&format!("body of {path}")),
                "{path}: {answer}"
            );
        }
    }
    for path in paths {
        assert_eq!(origin.count(path), 1, "{path} was asked for as it is, once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spellings_that_mean_the_same_share_a_copy() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/p", |_| Reply::page("page").fresh_for(60));
    let proxy = Proxy::alone(&place, &[]).await;
    let (host, port) = (origin.page("/p").host, proxy.http.port());
    let upper = host.to_uppercase();
    for (target, host) in [
        ("/p".to_owned(), host.clone()),
        ("/p".to_owned(), upper.clone()),
        ("/p".to_owned(), format!("{host}:{port}")),
        ("/p#fragment".to_owned(), host.clone()),
        (format!("http://{host}/p"), host.clone()),
        (format!("HTTP://{upper}:{port}/p"), host.clone()),
        // RFC 9112 §3.2.2: an absolute target is what counts, whatever Host says.
        (format!("http://{host}/p"), "other.com.nyud.test".to_owned()),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = raw(proxy.http, head.as_bytes()).await;
        assert!(answer.ends_with("page"), "{target} {host}: {answer}");
    }
    let old = format!("GET http://{host}/p HTTP/1.0\r\n\r\n");
    assert!(raw(proxy.http, old.as_bytes()).await.ends_with("page"));
    assert_eq!(origin.count("/p"), 1);
    assert_eq!(
        origin.seen("/p")[0].header("host").map(str::to_owned),
        Some(origin.addr.to_string())
    );
}

/// Fields by which origins are talked into another answer for the same URL.
const UNKEYED: &[(&str, &str)] = &[
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Scheme", "nothttps"),
    ("X-Forwarded-Port", "1"),
    ("X-Forwarded-Server", "evil.example"),
    ("X-Host", "evil.example"),
    ("Forwarded", "host=evil.example"),
    ("X-Original-URL", "/admin"),
    ("X-Rewrite-URL", "/admin"),
    ("X-HTTP-Method-Override", "POST"),
    ("X-HTTP-Method", "DELETE"),
    ("X-Method-Override", "PUT"),
    ("Range", "bytes=0-0"),
    ("If-Match", "\"none\""),
    ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("If-None-Match", "*"),
    ("If-Range", "\"none\""),
    ("Expect", "nonsense"),
    ("Upgrade", "h2c"),
    ("TE", "trailers"),
    ("Max-Forwards", "0"),
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("X-Metachar", "\u{7f}a"),
    ("X-Oversized", "O"),
    ("Cookie", "session=1"),
    ("Authorization", "Basic eDp5"),
    ("Proxy-Authorization", "Basic eDp5"),
    ("Proxy", "http://evil.example/"),
    ("X-Middleware-Subrequest", "1"),
    ("Content-Length", "0"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_clients_odd_field_poisons_nothing() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let host = origin.page("/").host;
    for (n, (name, value)) in UNKEYED.iter().enumerate() {
        let path = format!("/page{n}");
        let field = name.to_ascii_lowercase();
        // An origin that lets the field decide, and an answer that a cache may keep.
        origin.serves(&path, move |request| match request.header(&field) {
            None => Reply::page("good").fresh_for(60),
            Some(_) => Reply::status(404, "poison").header("Cache-Control", "max-age=60"),
        });
        let value = if *name == "X-Oversized" {
            "o".repeat(20_000)
        } else {
            (*value).to_owned()
        };
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\n{name}: {value}\r\nConnection: close\r\n\r\n"
        );
        let odd = raw(proxy.http, head.as_bytes()).await;
        assert!(!odd.contains("poison"), "{name} reached the origin:\n{odd}");
        let next = proxy.get(&origin.page(&path)).await;
        assert_eq!((next.status, next.text().as_str()), (200, "good"), "{name}");
        for seen in origin.seen(&path) {
            // A range that is asked for decides how much is fetched, and nothing else.
            let widened = Some("bytes=0-1048575").filter(|_| *name == "Range" && seen.nth == 1);
            assert_eq!(seen.header(&name.to_ascii_lowercase()), widened, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_made_for_one_client_is_not_kept_for_others() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    // What does pass, since a careful origin names it in Vary; this one is not careful.
    origin.serves("/p", |request| match request.header("accept-language") {
        Some("x-break") => Reply::status(400, "broken by a field"),
        _ => Reply::page("good").fresh_for(60),
    });
    let proxy = Proxy::alone(&place, &[]).await;
    let page = origin.page("/p");
    let odd = proxy
        .ask(&page)
        .header("accept-language", "x-break")
        .fetch()
        .await;
    assert_eq!(odd.status, 400);
    let next = proxy.get(&page).await;
    assert_eq!((next.status, next.text().as_str()), (200, "good"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_one_host() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/", |_| Reply::page("front").fresh_for(60));
    let proxy = Proxy::alone(&place, &[]).await;
    let host = origin.page("/").host;
    for (status, fields) in [
        (400, String::new()),
        (400, "Host:\r\n".to_owned()),
        (400, format!("Host: {host}\r\nHost: {host}\r\n")),
        (400, format!("Host: {host}\r\nhost: evil.com.nyud.test\r\n")),
        (400, format!("Host: {host}, evil.com.nyud.test\r\n")),
        (400, format!("Host: user@{host}\r\n")),
        (400, format!("Host: {host}:80:80\r\n")),
        (400, format!("Host: {host}:99999\r\n")),
        (400, format!("Host: {host}/x\r\n")),
        (400, "Host: [::1]\r\n".to_owned()),
        (421, "Host: evil.example\r\n".to_owned()),
        (
            421,
            format!("X-Forwarded-Host: {host}\r\nHost: evil.example\r\n"),
        ),
    ] {
        let head = format!("GET / HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
        let answer = raw(proxy.http, head.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{fields:?}: {answer}"
        );
    }
    assert_eq!(origin.count_all(), 0);
    assert_eq!(proxy.get(&Page::new(&host, "/")).await.status, 200);
}
