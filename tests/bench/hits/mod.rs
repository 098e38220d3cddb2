//! How much of a day's requests each policy of letting go answers from a bounded cache. No clock: the
//! result is the same each time.

mod caches;
mod disk;
mod trace;

use std::fmt::Write as _;

use clap::Args;

use proxy::engine::store::admission::{Admission, AdmitAll, SecondAsk};

use super::say;
use caches::Cache;
use disk::Tiers;
use trace::{Taste, Trace, day};

/// What to play.
#[derive(Debug, Args)]
pub(crate) struct HitsArgs {
    /// The day's seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How much of the day, URLs and requests alike
    #[arg(long, default_value_t = 1.0)]
    share: f64,
    /// Room, in percent of the bytes of all URLs
    #[arg(long, value_delimiter = ',', default_value = "1,10")]
    room: Vec<u64>,
    /// Room on disk behind it, in percent of the bytes of all URLs; memory has the first of `room`
    #[arg(long, value_delimiter = ',')]
    disk: Vec<u64>,
}

pub(crate) fn run(args: &HitsArgs) {
    for (taste, name) in [(Taste::Steady, "steady"), (Taste::Crowds, "crowds")] {
        let day = day(args.seed, args.share, taste);
        let bytes: u64 = day.bytes.iter().copied().map(u64::from).sum();
        let mut text = format!(
            "{name}: {} requests, {} URLs of {} MB; percent of requests, and of bytes, answered here\n",
            day.requests.len(),
            day.bytes.len(),
            bytes / 1_000_000
        );
        for percent in &args.room {
            for (cache, mut kept) in caches::all(bytes * percent / 100) {
                let (hits, hit_bytes) = play(&day, &mut *kept);
                let _ = writeln!(
                    text,
                    "{percent:>4} %  {cache:<22} {hits:>6.2} {hit_bytes:>6.2}"
                );
            }
        }
        text.push('\n');
        say(&text);
        args.disk
            .iter()
            .for_each(|disk| say(&tiers(&day, (args.room[0], *disk), bytes)));
    }
}

/// Memory with a disk behind it, under each policy of writing.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn tiers(day: &Trace, (memory, disk): (u64, u64), bytes: u64) -> String {
    let mut text = format!(
        "memory {memory} %, disk {disk} %: answered here, of it from disk; times the disk was written over\n"
    );
    let policies: [(&str, Box<dyn Admission>); 2] = [
        ("all is written", Box::new(AdmitAll)),
        ("asked for again", Box::new(SecondAsk)),
    ];
    for (name, policy) in policies {
        let room = bytes * disk / 100;
        let mut cache = Tiers::new(bytes * memory / 100, room, policy);
        let (hits, hit_bytes) = play(day, &mut cache);
        let _ = writeln!(
            text,
            "{name:<22} {hits:>6.2} {hit_bytes:>6.2}, {:>6.2}; {:>6.2} GB, {:>5.2}",
            100.0 * cache.from_disk as f64 / day.requests.len() as f64,
            cache.written as f64 / 1e9,
            cache.written as f64 / room as f64
        );
    }
    text.push('\n');
    text
}

#[expect(clippy::cast_precision_loss, reason = "a percentage")]
fn play(day: &Trace, cache: &mut dyn Cache) -> (f64, f64) {
    let (mut hits, mut hit_bytes, mut bytes) = (0_u64, 0, 0);
    for &url in &day.requests {
        let size = day.bytes[url as usize];
        bytes += u64::from(size);
        if cache.ask(url, size) {
            hits += 1;
            hit_bytes += u64::from(size);
        }
    }
    let percent = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
    (
        percent(hits, day.requests.len() as u64),
        percent(hit_bytes, bytes),
    )
}
