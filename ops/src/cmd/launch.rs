//! `atoll launch`: becomes another program that dies with its parent.
//!
//! The kernel is asked to kill this process when the one that started it ends, however it ends,
//! and then the process becomes the program. So not even `kill -9` of `atoll dev` leaves a daemon
//! behind. Only the child itself can ask for this, before it becomes the program; doing so between
//! fork and exec would need unsafe code, a hidden subcommand does not.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::outcome::{Failure, Outcome};

/// Arguments of `atoll launch`.
#[derive(Clone, Debug, clap::Args)]
pub struct LaunchArgs {
    /// Process id of the parent
    #[arg(long, value_name = "PID")]
    parent: u32,
    /// The program to become, and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// Becomes the program.
///
/// # Errors
/// The parent is gone already, or the program cannot be started.
pub fn run(args: &LaunchArgs) -> Outcome {
    die_with_parent()?;
    // It may have ended before the kernel was asked; then nobody would ever tell us.
    if std::os::unix::process::parent_id() != args.parent {
        return Err(Failure::failed(
            "the process that wanted this one is gone",
            "start it again",
        ));
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
