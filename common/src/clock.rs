//! Time as engines see it: an argument, never a call.
//!
//! [`Moment`] is monotonic and is the only thing durations are measured with. [`WallTime`] is the
//! calendar and serves HTTP dates alone; nothing expires because of it. The real clocks are read
//! in one place only, [`SystemClock`] behind feature `shell`; everything else takes `now`.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the process's monotonic clock, in nanoseconds since that clock's origin.
///
/// Only differences carry meaning. Two processes share no origin, so a `Moment` never crosses the
/// wire: durations do. Saturates at about 584 years.
///
/// Held as one more than it is, so that an `Option<Moment>` takes no more room: engines remember
/// several per remote node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(NonZeroU64);

impl Default for Moment {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Moment {
    /// The clock's origin.
    pub const ZERO: Self = Self(NonZeroU64::MIN);
    /// A moment no clock reaches: "never".
    pub const NEVER: Self = Self(NonZeroU64::MAX);

    /// The moment `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// The moment `millis` milliseconds after the origin.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self::from_nanos(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0.get() - 1
    }

    /// Time elapsed since `earlier`; zero if `earlier` is in fact later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.as_nanos().saturating_sub(earlier.as_nanos()))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        let nanos = u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        let nanos = u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX);
        Self::from_nanos(self.as_nanos().saturating_sub(nanos))
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{:?}", Duration::from_nanos(self.as_nanos()))
    }
}

/// Calendar time in whole seconds since the Unix epoch, as HTTP dates count it (RFC 9110 §5.6.7).
///
/// May jump either way by days between two readings; callers compare it only with other calendar
/// dates of the same message, never to measure how long something took.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WallTime(i64);

/// Last second of the year 9999, the latest that an HTTP date can say.
const LATEST_HTTP: u64 = 253_402_300_799;

impl WallTime {
    /// The time `seconds` after the Unix epoch.
    #[must_use]
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// As HTTP writes it (RFC 9110 §5.6.7); times outside 1970 to 9999 are moved to the nearer end.
    #[must_use]
    pub fn to_http(self) -> String {
        let seconds = u64::try_from(self.0).unwrap_or(0).min(LATEST_HTTP);
        let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
        httpdate::fmt_http_date(time)
    }

    /// Seconds after the Unix epoch; negative before it.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// Whole seconds from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let seconds = self.0.saturating_sub(earlier.0).max(0);
        Duration::from_secs(seconds.unsigned_abs())
    }
}

/// Where shells read time from. Engines never see a `Clock`, only what it returned.
pub trait Clock: Send + Sync {
    /// The monotonic clock.
    fn moment(&self) -> Moment;
    /// The calendar.
    fn wall(&self) -> WallTime;
}

/// The machine's clocks. Copies share one origin, so their moments compare.
#[cfg(feature = "shell")]
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: std::time::Instant,
    /// What the clock says at that instant.
    past: Duration,
}

#[cfg(feature = "shell")]
impl SystemClock {
    /// Starts a clock whose origin is this instant. A process makes one and copies it.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one door to the monotonic clock"
    )]
    #[expect(
        clippy::new_without_default,
        reason = "reading a clock is an effect, not a default"
    )]
    pub fn new() -> Self {
        Self {
            origin: std::time::Instant::now(),
            past: Duration::ZERO,
        }
    }

    /// The same with moments before this instant: for what is older than the process.
    #[must_use]
    pub fn with_past(past: Duration) -> Self {
        Self {
            past,
            ..Self::new()
        }
    }

    /// The instant of `moment` for timers of the runtime.
    #[must_use]
    pub fn instant(&self, moment: Moment) -> std::time::Instant {
        // A century is "never" to a timer and cannot overflow an `Instant`.
        const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
        let later = Duration::from_nanos(moment.as_nanos()).saturating_sub(self.past);
        self.origin + later.min(CENTURY)
    }
}

#[cfg(feature = "shell")]
impl SystemClock {
    /// The calendar in nanoseconds since 1970, for others who count so.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one door to the calendar")]
    pub fn unix_nanos(&self) -> u64 {
        let now = std::time::SystemTime::now();
        let since = now
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(feature = "shell")]
impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one door to the monotonic clock"
    )]
    fn moment(&self) -> Moment {
        Moment::ZERO + self.past + std::time::Instant::now().duration_since(self.origin)
    }

    #[expect(clippy::disallowed_methods, reason = "the one door to the calendar")]
    fn wall(&self) -> WallTime {
        let now = std::time::SystemTime::now();
        let seconds = match now.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
        };
        WallTime(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_never_runs_backwards_or_overflows() {
        let now = Moment::from_millis(5);
        assert_eq!(now.since(now + Duration::from_secs(1)), Duration::ZERO);
        assert_eq!(Moment::NEVER + Duration::MAX, Moment::NEVER);
        assert_eq!(Moment::ZERO - Duration::MAX, Moment::ZERO);
    }

    #[test]
    fn calendar_differences_are_never_negative() {
        let (early, late) = (WallTime::from_unix(10), WallTime::from_unix(70));
        assert_eq!(late.since(early), Duration::from_secs(60));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
