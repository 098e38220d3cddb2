//! A moment to the second, in half the bytes: thousands are remembered where a second is nothing.

use std::num::NonZeroU32;
use std::time::Duration;

use common::clock::Moment;

/// The second that a moment is in. Saturates 136 years after the clock's origin.
///
/// Held as one more than it is, so that an `Option<Second>` takes no more room.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Second(NonZeroU32);

impl Second {
    /// The clock's first one.
    pub const ZERO: Self = Self(NonZeroU32::MIN);

    /// Whether all of it is at most `span` before `now`.
    #[must_use]
    pub fn is_within(self, now: Moment, span: Duration) -> bool {
        let began = Moment::ZERO + Duration::from_secs(u64::from(self.0.get() - 1));
        now.since(began) < span
    }
}

impl From<Moment> for Second {
    fn from(moment: Moment) -> Self {
        let seconds = moment.since(Moment::ZERO).as_secs();
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        Self(NonZeroU32::MIN.saturating_add(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_within_a_span_until_its_beginning_is_not() {
        let second = Second::from(Moment::from_millis(7_900));
        let within = |now| second.is_within(Moment::from_millis(now), Duration::from_secs(50));
        assert!(within(7_900) && within(56_999));
        assert!(!within(57_000));
    }
}
