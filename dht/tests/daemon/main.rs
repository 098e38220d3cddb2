//! The daemon in this process: real sockets on free ports, asked through the client.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod outside;
mod site;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use dht::client::{Claim, ClientError, Refusal, Search};
use dht::shell::Daemon;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use site::{SOON, Site, key, page, raw, until};

#[tokio::test]
async fn three_daemons_are_one_index() {
    let site = Site::new();
    let all = site.cluster(3).await;
    let ttl = Duration::from_secs(60);
    let copies = all[0]
        .client
        .put(key("k"), b"value", ttl, SOON)
        .await
        .unwrap();
    assert!(copies >= 2);
    for running in &all {
        let found = running.client.get(key("k"), 1, SOON).await.unwrap();
        assert_eq!(found.values[0].bytes, b"value");
        assert!(found.values[0].ttl <= ttl);
    }
    let binary = [0xff, 0, 1];
    let granted = all[1]
        .client
        .claim(key("c"), &binary, ttl, SOON)
        .await
        .unwrap();
    assert_eq!(granted, Claim::Granted);
    let Claim::Found(values) = all[2]
        .client
        .claim(key("c"), b"late", ttl, SOON)
        .await
        .unwrap()
    else {
        panic!("granted twice")
    };
    assert_eq!(values[0].bytes, binary);
    assert!(all[1].client.withdraw(key("c"), SOON).await.unwrap() >= 2);
    assert!(
        all[2]
            .client
            .get(key("c"), 1, SOON)
            .await
            .unwrap()
            .values
            .is_empty()
    );

    let levels = all[0].client.levels(SOON).await.unwrap();
    assert_eq!((levels.len(), levels[0].level, levels[0].size), (3, 0, 3));
    let nodes = all[0].client.nodes(Search::all(10), SOON).await.unwrap();
    assert_eq!(nodes.len(), 3);
    let pong = all[0].client.ping(all[1].addr, SOON).await.unwrap();
    assert!(pong.rtt > Duration::ZERO && pong.services.is_empty());
    let nobody = "127.0.0.1:9".parse().unwrap();
    let dead = all[0].client.ping(nobody, Duration::from_millis(200)).await;
    assert_eq!(dead, Err(ClientError::Refused(Refusal::Unreachable)));
}

#[tokio::test]
async fn neighbours_share_every_level_within_seconds() {
    let site = Site::new();
    let all = site.cluster(4).await;
    let together = async || {
        let mut seen = std::collections::BTreeSet::new();
        for running in &all {
            let levels = running.client.levels(SOON).await.unwrap();
            seen.extend(levels.iter().map(|l| (l.level, l.cluster, l.size)));
        }
        seen.len() == 3 && seen.iter().all(|(.., size)| *size == 4)
    };
    until("one cluster at each level", together).await;
    let inner = Search {
        level: 2,
        ..Search::all(9)
    };
    let found = all[0].client.nodes(inner, SOON).await.unwrap();
    assert_eq!(found.len(), 4);
}

#[tokio::test]
async fn of_many_simultaneous_claims_one_is_granted() {
    let site = Site::new();
    let all = site.cluster(4).await;
    for round in 0..5 {
        let key = key(&format!("cold {round}"));
        let mut claims = Vec::new();
        for (n, running) in all.iter().enumerate() {
            let client = running.client.clone();
            claims.push(tokio::spawn(async move {
                let value = format!("node {n}");
                client
                    .claim(key, value.as_bytes(), Duration::from_secs(20), SOON)
                    .await
                    .unwrap()
            }));
        }
        let mut granted = 0;
        for claim in claims {
            granted += usize::from(claim.await.unwrap() == Claim::Granted);
        }
        assert_eq!(granted, 1, "round {round}");
    }
}

#[tokio::test]
async fn a_service_lasts_exactly_as_long_as_its_session() {
    let site = Site::new();
    let all = site.cluster(2).await;
    let http: SocketAddr = "192.0.2.1:80".parse().unwrap();
    let mut session = all[1].client.service("http", http).await.unwrap();
    let seen = async |expected: usize| {
        let nodes = all[0]
            .client
            .nodes(Search::of("http", 10), SOON)
            .await
            .unwrap();
        nodes.len() == expected
    };
    until("service seen", async || seen(1).await).await;
    let nodes = all[0]
        .client
        .nodes(Search::of("http", 10), SOON)
        .await
        .unwrap();
    assert_eq!((nodes[0].addr, nodes[0].services[0].1), (all[1].addr, http));
    assert!(
        timeout(Duration::from_millis(50), session.closed())
            .await
            .is_err()
    );
    drop(session);
    until("service gone", async || seen(0).await).await;

    let bad = all[0].client.service("Not A Name", http).await;
    assert_eq!(bad.err(), Some(ClientError::Refused(Refusal::Malformed)));
}

#[tokio::test]
async fn the_client_notices_a_daemon_that_goes_and_finds_it_when_it_is_back() {
    let site = Site::new();
    let running = site.start("one", &[]).await;
    let client = running.client.clone();
    let ttl = Duration::from_secs(60);
    client.put(key("k"), b"v", ttl, SOON).await.unwrap();
    let mut session = client
        .service("http", "192.0.2.1:80".parse().unwrap())
        .await
        .unwrap();
    running.stop().await;
    let gone = client.get(key("k"), 1, SOON).await;
    assert!(
        matches!(
            gone,
            Err(ClientError::Unreachable(_) | ClientError::Refused(_))
        ),
        "{gone:?}"
    );
    assert!(
        !site.path("one.sock").exists(),
        "the socket goes with the daemon"
    );
    timeout(4 * SOON, session.closed()).await.unwrap();

    let running = site.start("one", &[]).await;
    let found = client.get(key("k"), 1, SOON).await.unwrap();
    let found: Vec<_> = found.values.iter().map(|value| &value.bytes[..]).collect();
    assert_eq!(found, [b"v"], "it was written down for the next");
    running.stop().await;
}

#[tokio::test]
async fn remembers_peers_across_a_restart() {
    let site = Site::new();
    let mut all = site.cluster(3).await;
    let last = all.pop().unwrap();
    last.stop().await;
    let text = std::fs::read_to_string(site.path("n2").join("peers.json")).unwrap();
    assert!(
        text.contains("\"schema\": 1") && text.contains(&all[1].addr.to_string()),
        "{text}"
    );
    let first = all.remove(0);
    let seed = first.addr;
    first.stop().await;
    let back = site.start("n2", &[format!("join.seeds={seed}")]).await;
    until("back", async || {
        let nodes = back.client.nodes(Search::all(9), SOON).await.unwrap();
        nodes.iter().any(|node| node.addr == all[0].addr)
    })
    .await;
}

#[tokio::test]
async fn the_local_api_answers_curl_and_says_no_properly() {
    let site = Site::new();
    let running = site.start("one", &[]).await;
    let socket = &running.socket;
    let put = r#"{"text":"k","value":"v","ttl_ms":60000}"#;
    assert_eq!(
        raw(socket, "POST", "/v1/put", put).await,
        (200, "{\"copies\":1}\n".to_owned())
    );
    let (status, body) = raw(socket, "POST", "/v1/get", r#"{"text":"k"}"#).await;
    assert!(status == 200 && body.contains(r#""value":"v""#), "{body}");
    let (status, body) = raw(socket, "POST", "/v1/get", r#"{"text":"k","stream":true}"#).await;
    assert!(status == 200 && body.contains(r#""last":false"#) && body.contains(r#""last":true"#));
    let (status, body) = raw(socket, "GET", "/v1/state", "").await;
    assert!(
        status == 200 && body.contains(r#""health":"alone""#),
        "{body}"
    );

    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(5_000));
    let long = format!(r#"{{"text":"k","value":"{}","ttl_ms":1}}"#, "x".repeat(257));
    let cases = [
        ("GET", "/", "", 404, "not_found"),
        ("GET", "/v1/get", "", 405, "method"),
        ("POST", "/v1/get", "{", 400, "malformed"),
        ("POST", "/v1/get", "{}", 400, "malformed"),
        ("POST", "/v1/get", r#"{"key":"zz"}"#, 400, "malformed"),
        ("POST", "/v1/get", &large, 413, "body_too_large"),
        ("POST", "/v1/put", &long, 413, "value_too_long"),
        (
            "POST",
            "/v1/put",
            r#"{"text":"k","value":"v","ttl_ms":0}"#,
            400,
            "ttl_zero",
        ),
        (
            "POST",
            "/v1/nodes",
            r#"{"level":3,"count":1}"#,
            409,
            "level",
        ),
    ];
    for (method, path, body, status, reason) in cases {
        let (got, said) = raw(socket, method, path, body).await;
        assert_eq!(got, status, "{method} {path} {said}");
        assert!(said.contains(&format!(r#""error":"{reason}""#)), "{said}");
        assert!(said.contains(r#""message":""#), "{said}");
    }
    let mode = std::fs::metadata(socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn garbage_is_counted_and_never_answered() {
    let site = Site::new();
    let running = site.start("one", &[]).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for datagram in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 1_400], &[b'x'; 300]] {
        stranger.send_to(datagram, running.addr).await.unwrap();
    }
    let counted = async || {
        let (_, metrics) = page(running.admin, "/metrics").await;
        ["length\"} 2", "magic\"} 1"].iter().all(|line| {
            metrics.contains(&format!(
                "atoll_dht_datagrams_dropped_total{{reason=\"{line}"
            ))
        })
    };
    until("three drops", counted).await;
    let mut buffer = [0; 100];
    let answer = timeout(Duration::from_millis(100), stranger.recv_from(&mut buffer)).await;
    assert!(answer.is_err(), "an outsider hears nothing");
}

#[tokio::test]
async fn admin_pages_show_what_the_node_is() {
    let site = Site::new();
    let all = site.cluster(2).await;
    let (status, state) = page(all[1].admin, "/state").await;
    assert!(
        status == 200 && state.contains(&all[0].addr.to_string()),
        "{state}"
    );
    assert!(state.contains("\"health\": \"healthy\""));
    let (_, metrics) = page(all[1].admin, "/metrics").await;
    assert!(metrics.contains("atoll_dht_healthy 1\n"));
    let alone = site
        .start("lost", &["join.seeds=127.0.0.1:9".to_owned()])
        .await;
    let (status, why) = page(alone.admin, "/readyz").await;
    assert!(status == 503 && why.contains("join.seeds"), "{why}");
}

#[tokio::test]
async fn a_daemon_that_cannot_start_says_what_to_do() {
    let site = Site::new();
    let running = site.start("one", &[]).await;
    let failure = async |name: &str, set: String| {
        let Err(error) = Daemon::bind(site.config(name, &[set])).await else {
            panic!("it started")
        };
        assert_eq!(error.exit_code(), 1);
        error.to_string()
    };
    let said = failure("two", format!("udp.listen={}", running.addr)).await;
    assert!(
        said.contains(&running.addr.to_string()) && said.contains("another program"),
        "{said}"
    );
    let said = failure("one", "state.dir=".to_owned()).await;
    assert!(said.contains("already answers there"), "{said}");
    let said = failure("two", "network.secret_file=/nowhere/secret".to_owned()).await;
    assert!(said.contains("atoll secret new"), "{said}");
    let file = site.path("secret");
    let said = failure("two", format!("local.socket={}", file.display())).await;
    assert!(said.contains("no socket is there"), "{said}");
    assert!(file.exists());
}

#[tokio::test]
async fn the_socket_of_a_dead_daemon_is_replaced() {
    let site = Site::new();
    let stale = site.path("one.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    assert!(stale.exists());
    let running = site.start("one", &[]).await;
    assert!(running.client.levels(SOON).await.is_ok());
}
