//! The codec against golden bytes and against arbitrary ones.

use std::net::{IpAddr, Ipv6Addr};

use common::ids::NodeId;
use common::limits::{DATAGRAM_MAX, VALUE_MAX};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn addr() -> impl Strategy<Value = SocketAddr> {
    let v4 = any::<([u8; 4], u16)>().prop_map(SocketAddr::from);
    // Mapped addresses have no encoding of their own.
    let v6 = any::<(u128, u16)>().prop_map(|(ip, port)| {
        SocketAddr::new(IpAddr::V6(Ipv6Addr::from(ip)).to_canonical(), port)
    });
    prop_oneof![v4, v6]
}

fn millis() -> impl Strategy<Value = Duration> {
    any::<u32>().prop_map(|ms| Duration::from_millis(u64::from(ms)))
}

fn key() -> impl Strategy<Value = Key> {
    any::<[u8; 20]>().prop_map(Key::from_bytes)
}

fn services() -> impl Strategy<Value = Vec<Service>> {
    vec(("[a-z0-9-]{1,16}", addr()), 0..4)
}

fn contacts() -> impl Strategy<Value = Vec<Contact>> {
    vec(
        (addr(), millis(), 0..8u8).prop_map(|(addr, age, level)| Contact { addr, age, level }),
        0..=CONTACTS_MAX,
    )
}

/// Values as a reply at level 0 carries them.
fn values() -> impl Strategy<Value = Vec<Value>> {
    let value = (vec(any::<u8>(), 0..120), millis(), any::<[u8; 20]>());
    let value = value.prop_map(|(bytes, ttl, id)| Value {
        bytes,
        ttl,
        publisher: NodeId::from_bytes(id),
        level: 0,
    });
    vec(value, 0..5)
}

fn rumours() -> impl Strategy<Value = Vec<Rumour>> {
    let standing = prop_oneof![
        Just(Standing::Alive),
        Just(Standing::Suspect),
        Just(Standing::Dead)
    ];
    let rumour = (addr(), any::<u32>(), any::<u32>(), standing, services());
    let rumour = rumour.prop_map(|(addr, incarnation, run, standing, services)| Rumour {
        addr,
        incarnation,
        run,
        standing,
        services,
    });
    vec(rumour, 0..6)
}

fn path() -> impl Strategy<Value = Path> {
    let root = Just(Path::ROOT);
    root.prop_flat_map(|root| {
        let down = |path: Path, digit: usize| path.child(digit).unwrap_or(path);
        vec(0..FANOUT, 0..=8).prop_map(move |digits| digits.into_iter().fold(root, down))
    })
}

fn ask() -> impl Strategy<Value = Ask> {
    let relay = (addr(), plain_ask()).prop_map(|(to, ask)| Ask::Relay {
        to,
        ask: Box::new(ask),
    });
    let ping = services().prop_map(|services| Ask::Ping { services });
    prop_oneof![1 => ping, 6 => plain_ask(), 1 => relay]
}

fn plain_ask() -> impl Strategy<Value = Ask> {
    let bytes = || vec(any::<u8>(), 0..=VALUE_MAX);
    prop_oneof![
        key().prop_map(|target| Ask::Find { target }),
        (key(), any::<u8>()).prop_map(|(key, want)| Ask::Get { key, want }),
        (key(), bytes(), millis()).prop_map(|(key, value, ttl)| Ask::Put { key, value, ttl }),
        (key(), bytes(), millis()).prop_map(|(key, value, ttl)| Ask::Claim { key, value, ttl }),
        rumours().prop_map(|rumours| Ask::Probe { rumours }),
        (path(), any::<[u64; FANOUT]>()).prop_map(|(path, sums)| Ask::Sync {
            path,
            sums: Box::new(sums)
        }),
        key().prop_map(|key| Ask::Withdraw { key }),
        (key(), millis()).prop_map(|(key, ttl)| Ask::Offer { key, ttl }),
        (key(), any::<[u8; 20]>(), bytes(), millis()).prop_map(|(key, id, value, ttl)| Ask::Hand {
            key,
            publisher: NodeId::from_bytes(id),
            value,
            ttl,
        }),
    ]
}

fn say() -> impl Strategy<Value = Say> {
    let relayed = plain_say().prop_map(|say| Say::Relayed(Box::new(say)));
    prop_oneof![6 => plain_say(), 1 => relayed]
}

fn plain_say() -> impl Strategy<Value = Say> {
    let refusal = (0..Refusal::ALL.len()).prop_map(|n| Refusal::ALL[n]);
    prop_oneof![
        (addr(), any::<u64>(), services()).prop_map(|(seen, boot, services)| Say::Pong {
            seen,
            boot,
            services
        }),
        contacts().prop_map(|contacts| Say::Nodes { contacts }),
        (values(), any::<u8>(), any::<[bool; 3]>(), contacts()).prop_map(
            |(values, held, [loaded, full, own], contacts)| Say::Values {
                values,
                held,
                loaded,
                full,
                own,
                contacts
            }
        ),
        (addr(), rumours()).prop_map(|(seen, rumours)| Say::Ack { seen, rumours }),
        (any::<u16>(), any::<u16>(), rumours()).prop_map(|(differing, listed, rumours)| {
            Say::Differ {
                differing,
                listed,
                rumours,
            }
        }),
        Just(Say::Stored),
        Just(Say::Granted),
        Just(Say::Withdrawn),
        refusal
            .prop_filter("local refusals are not sent", |r| r.wire_code().is_some())
            .prop_map(Say::Refused),
    ]
}

fn token() -> impl Strategy<Value = Option<Token>> {
    proptest::option::of(any::<[u8; TOKEN_LEN]>().prop_map(Token))
}

proptest! {
    #[test]
    fn requests_read_back_whatever_their_padding(
        ask in ask(), level: u8, token in token(), behalf in proptest::option::of(addr()),
        pad in 0..DATAGRAM_MAX
    ) {
        let request = Request { level, token, behalf, trace: None, ask };
        let bytes = encode_request(&request, DATAGRAM_MAX, pad).unwrap();
        // Three bytes is the least an extension takes, so a shortfall of less stays.
        prop_assert!(bytes.len() + 3 > pad);
        prop_assert_eq!(decode(request.ask.kind().code(), &bytes), Ok(Message::Request(request)));
    }

    #[test]
    fn replies_read_back(say in say(), token in token()) {
        let reply = Reply { level: 0, token, say };
        let bytes = encode_reply(&reply, 2 * DATAGRAM_MAX).unwrap();
        prop_assert_eq!(decode(reply.say.kind().code(), &bytes), Ok(Message::Reply(reply)));
    }

    #[test]
    fn a_reply_never_exceeds_its_room_and_still_reads(
        say in say(), token in token(), room in 0..600usize
    ) {
        let reply = Reply { level: 0, token, say };
        if let Some(bytes) = encode_reply(&reply, room) {
            prop_assert!(bytes.len() <= room);
            prop_assert!(decode(reply.say.kind().code(), &bytes).is_ok());
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(code: u8, body in vec(any::<u8>(), 0..300)) {
        drop(decode(code, &body));
    }

    #[test]
    fn a_cut_message_is_an_error_not_another_message(ask in ask(), cut in 1..21usize) {
        let request = Request { level: 0, token: None, behalf: None, trace: None, ask };
        let bytes = encode_request(&request, DATAGRAM_MAX, 0).unwrap();
        let shorter = &bytes[..bytes.len() - cut.min(bytes.len())];
        let read = decode(request.ask.kind().code(), shorter);
        prop_assert_ne!(read, Ok(Message::Request(request)));
    }
}

#[test]
fn unknown_extensions_are_skipped_unless_critical() {
    let request = Request {
        level: 0,
        token: None,
        behalf: None,
        trace: None,
        ask: Ask::Find { target: Key::ZERO },
    };
    let mut bytes = encode_request(&request, DATAGRAM_MAX, 0).unwrap();
    bytes.extend_from_slice(&[0x40, 0, 1, 9]);
    assert_eq!(
        decode(Kind::Find.code(), &bytes),
        Ok(Message::Request(request))
    );
    bytes.extend_from_slice(&[0xc0, 0, 0]);
    assert!(decode(Kind::Find.code(), &bytes).is_err());
}

#[test]
fn an_unknown_refusal_is_a_refusal_and_an_unknown_kind_is_none() {
    let reply = Reply {
        level: 0,
        token: None,
        say: Say::Refused(Refusal::Other),
    };
    assert_eq!(
        decode(Kind::Refused.code(), &[0, 200]),
        Ok(Message::Reply(reply))
    );
    assert!(decode(0x7f, &[0]).is_err());
}

#[test]
fn more_services_than_a_datagram_holds_is_too_long() {
    let addr = "[2001:db8::1]:80".parse().unwrap();
    let services = vec![("sixteen-letters-".to_owned(), addr); SERVICES_MAX];
    let request = Request {
        level: 0,
        token: None,
        behalf: None,
        trace: None,
        ask: Ask::Ping { services },
    };
    assert!(encode_request(&request, 100, 0).is_err());
}

/// One message of every kind with every field set to something.
fn specimens() -> Vec<Message> {
    let token = Some(Token([0xcc; TOKEN_LEN]));
    let asks = asks().into_iter().map(|ask| {
        Message::Request(Request {
            level: 0,
            token,
            behalf: None,
            trace: None,
            ask,
        })
    });
    let says = says().into_iter().map(|say| {
        Message::Reply(Reply {
            level: 0,
            token,
            say,
        })
    });
    asks.chain(says).collect()
}

fn rumour() -> Rumour {
    let addr = "192.0.2.1:7400".parse().unwrap();
    Rumour {
        addr,
        incarnation: 3,
        run: 7,
        standing: Standing::Suspect,
        services: vec![("http".to_owned(), addr)],
    }
}

fn asks() -> [Ask; 11] {
    let (key, value) = (Key::from_bytes([0xaa; 20]), b"value".to_vec());
    let (addr, ttl) = ("192.0.2.1:7400".parse().unwrap(), Duration::from_secs(20));
    let to = "[2001:db8::1]:7401".parse().unwrap();
    let services = vec![("http".to_owned(), addr)];
    [
        Ask::Ping { services },
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
        Ask::Relay {
            to,
            ask: Box::new(Ask::Withdraw { key }),
        },
        Ask::Hand {
            key,
            publisher: NodeId::from_bytes([0xbb; 20]),
            value,
            ttl,
        },
        Ask::Probe {
            rumours: vec![rumour()],
        },
        Ask::Sync {
            path: Path::ROOT.child(10).unwrap(),
            sums: Box::new([9; FANOUT]),
        },
    ]
}

fn says() -> [Say; 10] {
    let (addr, ttl) = ("192.0.2.1:7400".parse().unwrap(), Duration::from_secs(20));
    let v6 = "[2001:db8::1]:7401".parse().unwrap();
    let services = vec![("http".to_owned(), addr)];
    let contact = |addr, age, level| Contact { addr, age, level };
    let contacts = vec![contact(addr, ttl, 2), contact(v6, Duration::ZERO, 0)];
    let held = Value {
        bytes: b"value".to_vec(),
        ttl,
        publisher: NodeId::from_bytes([0xbb; 20]),
        level: 0,
    };
    [
        Say::Pong {
            seen: addr,
            boot: 7,
            services,
        },
        Say::Nodes {
            contacts: contacts.clone(),
        },
        Say::Values {
            values: vec![held],
            held: 1,
            loaded: true,
            full: true,
            own: true,
            contacts,
        },
        Say::Stored,
        Say::Granted,
        Say::Withdrawn,
        Say::Refused(Refusal::Token),
        Say::Relayed(Box::new(Say::Granted)),
        Say::Ack {
            seen: addr,
            rumours: vec![rumour()],
        },
        Say::Differ {
            differing: 1,
            listed: 0x8000,
            rumours: vec![rumour()],
        },
    ]
}

/// The bytes of every kind stand in `golden.hex`: another implementation can be checked against
/// them, and a change of the wire cannot happen by accident.
#[test]
fn every_kind_has_the_golden_bytes() {
    let mut lines = String::new();
    for message in specimens() {
        let (kind, bytes) = match &message {
            Message::Request(r) => (r.ask.kind(), encode_request(r, DATAGRAM_MAX, 0).unwrap()),
            Message::Reply(r) => (r.say.kind(), encode_reply(r, DATAGRAM_MAX).unwrap()),
        };
        let hex = data_encoding::HEXLOWER.encode(&bytes);
        lines.push_str(&format!("{} {:02x} {hex}\n", kind.as_str(), kind.code()));
        assert_eq!(decode(kind.code(), &bytes), Ok(message));
    }
    assert_eq!(lines, include_str!("golden.hex"));
}

#[test]
fn a_request_on_behalf_of_another_says_so_critically() {
    let request = Request {
        level: 0,
        token: None,
        behalf: Some("192.0.2.9:7400".parse().unwrap()),
        trace: None,
        ask: Ask::Withdraw { key: Key::ZERO },
    };
    let bytes = encode_request(&request, DATAGRAM_MAX, 0).unwrap();
    assert_eq!(
        bytes[21], 0x84,
        "an old node drops what it cannot understand"
    );
    let read = decode(Kind::Withdraw.code(), &bytes);
    assert_eq!(read, Ok(Message::Request(request)));
}

#[test]
fn a_relay_of_a_relay_is_no_message() {
    let to = "192.0.2.9:7400".parse().unwrap();
    let mut ask = Ask::Withdraw { key: Key::ZERO };
    for _ in 0..2 {
        let ask_inside = Box::new(ask);
        ask = Ask::Relay {
            to,
            ask: ask_inside,
        };
    }
    let request = Request {
        level: 0,
        token: None,
        behalf: None,
        trace: None,
        ask,
    };
    let bytes = encode_request(&request, DATAGRAM_MAX, 0).unwrap();
    assert!(decode(Kind::Relay.code(), &bytes).is_err());
}

#[test]
fn a_trace_travels_where_there_is_room_and_is_skipped_by_who_does_not_know_it() {
    let trace = Context {
        trace: common::trace::TraceId([7; 16]),
        parent: common::trace::SpanId(9),
        keep: Some(common::trace::Keep::Asked),
    };
    let request = Request {
        level: 0,
        token: None,
        behalf: None,
        trace: Some(trace),
        ask: Ask::Find {
            target: Key::from_bytes([0xaa; 20]),
        },
    };
    let bytes = encode_request(&request, DATAGRAM_MAX, 0).unwrap();
    let golden = format!(
        "00{}050019{}000000000000000901",
        "aa".repeat(20),
        "07".repeat(16)
    );
    assert_eq!(data_encoding::HEXLOWER.encode(&bytes), golden);
    let read = decode(Kind::Find.code(), &bytes);
    assert_eq!(read, Ok(Message::Request(request.clone())));
    // No type of an optional extension may have the high bit.
    assert_eq!(bytes[21] & 0x80, 0);
    let full = encode_request(&request, bytes.len() - 1, 0).unwrap();
    let without = Request {
        trace: None,
        ..request
    };
    assert_eq!(
        decode(Kind::Find.code(), &full),
        Ok(Message::Request(without))
    );
}
