//! What strangers can make this server do to others.

use std::time::Duration;

use dns::engine::config::MannersConfig;
use dns::engine::reason::Silence;
use hickory_proto::rr::RecordType;

use super::lab::{Asking, Lab, SITE, asking, option};

/// Names of every kind, and types of every kind.
fn everything() -> Vec<Asking> {
    let names = [
        "nyud.test",
        "NyUd.TeSt",
        "ns1.nyud.test",
        "www.nyud.test",
        "many.nyud.test",
        "com.nyud.test",
        "x.localhost.nyud.test",
        "a.b.nyud.test",
        SITE,
        "example.org",
        "",
    ];
    let types = [
        1, 2, 5, 6, 15, 16, 28, 33, 43, 46, 48, 65, 99, 251, 252, 255, 257, 65_535,
    ];
    let options: [&[Vec<u8>]; 4] = [
        &[],
        &[option(3, &[])],
        &[option(8, &[0, 1, 24, 0, 203, 0, 113])],
        &[
            option(3, &[]),
            option(10, &[7; 8]),
            option(8, &[0, 1, 0, 0]),
        ],
    ];
    let mut all = Vec::new();
    for name in names {
        for qtype in types {
            all.push(asking(name, qtype.into()));
            for options in options {
                let options: Vec<&[u8]> = options.iter().map(Vec::as_slice).collect();
                all.push(asking(name, qtype.into()).with_options(&options));
                let signed = asking(name, qtype.into());
                all.push(signed.with_opt(65_535, [0, 0, 0x80, 0], &options));
            }
        }
    }
    all
}

/// RFC 5358, BCP 140: whoever sends in another's name gains little.
#[test]
fn no_answer_to_an_unproven_address_is_three_times_its_question() {
    for question in everything() {
        let asked = question.bytes();
        let reply = Lab::new().send(&asked).unwrap();
        assert!(
            reply.len() <= 3 * asked.len() && reply.len() <= 1_232,
            "{} bytes for {}: {asked:?}",
            reply.len(),
            asked.len(),
        );
    }
}

/// Whoever is cut short can ask again.
#[test]
fn what_is_cut_short_is_whole_over_tcp_and_with_a_cookie() {
    for question in everything() {
        let reply = Lab::new().over_tcp().ask(&question);
        assert!(!reply.truncated());
    }
    let mut lab = Lab::new();
    let client = option(10, &[7; 8]);
    let asked = |cookie: &[u8]| asking("many.nyud.test", RecordType::TXT).with_options(&[cookie]);
    let reply = lab.ask(&asked(&client));
    assert!(reply.truncated());
    let cookie = option(10, &reply.option(10).unwrap());
    let reply = lab.ask(&asked(&cookie));
    assert!(!reply.truncated() && reply.message.answers.len() == 20);
}

/// Fewer addresses are still an answer: no TC, no second attempt.
#[test]
fn a_short_question_gets_fewer_addresses_rather_than_none() {
    let reply = Lab::new().ask(&asking("nyud.test", RecordType::AAAA));
    assert!((1..4).contains(&reply.message.answers.len()) && !reply.truncated());
    let reply = Lab::new()
        .over_tcp()
        .ask(&asking("nyud.test", RecordType::AAAA));
    assert_eq!(reply.message.answers.len(), 4);
}

fn limited(per_second: u32) -> Lab {
    Lab::with(MannersConfig {
        replies_per_second: per_second,
        ..MannersConfig::default()
    })
}

/// Beyond the limit every second reply says "by TCP", in no more bytes than were asked with.
#[test]
fn a_flood_from_one_neighbourhood_is_limited_and_every_second_reply_slips() {
    let mut lab = limited(50);
    let question = asking(SITE, RecordType::A).with_options(&[]);
    let (mut whole, mut slipped, mut dropped) = (0, 0, 0);
    for n in 0..250_u8 {
        lab.arrival.from = [198, 51, 100, n].into();
        match lab.send(&question.bytes()) {
            Err(silence) => {
                assert_eq!(silence, Silence::Limited);
                dropped += 1;
            }
            Ok(reply) if reply[2] & 2 != 0 => {
                assert!(reply.len() <= question.bytes().len());
                slipped += 1;
            }
            Ok(_) => whole += 1,
        }
    }
    assert_eq!((whole, slipped, dropped), (50, 100, 100));
    lab.arrival.from = [198, 51, 101, 1].into();
    assert_eq!(lab.ask(&question).message.answers.len(), 4);
    lab.arrival.from = [198, 51, 100, 1].into();
    lab.after(Duration::from_secs(1));
    assert_eq!(lab.ask(&question).message.answers.len(), 4);
}

/// Nonsense is limited as questions are.
#[test]
fn format_errors_count_as_replies() {
    let mut lab = limited(10);
    let cut = &asking(SITE, RecordType::A).bytes()[..20];
    let told = (0..100).filter(|_| lab.send(cut).is_ok()).count();
    assert_eq!(told, 10);
}

/// A connection and a cookie prove the address.
#[test]
fn whoever_proved_its_address_is_not_limited() {
    let mut lab = limited(1).over_tcp();
    assert!((0..100).all(|_| !lab.ask(&asking(SITE, RecordType::A)).truncated()));
    let mut lab = limited(1);
    let client = option(10, &[7; 8]);
    let first = lab.ask(&asking(SITE, RecordType::A).with_options(&[&client]));
    let cookie = option(10, &first.option(10).unwrap());
    let question = asking(SITE, RecordType::A).with_options(&[&cookie]);
    assert!((0..100).all(|_| lab.ask(&question).message.answers.len() == 4));
}

/// One that slipped learns a cookie with it.
#[test]
fn a_reply_that_slips_gives_a_cookie() {
    let mut lab = limited(1);
    let question = asking(SITE, RecordType::A).with_options(&[&option(10, &[7; 8])]);
    lab.ask(&question);
    let slipped = lab.ask(&question);
    assert!(slipped.truncated() && slipped.option(10).unwrap().len() == 24);
}
