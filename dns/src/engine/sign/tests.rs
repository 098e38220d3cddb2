//! Signed answers, checked with the library's own verifier, which shares no code with the signing
//! here. Real validators check them again in the end-to-end tests.

mod world;

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::name::Zone;
use common::rng::Generator;
use hickory_proto::dnssec::crypto::EcdsaSigningKey;
use hickory_proto::dnssec::rdata::DNSKEY;
use hickory_proto::dnssec::{SigningKey as _, TBS, Verifier as _};
use hickory_proto::op::OpCode;
use hickory_proto::rr::{DNSClass, Name, RecordType as T};
use proptest::prelude::*;

use self::world::{World, has, signatures, signer, signing, types, zone_config};
use super::cache::CacheConfig;
use super::denial::NXNAME;
use super::ring::{ParentSignal, RingError, Role, SigningConfig};
use super::signer::Signer;
use super::*;
use crate::engine::config::{AnswerConfig, NameServer, ZoneConfig};
use crate::engine::inquiry::{Edns, Inquiry, Question, Transport};
use crate::engine::live::LiveSet;
use crate::engine::server::Server;
use crate::engine::snapshot::Snapshot;
use crate::engine::zone::{ZoneData, ZoneError};

/// A Saturday in 2026.
const NOON: i64 = 1_795_262_400;
const LIFE: Duration = Duration::from_secs(2 * 86_400);

#[test]
fn rfc4035_3_1_1_every_set_comes_with_a_signature_that_holds() {
    let mut world = World::new(&[Role::Active]);
    for (name, qtype) in [
        ("nyud.test.", T::SOA),
        ("nyud.test.", T::NS),
        ("nyud.test.", T::MX),
        ("nyud.test.", T::DNSKEY),
        ("nyud.test.", T::CDS),
        ("nyud.test.", T::CDNSKEY),
        ("nyud.test.", T::A),
        ("nyud.test.", T::ANY),
        ("nyud.test.", T::RRSIG),
        ("nyud.test.", T::NSEC),
        ("ns1.nyud.test.", T::A),
        ("www.nyud.test.", T::AAAA),
        ("www.example.com.nyud.test.", T::A),
        ("WWW.Example.com.NYUD.test.", T::A),
        ("www-example-com.nyud.test.", T::HTTPS),
        ("mail.nyud.test.", T::A),
        ("far.nyud.test.", T::A),
        ("docs.nyud.test.", T::A),
    ] {
        let reply = world.ask(name, qtype);
        assert!(!reply.answers.is_empty(), "{name} {qtype}");
        let sets = world.verified(&reply);
        assert!(sets >= 1, "{name} {qtype}");
        assert!(!has(&reply.authority, T::NSEC), "{name} {qtype}");
    }
}

#[test]
fn nothing_is_signed_for_those_who_do_not_ask_and_in_zones_without_keys() {
    let mut world = World::new(&[Role::Active]);
    world.dnssec_ok = false;
    for name in ["www.example.com.nyud.test.", "local.nyud.test."] {
        let reply = world.ask(name, T::A);
        assert!(!has(&reply.answers, T::RRSIG) && !has(&reply.authority, T::NSEC));
    }
    let nxdomain = world.ask("local.nyud.test.", T::A);
    assert_eq!(nxdomain.code, ResponseCode::NXDomain);
    let mut world = World::new(&[]);
    let reply = world.ask("local.nyud.test.", T::A);
    assert_eq!(
        (reply.code, reply.authority.len()),
        (ResponseCode::NXDomain, 1)
    );
    assert!(world.ask("nyud.test.", T::DNSKEY).answers.is_empty());
}

#[test]
fn rfc9824_3_1_what_does_not_exist_is_denied_by_nxname() {
    let mut world = World::new(&[Role::Active]);
    for name in [
        "local.nyud.test.",
        "x.local.nyud.test.",
        "*.nyud.test.",
        "caf\u{e9}.nyud.test.",
    ] {
        let reply = world.ask(name, T::A);
        let got = (reply.code, reply.reason, reply.compact);
        assert_eq!(
            got,
            (ResponseCode::NoError, Reason::NoSuchName, false),
            "{name}"
        );
        assert_eq!(types(&reply), [T::RRSIG, T::NSEC, NXNAME], "{name}");
        assert_eq!(world.verified(&reply), 2, "{name}");
    }
    // RFC 9824 §5.1: with the flag CO the code is what it is.
    world.compact_ok = true;
    let reply = world.ask("local.nyud.test.", T::A);
    assert_eq!((reply.code, reply.compact), (ResponseCode::NXDomain, true));
    assert_eq!(types(&reply), [T::RRSIG, T::NSEC, NXNAME]);
    // RFC 9824 §3.5
    assert_eq!(world.ask("nyud.test.", NXNAME).code, ResponseCode::FormErr);
}

#[test]
fn rfc9824_3_2_what_has_other_types_lists_them_and_never_the_one_asked_for() {
    let mut world = World::new(&[Role::Active]);
    let rows: [(&str, T, &[T]); 8] = [
        (
            "www.example.com.nyud.test.",
            T::TXT,
            &[T::A, T::AAAA, T::RRSIG, T::NSEC],
        ),
        (
            "www-example-com.nyud.test.",
            T::TXT,
            &[T::A, T::AAAA, T::RRSIG, T::NSEC, T::HTTPS],
        ),
        (
            "www.example.com.nyud.test.",
            T::HTTPS,
            &[T::A, T::AAAA, T::RRSIG, T::NSEC],
        ),
        ("ns1.nyud.test.", T::AAAA, &[T::A, T::RRSIG, T::NSEC]),
        ("mail.nyud.test.", T::TXT, &[T::A, T::RRSIG, T::NSEC]),
        ("half.nyud.test.", T::TXT, &[T::A, T::RRSIG, T::NSEC]),
        // RFC 9824 §3.3: an empty non-terminal has neither type nor NXNAME.
        ("com.nyud.test.", T::A, &[T::RRSIG, T::NSEC]),
        (
            "nyud.test.",
            T::DS,
            &[
                T::A,
                T::NS,
                T::SOA,
                T::MX,
                T::AAAA,
                T::RRSIG,
                T::NSEC,
                T::DNSKEY,
                T::CDS,
                T::CDNSKEY,
                T::HTTPS,
            ],
        ),
    ];
    for (name, qtype, expected) in rows {
        let reply = world.ask(name, qtype);
        assert_eq!(reply.code, ResponseCode::NoError, "{name} {qtype}");
        assert_eq!(types(&reply), expected, "{name} {qtype}");
        world.verified(&reply);
    }
}

#[test]
fn a_family_that_no_live_proxy_has_is_denied_and_one_that_nobody_knows_is_not() {
    let mut world = World::new(&[Role::Active]);
    world.live(&["192.0.2.1"]);
    let reply = world.ask("www.example.com.nyud.test.", T::AAAA);
    assert_eq!(types(&reply), [T::A, T::RRSIG, T::NSEC]);
    // Nobody is alive: a resolver must not conclude that there are no addresses.
    world.live(&[]);
    let reply = world.ask("www.example.com.nyud.test.", T::TXT);
    assert_eq!(types(&reply), [T::A, T::AAAA, T::RRSIG, T::NSEC]);
    let reply = world.ask("www.example.com.nyud.test.", T::A);
    assert_eq!(reply.code, ResponseCode::ServFail);
}

#[test]
fn the_same_answer_is_signed_once_and_a_name_has_few_answers() {
    let mut world = World::new(&[Role::Active]);
    let ips: Vec<String> = (1..100).map(|n| format!("192.0.2.{n}")).collect();
    let ips: Vec<&str> = ips.iter().map(String::as_str).collect();
    world.live(&ips);
    for _ in 0..1_000 {
        world.ask("www.example.com.nyud.test.", T::A);
        world.ask("WWW.example.com.nyud.test.", T::A);
    }
    let made = world.server.signatures().stats().made;
    assert!(made <= u64::try_from(VARIANTS).unwrap(), "{made}");
}

#[test]
fn a_signature_holds_from_a_day_before_and_is_made_anew_at_half_its_life() {
    let mut world = World::new(&[Role::Active]);
    let times = |world: &mut World| {
        let reply = world.ask("nyud.test.", T::SOA);
        let input = signatures(&reply.answers)[0].input().clone();
        (input.sig_inception.get(), input.sig_expiration.get())
    };
    let noon = u32::try_from(NOON).unwrap();
    let life = u32::try_from(LIFE.as_secs()).unwrap();
    let first = times(&mut world);
    assert_eq!(first, (noon - 86_400, noon + life));
    world.wall = NOON + 86_400;
    assert_eq!(times(&mut world), first);
    world.wall = NOON + 86_401;
    assert_eq!(times(&mut world).1, noon + 86_401 + life);
    // The clock is set right after having been far ahead.
    world.wall = NOON - 86_400;
    assert_eq!(times(&mut world).1, noon - 86_400 + life);
}

#[test]
fn rfc6781_a_key_roll_has_a_valid_chain_at_every_step() {
    let keys = [signer(1), signer(2)];
    let steps: [&[(Role, usize)]; 5] = [
        &[(Role::Active, 0)],
        &[(Role::Active, 0), (Role::Published, 1)],
        &[(Role::Retired, 0), (Role::Active, 1)],
        &[(Role::Active, 1), (Role::Retired, 0)],
        &[(Role::Active, 1)],
    ];
    let mut before: Option<Reply> = None;
    for step in steps {
        let ring = step.iter().map(|(role, n)| (*role, Arc::clone(&keys[*n])));
        let mut world = World::with(ring.collect());
        let dnskeys = world.ask("nyud.test.", T::DNSKEY);
        // Every key signs the keys, so whichever the parent points at proves them.
        assert_eq!(signatures(&dnskeys.answers).len(), step.len());
        assert_eq!(world.verified(&dnskeys), 1);
        // What was signed one step before still verifies with the keys of this one.
        if let Some(before) = &before {
            assert_eq!(world.verified(before), 1);
        }
        let reply = world.ask("nyud.test.", T::SOA);
        assert_eq!(signatures(&reply.answers).len(), 1);
        before = Some(reply);
        let cds = world.ask("nyud.test.", T::CDS).answers;
        let wanted = step.iter().filter(|(role, _)| *role != Role::Retired);
        assert_eq!(
            cds.iter().filter(|r| r.record_type() == T::CDS).count(),
            wanted.count()
        );
    }
}

#[test]
fn rfc8078_4_the_parent_can_be_told_to_drop_its_records() {
    let mut config = signing(vec![(Role::Active, signer(1))]);
    config.parent = ParentSignal::Delete;
    let mut world = World::signed(Some(config));
    let reply = world.ask("nyud.test.", T::CDS);
    assert_eq!(reply.answers[0].data.to_string(), "0 0 0 00");
    world.verified(&reply);
    let reply = world.ask("nyud.test.", T::CDNSKEY);
    assert!(reply.answers[0].data.to_string().starts_with("0 3 0 "));
}

#[test]
fn rings_that_would_not_do_are_refused() {
    let refused = |roles: &[Role]| {
        let keys = roles.iter().zip(1..).map(|(role, n)| (*role, signer(n)));
        let config = zone_config(Some(signing(keys.collect())));
        ZoneData::new(&config).err()
    };
    let keys = |error| Some(vec![ZoneError::Keys(error)]);
    assert_eq!(refused(&[Role::Published]), keys(RingError::Active(0)));
    assert_eq!(refused(&[Role::Active; 2]), keys(RingError::Active(2)));
    assert_eq!(refused(&[Role::Active; 4]), keys(RingError::Count(4)));
    let twice = vec![(Role::Active, signer(1)), (Role::Retired, signer(1))];
    let refused = ZoneData::new(&zone_config(Some(signing(twice)))).unwrap_err();
    assert!(matches!(
        refused.as_slice(),
        [ZoneError::Keys(RingError::SameTag(_))]
    ));
}

#[test]
fn more_signatures_than_allowed_are_servfail_and_known_ones_go_on() {
    let mut world = World::new(&[Role::Active]);
    let bounds = CacheConfig {
        entries: NonZeroUsize::new(100).unwrap(),
        fresh_per_second: 2,
    };
    world.server = world.server.clone().with_signatures(bounds);
    let known = |world: &mut World| world.ask("nyud.test.", T::SOA).reason;
    assert_eq!(known(&mut world), Reason::ZoneData);
    // A denial needs two: its SOA has another TTL.
    let refused = world.ask("local.nyud.test.", T::A);
    assert_eq!(
        (refused.code, refused.reason),
        (ResponseCode::ServFail, Reason::SigningLimit)
    );
    assert_eq!(known(&mut world), Reason::ZoneData);
    world.moment = Moment::from_millis(1_000);
    assert_eq!(
        world.ask("local.nyud.test.", T::A).reason,
        Reason::NoSuchName
    );
}

proptest! {
    #[test]
    fn whatever_is_asked_every_signature_holds_and_no_denial_contradicts_an_answer(
        labels in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 1..64),
                "[a-c0-9-]{1,5}|com|local|www|mail|far|ns1".prop_map(String::into_bytes),
            ],
            0..6,
        ),
        qtype in prop_oneof![Just(T::A), Just(T::AAAA), Just(T::TXT), any::<u16>().prop_map(T::from)],
        compact_ok in any::<bool>(),
    ) {
        let zone: [&[u8]; 2] = [b"nyud", b"test"];
        let all = labels.iter().map(Vec::as_slice).chain(zone);
        let Ok(name) = Name::from_labels(all) else {
            // Longer than a name can be.
            return Ok(());
        };
        let mut world = World::new(&[Role::Active]);
        world.compact_ok = compact_ok;
        let reply = world.ask_name(name, qtype);
        prop_assert!(reply.reason != Reason::Unsound && reply.reason != Reason::SigningLimit);
        if reply.authoritative {
            world.verified(&reply);
        }
        if has(&reply.authority, T::NSEC) {
            prop_assert!(!types(&reply).contains(&qtype));
        }
    }
}
