//! Connections that are not answered: neither a peer that is gone nor a dead address of a site keeps
//! anybody waiting for long.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

use super::*;
use crate::engine::reason::FailReason;
use crate::shell::connect::first_to_connect;

/// An address where a connect is never answered: its queue is full and nobody takes from it.
struct Silent {
    addr: SocketAddr,
    _socket: Socket,
    _queued: Vec<Socket>,
}

impl Silent {
    fn on(ip: IpAddr, port: u16) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(ip, port).into()).unwrap();
        socket.listen(0).unwrap();
        let addr = socket.local_addr().unwrap().as_socket().unwrap();
        // A queue of length 0 holds one, and another that is half open.
        let queued = (0..4).map(|_| {
            let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            drop(client.connect(&addr.into()));
            client
        });
        Self {
            addr,
            _queued: queued.collect(),
            _socket: socket,
        }
    }

    fn new() -> Self {
        Self::on(Ipv4Addr::LOCALHOST.into(), 0)
    }
}

async fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// A port where nothing listens.
fn refusing() -> SocketAddr {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

#[tokio::test]
async fn a_peer_that_does_not_answer_gives_way_to_the_next() {
    let client = Arc::clone(&proxy().client);
    let (gone, (_here, there)) = (Silent::new(), listening().await);
    let reached = timeout(DEADLINE, client.reach(gone.addr, there)).await;
    assert_eq!(reached.unwrap(), Ok(there));
}

#[tokio::test]
async fn a_peer_that_answers_is_taken_though_another_would_too() {
    let client = Arc::clone(&proxy().client);
    let ((_one, first), (_two, second)) = (listening().await, listening().await);
    assert_eq!(client.reach(first, second).await, Ok(first));
}

#[tokio::test]
async fn two_peers_that_are_gone_cost_a_bounded_time() {
    let client = Arc::clone(&proxy().client);
    let (silent, refuses) = (Silent::new(), refusing());
    let reached = timeout(DEADLINE, client.reach(silent.addr, refuses)).await;
    let reasons = [FailReason::ConnectTimeout, FailReason::ConnectRefused];
    assert_eq!(reached.unwrap(), Err(reasons));
}

#[tokio::test]
async fn a_dead_address_of_a_site_is_passed_over() {
    let (silent, refuses) = (Silent::new(), refusing());
    let (_here, there) = listening().await;
    let addresses = [silent.addr, refuses, there];
    let connect = first_to_connect(&addresses, DEADLINE);
    let stream = timeout(DEADLINE / 2, connect).await.unwrap().unwrap();
    assert_eq!(stream.peer_addr().unwrap(), there);
    let none = first_to_connect(&[silent.addr, refuses], DEADLINE / 10).await;
    assert!(none.is_err());
}
