//! `atoll trace`: one request, drawn across the nodes that had a part in it.

use harness::client::Ask;
use harness::metrics;
use harness::origin::Reply;
use harness::place::Place;
use serde_json::Value;

use super::{json, network, told};

/// The spans of a trace as `what@node`.
fn spans(trace: &Value) -> Vec<String> {
    let spans = trace["spans"].as_array().unwrap();
    spans
        .iter()
        .map(|span| {
            format!(
                "{}@{}",
                span["what"].as_str().unwrap(),
                span["node"].as_str().unwrap()
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miss_is_drawn_through_index_origin_and_then_peer() {
    let place = Place::shared().await;
    let (_dev, origin) = network(&place, 4).await;
    origin.serves("/page", |_| Reply::page("x".repeat(5_000)).fresh_for(60));
    let url = format!("http://{}/page", origin.addr);

    let (code, first) = json(&place, &["trace", &url, "--node", "node1"]).await;
    assert_eq!((code, &first["status"]), (Some(0), &Value::from(200)));
    let seen = spans(&first);
    for part in [
        "request@proxy node1",
        "index@proxy node1",
        "hop@dht node1",
        "origin@proxy node1",
        "first_byte@proxy node1",
    ] {
        assert!(seen.iter().any(|span| span == part), "{part} in {seen:?}");
    }
    let others = |span: &&String| span.starts_with("answer@dht") && !span.ends_with("node1");
    assert!(seen.iter().find(others).is_some(), "{seen:?}");
    // Each is placed within what caused it.
    let placed = first["spans"].as_array().unwrap();
    assert_eq!(
        (&placed[0]["what"], &placed[0]["depth"]),
        (&"request".into(), &0.into())
    );
    assert!(
        placed[1..]
            .iter()
            .all(|span| span["depth"].as_u64() > Some(0)),
        "{seen:?}"
    );
    assert_eq!(origin.count("/page"), 1);

    let picture = place.file("trace.svg");
    let picture_arg = picture.to_str().unwrap();
    let args = ["trace", &url, "--node", "node3", "--svg", picture_arg];
    let text = told(&place, &args).await.ok();
    assert!(text.contains("proxy node3  request"), "{text}");
    assert!(
        text.contains("peer") && text.contains("proxy node1"),
        "{text}"
    );
    assert!(text.contains("serve"), "{text}");
    assert!(std::fs::read_to_string(&picture).unwrap().contains("<rect"));
    assert_eq!(origin.count("/page"), 1, "the second came from the peer");

    // A hit is one span, and the verdict says so.
    let (_, hit) = json(&place, &["trace", &url, "--node", "node3"]).await;
    assert_eq!(spans(&hit), ["request@proxy node3"]);
    assert!(
        hit["verdict"]
            .as_str()
            .unwrap()
            .contains("all of it at proxy node3"),
        "{hit}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stranger_switches_tracing_on() {
    let place = Place::shared().await;
    let (dev, origin) = network(&place, 2).await;
    origin.serves("/page", |_| Reply::page("x").fresh_for(60));
    let (proxy, other) = (
        dev.of_kind("proxy")[0].clone(),
        dev.of_kind("proxy")[1].clone(),
    );
    let page = origin.page("/page");
    let url = format!("http://{}/page", origin.addr);
    let series =
        |outcome: &str| format!("atoll_proxy_trace_warrants_total{{outcome=\"{outcome}\"}}");
    let spans = async || metrics::value(proxy.admin, "atoll_proxy_trace_spans").await;

    // A warrant of another node's, changed digits, and what is none.
    let warrant = metrics_warrant(other.admin).await;
    let forged = format!("{}0", &warrant[..warrant.len() - 1]);
    for (warrant, outcome) in [
        (&*warrant, "forged"),
        (&*forged, "forged"),
        ("00", "malformed"),
        ("x", "malformed"),
    ] {
        let before = metrics::value(proxy.admin, &series(outcome)).await;
        let ask = Ask::of(proxy.addr, &page).header("atoll-warrant", warrant);
        assert_eq!(ask.fetch().await.status, 200, "it is served all the same");
        assert_eq!(
            metrics::value(proxy.admin, &series(outcome)).await,
            before + 1
        );
    }
    // Nor with the field that proxies use among themselves.
    let context = format!("{}-{}-1", "ab".repeat(16), "cd".repeat(8));
    let ask = Ask::of(proxy.addr, &page).header("atoll-trace", &context);
    ask.fetch().await;
    assert_eq!(spans().await, 0);
    for request in origin.seen("/page") {
        assert_eq!(request.header("atoll-warrant"), None);
        assert_eq!(request.header("atoll-trace"), None);
    }
    // Its own opens it.
    let own = metrics_warrant(proxy.admin).await;
    Ask::of(proxy.addr, &page)
        .header("atoll-warrant", &own)
        .fetch()
        .await;
    assert_eq!(metrics::value(proxy.admin, &series("accepted")).await, 1);
    assert!(spans().await > 0);
    let (code, _) = json(&place, &["trace", &url]).await;
    assert_eq!(code, Some(0));
}

/// A warrant as the admin listener at `admin` gives it out.
async fn metrics_warrant(admin: std::net::SocketAddr) -> String {
    let request = format!(
        "POST /warrant HTTP/1.1\r\nHost: {admin}\r\nAtoll-Warrant: wanted\r\nConnection: close\r\n\r\n"
    );
    let answer = harness::client::raw(admin, request.as_bytes()).await;
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let page: Value = serde_json::from_str(body).unwrap();
    page["warrant"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_kept_unasked_with_its_reason() {
    let place = Place::shared().await;
    let (_dev, mut origin) = network(&place, 1).await;
    let url = format!("http://{}/page", origin.addr);
    origin.die().await;
    let ran = told(&place, &["inject", "GET", &url]).await;
    assert_eq!(ran.code, Some(3), "{}{}", ran.out, ran.err);
    let (code, list) = json(&place, &["trace"]).await;
    assert_eq!(code, Some(0));
    let failed = list
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["trace"]["kept"] == "failed");
    let id = failed.unwrap()["trace"]["first"]["trace"].as_str().unwrap();
    let (code, trace) = json(&place, &["trace", "--id", id]).await;
    assert_eq!(code, Some(0));
    let verdict = trace["verdict"].as_str().unwrap();
    assert!(verdict.contains("connect_refused"), "{trace}");
}
