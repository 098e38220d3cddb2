//! EDNS: RFC 6891, and the options for the server's name and for extended errors.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::lab::{Lab, NSID, SITE, asking, option};

/// OPT comes back where it was sent, and nowhere else.
#[test]
fn rfc6891_6_1_1_opt_answers_opt() {
    let question = asking(SITE, RecordType::A);
    assert!(Lab::new().ask(&question).message.edns.is_none());
    let reply = Lab::new().ask(&question.with_options(&[]));
    let edns = reply.message.edns.as_ref().unwrap();
    assert_eq!((edns.version(), edns.max_payload()), (0, 1_232));
    assert_eq!(reply.option(3), None, "nothing that was not asked for");
}

/// Refusals and errors have it too.
#[test]
fn rfc6891_7_errors_have_opt_as_well() {
    for (name, qtype) in [
        ("example.org", RecordType::A),
        ("nyud.test", RecordType::AXFR),
    ] {
        let reply = Lab::new().ask(&asking(name, qtype).with_options(&[]));
        assert!(reply.message.edns.is_some());
    }
}

/// A later version is told ours, and not answered.
#[test]
fn rfc6891_6_1_3_later_versions_get_badvers() {
    for version in [1, 2, 255] {
        let question = asking(SITE, RecordType::A).with_opt(1_232, [0, version, 0, 0], &[]);
        let reply = Lab::new().ask(&question);
        assert_eq!(reply.code(), 16);
        assert_eq!(reply.message.edns.as_ref().unwrap().version(), 0);
        assert!(reply.message.answers.is_empty());
    }
}

/// Options that mean nothing here are ignored.
#[test]
fn rfc6891_6_1_2_unknown_options_are_ignored() {
    let plain = Lab::new().ask(&asking(SITE, RecordType::A).with_options(&[]));
    for code in [0, 1, 4, 5, 9, 11, 12, 14, 100, 65_001] {
        let unknown = option(code, b"whatever it says");
        let reply = Lab::new().ask(&asking(SITE, RecordType::A).with_options(&[&unknown]));
        assert_eq!(reply.bytes, plain.bytes, "option {code}");
    }
}

/// There is one OPT record, and its owner is the root.
#[test]
fn rfc6891_6_1_1_two_opt_records_are_a_format_error() {
    let two = asking(SITE, RecordType::A)
        .with_options(&[])
        .with_options(&[]);
    assert!(Lab::new().ask(&two).is(ResponseCode::FormErr));
    let mut owned = asking(SITE, RecordType::A).with_options(&[]);
    owned.additional[0].splice(0..1, [0xc0, 12]);
    assert!(Lab::new().ask(&owned).is(ResponseCode::FormErr));
}

/// OPT may stand anywhere in its section.
#[test]
fn rfc6891_6_1_1_opt_is_found_among_other_records() {
    let mut question = asking(SITE, RecordType::A).with_options(&[]);
    let other = vec![0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 66];
    question.additional.insert(0, other.clone());
    question.additional.push(other);
    assert!(Lab::new().ask(&question).message.edns.is_some());
}

/// Options that break off are a format error, told with OPT, so that nobody concludes that this
/// server has no EDNS.
#[test]
fn rfc6891_7_options_that_break_off_are_a_format_error_with_opt() {
    for broken in [
        &[0][..],
        &[0, 3],
        &[0, 3, 0],
        &[0, 3, 0, 1],
        &[255, 1, 0, 9, 7],
    ] {
        let reply = Lab::new().ask(&asking(SITE, RecordType::A).with_options(&[broken]));
        assert!(reply.is(ResponseCode::FormErr), "{broken:?}");
        assert!(reply.message.edns.is_some() && reply.message.answers.is_empty());
    }
}

/// Less than 512 bytes counts as 512; more than 1,232 gets no more.
#[test]
fn rfc6891_6_2_5_the_size_announced_is_kept_within_bounds() {
    let lab = || {
        Lab::with(dns::engine::config::MannersConfig {
            amplification: 0,
            ..Default::default()
        })
    };
    let length = |payload| {
        let question = asking("many.nyud.test", RecordType::TXT).with_opt(payload, [0; 4], &[]);
        let reply = lab().ask(&question);
        (reply.bytes.len(), reply.truncated())
    };
    for payload in [0, 100, 512] {
        let (length, truncated) = length(payload);
        assert!(
            (450..=512).contains(&length) && truncated,
            "{payload}: {length}"
        );
    }
    let (whole, truncated) = length(1_232);
    assert!((513..=1_232).contains(&whole) && !truncated);
    assert_eq!(length(65_535), (whole, false));
}

/// Flags without meaning are ignored and come back clear.
#[test]
fn rfc6891_6_1_4_unknown_flags_are_ignored() {
    let question = asking(SITE, RecordType::A).with_opt(1_232, [0, 0, 0x7f, 0xff], &[]);
    let reply = Lab::new().ask(&question);
    assert!(reply.is(ResponseCode::NoError));
    assert_eq!(reply.message.edns.as_ref().unwrap().flags().z, 0);
}

/// DO comes back.
#[test]
fn rfc3225_3_the_wish_for_signatures_is_repeated() {
    let question = asking(SITE, RecordType::A).with_opt(1_232, [0, 0, 0x80, 0], &[]);
    let reply = Lab::new().ask(&question);
    assert!(reply.message.edns.as_ref().unwrap().flags().dnssec_ok);
}

/// The server says its name when asked, and only then.
#[test]
fn rfc5001_2_3_the_name_of_the_server_is_told_on_request() {
    let asked = option(3, &[]);
    let reply = Lab::new().ask(&asking(SITE, RecordType::A).with_options(&[&asked]));
    assert_eq!(reply.option(3).as_deref(), Some(NSID));
    let mut nameless = Lab::with(dns::engine::config::MannersConfig::default());
    let reply = nameless.ask(&asking(SITE, RecordType::A).with_options(&[&asked]));
    assert_eq!(reply.option(3), None);
}

/// What follows the header's length is not trusted: a count of records that are not there.
#[test]
fn rfc6891_6_1_1_counts_without_records_are_a_format_error() {
    let mut bytes = asking(SITE, RecordType::A).bytes();
    for at in [6, 8, 10] {
        bytes[at] = 0xff;
        let reply = Lab::new().send(&bytes).unwrap();
        assert_eq!((reply[3], reply.len()), (1, 12));
        bytes[at] = 0;
    }
}
