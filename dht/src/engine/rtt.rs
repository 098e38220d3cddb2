//! Round-trip time of one peer and the patience it deserves.
//!
//! Mean and mean deviation with the gains of RFC 6298 §2. Every attempt has its own transaction
//! id, so a sample is never ambiguous (Karn's problem does not arise).

use std::time::Duration;

use super::config::RpcConfig;

/// Smoothed round-trip time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rtt {
    mean: Option<Duration>,
    deviation: Duration,
}

impl Rtt {
    /// Nothing is known yet.
    pub const UNMEASURED: Self = Self {
        mean: None,
        deviation: Duration::ZERO,
    };

    /// The smoothed time, once measured.
    #[must_use]
    pub const fn mean(&self) -> Option<Duration> {
        self.mean
    }

    /// Takes a sample in.
    pub fn sample(&mut self, sample: Duration) {
        match self.mean {
            None => (self.mean, self.deviation) = (Some(sample), sample / 2),
            Some(mean) => {
                let off = mean.abs_diff(sample);
                self.deviation = (self.deviation * 3 + off) / 4;
                self.mean = Some((mean * 7 + sample) / 8);
            }
        }
    }

    /// How long to wait for attempt number `attempt`, from 0: mean + 4 deviations, doubled with
    /// every attempt, within the bounds.
    #[must_use]
    pub fn timeout(&self, config: &RpcConfig, attempt: u8) -> Duration {
        let base = self
            .mean
            .map_or(config.timeout_initial, |mean| mean + self.deviation * 4);
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
        assert_eq!(rtt.timeout(&config, 0), ms(200));
        assert_eq!(rtt.timeout(&config, 1), ms(400));
        assert_eq!(rtt.timeout(&config, 9), ms(1_000));
        rtt.sample(ms(50));
        assert_eq!(rtt.timeout(&config, 0), ms(150));
        for _ in 0..100 {
            rtt.sample(ms(1));
        }
        assert_eq!(rtt.timeout(&config, 0), ms(20));
    }
}
