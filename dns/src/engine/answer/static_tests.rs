//! Static records, aliases, HTTPS and several zones, in answers.

use std::net::IpAddr;
use std::sync::Arc;

use common::name::Zone;
use hickory_proto::op::{OpCode, ResponseCode as C};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType as T};

use super::*;
use crate::engine::config::{NameServer, ZoneConfig};
use crate::engine::inquiry::Transport;
use crate::engine::server::Server;
use crate::engine::zone::ZoneData;

const RECORDS: [&str; 15] = [
    "@ 600 TXT \"v=spf1 -all\"",
    "@ CAA 0 issue \"ca.example\"",
    "@ MX 10 mail",
    "@ MX 20 ns1",
    "@ MX 30 mx.example.net",
    "mail 300 A 192.0.2.5",
    "mail AAAA 2001:db8::5",
    "deep.below.nyud.test TXT x",
    "docs CNAME pages.example.net",
    "near CNAME www-example-com.nyud.test",
    "far CNAME near",
    "void CNAME local",
    "half CNAME mail",
    "_acme-challenge TXT token",
    "www-replaced-net A 192.0.2.9",
];

#[test]
fn static_records_are_answered_and_their_other_types_are_no_data() {
    let rows = [
        ("nyud.test.", T::TXT, C::NoError, Reason::Static, 1),
        ("nyud.test.", T::CAA, C::NoError, Reason::Static, 1),
        ("nyud.test.", T::MX, C::NoError, Reason::Static, 3),
        ("mail.nyud.test.", T::A, C::NoError, Reason::Static, 1),
        ("mail.nyud.test.", T::AAAA, C::NoError, Reason::Static, 1),
        ("mail.nyud.test.", T::TXT, C::NoError, Reason::NoData, 0),
        ("docs.nyud.test.", T::CNAME, C::NoError, Reason::Static, 1),
        // A name of a site keeps its proxies beside a static record, unless that has addresses.
        (
            "_acme-challenge.nyud.test.",
            T::TXT,
            C::NoError,
            Reason::Static,
            1,
        ),
        (
            "_acme-challenge.nyud.test.",
            T::A,
            C::NoError,
            Reason::Live,
            2,
        ),
        (
            "www-replaced-net.nyud.test.",
            T::A,
            C::NoError,
            Reason::Static,
            1,
        ),
        (
            "www-replaced-net.nyud.test.",
            T::AAAA,
            C::NoError,
            Reason::NoData,
            0,
        ),
        // RFC 8020, RFC 4592 §2.2.2: what lies above a record exists.
        (
            "deep.below.nyud.test.",
            T::TXT,
            C::NoError,
            Reason::Static,
            1,
        ),
        (
            "below.nyud.test.",
            T::TXT,
            C::NoError,
            Reason::EmptyNonTerminal,
            0,
        ),
    ];
    for (name, qtype, code, reason, answers) in rows {
        let reply = ask(name, qtype);
        let got = (reply.code, reply.reason, reply.answers.len());
        assert_eq!(got, (code, reason, answers), "{name} {qtype}");
        assert_eq!(reply.authority.len(), usize::from(answers == 0), "{name}");
        assert!(
            reply
                .answers
                .iter()
                .all(|record| record.name.to_ascii() == name)
        );
    }
    assert_eq!(ask("nyud.test.", T::TXT).answers[0].ttl, 600);
}

#[test]
fn a_record_makes_the_names_above_it_exist_even_where_no_site_can_end() {
    let zones = zones(&["x.local.nyud.test TXT x"]);
    let reply = ask_with(&zones, None, "local.nyud.test.", T::A);
    assert_eq!(reply.reason, Reason::EmptyNonTerminal);
    assert_eq!(ask("local.nyud.test.", T::A).code, C::NXDomain);
}

#[test]
fn rfc1034_3_6_2_aliases_are_followed_inside_the_zone() {
    let shape = |name: &str, qtype| {
        let reply = ask(name, qtype);
        let types: Vec<_> = reply.answers.iter().map(Record::record_type).collect();
        (reply.code, reply.reason, types)
    };
    // To a site, over two aliases.
    let (code, reason, types) = shape("far.nyud.test.", T::A);
    assert_eq!((code, reason), (C::NoError, Reason::Live));
    assert_eq!(types, [T::CNAME, T::CNAME, T::A, T::A]);
    // Out of the zone: the rest is somebody else's.
    let (code, reason, types) = shape("docs.nyud.test.", T::A);
    assert_eq!(
        (code, reason, types),
        (C::NoError, Reason::Alias, vec![T::CNAME])
    );
    // RFC 6604 §2.1, RFC 2308 §2.1: the code and the SOA are those of the last name.
    let reply = ask("void.nyud.test.", T::A);
    assert_eq!((reply.code, reply.answers.len()), (C::NXDomain, 1));
    assert_eq!(reply.authority.len(), 1);
    // RFC 2308 §2.2: nothing of that type where it leads.
    let reply = ask("half.nyud.test.", T::TXT);
    assert_eq!((reply.code, reply.answers.len()), (C::NoError, 1));
    assert_eq!(reply.authority.len(), 1);
    // Asked for itself it is not followed.
    assert_eq!(shape("far.nyud.test.", T::CNAME).2, [T::CNAME]);
    assert_eq!(shape("far.nyud.test.", T::ANY).2, [T::CNAME]);
}

#[test]
fn an_alias_to_a_site_fails_whole_when_nobody_is_alive() {
    let snapshot = Snapshot::new(zones(&RECORDS), AnswerConfig::default());
    let mut server = Server::new(Arc::new(snapshot), Arc::default(), Generator::from_seed(1));
    let reply = server.handle_inquiry(Moment::ZERO, &inquiry("near.nyud.test.", T::A));
    assert_eq!((reply.code, reply.answers.len()), (C::ServFail, 0));
}

#[test]
fn rfc1035_3_3_9_mail_hosts_come_with_their_addresses() {
    let reply = ask("nyud.test.", T::MX);
    let additional: Vec<_> = reply.additional.iter().map(ToString::to_string).collect();
    assert_eq!(reply.additional.len(), 3, "{additional:?}");
}

#[test]
fn rfc9460_certified_names_have_https_records_and_dotted_names_do_not() {
    let alpn = Some(vec!["h2".to_owned(), "http/1.1".to_owned()]);
    let zones = zones(&[]);
    for name in ["nyud.test.", "www.nyud.test.", "www-example-com.nyud.test."] {
        let reply = ask_with(&zones, alpn.clone(), name, T::HTTPS);
        assert_eq!(
            (reply.reason, reply.answers.len()),
            (Reason::Live, 1),
            "{name}"
        );
        let text = reply.answers[0].data.to_string();
        assert!(text.starts_with("1 . alpn=h2,http/1.1"), "{text}");
        assert!(text.contains("ipv4hint=192.0.2.") && text.contains("ipv6hint=2001:db8::1"));
        let without = ask_with(&zones, None, name, T::HTTPS);
        assert_eq!(without.reason, Reason::NoData);
    }
    for name in ["www.example.com.nyud.test.", "ns1.nyud.test."] {
        let reply = ask_with(&zones, alpn.clone(), name, T::HTTPS);
        assert_eq!(reply.reason, Reason::NoData, "{name}");
    }
}

#[test]
fn a_server_of_several_zones_answers_for_each_and_for_no_other() {
    let mut second = config(&["only TXT x"]);
    second.zone = Zone::parse("cdn.example").unwrap();
    second.servers[0].name = "ns1.cdn.example".to_owned();
    let both = [config(&["alias CNAME only.cdn.example"]), second];
    let made = both.iter().map(|config| ZoneData::new(config).unwrap());
    let zones = Zones::new(made.collect()).unwrap();
    let rows = [
        ("www.example.com.nyud.test.", T::A, Reason::Live),
        ("www.example.com.cdn.example.", T::A, Reason::Live),
        ("cdn.example.", T::SOA, Reason::ZoneData),
        ("ns1.cdn.example.", T::A, Reason::ZoneData),
        ("only.cdn.example.", T::TXT, Reason::Static),
        ("alias.nyud.test.", T::TXT, Reason::Static),
        ("example.", T::SOA, Reason::OutOfZone),
    ];
    for (name, qtype, reason) in rows {
        assert_eq!(ask_with(&zones, None, name, qtype).reason, reason, "{name}");
    }
    let soa = ask_with(&zones, None, "local.cdn.example.", T::A);
    assert_eq!(soa.authority[0].name.to_ascii(), "cdn.example.");
}

#[test]
fn the_case_of_the_question_is_kept_at_static_records() {
    let reply = ask("MaIl.nyud.TEST.", T::A);
    assert_eq!(reply.answers[0].name.to_ascii(), "MaIl.nyud.TEST.");
    assert!(matches!(reply.answers[0].data, RData::A(_)));
}

fn ask(name: &str, qtype: T) -> Reply {
    ask_with(&zones(&RECORDS), None, name, qtype)
}

fn ask_with(zones: &Zones, https: Option<Vec<String>>, name: &str, qtype: T) -> Reply {
    let config = AnswerConfig {
        https,
        count: 2,
        ..AnswerConfig::default()
    };
    let live: [IpAddr; 3] = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|ip| ip.parse().unwrap());
    let live = LiveSet::new(live, None);
    let snapshot = Snapshot::new(zones.clone(), config).with_live(live);
    let mut server = Server::new(Arc::new(snapshot), Arc::default(), Generator::from_seed(1));
    server.handle_inquiry(Moment::ZERO, &inquiry(name, qtype))
}

fn inquiry(name: &str, qtype: T) -> Inquiry {
    Inquiry {
        operation: OpCode::Query,
        from: "198.51.100.7".parse().unwrap(),
        transport: Transport::Udp,
        edns: None,
        room: 16,
        question: Some(Question {
            name: Name::from_ascii(name).unwrap(),
            qtype,
            qclass: DNSClass::IN,
        }),
    }
}

fn zones(records: &[&str]) -> Zones {
    Zones::new(vec![ZoneData::new(&config(records)).unwrap()]).unwrap()
}

fn config(records: &[&str]) -> ZoneConfig {
    ZoneConfig {
        zone: Zone::parse("nyud.test").unwrap(),
        servers: vec![NameServer {
            name: "ns1.nyud.test".to_owned(),
            addresses: vec!["192.0.2.53".parse().unwrap()],
        }],
        hostmaster: "hostmaster@nyud.test".to_owned(),
        serial: 1,
        services: vec!["www".to_owned()],
        records: records.iter().map(|line| (*line).to_owned()).collect(),
        signing: None,
        negative_ttl: 30,
    }
}
