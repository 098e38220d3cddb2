//! Chromium without a window, on one page: what a visitor's browser makes of it.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::{exec, skip};

/// For a script in a page: counts what loaded and what did not, and writes both into the title, where
/// `--dump-dom` shows them.
pub const COUNTER: &str = "<script>var ok=0,bad=0;\
    function note(){document.title='loaded '+ok+' failed '+bad}\
    document.addEventListener('load',function(){ok++;note()},true);\
    document.addEventListener('error',function(){bad++;note()},true);note()</script>";

/// What [`COUNTER`] has written when `all` parts of the page loaded.
#[must_use]
pub fn all_loaded(all: usize) -> String {
    format!("<title>loaded {all} failed 0</title>")
}

/// Where it is; `None`, said loudly, if the machine lacks it.
#[must_use]
pub fn find() -> Option<PathBuf> {
    let names = [
        "chromium-headless-shell",
        "chromium",
        "chromium-browser",
        "google-chrome",
    ];
    let found = names.iter().find_map(|name| exec::find(name));
    if found.is_none() {
        skip::loudly("no Chromium");
    }
    found
}

/// What follows the program in a command line: a new visitor, whose things are kept in `profile`, who
/// prints what the page has become. The page's address comes last.
pub fn dump(command: &mut Command, profile: &Path) {
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-proxy-server",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--timeout=20000",
        "--dump-dom",
    ]);
    command.arg(format!("--user-data-dir={}", profile.display()));
}
