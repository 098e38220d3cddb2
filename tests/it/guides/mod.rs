//! The guides for operators: every command in them is run as it stands there, against real processes.

mod first_hour;
mod networks;
mod orders;
mod runbook;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use harness::binaries::Program;
use harness::fleet;

/// Makes a directory with a release's programs, each of which becomes the one under test.
fn programs(dir: &Path, version: &str) {
    fs::create_dir_all(dir).unwrap();
    for program in [Program::Proxy, Program::Dht, Program::Dns] {
        let file = dir.join(program.name());
        let script = format!("#!/bin/sh\n# {version}\n{}\n", fleet::ours(program));
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// What was typed, and what came, for whoever reads the test's output.
#[expect(
    clippy::print_stderr,
    reason = "a guide is judged by what it looks like"
)]
fn show(transcript: &str) {
    eprintln!("{transcript}");
}
