//! Client subnets: RFC 7871.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::lab::{Lab, Reply, SITE, asking, option};

const CLIENT_SUBNET: u16 = 8;

fn with(value: &[u8], name: &str) -> Reply {
    let subnet = option(CLIENT_SUBNET, value);
    Lab::new().ask(&asking(name, RecordType::A).with_options(&[&subnet]))
}

/// Family, length and address come back, with the scope of the answer.
#[test]
fn rfc7871_7_2_1_the_subnet_comes_back() {
    for value in [
        &[0, 1, 24, 0, 203, 0, 113][..],
        &[0, 1, 20, 0, 203, 0, 112],
        &[0, 1, 32, 0, 203, 0, 113, 9],
        &[0, 2, 56, 0, 0x20, 1, 0xd, 0xb8, 0, 1, 2],
        &[0, 1, 0, 0],
        &[0, 2, 0, 0],
    ] {
        let told = with(value, SITE).option(CLIENT_SUBNET).unwrap();
        assert_eq!((&told[..3], &told[4..]), (&value[..3], &value[4..]));
    }
}

/// A resolver that declines to say may leave the family out as well.
#[test]
fn rfc7871_7_1_2_a_subnet_of_no_length_and_family_comes_back() {
    let nothing = option(CLIENT_SUBNET, &[0, 0, 0, 0]);
    let question = asking(SITE, RecordType::A).with_options(&[&nothing]);
    let reply = Lab::new().send(&question.bytes()).unwrap();
    assert!(reply.ends_with(&nothing) && reply[7] == 4);
}

/// What would be the same for everybody has scope 0.
#[test]
fn rfc7871_7_2_1_answers_that_depend_on_nobody_have_scope_0() {
    for name in [
        "ns1.nyud.test",
        "x.localhost.nyud.test",
        "com.nyud.test",
        "example.org",
    ] {
        let told = with(&[0, 1, 24, 0, 203, 0, 113], name).option(CLIENT_SUBNET);
        assert_eq!(told.unwrap()[3], 0, "{name}");
    }
}

/// No subnet, none told.
#[test]
fn rfc7871_7_2_1_no_subnet_is_told_to_whoever_sent_none() {
    let reply = Lab::new().ask(&asking(SITE, RecordType::A).with_options(&[]));
    assert_eq!(reply.option(CLIENT_SUBNET), None);
}

/// What is not as the standard says is a format error.
#[test]
fn rfc7871_7_1_1_subnets_that_are_none_are_a_format_error() {
    let wrong: [(&str, &[u8]); 11] = [
        ("empty", &[]),
        ("cut off", &[0, 1, 24]),
        ("a byte too few", &[0, 1, 24, 0, 203, 0]),
        ("a byte too many", &[0, 1, 24, 0, 203, 0, 113, 1]),
        ("bits beyond the prefix", &[0, 1, 20, 0, 203, 0, 113]),
        ("a scope in a question", &[0, 1, 24, 24, 203, 0, 113]),
        ("longer than an address", &[0, 1, 33, 0, 203, 0, 113, 1, 0]),
        ("an unknown family", &[0, 3, 8, 0, 1]),
        ("a prefix of no family", &[0, 0, 8, 0, 1]),
        ("a byte without a prefix", &[0, 1, 0, 0, 0]),
        (
            "129 bits",
            &[
                0, 2, 129, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ],
        ),
    ];
    for (what, value) in wrong {
        let reply = with(value, SITE);
        assert!(reply.is(ResponseCode::FormErr), "{what}");
        assert_eq!(reply.option(CLIENT_SUBNET), None, "{what}");
    }
}
