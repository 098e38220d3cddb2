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

use command_fds::{CommandFdExt as _, FdMapping};
use common::shell::supervisor::PREDECESSOR;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::process::{Child, Command};

use super::found::{self, Record};
use super::home::Home;
use crate::agent::engine::Start;
use crate::agent::engine::life::Berth;
use crate::engine::document::words::DaemonName;

/// Bytes of a log from which on it is set aside before a start. One older log is kept.
const LOG_MAX: u64 = 16 << 20;

/// Between looks at a process that an earlier agent started.
const LOOK: Duration = Duration::from_millis(250);

/// The number of the first socket that is passed on.
const LISTEN_FDS_START: i32 = 3;

/// Within which daemons are to give signs of life; silence counts only after some of them.
const WATCHDOG: Duration = Duration::from_secs(30);

/// A daemon's process.
#[derive(Debug)]
pub(super) struct Process {
    handle: OwnedFd,
    /// Its number, which is its own for as long as it lives.
    pub(super) pid: u32,
}

/// What a daemon gets from its agent beside its command line.
#[derive(Debug)]
pub(super) struct Legacy<'a> {
    /// Sockets that an earlier process of it opened, with their names.
    pub(super) sockets: Vec<(&'a str, OwnedFd)>,
    /// Where to say how it is.
    pub(super) notices: &'a Path,
    /// The process whose place it is to take.
    pub(super) predecessor: Option<u32>,
}

impl Process {
    fn of(pid: u32) -> io::Result<Self> {
        let of = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let of = of.ok_or_else(|| io::Error::other("no process id"))?;
        let handle = pidfd_open(of, PidfdFlags::empty())?;
        Ok(Self { handle, pid })
    }

    /// Sends it a signal; one that has ended gets none.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.handle, signal);
    }
}

/// Starts a daemon. `launcher` is this program; with `together` the daemon ends when this process does.
pub(super) fn start(
    home: &Home,
    launcher: &Path,
    program: &Path,
    (start, legacy): (&Start, Legacy<'_>),
    together: bool,
) -> io::Result<(Process, Child)> {
    let log = open_log(&home.log(&start.name))?;
    let (lock, record) = home.run_files(&start.name, start.berth);
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
    hand_on(&mut command, legacy)?;
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

/// Passes on what a daemon gets, as systemd would (`sd_listen_fds(3)`, `sd_notify(3)`).
fn hand_on(command: &mut Command, legacy: Legacy<'_>) -> io::Result<()> {
    // What this agent itself was given is not its daemons'.
    for name in [
        "LISTEN_PID",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
        "WATCHDOG_PID",
        PREDECESSOR,
    ] {
        command.env_remove(name);
    }
    command.env("NOTIFY_SOCKET", legacy.notices);
    command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    if let Some(predecessor) = legacy.predecessor {
        command.env(PREDECESSOR, predecessor.to_string());
    }
    if legacy.sockets.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = legacy.sockets.iter().map(|(name, _)| *name).collect();
    command.env("LISTEN_FDNAMES", names.join(":"));
    command.env("LISTEN_FDS", names.len().to_string());
    let numbered = legacy.sockets.into_iter().zip(LISTEN_FDS_START..);
    let mapping = |((_, parent_fd), child_fd)| FdMapping {
        parent_fd,
        child_fd,
    };
    let mapped = command.fd_mappings(numbered.map(mapping).collect());
    mapped.map(drop).map_err(io::Error::other)
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
pub(super) fn survivors(home: &Home) -> Vec<(DaemonName, Berth, Record, Process)> {
    let alive = |(name, berth): (DaemonName, Berth)| {
        let (lock, path) = home.run_files(&name, berth);
        // Twice: once it is held by its descriptor, its number is looked at again.
        let process = Process::of(found::alive(&lock, &path)?.pid).ok()?;
        let record = found::alive(&lock, &path)?;
        Some((name, berth, record, process))
    };
    let mut found: Vec<_> = home.daemons().filter_map(alive).collect();
    // Youngest first.
    found.sort_by_key(|(_, _, record, _)| std::cmp::Reverse(record.ticks));
    found
}

/// Waits for the end of a process that another one started. Only its parent is told of it by the kernel, so
/// this looks again and again.
pub(super) async fn survivor_ended(home: Home, name: DaemonName, berth: Berth) -> String {
    let (lock, path) = home.run_files(&name, berth);
    while found::alive(&lock, &path).is_some() {
        tokio::time::sleep(LOOK).await;
    }
    "started by an earlier agent".to_owned()
}
