//! Datagrams of those who do not belong: dropped, counted, and no reply.

use std::net::SocketAddr;
use std::time::Duration;

use common::ids::{NodeId, TxId};
use common::rng::Generator;
use common::shell::secret;
use common::wire::GENERATION;
use common::wire::header::{self, Header, LevelInfo};
use common::wire::secret::Network;
use dht::engine::message::{Ask, Request, encode_request};
use harness::cluster::{Cluster, make_secret, secret_file};
use harness::place::{Place, host};
use harness::wait::{self, SOON};
use tokio::net::UdpSocket;

/// For a reply that must not come. Replies on loopback take well under a millisecond.
const SILENCE: Duration = Duration::from_millis(150);

/// A ping to `to` as a member of `network` at `from` would send it.
fn ping(network: &Network, from: SocketAddr, to: SocketAddr, tx: u64) -> Vec<u8> {
    let ask = Ask::Ping {
        services: Vec::new(),
    };
    let kind = ask.kind().code();
    let request = Request {
        level: 0,
        token: None,
        behalf: None,
        trace: None,
        ask,
    };
    let body = encode_request(&request, 1_000, 200).unwrap();
    let header = Header {
        kind,
        tx: TxId(tx),
        sender: NodeId::of(from),
        receiver: Some(NodeId::of(to)),
        levels: vec![LevelInfo::default()],
    };
    header::seal(network, &header, &body).unwrap()
}

fn network(place: &Place, file: &str) -> Network {
    let path = if file == "secret" {
        secret_file(place)
    } else {
        let path = place.file(file);
        make_secret(&path);
        path
    };
    secret::load(&path).unwrap().network(GENERATION)
}

/// Whether anything comes back.
async fn is_answered(socket: &UdpSocket) -> bool {
    let mut buffer = [0; 2_000];
    tokio::time::timeout(SILENCE, socket.recv(&mut buffer))
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_belong_is_counted_and_hears_nothing() {
    let place = Place::shared().await;
    let cluster = Cluster::of(1).start(&place).await;
    let index = &cluster.indexes[0];
    let socket = UdpSocket::bind((place.ip(host::ORIGIN), 0)).await.unwrap();
    let (own, to) = (socket.local_addr().unwrap(), index.udp);
    let (ours, others) = (network(&place, "secret"), network(&place, "other"));
    let dropped = async |reason: &str| {
        let series = format!("atoll_dht_datagrams_dropped_total{{reason=\"{reason}\"}}");
        index.metric(&series).await
    };
    let mut random = Generator::from_seed(5);
    let noise = random.bytes::<300>();
    let mut forged = ping(&ours, own, to, 2);
    *forged.last_mut().unwrap() ^= 1;
    let mut altered = ping(&ours, own, to, 3);
    altered[70] ^= 1;
    let elsewhere = SocketAddr::new(place.ip(host::NODE + 9), own.port());
    let cases: [(&str, Vec<u8>); 8] = [
        ("length", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("length", vec![0; 1_300]),
        ("magic", noise.to_vec()),
        ("other_network", ping(&others, own, to, 1)),
        ("tag", forged),
        ("tag", altered),
        ("sender", ping(&ours, elsewhere, to, 4)),
        ("receiver", ping(&ours, own, elsewhere, 5)),
    ];
    for (reason, datagram) in cases {
        let before = dropped(reason).await;
        socket.send_to(&datagram, to).await.unwrap();
        wait::until(&format!("{reason} is counted"), SOON, async || {
            dropped(reason).await == before + 1
        })
        .await;
        assert!(
            !is_answered(&socket).await,
            "{reason}: an outsider was answered"
        );
    }
    // A member's first ping is answered; the same again is a replay.
    let first = ping(&ours, own, to, 6);
    socket.send_to(&first, to).await.unwrap();
    assert!(is_answered(&socket).await, "a member is answered");
    let mut before = dropped("replay").await;
    for _ in 0..3 {
        // It may have been pinged back meanwhile; only what follows the replay counts.
        while is_answered(&socket).await {}
        socket.send_to(&first, to).await.unwrap();
        before += 1;
        wait::until("the replay is counted", SOON, async || {
            dropped("replay").await == before
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_noise_leaves_the_index_at_work() {
    let place = Place::shared().await;
    let cluster = Cluster::of(3).start(&place).await;
    let socket = UdpSocket::bind((place.ip(host::ORIGIN), 0)).await.unwrap();
    let mut random = Generator::from_seed(6);
    for _ in 0..5_000 {
        let noise = random.bytes::<400>();
        for index in &cluster.indexes {
            socket.send_to(&noise, index.udp).await.unwrap();
        }
    }
    assert!(!is_answered(&socket).await);
    for index in &cluster.indexes {
        index.until_ready().await;
        assert_eq!(index.metric("atoll_dht_contacts").await, 2);
    }
}
