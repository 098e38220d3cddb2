//! One daemon's processes: whether it runs, why not, when it is tried again, and how one process takes the
//! place of another.
//!
//! A daemon whose sockets are kept here changes places without a moment in which nobody serves: the heir
//! is started beside the one that serves, is given what only one can have once it is prepared, and the
//! other one is relieved when the heir is ready. An heir that never is ready goes, and nothing
//! else has changed. Any other daemon ends first and is started then.

mod heir;
mod process;
mod seen;

use std::collections::VecDeque;
use std::time::Duration;

use common::backoff::Backoff;
use common::clock::Moment;
use common::rng::Generator;

use self::heir::{Fate, Heir, Leaving};
pub use self::process::{Act, Berth, Notice, Sign, Times};
use crate::engine::document::intent::Wanted;
use crate::engine::document::words::RunState;

/// Rest after the first crash.
const REST_MIN: Duration = Duration::from_millis(200);

/// Longest rest between two tries.
const REST_MAX: Duration = Duration::from_secs(30);

/// Most crashes remembered; more than any setting of how many make a loop.
const REMEMBERED: usize = 32;

/// A daemon that gave signs of life and gives none for so long hangs: six of its signs.
const SILENCE: Duration = Duration::from_secs(60);

/// Silence counts once it was noticed and went on for so long: this agent may be the one that was late.
const DOUBT: Duration = Duration::from_secs(10);

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    /// There is no process.
    Down,
    /// A process was asked for.
    Starting(Wanted),
    /// The process runs.
    Up(Wanted),
    /// The process runs, and another one is to take its place by a moment.
    Heir(Wanted, Heir),
    /// The process was asked to end, and is killed at a moment.
    Ending(Wanted, Moment),
    /// The process was killed, and its end is waited for.
    Killed(Wanted),
    /// The process ended by itself; no other is started before a moment.
    Resting(Moment),
}

/// One daemon.
#[derive(Debug)]
pub struct Life {
    state: State,
    /// Of the process that `state` speaks of.
    berth: Berth,
    since: Moment,
    leaving: Vec<Leaving>,
    /// Whether its sockets are kept.
    keeps: bool,
    /// The last sign of life, if it ever gave one.
    sign: Option<Moment>,
    /// When its silence counts.
    doubt: Option<Moment>,
    /// No heir before this.
    not_before: Moment,
    /// An heir was not ready in time.
    never: bool,
    backoff: Backoff,
    crashes: VecDeque<Moment>,
    crashed: u64,
}

impl Life {
    /// A daemon that does not run.
    #[must_use]
    pub const fn new(now: Moment) -> Self {
        Self {
            state: State::Down,
            berth: Berth::FIRST,
            since: now,
            leaving: Vec::new(),
            keeps: false,
            sign: None,
            doubt: None,
            not_before: Moment::ZERO,
            never: false,
            backoff: Backoff::new(REST_MIN, REST_MAX),
            crashes: VecDeque::new(),
            crashed: 0,
        }
    }

    /// A daemon that runs already, as `wanted`.
    #[must_use]
    pub fn found(wanted: Wanted, berth: Berth, now: Moment) -> Self {
        let mut life = Self::new(now);
        life.state = State::Up(wanted);
        life.berth = berth;
        life
    }

    /// What is to be done so that it becomes as `wanted`; `ready` says whether its program is here.
    pub fn step(
        &mut self,
        wanted: Option<&Wanted>,
        ready: bool,
        times: &Times,
        now: Moment,
    ) -> Option<Act> {
        if let Some(act) = self.see_off(now).or_else(|| self.listen(now)) {
            return Some(act);
        }
        if self.not_before <= now {
            self.not_before = Moment::ZERO;
        }
        let run = wanted.filter(|wanted| wanted.state == RunState::Run);
        match &self.state {
            State::Resting(until) if *until > now => None,
            // Down, Resting ⇒ Starting; Resting ⇒ Down, where there is nothing to start
            State::Down | State::Resting(_) => match run {
                Some(wanted) if ready => {
                    self.berth = self.free()?;
                    self.become_(State::Starting(wanted.clone()), now);
                    Some(Act::Start(self.berth, None))
                }
                Some(_) => {
                    self.rested(now);
                    None
                }
                None => {
                    self.rested(now);
                    std::mem::take(&mut self.keeps).then_some(Act::Release)
                }
            },
            State::Starting(_) | State::Killed(_) => None,
            // Up ⇒ Heir, Ending; what is to take its place has to be here first
            State::Up(runs) => {
                if run.is_some_and(|wanted| !ready || same(wanted, runs)) {
                    return None;
                }
                let heir = run.filter(|wanted| self.keeps && wanted.program == runs.program);
                match heir {
                    Some(_) if self.not_before > now => None,
                    Some(heir) => self.call_heir(&runs.clone(), heir.clone(), times, now),
                    None => {
                        let runs = runs.clone();
                        self.become_(State::Ending(runs, now + times.grace), now);
                        Some(Act::Tell(self.berth, Sign::Terminate))
                    }
                }
            }
            State::Heir(_, heir) => {
                let unwanted = run.is_none_or(|wanted| !same(wanted, &heir.wanted));
                self.judge_heir(unwanted, now)
            }
            // Ending ⇒ Killed
            State::Ending(runs, at) => {
                if *at > now {
                    return None;
                }
                let runs = runs.clone();
                self.become_(State::Killed(runs), now);
                Some(Act::Tell(self.berth, Sign::Kill))
            }
        }
    }

    /// The rest is over: no moment is waited for any more.
    fn rested(&mut self, now: Moment) {
        if let State::Resting(_) = self.state {
            self.become_(State::Down, now);
        }
    }

    fn become_(&mut self, state: State, now: Moment) {
        self.state = state;
        self.since = now;
    }

    /// A process that serves and has fallen silent is killed: its end is a crash.
    fn listen(&mut self, now: Moment) -> Option<Act> {
        let silent = matches!(self.state, State::Up(_)) && self.sign? + SILENCE <= now;
        match self.doubt {
            _ if !silent => {
                self.doubt = None;
                None
            }
            None => {
                self.doubt = Some(now + DOUBT);
                None
            }
            Some(at) if at > now => None,
            Some(_) => {
                (self.sign, self.doubt) = (None, None);
                Some(Act::Tell(self.berth, Sign::Kill))
            }
        }
    }

    /// Its process was started. Starting ⇒ Up
    pub fn started(&mut self, berth: Berth, now: Moment) {
        if let State::Starting(wanted) = &self.state
            && self.berth == berth
        {
            let wanted = wanted.clone();
            self.succeed(wanted, berth, now);
        }
    }

    /// Its process ended, or could not be started: whether by itself.
    pub fn ended(
        &mut self,
        berth: Berth,
        now: Moment,
        window: Duration,
        rng: &mut Generator,
    ) -> bool {
        if let Some(at) = self.leaving.iter().position(|gone| gone.berth == berth) {
            self.leaving.remove(at);
            return false;
        }
        match self.state.clone() {
            // Heir ⇒ Up: it, or the other one, is gone
            State::Heir(_, heir) if berth == self.berth => {
                self.succeed(heir.wanted, heir.berth, now);
                false
            }
            State::Heir(runs, heir) if berth == heir.berth => {
                self.state = State::Up(runs);
                if heir.fate == Fate::Unwanted {
                    return false;
                }
                self.never |= heir.fate == Fate::TooLate;
                self.not_before = now + self.crash(now, window, rng);
                true
            }
            _ if berth != self.berth => false,
            // Ending, Killed ⇒ Down
            State::Ending(..) | State::Killed(_) => {
                self.become_(State::Down, now);
                false
            }
            // Starting, Up ⇒ Resting
            State::Starting(_) | State::Up(_) => {
                let rest = self.crash(now, window, rng);
                self.become_(State::Resting(now + rest), now);
                true
            }
            State::Down | State::Resting(_) | State::Heir(..) => false,
        }
    }

    /// Counts a crash. How long to rest after it.
    fn crash(&mut self, now: Moment, window: Duration, rng: &mut Generator) -> Duration {
        if now.since(self.since) >= window {
            self.backoff.succeed();
        }
        self.crashed += 1;
        self.crashes.truncate(REMEMBERED - 1);
        self.crashes.push_front(now);
        self.backoff.fail(rng)
    }

    /// Forgets crashes: they were another version's.
    pub fn forgive(&mut self) {
        self.crashes.clear();
        self.backoff.succeed();
        self.never = false;
        self.not_before = Moment::ZERO;
        if let State::Resting(_) = self.state {
            self.state = State::Down;
        }
    }
}

/// Whether both ask for the same process.
fn same(one: &Wanted, two: &Wanted) -> bool {
    one.program == two.program && one.release == two.release && one.settings == two.settings
}
