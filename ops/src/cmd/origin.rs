//! `atoll origin`: the demo's web server as a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::clock::SystemClock;
use common::shell::cli::bind_error;
use common::shell::signals::Shutdown;
use tokio::net::TcpListener;

use super::{size, span};
use crate::crowd::load::raise_descriptors;
use crate::demo::server::{self, Site};
use crate::demo::state::{Controls, State};
use crate::demo::{admin, site};
use crate::outcome::{Exit, Failure, Outcome};
use crate::say;

/// Arguments of `atoll origin`.
#[derive(Clone, Debug, clap::Args)]
pub struct OriginArgs {
    /// Where to serve the site
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.10:8087")]
    listen: SocketAddr,
    /// Where to serve the admin pages: GET /state /metrics, POST /delay?ms=200 /dead /alive
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// A directory of your own to serve instead of the demo's files
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Wait this long before each answer
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = span)]
    delay: Duration,
    /// Send each answer at this many bytes a second, such as 1MiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    rate: Option<u64>,
    /// Start dead: close every connection without an answer, until POST /alive
    #[arg(long)]
    dead: bool,
}

/// Serves until a signal.
///
/// # Errors
/// An address is taken, or the directory cannot be read or written.
pub async fn run(args: OriginArgs) -> Outcome {
    // First, so that the demo's files are removed whenever a signal comes.
    let (_handle, mut shutdown) = Shutdown::on_signals().map_err(|error| {
        Failure::failed(
            format!("no signal handlers: {error}"),
            "free some resources",
        )
    })?;
    raise_descriptors();
    let rate = args.rate.filter(|rate| *rate > 0);
    let state = Arc::new(State::new(Controls {
        delay: args.delay,
        rate,
        dead: args.dead,
    }));
    let (root, _scratch) = root(args.dir)?;
    let site = Site::new(&root, SystemClock::new(), Arc::clone(&state)).map_err(|error| {
        let what = format!("cannot serve {}: {error}", root.display());
        Failure::failed(what, "name a directory with --dir")
    })?;
    let listener = bind("--listen", args.listen).await?;
    let mut tasks = tokio::task::JoinSet::new();
    if let Some(addr) = args.admin {
        let listener = bind("--admin", addr).await?;
        tasks.spawn(admin::serve(listener, state));
    }
    tasks.spawn(server::serve(listener, Arc::new(site)));
    say::note(&format!(
        "serving {} on http://{}/",
        root.display(),
        args.listen
    ));
    shutdown.draining().await;
    Ok(Exit::Ok)
}

/// The directory served; the demo's own is scratch and goes with the process.
fn root(dir: Option<PathBuf>) -> Result<(PathBuf, Option<tempfile::TempDir>), Failure> {
    if let Some(dir) = dir {
        return Ok((dir, None));
    }
    let scratch = tempfile::Builder::new().prefix("atoll-site-").tempdir();
    let written = scratch.and_then(|scratch| site::write(scratch.path()).map(|()| scratch));
    let scratch = written.map_err(|error| {
        let what = format!("cannot write the demo's files: {error}");
        Failure::failed(what, "make room among the temporary files, or name a --dir")
    })?;
    Ok((scratch.path().to_owned(), Some(scratch)))
}

async fn bind(flag: &str, addr: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(addr).await.map_err(|error| {
        let what = bind_error(flag, addr, &error).to_string();
        Failure::failed(what, format!("give another address with {flag}"))
    })
}
