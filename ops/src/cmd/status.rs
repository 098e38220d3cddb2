//! `atoll status`: one line for each process of a running cluster, and one for each proxy as each name
//! server sees it; or how the agent of a node is.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Serialize;
use tokio::task::JoinSet;

use crate::admin;
use crate::cluster::layout::Kind;
use crate::cluster::ready_file::{Entry, ReadyFile};
use crate::engine::retiring::Retiring;
use crate::figures::Figures;
use crate::outcome::{Exit, Outcome};
use crate::render::{self, Align, Table};
use crate::say;

mod leaving;
mod node;
mod seen;

pub use seen::{Condition, Seen};

/// Arguments of `atoll status`.
#[derive(Clone, Debug, clap::Args)]
pub struct StatusArgs {
    /// The cluster; without it the one that this user's `atoll dev` runs
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// A node's agent instead of a cluster, by the agent's directory
    #[arg(long, value_name = "DIR", conflicts_with = "ready_file")]
    state: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How a process is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It does its work.
    Ready,
    /// It runs and says that it does not do its work.
    Degraded,
    /// It does not answer.
    Gone,
}

impl Health {
    /// The word for tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Gone => "gone",
        }
    }
}

/// One process as it was found.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Line {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// Its public address.
    pub addr: SocketAddr,
    /// How it is.
    pub health: Health,
    /// What it says about that, if it is not ready.
    pub why: String,
    /// Its key figures, in words.
    pub figures: String,
    /// Its resident memory in bytes, where the system tells.
    pub rss_bytes: Option<u64>,
    /// How it sees the proxies, if it is a name server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxies: Option<Vec<Seen>>,
    /// How it goes about leaving, if it is an index of an old network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Retiring>,
}

/// Shows the cluster.
///
/// # Errors
/// No cluster is known.
pub async fn run(args: StatusArgs) -> Outcome {
    if let Some(state) = &args.state {
        return node::show(state, args.json).await;
    }
    let cluster = ReadyFile::load(args.ready_file.as_deref())?;
    let mut probes = JoinSet::new();
    for (at, entry) in cluster.processes.into_iter().enumerate() {
        probes.spawn(async move { (at, look(entry).await) });
    }
    let mut found: Vec<(usize, Line)> = Vec::new();
    while let Some(probe) = probes.join_next().await {
        found.extend(probe.ok());
    }
    found.sort_by_key(|(at, _)| *at);
    let lines: Vec<Line> = found.into_iter().map(|(_, line)| line).collect();
    if args.json {
        say::result(&serde_json::to_string_pretty(&lines).unwrap_or_default());
    } else {
        say::result(&table(&lines));
        let indexes = lines.iter();
        let leaving = indexes.filter_map(|line| Some((&*line.name, line.leaving.as_ref()?)));
        for more in [seen_table(&lines), leaving::table(leaving)] {
            if !more.is_empty() {
                say::result(&format!("\n{more}"));
            }
        }
    }
    Ok(verdict(&lines))
}

/// The exit code for what was found.
#[must_use]
pub fn verdict(lines: &[Line]) -> Exit {
    if lines.iter().all(|line| line.health == Health::Gone) {
        Exit::Unreachable
    } else if lines.iter().any(|line| line.health != Health::Ready) {
        Exit::Degraded
    } else {
        Exit::Ok
    }
}

/// The table for people.
#[must_use]
pub fn table(lines: &[Line]) -> String {
    let mut table = Table::new(&[
        ("kind", Align::Left),
        ("name", Align::Left),
        ("pid", Align::Right),
        ("address", Align::Left),
        ("health", Align::Left),
        ("memory", Align::Right),
        ("figures", Align::Left),
    ]);
    for line in lines {
        let told = if line.why.is_empty() {
            &line.figures
        } else {
            &line.why
        };
        table.row([
            line.kind.as_str().to_owned(),
            line.name.clone(),
            line.pid.to_string(),
            line.addr.to_string(),
            line.health.as_str().to_owned(),
            line.rss_bytes.map_or_else(|| "-".to_owned(), render::bytes),
            told.clone(),
        ]);
    }
    table.to_text()
}

/// The table of what the name servers see, for people; empty if there is nothing to see.
#[must_use]
pub fn seen_table(lines: &[Line]) -> String {
    let name = |addr| {
        let mut proxies = lines.iter().filter(|line| line.kind == Kind::Proxy);
        let proxy = proxies.find(|line| line.addr == addr);
        proxy.map_or_else(|| "-".to_owned(), |line| line.name.clone())
    };
    let servers = lines
        .iter()
        .filter_map(|line| Some((&*line.name, line.proxies.as_deref()?)));
    seen::table(servers, name)
}

async fn look(entry: Entry) -> Line {
    let (health, why) = match admin::page(entry.admin, "/readyz").await {
        Ok(page) if page.status.is_success() => (Health::Ready, String::new()),
        Ok(page) => (Health::Degraded, page.text().trim().to_owned()),
        Err(error) => (Health::Gone, error.to_string()),
    };
    let metrics = match health {
        Health::Gone => None,
        Health::Ready | Health::Degraded => admin::page(entry.admin, "/metrics").await.ok(),
    };
    let figures = metrics.map(|page| key_figures(entry.kind, &Figures::parse(&page.text())));
    let state = match (entry.kind, health) {
        (Kind::Dns | Kind::Dht, Health::Ready | Health::Degraded) => {
            admin::page(entry.admin, "/state").await.ok()
        }
        _ => None,
    };
    let (mut proxies, mut leaving) = (None, None);
    match entry.kind {
        Kind::Dns => proxies = state.and_then(|page| seen::read(&page.text())),
        Kind::Dht => leaving = state.and_then(|page| Retiring::read(&page.json())),
        Kind::Proxy | Kind::Origin => {}
    }
    // The id of a process that is gone may be another's already.
    let rss_bytes = if health == Health::Gone {
        None
    } else {
        resident(entry.pid)
    };
    let Entry {
        kind,
        name,
        pid,
        addr,
        ..
    } = entry;
    Line {
        kind,
        name,
        pid,
        addr,
        health,
        why,
        figures: figures.unwrap_or_default(),
        rss_bytes,
        proxies,
        leaving,
    }
}

/// The few figures that say most about a daemon; those that it does not export are left out.
fn key_figures(kind: Kind, figures: &Figures) -> String {
    // What it is called, the metric, and which of its series.
    let wanted: &[(&str, &str, &str)] = match kind {
        Kind::Proxy => &[
            ("requests", "atoll_proxy_requests_total", ""),
            (
                "origin fetches",
                "atoll_proxy_fetches_total",
                "source=\"origin\"",
            ),
        ],
        Kind::Dht => &[
            ("contacts", "atoll_dht_contacts", ""),
            ("values", "atoll_dht_stored_values", ""),
        ],
        Kind::Dns => &[
            ("questions", "atoll_dns_questions_total", ""),
            ("live proxies", "atoll_dns_proxies_live", ""),
        ],
        Kind::Origin => &[("requests", "atoll_origin_requests_total", "")],
    };
    let shown = |(label, name, series): &(&str, &str, &str)| {
        figures
            .sum_where(name, series)
            .map(|sum| format!("{label} {sum:.0}"))
    };
    wanted
        .iter()
        .filter_map(shown)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Resident memory of a process, in bytes.
fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, health: Health) -> Line {
        let gone = health == Health::Gone;
        Line {
            kind: Kind::Proxy,
            name: name.to_owned(),
            pid: 7,
            addr: "127.0.0.11:8080".parse().unwrap(),
            health,
            why: if gone {
                "no connection".to_owned()
            } else {
                String::new()
            },
            figures: "requests 3".to_owned(),
            rss_bytes: if gone { None } else { Some(12_345_678) },
            proxies: None,
            leaving: None,
        }
    }

    #[test]
    fn the_exit_code_tells_ready_degraded_and_gone_apart() {
        let lines = |healths: &[Health]| healths.iter().map(|h| line("a", *h)).collect::<Vec<_>>();
        assert_eq!(verdict(&lines(&[Health::Ready, Health::Ready])), Exit::Ok);
        assert_eq!(
            verdict(&lines(&[Health::Ready, Health::Degraded])),
            Exit::Degraded
        );
        assert_eq!(
            verdict(&lines(&[Health::Ready, Health::Gone])),
            Exit::Degraded
        );
        assert_eq!(
            verdict(&lines(&[Health::Gone, Health::Gone])),
            Exit::Unreachable
        );
    }

    #[test]
    fn there_is_one_line_for_each_process() {
        let text = table(&[line("node1", Health::Ready), line("node2", Health::Gone)]);
        assert_eq!(
            text,
            "kind   name   pid  address          health   memory  figures\n\
             proxy  node1    7  127.0.0.11:8080  ready   12.3 MB  requests 3\n\
             proxy  node2    7  127.0.0.11:8080  gone          -  no connection"
        );
    }

    #[test]
    fn figures_that_a_daemon_lacks_are_left_out() {
        let figures = Figures::parse("atoll_proxy_requests_total{a=\"b\"} 3\n");
        assert_eq!(key_figures(Kind::Proxy, &figures), "requests 3");
        assert_eq!(key_figures(Kind::Dht, &figures), "");
    }
}
