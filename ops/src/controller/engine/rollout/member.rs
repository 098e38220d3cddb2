//! One node of a rollout: where it is, and how it moves from place to place.

use std::collections::BTreeMap;
use std::time::Duration;

use common::clock::Moment;
use serde::{Deserialize, Serialize};

use super::gate::{Count, FailReason, Measures};
use super::passed::{Passed, step};
use super::{Config, Runs, Seen};
use crate::engine::document::words::{DaemonName, Version};

/// Where a node is in a rollout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Its wave has not come, or its cluster has as many as may change at once.
    Waiting,
    /// It was told, and is not seen to run the release yet.
    Told,
    /// It was seen to run the release.
    Runs,
    /// It does not run the release, for this reason.
    Failed(FailReason),
    /// The rollout goes on without it.
    Aside(AsideReason),
    /// It was sent back, and is not seen to be back yet.
    SentBack,
    /// It is back.
    Returned,
}

impl Place {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Told => "told",
            Self::Runs => "runs",
            Self::Failed(_) => "failed",
            Self::Aside(_) => "aside",
            Self::SentBack => "sent_back",
            Self::Returned => "returned",
        }
    }
}

/// Why a rollout goes on without a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AsideReason {
    /// Its operator holds it.
    Held,
    /// It was silent when its wave came.
    Absent,
    /// Somebody gave it another order since.
    OtherOrder,
}

impl AsideReason {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Absent => "absent",
            Self::OtherOrder => "other_order",
        }
    }
}

/// What is written of a node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Written {
    /// Its wave, counted from 0.
    pub wave: usize,
    /// The nodes that it is compared with.
    pub cluster: String,
    /// Where it is.
    pub place: Place,
    /// Why it failed, also after it was sent back.
    #[serde(default)]
    pub failed: Option<FailReason>,
    /// Whether it was ever told to run the release.
    pub told: bool,
    /// For how long it has been told, while its deadline has not come.
    #[serde(default)]
    pub told_for: Duration,
    /// What its daemons ran before.
    pub before: BTreeMap<DaemonName, Version>,
    /// What had been counted of it when the gate began to look.
    pub base: Option<Count>,
}

/// A node of a rollout.
#[derive(Clone, Debug)]
pub struct Member {
    /// What is written of it.
    pub written: Written,
    /// For how long it has been in its place, as far as that is known.
    passed: Passed,
    /// Since when it is not as it should be.
    down: Option<Moment>,
}

impl Member {
    /// A node as it was written.
    #[must_use]
    pub const fn new(written: Written, now: Moment) -> Self {
        Self {
            passed: Passed::from(written.told_for, now),
            written,
            down: None,
        }
    }

    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.written.place
    }

    /// For how long it has been in its place; of what was before a restart, only what a deadline is made of.
    #[must_use]
    pub fn for_(&self, now: Moment) -> Duration {
        self.passed.by(now)
    }

    /// A controller begins to look.
    pub(super) const fn wake(&mut self, now: Moment) {
        self.passed = Passed::from(self.written.told_for, now);
    }

    pub(super) const fn go(&mut self, place: Place, now: Moment) {
        if let Place::Failed(reason) = place {
            self.written.failed = Some(reason);
        }
        self.written.place = place;
        self.written.told_for = Duration::ZERO;
        self.passed = Passed::from(Duration::ZERO, now);
    }

    /// Whether it runs the release at this moment, as far as anybody knows.
    pub(super) const fn is_well(&self) -> bool {
        matches!(self.written.place, Place::Runs) && self.down.is_none()
    }

    /// Whether clients cannot count on it because of the rollout.
    pub(super) const fn is_changing(&self) -> bool {
        let ill = matches!(self.written.place, Place::Runs) && self.down.is_some();
        matches!(self.written.place, Place::Told) || ill
    }

    /// What was counted of it since the gate began to look.
    #[must_use]
    pub fn measures(&self, seen: Option<&Seen>, config: &Config, now: Moment) -> Measures {
        let counted = seen.zip(self.written.base.as_ref());
        let mut measures =
            counted.map_or_else(Measures::default, |(seen, base)| seen.count.since(base));
        measures.nodes = 1;
        let down = self
            .down
            .is_some_and(|since| now.since(since) >= config.silence);
        measures.down = u64::from(down);
        measures
    }

    /// The gate begins to look anew.
    pub(super) fn rebase(&mut self, seen: Option<&Seen>) {
        self.written.base = seen.map(|seen| seen.count);
    }

    /// Notes what the node is seen to do; nothing if it was not heard of.
    pub(super) fn note(&mut self, seen: Option<&Seen>, config: &Config, now: Moment) {
        let next = self.next(seen.map(|seen| seen.runs), config, now);
        if next != self.place() {
            self.go(next, now);
            if next == Place::Runs {
                // What was counted before was another release's.
                self.rebase(seen);
            }
        }
        if self.written.base.is_none() {
            self.rebase(seen);
        }
        self.keep(config, now);
        self.down = match (self.place(), seen.map(|seen| seen.runs)) {
            // The caller has waited for a word long enough.
            (Place::Runs | Place::Waiting, None) => Some(now - config.silence),
            (Place::Runs | Place::Waiting, Some(Runs::Neither)) => Some(self.down.unwrap_or(now)),
            _ => None,
        };
    }

    /// What of its deadline has passed is written, a step at a time.
    fn keep(&mut self, config: &Config, now: Moment) {
        let passed = self.passed.by(now);
        let due = self.written.told_for + step(config.start_deadline);
        if self.place() == Place::Told && passed >= due {
            self.written.told_for = passed;
        }
    }

    fn next(&self, runs: Option<Runs>, config: &Config, now: Moment) -> Place {
        match (self.place(), runs) {
            // Waiting, Aside ⇒ (Waiting | Aside | Runs)
            (Place::Waiting, Some(Runs::Held)) => Place::Aside(AsideReason::Held),
            (
                Place::Aside(AsideReason::Held | AsideReason::Absent),
                Some(Runs::Old | Runs::Neither | Runs::FellBack),
            ) => Place::Waiting,
            (Place::Waiting | Place::Aside(_), Some(Runs::New)) => Place::Runs,
            // Told ⇒ (Runs | Failed | Aside)
            (Place::Told, Some(Runs::New)) => Place::Runs,
            (Place::Told | Place::Runs, Some(Runs::FellBack)) => {
                Place::Failed(FailReason::FellBack)
            }
            (Place::Told, Some(Runs::Held)) => Place::Aside(AsideReason::Held),
            (Place::Told, _) if self.passed.by(now) >= config.start_deadline => {
                Place::Failed(FailReason::NeverStarted)
            }
            // Runs ⇒ (Failed | Aside)
            (Place::Runs, Some(Runs::Old)) => Place::Aside(AsideReason::OtherOrder),
            // SentBack ⇒ (Returned | Aside)
            (Place::SentBack, Some(Runs::Old)) => Place::Returned,
            (Place::SentBack, Some(Runs::Held)) => Place::Aside(AsideReason::Held),
            (place, _) => place,
        }
    }
}
