//! How much time passed between two processes, without believing the calendar more than one must.
//!
//! Within one boot of the machine its boot clock, which nobody sets and which counts sleep too, says
//! it exactly, and the calendar is not looked at. Across boots the calendar is all there is: forward it
//! is believed, since the machine may well have been off; what it makes stale is kept and validated,
//! not thrown away. A calendar that went backward says nothing: then an hour is taken to have passed,
//! so that what lives for seconds is over, and what lives for a day goes on.

use std::time::Duration;

use common::clock::WallTime;

/// What is taken to have passed when nothing tells: longer than short lives, shorter than the day for
/// which a stale copy may stand in for a dead origin.
pub const UNTOLD: Duration = Duration::from_secs(3_600);

/// A boot that nothing identifies; never the same as another.
pub const NO_BOOT: [u8; 16] = [0; 16];

/// When something happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Which boot of the machine it was in.
    pub boot: [u8; 16],
    /// Time since that boot, sleep included; on disk in whole milliseconds.
    pub since_boot: Duration,
    /// What the calendar said.
    pub wall: WallTime,
}

impl Stamp {
    /// The stamp `later` than this one, in the same boot.
    #[must_use]
    pub fn after(&self, later: Duration) -> Self {
        let seconds = i64::try_from(later.as_secs()).unwrap_or(i64::MAX);
        Self {
            boot: self.boot,
            since_boot: self.since_boot.saturating_add(later),
            wall: WallTime::from_unix(self.wall.unix().saturating_add(seconds)),
        }
    }

    /// Time from `self` to `now`.
    #[must_use]
    pub fn elapsed(&self, now: &Self) -> Duration {
        if self.boot == now.boot && self.boot != NO_BOOT {
            // The boot clock does not go backward; a file from elsewhere may.
            return now
                .since_boot
                .checked_sub(self.since_boot)
                .unwrap_or(UNTOLD);
        }
        if now.wall >= self.wall {
            now.wall.since(self.wall)
        } else {
            UNTOLD
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn stamp(boot: u8, seconds: u64, wall: i64) -> Stamp {
        Stamp {
            boot: [boot; 16],
            since_boot: Duration::from_secs(seconds),
            wall: WallTime::from_unix(wall),
        }
    }

    #[test]
    fn within_a_boot_a_calendar_that_jumps_changes_nothing() {
        let then = stamp(1, 100, 1_000_000);
        for jump in [-3 * DAY, 0, 3 * DAY, -1_000_000] {
            let now = stamp(1, 160, 1_000_060 + jump);
            assert_eq!(then.elapsed(&now), Duration::from_secs(60), "{jump}");
        }
    }

    #[test]
    fn across_boots_the_calendar_is_believed_forward_only() {
        let then = stamp(1, 100, 1_000_000);
        let week = stamp(2, 5, 1_000_000 + 7 * DAY);
        assert_eq!(then.elapsed(&week), Duration::from_secs(7 * 86_400));
        assert_eq!(then.elapsed(&stamp(2, 5, 0)), UNTOLD);
        let unknown = stamp(0, 100, 1_000_000);
        assert_eq!(unknown.elapsed(&stamp(0, 90, 999_999)), UNTOLD);
    }

    #[test]
    fn a_later_stamp_moves_both_clocks() {
        let later = stamp(1, 100, 50).after(Duration::from_secs(10));
        assert_eq!(later, stamp(1, 110, 60));
    }
}
