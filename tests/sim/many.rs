//! Many runs that do not know of each other, on several threads, and what their figures come to.
//!
//! A run stays on one thread and is what it would be alone; only its cost suffers.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use crate::cli::Options;
use crate::progress::Board;
use crate::report::{Bound, Cost, Figure, Report, Spread, ratio};
use crate::scenarios;

/// Runs all of `plans`, `threads` at a time, in their order. Their reports come in the same order.
///
/// # Errors
///
/// The first plan that could not be run, in words.
pub(crate) fn run(plans: &[Options], threads: usize, board: &Board) -> Result<Vec<Report>, String> {
    let next = Mutex::new(0);
    let reports = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let at = {
                let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                *next += 1;
                *next - 1
            };
            let Some(plan) = plans.get(at) else {
                return;
            };
            let report = one(plan, board);
            let mut reports = reports.lock().unwrap_or_else(PoisonError::into_inner);
            reports.insert(at, report);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(plans.len()) {
            scope.spawn(work);
        }
        work();
    });
    let reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    reports.into_values().collect()
}

fn one(plan: &Options, board: &Board) -> Result<Report, String> {
    let name = plan.scenario.clone().unwrap_or_default();
    let lasts = scenarios::lasts(plan).unwrap_or_default();
    let run = board.begin(&name, lasts);
    // An engine that panics fails its run, and only that: the others are worth having.
    let ran = catch_unwind(AssertUnwindSafe(|| scenarios::run(plan, board.pulse(run))));
    board.end(run);
    ran.unwrap_or_else(|_| Ok(panicked(plan)))
}

/// What is told of a run that ended in a panic; what it was is on standard error.
fn panicked(plan: &Options) -> Report {
    let name = plan.scenario.clone().unwrap_or_default();
    let mut report = Report {
        scenario: format!("{name}, seed {}", plan.seed),
        command: format!("sim --bin sim -- {name} --seed {}", plan.seed),
        nodes: plan.nodes.unwrap_or_default(),
        ..Report::default()
    };
    report.violation(format!("panicked: {name} with seed {}", plan.seed));
    report
}

/// The same plan with the seeds after its own: as many as it asks for.
pub(crate) fn seeds(plan: &Options) -> Vec<Options> {
    let last = plan.seed.saturating_add(plan.seeds.max(1));
    let with = |seed| Options {
        seed,
        ..plan.clone()
    };
    (plan.seed..last).map(with).collect()
}

/// One report of several seeds: the worst of each figure, and the mean beside it. One report stays
/// what it is.
pub(crate) fn together(mut reports: Vec<Report>, plan: &Options) -> Report {
    if reports.len() <= 1 {
        return reports.pop().unwrap_or_default();
    }
    let count = reports.len();
    let mut all = Report {
        command: format!(
            "{} --seeds {count}",
            reports.first().map_or("", |report| report.command.as_str())
        ),
        scenario: format!(
            "{}, {count} seeds from {} on, {}",
            plan.scenario.as_deref().unwrap_or_default(),
            plan.seed,
            plan.matrix
        ),
        nodes: reports.first().map_or(0, |report| report.nodes),
        ..Report::default()
    };
    let mut prints = blake3::Hasher::new();
    let mut by_name = Vec::<(String, Vec<Figure>)>::new();
    for report in reports {
        prints.update(report.fingerprint.as_bytes());
        all.violated += report.violated;
        all.violations.extend(report.violations);
        all.cost.add(&report.cost, count);
        if all.pictures.is_empty() {
            all.pictures = report.pictures;
        }
        for (name, value) in report.counts {
            *all.counts.entry(name).or_default() += value;
        }
        for figure in report.figures {
            match by_name.iter_mut().find(|(name, _)| *name == figure.name) {
                Some((_, figures)) => figures.push(figure),
                None => by_name.push((figure.name.clone(), vec![figure])),
            }
        }
    }
    all.fingerprint = prints.finalize().to_hex().to_string();
    all.figures = by_name.iter().flat_map(|(_, f)| summary(f)).collect();
    all
}

/// Worst and mean; of a figure without a bound least and most.
fn summary(figures: &[Figure]) -> Vec<Figure> {
    let Some(first) = figures.first() else {
        return Vec::new();
    };
    let values = Spread::of(figures.iter().map(|figure| figure.value));
    let (least, most, mean) = (values.least(), values.most(), values.mean());
    let of = |what: &str, value: f64| {
        let value = (value * 1_000.0).round() / 1_000.0;
        let met = first.bound.map(|bound| bound.holds(value));
        Figure {
            name: format!("{}, {what} seed", first.name),
            value,
            met,
            ..first.clone()
        }
    };
    match first.bound {
        Some(Bound::Least(_)) => vec![of("mean", mean), of("worst", least)],
        Some(Bound::Most(_)) => vec![of("mean", mean), of("worst", most)],
        None => vec![of("mean", mean), of("least", least), of("most", most)],
    }
}

impl Cost {
    /// Adds what one of `count` runs cost.
    fn add(&mut self, other: &Self, count: usize) {
        let share = 1.0 / ratio(count.max(1));
        self.seconds += other.seconds;
        self.virtual_seconds += other.virtual_seconds;
        self.micros_per_datagram += other.micros_per_datagram * share;
        self.kib_per_node += other.kib_per_node * share;
        self.kib_per_engine += other.kib_per_engine * share;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_seeds_come_to_the_worst_and_the_mean() {
        let report = |value: f64| {
            let mut report = Report::default();
            report.figure("found", value, "%").at_least(99.0);
            report.figure("requests", value, "").at_most(99.5);
            report
        };
        let plan = <Options as clap::Parser>::parse_from(["sim", "static"]);
        let all = together(vec![report(98.0), report(100.0)], &plan);
        let told: Vec<_> = all
            .figures
            .iter()
            .map(|f| (f.name.as_str(), f.value.to_string(), f.met))
            .collect();
        let want = [
            ("found, mean seed", "99".to_owned(), Some(true)),
            ("found, worst seed", "98".to_owned(), Some(false)),
            ("requests, mean seed", "99".to_owned(), Some(true)),
            ("requests, worst seed", "100".to_owned(), Some(false)),
        ];
        assert_eq!(told, want);
    }
}
