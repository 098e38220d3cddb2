//! What clients do to sockets: many questions at once, half ones, none, and answers that nobody
//! takes.

use std::time::Duration;

use hickory_proto::rr::RecordType;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::rig::{DEADLINE, Daemon, framed, question, receive};

/// RFC 7766 §6.2.1.1: hundreds of questions before the first answer is read, each answered once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_questions_in_flight_are_all_answered_in_turn() {
    let daemon = Daemon::start(&[("dns.threads", "2")]).await;
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let to = daemon.dns;
        clients.spawn(async move {
            let mut stream = TcpStream::connect(to).await.unwrap();
            let all: Vec<u8> = (0..500)
                .flat_map(|id| framed(&question("nyud.test.", RecordType::SOA, id)))
                .collect();
            stream.write_all(&all).await.unwrap();
            for id in 0..500 {
                assert_eq!(receive(&mut stream).await.unwrap().metadata.id, id);
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    daemon.end().await;
}

/// A client that sends and never reads costs what its socket and one answer hold, for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_never_reads_is_cut_off_and_harms_nobody() {
    let daemon = Daemon::start(&[("dns.threads", "1"), ("dns.tcp_idle", "500ms")]).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut deaf = socket.connect(daemon.dns).await.unwrap();
    let one = framed(&question("nyud.test.", RecordType::NS, 1));
    let many = one.repeat(200);
    // Until nobody takes any more of it.
    let shouting = async { while deaf.write_all(&many).await.is_ok() {} };
    let others = async {
        daemon
            .until_counted("connections_total{fate=\"timed_out\"} 1")
            .await;
    };
    let answered = async {
        for _ in 0..20 {
            let reply = daemon.ask("nyud.test.", RecordType::SOA).await;
            assert_eq!(reply.answers.len(), 1);
        }
    };
    let ended = timeout(DEADLINE, async { tokio::join!(shouting, others, answered) });
    ended.await.unwrap();
    daemon.end().await;
}

/// A length of 65,535 promises much; the connection holds what came, and ends in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_lengths_and_single_bytes_end_with_patience() {
    let daemon = Daemon::start(&[("dns.tcp_idle", "400ms")]).await;
    let mut huge = TcpStream::connect(daemon.dns).await.unwrap();
    huge.write_all(&[0xff, 0xff, 1, 2, 3]).await.unwrap();
    let mut slow = TcpStream::connect(daemon.dns).await.unwrap();
    let drip = async {
        // A byte now and then does not count as a question.
        let mut ticks = interval(Duration::from_millis(100));
        while slow.write_all(&[0xff]).await.is_ok() {
            ticks.tick().await;
        }
    };
    let mut nothing = [0];
    let wait = async {
        let ended = huge.read(&mut nothing).await;
        assert!(matches!(ended, Ok(0) | Err(_)));
        daemon.until_counted("fate=\"timed_out\"} 2").await;
    };
    timeout(DEADLINE, async {
        tokio::select! {
            () = drip => wait_forever().await,
            () = wait => {}
        }
    })
    .await
    .unwrap();
    daemon.end().await;
}

async fn wait_forever() {
    std::future::pending().await
}

/// A message of the greatest length is read, and told that it is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_message_is_read_and_told_that_it_is_malformed() {
    let daemon = Daemon::start(&[]).await;
    let mut stream = TcpStream::connect(daemon.dns).await.unwrap();
    let mut message = question("nyud.test.", RecordType::SOA, 5).to_vec().unwrap();
    message.resize(65_535, 0);
    stream.write_all(&[0xff, 0xff]).await.unwrap();
    stream.write_all(&message).await.unwrap();
    let mut reply = [0; 14];
    timeout(DEADLINE, stream.read_exact(&mut reply))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(reply[..6], [0, 12, 0, 5, 0x80, 1]);
    let soa = framed(&question("nyud.test.", RecordType::SOA, 6));
    stream.write_all(&soa).await.unwrap();
    assert_eq!(receive(&mut stream).await.unwrap().metadata.id, 6);
    daemon.end().await;
}

/// One neighbourhood has its share of the places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbourhood_has_its_share_of_connections() {
    let daemon = Daemon::start(&[("dns.tcp_per_prefix", "2")]).await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(daemon.dns).await.unwrap();
        let soa = framed(&question("nyud.test.", RecordType::SOA, 1));
        stream.write_all(&soa).await.unwrap();
        assert!(receive(&mut stream).await.is_some());
        kept.push(stream);
    }
    let mut third = TcpStream::connect(daemon.dns).await.unwrap();
    assert!(receive(&mut third).await.is_none());
    daemon
        .until_counted("connections_total{fate=\"crowded\"} 1")
        .await;
    // 127.9.0.0/24 is another neighbourhood.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.9.0.1:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(daemon.dns).await.unwrap();
    let soa = framed(&question("nyud.test.", RecordType::SOA, 2));
    other.write_all(&soa).await.unwrap();
    assert!(receive(&mut other).await.is_some());
    daemon.end().await;
}

/// More datagrams at once than a batch, from many clients, over every thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_thread_answers_datagrams() {
    let daemon = Daemon::start(&[("dns.threads", "3")]).await;
    let mut clients = JoinSet::new();
    for _ in 0..24 {
        let to = daemon.dns;
        clients.spawn(async move {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let soa = question("nyud.test.", RecordType::SOA, 3).to_vec().unwrap();
            for _ in 0..20 {
                socket.send_to(&soa, to).await.unwrap();
            }
            let mut reply = [0; 1_500];
            for _ in 0..20 {
                timeout(DEADLINE, socket.recv(&mut reply))
                    .await
                    .unwrap()
                    .unwrap();
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    daemon
        .until_counted("received_total{transport=\"udp\"} 480")
        .await;
    daemon.end().await;
}

/// On every address, each reply leaves from the one that was asked; resolvers drop others.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_every_address_answers_from_the_one_that_was_asked() {
    let sets = [("dns.listen", "0.0.0.0:0"), ("zone.ns", "ns1=127.0.0.1")];
    let daemon = Daemon::start(&sets).await;
    let asked = ["127.0.0.1", "127.0.0.5", "127.8.8.8"];
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let soa = question("nyud.test.", RecordType::SOA, 3).to_vec().unwrap();
    // In turns and all at once, so that one batch has several senders.
    for round in 0..20 {
        for address in &asked {
            let to = (*address, daemon.dns.port());
            client.send_to(&soa, to).await.unwrap();
        }
        let mut from: Vec<String> = Vec::new();
        for _ in &asked {
            let mut reply = [0; 1_500];
            let received = timeout(DEADLINE, client.recv_from(&mut reply)).await;
            from.push(received.unwrap().unwrap().1.ip().to_string());
        }
        from.sort_unstable();
        assert_eq!(from, asked, "round {round}");
    }
    daemon.end().await;
}
