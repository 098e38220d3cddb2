//! Whether clients of changed nodes wait longer for the first byte than those of untouched ones.
//!
//! Medians are compared, and what 95 of 100 requests do not exceed: a mean is what one slow site makes of it. A quantile
//! jumps where many requests take either of two times, one of a copy and one of a site, and about as many the one as
//! the other; so the share of requests that take longer has to differ, too. Where agents report no buckets, or
//! too few are in them, means are compared.

use super::gate::{Compared, FEWEST, FailReason, Measures, compare};
use crate::engine::document::times::Times;

/// A mean this much longer is worse, in hundredths.
const MEAN_PERCENT: u64 = 150;

/// And by at least so much, in microseconds: below it nobody notices.
const MEAN_MICROS: u64 = 5_000;

/// From when on a quantile is worse.
struct Limit {
    /// Which one.
    percent: u64,
    /// What it is called when it is worse.
    reason: FailReason,
    /// So much longer, in hundredths.
    longer_percent: u64,
    /// And by at least so much, in microseconds.
    longer_micros: u64,
    /// And of so much larger a share of requests, at one of the bounds between.
    of_account: f64,
}

/// Buckets are a factor of 1.41 wide, so a release that is slower by less than that never fails, and by 2.1 always.
const MEDIAN: Limit = Limit {
    percent: 50,
    reason: FailReason::FirstByte,
    longer_percent: 150,
    longer_micros: 5_000,
    of_account: 0.05,
};

/// The slowest twentieth depends on sites more than on us, and differs more from node to node.
const TAIL: Limit = Limit {
    percent: 95,
    reason: FailReason::FirstByteTail,
    longer_percent: 200,
    longer_micros: 10_000,
    of_account: 0.025,
};

impl Limit {
    fn is_exceeded(&self, changed: &Times, control: &Times) -> bool {
        let quantiles = changed
            .quantile(self.percent)
            .zip(control.quantile(self.percent));
        let Some((ours, theirs)) = quantiles else {
            return false;
        };
        let percent = u128::from(self.longer_percent);
        if ours.micros <= theirs.micros.saturating_add(self.longer_micros)
            || u128::from(ours.micros) * 100 <= u128::from(theirs.micros) * percent
        {
            return false;
        }
        let more_beyond = |bound: usize| {
            let of = |times: &Times| (times.beyond(bound), times.total());
            compare(of(changed), of(control), self.of_account) == Compared::Worse
        };
        (theirs.bucket.saturating_sub(1)..ours.bucket).any(more_beyond)
    }
}

/// In what they wait longer, if they do.
pub(super) fn slower(changed: &Measures, control: &Measures) -> Option<FailReason> {
    let (ours, theirs) = (&changed.first_byte_times, &control.first_byte_times);
    if ours.total().min(theirs.total()) >= FEWEST {
        let exceeded = |limit: &Limit| limit.is_exceeded(ours, theirs);
        let worse = [MEDIAN, TAIL].into_iter().find(exceeded);
        return worse.map(|limit| limit.reason);
    }
    let enough = changed.first_bytes.min(control.first_bytes) >= FEWEST;
    let means = changed.first_byte().zip(control.first_byte());
    let (ours, theirs) = means.filter(|_| enough)?;
    let longer = u128::from(ours) * 100 > u128::from(theirs) * u128::from(MEAN_PERCENT);
    (longer && ours > theirs.saturating_add(MEAN_MICROS)).then_some(FailReason::FirstByte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thousand requests, of which these shares in a thousand took so many microseconds.
    fn times(shares: &[(u64, u64)]) -> Measures {
        let mut measures = Measures::default();
        for (micros, count) in shares {
            measures.first_byte_times.add(*micros, *count * 10);
            measures.first_bytes += count * 10;
            measures.first_byte_micros += micros * count * 10;
        }
        measures
    }

    type Shares = &'static [(u64, u64)];

    #[test]
    fn a_median_or_a_tail_that_is_longer_is_worse_whatever_the_mean_does() {
        let tail = Some(FailReason::FirstByteTail);
        let median = Some(FailReason::FirstByte);
        let rows: [(&str, Shares, Shares, _); 8] = [
            ("as before", &[(10_000, 1_000)], &[(10_000, 1_000)], None),
            (
                "a little slower, over a bound",
                &[(12_700, 1_000)],
                &[(17_000, 1_000)],
                None,
            ),
            (
                "all slower by 2.2",
                &[(10_000, 1_000)],
                &[(22_000, 1_000)],
                median,
            ),
            (
                "half of them four times, the mean the same",
                &[(10_000, 750), (200_000, 250)],
                &[(10_000, 250), (40_000, 500), (140_000, 250)],
                median,
            ),
            (
                "one of four ten times, beside sites that make the mean",
                &[(10_000, 970), (20_000_000, 30)],
                &[(10_000, 735), (100_000, 245), (20_000_000, 20)],
                tail,
            ),
            (
                "hits that nobody notices",
                &[(200, 1_000)],
                &[(2_000, 1_000)],
                None,
            ),
            (
                "as many hits as misses, one more or less",
                &[(500, 505), (100_000, 495)],
                &[(500, 495), (100_000, 505)],
                None,
            ),
            (
                "one of twenty is slow, one more or less",
                &[(500, 952), (100_000, 48)],
                &[(500, 945), (100_000, 55)],
                None,
            ),
        ];
        for (what, control, changed, expected) in rows {
            assert_eq!(slower(&times(changed), &times(control)), expected, "{what}");
        }
    }

    #[test]
    fn with_too_few_in_buckets_means_are_compared() {
        let slow = times(&[(30_000, 1_000)]);
        let mut of_older_agents = times(&[(10_000, 1_000)]);
        of_older_agents.first_byte_times = Times::default();
        let mean = Some(FailReason::FirstByte);
        assert_eq!(slower(&slow, &of_older_agents), mean);
        let few = times(&[(30_000, 19)]);
        assert_eq!(slower(&few, &of_older_agents), None);
    }
}
