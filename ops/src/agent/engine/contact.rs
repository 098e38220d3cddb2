//! The calls home: when the next one is due, and what the last ones came to.

use std::time::Duration;

use common::backoff::Backoff;
use common::clock::Moment;
use common::rng::Generator;
use serde::Serialize;

use crate::engine::document::refusal::RefusalReason;

/// Wait after the first failed call.
const RETRY_MIN: Duration = Duration::from_secs(1);

/// Longest wait between two calls.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Jitter after an answer, so that agents that were answered together do not call together.
const AFTER_ANSWER: Duration = Duration::from_secs(2);

/// Between two calls at the least, whatever happens here.
const APART: Duration = Duration::from_millis(500);

/// What a call came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard<'a> {
    /// A document.
    Document(&'a [u8]),
    /// The controller has nothing new.
    Nothing,
    /// No answer that makes sense.
    Failure(CallReason),
}

/// Why a call came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallReason {
    /// Nobody accepts connections there.
    Connect,
    /// The connection broke, or what came over it was no answer.
    Broken,
    /// No answer in time.
    Late,
    /// The controller does not know this node.
    UnknownNode,
    /// The controller says that it cannot.
    Error,
    /// The answer was longer than any document.
    TooLarge,
}

impl CallReason {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Broken => "broken",
            Self::Late => "late",
            Self::UnknownNode => "unknown_node",
            Self::Error => "error",
            Self::TooLarge => "too_large",
        }
    }
}

/// The state of the calls.
#[derive(Debug)]
pub struct Contact {
    due: Option<Moment>,
    asked: Moment,
    backoff: Backoff,
    answered: Option<Moment>,
    failing: Option<(CallReason, Moment)>,
    refused: Option<(RefusalReason, Moment)>,
    ahead_s: Option<i64>,
}

impl Contact {
    /// No call was made; the first one is due.
    #[must_use]
    pub const fn new(now: Moment) -> Self {
        Self {
            due: Some(now),
            asked: now,
            backoff: Backoff::new(RETRY_MIN, RETRY_MAX),
            answered: None,
            failing: None,
            refused: None,
            ahead_s: None,
        }
    }

    /// Whether to call; from then on a call is under way.
    pub fn due(&mut self, now: Moment) -> bool {
        let due = self.due.is_some_and(|due| due <= now);
        if due {
            self.due = None;
            self.asked = now;
        }
        due
    }

    /// Something happened that the controller should know soon. While it does not answer, that is no
    /// reason to call more often.
    pub fn news(&mut self, now: Moment) {
        if self.failing.is_none() {
            let soon = now.max(self.asked + APART);
            self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
        }
    }

    /// A call came to `heard`: whether the controller answered.
    pub fn heard(&mut self, heard: &Heard<'_>, now: Moment, rng: &mut Generator) -> bool {
        match heard {
            Heard::Document(_) | Heard::Nothing => {
                self.backoff.succeed();
                self.answered = Some(now);
                self.failing = None;
                self.due = Some(now.max(self.asked + APART) + rng.jitter(AFTER_ANSWER));
                true
            }
            Heard::Failure(reason) => {
                let since = self.failing.map_or(now, |(_, since)| since);
                self.failing = Some((*reason, since));
                self.due = Some(now + self.backoff.fail(rng));
                false
            }
        }
    }

    /// A document was refused: whether for another reason than the last one.
    pub fn refused(&mut self, reason: RefusalReason, now: Moment) -> bool {
        let other = self.refused.is_none_or(|(last, _)| last != reason);
        self.refused = Some((reason, now));
        // It is offered again at once, and refused again.
        self.due = Some(now + RETRY_MAX / 4);
        other
    }

    /// What followed from a document is on the disk; that it was not is over.
    pub fn kept(&mut self) {
        self.refused = self
            .refused
            .filter(|(reason, _)| *reason != RefusalReason::NotKept);
    }

    /// The controller's calendar was so many seconds ahead of this node's; behind, if negative.
    pub const fn dated(&mut self, ahead_s: i64) {
        self.ahead_s = Some(ahead_s);
    }

    /// See [`dated`](Self::dated); nothing if the controller never said.
    #[must_use]
    pub const fn ahead_s(&self) -> Option<i64> {
        self.ahead_s
    }

    /// A document was accepted, or known.
    pub const fn agreed(&mut self) {
        self.refused = None;
    }

    /// When the next call is due; never, while one is under way.
    #[must_use]
    pub fn wake(&self) -> Moment {
        self.due.unwrap_or(Moment::NEVER)
    }

    /// When the controller last answered.
    #[must_use]
    pub const fn answered(&self) -> Option<Moment> {
        self.answered
    }

    /// Why calls fail, and since when.
    #[must_use]
    pub const fn failing(&self) -> Option<(CallReason, Moment)> {
        self.failing
    }

    /// Why the last document was refused, and when; nothing if one was accepted since.
    #[must_use]
    pub const fn refusal(&self) -> Option<(RefusalReason, Moment)> {
        self.refused
    }
}
