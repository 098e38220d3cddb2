//! Requests that get no page: each has its status, and a sentence that says what to do.

use harness::client::{Page, raw};
use harness::cluster::{Proxy, set};
use harness::origin::{Origin, Reply};
use harness::place::Place;
use harness::resolver::Hosts;
use harness::wait::{self, SOON};
use http::Method;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn methods_that_change_things_are_sent_home() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    for method in [
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::TRACE,
    ] {
        let answer = proxy
            .ask(&origin.page("/form?x=1"))
            .method(method.clone())
            .fetch()
            .await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.field("allow"), "GET, HEAD, OPTIONS");
        let home = format!("http://{}/form?x=1", origin.addr);
        assert!(answer.text().contains(&home), "{}", answer.text());
    }
    let options = proxy
        .ask(&origin.page("/"))
        .method(Method::OPTIONS)
        .fetch()
        .await;
    assert_eq!(
        (options.status, options.field("allow")),
        (200, "GET, HEAD, OPTIONS".to_owned())
    );
    assert_eq!(origin.count_all(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_is_refused() {
    let place = Place::shared().await;
    let proxy = Proxy::alone(&place, &[]).await;
    let request = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\
        Connection: close\r\n\r\n";
    let answer = raw(proxy.http, request).await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.contains("no general proxy"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_beyond_their_bounds_are_refused() {
    let place = Place::shared().await;
    let proxy = Proxy::alone(&place, &[]).await;
    let request = |path: &str, fields: &str| {
        let host = "127.0.0.1.8000.nyud.test";
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n")
    };
    let large = format!("X-Large: {}\r\n", "a".repeat(70_000));
    let many: String = (0..120).map(|n| format!("X-{n}: y\r\n")).collect();
    let long = format!("/{}", "a".repeat(9_000));
    for (status, request) in [
        (431, request("/", &large)),
        (431, request("/", &many)),
        (414, request(&long, "")),
    ] {
        let answer = raw(proxy.http, request.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{status}: {answer:.80}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_are_no_sites_are_explained() {
    let place = Place::shared().await;
    let proxy = Proxy::alone(&place, &[]).await;
    for (host, status, text) in [
        ("a..b.nyud.test", 400, "no name of a site"),
        ("localhost.nyud.test", 404, "Nothing is served"),
        ("printer.local.nyud.test", 400, "reserved for special use"),
        ("www.nyud.test.nyud.test", 400, "no name of a site"),
        ("example.com", 421, "ask for http://example.com.nyud.test/"),
        ("127.0.0.1:8080", 421, "Only names under nyud.test"),
        (
            "example.com.22.nyud.test",
            403,
            "ports 80, 443 and above 1023",
        ),
        ("user@example.com.nyud.test", 400, "not a host name"),
        ("", 400, "no Host field"),
    ] {
        let answer = proxy.get(&Page::new(host, "/")).await;
        assert_eq!(answer.status, status, "{host}: {}", answer.text());
        assert!(answer.text().contains(text), "{host}: {}", answer.text());
    }
    let two = b"GET / HTTP/1.1\r\nHost: a.com.nyud.test\r\nHost: b.com.nyud.test\r\n\
        Connection: close\r\n\r\n";
    assert!(raw(proxy.http, two).await.starts_with("HTTP/1.1 400 "));
    let none = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert!(raw(proxy.http, none).await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_site_is_one_line_for_curl_and_a_page_for_browsers() {
    let place = Place::shared().await;
    let hosts = Hosts::start(&place, &[]).await;
    let proxy = Proxy::alone(&place, &[set("origin.resolvers", hosts.addr)]).await;
    let page = Page::new("www.no-such-site.com.nyud.test", "/it's");
    let plain = proxy.ask(&page).header("accept", "*/*").fetch().await;
    assert_eq!(
        (plain.status, plain.text().lines().count()),
        (502, 1),
        "{}",
        plain.text()
    );
    assert!(
        plain.text().contains("www.no-such-site.com has no address"),
        "{}",
        plain.text()
    );
    assert!(plain.field("content-type").starts_with("text/plain"));
    assert!(plain.field("proxy-status").contains("dns_error"));
    let html = proxy
        .ask(&page)
        .header("accept", "text/html,*/*;q=0.8")
        .fetch()
        .await;
    assert_eq!(html.status, 502);
    assert!(html.field("content-type").starts_with("text/html"));
    assert!(html.text().starts_with("<!DOCTYPE html>"));
    assert!(
        html.text().contains("/it&#39;s") && !html.text().contains("it's"),
        "{}",
        html.text()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_says_what_was_tried_and_what_is_kept() {
    let place = Place::shared().await;
    let mut origin = Origin::start(&place).await;
    origin.serves("/it's?a&b", |_| {
        Reply::page("strict").header("Cache-Control", "max-age=1, must-revalidate")
    });
    let proxy = Proxy::alone(&place, &[]).await;
    let page = origin.page("/it's?a&b");
    let ask = || {
        proxy
            .ask(&page)
            .header("accept", "application/problem+json")
    };
    assert_eq!(ask().fetch().await.status, 200);
    origin.die().await;
    let failed = wait::some("the copy has expired", SOON, async || {
        Some(ask().fetch().await).filter(|answer| answer.status == 502)
    })
    .await;
    assert_eq!(failed.field("content-type"), "application/problem+json");
    let problem: serde_json::Value = serde_json::from_slice(&failed.body).unwrap();
    assert_eq!(problem["reason"], "connect_refused");
    assert_eq!(problem["tried"][0]["source"], "origin");
    assert_eq!(problem["saved_copy"]["withheld"], "must-revalidate");
    assert!(problem["saved_copy"]["age_seconds"].as_u64() >= Some(1));
    let plain = proxy.get(&page).await.text();
    for part in [
        "(connect_refused)",
        "Tried: the site failed a moment ago (connect_refused) and is asked again in",
        "old is kept here, but its site forbids to show it now (must-revalidate)",
        "The page itself: http://",
    ] {
        assert!(plain.contains(part), "{part}: {plain}");
    }
    let html = proxy.ask(&page).header("accept", "text/html").fetch().await;
    assert!(html.text().contains("old is kept here"), "{}", html.text());
    assert!(html.text().contains("/it&#39;s?a&amp;b"));
    let only = proxy.ask(&page).header("cache-control", "only-if-cached");
    let only = only.fetch().await;
    assert_eq!(only.status, 504);
    assert!(only.text().contains("old is kept here"), "{}", only.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_came_round_is_a_loop() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/", |_| Reply::page("x"));
    let page = origin.page("/");
    for (field, value) in [
        ("cdn-loop", "nyud.test; node=node11"),
        ("cdn-loop", "nyud.test, nyud.test, other, nyud.test"),
        ("via", "1.1 node11.nyud.test"),
    ] {
        let answer = proxy.ask(&page).header(field, value).fetch().await;
        assert_eq!(answer.status, 508, "{field}: {value}");
    }
    let passed = proxy
        .ask(&page)
        .header("cdn-loop", "other.net; node=node11")
        .fetch()
        .await;
    assert_eq!(passed.status, 200, "another CDN's mark is no loop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_points_at_the_proxy_is_refused() {
    let place = Place::shared().await;
    let ip = place.ip(harness::place::host::NODE);
    let hosts = Hosts::start(&place, &[("www.pointing-here.com", ip)]).await;
    let proxy = Proxy::alone(&place, &[set("origin.resolvers", hosts.addr)]).await;
    let host = format!("www.pointing-here.com.{}.nyud.test", proxy.http.port());
    let answer = proxy.get(&Page::new(&host, "/")).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("(own)"), "{}", answer.text());
}
