//! What checking proxies costs the name server, and what pings cost the local index.
//!
//! One listener plays all proxies (every address of 127.0.0.0/8 leads to it) and a socket plays the
//! local index, so that thousands of proxies cost this process little and only the name server's CPU
//! is counted. The index's own part is measured on real ones.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use harness::check_page;
use harness::cluster::{Index, NameServer, set};
use harness::metrics;
use harness::place::Place;
use harness::wait::{EVENTUALLY, now, pause, until};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, UnixListener};

use super::cpu::{Cpu, pin, resident};
use super::{say, span};

/// Cores of the name server and of everything else.
const SERVER: usize = 0;
const REST: usize = 1;

/// Proxies that it names as near a client network: as many as the name server remembers.
const NEAR: usize = 8;

/// Pings of one request to a real index.
const TOGETHER: usize = 32;

/// Arguments of `bench dns-checks`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ChecksArgs {
    /// How long each measurement lasts
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = span)]
    time: Duration,
    /// Proxies known
    #[arg(long, default_value_t = 1_000)]
    proxies: usize,
    /// Settings of the name server, KEY=VALUE
    #[arg(long)]
    set: Vec<String>,
    /// Measure the pings of real indexes as well
    #[arg(long)]
    index: bool,
}

/// Measures and prints.
pub(crate) fn run(args: &ChecksArgs) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        checks(args).await;
        if args.index {
            pings(args.time).await;
        }
    });
}

async fn checks(args: &ChecksArgs) {
    let place = Place::alone().await;
    pin(None, REST);
    // Any port will do, as long as nobody has it on any address.
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(check_page::serve_all(listener));
    let proxies: Vec<_> = (0..args.proxies).map(|n| proxy(n, port)).collect();
    let socket = place.file("index.sock");
    tokio::spawn(index(
        UnixListener::bind(&socket).unwrap(),
        Arc::new(proxies),
    ));
    let server = start(&place, &socket, &args.set);
    until("all proxies are known", EVENTUALLY, async || {
        metrics::is_ready(server.admin).await
            && metrics::value(server.admin, "atoll_dns_proxies_known").await == args.proxies as u64
    })
    .await;
    pin(Some(server.daemon.pid()), SERVER);
    // One period and more, until checks are at their pace.
    pause(Duration::from_secs(4)).await;
    let pages = r#"atoll_dns_checks_total{kind="http",outcome="good"}"#;
    let pongs = r#"atoll_dns_checks_total{kind="ping",outcome="good"}"#;
    let count = async |series| metrics::value(server.admin, series).await;
    let before = (count(pages).await, count(pongs).await);
    let (began, cpu) = (now(), Cpu::of(server.daemon.pid()));
    pause(args.time).await;
    let cpu = Cpu::of(server.daemon.pid())
        .since(cpu)
        .total()
        .as_secs_f64();
    let took = now().since(began).as_secs_f64();
    let after = (count(pages).await, count(pongs).await);
    let live = count("atoll_dns_proxies_live").await;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let rate = |from: u64, to: u64| (to - from) as f64 / took;
    let (pages, pongs) = (rate(before.0, after.0), rate(before.1, after.1));
    let each = cpu / took / (pages + pongs) * 1e6;
    let memory = resident(server.daemon.pid()) >> 10;
    say(&format!(
        "{} known, {live} live: {pages:.0} pages/s, {pongs:.0} pings/s, {:.1} % of a core, {each:.1} us each, \
         {memory} KiB\n",
        args.proxies,
        cpu / took * 100.0,
    ));
}

pub(crate) fn proxy(n: usize, port: u16) -> SocketAddr {
    let low = u32::try_from(n).unwrap() + 1;
    SocketAddr::new(IpAddr::from((0x7f80_0000 + low).to_be_bytes()), port)
}

fn start(place: &Place, socket: &Path, more: &[String]) -> NameServer {
    let mut sets = vec![set("index.socket", socket.display())];
    sets.extend_from_slice(more);
    NameServer::alone(place, &[], &sets)
}

/// An index at which everybody answers at once.
pub(crate) async fn index(listener: UnixListener, proxies: Arc<Vec<SocketAddr>>) {
    let turn = Arc::new(AtomicUsize::new(0));
    while let Ok((stream, _)) = listener.accept().await {
        let (proxies, turn) = (Arc::clone(&proxies), Arc::clone(&turn));
        let service = service_fn(move |request: Request<Incoming>| {
            let (proxies, turn) = (Arc::clone(&proxies), Arc::clone(&turn));
            async move {
                let path = request.uri().path().to_owned();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
                let answer = answer(&path, &asked, &proxies, &turn);
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answer.to_string()))))
            }
        });
        let serving = hyper::server::conn::http1::Builder::new();
        tokio::spawn(serving.serve_connection(TokioIo::new(stream), service));
    }
}

fn answer(path: &str, asked: &Value, proxies: &[SocketAddr], turn: &AtomicUsize) -> Value {
    // An index stands where its proxy does.
    let pong =
        |index: &Value| json!({"rtt_us": 900, "services": [{"name": "http", "addr": index}]});
    match path {
        "/v1/nodes" => {
            let count = asked["count"].as_u64().unwrap_or_default();
            let count = usize::try_from(count).unwrap().min(proxies.len());
            let from = turn.fetch_add(count, Ordering::Relaxed);
            let some = (from..from + count).map(|n| proxies[n % proxies.len()]);
            let node = |addr: SocketAddr| {
                json!({"id": "ab".repeat(20), "addr": addr, "rtt_us": 90_000,
                    "services": [{"name": "http", "addr": addr}]})
            };
            if asked["near"].is_null() {
                return json!({ "nodes": some.map(node).collect::<Vec<_>>() });
            }
            // Some were measured to be near whoever it is about.
            let near = some.take(NEAR).zip(1..).map(|(addr, n)| {
                let mut node = node(addr);
                node["near_us"] = json!(n * 5_000);
                node
            });
            json!({ "nodes": near.collect::<Vec<_>>() })
        }
        "/v1/pings" => {
            let all = asked["addrs"].as_array().unwrap();
            json!({ "pings": all.iter().map(pong).collect::<Vec<_>>() })
        }
        _ => pong(&asked["addr"]),
    }
}

/// Real indexes: one is asked to ping two others, one ping or several with each request.
async fn pings(time: Duration) {
    let place = Place::alone().await;
    let mut indexes: Vec<Index> = Vec::new();
    for n in 0..3 {
        let seeds: Vec<_> = indexes.iter().map(|index| index.udp).take(1).collect();
        indexes.push(Index::start(
            &place,
            n,
            &seeds,
            &[set("admit.members", 100_000_000)],
        ));
    }
    for index in &indexes {
        index.until_ready().await;
    }
    pin(Some(indexes[0].daemon.pid()), SERVER);
    let client = indexes[0].client();
    let deadline = Duration::from_secs(1);
    for together in [1, TOGETHER] {
        let addrs: Vec<_> = (0..together).map(|n| indexes[1 + n % 2].udp).collect();
        let (began, before) = (now(), Cpu::of(indexes[0].daemon.pid()));
        let (mut good, mut bad) = (0_u32, 0_u32);
        while now().since(began) < time / 4 {
            if together == 1 {
                let ponged = client.ping(addrs[0], deadline).await.is_ok();
                good += u32::from(ponged);
                bad += u32::from(!ponged);
                continue;
            }
            for ponged in client.pings(addrs.clone(), deadline).await.unwrap() {
                good += u32::from(ponged.is_ok());
                bad += u32::from(ponged.is_err());
            }
        }
        let cpu = Cpu::of(indexes[0].daemon.pid()).since(before).total();
        let each = cpu.as_secs_f64() * 1e6 / f64::from(good.max(1));
        say(&format!(
            "index: {together} pings with each request: {each:.1} us of its CPU for each ({good} made, {bad} failed)\n"
        ));
    }
}
