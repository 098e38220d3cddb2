//! Running a test again in namespaces of its own: a network with nothing but loopback, or a file
//! system of which one file is another.
//!
//! For what must not be tried on the machine's own network: a proxy that refuses private addresses
//! would go out to public ones. The test calls [`in_a_network_of_its_own`] first and goes on only
//! where that says so.

use std::path::Path;
use std::time::Duration;

use crate::{exec, skip};

/// Set in the inner run; its value is the test's name.
const INSIDE: &str = "IT_INSIDE";

/// For a test in a network of its own; its waits have deadlines of their own.
const INSIDE_MOST: Duration = Duration::from_secs(420);

/// Whether the calling test, whose full name is `test`, runs where nothing but loopback exists.
/// If not, it is run there as a process of its own, and has passed when this returns; or it cannot
/// be run, which is said loudly.
pub async fn in_a_network_of_its_own(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some_and(|name| name == test) {
        return true;
    }
    let (Some(unshare), Some(ip)) = (exec::find("unshare"), exec::find("ip")) else {
        skip::loudly("a network of its own needs unshare and ip");
        return false;
    };
    // Without privileges, those of a user namespace of its own are enough.
    let flags = if exec::is_root() { "-n" } else { "-rn" };
    let script = format!("{} link set lo up && exec \"$@\"", ip.display());
    let inside = |args: &[&std::ffi::OsStr]| {
        let mut command = exec::command(&unshare);
        command.args([flags, "sh", "-c", &script, "sh"]).args(args);
        command
    };
    let trial = exec::run(&mut inside(&["true".as_ref()])).await;
    if trial.code != Some(0) {
        skip::loudly(&format!("no network of its own here: {}", trial.err.trim()));
        return false;
    }
    let programs = crate::binaries::dir();
    let own = std::env::current_exe().unwrap();
    let args = [
        own.as_os_str(),
        "--exact".as_ref(),
        test.as_ref(),
        "--nocapture".as_ref(),
    ];
    let mut command = inside(&args);
    command.env(INSIDE, test).env("ATOLL_BIN_DIR", programs);
    let ran = exec::run_within(&mut command, INSIDE_MOST).await;
    let passed = ran.code == Some(0) && ran.out.contains("1 passed");
    assert!(passed, "{}\n{}", ran.out, ran.err);
    // What was skipped there, above all.
    skip::say(&ran.err);
    false
}

/// A shell command line that runs `$@` with `file` in the place of `target`, for its eyes only.
/// `None` if that takes privileges we lack.
pub async fn with_file_in_place(file: &Path, target: &Path) -> Option<tokio::process::Command> {
    let unshare = exec::find("unshare")?;
    let script = format!(
        "mount --bind {} {} && exec \"$@\"",
        file.display(),
        target.display()
    );
    let make = || {
        let mut command = exec::command(&unshare);
        command.args(["-m", "sh", "-c", &script, "sh"]);
        command
    };
    let trial = exec::run(make().arg("true")).await;
    (trial.code == Some(0)).then(make)
}
