//! A sign of life on standard error while a run takes long. Nothing of it reaches the report.

use std::io::Write;
use std::time::Duration;

use common::clock::{Clock, Moment, SystemClock};

use crate::world::Pulse;

/// Time between two signs.
const EVERY: Duration = Duration::from_secs(2);

/// A line every few seconds: virtual time, happenings, and how fast they come.
pub(crate) fn on_stderr() -> Pulse {
    let clock = SystemClock::new();
    let began = clock.moment();
    let mut told = began;
    Box::new(move |at: Moment, happenings: u64| {
        let now = clock.moment();
        if now.since(told) < EVERY {
            return;
        }
        told = now;
        let virtually = at.since(Moment::ZERO).as_secs_f64();
        let seconds = now.since(began).as_secs();
        let rate = happenings / 1_000 / seconds.max(1);
        let line = format!(
            "{seconds:>5} s: virtual {virtually:>7.1} s, {happenings:>11} happenings, {rate} thousand a second"
        );
        // Whoever watches may have gone; the run goes on.
        let _ = writeln!(std::io::stderr(), "{line}");
    })
}
