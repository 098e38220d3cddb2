//! `atoll top`: what the network does at the moment, again and again.

use std::io::{IsTerminal as _, stdout};
use std::time::Duration;

use common::clock::{Clock as _, SystemClock};
use serde_json::Value;
use tokio::task::JoinSet;

use super::span;
use super::whom::{Daemon, Whom};
use crate::admin;
use crate::cluster::layout::Kind;
use crate::figures::Figures;
use crate::outcome::{Exit, Failure, Outcome};
use crate::say;
use crate::top::{Frame, Sample, text};

/// Arguments of `atoll top`.
#[derive(Clone, Debug, clap::Args)]
pub struct TopArgs {
    #[command(flatten)]
    whom: Whom,
    /// Between two looks
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = span)]
    every: Duration,
    /// Look twice, print once and end
    #[arg(long)]
    once: bool,
    /// Print JSON, one line for each look
    #[arg(long)]
    json: bool,
}

/// Shows it until it is interrupted.
///
/// # Errors
/// No proxy is known, or none answers any more.
pub async fn run(args: TopArgs) -> Outcome {
    let proxies = args.whom.of_kind(Kind::Proxy).await?;
    let clock = SystemClock::new();
    let mut before = (clock.moment(), sample(&proxies).await);
    loop {
        tokio::time::sleep(args.every).await;
        let after = (clock.moment(), sample(&proxies).await);
        if after.1.iter().all(|one| one.figures.is_none()) {
            return Err(Failure::unreachable(
                "no proxy answers",
                "is the cluster running?",
            ));
        }
        let frame = Frame::between(&before.1, &after.1, after.0.since(before.0));
        show(&frame, &args);
        if args.once {
            let well = frame.nodes.iter().all(|row| row.here);
            return Ok(if well { Exit::Ok } else { Exit::Degraded });
        }
        before = after;
    }
}

fn show(frame: &Frame, args: &TopArgs) {
    if args.json {
        say::result(&serde_json::to_string(frame).unwrap_or_default());
    } else if !args.once && stdout().is_terminal() {
        say::again(None, &text(frame));
    } else {
        say::result(&text(frame));
    }
}

async fn sample(proxies: &[Daemon]) -> Vec<Sample> {
    let mut looks = JoinSet::new();
    for (at, proxy) in proxies.iter().enumerate() {
        let (name, addr) = (proxy.name.clone(), proxy.admin);
        looks.spawn(async move {
            let metrics = admin::page(addr, "/metrics").await.ok();
            let state = admin::page(addr, "/state").await.ok();
            let sample = Sample {
                name,
                figures: metrics.map(|page| Figures::parse(&page.text())),
                state: state.map_or(Value::Null, |page| page.json()),
            };
            (at, sample)
        });
    }
    let mut found = looks.join_all().await;
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, sample)| sample).collect()
}
