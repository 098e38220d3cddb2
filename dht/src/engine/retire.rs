//! When the index of an old network leaves a node on which that of a new one runs too.
//!
//! What counts is what others ask about keys: pings and upkeep go on for as long as anybody is there. It
//! leaves when hardly anybody has asked for a while and nobody is known to be in the old network alone, or at a
//! deadline.

use std::time::Duration;

use common::clock::Moment;

/// Requests a second under which an index is quiet, whatever the new one hears.
const QUIET_RATE: f64 = 0.5;

/// The same as a share of what the new one hears.
const QUIET_SHARE: f64 = 0.01;

/// Requests a second under which an index is quiet while the new one hears so many.
#[must_use]
pub fn quiet_under(new_per_s: f64) -> f64 {
    QUIET_RATE.max(new_per_s * QUIET_SHARE)
}

/// When to leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Over which a rate is measured: so that a burst of one second does not count as traffic of ten minutes.
    pub window: Duration,
    /// How long it has to have been quiet.
    pub quiet: Duration,
    /// At the latest, from the start on.
    pub deadline: Duration,
}

/// Why it leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeaveReason {
    /// Hardly anybody has asked for long enough.
    Quiet,
    /// The time is over, whoever still asks.
    Deadline,
}

impl LeaveReason {
    /// The word for logs and status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Deadline => "deadline",
        }
    }
}

/// What the two indexes have been asked since they started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// This one, of the old network.
    pub old: u64,
    /// That of the new one; `None` if it does not say.
    pub new: Option<u64>,
    /// Nodes known to be in the old network alone: what they keep is found nowhere else.
    pub stragglers: usize,
}

/// An index on its way out.
#[derive(Clone, Debug)]
pub struct Retirement {
    terms: Terms,
    began: Moment,
    window: Option<(Moment, Asked)>,
    quiet_since: Option<Moment>,
    rates: Option<(f64, f64)>,
}

impl Retirement {
    /// One that begins now.
    #[must_use]
    pub const fn new(terms: Terms, now: Moment) -> Self {
        Self {
            terms,
            began: now,
            window: None,
            quiet_since: None,
            rates: None,
        }
    }

    /// Takes note of what was asked by now. Says whether it is time to leave.
    pub fn observe(&mut self, now: Moment, asked: Asked) -> Option<LeaveReason> {
        if now.since(self.began) >= self.terms.deadline {
            return Some(LeaveReason::Deadline);
        }
        let Some((at, before)) = self.window else {
            self.window = Some((now, asked));
            return None;
        };
        let Some((old, new)) = asked.old.checked_sub(before.old).zip(asked.new) else {
            // A new index that does not answer is no successor: nobody leaves.
            self.window = asked.new.map(|_| (now, asked));
            self.quiet_since = None;
            return None;
        };
        let passed = now.since(at);
        if passed < self.terms.window {
            return self.quiet_for(now);
        }
        // A new index that was started anew counts from nothing.
        let new = new.checked_sub(before.new.unwrap_or(new)).unwrap_or(new);
        let rate = |count: u64| count as f64 / passed.as_secs_f64();
        let (old, new) = (rate(old), rate(new));
        self.rates = Some((old, new));
        self.window = Some((now, asked));
        if old < quiet_under(new) && asked.stragglers == 0 {
            self.quiet_since.get_or_insert(at);
        } else {
            self.quiet_since = None;
        }
        self.quiet_for(now)
    }

    fn quiet_for(&self, now: Moment) -> Option<LeaveReason> {
        let since = self.quiet_since?;
        (now.since(since) >= self.terms.quiet).then_some(LeaveReason::Quiet)
    }

    /// When it is to leave.
    #[must_use]
    pub const fn terms(&self) -> Terms {
        self.terms
    }

    /// Requests a second that the old and the new one heard of late, once they were measured.
    #[must_use]
    pub const fn rates(&self) -> Option<(f64, f64)> {
        self.rates
    }

    /// For how long it has been quiet.
    #[must_use]
    pub fn quiet(&self, now: Moment) -> Option<Duration> {
        self.quiet_since.map(|since| now.since(since))
    }

    /// For how long it may stay yet.
    #[must_use]
    pub fn left(&self, now: Moment) -> Duration {
        self.terms.deadline.saturating_sub(now.since(self.began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        window: Duration::from_secs(60),
        quiet: Duration::from_secs(600),
        deadline: Duration::from_secs(86_400),
    };

    /// Runs for `seconds` with so many tenths of a request a second; when and why it leaves, in seconds.
    fn run(seconds: u64, old: impl Fn(u64) -> u64, new: u64) -> Option<(u64, LeaveReason)> {
        run_with(TERMS, seconds, old, new)
    }

    fn run_with(
        terms: Terms,
        seconds: u64,
        old: impl Fn(u64) -> u64,
        new: u64,
    ) -> Option<(u64, LeaveReason)> {
        let mut retirement = Retirement::new(terms, Moment::ZERO);
        let (mut sum_old, mut sum_new) = (0, 0);
        for second in (0..seconds).step_by(5) {
            sum_old += old(second) * 5;
            sum_new += new * 5;
            let asked = Asked {
                old: sum_old / 10,
                new: Some(sum_new / 10),
                stragglers: 0,
            };
            let now = Moment::ZERO + Duration::from_secs(second);
            if let Some(reason) = retirement.observe(now, asked) {
                return Some((second, reason));
            }
        }
        None
    }

    #[test]
    fn it_leaves_when_hardly_anybody_has_asked_for_long_enough() {
        assert_eq!(run(3_600, |_| 3, 100), Some((600, LeaveReason::Quiet)));
        assert_eq!(run(3_600, |_| 7, 100), None, "somebody still asks");
        let busy_new = run(3_600, |_| 7, 1_000);
        assert_eq!(busy_new, Some((600, LeaveReason::Quiet)), "under 1 %");
    }

    #[test]
    fn a_busy_minute_begins_the_count_anew() {
        let old = |second| if (300..360).contains(&second) { 50 } else { 1 };
        let (left, reason) = run(3_600, old, 10).unwrap();
        assert_eq!(reason, LeaveReason::Quiet);
        assert!((900..1_100).contains(&left), "{left}");
    }

    #[test]
    fn a_burst_counts_as_much_as_its_share_of_the_window() {
        // Ten questions at once, every ten minutes.
        let old = |second: u64| if second % 600 == 300 { 20 } else { 0 };
        let over = |seconds| {
            let window = Duration::from_secs(seconds);
            let terms = Terms { window, ..TERMS };
            run_with(terms, 3_600, old, 10)
        };
        assert_eq!(over(60), Some((600, LeaveReason::Quiet)), "0.17 a second");
        assert_eq!(over(5), None, "2 a second");
    }

    #[test]
    fn at_the_deadline_it_leaves_whoever_asks() {
        let left = run(90_000, |_| 500, 500);
        assert_eq!(left, Some((86_400, LeaveReason::Deadline)));
    }

    #[test]
    fn nobody_leaves_for_a_successor_that_does_not_answer() {
        let mut retirement = Retirement::new(TERMS, Moment::ZERO);
        for second in (0..3_600).step_by(5) {
            let now = Moment::ZERO + Duration::from_secs(second);
            let asked = Asked {
                old: 0,
                new: None,
                stragglers: 0,
            };
            assert_eq!(retirement.observe(now, asked), None);
        }
        assert_eq!(retirement.quiet(Moment::ZERO), None);
    }

    #[test]
    fn nobody_leaves_a_straggler_behind_before_the_deadline() {
        let mut retirement = Retirement::new(TERMS, Moment::ZERO);
        let mut left = None;
        for second in (0..90_000).step_by(5) {
            let asked = Asked {
                old: 0,
                new: Some(second),
                stragglers: usize::from(!(7_200..=7_500).contains(&second)),
            };
            let now = Moment::ZERO + Duration::from_secs(second);
            left = left.or_else(|| Some((second, retirement.observe(now, asked)?)));
        }
        assert_eq!(left, Some((86_400, LeaveReason::Deadline)));
    }
}
