//! `atoll why URL`: whether a page is kept, where and why, and how it failed last. Nothing is fetched.

use common::name::Zone;
use dht::client::{Client, Value as Pointer};
use serde_json::{Value, json};

use super::index::key;
use super::whom::{Daemon, Whom};
use super::{LOCAL_ZONE, zone};
use crate::admin;
use crate::cluster::layout::Kind;
use crate::outcome::{Exit, Failure, Outcome};
use crate::render::{Align, Table};
use crate::say;

const EXAMPLES: &str =
    "Exit codes: 0 somebody has a fresh copy or may have one, 1 it is not kept, \
    3 its origin fails, 4 nobody to ask.

Examples:
  atoll why http://example.com/page            at every proxy of a running `atoll dev`
  atoll why http://example.com/page --node node3
  atoll why http://example.com/page --admin 192.0.2.7:8082 --json";

/// Pointers asked for: what one key holds.
const POINTERS: usize = 16;

/// Arguments of `atoll why`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct WhyArgs {
    /// The page, by its own URL or a coralised one
    url: String,
    /// The zone, for URLs that are coralised already
    #[arg(long, default_value = LOCAL_ZONE, value_parser = zone)]
    zone: Zone,
    #[command(flatten)]
    whom: Whom,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Asks and prints.
///
/// # Errors
/// Nobody answers, or it is no URL.
pub async fn run(args: WhyArgs) -> Outcome {
    let named = key::parse(&args.url, &args.zone)?;
    let Some(url) = &named.url else {
        return Err(Failure::usage(
            "a key does not tell its URL",
            "give the URL",
        ));
    };
    let (daemons, _) = args.whom.find().await?;
    let mut pages = Vec::new();
    let mut last = "none of these daemons is a proxy".to_owned();
    for proxy in daemons.iter().filter(|one| one.kind == Kind::Proxy) {
        let path = format!("/why?url={}", encoded(url));
        match admin::page(proxy.admin, &path).await {
            Ok(page) if page.json()["verdict"].is_string() => pages.push(page.json()),
            Ok(page) => last = page.text().trim().to_owned(),
            Err(error) => last = format!("{}: {error}", proxy.name),
        }
    }
    if pages.is_empty() {
        return Err(Failure::unreachable(
            last,
            "name a proxy's admin listener with --admin",
        ));
    }
    let holders = holders(&daemons, named.key).await;
    if args.json {
        let all = json!({ "url": url, "index_key": named.key, "nodes": pages, "holders": holders });
        say::result(&serde_json::to_string_pretty(&all).unwrap_or_default());
    } else {
        say::result(&text(url, &pages, holders.as_deref()));
    }
    Ok(verdict(&pages))
}

/// Who holds the page by the index's word; `None` if no index could be asked.
async fn holders(daemons: &[Daemon], key: common::ids::Key) -> Option<Vec<String>> {
    let mut indexes = daemons.iter().filter(|one| one.kind == Kind::Dht);
    let socket = indexes.find_map(|one| one.socket.clone())?;
    let client = Client::new(socket);
    let found = client.get(key, POINTERS, admin::DEADLINE).await.ok()?;
    let told = |value: &Pointer| {
        let text = value.bytes.escape_ascii().to_string();
        // The digest is of no use to people.
        let words: Vec<_> = text.split(' ').skip(1).take(3).collect();
        format!("{}, for {} s more", words.join(" "), value.ttl.as_secs())
    };
    let mut holders: Vec<_> = found.values.iter().map(told).collect();
    holders.sort();
    holders.dedup();
    Some(holders)
}

/// The exit code: the best that any node has.
fn verdict(pages: &[Value]) -> Exit {
    let any = |word: &str| pages.iter().any(|page| page["verdict"] == word);
    if any("fresh") || any("stale") || any("fetching") {
        Exit::Ok
    } else if any("origin_fails") {
        Exit::Degraded
    } else if any("not_kept") || pages.iter().any(|page| page["blocked"] == true) {
        Exit::Failed
    } else {
        Exit::Ok
    }
}

/// For people.
fn text(url: &str, pages: &[Value], holders: Option<&[String]>) -> String {
    let mut table = Table::new(&[
        ("node", Align::Left),
        ("it is", Align::Left),
        ("reason", Align::Left),
        ("because", Align::Left),
    ]);
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    for page in pages {
        let reason = if page["blocked"] == true {
            &json!("blocked")
        } else if page["refused"].is_string() {
            &page["refused"]
        } else {
            let candidates = [
                &page["origin_failing"]["reason"],
                &page["not_kept"],
                &page["copies"][0]["lifetime_from"],
            ];
            let known = candidates.into_iter().find(|reason| reason.is_string());
            known.unwrap_or(&Value::Null)
        };
        table.row([
            word(&page["node"]),
            word(&page["verdict"]).replace('_', " "),
            word(reason),
            word(&page["because"]),
        ]);
    }
    let mut lines = vec![url.to_owned(), String::new(), table.to_text()];
    lines.push(String::new());
    match holders {
        None => lines.push("who holds it: no index was asked (name its --admin, or --node)".into()),
        Some([]) => lines.push("who holds it: nobody, by the index".into()),
        Some(all) => lines.extend(
            all.iter()
                .map(|one| format!("held by the index's word: {one}")),
        ),
    }
    let failures = pages.iter().filter_map(|page| {
        let failure = &page["last_failure"];
        let reason = failure["reason"].as_str()?;
        let (node, what) = (word(&page["node"]), word(&failure["what"]));
        Some(format!(
            "last failure at {node}: {reason}, {} s ago. {what}",
            failure["ago_s"]
        ))
    });
    lines.extend(failures);
    lines.join("\n")
}

/// `url` as a value in a query.
pub(super) fn encoded(url: &str) -> String {
    url.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(verdict: &str) -> Value {
        json!({
            "node": "node1", "verdict": verdict, "because": "so it is", "blocked": false,
            "not_kept": "private", "copies": [], "last_failure": {
                "reason": "connect_refused", "ago_s": 7, "what": "It seems to be down.",
            },
        })
    }

    #[test]
    fn the_best_that_any_node_has_decides() {
        let code = |words: &[&str]| verdict(&words.iter().map(|w| page(w)).collect::<Vec<_>>());
        assert_eq!(code(&["unknown", "fresh", "not_kept"]), Exit::Ok);
        assert_eq!(code(&["unknown", "not_kept"]), Exit::Failed);
        assert_eq!(code(&["origin_fails", "unknown"]), Exit::Degraded);
        assert_eq!(code(&["unknown"]), Exit::Ok);
    }

    #[test]
    fn reason_holders_and_the_last_failure_are_told() {
        let text = text("http://a.example/", &[page("not_kept")], Some(&[]));
        for part in [
            "not kept",
            "private",
            "nobody",
            "connect_refused, 7 s ago. It seems to be down.",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn what_a_query_would_take_apart_is_encoded() {
        assert_eq!(
            encoded("http://a.example/?b=%26&c#"),
            "http://a.example/%3Fb%3D%2526%26c%23"
        );
    }
}
