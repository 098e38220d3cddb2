//! Daemons' processes: starting, watching, ending.
//!
//! A process is known by a descriptor of the kernel's (`pidfd_open(2)`), not by its number, which
//! may be another's by the time a signal is sent.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::process::{Child, Command};

use super::found::{self, Record};
use super::home::Home;
use crate::agent::engine::Start;
use crate::engine::document::words::DaemonName;

/// Bytes of a log from which on it is set aside before a start. One older log is kept.
const LOG_MAX: u64 = 16 << 20;

/// Between looks at a process that an earlier agent started.
const LOOK: Duration = Duration::from_millis(250);

/// A daemon's process.
#[derive(Debug)]
pub(super) struct Process(OwnedFd);

impl Process {
    fn of(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("no process id"))?;
        Ok(Self(pidfd_open(pid, PidfdFlags::empty())?))
    }

    /// Sends it a signal; one that has ended gets none.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.0, signal);
    }
}

/// Starts a daemon. `launcher` is this program; with `together` the daemon ends when this process does.
pub(super) fn start(
    home: &Home,
    launcher: &Path,
    program: &Path,
    start: &Start,
    together: bool,
) -> io::Result<(Process, Child)> {
    let log = open_log(&home.log(&start.name))?;
    let (lock, record) = home.run_files(&start.name);
    let mut command = Command::new(launcher);
    command.arg("launch");
    if together {
        let parent = std::process::id().to_string();
        command.args(["--parent", &parent]);
    }
    command.arg("--lock").arg(lock).arg("--record").arg(record);
    let note = serde_json::to_string(&start.wanted)?;
    command.args(["--note", &note, "--"]);
    command.arg(program).args(&start.arguments);
    // The terminal's Ctrl-C is for the agent.
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()?;
    let process = Process::of(child.id().unwrap_or_default())?;
    Ok((process, child))
}

fn open_log(path: &Path) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|found| found.len() > LOG_MAX) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    File::options().create(true).append(true).open(path)
}

/// Waits for the end of a process that this one started; says how it ended.
pub(super) async fn ended(mut child: Child) -> String {
    match child.wait().await {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

/// The processes that outlived the agent that started them.
pub(super) fn survivors(home: &Home) -> Vec<(DaemonName, Record, Process)> {
    let alive = |name: DaemonName| {
        let (lock, path) = home.run_files(&name);
        // Twice: once it is held by its descriptor, its number is looked at again.
        let process = Process::of(found::alive(&lock, &path)?.pid).ok()?;
        let record = found::alive(&lock, &path)?;
        Some((name, record, process))
    };
    home.daemons().filter_map(alive).collect()
}

/// Waits for the end of a process that another one started. Only its parent is told of it by the kernel, so
/// this looks again and again.
pub(super) async fn survivor_ended(home: Home, name: DaemonName) -> String {
    let (lock, path) = home.run_files(&name);
    while found::alive(&lock, &path).is_some() {
        tokio::time::sleep(LOOK).await;
    }
    "started by an earlier agent".to_owned()
}
