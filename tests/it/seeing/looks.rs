//! `atoll why`, `inject`, `capture`, `top`, `peers`, `drain`, `config`: each against real daemons.

use harness::client::Ask;
use harness::dev::atoll;
use harness::exec::run;
use harness::origin::Reply;
use harness::place::Place;
use harness::wait::{self, SOON};
use serde_json::Value;

use super::{json, network, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_tells_a_private_page_from_a_kept_one_and_a_dead_site() {
    let place = Place::shared().await;
    let (dev, mut origin) = network(&place, 2).await;
    let proxy = dev.of_kind("proxy")[0].clone();
    origin.serves("/mine", |_| {
        Reply::page("x").header("cache-control", "private")
    });
    origin.serves("/ours", |_| Reply::page("x").fresh_for(60));
    let url = |path: &str| format!("http://{}{path}", origin.addr);
    let (code, unknown) = json(&place, &["why", &url("/ours")]).await;
    assert_eq!(
        (code, &unknown["nodes"][0]["verdict"]),
        (Some(0), &"unknown".into())
    );
    for path in ["/mine", "/ours"] {
        Ask::of(proxy.addr, &origin.page(path)).fetch().await;
    }
    let (code, mine) = json(&place, &["why", &url("/mine"), "--node", "node1"]).await;
    assert_eq!(code, Some(1));
    assert_eq!(mine["nodes"][0]["not_kept"], "private");
    let text = told(&place, &["why", &url("/mine")]).await.out;
    assert!(
        text.contains("its site says it is for one person"),
        "{text}"
    );
    let (code, ours) = json(&place, &["why", &url("/ours")]).await;
    assert_eq!(
        (code, &ours["nodes"][0]["verdict"]),
        (Some(0), &"fresh".into())
    );
    wait::until("the index says who holds it", SOON, async || {
        let (_, ours) = json(&place, &["why", &url("/ours")]).await;
        let holders = ours["holders"].as_array();
        holders.is_some_and(|all| {
            all.iter()
                .any(|one| one.as_str().unwrap().starts_with("complete"))
        })
    })
    .await;
    let gone = url("/gone");
    let page = origin.page("/gone");
    origin.die().await;
    Ask::of(proxy.addr, &page).fetch().await;
    let (code, gone) = json(&place, &["why", &gone, "--node", "node1"]).await;
    assert_eq!(
        (code, &gone["nodes"][0]["verdict"]),
        (Some(3), &"origin_fails".into())
    );
    assert_eq!(
        gone["nodes"][0]["last_failure"]["reason"],
        "connect_refused"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_injected_request_is_answered_by_the_node_that_is_named() {
    let place = Place::shared().await;
    let (_dev, origin) = network(&place, 3).await;
    origin.serves("/page", |_| Reply::page("hello").fresh_for(60));
    let url = format!("http://{}/page", origin.addr);
    let (code, answer) = json(&place, &["inject", "--node", "node3", "GET", &url]).await;
    assert_eq!((code, &answer["status"]), (Some(0), &200.into()));
    let digest = blake3::hash(b"hello").to_hex();
    assert_eq!(
        (answer["digest"].as_str(), &answer["bytes"]),
        (Some(&*digest), &5.into())
    );
    let fields = answer["fields"].as_array().unwrap();
    let status = fields
        .iter()
        .find(|field| field[0] == "cache-status")
        .unwrap();
    assert!(status[1].as_str().unwrap().contains("node3"), "{status}");
    let text = told(&place, &["inject", "--node", "node3", "HEAD", &url])
        .await
        .ok();
    assert!(
        text.starts_with("node3: 200 ") && text.contains("; hit"),
        "{text}"
    );
    assert_eq!(origin.count("/page"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn captured_puts_are_readable_and_nothing_else_is_captured() {
    let place = Place::shared().await;
    let (dev, origin) = network(&place, 3).await;
    let proxy = dev.of_kind("proxy")[0].clone();
    origin.serves("/page", |_| Reply::page("hello").fresh_for(600));
    let url = format!("http://{}/page", origin.addr);
    let args = [
        "capture", "--key", &url, "--kind", "put", "--for", "20s", "--lines", "2",
    ];
    let mut command = atoll(&place, &args);
    let capture = tokio::spawn(async move { run(&mut command).await });
    // Fetched once the capture is on: it is asked whether it is.
    let index = dev.of_kind("dht")[0].clone();
    wait::until("the capture runs", SOON, async || {
        let request = format!(
            "GET /capture HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            index.admin
        );
        let page = harness::client::raw(index.admin, request.as_bytes()).await;
        let page: Value = serde_json::from_str(page.split_once("\r\n\r\n").unwrap().1).unwrap();
        page["id"] == 1
    })
    .await;
    Ask::of(proxy.addr, &origin.page("/page")).fetch().await;
    let text = capture.await.unwrap().ok();
    assert_eq!(text.lines().count(), 2, "{text}");
    for line in text.lines() {
        assert!(
            line.contains(" put ") || line.contains(" stored") || line.contains(" refused"),
            "{line}"
        );
    }
    assert!(text.contains("\"atoll1 "), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_peers_drain_and_config_answer_for_people_and_programs() {
    let place = Place::shared().await;
    let (dev, origin) = network(&place, 3).await;
    let proxy = dev.of_kind("proxy")[0].clone();
    origin.serves("/page", |_| Reply::page("hello").fresh_for(600));
    for _ in 0..20 {
        Ask::of(proxy.addr, &origin.page("/page")).fetch().await;
    }
    let (code, top) = json(&place, &["top", "--once", "--every", "300ms"]).await;
    assert_eq!((code, top["nodes"].as_array().unwrap().len()), (Some(0), 3));
    assert!(top["sites"][0]["amount"].as_f64() >= Some(20.0), "{top}");
    let text = told(&place, &["top", "--once", "--every", "300ms"])
        .await
        .ok();
    assert!(text.contains("node1") && text.contains("/page"), "{text}");
    let (code, peers) = json(&place, &["peers", "--node", "node2"]).await;
    assert_eq!(
        (code, peers["peers"].as_array().unwrap().len()),
        (Some(0), 2)
    );

    let all = told(&place, &["drain"]).await;
    assert_eq!(all.code, Some(2), "nobody drains all by a slip");
    let args = ["drain", "--node", "node2", "--wait", "5s"];
    let drained = told(&place, &args).await.ok();
    assert!(drained.contains("node2: draining"), "{drained}");
    let ran = told(&place, &["doctor"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    assert!(ran.out.contains("is draining"), "{}", ran.out);
    let undone = told(&place, &["drain", "--node", "node2", "--undo"]).await;
    assert!(undone.ok().contains("node2: serving"));

    let file = place.file("dht.toml");
    std::fs::write(&file, "[udp]\nlisten = \"127.0.0.1:1\"\n").unwrap();
    let file = file.to_str().unwrap();
    let bin = harness::binaries::dir().to_str().unwrap();
    let (code, diff) = json(
        &place,
        &["config", "diff", "dht", file, "--release-dir", bin],
    )
    .await;
    assert_eq!(code, Some(1));
    assert!(
        diff.as_array()
            .unwrap()
            .iter()
            .any(|row| row["key"] == "udp.listen"),
        "{diff}"
    );
    std::fs::write(file, "[udp]\nlissten = \"x\"\n").unwrap();
    let ran = told(
        &place,
        &["config", "check", "dht", file, "--release-dir", bin],
    )
    .await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("lissten"), "{}", ran.err);
}
