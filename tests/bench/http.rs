//! The proxy beside other caches, each on one core, the load on another, in turns: what each kind of
//! [work](super::http_works) costs in CPU, and how long late clients of a slow body wait for what is
//! already here.
//!
//! CPU per request is the figure to compare: it hardly depends on what else the machine does. The
//! tables are sorted as the servers are named, with the median and the least of the rounds.

use std::time::Duration;

use harness::exec;
use harness::origin::Origin;
use harness::place::{Place, Port, host};
use harness::skip;

use super::cpu::pin;
use super::{http_peer, http_works, late, rivals, say, span};

/// Cores of the servers and of the load.
const SERVER: usize = 0;
const LOAD: usize = 1;

/// Arguments of `bench http`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct HttpArgs {
    /// How long each measurement lasts
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = span)]
    pub(crate) time: Duration,
    /// How often each server has its turn
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Connections of the load
    #[arg(long, value_name = "NUMBER", default_value_t = 32)]
    pub(crate) connections: usize,
    /// Only the work whose name holds this
    #[arg(long, value_name = "WORD")]
    pub(crate) only: Option<String>,
    /// How long late clients of a slow body wait, and nothing else
    #[arg(long)]
    late: bool,
}

impl HttpArgs {
    /// Whether the work of this name is to be measured.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| name.contains(only))
    }
}

/// Measures and prints the tables.
pub(crate) fn run(args: &HttpArgs) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(measure(args));
}

async fn measure(args: &HttpArgs) {
    let place = Place::alone().await;
    // What is started inherits the core, and sizes itself for it.
    pin(None, LOAD);
    let (late, bare) = (
        Origin::start(&place).await,
        place.at(host::ORIGIN + 51, Port::Web),
    );
    let _bare = rivals::bare(&place, "origin", bare);
    pin(None, SERVER);
    let rivals = rivals::start(&place, if args.late { late.addr } else { bare }).await;
    pin(None, LOAD);
    for rival in &rivals {
        say(&format!("{:<30} {}\n", rival.name, rival.version));
    }
    if args.late {
        late::measure(&rivals, &late).await;
        return;
    }
    if exec::find("wrk").is_some() {
        http_works::measure(args, &place, &rivals).await;
    } else {
        skip::loudly("no wrk to measure with");
    }
    // The network takes the place of the proxy.
    drop(rivals);
    if args.wants("peer hit") {
        http_peer::measure(&place, bare, (SERVER, LOAD)).await;
    }
}

/// Sorts, and gives the one in the middle.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
