//! Why a controller says no.

use crate::engine::document::refusal::RefusalReason;

/// Why a controller says no.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DeskReason {
    /// There is no such node.
    UnknownNode,
    /// More than one node has a key that begins so.
    Ambiguous,
    /// A name has 1 to 64 letters, digits, hyphens, dots and underscores.
    Name,
    /// Another node has this name.
    NameTaken,
    /// There are as many nodes as there may be.
    TooManyNodes,
    /// There are as many releases as there may be.
    TooManyReleases,
    /// There is no such release.
    UnknownRelease,
    /// Another release of this version is here.
    OtherRelease,
    /// A program of the release is not here.
    MissingProgram,
    /// A report that was here before, or is older than one that was.
    Replayed,
    /// There is no such rollout.
    NoRollout,
    /// A rollout is under way already.
    UnderWay,
    /// Nobody is left who would be changed.
    NothingToDo,
    /// The release speaks another wire generation than what runs.
    OtherGeneration,
    /// The node takes no part in the rollout.
    NotInRollout,
    /// It means nothing where the rollout is.
    NotNow,
    /// A time is out of its bounds.
    Times,
    /// The document is refused.
    Refused(RefusalReason),
}

impl DeskReason {
    /// The word, as in answers and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownNode => "unknown_node",
            Self::Ambiguous => "ambiguous",
            Self::Name => "name",
            Self::NameTaken => "name_taken",
            Self::TooManyNodes => "too_many_nodes",
            Self::TooManyReleases => "too_many_releases",
            Self::UnknownRelease => "unknown_release",
            Self::OtherRelease => "other_release",
            Self::MissingProgram => "missing_program",
            Self::Replayed => "replayed",
            Self::NoRollout => "no_rollout",
            Self::UnderWay => "under_way",
            Self::NothingToDo => "nothing_to_do",
            Self::OtherGeneration => "other_generation",
            Self::NotInRollout => "not_in_rollout",
            Self::NotNow => "not_now",
            Self::Times => "times",
            Self::Refused(reason) => reason.as_str(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::UnknownNode => "enrol it first",
            Self::Ambiguous => "write more of the key",
            Self::Name => "use 1 to 64 letters, digits, hyphens, dots and underscores",
            Self::NameTaken => "choose another name",
            Self::TooManyNodes | Self::TooManyReleases => "a controller has no room for more",
            Self::UnknownRelease => "publish it first",
            Self::OtherRelease => "give it a version of its own",
            Self::MissingProgram => "send its programs before its manifest",
            Self::Replayed => {
                "the agent goes on with its next report; one that lost its state needs the right time of day"
            }
            Self::NoRollout => "start one with `atoll rollout start RELEASE`",
            Self::UnderWay => "wait for its end, or `atoll rollout halt`",
            Self::NothingToDo => "no node that was asked for runs its programs in another release",
            Self::OtherGeneration => {
                "nodes of both would not link up, and each cluster would be split: order nodes by hand"
            }
            Self::NotInRollout => "`atoll rollout status` says who takes part",
            Self::NotNow => "`atoll rollout status` says where the rollout is",
            Self::Times => "choose times of at most 30 days",
            Self::Refused(reason) => reason.advice(),
        }
    }
}
