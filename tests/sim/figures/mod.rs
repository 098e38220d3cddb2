//! `sim report`: every figure that has a target, measured, in one table.
//!
//! Runs go two at a time, since each keeps to its thread; what measures the machine itself goes
//! last and alone.

mod bench;
mod jobs;
mod page;
mod rows;

use std::collections::BTreeMap;

use clap::Parser;
use common::clock::{Clock, SystemClock};
use serde::Serialize;

use crate::cli::Options;
use crate::many;
use crate::progress::Board;
use crate::report::{Figure, Report, ratio};
use jobs::{JOBS, Job};
use rows::{Cell, MEMORY, PAIRS, Pair, ROWS};

/// Nodes and virtual seconds of the simulator's own target, and the seconds it may take.
const SPEED: (usize, f64, f64) = (10_000, 1_800.0, 180.0);

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    /// One line per figure.
    pub(crate) lines: Vec<Line>,
    /// Both kinds of index on the same work.
    pub(crate) compared: Vec<Compared>,
    /// The runs by name.
    pub(crate) runs: BTreeMap<String, Report>,
    /// Seconds it all took.
    pub(crate) seconds: f64,
    /// The command that does it again.
    pub(crate) command: String,
}

/// One figure of both kinds of index.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Compared {
    /// The work.
    pub(crate) about: &'static str,
    /// What was measured.
    pub(crate) what: &'static str,
    /// In a network of so many nodes.
    pub(crate) nodes: usize,
    /// Of the sloppy index, and of full membership.
    pub(crate) measured: [Option<String>; 2],
}

/// A line of the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// What the group is about.
    pub(crate) about: &'static str,
    /// What was measured.
    pub(crate) what: String,
    /// In a network of so many nodes.
    pub(crate) nodes: usize,
    /// The target.
    pub(crate) target: String,
    /// What came out, with its unit; nothing if it was not measured.
    pub(crate) measured: Option<String>,
    /// Whether that is good enough.
    pub(crate) met: Option<bool>,
    /// Nodes of the target, if there were fewer.
    pub(crate) short_of: Option<usize>,
    /// What others reported.
    pub(crate) elsewhere: &'static str,
    /// The run it comes from.
    pub(crate) run: &'static str,
}

/// Measures all there is.
///
/// # Errors
///
/// What could not be run, in words.
pub(crate) fn measure(options: &Options) -> Result<Measured, String> {
    let clock = SystemClock::new();
    let began = clock.moment();
    let wanted = |name: &str| options.only.as_ref().is_none_or(|only| name.contains(only));
    let jobs: Vec<_> = JOBS.into_iter().filter(|job| wanted(job.name)).collect();
    let mut plans = Vec::new();
    for job in &jobs {
        plans.push(plan(job, options)?);
    }
    let all: Vec<_> = plans.iter().flat_map(many::seeds).collect();
    let board = Board::new(all.len());
    let mut reports = many::run(&all, options.threads, &board)?.into_iter();
    board.close();
    let mut runs = BTreeMap::new();
    for (job, plan) in jobs.iter().zip(&plans) {
        let seeds = usize::try_from(plan.seeds).unwrap_or(1);
        let of_job = reports.by_ref().take(seeds).collect();
        runs.insert(job.name.to_owned(), many::together(of_job, plan));
    }
    if wanted("engine") {
        runs.insert("engine".to_owned(), bench::engine(options.quick));
    }
    if wanted("loopback") {
        runs.insert("loopback".to_owned(), bench::loopback(options.quick));
    }
    let lines = ROWS.iter().flat_map(|row| {
        let line = |cell: &Cell| line(row, cell, &runs);
        row.cells.iter().map(line).collect::<Vec<_>>()
    });
    Ok(Measured {
        lines: lines.collect(),
        compared: PAIRS
            .iter()
            .flat_map(|pair| compared(pair, &runs))
            .collect(),
        seconds: clock.moment().since(began).as_secs_f64(),
        command: command(options),
        runs,
    })
}

fn plan(job: &Job, options: &Options) -> Result<Options, String> {
    let words = if options.quick { job.quick } else { job.full };
    let words = std::iter::once("sim").chain(words.split_whitespace());
    let mut plan = Options::try_parse_from(words).map_err(|error| error.to_string())?;
    plan.seed = options.seed;
    plan.seeds = if options.quick {
        job.seeds.1
    } else {
        job.seeds.0
    };
    if options.full && job.whole > 0 {
        plan.nodes = Some(job.whole);
    }
    plan.nodes = match (plan.nodes, options.nodes) {
        (Some(nodes), Some(most)) => Some(nodes.min(most)),
        (nodes, most) => nodes.or(most),
    };
    Ok(plan)
}

fn command(options: &Options) -> String {
    let mut text = format!(
        "cargo run --release -p atoll-tests --bin sim -- report --seed {}",
        options.seed
    );
    if options.quick {
        text.push_str(" --quick");
    }
    if options.full {
        text.push_str(" --full");
    }
    if let Some(nodes) = options.nodes {
        text.push_str(&format!(" --nodes {nodes}"));
    }
    if let Some(only) = &options.only {
        text.push_str(&format!(" --only {only}"));
    }
    text
}

fn compared(pair: &Pair, runs: &BTreeMap<String, Report>) -> Vec<Compared> {
    let value = |run: &str, what: &str| {
        let report = runs.get(run)?;
        if what == MEMORY {
            return Some(format!("{:.1} KiB", report.cost.kib_per_engine));
        }
        let figure = report.figures.iter().find(|figure| figure.name == what)?;
        Some(shown(figure))
    };
    let one = |what: &&'static str| Compared {
        about: pair.about,
        what,
        nodes: runs.get(pair.runs[0]).map_or(0, |report| report.nodes),
        measured: pair.runs.map(|run| value(run, what)),
    };
    pair.figures.iter().map(one).collect()
}

/// A value with its unit.
fn shown(figure: &Figure) -> String {
    let text = format!("{} {}", figure.value, figure.unit);
    text.trim().to_owned()
}

fn line(row: &rows::Row, cell: &Cell, runs: &BTreeMap<String, Report>) -> Line {
    let (run, what) = match cell {
        Cell::Of(run, what) => (*run, (*what).to_owned()),
        Cell::Share([run, ..], what, _) => (*run, (*what).to_owned()),
        Cell::Growth([_, run], what) => (
            *run,
            format!("{what}: growth from n = 100, of a logarithm's"),
        ),
        Cell::Speed(run) => (*run, "seconds, from what this run took".to_owned()),
    };
    let figure = figure(cell, runs);
    let nodes = runs.get(run).map_or(0, |report| report.nodes);
    let target = figure.as_ref().and_then(|figure| figure.target.clone());
    Line {
        about: row.about,
        what,
        nodes,
        target: target.unwrap_or_default().trim().to_owned(),
        measured: figure.as_ref().map(shown),
        met: figure.and_then(|figure| figure.met),
        short_of: (nodes > 0 && nodes < row.nodes).then_some(row.nodes),
        elsewhere: row.elsewhere,
        run,
    }
}

fn figure(cell: &Cell, runs: &BTreeMap<String, Report>) -> Option<Figure> {
    let of = |run: &str, what: &str| {
        let mut figures = runs.get(run)?.figures.iter();
        figures.find(|figure| figure.name == what).cloned()
    };
    let mut made = Report::default();
    match *cell {
        Cell::Of(run, what) => return of(run, what),
        Cell::Share([run, what, other_run, other], name, most) => {
            let (part, whole) = (of(run, what)?.value, of(other_run, other)?.value);
            made.figure(name, part / whole.max(1e-9), "").at_most(most);
        }
        Cell::Growth(ends, what) => {
            let [small, large] = ends.map(|run| {
                let nodes = runs.get(run).map_or(2, |report| report.nodes.max(2));
                Some((ratio(nodes).log2(), of(run, what)?.value))
            });
            let ((small_log, small), (large_log, large)) = (small?, large?);
            let share = large / small.max(1e-9) / (large_log / small_log);
            made.figure("growth", share, "").at_most(1.0);
        }
        Cell::Speed(run) => {
            let Report { nodes, cost, .. } = runs.get(run)?;
            let (wanted, seconds, most) = SPEED;
            let scale = ratio(wanted) / ratio((*nodes).max(1));
            let took = cost.seconds * scale * seconds / cost.virtual_seconds.max(1.0);
            made.figure("seconds", took, "s").at_most(most);
        }
    }
    made.figures.pop()
}
