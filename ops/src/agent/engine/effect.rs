//! What comes out of an agent: what the shell is to do, and what is said in the log.

use std::fmt;

use super::life::{Berth, Sign};
use super::standing::Standing;
use crate::engine::document::intent::Wanted;
use crate::engine::document::refusal::RefusalReason;
use crate::engine::document::report::Report;
use crate::engine::document::words::{DaemonName, Digest, Version};

/// What the shell is to do.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Write this down, durably. Answered by [`super::Agent::handle_kept`].
    Keep(Box<Standing>),
    /// Bring this release to the disk and check it. Answered by [`super::Agent::handle_slot`] or
    /// [`super::Agent::handle_no_slot`].
    Fetch(Version, Digest),
    /// Remove this release from the disk.
    Forget(Version),
    /// Start a daemon. Answered by [`super::Agent::handle_started`] or [`super::Agent::handle_ended`].
    Start(Box<Start>),
    /// Tell a daemon's process. Where that is to end it, [`super::Agent::handle_ended`] answers, some time.
    Tell(DaemonName, Berth, Sign),
    /// Keep this daemon's sockets no longer.
    Release(DaemonName),
    /// Call home; a call under way is given up. Answered by [`super::Agent::handle_heard`].
    Call(Box<Report>),
    /// Tell whoever reads the log.
    Say(Event),
}

/// A daemon to start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// Its name.
    pub name: DaemonName,
    /// What it is.
    pub wanted: Wanted,
    /// Its command line.
    pub arguments: Vec<String>,
    /// Which of its processes it is.
    pub berth: Berth,
    /// The one whose place it is to take.
    pub predecessor: Option<Berth>,
}

/// What happened, for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// An intent was accepted; it is in force once its releases are here.
    Accepted(u64),
    /// A document was refused.
    Refused(RefusalReason),
    /// An intent is in force.
    InForce(u64),
    /// All daemons of the intent in force were up for the time of probation.
    Proven(u64),
    /// A daemon did not stay up; the intent before is in force again.
    FellBack(DaemonName, Version),
    /// A daemon ended by itself.
    Crashed(DaemonName, String),
    /// Another process of a daemon serves, in the place of the one before.
    TookOver(DaemonName, Version),
    /// A release could not be brought to the disk.
    NotFetched(Version, String),
    /// A standing could not be written down.
    NotKept,
}

impl Event {
    /// Whether somebody may want to do something about it.
    #[must_use]
    pub const fn is_trouble(&self) -> bool {
        !matches!(
            self,
            Self::Accepted(_) | Self::InForce(_) | Self::Proven(_) | Self::TookOver(..)
        )
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted(serial) => write!(f, "intent {serial} accepted"),
            Self::Refused(reason) => write!(f, "refused: {}: {}", reason.as_str(), reason.advice()),
            Self::InForce(serial) => write!(f, "intent {serial} in force"),
            Self::Proven(serial) => write!(f, "intent {serial} proven"),
            Self::FellBack(daemon, release) => {
                write!(
                    f,
                    "{daemon} {release} does not stay up; the intent before is in force"
                )
            }
            Self::Crashed(daemon, how) => write!(f, "{daemon} ended by itself: {how}"),
            Self::TookOver(daemon, release) => write!(f, "{daemon} {release} serves in its place"),
            Self::NotFetched(release, why) => write!(f, "release {release} not fetched: {why}"),
            Self::NotKept => f.write_str("the state could not be written; nothing changes"),
        }
    }
}
