//! `atoll dev` as a process: what it says when a daemon fails, and that none outlives it.
//!
//! The daemons are shell scripts that write down their process ids, so nothing here depends on
//! what the real ones do.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may fail like the tests themselves"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::process::{Child, Command};

const ATOLL: &str = env!("CARGO_BIN_EXE_atoll");
const DEADLINE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

/// Makes the three daemons in `dir`, each the same script.
fn daemons(dir: &Path, script: &str) {
    for name in ["atoll-proxy", "atoll-dht", "atoll-dns"] {
        let path = dir.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// A script that writes down its process id and then waits, deaf to polite signals.
fn deaf(dir: &Path) -> String {
    format!(
        "trap '' TERM INT HUP; echo $$ >> {}/pids; while :; do sleep 0.1; done",
        dir.display()
    )
}

fn dev(dir: &Path) -> Command {
    let mut command = Command::new(ATOLL);
    command
        .args(["dev", "--nodes", "2", "--dns", "1", "--release-dir"])
        .arg(dir)
        .env("XDG_RUNTIME_DIR", dir)
        .env("TMPDIR", dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn output(command: &mut Command) -> Output {
    tokio::time::timeout(DEADLINE, command.output())
        .await
        .expect("ends in time")
        .unwrap()
}

async fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let polled = async {
        loop {
            if let Some(found) = probe() {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let found = tokio::time::timeout(DEADLINE, polled).await;
    assert!(found.is_ok(), "never {what}");
    found.unwrap()
}

fn pids(dir: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(dir.join("pids")).unwrap_or_default();
    let numbers = text.lines().filter_map(|line| line.parse().ok());
    numbers.filter_map(Pid::from_raw).collect()
}

async fn all_up(dir: &Path) -> Vec<Pid> {
    // Two index daemons, two proxies, a name server.
    until("up", || Some(pids(dir)).filter(|pids| pids.len() == 5)).await
}

fn send(child: &Child, signal: Signal) {
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
        .unwrap();
    kill_process(pid, signal).unwrap();
}

async fn none_left(pids: &[Pid]) {
    until("without children", || {
        pids.iter()
            .all(|pid| test_kill_process(*pid).is_err())
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_daemon_that_dies_early_is_named_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    daemons(dir.path(), "echo 'cannot read the moon' >&2; exit 7");
    let output = output(&mut dev(dir.path())).await;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    // Which of the five is noticed first is a matter of chance.
    assert!(text.contains(" ended (exit status: 7)"), "{text}");
    assert!(text.contains("cannot read the moon"), "{text}");
    assert!(text.contains("mend what it says"), "{text}");
}

#[tokio::test]
async fn a_polite_signal_ends_even_deaf_daemons() {
    for signal in [Signal::TERM, Signal::HUP] {
        let dir = tempfile::tempdir().unwrap();
        daemons(dir.path(), &deaf(dir.path()));
        let mut child = dev(dir.path()).spawn().unwrap();
        let pids = all_up(dir.path()).await;
        send(&child, signal);
        let ended = until("ended", || {
            // A second TERM does not wait for the polite deadline; which one is heard as the second
            // is the system's affair, so it is said until it is heard.
            if signal == Signal::TERM {
                send(&child, signal);
            }
            child.try_wait().unwrap()
        });
        assert_eq!(ended.await.code(), Some(1));
        none_left(&pids).await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_daemon_outlives_a_command_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    daemons(dir.path(), &deaf(dir.path()));
    let mut child = dev(dir.path()).spawn().unwrap();
    let pids = all_up(dir.path()).await;
    send(&child, Signal::KILL);
    child.wait().await.unwrap();
    none_left(&pids).await;
}

#[tokio::test]
async fn nonsense_is_a_usage_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    daemons(dir.path(), "exit 0");
    let cases: [(&[&str], &str); 4] = [
        (&["--nodes", "0"], "'--nodes <N>': 0 is not in 1..=1000"),
        (&["--dns", "9"], "'--dns <N>': 9 is not in 0..=8"),
        (&["--base-port", "65535"], "with --base-port"),
        (
            &["--proxy-config", "/nowhere/x.toml"],
            "with --proxy-config",
        ),
    ];
    for (arguments, advice) in cases {
        let mut command = Command::new(ATOLL);
        command
            .arg("dev")
            .args(arguments)
            .arg("--release-dir")
            .arg(dir.path());
        let output = output(&mut command).await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(advice), "{arguments:?}: {text}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    daemons(dir.path(), "touch started; exit 0");
    let taken = std::net::TcpListener::bind("127.0.0.11:0").unwrap();
    let port = taken.local_addr().unwrap().port().min(65_000);
    let output = output(dev(dir.path()).args(["--base-port", &port.to_string()])).await;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("for proxy node1 is in use by another program"),
        "{text}"
    );
    assert!(text.contains("choose another --base-port"), "{text}");
}
