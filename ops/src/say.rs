//! The doors to the terminal: results to standard output, everything else to standard error.
//!
//! A reader that goes away (`atoll status | head`) is not an error, so writes that fail are
//! dropped.

use std::io::{IsTerminal as _, Write as _, stderr, stdout};

/// Columns a progress line may take; longer ones would wrap and could not be overwritten.
const PROGRESS_COLUMNS: usize = 79;

/// Writes a line, or lines, of the result.
pub fn result(text: &str) {
    drop(writeln!(stdout().lock(), "{text}"));
}

/// Tells the person at the terminal something that is not the result.
pub fn note(text: &str) {
    drop(writeln!(stderr().lock(), "{text}"));
}

/// A progress display on standard error: one line that updates itself on a terminal, a plain line
/// for each change elsewhere.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
    shown: String,
}

impl Progress {
    /// A display that has shown nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            terminal: stderr().is_terminal(),
            shown: String::new(),
        }
    }

    /// Shows `line`, unless it is there already.
    pub fn update(&mut self, line: &str) {
        if self.shown == line {
            return;
        }
        line.clone_into(&mut self.shown);
        if self.terminal {
            let cut: String = line.chars().take(PROGRESS_COLUMNS).collect();
            let mut stderr = stderr().lock();
            drop(write!(stderr, "\r\x1b[2K{cut}").and_then(|()| stderr.flush()));
        } else {
            note(line);
        }
    }

    /// Ends the display, so that what follows starts on a line of its own.
    pub fn finish(&mut self) {
        if self.terminal && !self.shown.is_empty() {
            note("");
        }
        self.shown.clear();
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
