//! The whole daemon on real sockets: a scripted proxy behind it, questions before it.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of a test fail as the test does"
)]

mod noise;
mod rig;
mod transport;

use std::net::Ipv4Addr;

use dns::shell::run::Bound;
use hickory_proto::op::Message;
use hickory_proto::op::{Edns, MessageType, ResponseCode};
use hickory_proto::rr::{RData, RecordType};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use self::rig::{
    DEADLINE, Daemon, ERRORS, GARBAGE, HANGING, Index, Proxy, WELL, WRONG_PAGE, config, framed,
    question, receive,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_a_proxy_that_lives_and_forgets_one_that_hangs() {
    let proxy = Proxy::start().await;
    let daemon = Daemon::start(&[("check.fixed", &proxy.addr.to_string())]).await;
    daemon.until_ready().await;
    let reply = daemon
        .ask("WwW.example.com.nyud.test.", RecordType::A)
        .await;
    let [record] = reply.answers.as_slice() else {
        panic!("one address in {reply:?}");
    };
    assert_eq!(record.data, RData::A(Ipv4Addr::LOCALHOST.into()));
    assert_eq!(record.name.to_ascii(), "WwW.example.com.nyud.test.");
    assert!(reply.metadata.authoritative);

    proxy.behave(HANGING);
    daemon.until("not ready").await;
    assert!(
        daemon
            .page("/state")
            .await
            .contains("\"reason\": \"timeout\"")
    );
    proxy.behave(WELL);
    daemon.until_ready().await;
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_a_proxy_keeps_it_out_under_its_name() {
    for (behaviour, fault) in [
        (ERRORS, "status"),
        (WRONG_PAGE, "body"),
        (GARBAGE, "broken"),
    ] {
        let proxy = Proxy::start().await;
        proxy.behave(behaviour);
        let daemon = Daemon::start(&[("check.fixed", &proxy.addr.to_string())]).await;
        daemon.until(&format!("one of them: {fault}")).await;
        let reply = daemon
            .ask("www.example.com.nyud.test.", RecordType::A)
            .await;
        assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
        daemon.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_its_index_lists_no_longer_is_out_and_a_lost_index_changes_nothing() {
    let proxy = Proxy::start().await;
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("index.sock");
    let index = Index::start(&socket, proxy.addr);
    let path = socket.to_str().unwrap();
    let daemon = Daemon::start(&[("index.socket", path)]).await;
    daemon.until_ready().await;

    index.list(false);
    daemon.until("one of them: service_gone").await;
    index.list(true);
    daemon.until_ready().await;
    index.task.abort();
    daemon.until_counted("index_gone_total 1").await;
    let reply = daemon.ask("nyud.test.", RecordType::A).await;
    assert_eq!(reply.answers.len(), 1);
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_over_tcp_in_order_and_says_what_is_malformed() {
    let daemon = Daemon::start(&[]).await;
    let mut stream = TcpStream::connect(daemon.dns).await.unwrap();
    // RFC 7766 §6.2.1.1: several questions in one write, and one in pieces.
    let first = framed(&question("nyud.test.", RecordType::SOA, 1));
    let second = framed(&question("nyud.test.", RecordType::NS, 2));
    stream.write_all(&[first, second].concat()).await.unwrap();
    assert_eq!(receive(&mut stream).await.unwrap().metadata.id, 1);
    assert_eq!(receive(&mut stream).await.unwrap().metadata.id, 2);
    for byte in framed(&question("nyud.test.", RecordType::SOA, 3)) {
        stream.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(receive(&mut stream).await.unwrap().answers.len(), 1);
    // A question that breaks off.
    let mut broken = question("nyud.test.", RecordType::SOA, 4).to_vec().unwrap();
    broken.truncate(20);
    stream
        .write_all(&[&[0, 20], broken.as_slice()].concat())
        .await
        .unwrap();
    let reply = receive(&mut stream).await.unwrap();
    assert_eq!(
        (reply.metadata.id, reply.metadata.response_code),
        (4, ResponseCode::FormErr)
    );
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_stays_within_its_bounds() {
    let sets = [("dns.tcp_connections", "2"), ("dns.tcp_idle", "300ms")];
    let daemon = Daemon::start(&sets).await;
    let mut idle = TcpStream::connect(daemon.dns).await.unwrap();
    let mut slow = TcpStream::connect(daemon.dns).await.unwrap();
    slow.write_all(&[0]).await.unwrap();
    daemon
        .until_counted("connections_total{fate=\"taken\"} 2")
        .await;
    let mut third = TcpStream::connect(daemon.dns).await.unwrap();
    assert!(receive(&mut third).await.is_none(), "the third is closed");
    assert!(receive(&mut idle).await.is_none() && receive(&mut slow).await.is_none());
    daemon
        .until_counted("connections_total{fate=\"timed_out\"} 2")
        .await;
    daemon
        .until_counted("connections_total{fate=\"refused\"} 1")
        .await;
    let mut next = TcpStream::connect(daemon.dns).await.unwrap();
    let soa = question("nyud.test.", RecordType::SOA, 9);
    next.write_all(&framed(&soa)).await.unwrap();
    assert!(receive(&mut next).await.is_some(), "places are free again");
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edns_is_answered_within_our_bounds() {
    let daemon = Daemon::start(&[]).await;
    for asked in [4_096, 512, 1_000] {
        let mut edns = Edns::new();
        edns.set_max_payload(asked);
        let mut message = question("nyud.test.", RecordType::SOA, 5);
        message.edns = Some(edns);
        let reply = daemon.exchange(&message).await;
        // RFC 6891 §6.2.5: what this server takes, whatever the client does.
        assert_eq!(reply.edns.unwrap().max_payload(), 1_232);
    }
    // RFC 6891 §6.1.3
    let mut edns = Edns::new();
    edns.set_version(1);
    let mut message = question("nyud.test.", RecordType::SOA, 6);
    message.edns = Some(edns);
    let reply = daemon.exchange(&message).await;
    // 16 is BADVERS in EDNS and BADSIG in TSIG; the library reads it as the latter.
    assert_eq!(u16::from(reply.metadata.response_code), 16);
    assert_eq!(reply.edns.unwrap().version(), 0);
    // RFC 6891 §7: no EDNS where none was asked.
    assert!(
        daemon
            .ask("nyud.test.", RecordType::SOA)
            .await
            .edns
            .is_none()
    );
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_and_answers_get_silence_and_the_next_question_its_answer() {
    let daemon = Daemon::start(&[]).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for length in 0..12 {
        socket
            .send_to(&vec![0xff; length], daemon.dns)
            .await
            .unwrap();
    }
    let mut answer = question("nyud.test.", RecordType::SOA, 7);
    answer.metadata.message_type = MessageType::Response;
    socket
        .send_to(&answer.to_vec().unwrap(), daemon.dns)
        .await
        .unwrap();
    let real = question("nyud.test.", RecordType::SOA, 8).to_vec().unwrap();
    socket.send_to(&real, daemon.dns).await.unwrap();
    let mut buffer = [0; 2_048];
    let length = timeout(DEADLINE, socket.recv(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    let first = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!(first.metadata.id, 8, "the first thing that came back");
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_why_it_is_not_ready_and_which_port_is_taken() {
    let daemon = Daemon::start(&[]).await;
    let page = daemon.page("/readyz").await;
    assert!(
        page.contains("no proxy is known: set check.fixed or index.socket"),
        "{page}"
    );
    let taken = daemon.dns.to_string();
    let error = Bound::new(config(&[("dns.listen", &taken)]))
        .await
        .unwrap_err()
        .to_string();
    let expected = format!("cannot listen on {taken} (dns.listen)");
    assert!(
        error.contains(&expected) && error.contains("another program"),
        "{error}"
    );
    daemon.end().await;
}
