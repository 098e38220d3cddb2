//! A controller with many nodes: what check-ins and a rollout cost it, and what an agent needs.
//!
//! The agents are simulated: each has a key of its own and calls as an agent does, a connection and a signed
//! report each time, kept waiting for 30 s; it follows orders a second after it gets them and reports each
//! step. One real agent is measured beside them.
//!
//! ```text
//! cargo run --release -p atoll-tests --bin bench -- fleet
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use common::clock::Moment;
use common::rng::Generator;
use harness::fleet::{Controller, Node};
use harness::place::Place;
use harness::wait;
use ops::engine::document::Signed;
use ops::engine::document::intent::Intent;
use ops::engine::document::key::SigningKey;
use ops::engine::document::report::{Counted, Doing, Observed, Report};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::cpu::{Cpu, resident};
use crate::{say, span};

/// Clusters that the nodes are in.
const CLUSTERS: usize = 4;

/// After an answer, until the next call: as an agent's jitter.
const AFTER: Duration = Duration::from_secs(2);

/// A simulated node takes this long to change.
const CHANGE: Duration = Duration::from_secs(1);

/// Arguments of `bench fleet`.
#[derive(Debug, Args)]
pub(crate) struct FleetArgs {
    /// Nodes
    #[arg(long, default_value_t = 1_000)]
    nodes: usize,
    /// How long a call waits for news
    #[arg(long, default_value = "30s", value_parser = span)]
    wait: Duration,
    /// How long check-ins alone are measured
    #[arg(long, default_value = "60s", value_parser = span)]
    quiet: Duration,
    /// The soak of each wave of the rollout
    #[arg(long, default_value = "5s")]
    soak: String,
}

/// A node that does what a node does, without daemons.
struct Agent {
    key: SigningKey,
    at: SocketAddr,
    wait: Duration,
    began: Moment,
    rng: Generator,
    boot: u64,
    count: u64,
    intent: Option<Intent>,
    in_force: bool,
    calls: Arc<AtomicU64>,
}

impl Agent {
    async fn live(mut self) {
        let spread = self.rng.jitter(self.wait);
        wait::pause(spread).await;
        loop {
            // An answer with news is followed by reports of what came of it.
            let waits = if self.in_force || self.intent.is_none() {
                self.wait
            } else {
                Duration::ZERO
            };
            let report = self.report(waits);
            self.calls.fetch_add(1, Ordering::Relaxed);
            let (status, body) = ask(self.at, ("POST", "/v1/checkin"), "", &report).await;
            if status == 200 {
                let intent = Signed::<Intent>::read_of_anyone(body.as_bytes(), |_| true);
                self.intent = Some(intent.unwrap().body);
                self.in_force = false;
            } else if !self.in_force && self.intent.is_some() {
                wait::pause(CHANGE).await;
                self.in_force = true;
            } else {
                let rest = self.rng.jitter(AFTER);
                wait::pause(rest).await;
            }
        }
    }

    fn report(&mut self, waits: Duration) -> String {
        self.count += 1;
        let serial = self.intent.as_ref().map(|intent| intent.serial);
        let daemons = self.intent.iter().flat_map(|intent| &intent.daemons);
        let observed = |(name, wanted): (&_, &ops::engine::document::intent::Wanted)| {
            let observed = Observed {
                program: wanted.program,
                release: wanted.release.clone(),
                doing: Doing::Up,
                for_ms: 1_000,
                crashes: 0,
                ready: Some(self.in_force),
                leaving: None,
            };
            (Clone::clone(name), observed)
        };
        let daemons: BTreeMap<_, _> = daemons.map(observed).collect();
        let slots: BTreeSet<_> = daemons
            .values()
            .map(|daemon| daemon.release.clone())
            .collect();
        let requests = wait::now().since(self.began).as_secs() * 500;
        let report = Report {
            node: self.key.public(),
            boot: self.boot,
            count: self.count,
            name: "simulated".to_owned(),
            agent: "0.1.0".to_owned(),
            accepted: serial,
            in_force: serial.filter(|_| self.in_force),
            held: None,
            fallen: None,
            refused: None,
            settled: Some(self.in_force),
            daemons,
            slots,
            counted: Counted {
                requests,
                first_bytes: requests,
                first_byte_micros: requests * 1_000,
                ..Counted::default()
            },
            injected: BTreeMap::new(),
            wait_ms: u64::try_from(waits.as_millis()).unwrap(),
        };
        Signed::seal(report, &self.key).text().to_owned()
    }
}

/// One request on a connection of its own; the status and the body.
async fn ask(
    at: SocketAddr,
    (method, path): (&str, &str),
    token: &str,
    body: &str,
) -> (u16, String) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {at}\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.get(9..12).and_then(|word| word.parse().ok());
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned());
    (status.unwrap(), body.unwrap())
}

pub(crate) fn run(args: &FleetArgs) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(measure(args));
}

async fn measure(args: &FleetArgs) {
    harness::exec::raise_descriptors();
    let place = Place::alone().await;
    let controller = Controller::start(&place).await;
    for version in ["1.0.0", "1.1.0"] {
        controller
            .publish_proxy(&place, version, "exec sleep 1000")
            .await;
    }
    let real = Node::start(&place, &controller, 0, &["--together"]).await;
    controller
        .order(&place, &real.name, &real.wish_stand_in(&place, "1.0.0"))
        .await;
    real.until_runs(1).await;
    let calls = Arc::new(AtomicU64::new(0));
    // They end before their controller does.
    let mut agents = JoinSet::new();
    for number in 0..args.nodes {
        let agent = enrolled(&controller, args, number, &calls).await;
        agents.spawn(agent.live());
    }
    let pid = controller.daemon.pid();
    // Everybody has followed the first order before anything is measured.
    let mut looks = 0;
    while number_in_force(&controller).await < args.nodes && looks < 90 {
        looks += 1;
        wait::pause(Duration::from_secs(1)).await;
    }
    let quiet = over(pid, &calls, async { wait::pause(args.quiet).await }).await;
    say(&format!(
        "{} nodes check in, each every {:?}:\n  {quiet}\n",
        args.nodes, args.wait
    ));
    let mut start = ["rollout", "start", "1.1.0", "--deadline", "60s", "--json"].to_vec();
    // The real agent's daemon has no pages, so it would never count as ready.
    start.extend([
        "--cluster",
        "c0",
        "--cluster",
        "c1",
        "--cluster",
        "c2",
        "--cluster",
        "c3",
    ]);
    start.extend(["--soak", &args.soak]);
    let started = wait::now();
    drop(controller.ask(&start).await.ok());
    let deadline = Duration::from_secs(600);
    let rollout = over(pid, &calls, async {
        let found = controller
            .until_rollout_slowly(&["done", "paused", "rolled_back"], deadline)
            .await;
        assert_eq!(found["phase"], "done", "{found}");
    })
    .await;
    let took = wait::now().since(started).as_secs();
    say(&format!(
        "a rollout of 5 waves to all of them, {took} s:\n  {rollout}\n"
    ));
    let peak = controller.daemon.memory_peak().unwrap_or_default();
    say(&format!(
        "controller: {} resident, {} at most; a real agent with one daemon: {} resident\n",
        megabytes(resident(pid)),
        megabytes(peak),
        megabytes(resident(real.agent.pid()))
    ));
}

/// A node that is enrolled and has an order.
async fn enrolled(
    controller: &Controller,
    args: &FleetArgs,
    number: usize,
    calls: &Arc<AtomicU64>,
) -> Agent {
    let mut rng = Generator::from_seed(number as u64 + 1);
    let key = SigningKey::generate(&mut rng);
    let (at, token) = (controller.addr(), controller.token());
    let name = key.public().to_string();
    let path = format!("/v1/nodes/{name}");
    let cluster = number % CLUSTERS;
    let enrol = json!({ "name": format!("n{number}"), "cluster": format!("c{cluster}") });
    let done = ask(at, ("PUT", &path), &token, &enrol.to_string()).await;
    assert_eq!(done.0, 204, "{}", done.1);
    let wish = json!({ "daemons": { "proxy": { "program": "atoll-proxy", "release": "1.0.0", "state": "run",
        "settings": { "zone": "nyud.example", "node.name": format!("n{number}"), "http.listen": "192.0.2.1:80",
            "admin.listen": "127.0.0.1:9100" } } } });
    let path = format!("{path}/desired");
    let done = ask(at, ("PUT", &path), &token, &wish.to_string()).await;
    assert_eq!(done.0, 200, "{}", done.1);
    Agent {
        key,
        at,
        wait: args.wait,
        began: wait::now(),
        boot: rng.u64(),
        rng,
        count: 0,
        intent: None,
        in_force: false,
        calls: Arc::clone(calls),
    }
}

async fn number_in_force(controller: &Controller) -> usize {
    let (_, body) = ask(
        controller.addr(),
        ("GET", "/v1/nodes"),
        &controller.token(),
        "",
    )
    .await;
    // The answer may come in chunks; counting words needs no parser.
    body.matches("\"in_force\":").count()
}

/// What the process `pid` used of a core while `work` was done, and how often it was called.
async fn over(pid: u32, calls: &AtomicU64, work: impl Future<Output = ()>) -> String {
    let (before, then) = (Cpu::of(pid), wait::now());
    let asked = calls.load(Ordering::Relaxed);
    work.await;
    let used = Cpu::of(pid).since(before).total();
    let time = wait::now().since(then);
    let asked = calls.load(Ordering::Relaxed) - asked;
    let share = used.as_secs_f64() / time.as_secs_f64() * 100.0;
    let rate = used.as_micros() / u128::from(asked.max(1));
    let calls = u128::from(asked) * 1_000 / time.as_millis().max(1);
    format!("controller: {share:.1} % of a core, {calls} calls/s, {rate} us a call")
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}
