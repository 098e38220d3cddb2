//! Round-trip time of one peer and the patience it deserves.
//!
//! Mean and mean deviation with the gains of RFC 6298 §2. Every attempt has its own transaction
//! id, so a sample is never ambiguous (Karn's problem does not arise). The least time of the last
//! ten to twenty minutes says how far the peer is when nothing is in the way; clusters go by it.

use std::num::NonZeroU32;
use std::time::Duration;

use common::clock::Moment;

use super::config::RpcConfig;
use super::second::Second;

/// Half the memory of the least time: long enough to see a quiet moment, short enough to notice a
/// new route within a few reconsiderations of a cluster.
const LEAST_FOR: Duration = Duration::from_secs(600);

/// A deviation under this part of the mean is not counted on.
const DEVIATION_LEAST: u32 = 16;

/// Longer round trips tell nothing more; eight of them fit 32 bits.
const SAMPLE_MAX: Duration = Duration::from_secs(60);

/// Smoothed round-trip time. Microseconds of 32 bits: there is one per remembered node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rtt {
    mean: Option<NonZeroU32>,
    deviation: u32,
    least: Option<NonZeroU32>,
    least_before: Option<NonZeroU32>,
    since: Second,
}

const fn duration(micros: NonZeroU32) -> Duration {
    Duration::from_micros(micros.get() as u64)
}

impl Default for Rtt {
    fn default() -> Self {
        Self::UNMEASURED
    }
}

impl Rtt {
    /// Nothing is known yet.
    pub const UNMEASURED: Self = Self {
        mean: None,
        deviation: 0,
        least: None,
        least_before: None,
        since: Second::ZERO,
    };

    /// The smoothed time, once measured.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        self.mean.map(duration)
    }

    fn deviation(&self) -> Duration {
        Duration::from_micros(u64::from(self.deviation))
    }

    /// The least time measured lately.
    #[must_use]
    pub fn least(&self) -> Option<Duration> {
        let least = match (self.least, self.least_before) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        least.map(duration)
    }

    /// Takes a sample in. Anything over a minute counts as a minute.
    pub fn sample(&mut self, now: Moment, sample: Duration) {
        if !self.since.is_within(now, LEAST_FOR) {
            (self.least_before, self.least) = (self.least, None);
            self.since = Second::from(now);
        }
        let micros = u32::try_from(sample.min(SAMPLE_MAX).as_micros()).unwrap_or(u32::MAX);
        let sample = NonZeroU32::new(micros).unwrap_or(NonZeroU32::MIN);
        self.least = Some(self.least.map_or(sample, |least| least.min(sample)));
        match self.mean {
            None => (self.mean, self.deviation) = (Some(sample), sample.get() / 2),
            Some(mean) => {
                let off = mean.get().abs_diff(sample.get());
                self.deviation = (self.deviation * 3 + off) / 4;
                self.mean = NonZeroU32::new((mean.get() * 7 + sample.get()) / 8).or(self.mean);
            }
        }
    }

    /// Later than this come 5 of 100 answers: mean + 2 deviations, where errors are distributed
    /// normally. Before the first measurement it is `usual`'s, what first measurements of others
    /// were, and at least half of the first patience: who is far from most would otherwise ask
    /// others beside nearly every node that it meets.
    #[must_use]
    pub fn late(&self, config: &RpcConfig, usual: &Self) -> Duration {
        let expected = |rtt: &Self| rtt.mean().map(|mean| mean + rtt.deviation() * 2);
        let Some(late) = expected(self) else {
            let least = config.timeout_initial / 2;
            return expected(usual)
                .unwrap_or(least)
                .clamp(least, config.timeout_initial);
        };
        late.clamp(config.timeout_floor / 2, config.timeout_cap)
    }

    /// How long to wait for attempt number `attempt`, from 0: mean + 4 deviations and at least a
    /// quarter more than the mean, doubled with every attempt, within the bounds. Before the first
    /// measurement by `usual`, as in [`late`](Self::late).
    #[must_use]
    pub fn timeout(&self, config: &RpcConfig, usual: &Self, attempt: u8) -> Duration {
        // A path that was quiet for long has next to no deviation left, and one late answer would
        // be asked for twice.
        let expected = |rtt: &Self| {
            rtt.mean()
                .map(|mean| mean + rtt.deviation().max(mean / DEVIATION_LEAST) * 4)
        };
        let Some(base) = expected(self) else {
            // A guess is meant to be longer than most paths take, so it need not double.
            let first = expected(usual)
                .unwrap_or_default()
                .max(config.timeout_initial);
            let longer = config.timeout_initial / 2 * u32::from(attempt);
            return (first + longer).min(config.timeout_cap);
        };
        let base = base.clamp(config.timeout_floor, config.timeout_cap);
        base.saturating_mul(1 << attempt.min(8))
            .min(config.timeout_cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn patience_follows_the_measured_time_within_bounds() {
        let config = RpcConfig::default();
        let mut rtt = Rtt::default();
        assert_eq!(rtt.late(&config, &Rtt::UNMEASURED), ms(150));
        assert_eq!(rtt.timeout(&config, &Rtt::UNMEASURED, 0), ms(300));
        assert_eq!(rtt.timeout(&config, &Rtt::UNMEASURED, 1), ms(450));
        assert_eq!(rtt.timeout(&config, &Rtt::UNMEASURED, 9), ms(1_000));
        rtt.sample(Moment::ZERO, ms(50));
        assert_eq!(rtt.timeout(&config, &Rtt::UNMEASURED, 0), ms(150));
        assert_eq!(rtt.timeout(&config, &Rtt::UNMEASURED, 1), ms(300));
        for _ in 0..100 {
            rtt.sample(Moment::ZERO, ms(1));
        }
        assert_eq!(rtt.timeout(&config, &Rtt::UNMEASURED, 0), ms(20));
    }

    #[test]
    fn strangers_are_given_the_time_that_strangers_take() {
        let config = RpcConfig::default();
        let stranger = Rtt::UNMEASURED;
        let mut usual = Rtt::default();
        for _ in 0..100 {
            usual.sample(Moment::ZERO, ms(50));
        }
        assert_eq!(stranger.late(&config, &usual), ms(150), "never sooner");
        assert_eq!(stranger.timeout(&config, &usual, 0), ms(300));
        for _ in 0..100 {
            usual.sample(Moment::ZERO, ms(320));
        }
        // The mean comes as near as whole microseconds let it.
        assert_eq!(
            stranger.late(&config, &usual),
            ms(300),
            "not later than it is asked again"
        );
        assert_eq!(stranger.timeout(&config, &usual, 0).as_millis(), 399);
        assert_eq!(stranger.timeout(&config, &usual, 1).as_millis(), 549);
        for _ in 0..100 {
            usual.sample(Moment::ZERO, ms(5_000));
        }
        assert_eq!(stranger.late(&config, &usual), ms(300), "bounded");
        assert_eq!(stranger.timeout(&config, &usual, 0), ms(1_000));
    }

    #[test]
    fn the_least_time_is_remembered_for_a_while_only() {
        let mut rtt = Rtt::default();
        let at = |s: u64| Moment::from_millis(s * 1_000);
        rtt.sample(at(0), ms(9));
        rtt.sample(at(1), ms(80));
        assert_eq!(rtt.least(), Some(ms(9)));
        rtt.sample(at(601), ms(50));
        assert_eq!(rtt.least(), Some(ms(9)));
        rtt.sample(at(1_202), ms(50));
        assert_eq!(rtt.least(), Some(ms(50)));
    }
}
