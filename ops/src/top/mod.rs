//! What a network does at the moment: rates of its proxies, its hottest sites and pages, what goes wrong.
//! Made of two samples of the proxies' admin pages. Pure.

mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::figures::Figures;

pub use text::text;

/// Rows of each list.
pub const ROWS: usize = 10;

/// One proxy as it was at a moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its node's name.
    pub name: String,
    /// Its counters; none if it did not answer.
    pub figures: Option<Figures>,
    /// Its state page.
    pub state: Value,
}

/// What one proxy does.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// Its node's name.
    pub node: String,
    /// Whether it answers.
    pub here: bool,
    /// Requests a second.
    pub requests_s: f64,
    /// Of these, answered from what is kept here, in percent.
    pub hits_percent: f64,
    /// Fetches from other proxies a second.
    pub peers_s: f64,
    /// Fetches from origins a second.
    pub origins_s: f64,
    /// Requests refused or failed, a second.
    pub bad_s: f64,
    /// Connections of clients.
    pub connections: u64,
    /// URLs in memory and on disk.
    pub objects: u64,
}

/// A site, a page, a peer or a reason, and how much there is of it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Item {
    /// What it is.
    pub name: String,
    /// How much.
    pub amount: f64,
    /// What else is known.
    pub note: String,
}

/// All of it.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Frame {
    /// Seconds between the samples; 0 where there is one alone, and rates are since the start then.
    pub seconds: f64,
    /// The proxies.
    pub nodes: Vec<Row>,
    /// Sites, by requests in the last 10 s.
    pub sites: Vec<Item>,
    /// Pages, by how often they were found.
    pub objects: Vec<Item>,
    /// Peers that are avoided, by how many proxies avoid them.
    pub peers: Vec<Item>,
    /// Reasons of refusals and failures, a second.
    pub reasons: Vec<Item>,
}

impl Frame {
    /// What happened between two samples that are `apart`.
    #[must_use]
    pub fn between(before: &[Sample], after: &[Sample], apart: Duration) -> Self {
        let seconds = apart.as_secs_f64();
        let old = |name: &str| before.iter().find(|one| one.name == name);
        let rows = after
            .iter()
            .map(|sample| row(old(&sample.name), sample, seconds));
        Self {
            seconds,
            nodes: rows.collect(),
            sites: most(states(after, "hottest_sites", "site", "requests_10s")),
            objects: objects(after),
            peers: avoided(after),
            reasons: reasons(before, after, seconds),
        }
    }
}

const BAD: [&str; 3] = [
    "atoll_proxy_refusals_total",
    "atoll_proxy_failures_total",
    "atoll_proxy_fetch_failures_total",
];

fn row(before: Option<&Sample>, after: &Sample, seconds: f64) -> Row {
    let rate = |name: &str, labels: &[&str]| -> f64 {
        let of = |sample: &Sample| -> f64 {
            let Some(figures) = &sample.figures else {
                return 0.0;
            };
            let sum = |label: &&str| figures.sum_where(name, label).unwrap_or(0.0);
            labels.iter().map(sum).sum()
        };
        per_second(before.map_or(0.0, of), of(after), seconds)
    };
    let outcomes = outcomes(before, after, seconds);
    let hits = outcomes.get("hit").copied().unwrap_or(0.0);
    // Checks of name servers and other pages of our own are nobody's requests.
    let others = outcomes.iter().filter(|(outcome, _)| *outcome != "own");
    // The sum of none is -0, and would be shown so.
    let asked = others.fold(0.0, |all, (_, rate)| all + rate);
    Row {
        node: after.name.clone(),
        here: after.figures.is_some(),
        requests_s: asked,
        hits_percent: if asked > 0.0 {
            hits * 100.0 / asked
        } else {
            0.0
        },
        peers_s: rate("atoll_proxy_fetches_total", &["source=\"peer\""]),
        origins_s: rate("atoll_proxy_fetches_total", &["source=\"origin\""]),
        bad_s: BAD[..2].iter().map(|name| rate(name, &[""])).sum(),
        connections: number(&after.state["in_flight"]["connections"]),
        objects: number(&after.state["store"]["objects"]) + number(&after.state["disk"]["objects"]),
    }
}

/// Requests a second, by how they ended.
fn outcomes(before: Option<&Sample>, after: &Sample, seconds: f64) -> BTreeMap<String, f64> {
    let of = |sample: &Sample| {
        let figures = sample.figures.as_ref();
        figures.map(|figures| figures.by("atoll_proxy_requests_total", "outcome"))
    };
    let old = before.and_then(of).unwrap_or_default();
    let new = of(after).unwrap_or_default().into_iter();
    new.map(|(outcome, value)| {
        let before = old.get(&outcome).copied().unwrap_or(0.0);
        (outcome, per_second(before, value, seconds))
    })
    .collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// A counter's rate; one that went back was started anew.
fn per_second(before: f64, after: f64, seconds: f64) -> f64 {
    let counted = if after < before {
        after
    } else {
        after - before
    };
    if seconds > 0.0 {
        counted / seconds
    } else {
        counted
    }
}

/// The sum over all nodes of `amount` for each `name` in the list `list` of their states.
fn states(after: &[Sample], list: &str, name: &str, amount: &str) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    let lists = after.iter().filter_map(|one| one.state[list].as_array());
    for one in lists.flatten() {
        if let (Some(name), Some(amount)) = (one[name].as_str(), one[amount].as_f64()) {
            *all.entry(name.to_owned()).or_insert(0.0) += amount;
        }
    }
    all
}

/// The largest of them.
fn most(all: BTreeMap<String, f64>) -> Vec<Item> {
    let item = |(name, amount)| Item {
        name,
        amount,
        note: String::new(),
    };
    sorted(all.into_iter().map(item).collect())
}

fn sorted(mut items: Vec<Item>) -> Vec<Item> {
    items.sort_by(|a, b| b.amount.total_cmp(&a.amount));
    items.truncate(ROWS);
    items
}

fn objects(after: &[Sample]) -> Vec<Item> {
    let mut all: BTreeMap<&str, (f64, u64, u32)> = BTreeMap::new();
    let lists = after
        .iter()
        .filter_map(|one| one.state["store"]["hottest"].as_array());
    for one in lists.flatten() {
        let Some(url) = one["url"].as_str() else {
            continue;
        };
        let entry = all.entry(url).or_default();
        entry.0 += one["found"].as_f64().unwrap_or(0.0);
        entry.1 = entry.1.max(number(&one["bytes"]));
        entry.2 += 1;
    }
    let item = |(url, (found, bytes, nodes)): (&str, (f64, u64, u32))| Item {
        name: url.to_owned(),
        amount: found,
        note: format!("{} at {nodes} nodes", crate::render::bytes(bytes)),
    };
    sorted(all.into_iter().map(item).collect())
}

fn avoided(after: &[Sample]) -> Vec<Item> {
    let mut all: BTreeMap<&str, (f64, &str)> = BTreeMap::new();
    let lists = after
        .iter()
        .filter_map(|one| one.state["peers_blamed"].as_array());
    for one in lists.flatten() {
        if let (Some(peer), Some(reason)) = (one["peer"].as_str(), one["reason"].as_str()) {
            let entry = all.entry(peer).or_insert((0.0, reason));
            entry.0 += 1.0;
        }
    }
    let item = |(peer, (nodes, reason)): (&str, (f64, &str))| Item {
        name: peer.to_owned(),
        amount: nodes,
        note: reason.to_owned(),
    };
    sorted(all.into_iter().map(item).collect())
}

fn reasons(before: &[Sample], after: &[Sample], seconds: f64) -> Vec<Item> {
    let sums = |samples: &[Sample]| {
        let mut all: BTreeMap<(String, &str), f64> = BTreeMap::new();
        for figures in samples.iter().filter_map(|one| one.figures.as_ref()) {
            for name in BAD {
                let what = name
                    .trim_start_matches("atoll_proxy_")
                    .trim_end_matches("_total");
                for (reason, value) in figures.by(name, "reason") {
                    *all.entry((reason, what)).or_insert(0.0) += value;
                }
            }
        }
        all
    };
    let old = sums(before);
    let items = sums(after).into_iter().map(|(of, value)| Item {
        amount: per_second(old.get(&of).copied().unwrap_or(0.0), value, seconds),
        name: of.0,
        note: of.1.replace('_', " "),
    });
    let mut items: Vec<_> = items.filter(|item| item.amount > 0.0).collect();
    items = sorted(items);
    items
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample(name: &str, hits: u32, misses: u32, refused: u32) -> Sample {
        let text = format!(
            "atoll_proxy_requests_total{{outcome=\"hit\"}} {hits}\n\
             atoll_proxy_requests_total{{outcome=\"own\"}} 7\n\
             atoll_proxy_requests_total{{outcome=\"origin\"}} {misses}\n\
             atoll_proxy_fetches_total{{source=\"origin\"}} {misses}\n\
             atoll_proxy_refusals_total{{reason=\"not_ours\"}} {refused}\n"
        );
        Sample {
            name: name.to_owned(),
            figures: Some(Figures::parse(&text)),
            state: json!({
                "hottest_sites": [{ "site": "a.example", "requests_10s": hits }],
                "store": { "objects": 3, "hottest": [
                    { "url": "http://a.example/", "found": hits, "bytes": 1000 },
                ] },
                "in_flight": { "connections": 2 },
                "peers_blamed": [{ "peer": "192.0.2.1:81", "reason": "digest" }],
            }),
        }
    }

    #[test]
    fn rates_are_what_was_counted_between_the_samples() {
        let before = [sample("n1", 10, 1, 0), sample("n2", 0, 0, 0)];
        let after = [sample("n1", 28, 3, 4), sample("n2", 0, 0, 0)];
        let frame = Frame::between(&before, &after, Duration::from_secs(2));
        let row = &frame.nodes[0];
        let rates = [
            row.requests_s,
            row.hits_percent,
            row.origins_s,
            row.bad_s,
            frame.sites[0].amount,
            frame.peers[0].amount,
        ];
        let wanted = [10.0, 90.0, 1.0, 2.0, 28.0, 2.0];
        let close = |(got, want): (f64, f64)| (got - want).abs() < 1e-9;
        assert!(rates.into_iter().zip(wanted).all(close), "{rates:?}");
        assert_eq!(frame.objects[0].note, "1.00 kB at 2 nodes");
        assert_eq!(frame.reasons[0].name, "not_ours");
    }

    #[test]
    fn a_daemon_that_was_restarted_counts_from_nothing() {
        let frame = Frame::between(
            &[sample("n1", 1_000, 9, 0)],
            &[sample("n1", 10, 0, 0)],
            Duration::from_secs(1),
        );
        assert!((frame.nodes[0].requests_s - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_proxy_that_is_gone_has_a_row_and_no_figures() {
        let gone = Sample {
            name: "n1".to_owned(),
            figures: None,
            state: Value::Null,
        };
        let frame = Frame::between(&[], &[gone], Duration::ZERO);
        assert!(!frame.nodes[0].here);
        assert!(text(&frame).contains("gone"));
        assert!(frame.nodes[0].requests_s.is_sign_positive());
    }
}
