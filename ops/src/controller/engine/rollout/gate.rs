//! The gate between two waves: changed nodes against untouched nodes of the same cluster.
//!
//! Three values: pass, fail, inconclusive. Too little to go by is never a pass. Rates are compared with a
//! test for two proportions, so that one error among a dozen requests does not stop a rollout, and one
//! percent of a hundred thousand does.

use std::ops::AddAssign;

/// Fewest of something, on either side, for its rate to say anything.
const FEWEST: u64 = 200;

/// Standard deviations between two rates from which on they differ: one in 700 by chance.
const DEVIATIONS: f64 = 3.0;

/// Smallest difference of two rates that is of any account.
const OF_ACCOUNT: f64 = 0.005;

/// A time to first byte this much longer is worse, in hundredths.
const SLOWER_PERCENT: u64 = 150;

/// And by at least so much, in microseconds: below it nobody notices.
const SLOWER_MICROS: u64 = 5_000;

/// What was counted of nodes since a rollout began.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Measures {
    /// Nodes that these are of.
    pub nodes: u64,
    /// Daemons that ended by themselves.
    pub crashes: u64,
    /// Requests of clients.
    pub requests: u64,
    /// Those answered with a 5xx that is ours, not the site's.
    pub errors: u64,
    /// The time to first byte over all requests, summed, in microseconds.
    pub first_byte_micros: u64,
    /// Questions to the index.
    pub lookups: u64,
    /// Those that failed.
    pub lookups_failed: u64,
    /// Requests injected by the controller.
    pub injected: u64,
    /// Those whose body was not the one that an untouched node gives.
    pub injected_wrong: u64,
}

impl AddAssign for Measures {
    fn add_assign(&mut self, other: Self) {
        self.nodes += other.nodes;
        self.crashes += other.crashes;
        self.requests += other.requests;
        self.errors += other.errors;
        self.first_byte_micros += other.first_byte_micros;
        self.lookups += other.lookups;
        self.lookups_failed += other.lookups_failed;
        self.injected += other.injected;
        self.injected_wrong += other.injected_wrong;
    }
}

/// What a gate says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// No worse than the untouched.
    Pass,
    /// Worse, in this.
    Fail(FailReason),
    /// Too little to go by.
    Inconclusive,
}

impl Verdict {
    /// Of two: a failure if either is one, a pass if either is one, else inconclusive.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Fail(reason), _) | (_, Self::Fail(reason)) => Self::Fail(reason),
            (Self::Pass, _) | (_, Self::Pass) => Self::Pass,
            (Self::Inconclusive, Self::Inconclusive) => Self::Inconclusive,
        }
    }
}

/// In what changed nodes are worse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FailReason {
    /// It was not seen to run the release by its deadline.
    NeverStarted,
    /// It returned to the release before by itself.
    FellBack,
    /// Daemons end by themselves.
    Crashes,
    /// Clients get more 5xx of ours.
    Errors,
    /// Clients wait longer for the first byte.
    FirstByte,
    /// The index answers less often.
    Index,
    /// A body is another one.
    Body,
}

impl FailReason {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverStarted => "never_started",
            Self::FellBack => "fell_back",
            Self::Crashes => "crashes",
            Self::Errors => "errors",
            Self::FirstByte => "first_byte",
            Self::Index => "index",
            Self::Body => "body",
        }
    }
}

/// Judges changed nodes by untouched ones.
#[must_use]
pub fn judge(changed: &Measures, control: &Measures) -> Verdict {
    // Bodies are equal or not; one that is not is enough, with nobody to compare.
    if changed.injected_wrong > 0 {
        return Verdict::Fail(FailReason::Body);
    }
    // More than one for each node, and more often than the untouched.
    let often = changed.crashes > changed.nodes;
    if often && changed.crashes * control.nodes > 2 * control.crashes * changed.nodes {
        return Verdict::Fail(FailReason::Crashes);
    }
    let errors = compare(
        (changed.errors, changed.requests),
        (control.errors, control.requests),
    );
    let lookups = compare(
        (changed.lookups_failed, changed.lookups),
        (control.lookups_failed, control.lookups),
    );
    if errors == Compared::Worse {
        return Verdict::Fail(FailReason::Errors);
    }
    if lookups == Compared::Worse {
        return Verdict::Fail(FailReason::Index);
    }
    if errors == Compared::TooFew {
        return Verdict::Inconclusive;
    }
    let mean = |side: &Measures| side.first_byte_micros / side.requests.max(1);
    let (ours, theirs) = (mean(changed), mean(control));
    if ours > theirs + SLOWER_MICROS && ours * 100 > theirs * SLOWER_PERCENT {
        return Verdict::Fail(FailReason::FirstByte);
    }
    Verdict::Pass
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compared {
    Worse,
    NotWorse,
    TooFew,
}

/// Compares (bad, all) of two sides: the pooled test for two proportions, one-sided.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn compare((bad, all): (u64, u64), (control_bad, control_all): (u64, u64)) -> Compared {
    if all < FEWEST || control_all < FEWEST {
        return Compared::TooFew;
    }
    let (n, m) = (all as f64, control_all as f64);
    let (rate, control) = (bad as f64 / n, control_bad as f64 / m);
    let pooled = (bad + control_bad) as f64 / (n + m);
    let deviation = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    if rate - control > OF_ACCOUNT && rate - control > DEVIATIONS * deviation {
        Compared::Worse
    } else {
        Compared::NotWorse
    }
}
