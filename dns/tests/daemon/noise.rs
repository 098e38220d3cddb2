//! Random and spoilt datagrams, many of them: the server lives, holds no more memory than before,
//! and says nothing long.

use std::net::SocketAddr;

use common::rng::Generator;
use hickory_proto::rr::RecordType;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::rig::{DEADLINE, Daemon, question};

/// Datagrams between two looks at what came back: fewer than the server's socket holds.
const ROUND: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_spoilt_datagrams_do_no_harm() {
    Box::pin(noise(20_000)).await;
}

/// `cargo test --release -p atoll-dns --test daemon -- --ignored a_million`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; the same with fewer runs always"]
async fn a_million_spoilt_datagrams_do_no_harm() {
    Box::pin(noise(1_000_000)).await;
}

async fn noise(count: usize) {
    let daemon = Box::pin(Daemon::start(&[("limit.replies_per_second", "0")])).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut rng = Generator::from_seed(17);
    let mut resident = 0;
    for sent in (0..count).step_by(ROUND) {
        for _ in 0..ROUND {
            let bytes = spoilt(&mut rng);
            socket.send_to(&bytes, daemon.dns).await.unwrap();
        }
        drain(&socket, daemon.dns).await;
        if sent == count / 10 / ROUND * ROUND {
            resident = resident_bytes();
        }
    }
    let grown = resident_bytes().saturating_sub(resident);
    assert!(
        grown < 8 << 20,
        "{grown} bytes more after {count} datagrams"
    );
    assert_eq!(
        daemon
            .ask("nyud.test.", RecordType::SOA)
            .await
            .answers
            .len(),
        1
    );
    daemon.end().await;
}

/// Reads replies until that to a good question comes, which is sent last.
async fn drain(socket: &UdpSocket, to: SocketAddr) {
    const LAST: u16 = 0xbeef;
    let last = question("nyud.test.", RecordType::SOA, LAST)
        .to_vec()
        .unwrap();
    let mut reply = [0; 2_048];
    socket.send_to(&last, to).await.unwrap();
    loop {
        let length = timeout(DEADLINE, socket.recv(&mut reply))
            .await
            .unwrap()
            .unwrap();
        assert!(length <= 1_232, "{length} bytes");
        if reply[..2] == LAST.to_be_bytes() && length > 40 {
            return;
        }
    }
}

/// Noise, or a question with some bytes changed, cut off or doubled.
fn spoilt(rng: &mut Generator) -> Vec<u8> {
    if rng.below(4) == 0 {
        let length = rng.below(600);
        return (0..length).map(|_| rng.bytes::<1>()[0]).collect();
    }
    let names = [
        "nyud.test.",
        "www.example.com.nyud.test.",
        "x.localhost.nyud.test.",
        "example.org.",
    ];
    let types = [
        RecordType::A,
        RecordType::AAAA,
        RecordType::ANY,
        RecordType::NS,
        RecordType::TXT,
    ];
    let [a, b] = rng.bytes();
    let mut message = question(
        names[rng.below(4)],
        types[rng.below(5)],
        u16::from_be_bytes([a, b & 0x7f]),
    );
    message.edns = (rng.below(2) == 0).then(hickory_proto::op::Edns::new);
    let mut bytes = message.to_vec().unwrap();
    for _ in 0..rng.below(5) {
        let at = 2 + rng.below(bytes.len() - 2);
        match rng.below(4) {
            0 => bytes[at] = rng.bytes::<1>()[0],
            1 => bytes[at] ^= 1 << rng.below(8),
            2 if at > 12 => bytes.truncate(at),
            _ => bytes.insert(at, 0xc0),
        }
    }
    bytes
}

/// What this process holds; the server is part of it.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let text = line.unwrap().trim().trim_end_matches(" kB");
    text.parse::<usize>().unwrap() * 1_024
}
