//! Whether a client takes what is ready for it fast enough: a bound on slow readers.
//!
//! Only time spent waiting for the client counts, in windows: one that took much an hour ago and
//! takes a byte every half minute since is as bad as one that never took anything.

use std::time::Duration;

use common::clock::Moment;

/// Bytes per second that a client has to take on average over a window. What the kernel takes for
/// it counts, and that takes up to 16 KiB at once: below about 500 bytes per second a window of
/// 30 s may pass without any.
pub const RATE_LEAST: u64 = 64;

/// Bytes over which a client shows how quick it is.
pub const QUICK_BYTES: u64 = 512 << 10;

/// Who takes these bytes in no longer than this, waits included, is quick: five mebibytes a second,
/// below which nobody is held up by being asked often.
pub const QUICK_WITHIN: Duration = Duration::from_millis(100);

/// A client that took too little for a whole window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the client reads too slowly")]
pub struct TooSlow;

/// See the module.
#[derive(Clone, Debug)]
pub struct Uptake {
    window: Duration,
    waited: Duration,
    taken: u64,
    blocked_since: Option<Moment>,
    /// Bytes taken since then, by which it is seen how quick the client is.
    run: (u64, Option<Moment>),
    quick: bool,
}

impl Uptake {
    /// Judged after each `window` of waiting.
    #[must_use]
    pub const fn new(window: Duration) -> Self {
        Self {
            window,
            waited: Duration::ZERO,
            taken: 0,
            blocked_since: None,
            run: (0, None),
            quick: false,
        }
    }

    /// The client does not take more at the moment. When to call [`judge`](Self::judge) if it goes
    /// on like this.
    pub fn blocked(&mut self, now: Moment) -> Moment {
        let since = *self.blocked_since.get_or_insert(now);
        self.run.1.get_or_insert(now);
        since + self.window.saturating_sub(self.waited)
    }

    /// Whether it is waited for: else it does not matter when it takes something.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.blocked_since.is_some()
    }

    /// Whether it takes what is ready so quickly that having more ready is worth it.
    #[must_use]
    pub const fn is_quick(&self) -> bool {
        self.quick
    }

    /// It took `bytes`; `now` matters only while it [is waited for](Self::is_waiting).
    ///
    /// # Errors
    /// It came to the end of a window with too little.
    pub fn took(&mut self, now: Moment, bytes: u64) -> Result<(), TooSlow> {
        self.taken = self.taken.saturating_add(bytes);
        self.run.0 = self.run.0.saturating_add(bytes);
        if self.blocked_since.is_none() {
            return Ok(());
        }
        if let (QUICK_BYTES.., Some(since)) = self.run {
            self.quick = now.since(since) <= QUICK_WITHIN;
            self.run = (0, Some(now));
        }
        let judged = self.judge(now);
        self.blocked_since = None;
        judged
    }

    /// Looks whether a window has passed, and what was taken in it.
    ///
    /// # Errors
    /// Too little.
    pub fn judge(&mut self, now: Moment) -> Result<(), TooSlow> {
        if let Some(since) = self.blocked_since.replace(now) {
            self.waited += now.since(since);
        }
        if self.waited < self.window {
            return Ok(());
        }
        let millis = u64::try_from(self.waited.as_millis()).unwrap_or(u64::MAX);
        let least = millis.saturating_mul(RATE_LEAST) / 1_000;
        let enough = self.taken >= least;
        (self.waited, self.taken) = (Duration::ZERO, 0);
        enough.then_some(()).ok_or(TooSlow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_byte_every_29_seconds_is_cut_however_much_was_taken_before() {
        let mut uptake = Uptake::new(WINDOW);
        assert_eq!(uptake.took(at(0), 100_000_000), Ok(()));
        // The window in which it was fast is forgiven, the next is not.
        let mut ends = Vec::new();
        for n in 0..5 {
            uptake.blocked(at(n * 29));
            ends.push(uptake.took(at((n + 1) * 29), 1));
        }
        assert!(ends.contains(&Err(TooSlow)), "{ends:?}");
        assert_eq!(ends.iter().position(Result::is_err), Some(3));
    }

    #[test]
    fn who_is_quick_shows_it_and_may_stop_being_so() {
        let ms = Moment::from_millis;
        let mut uptake = Uptake::new(WINDOW);
        // Before it was waited for once, nobody knows.
        assert_eq!(uptake.took(Moment::ZERO, 10 * QUICK_BYTES), Ok(()));
        assert!(!uptake.is_quick());
        uptake.blocked(ms(1_000));
        assert_eq!(uptake.took(ms(1_050), 1), Ok(()));
        assert!(uptake.is_quick());
        for n in 0..8 {
            uptake.blocked(ms(1_050 + n * 20));
            assert_eq!(uptake.took(ms(1_070 + n * 20), QUICK_BYTES / 8), Ok(()));
        }
        assert!(!uptake.is_quick(), "160 ms for half a mebibyte");
    }

    #[test]
    fn nothing_for_a_window_is_found_without_any_progress() {
        let mut uptake = Uptake::new(WINDOW);
        assert_eq!(uptake.blocked(at(5)), at(35));
        assert_eq!(uptake.blocked(at(20)), at(35));
        assert_eq!(uptake.judge(at(34)), Ok(()));
        assert_eq!(uptake.blocked(at(34)), at(35));
        assert_eq!(uptake.judge(at(35)), Err(TooSlow));
    }

    #[test]
    fn idle_time_and_modest_speed_are_no_fault() {
        let mut uptake = Uptake::new(WINDOW);
        for n in 0..100 {
            // Blocked for a second, then idle for an hour.
            uptake.blocked(at(n * 3_600));
            assert_eq!(uptake.took(at(n * 3_600 + 1), 100), Ok(()), "{n}");
        }
    }
}
