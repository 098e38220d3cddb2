//! Messages as such: headers, names, what is malformed, what is too long.

use dns::engine::reason::Silence;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};

use super::lab::{ID, Lab, SITE, asking, wire};

/// The reply repeats number, operation and RD, has QR and AA, and offers no recursion.
#[test]
fn rfc1035_4_1_1_the_header_is_that_of_an_answer() {
    for (asked, expected) in [([0x01, 0x00], 0x85), ([0x00, 0x00], 0x84)] {
        let mut question = asking(SITE, RecordType::A);
        question.flags = asked;
        let reply = Lab::new().ask(&question);
        assert_eq!(reply.bytes[..2], ID.to_be_bytes());
        assert_eq!(reply.bytes[2], expected);
        assert_eq!(reply.bytes[3], 0, "RA, Z, AD, CD and the code");
    }
}

/// Bits that were Z, or that only answers have, mean nothing in a question.
#[test]
fn rfc1035_4_1_1_bits_without_meaning_are_ignored() {
    let mut question = asking(SITE, RecordType::A);
    question.flags = [0x07, 0xef];
    let reply = Lab::new().ask(&question);
    assert!(reply.is(ResponseCode::NoError) && !reply.truncated());
    assert_eq!(reply.bytes[3], 0);
}

/// CD is repeated.
#[test]
fn rfc4035_3_1_6_checking_disabled_is_copied() {
    let mut question = asking(SITE, RecordType::A);
    question.flags = [1, 0x10];
    assert_eq!(Lab::new().ask(&question).bytes[3], 0x10);
}

/// What says it is a response gets none, whatever else is wrong with it.
#[test]
fn rfc1035_7_3_a_response_is_never_answered() {
    for flags in [[0x80, 0], [0x85, 0x83], [0xff, 0xff]] {
        let mut question = asking(SITE, RecordType::A);
        question.flags = flags;
        assert_eq!(Lab::new().send(&question.bytes()), Err(Silence::Response));
        let cut = &question.bytes()[..20];
        assert_eq!(Lab::new().send(cut), Err(Silence::Response));
    }
}

/// Without a header there is nobody to answer.
#[test]
fn rfc1035_4_1_1_less_than_a_header_gets_silence() {
    let bytes = asking(SITE, RecordType::A).bytes();
    for length in 0..12 {
        assert_eq!(Lab::new().send(&bytes[..length]), Err(Silence::Short));
    }
}

/// A message that breaks off anywhere after its header is a format error.
#[test]
fn rfc1035_4_1_1_what_breaks_off_is_a_format_error() {
    let bytes = asking(SITE, RecordType::A).with_options(&[]).bytes();
    for length in 12..bytes.len() {
        let reply = Lab::new().send(&bytes[..length]).unwrap();
        assert_eq!(reply, malformed(), "cut at {length}");
    }
}

/// A FORMERR of a header alone.
fn malformed() -> Vec<u8> {
    [0x12, 0x34, 0x81, 1].into_iter().chain([0; 8]).collect()
}

/// Nothing follows the last record.
#[test]
fn rfc1035_4_1_bytes_after_the_message_are_a_format_error() {
    let mut bytes = asking(SITE, RecordType::A).bytes();
    bytes.push(0);
    assert_eq!(Lab::new().send(&bytes).unwrap(), malformed());
}

/// One question, no more and no less.
#[test]
fn rfc9619_3_a_query_has_one_question() {
    let mut two = asking(SITE, RecordType::A);
    two.questions.push(two.questions[0].clone());
    let mut none = asking(SITE, RecordType::A);
    none.questions.clear();
    for question in [two, none] {
        let reply = Lab::new().ask(&question);
        assert!(reply.is(ResponseCode::FormErr) && !reply.authoritative());
    }
}

/// Labels have 63 bytes at most, names 255.
#[test]
fn rfc1035_3_1_names_and_labels_have_a_longest() {
    let mut question = asking(SITE, RecordType::A);
    for kind in [0x40, 0x80] {
        question.questions[0].0[0] = kind;
        assert_eq!(Lab::new().send(&question.bytes()).unwrap(), malformed());
    }
    let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63)].join(".");
    let fits = format!("{long}.{}.nyud.test", "d".repeat(51));
    let question = asking(&fits, RecordType::A);
    assert_eq!(question.questions[0].0.len(), 255);
    assert!(Lab::new().ask(&question).is(ResponseCode::NoError));
    let longer = format!("{long}.{}.nyud.test", "d".repeat(52));
    let bytes = asking(&longer, RecordType::A).bytes();
    assert_eq!(Lab::new().send(&bytes).unwrap(), malformed());
}

/// A pointer in a question could only point into the header, or at itself.
#[test]
fn rfc1035_4_1_4_a_pointer_in_a_question_is_a_format_error() {
    for pointer in [[0xc0, 0x0c], [0xc0, 0x00], [0xff, 0xff]] {
        let mut question = asking(SITE, RecordType::A);
        question.questions[0].0 = pointer.to_vec();
        assert_eq!(Lab::new().send(&question.bytes()).unwrap(), malformed());
    }
}

/// Pointers of other records are not followed, so none leads in a circle.
#[test]
fn rfc1035_4_1_4_pointers_that_lead_in_a_circle_do_no_harm() {
    let mut question = asking(SITE, RecordType::A);
    let at = u8::try_from(question.bytes().len()).unwrap();
    let record = [&[0xc0, at][..], &[0, 1, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    question.additional.push(record);
    assert!(Lab::new().ask(&question).is(ResponseCode::NoError));
}

/// Names in the reply are compressed, and point backwards at what was asked.
#[test]
fn rfc1035_4_1_4_the_owner_of_an_answer_is_a_pointer_to_the_question() {
    let reply = Lab::new().ask(&asking(SITE, RecordType::A));
    let answer = 12 + wire(SITE).len() + 4;
    assert_eq!(reply.bytes[answer..answer + 2], [0xc0, 12]);
    assert_eq!(reply.bytes.len(), answer + 4 * 16);
}

/// Case does not matter, and comes back as it was.
#[test]
fn rfc4343_4_1_case_is_kept() {
    for qtype in [RecordType::A, RecordType::TXT] {
        let name = "wWw.ExAmPlE.cOm.NyUd.TeSt";
        let reply = Lab::new().ask(&asking(name, qtype));
        let from = wire(name);
        assert_eq!(reply.bytes[12..12 + from.len()], from);
        assert!(reply.is(ResponseCode::NoError) && reply.authoritative());
    }
}

/// Without EDNS, 512 bytes over UDP; over TCP whatever it takes.
#[test]
fn rfc1035_4_2_1_datagrams_without_edns_have_512_bytes() {
    let question = asking("many.nyud.test", RecordType::TXT);
    let reply = Lab::new().ask(&question);
    assert!(reply.bytes.len() <= 512 && reply.truncated());
    let reply = Lab::new().over_tcp().ask(&question);
    assert_eq!(reply.message.answers.len(), 20);
    assert!(!reply.truncated() && reply.bytes.len() > 512);
}

/// A record is there whole or not at all, and TC says that some are not.
#[test]
fn rfc2181_9_what_does_not_fit_is_cut_between_records() {
    let mut lab = Lab::with(dns::engine::config::MannersConfig {
        amplification: 0,
        ..Default::default()
    });
    let reply = lab.ask(&asking("many.nyud.test", RecordType::TXT));
    assert!(reply.truncated() && reply.authoritative());
    let there = reply.message.answers.len();
    assert!((10..20).contains(&there), "{there} records");
    for record in &reply.message.answers {
        assert!(matches!(&record.data, RData::TXT(_)));
    }
    assert!(reply.message.authorities.is_empty() && reply.message.additionals.is_empty());
}

/// Only what was asked for is worth a TC: addresses of name servers are left out in silence.
#[test]
fn rfc2181_9_additional_records_are_left_out_without_tc() {
    let reply = Lab::new().ask(&asking("nyud.test", RecordType::NS));
    assert_eq!(reply.message.answers.len(), 2);
    assert!(reply.message.additionals.len() < 4 && !reply.truncated());
    let reply = Lab::new()
        .over_tcp()
        .ask(&asking("nyud.test", RecordType::NS));
    assert_eq!(reply.message.additionals.len(), 4);
}

/// NXDOMAIN and NODATA carry the SOA, with the TTL of negative answers.
#[test]
fn rfc2308_3_negative_answers_carry_the_soa() {
    for (name, qtype, code) in [
        (
            "x.localhost.nyud.test",
            RecordType::A,
            ResponseCode::NXDomain,
        ),
        (SITE, RecordType::TXT, ResponseCode::NoError),
        ("com.nyud.test", RecordType::A, ResponseCode::NoError),
    ] {
        let reply = Lab::new().ask(&asking(name, qtype));
        let [soa] = reply.message.authorities.as_slice() else {
            panic!("one SOA for {name}");
        };
        assert_eq!((soa.record_type(), soa.ttl), (RecordType::SOA, 30));
        assert_eq!(soa.name.to_ascii(), "nyud.test.");
        assert!(reply.is(code) && reply.authoritative(), "{name}");
    }
}
