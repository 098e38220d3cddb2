//! Where the daemons' programs are.
//!
//! In this order: the directory the operator names; the directory of this very program, unless
//! cargo runs it (then what lies there may be older than the sources); a build by the cargo that
//! runs it, into the same target directory. The daemons are packages of their own, so building
//! `atoll` alone does not build them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::outcome::Failure;
use crate::say;

/// The daemons.
const DAEMONS: [&str; 3] = ["atoll-proxy", "atoll-dht", "atoll-dns"];

/// The programs of a cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Programs {
    /// `atoll-proxy`.
    pub proxy: PathBuf,
    /// `atoll-dht`.
    pub dht: PathBuf,
    /// `atoll-dns`.
    pub dns: PathBuf,
    /// This program.
    pub atoll: PathBuf,
}

/// The cargo that runs this program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cargo {
    /// Cargo itself.
    pub program: PathBuf,
    /// Directory of the package it runs.
    pub manifest_dir: PathBuf,
}

impl Cargo {
    /// The cargo that runs this process, from the environment it sets.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        Some(Self {
            program: variable("CARGO")?,
            manifest_dir: variable("CARGO_MANIFEST_DIR")?,
        })
    }
}

impl Programs {
    /// The daemons in `dir`, next to `atoll`.
    #[must_use]
    pub fn in_dir(dir: &Path, atoll: &Path) -> Self {
        let [proxy, dht, dns] = DAEMONS.map(|name| dir.join(name));
        Self {
            proxy,
            dht,
            dns,
            atoll: atoll.to_owned(),
        }
    }

    /// Finds the programs, building them if cargo runs this one.
    ///
    /// # Errors
    /// They are nowhere, or do not build.
    pub fn locate(
        release_dir: Option<&Path>,
        exe: &Path,
        cargo: Option<&Cargo>,
    ) -> Result<Self, Failure> {
        let own_dir = exe.parent().unwrap_or_else(|| Path::new("."));
        if let Some(dir) = release_dir {
            let missing = missing(dir);
            if missing.is_empty() {
                return Ok(Self::in_dir(dir, exe));
            }
            let what = format!("{} has no {}", dir.display(), missing.join(", "));
            let advice = "build them with `cargo build --release`, or name another --release-dir";
            return Err(Failure::failed(what, advice));
        }
        match cargo {
            Some(cargo) => build(cargo, own_dir)?,
            None if missing(own_dir).is_empty() => {}
            None => {
                let what = format!(
                    "{} is not next to {}",
                    missing(own_dir).join(", "),
                    exe.display()
                );
                let advice = "name the programs' directory with --release-dir, or start with \
                    `cargo run --release -p atoll -- dev`, which builds them";
                return Err(Failure::failed(what, advice));
            }
        }
        Ok(Self::in_dir(own_dir, exe))
    }
}

fn missing(dir: &Path) -> Vec<&'static str> {
    DAEMONS
        .into_iter()
        .filter(|name| !dir.join(name).is_file())
        .collect()
}

/// Builds the daemons into `own_dir`, the profile's directory that this program was built into.
fn build(cargo: &Cargo, own_dir: &Path) -> Result<(), Failure> {
    let arguments = build_arguments(own_dir);
    let shown = arguments.join(" ");
    say::note(&format!("building the daemons: cargo {shown}"));
    let workspace = cargo.manifest_dir.parent().unwrap_or(&cargo.manifest_dir);
    let status = Command::new(&cargo.program)
        .args(&arguments)
        .current_dir(workspace)
        .status();
    let advice = "mend what cargo reports above, or name built programs with --release-dir";
    match status {
        Ok(status) if status.success() && missing(own_dir).is_empty() => Ok(()),
        Ok(status) if status.success() => {
            let what = format!(
                "cargo built no {} in {}",
                missing(own_dir).join(", "),
                own_dir.display()
            );
            Err(Failure::failed(
                what,
                "name the programs' directory with --release-dir",
            ))
        }
        Ok(status) => Err(Failure::failed(
            format!("the build failed ({status})"),
            advice,
        )),
        Err(error) => {
            let program = cargo.program.display();
            Err(Failure::failed(
                format!("cannot run {program}: {error}"),
                advice,
            ))
        }
    }
}

/// Cargo's arguments that build the daemons into `profile_dir`, `<target>/<profile>`.
fn build_arguments(profile_dir: &Path) -> Vec<String> {
    let mut arguments = vec!["build".to_owned()];
    match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => {}
        Some("release") => arguments.push("--release".to_owned()),
        Some(profile) => arguments.extend(["--profile".to_owned(), profile.to_owned()]),
    }
    for program in DAEMONS {
        // By name, of the whole workspace: with the features that the tests are built with.
        arguments.extend(["--bin".to_owned(), program.to_owned()]);
    }
    if let Some(target) = profile_dir.parent() {
        arguments.extend(["--target-dir".to_owned(), target.display().to_string()]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_goes_where_this_program_was_built() {
        let line = |dir: &str| build_arguments(Path::new(dir)).join(" ");
        assert_eq!(
            line("/w/target/release"),
            "build --release --bin atoll-proxy --bin atoll-dht --bin atoll-dns --target-dir /w/target"
        );
        assert!(!line("/w/target/debug").contains("--release"));
        assert!(line("/w/target/lto").contains("--profile lto"));
    }

    #[test]
    fn programs_that_are_nowhere_are_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("atoll-dht"), "").unwrap();
        let exe = dir.path().join("atoll");
        let failure = Programs::locate(None, &exe, None).unwrap_err();
        assert!(failure.what.contains("atoll-proxy, atoll-dns"), "{failure}");
        assert!(failure.advice.contains("cargo run --release -p atoll"));
        let failure = Programs::locate(Some(dir.path()), &exe, None).unwrap_err();
        assert!(failure.advice.contains("--release-dir"));
        for name in DAEMONS {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert!(Programs::locate(None, &exe, None).is_ok());
    }
}
