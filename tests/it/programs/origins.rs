//! nginx, Apache, Python's `http.server` and a PHP page as origins: what is kept of them, how it is
//! validated, cut into ranges, and told apart by coding.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use harness::client::{Answer, Ask};
use harness::cluster::Proxy;
use harness::pattern;
use harness::place::Place;
use harness::web::{self, WebServer};

/// Text that packs well, as pages do.
const TEXT: &str = "All happy caches are alike; each unhappy cache is unhappy in its own way.\n";

/// A page that behaves: lifetime, validator, two codings.
const PHP: &str = r#"<?php
$body = str_repeat("All happy caches are alike; each unhappy cache is unhappy in its own way.\n", 200);
header('Cache-Control: max-age=60');
header('Vary: Accept-Encoding');
header('Content-Type: text/html');
$packed = str_contains($_SERVER['HTTP_ACCEPT_ENCODING'] ?? '', 'gzip');
$tag = $packed ? '"php-gzip"' : '"php"';
header("ETag: $tag");
if (($_SERVER['HTTP_IF_NONE_MATCH'] ?? '') === $tag) { http_response_code(304); exit; }
if ($packed) { header('Content-Encoding: gzip'); $body = gzencode($body); }
echo $body;
"#;

/// What a server offers beyond bytes.
struct Case {
    server: WebServer,
    /// A page that packs well, and what it holds.
    page: (&'static str, Vec<u8>),
    /// Whether it packs where the client takes it.
    packs: bool,
}

fn text() -> Vec<u8> {
    TEXT.repeat(200).into_bytes()
}

/// The tree of [`web::tree`] with a page that packs well; all of it old.
fn site(root: &Path) {
    let paths = web::tree(root);
    fs::write(root.join("page.html"), text()).unwrap();
    for path in paths.iter().map(String::as_str).chain(["/page.html"]) {
        web::age(&web::file(root, path));
    }
}

async fn all(place: &Place) -> Vec<Case> {
    let root = place.file("site");
    site(&root);
    let packing = format!(
        "root {}; gzip on; gzip_vary on; gzip_min_length 100; gzip_proxied any;",
        root.display()
    );
    let deflate = "AddOutputFilterByType DEFLATE text/html\n";
    let page = || ("/page.html", text());
    let case = |server, packs| Case {
        server,
        page: page(),
        packs,
    };
    let (python, nginx, apache, php) = tokio::join!(
        WebServer::python(place, &root),
        WebServer::nginx_with(place, &packing),
        WebServer::apache(place, &root, deflate),
        WebServer::php(place, PHP),
    );
    let cases = [
        python.map(|server| case(server, false)),
        nginx.map(|server| case(server, true)),
        apache.map(|server| case(server, true)),
        php.map(|server| case(server, true)),
    ];
    cases.into_iter().flatten().collect()
}

fn asks(proxy: &Proxy, case: &Case) -> Ask {
    proxy.ask(&case.server.page(case.page.0))
}

fn whole(case: &Case, answer: &Answer, what: &str) {
    let name = case.server.name;
    assert_eq!(
        (answer.status, &answer.broken),
        (200, &None),
        "{name} {what}"
    );
    assert!(answer.body == case.page.1, "{name} {what}: other bytes");
}

/// Our member of Cache-Status, the last.
fn said(answer: &Answer) -> String {
    let all = answer.field("cache-status");
    all.rsplit(", ").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_real_server_is_kept_and_validated_by_its_own_word() {
    let place = Place::shared().await;
    let proxy = Proxy::alone(&place, &[]).await;
    for case in all(&place).await {
        let name = case.server.name;
        let first = asks(&proxy, &case).fetch().await;
        whole(&case, &first, "first");
        let miss = said(&first);
        assert!(miss.contains("; fwd=uri-miss"), "{name}: {miss}");
        assert!(miss.contains("; stored"), "{name}: {miss}");
        let second = asks(&proxy, &case).fetch().await;
        whole(&case, &second, "second");
        assert!(said(&second).contains("; hit; ttl="), "{name}: {second:?}");
        assert_ne!(second.field("age"), "", "{name}");
        let again = asks(&proxy, &case).header("cache-control", "no-cache");
        let again = again.fetch().await;
        whole(&case, &again, "validated");
        let validated = said(&again);
        assert!(validated.contains("; fwd=request"), "{name}: {validated}");
        assert!(
            validated.contains("; fwd-status=304"),
            "{name}: {validated}"
        );
        let third = asks(&proxy, &case).fetch().await;
        whole(&case, &third, "after validation");
        assert!(said(&third).contains("; hit"), "{name}: {third:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_has_the_page_of_a_real_server_is_told_so() {
    let place = Place::shared().await;
    let proxy = Proxy::alone(&place, &[]).await;
    for case in all(&place).await {
        let name = case.server.name;
        let first = asks(&proxy, &case).fetch().await;
        for (validator, condition) in [
            ("etag", "if-none-match"),
            ("last-modified", "if-modified-since"),
        ] {
            let value = first.field(validator);
            if value.is_empty() {
                continue;
            }
            let answer = asks(&proxy, &case).header(condition, &value).fetch().await;
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{name}");
            assert!(said(&answer).contains("; hit"), "{name}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_of_a_real_server_are_right_before_and_after_the_whole_is_here() {
    let place = Place::shared().await;
    let proxy = Proxy::alone(&place, &[]).await;
    for case in all(&place).await {
        let name = case.server.name;
        let page = &case.page.1;
        let length = page.len();
        let parts = [
            ("bytes=100-199", 100..200),
            ("bytes=-50", length - 50..length),
            ("bytes=5000-", 5000..length),
        ];
        for state in ["cold", "warm"] {
            for (asked, part) in &parts {
                let answer = asks(&proxy, &case).header("range", asked).fetch().await;
                let stated = format!("bytes {}-{}/{length}", part.start, part.end - 1);
                let what = format!("{name} {state} {asked}");
                // PHP tells no length: until the end is here, all of it is the only right answer.
                if name == "PHP" && state == "cold" && answer.status == 200 {
                    whole(&case, &answer, &what);
                    continue;
                }
                assert_eq!((answer.status, &answer.broken), (206, &None), "{what}");
                assert_eq!(answer.field("content-range"), stated, "{what}");
                assert!(answer.body == page[part.clone()], "{what}: other bytes");
            }
            whole(&case, &asks(&proxy, &case).fetch().await, state);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_of_a_large_file_of_a_real_server_is_right_while_it_is_on_its_way() {
    let place = Place::shared().await;
    let proxy = Proxy::alone(&place, &[]).await;
    let path = "/download/disk.iso";
    let cases = all(&place).await;
    for case in cases.iter().filter(|case| case.server.name != "PHP") {
        let name = case.server.name;
        let page = case.server.page(path);
        let middle = proxy.ask(&page).header("range", "bytes=9000000-9000999");
        let (part, all) = tokio::join!(middle.fetch(), proxy.get(&page));
        assert_eq!((part.status, part.body.len()), (206, 1_000), "{name}");
        assert!(pattern::matches(9_000_000, &part.body), "{name}");
        assert_eq!((all.body.len(), all.broken), (12_345_678, None), "{name}");
        assert!(pattern::matches(0, &all.body), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codings_of_a_real_server_are_kept_apart() {
    let place = Place::shared().await;
    let proxy = Proxy::alone(&place, &[]).await;
    for case in all(&place).await.into_iter().filter(|case| case.packs) {
        let name = case.server.name;
        for expected in ["; stored", "; hit"] {
            let packed = asks(&proxy, &case).header("accept-encoding", "gzip");
            let packed = packed.fetch().await;
            let saw = said(&packed);
            assert_eq!((packed.status, &packed.broken), (200, &None), "{name}");
            assert_eq!(packed.field("content-encoding"), "gzip", "{name}");
            assert!(packed.body.len() < case.page.1.len() / 4, "{name}");
            let mut plain = Vec::new();
            let mut decoder = GzDecoder::new(&*packed.body);
            decoder.read_to_end(&mut plain).unwrap();
            assert!(plain == case.page.1, "{name}: unpacks to other bytes");
            assert!(saw.contains(expected), "{name} packed: {saw}");
            let plain = asks(&proxy, &case).fetch().await;
            whole(&case, &plain, "plain");
            assert_eq!(plain.field("content-encoding"), "", "{name}");
            let saw = said(&plain);
            assert!(saw.contains(expected), "{name} plain: {saw}");
        }
        // Each coding has a validator of its own, and asks with it.
        for coding in ["gzip", "identity"] {
            let ask = asks(&proxy, &case).header("accept-encoding", coding);
            let again = ask.header("cache-control", "no-cache").fetch().await;
            let packed = again.field("content-encoding") == "gzip";
            assert_eq!((again.status, packed), (200, coding == "gzip"), "{name}");
        }
    }
}
