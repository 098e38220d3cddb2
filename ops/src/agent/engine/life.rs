//! One daemon's process: whether it runs, why not, and when it is tried again.

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

/// What to do with a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Start it.
    Start,
    /// Ask it to end.
    Terminate,
    /// End it at once.
    Kill,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    /// There is no process.
    Down,
    /// A process was asked for.
    Starting(Wanted),
    /// The process runs.
    Up(Wanted),
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
    since: Moment,
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
            since: now,
            backoff: Backoff::new(REST_MIN, REST_MAX),
            crashes: VecDeque::new(),
            crashed: 0,
        }
    }

    /// A daemon that runs already, as `wanted`.
    #[must_use]
    pub fn found(wanted: Wanted, now: Moment) -> Self {
        let mut life = Self::new(now);
        life.state = State::Up(wanted);
        life
    }

    /// What is to be done so that it becomes as `wanted`; `ready` says whether its program is here.
    pub fn step(
        &mut self,
        wanted: Option<&Wanted>,
        ready: bool,
        grace: Duration,
        now: Moment,
    ) -> Option<Act> {
        let run = wanted.filter(|wanted| wanted.state == RunState::Run);
        match &self.state {
            State::Resting(until) if *until > now => None,
            // Down, Resting ⇒ Starting; Resting ⇒ Down, where there is nothing to start
            State::Down | State::Resting(_) => {
                let Some(wanted) = run.filter(|_| ready) else {
                    self.rested(now);
                    return None;
                };
                self.become_(State::Starting(wanted.clone()), now);
                Some(Act::Start)
            }
            State::Starting(_) | State::Killed(_) => None,
            // Up ⇒ Ending; what is to take its place has to be here first
            State::Up(runs) => {
                if run.is_some_and(|wanted| !ready || same(wanted, runs)) {
                    return None;
                }
                let runs = runs.clone();
                self.become_(State::Ending(runs, now + grace), now);
                Some(Act::Terminate)
            }
            // Ending ⇒ Killed
            State::Ending(runs, at) => {
                if *at > now {
                    return None;
                }
                let runs = runs.clone();
                self.become_(State::Killed(runs), now);
                Some(Act::Kill)
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

    /// Its process was started. Starting ⇒ Up
    pub fn started(&mut self, now: Moment) {
        if let State::Starting(wanted) = &self.state {
            let wanted = wanted.clone();
            self.become_(State::Up(wanted), now);
        }
    }

    /// Its process ended, or could not be started: whether by itself.
    pub fn ended(&mut self, now: Moment, window: Duration, rng: &mut Generator) -> bool {
        match &self.state {
            // Ending, Killed ⇒ Down
            State::Ending(..) | State::Killed(_) => {
                self.become_(State::Down, now);
                false
            }
            // Starting, Up ⇒ Resting
            State::Starting(_) | State::Up(_) => {
                if now.since(self.since) >= window {
                    self.backoff.succeed();
                }
                let rest = self.backoff.fail(rng);
                self.become_(State::Resting(now + rest), now);
                self.crashed += 1;
                self.crashes.truncate(REMEMBERED - 1);
                self.crashes.push_front(now);
                true
            }
            State::Down | State::Resting(_) => false,
        }
    }

    /// Forgets crashes: they were another version's.
    pub fn forgive(&mut self) {
        self.crashes.clear();
        self.backoff.succeed();
        if let State::Resting(_) = self.state {
            self.state = State::Down;
        }
    }

    /// Whether it ended by itself `most` times within the last `window`.
    #[must_use]
    pub fn loops(&self, most: usize, now: Moment, window: Duration) -> bool {
        let recent = self.crashes.iter().filter(|at| now.since(**at) <= window);
        recent.count() >= most
    }

    /// Whether it runs as `wanted`.
    #[must_use]
    pub fn is_up(&self, wanted: &Wanted) -> bool {
        matches!(&self.state, State::Up(runs) if same(runs, wanted))
    }

    /// Whether there is no process, nor one on its way.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self.state, State::Down | State::Resting(_))
    }

    /// When [`step`](Self::step) may have something to do, if time alone decides.
    #[must_use]
    pub const fn wake(&self) -> Option<Moment> {
        match self.state {
            State::Resting(at) | State::Ending(_, at) => Some(at),
            State::Down | State::Starting(_) | State::Up(_) | State::Killed(_) => None,
        }
    }

    /// What it runs as, if there is a process.
    #[must_use]
    pub const fn runs(&self) -> Option<&Wanted> {
        match &self.state {
            State::Starting(wanted)
            | State::Up(wanted)
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
            State::Up(_) => Doing::Up,
            State::Ending(..) | State::Killed(_) => Doing::Ending,
            State::Resting(_) => Doing::Resting,
        };
        (doing, self.since)
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
