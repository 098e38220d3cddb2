//! The doors to the terminal: results to standard output, everything else to standard error.
//!
//! A reader that goes away (`atoll status | head`) is not an error, so writes that fail are
//! dropped.

use std::io::{IsTerminal as _, Write as _, stderr, stdout};

/// Columns a progress line may take; longer ones would wrap and could not be overwritten.
const PROGRESS_COLUMNS: usize = 79;

/// `text` with everything written out that would move the cursor, change the terminal or turn words around:
/// some of what is shown was written by strangers. Tabs and the ends of lines stay.
fn plain(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && c != '\t' && (c.is_control() || turns(c)) {
            // As JSON has it: what is JSON remains JSON.
            plain.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            plain.push(c);
        }
    }
    plain
}

/// Writes a line, or lines, of the result.
pub fn result(text: &str) {
    drop(writeln!(stdout().lock(), "{}", plain(text)));
}

/// Writes lines of the result in place of `over` lines above them, or of the whole screen.
pub fn again(over: Option<usize>, text: &str) {
    let back = match over {
        Some(0) => String::new(),
        Some(lines) => format!("\x1b[{lines}A\x1b[J"),
        // Home, and nothing of what was there.
        None => "\x1b[H\x1b[2J".to_owned(),
    };
    drop(writeln!(stdout().lock(), "{back}{}", plain(text)));
}

/// Tells the person at the terminal something that is not the result.
pub fn note(text: &str) {
    drop(writeln!(stderr().lock(), "{}", plain(text)));
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
            let cut: String = plain(line).chars().take(PROGRESS_COLUMNS).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_does_not_reach_the_terminal_as_orders() {
        assert_eq!(
            plain("a table\n\twith später\n"),
            "a table\n\twith später\n"
        );
        assert_eq!(plain("\u{1b}[2J\r\0"), "\\u001b[2J\\u000d\\u0000");
        assert_eq!(plain("\u{9b}2J\u{202e}txt"), "\\u009b2J\\u202etxt");
    }
}
