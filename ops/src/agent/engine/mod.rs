//! What an agent decides. Pure: `now` is an argument, effects come out as values.
//!
//! The caller's loop: hand over what happened (`handle_*`, each with `now`), take
//! [`poll_effect`](Agent::poll_effect) until it is empty, sleep until [`wake`](Agent::wake) or until
//! something happens. Effects that have an answer name the call that takes it.
//!
//! [`standing`] is what an agent remembers, [`record`] its bytes on disk, [`life`] one daemon's
//! process, [`slots`] the releases on disk, [`contact`] the calls home, [`tally`] what daemons count. They do not know each other;
//! the façade here hands results on. A standing is written down before it is followed.

pub mod contact;
pub mod life;
pub mod record;
pub mod report;
pub mod slots;
pub mod standing;
pub mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use common::clock::Moment;
use common::rng::Generator;

use self::contact::{Contact, Heard};
use self::life::{Act, Berth, Life, Notice, Sign, Times};
use self::slots::Slots;
use self::standing::Standing;
use self::tally::{Look, Tally};
use crate::engine::document::Signed;
use crate::engine::document::intent::{Intent, News, Wanted, judge};
use crate::engine::document::key::PublicKey;
use crate::engine::document::refusal::RefusalReason;
use crate::engine::document::release::Manifest;
use crate::engine::document::report::Report;
use crate::engine::document::words::{DaemonName, Digest, RunState, Version};

/// Until a standing that could not be written down is tried again.
const KEEP_AGAIN: Duration = Duration::from_secs(15);

/// How an agent goes about it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's own key.
    pub node: PublicKey,
    /// What its operator calls it; for people alone.
    pub name: String,
    /// The agent's version, for reports.
    pub version: String,
    /// Who may sign intents.
    pub trust: Vec<PublicKey>,
    /// Longest time a controller may keep a call waiting.
    pub wait: Duration,
    /// A new intent is on probation until all its daemons were up for so long. A daemon that does not
    /// stay up before then takes the node back to the intent before.
    pub probation: Duration,
    /// A daemon that ends by itself so often within [`crash_window`](Self::crash_window) does not stay up.
    pub crashes_max: usize,
    /// See [`crashes_max`](Self::crashes_max).
    pub crash_window: Duration,
    /// For a daemon that was asked to end; then it is killed.
    pub grace: Duration,
    /// For a process that is to take another one's place to be ready; then it is killed, and the other one
    /// goes on.
    pub ready: Duration,
    /// For a process whose place was taken to finish what it began; then it is killed.
    pub drain: Duration,
}

/// What the shell is to do.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Write this down, durably. Answered by [`Agent::handle_kept`].
    Keep(Box<Standing>),
    /// Bring this release to the disk and check it. Answered by [`Agent::handle_slot`] or
    /// [`Agent::handle_no_slot`].
    Fetch(Version, Digest),
    /// Remove this release from the disk.
    Forget(Version),
    /// Start a daemon. Answered by [`Agent::handle_started`] or [`Agent::handle_ended`].
    Start(Box<Start>),
    /// Tell a daemon's process. Where that is to end it, [`Agent::handle_ended`] answers, some time.
    Tell(DaemonName, Berth, Sign),
    /// Keep this daemon's sockets no longer.
    Release(DaemonName),
    /// Call home; a call under way is given up. Answered by [`Agent::handle_heard`].
    Call(Box<Report>),
    /// Tell whoever reads the log.
    Say(Event),
}

/// A daemon to start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// Its name.
    pub name: DaemonName,
    /// What it is.
    pub wanted: Wanted,
    /// Its command line.
    pub arguments: Vec<String>,
    /// Which of its processes it is.
    pub berth: Berth,
    /// The one whose place it is to take.
    pub predecessor: Option<Berth>,
}

/// What happened, for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// An intent was accepted; it is in force once its releases are here.
    Accepted(u64),
    /// A document was refused.
    Refused(RefusalReason),
    /// An intent is in force.
    InForce(u64),
    /// All daemons of the intent in force were up for the time of probation.
    Proven(u64),
    /// A daemon did not stay up; the intent before is in force again.
    FellBack(DaemonName, Version),
    /// A daemon ended by itself.
    Crashed(DaemonName, String),
    /// Another process of a daemon serves, in the place of the one before.
    TookOver(DaemonName, Version),
    /// A release could not be brought to the disk.
    NotFetched(Version, String),
    /// A standing could not be written down.
    NotKept,
}

impl Event {
    /// Whether somebody may want to do something about it.
    #[must_use]
    pub const fn is_trouble(&self) -> bool {
        !matches!(
            self,
            Self::Accepted(_) | Self::InForce(_) | Self::Proven(_) | Self::TookOver(..)
        )
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted(serial) => write!(f, "intent {serial} accepted"),
            Self::Refused(reason) => write!(f, "refused: {}: {}", reason.as_str(), reason.advice()),
            Self::InForce(serial) => write!(f, "intent {serial} in force"),
            Self::Proven(serial) => write!(f, "intent {serial} proven"),
            Self::FellBack(daemon, release) => {
                write!(
                    f,
                    "{daemon} {release} does not stay up; the intent before is in force"
                )
            }
            Self::Crashed(daemon, how) => write!(f, "{daemon} ended by itself: {how}"),
            Self::TookOver(daemon, release) => write!(f, "{daemon} {release} serves in its place"),
            Self::NotFetched(release, why) => write!(f, "release {release} not fetched: {why}"),
            Self::NotKept => f.write_str("the state could not be written; nothing changes"),
        }
    }
}

/// The state of an agent.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    rng: Generator,
    standing: Standing,
    /// A standing that is being written down.
    pending: Option<Standing>,
    held: Option<String>,
    /// Whether all that was found was handed over.
    awake: bool,
    lives: BTreeMap<DaemonName, Life>,
    slots: Slots,
    contact: Contact,
    tally: Tally,
    effects: VecDeque<Effect>,
    reports: u64,
    /// Since when all daemons of the intent in force have been up.
    well_since: Option<Moment>,
    /// When to try again to write down what could not be.
    keep_again: Option<Moment>,
}

impl Agent {
    /// An agent that finds `standing` on its disk. What else is found is handed over next; nothing follows
    /// from it before the first [`handle_wake`](Self::handle_wake).
    #[must_use]
    pub fn new(config: Config, standing: Standing, rng: Generator, now: Moment) -> Self {
        Self {
            contact: Contact::new(now),
            tally: Tally::default(),
            slots: Slots::default(),
            config,
            rng,
            standing,
            pending: None,
            held: None,
            awake: false,
            lives: BTreeMap::new(),
            effects: VecDeque::new(),
            reports: 0,
            well_since: None,
            keep_again: None,
        }
    }

    /// A daemon that an agent before this one started still runs. Only before the first
    /// [`handle_wake`](Self::handle_wake).
    /// A daemon's processes come youngest first.
    pub fn handle_found(&mut self, name: DaemonName, berth: Berth, wanted: Wanted, now: Moment) {
        let times = self.times();
        match self.lives.get_mut(&name) {
            Some(life) => life.found_older(wanted, berth, &times, now),
            None => drop(self.lives.insert(name, Life::found(wanted, berth, now))),
        }
    }

    /// A daemon's process said something of itself.
    pub fn handle_notice(&mut self, name: &DaemonName, berth: Berth, notice: Notice, now: Moment) {
        let times = self.times();
        let Some(life) = self.lives.get_mut(name) else {
            return;
        };
        if let Some(Act::Tell(to, sign)) = life.notice(berth, notice, &times, now) {
            let release = life.runs().map(|wanted| wanted.release.clone());
            self.effects.push_back(Effect::Tell(name.clone(), to, sign));
            if let Some(release) = release.filter(|_| sign == Sign::Relieved) {
                self.tally.started(name);
                self.say(Event::TookOver(name.clone(), release));
                self.contact.news(now);
            }
        }
        self.advance(now);
    }

    const fn times(&self) -> Times {
        Times {
            grace: self.config.grace,
            ready: self.config.ready,
            drain: self.config.drain,
        }
    }

    /// A release is on the disk, checked.
    pub fn handle_slot(&mut self, manifest: Signed<Manifest>, now: Moment) {
        self.slots.arrived(manifest);
        self.advance(now);
    }

    /// A release could not be brought to the disk.
    pub fn handle_no_slot(&mut self, version: &Version, why: String, now: Moment) {
        self.slots.failed(version, now, &mut self.rng);
        self.say(Event::NotFetched(version.clone(), why));
        self.advance(now);
    }

    /// The operator's hold: why, or `None` if there is none.
    pub fn handle_hold(&mut self, held: Option<String>, now: Moment) {
        if self.held != held {
            self.held = held;
            self.contact.news(now);
            self.advance(now);
        }
    }

    /// A daemon's process was started.
    pub fn handle_started(&mut self, name: &DaemonName, berth: Berth, now: Moment) {
        if let Some(life) = self.lives.get_mut(name) {
            life.started(berth, now);
            if life.serves(berth) {
                self.tally.started(name);
            }
        }
        self.advance(now);
    }

    /// A daemon's process ended, or could not be started; `how` in words.
    pub fn handle_ended(&mut self, name: &DaemonName, berth: Berth, how: String, now: Moment) {
        let by_itself = match self.lives.get_mut(name) {
            Some(life) => {
                let served = life.serves(berth);
                let by_itself = life.ended(berth, now, self.config.crash_window, &mut self.rng);
                if served {
                    self.tally.ended(name);
                    if !life.is_gone() {
                        // Its heir serves, and counts anew.
                        self.tally.started(name);
                    }
                }
                by_itself
            }
            None => false,
        };
        if by_itself {
            self.say(Event::Crashed(name.clone(), how));
            self.contact.news(now);
        }
        self.advance(now);
    }

    /// Somebody looked at a daemon's pages.
    pub fn handle_looked(&mut self, name: &DaemonName, look: Look, now: Moment) {
        let runs = self
            .lives
            .get(name)
            .is_some_and(|life| life.runs().is_some());
        if runs && self.tally.looked(name, look) {
            self.contact.news(now);
        }
        self.advance(now);
    }

    /// The own proxy was asked for a page: its body's digest, or nothing if it did not come.
    pub fn handle_injected(&mut self, url: &str, body: Option<Digest>) {
        self.tally.injected(url, body);
    }

    /// A standing was written down, or could not be.
    pub fn handle_kept(&mut self, kept: bool, now: Moment) {
        let Some(next) = self.pending.take() else {
            return;
        };
        if kept {
            self.keep_again = None;
            self.follow(next, now);
        } else {
            self.keep_again = Some(now + KEEP_AGAIN);
            self.contact.refused(RefusalReason::NotKept, now);
            self.say(Event::NotKept);
        }
        self.advance(now);
    }

    /// A call home came to this.
    pub fn handle_heard(&mut self, heard: Heard<'_>, now: Moment) {
        let answer = self.contact.heard(&heard, now, &mut self.rng);
        if let (true, Heard::Document(bytes)) = (answer, &heard) {
            match self.consider(bytes) {
                Ok(None) => self.contact.agreed(),
                Ok(Some(intent)) => {
                    self.contact.agreed();
                    self.say(Event::Accepted(intent.body.serial));
                    let next = self.standing.accept(intent);
                    self.keep(next);
                }
                Err(reason) => {
                    if self.contact.refused(reason, now) {
                        self.say(Event::Refused(reason));
                    }
                }
            }
        }
        self.advance(now);
    }

    /// Time has passed.
    pub fn handle_wake(&mut self, now: Moment) {
        self.awake = true;
        self.advance(now);
    }

    /// The next thing to do, if any.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`handle_wake`](Self::handle_wake) at the latest.
    #[must_use]
    pub fn wake(&self) -> Moment {
        let lives = self.lives.values().filter_map(Life::wake);
        let proven = self.well_since.map(|since| since + self.config.probation);
        let proven = proven.filter(|_| self.standing.on_probation() && self.pending.is_none());
        let proven = proven.map(|at| at.max(self.keep_again.unwrap_or_default()));
        let all = lives
            .chain(self.slots.wake())
            .chain(proven)
            .chain(self.keep_again);
        all.fold(self.contact.wake(), Moment::min)
    }

    /// What the agent remembers.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The calls home.
    #[must_use]
    pub const fn contact(&self) -> &Contact {
        &self.contact
    }

    /// Reads a document of the controller: `None` if it says what was accepted before.
    fn consider(&self, bytes: &[u8]) -> Result<Option<Signed<Intent>>, RefusalReason> {
        let intent = Signed::read(bytes, &self.config.trust)?;
        match judge(&intent, &self.config.node, self.standing.accepted())? {
            News::Known => Ok(None),
            News::New if self.held.is_some() => Err(RefusalReason::Held),
            News::New if self.slots.conflict(&intent.body) => Err(RefusalReason::OtherRelease),
            // One thing is written down at a time; it is offered again.
            News::New if self.pending.is_some() => Ok(None),
            News::New => Ok(Some(intent)),
        }
    }

    /// Has `next` written down, unless something else is.
    fn keep(&mut self, next: Standing) {
        if self.pending.is_none() {
            self.effects.push_back(Effect::Keep(Box::new(next.clone())));
            self.pending = Some(next);
        }
    }

    /// `next` is on the disk: from here on it counts.
    fn follow(&mut self, next: Standing, now: Moment) {
        let before = std::mem::replace(&mut self.standing, next);
        let serial = |standing: &Standing| standing.in_force().map(|intent| intent.body.serial);
        let fallen = self.standing.fallen.clone();
        if let Some(fallen) = fallen.filter(|_| before.fallen.is_none()) {
            self.say(Event::FellBack(fallen.daemon, fallen.release));
        }
        if let Some(now_in_force) = serial(&self.standing) {
            if serial(&before) != Some(now_in_force) {
                self.say(Event::InForce(now_in_force));
            } else if self.standing.proven && !before.proven {
                self.say(Event::Proven(now_in_force));
            }
        }
        if serial(&before) != serial(&self.standing) {
            self.well_since = None;
            self.lives.values_mut().for_each(Life::forgive);
        }
        self.contact.news(now);
    }

    fn say(&mut self, event: Event) {
        self.effects.push_back(Effect::Say(event));
    }

    /// Everything that follows from the state as it is.
    fn advance(&mut self, now: Moment) {
        // A part of what is here would look like the rest being gone.
        if !self.awake {
            return;
        }
        self.keep_again = self.keep_again.filter(|at| *at > now);
        self.run_daemons(now);
        self.watch(now);
        self.tend_slots(now);
        if self.pending.is_none()
            && self.keep_again.is_none()
            && let Some(next) = self.next_standing(now)
        {
            self.keep(next);
        }
        if self.contact.due(now) {
            self.reports += 1;
            let report = self.report(now);
            self.effects.push_back(Effect::Call(Box::new(report)));
        }
    }

    /// The standing that follows from what is on the disk and what runs, if it is another one.
    fn next_standing(&self, now: Moment) -> Option<Standing> {
        if let Some(intent) = &self.standing.staged
            && self.held.is_none()
            && self.slots.hold_all(&intent.body)
        {
            return Some(self.standing.promote());
        }
        let unsteady = |(name, life): (&DaemonName, &Life)| {
            let wanted = self.wanted(name)?;
            let loops = life.loops(self.config.crashes_max, now, self.config.crash_window);
            loops.then(|| (name.clone(), wanted.release.clone()))
        };
        if self.standing.may_fall_back()
            && let Some((daemon, release)) = self.lives.iter().find_map(unsteady)
        {
            return self.standing.fall_back(daemon, release);
        }
        let well = self.well_since.map(|since| now.since(since));
        let proven = well.is_some_and(|well| well >= self.config.probation);
        (proven && self.standing.on_probation()).then(|| self.standing.prove())
    }

    /// What the intent in force says of a daemon.
    fn wanted(&self, name: &DaemonName) -> Option<&Wanted> {
        self.standing.in_force()?.body.daemons.get(name)
    }

    fn run_daemons(&mut self, now: Moment) {
        let times = self.times();
        let Some(intent) = self.standing.in_force() else {
            // Nobody says what is to run, nor what is not: what runs is left alone.
            self.lives.retain(|_, life| !life.is_over());
            return;
        };
        let wishes = &intent.body.daemons;
        for name in wishes.keys() {
            if !self.lives.contains_key(name) {
                self.lives.insert(name.clone(), Life::new(now));
            }
        }
        for (name, life) in &mut self.lives {
            let wanted = wishes.get(name);
            // A program that is not on the disk cannot be started, and what runs is left alone.
            let ready = wanted.and_then(|wanted| self.slots.command(wanted));
            let effect = match life.step(wanted, ready.is_some(), &times, now) {
                Some(Act::Start(berth, predecessor)) => wanted.zip(ready).map(|with| {
                    let (wanted, arguments) = with;
                    Effect::Start(Box::new(Start {
                        name: name.clone(),
                        wanted: wanted.clone(),
                        arguments,
                        berth,
                        predecessor,
                    }))
                }),
                Some(Act::Tell(berth, sign)) => Some(Effect::Tell(name.clone(), berth, sign)),
                Some(Act::Release) => Some(Effect::Release(name.clone())),
                None => None,
            };
            self.effects.extend(effect);
        }
        self.lives
            .retain(|name, life| wishes.contains_key(name) || !life.is_over());
    }

    /// Notes since when everything has been as the intent in force says.
    fn watch(&mut self, now: Moment) {
        let as_wished = |(name, wanted): (&DaemonName, &Wanted)| {
            let up = self.lives.get(name).is_some_and(|life| life.is_up(wanted));
            up || wanted.state != RunState::Run
        };
        let intent = self.standing.in_force();
        let well = intent.is_some_and(|intent| intent.body.daemons.iter().all(as_wished));
        self.well_since = match (well, self.well_since) {
            (true, None) => Some(now),
            (true, since) => since,
            (false, _) => None,
        };
    }

    fn tend_slots(&mut self, now: Moment) {
        let needed = self.standing.releases();
        for (version, digest) in &needed {
            if self.slots.begin(version, now) {
                let effect = Effect::Fetch(version.clone(), *digest);
                self.effects.push_back(effect);
            }
        }
        // What is being written down may need others; without any order, nothing is known to be in excess.
        if self.pending.is_none() && self.standing.in_force().is_some() {
            let runs = |version: &Version| {
                let mut all = self.lives.values().filter_map(Life::runs);
                all.any(|runs| runs.release == *version)
            };
            let gone = self
                .slots
                .forget_all_but(|version| needed.contains_key(version) || runs(version));
            self.effects.extend(gone.into_iter().map(Effect::Forget));
        }
    }
}
