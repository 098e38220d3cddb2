//! `atoll drain`: has name servers send nobody to a node any more, and waits until nobody is there.

use std::time::Duration;

use http::Method;
use serde_json::json;

use super::span;
use super::whom::{Daemon, Whom};
use crate::admin;
use crate::cluster::layout::Kind;
use crate::outcome::{Exit, Failure, Outcome};
use crate::say;

const EXAMPLES: &str = "Examples:
  atoll drain --node node3                     and go on at once
  atoll drain --node node3 --wait 5m           until its last client has left
  atoll drain --node node3 --undo
  atoll drain --admin 192.0.2.7:8082";

/// Between two looks at who is still there.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Arguments of `atoll drain`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DrainArgs {
    #[command(flatten)]
    whom: Whom,
    /// Take it back
    #[arg(long)]
    undo: bool,
    /// Wait so long for the last client to leave
    #[arg(long, value_name = "TIME", value_parser = span, conflicts_with = "undo")]
    wait: Option<Duration>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Drains the proxies meant.
///
/// # Errors
/// No node is named, or it does not answer.
pub async fn run(args: DrainArgs) -> Outcome {
    if args.whom.node.is_none() && args.whom.admin.is_empty() {
        return Err(Failure::usage(
            "no node is named, and to drain all of them would leave none",
            "name one with --node or --admin",
        ));
    }
    let proxies = args.whom.of_kind(Kind::Proxy).await?;
    let method = if args.undo {
        Method::DELETE
    } else {
        Method::PUT
    };
    for proxy in &proxies {
        let host = proxy.admin.to_string();
        let told = admin::fetch(
            proxy.admin,
            method.clone(),
            &host,
            "/drain",
            admin::DEADLINE,
        );
        let page = told.await.map_err(|error| {
            Failure::unreachable(format!("{}: {error}", proxy.name), "is the proxy running?")
        })?;
        if !page.status.is_success() {
            let what = format!("{}: {}", proxy.name, page.text().trim());
            return Err(Failure::failed(what, "stop the daemon instead"));
        }
    }
    let left = match args.wait {
        Some(patience) => Some(wait(&proxies, patience).await),
        None => None,
    };
    let word = if args.undo { "serving" } else { "draining" };
    for proxy in &proxies {
        let name = &proxy.name;
        if args.json {
            let line = json!({ "node": name, "state": word, "clients": left });
            say::result(&line.to_string());
        } else {
            say::result(&match left {
                Some(0) => format!("{name}: {word}, and nobody is there any more"),
                Some(left) => format!("{name}: {word}, {left} requests are still under way"),
                None => format!("{name}: {word}"),
            });
        }
    }
    Ok(match left {
        Some(left) if left > 0 => Exit::Degraded,
        _ => Exit::Ok,
    })
}

/// Requests under way at the end of `patience`, or 0 as soon as there are none.
async fn wait(proxies: &[Daemon], patience: Duration) -> u64 {
    let mut left = 0;
    let rounds = patience.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..=rounds {
        left = 0;
        for proxy in proxies {
            let state = admin::page(proxy.admin, "/state").await;
            let requests = state.map(|page| page.json()["in_flight"]["requests"].as_u64());
            left += requests.ok().flatten().unwrap_or(0);
        }
        if left == 0 {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    left
}
