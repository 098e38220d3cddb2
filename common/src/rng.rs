//! Randomness as engines see it: a seeded generator they are given.
//!
//! One seed reproduces a run; children drawn from a generator are independent of how often their
//! parent is used afterwards. The system's entropy is read in one place only, behind `shell`.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// A reproducible generator, strong enough for transaction ids and tokens (ChaCha8).
#[derive(Clone, Debug)]
pub struct Generator(ChaCha8Rng);

impl Generator {
    /// The generator that `seed` always makes: for tests and the simulator.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A generator from 32 bytes of entropy.
    #[must_use]
    pub fn from_entropy(bytes: [u8; 32]) -> Self {
        Self(ChaCha8Rng::from_seed(bytes))
    }

    /// A generator seeded by the operating system.
    ///
    /// # Errors
    /// The system's entropy source does not answer.
    #[cfg(feature = "shell")]
    pub fn from_system() -> std::io::Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Self::from_entropy(bytes))
    }

    /// A new generator whose stream is independent of this one's.
    #[must_use]
    pub fn child(&mut self) -> Self {
        Self::from_entropy(self.bytes())
    }

    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// 64 random bits.
    #[must_use]
    #[inline]
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..bound`; 0 when `bound` is 0. The bias is below `bound / 2^64`.
    #[must_use]
    #[inline]
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 {
            return 0;
        }
        let wide = u128::from(self.u64()) * bound as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// A duration in `0..=max`: jitter.
    #[must_use]
    pub fn jitter(&mut self, max: Duration) -> Duration {
        let nanos = u64::try_from(max.as_nanos()).unwrap_or(u64::MAX);
        let wide = u128::from(self.u64()) * (u128::from(nanos) + 1);
        Duration::from_nanos(u64::try_from(wide >> 64).unwrap_or(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_makes_one_stream() {
        let (mut one, mut two) = (Generator::from_seed(7), Generator::from_seed(7));
        assert_eq!(one.bytes::<40>(), two.bytes::<40>());
        assert_eq!(one.child().u64(), two.child().u64());
        assert_ne!(Generator::from_seed(7).u64(), Generator::from_seed(8).u64());
    }

    #[test]
    fn bounded_draws_stay_in_bounds() {
        let mut rng = Generator::from_seed(1);
        assert_eq!(rng.below(0), 0);
        assert!((0..1000).all(|_| rng.below(3) < 3));
        let max = Duration::from_millis(5);
        assert!((0..1000).all(|_| rng.jitter(max) <= max));
    }
}
