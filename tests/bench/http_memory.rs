//! What a cached object costs the proxy in memory beyond its body, and whether the proxy's own account of
//! it is right.
//!
//! A real process with nothing kept and with many small pages. What is divided is the growth of what
//! the process has resident.

use std::time::Duration;

use harness::client::{Ask, Page};
use harness::cluster::{Proxy, set};
use harness::footprint::{self, Has};
use harness::place::Place;
use harness::wait::now;
use http::Method;

use super::cpu::Cpu;
use super::say;

/// Pages that make the process as large as it is when it works: buffers, pools, tables.
const WARMING: usize = 2_000;

/// Orders to purge.
const PURGES: u32 = 50;

/// Arguments of `bench http-memory`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct MemoryArgs {
    /// Pages kept
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    objects: usize,
    /// Bytes of each body
    #[arg(long, value_name = "BYTES", default_value_t = 4_096)]
    bytes: usize,
    /// Settings for the proxy
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

/// Measures and prints.
pub(crate) fn run(args: &MemoryArgs) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(Box::pin(measure(args)));
}

async fn measure(args: &MemoryArgs) {
    let place = Place::alone().await;
    let origin = footprint::pages(&place, args.bytes).await;
    let mut sets = vec![
        set("store.memory", "4GiB"),
        set("store.disk", "0B"),
        set("client.requests_per_second", "0"),
        set("log.level", "warn"),
    ];
    sets.extend(args.sets.iter().cloned());
    let proxy = Proxy::alone(&place, &sets).await;
    footprint::fetch(&proxy, origin, 0..WARMING, "").await;
    let before = Has::now(&proxy).await;
    say(&format!(
        "bodies of {} bytes; bytes for each beyond it\n{:>28} {:>10} {:>10} {:>10}\n",
        args.bytes, "", "objects", "resident", "accounted"
    ));
    for (what, more) in [
        ("asked for once", ""),
        ("found once", ""),
        ("found by both doors", "X-Odd: 1\r\n"),
    ] {
        let pages = WARMING..WARMING + args.objects;
        footprint::fetch(&proxy, origin, pages, more).await;
        row(what, args.bytes, before, Has::now(&proxy).await);
    }
    purges(&proxy).await;
}

/// What a look at every page costs: orders by tag that mean none of them.
async fn purges(proxy: &Proxy) {
    let (pid, objects) = (proxy.daemon.pid(), Has::now(proxy).await.objects);
    let mut longest = Duration::ZERO;
    let (before, began) = (Cpu::exactly(pid, None), now());
    for n in 0..PURGES {
        let began = now();
        let ask = Ask::of(proxy.admin, &Page::new(&proxy.admin.to_string(), "/purge"))
            .method(Method::POST);
        let order = format!("hard tag * nothing-{n}");
        let answer = ask.header("atoll-purge", &order).fetch().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        longest = longest.max(now().since(began));
    }
    let cpu = Cpu::exactly(pid, None).since(before).total();
    say(&format!(
        "a purge by tag looks at {objects} pages in {:.1?}, {:.1?} at most: {} ns of CPU for each\n",
        now().since(began) / PURGES,
        longest,
        cpu.as_nanos() / u128::from(objects * u64::from(PURGES))
    ));
}

fn row(what: &str, bytes: usize, before: Has, after: Has) {
    let objects = after.objects.saturating_sub(before.objects).max(1);
    let each = |of: fn(Has) -> u64| {
        let grown = of(after).saturating_sub(of(before)) / objects;
        i64::try_from(grown).unwrap() - i64::try_from(bytes).unwrap()
    };
    say(&format!(
        "{what:>28} {objects:>10} {:>10} {:>10}\n",
        each(|has| has.resident),
        each(|has| has.accounted)
    ));
}
