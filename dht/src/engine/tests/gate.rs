//! What an outsider, a forger or a broken member gets: silence, and a count.

use std::net::SocketAddr;

use common::ids::{Key, NodeId, TxId};
use common::limits::DATAGRAM_MAX;
use common::rng::Generator;
use common::wire::header::{self, Header, LevelInfo};
use proptest::prelude::*;

use super::world::{World, addr, network, secs};
use crate::engine::Wish;
use crate::engine::admit::DropReason;
use crate::engine::message::{
    Ask, Kind, Message, Request, Say, TOKEN_LEN, Token, decode, encode_request,
};
use crate::refusal::Refusal;

const STRANGER: usize = 77;

/// A request as a member at `from` would send it.
pub(super) fn request(
    from: usize,
    to: usize,
    tx: u64,
    token: Option<Token>,
    ask: Ask,
    pad: usize,
) -> Vec<u8> {
    let (kind, request) = (
        ask.kind().code(),
        Request {
            level: 0,
            token,
            behalf: None,
            trace: None,
            ask,
        },
    );
    let body = encode_request(&request, 1_000, pad).unwrap();
    let (sender, receiver) = (NodeId::of(addr(from)), Some(NodeId::of(addr(to))));
    let levels = vec![LevelInfo::default(); 3];
    let header = Header {
        kind,
        tx: TxId(tx),
        sender,
        receiver,
        levels,
    };
    header::seal(&network(7, 1), &header, &body).unwrap()
}

pub(super) fn dropped(world: &World, reason: DropReason) -> u64 {
    world.node(0).stats().dropped.of(reason)
}

/// Replies that node 0 sent to `to` since the log had `since` entries.
fn replies(world: &World, since: usize, to: SocketAddr) -> Vec<(Kind, usize, Say, Option<Token>)> {
    let sent = world.log[since..]
        .iter()
        .filter(|sent| sent.from == addr(0) && sent.to == to);
    let reply = |bytes: &Vec<u8>| {
        let (header, body) = header::open(&network(7, 1), bytes).unwrap();
        match decode(header.kind, body).unwrap() {
            Message::Reply(reply) => Some((reply.say.kind(), bytes.len(), reply.say, reply.token)),
            Message::Request(_) => None,
        }
    };
    sent.filter_map(|sent| reply(&sent.bytes)).collect()
}

fn ping() -> Ask {
    Ask::Ping {
        services: Vec::new(),
    }
}

#[test]
fn a_flood_of_garbage_is_counted_and_leaves_memory_where_it_was() {
    let mut world = World::of(1, 2);
    let mut rng = Generator::from_seed(9);
    let (now, before) = (world.now, world.node(0).sizes());
    let node = world.nodes.get_mut(&addr(0)).unwrap();
    while node.poll_output().is_some() {}
    let counted = node.stats().dropped.total();
    for n in 0..10_000 {
        let from = SocketAddr::from(([10, 9, 8, 7], 1 + n));
        let mut bytes: [u8; 90] = rng.bytes();
        if n % 2 == 0 {
            bytes[..4].copy_from_slice(&header::MAGIC);
            bytes[4..8].copy_from_slice(&[header::FORMAT, 1, 0, 0]);
            bytes[8..12].copy_from_slice(&network(7, 1).id().0.to_be_bytes());
        }
        node.handle_datagram(now, from, &bytes);
        assert!(node.poll_output().is_none());
    }
    let drops = &node.stats().dropped;
    assert_eq!(drops.total() - counted, 10_000);
    assert_eq!(drops.of(DropReason::Header(header::DropReason::Tag)), 5_000);
    assert_eq!(node.sizes(), before);
}

#[test]
fn what_is_not_of_the_network_has_no_effect_but_a_count() {
    let mut world = World::of(1, 2);
    let (sent, contacts) = (world.log.len(), world.node(0).sizes().contacts);
    let good = request(STRANGER, 0, 1, None, ping(), 200);
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    let mut altered = good;
    altered[30] ^= 1;
    let other = {
        let header = Header {
            kind: 1,
            tx: TxId(1),
            sender: NodeId::of(addr(STRANGER)),
            receiver: None,
            levels: vec![],
        };
        header::seal(&network(9, 1), &header, &[0]).unwrap()
    };
    let cases: [(&[u8], header::DropReason); 6] = [
        (&[0; 12], header::DropReason::Length),
        (&[0; DATAGRAM_MAX + 1], header::DropReason::Length),
        (&[b'x'; 200], header::DropReason::Magic),
        (&other, header::DropReason::OtherNetwork),
        (&forged, header::DropReason::Tag),
        (&altered, header::DropReason::Tag),
    ];
    for (bytes, reason) in cases {
        let before = dropped(&world, DropReason::Header(reason));
        world.inject(addr(STRANGER), 0, bytes);
        assert_eq!(
            dropped(&world, DropReason::Header(reason)),
            before + 1,
            "{reason:?}"
        );
    }
    assert_eq!(
        (world.log.len(), world.node(0).sizes().contacts),
        (sent, contacts)
    );
}

#[test]
fn a_borrowed_identity_and_a_misdirected_datagram_are_dropped() {
    let mut world = World::of(2, 1);
    let sent = world.log.len();
    let good = request(STRANGER, 0, 1, None, ping(), 200);
    world.inject(addr(STRANGER + 1), 0, &good);
    assert_eq!(dropped(&world, DropReason::Sender), 1);
    world.inject(
        addr(STRANGER),
        0,
        &request(STRANGER, 5, 1, None, ping(), 200),
    );
    assert_eq!(dropped(&world, DropReason::Receiver), 1);
    world.inject(addr(0), 0, &request(0, 0, 1, None, ping(), 200));
    assert_eq!(dropped(&world, DropReason::Sender), 2);
    assert_eq!(world.log.len(), sent);
}

#[test]
fn a_replayed_request_is_dropped_and_the_first_was_served() {
    let mut world = World::of(3, 1);
    let good = request(STRANGER, 0, 1, None, ping(), 200);
    let sent = world.log.len();
    world.inject(addr(STRANGER), 0, &good);
    assert_eq!(replies(&world, sent, addr(STRANGER)).len(), 1);
    let sent = world.log.len();
    world.inject(addr(STRANGER), 0, &good);
    world.run(secs(100));
    world.inject(addr(STRANGER), 0, &good);
    assert_eq!(dropped(&world, DropReason::Replay), 2);
    assert!(replies(&world, sent, addr(STRANGER)).is_empty());
}

#[test]
fn a_reply_to_nothing_is_dropped() {
    let mut world = World::of(4, 1);
    let (sender, receiver) = (NodeId::of(addr(STRANGER)), Some(NodeId::of(addr(0))));
    let kind = Kind::Stored.code();
    let header = Header {
        kind,
        tx: TxId(9),
        sender,
        receiver,
        levels: vec![],
    };
    let bytes = header::seal(&network(7, 1), &header, &[0]).unwrap();
    world.inject(addr(STRANGER), 0, &bytes);
    assert_eq!(dropped(&world, DropReason::UnknownTransaction), 1);
    assert_eq!(world.node(0).sizes().contacts, 0);
}

#[test]
fn a_body_out_of_form_is_dropped() {
    let mut world = World::of(5, 1);
    let (sender, receiver) = (NodeId::of(addr(STRANGER)), Some(NodeId::of(addr(0))));
    for (tx, kind) in [(1, 0x02), (2, 0x7f)] {
        let header = Header {
            kind,
            tx: TxId(tx),
            sender,
            receiver,
            levels: vec![],
        };
        let bytes = header::seal(&network(7, 1), &header, &[0, 1]).unwrap();
        world.inject(addr(STRANGER), 0, &bytes);
    }
    assert_eq!(dropped(&world, DropReason::Body), 2);
}

#[test]
fn a_flood_from_one_neighbourhood_is_limited() {
    let mut world = World::of(6, 1);
    for tx in 0..3_000 {
        let bytes = request(STRANGER, 0, tx, None, ping(), 200);
        world.inject(addr(STRANGER), 0, &bytes);
    }
    assert_eq!(dropped(&world, DropReason::RateLimited), 1_000);
}

#[test]
fn a_write_needs_the_token_of_its_own_address() {
    let mut world = World::of(7, 1);
    let (key, sent) = (Key::of(b"k"), world.log.len());
    let put = || Ask::Put {
        key,
        value: b"v".to_vec(),
        ttl: secs(60),
    };
    let writes = [
        put(),
        Ask::Claim {
            key,
            value: vec![],
            ttl: secs(9),
        },
        Ask::Withdraw { key },
    ];
    for (tx, write) in writes.into_iter().enumerate() {
        let bytes = request(STRANGER, 0, tx as u64, None, write, 0);
        world.inject(addr(STRANGER), 0, &bytes);
        let (.., len, say, token) = replies(&world, sent, addr(STRANGER)).pop().unwrap();
        assert_eq!(say, Say::Refused(Refusal::Token));
        assert!(len <= bytes.len(), "{len} bytes for {}", bytes.len());
        assert!(token.is_some(), "the refusal brings the token");
    }
    let (.., token) = replies(&world, sent, addr(STRANGER)).pop().unwrap();

    // Somebody else's token is none.
    world.inject(addr(78), 0, &request(78, 0, 10, token, put(), 0));
    let (_, _, say, _) = replies(&world, sent, addr(78)).pop().unwrap();
    assert_eq!(say, Say::Refused(Refusal::Token));

    world.inject(
        addr(STRANGER),
        0,
        &request(STRANGER, 0, 11, token, put(), 0),
    );
    let (_, _, say, _) = replies(&world, sent, addr(STRANGER)).pop().unwrap();
    assert_eq!(say, Say::Stored);
    assert_eq!(world.found(0, key), Some(b"v".to_vec()));

    // Two minutes later it is stale.
    world.run(secs(121));
    world.inject(
        addr(STRANGER),
        0,
        &request(STRANGER, 0, 12, token, put(), 0),
    );
    let (_, _, say, _) = replies(&world, sent, addr(STRANGER)).pop().unwrap();
    assert_eq!(say, Say::Refused(Refusal::Token));
}

#[test]
fn an_unpadded_request_from_an_unproven_address_gets_no_more_than_it_sent() {
    let mut world = World::of(8, 30);
    let key = Key::of(b"k");
    for n in 0..6 {
        world.put(n, key, &[1; 200], secs(600));
    }
    let sent = world.log.len();
    for (tx, pad) in [(1, 0), (2, 100), (3, 400), (4, 1_000)] {
        let ask = Ask::Get { key, want: 4 };
        let bytes = request(STRANGER, 0, tx, None, ask, pad);
        world.inject(addr(STRANGER), 0, &bytes);
        let (_, len, ..) = replies(&world, sent, addr(STRANGER)).pop().unwrap();
        assert!(len <= bytes.len());
    }
    // With a token the same question gets the whole answer.
    let (.., token) = replies(&world, sent, addr(STRANGER)).pop().unwrap();
    let bytes = request(STRANGER, 0, 5, token, Ask::Find { target: key }, 0);
    world.inject(addr(STRANGER), 0, &bytes);
    let (_, len, say, _) = replies(&world, sent, addr(STRANGER)).pop().unwrap();
    assert!(len > bytes.len());
    assert!(matches!(say, Say::Nodes { contacts } if contacts.len() == 8));
}

#[test]
fn relays_need_a_token_a_known_goal_and_room() {
    let mut world = World::of(13, 3);
    world.kill(1);
    let relay = |to| Ask::Relay {
        to: addr(to),
        ask: Box::new(Ask::Find { target: Key::ZERO }),
    };
    let sent = world.log.len();
    let last = |world: &World| replies(world, sent, addr(STRANGER)).pop().unwrap();
    let first = request(STRANGER, 0, 1, None, relay(1), 0);
    world.inject(addr(STRANGER), 0, &first);
    let (_, len, say, token) = last(&world);
    assert_eq!(say, Say::Refused(Refusal::Token));
    assert!(len <= first.len());
    let unknown = request(STRANGER, 0, 2, token, relay(50), 0);
    world.inject(addr(STRANGER), 0, &unknown);
    assert_eq!(last(&world).2, Say::Refused(Refusal::Unreachable));
    for tx in 3..68 {
        let bytes = request(STRANGER, 0, tx, token, relay(1), 0);
        world.inject(addr(STRANGER), 0, &bytes);
    }
    assert_eq!(last(&world).2, Say::Refused(Refusal::Busy));
    world.run(secs(5));
    let answered = replies(&world, sent, addr(STRANGER));
    assert_eq!(answered.len(), 67, "each gets its answer in the end");
}

#[test]
fn every_node_pads_so_that_no_reply_to_an_unproven_address_is_cut_or_larger() {
    let mut world = World::of(9, 12);
    for n in 0..12 {
        world.put(n, Key::of(b"k"), &[3; 100], secs(600));
        world.command(
            n,
            Wish::Get {
                key: Key::of(&[9, 9]),
                want: 4,
            },
        );
    }
    world.run(secs(30));
    let mut requests = std::collections::BTreeMap::new();
    let mut checked = 0;
    for sent in &world.log {
        let (header, body) = header::open(&network(7, 1), &sent.bytes).unwrap();
        match decode(header.kind, body).unwrap() {
            Message::Request(request) => {
                let key = (header.tx, sent.from, sent.to);
                requests.insert(key, (request.token.is_some(), sent.bytes.len()));
            }
            Message::Reply(_) => {
                let (proven, len) = requests[&(header.tx, sent.to, sent.from)];
                assert!(proven || sent.bytes.len() <= len);
                checked += usize::from(!proven);
            }
        }
    }
    assert!(checked > 50, "{checked} replies to unproven addresses");
    for node in world.nodes.values() {
        assert_eq!(node.stats().dropped.of(DropReason::Unpadded), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_have_no_effect(seed: u64, len in 0..1_400usize, magic: bool) {
        let mut world = World::of(10, 1);
        let mut rng = Generator::from_seed(seed);
        let mut bytes: Vec<u8> = std::iter::repeat_with(|| rng.bytes::<1>()[0]).take(len).collect();
        if magic && len > 5 {
            bytes[..5].copy_from_slice(b"ATOL\x01");
        }
        let sent = world.log.len();
        world.inject(addr(STRANGER), 0, &bytes);
        prop_assert_eq!(world.log.len(), sent);
        prop_assert_eq!(world.node(0).stats().dropped.total(), 1);
    }

    #[test]
    fn no_authentic_body_makes_a_node_panic_or_amplify(
        kind: u8, body in proptest::collection::vec(any::<u8>(), 0..200), fixed: bool
    ) {
        let mut world = World::of(11, 2);
        let (sender, receiver) = (NodeId::of(addr(STRANGER)), Some(NodeId::of(addr(0))));
        let kind = if fixed { kind % 7 } else { kind };
        let header = Header { kind, tx: TxId(3), sender, receiver, levels: vec![] };
        let bytes = header::seal(&network(7, 1), &header, &body).unwrap();
        let sent = world.log.len();
        world.inject(addr(STRANGER), 0, &bytes);
        for (_, len, say, token) in replies(&world, sent, addr(STRANGER)) {
            prop_assert!(len <= bytes.len(), "{say:?} {token:?}");
        }
    }

    #[test]
    fn a_guessed_token_never_holds(guess: [u8; TOKEN_LEN], n in 0..200usize) {
        let mut world = World::of(12, 1);
        let ask = Ask::Put { key: Key::ZERO, value: vec![], ttl: secs(1) };
        let bytes = request(n + 20, 0, 1, Some(Token(guess)), ask, 0);
        world.inject(addr(n + 20), 0, &bytes);
        prop_assert_eq!(world.node(0).sizes().values, 0);
    }
}
