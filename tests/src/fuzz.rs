//! The bodies of the fuzz targets: everything that reads bytes of others, with what must hold of it.
//!
//! Plain functions, so that `cargo fuzz` (in `tests/fuzz`, nightly) and the stable replay of the
//! committed corpus run the very same thing. Each panics when a claim does not hold; none of the
//! parsers may panic by itself, whatever the bytes.

mod dns;
mod http;
pub mod shelf;

use common::name::{Name, Zone};
use common::wire::codec::Reader;
use common::wire::header::{self, Header};
use common::wire::secret::{Network, NetworkSecret};
use dht::api::{
    GetRequest, HintRequest, NodesRequest, PingRequest, PutRequest, ServiceDoc, WithdrawRequest,
};
use dht::engine::message::{Message, decode, encode_reply, encode_request};
use dht::hints::Hint;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::dns::queries;
pub use self::http::{fields, ranges, requests, responses, structured};
pub use self::shelf::shelf;

/// Room for anything that was decoded from at most 64 KiB.
const ROOM: usize = 1 << 17;

/// A target: its name, which is that of its corpus, and its body.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name.
    pub name: &'static str,
    /// The body.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: [Target; 13] = [
    Target {
        name: "header",
        run: header,
    },
    Target {
        name: "message",
        run: message,
    },
    Target {
        name: "codec",
        run: codec,
    },
    Target {
        name: "peers",
        run: peers,
    },
    Target {
        name: "api",
        run: api,
    },
    Target {
        name: "names",
        run: names,
    },
    Target {
        name: "queries",
        run: queries,
    },
    Target {
        name: "responses",
        run: responses,
    },
    Target {
        name: "requests",
        run: requests,
    },
    Target {
        name: "fields",
        run: fields,
    },
    Target {
        name: "ranges",
        run: ranges,
    },
    Target {
        name: "structured",
        run: structured,
    },
    Target {
        name: "shelf",
        run: shelf,
    },
];

/// The network of the golden datagrams.
#[must_use]
pub fn network() -> Network {
    NetworkSecret::from_bytes([7; 32]).network(1)
}

/// A datagram: what opens is what was sealed, byte for byte; and whatever is sealed opens.
pub fn header(datagram: &[u8]) {
    let network = network();
    if let Ok((header, body)) = header::open(&network, datagram) {
        let again = header::seal(&network, &header, body).unwrap();
        assert_eq!(again, datagram, "two datagrams mean the same");
    }
    let plain = Header {
        kind: datagram.first().copied().unwrap_or(0),
        tx: common::ids::TxId(9),
        sender: common::ids::NodeId::ZERO,
        receiver: None,
        levels: Vec::new(),
    };
    if let Ok(sealed) = header::seal(&network, &plain, datagram) {
        let opened = header::open(&network, &sealed);
        assert_eq!(opened, Ok((plain, datagram)));
    }
}

/// A body, after a byte that says its kind: what was read is written in one way only.
pub fn message(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else {
        return;
    };
    let Ok(first) = decode(*kind, body) else {
        return;
    };
    let written = encode(&first);
    let read = decode(*kind, &written).unwrap();
    assert_eq!(encode(&read), written, "{first:?} reads back as {read:?}");
}

fn encode(message: &Message) -> Vec<u8> {
    match message {
        Message::Request(request) => encode_request(request, ROOM, 0).unwrap(),
        Message::Reply(reply) => encode_reply(reply, ROOM).unwrap(),
    }
}

/// The reader of fields: the first bytes choose what is read, the rest is read.
pub fn codec(bytes: &[u8]) {
    let (program, data) = bytes.split_at(bytes.len().min(16));
    let mut reader = Reader::new(data);
    for op in program {
        let room = usize::from(op >> 3);
        let read = match op & 7 {
            0 => reader.u8("u8").map(drop),
            1 => reader.u32("u32").map(drop),
            2 => reader.u64("u64").map(drop),
            3 => reader
                .take(room, "bytes")
                .map(|taken| assert_eq!(taken.len(), room)),
            4 => reader
                .bytes16(room, "bytes16")
                .map(|taken| assert!(taken.len() <= room)),
            5 => reader.addr("address").map(drop),
            6 => reader.key("key").map(drop),
            _ => reader.array::<7>("array").map(drop),
        };
        if let Err(error) = read {
            assert!(!error.to_string().is_empty());
            return;
        }
    }
    assert_eq!(reader.is_empty(), reader.finish("end").is_ok());
}

/// The file of remembered peers: bounded, and without effect if it is not understood.
pub fn peers(bytes: &[u8]) {
    if let Ok(peers) = dht::shell::parse_peers(bytes) {
        assert!(peers.len() <= 256);
    }
}

/// A document of the local API, after a byte that says which: it reads back as it was written.
pub fn api(bytes: &[u8]) {
    let Some((which, text)) = bytes.split_first() else {
        return;
    };
    match which % 8 {
        0 => document::<GetRequest>(text, |get| _ = get.key.resolve()),
        1 => document::<PutRequest>(text, |put| {
            _ = put.key.resolve();
            _ = put.bytes.resolve();
        }),
        2 => document::<WithdrawRequest>(text, |withdraw| _ = withdraw.key.resolve()),
        3 => document::<NodesRequest>(text, |_| {}),
        4 => document::<PingRequest>(text, |_| {}),
        5 => document::<ServiceDoc>(text, |service| _ = service.check()),
        6 => document::<HintRequest>(text, |_| {}),
        _ => {
            if let Some(hint) = Hint::decode(text) {
                assert_eq!(hint.encode(), text);
            }
        }
    }
}

fn document<D>(text: &[u8], look: impl Fn(&D))
where
    D: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug,
{
    if let Ok(read) = serde_json::from_slice::<D>(text) {
        look(&read);
        let written = serde_json::to_vec(&read).unwrap();
        assert_eq!(serde_json::from_slice::<D>(&written).unwrap(), read);
    }
}

/// A host name as a client asks for it: a site has one dotted form, and a label means one site.
pub fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    drop(Zone::parse(text));
    let zone = Zone::parse("nyud.test").unwrap();
    let Ok(Name::Site(site)) = zone.classify(text) else {
        return;
    };
    let forms = [
        zone.dotted(&site.host, site.port),
        zone.label(&site.host, site.port),
    ];
    for form in forms.into_iter().flatten() {
        if let Ok(Name::Site(again)) = zone.classify(&form) {
            assert_eq!((&again.host, again.port), (&site.host, site.port), "{form}");
        }
    }
}
