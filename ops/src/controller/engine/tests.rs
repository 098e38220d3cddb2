//! What a desk says to operators and nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::clock::Moment;
use common::rng::Generator;

use super::reason::DeskReason;
use super::{Desired, Desk, EventKind, Row, STRANGERS_MAX};
use crate::engine::document::intent::{SERIAL_MAX, Wanted};
use crate::engine::document::key::{PublicKey, SigningKey};
use crate::engine::document::refusal::RefusalReason;
use crate::engine::document::release::{Binary, Manifest};
use crate::engine::document::report::{Counted, Doing, Fallen, Observed, Report};
use crate::engine::document::words::{DaemonName, Digest, Program, RunState, Version};
use crate::engine::document::{Body as _, Signed};

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&mut Generator::from_seed(seed))
}

fn at(seconds: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(seconds)
}

fn release(version: &str) -> Signed<Manifest> {
    let program = Binary {
        blake3: Digest::of(version.as_bytes()),
        length: 1,
    };
    let manifest = Manifest {
        version: Version::parse(version).unwrap(),
        generation: 2,
        binaries: BTreeMap::from([(Program::Proxy, program)]),
        settings: BTreeMap::new(),
    };
    Signed::seal(manifest, &key(2))
}

fn desired(version: &str) -> Desired {
    let wanted = Wanted {
        program: Program::Proxy,
        release: Version::parse(version).unwrap(),
        state: RunState::Run,
        settings: BTreeMap::new(),
    };
    Desired {
        daemons: BTreeMap::from([(DaemonName::parse("proxy").unwrap(), wanted)]),
        downgrade: false,
    }
}

fn report(count: u64) -> Report {
    Report {
        node: key(9).public(),
        boot: 1,
        count,
        name: "reef1".to_owned(),
        agent: "0.1.0".to_owned(),
        accepted: None,
        in_force: None,
        held: None,
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

fn signed(report: Report) -> Signed<Report> {
    Signed::seal(report, &key(9))
}

fn apply(desk: &mut Desk, rows: Vec<Row>) {
    rows.into_iter().for_each(|row| desk.apply(row));
}

/// A desk with one node and two releases.
fn desk() -> (Desk, PublicKey) {
    let mut desk = Desk::default();
    for version in ["1.0.0", "1.1.0"] {
        let rows = desk.publish(release(version)).unwrap();
        apply(&mut desk, rows);
    }
    let node = key(9).public();
    let rows = desk.enrol(node, "reef1", "eu").unwrap();
    apply(&mut desk, rows);
    (desk, node)
}

fn kinds(rows: &[Row]) -> Vec<EventKind> {
    let kind = |row: &Row| match row {
        Row::Event(event) => Some(event.kind),
        _ => None,
    };
    rows.iter().filter_map(kind).collect()
}

#[test]
fn a_node_is_told_its_order_until_it_accepted_it() {
    let (mut desk, node) = desk();
    desk.report(&signed(report(1)), at(1)).unwrap();
    assert_eq!(desk.news(&report(1)), None, "nothing was ordered yet");
    let rows = desk.order(&node, &desired("1.0.0"), &key(1)).unwrap();
    assert_eq!(kinds(&rows), [EventKind::Ordered]);
    apply(&mut desk, rows);
    assert_eq!(desk.news(&report(1)).unwrap().body.serial, 1);
    let accepted = Report {
        accepted: Some(1),
        in_force: Some(1),
        ..report(2)
    };
    assert_eq!(desk.news(&accepted), None);
    let rows = desk.report(&signed(accepted), at(2)).unwrap();
    assert_eq!(kinds(&rows), [EventKind::InForce]);
}

#[test]
fn a_desk_made_of_its_rows_is_the_same() {
    let (mut one, node) = desk();
    let rows = one.order(&node, &desired("1.0.0"), &key(1)).unwrap();
    apply(&mut one, rows);
    let mut two = Desk::default();
    for node in one.nodes().values() {
        two.apply(Row::Node(node.row.clone()));
    }
    for release in one.releases().values() {
        two.apply(Row::Release(Box::new(release.clone())));
    }
    assert_eq!(
        two.order(&node, &desired("1.1.0"), &key(1)),
        one.order(&node, &desired("1.1.0"), &key(1))
    );
}

#[test]
fn an_empty_database_orders_nothing_and_then_more_than_the_node_accepted() {
    let (mut desk, node) = desk();
    let ahead = Report {
        accepted: Some(41),
        in_force: Some(41),
        ..report(1)
    };
    let rows = desk.report(&signed(ahead.clone()), at(1)).unwrap();
    assert_eq!(kinds(&rows), [EventKind::InForce, EventKind::Ahead]);
    assert_eq!(desk.news(&ahead), None);
    let rows = desk.order(&node, &desired("1.0.0"), &key(1)).unwrap();
    apply(&mut desk, rows);
    assert_eq!(desk.news(&ahead).unwrap().body.serial, 42);
}

#[test]
fn there_is_an_end_of_serials_and_nothing_begins_anew_there() {
    let (mut desk, node) = desk();
    let last = |accepted| Report {
        accepted: Some(accepted),
        ..report(1)
    };
    assert_eq!(last(u64::MAX).check(), Err(RefusalReason::OutOfBounds));
    assert_eq!(last(SERIAL_MAX).check(), Ok(()));
    desk.report(&signed(last(SERIAL_MAX)), at(1)).unwrap();
    let refused = Err(DeskReason::Refused(RefusalReason::OutOfBounds));
    assert_eq!(desk.order(&node, &desired("1.0.0"), &key(1)), refused);
    desk.report(
        &signed(Report {
            count: 2,
            ..last(SERIAL_MAX - 1)
        }),
        at(2),
    )
    .unwrap();
    assert!(desk.order(&node, &desired("1.0.0"), &key(1)).is_ok());
    desk.report(
        &signed(Report {
            count: 3,
            ..last(u64::MAX)
        }),
        at(3),
    )
    .unwrap();
    assert_eq!(desk.order(&node, &desired("1.0.0"), &key(1)), refused);
}

#[test]
fn what_a_node_would_refuse_is_refused_here() {
    let (mut desk, node) = desk();
    let rows = desk.order(&node, &desired("1.1.0"), &key(1)).unwrap();
    apply(&mut desk, rows);
    let refused = |desired: &Desired| desk.order(&node, desired, &key(1)).unwrap_err();
    let older = desired("1.0.0");
    assert_eq!(
        refused(&older),
        DeskReason::Refused(RefusalReason::Downgrade)
    );
    assert!(
        desk.order(
            &node,
            &Desired {
                downgrade: true,
                ..older
            },
            &key(1)
        )
        .is_ok()
    );
    assert_eq!(refused(&desired("1.2.0")), DeskReason::UnknownRelease);
    let nothing = Desired {
        daemons: BTreeMap::new(),
        downgrade: false,
    };
    assert_eq!(
        refused(&nothing),
        DeskReason::Refused(RefusalReason::NoReleases)
    );
    let mut stop = desired("1.1.0");
    stop.daemons
        .values_mut()
        .for_each(|wanted| wanted.state = RunState::Stop);
    assert_eq!(
        refused(&stop),
        DeskReason::Refused(RefusalReason::StopsEverything)
    );
    let mut index = desired("1.1.0");
    index
        .daemons
        .values_mut()
        .for_each(|wanted| wanted.program = Program::Dht);
    assert_eq!(
        refused(&index),
        DeskReason::Refused(RefusalReason::NoSuchProgram)
    );
    assert_eq!(
        desk.order(&key(8).public(), &desired("1.1.0"), &key(1)),
        Err(DeskReason::UnknownNode)
    );
}

#[test]
fn an_old_report_sent_again_changes_nothing() {
    let (mut desk, _) = desk();
    desk.report(&signed(report(5)), at(1)).unwrap();
    for count in [5, 4] {
        assert_eq!(
            desk.report(&signed(report(count)), at(2)),
            Err(DeskReason::Replayed)
        );
    }
    assert!(
        desk.report(
            &signed(Report {
                boot: 2,
                ..report(1)
            }),
            at(3)
        )
        .is_ok()
    );
    // Of an earlier start of the agent, however far it had counted.
    for count in [2, 6, u64::MAX] {
        let replayed = desk.report(&signed(report(count)), at(4));
        assert_eq!(replayed, Err(DeskReason::Replayed), "{count}");
    }
    // Somebody else's key over this node's name.
    let forged = Signed::seal(report(9), &key(8));
    assert_eq!(desk.report(&forged, at(4)), Err(DeskReason::UnknownNode));
}

#[test]
fn strangers_are_shown_and_bounded() {
    let (mut desk, _) = desk();
    for seed in 100..200_u64 {
        let stranger = key(seed);
        let report = Report {
            node: stranger.public(),
            ..report(1)
        };
        let met = desk.report(&Signed::seal(report, &stranger), at(seed));
        assert_eq!(met, Err(DeskReason::UnknownNode));
        assert!(desk.strangers().contains_key(&stranger.public()));
    }
    assert_eq!(desk.strangers().len(), STRANGERS_MAX);
    assert!(!desk.strangers().contains_key(&key(100).public()));
    let (met, _) = desk.strangers().iter().next().unwrap();
    let met = *met;
    let rows = desk.enrol(met, "reef2", "eu").unwrap();
    apply(&mut desk, rows);
    assert!(!desk.strangers().contains_key(&met));
}

#[test]
fn what_goes_wrong_on_a_node_becomes_an_event_once() {
    let (mut desk, _) = desk();
    let proxy = Observed {
        program: Program::Proxy,
        release: Version::parse("1.0.0").unwrap(),
        doing: Doing::Resting,
        for_ms: 1,
        crashes: 3,
        ready: None,
        leaving: None,
    };
    let name = DaemonName::parse("proxy").unwrap();
    let bad = Report {
        held: Some("why".to_owned()),
        refused: Some(RefusalReason::Stranger),
        fallen: Some(Fallen {
            from: 2,
            daemon: name.clone(),
            release: proxy.release.clone(),
        }),
        daemons: BTreeMap::from([(name, proxy)]),
        ..report(1)
    };
    let rows = desk.report(&signed(bad.clone()), at(1)).unwrap();
    let all = [
        EventKind::FellBack,
        EventKind::Refused,
        EventKind::Held,
        EventKind::Crashed,
    ];
    assert_eq!(kinds(&rows), all);
    let rows = desk
        .report(&signed(Report { count: 2, ..bad }), at(2))
        .unwrap();
    assert_eq!(kinds(&rows), []);
    let rows = desk.report(&signed(report(3)), at(3)).unwrap();
    assert_eq!(kinds(&rows), [EventKind::Resumed]);
}

#[test]
fn names_are_plain_and_each_nodes_own() {
    let (desk, node) = desk();
    let other = key(8).public();
    assert_eq!(desk.enrol(other, "reef1", "eu"), Err(DeskReason::NameTaken));
    assert_eq!(desk.enrol(other, "reef 2", "eu"), Err(DeskReason::Name));
    assert_eq!(desk.enrol(other, "", "eu"), Err(DeskReason::Name));
    assert!(desk.enrol(node, "reef1", "us").is_ok());
    assert_eq!(desk.find("reef1").unwrap().row.key, node);
    assert_eq!(desk.find(&node.to_string()[..8]).unwrap().row.key, node);
    assert_eq!(desk.find("reef9").unwrap_err(), DeskReason::UnknownNode);
    assert_eq!(desk.publish(release("1.0.0")), Ok(Vec::new()));
    let mut other = release("1.0.0").body;
    other.generation = 3;
    assert_eq!(
        desk.publish(Signed::seal(other, &key(2))),
        Err(DeskReason::OtherRelease)
    );
}
