//! curl and Chromium, to whom it is all one.

use std::fs;

use harness::exec;
use harness::origin::Reply;
use harness::pattern;

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
    let rig = Rig::start(&[]).await;
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
    for word in ["first", "second"] {
        assert!(ran.out.contains(word), "{}\n{}", ran.out, ran.err);
    }
}
