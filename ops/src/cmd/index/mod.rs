//! `atoll dht`: asks an index through its local socket, as the proxy and the name server do.

pub(super) mod key;
pub(super) mod node;
mod show;

use std::net::IpAddr;
use std::time::Duration;

use common::name::Zone;
use dht::client::{ClientError, Search};
use serde_json::json;

use super::{LOCAL_ZONE, ring, span, zone};
use crate::outcome::{Exit, Failure, Outcome};
use crate::ring::text;
use crate::say;
use key::Named;
use node::{Node, failure};

const EXAMPLES: &str = "KEY is a URL, hashed as the proxy hashes it, or 40 hexadecimal digits.

Examples:
  atoll dht get http://example.com/page        who has this page?
  atoll dht put KEY 'any text' --ttl 1m        at the first node of a running `atoll dev`
  atoll dht nodes --service http --near 192.0.2.7
  atoll dht ring http://example.com/page       who keeps its pointers?
  atoll dht --node node3 levels
  atoll dht --socket /run/atoll/index.sock --json get KEY";

/// Arguments of `atoll dht`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct IndexArgs {
    #[command(flatten)]
    node: Node,
    /// The zone, for URLs that are coralised already
    #[arg(long, global = true, default_value = LOCAL_ZONE, value_parser = zone)]
    zone: Zone,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Show the values under a key
    Get {
        /// A URL or 40 hexadecimal digits
        key: String,
        /// Values that are enough
        #[arg(long, default_value_t = 4)]
        want: u8,
        /// The outermost level asked; 0 is the world
        #[arg(long, default_value_t = 0)]
        level: u8,
    },
    /// Put a value under a key, in the name of this node
    Put {
        /// A URL or 40 hexadecimal digits
        key: String,
        /// The value, at most 256 bytes of text
        value: String,
        /// How long it shall hold
        #[arg(long, default_value = "1m", value_parser = span)]
        ttl: Duration,
    },
    /// Take this node's value under a key back
    Withdraw {
        /// A URL or 40 hexadecimal digits
        key: String,
    },
    /// Show live nodes
    Nodes {
        /// The level; 0 is the world
        #[arg(long, default_value_t = 0)]
        level: u8,
        /// How many at most
        #[arg(long, default_value_t = 20)]
        count: usize,
        /// Those near the client at this address first
        #[arg(long, value_name = "ADDRESS")]
        near: Option<IpAddr>,
        /// Only those that run this service, such as http
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
    },
    /// Show the node's levels and clusters
    Levels,
    /// Show the nodes that the node knows, closest to a key first
    Ring {
        /// A URL or 40 hexadecimal digits
        key: String,
    },
}

impl From<super::url::UrlError> for Failure {
    fn from(error: super::url::UrlError) -> Self {
        Self::usage("KEY is neither a key nor a page's URL", error.to_string())
    }
}

/// Asks.
///
/// # Errors
/// There is no index, or it says no.
pub async fn run(args: IndexArgs) -> Outcome {
    let named = match &args.action {
        Action::Get { key, .. }
        | Action::Put { key, .. }
        | Action::Withdraw { key }
        | Action::Ring { key } => Some(key::parse(key, &args.zone)?),
        Action::Nodes { .. } | Action::Levels => None,
    };
    match (&args.action, named) {
        (Action::Ring { .. }, Some(named)) => around(&args, &named).await,
        (_, Some(named)) => on_key(&args, &named).await,
        (_, None) => on_nodes(&args).await,
    }
}

async fn on_key(args: &IndexArgs, named: &Named) -> Outcome {
    let (client, deadline) = (args.node.client()?, args.node.deadline());
    let said = |error: ClientError| failure(&error);
    let (word, copies) = match &args.action {
        Action::Put { value, ttl, .. } => {
            let put = client.put(named.key, value.as_bytes(), *ttl, deadline);
            ("stored at", put.await.map_err(said)?)
        }
        Action::Withdraw { .. } => {
            let told = client.withdraw(named.key, deadline).await;
            ("withdrawn from", told.map_err(said)?)
        }
        Action::Get { want, level, .. } => {
            let want = usize::from(*want);
            let found = client.get_within(named.key, want, *level, deadline).await;
            let found = found.map_err(said)?;
            say::result(&show::values(named, &found.values, args.json));
            let none = found.values.is_empty();
            return Ok(if none { Exit::Failed } else { Exit::Ok });
        }
        Action::Nodes { .. } | Action::Levels | Action::Ring { .. } => return Ok(Exit::Usage),
    };
    if args.json {
        say::result(&json!({ "key": named.key, "url": named.url, "copies": copies }).to_string());
    } else {
        let plural = if copies == 1 { "" } else { "s" };
        let of = show::named(named);
        say::result(&format!("{of}\n{word} {copies} node{plural}"));
    }
    Ok(Exit::Ok)
}

async fn on_nodes(args: &IndexArgs) -> Outcome {
    let (client, deadline) = (args.node.client()?, args.node.deadline());
    let said = |error: ClientError| failure(&error);
    if let Action::Nodes {
        level,
        count,
        near,
        service,
    } = &args.action
    {
        let search = Search {
            level: *level,
            count: *count,
            near: *near,
            service: service.as_deref(),
        };
        let nodes = client.nodes(search, deadline);
        say::result(&show::nodes(&nodes.await.map_err(said)?, args.json));
    } else {
        let levels = client.levels(deadline).await.map_err(said)?;
        let page = serde_json::to_value(&levels).unwrap_or_default();
        say::result(&show::levels(&page, args.json));
    }
    Ok(Exit::Ok)
}

async fn around(args: &IndexArgs, named: &Named) -> Outcome {
    let ring = ring::of(&args.node).await?;
    if args.json {
        let nodes: Vec<_> = ring
            .closest(named.key)
            .into_iter()
            .map(|(id, contact)| {
                let addr = contact.map_or(ring.addr, |contact| contact.addr);
                json!({
                    "id": id, "addr": addr, "self": contact.is_none(),
                    "level": contact.map(|contact| contact.level),
                    "rtt_us": contact.and_then(|contact| contact.rtt_us),
                })
            })
            .collect();
        let page = json!({ "key": named.key, "url": named.url, "nodes": nodes });
        say::result(&serde_json::to_string_pretty(&page).unwrap_or_default());
    } else {
        say::result(&text::around(&ring, named.key));
    }
    Ok(Exit::Ok)
}
