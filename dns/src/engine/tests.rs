//! Both doors give the same bytes; whatever comes, nothing panics and nothing grows too long.

use std::net::IpAddr;
use std::sync::Arc;

use common::clock::{Moment, WallTime};
use common::name::Zone;
use common::rng::Generator;
use proptest::prelude::*;

use super::config::{AnswerConfig, MannersConfig, NameServer, ZoneConfig};
use super::exchange::Arrival;
use super::inquiry::Transport;
use super::live::LiveSet;
use super::reason::{Reason, Silence};
use super::server::Server;
use super::snapshot::Snapshot;
use super::zone::{ZoneData, Zones};

fn snapshot(live: &[&str]) -> Arc<Snapshot> {
    let config = ZoneConfig {
        zone: Zone::parse("nyud.test").unwrap(),
        servers: vec![NameServer {
            name: "ns1.nyud.test".to_owned(),
            addresses: vec!["192.0.2.53".parse().unwrap()],
        }],
        hostmaster: "hostmaster@nyud.test".to_owned(),
        serial: 1,
        services: vec!["www".to_owned()],
        negative_ttl: 30,
        signing: None,
        records: vec![
            "alias CNAME www.nyud.test.".to_owned(),
            "txt TXT hello".to_owned(),
        ],
    };
    let zones = Zones::new(vec![ZoneData::new(&config).unwrap()]).unwrap();
    let live = live.iter().map(|text| text.parse().unwrap());
    let live = LiveSet::new(live, None);
    Arc::new(Snapshot::new(zones, AnswerConfig::default()).with_live(live))
}

fn manners() -> Arc<MannersConfig> {
    Arc::new(MannersConfig {
        nsid: b"ns1".to_vec(),
        ..MannersConfig::default()
    })
}

const PROXIES: [&str; 6] = [
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.3",
    "192.0.2.4",
    "192.0.2.5",
    "2001:db8::1",
];

fn arrival(transport: Transport) -> Arrival {
    Arrival {
        now: Moment::from_millis(1_000),
        wall: WallTime::from_unix(1_800_000_000),
        from: IpAddr::from([198, 51, 100, 7]),
        transport,
    }
}

/// The reply of each door to `message`, drawn alike.
fn doors(live: &[&str], transport: Transport, message: &[u8]) -> [(Option<Silence>, Vec<u8>); 2] {
    let server = Server::new(snapshot(live), manners(), Generator::from_seed(5));
    let ask = |mut server: Server| {
        let mut out = Vec::new();
        let silence = server.handle_message(&arrival(transport), message, &mut out);
        (silence, out)
    };
    [ask(server.clone()), ask(server.careful_only())]
}

/// A question with an OPT record of `options`, if any.
fn message(labels: &[&[u8]], qtype: u16, opt: Option<(u16, &[u8])>) -> Vec<u8> {
    let mut bytes = vec![
        0x12,
        0x34,
        1,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        u8::from(opt.is_some()),
    ];
    for label in labels {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label);
    }
    bytes.push(0);
    bytes.extend_from_slice(&qtype.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    if let Some((payload, options)) = opt {
        bytes.extend_from_slice(&[0, 0, 41]);
        bytes.extend_from_slice(&payload.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        let length = u16::try_from(options.len()).unwrap();
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(options);
    }
    bytes
}

const SUBNET: [u8; 11] = [0, 8, 0, 7, 0, 1, 24, 0, 203, 0, 113];
const COOKIE: [u8; 12] = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
const NSID: [u8; 4] = [0, 3, 0, 0];

fn label() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => "[a-zA-Z0-9]{1,12}".prop_map(String::into_bytes),
        2 => "com|COM|nyud|test|NYUD|80|8080|65536|localhost|ns1|www|a-b|x--y".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 1..40),
    ]
}

fn zone() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let spell = |one: &str, two: &str| vec![one.as_bytes().to_vec(), two.as_bytes().to_vec()];
    prop_oneof![
        4 => Just(spell("nyud", "test")),
        1 => Just(spell("NyUd", "tEsT")),
        1 => Just(spell("NYUD", "test")),
        1 => Just(spell("example", "com")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn both_doors_give_the_same_bytes(
        labels in proptest::collection::vec(label(), 0..7),
        zone in zone(),
        qtype in prop_oneof![Just(1_u16), Just(28), Just(6), Just(2), Just(65), Just(255), Just(16), any::<u16>()],
        payload in proptest::option::of(prop_oneof![Just(512_u16), Just(1_232), Just(4_096), any::<u16>()]),
        options in (any::<bool>(), any::<bool>(), any::<bool>()),
        tcp in any::<bool>(),
        alive in any::<bool>(),
    ) {
        let all: Vec<&[u8]> = labels.iter().chain(&zone).map(Vec::as_slice).collect();
        prop_assume!(all.iter().map(|label| label.len() + 1).sum::<usize>() < 255);
        let mut chosen = Vec::new();
        for (wanted, option) in [(options.0, &SUBNET[..]), (options.1, &COOKIE), (options.2, &NSID)] {
            if wanted {
                chosen.extend_from_slice(option);
            }
        }
        let message = message(&all, qtype, payload.map(|payload| (payload, chosen.as_slice())));
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let live = if alive { &PROXIES[..] } else { &[] };
        let [plain, careful] = doors(live, transport, &message);
        prop_assert_eq!(&plain, &careful);
        let bound = if tcp { 65_535 } else { (3 * message.len()).min(1_232) };
        prop_assert!(plain.1.len() <= bound, "{} bytes", plain.1.len());
        hickory_proto::op::Message::from_vec(&plain.1).unwrap();
    }

    #[test]
    fn anything_at_all_is_survived_and_answered_in_bounds(
        labels in proptest::collection::vec(label(), 0..7),
        cut in 0_usize..80,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        noise in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let all: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
        let mut bytes = message(&all, 1, Some((1_232, &SUBNET)));
        for (at, to) in flips {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        bytes.truncate(bytes.len().saturating_sub(cut).max(usize::from(cut % 3 == 0) * bytes.len()));
        bytes.extend(noise);
        let [plain, careful] = doors(&PROXIES, Transport::Udp, &bytes);
        prop_assert_eq!(&plain, &careful);
        prop_assert!(plain.1.len() <= (3 * bytes.len()).min(1_232));
        prop_assert_eq!(plain.0.is_some(), plain.1.is_empty());
    }
}

#[test]
fn words_stand_in_the_order_of_their_counters() {
    for (at, reason) in Reason::ALL.iter().enumerate() {
        assert_eq!(*reason as usize, at, "{reason}");
    }
    for (at, silence) in Silence::ALL.iter().enumerate() {
        assert_eq!(*silence as usize, at);
    }
}
