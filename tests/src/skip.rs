//! Saying loudly that a test, or a part of one, could not run here.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// Says on standard error, past the test runner's capture, that something was not tested, and why.
pub fn loudly(why: &str) {
    let count = SKIPPED.fetch_add(1, Ordering::SeqCst) + 1;
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("SKIPPED: {test}: {why} ({count} so far)\n");
    say(&line);
}

/// Writes to standard error past the test runner, which swallows what `eprintln!` writes.
pub fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// How much was skipped by this process.
#[must_use]
pub fn count() -> usize {
    SKIPPED.load(Ordering::SeqCst)
}
