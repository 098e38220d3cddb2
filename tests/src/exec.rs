//! Running a program to its end, with a deadline, and finding the ones a machine may lack.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::process::Command;

use crate::binaries::Program;
use crate::wait;

/// What a program did.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

impl Ran {
    /// Fails the test unless the program succeeded; gives its standard output.
    #[must_use]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self.out
    }
}

/// A command without our own settings in its environment, without a terminal, and without cargo's
/// variables: what is tested must not know that it runs under a test.
#[must_use]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("ATOLL_") || text.starts_with("CARGO") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs `command` to its end.
pub async fn run(command: &mut Command) -> Ran {
    run_within(command, wait::EVENTUALLY).await
}

/// Runs `command` to its end, which comes within `deadline`.
pub async fn run_within(command: &mut Command, deadline: Duration) -> Ran {
    let what = format!("{:?} ends", command.as_std());
    let output = wait::within(&what, deadline, command.output()).await;
    let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
    Ran {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs one of our programs with `args` to its end.
pub async fn run_ours(program: Program, args: &[&str]) -> Ran {
    run(command(program.path()).args(args)).await
}

/// Where `program` is, on the path or where daemons usually are.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let dirs = std::env::split_paths(&path).chain(usual);
    dirs.map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// Whether the tests run with all privileges.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Lets this process open as many files as the system lets it: a crowd has a socket per client.
pub fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With fewer, the test that needs them says so.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// How many files this process may open.
#[must_use]
pub fn descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_is_found_and_run() {
        let shell = find("sh").unwrap();
        let ran = run(command(shell).args(["-c", "echo out; echo err >&2; exit 3"])).await;
        assert_eq!(
            (ran.code, &*ran.out, &*ran.err),
            (Some(3), "out\n", "err\n")
        );
        assert_eq!(find("no-such-program-anywhere"), None);
    }
}
