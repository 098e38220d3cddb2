//! Rollouts at a desk: who takes part, what is ordered, and what a restart leaves of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::clock::Moment;
use common::rng::Generator;

use super::*;
use crate::controller::engine::EventKind;
use crate::controller::engine::rollout::StopReason;
use crate::controller::engine::rollout::gate::FailReason;
use crate::engine::document::Signed;
use crate::engine::document::intent::Wanted;
use crate::engine::document::release::Binary;
use crate::engine::document::report::{Counted, Observed, Report};
use crate::engine::document::words::{Digest, Program};

const NODES: u64 = 10;

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&mut Generator::from_seed(seed))
}

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn release(text: &str, generation: u32) -> Signed<Manifest> {
    let program = Binary {
        blake3: Digest::of(text.as_bytes()),
        length: 1,
    };
    let manifest = Manifest {
        version: version(text),
        generation,
        binaries: BTreeMap::from([(Program::Proxy, program)]),
        settings: BTreeMap::new(),
    };
    Signed::seal(manifest, &key(2))
}

/// A controller, its database, and nodes that do what they are told at once.
struct World {
    desk: Desk,
    rows: Vec<Row>,
    now: Moment,
    reports: u64,
    /// Nodes whose daemons of the new release never get ready.
    never_ready: bool,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            desk: Desk::default(),
            rows: Vec::new(),
            now: Moment::from_millis(1_000),
            reports: 0,
            never_ready: false,
        };
        for (text, generation) in [("1.0.0", 2), ("1.1.0", 2), ("2.0.0", 3)] {
            let rows = world.desk.publish(release(text, generation)).unwrap();
            world.write(rows);
        }
        for seed in 0..NODES {
            let node = key(100 + seed).public();
            let rows = world
                .desk
                .enrol(node, &format!("reef{seed}"), "eu")
                .unwrap();
            world.write(rows);
            let wanted = Wanted {
                program: Program::Proxy,
                release: version("1.0.0"),
                state: RunState::Run,
                settings: BTreeMap::new(),
            };
            let desired = Desired {
                daemons: BTreeMap::from([(DaemonName::parse("proxy").unwrap(), wanted)]),
                downgrade: false,
            };
            let rows = world.desk.order(&node, &desired, &key(1)).unwrap();
            world.write(rows);
        }
        world.report_all();
        world
    }

    fn write(&mut self, rows: Vec<Row>) {
        for row in rows {
            self.desk.apply(row.clone());
            self.rows.push(row);
        }
    }

    fn step(&mut self, step: Step) {
        self.write(step.rows);
        self.desk.take(step.active);
    }

    fn report_all(&mut self) {
        self.reports += 1;
        for seed in 0..NODES {
            let node = &self.desk.nodes()[&key(100 + seed).public()];
            let intent = node.row.intent.as_ref().unwrap().body.clone();
            let observed = |(name, wanted): (&DaemonName, &Wanted)| {
                let new = wanted.release == version("1.1.0");
                let observed = Observed {
                    program: wanted.program,
                    release: wanted.release.clone(),
                    doing: Doing::Up,
                    for_ms: 0,
                    crashes: 0,
                    ready: Some(!(new && self.never_ready)),
                    leaving: None,
                };
                (name.clone(), observed)
            };
            let requests = self.reports * 100;
            let report = Report {
                node: node.row.key,
                boot: 1,
                count: self.reports,
                name: node.row.name.clone(),
                agent: "0.1.0".to_owned(),
                accepted: Some(intent.serial),
                in_force: Some(intent.serial),
                held: None,
                fallen: None,
                refused: None,
                settled: None,
                daemons: intent.daemons.iter().map(observed).collect(),
                slots: BTreeSet::new(),
                counted: Counted {
                    requests,
                    ..Counted::default()
                },
                injected: BTreeMap::new(),
                wait_ms: 0,
            };
            let signed = Signed::seal(report, &key(100 + seed));
            let rows = self.desk.report(&signed, self.now).unwrap();
            self.rows.extend(rows);
        }
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds / 5 {
            self.now = self.now + Duration::from_secs(5);
            if let Some(step) = self.desk.look(&key(1), self.now) {
                self.step(step);
            }
            self.report_all();
        }
    }

    /// Another controller with the same database.
    fn restart(&mut self) {
        let mut desk = Desk::default();
        self.rows.iter().for_each(|row| desk.apply(row.clone()));
        self.now = Moment::from_millis(1_000);
        desk.begin(self.now);
        self.desk = desk;
        self.reports += 1_000;
    }

    fn phase(&self) -> Phase {
        self.desk.rollout(None).unwrap().rollout.phase()
    }

    fn on(&self, release: &str) -> usize {
        let runs = |node: &&Node| {
            let mut daemons = node.row.intent.as_ref().unwrap().body.daemons.values();
            daemons.all(|daemon| daemon.release == version(release))
        };
        self.desk.nodes().values().filter(runs).count()
    }

    fn kinds(&self) -> Vec<EventKind> {
        let kind = |row: &Row| match row {
            Row::Event(event) if event.detail.starts_with("rollout") => Some(event.kind),
            _ => None,
        };
        self.rows.iter().filter_map(kind).collect()
    }
}

fn wish(release: &str) -> Wish {
    serde_json::from_value(serde_json::json!({ "release": release })).unwrap()
}

#[test]
fn a_rollout_orders_the_release_wave_by_wave_and_writes_down_all_of_it() {
    let mut world = World::new();
    let step = world.desk.start(&wish("1.1.0"), world.now).unwrap();
    world.step(step);
    world.pass(60);
    assert_eq!(world.on("1.1.0"), 1, "the canary alone");
    let second = world.desk.start(&wish("1.1.0"), world.now);
    assert_eq!(second.unwrap_err(), DeskReason::UnderWay);
    world.pass(4 * 700);
    assert_eq!((world.phase(), world.on("1.1.0")), (Phase::Done, 10));
    let expected = [
        EventKind::RolloutStarted,
        EventKind::RolloutWave,
        EventKind::RolloutWave,
        EventKind::RolloutWave,
        EventKind::RolloutOver,
    ];
    assert_eq!(world.kinds(), expected);
    let again = world.desk.draft(&wish("1.1.0"), world.now);
    assert_eq!(again.unwrap_err(), DeskReason::NothingToDo);
}

#[test]
fn a_controller_that_was_started_anew_goes_on_with_the_rollout() {
    let mut world = World::new();
    let step = world.desk.start(&wish("1.1.0"), world.now).unwrap();
    world.step(step);
    for _ in 0..8 {
        world.pass(650);
        world.restart();
        world.pass(5);
    }
    assert_eq!((world.phase(), world.on("1.1.0")), (Phase::Done, 10));
    // Also what it returns to is written.
    let step = world.desk.tell(Some(1), Command::RollBack).unwrap();
    world.step(step);
    world.restart();
    world.pass(60);
    assert_eq!(world.phase(), Phase::RolledBack(StopReason::Asked));
    assert_eq!(world.on("1.0.0"), 10);
}

#[test]
fn a_canary_that_never_gets_ready_takes_it_back() {
    let mut world = World::new();
    world.never_ready = true;
    let step = world.desk.start(&wish("1.1.0"), world.now).unwrap();
    world.step(step);
    world.pass(290);
    assert_eq!((world.phase(), world.on("1.1.0")), (Phase::Wave(0), 1));
    world.pass(60);
    let reason = StopReason::Gate(FailReason::NeverStarted);
    assert_eq!(
        (world.phase(), world.on("1.1.0")),
        (Phase::RolledBack(reason), 0)
    );
    assert!(world.kinds().contains(&EventKind::RolloutFailed));
}

#[test]
fn what_cannot_be_rolled_out_is_refused_with_a_reason() {
    let mut world = World::new();
    let refused = |world: &World, wish: &Wish| world.desk.start(wish, world.now).unwrap_err();
    assert_eq!(refused(&world, &wish("9.0.0")), DeskReason::UnknownRelease);
    assert_eq!(refused(&world, &wish("1.0.0")), DeskReason::NothingToDo);
    assert_eq!(refused(&world, &wish("2.0.0")), DeskReason::OtherGeneration);
    let mut odd = wish("1.1.0");
    odd.canary = Some("nobody".to_owned());
    assert_eq!(refused(&world, &odd), DeskReason::UnknownNode);
    let mut odd = wish("1.1.0");
    odd.soak_ms = Some(u64::MAX);
    assert_eq!(refused(&world, &odd), DeskReason::Times);
    assert_eq!(world.desk.rollout(None).unwrap_err(), DeskReason::NoRollout);
    let step = world.desk.start(&wish("1.1.0"), world.now).unwrap();
    world.step(step);
    assert_eq!(
        world.desk.rollout(Some(7)).unwrap_err(),
        DeskReason::NoRollout
    );
    assert_eq!(
        world.desk.tell(None, Command::Resume).unwrap_err(),
        DeskReason::NotNow
    );
    world.pass(3_600);
    let back = refused(&world, &wish("1.0.0"));
    assert_eq!(back, DeskReason::Refused(RefusalReason::Downgrade));
}

#[test]
fn a_node_is_explained_in_a_sentence() {
    let mut world = World::new();
    let mut first = wish("1.1.0");
    first.canary = Some("reef3".to_owned());
    let step = world.desk.start(&first, world.now).unwrap();
    world.step(step);
    world.pass(100);
    let told = |word: &str| {
        let explained = world.desk.explain(None, word, world.now).unwrap();
        serde_json::to_value(explained).unwrap()
    };
    assert_eq!(told("reef3")["why"], "it runs the release");
    let waits = told("reef5");
    assert_eq!(waits["place"], "waiting");
    let why = waits["why"].as_str().unwrap();
    assert!(why.starts_with("wave 1 is watched for another 5"), "{why}");
    assert_eq!(waits["before"]["proxy"], "1.0.0");
}
