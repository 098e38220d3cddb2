//! Pages come through as they are, by either form of their name, with what belongs to the hop left out.

use harness::client::Page;
use harness::cluster::{Proxy, set};
use harness::origin::{Origin, Reply};
use harness::pattern;
use harness::place::{Place, host};
use harness::resolver::Hosts;
use http::Method;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_all_framings_are_byte_identical() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    for size in [0, 1, 1_460, 65_536, 3_000_001] {
        for framing in ["length", "chunked", "close"] {
            let path = format!("/{framing}/{size}");
            origin.serves(&path, move |_| {
                let reply = Reply::pattern(size).fresh_for(60);
                match framing {
                    "length" => reply,
                    "chunked" => reply.chunked(),
                    _ => reply.until_close(),
                }
            });
            for source in ["origin", "hit"] {
                let answer = proxy.get(&origin.page(&path)).await;
                assert_eq!((answer.status, &answer.broken), (200, &None), "{path}");
                assert_eq!(answer.body, pattern::whole(0..size), "{path} by {source}");
                assert!(answer.field("cache-status").contains(source), "{path}");
            }
            assert_eq!(origin.count(&path), 1, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_forms_of_a_name_reach_the_same_page() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let hosts = Hosts::start(&place, &[("www.my-site-page.com", place.ip(host::ORIGIN))]).await;
    let proxy = Proxy::alone(&place, &[set("origin.resolvers", hosts.addr)]).await;
    origin.serves("/a?b=%2F", |_| Reply::page("the page").fresh_for(60));
    let port = origin.addr.port();
    let forms = [
        format!("www.my-site-page.com.{port}.nyud.test"),
        format!("www-my--site--page-com-{port}.nyud.test"),
        format!(
            "WWW.My-Site-Page.com.{port}.NYUD.test:{}",
            proxy.http.port()
        ),
    ];
    for form in forms {
        let answer = proxy.get(&Page::new(&form, "/a?b=%2F")).await;
        assert_eq!(
            (answer.status, answer.text()),
            (200, "the page".to_owned()),
            "{form}"
        );
    }
    let seen = origin.seen("/a?b=%2F");
    assert_eq!(seen.len(), 1, "one page, one key");
    let named = format!("www.my-site-page.com:{port}");
    assert_eq!(seen[0].header("host"), Some(named.as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_has_the_fields_and_no_body() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/page", |_| Reply::page("twelve bytes").fresh_for(60));
    let head = proxy.ask(&origin.page("/page")).method(Method::HEAD);
    for source in ["nothing", "a stored copy"] {
        let answer = head.fetch().await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (200, 0),
            "from {source}"
        );
        assert_eq!(answer.field("content-length"), "12", "from {source}");
        assert_eq!(answer.broken, None);
        proxy.get(&origin.page("/page")).await;
    }
    let methods: Vec<String> = origin
        .seen("/page")
        .into_iter()
        .map(|seen| seen.method)
        .collect();
    assert_eq!(
        methods,
        ["HEAD", "GET"],
        "a HEAD stores nothing and is answered by what is stored"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_is_cut_from_the_whole_copy() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/film", |_| {
        Reply::pattern(5_000_000)
            .fresh_for(60)
            .header("etag", "\"1\"")
    });
    let page = origin.page("/film");
    proxy.get(&page).await;
    for (asked, part) in [
        ("bytes=0-99", 0..100),
        ("bytes=4999990-", 4_999_990..5_000_000),
        ("bytes=-7", 4_999_993..5_000_000),
        ("bytes=1000000-4000000", 1_000_000..4_000_001),
    ] {
        let answer = proxy.ask(&page).header("range", asked).fetch().await;
        assert_eq!(answer.status, 206, "{asked}");
        let stated = format!("bytes {}-{}/5000000", part.start, part.end - 1);
        assert_eq!(answer.field("content-range"), stated);
        assert_eq!(answer.body, pattern::whole(part), "{asked}");
    }
    let beyond = proxy
        .ask(&page)
        .header("range", "bytes=5000000-")
        .fetch()
        .await;
    assert_eq!((beyond.status, beyond.body.len()), (416, 0));
    let other = proxy
        .ask(&page)
        .header("range", "bytes=0-9")
        .header("if-range", "\"2\"");
    assert_eq!(other.fetch().await.status, 200, "of another version");
    assert_eq!(origin.count("/film"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cookies_and_credentials_cross_in_neither_direction() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/shop", |_| {
        Reply::page("for all")
            .fresh_for(60)
            .header("set-cookie", "session=1")
            .header("connection", "x-internal")
            .header("x-internal", "secret")
            .header("x-kept", "yes")
    });
    let ask = proxy
        .ask(&origin.page("/shop"))
        .header("cookie", "session=2");
    let ask = ask
        .header("x-own", "made up")
        .header("accept", "text/plain");
    let answer = ask.fetch().await;
    assert_eq!(answer.text(), "for all");
    for (field, value) in [("set-cookie", ""), ("x-internal", ""), ("x-kept", "yes")] {
        assert_eq!(answer.field(field), value, "{field}");
    }
    assert!(answer.field("via").contains("node11.nyud.test"));
    let seen = &origin.seen("/shop")[0];
    assert_eq!((seen.header("cookie"), seen.header("x-own")), (None, None));
    assert_eq!(seen.header("accept"), Some("text/plain"));
    assert!(seen.header("cdn-loop").unwrap().contains("nyud.test"));
    assert!(seen.header("user-agent").unwrap().contains("Atoll/"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_lead_back_into_the_zone() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let port = proxy.http.port();
    for (path, location, expected) in [
        (
            "/1",
            "http://other.org/x?y".to_owned(),
            format!("http://other.org.nyud.test:{port}/x?y"),
        ),
        (
            "/2",
            format!("http://{}/next", origin.addr),
            format!("http://{}:{port}/next", origin.page("").host),
        ),
        ("/3", "/relative".to_owned(), "/relative".to_owned()),
        (
            "/4",
            "ftp://other.org/".to_owned(),
            "ftp://other.org/".to_owned(),
        ),
    ] {
        origin.serves(path, move |_| {
            Reply::status(301, "moved")
                .header("location", &location)
                .fresh_for(60)
        });
        let page = origin.page(path);
        let page = Page::new(&format!("{}:{port}", page.host), path);
        let answer = proxy.get(&page).await;
        assert_eq!(
            (answer.status, answer.field("location")),
            (301, expected),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_that_wants_no_service_goes_home() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    for path in ["/page?coral-no-serve", "/page?a=b&coral-no-serve"] {
        let answer = proxy.get(&origin.page(path)).await;
        let home = format!("http://{}{path}&coral-no-serve", origin.addr);
        assert_eq!((answer.status, answer.field("location")), (302, home));
    }
    assert_eq!(origin.count_all(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miss_says_what_it_waited_for_and_a_hit_for_nothing() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/page", |_| Reply::page("x").fresh_for(60));
    let page = origin.page("/page");
    let miss = proxy.get(&page).await;
    assert!(miss.field("server-timing").starts_with("origin;dur="));
    let hit = proxy.get(&page).await;
    assert_eq!(
        (hit.status, hit.field("server-timing")),
        (200, String::new())
    );
}
