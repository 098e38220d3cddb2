//! What the name server takes of memory with many proxies known and many client networks placed.
//!
//! Everything is real but the index and the proxies, which this process plays: the networks come as
//! subnets of questions, are looked up at the index, placed, and answered from.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use common::rng::Generator;
use harness::check_page;
use harness::cluster::{NameServer, set};
use harness::metrics;
use harness::place::Place;
use harness::wait::{EVENTUALLY, now, pause, until};
use tokio::net::{TcpListener, UdpSocket, UnixListener};

use super::cpu::resident;
use super::dns_checks::{index, proxy};
use super::dns_load::{Mix, question};
use super::say;

/// Between two bursts of questions, and questions of one: a receiving thread tells of 64 networks in
/// 50 ms.
const EVERY: Duration = Duration::from_millis(52);
const BURST: u32 = 64;

/// Lookups that the name server is allowed: what is measured is where it ends, not how soon.
const LOOKUPS: u32 = 5_000;

/// The metrics of what it knows.
const KNOWN: &str = "atoll_dns_proxies_known";
const PLACED: &str = r#"atoll_dns_client_networks{kind="known"}"#;

/// Arguments of `bench dns-memory`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct MemoryArgs {
    /// Proxies known
    #[arg(long, default_value_t = 10_000)]
    proxies: usize,
    /// Client networks placed
    #[arg(long, default_value_t = 100_000)]
    networks: u32,
    /// Receiving threads
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

/// Measures and prints.
pub(crate) fn run(args: &MemoryArgs) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(measure(args));
}

async fn measure(args: &MemoryArgs) {
    let place = Place::alone().await;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(check_page::serve_all(listener));
    let proxies: Vec<_> = (0..args.proxies).map(|n| proxy(n, port)).collect();
    let socket = place.file("index.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(index(listener, Arc::new(proxies)));
    let sets = [
        set("index.socket", socket.display()),
        set("dns.threads", args.threads),
        set("near.lookups_per_second", LOOKUPS),
        set("near.networks", args.networks),
    ];
    let server = NameServer::alone(&place, &[], &sets);
    let memory = |when: &str| {
        let kib = resident(server.daemon.pid()) >> 10;
        say(&format!(
            "{when:<50} {:>6.1} MiB\n",
            f64::from(u32::try_from(kib).unwrap()) / 1_024.0
        ));
    };
    until("it is up", EVENTUALLY, async || {
        metrics::is_ready(server.admin).await
    })
    .await;
    memory("ready");
    until("all proxies are known", EVENTUALLY, async || {
        metrics::value(server.admin, KNOWN).await == args.proxies as u64
    })
    .await;
    memory(&format!("{} proxies known", args.proxies));
    let (began, client) = (now(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let (mut next, mut placed, mut highest) = (0, 0, 0);
    while placed < u64::from(args.networks) && now().since(began) < Duration::from_secs(600) {
        for _ in 0..BURST {
            ask(&client, server.dns, next % args.networks).await;
            next += 1;
        }
        while client.try_recv(&mut [0; 1_500]).is_ok() {}
        pause(EVERY).await;
        if next % (100 * BURST) == 0 {
            placed = metrics::value(server.admin, PLACED).await;
            highest = highest.max(resident(server.daemon.pid()) >> 20);
        }
    }
    let took = now().since(began).as_secs();
    memory(&format!("{placed} client networks placed, after {took} s"));
    pause(Duration::from_secs(5)).await;
    memory("five seconds later");
    say(&format!("highest seen meanwhile: {highest} MiB\n"));
}

/// Asks for the client network of number `n`.
async fn ask(client: &UdpSocket, to: SocketAddr, n: u32) {
    let mut bytes = question(Mix::Sites, &mut Generator::from_seed(u64::from(n)));
    // The subnet ends the question.
    let network = (0x0b00_0000 + (n << 8)).to_be_bytes();
    let at = bytes.len() - 3;
    bytes[at..].copy_from_slice(&network[..3]);
    let _ = client.send_to(&bytes, to).await;
}
