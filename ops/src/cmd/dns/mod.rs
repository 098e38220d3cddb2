//! `atoll dns`: asks a running name server about its choices, at its admin listener.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde_json::Value;

use crate::admin;
use crate::cluster::layout::Kind;
use crate::cluster::ready_file::ReadyFile;
use crate::outcome::{Exit, Failure, Outcome};
use crate::render::{Align, Table};
use crate::say;

const EXAMPLES: &str = "Examples:
  atoll dns explain www.example.com.nyud.test --client 198.51.100.7
  atoll dns explain example-com.nyud.test --client 2001:db8::7 --ipv6
  atoll dns explain www.nyud.test --client 127.0.0.1 --server 127.0.0.1:9153 --json";

/// Arguments of `atoll dns`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DnsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Show which proxies a client would be named, and why not the others
    Explain {
        /// A coralised name
        name: String,
        /// Whose address; its network counts, as if its resolver named it
        #[arg(long, value_name = "ADDRESS")]
        client: IpAddr,
        /// The name server's admin listener (its setting admin.listen)
        #[arg(long, value_name = "ADDRESS", conflicts_with = "ready_file")]
        server: Option<SocketAddr>,
        /// The cluster; without it the one that this user's `atoll dev` runs
        #[arg(long, value_name = "FILE")]
        ready_file: Option<PathBuf>,
        /// Ask for IPv6 addresses
        #[arg(long)]
        ipv6: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Asks.
///
/// # Errors
/// There is no name server, or it does not answer for the name.
pub async fn run(args: DnsArgs) -> Outcome {
    let Action::Explain {
        name,
        client,
        server,
        ready_file,
        ipv6,
        json,
    } = args.action;
    let server = match server {
        Some(server) => server,
        None => first_server(ready_file)?,
    };
    let kind = if ipv6 { "AAAA" } else { "A" };
    let path = format!(
        "/explain?name={}&client={client}&type={kind}",
        plain(&name)?
    );
    let page = admin::page(server, &path).await.map_err(|error| {
        let what = format!("the name server at {server} does not answer: {error}");
        Failure::unreachable(what, "is it running, and is this its admin.listen?")
    })?;
    let said: Value = serde_json::from_slice(&page.body).map_err(|_| {
        let what = format!("{server} does not explain");
        Failure::failed(
            what,
            "name the admin listener of an atoll-dns of this version",
        )
    })?;
    if let Some(error) = said["error"].as_str() {
        return Err(Failure::failed(error, "ask for a name below its zone"));
    }
    if json {
        say::result(&serde_json::to_string_pretty(&said).unwrap_or_default());
    } else {
        say::result(&text(&said));
    }
    Ok(Exit::Ok)
}

fn first_server(ready_file: Option<PathBuf>) -> Result<SocketAddr, Failure> {
    let cluster = ReadyFile::load(ready_file.as_deref())?;
    let first = cluster.of_kind(Kind::Dns).next().map(|entry| entry.admin);
    first.ok_or_else(|| {
        Failure::usage(
            "the cluster has no name server",
            "name the admin listener of one with --server",
        )
    })
}

/// A name as it can stand in a URL: host names need no escapes, and nothing else is a name here.
fn plain(name: &str) -> Result<&str, Failure> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if name.bytes().all(fits) {
        Ok(name)
    } else {
        let what = format!("\"{name}\" is not a host name");
        Err(Failure::usage(
            what,
            "give the coralised name alone, without scheme and path",
        ))
    }
}

/// For people.
fn text(said: &Value) -> String {
    let word = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let head = format!(
        "{} for {} (network {}): {}, place known by {}, TTL {} s",
        word(&said["name"]),
        word(&said["client"]),
        word(&said["prefix"]),
        word(&said["reason"]),
        word(&said["source"]),
        word(&said["ttl_s"]),
    );
    let mut table = Table::new(&[
        ("proxy", Align::Left),
        ("level", Align::Right),
        ("round trip", Align::Right),
        ("known by", Align::Left),
        ("site", Align::Left),
        ("weight", Align::Right),
        ("verdict", Align::Left),
    ]);
    for line in said["candidates"].as_array().into_iter().flatten() {
        let rtt = line["rtt_ms"].as_f64();
        table.row([
            word(&line["proxy"]),
            format!("L{}", word(&line["level"])),
            rtt.map_or_else(|| "-".to_owned(), |rtt| format!("{rtt:.1} ms")),
            word(&line["source"]),
            word(&line["site"]),
            word(&line["weight"]),
            word(&line["verdict"]).replace('_', " "),
        ]);
    }
    format!("{head}\n{}", table.to_text())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_explanation_reads_as_a_table() {
        let said = json!({
            "name": "www.nyud.test", "client": "198.51.100.7", "prefix": "198.51.100.0/24",
            "source": "hint", "reason": "hinted_l2", "ttl_s": 60, "scope": 24,
            "candidates": [
                { "proxy": "192.0.2.1", "source": "hint", "level": 2, "rtt_ms": 4.25,
                  "site": "192.0.2.0/24", "weight": 10, "verdict": "chosen" },
                { "proxy": "192.0.3.1", "source": "own", "level": 0, "rtt_ms": null,
                  "site": "192.0.3.0/24", "weight": 10, "verdict": "not_drawn" },
            ],
        });
        let text = text(&said);
        for part in [
            "network 198.51.100.0/24",
            "hinted_l2",
            "TTL 60 s",
            "192.0.2.1",
            "4.2 ms",
            "chosen",
            "not drawn",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn only_a_name_is_a_name() {
        assert_eq!(
            plain("www.example.com.nyud.test"),
            Ok("www.example.com.nyud.test")
        );
        for odd in ["http://a.test/", "a&client=b", "a b"] {
            assert!(plain(odd).is_err(), "{odd}");
        }
    }
}
