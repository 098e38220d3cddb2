//! The proxies' simulator: random schedules of deaths, breaks, stalls and losses, in virtual time,
//! through the engines of several proxies.
//!
//! `proxysim --schedules 10000 --seed 1`; `proxysim --story SEED` tells one schedule. Exit codes: 0
//! everything held; 1 something did not; 2 usage.

mod checks;
mod client;
mod fill;
mod index;
mod origin;
mod peer;
mod plan;
mod run;
mod world;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

/// Runs random schedules of faults through the engines of several proxies.
///
/// The same seed gives the same story, to the byte.
#[derive(Parser, Clone, Debug)]
#[command(name = "proxysim", version)]
struct Options {
    /// How many schedules.
    #[arg(long, default_value_t = 1_000)]
    schedules: u64,
    /// The first one's seed; the others follow.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Tell what happens in this one, and run no other.
    #[arg(long)]
    story: Option<u64>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let (text, wrong) = match options.story {
        Some(seed) => {
            let world = run::told(seed);
            let story = world
                .trace
                .iter()
                .flatten()
                .fold(String::new(), |all, line| all + line + "\n");
            (story, !world.violations.is_empty())
        }
        None => {
            let report = run::many(options.seed, options.schedules, true);
            (report.text(), !report.failures.is_empty())
        }
    };
    // A reader that has gone has seen enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if wrong {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
