//! `atoll launch`: becomes another program, tied to its parent or recorded for the next one.
//!
//! With `--parent` the kernel is asked to kill this process when the one that started it ends, however it ends,
//! and then the process becomes the program. So not even `kill -9` of `atoll dev` leaves a daemon
//! behind. Only the child itself can ask for this, before it becomes the program; doing so between
//! fork and exec would need unsafe code, a hidden subcommand does not.
//!
//! With `--lock` and `--record` the process outlives whoever started it, and can be found again: it holds
//! the lock for as long as it lives, and the record says which process it is. It writes that itself,
//! so there is no moment at which it runs and nobody could know.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::shell::aside::{self, Outlives};
use rustix::fs::{FlockOperation, flock};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::agent::shell::found;
use crate::outcome::{Failure, Outcome};
use crate::say;

/// Arguments of `atoll launch`.
#[derive(Clone, Debug, clap::Args)]
pub struct LaunchArgs {
    /// Process id of the parent
    #[arg(long, value_name = "PID")]
    parent: Option<u32>,
    /// The file whose lock it holds while it lives
    #[arg(long, value_name = "FILE", requires = "record")]
    lock: Option<PathBuf>,
    /// The file that says which process it is
    #[arg(long, value_name = "FILE", requires = "lock")]
    record: Option<PathBuf>,
    /// What the record says of it
    #[arg(long, value_name = "JSON", default_value = "null")]
    note: String,
    /// The program to become, and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// Becomes the program.
///
/// # Errors
/// The parent is gone already, or the program cannot be started.
pub fn run(args: &LaunchArgs) -> Outcome {
    if let Some(parent) = args.parent {
        die_with_parent()?;
        // It may have ended before the kernel was asked; then nobody would ever tell us.
        if std::os::unix::process::parent_id() != parent {
            let what = "the process that wanted this one is gone";
            return Err(Failure::failed(what, "start it again"));
        }
    }
    if let (Some(lock), Some(record)) = (&args.lock, &args.record) {
        take(lock, record, &args.note).map_err(|error| {
            let what = format!("cannot hold {}: {error}", lock.display());
            Failure::failed(
                what,
                "end the process that holds it, or make room on the disk",
            )
        })?;
    }
    let (program, rest) = args
        .program
        .split_first()
        .ok_or_else(|| Failure::usage("no program to launch", "name one after --"))?;
    let error = Command::new(program).args(rest).exec();
    let advice = "build it, or say where it is with --release-dir";
    Err(Failure::failed(
        format!("cannot start {}: {error}", program.display()),
        advice,
    ))
}

/// Takes the lock, for as long as this process lives under whatever program, and writes the record.
fn take(lock: &Path, record: &Path, note: &str) -> io::Result<()> {
    let file = File::options().create(true).append(true).open(lock)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    fcntl_setfd(&file, FdFlags::empty())?;
    // Open until the process ends.
    std::mem::forget(file);
    let text = found::record(std::process::id(), note)?;
    if let Err(error) = write_down(record, &text) {
        // The next agent does not know of this process, and the lock keeps it from starting a second one. That
        // is less than a daemon that stays down because a disk is full.
        let file = record.display();
        say::note(&format!(
            "atoll: {file} cannot be written, going on without: {error}"
        ));
    }
    Ok(())
}

/// Writes aside and renames; where there is no room for that, over what is there: the file of a process before
/// this one has all the room that it takes.
fn write_down(record: &Path, text: &str) -> io::Result<()> {
    if aside::replace(record, text.as_bytes(), Outlives::Process).is_err() {
        let mut file = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(record)?;
        file.write_all(text.as_bytes())?;
        return file.set_len(text.len() as u64);
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn die_with_parent() -> Result<(), Failure> {
    use rustix::process::{Signal, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| {
        Failure::failed(
            format!("cannot be tied to the parent: {error}"),
            "report this",
        )
    })
}

/// Elsewhere the parent alone sees to it; only its own `kill -9` leaves children behind.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "fails on Linux")]
fn die_with_parent() -> Result<(), Failure> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn without_room_aside_the_record_of_before_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let record = dir.path().join("proxy.json");
        write_down(&record, "the first one, somewhat longer").unwrap();
        // A directory in the way of the file aside, as a full disk would be.
        fs::create_dir(dir.path().join("proxy.json.aside")).unwrap();
        write_down(&record, "the second one").unwrap();
        assert_eq!(fs::read_to_string(&record).unwrap(), "the second one");
        // No room at all is no reason not to run.
        fs::remove_file(&record).unwrap();
        fs::create_dir(&record).unwrap();
        let note = r#"{"program":"atoll-dht","release":"1.0.0","state":"run"}"#;
        take(&dir.path().join("lock"), &record, note).unwrap();
        assert!(take(&dir.path().join("lock"), &record, note).is_err());
    }
}
