//! Finding the programs under test, and building them if they are not where they should be.
//!
//! `ATOLL_BIN_DIR` names a directory of programs to test, such as an unpacked release. Without it
//! they are built once per process, for the profile and into the directory of the test itself, so
//! that what is tested is what stands in the tree.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A program of the project.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    /// The proxy.
    Proxy,
    /// The index daemon.
    Dht,
    /// The name server.
    Dns,
    /// The operator's command.
    Atoll,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Proxy, Self::Dht, Self::Dns, Self::Atoll];

    /// Its file name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proxy => "atoll-proxy",
            Self::Dht => "atoll-dht",
            Self::Dns => "atoll-dns",
            Self::Atoll => "atoll",
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(self) -> PathBuf {
        let path = dir().join(self.name());
        assert!(path.is_file(), "{} is not there", path.display());
        path
    }
}

/// The directory of all programs.
pub fn dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| match std::env::var_os("ATOLL_BIN_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => build(),
    })
}

/// The root of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap()
}

/// A `cargo` that works on the workspace without touching the network.
#[must_use]
pub fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(workspace());
    command
}

/// Builds all programs. Cargo's own lock makes processes that do so at once take turns.
fn build() -> PathBuf {
    let (target, profile) = destination(&std::env::current_exe().unwrap());
    let mut command = cargo();
    command.args(["build", "--quiet", "--profile"]);
    command.arg(if profile == "debug" { "dev" } else { &profile });
    for program in Program::ALL {
        // By name, of the whole workspace: so its features are those the tests were built with.
        command.args(["--bin", program.name()]);
    }
    command.arg("--target-dir").arg(&target);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the programs do not build:\n{said}"
    );
    target.join(profile)
}

/// The target directory and the profile's directory in it, from a test's own path:
/// `<target>/<profile>/deps/<test>`, or `<target>/<profile>/<program>`.
fn destination(test: &Path) -> (PathBuf, String) {
    let dir = test.parent().unwrap();
    let profile = if dir.ends_with("deps") {
        dir.parent().unwrap()
    } else {
        dir
    };
    let name = profile.file_name().unwrap().to_str().unwrap();
    (profile.parent().unwrap().to_owned(), name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_knows_its_target_directory_and_profile() {
        let (target, profile) = destination(Path::new("/x/target/release/deps/it-0123"));
        assert_eq!((target, &*profile), (PathBuf::from("/x/target"), "release"));
        let (target, profile) = destination(Path::new("/x/target/debug/sim"));
        assert_eq!((target, &*profile), (PathBuf::from("/x/target"), "debug"));
    }

    #[test]
    fn the_workspace_is_the_one_of_this_crate() {
        assert!(workspace().join("tests/Cargo.toml").is_file());
    }
}
