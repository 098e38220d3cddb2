//! A span of time in four bytes. Not for deadlines: it is coarse.

use std::time::Duration;

/// To the millisecond up to [`FINE`], to the second above; of what is longer than a hundred years, that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span(u32);

/// Milliseconds that are told one from the other: eleven days of them. A greater number is so many seconds
/// more.
const FINE: u32 = 1_000_000_000;

/// The same in seconds.
const FINE_SECS: u64 = FINE as u64 / 1_000;

impl Span {
    /// None at all.
    pub(super) const ZERO: Self = Self(0);

    /// The longest that is no longer than `span`.
    pub(super) fn within(span: Duration) -> Self {
        let fine = u32::try_from(span.as_millis()).ok();
        if let Some(millis) = fine.filter(|millis| *millis <= FINE) {
            return Self(millis);
        }
        let coarse = u32::try_from(span.as_secs().saturating_sub(FINE_SECS));
        Self(coarse.map_or(u32::MAX, |seconds| FINE.saturating_add(seconds)))
    }

    /// The shortest that is no shorter than `span`.
    pub(super) fn beyond(span: Duration) -> Self {
        let within = Self::within(span);
        if within.duration() < span {
            Self(within.0.saturating_add(1))
        } else {
            within
        }
    }

    /// As it was, about.
    pub(super) const fn duration(self) -> Duration {
        match self.0.checked_sub(FINE) {
            None | Some(0) => Duration::from_millis(self.0 as u64),
            Some(seconds) => Duration::from_secs(FINE_SECS + seconds as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_response_can_say_comes_back() {
        let most = Duration::from_secs(1 << 31);
        let [short, year] = [1_234, 31_536_000_000].map(Duration::from_millis);
        for span in [Duration::ZERO, short, year, most] {
            assert_eq!(Span::within(span).duration(), span);
            assert_eq!(Span::beyond(span).duration(), span);
        }
        let longest = Span::within(Duration::MAX).duration();
        assert!(longest > most && Span::beyond(Duration::MAX).duration() == longest);
    }

    proptest! {
        #[test]
        fn any_span_lies_between_the_two_that_stand_for_it(nanos in 0..3_000_000_000_000_000_u64) {
            let span = Duration::from_nanos(nanos);
            let (within, beyond) = (Span::within(span).duration(), Span::beyond(span).duration());
            prop_assert!(within <= span && span <= beyond);
            let step = if nanos < 1_000_000_000_000_000 { 1 } else { 1_000 };
            prop_assert!(beyond - within <= Duration::from_millis(step));
        }
    }
}
