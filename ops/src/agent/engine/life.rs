//! One daemon's processes: whether it runs, why not, when it is tried again, and how one process takes the
//! place of another.
//!
//! A daemon whose sockets are kept here changes places without a moment in which nobody serves: the heir
//! is started beside the one that serves, is given what only one can have once it is prepared, and the
//! other one is relieved when the heir is ready. An heir that never is ready goes, and nothing
//! else has changed. Any other daemon ends first and is started then.

use std::collections::VecDeque;
use std::time::Duration;

use common::backoff::Backoff;
use common::clock::Moment;
use common::rng::Generator;

use crate::engine::document::intent::Wanted;
use crate::engine::document::report::Doing;
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

/// Which of the processes that one daemon may have at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Berth(u8);

impl Berth {
    /// Processes of one daemon at most: one that serves, its heir, and those that finish what they began.
    pub const MAX: u8 = 4;

    /// Number `n`, from 0.
    #[must_use]
    pub const fn new(n: u8) -> Option<Self> {
        if n < Self::MAX { Some(Self(n)) } else { None }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// For a process that was asked to end.
    pub grace: Duration,
    /// For an heir to be ready.
    pub ready: Duration,
    /// For a process that was relieved, to finish what it began.
    pub drain: Duration,
}

/// What a process is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    /// Give up what only one process can have, and go on.
    GiveUp,
    /// Another one serves: finish what was begun, and end.
    Relieved,
    /// End.
    Terminate,
    /// End at once.
    Kill,
}

/// What to do with a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Start it, beside the one that serves if there is one.
    Start(Berth, Option<Berth>),
    /// Tell it.
    Tell(Berth, Sign),
    /// Nobody is to come after it: its sockets are kept no longer.
    Release,
}

/// What a process says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notice {
    /// It has all but what only one process can have.
    Prepared,
    /// It serves.
    Ready,
    /// It lives.
    Alive,
    /// It has its sockets kept.
    Keeps,
}

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

#[derive(Clone, PartialEq, Eq, Debug)]
struct Heir {
    wanted: Wanted,
    berth: Berth,
    until: Moment,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// It may become ready.
    Coming,
    /// It was killed because it did not in time.
    TooLate,
    /// It was killed because something else is wanted by now.
    Unwanted,
}

/// A process that finishes what it began.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Leaving {
    berth: Berth,
    /// When it is killed; `None` once it was.
    until: Option<Moment>,
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
            berth: Berth(0),
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

    /// Another process of it, older than those found before: whose place the youngest is to take, or one
    /// that finishes what it began.
    pub fn found_older(&mut self, wanted: Wanted, berth: Berth, times: &Times, now: Moment) {
        match &self.state {
            State::Up(heir) => {
                let heir = Heir {
                    wanted: heir.clone(),
                    berth: self.berth,
                    until: now + times.ready,
                    fate: Fate::Coming,
                };
                self.berth = berth;
                self.become_(State::Heir(wanted, heir), now);
            }
            _ => self.leave(berth, now + times.drain),
        }
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

    /// A berth in which there is no process. When all are taken the first that was to leave is waited for.
    fn free(&self) -> Option<Berth> {
        let taken = |berth: &Berth| {
            self.serves(*berth) || self.leaving.iter().any(|leaving| leaving.berth == *berth)
        };
        (0..Berth::MAX).map(Berth).find(|berth| !taken(berth))
    }

    fn leave(&mut self, berth: Berth, until: Moment) {
        let until = Some(until);
        self.leaving.push(Leaving { berth, until });
    }

    /// Those whose time to finish is over are killed; as is the first of too many.
    fn see_off(&mut self, now: Moment) -> Option<Act> {
        let crowded = self.leaving.len() + 2 > usize::from(Berth::MAX);
        let due = |(at, leaving): (usize, &Leaving)| {
            let due = leaving.until.is_some_and(|until| until <= now);
            due || (crowded && at == 0 && leaving.until.is_some())
        };
        let at = self.leaving.iter().enumerate().position(due)?;
        let leaving = self.leaving.get_mut(at)?;
        leaving.until = None;
        Some(Act::Tell(leaving.berth, Sign::Kill))
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

    // Up ⇒ Heir
    fn call_heir(
        &mut self,
        runs: &Wanted,
        wanted: Wanted,
        times: &Times,
        now: Moment,
    ) -> Option<Act> {
        let heir = Heir {
            wanted,
            berth: self.free()?,
            until: now + times.ready,
            fate: Fate::Coming,
        };
        let berth = heir.berth;
        self.state = State::Heir(runs.clone(), heir);
        Some(Act::Start(berth, Some(self.berth)))
    }

    fn judge_heir(&mut self, unwanted: bool, now: Moment) -> Option<Act> {
        let State::Heir(_, heir) = &mut self.state else {
            return None;
        };
        heir.fate = match heir.fate {
            Fate::Coming if unwanted => Fate::Unwanted,
            Fate::Coming if heir.until <= now => Fate::TooLate,
            Fate::Coming | Fate::TooLate | Fate::Unwanted => return None,
        };
        Some(Act::Tell(heir.berth, Sign::Kill))
    }

    /// A process says something of itself.
    pub fn notice(
        &mut self,
        berth: Berth,
        notice: Notice,
        times: &Times,
        now: Moment,
    ) -> Option<Act> {
        let serves = self.serves(berth);
        match notice {
            Notice::Alive if serves => self.sign = Some(now),
            Notice::Keeps if serves => self.keeps = true,
            Notice::Prepared | Notice::Ready => return self.heir_says(berth, notice, times, now),
            Notice::Alive | Notice::Keeps => {}
        }
        None
    }

    fn heir_says(
        &mut self,
        berth: Berth,
        notice: Notice,
        times: &Times,
        now: Moment,
    ) -> Option<Act> {
        let State::Heir(_, heir) = &self.state else {
            return None;
        };
        if heir.berth != berth || heir.fate != Fate::Coming {
            return None;
        }
        let before = self.berth;
        if notice == Notice::Prepared {
            return Some(Act::Tell(before, Sign::GiveUp));
        }
        // Heir ⇒ Up
        let wanted = heir.wanted.clone();
        self.leave(before, now + times.drain);
        self.succeed(wanted, berth, now);
        Some(Act::Tell(before, Sign::Relieved))
    }

    fn succeed(&mut self, wanted: Wanted, berth: Berth, now: Moment) {
        self.berth = berth;
        (self.sign, self.doubt) = (None, None);
        self.become_(State::Up(wanted), now);
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

    /// Whether it ended by itself `most` times within the last `window`, or was not ready in time to take
    /// its predecessor's place.
    #[must_use]
    pub fn loops(&self, most: usize, now: Moment, window: Duration) -> bool {
        let recent = self.crashes.iter().filter(|at| now.since(**at) <= window);
        self.never || recent.count() >= most
    }

    /// Whether it runs as `wanted`.
    #[must_use]
    pub fn is_up(&self, wanted: &Wanted) -> bool {
        matches!(&self.state, State::Up(runs) if same(runs, wanted))
    }

    /// Whether no process serves, nor one that is on its way.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self.state, State::Down | State::Resting(_))
    }

    /// Whether there is nothing left of it.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.is_gone() && self.leaving.is_empty() && !self.keeps
    }

    /// When [`step`](Self::step) may have something to do, if time alone decides.
    #[must_use]
    pub fn wake(&self) -> Option<Moment> {
        let own = match &self.state {
            State::Resting(at) | State::Ending(_, at) => Some(*at),
            State::Heir(_, heir) => (heir.fate == Fate::Coming).then_some(heir.until),
            State::Up(_) => {
                let silence = self.doubt.or(self.sign.map(|sign| sign + SILENCE));
                let rests = Some(self.not_before).filter(|at| *at > self.since);
                silence.into_iter().chain(rests).min()
            }
            State::Down | State::Starting(_) | State::Killed(_) => None,
        };
        let leaving = self.leaving.iter().filter_map(|leaving| leaving.until);
        leaving.chain(own).min()
    }

    /// What it runs as, if there is a process.
    #[must_use]
    pub const fn runs(&self) -> Option<&Wanted> {
        match &self.state {
            State::Starting(wanted)
            | State::Up(wanted)
            | State::Heir(wanted, _)
            | State::Ending(wanted, _)
            | State::Killed(wanted) => Some(wanted),
            State::Down | State::Resting(_) => None,
        }
    }

    /// What it does, and since when.
    #[must_use]
    pub const fn doing(&self) -> (Doing, Moment) {
        let doing = match self.state {
            State::Down | State::Starting(_) => Doing::Down,
            State::Up(_) | State::Heir(..) => Doing::Up,
            State::Ending(..) | State::Killed(_) => Doing::Ending,
            State::Resting(_) => Doing::Resting,
        };
        (doing, self.since)
    }

    /// Whether the process in `berth` is the one that serves, or is to.
    #[must_use]
    pub fn serves(&self, berth: Berth) -> bool {
        !self.is_gone() && self.berth == berth
    }

    /// How often it ended by itself.
    #[must_use]
    pub const fn crashes(&self) -> u64 {
        self.crashed
    }
}

/// Whether both ask for the same process.
fn same(one: &Wanted, two: &Wanted) -> bool {
    one.program == two.program && one.release == two.release && one.settings == two.settings
}
