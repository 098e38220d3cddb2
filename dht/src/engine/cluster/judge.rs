//! Is a cluster near enough? From the least round-trip times to the members measured.
//!
//! A node joins a cluster of which it finds four members in five under the level's threshold, and
//! stays while it is one in two: the gap keeps noise from moving anybody (CORAL 1.9).

use super::View;

/// Members in ten that must be near before a node joins.
const JOIN_TENTHS: u32 = 8;

/// Members in ten that must be near for it to stay.
const STAY_TENTHS: u32 = 5;

/// Members that must have been measured before a switch, if there are as many.
pub const MEASURED_ENOUGH: u32 = 8;

/// Whether a node outside may join.
#[must_use]
pub const fn acceptable(view: &View) -> bool {
    view.measured > 0 && view.near * 10 >= view.measured * JOIN_TENTHS
}

/// Whether a member may stay. Nobody measured is nobody far.
#[must_use]
pub const fn tolerable(view: &View) -> bool {
    view.near * 10 >= view.measured * STAY_TENTHS
}

/// Whether enough members were measured to decide without looking for more.
#[must_use]
pub const fn is_sure(view: &View) -> bool {
    view.measured >= MEASURED_ENOUGH || view.measured >= view.size
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(near: u32, measured: u32, size: u32) -> View {
        View {
            near,
            measured,
            size,
            ..View::default()
        }
    }

    #[test]
    fn joins_at_four_in_five_and_stays_at_one_in_two() {
        assert!(acceptable(&view(4, 5, 9)) && !acceptable(&view(3, 4, 9)));
        assert!(tolerable(&view(1, 2, 9)) && !tolerable(&view(2, 5, 9)));
        assert!(!acceptable(&view(0, 0, 9)), "an unmeasured one is unknown");
        assert!(tolerable(&view(0, 0, 1)), "alone one is near oneself");
    }

    #[test]
    fn is_sure_of_eight_or_of_all() {
        assert!(is_sure(&view(0, 1, 1)) && is_sure(&view(0, 8, 500)));
        assert!(!is_sure(&view(0, 3, 4)));
    }
}
