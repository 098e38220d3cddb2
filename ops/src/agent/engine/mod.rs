//! What an agent decides. Pure: `now` is an argument, effects come out as values.
//!
//! The caller's loop: hand over what happened (`handle_*`, each with `now`), take
//! [`poll_effect`](Agent::poll_effect) until it is empty, sleep until [`wake`](Agent::wake) or until
//! something happens. Effects that have an answer name the call that takes it.
//!
//! [`standing`] is what an agent remembers, [`record`] its bytes on disk, [`life`] one daemon's
//! process, [`slots`] the releases on disk, [`contact`] the calls home, [`tally`] what daemons count. They do not know each other;
//! the façade here hands results on, and `follow` says what comes of all of them together. A standing is
//! written down before it is followed.

mod config;
pub mod contact;
mod effect;
mod follow;
pub mod life;
pub mod record;
pub mod report;
pub mod slots;
pub mod standing;
pub mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use common::clock::Moment;
use common::rng::Generator;

pub use self::config::Config;
use self::contact::{Contact, Heard};
pub use self::effect::{Effect, Event, Start};
use self::life::{Act, Berth, Life, Notice, Sign};
use self::slots::Slots;
use self::standing::Standing;
use self::tally::{Look, Tally};
use crate::engine::document::Signed;
use crate::engine::document::intent::{Intent, News, Wanted, judge};
use crate::engine::document::refusal::RefusalReason;
use crate::engine::document::release::Manifest;
use crate::engine::document::words::{DaemonName, Digest, Version};

/// Until a standing that could not be written down is tried again.
const KEEP_AGAIN: Duration = Duration::from_secs(15);

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
        let times = self.config.times();
        match self.lives.get_mut(&name) {
            Some(life) => life.found_older(wanted, berth, &times, now),
            None => drop(self.lives.insert(name, Life::found(wanted, berth, now))),
        }
    }

    /// A daemon's process said something of itself.
    pub fn handle_notice(&mut self, name: &DaemonName, berth: Berth, notice: Notice, now: Moment) {
        let times = self.config.times();
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
            self.contact.kept();
            self.follow(next, now);
        } else {
            self.keep_again = Some(now + KEEP_AGAIN);
            self.contact.refused(RefusalReason::NotKept, now);
            self.say(Event::NotKept);
        }
        self.advance(now);
    }

    /// The controller's calendar was so many seconds ahead of this node's when it answered. For people alone: nothing
    /// here depends on any calendar.
    pub const fn handle_date(&mut self, ahead_s: i64) {
        self.contact.dated(ahead_s);
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

    fn say(&mut self, event: Event) {
        self.effects.push_back(Effect::Say(event));
    }
}
