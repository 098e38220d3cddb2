//! A cluster started by `atoll dev`, as a newcomer starts it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::binaries::{self, Program};
use crate::daemon::Daemon;
use crate::exec;
use crate::place::Place;
use crate::wait::{self, EVENTUALLY};

/// A running `atoll dev`.
#[derive(Debug)]
pub struct Dev {
    /// The process.
    pub daemon: Daemon,
    /// Where it says where everything is.
    pub ready_file: PathBuf,
    /// What stands there.
    pub ready: Value,
}

/// One process of the cluster as the ready file names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// `proxy`, `dht`, `dns` or `origin`.
    pub kind: String,
    /// Its process id.
    pub pid: u64,
    /// Its public address.
    pub addr: SocketAddr,
    /// Its admin pages.
    pub admin: SocketAddr,
}

/// The settings of `atoll`'s environment that keep it within `place`.
fn environment(place: &Place) -> [String; 2] {
    ["XDG_RUNTIME_DIR", "TMPDIR"].map(|name| format!("{name}={}", place.dir().display()))
}

/// `atoll` with `args`, told to look and to write nowhere but in `place`.
#[must_use]
pub fn atoll(place: &Place, args: &[&str]) -> tokio::process::Command {
    let mut command = exec::command(exec::find("env").unwrap());
    command
        .args(environment(place))
        .arg(Program::Atoll.path())
        .args(args);
    command
}

impl Dev {
    /// Starts a cluster and waits until it says that all is healthy.
    pub async fn start(place: &Place, args: &[&str]) -> Self {
        let ready_file = place.file("ready.json");
        let [runtime, scratch] = environment(place);
        let (program, dir) = (Program::Atoll.path(), binaries::dir());
        let mut all = vec![&*runtime, &*scratch, path(&program)];
        all.extend([
            "dev",
            "--release-dir",
            path(dir),
            "--ready-file",
            path(&ready_file),
        ]);
        all.extend_from_slice(args);
        let env = exec::find("env").unwrap();
        let mut daemon = Daemon::start_other("atoll-dev", &env, &all, place.dir());
        let ready = wait::some("atoll dev is up", EVENTUALLY, async || {
            assert!(daemon.runs(), "atoll dev ended: {}", daemon.log());
            std::fs::read(&ready_file).ok()
        })
        .await;
        Self {
            daemon,
            ready_file,
            ready: serde_json::from_slice(&ready).unwrap(),
        }
    }

    /// All processes it started.
    #[must_use]
    pub fn processes(&self) -> Vec<Entry> {
        let entry = |entry: &Value| Entry {
            kind: entry["kind"].as_str().unwrap().to_owned(),
            pid: entry["pid"].as_u64().unwrap(),
            addr: entry["addr"].as_str().unwrap().parse().unwrap(),
            admin: entry["admin"].as_str().unwrap().parse().unwrap(),
        };
        self.ready["processes"]
            .as_array()
            .unwrap()
            .iter()
            .map(entry)
            .collect()
    }

    /// The processes of one kind.
    #[must_use]
    pub fn of_kind(&self, kind: &str) -> Vec<Entry> {
        let mut all = self.processes();
        all.retain(|entry| entry.kind == kind);
        all
    }
}

/// Whether a process is there, be it only as something nobody has waited for.
#[must_use]
pub fn is_there(pid: u64) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
