//! What happens in a run: one scenario per file, from an empty world to the last phase.
//!
//! A scenario says which checkers watch, lets nodes join, and plans what clients wish and what goes
//! wrong. It judges nothing. [`run`] does the rest: it builds the world, hears the checkers and
//! writes the report.

mod churn;
mod claims;
mod death;
mod hot_key;
mod levels;
mod locality;
mod outsiders;
mod partition;
mod restart;
mod saturation;
mod stage;
mod steady;
mod withdrawal;

use std::sync::Arc;
use std::time::Duration;

use common::clock::{Clock, Moment, SystemClock};
use common::wire::secret::Network;
use dht::engine::{Index, IndexKind};

use crate::allocated;
use crate::cli::Options;
use crate::matrix::Matrix;
use crate::nearness;
use crate::net::Loss;
use crate::report::{Cost, Report, ratio};
use crate::world::{Pulse, World};

pub(crate) use stage::Stage;

/// An idle engine is to weigh no more, in KiB.
const ENGINE_KIB: f64 = 64.0;

/// A scenario and its defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What happens, in a sentence.
    pub(crate) what: &'static str,
    nodes: usize,
    seconds: u64,
    settle: u64,
    ops: usize,
    /// Virtual seconds after everybody has settled.
    lasts: fn(&Plan) -> u64,
    run: fn(&mut Stage),
}

/// Every scenario.
pub(crate) const ALL: [Scenario; 12] = [
    steady::SCENARIO,
    levels::SCENARIO,
    locality::SCENARIO,
    saturation::SCENARIO,
    churn::SCENARIO,
    death::SCENARIO,
    hot_key::SCENARIO,
    partition::SCENARIO,
    restart::SCENARIO,
    claims::SCENARIO,
    withdrawal::SCENARIO,
    outsiders::SCENARIO,
];

/// What a run is made of, defaults filled in.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Members of the network.
    pub(crate) nodes: usize,
    /// Virtual seconds of the main phase.
    pub(crate) seconds: u64,
    /// Virtual seconds from the last start to the first phase.
    pub(crate) settle: u64,
    /// How much is done.
    pub(crate) ops: usize,
    /// All that was asked for.
    pub(crate) options: Options,
}

/// The names to choose from.
pub(crate) fn list() -> String {
    let mut text = String::from("scenarios (default nodes):\n");
    for Scenario {
        name, what, nodes, ..
    } in ALL
    {
        text.push_str(&format!("  {name:<12} {nodes:>6}  {what}\n"));
    }
    text.push_str(&format!(
        "  {:<12} {:>6}  {}\n",
        nearness::NAME,
        nearness::PROXIES,
        nearness::WHAT
    ));
    text.push_str(&format!(
        "matrices: {}, or a file\n",
        crate::matrix::NAMES.join(", ")
    ));
    text
}

fn plan(options: &Options) -> Result<(Scenario, Plan), String> {
    let name = options.scenario.as_deref().unwrap_or_default();
    let scenario = ALL.into_iter().find(|scenario| scenario.name == name);
    let scenario = scenario.ok_or_else(|| format!("no scenario {name:?}\n{}", list()))?;
    let plan = Plan {
        nodes: options.nodes.unwrap_or(scenario.nodes).max(1),
        seconds: options.seconds.unwrap_or(scenario.seconds),
        settle: options.settle.unwrap_or(scenario.settle),
        ops: options.ops.unwrap_or(scenario.ops),
        options: options.clone(),
    };
    Ok((scenario, plan))
}

/// About how long what `options` ask for lasts, in virtual time.
pub(crate) fn lasts(options: &Options) -> Option<Duration> {
    let (scenario, plan) = plan(options).ok()?;
    let after = (scenario.lasts)(&plan);
    Some(stage::STARTED_BY + Duration::from_secs(plan.settle + after))
}

/// Runs what `options` ask for; `pulse` hears of progress.
pub(crate) fn run(options: &Options, pulse: Pulse) -> Result<Report, String> {
    let (scenario, plan) = plan(options)?;
    let name = scenario.name;
    let matrix = Matrix::open(&options.matrix)?;
    let clock = SystemClock::new();
    let (began, busy, before) = (clock.moment(), processor(), resident_kib());
    let sins = options.sins();
    let world = World::new(options.seed, matrix, sins, pulse);
    let mut report = Report {
        scenario: format!(
            "{name}, {} nodes, seed {}, {}",
            plan.nodes, options.seed, options.matrix
        ),
        nodes: plan.nodes,
        command: command(options, &plan),
        ..Report::default()
    };
    let mut stage = Stage::new(world, plan);
    let start = stage.world.now;
    (scenario.run)(&mut stage);
    let settled = stage.settled_kib.unwrap_or(before);
    let weighed = stage.weighed;
    let mut world = stage.world;
    world.sample();
    for mut checker in world.take_checkers() {
        checker.tell(&world, &mut report);
    }
    report.violated = report.violated.max(report.violations.len());
    count(&world, &mut report);
    report.fingerprint = world.fingerprint();
    let kib_per_engine = weigh(&mut world);
    if weighed {
        let figure = report.figure("memory per engine", kib_per_engine, "KiB");
        figure.at_most(ENGINE_KIB);
    }
    let passed = clock.moment().since(began);
    let spent = processor()
        .zip(busy)
        .map(|(now, then)| now.saturating_sub(then));
    let seconds = spent.unwrap_or(passed).as_secs_f64();
    let delivered = usize::try_from(world.counts.delivered.max(1)).unwrap_or(1);
    let added = settled.saturating_sub(before);
    report.cost = Cost {
        seconds,
        virtual_seconds: world.now.since(start).as_secs_f64(),
        micros_per_datagram: seconds * 1e6 / ratio(delivered),
        kib_per_node: ratio(added) / ratio(world.hosts.len().max(1)),
        kib_per_engine,
    };
    Ok(report)
}

/// An engine, its network, and the time it has.
pub(crate) type OneEngine = (Box<dyn Index>, Arc<Network>, Moment);

/// An engine out of a network that has joined and settled.
pub(crate) fn one_engine(options: &Options) -> Result<OneEngine, String> {
    let (_, plan) = plan(options)?;
    let matrix = Matrix::open(&options.matrix)?;
    let world = World::new(options.seed, matrix, options.sins(), Box::new(|_, _| ()));
    let mut stage = Stage::new(world, plan);
    stage.join();
    let host = stage.world.hosts.pop().ok_or("no node")?;
    let node = host.node.ok_or("no node")?;
    Ok((node, host.network, host.clock.shows(stage.world.now)))
}

/// What an engine weighs on average: all are dropped.
fn weigh(world: &mut World) -> f64 {
    let members = world.hosts.iter_mut().filter(|host| host.member);
    let engines: Vec<_> = members.filter_map(|host| host.node.take()).collect();
    let count = engines.len().max(1);
    let bytes: usize = engines.into_iter().map(allocated::weigh).sum();
    ratio(bytes) / 1_024.0 / ratio(count)
}

fn count(world: &World, report: &mut Report) {
    report.count("happenings", world.counts.happenings);
    report.count("datagrams delivered", world.counts.delivered);
    report.count("nodes up at the end", world.model.alive() as u64);
    for loss in Loss::ALL {
        let lost = world.counts.lost[loss as usize];
        if lost > 0 {
            report.count(&format!("datagrams lost, {}", loss.as_str()), lost);
        }
    }
    let up = || {
        world
            .hosts
            .iter()
            .filter(|host| host.member)
            .filter_map(|host| host.node.as_deref())
    };
    let alone = up().filter(|node| node.sizes().contacts == 0).count();
    if world.model.alive() > 1 {
        report
            .figure("nodes that know nobody at the end", ratio(alone), "")
            .at_most(0.0);
    }
    let mut late = 0;
    let mut refused = std::collections::BTreeMap::<_, u64>::new();
    for node in up() {
        late += node.stats().forgiven;
        for reason in dht::engine::admit::DropReason::ALL {
            *refused.entry(reason.as_str()).or_default() += node.stats().dropped.of(reason);
        }
    }
    for (reason, dropped) in refused.into_iter().filter(|(_, dropped)| *dropped > 0) {
        report.count(&format!("datagrams refused, {reason}"), dropped);
    }
    if late > 0 {
        report.count("requests given grace for own lateness", late);
    }
}

/// The command that repeats this run.
fn command(options: &Options, plan: &Plan) -> String {
    let name = options.scenario.as_deref().unwrap_or_default();
    let mut text = format!(
        "cargo run --release -p atoll-tests --bin sim -- {name}{} --nodes {} --seed {} --matrix {} --seconds {} --settle {} --ops {}",
        match options.index {
            IndexKind::Sloppy => "",
            IndexKind::Full => " --index full",
        },
        plan.nodes,
        options.seed,
        options.matrix,
        plan.seconds,
        plan.settle,
        plan.ops
    );
    let faults = &options.faults;
    let numbers = [
        ("--rounds", options.rounds.map(|n| n as u64)),
        ("--session", options.session),
        ("--rate", options.rate.map(|n| n as u64)),
        (
            "--levels",
            (options.levels != 3).then_some(options.levels.into()),
        ),
        (
            "--service-time",
            (options.service_time > 0).then_some(options.service_time),
        ),
        (
            "--self-test",
            (options.self_test != 40).then_some(options.self_test),
        ),
    ];
    for (flag, number) in numbers {
        if let Some(number) = number {
            text.push_str(&format!(" {flag} {number}"));
        }
    }
    let shares = [
        ("--loss", faults.loss, 0.0),
        ("--jitter", faults.jitter, 5.0),
        ("--duplicate", faults.duplicate, 0.0),
        ("--reorder", faults.reorder, 0.0),
        ("--corrupt", faults.corrupt, 0.0),
        ("--one-way", faults.one_way, 0.0),
        ("--non-transitive", faults.non_transitive, 0.0),
        ("--drift", faults.drift, 0.0),
        ("--stopped", faults.stopped, 0.0),
        ("--starved", faults.starved, 0.0),
    ];
    for (flag, share, usual) in shares {
        if (share - usual).abs() > f64::EPSILON {
            text.push_str(&format!(" {flag} {share}"));
        }
    }
    text
}

/// Time this thread has had a processor, where the system says: what else the machine does is no
/// cost of the run.
fn processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// Resident memory of this process in KiB; 0 where the system does not say.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
