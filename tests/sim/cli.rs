//! The command line, and what a run does with it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use dht::engine::IndexKind;

use crate::net::{Ppm, Sins, WHOLE};

/// Runs thousands of index engines in virtual time, and says how well they did.
///
/// The same seed and options give the same run, to the byte.
#[derive(Parser, Clone, Debug)]
#[command(name = "sim", version)]
pub(crate) struct Options {
    /// What happens; `--list` shows the choices. `report` measures every figure there is a target for.
    #[arg(required_unless_present = "list")]
    pub(crate) scenario: Option<String>,
    /// List the scenarios and matrices.
    #[arg(long)]
    pub(crate) list: bool,
    /// How nodes find one another: sloppy or full.
    #[arg(long, default_value = "sloppy", value_parser = IndexKind::from_str)]
    pub(crate) index: IndexKind,
    /// Nodes; each scenario has its own default.
    #[arg(long)]
    pub(crate) nodes: Option<usize>,
    /// Decides everything that is random.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Runs so many seeds from --seed on, and says the worst and the mean of each figure.
    #[arg(long, default_value_t = 1)]
    pub(crate) seeds: u64,
    /// Independent runs at once. No run gives another figure for it.
    #[arg(long, default_value_t = 2)]
    pub(crate) threads: usize,
    /// Round-trip times: a name from `--list`, or a file.
    #[arg(long, default_value = "planetlab")]
    pub(crate) matrix: String,
    /// Virtual seconds of the main phase.
    #[arg(long)]
    pub(crate) seconds: Option<u64>,
    /// Virtual seconds between the last start and the first phase.
    #[arg(long)]
    pub(crate) settle: Option<u64>,
    /// How much is done: keys put, datagrams injected, and so on.
    #[arg(long)]
    pub(crate) ops: Option<usize>,
    /// Independent rounds, where a scenario has rounds.
    #[arg(long)]
    pub(crate) rounds: Option<usize>,
    /// Median time a node stays up, in seconds, where nodes come and go.
    #[arg(long)]
    pub(crate) session: Option<u64>,
    /// Wishes per node and minute, where they come at a rate.
    #[arg(long)]
    pub(crate) rate: Option<usize>,
    /// The index's own test of its work, every so many seconds; 0 for never again after the first.
    #[arg(long, default_value_t = 40)]
    pub(crate) self_test: u64,
    /// Levels of clusters, the world included: 1 is the world alone.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=3))]
    pub(crate) levels: u8,
    /// Microseconds a node works on a datagram; 0 is no time at all.
    #[arg(long, default_value_t = 0)]
    pub(crate) service_time: u64,
    /// Faults of the network and of the machines.
    #[command(flatten)]
    pub(crate) faults: Faults,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Fail when a target is not met, too.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Write the results and pictures of them into this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Of `report` only: small networks and short runs.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Of `report` only: only runs with this in their name.
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Option<String>,
    /// Of `report` only: the largest networks in the size their targets speak of. Takes hours.
    #[arg(long, conflicts_with = "quick")]
    pub(crate) full: bool,
    /// Of `report` only: write it to this file of the workspace, its pictures into `img` beside it.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "docs/INDEX-FIGURES.md")]
    pub(crate) write: Option<PathBuf>,
}

/// Shares in percent.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Faults {
    /// Datagrams lost.
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT", value_parser = share)]
    pub(crate) loss: f64,
    /// Extra delay of a datagram, at most, of its latency.
    #[arg(long, default_value_t = 5.0, value_name = "PERCENT", value_parser = share)]
    pub(crate) jitter: f64,
    /// Datagrams that arrive twice.
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT", value_parser = share)]
    pub(crate) duplicate: f64,
    /// Datagrams held back up to 200 ms.
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT", value_parser = share)]
    pub(crate) reorder: f64,
    /// Datagrams with a bit flipped.
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT", value_parser = share)]
    pub(crate) corrupt: f64,
    /// Ordered pairs of nodes whose datagrams never arrive.
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT", value_parser = share)]
    pub(crate) one_way: f64,
    /// Pairs of nodes that never reach each other.
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT", value_parser = share)]
    pub(crate) non_transitive: f64,
    /// Node clocks are too fast or slow by up to this.
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT", value_parser = share)]
    pub(crate) drift: f64,
    /// Nodes whose clock stands still for a minute.
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT", value_parser = share)]
    pub(crate) stopped: f64,
    /// Nodes that get no processor for two seconds about once a minute.
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT", value_parser = share)]
    pub(crate) starved: f64,
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "a number of percent".to_owned())?;
    let fits = (0.0..=100.0).contains(&share);
    fits.then_some(share).ok_or_else(|| "0 to 100".to_owned())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be 0 to 100 percent when it was read"
)]
fn ppm(percent: f64) -> Ppm {
    ((percent * f64::from(WHOLE) / 100.0).round() as Ppm).min(WHOLE)
}

impl Faults {
    /// Those of the network and of clocks.
    fn sins(&self) -> Sins {
        Sins {
            jitter: ppm(self.jitter),
            loss: ppm(self.loss),
            duplicate: ppm(self.duplicate),
            reorder: ppm(self.reorder),
            corrupt: ppm(self.corrupt),
            one_way: ppm(self.one_way),
            severed: ppm(self.non_transitive),
            drift: ppm(self.drift),
            stopped: ppm(self.stopped),
            starved: ppm(self.starved),
            ..Sins::default()
        }
    }
}

impl Options {
    /// The faults as the network takes them.
    pub(crate) fn sins(&self) -> Sins {
        let service = Duration::from_micros(self.service_time);
        Sins {
            service,
            ..self.faults.sins()
        }
    }

    /// How often the index tests its own work.
    pub(crate) const fn self_test_every(&self) -> Duration {
        match self.self_test {
            0 => Duration::from_secs(u32::MAX as u64),
            seconds => Duration::from_secs(seconds),
        }
    }
}
