//! A node's own clock: it started at its own time, runs at its own rate, and may stop for a while.
//!
//! Engines are only ever given what this clock shows. It never runs backwards, because the clock
//! engines are given never does; what it can do is crawl, race and stand still.

use std::time::Duration;

use common::clock::Moment;

/// How one node's clock follows the world's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeClock {
    /// What it shows at the world's origin.
    pub(crate) offset: Duration,
    /// Parts per million by which it is too fast; negative if slow. Between -500,000 and 500,000.
    pub(crate) drift_ppm: i32,
    /// It stood still from then until then.
    pub(crate) stopped: Option<(Moment, Moment)>,
}

impl NodeClock {
    /// What it shows at `world`.
    pub(crate) fn shows(&self, world: Moment) -> Moment {
        let running = world.as_nanos() - self.stood_still(world);
        let rated = u128::from(running) * self.rate() / 1_000_000;
        Moment::ZERO + self.offset + Duration::from_nanos(saturated(rated))
    }

    /// The first moment of the world at which it shows `own` or later.
    pub(crate) fn reaches(&self, own: Moment) -> Moment {
        if own == Moment::NEVER {
            return own;
        }
        let rated = own.since(Moment::ZERO + self.offset).as_nanos();
        let running = (rated * 1_000_000).div_ceil(self.rate());
        let world = Moment::from_nanos(saturated(running));
        match self.stopped {
            Some((from, until)) if world > from => world + until.since(from),
            _ => world,
        }
    }

    fn stood_still(&self, world: Moment) -> u64 {
        self.stopped.map_or(0, |(from, until)| {
            let nanos = world.min(until).since(from).as_nanos();
            u64::try_from(nanos).unwrap_or(u64::MAX)
        })
    }

    fn rate(&self) -> u128 {
        let ppm = 1_000_000_i32.saturating_add(self.drift_ppm).max(1);
        u128::from(ppm.unsigned_abs())
    }
}

fn saturated(nanos: u128) -> u64 {
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_reaches_it_shows_whatever_its_rate_and_stops() {
        let at = Moment::from_millis;
        for drift_ppm in [-30_000, -1, 0, 1, 30_000] {
            for stopped in [None, Some((at(5_000), at(65_000)))] {
                let clock = NodeClock {
                    offset: Duration::from_secs(77),
                    drift_ppm,
                    stopped,
                };
                let mut last = Moment::ZERO;
                for ms in (0..200_000).step_by(777) {
                    let own = Moment::from_millis(77_000 + ms);
                    let world = clock.reaches(own);
                    assert!(clock.shows(world) >= own, "{clock:?} {ms}");
                    assert!(clock.shows(at(ms)) >= last);
                    last = clock.shows(at(ms));
                }
            }
        }
    }

    #[test]
    fn a_stopped_clock_shows_one_moment() {
        let at = Moment::from_millis;
        let clock = NodeClock {
            offset: Duration::ZERO,
            drift_ppm: 0,
            stopped: Some((at(10), at(30))),
        };
        assert_eq!(clock.shows(at(10)), clock.shows(at(29)));
        assert_eq!(clock.shows(at(40)), at(20));
    }
}
