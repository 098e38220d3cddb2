//! The proxy with more connections than requests.
//!
//! Idle connections and slow readers while hot hits are served. What it does with more visitors than it
//! can serve is measured by [`flood`](super::flood).

use std::time::Duration;

use harness::cluster::{Proxy, set};
use harness::exec;
use harness::origin::{Origin, Reply, coralised};
use harness::place::Place;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::cpu::{pin, resident};
use super::visitor::{connect, from};
use super::{say, span, wrk};

/// Cores of the proxy and of everything else.
const SERVER: usize = 0;
const LOAD: usize = 1;

/// How long a reader waits.
const PATIENCE: Duration = Duration::from_secs(3);

const MEBIBYTE: f64 = 1_048_576.0;

/// Arguments of `bench http-load`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LoadArgs {
    /// How long hits are measured each time
    #[arg(long, value_name = "DURATION", default_value = "4s", value_parser = span)]
    time: Duration,
    /// Idle connections
    #[arg(long, value_name = "NUMBER", default_value_t = 9_000)]
    idle: usize,
    /// Slow readers
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    slow: usize,
    /// Settings for the proxy, such as bounds to be compared
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

/// Measures and prints.
pub(crate) fn run(args: &LoadArgs) {
    exec::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(Box::pin(idle(args)));
}

/// A proxy that takes visitors for strangers, but wrk at 127.0.0.1 for no one; on one core.
async fn proxy(place: &Place, args: &LoadArgs) -> Proxy {
    let mut sets = vec![
        set("http.connections_max", 12_000),
        set("client.exempt", "127.0.0.0/24"),
        set("log.level", "warn"),
        // Those that idle here are to be there when the rest is measured.
        set("http.idle_timeout", "600s"),
        set("http.send_timeout", "600s"),
    ];
    sets.extend(args.sets.iter().cloned());
    pin(None, SERVER);
    let proxy = Proxy::alone(place, &sets).await;
    pin(None, LOAD);
    proxy
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MEBIBYTE
}

/// Hits beside nothing, beside idle connections, and beside slow readers too.
async fn idle(args: &LoadArgs) {
    let place = Place::alone().await;
    let origin = Origin::start(&place).await;
    origin.serves("/hot", |_| Reply::pattern(1_024).fresh_for(3_600));
    origin.serves("/large", |_| Reply::pattern(8 << 20).fresh_for(3_600));
    let proxy = proxy(&place, args).await;
    for path in ["/hot", "/large"] {
        assert_eq!(proxy.get(&origin.page(path)).await.status, 200);
    }
    let host = coralised(origin.addr);
    hits(&proxy, &host, "nothing else", args);
    let before = resident(proxy.daemon.pid());
    let mut held = Vec::new();
    for n in 0..args.idle {
        held.extend(hold(&proxy, n, &host, "/hot", 1_100).await);
    }
    let idle = resident(proxy.daemon.pid());
    hits(&proxy, &host, &format!("{} idle", held.len()), args);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let each = idle.saturating_sub(before) as f64 / held.len().max(1) as f64 / 1_024.0;
    say(&format!(
        "  {each:.1} KiB resident for each idle connection\n"
    ));
    let mut slow = Vec::new();
    for n in 0..args.slow {
        slow.extend(hold(&proxy, args.idle + n, &host, "/large", 4_096).await);
    }
    hits(
        &proxy,
        &host,
        &format!("{} idle, {} slow", held.len(), slow.len()),
        args,
    );
    let readers = resident(proxy.daemon.pid());
    say(&format!(
        "  {:.1} MiB more for slow readers\n",
        mebibytes(readers.saturating_sub(idle))
    ));
    let mut alive = 0;
    for stream in &mut slow {
        let mut some = [0; 16_384];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut some)).await;
        alive += usize::from(matches!(read, Ok(Ok(1..))));
    }
    say(&format!(
        "  {alive} of {} slow readers go on reading\n",
        slow.len()
    ));
}

/// A connection that asked once and read some of the answer. `None` where that failed.
async fn hold(proxy: &Proxy, n: usize, host: &str, path: &str, some: usize) -> Option<TcpStream> {
    let held = async {
        let mut stream = connect(from(n), proxy.http).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let (mut buffer, mut read) = ([0; 4_096], 0);
        while read < some {
            let more = stream.read(&mut buffer).await.ok()?;
            // The head of an answer says how much there is; 1 KiB and a head is enough here.
            read += if more == 0 { return None } else { more };
        }
        Some(stream)
    };
    tokio::time::timeout(PATIENCE, held).await.ok().flatten()
}

fn hits(proxy: &Proxy, host: &str, beside: &str, args: &LoadArgs) {
    let Some(run) = wrk::run(proxy.http, host, "/hot", 32, args.time) else {
        return;
    };
    let memory = mebibytes(resident(proxy.daemon.pid()));
    say(&format!(
        "hits beside {beside}: {:.0} a second, half within {}, 99 % within {}, {memory:.1} MiB {}\n",
        run.rate,
        run.latency.0,
        run.latency.1,
        run.errors.join(", ")
    ));
}
