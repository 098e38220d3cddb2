//! `atoll network`: nodes to a network that does not speak with the one they are in, step by step.
//!
//! What a step changes is decided in [`crate::engine::network`]; here the controller is asked and told.

mod go;
mod show;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::span;
use crate::controller::client::ControllerArgs;
use crate::engine::document::intent::SettingsMap;
use crate::engine::document::release::Manifest;
use crate::engine::document::words::Version;
use crate::engine::network::change::Leave;
use crate::engine::network::plan::Aim;
use crate::engine::network::seen::NodeSeen;
use crate::engine::network::successor::Successor;
use crate::engine::network::{Releases, Step};
use crate::outcome::{Failure, Outcome};

/// Most nodes changed at a time.
const AT_ONCE_MAX: u16 = 1_000;

/// Arguments of `atoll network`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "A move: shadow, dual, drain, retire, finish. Each is for all nodes before the next one, and \
    `back` takes it back. Exit codes: 0 done, 1 a node did not come there or cannot go, 3 done but for nodes that are \
    silent, held or alone, 4 the controller does not answer."
)]
pub struct NetworkArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Show how far each node is, what it waits for, and who is left behind
    Status(StatusArgs),
    /// Start an index of the new network beside the old one; nobody asks it yet
    Shadow(ShadowArgs),
    /// Have proxies and name servers of the new release use both networks
    Dual(StepArgs),
    /// Have them ask the new network alone; the old index leaves when nobody asks it
    Drain(DrainArgs),
    /// End the old index, and what is believed of its network
    Retire(StepArgs),
    /// Forget what the old index was: there is no way back from here
    Finish(StepArgs),
    /// Go one step back
    Back(BackArgs),
}

/// Which nodes.
#[derive(Clone, Debug, clap::Args)]
struct Whom {
    /// The nodes, by name or key
    #[arg(value_name = "NODE", required_unless_present_any = ["cluster", "all"])]
    nodes: Vec<String>,
    /// All nodes of this cluster; may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "nodes")]
    cluster: Vec<String>,
    /// All nodes of the controller
    #[arg(long, conflicts_with_all = ["nodes", "cluster"])]
    all: bool,
}

/// How to go about it.
#[derive(Clone, Debug, clap::Args)]
struct How {
    #[command(flatten)]
    whom: Whom,
    /// Nodes that are changed at a time [default: a tenth, at least one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(AT_ONCE_MAX)))]
    at_once: Option<u16>,
    /// For a node to run what it was ordered and be ready; then the command stops
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = span)]
    deadline: Duration,
    /// Silent for so long, a node is left out
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = span)]
    silence: Duration,
    /// For what speaks against going on to pass, before the command says no
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = span)]
    patience: Duration,
    /// Go on also where a node is not ready, leaves stragglers behind, or is still asked in the old network
    #[arg(long)]
    anyway: bool,
    /// Show what would be changed; nothing is ordered
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    controller: ControllerArgs,
}

#[derive(Clone, Debug, clap::Args)]
struct StepArgs {
    #[command(flatten)]
    how: How,
}

#[derive(Clone, Debug, clap::Args)]
struct ShadowArgs {
    /// The release of the new network, published before; without it the one that runs
    #[arg(long, value_name = "VERSION")]
    release: Option<Version>,
    /// The file with the new network's secret, as nodes have it; without it the old one
    #[arg(long, value_name = "FILE")]
    secret_file: Option<String>,
    /// A node to join through; may be given several times. Without it those of the old network, at their new ports
    #[arg(long, value_name = "ADDR")]
    seed: Vec<SocketAddr>,
    /// How many ports further on the new index listens [default: 100, and -100 the next time]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    port_offset: Option<i32>,
    /// A setting of the new index that is not as in the old one
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// An older release than runs is meant
    #[arg(long)]
    downgrade: bool,
    #[command(flatten)]
    how: How,
}

#[derive(Clone, Debug, clap::Args)]
struct DrainArgs {
    /// How long an old index has to be asked next to nothing before it leaves [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = as_setting)]
    retire_quiet: Option<String>,
    /// When an old index leaves at the latest [default: 7d]
    #[arg(long, value_name = "TIME", value_parser = as_setting)]
    retire_deadline: Option<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Clone, Debug, clap::Args)]
struct BackArgs {
    /// Back to this step; without it from the furthest step that one of the nodes is at, by one
    #[arg(long, value_name = "STEP", value_parser = step)]
    to: Option<Step>,
    #[command(flatten)]
    how: How,
}

#[derive(Clone, Debug, clap::Args)]
struct StatusArgs {
    /// Only these nodes, by name or key
    #[arg(value_name = "NODE")]
    nodes: Vec<String>,
    /// Only nodes of this cluster; may be given several times
    #[arg(long, value_name = "NAME")]
    cluster: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    controller: ControllerArgs,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=');
    let pair = pair.map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "write it as full.replicas=3".to_owned())
}

/// A time that stays as it was written.
fn as_setting(text: &str) -> Result<String, String> {
    span(text).map(|_| text.to_owned())
}

fn step(text: &str) -> Result<Step, String> {
    let found = Step::ALL.into_iter().find(|step| step.as_str() == text);
    found.ok_or_else(|| "the steps are single, shadow, dual, drained and retired".to_owned())
}

/// Asks the controller, or brings nodes to a step.
///
/// # Errors
/// The controller does not answer, a node cannot go there, or did not come there.
pub async fn run(args: NetworkArgs) -> Outcome {
    let none = Leave::default();
    match args.action {
        Action::Status(args) => show::status(&args).await,
        Action::Shadow(args) => {
            let successor = args.successor();
            let to = go::Target {
                aim: Aim::Forth(Step::Shadow),
                successor: Some(&successor),
                leave: &none,
            };
            go::run(&args.how, to).await
        }
        Action::Dual(args) => {
            go::run(&args.how, go::Target::plain(Aim::Forth(Step::Dual), &none)).await
        }
        Action::Drain(args) => {
            let leave = Leave {
                quiet: args.retire_quiet,
                deadline: args.retire_deadline,
            };
            go::run(
                &args.how,
                go::Target::plain(Aim::Forth(Step::Drained), &leave),
            )
            .await
        }
        Action::Retire(args) => {
            go::run(
                &args.how,
                go::Target::plain(Aim::Forth(Step::Retired), &none),
            )
            .await
        }
        Action::Finish(args) => go::run(&args.how, go::Target::plain(Aim::Finish, &none)).await,
        Action::Back(args) => {
            go::run(&args.how, go::Target::plain(Aim::Back(args.to), &none)).await
        }
    }
}

impl ShadowArgs {
    fn successor(&self) -> Successor {
        Successor {
            release: self.release.clone(),
            secret_file: self.secret_file.clone(),
            seeds: self.seed.clone(),
            port_offset: self.port_offset,
            settings: self.set.iter().cloned().collect::<SettingsMap>(),
            downgrade: self.downgrade,
        }
    }
}

/// What a controller has.
struct Fleet {
    nodes: Vec<NodeSeen>,
    releases: Releases,
}

/// What of an answer is looked at.
fn read<T: serde::de::DeserializeOwned>(value: Value, what: &str) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| {
        let what = format!("the controller's {what} are none that this program knows: {error}");
        Failure::failed(what, "use an `atoll` as new as the controller")
    })
}

impl Fleet {
    async fn read(controller: &ControllerArgs) -> Result<Self, Failure> {
        let nodes = controller.get("/v1/nodes").await?["nodes"].take();
        let found = controller.get("/v1/releases").await?;
        let mut releases = Releases::new();
        for release in found.as_array().into_iter().flatten() {
            let manifest: Manifest = read(release["manifest"].clone(), "releases")?;
            releases.insert(manifest.version.clone(), manifest);
        }
        Ok(Self {
            nodes: read(nodes, "nodes")?,
            releases,
        })
    }

    /// The nodes that are meant, by name.
    fn choose(&mut self, words: &[String], clusters: &[String]) -> Result<Vec<NodeSeen>, Failure> {
        let mut all = std::mem::take(&mut self.nodes);
        let is = |node: &NodeSeen, word: &String| {
            node.name == *word || (word.len() >= 4 && node.key.starts_with(word))
        };
        for word in words {
            match all.iter().filter(|node| is(node, word)).count() {
                1 => {}
                0 => {
                    return Err(Failure::usage(
                        format!("there is no node {word}"),
                        "see `atoll node list`",
                    ));
                }
                _ => {
                    return Err(Failure::usage(
                        format!("{word} may be several nodes"),
                        "write more of the key",
                    ));
                }
            }
        }
        for cluster in clusters {
            if !all.iter().any(|node| node.cluster == *cluster) {
                let what = format!("no node is in cluster {cluster}");
                return Err(Failure::usage(what, "see `atoll node list`"));
            }
        }
        all.retain(|node| {
            let named = words.is_empty() || words.iter().any(|word| is(node, word));
            named && (clusters.is_empty() || clusters.contains(&node.cluster))
        });
        all.sort_by(|one, two| one.name.cmp(&two.name));
        if all.is_empty() {
            return Err(Failure::failed(
                "the controller has no nodes",
                "enrol them first with `atoll node enrol`",
            ));
        }
        Ok(all)
    }
}
