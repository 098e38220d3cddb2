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
            Self::Replayed => "the agent goes on with its next report",
            Self::Refused(reason) => reason.advice(),
        }
    }
}
