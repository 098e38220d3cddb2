//! `atoll ring`: the ring as one index sees it.

use std::path::PathBuf;

use common::ids::Key;
use common::name::Zone;

use super::index::key;
use super::index::node::{Node, failure};
use super::{LOCAL_ZONE, zone};
use crate::outcome::{Exit, Failure, Outcome};
use crate::ring::{Ring, picture, text};
use crate::say;

const EXAMPLES: &str = "Examples:
  atoll ring                                   of the first node of a running `atoll dev`
  atoll ring --node node3 --svg ring.svg       as a picture
  atoll ring --key http://example.com/ --svg ring.svg
  atoll ring --socket /run/atoll/index.sock --json";

/// Arguments of `atoll ring`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct RingArgs {
    #[command(flatten)]
    node: Node,
    /// Write a picture there instead; `-` for standard output
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Mark a key in the picture: a URL or 40 hexadecimal digits
    #[arg(long, value_name = "KEY", requires = "svg")]
    key: Option<String>,
    /// The zone, for URLs that are coralised already
    #[arg(long, default_value = LOCAL_ZONE, value_parser = zone)]
    zone: Zone,
    /// Print JSON
    #[arg(long, conflicts_with = "svg")]
    json: bool,
}

/// Shows the ring.
///
/// # Errors
/// No index answers, or the picture cannot be written.
pub async fn run(args: RingArgs) -> Outcome {
    let marked: Option<Key> = match &args.key {
        Some(text) => Some(key::parse(text, &args.zone)?.key),
        None => None,
    };
    let ring = of(&args.node).await?;
    match &args.svg {
        None if args.json => {
            say::result(&serde_json::to_string_pretty(&ring).unwrap_or_default());
        }
        None => say::result(&text::whole(&ring)),
        Some(path) if path.as_os_str() == "-" => {
            say::result(picture::svg(&ring, marked).trim_end());
        }
        Some(path) => {
            std::fs::write(path, picture::svg(&ring, marked)).map_err(|error| {
                let what = format!("cannot write {}: {error}", path.display());
                Failure::failed(what, "name another file with --svg")
            })?;
            say::result(&path.display().to_string());
        }
    }
    Ok(if ring.health == "healthy" {
        Exit::Ok
    } else {
        Exit::Degraded
    })
}

/// The ring as `node` sees it.
pub(super) async fn of(node: &Node) -> Result<Ring, Failure> {
    let (client, deadline) = (node.client()?, node.deadline());
    let page = client.state(deadline).await.map_err(|e| failure(&e))?;
    serde_json::from_value(page).map_err(|error| {
        Failure::failed(
            format!("the state page is not understood: {error}"),
            "use the `atoll` of the daemon's version",
        )
    })
}
