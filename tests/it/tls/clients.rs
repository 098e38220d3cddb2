//! curl and Chromium, to whom it is all one.

use std::fs;

use harness::cluster::set;
use harness::exec;
use harness::origin::Reply;
use harness::pattern;
use harness::wait::{self, SOON};

use super::{Rig, find};

const FILE: u64 = 300_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_gets_the_same_over_every_version() {
    let rig = Rig::start(&[]).await;
    rig.origin
        .serves("/file", |_| Reply::pattern(FILE).fresh_for(60));
    let (into, url) = (rig.place.file("out"), rig.url("/file"));
    let file = into.display().to_string();
    for args in [
        &["--http1.1"][..],
        &["--http1.1", "--tlsv1.2", "--tls-max", "1.2"],
        &["--http1.1", "--tlsv1.3"],
        &["--http1.0"],
    ] {
        let Some(ran) = rig.curl(&[args, &["-o", &file, &url]].concat()).await else {
            return;
        };
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
        // A server answers with a version of its own (RFC 9110 §6.2).
        let size = format!(" {FILE}");
        assert!(
            ran.out.starts_with("200 1") && ran.out.ends_with(&size),
            "{args:?}: {}",
            ran.out
        );
        assert!(
            fs::read(&into).unwrap() == pattern::whole(0..FILE),
            "{args:?}"
        );
    }
    assert_eq!(rig.origin.count("/file"), 1, "fetched over TLS, and once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_speaks_http2_over_tls_and_in_the_clear() {
    let rig = Rig::start(&[]).await;
    rig.origin.serves("/file", |request| {
        Reply::pattern(FILE)
            .fresh_for(60)
            .header("last-modified", "Sun, 13 Sep 2020 12:26:40 GMT")
            .ranged_by("\"f1\"", request)
    });
    let into = rig.place.file("out");
    let file = into.display().to_string();
    let url = rig.url("/file");
    for (args, want) in [
        (&["--http2"][..], format!("200 2 {FILE}")),
        (&["--http2", "-r", "1000-1999"], "206 2 1000".to_owned()),
        (&["--http2", "-I"], "200 2 0".to_owned()),
        (
            &["--http2", "-z", "Mon, 14 Sep 2020 00:00:00 GMT"],
            "304 2 0".to_owned(),
        ),
        (
            &["--http2", "-X", "POST", "-d", "words"],
            "405 2".to_owned(),
        ),
    ] {
        let Some(ran) = rig.curl(&[args, &["-o", &file, &url]].concat()).await else {
            return;
        };
        assert!(
            ran.out.starts_with(&want),
            "{args:?}: {} {}",
            ran.out,
            ran.err
        );
    }
    // Its own page; the site itself is only to be had over TLS.
    let Some(curl) = find("curl") else { return };
    let mut command = exec::command(curl);
    command.args(["-sS", "--noproxy", "*", "--max-time", "30", "-o", &file]);
    command.args(["--http2-prior-knowledge", "-H", "Host: nyud.test"]);
    command.args(["-w", "%{http_code} %{http_version} "]);
    let ran = exec::run(command.arg(format!("http://{}/", rig.proxy.http))).await;
    assert!(ran.out.starts_with("200 2 "), "{} {}", ran.out, ran.err);
    assert_eq!(rig.origin.count("/file"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2load_asks_for_much_at_once_and_gets_all_of_it() {
    let Some(h2load) = find("h2load") else { return };
    let rig = Rig::start(&[]).await;
    rig.origin
        .serves("/small", |_| Reply::pattern(1_024).fresh_for(60));
    rig.origin
        .serves("/large", |_| Reply::pattern(3_000_000).fresh_for(60));
    for (path, args) in [
        ("/small", ["-n", "4000", "-c", "4", "-m", "50"]),
        ("/large", ["-n", "40", "-c", "2", "-m", "10"]),
    ] {
        let to = format!("--connect-to={}", rig.https);
        let mut command = exec::command(&h2load);
        let ran = exec::run(command.args(args).arg(to).arg(rig.url(path))).await;
        let all = format!("{n} succeeded, 0 failed, 0 errored", n = args[1]);
        assert!(ran.out.contains(&all), "{}{}", ran.out, ran.err);
        assert!(ran.out.contains("Application protocol: h2"), "{}", ran.out);
    }
    assert_eq!(rig.origin.count("/small"), 1);
    assert_eq!(rig.origin.count("/large"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_leads_to_a_name_that_the_certificate_covers() {
    let rig = Rig::start(&[]).await;
    let port = rig.origin.addr.port();
    rig.origin.serves("/old", move |_| {
        let to = format!("https://{}:{port}/new", super::SITE);
        Reply::status(301, "moved").header("location", &to)
    });
    rig.origin
        .serves("/new", |_| Reply::page("here").fresh_for(60));
    let Some(ran) = rig.curl(&["-L", "--http1.1", &rig.url("/old")]).await else {
        return;
    };
    assert_eq!(
        (ran.code, &*ran.out),
        (Some(0), "here200 1.1 4"),
        "{}",
        ran.err
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_was_not_asked_for_and_not_shown_is_misdirected() {
    let rig = Rig::start(&[]).await;
    rig.origin
        .serves("/", |_| Reply::page("here").fresh_for(60));
    let url = rig.url("/");
    for (host, status) in [
        ("example-com.nyud.test", "502"),
        ("www.example.com.nyud.test", "421"),
        ("example.com", "421"),
    ] {
        let host_field = format!("Host: {host}");
        let args = ["--http1.1", "-o", "/dev/null", "-H", &host_field, &url];
        let Some(ran) = rig.curl(&args).await else {
            return;
        };
        assert!(
            ran.out.starts_with(status),
            "{host}: {} {}",
            ran.out,
            ran.err
        );
    }
    let refusals = r#"atoll_proxy_refusals_total{reason="misdirected"}"#;
    assert_eq!(rig.proxy.metric(refusals).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn https_is_never_fetched_over_http() {
    let rig = Rig::start(&[]).await;
    // A site that speaks plain HTTP on the port that is asked for.
    let plain = harness::origin::Origin::start(&rig.place).await;
    plain.serves("/", |_| Reply::page("in the clear").fresh_for(60));
    let label = super::SITE.replace('-', "--").replace('.', "-");
    let host = format!("{label}-{}.nyud.test", plain.addr.port());
    let url = format!("https://{host}:{}/", rig.https.port());
    let Some(ran) = rig.curl(&["-o", "/dev/null", "--http1.1", &url]).await else {
        return;
    };
    assert!(ran.out.starts_with("502"), "{} {}", ran.out, ran.err);
    assert_eq!(plain.count("/"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_loads_a_page() {
    let names = ["chromium-headless-shell", "chromium"];
    let Some(browser) = names.iter().find_map(|name| exec::find(name)) else {
        let _ = find("chromium");
        return;
    };
    let rig = Rig::start(&[set("log.access", "combined")]).await;
    rig.origin.serves("/", |_| {
        let page = "<body><script src=a.js></script><script src=b.js></script>";
        let reply = Reply::page(page).fresh_for(60);
        reply.header("content-type", "text/html")
    });
    for (path, word) in [("/a.js", "first"), ("/b.js", "second")] {
        rig.origin.serves(path, move |_| {
            let reply = Reply::page(format!("document.write('{word}')")).fresh_for(60);
            reply.header("content-type", "text/javascript")
        });
    }
    let mut command = exec::command(&browser);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-proxy-server",
    ]);
    command.args([
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--ignore-certificate-errors",
    ]);
    command.arg(format!(
        "--user-data-dir={}",
        rig.place.file("profile").display()
    ));
    let map = format!("--host-resolver-rules=MAP *.nyud.test {}", rig.https.ip());
    command.arg(map).args(["--timeout=20000", "--dump-dom"]);
    let ran = exec::run(command.arg(rig.url("/"))).await;
    let base = rig.url("");
    wait::until("both scripts came over HTTP/2", SOON, async || {
        let log = rig.proxy.daemon.log();
        ["a", "b"]
            .iter()
            .all(|name| log.contains(&format!("\"GET {base}/{name}.js HTTP/2.0\" 200")))
    })
    .await;
    for word in ["first", "second"] {
        assert!(ran.out.contains(word), "{}\n{}", ran.out, ran.err);
    }
}
