//! Where a rollout is, why it is there, and what an operator tells it.

use serde::{Deserialize, Serialize};

use super::gate::FailReason;

/// Where a rollout is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// This wave, counted from 0, is under way.
    Wave(usize),
    /// Nothing new is begun until somebody says so.
    Paused(usize, PauseReason),
    /// A gate failed, or somebody said so: whoever was changed is sent back.
    Back(StopReason),
    /// Everybody was sent back, and all that are heard of are seen to run the release before.
    RolledBack(StopReason),
    /// Stopped as it is.
    Halted,
    /// All nodes run the release, but for those that are aside.
    Done,
}

impl Phase {
    /// Whether it is over: nothing happens by itself any more.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::RolledBack(_) | Self::Halted | Self::Done)
    }
}

/// Why a rollout pauses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// Somebody said so.
    Asked,
    /// The gate had too little to go by.
    Inconclusive,
}

impl PauseReason {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// Why a rollout is taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Somebody said so.
    Asked,
    /// A gate failed.
    Gate(FailReason),
}

/// What an operator tells a rollout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Begin nothing new. What was told is watched on.
    Pause,
    /// Go on. After an inconclusive gate that is the word of whoever looked: the wave passes.
    Resume,
    /// Stop as it is: nobody is sent anywhere.
    Halt,
    /// Send back whoever was changed, also after the end.
    RollBack,
}
