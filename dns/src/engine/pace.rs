//! When a proxy that serves is too slow to be named.
//!
//! Judged is what serving took beyond two round trips, one to connect and one to ask: a proxy that
//! is far is not slow. Too slow is what is much slower than others are and, besides, much slower than
//! this proxy used to be or slower than anybody may be. While everybody is slow nobody is: then it is
//! the crowd, or this machine.

use std::time::Duration;

/// Nothing below this is slow, whatever others do: it is what a loaded machine's scheduler adds.
pub const FLOOR: Duration = Duration::from_millis(100);

/// How many times slower than others, and than before.
const TIMES: u32 = 4;

/// Slow pages in a row that take a proxy out: one may have met a pause.
pub const SLOW_MAX: u8 = 2;

/// How slow one proxy usually is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pace {
    usual: Option<Duration>,
    last: Option<Duration>,
}

impl Pace {
    /// Time at the proxy itself, out of the whole time of a page.
    #[must_use]
    pub fn serving(took: Duration, rtt: Option<Duration>) -> Duration {
        took.saturating_sub(2 * rtt.unwrap_or_default())
    }

    /// Whether `serving` is too slow, given what the others take at present and what nobody may exceed.
    /// Without others nobody is.
    #[must_use]
    pub fn is_slow(&self, serving: Duration, others: Option<Duration>, most: Duration) -> bool {
        let Some(others) = others else {
            return false;
        };
        let usual = self.usual.unwrap_or(serving);
        serving > FLOOR.max(others * TIMES) && (serving > usual * TIMES || serving > most)
    }

    /// Learns from a page: an eighth of the difference, and of a very slow one no more than of one
    /// twice as slow as usual, so that who turns slow is measured against what was.
    pub fn learn(&mut self, serving: Duration) {
        self.last = Some(serving);
        let Some(usual) = self.usual else {
            self.usual = Some(serving);
            return;
        };
        let serving = serving.min(2 * usual + FLOOR / 10);
        self.usual = Some(usual - usual / 8 + serving / 8);
    }

    /// What the last page took; `None` before the first.
    #[must_use]
    pub const fn last(&self) -> Option<Duration> {
        self.last
    }

    /// What it usually takes; `None` before the first page.
    #[must_use]
    pub const fn usual(&self) -> Option<Duration> {
        self.usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_millis(400);

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn slow_is_against_others_and_against_itself_or_the_bound() {
        let rows = [
            // usual, others, now: slow?
            (5, Some(5), 90, false),
            (5, Some(5), 110, true),
            (5, Some(30), 110, false),
            (200, Some(5), 390, false),
            (200, Some(5), 410, true),
            (5, Some(150), 410, false),
            (5, None, 700, false),
        ];
        for (usual, others, serving, slow) in rows {
            let mut pace = Pace::default();
            pace.learn(ms(usual));
            let judged = pace.is_slow(ms(serving), others.map(ms), MOST);
            assert_eq!(judged, slow, "{usual} {others:?} {serving}");
        }
    }

    #[test]
    fn distance_is_not_slowness() {
        assert_eq!(Pace::serving(ms(620), Some(ms(300))), ms(20));
        assert_eq!(Pace::serving(ms(5), Some(ms(300))), ms(0));
        assert_eq!(Pace::serving(ms(20), None), ms(20));
    }

    #[test]
    fn what_is_usual_follows_slowly() {
        let mut pace = Pace::default();
        pace.learn(ms(10));
        pace.learn(ms(700));
        assert!(pace.usual().unwrap() < ms(15));
        for _ in 0..200 {
            pace.learn(ms(50));
        }
        assert!(pace.usual().unwrap() > ms(45));
    }
}
