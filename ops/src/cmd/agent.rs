//! `atoll agent`: runs a node's daemons as its controller asks. `atoll hold` and `atoll resume`: its operator
//! has the last word.

use std::path::PathBuf;
use std::time::Duration;

use super::{begin, key, span};
use crate::agent::engine::Config;
use crate::agent::shell::call::Controller;
use crate::agent::shell::home::Home;
use crate::agent::shell::look::TestPage;
use crate::agent::shell::{Options, run as run_agent};
use crate::engine::document::key::PublicKey;
use crate::engine::document::report::INJECTED_MAX;
use crate::engine::document::words::is_node_name;
use crate::outcome::{Exit, Failure, Outcome};
use crate::say;

/// Where a node's agent keeps its state, unless told otherwise.
pub const STATE: &str = "/var/lib/atoll";

/// Arguments of `atoll agent`.
#[derive(Clone, Debug, clap::Args)]
pub struct AgentArgs {
    /// The agent's directory: its key, its state, the releases
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state: PathBuf,
    /// The controller, as http://HOST:PORT; without it the node goes on with what it has
    #[arg(long, value_name = "URL", value_parser = Controller::parse)]
    controller: Option<Controller>,
    /// The controller's public key; several while one takes the place of another
    #[arg(long, value_name = "KEY", required = true, value_parser = PublicKey::parse)]
    trust: Vec<PublicKey>,
    /// Who may sign releases, if others than the controller
    #[arg(long, value_name = "KEY", value_parser = PublicKey::parse)]
    trust_release: Vec<PublicKey>,
    /// What people call this node; its host name if not given
    #[arg(long, value_parser = node_name)]
    name: Option<String>,
    /// End the daemons when the agent ends; otherwise they go on, and the next agent finds them
    #[arg(long)]
    together: bool,
    /// A new order is on probation for so long; a daemon that does not stay up takes the node back
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = span)]
    probation: Duration,
    /// Ended by itself this often within --crash-window, a daemon does not stay up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = crashes)]
    crashes: usize,
    /// See --crashes
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = span)]
    crash_window: Duration,
    /// For a daemon to finish what was begun; then it is killed
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = span)]
    grace: Duration,
    /// For a new version of a daemon to be ready beside the one that serves; then it goes, and the other one
    /// stays
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = span)]
    ready: Duration,
    /// For a daemon whose place a new version took to finish what it began; then it is killed
    #[arg(long, value_name = "TIME", default_value = "150s", value_parser = span)]
    drain: Duration,
    /// How long the controller may keep a call waiting for news
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = span)]
    wait: Duration,
    /// Between looks at the pages of daemons: whether they are ready, and what they count
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = span)]
    look: Duration,
    /// A page to ask the node's own proxy for at each look, as http://HOST/PATH; rollouts compare what
    /// comes with other nodes', so it should never change. Up to eight
    #[arg(long, value_name = "URL", value_parser = TestPage::parse)]
    inject: Vec<TestPage>,
    /// Write the log as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `atoll hold`.
#[derive(Clone, Debug, clap::Args)]
pub struct HoldArgs {
    /// Why, for whoever looks at the node next
    #[arg(default_value = "held by its operator")]
    why: String,
    /// The agent's directory
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state: PathBuf,
}

/// Arguments of `atoll resume`.
#[derive(Clone, Debug, clap::Args)]
pub struct ResumeArgs {
    /// The agent's directory
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state: PathBuf,
}

/// What a node may be called.
fn node_name(text: &str) -> Result<String, String> {
    if is_node_name(text) {
        return Ok(text.to_owned());
    }
    Err("use 1 to 64 letters, digits, hyphens, dots and underscores".to_owned())
}

/// Most crashes that may make a loop; no more are remembered.
fn crashes(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (2..=32).contains(number));
    number.ok_or_else(|| "choose 2 to 32".to_owned())
}

/// Runs the agent.
///
/// # Errors
/// Its directory cannot be used, or is another agent's.
pub async fn run(args: AgentArgs) -> Outcome {
    let (_handle, shutdown) = begin(args.json)?;
    let home = Home::at(&args.state);
    home.make().map_err(|error| {
        let what = format!("cannot use {}: {error}", args.state.display());
        Failure::failed(what, "choose another --state")
    })?;
    let path = home.key();
    let key = if path.exists() {
        key::load(&path)?
    } else {
        key::create(&path)?
    };
    let launcher = std::env::current_exe().map_err(|error| {
        Failure::failed(
            format!("this program cannot find itself: {error}"),
            "start it by its path",
        )
    })?;
    tracing::info!(node = %key.public(), "the agent runs");
    let config = Config {
        node: key.public(),
        name: args.name.unwrap_or_else(host_name),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        trust: args.trust.clone(),
        wait: args.wait,
        probation: args.probation,
        crashes_max: args.crashes,
        crash_window: args.crash_window,
        grace: args.grace,
        ready: args.ready,
        drain: args.drain,
    };
    let trust_releases = if args.trust_release.is_empty() {
        args.trust
    } else {
        args.trust_release
    };
    let options = Options {
        home,
        key,
        controller: args.controller,
        trust_releases,
        together: args.together,
        launcher,
        look: args.look,
        inject: args.inject.into_iter().take(INJECTED_MAX).collect(),
        config,
    };
    run_agent(options, shutdown).await
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let name = name.unwrap_or_default();
    // A machine may be called anything; a node may not.
    node_name(name.trim()).unwrap_or_else(|_| "node".to_owned())
}

/// Holds a node: its agent follows no new order, and looks after what runs.
///
/// # Errors
/// The agent's directory cannot be written.
pub fn hold(args: &HoldArgs) -> Outcome {
    Home::at(&args.state)
        .hold(&args.why)
        .map_err(|error| unwritable(&args.state, &error))?;
    say::note("held until `atoll resume`; what runs goes on and is looked after");
    Ok(Exit::Ok)
}

/// Lifts a hold.
///
/// # Errors
/// The agent's directory cannot be written.
pub fn resume(args: &ResumeArgs) -> Outcome {
    let lifted = Home::at(&args.state).resume();
    if lifted.map_err(|error| unwritable(&args.state, &error))? {
        say::note("the node follows its controller again");
    } else {
        say::note("the node was not held");
    }
    Ok(Exit::Ok)
}

fn unwritable(state: &std::path::Path, error: &std::io::Error) -> Failure {
    let what = format!("cannot change the hold in {}: {error}", state.display());
    Failure::failed(what, "name the agent's directory with --state, as its user")
}
