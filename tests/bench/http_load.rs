//! The proxy with more than it can do.
//!
//! Idle connections and slow readers while hot hits are served; then an open loop of visitors, each
//! from a neighbourhood of its own, who leave after a while: first as many as the proxy can serve,
//! then twice as many, then one site that wants ten times what it had. Goodput is what was served
//! whole within the visitors' patience.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::cluster::{Proxy, set};
use harness::exec;
use harness::origin::{Origin, Reply, coralised};
use harness::place::{Place, Port};
use harness::wait::{now, pause};
use harness::web::WebServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::cpu::{pin, resident};
use super::visitor::{End, connect, from, visit};
use super::{say, span, wrk};

/// Cores of the proxy and of everything else.
const SERVER: usize = 0;
const LOAD: usize = 1;

/// Visitors at once: both sides of them, and what the proxy opens, have to fit the descriptors that a
/// process may have. One of the greedy site's that finds no place is counted as late; the few of the
/// other site always come, so that what happens to them is the proxy's doing.
const VISITORS_MAX: usize = 6_000;

/// How long a visitor waits.
const PATIENCE: Duration = Duration::from_secs(3);

const MEBIBYTE: f64 = 1_048_576.0;

/// Arguments of `bench http-load`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LoadArgs {
    /// How long each flood lasts
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = span)]
    time: Duration,
    /// Idle connections
    #[arg(long, value_name = "NUMBER", default_value_t = 9_000)]
    idle: usize,
    /// Slow readers
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    slow: usize,
    /// Threads that take the proxy's core from it, so that one core of load is more than enough
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    spinners: usize,
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
    runtime.unwrap().block_on(async {
        Box::pin(idle(args)).await;
        Box::pin(floods(args)).await;
    });
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
    let time = args.time.min(Duration::from_secs(4));
    let Some(run) = wrk::run(proxy.http, host, "/hot", 32, time) else {
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

/// What visitors of one kind got.
#[derive(Clone, Default, Debug)]
struct Tally {
    sent: u64,
    served: u64,
    refused: u64,
    broken: u64,
    late: u64,
    waits: Vec<Duration>,
}

impl Tally {
    fn count(&mut self, end: End) {
        self.sent += 1;
        match end {
            End::Served(wait) => {
                self.served += 1;
                self.waits.push(wait);
            }
            End::Refused(_) => self.refused += 1,
            End::Broken => self.broken += 1,
            End::Late => self.late += 1,
        }
    }

    fn show(&mut self, name: &str, time: Duration) {
        self.waits.sort_unstable();
        let part = |n: usize| self.waits.get(self.waits.len() * n / 100).copied();
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let rate = self.served as f64 / time.as_secs_f64();
        say(&format!(
            "  {name:<18} {:>7} sent {rate:>8.0} served/s {:>7} refused {:>6} broken {:>6} late; half within {:.1?}, 99 % within {:.1?}\n",
            self.sent,
            self.refused,
            self.broken,
            self.late,
            part(50).unwrap_or_default(),
            part(99).unwrap_or_default(),
        ));
    }
}

/// Visitors of pages that nobody asked for before, and of hot ones, at so many a second.
struct Flood<'a> {
    proxy: &'a Proxy,
    greedy: String,
    modest: String,
    next: usize,
}

impl Flood<'_> {
    /// `misses` a second of the greedy site's pages, and 50 a second each of a hot and of a new page
    /// of the modest one.
    async fn run(&mut self, name: &str, misses: usize, time: Duration) -> Tally {
        const TICK: Duration = Duration::from_millis(20);
        const TICKS: usize = 50;
        let mut tallies: [Tally; 3] = Default::default();
        let (began, mut visits) = (now(), JoinSet::new());
        let (mut due, mut ticks) = (0, 0);
        while now().since(began) < time {
            ticks += 1;
            let until = misses * ticks / TICKS;
            let kinds = std::iter::repeat_n(0, until - due).chain([1, 2]);
            for kind in kinds {
                if !self.start(&mut visits, kind) {
                    tallies[kind].count(End::Late);
                }
            }
            due = until;
            while let Some(Ok((kind, end))) = visits.try_join_next() {
                tallies[kind].count(end);
            }
            let next = TICK * u32::try_from(ticks).unwrap();
            pause(next.saturating_sub(now().since(began))).await;
        }
        let took = now().since(began);
        while let Some(Ok((kind, end))) = visits.join_next().await {
            tallies[kind].count(end);
        }
        let memory = mebibytes(resident(self.proxy.daemon.pid()));
        say(&format!(
            "{name}: {misses} misses a second for {time:?}, {memory:.1} MiB\n"
        ));
        let names = ["greedy, misses", "modest, hot", "modest, misses"];
        for (tally, name) in tallies.iter_mut().zip(names) {
            tally.show(name, took);
        }
        let [greedy, ..] = tallies;
        greedy
    }

    /// Whether there was a place for one more.
    fn start(&mut self, visits: &mut JoinSet<(usize, End)>, kind: usize) -> bool {
        self.next += 1;
        if kind == 0 && visits.len() >= VISITORS_MAX {
            return false;
        }
        let (n, to) = (self.next, self.proxy.http);
        let host = [&self.greedy, &self.modest, &self.modest][kind].clone();
        let path = match kind {
            1 => "/page".to_owned(),
            _ => format!("/page?{n}"),
        };
        visits.spawn(async move { (kind, visit(from(n), to, &host, &path, PATIENCE).await) });
        true
    }
}

/// Threads on the proxy's core that do nothing, busily, until this is dropped.
struct Spinners(Arc<AtomicBool>);

impl Spinners {
    fn start(count: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        for _ in 0..count {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                pin(None, SERVER);
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(over)
    }
}

impl Drop for Spinners {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn floods(args: &LoadArgs) {
    let place = Place::alone().await;
    let root = place.file("site");
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(root.join("page"), [b'x'; 1_024]).unwrap();
    // Two sites to the proxy, one server to the machine.
    let modest = place.at(99, Port::Web);
    let directives = format!(
        "listen {modest}; root {}; add_header Cache-Control max-age=3600;",
        root.display()
    );
    pin(None, LOAD);
    let Some(site) = WebServer::nginx_with(&place, &directives).await else {
        return;
    };
    let proxy = proxy(&place, args).await;
    let _busy = Spinners::start(args.spinners);
    let mut flood = Flood {
        proxy: &proxy,
        greedy: coralised(site.addr),
        modest: coralised(modest),
        next: 0,
    };
    let peak = peak(&mut flood, args.time).await;
    flood.run("at twice the peak", peak * 2, args.time).await;
    flood.run("at a tenth of it", peak / 10, args.time).await;
    flood
        .run("one site at ten times that", peak, args.time)
        .await;
}

/// Doubles the rate until not all is served; gives the best goodput.
async fn peak(flood: &mut Flood<'_>, time: Duration) -> usize {
    let (mut rate, mut best) = (400, 0);
    let step = (time / 5).max(Duration::from_secs(2));
    loop {
        let tally = flood.run("looking for the peak", rate, step).await;
        let seconds = usize::try_from(step.as_secs()).unwrap();
        let served = usize::try_from(tally.served).unwrap() / seconds;
        best = best.max(served);
        if served * 10 < rate * 9 || rate > 20_000 {
            say(&format!("the peak is {best} misses a second\n"));
            return best;
        }
        rate = rate * 3 / 2;
    }
}
