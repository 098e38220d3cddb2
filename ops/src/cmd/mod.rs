//! The command line: one file per subcommand.

pub mod agent;
pub mod capture;
pub mod config;
pub mod controller;
pub mod crowd;
pub mod dev;
pub mod dns;
pub mod doctor;
pub mod drain;
mod form;
pub mod index;
pub mod inject;
pub mod key;
pub mod launch;
pub mod network;
pub mod node;
pub mod origin;
pub mod paper;
pub mod peers;
pub mod purge;
pub mod release;
pub mod ring;
pub mod rollout;
pub mod secret;
pub mod status;
pub mod top;
pub mod trace;
pub mod url;
pub mod whom;
pub mod why;

use std::future::Future;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use common::config::FromSetting as _;
use common::config::{ByteSize, Span};
use common::name::Zone;
use common::shell::log::{Filter, Format, init};
use common::shell::signals::{Shutdown, ShutdownHandle};

use crate::outcome::{Exit, Failure, Outcome};
use crate::say;

/// The zone of a local cluster: under `.test`, which no resolver sends out (RFC 6761 §6.2).
pub const LOCAL_ZONE: &str = "nyud.test";

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 failed, 2 usage, 3 degraded, 4 unreachable.";

#[derive(Debug, Parser)]
#[command(
    name = "atoll",
    version,
    about = "A cooperative CDN: start one here, look at it, name things in it",
    after_help = EXIT_CODES,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a whole CDN on this machine and keep it running until Ctrl-C
    Dev(dev::DevArgs),
    /// Show the processes of a running cluster, one line each
    Status(status::StatusArgs),
    /// Ask an index: get, put, withdraw, nodes, levels, ring
    Dht(index::IndexArgs),
    /// Ask a name server why it names whom
    Dns(dns::DnsArgs),
    /// Show the ring as an index sees it, in words or as a picture
    Ring(ring::RingArgs),
    /// Show the nodes that an index knows, how far they are, and whom a proxy avoids
    Peers(peers::PeersArgs),
    /// Show what the network does at the moment: requests, sites, pages, reasons
    Top(top::TopArgs),
    /// Say whether a page is kept, where and why, and how it failed last
    Why(why::WhyArgs),
    /// Send one request and draw what every node on its way did for it
    Trace(trace::TraceArgs),
    /// Have a request enter at a given node, and show its answer
    Inject(inject::InjectArgs),
    /// Show the datagrams of indexes that fit a filter, as they go by
    Capture(capture::CaptureArgs),
    /// Say what is wrong with the daemons, and what to do about it
    Doctor(doctor::DoctorArgs),
    /// Have nobody sent to a node any more, or take that back
    Drain(drain::DrainArgs),
    /// Check, show or compare the configurations of daemons
    Config(config::ConfigArgs),
    /// Print the coralised forms of a URL
    Url(url::UrlArgs),
    /// Take pages out of all proxies before their time is over
    Purge(purge::PurgeArgs),
    /// Send a crowd through a running cluster and count what reached the origin
    Crowd(crowd::CrowdArgs),
    /// Serve the demo's web site: an origin that can be made slow or dead
    Origin(origin::OriginArgs),
    /// Make network secrets, and tokens for purges
    Secret(secret::SecretArgs),
    /// Make and show the keys that sign releases and orders to nodes
    Key(key::KeyArgs),
    /// Sign releases, and check them
    Release(release::ReleaseArgs),
    /// Run a node's daemons as its controller asks, and go on without it
    Agent(agent::AgentArgs),
    /// Keep what each node is to run, sign it, and tell the agents
    Controller(controller::ControllerArgs),
    /// Show a controller's nodes, and give them orders
    Node(node::NodeArgs),
    /// Bring a release to all nodes, a few at a time, and back if it is worse
    Rollout(rollout::RolloutArgs),
    /// Bring nodes to a network that does not speak with the one they are in, and back
    Network(network::NetworkArgs),
    /// Show what happened at a controller's nodes
    Events(node::EventsArgs),
    /// Keep this node as it is, whatever its controller says
    Hold(agent::HoldArgs),
    /// Let this node follow its controller again
    Resume(agent::ResumeArgs),
    /// Print what a shell needs to complete commands
    Completions(paper::CompletionsArgs),
    /// Write the manual pages
    Man(paper::ManArgs),
    /// Become another program that dies with its parent
    #[command(hide = true)]
    Launch(launch::LaunchArgs),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Dev(args) => on_runtime(dev::run(args)),
        Command::Status(args) => on_runtime(status::run(args)),
        Command::Dht(args) => on_runtime(index::run(args)),
        Command::Dns(args) => on_runtime(dns::run(args)),
        Command::Ring(args) => on_runtime(ring::run(args)),
        Command::Peers(args) => on_runtime(peers::run(args)),
        Command::Top(args) => on_runtime(top::run(args)),
        Command::Why(args) => on_runtime(why::run(args)),
        Command::Trace(args) => on_runtime(trace::run(args)),
        Command::Inject(args) => on_runtime(inject::run(args)),
        Command::Capture(args) => on_runtime(capture::run(args)),
        Command::Doctor(args) => on_runtime(doctor::run(args)),
        Command::Drain(args) => on_runtime(drain::run(args)),
        Command::Config(args) => config::run(&args),
        Command::Completions(args) => paper::completions(&args),
        Command::Man(args) => paper::man(&args),
        Command::Url(args) => url::run(&args),
        Command::Purge(args) => on_runtime(purge::run(args)),
        Command::Crowd(args) => on_runtime(crowd::run(args)),
        Command::Origin(args) => on_runtime(origin::run(args)),
        Command::Secret(args) => secret::run(&args),
        Command::Key(args) => key::run(&args),
        Command::Release(args) => on_runtime(release::run(args)),
        Command::Agent(args) => on_runtime(agent::run(args)),
        Command::Controller(args) => on_runtime(controller::run(args)),
        Command::Node(args) => on_runtime(node::run(args)),
        Command::Rollout(args) => on_runtime(rollout::run(args)),
        Command::Network(args) => on_runtime(network::run(args)),
        Command::Events(args) => on_runtime(node::events(args)),
        Command::Hold(args) => agent::hold(&args),
        Command::Resume(args) => agent::resume(&args),
        Command::Launch(args) => launch::run(&args),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            say::note(&format!("atoll: {failure}"));
            failure.exit.into()
        }
    }
}

/// Runs `work` on this very thread, with a runtime around it: children that a thread starts are
/// killed when it ends, and this one ends with the process.
fn on_runtime(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Failure::failed(
            format!("no runtime: {error}"),
            "free some memory or threads",
        )
    })?;
    let outcome = runtime.block_on(work);
    // Whatever a cancelled task still does in the background is of no use to anyone.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

/// Begins a program that goes on until it is told to end: its log, and the signals that end it.
fn begin(json: bool) -> Result<(ShutdownHandle, Shutdown), Failure> {
    let format = if json { Format::Json } else { Format::Human };
    let filter =
        Filter::from_text("info").map_err(|error| Failure::failed(error, "report this"))?;
    init(format, &filter);
    Shutdown::on_signals().map_err(|error| {
        let what = format!("no signal handlers: {error}");
        Failure::failed(what, "free some resources")
    })
}

/// The failure to write the new file `path`; `what` it is, with its article.
fn not_written(path: &Path, what: &str, error: &io::Error) -> Failure {
    let (path, advice) = (path.display(), "choose another file with --out");
    if error.kind() == io::ErrorKind::AlreadyExists {
        let what = format!("{path} exists already, and {what} is never overwritten");
        return Failure::failed(what, advice);
    }
    Failure::failed(format!("cannot write {path}: {error}"), advice)
}

/// Reads `200ms`, `30s` for clap.
fn span(text: &str) -> Result<Duration, String> {
    Span::from_text(text).map(|span| span.0)
}

/// Reads `41KiB`, `1GiB` for clap.
fn size(text: &str) -> Result<u64, String> {
    ByteSize::from_text(text).map(|size| size.0)
}

/// Reads a zone for clap.
fn zone(text: &str) -> Result<Zone, String> {
    Zone::parse(text).map_err(|error| error.to_string())
}

/// Ends well if `well`, else as a failure that was reported already.
const fn judged(well: bool) -> Exit {
    if well { Exit::Ok } else { Exit::Failed }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_subcommand_explains_itself() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                let told = argument.get_help().is_some();
                assert!(told, "{} --{}", command.get_name(), argument.get_id());
            }
        }
    }
}
