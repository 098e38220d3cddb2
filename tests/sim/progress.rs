//! A sign of life on standard error while runs take long. Nothing of it reaches a report.
//!
//! On a terminal it is a bar that is drawn over itself; elsewhere a line now and then.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::clock::{Clock, Moment, SystemClock};

use crate::report::ratio;
use crate::world::Pulse;

/// Time between two signs, on a terminal and elsewhere.
const EVERY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Cells of the bar.
const CELLS: usize = 30;

/// Runs named beside the bar.
const NAMED: usize = 3;

/// How far all runs of this process are. Copies show the same.
#[derive(Clone)]
pub(crate) struct Board(Arc<Mutex<State>>);

struct State {
    clock: SystemClock,
    began: Moment,
    told: Moment,
    terminal: bool,
    runs: usize,
    done: usize,
    /// Of each run under way: its name, virtual seconds passed and to pass.
    active: BTreeMap<usize, (String, f64, f64)>,
    next: usize,
}

impl Board {
    /// For so many runs.
    pub(crate) fn new(runs: usize) -> Self {
        let clock = SystemClock::new();
        let now = clock.moment();
        Self(Arc::new(Mutex::new(State {
            began: now,
            told: now,
            clock,
            terminal: std::io::stderr().is_terminal(),
            runs,
            done: 0,
            active: BTreeMap::new(),
            next: 0,
        })))
    }

    /// A run begins that will last so long in virtual time; says its number.
    pub(crate) fn begin(&self, name: &str, lasts: Duration) -> usize {
        self.with(|state| {
            state.next += 1;
            let run = (name.to_owned(), 0.0, lasts.as_secs_f64());
            state.active.insert(state.next, run);
            state.next
        })
    }

    /// What tells of that run.
    pub(crate) fn pulse(&self, run: usize) -> Pulse {
        let board = self.clone();
        Box::new(move |at: Moment, _happenings: u64| {
            let passed = at.since(Moment::ZERO).as_secs_f64();
            board.with(|state| {
                if let Some(active) = state.active.get_mut(&run) {
                    active.1 = passed;
                }
                state.tell(false);
            });
        })
    }

    /// That run is over.
    pub(crate) fn end(&self, run: usize) {
        self.with(|state| {
            state.active.remove(&run);
            state.done += 1;
            state.tell(false);
        });
    }

    /// All runs are over: the bar goes away.
    pub(crate) fn close(&self) {
        self.with(|state| {
            if state.terminal {
                let _ = write!(std::io::stderr(), "\r\x1b[K");
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        // What it shows is worth showing even after another thread panicked.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn tell(&mut self, at_once: bool) {
        let now = self.clock.moment();
        let every = if self.terminal { EVERY.0 } else { EVERY.1 };
        if now.since(self.told) < every && !at_once {
            return;
        }
        self.told = now;
        let line = self.line(now.since(self.began));
        // Whoever watches may have gone; the run goes on.
        let _ = if self.terminal {
            write!(std::io::stderr(), "\r\x1b[K{line}")
        } else {
            writeln!(std::io::stderr(), "{line}")
        };
    }

    fn line(&self, took: Duration) -> String {
        let share = |(_, passed, lasts): &(String, f64, f64)| (passed / lasts.max(1.0)).min(1.0);
        let parts: f64 = self.active.values().map(share).sum();
        let whole = ratio(self.runs.max(1));
        let progress = ((ratio(self.done) + parts) / whole).clamp(0.0, 1.0);
        let full = (0..CELLS)
            .take_while(|cell| ratio(*cell) + 0.5 < progress * ratio(CELLS))
            .count();
        let (bar, rest) = ("#".repeat(full), "-".repeat(CELLS - full));
        let seconds = took.as_secs();
        let (done, runs) = (self.done, self.runs);
        let mut line = format!("[{bar}{rest}] {done}/{runs} runs, {seconds} s");
        for (name, passed, lasts) in self.active.values().take(NAMED) {
            let _ = write!(line, " | {name} {passed:.0}/{lasts:.0} s");
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_grows_with_what_is_done() {
        let board = Board::new(2);
        let run = board.begin("static", Duration::from_secs(100));
        let line = |board: &Board| board.with(|state| state.line(Duration::from_secs(7)));
        assert!(line(&board).starts_with(&format!("[{}] 0/2", "-".repeat(CELLS))));
        board.pulse(run)(Moment::from_millis(100_000), 0);
        let half = format!(
            "[{}{}] 0/2 runs, 7 s | static 100/100 s",
            "#".repeat(15),
            "-".repeat(15)
        );
        assert_eq!(line(&board), half);
        board.end(run);
        board.close();
        assert!(line(&board).contains("] 1/2 runs, 7 s"));
    }
}
