//! The proxy beside other caches, each on one core, the load on another, in turns: what a hot hit of
//! 1 KiB costs in CPU, and how long late clients of a slow body wait for what is already here.
//!
//! CPU per request is the figure to compare: it hardly depends on what else the machine does. The
//! table is sorted as the servers are named, with the median and the least of the rounds.

use std::time::Duration;

use harness::exec;
use harness::origin::{Origin, Reply};
use harness::place::Place;
use harness::skip;

use super::cpu::{Cpu, pin};
use super::rivals::{self, Rival};
use super::{late, say, span, wrk};

/// Cores of the servers and of the load.
const SERVER: usize = 0;
const LOAD: usize = 1;

const HIT: &str = "/1k";

/// Arguments of `bench http`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct HttpArgs {
    /// How long each measurement lasts
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = span)]
    time: Duration,
    /// How often each server has its turn
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    rounds: usize,
    /// Connections of the load
    #[arg(long, value_name = "NUMBER", default_value_t = 32)]
    connections: usize,
}

/// Measures and prints the tables.
pub(crate) fn run(args: &HttpArgs) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(measure(args));
}

async fn measure(args: &HttpArgs) {
    let place = Place::alone().await;
    let origin = Origin::start(&place).await;
    origin.serves(HIT, |_| Reply::pattern(1_024).fresh_for(3_600));
    // What is started inherits the core, and sizes itself for it.
    pin(None, SERVER);
    let rivals = rivals::start(&place, &origin).await;
    pin(None, LOAD);
    for rival in &rivals {
        say(&format!("{:<30} {}\n", rival.name, rival.version));
    }
    match exec::find("wrk") {
        Some(_) => hits(args, &rivals, &origin).await,
        None => skip::loudly("no wrk to measure with"),
    }
    late::measure(&rivals, &origin).await;
}

/// Microseconds of CPU per hit, of each round.
type Costs = Vec<f64>;

async fn hits(args: &HttpArgs, rivals: &[Rival], origin: &Origin) {
    for rival in rivals {
        // Twice: the second is a hit.
        for _ in 0..2 {
            let answer = harness::client::Ask::of(rival.addr, &rival.page(HIT));
            let answer = answer.fetch().await;
            assert_eq!(
                (answer.status, answer.body.len()),
                (200, 1_024),
                "{}",
                rival.name
            );
        }
    }
    let asked = origin.count(HIT);
    let mut costs: Vec<Costs> = rivals.iter().map(|_| Vec::new()).collect();
    let mut rates: Vec<Costs> = costs.clone();
    for _ in 0..args.rounds {
        for (n, rival) in rivals.iter().enumerate() {
            let before = Cpu::of_family(rival.daemon.pid());
            let run = wrk::run(rival.addr, &rival.host, HIT, args.connections, args.time);
            let run = run.unwrap();
            let cpu = Cpu::of_family(rival.daemon.pid()).since(before);
            for error in &run.errors {
                say(&format!("  {}: {error}\n", rival.name));
            }
            #[expect(clippy::cast_precision_loss, reason = "figures for people")]
            let requests = run.requests.max(1) as f64;
            costs[n].push(cpu.total().as_secs_f64() * 1e6 / requests);
            rates[n].push(run.rate);
        }
    }
    let ours = median(&mut costs[0]);
    say(&format!(
        "\nhot hit of 1 KiB, {} connections, {} rounds of {:?}\n{:<30} {:>10} {:>10} {:>10} {:>12}\n",
        args.connections, args.rounds, args.time, "", "us CPU", "least", "x ours", "per second"
    ));
    for (n, rival) in rivals.iter().enumerate() {
        let middle = median(&mut costs[n]);
        say(&format!(
            "{:<30} {middle:>10.1} {:>10.1} {:>10.2} {:>12.0}\n",
            rival.name,
            costs[n][0],
            middle / ours,
            median(&mut rates[n]),
        ));
    }
    assert_eq!(origin.count(HIT), asked, "a hit was none");
}

/// Sorts, and gives the one in the middle.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
