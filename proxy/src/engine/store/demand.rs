//! What each kept URL is worth: how much it is asked for, for the room it takes. Decides who has to go.
//!
//! Worth is uses, of which the older half counts half at each turn of the *epoch*, and a little for
//! having been asked for just now, over the square root of the bytes that letting go gives back: the
//! root lies between counting requests that are answered here (which favours the small) and bytes (which
//! does not ask for size). The least worth of a few drawn at random goes: no order is kept, so a use
//! costs three stores (Blankstein, Sen and Freedman, 2017). What goes leaves its uses with the
//! ghosts, and comes back with them.
//!
//! A scan, and the many that are asked for once, are worth one use and go before what was asked for
//! twice; yet nothing is refused, because whoever comes next may be the crowd.

use common::rng::Generator;
use std::hash::Hash;

use super::ghosts::Ghosts;

/// Of how many the least worth goes. More find the least better, and cost that much more per URL let
/// go; the hit ratio gains 0.3 points from 24 to 32, and 0.4 from 16 to 24.
pub const DRAWN: usize = 24;

/// Requests in an epoch, for each URL kept. Shorter follows a change of taste sooner, longer tells the
/// steady ones apart better: from 10 to 40 the hit ratio moves by a point, up or down with the trace.
const EPOCH: u64 = 20;

/// Requests in the shortest epoch.
const EPOCH_LEAST: u64 = 1_280;

/// How much one URL was used. Small, since there is one for each: more than 65,535 uses are as many as that, and
/// one that is not asked for in four thousand million requests, or in 65,536 epochs, may for a while be
/// taken for one that was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uses {
    count: u16,
    epoch: u16,
    last: u32,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Demand {
    /// Requests so far: the time that counts here.
    now: u32,
    epoch: u16,
    /// Requests left of the epoch.
    left: u64,
    ghosts: Ghosts,
    rng: Generator,
}

impl Demand {
    /// Nothing was asked for yet; `keys` is how many URLs may be worth remembering when they are gone.
    #[must_use]
    pub fn new(keys: usize, mut rng: Generator) -> Self {
        let ghosts = Ghosts::new(keys, rng.u64());
        Self {
            now: 0,
            epoch: 0,
            left: EPOCH_LEAST,
            ghosts,
            rng,
        }
    }

    /// A URL that is kept was asked for, one of `kept`.
    pub fn used(&mut self, uses: &mut Uses, kept: usize) {
        self.tick(kept);
        uses.count = self.faded(*uses).saturating_add(1);
        uses.epoch = self.epoch;
        uses.last = self.now;
    }

    /// A URL comes to the `kept` others.
    pub fn comes(&mut self, key: impl Hash, kept: usize) -> Uses {
        self.tick(kept);
        Uses {
            count: u16::from(self.ghosts.count(key)) + 1,
            epoch: self.epoch,
            last: self.now,
        }
    }

    /// A URL goes, and is remembered for a while.
    pub fn goes(&mut self, key: impl Hash, uses: Uses) {
        self.ghosts.remember(key, self.faded(uses).into());
    }

    /// The uses of a URL that is not kept, as far as they are remembered.
    #[must_use]
    pub fn remembered(&self, key: impl Hash) -> u8 {
        self.ghosts.count(key)
    }

    /// What a URL, one of `kept`, is worth for each root of a byte that its going would give back.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rank needs no more than 52 bits"
    )]
    pub fn worth(&self, uses: Uses, bytes: u64, kept: usize) -> f64 {
        let idle = f64::from(self.now.wrapping_sub(uses.last)) / kept.max(1) as f64;
        (f64::from(self.faded(uses)) + 1.0 / (1.0 + idle)) / (bytes.max(1) as f64).sqrt()
    }

    /// Draws one of `kept`.
    pub fn draw(&mut self, kept: usize) -> usize {
        self.rng.below(kept)
    }

    fn faded(&self, uses: Uses) -> u16 {
        uses.count
            .checked_shr(self.epoch.wrapping_sub(uses.epoch).into())
            .unwrap_or(0)
    }

    fn tick(&mut self, kept: usize) {
        self.now = self.now.wrapping_add(1);
        self.left -= 1;
        if self.left == 0 {
            self.epoch = self.epoch.wrapping_add(1);
            self.left = (EPOCH * kept as u64).max(EPOCH_LEAST);
            self.ghosts.fade();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand() -> Demand {
        Demand::new(100, Generator::from_seed(1))
    }

    #[test]
    fn what_is_used_more_is_worth_more_and_size_counts_by_its_root() {
        let mut demand = demand();
        let once = demand.comes("/once", 2);
        let mut often = demand.comes("/often", 2);
        (0..3).for_each(|_| demand.used(&mut often, 2));
        assert!(demand.worth(often, 1_000, 2) > demand.worth(once, 1_000, 2));
        assert!(demand.worth(often, 100_000, 2) < demand.worth(once, 1_000, 2));
        let (small, large) = (demand.worth(once, 100, 2), demand.worth(once, 10_000, 2));
        assert!((small / large - 10.0).abs() < 1e-9);
    }

    #[test]
    fn of_two_used_as_often_the_one_used_last_is_worth_more() {
        let mut demand = demand();
        let first = demand.comes("/first", 2);
        let second = demand.comes("/second", 2);
        assert!(demand.worth(second, 100, 2) > demand.worth(first, 100, 2));
    }

    #[test]
    fn what_went_comes_back_with_its_uses() {
        let mut demand = demand();
        let mut uses = demand.comes("/a", 1);
        (0..7).for_each(|_| demand.used(&mut uses, 1));
        demand.goes("/a", uses);
        assert_eq!(demand.remembered("/a"), 8);
        assert_eq!(demand.comes("/a", 1).count, 9);
    }

    #[test]
    fn old_uses_count_half_after_each_epoch() {
        let mut demand = demand();
        let mut old = demand.comes("/old", 2);
        (0..7).for_each(|_| demand.used(&mut old, 2));
        demand.goes("/gone", old);
        let mut new = demand.comes("/new", 2);
        for _ in 0..EPOCH_LEAST {
            demand.used(&mut new, 2);
        }
        assert_eq!((demand.faded(old), demand.remembered("/gone")), (4, 4));
        for _ in 0..40 * EPOCH_LEAST {
            demand.used(&mut new, 2);
        }
        assert_eq!(demand.faded(old), 0, "forty times half");
    }
}
