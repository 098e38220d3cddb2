//! Exponential back-off with jitter from the caller's generator.
//!
//! Says how long to wait; who waits, and for what, is the caller's affair.

use std::time::Duration;

use crate::rng::Generator;

/// A schedule of waits: `floor`, doubled at each failure, never above `cap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    floor: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// A schedule from `floor` to `cap`, with no failure so far.
    #[must_use]
    pub const fn new(floor: Duration, cap: Duration) -> Self {
        Self {
            floor,
            cap,
            failures: 0,
        }
    }

    /// Failures since the last success.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts a failure and says how long to wait: between half the step and the whole of it, so
    /// that many who failed together do not return together.
    pub fn fail(&mut self, rng: &mut Generator) -> Duration {
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let step = self.floor.saturating_mul(factor).min(self.cap);
        self.failures = self.failures.saturating_add(1);
        step / 2 + rng.jitter(step / 2)
    }

    /// Forgets all failures.
    pub const fn succeed(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_cap_and_starts_over_after_success() {
        let mut rng = Generator::from_seed(3);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(8));
        let waits: Vec<_> = (0..40).map(|_| backoff.fail(&mut rng)).collect();
        for (n, wait) in waits.iter().enumerate() {
            let step = Duration::from_secs(8.min(1 << n.min(10)));
            assert!(*wait >= step / 2 && *wait <= step, "wait {n} was {wait:?}");
        }
        backoff.succeed();
        assert!(backoff.fail(&mut rng) <= Duration::from_secs(1));
    }
}
