//! The whole way of a question to the name server: read, judged, answered, written.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use common::clock::{Moment, WallTime};
use common::name::Zone;
use common::rng::Generator;
use dns::engine::config::{AnswerConfig, MannersConfig, NameServer, ZoneConfig};
use dns::engine::exchange::Arrival;
use dns::engine::inquiry::Transport;
use dns::engine::live::LiveSet;
use dns::engine::server::Server;
use dns::engine::snapshot::Snapshot;
use dns::engine::zone::{ZoneData, Zones};
use hickory_proto::op::Message;

/// The first bit of the first byte is the transport, the second whether anybody is alive; the rest is
/// the message. Both doors say the same; what is said can be read, and is not too long.
pub fn queries(bytes: &[u8]) {
    static ALIVE: LazyLock<Server> = LazyLock::new(|| server(5));
    static NOBODY: LazyLock<Server> = LazyLock::new(|| server(0));
    let Some((first, message)) = bytes.split_first() else {
        return;
    };
    let arrival = Arrival {
        now: Moment::from_millis(1_000),
        wall: WallTime::from_unix(1_800_000_000),
        from: IpAddr::from([198, 51, 100, 7]),
        transport: if first & 1 == 0 {
            Transport::Udp
        } else {
            Transport::Tcp
        },
    };
    let server = if first & 2 == 0 { &ALIVE } else { &NOBODY };
    let ask = |mut server: Server| {
        let mut reply = Vec::new();
        let silence = server.handle_message(&arrival, message, &mut reply);
        (silence, reply)
    };
    let (silence, reply) = ask(Server::clone(server));
    let careful = ask(Server::clone(server).careful_only());
    assert_eq!((silence, &reply), (careful.0, &careful.1), "two doors");
    assert_eq!(silence.is_some(), reply.is_empty());
    if silence.is_some() {
        return;
    }
    let bound = match arrival.transport {
        Transport::Udp => (3 * message.len()).min(1_232),
        Transport::Tcp => usize::from(u16::MAX),
    };
    assert!(reply.len() <= bound, "{} bytes", reply.len());
    assert_eq!(reply[..2], message[..2], "the number");
    assert_eq!(reply[2] & 0x80, 0x80, "an answer");
    let family_unknown = reply.windows(4).any(|bytes| bytes == [0, 8, 0, 4]);
    // The library knows no subnet without a family, which resolvers send.
    assert!(
        family_unknown || Message::from_vec(&reply).is_ok(),
        "unreadable"
    );
}

fn server(live: u8) -> Server {
    let config = ZoneConfig {
        zone: Zone::parse("nyud.test").unwrap(),
        servers: vec![NameServer {
            name: "ns1.nyud.test".to_owned(),
            addresses: vec!["192.0.2.53".parse().unwrap()],
        }],
        hostmaster: "hostmaster@nyud.test".to_owned(),
        serial: 1,
        services: vec!["www".to_owned()],
        records: vec![
            "alias CNAME www.nyud.test.".to_owned(),
            "txt TXT hello".to_owned(),
        ],
        signing: None,
        negative_ttl: 30,
    };
    let zones = Zones::new(vec![ZoneData::new(&config).unwrap()]).unwrap();
    let live = LiveSet::new((1..=live).map(|n| IpAddr::from([192, 0, 2, n])), None);
    let snapshot = Snapshot::new(zones, AnswerConfig::default()).with_live(live);
    let manners = MannersConfig {
        nsid: b"fuzz".to_vec(),
        ..MannersConfig::default()
    };
    Server::new(
        Arc::new(snapshot),
        Arc::new(manners),
        Generator::from_seed(1),
    )
}
