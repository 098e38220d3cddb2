//! What is remembered of a checked proxy for people to look at: its last changes, how often checks
//! succeeded lately, how long they took. Nothing here decides anything.

use std::collections::VecDeque;
use std::time::Duration;

use common::clock::Moment;

use super::reason::Fault;
use super::share::Why;

/// Changes remembered of one proxy.
pub const CHANGES_MAX: usize = 16;

/// Minutes over which the share of successes is taken.
pub const MINUTES: usize = 5;

/// Times remembered of each kind: at the usual pace half a minute of pings and a minute of pages.
const TIMES: usize = 32;

/// What happened to a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// It is checked from now on, for this reason.
    Seated(Why),
    /// It is named from now on.
    Live,
    /// It is not named any more, for this fault.
    Out(Fault),
}

/// See the module. About 700 bytes when full.
#[derive(Clone, Debug, Default)]
pub struct Record {
    changes: VecDeque<(Moment, Event)>,
    minutes: [Minute; MINUTES],
    rtts: Times,
    pages: Times,
}

/// Outcomes within one minute of the process's life.
#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    number: u64,
    good: u32,
    bad: u32,
}

impl Record {
    /// Something happened; the oldest of [`CHANGES_MAX`] others is forgotten.
    pub fn changed(&mut self, now: Moment, event: Event) {
        if self.changes.len() >= CHANGES_MAX {
            self.changes.pop_front();
        }
        self.changes.push_back((now, event));
    }

    /// A ping was answered.
    pub fn pong(&mut self, now: Moment, rtt: Duration) {
        self.rtts.add(rtt);
        self.minute(now).good += 1;
    }

    /// A page was served.
    pub fn page(&mut self, now: Moment, took: Duration) {
        self.pages.add(took);
        self.minute(now).good += 1;
    }

    /// A check failed.
    pub fn failed(&mut self, now: Moment) {
        self.minute(now).bad += 1;
    }

    /// The last changes, the oldest first.
    pub fn changes(&self) -> impl Iterator<Item = &(Moment, Event)> {
        self.changes.iter()
    }

    /// Checks of the last [`MINUTES`] minutes, the present one included: those that succeeded, and
    /// all.
    #[must_use]
    pub fn successes(&self, now: Moment) -> (u32, u32) {
        let present = number(now);
        let lately = |minute: &&Minute| {
            present.saturating_sub(minute.number) < u64::try_from(MINUTES).unwrap_or(u64::MAX)
        };
        let minutes = self.minutes.iter().filter(lately);
        minutes.fold((0, 0), |(good, all), minute| {
            (good + minute.good, all + minute.good + minute.bad)
        })
    }

    /// Round-trip times of the last pings.
    #[must_use]
    pub const fn rtts(&self) -> &Times {
        &self.rtts
    }

    /// Times of the last pages.
    #[must_use]
    pub const fn pages(&self) -> &Times {
        &self.pages
    }

    fn minute(&mut self, now: Moment) -> &mut Minute {
        let number = number(now);
        let place = usize::try_from(number).unwrap_or(0) % MINUTES;
        let minute = &mut self.minutes[place];
        if minute.number != number {
            *minute = Minute {
                number,
                ..Minute::default()
            };
        }
        minute
    }
}

const fn number(now: Moment) -> u64 {
    now.since(Moment::ZERO).as_secs() / 60
}

/// The last few times of one kind, in microseconds, in no order that matters.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    ring: [u32; TIMES],
    count: usize,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            ring: [0; TIMES],
            count: 0,
        }
    }
}

impl Times {
    fn add(&mut self, time: Duration) {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        self.ring[self.count % TIMES] = micros;
        self.count += 1;
    }

    /// The time that so many in a hundred do not exceed; `None` before the first one.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Option<Duration> {
        let mut times = self.ring;
        let known = times.get_mut(..self.count.min(TIMES))?;
        known.sort_unstable();
        let last = known.len().checked_sub(1)?;
        let micros = known.get((known.len() * percent / 100).min(last))?;
        Some(Duration::from_micros(u64::from(*micros)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_seventeenth_change_pushes_out_the_first() {
        let mut record = Record::default();
        for n in 0..=CHANGES_MAX {
            let now = Moment::from_millis(u64::try_from(n).unwrap());
            record.changed(now, Event::Out(Fault::Timeout));
        }
        assert_eq!(record.changes().count(), CHANGES_MAX);
        assert_eq!(record.changes().next().unwrap().0, Moment::from_millis(1));
    }

    #[test]
    fn successes_are_those_of_the_last_minutes() {
        let mut record = Record::default();
        let mut now = Moment::ZERO;
        for _ in 0..60 {
            record.failed(now);
            now = now + SECOND;
        }
        assert_eq!(record.successes(now), (0, 60));
        for _ in 0..60 * (MINUTES - 1) {
            record.pong(now, SECOND);
            now = now + SECOND;
        }
        assert_eq!(record.successes(now), (240, 240));
        assert_eq!(record.successes(now + 600 * SECOND), (0, 0));
    }

    #[test]
    fn percentiles_are_of_the_last_times_only() {
        let mut times = Times::default();
        assert_eq!(times.percentile(50), None);
        times.add(SECOND);
        assert_eq!(times.percentile(99), Some(SECOND));
        for n in 1..=u64::try_from(TIMES).unwrap() {
            times.add(Duration::from_millis(n));
        }
        assert_eq!(times.percentile(50), Some(Duration::from_millis(17)));
        assert_eq!(times.percentile(100), Some(Duration::from_millis(32)));
    }
}
