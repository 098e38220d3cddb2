//! The index on real loopback.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::{Clock as _, SystemClock};
use common::ids::Key;
use common::rng::Generator;
use common::shell::secret;
use common::wire::GENERATION;
use common::wire::secret::Network;
use dht::engine::message::Ask;
use harness::cluster::{Index, secret_file, set};
use harness::place::{Place, host};

use super::cpu::{Cpu, pin};
use super::load::Member;
use super::{gets, say, span};

/// Members that ask at once.
const MEMBERS: usize = 8;

/// Makes a request about a random key.
type Asks = fn(Key) -> Ask;

/// Cores of the daemon and of the load.
const SERVER: usize = 0;
const LOAD: usize = 1;

/// Bytes of a garbage datagram.
const GARBAGE: usize = 300;

/// Arguments of `bench index`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct IndexArgs {
    /// How long each measurement lasts
    #[arg(long, value_name = "DURATION", default_value = "4s", value_parser = span)]
    time: Duration,
    /// Print one JSON object per line instead of a table
    #[arg(long)]
    json: bool,
}

/// Where lines go: a table for people, or objects for programs.
#[derive(Clone, Copy)]
struct Lines {
    json: bool,
}

/// Measures and prints a table.
pub(crate) fn run(args: &IndexArgs) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .unwrap()
        .block_on(measure(args.time, Lines { json: args.json }));
}

async fn measure(time: Duration, lines: Lines) {
    let place = Place::alone().await;
    let network = secret::load(&secret_file(&place))
        .unwrap()
        .network(GENERATION);
    let unlimited = [
        set("admit.members", 100_000_000),
        set("admit.strangers", 100_000_000),
    ];
    let indexes = start(&place, &unlimited).await;
    pin(None, LOAD);
    lines.head();
    let index = &indexes[0];
    // Before the members come: they enter the routing tables and answer nothing.
    gets::fill(&index.client()).await;
    for (name, asked) in [("local get, held here", 0), ("local get, of 3 nodes", 2)] {
        let ran = gets::run(&indexes[asked], time).await;
        lines.row(name, ran.found, ran.time, ran.cpu);
        if ran.failed > 0 && !lines.json {
            say(&format!("  {} gets found nothing\n", ran.failed));
        }
    }
    let mut members = members(&network, &place, index.udp);
    let asks: [(&str, Asks); 3] = [
        ("ping", |_| Ask::Ping { services: vec![] }),
        ("find", |target| Ask::Find { target }),
        ("get", |key| Ask::Get { key, want: 4 }),
    ];
    for (name, ask) in asks {
        requests((name, ask), index, &mut members, time, lines);
    }
    garbage(index, &members, time, lines).await;
}

/// Three nodes, of which the first is asked most.
async fn start(place: &Place, sets: &[String]) -> Vec<Index> {
    let mut indexes: Vec<Index> = Vec::new();
    for n in 0..3 {
        let seeds: Vec<SocketAddr> = indexes.iter().map(|index| index.udp).take(1).collect();
        indexes.push(Index::start(place, n, &seeds, sets));
    }
    for index in &indexes {
        index.until_ready().await;
        pin(Some(index.daemon.pid()), SERVER);
    }
    indexes
}

fn members<'a>(network: &'a Network, place: &Place, to: SocketAddr) -> Vec<Member<'a>> {
    let mut rng = Generator::from_seed(1);
    let at = SocketAddr::new(place.ip(host::ORIGIN), 0);
    let member = |_| Member::proven(network, at, to, rng.child());
    (0..MEMBERS).map(member).collect()
}

fn requests(
    (name, ask): (&str, Asks),
    index: &Index,
    members: &mut [Member<'_>],
    time: Duration,
    lines: Lines,
) {
    let clock = SystemClock::new();
    let (began, before) = (clock.moment(), Cpu::of(index.daemon.pid()));
    let mut answered = 0;
    while clock.moment().since(began) < time {
        for member in &mut *members {
            answered += member.turn(ask);
        }
    }
    let cpu = Cpu::of(index.daemon.pid()).since(before);
    lines.row(name, answered, clock.moment().since(began), cpu);
}

async fn garbage(index: &Index, members: &[Member<'_>], time: Duration, lines: Lines) {
    let clock = SystemClock::new();
    let noise: [u8; GARBAGE] = Generator::from_seed(2).bytes();
    let dropped = async || {
        index
            .metric("atoll_dht_datagrams_dropped_total{reason=\"magic\"}")
            .await
    };
    let (before, cpu) = (dropped().await, Cpu::of(index.daemon.pid()));
    let began = clock.moment();
    while clock.moment().since(began) < time {
        for member in members {
            for _ in 0..32 {
                member.garbage(&noise);
            }
        }
    }
    let took = clock.moment().since(began);
    let cpu = Cpu::of(index.daemon.pid()).since(cpu);
    lines.row("garbage", dropped().await - before, took, cpu);
}

impl Lines {
    fn head(self) {
        if !self.json {
            line(&[
                "what",
                "per second",
                "CPU each",
                "user",
                "system",
                "per core and second",
            ]);
        }
    }

    fn row(self, name: &str, count: u64, time: Duration, cpu: Cpu) {
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let count = count.max(1) as f64;
        let micros = |part: Duration| part.as_secs_f64() * 1e6 / count;
        let per_second = count / time.as_secs_f64();
        let per_core = count / cpu.total().as_secs_f64().max(1e-9);
        if self.json {
            let object = serde_json::json!({
                "what": name,
                "per_second": per_second,
                "cpu_us": micros(cpu.total()),
                "per_core_second": per_core,
            });
            return say(&format!("{object}\n"));
        }
        let each = |part: Duration| format!("{:.2} us", micros(part));
        line(&[
            name,
            &format!("{per_second:.0}"),
            &each(cpu.total()),
            &each(cpu.user),
            &each(cpu.system),
            &format!("{per_core:.0}"),
        ]);
    }
}

fn line(cells: &[&str; 6]) {
    let [name, rate, each, user, system, core] = cells;
    say(&format!(
        "{name:<22} {rate:>10} {each:>10} {user:>10} {system:>10} {core:>20}\n"
    ));
}
