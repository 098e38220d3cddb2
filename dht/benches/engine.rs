//! What one datagram costs an engine: requests of a member, from verification to the tagged reply,
//! and garbage. Prints microseconds of one core.
//!
//! Sixty-four engines that have joined each other; one of them is asked by a member that holds its
//! token. Not measured here: sockets, and caches that other work has emptied (the simulator's
//! "us a datagram" shows those).
//!
//! Run with `cargo bench -p atoll-dht --bench engine`.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::clock::{Clock, Moment, SystemClock};
use common::ids::{Key, NodeId, TxId};
use common::limits::DATAGRAM_MAX;
use common::rng::Generator;
use common::wire::header::{self, Header, LevelInfo, body_room};
use common::wire::secret::{Network, NetworkSecret};
use dht::engine::message::{self, Ask, Message, Request, Token};
use dht::engine::{Config, Node, Output};

/// Engines in the network of the one that is measured.
const NODES: u8 = 64;

/// Requests of each kind, and pieces of garbage of each length.
const REQUESTS: u64 = 100_000;
const GARBAGE: usize = 1_000_000;

/// Virtual time between two requests: within what one member may send.
const APART: Duration = Duration::from_micros(100);

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 7400))
}

/// Engines that know each other, the first of which is measured.
fn joined(network: &Arc<Network>) -> (Vec<Node>, Moment) {
    let mut now = Moment::from_millis(1_000);
    let node = |n: u8| {
        let seeds = vec![addr(0), addr(1)];
        let config = Config {
            seeds,
            ..Config::default()
        };
        let rng = Generator::from_seed(u64::from(n));
        Node::new(config, Arc::clone(network), addr(n), rng, now)
    };
    let mut nodes: Vec<_> = (0..NODES).map(node).collect();
    for _ in 0..1_500 {
        now = now + Duration::from_millis(10);
        let mut sent = Vec::new();
        for node in &mut nodes {
            node.handle_timeout(now);
            while let Some(output) = node.poll_output() {
                if let Output::Transmit { to, bytes } = output {
                    sent.push((node.addr(), to, bytes));
                }
            }
        }
        for (from, to, bytes) in sent {
            let to = nodes.iter_mut().find(|node| node.addr() == to);
            to.into_iter()
                .for_each(|node| node.handle_datagram(now, from, &bytes));
        }
    }
    (nodes, now)
}

/// A datagram that `node` would get from the member at `from`.
fn request(
    network: &Network,
    node: &Node,
    from: SocketAddr,
    tx: u64,
    request: &Request,
) -> Vec<u8> {
    let pad = if request.token.is_none() { 400 } else { 0 };
    let body = message::encode_request(request, body_room(3), pad);
    let header = Header {
        kind: request.ask.kind().code(),
        tx: TxId(tx),
        sender: NodeId::of(from),
        receiver: Some(node.id()),
        levels: vec![LevelInfo::default(); 3],
    };
    let body = body.expect("a request of the bench fits");
    header::seal(network, &header, &body).expect("a request of the bench fits")
}

/// What the node sent, to the last byte; nothing else of its output matters here.
fn drain(node: &mut Node) -> Option<Vec<u8>> {
    let mut last = None;
    while let Some(output) = node.poll_output() {
        if let Output::Transmit { bytes, .. } = output {
            last = Some(bytes);
        }
    }
    last
}

/// The token that `node` gives to the member at `from`.
fn token(network: &Network, node: &mut Node, from: SocketAddr, now: Moment) -> Option<Token> {
    let services = Vec::new();
    let ask = Request {
        level: 0,
        token: None,
        behalf: None,
        trace: None,
        ask: Ask::Ping { services },
    };
    let bytes = request(network, node, from, 1, &ask);
    drain(node);
    node.handle_datagram(now, from, &bytes);
    let reply = drain(node)?;
    let (header, body) = header::open(network, &reply).ok()?;
    match message::decode(header.kind, body).ok()? {
        Message::Reply(reply) => reply.token,
        Message::Request(_) => None,
    }
}

fn micros(clock: SystemClock, since: Moment, count: u64) -> f64 {
    clock.moment().since(since).as_secs_f64() * 1e6 / count as f64
}

fn main() {
    let (clock, secret) = (SystemClock::new(), NetworkSecret::from_bytes([7; 32]));
    let network = Arc::new(secret.network(1));
    let (mut nodes, mut now) = joined(&network);
    let from = addr(9);
    let node = &mut nodes[0];
    println!("contacts of the engine: {}", node.sizes().contacts);
    let (held, missed) = (Key::of(b"held"), Key::of(b"missed"));
    let put = |value: &[u8]| Ask::Put {
        key: held,
        value: value.to_vec(),
        ttl: Duration::from_secs(3_600),
    };
    let services = Vec::new();
    let kinds = [
        ("put", put(&[1; 48])),
        ("ping", Ask::Ping { services }),
        ("find", Ask::Find { target: missed }),
        (
            "get, miss",
            Ask::Get {
                key: missed,
                want: 1,
            },
        ),
        ("get, hit", Ask::Get { key: held, want: 1 }),
    ];
    let mut tx = 100;
    for (name, ask) in kinds {
        let ask = Request {
            level: 0,
            token: token(&network, node, from, now),
            behalf: None,
            trace: None,
            ask,
        };
        let mut datagrams = Vec::new();
        for _ in 0..REQUESTS {
            tx += 1;
            let tx = tx ^ 0x5bd1_e995_0000_0000;
            datagrams.push(request(&network, node, from, tx, &ask));
        }
        let (since, mut replies) = (clock.moment(), 0_u64);
        for bytes in &datagrams {
            now = now + APART;
            node.handle_datagram(now, from, bytes);
            replies += u64::from(drain(node).is_some());
        }
        let each = micros(clock, since, REQUESTS);
        println!("{name}: {each:.2} us each, {replies} of {REQUESTS} answered");
        now = now + Duration::from_secs(60);
    }
    flood(clock, node, now);
}

/// Garbage of the shortest, a usual and the largest length; with and without our first bytes.
fn flood(clock: SystemClock, node: &mut Node, now: Moment) {
    let mut rng = Generator::from_seed(1);
    let before = node.sizes();
    let real = [b'A', b'T', b'O', b'L', 1, 1, 0, 0];
    let network = NetworkSecret::from_bytes([7; 32]).network(1).id();
    for len in [76, 200, DATAGRAM_MAX] {
        for disguised in [false, true] {
            let mut bytes: Vec<u8> = std::iter::repeat_with(|| rng.bytes::<1>()[0])
                .take(len)
                .collect();
            if disguised {
                bytes[..8].copy_from_slice(&real);
                bytes[8..12].copy_from_slice(&network.0.to_be_bytes());
            }
            let since = clock.moment();
            for n in 0..GARBAGE {
                bytes[20 + n % 20] ^= 0x5a;
                node.handle_datagram(now, addr(77), &bytes);
                while node.poll_output().is_some() {}
            }
            let each = micros(clock, since, GARBAGE as u64);
            let as_what = if disguised { "like ours" } else { "random" };
            println!("garbage of {len} bytes, {as_what}: {each:.2} us each");
        }
    }
    assert_eq!(node.sizes(), before, "garbage leaves memory where it was");
}
