//! Why a document was refused.

use serde::{Deserialize, Serialize};

/// Why a document was refused. Whatever it is, the document changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// Larger than [`DOCUMENT_MAX`](super::DOCUMENT_MAX).
    TooLarge,
    /// Not a document, or its body has not the fields it must have.
    Malformed,
    /// There is no signature.
    Unsigned,
    /// The first line is of a format that this program does not know.
    UnknownFormat,
    /// Of another kind than was asked for.
    WrongKind,
    /// Signed by a key that is not trusted for this.
    Stranger,
    /// The signature is not that of the signer over this body.
    BadSignature,
    /// The body is not in its canonical form.
    NotCanonical,
    /// The body is of another schema version.
    UnknownSchema,
    /// The body has a field that must be understood and is not.
    UnknownCritical,
    /// A number, a name or a list is out of its bounds.
    OutOfBounds,
    /// Meant for another node.
    NotForThisNode,
    /// Older than what was accepted before: an old one sent again, or a controller that forgot.
    OlderSerial,
    /// The same serial as what was accepted before, and other words.
    ConflictingSerial,
    /// An older version than runs, without saying that it is meant.
    Downgrade,
    /// Nothing of what runs would go on running.
    StopsEverything,
    /// There is no release left to run.
    NoReleases,
    /// A daemon is to run a release that the intent does not list.
    UnlistedRelease,
    /// The release is another one than the intent names by its digest.
    OtherRelease,
    /// The release has no such program.
    NoSuchProgram,
    /// The node is held by its operator.
    Held,
    /// The node could not write it down, so it does not follow it.
    NotKept,
}

impl RefusalReason {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::TooLarge,
        Self::Malformed,
        Self::Unsigned,
        Self::UnknownFormat,
        Self::WrongKind,
        Self::Stranger,
        Self::BadSignature,
        Self::NotCanonical,
        Self::UnknownSchema,
        Self::UnknownCritical,
        Self::OutOfBounds,
        Self::NotForThisNode,
        Self::OlderSerial,
        Self::ConflictingSerial,
        Self::Downgrade,
        Self::StopsEverything,
        Self::NoReleases,
        Self::UnlistedRelease,
        Self::OtherRelease,
        Self::NoSuchProgram,
        Self::Held,
        Self::NotKept,
    ];

    /// The word, as in logs, reports and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Unsigned => "unsigned",
            Self::UnknownFormat => "unknown_format",
            Self::WrongKind => "wrong_kind",
            Self::Stranger => "stranger",
            Self::BadSignature => "bad_signature",
            Self::NotCanonical => "not_canonical",
            Self::UnknownSchema => "unknown_schema",
            Self::UnknownCritical => "unknown_critical",
            Self::OutOfBounds => "out_of_bounds",
            Self::NotForThisNode => "not_for_this_node",
            Self::OlderSerial => "older_serial",
            Self::ConflictingSerial => "conflicting_serial",
            Self::Downgrade => "downgrade",
            Self::StopsEverything => "stops_everything",
            Self::NoReleases => "no_releases",
            Self::UnlistedRelease => "unlisted_release",
            Self::OtherRelease => "other_release",
            Self::NoSuchProgram => "no_such_program",
            Self::Held => "held",
            Self::NotKept => "not_kept",
        }
    }

    /// What it means and what to do, for people.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::TooLarge => "larger than any document; ask who sent it",
            Self::Malformed => "damaged, or no document at all",
            Self::Unsigned => "sign it with a key that the node trusts",
            Self::UnknownFormat | Self::UnknownSchema | Self::UnknownCritical => {
                "written by a newer program: update this one first"
            }
            Self::WrongKind => "another kind of document was asked for",
            Self::Stranger => "its signer is not trusted here: was the controller's key changed?",
            Self::BadSignature => "changed after it was signed",
            Self::NotCanonical => "not written by this program",
            Self::OutOfBounds => "a number, name or list in it is out of bounds",
            Self::NotForThisNode => "it is meant for another node",
            Self::OlderSerial => {
                "the controller forgot what it ordered: was its database replaced?"
            }
            Self::ConflictingSerial => {
                "two controllers give orders, or one was restored from a copy"
            }
            Self::Downgrade => "say that the older version is meant",
            Self::StopsEverything => "stop one daemon at a time, or stop the agent itself",
            Self::NoReleases => "an order without releases is an accident",
            Self::UnlistedRelease => "list every release that a daemon is to run",
            Self::OtherRelease => "publish the release again under a version of its own",
            Self::NoSuchProgram => "the release lacks a program that a daemon needs",
            Self::Held => "the node goes on as it is until `atoll resume`",
            Self::NotKept => "the node's disk is full or failing",
        }
    }
}
