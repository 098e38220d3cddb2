//! Time that has passed, over several controllers one after the other. Pure, and without any calendar.
//!
//! What is waited for is written down as it passes, at steps that are small beside the whole: so a controller that is
//! killed again and again comes to the end of it all the same. What passes while no controller runs does not
//! count: nobody looked.

use std::time::Duration;

use common::clock::Moment;

use super::Config;

/// So many steps are written of what is waited for.
const STEPS: u32 = 20;

/// Shortest step: what is written is a transaction.
const STEP_MIN: Duration = Duration::from_secs(1);

/// Longest step: what a killed controller loses at most.
const STEP_MAX: Duration = Duration::from_secs(10);

/// The step at which time that passes is written, of a time that is waited for.
pub(super) fn step(whole: Duration) -> Duration {
    (whole / STEPS).clamp(STEP_MIN, STEP_MAX)
}

/// Time that has been passing since a moment, and what had passed before that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Passed {
    since: Moment,
    before: Duration,
}

impl Passed {
    /// Goes on from `before`.
    #[must_use]
    pub const fn from(before: Duration, now: Moment) -> Self {
        Self { since: now, before }
    }

    /// All of it.
    #[must_use]
    pub fn by(&self, now: Moment) -> Duration {
        self.before.saturating_add(now.since(self.since))
    }
}

/// For how long all waves so far have been running the release.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Soak {
    /// Nothing if they do not, or if not all of them were heard yet.
    passes: Option<Passed>,
    /// As it is written; of a controller before this one, before anybody was heard.
    kept: Option<Duration>,
}

impl Soak {
    /// As it was written.
    pub(super) const fn of(kept: Option<Duration>) -> Self {
        Self { passes: None, kept }
    }

    /// What is written.
    pub(super) const fn kept(&self) -> Option<Duration> {
        self.kept
    }

    /// How long it is.
    pub(super) fn by(&self, now: Moment) -> Option<Duration> {
        self.passes.map(|passes| passes.by(now)).or(self.kept)
    }

    /// Goes on or begins. How long it is.
    pub(super) fn pass(&mut self, config: &Config, now: Moment) -> Duration {
        let before = self.kept.unwrap_or_default();
        let passed = self.passes.get_or_insert(Passed::from(before, now)).by(now);
        // Beyond that nothing waits for it, for however long somebody pauses the rollout.
        let end = config.soak.saturating_add(config.patience);
        let due = |kept: Duration| kept < end && passed >= kept + step(config.soak);
        if self.kept.is_none_or(due) {
            self.kept = Some(passed);
        }
        passed
    }

    /// Whether it goes on by what was seen here.
    pub(super) const fn passes(&self) -> bool {
        self.passes.is_some()
    }
}
