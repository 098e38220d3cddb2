//! The gate between two waves: changed nodes against untouched nodes of the same cluster.
//!
//! Three values: pass, fail, inconclusive. Too little to go by is never a pass. Rates are compared with a
//! test for two proportions, so that one error among a dozen requests does not stop a rollout, and one
//! percent of a hundred thousand does.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::slower::slower;
use crate::engine::document::report::{Counted, Report};
use crate::engine::document::times::Times;

/// Fewest of something, on either side, for its rate to say anything.
pub const FEWEST: u64 = 200;

/// Standard deviations between two rates from which on they differ: one in 700 by chance.
const DEVIATIONS: f64 = 3.0;

/// Smallest difference of two rates that is of any account.
const OF_ACCOUNT: f64 = 0.005;

/// Test pages that may stay away by chance.
const INJECTED_FAILED: u64 = 3;

/// One changed node of so many may be down by chance; more are the release's doing.
const DOWN_ONE_OF: u64 = 20;

/// What a node's agent has counted so far. Only differences say anything.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Count {
    /// Which start of the agent this is of: another one counts from zero.
    pub boot: u64,
    /// Daemons that ended by themselves.
    pub crashes: u64,
    /// What their pages counted.
    pub counted: Counted,
    /// Test pages that its own proxy was asked for.
    #[serde(default)]
    pub injected: u64,
    /// Those that did not come.
    #[serde(default)]
    pub injected_failed: u64,
}

impl Count {
    /// What a report says.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        Self {
            boot: report.boot,
            crashes: report.daemons.values().map(|daemon| daemon.crashes).sum(),
            counted: report.counted,
            injected: report.injected.values().map(|page| page.asked).sum(),
            injected_failed: report.injected.values().map(|page| page.failed).sum(),
        }
    }

    /// What was counted of one node since `base`. If its agent was started anew since, what was counted
    /// before that is lost, and what it counted after it is taken.
    #[must_use]
    pub fn since(&self, base: &Self) -> Measures {
        let base = if self.boot == base.boot {
            *base
        } else {
            Self::default()
        };
        let (now, then) = (&self.counted, &base.counted);
        let more = |field: fn(&Counted) -> u64| field(now).saturating_sub(field(then));
        Measures {
            nodes: 1,
            down: 0,
            crashes: self.crashes.saturating_sub(base.crashes),
            requests: more(|all| all.requests),
            errors: more(|all| all.errors),
            first_bytes: more(|all| all.first_bytes),
            first_byte_micros: more(|all| all.first_byte_micros),
            first_byte_times: times_since(now, then),
            lookups: more(|all| all.lookups),
            lookups_failed: more(|all| all.lookups_failed),
            injected: self.injected.saturating_sub(base.injected),
            injected_failed: self.injected_failed.saturating_sub(base.injected_failed),
            injected_other: 0,
        }
    }
}

/// The times between two counts. A base that was written before times were reported says nothing of them.
fn times_since(now: &Counted, then: &Counted) -> Times {
    if then.first_bytes > 0 && then.first_byte_times.is_empty() {
        return Times::default();
    }
    let times = &now.first_byte_times;
    times.with(&then.first_byte_times, u64::saturating_sub)
}

/// What was counted of nodes over the same time.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Measures {
    /// Nodes that these are of.
    pub nodes: u64,
    /// Those among them that are silent or do not get ready again.
    pub down: u64,
    /// Daemons that ended by themselves.
    pub crashes: u64,
    /// Requests of clients.
    pub requests: u64,
    /// Those answered with a 5xx that is ours, not the site's.
    pub errors: u64,
    /// Requests whose time to first byte was taken.
    pub first_bytes: u64,
    /// That time over all of them, summed, in microseconds.
    pub first_byte_micros: u64,
    /// Each of those times, of nodes that report them.
    #[serde(default, skip_serializing_if = "Times::is_empty")]
    pub first_byte_times: Times,
    /// Questions to the index.
    pub lookups: u64,
    /// Those that failed.
    pub lookups_failed: u64,
    /// Test pages that agents asked their own proxies for.
    pub injected: u64,
    /// Those that did not come.
    pub injected_failed: u64,
    /// Pages of which a node has another body than all untouched nodes of its cluster.
    pub injected_other: u64,
}

impl AddAssign for Measures {
    fn add_assign(&mut self, other: Self) {
        self.nodes += other.nodes;
        self.down += other.down;
        self.crashes += other.crashes;
        self.requests += other.requests;
        self.errors += other.errors;
        self.first_bytes += other.first_bytes;
        self.first_byte_micros += other.first_byte_micros;
        let times = &other.first_byte_times;
        self.first_byte_times = self.first_byte_times.with(times, u64::saturating_add);
        self.lookups += other.lookups;
        self.lookups_failed += other.lookups_failed;
        self.injected += other.injected;
        self.injected_failed += other.injected_failed;
        self.injected_other += other.injected_other;
    }
}

impl Measures {
    /// The mean time to first byte in microseconds; nothing where none was taken.
    #[must_use]
    pub const fn first_byte(&self) -> Option<u64> {
        self.first_byte_micros.checked_div(self.first_bytes)
    }
}

/// What a gate says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailReason {
    /// It was not seen to run the release by its deadline.
    NeverStarted,
    /// It returned to the release before by itself.
    FellBack,
    /// It fell silent, or does not get ready again.
    Down,
    /// Daemons end by themselves.
    Crashes,
    /// Clients get more 5xx of ours.
    Errors,
    /// Clients wait longer for the first byte.
    FirstByte,
    /// The slowest twentieth of them does.
    FirstByteTail,
    /// The index answers less often.
    Index,
    /// Test pages do not come.
    Injected,
    /// A test page has another body.
    Body,
}

impl FailReason {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverStarted => "never_started",
            Self::FellBack => "fell_back",
            Self::Down => "down",
            Self::Crashes => "crashes",
            Self::Errors => "errors",
            Self::FirstByte => "first_byte",
            Self::FirstByteTail => "first_byte_tail",
            Self::Index => "index",
            Self::Injected => "injected",
            Self::Body => "body",
        }
    }

    /// What it means, for people.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::NeverStarted => "a node was not seen to run it and to be ready by the deadline",
            Self::FellBack => "a node returned to the release before by itself: see its events",
            Self::Down => "changed nodes fell silent, or do not get ready again",
            Self::Crashes => "daemons of changed nodes end by themselves",
            Self::Errors => "clients of changed nodes get more 5xx of ours",
            Self::FirstByte => "clients of changed nodes wait longer for the first byte",
            Self::FirstByteTail => {
                "the slowest twentieth of requests waits longer at changed nodes"
            }
            Self::Index => "the index answers changed nodes less often",
            Self::Injected => "test pages do not come through changed nodes",
            Self::Body => "a test page has another body through changed nodes",
        }
    }
}

/// Judges changed nodes by untouched ones.
#[must_use]
pub fn judge(changed: &Measures, control: &Measures) -> Verdict {
    // More often than the untouched, per node; with nobody to compare with, it is the release's doing.
    let worse = |ours: u64, theirs: u64| {
        control.nodes == 0 || ours * control.nodes > 2 * theirs * changed.nodes
    };
    // With nobody to compare with, one of several may have died by itself.
    let alone = control.nodes == 0 && changed.down == 1 && changed.nodes > 1;
    let many = changed.down * DOWN_ONE_OF > changed.nodes && !alone;
    if many && worse(changed.down, control.down) {
        return Verdict::Fail(FailReason::Down);
    }
    // More than one for each node: one may be anybody's.
    if changed.crashes > changed.nodes && worse(changed.crashes, control.crashes) {
        return Verdict::Fail(FailReason::Crashes);
    }
    // Bodies are equal or not: one that is not is enough.
    if changed.injected_other > 0 {
        return Verdict::Fail(FailReason::Body);
    }
    let failed = (changed.injected_failed, control.injected_failed);
    if failed.0 >= INJECTED_FAILED && worse(failed.0, failed.1) {
        return Verdict::Fail(FailReason::Injected);
    }
    let errors = compare(
        (changed.errors, changed.requests),
        (control.errors, control.requests),
        OF_ACCOUNT,
    );
    let lookups = compare(
        (changed.lookups_failed, changed.lookups),
        (control.lookups_failed, control.lookups),
        OF_ACCOUNT,
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
    slower(changed, control).map_or(Verdict::Pass, Verdict::Fail)
}

/// What comes of comparing two rates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    /// More often, and not by chance.
    Worse,
    /// Not more often, as far as can be told.
    NotWorse,
    /// Too little to go by.
    TooFew,
}

/// Compares (bad, all) of two sides: the pooled test for two proportions, one-sided. A difference below `of_account`
/// is none.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn compare(
    (bad, all): (u64, u64),
    (control_bad, control_all): (u64, u64),
    of_account: f64,
) -> Compared {
    if all < FEWEST || control_all < FEWEST {
        return Compared::TooFew;
    }
    let (n, m) = (all as f64, control_all as f64);
    let (rate, control) = (bad as f64 / n, control_bad as f64 / m);
    let pooled = (bad as f64 + control_bad as f64) / (n + m);
    let deviation = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    if rate - control > of_account && rate - control > DEVIATIONS * deviation {
        Compared::Worse
    } else {
        Compared::NotWorse
    }
}
