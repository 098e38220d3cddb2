//! Which process a daemon is: written by the process itself, read by the next agent.
//!
//! A process id alone may be another process's by now. Its start time, in ticks since the machine was
//! started, tells them apart, and the lock that it holds tells whether it still lives.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::engine::document::intent::Wanted;

/// A daemon's process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Its process id.
    pub pid: u32,
    /// Its start time in ticks since the machine was started.
    pub ticks: u64,
    /// What it runs as.
    pub wanted: Wanted,
}

/// The text of the record of process `pid`; `note` is a [`Wanted`] as JSON.
///
/// # Errors
/// There is no such process, or `note` is something else.
pub fn record(pid: u32, note: &str) -> io::Result<String> {
    let record = Record {
        pid,
        ticks: ticks(pid)?,
        wanted: serde_json::from_str(note)?,
    };
    Ok(serde_json::to_string(&record)?)
}

/// The start time of a process in ticks since the machine was started (`proc_pid_stat(5)`, field 22).
fn ticks(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in brackets, and may contain anything.
    let after = stat.rsplit_once(')').map(|(_, after)| after);
    let field = after.and_then(|after| after.split_ascii_whitespace().nth(22 - 3));
    let ticks = field.and_then(|field| field.parse().ok());
    ticks.ok_or_else(|| io::Error::other("the system does not say when it was started"))
}

/// The process of a record that still lives: the lock is held, and its id is its own.
#[must_use]
pub fn alive(lock: &Path, record: &Path) -> Option<Record> {
    let file = File::open(lock).ok()?;
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return None;
    }
    let record: Record = serde_json::from_slice(&fs::read(record).ok()?).ok()?;
    (ticks(record.pid).ok()? == record.ticks).then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_without_a_lock_is_of_the_dead() {
        let dir = tempfile::tempdir().unwrap();
        let (lock, path) = (dir.path().join("lock"), dir.path().join("record"));
        let note = r#"{"program":"atoll-dht","release":"1.0.0","state":"run"}"#;
        let text = record(std::process::id(), note).unwrap();
        fs::write(&path, &text).unwrap();
        assert_eq!(alive(&lock, &path), None, "there is no lock");
        let holder = File::create(&lock).unwrap();
        assert_eq!(alive(&lock, &path), None, "nobody holds it");
        flock(&holder, FlockOperation::LockExclusive).unwrap();
        let found = alive(&lock, &path).unwrap();
        assert_eq!(found.pid, std::process::id());
        let other = Record {
            ticks: found.ticks + 1,
            ..found
        };
        fs::write(&path, serde_json::to_string(&other).unwrap()).unwrap();
        assert_eq!(alive(&lock, &path), None, "the id is another process's");
        assert!(record(std::process::id(), "{}").is_err());
    }
}
