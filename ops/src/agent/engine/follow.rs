//! What follows from the state of an agent as it is: which daemons are started and ended, which releases come
//! and go, what is written down next, when home is called. What happened is noted before, by the façade.

use common::clock::Moment;

use super::life::{Act, Life};
use super::standing::Standing;
use super::{Agent, Effect, Event, Start};
use crate::engine::document::intent::Wanted;
use crate::engine::document::words::{DaemonName, RunState, Version};

impl Agent {
    /// Has `next` written down, unless something else is.
    pub(super) fn keep(&mut self, next: Standing) {
        if self.pending.is_none() {
            self.effects.push_back(Effect::Keep(Box::new(next.clone())));
            self.pending = Some(next);
        }
    }

    /// `next` is on the disk: from here on it counts.
    pub(super) fn follow(&mut self, next: Standing, now: Moment) {
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

    /// Everything that follows from the state as it is.
    pub(super) fn advance(&mut self, now: Moment) {
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
    pub(super) fn wanted(&self, name: &DaemonName) -> Option<&Wanted> {
        self.standing.in_force()?.body.daemons.get(name)
    }

    fn run_daemons(&mut self, now: Moment) {
        let times = self.config.times();
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
            (true, None) => {
                self.contact.news(now);
                Some(now)
            }
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
