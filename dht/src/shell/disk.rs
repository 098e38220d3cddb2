//! The directory of the index's state, and how it is: what is remembered for a restart is written here.
//!
//! A write that fails changes nothing: what was written last stays, the index goes on in memory, and this says
//! so once in the log and as long as it lasts on the pages. What is written is `peers`' and `values`'.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::clock::Moment;
use serde_json::{Value, json};

use super::{peers, values};
use crate::engine::store::Held;

/// What keeps something from being written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DiskReason {
    /// No room, or no more of it for this user.
    Full,
    /// The file system can only be read.
    ReadOnly,
    /// Anything else.
    Other,
}

impl DiskReason {
    pub(super) const ALL: [Self; 3] = [Self::Full, Self::ReadOnly, Self::Other];

    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Other,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read_only",
            Self::Other => "other",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Disk {
    dir: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failing: Option<(DiskReason, String, Moment)>,
    failures: [u64; DiskReason::ALL.len()],
}

impl Disk {
    /// The directory `dir`; without one nothing is written.
    pub(super) fn at(dir: Option<PathBuf>) -> Self {
        Self {
            dir,
            state: Mutex::default(),
        }
    }

    /// Whether anything is written at all.
    pub(super) const fn is_there(&self) -> bool {
        self.dir.is_some()
    }

    /// Remembers `known`.
    pub(super) fn remember(&self, known: Vec<SocketAddr>, now: Moment) {
        self.write(now, |dir| peers::save(dir, known));
    }

    /// Writes down what others stored here.
    pub(super) fn keep(&self, held: &[Held], now: Moment) {
        self.write(now, |dir| values::save(dir, held));
    }

    fn write(&self, now: Moment, save: impl FnOnce(&Path) -> io::Result<()>) {
        let Some(dir) = &self.dir else { return };
        let saved = save(dir);
        let mut state = self.state();
        let Err(error) = saved else {
            if state.failing.take().is_some() {
                tracing::info!(dir = %dir.display(), "what is to be remembered is written again");
            }
            return;
        };
        let reason = DiskReason::of(&error);
        state.failures[reason as usize] += 1;
        let since = state.failing.as_ref().map_or(now, |(.., since)| *since);
        if state.failing.is_none() {
            let what = reason.as_str();
            tracing::warn!(dir = %dir.display(), what, %error, "not remembered for a restart; going on");
        }
        state.failing = Some((reason, error.to_string(), since));
    }

    /// How often something could not be written.
    pub(super) fn failures(&self) -> [(DiskReason, u64); DiskReason::ALL.len()] {
        let state = self.state();
        DiskReason::ALL.map(|reason| (reason, state.failures[reason as usize]))
    }

    /// For the state page; null without a directory.
    pub(super) fn shown(&self, now: Moment) -> Value {
        let Some(dir) = &self.dir else {
            return Value::Null;
        };
        let state = self.state();
        let failing = state.failing.as_ref().map(|(reason, error, since)| {
            let for_s = now.since(*since).as_secs();
            json!({ "what": reason.as_str(), "error": error, "for_s": for_s })
        });
        json!({ "dir": dir, "failing": failing })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_disk_that_fails_is_told_until_it_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let disk = Disk::at(Some(state.clone()));
        let peer: SocketAddr = "192.0.2.1:7400".parse().unwrap();
        let at = Moment::from_millis;
        disk.remember(vec![peer], at(0));
        assert_eq!(disk.shown(at(0))["failing"], Value::Null);
        // In the way of what is written aside.
        fs::create_dir(state.join("peers.json.aside")).unwrap();
        disk.remember(Vec::new(), at(1_000));
        disk.remember(Vec::new(), at(31_000));
        let shown = disk.shown(at(32_000));
        assert_eq!(shown["failing"]["what"], "other");
        assert_eq!(shown["failing"]["for_s"], 31);
        assert_eq!(disk.failures()[2], (DiskReason::Other, 2));
        assert_eq!(peers::load(&state), [peer], "what was written stays");
        fs::remove_dir(state.join("peers.json.aside")).unwrap();
        disk.remember(Vec::new(), at(61_000));
        assert_eq!(disk.shown(at(61_000))["failing"], Value::Null);
        assert_eq!(Disk::at(None).shown(at(0)), Value::Null);
    }

    #[test]
    fn a_full_disk_and_one_that_can_only_be_read_have_words_of_their_own() {
        for (kind, reason) in [
            (io::ErrorKind::StorageFull, DiskReason::Full),
            (io::ErrorKind::QuotaExceeded, DiskReason::Full),
            (io::ErrorKind::ReadOnlyFilesystem, DiskReason::ReadOnly),
            (io::ErrorKind::PermissionDenied, DiskReason::Other),
        ] {
            assert_eq!(DiskReason::of(&kind.into()), reason);
        }
    }
}
