//! Answers by the section of the standard that asks for them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use common::name::Zone;
use hickory_proto::op::OpCode;
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use proptest::prelude::*;

use super::*;
use crate::engine::config::{MannersConfig, NameServer, Resort, ZoneConfig};
use crate::engine::inquiry::{Edns, Question, Transport};
use crate::engine::server::Server;
use crate::engine::zone::ZoneData;

const PROXIES: [&str; 6] = [
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.3",
    "192.0.2.4",
    "192.0.2.5",
    "2001:db8::1",
];

/// Name, type, code, reason, number of answers.
type Row = (&'static str, RecordType, ResponseCode, Reason, usize);

use RecordType as T;
use ResponseCode as C;

#[test]
fn rfc1034_4_3_2_names_of_the_zone_are_answered() {
    check(&[
        ("nyud.test.", T::SOA, C::NoError, Reason::ZoneData, 1),
        ("nyud.test.", T::NS, C::NoError, Reason::ZoneData, 2),
        ("nyud.test.", T::A, C::NoError, Reason::Live, 4),
        ("nyud.test.", T::AAAA, C::NoError, Reason::Live, 1),
        ("www.nyud.test.", T::A, C::NoError, Reason::Live, 4),
        ("ns1.nyud.test.", T::A, C::NoError, Reason::ZoneData, 1),
        ("ns2.nyud.test.", T::AAAA, C::NoError, Reason::ZoneData, 1),
    ]);
}

#[test]
fn coralised_names_in_every_form_are_answered_with_proxies() {
    let hashed = format!("{}.nyud.test.", "a2".repeat(26));
    let names = [
        "www.example.com.nyud.test.",
        "www.example.com.8080.nyud.test.",
        "192.0.2.1.nyud.test.",
        "192.0.2.1.8080.nyud.test.",
        "www-example-com.nyud.test.",
        "example-com-8080.nyud.test.",
        "_x.example.com.nyud.test.",
        hashed.as_str(),
    ];
    for name in names {
        let reply = ask(name, T::A);
        assert_eq!((reply.code, reply.answers.len()), (C::NoError, 4), "{name}");
        assert!(reply.authoritative && reply.authority.is_empty(), "{name}");
        assert!(
            reply.answers.iter().all(|record| record.ttl == 30),
            "{name}"
        );
        assert_eq!(ask(name, T::AAAA).answers.len(), 1, "{name}");
    }
}

#[test]
fn rfc2308_2_2_other_types_are_no_data_with_the_soa() {
    for name in [
        "www.example.com.nyud.test.",
        "www-example-com.nyud.test.",
        "ns1.nyud.test.",
    ] {
        for qtype in [
            T::TXT,
            T::MX,
            T::NS,
            T::SOA,
            T::CNAME,
            T::HTTPS,
            T::DS,
            T::RRSIG,
        ] {
            let reply = ask(name, qtype);
            assert_eq!(
                (reply.code, reply.reason),
                (C::NoError, Reason::NoData),
                "{name} {qtype}"
            );
            negative(&reply);
        }
    }
    negative(&ask("nyud.test.", T::TXT));
    negative(&ask("ns1.nyud.test.", T::AAAA));
}

#[test]
fn rfc8020_what_may_have_names_below_it_is_no_data() {
    let parents = [
        "com", "foo", "x", "xn--p1ai", "_tcp", "8080", "com.8080", "80", "0", "0.2", "0.2.1",
        "2.1.8080", "1.8080", "65535", "255", "com.1", "foo--bar", "-", "a-", "arpa", "nyud",
    ];
    for below in parents {
        let reply = ask(&format!("{below}.nyud.test."), T::A);
        let got = (reply.code, reply.reason);
        assert_eq!(got, (C::NoError, Reason::EmptyNonTerminal), "{below}");
        negative(&reply);
    }
}

#[test]
fn rfc8020_names_that_nothing_ends_in_do_not_exist() {
    let missing = [
        "65536",
        "080",
        "00",
        "0x1f",
        "256.80",
        "localhost",
        "local",
        "test",
        "example",
        "invalid",
        "onion",
        "internal",
        "alt",
        "home.arpa",
        "www.example.com.080",
        "www.example.com.65536",
        "a.test",
        "a.nyud.test",
        "www.example.com.nyud.test",
        "com.0",
        "*",
        "a.*.com",
        "sp ace",
        "café",
        "1.2.3.4.5.6.7.com.0",
    ];
    for below in missing {
        let reply = ask(&format!("{below}.nyud.test."), T::A);
        let got = (reply.code, reply.reason);
        assert_eq!(got, (C::NXDomain, Reason::NoSuchName), "{below}");
        negative(&reply);
    }
}

#[test]
fn a_dot_inside_a_label_does_not_separate_labels() {
    let labels: [&[u8]; 3] = [b"www.example.com", b"nyud", b"test"];
    let question = Question {
        name: Name::from_labels(labels).unwrap(),
        qtype: T::A,
        qclass: DNSClass::IN,
    };
    let inquiry = inquire(OpCode::Query, None, Some(question));
    assert_eq!(
        server().handle_inquiry(Moment::ZERO, &inquiry).code,
        C::NXDomain
    );
}

#[test]
fn rfc9156_every_step_towards_an_existing_name_exists() {
    let names = [
        "www.example.com",
        "www.example.com.8080",
        "192.0.2.1",
        "192.0.2.1.8080",
        "a.b.c.d.e.co.uk.443",
        "_x.example.com",
        "x.com.1",
        "0.0.0.0",
        "example.xn--p1ai",
    ];
    for name in names {
        let labels: Vec<_> = name.split('.').collect();
        for start in (0..labels.len()).rev() {
            let step = labels[start..].join(".");
            let reply = ask(&format!("{step}.nyud.test."), T::A);
            assert_eq!(reply.code, C::NoError, "{step} on the way to {name}");
        }
    }
}

#[test]
fn names_outside_the_zone_are_refused_without_authority() {
    for name in [
        "example.com.",
        "test.",
        ".",
        "xnyud.test.",
        "nyud.test.example.",
    ] {
        let reply = ask(name, T::A);
        assert_eq!(
            (reply.code, reply.reason),
            (C::Refused, Reason::OutOfZone),
            "{name}"
        );
        assert!(!reply.authoritative && reply.authority.is_empty());
        assert_eq!(reply.extended_error, Some(ExtendedError::NotAuthoritative));
    }
}

#[test]
fn rfc8482_any_gets_one_record_where_there_are_records() {
    for name in ["nyud.test.", "ns1.nyud.test.", "www.example.com.nyud.test."] {
        let reply = ask(name, T::ANY);
        assert_eq!(reply.reason, Reason::AnyMinimal);
        let [record] = reply.answers.as_slice() else {
            panic!("one record for {name}");
        };
        assert!(matches!(&record.data, RData::HINFO(data) if &*data.cpu == b"RFC8482"));
    }
    assert_eq!(
        ask("com.nyud.test.", T::ANY).reason,
        Reason::EmptyNonTerminal
    );
    assert_eq!(ask("localhost.nyud.test.", T::ANY).code, C::NXDomain);
}

#[test]
fn what_is_no_question_to_this_server_is_refused_by_name() {
    let question = || Some(question("nyud.test.", T::A));
    let asked = |operation, version, question| {
        let inquiry = inquire(operation, version, question);
        let reply = server().handle_inquiry(Moment::ZERO, &inquiry);
        assert!(reply.answers.is_empty() && !reply.authoritative);
        (reply.code, reply.reason)
    };
    // RFC 6891 §6.1.3
    assert_eq!(
        asked(OpCode::Query, Some(1), question()),
        (C::BADVERS, Reason::EdnsVersion)
    );
    // RFC 1035 §4.1.1
    for operation in [
        OpCode::Update,
        OpCode::Notify,
        OpCode::Status,
        OpCode::Unknown(3),
    ] {
        assert_eq!(asked(operation, None, None), (C::NotImp, Reason::Operation));
    }
    // RFC 9619
    assert_eq!(
        asked(OpCode::Query, Some(0), None),
        (C::FormErr, Reason::Malformed)
    );
    // RFC 5936 §2.2.1
    assert_eq!(ask("nyud.test.", T::AXFR).reason, Reason::Transfer);
    assert_eq!(ask("nyud.test.", T::IXFR).code, C::Refused);
    assert_eq!(ask("nyud.test.", T::OPT).code, C::FormErr);
    // RFC 4892
    let mut chaos = question().unwrap();
    chaos.qclass = DNSClass::CH;
    assert_eq!(
        asked(OpCode::Query, None, Some(chaos)),
        (C::Refused, Reason::Class)
    );
}

#[test]
fn rfc4343_case_does_not_matter_and_is_echoed() {
    for name in ["wWw.ExAmPlE.com.NyUd.TeSt.", "NS1.nyud.TEST.", "nyud.TEST."] {
        let reply = ask(name, T::A);
        assert_eq!(reply.code, C::NoError);
        assert!(
            reply
                .answers
                .iter()
                .all(|record| record.name.to_ascii() == name),
            "{name}"
        );
    }
}

#[test]
fn ns_comes_with_the_addresses_of_the_servers() {
    let reply = ask("nyud.test.", T::NS);
    assert_eq!(reply.additional.len(), 3);
    assert!(reply.answers.iter().all(|record| record.ttl == 3_600));
}

#[test]
fn the_draw_is_fair_and_its_order_too() {
    let mut server = server();
    let (mut named, mut first) = ([0_u32; 5], [0_u32; 5]);
    for _ in 0..5_000 {
        let reply = server.handle_inquiry(Moment::ZERO, &inquiry("x.example.com.nyud.test.", T::A));
        for (place, record) in reply.answers.iter().enumerate() {
            let RData::A(ip) = record.data else {
                panic!("an address")
            };
            let index = usize::from(ip.0.octets()[3]) - 1;
            named[index] += 1;
            first[index] += u32::from(place == 0);
        }
    }
    // Four of five in each answer: 4,000 times each, and 1,000 times first.
    assert!(
        named.iter().all(|n| (3_850..4_150).contains(n)),
        "{named:?}"
    );
    assert!(first.iter().all(|n| (850..1_150).contains(n)), "{first:?}");
}

#[test]
fn a_family_that_no_proxy_has_is_no_data() {
    let mut server = server();
    server.publish(snapshot(
        AnswerConfig::default(),
        live(&["192.0.2.1"], None),
    ));
    let reply = server.handle_inquiry(Moment::ZERO, &inquiry("x.example.com.nyud.test.", T::AAAA));
    assert_eq!((reply.code, reply.reason), (C::NoError, Reason::NoData));
    negative(&reply);
}

#[test]
fn nobody_alive_goes_through_the_resorts_in_order() {
    let lost = Moment::from_millis(1_000);
    let anchors: Vec<IpAddr> = vec!["198.51.100.1".parse().unwrap()];
    let all = vec![Resort::LastVerified, Resort::Anchors];
    let rows = [
        (all.clone(), anchors.clone(), 0, Reason::LastVerified),
        (all.clone(), anchors.clone(), 30, Reason::LastVerified),
        (all.clone(), anchors.clone(), 31, Reason::Anchors),
        (all, Vec::new(), 31, Reason::NobodyAlive),
        (vec![Resort::Anchors], anchors, 0, Reason::Anchors),
        (Vec::new(), Vec::new(), 0, Reason::NobodyAlive),
    ];
    for (when_empty, anchors, seconds, expected) in rows {
        let config = AnswerConfig {
            when_empty,
            anchors: LiveSet::new(anchors, None),
            ..AnswerConfig::default()
        };
        let lately = snapshot(config, live(&["192.0.2.1"], Some(lost)));
        let mut server = Server::new(lately, manners(), Generator::from_seed(1));
        let now = lost + Duration::from_secs(seconds);
        let reply = server.handle_inquiry(now, &inquiry("x.example.com.nyud.test.", T::A));
        assert_eq!(reply.reason, expected, "after {seconds} s");
        let failed = expected == Reason::NobodyAlive;
        assert_eq!(reply.code == C::ServFail, failed);
        let extended = failed.then_some(ExtendedError::NoReachableAuthority);
        assert_eq!(reply.extended_error, extended);
    }
    // The zone's own data needs nobody.
    let nobody = snapshot(AnswerConfig::default(), LiveSet::default());
    let mut server = Server::new(nobody, manners(), Generator::from_seed(1));
    let reply = server.handle_inquiry(Moment::ZERO, &inquiry("nyud.test.", T::SOA));
    assert_eq!(reply.code, C::NoError);
}

proptest! {
    #[test]
    fn no_question_panics_and_every_reply_is_sound(
        labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 0..8),
        under in any::<bool>(),
        qtype in any::<u16>(),
        qclass in any::<u16>(),
        operation in 0_u8..16,
        version in proptest::option::of(any::<u8>()),
    ) {
        let mut name = Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap();
        if under {
            name = name.append_name(&Name::from_ascii("nyud.test.").unwrap()).unwrap();
        }
        let question = Question { name, qtype: qtype.into(), qclass: qclass.into() };
        let inquiry = inquire(OpCode::from_u8(operation), version, Some(question));
        let reply = server().handle_inquiry(Moment::ZERO, &inquiry);
        prop_assert!(reply.reason != Reason::Unsound && reply.answers.len() <= 4);
    }

    #[test]
    fn likely_names_never_contradict_their_parents(
        labels in proptest::collection::vec("[a-c0-9]{1,3}|com|test|local|080|65536|xn--a|a-b|-", 1..6),
        qtype in prop_oneof![Just(T::A), Just(T::TXT), Just(T::ANY)],
    ) {
        // RFC 8020: below a name that does not exist nothing does.
        let mut missing = false;
        for start in (0..labels.len()).rev() {
            let name = format!("{}.nyud.test.", labels[start..].join("."));
            let code = ask(&name, qtype).code;
            prop_assert!(!missing || code == C::NXDomain, "{name} lies below a missing name");
            missing = code == C::NXDomain;
        }
    }
}

fn check(rows: &[Row]) {
    for (name, qtype, code, reason, answers) in rows {
        let reply = ask(name, *qtype);
        let got = (reply.code, reply.reason, reply.answers.len());
        assert_eq!(got, (*code, *reason, *answers), "{name} {qtype}");
        assert!(reply.authoritative);
    }
}

/// RFC 2308 §3: the SOA, with the TTL of negative answers.
fn negative(reply: &Reply) {
    let [soa] = reply.authority.as_slice() else {
        panic!("one SOA in {reply:?}");
    };
    assert_eq!((soa.record_type(), soa.ttl), (T::SOA, 30));
    assert!(reply.authoritative && reply.answers.is_empty());
}

fn ask(name: &str, qtype: RecordType) -> Reply {
    server().handle_inquiry(Moment::ZERO, &inquiry(name, qtype))
}

fn inquiry(name: &str, qtype: RecordType) -> Inquiry {
    inquire(OpCode::Query, None, Some(question(name, qtype)))
}

fn inquire(operation: OpCode, version: Option<u8>, question: Option<Question>) -> Inquiry {
    let edns = |version| Edns {
        version,
        payload: 1_232,
        dnssec_ok: false,
        compact_ok: false,
        client_subnet: None,
        cookie: None,
        nsid_asked: false,
    };
    Inquiry {
        operation,
        from: "198.51.100.7".parse().unwrap(),
        transport: Transport::Udp,
        edns: version.map(edns),
        room: 16,
        question,
    }
}

fn question(name: &str, qtype: RecordType) -> Question {
    let labels = name.split('.').filter(|label| !label.is_empty());
    Question {
        name: Name::from_labels(labels.map(str::as_bytes)).unwrap(),
        qtype,
        qclass: DNSClass::IN,
    }
}

fn server() -> Server {
    let snapshot = snapshot(AnswerConfig::default(), live(&PROXIES, None));
    Server::new(snapshot, manners(), Generator::from_seed(1))
}

fn manners() -> Arc<MannersConfig> {
    Arc::new(MannersConfig::default())
}

fn snapshot(config: AnswerConfig, live: LiveSet) -> Arc<Snapshot> {
    Arc::new(Snapshot::new(zone(), config).with_live(live))
}

fn live(addresses: &[&str], lost: Option<Moment>) -> LiveSet {
    LiveSet::new(addresses.iter().map(|text| text.parse().unwrap()), lost)
}

fn zone() -> Zones {
    Zones::new(vec![ZoneData::new(&zone_config()).unwrap()]).unwrap()
}

fn zone_config() -> ZoneConfig {
    ZoneConfig {
        zone: Zone::parse("nyud.test").unwrap(),
        servers: vec![
            ns("ns1.nyud.test", &["192.0.2.53"]),
            ns("ns2.nyud.test", &["192.0.2.54", "2001:db8::53"]),
        ],
        hostmaster: "first.last@nyud.test".to_owned(),
        serial: 1,
        services: vec!["www".to_owned()],
        records: Vec::new(),
        signing: None,
        negative_ttl: 30,
    }
}

fn ns(name: &str, addresses: &[&str]) -> NameServer {
    NameServer {
        name: name.to_owned(),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
    }
}
