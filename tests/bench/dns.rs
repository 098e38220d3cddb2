//! The name server beside others, each on one core, the load on another, in turns: what a question
//! costs in CPU over UDP and over TCP.
//!
//! Every question has a fresh name and comes for a fresh client subnet, so that nothing is answered
//! from a memory of answers. CPU per question is the figure to compare: it hardly depends on what
//! else the machine does.

use std::time::Duration;

use harness::binaries::Program;
use harness::place::Place;

use super::cpu::{Cpu, pin, resident};
use super::dns_load::{Load, Mix};
use super::dns_rivals::{self, Choice, Rival};
use super::http::median;
use super::{dns_floor, dns_signed, dns_tcp};
use super::{say, span};

/// Cores of the servers and of the load.
const SERVER: usize = 0;
const LOAD: usize = 1;

/// Arguments of `bench dns`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DnsArgs {
    /// How long each measurement lasts
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = span)]
    time: Duration,
    /// How often each server has its turn
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    rounds: usize,
    /// Proxies that ours checks and chooses from in the row for many
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    many: usize,
    /// Leave the other servers out
    #[arg(long)]
    alone: bool,
    /// Measure this part only
    #[arg(long, value_enum)]
    part: Option<Part>,
}

/// A part of the measurement, with servers of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Part {
    /// Questions over UDP.
    Udp,
    /// Questions over TCP.
    Tcp,
    /// Questions that want signatures, of signed zones.
    Signed,
}

/// Measures and prints the tables.
pub(crate) fn run(args: &DnsArgs) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(measure(args));
}

async fn measure(args: &DnsArgs) {
    let place = Place::alone().await;
    // Built, if need be, before anything is pinned.
    drop(Program::Dns.path());
    for part in [Part::Udp, Part::Tcp, Part::Signed] {
        if args.part.is_none_or(|wanted| wanted == part) {
            match part {
                Part::Udp => udp(args, &place).await,
                Part::Tcp => tcp(args, &place).await,
                Part::Signed => signed(args, &place).await,
            }
        }
    }
}

/// What was started from here on inherits the core, and sizes itself for it.
fn on_the_servers_core() {
    pin(None, SERVER);
}

/// Says who takes part, and leaves them their core.
fn introduce(rivals: &[Rival]) {
    pin(None, LOAD);
    for rival in rivals {
        say(&format!("{:<34} {}\n", rival.name, rival.version));
    }
}

async fn udp(args: &DnsArgs, place: &Place) {
    on_the_servers_core();
    let mut rivals = vec![dns_rivals::ours(place, "atoll-dns", 10).await];
    if !args.alone {
        rivals.extend(dns_rivals::others(place).await);
    }
    rivals.push(dns_rivals::ours(place, "atoll-dns, many proxies", args.many).await);
    rivals.push(dns_floor::rival(place).await);
    introduce(&rivals);
    let mixes = [
        ("UDP, fresh names and subnets", Mix::Sites),
        ("UDP, random subdomains that do not exist", Mix::Missing),
        ("UDP, sites with a cookie", Mix::Cookies),
    ];
    for (title, mix) in mixes {
        let takes_part = |rival: &&Rival| mix == Mix::Sites || rival.choice == Choice::Near;
        let all: Vec<&Rival> = rivals.iter().filter(takes_part).collect();
        table(title, &all, datagrams(args, &all, mix, Rival::cpu));
        if mix == Mix::Sites {
            let ours = all.iter().copied();
            let ours: Vec<&Rival> = ours.filter(|one| one.choice == Choice::Near).collect();
            let costs = datagrams(args, &ours, mix, Rival::whole_cpu);
            table(
                "the same, with the threads that check proxies",
                &ours,
                costs,
            );
        }
    }
    remains(&rivals);
}

async fn tcp(args: &DnsArgs, place: &Place) {
    on_the_servers_core();
    let mut rivals = vec![dns_rivals::ours(place, "atoll-dns", 10).await];
    if !args.alone {
        rivals.extend(dns_rivals::others(place).await);
    }
    introduce(&rivals);
    type Talk = fn(std::net::SocketAddr, Duration) -> u64;
    let talks: [(&str, Talk); 2] = [
        ("TCP, pipelined", dns_tcp::pipelined),
        ("TCP, one question per connection", dns_tcp::one_each),
    ];
    let all: Vec<&Rival> = rivals.iter().collect();
    for (title, talk) in talks {
        let costs = rounds(args, &all, |rival| {
            let before = rival.cpu();
            let answered = talk(rival.addr, args.time);
            cost(rival.cpu(), before, answered)
        });
        table(title, &all, costs);
    }
    remains(&rivals);
}

async fn signed(args: &DnsArgs, place: &Place) {
    on_the_servers_core();
    let mut rivals = vec![dns_signed::ours(place).await];
    if !args.alone {
        rivals.extend(dns_signed::knot(place).await);
    }
    introduce(&rivals);
    let all: Vec<&Rival> = rivals.iter().collect();
    for (title, mix) in [
        ("UDP with DO, fresh names", Mix::Signed),
        (
            "UDP with DO, a hundred names again and again",
            Mix::SignedAgain,
        ),
        (
            "UDP with DO, random subdomains that do not exist",
            Mix::SignedMissing,
        ),
    ] {
        table(title, &all, datagrams(args, &all, mix, Rival::cpu));
    }
    remains(&rivals);
}

fn datagrams(args: &DnsArgs, rivals: &[&Rival], mix: Mix, cpu: fn(&Rival) -> Cpu) -> Vec<Vec<f64>> {
    rounds(args, rivals, |rival| {
        let mut load = Load::new(rival.addr, mix);
        load.run(Duration::from_millis(100));
        let before = cpu(rival);
        let answered = load.run(args.time);
        cost(cpu(rival), before, answered)
    })
}

fn remains(rivals: &[Rival]) {
    say("\n");
    for rival in rivals {
        let mib = resident(rival.daemon.pid()) >> 20;
        say(&format!("{:<34} {mib:>6} MiB resident\n", rival.name));
    }
    say("\n");
}

/// Microseconds of CPU a question of each rival in each round.
fn rounds(args: &DnsArgs, rivals: &[&Rival], mut turn: impl FnMut(&Rival) -> f64) -> Vec<Vec<f64>> {
    let mut costs: Vec<Vec<f64>> = rivals.iter().map(|_| Vec::new()).collect();
    for _ in 0..args.rounds {
        for (n, rival) in rivals.iter().enumerate() {
            costs[n].push(turn(rival));
        }
    }
    costs
}

/// Microseconds of CPU per answer.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn cost(after: Cpu, before: Cpu, answered: u64) -> f64 {
    let used = after.since(before).total();
    used.as_secs_f64() * 1e6 / answered.max(1) as f64
}

fn table(title: &str, rivals: &[&Rival], costs: Vec<Vec<f64>>) {
    say(&format!(
        "\n{title}\n{:<34} {:>10} {:>10} {:>10}\n",
        "", "us CPU", "least", "ours / it"
    ));
    let mut ours = None;
    for (rival, costs) in rivals.iter().zip(costs) {
        let mut all = costs;
        let middle = median(&mut all);
        let ours = *ours.get_or_insert(middle);
        say(&format!(
            "{:<34} {middle:>10.2} {:>10.2} {:>10.2}\n",
            rival.name,
            all[0],
            ours / middle
        ));
    }
}
