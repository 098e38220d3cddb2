//! What depends on the machine: one engine without a network, and a real daemon on loopback.
//!
//! Coarse on purpose: it tells 3 microseconds from 30, not 3 from 3.1.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use common::clock::{Clock, Moment, SystemClock};
use common::ids::{ClusterId, Key, NodeId, TxId};
use common::limits::DATAGRAM_MAX;
use common::rng::Generator;
use common::wire::header::{Header, LevelInfo, body_room, seal};
use common::wire::secret::Network;
use dht::engine::message::{Ask, Message, Request, Token, encode_request};
use harness::binaries;

use crate::checkers::read;
use crate::cli::Options;
use crate::report::{Report, ratio};
use crate::scenarios;

/// A request is to cost the engine no more, in microseconds.
const REQUEST_MICROS: f64 = 3.0;

/// A datagram of a stranger is to cost no more, in microseconds.
const GARBAGE_MICROS: f64 = 2.0;

/// Requests a daemon is to answer per second of processor time.
const REQUESTS: f64 = 100_000.0;

/// Gets a daemon is to answer per second on its local socket.
const GETS: f64 = 15_000.0;

/// Nodes of the network that the engine comes from.
const NODES: usize = 100;

/// Somebody who asks one node.
struct Asker {
    network: Arc<Network>,
    addr: SocketAddr,
    to: NodeId,
    token: Option<Token>,
    tx: u64,
}

impl Asker {
    fn sealed(&mut self, ask: Ask) -> Vec<u8> {
        self.tx += 1;
        let level = |n: u8| LevelInfo {
            cluster: ClusterId::new(u64::from(n)),
            size: 1,
            age_s: 1,
        };
        let header = Header {
            kind: ask.kind().code(),
            tx: TxId(self.tx),
            sender: NodeId::of(self.addr),
            receiver: Some(self.to),
            levels: vec![level(1), level(2)],
        };
        let pad_to = if self.token.is_some() {
            0
        } else {
            DATAGRAM_MAX
        };
        let request = Request {
            level: 0,
            token: self.token,
            behalf: None,
            trace: None,
            ask,
        };
        let body = encode_request(&request, body_room(2), pad_to).unwrap_or_default();
        seal(&self.network, &header, &body).unwrap_or_default()
    }

    fn ping(&mut self) -> Vec<u8> {
        self.sealed(Ask::Ping {
            services: Vec::new(),
        })
    }

    fn find(&mut self, rng: &mut Generator) -> Vec<u8> {
        let target = Key::from_bytes(rng.bytes());
        self.sealed(Ask::Find { target })
    }

    fn get(&mut self, rng: &mut Generator) -> Vec<u8> {
        let key = Key::from_bytes(rng.bytes());
        self.sealed(Ask::Get { key, want: 4 })
    }

    /// Believes the token in a reply.
    fn heard(&mut self, reply: &[u8]) {
        if let Some((_, Message::Reply(reply))) = read(reply) {
            self.token = reply.token.or(self.token);
        }
    }
}

/// Microseconds an engine takes per datagram, all of its work included.
pub(super) fn engine(quick: bool) -> Report {
    let count = if quick { 2_000 } else { 50_000 };
    let words = format!("sim static --nodes {NODES} --settle 20 --matrix flat");
    let mut report = named("engine", "one engine out of a network of 100");
    let options = Options::parse_from(words.split(' '));
    let Ok((mut node, network, mut now)) = scenarios::one_engine(&options) else {
        return report;
    };
    let clock = SystemClock::new();
    let mut rng = Generator::from_seed(1);
    let mut asker = Asker {
        network,
        addr: SocketAddr::from(([192, 0, 2, 1], 7_400)),
        to: node.id(),
        token: None,
        tx: 0,
    };
    let mut handle = |now: Moment, from: SocketAddr, bytes: &[u8]| {
        node.handle_datagram(now, from, bytes);
        let mut reply = Vec::new();
        while let Some(output) = node.poll_output() {
            if let dht::engine::Output::Transmit { to, bytes } = output
                && to == from
            {
                reply = bytes;
            }
        }
        reply
    };
    let (addr, first) = (asker.addr, asker.ping());
    asker.heard(&handle(now, addr, &first));
    let pings: Vec<_> = (0..count).map(|_| asker.ping()).collect();
    let finds: Vec<_> = (0..count).map(|_| asker.find(&mut rng)).collect();
    let gets: Vec<_> = (0..count).map(|_| asker.get(&mut rng)).collect();
    let mut garbage = gets.clone();
    for datagram in &mut garbage {
        if let Some(last) = datagram.last_mut() {
            *last ^= 1;
        }
    }
    for (name, datagrams, most) in [
        ("ping", pings, REQUEST_MICROS),
        ("find", finds, REQUEST_MICROS),
        ("get of a key it has not", gets, REQUEST_MICROS),
        ("garbage", garbage, GARBAGE_MICROS),
    ] {
        let (began, mut answered) = (clock.moment(), 0);
        for datagram in &datagrams {
            // Slow enough that no limiter is met.
            now = now + Duration::from_micros(100);
            answered += usize::from(!handle(now, addr, datagram).is_empty());
        }
        let micros = clock.moment().since(began).as_secs_f64() * 1e6;
        report
            .figure(name, micros / ratio(datagrams.len()), "us")
            .at_most(most);
        report.count(&format!("{name}: answered"), answered as u64);
    }
    report
}

fn named(scenario: &str, what: &str) -> Report {
    Report {
        scenario: format!("{scenario}: {what}"),
        ..Report::default()
    }
}

/// What real daemons on loopback do, as `bench index` measures it: a program of its own, so that
/// nothing of the simulator is part of the load.
pub(super) fn loopback(quick: bool) -> Report {
    let mut report = named("loopback", "three daemons, as `bench index` asks them");
    let lines = match bench(if quick { "1s" } else { "4s" }) {
        Ok(lines) => lines,
        Err(error) => {
            // The other figures are worth having without.
            let _ = writeln!(std::io::stderr(), "sim: loopback was not measured: {error}");
            return report;
        }
    };
    for line in lines {
        let Line {
            what,
            per_second,
            cpu_us,
            per_core_second,
        } = line;
        if what.starts_with("local") {
            let figure = report.figure(format!("{what}: answered"), per_second.round(), "/s");
            figure.at_least(GETS);
        } else if what == "garbage" {
            let figure = report.figure(format!("{what}: dropped, each"), cpu_us, "us");
            figure.at_most(GARBAGE_MICROS);
        } else {
            let name = format!("{what}: answered per second of processor");
            report
                .figure(name, per_core_second.round(), "/s")
                .at_least(REQUESTS);
        }
    }
    report
}

/// A line of the benchmark.
#[derive(Debug, serde::Deserialize)]
struct Line {
    what: String,
    per_second: f64,
    cpu_us: f64,
    per_core_second: f64,
}

/// Builds and runs it; each measurement lasts `time`.
fn bench(time: &str) -> Result<Vec<Line>, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = own.parent().and_then(Path::parent).unwrap_or(&own);
    let mut command = binaries::cargo();
    command.args(["run", "--quiet", "--release", "-p", "atoll-tests"]);
    command.args(["--bin", "bench", "--target-dir"]).arg(target);
    command.args(["--", "index", "--json", "--time", time]);
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().map_err(|e| e.to_string())
}
