//! Each way in which a datagram can be wrong has its counter, no reply and no other effect; and no
//! kind of request makes a node send more than it was sent.

use std::net::SocketAddr;
use std::time::Duration;

use common::ids::{Key, NodeId, TxId};
use common::limits::DATAGRAM_MAX;
use common::rng::Generator;
use common::wire::header::{self, Header};

use super::gate::{dropped, request};
use super::world::{World, addr, network};
use crate::engine::admit::DropReason;
use crate::engine::message::{Ask, FANOUT, Kind, Path};

const STRANGER: usize = 77;

fn ping() -> Ask {
    Ask::Ping {
        services: Vec::new(),
    }
}

fn good(tx: u64) -> Vec<u8> {
    request(STRANGER, 0, tx, None, ping(), 200)
}

/// Hands `bytes` from `from` to a node: one drop for `reason`, nothing sent, nobody remembered.
fn is_only_counted(from: SocketAddr, bytes: &[u8], reason: DropReason) {
    let mut world = World::of(1, 2);
    let before = (world.log.len(), world.node(0).sizes());
    world.inject(from, 0, bytes);
    assert_eq!(dropped(&world, reason), 1, "{reason:?}");
    assert_eq!(world.node(0).stats().dropped.total(), 1);
    assert_eq!((world.log.len(), world.node(0).sizes()), before);
}

#[test]
fn an_oversized_datagram_is_counted_as_length() {
    let mut bytes = good(1);
    bytes.resize(DATAGRAM_MAX + 1, 0);
    let reason = DropReason::Header(header::DropReason::Length);
    is_only_counted(addr(STRANGER), &bytes, reason);
}

#[test]
fn a_truncated_datagram_is_counted_as_length_or_tag() {
    let bytes = good(1);
    let reason = DropReason::Header(header::DropReason::Length);
    is_only_counted(addr(STRANGER), &bytes[..70], reason);
    let reason = DropReason::Header(header::DropReason::Tag);
    is_only_counted(addr(STRANGER), &bytes[..bytes.len() - 1], reason);
}

#[test]
fn every_single_flipped_bit_is_counted_and_never_answered() {
    let mut world = World::of(2, 1);
    let (bytes, sent) = (good(1), world.log.len());
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        world.inject(addr(STRANGER), 0, &flipped);
        let total = world.node(0).stats().dropped.total();
        assert_eq!(total, bit as u64 + 1, "bit {bit}");
    }
    assert_eq!(world.log.len(), sent);
    let of = |reason| dropped(&world, DropReason::Header(reason));
    assert_eq!(of(header::DropReason::Magic), 32);
    assert_eq!(of(header::DropReason::OtherNetwork), 32);
    assert!(of(header::DropReason::Tag) > 1_000);
}

#[test]
fn a_replayed_datagram_is_counted_as_replay() {
    let mut world = World::of(3, 1);
    let bytes = good(1);
    world.inject(addr(STRANGER), 0, &bytes);
    let sent = world.log.len();
    world.inject(addr(STRANGER), 0, &bytes);
    assert_eq!(dropped(&world, DropReason::Replay), 1);
    assert_eq!(world.log.len(), sent);
}

#[test]
fn a_datagram_of_another_network_is_counted_apart() {
    for other in [network(9, 1), network(7, 2)] {
        let header = Header {
            kind: Kind::Ping.code(),
            tx: TxId(1),
            sender: NodeId::of(addr(STRANGER)),
            receiver: None,
            levels: vec![],
        };
        let bytes = header::seal(&other, &header, &[0]).unwrap();
        let reason = DropReason::Header(header::DropReason::OtherNetwork);
        is_only_counted(addr(STRANGER), &bytes, reason);
    }
}

#[test]
fn a_datagram_for_another_receiver_is_counted_as_receiver() {
    let bytes = request(STRANGER, 5, 1, None, ping(), 200);
    is_only_counted(addr(STRANGER), &bytes, DropReason::Receiver);
}

#[test]
fn a_datagram_from_a_spoofed_source_is_counted_as_sender() {
    is_only_counted(addr(STRANGER + 1), &good(1), DropReason::Sender);
    let elsewhere = SocketAddr::new(addr(STRANGER).ip(), 7_401);
    is_only_counted(elsewhere, &good(1), DropReason::Sender);
}

#[test]
fn a_million_garbage_datagrams_leave_memory_where_it_was() {
    let mut world = World::of(4, 2);
    let before = (world.log.len(), world.node(0).sizes());
    let mut rng = Generator::from_seed(1);
    let now = world.now;
    let mut garbage: [u8; 300] = rng.bytes();
    let node = world.nodes.get_mut(&addr(0)).unwrap();
    // Debug builds are twenty times slower; the bounds are the same.
    let count = if cfg!(debug_assertions) {
        50_000
    } else {
        1_000_000
    };
    for n in 0..count {
        let stamp: [u8; 8] = rng.bytes();
        garbage[8..16].copy_from_slice(&stamp);
        if n % 2 == 0 {
            garbage[..5].copy_from_slice(b"ATOL\x01");
        }
        node.handle_datagram(now, addr(n % 200 + 10), &garbage);
    }
    assert_eq!(node.stats().dropped.total(), count as u64);
    assert_eq!((world.log.len(), world.node(0).sizes()), before);
}

/// One request of every kind.
fn asks(key: Key) -> Vec<Ask> {
    let (value, ttl) = (vec![7; 40], Duration::from_secs(60));
    let publisher = NodeId::of(addr(STRANGER));
    vec![
        ping(),
        Ask::Find { target: key },
        Ask::Get { key, want: 4 },
        Ask::Put {
            key,
            value: value.clone(),
            ttl,
        },
        Ask::Claim {
            key,
            value: value.clone(),
            ttl,
        },
        Ask::Withdraw { key },
        Ask::Offer { key, ttl },
        Ask::Hand {
            key,
            publisher,
            value,
            ttl,
        },
        Ask::Relay {
            to: addr(1),
            ask: Box::new(Ask::Get { key, want: 4 }),
        },
        Ask::Probe {
            rumours: Vec::new(),
        },
        Ask::Sync {
            path: Path::ROOT,
            sums: Box::new([9; FANOUT]),
        },
    ]
}

#[test]
fn no_kind_of_request_from_an_unproven_address_is_answered_by_more_than_it_sent() {
    let mut world = World::of(5, 20);
    let key = Key::of(b"k");
    for n in 0..6 {
        world.put(n, key, &[1; 200], Duration::from_secs(600));
    }
    let requests = Kind::ALL.iter().filter(|kind| kind.code() & 0x80 == 0);
    assert_eq!(asks(key).len(), requests.count(), "a kind is not tested");
    let mut tx = 0;
    for ask in asks(key) {
        for pad in [0, 1, 30, 60, 100, 200, 400, 800] {
            tx += 1;
            let bytes = request(STRANGER, 0, tx, None, ask.clone(), pad);
            let sent = world.log.len();
            world.inject(addr(STRANGER), 0, &bytes);
            let to_stranger = world.log[sent..]
                .iter()
                .filter(|sent| sent.to == addr(STRANGER) && sent.from == addr(0));
            // A look at the stranger in return is a request, one at most, and small.
            let replies = to_stranger.filter(|sent| sent.bytes[5] & 0x80 != 0);
            let len: usize = replies.map(|reply| reply.bytes.len()).sum();
            let said = format!("{:?} of {} bytes: {len}", ask.kind(), bytes.len());
            assert!(len <= bytes.len(), "{said}");
        }
    }
}
