//! What a run found: figures beside their targets, violations, and what the run cost.
//!
//! A target not met is a figure; a violated property is a failure. Everything but the cost is the
//! same for the same seed, to the byte.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::pictures::Picture;

/// Violations told in full; the rest are counted.
const VIOLATIONS_TOLD: usize = 20;

/// The outcome of one run.
#[derive(Clone, Default, Debug, Serialize)]
pub(crate) struct Report {
    /// Which scenario.
    pub(crate) scenario: String,
    /// Nodes in it.
    pub(crate) nodes: usize,
    /// The command that does it again.
    pub(crate) command: String,
    /// Measured figures in the order they were found.
    pub(crate) figures: Vec<Figure>,
    /// Properties that did not hold; the first of many.
    pub(crate) violations: Vec<String>,
    /// How many there were in all.
    pub(crate) violated: usize,
    /// Counts of the run by name.
    pub(crate) counts: BTreeMap<String, u64>,
    /// A digest of everything that happened.
    pub(crate) fingerprint: String,
    /// What the run cost; differs from machine to machine.
    pub(crate) cost: Cost,
    /// Pictures of it, for those who want to see them.
    #[serde(skip)]
    pub(crate) pictures: Vec<Picture>,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: String,
    /// The value, rounded to three decimals.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// The target in words.
    pub(crate) target: Option<String>,
    /// Whether it was met.
    pub(crate) met: Option<bool>,
    /// The target itself.
    #[serde(skip)]
    pub(crate) bound: Option<Bound>,
    /// What the original reported, or another known system.
    pub(crate) elsewhere: Option<&'static str>,
}

/// What a figure is to keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    /// No less.
    Least(f64),
    /// No more.
    Most(f64),
}

impl Bound {
    /// Whether `value` keeps to it.
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Self::Least(least) => value >= least,
            Self::Most(most) => value <= most,
        }
    }
}

/// What a run cost.
#[derive(Clone, Copy, Default, Debug, Serialize)]
pub(crate) struct Cost {
    /// Seconds of a processor it took; by the clock where the system does not say.
    pub(crate) seconds: f64,
    /// Virtual seconds that passed.
    pub(crate) virtual_seconds: f64,
    /// Microseconds per delivered datagram, all included.
    pub(crate) micros_per_datagram: f64,
    /// Resident memory that joining and settling added, in KiB per node placed.
    pub(crate) kib_per_node: f64,
    /// Memory given back when an engine was dropped at the end, in KiB, on average.
    pub(crate) kib_per_engine: f64,
}

impl Report {
    /// A measured figure.
    pub(crate) fn figure(
        &mut self,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) -> &mut Figure {
        let value = (value * 1_000.0).round() / 1_000.0;
        let name = name.into();
        let (target, met, bound, elsewhere) = (None, None, None, None);
        let at = self.figures.len();
        self.figures.push(Figure {
            name,
            value,
            unit,
            target,
            met,
            bound,
            elsewhere,
        });
        &mut self.figures[at]
    }

    /// A property did not hold.
    pub(crate) fn violation(&mut self, what: String) {
        self.violated += 1;
        if self.violations.len() < VIOLATIONS_TOLD {
            self.violations.push(what);
        }
    }

    /// A count.
    pub(crate) fn count(&mut self, name: &str, value: u64) {
        self.counts.insert(name.to_owned(), value);
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("\n{}\n\n", self.scenario);
        let width = self.figures.iter().map(|f| f.name.len()).max().unwrap_or(0);
        for figure in &self.figures {
            let Figure {
                name,
                value,
                unit,
                target,
                met,
                elsewhere,
                ..
            } = figure;
            let verdict = match met {
                Some(true) => "met",
                Some(false) => "NOT MET",
                None => "",
            };
            let target = target.as_deref().unwrap_or("");
            let line = format!("  {name:width$}  {value:>12} {unit:<8} {target:<16} {verdict:<8}");
            let line = line.trim_end();
            let _ = match elsewhere {
                Some(elsewhere) => writeln!(text, "{line}  ({elsewhere})"),
                None => writeln!(text, "{line}"),
            };
        }
        text.push('\n');
        for (name, value) in &self.counts {
            let _ = writeln!(text, "  {name}: {value}");
        }
        for violation in &self.violations {
            let _ = writeln!(text, "  VIOLATED {violation}");
        }
        let Cost {
            seconds,
            virtual_seconds,
            micros_per_datagram,
            kib_per_node,
            kib_per_engine,
        } = self.cost;
        let _ = writeln!(text, "\n  violations: {}", self.violated);
        let _ = writeln!(text, "  fingerprint: {}", self.fingerprint);
        let _ = writeln!(
            text,
            "  cost: {seconds:.1} s for {virtual_seconds:.0} virtual s, {micros_per_datagram:.2} us a datagram, {kib_per_node:.0} KiB a node, {kib_per_engine:.1} KiB of it its engine's at the end"
        );
        let _ = writeln!(text, "  again: {}", self.command);
        text
    }
}

impl Figure {
    /// The target is a least value.
    pub(crate) fn at_least(&mut self, target: f64) -> &mut Self {
        self.bound = Some(Bound::Least(target));
        self.met = Some(self.value >= target);
        self.target = Some(format!(">= {target} {}", self.unit));
        self
    }

    /// The target is a most value.
    pub(crate) fn at_most(&mut self, target: f64) -> &mut Self {
        self.bound = Some(Bound::Most(target));
        self.met = Some(self.value <= target);
        self.target = Some(format!("<= {target} {}", self.unit));
        self
    }

    /// What others reported of the same.
    pub(crate) fn elsewhere(&mut self, what: &'static str) -> &mut Self {
        self.elsewhere = Some(what);
        self
    }
}

/// A sorted set of measurements.
#[derive(Clone, Debug)]
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    /// Of these.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// How many.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest value that so many percent do not exceed; 0 of none.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0.get(rank).copied().unwrap_or(0.0)
    }

    /// The mean; 0 of none.
    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / ratio(self.0.len().max(1))
    }

    /// The smallest; 0 of none.
    pub(crate) fn least(&self) -> f64 {
        self.percentile(0)
    }

    /// All of them, in order.
    pub(crate) fn values(&self) -> &[f64] {
        &self.0
    }

    /// The largest; 0 of none.
    pub(crate) fn most(&self) -> f64 {
        self.percentile(100)
    }
}

/// A count as a number to calculate with; exact below 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a run are far below 2^53"
)]
pub(crate) const fn ratio(count: usize) -> f64 {
    count as f64
}

/// A share in percent; 100 of nothing.
pub(crate) fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 100.0;
    }
    ratio(part) * 100.0 / ratio(whole)
}

/// A duration in milliseconds.
pub(crate) fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let spread = Spread::of([5.0, 1.0, 4.0, 2.0, 3.0].repeat(20));
        let found = [0, 50, 99, 100].map(|percent| spread.percentile(percent).to_string());
        assert_eq!(found, ["1", "3", "5", "5"]);
        assert_eq!(Spread::of([]).percentile(50).to_string(), "0");
    }

    #[test]
    fn a_target_says_whether_it_was_met() {
        let mut report = Report::default();
        report.figure("a", 99.95, "%").at_least(99.9);
        report.figure("b", 11.0, "").at_most(10.0);
        let met: Vec<_> = report.figures.iter().map(|f| f.met).collect();
        assert_eq!(met, [Some(true), Some(false)]);
        assert!(report.table().contains("NOT MET"));
    }
}
