//! The units for systemd: that systemd itself finds nothing wrong with them, where it is installed.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says when it cannot tell"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const ATOLL: &str = env!("CARGO_BIN_EXE_atoll");

fn units() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    let mut all: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    all.sort();
    all
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let dir = tempfile::tempdir().unwrap();
    let mut copies = Vec::new();
    for unit in units() {
        // The programs need not be installed here.
        let text = fs::read_to_string(&unit).unwrap();
        let each = |line: &str| match line.strip_prefix("ExecStart=/usr/bin/") {
            Some(rest) => format!(
                "ExecStart={ATOLL} {}\n",
                rest.split_once(' ').unwrap_or_default().1
            ),
            None => format!("{line}\n"),
        };
        let copy = dir.path().join(unit.file_name().unwrap());
        fs::write(&copy, text.lines().map(each).collect::<String>()).unwrap();
        copies.push(copy);
    }
    let mut verify = Command::new("systemd-analyze");
    // A colon at the end: the system's own units beside ours.
    let path = format!("{}:", dir.path().display());
    verify
        .args(["verify", "--man=no"])
        .args(&copies)
        .env("SYSTEMD_UNIT_PATH", path);
    match verify.output() {
        Err(error) => eprintln!("SKIPPED: systemd-analyze is not here: {error}"),
        Ok(said) => {
            let text = String::from_utf8_lossy(&said.stderr).into_owned();
            // Of other units it may say what it likes.
            let ours = |line: &&str| line.contains("atoll");
            let wrong: Vec<_> = text.lines().filter(ours).collect();
            assert!(said.status.success() && wrong.is_empty(), "{text}");
        }
    }
}

#[test]
fn each_daemon_tells_systemd_that_it_serves_and_lives_and_has_its_sockets_kept() {
    for unit in units() {
        let name = unit.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(".service") {
            continue;
        }
        let text = fs::read_to_string(&unit).unwrap();
        let has = |word: &str| text.lines().any(|line| line.starts_with(word));
        for hardened in [
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
            "SystemCallFilter=",
        ] {
            assert!(has(hardened), "{name}: {hardened}");
        }
        if name != "atoll-agent.service" {
            for word in ["Type=notify", "WatchdogSec=", "FileDescriptorStoreMax="] {
                assert!(has(word), "{name}: {word}");
            }
        }
    }
}
