//! Starting processes, noticing their end, ending them.
//!
//! No child survives this process. On every orderly way out, [`Fleet::stop`] asks all children to
//! end, waits, kills what is left and waits again. When the fleet is dropped without that (a
//! panic), children are killed and waited for. And each child is started through `atoll launch`,
//! which ties its life to ours in the kernel, for the case that this process is killed outright.
//! Children have process groups of their own, so that Ctrl-C at the terminal reaches only us.

use std::fs::{DirBuilder, File};
use std::future::Future;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::process::{Child, Command};

use super::layout::{Kind, Planned};
use crate::outcome::Failure;

/// For a polite end: a daemon that drains finishes what was begun.
pub const GRACE: Duration = Duration::from_secs(5);

/// Between looks at children that are to end.
const LOOK: Duration = Duration::from_millis(20);

/// Bytes read from the end of a log.
const TAIL_BYTES: u64 = 16 << 10;

/// Lines of a log that are shown.
pub const TAIL_LINES: usize = 8;

/// The children.
#[derive(Debug, Default)]
pub struct Fleet {
    members: Vec<Member>,
}

/// One child.
#[derive(Debug)]
pub struct Member {
    /// What it was planned to be.
    pub planned: Planned,
    /// Its process id.
    pub pid: u32,
    child: Child,
    ended: Option<ExitStatus>,
}

/// A child that ended by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Its kind.
    pub kind: Kind,
    /// How people call it.
    pub title: String,
    /// How it ended, in words.
    pub status: String,
    /// Its log file.
    pub log: PathBuf,
    /// The last lines of its log.
    pub last_lines: Vec<String>,
}

impl Ended {
    /// All of it, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = format!("{} ended ({})", self.title, self.status);
        if self.last_lines.is_empty() {
            text.push_str(", and wrote nothing to its log");
        } else {
            text.push_str("; its last words:");
        }
        for line in &self.last_lines {
            text.push_str("\n    ");
            text.push_str(line);
        }
        text
    }
}

impl Fleet {
    /// Starts a process. `launcher` is this program, whose `launch` ties the child to us; without
    /// one (in tests) the program is started directly.
    ///
    /// # Errors
    /// The log cannot be made or the program cannot be started.
    pub fn start(&mut self, planned: Planned, launcher: Option<&Path>) -> Result<(), Failure> {
        let child = spawn(&planned, launcher).map_err(|error| {
            let what = format!(
                "cannot start {} ({}): {error}",
                planned.title(),
                planned.program.display()
            );
            Failure::failed(
                what,
                "check that it is there and executable, and that --dir is writable",
            )
        })?;
        let pid = child.id().unwrap_or_default();
        self.members.push(Member {
            planned,
            pid,
            child,
            ended: None,
        });
        Ok(())
    }

    /// The children, in the order in which they were started.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The children that ended since the last call.
    pub fn reap(&mut self) -> Vec<Ended> {
        self.members.iter_mut().filter_map(Member::reap).collect()
    }

    /// Ends all children: politely, and after [`GRACE`] or when `hurry` completes at once. Returns
    /// the titles of those that had to be killed.
    pub async fn stop(&mut self, hurry: impl Future<Output = ()>) -> Vec<String> {
        for member in self.members.iter().filter(|member| member.ended.is_none()) {
            member.send(Signal::TERM);
        }
        tokio::select! {
            () = self.all_ended() => {}
            () = tokio::time::sleep(GRACE) => {}
            () = hurry => {}
        }
        let mut killed = Vec::new();
        for member in self
            .members
            .iter_mut()
            .filter(|member| member.ended.is_none())
        {
            killed.push(member.planned.title());
            drop(member.child.start_kill());
            member.ended = member.child.wait().await.ok();
        }
        killed
    }

    async fn all_ended(&mut self) {
        loop {
            self.reap();
            if self.members.iter().all(|member| member.ended.is_some()) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for member in self.members.iter().filter(|member| member.ended.is_none()) {
            member.send(Signal::KILL);
        }
        for member in self.members.iter().filter(|member| member.ended.is_none()) {
            if let Some(pid) = member.raw_pid() {
                let _ = waitpid(Some(pid), WaitOptions::empty());
            }
        }
    }
}

impl Member {
    /// Whether it still runs, as far as was seen.
    #[must_use]
    pub const fn runs(&self) -> bool {
        self.ended.is_none()
    }

    fn reap(&mut self) -> Option<Ended> {
        if self.ended.is_some() {
            return None;
        }
        let status = self.child.try_wait().ok().flatten()?;
        self.ended = Some(status);
        Some(Ended {
            kind: self.planned.kind,
            title: self.planned.title(),
            status: status.to_string(),
            log: self.planned.log.clone(),
            last_lines: tail(&self.planned.log),
        })
    }

    fn raw_pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.pid).ok()?)
    }

    /// Sends a signal. Only to a child not waited for yet, so its id cannot be another's.
    fn send(&self, signal: Signal) {
        if let Some(pid) = self.raw_pid() {
            let _ = kill_process(pid, signal);
        }
    }
}

fn spawn(planned: &Planned, launcher: Option<&Path>) -> io::Result<Child> {
    for dir in planned.socket.iter().filter_map(|socket| socket.parent()) {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let log = File::create(&planned.log)?;
    let mut command = match launcher {
        Some(launcher) => {
            let mut command = Command::new(launcher);
            let parent = std::process::id().to_string();
            command
                .args(["launch", "--parent", &parent, "--"])
                .arg(&planned.program);
            command
        }
        None => Command::new(&planned.program),
    };
    command
        .args(&planned.args)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
}

/// The last lines of a log; none if it cannot be read.
#[must_use]
pub fn tail(log: &Path) -> Vec<String> {
    let mut bytes = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        file.take(TAIL_BYTES).read_to_end(&mut bytes)
    });
    if read.is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let skipped = lines.len().saturating_sub(TAIL_LINES);
    lines.into_iter().skip(skipped).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    fn shell(dir: &Path, name: &str, script: &str) -> Planned {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Planned {
            kind: Kind::Dht,
            name: name.to_owned(),
            program: PathBuf::from("/bin/sh"),
            args: vec!["-c".to_owned(), script.to_owned()],
            addr: nowhere,
            admin: nowhere,
            peer: None,
            https: None,
            socket: Some(dir.join(name).join("index.sock")),
            listens: Vec::new(),
            log: dir.join(format!("{name}.log")),
        }
    }

    /// Waits until the shell of `name` has written `word` to its log, so has set its traps.
    async fn until_says(dir: &Path, name: &str, word: &str) {
        let log = dir.join(format!("{name}.log"));
        let said = async {
            while !tail(&log).iter().any(|line| line.contains(word)) {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), said)
            .await
            .unwrap();
    }

    fn alive(pid: u32) -> bool {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::test_kill_process(pid).is_ok()
    }

    #[tokio::test]
    async fn the_polite_end_themselves_and_the_deaf_are_killed() {
        let dir = tempfile::tempdir().unwrap();
        let mut fleet = Fleet::default();
        let polite = "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done";
        let deaf = "trap '' TERM; echo up; while :; do sleep 0.05; done";
        fleet
            .start(shell(dir.path(), "polite", polite), None)
            .unwrap();
        fleet.start(shell(dir.path(), "deaf", deaf), None).unwrap();
        until_says(dir.path(), "polite", "up").await;
        until_says(dir.path(), "deaf", "up").await;
        let hurry = tokio::time::sleep(Duration::from_millis(500));
        assert_eq!(fleet.stop(hurry).await, ["dht deaf"]);
        assert!(fleet.members().iter().all(|member| !alive(member.pid)));
    }

    #[tokio::test]
    async fn a_dropped_fleet_leaves_no_process() {
        let dir = tempfile::tempdir().unwrap();
        let mut fleet = Fleet::default();
        fleet
            .start(shell(dir.path(), "one", "exec sleep 600"), None)
            .unwrap();
        let pid = fleet.members()[0].pid;
        assert!(alive(pid));
        drop(fleet);
        assert!(!alive(pid));
    }

    #[tokio::test]
    async fn an_early_end_is_told_once_with_the_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let mut fleet = Fleet::default();
        let script = "seq 1 20; echo no secret >&2; exit 3";
        fleet
            .start(shell(dir.path(), "node1", script), None)
            .unwrap();
        let ended = async {
            loop {
                if let Some(ended) = fleet.reap().pop() {
                    return ended;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(10), ended)
            .await
            .unwrap();
        assert_eq!(ended.last_lines.len(), TAIL_LINES);
        let text = ended.describe();
        assert!(
            text.starts_with("dht node1 ended (exit status: 3)"),
            "{text}"
        );
        assert!(text.ends_with("no secret"), "{text}");
        assert!(fleet.reap().is_empty());
    }

    #[tokio::test]
    async fn a_program_that_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let planned = Planned {
            program: PathBuf::from("/nowhere/x"),
            ..shell(dir.path(), "a", "")
        };
        let failure = Fleet::default().start(planned, None).unwrap_err();
        assert!(failure.what.contains("/nowhere/x"), "{failure}");
    }
}
