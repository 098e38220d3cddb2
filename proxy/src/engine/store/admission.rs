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
    /// How often its URL was asked for before, as far as memory and its ghosts know.
    pub asked: u64,
    /// Whether there is room on disk that nobody has to make for it.
    pub room: bool,
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

/// While the disk has room everything is written; after that, what is asked for a second time. What was
/// read since it was written stays: a second chance.
///
/// Seven URLs of ten are asked for once in a day. Written, each of them would wear the disk and push out
/// one that is asked for (`bench -- hits`; ADR 0045).
#[derive(Clone, Copy, Debug)]
pub struct SecondAsk;

impl Admission for SecondAsk {
    fn to_disk(&mut self, candidate: &Candidate<'_>) -> Result<(), NotAdmitted> {
        if candidate.room || candidate.asked > 0 {
            Ok(())
        } else {
            Err(NotAdmitted::Once)
        }
    }

    fn stays_on_disk(&mut self, used: bool) -> bool {
        used
    }
}

/// Everything is written, to compare others with; what was read stays.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::http::key::Scheme;

    #[test]
    fn a_full_disk_takes_what_is_asked_for_again() {
        let key = PrimaryKey::new(Scheme::Http, "example.com", 80, "/");
        let judge = |asked, room| {
            let candidate = Candidate {
                key: &key,
                bytes: 1,
                fresh: Duration::ZERO,
                asked,
                room,
            };
            SecondAsk.to_disk(&candidate)
        };
        assert_eq!(judge(0, true), Ok(()));
        assert_eq!(judge(0, false), Err(NotAdmitted::Once));
        assert_eq!(judge(1, false), Ok(()));
    }
}
