//! Cookies: RFC 7873 and RFC 9018.

use std::net::IpAddr;

use common::clock::WallTime;
use dns::engine::config::MannersConfig;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::lab::{Asking, Lab, SITE, asking, option};

const COOKIE: u16 = 10;
const CLIENT: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

fn with(value: &[u8]) -> Asking {
    asking(SITE, RecordType::A).with_options(&[&option(COOKIE, value)])
}

/// A client cookie is answered with a server cookie, of version 1 and this second.
#[test]
fn rfc7873_5_2_3_a_client_without_a_server_cookie_is_given_one() {
    let told = Lab::new().ask(&with(&CLIENT)).option(COOKIE).unwrap();
    assert_eq!((told.len(), &told[..8]), (24, &CLIENT[..]));
    assert_eq!(told[8..12], [1, 0, 0, 0], "RFC 9018 §4.2");
    assert_eq!(
        told[12..16],
        1_800_000_000_u32.to_be_bytes(),
        "RFC 9018 §4.3"
    );
}

/// No cookie, none given.
#[test]
fn rfc7873_5_2_1_whoever_has_no_cookie_is_given_none() {
    let reply = Lab::new().ask(&asking(SITE, RecordType::A).with_options(&[]));
    assert_eq!(reply.option(COOKIE), None);
}

/// Lengths that no cookie has.
#[test]
fn rfc7873_5_2_2_cookies_of_a_wrong_length_are_a_format_error() {
    for length in [0, 1, 7, 9, 12, 15, 41, 64] {
        let reply = Lab::new().ask(&with(&vec![7; length]));
        assert!(reply.is(ResponseCode::FormErr), "{length} bytes");
    }
    for length in [8, 16, 24, 40] {
        let reply = Lab::new().ask(&with(&vec![7; length]));
        assert!(reply.is(ResponseCode::NoError), "{length} bytes");
    }
}

/// A cookie that is not ours is no reason to refuse: the client is answered as one without, and
/// given a good one.
#[test]
fn rfc7873_5_2_4_a_bad_cookie_is_answered_with_a_good_one() {
    let mut lab = Lab::new();
    let told = lab.ask(&with(&CLIENT)).option(COOKIE).unwrap();
    let mut bad = told.clone();
    bad[20] ^= 1;
    let reply = lab.ask(&with(&bad));
    assert!(reply.is(ResponseCode::NoError) && reply.message.answers.len() == 4);
    assert_eq!(reply.option(COOKIE), Some(told));
}

/// It is bound to the client's address.
#[test]
fn rfc9018_4_4_a_cookie_of_another_address_proves_nothing() {
    let manners = MannersConfig {
        replies_per_second: 1,
        ..MannersConfig::default()
    };
    let mut lab = Lab::with(manners);
    let told = lab.ask(&with(&CLIENT)).option(COOKIE).unwrap();
    assert!(lab.send(&with(&told).bytes()).is_ok());
    lab.arrival.from = IpAddr::from([198, 51, 100, 8]);
    // The limit of the neighbourhood is used up, and this cookie is not its.
    assert!(lab.ask(&with(&told)).truncated());
    lab.arrival.from = IpAddr::from([198, 51, 100, 7]);
    lab.arrival.wall = WallTime::from_unix(1_800_003_600);
    assert_eq!(lab.ask(&with(&told)).message.answers.len(), 4);
    lab.arrival.wall = WallTime::from_unix(1_800_003_601);
    assert!(
        lab.send(&with(&told).bytes()).is_err(),
        "RFC 9018 §4.3: an hour"
    );
}

/// A question for nothing but a cookie.
#[test]
fn rfc7873_5_4_a_client_may_ask_for_a_cookie_alone() {
    let mut alone = with(&CLIENT);
    alone.questions.clear();
    let reply = Lab::new().ask(&alone);
    assert!(reply.is(ResponseCode::NoError) && reply.message.queries.is_empty());
    assert_eq!(reply.option(COOKIE).unwrap().len(), 24);
}

/// Of several cookies the first counts.
#[test]
fn rfc7873_5_2_the_first_of_several_cookies_counts() {
    let (one, two) = (option(COOKIE, &CLIENT), option(COOKIE, &[9; 8]));
    let reply = Lab::new().ask(&asking(SITE, RecordType::A).with_options(&[&one, &two]));
    assert_eq!(reply.option(COOKIE).unwrap()[..8], CLIENT);
}
