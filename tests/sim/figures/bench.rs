//! What depends on the machine: one engine without a network, and a real daemon on loopback.
//!
//! Coarse on purpose: it tells 3 microseconds from 30, not 3 from 3.1.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use common::clock::{Clock, Moment, SystemClock};
use common::ids::{ClusterId, Key, NodeId, TxId};
use common::limits::DATAGRAM_MAX;
use common::rng::Generator;
use common::wire::GENERATION;
use common::wire::header::{Header, LevelInfo, body_room, seal};
use common::wire::secret::Network;
use dht::engine::message::{Ask, Message, Request, Token, encode_request};
use harness::cluster::{Index, secret_file, set};
use harness::place::{Place, Port, host};

use crate::checkers::{is_reply, read};
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

/// Processor time that can be told from none, in seconds: twenty ticks of the system's clock.
const PROCESSOR_LEAST: f64 = 0.2;

/// Nodes of the network that the engine comes from.
const NODES: usize = 100;

/// Requests under way at once on a real socket.
const WINDOW: usize = 64;

/// Local clients at once.
const CLIENTS: usize = 32;

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
            cluster: ClusterId::from_bytes([n; 20]),
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
    let gets: Vec<_> = (0..count).map(|_| asker.get(&mut rng)).collect();
    let mut garbage = gets.clone();
    for datagram in &mut garbage {
        if let Some(last) = datagram.last_mut() {
            *last ^= 1;
        }
    }
    for (name, datagrams, most) in [
        ("ping", pings, REQUEST_MICROS),
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

/// What two daemons on loopback do.
///
/// # Errors
///
/// What the system refused, in words.
pub(super) fn loopback(quick: bool) -> Result<Report, String> {
    let seconds = Duration::from_secs(if quick { 3 } else { 6 });
    let words = |error: std::io::Error| format!("loopback: {error}");
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.enable_all().build().map_err(words)?;
    runtime.block_on(async {
        let place = Place::alone().await;
        let sets = [set("admit.members", 10_000_000), set("log.level", "error")];
        let first = Index::start(&place, 0, &[], &sets);
        let second = Index::start(&place, 1, &[first.udp], &sets);
        second.until_ready().await;
        let mut report = named("loopback", "two daemons");
        let (answered, processor) = requests(&place, &first, seconds).map_err(words)?;
        // Less than this is a few ticks of the system's clock: no figure is better than that one.
        if processor >= PROCESSOR_LEAST {
            report
                .figure(
                    "authenticated requests per second of processor",
                    (ratio(answered) / processor).round(),
                    "/s",
                )
                .at_least(REQUESTS);
        }
        report.count("requests answered", answered as u64);
        let received = r#"atoll_dht_messages_received_total{kind="get"}"#;
        report.count(
            "gets received, says the daemon",
            first.metric(received).await,
        );
        let lookups = r#"atoll_dht_lookups_total{goal="get"}"#;
        let before = first.metric(lookups).await;
        let (gets, took) = local_gets(&first, seconds).await?;
        let looked = first.metric(lookups).await - before;
        report.count("local gets answered", gets as u64);
        report.count("local lookups, says the daemon", looked);
        let rate = (ratio(gets) / took.as_secs_f64()).round();
        report
            .figure("gets through the local API", rate, "/s")
            .at_least(GETS);
        Ok(report)
    })
}

/// Requests answered, and the processor time they took the daemon, in seconds.
fn requests(place: &Place, index: &Index, span: Duration) -> std::io::Result<(usize, f64)> {
    const SEALED: usize = 4_096;
    let clock = SystemClock::new();
    let mut rng = Generator::from_seed(2);
    let socket = UdpSocket::bind(place.at(host::NODE + 9, Port::Index))?;
    socket.connect(index.udp)?;
    // On loopback whatever takes longer was lost; waiting for it would measure the wait.
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    let secret = common::shell::secret::load(&secret_file(place)).map_err(std::io::Error::other)?;
    let mut asker = Asker {
        network: Arc::new(secret.network(GENERATION)),
        addr: socket.local_addr()?,
        to: NodeId::of(index.udp),
        token: None,
        tx: rng.u64() >> 1,
    };
    let mut reply = [0; DATAGRAM_MAX];
    let mut hear = |asker: Option<&mut Asker>| match socket.recv(&mut reply) {
        Ok(length) => {
            let bytes = reply.get(..length).unwrap_or_default();
            if let Some(asker) = asker {
                asker.heard(bytes);
            }
            // The daemon asks, too; only its replies count.
            usize::from(is_reply(bytes))
        }
        Err(_) => 0,
    };
    socket.send(&asker.ping())?;
    hear(Some(&mut asker));
    let before = processor(index)?;
    let began = clock.moment();
    let mut answered = 0;
    while clock.moment().since(began) < span {
        let batch: Vec<_> = (0..SEALED).map(|_| asker.get(&mut rng)).collect();
        for window in batch.chunks(WINDOW) {
            for datagram in window {
                socket.send(datagram)?;
            }
            answered += window.iter().map(|_| hear(None)).sum::<usize>();
            if clock.moment().since(began) >= span {
                break;
            }
        }
    }
    Ok((answered, processor(index)? - before))
}

/// Seconds of processor time a daemon has used: fields 14 and 15 of proc(5)'s `stat`, in
/// hundredths, as Linux has shown them to programs since 2.6.
fn processor(index: &Index) -> std::io::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", index.daemon.pid()))?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<_> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    let both = ticks(11).zip(ticks(12)).map(|(user, system)| user + system);
    both.map(|ticks| ticks / 100.0)
        .ok_or_else(|| std::io::Error::other("no times in /proc"))
}

/// Gets of a value that is there, by several local clients.
async fn local_gets(index: &Index, span: Duration) -> Result<(usize, Duration), String> {
    const PATIENCE: Duration = Duration::from_secs(2);
    let (client, key) = (index.client(), Key::of(b"here"));
    let put = client.put(key, b"value", Duration::from_secs(600), PATIENCE);
    put.await.map_err(|error| format!("loopback: {error}"))?;
    let clock = SystemClock::new();
    let began = clock.moment();
    let end = began + span;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let client = client.clone();
        tasks.spawn(async move {
            let mut done = 0;
            while clock.moment() < end {
                let found = client.get(key, 1, PATIENCE).await;
                done += usize::from(found.is_ok_and(|found| !found.values.is_empty()));
            }
            done
        });
    }
    let done = tasks.join_all().await.into_iter().sum();
    Ok((done, clock.moment().since(began)))
}
