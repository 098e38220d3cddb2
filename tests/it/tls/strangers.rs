//! Old protocols, weak ciphers, garbage, and clients that take their time: as a tester of servers
//! tries them.

use std::net::SocketAddr;
use std::time::Duration;

use harness::cluster::set;
use harness::origin::Reply;
use harness::wait::{self, SOON, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_versions_and_weak_ciphers_are_refused() {
    let rig = Rig::start(&[]).await;
    let weak = ["-tls1_2", "-cipher"];
    for args in [
        &["-tls1", "-cipher", "ALL:@SECLEVEL=0"][..],
        &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
        // Without forward secrecy, in CBC mode, without authentication, by pre-shared keys.
        &[weak[0], weak[1], "AES128-GCM-SHA256:AES256-SHA:@SECLEVEL=0"],
        &[
            weak[0],
            weak[1],
            "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0",
        ],
        &[weak[0], weak[1], "aNULL:eNULL:@SECLEVEL=0"],
        &[weak[0], weak[1], "DHE:PSK:@SECLEVEL=0"],
    ] {
        let Some(ran) = rig.s_client(args, "").await else {
            return;
        };
        let all = format!("{}{}", ran.out, ran.err);
        assert_ne!(ran.code, Some(0), "{args:?}: {all}");
        let none = [
            "Cipher is (NONE)",
            "no cipher match",
            "no protocols available",
        ];
        assert!(
            none.iter().any(|none| all.contains(none)),
            "{args:?}: {all}"
        );
    }
    for args in [&["-tls1_2"][..], &["-tls1_3"]] {
        let ran = rig.s_client(args, "").await.unwrap();
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
    }
    let none = r#"atoll_proxy_handshakes_total{outcome="nothing_in_common"}"#;
    assert!(rig.proxy.metric(none).await >= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_asked_for_is_spoken_from_1_3_on() {
    let rig = Rig::start(&[set("https.minimum", "1.3")]).await;
    let Some(old) = rig.s_client(&["-tls1_2"], "").await else {
        return;
    };
    assert_ne!(old.code, Some(0));
    assert_eq!(rig.s_client(&["-tls1_3"], "").await.unwrap().code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_is_taken_and_a_renegotiation_is_not() {
    let rig = Rig::start(&[]).await;
    rig.origin
        .serves("/", |_| Reply::page("here").fresh_for(60));
    let request = rig.request("/");
    for version in ["-tls1_2", "-tls1_3"] {
        let file = rig.place.file("session");
        let file = file.to_str().unwrap();
        let host = rig.host();
        let common = [version, "-servername", &host, "-ign_eof"];
        let first = [&common[..], &["-sess_out", file]].concat();
        let Some(ran) = rig.s_client(&first, &request).await else {
            return;
        };
        assert!(
            ran.out.contains("here") && ran.out.contains("New, "),
            "{}",
            ran.out
        );
        let again = [&common[..], &["-sess_in", file]].concat();
        let ran = rig.s_client(&again, &request).await.unwrap();
        assert!(
            ran.out.contains("here") && ran.out.contains("Reused, "),
            "{}",
            ran.out
        );
    }
    let resumed = r#"atoll_proxy_handshakes_total{outcome="resumed"}"#;
    assert_eq!(rig.proxy.metric(resumed).await, 2);
    let host = rig.host();
    // A line with a single R asks s_client to renegotiate.
    let args = ["-tls1_2", "-servername", &host];
    let ran = rig.s_client(&args, "R\n").await.unwrap();
    let all = format!("{}{}", ran.out, ran.err);
    assert!(all.contains("RENEGOTIATING"), "{all}");
    assert_ne!(ran.code, Some(0), "{all}");
}

/// What comes back for `bytes` until the connection ends.
async fn exchange(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut got = Vec::new();
    // A reset is an end as well.
    let _ = within("the connection ends", SOON, stream.read_to_end(&mut got)).await;
    got
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_answered_with_an_alert_at_most_and_counted() {
    let rig = Rig::start(&[]).await;
    let heartbleed = [24, 3, 2, 0, 3, 1, 64, 0];
    let sslv2 = [128, 46, 1, 0, 2, 0, 21, 0, 0, 0, 16, 1, 0, 128, 2, 0, 128];
    let long = [22, 3, 1, 255, 255, 1, 0, 0, 0];
    let noise: Vec<u8> = (0..4_000u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let cases = [
        &heartbleed[..],
        &sslv2,
        &long,
        &noise,
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for bytes in cases {
        let got = exchange(rig.https, bytes).await;
        let alert = got.len() == 7 && got[..2] == [21, 3];
        assert!(got.is_empty() || alert, "{bytes:?}: {got:?}");
    }
    let bad = r#"atoll_proxy_handshakes_total{outcome="not_tls"}"#;
    wait::until("all are counted and gone", SOON, async || {
        rig.proxy.metric(bad).await == cases.len() as u64
            && rig.proxy.metric("atoll_proxy_connections").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_finish_a_handshake_is_sent_away_in_time_and_holds_up_nobody() {
    let sets = [
        set("https.handshake_timeout", "500ms"),
        set("https.handshakes_max", 4),
    ];
    let rig = Rig::start(&sets).await;
    rig.origin
        .serves("/", |_| Reply::page("here").fresh_for(60));
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(rig.https).await.unwrap());
    }
    for mut stream in silent {
        let mut got = Vec::new();
        let _ = within("it is closed", SOON, stream.read_to_end(&mut got)).await;
        assert!(got.is_empty());
    }
    for (outcome, count) in [("timed_out", 4), ("too_many", 4)] {
        let series = format!("atoll_proxy_handshakes_total{{outcome=\"{outcome}\"}}");
        wait::until(outcome, SOON, async || {
            rig.proxy.metric(&series).await == count
        })
        .await;
    }
    let Some(ran) = rig.curl(&["--http1.1", &rig.url("/")]).await else {
        return;
    };
    assert_eq!(ran.out, "here200 1.1 4", "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_both_doors_count_together() {
    let sets = [
        set("http.connections_per_client", 2),
        set("client.exempt", "192.0.2.0/24"),
        set("https.handshake_timeout", "60s"),
    ];
    let rig = Rig::start(&sets).await;
    let _one = TcpStream::connect(rig.https).await.unwrap();
    let _two = TcpStream::connect(rig.proxy.http).await.unwrap();
    wait::until("both are in", SOON, async || {
        rig.proxy.metric("atoll_proxy_connections").await == 2
    })
    .await;
    for door in [rig.https, rig.proxy.http] {
        assert!(exchange(door, b"").await.is_empty(), "closed at once");
    }
    let refused = r#"atoll_proxy_connections_refused_total{reason="client"}"#;
    assert_eq!(rig.proxy.metric(refused).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_cut_and_a_slow_head_refused_over_tls_as_well() {
    let sets = [
        set("http.send_timeout", "1s"),
        set("http.header_timeout", "500ms"),
    ];
    let rig = Rig::start(&sets).await;
    rig.origin
        .serves("/large", |_| Reply::pattern(64 << 20).fresh_for(60));
    let connector = rig.authority.client(&["http/1.1"]);
    let open = async || {
        let name = rig.host().try_into().unwrap();
        let stream = TcpStream::connect(rig.https).await.unwrap();
        connector.connect(name, stream).await.unwrap()
    };
    let mut slow = open().await;
    slow.write_all(rig.request("/large").as_bytes())
        .await
        .unwrap();
    wait::until(
        "the slow reader is cut",
        Duration::from_secs(20),
        async || rig.proxy.metric("atoll_proxy_connections_cut_total").await == 1,
    )
    .await;
    let mut slow = open().await;
    slow.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    let mut got = Vec::new();
    let _ = within("it is refused", SOON, slow.read_to_end(&mut got)).await;
    assert!(
        got.starts_with(b"HTTP/1.1 408 "),
        "{}",
        String::from_utf8_lossy(&got)
    );
}
