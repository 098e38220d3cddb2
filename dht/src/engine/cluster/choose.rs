//! Which of two acceptable clusters: the larger, with a hysteresis; of equals the lower id.
//!
//! The larger wins if the logarithms (base 2) of the sizes differ by more than delta, a square wave
//! on the younger one's age: 0 in even hours, 2 in odd ones. So very unequal clusters merge at
//! once, and nearly equal ones cannot change places for ever because sizes are only estimates
//! (CORAL 1.9). Whole numbers only: nodes that see the same sizes must decide the same.

use std::time::Duration;

use super::{Moved, View};

/// Half a period of the wave.
const HOUR: Duration = Duration::from_secs(3_600);

/// The wave at `age`, in powers of two.
#[must_use]
pub const fn delta(age: Duration) -> u32 {
    if (age.as_secs() / HOUR.as_secs()).is_multiple_of(2) {
        0
    } else {
        2
    }
}

/// Whether `other` is preferred to `own`, and why.
#[must_use]
pub fn prefers(own: &View, other: &View) -> Option<Moved> {
    let delta = delta(own.age.min(other.age));
    let exceeds = |a: u32, b: u32| u64::from(a.max(1)) > u64::from(b.max(1)) << delta;
    if exceeds(other.size, own.size) {
        return Some(Moved::Larger);
    }
    let level = !exceeds(own.size, other.size);
    (level && other.cluster < own.cluster).then_some(Moved::LowerId)
}

#[cfg(test)]
mod tests {
    use common::ids::ClusterId;

    use super::*;

    fn view(id: u8, size: u32, hours: u64) -> View {
        View {
            cluster: ClusterId::new(u64::from(id)),
            size,
            age: HOUR * u32::try_from(hours).unwrap(),
            ..View::default()
        }
    }

    #[test]
    fn the_wave_is_square() {
        let at = |minutes: u64| delta(Duration::from_secs(60 * minutes));
        assert_eq!([at(0), at(59), at(60), at(119), at(120)], [0, 0, 2, 2, 0]);
    }

    #[test]
    fn the_larger_wins_in_even_hours_and_the_much_larger_always() {
        let (small, large) = (view(1, 10, 0), view(2, 11, 0));
        assert_eq!(prefers(&small, &large), Some(Moved::Larger));
        assert_eq!(prefers(&large, &small), None);
        let (small, large, huge) = (view(1, 10, 1), view(2, 40, 1), view(3, 41, 1));
        assert_eq!(prefers(&small, &large), None);
        assert_eq!(prefers(&large, &small), Some(Moved::LowerId));
        assert_eq!(prefers(&small, &huge), Some(Moved::Larger));
    }

    #[test]
    fn the_younger_age_decides_which_hour_it_is() {
        let (small, large) = (view(1, 10, 1), view(2, 11, 2));
        assert_eq!(prefers(&small, &large), None);
        let young = view(2, 11, 0);
        assert_eq!(prefers(&small, &young), Some(Moved::Larger));
    }

    #[test]
    fn of_equals_the_lower_id_and_never_both_ways() {
        for hours in 0..4 {
            for (a, b) in [(10, 10), (10, 11), (10, 39), (10, 90), (0, 1)] {
                let (one, two) = (view(1, a, hours), view(2, b, hours));
                let both = prefers(&one, &two).is_some() && prefers(&two, &one).is_some();
                assert!(!both, "{a} and {b} after {hours} h change places");
                assert!(prefers(&one, &two).is_some() || prefers(&two, &one).is_some());
            }
        }
    }
}
