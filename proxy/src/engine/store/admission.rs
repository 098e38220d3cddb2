//! What gets onto disk and what stays there: the seam at which a policy is put in.
//!
//! The shelf asks before a whole response is written, and once more for each record whose segment is
//! about to go. A policy sees what is known at that time and keeps its own memory; it has no clock and
//! no randomness of its own, and is called under the engine's lock.

use std::fmt;
use std::time::Duration;

use crate::engine::http::key::PrimaryKey;

/// A whole response that could be written to disk.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Which.
    pub key: &'a PrimaryKey,
    /// Bytes of its body and head.
    pub bytes: u64,
    /// How long it is still fresh.
    pub fresh: Duration,
    /// How often its URL was found in memory since it is there.
    pub found: u64,
}

/// Why a response does not get onto disk.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NotAdmitted {
    /// Nobody is expected to ask for it again.
    Once,
}

impl NotAdmitted {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
        }
    }
}

/// See the module.
pub trait Admission: fmt::Debug + Send {
    /// Whether a response is written to disk.
    ///
    /// # Errors
    /// Why it is not.
    fn to_disk(&mut self, candidate: &Candidate<'_>) -> Result<(), NotAdmitted>;

    /// Whether a record stays when its segment goes; `used` says whether it was read since it was
    /// written.
    fn stays_on_disk(&mut self, used: bool) -> bool;
}

/// Everything is written; what was read stays: a second chance.
#[derive(Clone, Copy, Debug)]
pub struct AdmitAll;

impl Admission for AdmitAll {
    fn to_disk(&mut self, _: &Candidate<'_>) -> Result<(), NotAdmitted> {
        Ok(())
    }

    fn stays_on_disk(&mut self, used: bool) -> bool {
        used
    }
}
