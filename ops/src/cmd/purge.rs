//! `atoll purge`: takes out of the whole network what a URL, a prefix, a site or a tag names.
//!
//! It asks one proxy by its admin listener; that one tells the others and hands out the receipt.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::StatusCode;
use serde_json::Value;

use crate::admin::{self, FetchError};
use crate::cluster::layout::Kind;
use crate::cluster::ready_file::ReadyFile;
use crate::outcome::{Exit, Failure, Outcome};
use crate::render::{Align, Table};
use crate::say;

/// Arguments of `atoll purge`.
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true)))]
pub struct PurgeArgs {
    /// All variants of this page, by its URL at its own site
    #[arg(group = "what", conflicts_with_all = ["prefix", "site", "tag"])]
    url: Option<String>,
    /// All pages whose URLs begin with this one
    #[arg(long, value_name = "URL", group = "what", conflicts_with_all = ["site", "tag"])]
    prefix: Option<String>,
    /// All pages of this host and of those below its name; with --tag, those that bear it
    #[arg(long, value_name = "HOST", group = "what")]
    site: Option<String>,
    /// All pages that bear this tag (Cache-Tag, Surrogate-Key)
    #[arg(long, value_name = "TAG", group = "what")]
    tag: Option<String>,
    /// Take them out for good; without it they become stale, and serve while their site is down
    #[arg(long)]
    hard: bool,
    /// Print the receipt as JSON
    #[arg(long)]
    json: bool,
    /// The admin listener of the proxy to ask; without it a proxy of a running `atoll dev`
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// The cluster; without it the one that this user's `atoll dev` runs
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

impl PurgeArgs {
    /// The order in the words that proxies understand.
    fn order(&self) -> String {
        let depth = if self.hard { "hard" } else { "soft" };
        let site = self.site.as_deref();
        match (&self.url, &self.prefix, &self.tag) {
            (Some(url), ..) => format!("{depth} url {url}"),
            (_, Some(url), _) => format!("{depth} prefix {url}"),
            (_, _, Some(tag)) => format!("{depth} tag {} {tag}", site.unwrap_or("*")),
            _ => format!("{depth} site {}", site.unwrap_or_default()),
        }
    }
}

/// Has it purged and prints the receipt.
///
/// # Errors
/// No proxy answers, or it does not understand the order.
pub async fn run(args: PurgeArgs) -> Outcome {
    let receipt = ask(&args).await?;
    if args.json {
        say::result(&serde_json::to_string_pretty(&receipt).unwrap_or_default());
    } else {
        say::result(&table(&receipt));
    }
    Ok(verdict(&receipt))
}

async fn ask(args: &PurgeArgs) -> Result<Value, Failure> {
    let proxies = match args.admin {
        Some(admin) => vec![admin],
        None => {
            let cluster = ReadyFile::load(args.ready_file.as_deref())?;
            let all = cluster.processes.into_iter();
            all.filter(|process| process.kind == Kind::Proxy)
                .map(|process| process.admin)
                .collect()
        }
    };
    let mut last = String::from("there is no proxy");
    for admin in proxies {
        match admin::order(admin, "/purge", ("atoll-purge", &args.order())).await {
            Ok(page) => return receipt(&page),
            Err(FetchError::Request(error)) => {
                let advice = "a URL, host or tag has no spaces or letters beyond ASCII";
                return Err(Failure::usage(error.to_string(), advice));
            }
            // Only who was not reached cannot have done it.
            Err(FetchError::Connect(error)) => last = format!("{admin}: {error}"),
            Err(error) => {
                let advice = "it may have been carried out: ask again, which does no harm";
                return Err(Failure::failed(format!("{admin}: {error}"), advice));
            }
        }
    }
    let advice = "name the admin listener of a running proxy with --admin";
    Err(Failure::unreachable(last, advice))
}

fn receipt(page: &admin::Page) -> Result<Value, Failure> {
    let receipt: Value = serde_json::from_slice(&page.body).unwrap_or_default();
    match (page.status, receipt["refused"].as_str()) {
        (StatusCode::OK, _) => Ok(receipt),
        (StatusCode::BAD_REQUEST, Some(why)) => Err(Failure::usage(
            format!("the order is refused: {why}"),
            "give a whole URL with http:// or https://, a host, or a tag without commas",
        )),
        (status, _) => Err(Failure::failed(
            format!("the answer is {status}"),
            "see that the address is a proxy's admin listener, and of this version",
        )),
    }
}

/// The exit code for a receipt.
fn verdict(receipt: &Value) -> Exit {
    if receipt["complete"] == true {
        Exit::Ok
    } else {
        Exit::Degraded
    }
}

/// The receipt for people.
fn table(receipt: &Value) -> String {
    let mut table = Table::new(&[
        ("node", Align::Left),
        ("peer", Align::Left),
        ("stale", Align::Right),
        ("gone", Align::Right),
        ("confirmed", Align::Left),
    ]);
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    for one in receipt["confirmed"].as_array().into_iter().flatten() {
        let count = |name: &str| one[name].to_string();
        let (node, peer) = (text(&one["node"]), text(&one["peer"]));
        table.row([node, peer, count("stale"), count("gone"), "yes".to_owned()]);
    }
    for one in receipt["unconfirmed"].as_array().into_iter().flatten() {
        let none = || "-".to_owned();
        let why = format!("no: {}", text(&one["reason"]));
        table.row([none(), text(&one["peer"]), none(), none(), why]);
    }
    let mut out = table.to_text();
    match receipt["reach"].as_str() {
        Some("no_index") => out.push_str("\nthe index did not answer: others were not all told"),
        Some("bounded") => out.push_str("\nthere are more proxies than one order is sent to"),
        _ => {}
    }
    out
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        purge: PurgeArgs,
    }

    #[test]
    fn the_arguments_become_one_order() {
        for (line, want) in [
            (
                &["http://a.example/"][..],
                Some("soft url http://a.example/"),
            ),
            (
                &["--hard", "--prefix", "http://a.example/b"],
                Some("hard prefix http://a.example/b"),
            ),
            (&["--site", "a.example"], Some("soft site a.example")),
            (&["--tag", "news"], Some("soft tag * news")),
            (
                &["--tag", "news", "--site", "a.example", "--hard"],
                Some("hard tag a.example news"),
            ),
            (&[], None),
            (&["http://a.example/", "--site", "a.example"], None),
            (&["--prefix", "http://a.example/", "--tag", "x"], None),
        ] {
            let read = Line::try_parse_from([&["purge"], line].concat());
            assert_eq!(
                read.ok().map(|line| line.purge.order()).as_deref(),
                want,
                "{line:?}"
            );
        }
    }

    #[test]
    fn who_did_not_confirm_makes_it_degraded_and_is_named() {
        let receipt = json!({
            "complete": false, "reach": "all",
            "confirmed": [{ "node": "a", "peer": null, "stale": 1, "gone": 0 }],
            "unconfirmed": [{ "peer": "192.0.2.1:80", "reason": "late" }],
        });
        assert_eq!(verdict(&receipt), Exit::Degraded);
        let text = table(&receipt);
        assert!(
            text.contains("192.0.2.1:80") && text.contains("no: late"),
            "{text}"
        );
        assert_eq!(verdict(&json!({ "complete": true })), Exit::Ok);
    }
}
