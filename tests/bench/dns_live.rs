//! How long the dead are named, under load.
//!
//! `dns-kill`: proxies, each a process with an index of its own, are killed (or stopped, so that they
//! hang) at random moments; from then to the last answer that names them. Every victim is a new
//! proxy, so that nobody is kept out for coming and going.
//!
//! `dns-churn`: a fifth of many cheap proxies dies every ten seconds, in three ways, and the dead of
//! the round before return. Each address of each answer is held against the list of the dead.
//!
//! On two cores shared with other work, four askers:
//!
//! ```text
//! dns-kill --trials 100, 576,734 answers, none without an address
//! proxies     trials   median      99th       max   over 3 s
//! hung            20   1.78 s    2.78 s    2.78 s          0
//! killed          80   0.56 s    0.95 s    0.95 s          0
//! dns-churn --time 5m, 200 proxies, 1,200 deaths, 1,061,480 answers, none without an address
//! came, went     943   1.24 s    2.68 s    2.78 s          0
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::clock::Moment;
use common::rng::Generator;
use harness::check_page::{CheckPage, Death};
use harness::cluster::{Cluster, NameServer};
use harness::place::{Place, Port, host};
use harness::wait::{now, pause};
use harness::watch::Watch;
use rustix::process::Signal;

use super::{say, span};

/// What is promised.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(3);

/// Nodes of the cluster, and how many of them die in one round, at moments spread over this time.
const NODES: u8 = 8;
const TOGETHER: usize = 5;
const SPREAD: Duration = Duration::from_secs(2);

/// Who asks while proxies die.
const ASKERS: usize = 4;

/// Arguments of `bench dns-kill`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct KillArgs {
    /// How many proxies die; every fifth hangs instead
    #[arg(long, default_value_t = 100)]
    trials: usize,
}

/// Arguments of `bench dns-churn`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ChurnArgs {
    /// How long proxies come and go
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = span)]
    time: Duration,
    /// Cheap proxies, at most 240
    #[arg(long, default_value_t = 200)]
    proxies: u8,
    /// Seed of the choice of victims
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap()
}

/// Kills proxies and prints how long they were named.
pub(crate) fn kill(args: &KillArgs) {
    runtime().block_on(kills(args.trials));
}

async fn kills(trials: usize) {
    let place = Place::alone().await;
    let mut cluster = Cluster::of(NODES).name_servers(1).start(&place).await;
    let server = cluster.servers[0].dns;
    let watch = Watch::start(server, ASKERS);
    let mut rng = Generator::from_seed(1);
    let mut took = BTreeMap::from([("killed", Vec::new()), ("hung", Vec::new())]);
    let mut next_host = host::NODE + NODES;
    let mut done = 0;
    while done < trials {
        let round = TOGETHER.min(trials - done);
        let mut deaths: Vec<_> = (0..round).map(|n| (rng.jitter(SPREAD), n)).collect();
        deaths.sort_unstable();
        let began = now();
        let mut died: Vec<(usize, &str, IpAddr, Moment)> = Vec::new();
        for (after, n) in deaths {
            pause(after.saturating_sub(now().since(began))).await;
            let proxy = &mut cluster.proxies[n];
            let way = if n == 0 { "hung" } else { "killed" };
            if n == 0 {
                proxy.daemon.signal(Signal::STOP);
            } else {
                proxy.daemon.kill();
            }
            died.push((n, way, proxy.http.ip(), now()));
        }
        // Long enough that whoever is named after it is named for ever.
        pause(FORGOTTEN_WITHIN + FORGOTTEN_WITHIN / 3).await;
        for (n, way, ip, at) in died {
            let named = watch
                .last_named(ip)
                .map_or(Duration::ZERO, |last| last.since(at));
            took.entry(way).or_default().push(named);
            cluster.proxies[n].daemon.kill();
            cluster.replace(&place, n, next_host).await;
            next_host += 1;
        }
        cluster.servers[0].until_naming(&cluster.proxies).await;
        done += round;
    }
    let seen = watch.seen();
    let (answers, empty, silent) = (seen.answers, seen.empty, seen.silent);
    say(&format!(
        "{answers} answers, {empty} without an address, {silent} questions unanswered\n"
    ));
    say("proxies     trials   median      99th       max   over 3 s\n");
    for (way, took) in &mut took {
        row(way, took);
    }
}

fn row(way: &str, took: &mut [Duration]) {
    took.sort_unstable();
    let Some(last) = took.len().checked_sub(1) else {
        return;
    };
    let at = |percent: usize| took[(took.len() * percent / 100).min(last)].as_secs_f64();
    let over = took.iter().filter(|took| **took > FORGOTTEN_WITHIN).count();
    say(&format!(
        "{way:<10} {:>7} {:>6.2} s  {:>6.2} s  {:>6.2} s {over:>10}\n",
        took.len(),
        at(50),
        at(99),
        at(100),
    ));
}

/// Since when each address is dead.
type Dead = Arc<Mutex<BTreeMap<IpAddr, Moment>>>;

/// The longest that each was named while dead, by how often.
type Named = Arc<Mutex<BTreeMap<(IpAddr, Moment), Duration>>>;

/// Lets proxies come and go, and prints whether the dead were named.
pub(crate) fn churn(args: &ChurnArgs) {
    runtime().block_on(churns(args));
}

async fn churns(args: &ChurnArgs) {
    let place = Place::alone().await;
    let proxies = (0..args.proxies.min(240)).map(|n| place.at(host::NODE + n, Port::Http));
    let proxies: Vec<SocketAddr> = proxies.collect();
    let mut pages = Vec::new();
    for addr in &proxies {
        pages.push(CheckPage::start(*addr).await);
    }
    let server = NameServer::alone(&place, &proxies, &[]);
    server.until_live(proxies.len()).await;
    let (dead, named) = (Dead::default(), Named::default());
    let watch = {
        let (dead, named) = (Arc::clone(&dead), Arc::clone(&named));
        let listener = move |ip, read: Moment| {
            let Some(since) = dead.lock().unwrap().get(&ip).copied() else {
                return;
            };
            let mut named = named.lock().unwrap();
            named.insert((ip, since), read.since(since));
        };
        Watch::listening(server.dns, ASKERS, Arc::new(listener))
    };
    let mut rng = Generator::from_seed(args.seed);
    let (mut deaths, mut fewest) = (0, usize::MAX);
    let began = now();
    while now().since(began) < args.time {
        let round = now();
        deaths += kill_a_fifth(&mut pages, &dead, &mut rng).await;
        pause(Duration::from_secs(10).saturating_sub(now().since(round))).await;
        let live = harness::metrics::value(server.admin, "atoll_dns_proxies_live").await;
        fewest = fewest.min(usize::try_from(live).unwrap());
    }
    let seen = watch.seen();
    drop(watch);
    let mut took: Vec<_> = named.lock().unwrap().values().copied().collect();
    say(&format!(
        "{deaths} deaths among {} proxies; {} answers, {} without an address, {} questions \
         unanswered; never fewer than {fewest} live at the end of a round\n",
        proxies.len(),
        seen.answers,
        seen.empty,
        seen.silent
    ));
    say("proxies     trials   median      99th       max   over 3 s\n");
    row("came, went", &mut took);
}

/// The dead of the last round return; a fifth of all, drawn among the others, dies.
async fn kill_a_fifth(pages: &mut [CheckPage], dead: &Dead, rng: &mut Generator) -> usize {
    let before = std::mem::take(&mut *dead.lock().unwrap());
    for page in pages.iter_mut() {
        if before.contains_key(&page.addr.ip()) {
            page.revive().await;
        }
    }
    let mut victims = 0;
    while victims < pages.len() / 5 {
        let page = &mut pages[rng.below(pages.len())];
        let ip = page.addr.ip();
        if before.contains_key(&ip) || dead.lock().unwrap().contains_key(&ip) {
            continue;
        }
        page.die(Death::ALL[rng.below(Death::ALL.len())]).await;
        dead.lock().unwrap().insert(ip, now());
        victims += 1;
    }
    victims
}
