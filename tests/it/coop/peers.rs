//! The peer port: for members only, and never a way to make others ask further.

use harness::client::Ask;
use harness::client::{Page, raw};
use harness::cluster::Cluster;
use harness::origin::{Origin, Reply};
use harness::place::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_proof_gets_403_and_nothing_else() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let cluster = Cluster::of(1).start(&place).await;
    let proxy = &cluster.proxies[0];
    origin.serves("/page", |_| Reply::page("for members").fresh_for(60));
    proxy.get(&origin.page("/page")).await;
    let target = format!("/http/{}/page", origin.addr);
    let invented = "0".repeat(64);
    for (path, proof) in [
        (target.as_str(), None),
        (target.as_str(), Some("x")),
        (target.as_str(), Some(invented.as_str())),
        ("/", None),
        ("/metrics", None),
    ] {
        let mut ask = Ask::of(proxy.peer, &Page::new(&proxy.peer.to_string(), path));
        if let Some(proof) = proof {
            ask = ask.header("atoll-proof", proof);
        }
        let answer = ask.fetch().await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (403, 0),
            "{path} {proof:?}"
        );
        let mut names: Vec<&str> = answer.headers.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["content-length", "date"],
            "an outsider learns nothing"
        );
    }
    let post = raw(
        proxy.peer,
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(post.starts_with("HTTP/1.1 403 "), "{post}");
    let counted = proxy
        .metric("atoll_proxy_peer_requests_total{outcome=\"forbidden\"}")
        .await;
    assert_eq!(counted, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_of_the_way_is_told_to_the_client() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let cluster = Cluster::of(2).start(&place).await;
    origin.serves("/page", |_| Reply::page("x").fresh_for(60));
    let page = origin.page("/page");
    cluster.proxies[0].get(&page).await;
    let answer = cluster.proxies[1].get(&page).await;
    let status = answer.field("cache-status");
    let (first, second) = status.split_once(',').unwrap();
    assert!(
        first.contains("node11.nyud.test") && first.contains("hit"),
        "{status}"
    );
    assert!(
        second.contains("node12.nyud.test") && second.contains("fwd=uri-miss"),
        "{status}"
    );
    assert!(
        answer
            .headers
            .keys()
            .all(|name| !name.as_str().starts_with("atoll-"))
    );
    assert!(answer.field("age").parse::<u32>().is_ok());
}
