//! The proxy's disk store: how soon it is there again, and what its index costs.
//!
//! The store is made by the engine itself, without a proxy: a million small responses. What is read at
//! the start are the indexes, whatever the bodies' size.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock, WallTime};
use harness::client::Ask;
use harness::cluster::{Proxy, set};
use harness::metrics;
use harness::origin::Origin;
use harness::place::{Place, host};
use http::{HeaderMap, HeaderValue, StatusCode};
use proxy::engine::http::fresh::FreshPolicy;
use proxy::engine::http::key::{PrimaryKey, Scheme};
use proxy::engine::shelf::elapsed::{NO_BOOT, Stamp};
use proxy::engine::shelf::log::{About, Batch, Log};
use proxy::engine::shelf::record::{BodyOf, encode, name_of, variant_of};
use proxy::engine::store::object::{Object, Received};

use super::cpu::resident;
use super::say;

const BUDGET: u64 = 8 << 30;

/// Arguments of `bench restart`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RestartArgs {
    /// Responses in the store
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000)]
    objects: usize,
    /// Bytes of each body
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    bytes: usize,
    /// Starts that are measured
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    rounds: usize,
}

/// Measures and prints.
pub(crate) fn run(args: &RestartArgs) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(Box::pin(measure(args)));
}

async fn measure(args: &RestartArgs) {
    let place = Place::alone().await;
    let origin = Origin::start(&place).await;
    let sets = [set("store.disk", BUDGET)];
    let mut proxy = Proxy::alone(&place, &sets).await;
    let empty = resident(proxy.daemon.pid());
    proxy.daemon.stop().await;
    let dir = place.file(&format!("node{}-store/v1", host::NODE));
    let clock = SystemClock::new();
    let began = clock.moment();
    fill(
        &dir,
        args,
        origin.addr.port(),
        &origin.addr.ip().to_string(),
    );
    let made = clock.moment().since(began);
    say(&format!(
        "{} objects of {} bytes, made in {made:.1?}\n{:>10} {:>12} {:>12} {:>14} {:>14}\n",
        args.objects,
        args.bytes,
        "objects",
        "index read",
        "serving",
        "index B/object",
        "memory B/object"
    ));
    for _ in 0..args.rounds {
        let began = clock.moment();
        proxy.daemon.start_again();
        proxy.until_up().await;
        let up = clock.moment().since(began);
        let log = proxy.daemon.log();
        let took = log.rsplit("took_ms=").next().unwrap_or_default();
        let took: String = took.chars().take_while(char::is_ascii_digit).collect();
        let objects = metrics::value(proxy.admin, "atoll_proxy_disk_objects").await;
        let index = metrics::value(proxy.admin, "atoll_proxy_disk_index_bytes").await;
        let grown = resident(proxy.daemon.pid()).saturating_sub(empty);
        say(&format!(
            "{objects:>10} {:>12} {up:>12.2?} {:>14} {:>14}\n",
            format!("{took} ms"),
            index / objects.max(1),
            grown / objects.max(1),
        ));
        let page = origin.page(&format!("/{}", args.objects / 2));
        let first = Ask::of(proxy.http, &page).fetch().await;
        assert!(first.status == 200 && origin.count_all() == 0, "{first:?}");
        proxy.daemon.stop().await;
    }
}

/// Writes segments as a proxy would, with ages of this moment.
fn fill(dir: &Path, args: &RestartArgs, port: u16, ip: &str) {
    let (now, stamp) = (Moment::ZERO, stamp());
    let mut log = Log::new(BUDGET, 1_000, 0);
    let body = vec![b'x'; args.bytes];
    let digest = *blake3::hash(&body).as_bytes();
    for n in 0..args.objects {
        let key = PrimaryKey::new(Scheme::Http, ip, port, &format!("/{n}"));
        let object = object(key);
        if !log.fits(body.len() as u64 + 1_024) {
            write(dir, log.take());
            log.close();
            log.begin(now, stamp);
        }
        let segment = log.segment().unwrap();
        let inline = BodyOf::Inline(body.len() as u64);
        let head = encode(&object, (segment, &stamp, now), &digest, inline);
        let about = About {
            name: name_of(&object.key),
            variant: variant_of(&object),
            large: None,
            fresh: 3_600,
        };
        log.put(now, &about, &[&head, &body]).unwrap();
    }
    write(dir, log.take());
}

/// As of a boot that nobody knows: then the calendar tells.
fn stamp() -> Stamp {
    Stamp {
        boot: NO_BOOT,
        since_boot: Duration::ZERO,
        wall: SystemClock::new().wall(),
    }
}

fn object(key: PrimaryKey) -> Object<()> {
    let mut headers = HeaderMap::new();
    let mut field = |name, value| headers.insert(name, HeaderValue::from_static(value));
    field("cache-control", "max-age=3600");
    field("content-type", "text/html; charset=utf-8");
    field("date", "Sat, 21 Nov 2026 20:00:00 GMT");
    field("etag", "\"5f3c-61f2a0b1c2d3e\"");
    let received = Received {
        status: StatusCode::OK,
        headers: &headers,
        at: Moment::ZERO,
        wall: WallTime::from_unix(1_795_000_000),
        delay: Duration::ZERO,
    };
    let (request, policy) = (HeaderMap::new(), FreshPolicy::default());
    Object::new(key, &received, &headers, &request, &policy, ())
}

fn write(dir: &Path, batch: Option<Batch>) {
    let Some(batch) = batch else { return };
    let head = batch.head.unwrap();
    for (ending, bytes) in [("seg", &batch.data), ("idx", &batch.index)] {
        let path = dir.join(format!("{:08x}.{ending}", batch.segment));
        let mut file = fs::File::create(path).unwrap();
        file.write_all(&head).unwrap();
        file.write_all(bytes).unwrap();
    }
}
