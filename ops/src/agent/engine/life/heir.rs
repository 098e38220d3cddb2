//! How one process of a daemon takes the place of another: the heir that comes, and those that leave.

use common::clock::Moment;

use super::process::{Act, Berth, Notice, Sign, Times};
use super::{Life, State};
use crate::engine::document::intent::Wanted;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Heir {
    pub(super) wanted: Wanted,
    pub(super) berth: Berth,
    pub(super) until: Moment,
    pub(super) fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// It may become ready.
    Coming,
    /// It was killed because it did not in time.
    TooLate,
    /// It was killed because something else is wanted by now.
    Unwanted,
}

/// A process that finishes what it began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Leaving {
    pub(super) berth: Berth,
    /// When it is killed; `None` once it was.
    pub(super) until: Option<Moment>,
}

impl Life {
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

    /// A berth in which there is no process. When all are taken the first that was to leave is waited for.
    pub(super) fn free(&self) -> Option<Berth> {
        let taken = |berth: &Berth| {
            self.serves(*berth) || self.leaving.iter().any(|leaving| leaving.berth == *berth)
        };
        Berth::all().find(|berth| !taken(berth))
    }

    fn leave(&mut self, berth: Berth, until: Moment) {
        let until = Some(until);
        self.leaving.push(Leaving { berth, until });
    }

    /// Those whose time to finish is over are killed; as is the first of too many.
    pub(super) fn see_off(&mut self, now: Moment) -> Option<Act> {
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

    // Up ⇒ Heir
    pub(super) fn call_heir(
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

    pub(super) fn judge_heir(&mut self, unwanted: bool, now: Moment) -> Option<Act> {
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
            Notice::Prepared | Notice::Ready => return self.heir_says((berth, notice), times, now),
            Notice::Alive | Notice::Keeps => {}
        }
        None
    }

    fn heir_says(
        &mut self,
        (berth, notice): (Berth, Notice),
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

    pub(super) fn succeed(&mut self, wanted: Wanted, berth: Berth, now: Moment) {
        self.berth = berth;
        (self.sign, self.doubt) = (None, None);
        self.become_(State::Up(wanted), now);
    }
}
