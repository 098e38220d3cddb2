//! What it costs to fetch a page from another proxy: the get at the index and the fetch, on both sides,
//! beside a miss of the same page through the same network.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use common::clock::{Clock as _, SystemClock};
use harness::cluster::{Cluster, set};
use harness::origin::coralised;
use harness::place::Place;
use harness::wait::{self, EVENTUALLY};

use super::cpu::{Cpu, pin};
use super::http::median;
use super::http_floor::OTHER;
use super::say;

/// Pages that are asked for.
const PAGES: usize = 2_000;

/// What a pass over all pages cost: CPU of each daemon, and the middle of the times that it took to
/// answer, in microseconds each.
struct Pass {
    cpu: Vec<f64>,
    latency: f64,
}

/// Measures and prints.
pub(crate) async fn measure(place: &Place, origin: SocketAddr, (server, load): (usize, usize)) {
    // What is started inherits the core.
    pin(None, server);
    let wish = Cluster::of(2).proxies_with(set("log.level", "warn"));
    let cluster = wish.start(place).await;
    pin(None, load);
    let host = coralised(origin);
    let pids: Vec<_> = [
        &cluster.proxies[0].daemon,
        &cluster.proxies[1].daemon,
        &cluster.indexes[0].daemon,
        &cluster.indexes[1].daemon,
    ]
    .map(harness::daemon::Daemon::pid)
    .into();
    let miss = pass(cluster.proxies[0].http, &host, &pids);
    wait::until("the index was told of all pages", EVENTUALLY, async || {
        cluster.proxies[0].metric(TOLD).await >= PAGES as u64
    })
    .await;
    let before = cluster.proxies[1].metric(PEER).await;
    let peer = pass(cluster.proxies[1].http, &host, &pids);
    let found = cluster.proxies[1].metric(PEER).await - before;
    say(&format!(
        "\npeer hit of 4 KiB, one after the other, {PAGES} pages, {found} of them found at the peer\n\
         {:<30} {:>10} {:>10} {:>10} {:>10} {:>10} {:>12}\n",
        "us CPU", "asker", "holder", "index", "index", "all", "us median"
    ));
    for (name, pass, roles) in [
        ("miss, told to the index", &miss, [0, 1, 2, 3]),
        ("peer hit", &peer, [1, 0, 3, 2]),
    ] {
        let all: f64 = pass.cpu.iter().sum();
        let each: String = roles
            .map(|role| format!(" {:>10.1}", pass.cpu[role]))
            .concat();
        say(&format!(
            "{name:<30}{each} {all:>10.1} {:>12.0}\n",
            pass.latency
        ));
    }
    let all = |pass: &Pass| pass.cpu.iter().sum::<f64>();
    say(&format!(
        "peer hit to miss: {:.2}; longer than a miss by {:.0} us\n",
        all(&peer) / all(&miss),
        peer.latency - miss.latency
    ));
}

/// Pointers that the index was told, and answers from a peer.
const TOLD: &str = "atoll_proxy_index_total{outcome=\"told\"}";
const PEER: &str = "atoll_proxy_requests_total{outcome=\"peer\"}";

/// Asks `addr` for each page once, over one connection.
fn pass(addr: SocketAddr, host: &str, pids: &[u32]) -> Pass {
    let before: Vec<_> = pids.iter().map(|pid| Cpu::exactly(*pid, None)).collect();
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_nodelay(true).unwrap();
    let clock = SystemClock::new();
    let mut times: Vec<f64> = (0..PAGES)
        .map(|page| {
            let began = clock.moment();
            ask(&mut stream, host, page);
            clock.moment().since(began).as_secs_f64() * 1e6
        })
        .collect();
    let used = pids.iter().zip(before);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let each = |cpu: Cpu| cpu.total().as_secs_f64() * 1e6 / PAGES as f64;
    Pass {
        cpu: used
            .map(|(pid, before)| each(Cpu::exactly(*pid, None).since(before)))
            .collect(),
        latency: median(&mut times),
    }
}

/// One page, to its last byte.
fn ask(stream: &mut TcpStream, host: &str, page: usize) {
    let request = format!("GET /peer/{page} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let (mut buffer, mut got) = ([0; 16 << 10], Vec::new());
    loop {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the connection ended");
        got.extend_from_slice(&buffer[..read]);
        let head = got.windows(4).position(|end| end == b"\r\n\r\n");
        if head.is_some_and(|head| got.len() >= head + 4 + usize::try_from(OTHER).unwrap()) {
            assert!(got.starts_with(b"HTTP/1.1 200 "));
            return;
        }
    }
}
