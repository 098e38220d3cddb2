//! What others see of a daemon's life: whether it runs, as what, since when, and when it has to be looked at.

use std::time::Duration;

use common::clock::Moment;

use super::heir::Fate;
use super::process::Berth;
use super::{Life, SILENCE, State, same};
use crate::engine::document::intent::Wanted;
use crate::engine::document::report::Doing;

impl Life {
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
