//! The world around an agent: what its effects do, and what comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::clock::Moment;
use common::rng::Generator;

use super::super::contact::{CallReason, Heard};
use super::super::life::{Berth, Notice, Sign};
use super::super::record;
use super::super::standing::Standing;
use super::super::{Agent, Config, Effect, Event, Start};
use super::documents::{key, manifest, signed_by};
use crate::engine::document::intent::{Intent, Wanted};
use crate::engine::document::report::Report;
use crate::engine::document::words::{DaemonName, Version};

/// A broken program ends so long after its start.
const CRASH_AFTER: Duration = Duration::from_millis(300);

/// What the shell tells the agent in return.
type Answering = Box<dyn FnOnce(&mut Agent)>;

enum Answer {
    Document(String),
    Nothing,
    Failure(CallReason),
}

struct Process {
    wanted: Wanted,
    ends: Option<Moment>,
    since: Moment,
}

/// A node, its disk and its controller.
pub(super) struct World {
    now: Moment,
    agent: Option<Agent>,
    seed: u64,
    answer: Answer,
    call: Option<Moment>,
    processes: BTreeMap<(DaemonName, Berth), Process>,
    /// What processes will say of themselves.
    words: Vec<(Moment, (DaemonName, Berth), Notice)>,
    /// Whether they say anything.
    speaking: bool,
    /// Versions that never are ready.
    dumb: BTreeSet<String>,
    broken: BTreeSet<String>,
    withheld: BTreeSet<String>,
    deaf: BTreeSet<String>,
    on_disk: BTreeSet<Version>,
    kept: Vec<u8>,
    full: bool,
    held: Option<String>,
    events: Vec<Event>,
    pub(super) starts: usize,
    pub(super) kills: usize,
    pub(super) releases_of_sockets: usize,
    pub(super) calls: usize,
    pub(super) fetches: usize,
    pub(super) keeps: usize,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut world = Self {
            now: Moment::from_millis(1_000),
            agent: None,
            seed,
            answer: Answer::Nothing,
            call: None,
            processes: BTreeMap::new(),
            words: Vec::new(),
            speaking: false,
            dumb: BTreeSet::new(),
            broken: BTreeSet::new(),
            withheld: BTreeSet::new(),
            deaf: BTreeSet::new(),
            on_disk: BTreeSet::new(),
            kept: Vec::new(),
            full: false,
            held: None,
            events: Vec::new(),
            starts: 0,
            kills: 0,
            releases_of_sockets: 0,
            calls: 0,
            fetches: 0,
            keeps: 0,
        };
        world.start_agent();
        world
    }

    fn start_agent(&mut self) {
        let config = Config {
            node: key(9).public(),
            name: "node1".to_owned(),
            version: "1.0.0".to_owned(),
            trust: vec![key(1).public()],
            wait: Duration::from_secs(30),
            probation: Duration::from_secs(60),
            crashes_max: 3,
            crash_window: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            ready: Duration::from_secs(20),
            drain: Duration::from_secs(40),
        };
        self.seed += 1;
        let standing =
            record::decode(&self.kept).map_or_else(|_| Standing::default(), |(_, kept)| kept);
        let standing = standing.begin(0);
        let rng = Generator::from_seed(self.seed);
        let mut agent = Agent::new(config, standing, rng, self.now);
        let mut found: Vec<_> = self.processes.iter().collect();
        found.sort_by_key(|(_, process)| std::cmp::Reverse(process.since));
        for ((name, berth), process) in found {
            agent.handle_found(name.clone(), *berth, process.wanted.clone(), self.now);
        }
        agent.handle_hold(self.held.clone(), self.now);
        for version in &self.on_disk {
            agent.handle_slot(manifest(version), self.now);
        }
        agent.handle_wake(self.now);
        self.agent = Some(agent);
        self.call = None;
        self.settle();
    }

    /// The agent ends without a word, and another one begins.
    pub(super) fn kill_agent(&mut self) {
        self.agent = None;
        self.start_agent();
    }

    pub(super) fn agent(&self) -> &Agent {
        self.agent.as_ref().unwrap()
    }

    pub(super) fn agent_mut(&mut self, act: impl FnOnce(&mut Agent, Moment)) {
        let now = self.now;
        act(self.agent.as_mut().unwrap(), now);
        self.settle();
    }

    /// The controller answers with this intent, signed as it should be.
    pub(super) fn offers(&mut self, intent: Intent) {
        self.answers(signed_by(1, intent));
    }

    pub(super) fn answers(&mut self, text: String) {
        self.answer = Answer::Document(text);
    }

    pub(super) fn fails(&mut self, reason: CallReason) {
        self.answer = Answer::Failure(reason);
    }

    /// The controller answers, and has nothing to say.
    pub(super) fn is_quiet(&mut self) {
        self.answer = Answer::Nothing;
    }

    pub(super) fn hold(&mut self, why: Option<&str>) {
        self.held = why.map(str::to_owned);
        let held = self.held.clone();
        self.agent_mut(|agent, now| agent.handle_hold(held, now));
    }

    pub(super) fn disk_full(&mut self, full: bool) {
        self.full = full;
    }

    /// Programs of this version end soon after their start.
    pub(super) fn breaks(&mut self, version: &str) {
        self.broken.insert(version.to_owned());
    }

    pub(super) fn withholds(&mut self, version: &str) {
        self.withheld.insert(version.to_owned());
    }

    pub(super) fn releases(&mut self, version: &str) {
        self.withheld.remove(version);
    }

    /// This release is no longer on the disk.
    pub(super) fn loses(&mut self, version: &str) {
        assert!(self.on_disk.remove(&Version::parse(version).unwrap()));
    }

    /// This release lies on the disk already.
    pub(super) fn finds(&mut self, version: &str) {
        self.on_disk.insert(Version::parse(version).unwrap());
    }

    /// What the agent says of the node.
    pub(super) fn report(&self) -> Report {
        self.agent().view(self.now).report
    }

    /// Both copies of the state are lost.
    pub(super) fn forgets(&mut self) {
        self.kept.clear();
    }

    /// Processes from now on have their sockets kept, and can take each other's places.
    pub(super) fn speaks(&mut self) {
        self.speaking = true;
    }

    /// Programs of this version never say a word.
    pub(super) fn is_dumb(&mut self, version: &str) {
        self.dumb.insert(version.to_owned());
    }

    /// This daemon does not end when asked to.
    pub(super) fn deafens(&mut self, name: &str) {
        self.deaf.insert(name.to_owned());
    }

    /// This daemon's process ends by itself, if it runs.
    pub(super) fn crash(&mut self, name: &str) {
        let name = DaemonName::parse(name).unwrap();
        let whose = |process: &&(DaemonName, Berth)| process.0 == name;
        let Some((name, berth)) = self.processes.keys().find(whose).cloned() else {
            return;
        };
        self.processes.remove(&(name.clone(), berth));
        self.agent_mut(|agent, now| {
            agent.handle_ended(&name, berth, "signal 11".to_owned(), now);
        });
    }

    pub(super) fn runs(&self) -> Vec<String> {
        let one = |((name, _), process): (&(DaemonName, Berth), &Process)| {
            format!("{name} {}", process.wanted.release)
        };
        self.processes.iter().map(one).collect()
    }

    pub(super) fn slots(&self) -> Vec<String> {
        self.on_disk.iter().map(ToString::to_string).collect()
    }

    pub(super) fn said(&self, event: &Event) -> usize {
        self.events.iter().filter(|said| *said == event).count()
    }

    /// Lets time pass, with everything that falls due.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut at_once = 0;
        loop {
            let ends = self.processes.values().filter_map(|process| process.ends);
            let words = self.words.iter().map(|(at, ..)| *at);
            let next = ends
                .chain(words)
                .chain(self.call)
                .fold(self.agent().wake(), Moment::min);
            if next > end {
                self.now = end;
                return;
            }
            at_once = if next > self.now { 0 } else { at_once + 1 };
            assert!(at_once < 1_000, "an agent that never sleeps");
            self.now = self.now.max(next);
            self.happen();
            self.agent_mut(Agent::handle_wake);
        }
    }

    fn happen(&mut self) {
        let now = self.now;
        let ended = |(which, process): (&(DaemonName, Berth), &Process)| {
            process
                .ends
                .is_some_and(|ends| ends <= now)
                .then(|| which.clone())
        };
        let ended: Vec<_> = self.processes.iter().filter_map(ended).collect();
        for (name, berth) in ended {
            self.processes.remove(&(name.clone(), berth));
            self.agent_mut(|agent, now| {
                agent.handle_ended(&name, berth, "exit 1".to_owned(), now);
            });
        }
        let (due, later) = std::mem::take(&mut self.words)
            .into_iter()
            .partition(|(at, ..)| *at <= now);
        self.words = later;
        let due: Vec<(Moment, (DaemonName, Berth), Notice)> = due;
        for (_, which, notice) in due {
            if self.processes.contains_key(&which) {
                let (name, berth) = which;
                self.agent_mut(|agent, now| agent.handle_notice(&name, berth, notice, now));
            }
        }
        if self.call.is_some_and(|at| at <= now) {
            self.call = None;
            let agent = self.agent.as_mut().unwrap();
            let heard = match &self.answer {
                Answer::Document(text) => Heard::Document(text.as_bytes()),
                Answer::Nothing => Heard::Nothing,
                Answer::Failure(reason) => Heard::Failure(*reason),
            };
            agent.handle_heard(heard, now);
            self.settle();
        }
    }

    /// Carries out what the agent wants, until it wants nothing.
    fn settle(&mut self) {
        let mut bound = 0;
        while let Some(effect) = self.agent.as_mut().and_then(Agent::poll_effect) {
            bound += 1;
            assert!(bound < 1_000, "an agent that never rests: {effect:?}");
            self.carry_out(effect);
        }
    }

    /// A process says that it has its sockets kept and is ready, or what else it waits for.
    fn speak(&mut self, which: &(DaemonName, Berth), waits: bool) {
        let soon = self.now + Duration::from_millis(100);
        let words = if waits {
            vec![Notice::Prepared]
        } else {
            vec![Notice::Ready, Notice::Keeps]
        };
        let words = words.into_iter().map(|word| (soon, which.clone(), word));
        self.words.extend(words);
    }

    fn tell(&mut self, name: DaemonName, berth: Berth, sign: Sign) -> Option<Answering> {
        let now = self.now;
        let process = self.processes.get_mut(&(name.clone(), berth)).unwrap();
        match sign {
            Sign::GiveUp => {
                // Then the other one has all that it needs.
                let heir = |which: &&(DaemonName, Berth)| which.0 == name && which.1 != berth;
                let heir = self.processes.keys().filter(heir).max_by_key(|which| {
                    let process = &self.processes[which];
                    process.since
                });
                let heir = heir.unwrap().clone();
                self.speak(&heir, false);
                None
            }
            Sign::Terminate if self.deaf.contains(name.as_str()) => None,
            Sign::Terminate => {
                // It finishes what was begun.
                process.ends = Some(now + Duration::from_secs(1));
                None
            }
            Sign::Relieved if self.deaf.contains(name.as_str()) => None,
            Sign::Relieved => {
                process.ends = Some(now + Duration::from_secs(15));
                None
            }
            Sign::Kill => {
                self.kills += 1;
                self.processes.remove(&(name.clone(), berth));
                let how = "killed".to_owned();
                Some(Box::new(move |agent: &mut Agent| {
                    agent.handle_ended(&name, berth, how, now);
                }))
            }
        }
    }

    fn start(&mut self, start: Start) -> Answering {
        let now = self.now;
        self.starts += 1;
        let Start {
            name,
            wanted,
            berth,
            predecessor,
            ..
        } = start;
        assert!(
            self.on_disk.contains(&wanted.release),
            "{name} has no program"
        );
        let ends = self.broken.contains(&wanted.release.to_string());
        let ends = ends.then_some(now + CRASH_AFTER);
        let beside = self.processes.keys().find(|(other, _)| *other == name);
        assert!(
            predecessor.is_some() || self.speaking || beside.is_none(),
            "two processes of {name}"
        );
        let dumb = self.dumb.contains(&wanted.release.to_string());
        let process = Process {
            wanted,
            ends,
            since: now,
        };
        let which = (name.clone(), berth);
        let there = self.processes.insert(which.clone(), process);
        assert!(there.is_none(), "two processes of {name} in one berth");
        if self.speaking && !dumb {
            self.speak(&which, predecessor.is_some());
        }
        Box::new(move |agent| agent.handle_started(&name, berth, now))
    }

    fn carry_out(&mut self, effect: Effect) {
        let now = self.now;
        let mut answers: Vec<Answering> = Vec::new();
        match effect {
            Effect::Keep(standing) => {
                self.keeps += 1;
                let kept = !self.full;
                if kept {
                    self.kept = record::encode(1, &standing);
                }
                answers.push(Box::new(move |agent| agent.handle_kept(kept, now)));
            }
            Effect::Fetch(version, _) => {
                self.fetches += 1;
                let silent = matches!(self.answer, Answer::Failure(_));
                if silent || self.withheld.contains(&version.to_string()) {
                    let why = "not there".to_owned();
                    answers.push(Box::new(move |agent| {
                        agent.handle_no_slot(&version, why, now)
                    }));
                } else {
                    self.on_disk.insert(version.clone());
                    answers.push(Box::new(move |agent| {
                        agent.handle_slot(manifest(&version), now)
                    }));
                }
            }
            Effect::Forget(version) => {
                let runs = |process: &Process| process.wanted.release == version;
                // One that only finishes what it began needs no file any more.
                let any = self.processes.values().any(runs);
                assert!(self.speaking || !any, "{version} runs");
                assert!(self.on_disk.remove(&version));
            }
            Effect::Start(start) => answers.push(self.start(*start)),
            Effect::Tell(name, berth, sign) => {
                if let Some(answer) = self.tell(name, berth, sign) {
                    answers.push(answer);
                }
            }
            Effect::Release(_) => self.releases_of_sockets += 1,
            Effect::Call(_) => {
                self.calls += 1;
                self.call = Some(now + Duration::from_millis(20));
            }
            Effect::Say(event) => self.events.push(event),
        }
        for answer in answers {
            answer(self.agent.as_mut().unwrap());
        }
    }
}
