//! The list of reasons, made of the enums that hold them: their doc comments and their words.
//!
//! An enum of the proxy with words that stands neither in a table nor among those that nobody outside
//! sees fails the test; so does a variant without a word.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use proxy::engine::head::fault::HeadFault;
use proxy::engine::lenient::Unclear;
use proxy::engine::reason::{FailReason, RefuseReason};

use super::{check, project};

/// A table: the enum, its file, and where its words are seen.
struct Table {
    name: &'static str,
    file: &'static str,
    title: &'static str,
    seen: &'static str,
}

const fn table(
    name: &'static str,
    file: &'static str,
    title: &'static str,
    seen: &'static str,
) -> Table {
    Table {
        name,
        file,
        title,
        seen,
    }
}

const REFUSED: &str = "Error page, `details` of Proxy-Status, `reason` in the access log with the \
    outcome `refused`, `reason` of the metric `atoll_proxy_refusals`.";
const FAILED: &str = "Error page, `details` of Proxy-Status, `reason` in the access log with the \
    outcome `failed` or `stale`, `detail` of Cache-Status where a stale copy stands in, `reason` of the \
    metrics `atoll_proxy_failures` (requests) and `atoll_proxy_fetch_failures` (fetches), `/state`.";
const ADDRESS: &str = "Error page and `details` of Proxy-Status where a failure is `address`.";

const TABLES: [Table; 35] = [
    table(
        "RefuseReason",
        "proxy/src/engine/reason.rs",
        "Requests refused",
        REFUSED,
    ),
    table(
        "HeadFault",
        "proxy/src/engine/head/fault.rs",
        "Request heads refused",
        REFUSED,
    ),
    table(
        "FailReason",
        "proxy/src/engine/reason.rs",
        "Fetches failed",
        FAILED,
    ),
    table(
        "Unclear",
        "proxy/src/engine/lenient/unclear.rs",
        "Answers not understood",
        FAILED,
    ),
    table(
        "AddressRefusal",
        "proxy/src/engine/policy.rs",
        "Addresses refused",
        ADDRESS,
    ),
    table(
        "SpecialUse",
        "common/src/netaddr.rs",
        "Kinds of addresses refused",
        ADDRESS,
    ),
    table(
        "Over",
        "proxy/src/engine/share/bytes.rs",
        "Visitors sent to the site itself",
        "`detail` of Cache-Status with `fwd=bypass`, `reason` in the access log with the outcome \
         `own`, `reason` of the metric `atoll_proxy_bounced`.",
    ),
    table(
        "TurnedAway",
        "proxy/src/engine/share/connections.rs",
        "Connections turned away",
        "`reason` of the metric `atoll_proxy_connections_refused`; the client sees a reset.",
    ),
    table(
        "HandReason",
        "proxy/src/engine/hit/mod.rs",
        "Requests without a prepared answer",
        "`reason` of the metric `atoll_proxy_careful`; such a request is answered like any other.",
    ),
    table(
        "HandshakeEnd",
        "proxy/src/engine/handshake.rs",
        "How TLS handshakes ended",
        "`outcome` of the metric `atoll_proxy_handshakes`.",
    ),
    table(
        "Flood",
        "proxy/src/engine/http2/purse.rs",
        "HTTP/2 connections told to calm down",
        "`reason` of the metric `atoll_proxy_http2_floods`; the client sees GOAWAY with \
         ENHANCE_YOUR_CALM.",
    ),
    table(
        "StaleReason",
        "proxy/src/engine/http/verdict.rs",
        "Stale copies used",
        "`detail` of Cache-Status, `reason` in the access log with the outcome `stale`.",
    ),
    table(
        "StaleBan",
        "proxy/src/engine/http/verdict.rs",
        "Copies withheld",
        "Error page (`saved_copy.withheld` of problem details).",
    ),
    table(
        "ForwardReason",
        "proxy/src/engine/http/cache_status.rs",
        "Requests sent on",
        "`fwd` of Cache-Status (RFC 9211).",
    ),
    table(
        "ProxyError",
        "proxy/src/engine/http/proxy_status.rs",
        "Kinds of errors",
        "`error` of Proxy-Status (RFC 9209).",
    ),
    table(
        "Outcome",
        "proxy/src/shell/metrics.rs",
        "Where answers came from",
        "`outcome` in the access log and of the metric `atoll_proxy_requests`.",
    ),
    table(
        "Ending",
        "proxy/src/engine/access.rs",
        "How answers ended",
        "`ending` in the access log.",
    ),
    table(
        "Served",
        "proxy/src/shell/metrics.rs",
        "Answers to other proxies",
        "`outcome` of the metric `atoll_proxy_peer_requests`.",
    ),
    table(
        "IndexOutcome",
        "proxy/src/shell/metrics.rs",
        "Words with the index",
        "`outcome` of the metric `atoll_proxy_index`.",
    ),
    table(
        "Unkept",
        "proxy/src/engine/distances.rs",
        "Round trips not kept",
        "`outcome` of the metric `atoll_proxy_round_trips`, beside `kept`.",
    ),
    table(
        "Drawing",
        "proxy/src/engine/drawing.rs",
        "Where a fetch draws from",
        "`fills.largest[].from` at `/state`.",
    ),
    table(
        "NoStoreReason",
        "proxy/src/engine/http/store.rs",
        "Answers not kept",
        "`atoll why`. On answers not by its word: `stored` is absent from Cache-Status, and the next who ask see `fwd=bypass`.",
    ),
    table(
        "WhyVerdict",
        "proxy/src/engine/why.rs",
        "What a node says of a page that is asked about",
        "`atoll why`, `verdict` of `/why`.",
    ),
    table(
        "WarrantRefusal",
        "proxy/src/engine/warrant.rs",
        "Warrants for traces refused",
        "`outcome` of the metric `atoll_proxy_trace_warrants`, beside `accepted`.",
    ),
    table(
        "LetGo",
        "proxy/src/engine/beginnings.rs",
        "Broken bodies let go",
        "`outcome` of the metric `atoll_proxy_beginnings`, beside `kept` and `completed`.",
    ),
    table(
        "RevalidateReason",
        "proxy/src/engine/http/verdict.rs",
        "Copies to be validated",
        "Not by its word: `fwd=stale` or `fwd=request` in Cache-Status.",
    ),
    table(
        "NotShelved",
        "proxy/src/engine/shelf/offer.rs",
        "Responses not written to disk",
        "`outcome` of the metric `atoll_proxy_disk_writes`, where it is not `written`.",
    ),
    table(
        "NotAdmitted",
        "proxy/src/engine/store/admission.rs",
        "Responses not admitted to disk",
        "The same.",
    ),
    table(
        "ReadOutcome",
        "proxy/src/shell/store/counters.rs",
        "Reads from disk",
        "`outcome` of the metric `atoll_proxy_disk_reads`.",
    ),
    table(
        "Damage",
        "proxy/src/engine/shelf/record.rs",
        "Copies on disk that are not as they were written",
        "`what` in the log.",
    ),
    table(
        "DiskFault",
        "proxy/src/shell/store/writer/failing.rs",
        "Why the disk store is left alone for a while",
        "`what` in the log and of the metric `atoll_proxy_disk_failures`, `/state`.",
    ),
    table(
        "PurgeRefusal",
        "proxy/src/engine/purge/token.rs",
        "Purges refused",
        "`refused` in the answer, `reason` in the access log with the outcome `refused`, `outcome` of \
         the metric `atoll_proxy_purges`.",
    ),
    table(
        "OrderFault",
        "proxy/src/engine/purge/order.rs",
        "Purges not understood",
        "As purges refused.",
    ),
    table(
        "Unconfirmed",
        "proxy/src/engine/purge/receipt.rs",
        "Purges not confirmed",
        "`unconfirmed[].reason` of a purge's receipt.",
    ),
    table(
        "Reach",
        "proxy/src/engine/purge/receipt.rs",
        "How far purges were told",
        "`reach` of a purge's receipt.",
    ),
];

/// Enums whose words nobody outside sees.
const INNER: [&str; 7] = [
    "Scheme",
    "NotSliced",
    "WholeReason",
    "MismatchReason",
    "LifetimeSource",
    "KeepReason",
    "LoopReason",
];

#[test]
fn every_reason_is_in_the_list() {
    let mut text = "# Reasons\n\n\
        Every word by which the proxy says what it did and why, made of the sources. What the fields \
        mean is in [vocabulary.md](design/vocabulary.md), the access log in \
        [log.md](operating/log.md).\n"
        .to_owned();
    for table in &TABLES {
        let statuses = statuses(table.seen == REFUSED);
        let source = fs::read_to_string(project(table.file)).unwrap();
        let words = words(&source, table.name);
        let Table { title, seen, .. } = table;
        let coded = matches!(
            table.name,
            "RefuseReason" | "HeadFault" | "FailReason" | "Unclear"
        );
        let (head, rule) = if coded {
            ("| status | `error` ", "|---|---")
        } else {
            ("", "")
        };
        write!(
            text,
            "\n## {title}\n\nSeen: {seen}\n\n| word {head}| meaning |\n|---{rule}|---|\n"
        )
        .unwrap();
        for (variant, meaning) in variants(&source, table.name) {
            let word = words.get(&variant);
            let word = word.unwrap_or_else(|| panic!("{}::{variant} has no word", table.name));
            let meaning = meaning
                .replace("[`", "`")
                .replace("`]", "`")
                .replace('|', "\\|");
            let Some(word) = word else {
                writeln!(
                    text,
                    "| *its own words* {}| {meaning} |",
                    if coded { "| | " } else { "" }
                )
                .unwrap();
                continue;
            };
            let codes = if coded {
                let (status, error) = statuses
                    .get(word.as_str())
                    .unwrap_or_else(|| panic!("{word} is missing in ALL of {}", table.name));
                format!("| {status} | `{error}` ")
            } else {
                String::new()
            };
            writeln!(text, "| `{word}` {codes}| {meaning} |").unwrap();
        }
    }
    check("docs/REASONS.md", &text);
}

#[test]
fn no_enum_with_words_is_left_out() {
    let mut found = 0;
    let mut dirs = vec![project("proxy/src")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                found += listed(&path);
            }
        }
    }
    // One of the tables is of `common`.
    assert_eq!(found, TABLES.len() + INNER.len() - 1);
}

/// How many enums with words a file has; each is known.
fn listed(path: &Path) -> usize {
    let source = fs::read_to_string(path).unwrap();
    let (mut name, mut found) = ("", 0);
    for line in source.lines() {
        if let Some(rest) = line.strip_prefix("impl ") {
            name = rest.trim_end_matches(" {");
        }
        if line.contains("fn as_str(self) -> &'static str") {
            let known = TABLES.iter().any(|table| table.name == name) || INNER.contains(&name);
            assert!(known, "{name} of {} is in no table", path.display());
            found += 1;
        }
    }
    found
}

/// Status and kind of error by word: of the client's requests, or of fetches.
fn statuses(requests: bool) -> BTreeMap<&'static str, (u16, &'static str)> {
    let refused = |why: RefuseReason| {
        let codes = (why.status().as_u16(), why.proxy_error().as_str());
        (why.as_str(), codes)
    };
    let failed = |why: FailReason| {
        let codes = (why.status().as_u16(), why.proxy_error().as_str());
        (why.as_str(), codes)
    };
    if requests {
        let heads = HeadFault::ALL.map(|fault| refused(RefuseReason::Head(fault)));
        RefuseReason::ALL
            .map(refused)
            .into_iter()
            .chain(heads)
            .collect()
    } else {
        let unclear = Unclear::ALL.map(|why| failed(FailReason::Unclear(why)));
        FailReason::ALL
            .map(failed)
            .into_iter()
            .chain(unclear)
            .collect()
    }
}

/// The variants of an enum in order, with the first paragraph of what is said of each.
fn variants(source: &str, name: &str) -> Vec<(String, String)> {
    let start = source.find(&format!("enum {name} {{")).unwrap();
    let (mut found, mut doc) = (Vec::new(), String::new());
    for line in source[start..]
        .lines()
        .skip(1)
        .take_while(|line| *line != "}")
    {
        let Some(line) = line.strip_prefix("    ") else {
            continue;
        };
        if let Some(more) = line.strip_prefix("/// ") {
            doc.push_str(more);
            doc.push(' ');
        } else if line.starts_with(|c: char| c.is_ascii_uppercase()) {
            let end = line.find(|c: char| !c.is_ascii_alphanumeric());
            let variant = &line[..end.unwrap_or(line.len())];
            found.push((
                variant.to_owned(),
                std::mem::take(&mut doc).trim().to_owned(),
            ));
        }
    }
    found
}

/// The word of each variant; `None` of one that has the words of what it holds.
fn words(source: &str, name: &str) -> BTreeMap<String, Option<String>> {
    let start = source.find(&format!("\nimpl {name} {{")).unwrap();
    let rest = &source[start..];
    let body = &rest[rest.find("fn as_str").unwrap()..];
    let body = &body[..body.find("\n    }").unwrap()];
    let arm = |arm: &str| {
        let (variant, word) = arm.split_once("=>")?;
        let variant = variant.trim().trim_start_matches("Self::");
        let end = variant.find(|c: char| !c.is_ascii_alphanumeric());
        let variant = variant[..end.unwrap_or(variant.len())].to_owned();
        let word = word.trim().trim_matches([',', '"']);
        Some((variant, (!word.contains('.')).then(|| word.to_owned())))
    };
    body.lines().filter_map(arm).collect()
}
