//! Operations, classes and types that get no data here.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};

use super::lab::{Lab, SITE, asking};

/// Operations other than QUERY are not implemented; number and operation come back.
#[test]
fn rfc1035_4_1_1_other_operations_are_not_implemented() {
    for operation in 1..16_u8 {
        let mut question = asking("nyud.test", RecordType::SOA);
        question.flags = [operation << 3, 0];
        let reply = Lab::new().ask(&question);
        assert!(reply.is(ResponseCode::NotImp), "operation {operation}");
        assert_eq!(reply.bytes[2], 0x80 | operation << 3);
        assert!(reply.message.answers.is_empty());
    }
}

/// NOTIFY is for secondaries.
#[test]
fn rfc1996_3_notify_changes_nothing() {
    let mut question = asking("nyud.test", RecordType::SOA);
    question.flags = [4 << 3 | 4, 0];
    assert!(Lab::new().ask(&question).is(ResponseCode::NotImp));
}

/// UPDATE, with the sections it has.
#[test]
fn rfc2136_2_update_changes_nothing() {
    let mut question = asking("nyud.test", RecordType::SOA);
    question.flags = [5 << 3, 0];
    question
        .authority
        .push(vec![0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 66]);
    assert!(Lab::new().ask(&question).is(ResponseCode::NotImp));
}

/// Nobody transfers the zone, by whatever transport.
#[test]
fn rfc5936_2_2_1_axfr_is_refused() {
    for mut lab in [Lab::new(), Lab::new().over_tcp()] {
        let reply = lab.ask(&asking("nyud.test", RecordType::AXFR));
        assert!(reply.is(ResponseCode::Refused) && reply.message.answers.is_empty());
    }
}

/// Nor what changed in it, which is asked with an SOA in the authority section.
#[test]
fn rfc1995_3_ixfr_is_refused() {
    let mut question = asking("nyud.test", RecordType::IXFR);
    let mut soa = vec![0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 24, 0xc0, 12, 0xc0, 12];
    soa.extend([0; 20]);
    question.authority.push(soa);
    assert!(Lab::new().ask(&question).is(ResponseCode::Refused));
}

/// Neither version nor host name is told.
#[test]
fn rfc4892_3_chaos_is_refused() {
    for name in [
        "version.bind",
        "hostname.bind",
        "id.server",
        "version.server",
    ] {
        let mut question = asking(name, RecordType::TXT).with_options(&[]);
        question.questions[0].2 = 3;
        let reply = Lab::new().ask(&question);
        assert!(reply.is(ResponseCode::Refused) && !reply.authoritative());
        assert_eq!(reply.option(15), Some(vec![0, 21]), "RFC 8914 §4.22");
    }
}

/// Other classes have no data either.
#[test]
fn rfc1035_3_2_4_other_classes_are_refused() {
    for class in [0, 2, 4, 254, 255, 65_535] {
        let mut question = asking("nyud.test", RecordType::A);
        question.questions[0].2 = class;
        assert!(
            Lab::new().ask(&question).is(ResponseCode::Refused),
            "class {class}"
        );
    }
}

/// ANY gets one small record.
#[test]
fn rfc8482_4_2_any_is_a_minimal_answer() {
    for name in [SITE, "nyud.test", "ns1.nyud.test", "many.nyud.test"] {
        let reply = Lab::new().ask(&asking(name, RecordType::ANY));
        let [record] = reply.message.answers.as_slice() else {
            panic!("one record for {name}");
        };
        assert!(matches!(&record.data, RData::HINFO(_)) && !reply.truncated());
    }
}

/// Types that nobody has heard of exist as little as others that are not there.
#[test]
fn rfc3597_5_unknown_types_are_no_data() {
    for qtype in [17, 1_000, 65_280, 65_534] {
        let reply = Lab::new().ask(&asking(SITE, qtype.into()));
        assert!(reply.is(ResponseCode::NoError) && reply.message.answers.is_empty());
        assert_eq!(reply.message.authorities.len(), 1);
    }
}

/// OPT is part of messages, never asked for.
#[test]
fn rfc6891_6_1_1_opt_is_not_asked_for() {
    let reply = Lab::new().ask(&asking("nyud.test", RecordType::OPT));
    assert!(reply.is(ResponseCode::FormErr));
}

/// Names of others are refused, and the reason told to whoever understands it.
#[test]
fn rfc8914_4_21_names_outside_the_zone_are_refused_as_not_ours() {
    let question = asking("www.example.org", RecordType::A);
    let reply = Lab::new().ask(&question);
    assert!(reply.is(ResponseCode::Refused) && !reply.authoritative());
    assert!(reply.message.authorities.is_empty() && reply.message.edns.is_none());
    let reply = Lab::new().ask(&question.with_options(&[]));
    assert_eq!(reply.option(15), Some(vec![0, 20]));
}
