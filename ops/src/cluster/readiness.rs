//! Waits until a cluster works, not merely runs.
//!
//! Three kinds of check: every daemon says it is ready; every name server has named all proxies; a
//! request through every proxy is answered. [`Checklist`] decides what is due and what is missing
//! (pure); [`wait`] makes the probes. A name server gives a few addresses at a time, so what it has
//! named is added up over several questions.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::clock::{Clock as _, SystemClock};
use http::{Method, StatusCode};
use tokio::task::JoinSet;

use super::layout::{Kind, Planned};
use super::process::{Ended, Fleet, tail};
use super::question;
use crate::admin;
use crate::outcome::Failure;
use crate::say::Progress;

/// For a cluster of up to [`SMALL`] nodes.
const DEADLINE: Duration = Duration::from_secs(30);

/// More for each node beyond [`SMALL`]: two processes to start, on a machine with few cores.
const DEADLINE_PER_NODE: Duration = Duration::from_millis(500);

/// Nodes that any machine starts within [`DEADLINE`].
const SMALL: usize = 16;

/// Between rounds of probes.
const ROUND: Duration = Duration::from_millis(100);

/// Questions to a name server in one round.
const QUESTIONS: usize = 16;

/// For one request through a proxy: an index lookup and a slow origin.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// Missing things named in a message; the rest is counted.
const SHOWN: usize = 12;

/// One thing that must hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Check {
    /// `/readyz` of this admin listener answers 200.
    Ready(SocketAddr),
    /// This name server has named all proxies.
    Names(SocketAddr),
    /// This proxy answers a request for the origin's front page.
    Serves(SocketAddr),
}

/// A check, who it is about, and how it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// How people call the process.
    pub title: String,
    /// Its log, to look into.
    pub log: PathBuf,
    /// What must hold.
    pub check: Check,
    /// What stands against it; `None` once it holds.
    pub lacks: Option<String>,
    named: BTreeSet<Ipv4Addr>,
}

/// All checks of a cluster.
#[derive(Clone, Debug)]
pub struct Checklist {
    /// The checks.
    pub items: Vec<Item>,
    proxies: BTreeSet<Ipv4Addr>,
    host: String,
}

impl Checklist {
    /// The checks for `processes`; `host` is the coralised host that is asked for, and `served`
    /// whether an origin stands behind it.
    pub fn new<'a>(
        processes: impl Iterator<Item = &'a Planned>,
        host: String,
        served: bool,
    ) -> Self {
        let mut list = Self {
            items: Vec::new(),
            proxies: BTreeSet::new(),
            host,
        };
        for planned in processes {
            list.add(planned, Check::Ready(planned.admin), "not asked yet");
            match planned.kind {
                Kind::Dns => list.add(
                    planned,
                    Check::Names(planned.addr),
                    "not asked for names yet",
                ),
                Kind::Proxy => {
                    if let IpAddr::V4(ip) = planned.addr.ip() {
                        list.proxies.insert(ip);
                    }
                    if served {
                        list.add(planned, Check::Serves(planned.addr), "no request sent yet");
                    }
                }
                Kind::Dht | Kind::Origin => {}
            }
        }
        list
    }

    fn add(&mut self, planned: &Planned, check: Check, lacks: &str) {
        self.items.push(Item {
            title: planned.title(),
            log: planned.log.clone(),
            check,
            lacks: Some(lacks.to_owned()),
            named: BTreeSet::new(),
        });
    }

    /// Whether all holds.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.items.iter().all(|item| item.lacks.is_none())
    }

    /// The checks to make in this round: daemons first, then names, then requests, since each is
    /// pointless before the one before it.
    #[must_use]
    pub fn due(&self) -> Vec<usize> {
        let rank = |item: &Item| match item.check {
            Check::Ready(_) => 0,
            Check::Names(_) => 1,
            Check::Serves(_) => 2,
        };
        let open = |item: &&Item| item.lacks.is_some();
        let first = self.items.iter().filter(open).map(rank).min();
        let due = |(_, item): &(usize, &Item)| item.lacks.is_some() && Some(rank(item)) == first;
        self.items
            .iter()
            .enumerate()
            .filter(due)
            .map(|(at, _)| at)
            .collect()
    }

    /// Notes what a probe of item `at` found.
    pub fn note(&mut self, at: usize, found: Found) {
        let total = self.proxies.len();
        let Some(item) = self.items.get_mut(at) else {
            return;
        };
        item.lacks = match found {
            Found::Holds => None,
            Found::Lacks(why) => Some(why),
            Found::Named(addresses) => {
                item.named.extend(addresses.intersection(&self.proxies));
                let named = item.named.len();
                (named < total).then(|| format!("has named {named} of {total} proxies"))
            }
        };
    }

    /// One line: how far it has come, and the first thing that is missing.
    #[must_use]
    pub fn progress(&self) -> String {
        let total = self.items.len();
        let held = self
            .items
            .iter()
            .filter(|item| item.lacks.is_none())
            .count();
        let first = self.due().first().and_then(|at| self.items.get(*at));
        match first.and_then(|item| Some((item, item.lacks.as_ref()?))) {
            None => format!("all {total} checks passed"),
            Some((item, lacks)) => {
                format!("{held}/{total} checks passed, next {}: {lacks}", item.title)
            }
        }
    }

    /// What is missing, for people: what was due, with the last words of the first process.
    #[must_use]
    pub fn missing(&self, last_words: impl Fn(&Path) -> Vec<String>) -> String {
        let due: Vec<&Item> = self
            .due()
            .iter()
            .filter_map(|at| self.items.get(*at))
            .collect();
        let mut text = String::new();
        for (at, item) in due.iter().take(SHOWN).enumerate() {
            let lacks = item.lacks.as_deref().unwrap_or_default();
            text.push_str(&format!("\n    {}: {lacks}", item.title));
            for line in if at == 0 {
                last_words(&item.log)
            } else {
                Vec::new()
            } {
                text.push_str("\n        log: ");
                text.push_str(&line);
            }
        }
        if due.len() > SHOWN {
            text.push_str(&format!("\n    and {} more", due.len() - SHOWN));
        }
        text
    }
}

/// What a probe found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// It holds.
    Holds,
    /// It does not, because of this.
    Lacks(String),
    /// The name server named these.
    Named(BTreeSet<Ipv4Addr>),
}

/// Waits until all of `list` holds.
///
/// # Errors
/// A process ended, or the deadline passed; the failure says which and what is missing.
pub async fn wait(
    fleet: &mut Fleet,
    list: &mut Checklist,
    progress: &mut Progress,
    clock: SystemClock,
) -> Result<(), Failure> {
    let nodes = u32::try_from(list.proxies.len().saturating_sub(SMALL)).unwrap_or(u32::MAX);
    let deadline = DEADLINE + DEADLINE_PER_NODE * nodes;
    let until = clock.moment() + deadline;
    while !list.complete() {
        if let Some(ended) = fleet.reap().into_iter().next() {
            return Err(early_end(&ended));
        }
        if clock.moment() > until {
            let what = format!("not ready after {deadline:?}:{}", list.missing(tail));
            let advice = "\nkeep the logs with --dir DIR and look into them, or give the \
                machine more room";
            return Err(Failure::failed(what, advice));
        }
        progress.update(&list.progress());
        let mut probes = JoinSet::new();
        for at in list.due() {
            let Some(item) = list.items.get(at) else {
                continue;
            };
            let (check, host) = (item.check.clone(), list.host.clone());
            probes.spawn(async move { (at, probe(check, &host).await) });
        }
        while let Some(found) = probes.join_next().await {
            if let Ok((at, found)) = found {
                list.note(at, found);
            }
        }
        progress.update(&list.progress());
        if !list.complete() {
            tokio::time::sleep(ROUND).await;
        }
    }
    Ok(())
}

/// The failure of a process that ended before all was ready.
#[must_use]
pub fn early_end(ended: &Ended) -> Failure {
    let log = ended.log.display();
    let advice = format!("\nmend what it says; keep its whole log ({log}) with --dir DIR");
    Failure::failed(ended.describe(), advice)
}

async fn probe(check: Check, host: &str) -> Found {
    match check {
        Check::Ready(admin) => match admin::page(admin, "/readyz").await {
            Ok(page) if page.status == StatusCode::OK => Found::Holds,
            Ok(page) => Found::Lacks(page.text().trim().to_owned()),
            Err(error) => Found::Lacks(format!("admin pages at {admin}: {error}")),
        },
        Check::Names(server) => {
            let mut named = BTreeSet::new();
            for _ in 0..QUESTIONS {
                match question::addresses(server, host).await {
                    Ok(addresses) => named.extend(addresses),
                    Err(error) if named.is_empty() => {
                        return Found::Lacks(format!("{host}: {error}"));
                    }
                    Err(_) => break,
                }
            }
            Found::Named(named)
        }
        Check::Serves(proxy) => {
            let answer =
                admin::fetch(proxy, Method::GET, host, "/index.html", REQUEST_DEADLINE).await;
            match answer {
                Ok(page) if page.status == StatusCode::OK => Found::Holds,
                Ok(page) => {
                    let text = page.text();
                    let line = text.lines().next().unwrap_or_default();
                    Found::Lacks(format!(
                        "answers {} to http://{host}/index.html: {line}",
                        page.status
                    ))
                }
                Err(error) => Found::Lacks(format!("http://{host}/index.html: {error}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use common::name::Zone;

    use super::super::binaries::Programs;
    use super::super::layout::{Plan, Wish};
    use super::*;

    fn list() -> Checklist {
        let plan = Plan::of(&Wish {
            zone: Zone::parse("nyud.test").unwrap(),
            nodes: 2,
            dns: 1,
            origin_delay: Some(Duration::ZERO),
            base_port: 8080,
            allow_private: true,
            proxy_config: None,
            dir: PathBuf::from("/tmp/x"),
            programs: Programs::in_dir(Path::new("/bin"), Path::new("/bin/atoll")),
        })
        .unwrap();
        Checklist::new(plan.processes.iter(), plan.sample_host().unwrap(), true)
    }

    fn hold_all_due(list: &mut Checklist) {
        for at in list.due() {
            list.note(at, Found::Holds);
        }
    }

    #[test]
    fn daemons_come_before_names_and_names_before_requests() {
        let mut list = list();
        // Origin, two index daemons, two proxies, one name server.
        assert_eq!(list.due().len(), 6);
        hold_all_due(&mut list);
        assert_eq!(list.due().len(), 1);
        assert!(list.progress().contains("dns ns1"), "{}", list.progress());
        hold_all_due(&mut list);
        assert_eq!(list.due().len(), 2);
        hold_all_due(&mut list);
        assert!(list.complete() && list.due().is_empty());
    }

    #[test]
    fn names_add_up_over_several_answers_and_strangers_do_not_count() {
        let mut list = list();
        hold_all_due(&mut list);
        let at = list.due()[0];
        let address = |last| Ipv4Addr::new(127, 0, 0, last);
        list.note(at, Found::Named(BTreeSet::from([address(11), address(99)])));
        assert_eq!(
            list.items[at].lacks.as_deref(),
            Some("has named 1 of 2 proxies")
        );
        list.note(at, Found::Named(BTreeSet::from([address(12)])));
        assert_eq!(list.items[at].lacks, None);
    }

    #[test]
    fn what_was_due_is_named_and_the_first_has_its_last_words() {
        let mut list = list();
        list.note(0, Found::Holds);
        list.note(1, Found::Lacks("not ready: no neighbours".to_owned()));
        let text = list.missing(|log| vec![format!("end of {}", log.display())]);
        let expected = "\n    dht node1: not ready: no neighbours\
            \n        log: end of /tmp/x/node1-dht.log\
            \n    dht node2: not asked yet";
        assert!(text.starts_with(expected), "{text}");
        assert!(!text.contains("no request sent yet"), "{text}");
    }
}
