//! What is refused, and why, in the order in which a reader looks.

use std::collections::{BTreeMap, BTreeSet};

use common::rng::Generator;
use proptest::prelude::*;

use super::intent::{DAEMONS_MAX, Intent, News, RELEASES_MAX, Wanted, judge};
use super::key::{KeyError, PublicKey, SigningKey};
use super::refusal::RefusalReason;
use super::release::{Binary, Manifest};
use super::report::{Counted, Doing, Leaving, Observed, Report, STRAGGLERS_MAX};
use super::words::{DaemonName, Digest, Program, RunState, Version};
use super::{Body as _, DOCUMENT_MAX, Signed, canonical};

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&mut Generator::from_seed(seed))
}

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn wanted(release: &str, state: RunState) -> Wanted {
    Wanted {
        program: Program::Proxy,
        release: version(release),
        state,
        settings: BTreeMap::from([("zone".to_owned(), "nyud.test".to_owned())]),
    }
}

fn intent(serial: u64, release: &str) -> Intent {
    Intent {
        node: key(9).public(),
        serial,
        releases: BTreeMap::from([(version(release), Digest::of(release.as_bytes()))]),
        daemons: BTreeMap::from([(
            DaemonName::parse("proxy").unwrap(),
            wanted(release, RunState::Run),
        )]),
        downgrade: false,
    }
}

/// A document of these words, signed with a good signature.
fn sealed(json: &str) -> String {
    let key = key(1);
    let head = super::head(super::Kind::Intent, &key.public());
    let signature = key.sign(super::covered(&head, json).as_bytes());
    format!(
        "{head} {}\n{json}\n",
        data_encoding::HEXLOWER.encode(&signature)
    )
}

fn read(text: &str) -> Result<Signed<Intent>, RefusalReason> {
    Signed::read(text.as_bytes(), &[key(1).public()])
}

fn refusal(text: &str) -> RefusalReason {
    read(text).unwrap_err()
}

fn report(name: &str, agent: &str, held: Option<&str>) -> Report {
    Report {
        node: key(9).public(),
        boot: 1,
        count: 1,
        name: name.to_owned(),
        agent: agent.to_owned(),
        accepted: None,
        in_force: None,
        held: held.map(str::to_owned),
        fallen: None,
        refused: None,
        settled: None,
        daemons: BTreeMap::new(),
        slots: BTreeSet::new(),
        counted: Counted::default(),
        injected: BTreeMap::new(),
        wait_ms: 0,
    }
}

#[test]
fn a_report_names_no_more_stragglers_than_it_may_and_in_plain_words() {
    let with = |left: Option<&str>, named: usize| {
        let leaving = Leaving {
            left: left.map(str::to_owned),
            straggler_count: 1_000,
            stragglers: vec!["192.0.2.1:81".parse().unwrap(); named],
            ..Leaving::default()
        };
        let index = Observed {
            program: Program::Dht,
            release: Version::parse("1.2.3").unwrap(),
            doing: Doing::Up,
            for_ms: 1,
            crashes: 0,
            ready: Some(true),
            leaving: Some(leaving),
        };
        let name = DaemonName::parse("index").unwrap();
        let daemons = BTreeMap::from([(name, index)]);
        let whole = Report {
            daemons,
            ..report("reef1", "1.0.0", None)
        };
        let sealed = Signed::seal(whole.clone(), &key(9));
        let read = Signed::<Report>::read(sealed.text().as_bytes(), &[key(9).public()]);
        assert!(read.is_err() || read.unwrap().body == whole);
        whole.check()
    };
    assert_eq!(with(Some("quiet"), STRAGGLERS_MAX), Ok(()));
    assert_eq!(
        with(None, STRAGGLERS_MAX + 1),
        Err(RefusalReason::OutOfBounds)
    );
    assert_eq!(with(Some("\u{1b}c"), 0), Err(RefusalReason::OutOfBounds));
}

#[test]
fn a_report_has_no_words_that_do_more_than_being_read() {
    let check = |name: &str, agent: &str, held: Option<&str>| report(name, agent, held).check();
    assert_eq!(
        check("reef_1.eu-2", "1.0.0", Some("new disk; später")),
        Ok(())
    );
    let long = "a".repeat(65);
    for name in ["", "$(reboot)", "a b", "a;b", "a\u{1b}[2J", "später", &long] {
        let refused = check(name, "1.0.0", None);
        assert_eq!(refused, Err(RefusalReason::OutOfBounds), "{name:?}");
    }
    for text in ["\0", "\u{1b}]0;title\u{7}", "two\nlines", "\u{9b}2J"] {
        let refused = Err(RefusalReason::OutOfBounds);
        assert_eq!(check("reef1", text, None), refused, "{text:?}");
        assert_eq!(check("reef1", "1.0.0", Some(text)), refused, "{text:?}");
    }
}

#[test]
fn what_was_signed_is_read_back() {
    let signed = Signed::seal(intent(3, "1.2.3"), &key(1));
    assert_eq!(read(signed.text()).unwrap(), signed);
    assert_eq!(signed.signer, key(1).public());
}

#[test]
fn the_form_is_the_golden_one() {
    let signed = Signed::seal(intent(3, "1.2.3"), &key(1));
    assert_eq!(signed.text(), include_str!("golden.txt"));
}

#[test]
fn each_fault_has_its_reason() {
    let good = Signed::seal(intent(3, "1.2.3"), &key(1)).text().to_owned();
    let (first, json) = good.trim_end().split_once('\n').unwrap();
    let unsigned = first.rsplit_once(' ').unwrap().0;
    let changed = good.replace("\"serial\":3", "\"serial\":4");
    let stranger = Signed::seal(intent(3, "1.2.3"), &key(2));
    let schema = |n: &str| sealed(&json.replace("\"schema\":1", &format!("\"schema\":{n}")));
    let with = |field: &str| sealed(&json.replacen('{', &format!("{{{field},"), 1));
    for (text, reason) in [
        (
            good.replacen(" intent", "  intent", 1),
            RefusalReason::WrongKind,
        ),
        (good.replace("intent", "report"), RefusalReason::WrongKind),
        (
            good.replace("atoll-signed 1", "atoll-signed 2"),
            RefusalReason::UnknownFormat,
        ),
        ("hello".to_owned(), RefusalReason::Malformed),
        (String::new(), RefusalReason::Malformed),
        (json.to_owned(), RefusalReason::Unsigned),
        (format!("{unsigned}\n{json}\n"), RefusalReason::Unsigned),
        (stranger.text().to_owned(), RefusalReason::Stranger),
        (changed, RefusalReason::BadSignature),
        (good.trim_end().to_owned(), RefusalReason::Malformed),
        (sealed("{}"), RefusalReason::UnknownSchema),
        (sealed("[1,"), RefusalReason::Malformed),
        (
            sealed(&json.replace(':', ": ")),
            RefusalReason::NotCanonical,
        ),
        // Two readers could take different ones of two fields with one name.
        (with("\"serial\":9"), RefusalReason::NotCanonical),
        (schema("2"), RefusalReason::UnknownSchema),
        (schema("\"1\""), RefusalReason::UnknownSchema),
        (
            with("\"critical\":[\"quorum\"]"),
            RefusalReason::UnknownCritical,
        ),
        (with("\"critical\":7"), RefusalReason::Malformed),
        (
            sealed(&json.replace("atoll-proxy", "atoll-miner")),
            RefusalReason::Malformed,
        ),
        (
            sealed(&json.replace("\"zone\"", "\"--zone\"")),
            RefusalReason::OutOfBounds,
        ),
        ("x".repeat(DOCUMENT_MAX + 1), RefusalReason::TooLarge),
    ] {
        assert_eq!(refusal(&text), reason, "{text:.200}");
    }
}

#[test]
fn fields_that_nobody_knows_are_passed_over_unless_they_are_critical() {
    let good = Signed::seal(intent(3, "1.2.3"), &key(1)).text().to_owned();
    let json = good.lines().nth(1).unwrap();
    let optional =
        sealed(&json.replacen('{', "{\"aside\":{\"b\":1},\"critical\":[\"serial\"],", 1));
    assert_eq!(read(&optional).unwrap().body, intent(3, "1.2.3"));
}

#[test]
fn a_document_of_one_kind_is_none_of_another() {
    let program = Binary {
        blake3: Digest::of(b"x"),
        length: 1,
    };
    let manifest = Manifest {
        version: version("1.2.3"),
        generation: 2,
        binaries: BTreeMap::from([(Program::Dht, program)]),
        settings: BTreeMap::new(),
    };
    let signed = Signed::seal(manifest, &key(1));
    assert_eq!(refusal(signed.text()), RefusalReason::WrongKind);
    let relabelled = signed.text().replacen("release", "intent", 1);
    assert_eq!(refusal(&relabelled), RefusalReason::BadSignature);
}

#[test]
fn more_than_the_bounds_is_refused() {
    let mut many = intent(1, "1.0.0");
    for n in 0..=RELEASES_MAX {
        many.releases
            .insert(version(&format!("1.0.{n}")), Digest::of(b""));
    }
    assert_eq!(many.check(), Err(RefusalReason::OutOfBounds));
    let mut many = intent(1, "1.0.0");
    for n in 0..=DAEMONS_MAX {
        let name = DaemonName::parse(&format!("proxy{n}")).unwrap();
        many.daemons.insert(name, wanted("1.0.0", RunState::Run));
    }
    assert_eq!(many.check(), Err(RefusalReason::OutOfBounds));
    let nothing = Manifest {
        version: version("1.0.0"),
        generation: 2,
        binaries: BTreeMap::new(),
        settings: BTreeMap::new(),
    };
    assert_eq!(nothing.check(), Err(RefusalReason::OutOfBounds));
}

#[test]
fn a_node_follows_what_is_newer_and_meant() {
    let node = key(9).public();
    let last = Signed::seal(intent(7, "1.2.3"), &key(1));
    let verdict = |change: &dyn Fn(&mut Intent), serial: u64| {
        let mut next = intent(serial, "1.2.3");
        change(&mut next);
        judge(&Signed::seal(next, &key(1)), &node, Some(&last))
    };
    let refused = |change: &dyn Fn(&mut Intent), serial| verdict(change, serial).unwrap_err();
    assert_eq!(verdict(&|_| {}, 7), Ok(News::Known));
    assert_eq!(verdict(&|_| {}, 8), Ok(News::New));
    assert_eq!(refused(&|_| {}, 6), RefusalReason::OlderSerial);
    assert_eq!(
        refused(&|next| next.downgrade = true, 7),
        RefusalReason::ConflictingSerial
    );
    let stranger = |next: &mut Intent| next.node = key(8).public();
    assert_eq!(refused(&stranger, 8), RefusalReason::NotForThisNode);
    assert_eq!(
        refused(&|next| next.releases.clear(), 8),
        RefusalReason::NoReleases
    );
    assert_eq!(
        refused(&|next| next.daemons.clear(), 8),
        RefusalReason::StopsEverything
    );
    let stop = |next: &mut Intent| {
        next.daemons
            .values_mut()
            .for_each(|one| one.state = RunState::Stop)
    };
    assert_eq!(refused(&stop, 8), RefusalReason::StopsEverything);
    let unlisted = |next: &mut Intent| {
        next.daemons
            .values_mut()
            .for_each(|one| one.release = version("1.3.0"));
    };
    assert_eq!(refused(&unlisted, 8), RefusalReason::UnlistedRelease);
    let older = |next: &mut Intent| *next = intent(8, "1.2.2");
    assert_eq!(refused(&older, 8), RefusalReason::Downgrade);
    let meant = |next: &mut Intent| {
        *next = Intent {
            downgrade: true,
            ..intent(8, "1.2.2")
        }
    };
    assert_eq!(verdict(&meant, 8), Ok(News::New));
}

#[test]
fn a_node_that_runs_nothing_may_be_told_to_go_on_so() {
    let node = key(9).public();
    let idle = Intent {
        daemons: BTreeMap::new(),
        ..intent(1, "1.0.0")
    };
    assert_eq!(
        judge(&Signed::seal(idle, &key(1)), &node, None),
        Ok(News::New)
    );
}

#[test]
fn versions_are_ordered_and_name_no_path() {
    let sorted = [
        "0.9.9",
        "1.0.0-rc.1",
        "1.0.0-rc.2",
        "1.0.0",
        "1.0.10",
        "1.10.0",
    ];
    let read: Vec<Version> = sorted.into_iter().map(version).collect();
    assert!(read.is_sorted());
    assert_eq!(
        read.iter().map(ToString::to_string).collect::<Vec<_>>(),
        sorted
    );
    for wrong in [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "01.2.3",
        "1.2.x",
        "1.2.3-",
        "1.2.3-../x",
        "+1.2.3",
    ] {
        assert!(Version::parse(wrong).is_err(), "{wrong}");
    }
    for wrong in ["", "-a", "9", "a/b", "A", &"a".repeat(33)] {
        assert!(DaemonName::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn private_keys_are_read_back_and_nothing_else_is_one() {
    let key = key(5);
    let read = SigningKey::parse(&key.to_text()).unwrap();
    assert_eq!(read.public(), key.public());
    let parsed = |text: &str| SigningKey::parse(text).err();
    assert_eq!(parsed("atoll-secret-1 00"), Some(KeyError::Tag));
    assert_eq!(parsed("atoll-key-1 00"), Some(KeyError::Digits));
    let public = key.public().to_string();
    assert_eq!(PublicKey::parse(&public), Ok(key.public()));
    assert_eq!(PublicKey::parse(&public[1..]), Err(KeyError::Public));
    assert_eq!(
        PublicKey::parse(&public.to_uppercase()),
        Err(KeyError::Public)
    );
}

#[test]
fn each_reason_has_a_word_and_serde_writes_the_same() {
    for reason in RefusalReason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        assert!(!reason.advice().is_empty());
    }
}

proptest! {
    /// One bit of a document changed anywhere: it is refused.
    #[test]
    fn a_changed_document_is_refused(at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut bytes = Signed::seal(intent(3, "1.2.3"), &key(1)).text().as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Signed::<Intent>::read(&bytes, &[key(1).public()]).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Signed::<Intent>::read(&bytes, &[key(1).public()]).is_err());
        let text = String::from_utf8_lossy(&bytes);
        drop(canonical::read::<Intent>(&text, 1, Intent::FIELDS));
        drop(read(&sealed(&text)));
    }
}
