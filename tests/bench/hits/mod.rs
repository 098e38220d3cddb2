//! How much of a day's requests each policy of letting go answers from a bounded cache. No clock: the
//! result is the same each time.

mod caches;
mod trace;

use std::fmt::Write as _;

use clap::Args;

use super::say;
use caches::Cache;
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
    }
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
