//! `atoll capture`: the datagrams of indexes that fit a filter, as readable text, while they go by.

use std::net::SocketAddr;
use std::time::Duration;

use common::name::Zone;
use serde_json::{Value, json};

use super::index::key;
use super::whom::{Daemon, Whom};
use super::{LOCAL_ZONE, span, zone};
use crate::admin;
use crate::cluster::layout::Kind;
use crate::outcome::{Exit, Failure, Outcome};
use crate::say;

const EXAMPLES: &str = "Examples:
  atoll capture --kind put --for 30s           at every index of a running `atoll dev`
  atoll capture --key http://example.com/page --node node3
  atoll capture --peer 192.0.2.7 --for 5m --json

Bounds: an hour, 4,096 lines and 1 MiB that wait to be fetched at each node, one capture at a time on each.
A line: seconds since the beginning, <- received or -> sent, the peer, bytes, transaction, the message.";

/// Between two fetches of what was captured.
const FETCH_EVERY: Duration = Duration::from_millis(250);

/// Arguments of `atoll capture`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct CaptureArgs {
    /// About this key: a URL or 40 hexadecimal digits
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// From or to this peer: an address, with a port or for all its ports
    #[arg(long, value_name = "ADDR")]
    peer: Option<String>,
    /// Of this kind, with their replies: ping, find, get, put, claim, withdraw, offer, relay, hand
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// For so long; Ctrl-C ends it sooner
    #[arg(long = "for", value_name = "TIME", default_value = "1m", value_parser = span)]
    time: Duration,
    /// End after so many lines
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    lines: u64,
    /// The zone, for URLs that are coralised already
    #[arg(long, default_value = LOCAL_ZONE, value_parser = zone)]
    zone: Zone,
    #[command(flatten)]
    whom: Whom,
    /// Print JSON, one document for each line
    #[arg(long)]
    json: bool,
}

impl CaptureArgs {
    /// The order in the words that indexes understand.
    fn order(&self) -> Result<String, Failure> {
        let mut words = vec![format!("for={}", self.time.as_secs().max(1))];
        if let Some(text) = &self.key {
            words.push(format!("key={}", key::parse(text, &self.zone)?.key));
        }
        if let Some(peer) = &self.peer {
            words.push(format!("peer={peer}"));
        }
        if let Some(kind) = &self.kind {
            words.push(format!("kind={kind}"));
        }
        Ok(words.join(" "))
    }
}

/// A capture under way at one index.
struct Under {
    name: String,
    admin: SocketAddr,
    id: u64,
    next: u64,
    /// Why it is over, if it is.
    end: Option<String>,
    lost: u64,
}

/// Captures.
///
/// # Errors
/// No index answers, or the filter is refused.
pub async fn run(args: CaptureArgs) -> Outcome {
    let order = args.order()?;
    let indexes = args.whom.of_kind(Kind::Dht).await?;
    let mut under = Vec::new();
    for index in &indexes {
        under.push(begin(index, &order).await?);
    }
    let mut told = 0;
    let work = async {
        while told < args.lines && under.iter().any(|one| one.end.is_none()) {
            for one in under.iter_mut().filter(|one| one.end.is_none()) {
                told += fetch(one, &args, args.lines - told).await;
            }
            tokio::time::sleep(FETCH_EVERY).await;
        }
    };
    tokio::select! {
        () = work => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    for one in &under {
        drop(admin::order(one.admin, "/capture", ("atoll-capture", "stop")).await);
    }
    let lost: u64 = under.iter().map(|one| one.lost).sum();
    if !args.json {
        let nodes = under.len();
        let mut line = format!("{told} lines of {nodes} indexes");
        if lost > 0 {
            line.push_str(&format!(
                ", {lost} lost: more went by than waits; name a narrower filter"
            ));
        }
        say::note(&line);
    }
    let broken = under.iter().any(|one| one.end.as_deref() == Some("gone"));
    Ok(if broken || lost > 0 {
        Exit::Degraded
    } else {
        Exit::Ok
    })
}

async fn begin(index: &Daemon, order: &str) -> Result<Under, Failure> {
    let answer = admin::order(index.admin, "/capture", ("atoll-capture", order)).await;
    let page = answer.map_err(|error| {
        let what = format!("{}: {error}", index.name);
        Failure::unreachable(what, "is the index running?")
    })?;
    let answer = page.json();
    if let Some(why) = answer["refused"].as_str() {
        return Err(Failure::usage(
            format!("the filter is refused: {why}"),
            "see --help",
        ));
    }
    let Some(id) = answer["id"].as_u64() else {
        let what = format!("{} cannot capture", index.name);
        return Err(Failure::failed(what, "use an index of this version"));
    };
    Ok(Under {
        name: index.name.clone(),
        admin: index.admin,
        id,
        next: 0,
        end: None,
        lost: 0,
    })
}

/// Prints what came since the last time, at most `most` lines; how many there were.
async fn fetch(under: &mut Under, args: &CaptureArgs, most: u64) -> u64 {
    let path = format!("/capture?id={}&from={}", under.id, under.next);
    let page: Value = match admin::page(under.admin, &path).await {
        Ok(page) => page.json(),
        Err(error) => {
            say::note(&format!("{}: {error}", under.name));
            under.end = Some("gone".to_owned());
            return 0;
        }
    };
    under.next = page["next"].as_u64().unwrap_or(under.next);
    under.lost += page["lost"].as_u64().unwrap_or(0);
    let lines = page["lines"].as_array().cloned().unwrap_or_default();
    let mut told = 0;
    for line in lines.iter().filter_map(Value::as_str) {
        if told == most {
            break;
        }
        told += 1;
        if args.json {
            say::result(&json!({ "node": under.name, "line": line }).to_string());
        } else {
            say::result(&format!("{}  {line}", under.name));
        }
    }
    // What a page has no room for comes with the next one, also after the end.
    if lines.is_empty() {
        under.end = page["end"].as_str().map(str::to_owned);
    }
    told
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        capture: CaptureArgs,
    }

    #[test]
    fn the_arguments_become_one_order() {
        let line = [
            "capture",
            "--kind",
            "put",
            "--peer",
            "192.0.2.1",
            "--for",
            "5m",
        ];
        let order = Line::parse_from(line).capture.order().unwrap();
        assert_eq!(order, "for=300 peer=192.0.2.1 kind=put");
        let line = ["capture", "--key", "http://www.example.com/"];
        let order = Line::parse_from(line).capture.order().unwrap();
        assert_eq!(order.split("key=").nth(1).map(str::len), Some(40));
    }
}
