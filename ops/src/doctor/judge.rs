//! From facts to findings.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Agent, Answer, Check, FREE_LEAST_PERCENT, Facts, Finding, Room, SKEW_MAX, Severity, skewed,
};
use crate::cluster::layout::Kind;
use crate::engine::document::refusal::RefusalReason;

/// An agent's controller is silent if it did not answer for so long, in milliseconds: several calls were due.
const SILENT_MS: u64 = 180_000;

/// All that is wrong with these daemons, the worst first.
#[must_use]
pub fn judge(facts: &[Facts]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = facts.iter().flat_map(of_one).collect();
    findings.extend(networks(facts));
    findings.sort();
    findings
}

fn of_one(facts: &Facts) -> Vec<Finding> {
    let mut found = Found {
        whom: facts.whom(),
        findings: Vec::new(),
    };
    match &facts.answer {
        Answer::Gone(why) => {
            let advice =
                "start it, or see why it does not start: its log, and `atoll config check`";
            found.wrong(Check::Daemon, format!("does not answer: {why}"), advice);
            return found.findings;
        }
        Answer::NotReady(why) if why.contains("draining") => {
            let advice = "`atoll drain --undo` takes it back, if nobody is working on it";
            found.warn(Check::Daemon, "is draining, nobody is sent there", advice);
        }
        Answer::NotReady(why) => {
            let advice = "see what else is found here; it says itself what it lacks";
            found.wrong(Check::Daemon, why.clone(), advice);
        }
        Answer::Ready => {}
    }
    for (port, why) in &facts.shut {
        let advice =
            "open it in the firewall, and see that the daemon listens where it is announced";
        found.wrong(
            Check::Port,
            format!("{port} does not answer: {why}"),
            advice,
        );
    }
    if let Some(skew) = facts.skew.filter(|skew| *skew > SKEW_MAX) {
        let what = format!(
            "its clock and this machine's differ by {} s",
            skew.as_secs()
        );
        let advice = "see that NTP runs on both; certificates and orders are judged by the clock";
        found.wrong(Check::Clock, what, advice);
    }
    disk(facts, &mut found);
    peers(facts, &mut found);
    found.findings
}

fn disk(facts: &Facts, found: &mut Found) {
    let failing = &facts.state["disk"]["failing"];
    if failing.is_object() {
        let what = format!(
            "cannot use its disk: {} ({}), for {} s",
            failing["what"].as_str().unwrap_or("it fails"),
            failing["error"].as_str().unwrap_or("no reason given"),
            failing["for_s"]
        );
        let advice = match facts.kind {
            Kind::Dht => {
                "make room or mend the disk; until then a restart begins with what was written last"
            }
            _ => "make room or mend the disk; until then it serves from memory alone",
        };
        found.wrong(Check::Disk, what, advice);
    }
    let advice = match facts.kind {
        Kind::Dht => {
            "make room: what it remembers for a restart is not written where there is none"
        }
        _ => "make room, or give it less with store.disk",
    };
    full(facts.room.as_ref(), advice, found);
}

fn full(room: Option<&Room>, advice: &str, found: &mut Found) {
    let little = |room: &&Room| room.free_percent < FREE_LEAST_PERCENT;
    if let Some(room) = room.filter(little) {
        let what = format!("{} has {} % free", room.dir, room.free_percent);
        found.wrong(Check::Disk, what, advice);
    }
}

/// What is wrong where an agent writes.
#[must_use]
pub fn judge_room(room: Option<&Room>) -> Vec<Finding> {
    let mut found = Found {
        whom: "agent".to_owned(),
        findings: Vec::new(),
    };
    let advice = "make room: the node goes on as it is, and follows no order meanwhile";
    full(room, advice, &mut found);
    found.findings
}

fn peers(facts: &Facts, found: &mut Found) {
    match facts.kind {
        Kind::Dht => index_peers(facts, found),
        Kind::Proxy => {
            if facts.state["index"].is_object() && facts.state["index"]["registered"] != true {
                let advice = "see that the index daemon runs, and that index.socket is its socket";
                found.wrong(Check::Peers, "its index does not know of it", advice);
            }
            let blamed = facts.state["peers_blamed"].as_array();
            for one in blamed.into_iter().flatten() {
                let word = |name: &str| one[name].as_str().unwrap_or("-").to_owned();
                let what = format!("avoids the peer {}: {}", word("peer"), word("reason"));
                found.warn(Check::Peers, what, "run the doctor at that peer");
            }
        }
        Kind::Dns => {
            let proxies = facts.state["proxies"].as_array();
            let live = |one: &&Value| one["state"] == "live";
            if proxies.is_some_and(|all| all.iter().filter(live).count() == 0) {
                let advice = "see `atoll status`: what its checks of each proxy found";
                found.wrong(Check::Peers, "it finds no proxy alive", advice);
            }
        }
        Kind::Origin => {}
    }
}

fn index_peers(facts: &Facts, found: &mut Found) {
    let contacts = facts.state["contacts"].as_array();
    let live = contacts.map(|all| all.iter().filter(|one| one["failed"] != true).count());
    let dropped = |reason: &str| {
        let label = format!("reason=\"{reason}\"");
        facts
            .figures
            .sum_where("atoll_dht_datagrams_dropped_total", &label)
            .unwrap_or(0.0)
    };
    let others = dropped("other_network");
    match live {
        Some(0) if others > 0.0 => {
            let what = format!(
                "knows nobody, and dropped {others:.0} datagrams of another network: its secret is not \
                 that of the others"
            );
            let advice = "give it the same network.secret_file as the others, and restart it";
            found.wrong(Check::Secret, what, advice);
        }
        Some(0) => {
            let advice = "check join.seeds, that UDP reaches them and comes back, and the secret: a node \
                with another secret gets no answer at all";
            found.wrong(Check::Peers, "knows no other node", advice);
        }
        Some(_) if others > 0.0 => {
            let what = format!("dropped {others:.0} datagrams of another network");
            let advice = "a node has another secret, or another version during a rollout: run the doctor \
                at the nodes that `atoll peers` does not list";
            found.warn(Check::Secret, what, advice);
        }
        _ => {}
    }
    if dropped("tag") > 0.0 {
        let what = format!(
            "dropped {:.0} datagrams whose proof was false",
            dropped("tag")
        );
        let advice =
            "somebody forges them, or a link damages them: nothing to do while it stays rare";
        found.warn(Check::Secret, what, advice);
    }
}

/// Indexes under different secrets: the smaller part is wrong.
fn networks(facts: &[Facts]) -> Vec<Finding> {
    let mut networks: BTreeMap<&str, Vec<&Facts>> = BTreeMap::new();
    for one in facts {
        let told = one.state["network"].as_str();
        if let Some(network) = told.filter(|_| one.kind == Kind::Dht) {
            networks.entry(network).or_default().push(one);
        }
    }
    let most = networks.values().map(Vec::len).max().unwrap_or(0);
    let mut majority = true;
    let mut findings = Vec::new();
    for (network, members) in &networks {
        // The first of the largest counts as right.
        if members.len() == most && std::mem::take(&mut majority) {
            continue;
        }
        findings.extend(members.iter().map(|one| Finding {
            severity: Severity::Wrong,
            check: Check::Secret,
            whom: one.whom(),
            what: format!("is in the network {network}, and {most} others are in another one"),
            advice: "give it the same network.secret_file as the others, and restart it; versions that do \
                not understand each other differ too, during a rollout"
                .to_owned(),
        }));
    }
    findings
}

/// What is wrong with an agent.
#[must_use]
pub fn judge_agent(agent: &Agent) -> Vec<Finding> {
    let mut found = Found {
        whom: "agent".to_owned(),
        findings: Vec::new(),
    };
    let view = match agent {
        Agent::Gone(why) => {
            let advice = "start it with `atoll agent`; what it started goes on meanwhile";
            found.wrong(Check::Daemon, format!("does not answer: {why}"), advice);
            return found.findings;
        }
        Agent::Here(view) => view,
    };
    if let Some((reason, ms)) = &view.refused {
        let what = format!(
            "refused the last order, {} s ago: {}",
            ms / 1_000,
            reason.as_str()
        );
        let check = match reason {
            RefusalReason::NotKept => Check::Disk,
            _ => Check::Serial,
        };
        found.wrong(check, what, refusal_advice(*reason));
    }
    if let Some(seconds) = skewed(view.controller_ahead_s) {
        let apart = seconds.unsigned_abs();
        let what = format!("its controller's clock and its own differ by {apart} s");
        let advice = "see that NTP runs on both; orders are followed all the same";
        found.warn(Check::Clock, what, advice);
    }
    match (&view.failing, view.answered_ms_ago) {
        (Some((why, ms)), _) if *ms > SILENT_MS => {
            let what = format!("its controller is silent for {} s: {why}", ms / 1_000);
            let advice = "see that the controller runs and is reached; the node goes on as it is";
            found.warn(Check::Serial, what, advice);
        }
        _ => {}
    }
    if view.report.fallen.is_some() {
        let advice =
            "see the daemons' logs; the order before it is in force, and a new one is taken";
        found.wrong(
            Check::Serial,
            "the last order did not hold and was taken back",
            advice,
        );
    }
    if let Some(held) = &view.report.held {
        let what = format!("is held: {held}");
        found.warn(
            Check::Serial,
            what,
            "`atoll resume` lets it follow its controller again",
        );
    }
    found.findings
}

const fn refusal_advice(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::OlderSerial => {
            "the controller forgot what it ordered, or was restored from an old backup: give a new order"
        }
        RefusalReason::NotKept => {
            "make room or mend the disk of its --state directory; it tries again by itself"
        }
        _ => "see docs/operating/agent.md for the word, and `atoll events` at the controller",
    }
}

struct Found {
    whom: String,
    findings: Vec<Finding>,
}

impl Found {
    fn wrong(&mut self, check: Check, what: impl Into<String>, advice: &str) {
        self.add(Severity::Wrong, check, what.into(), advice);
    }

    fn warn(&mut self, check: Check, what: impl Into<String>, advice: &str) {
        self.add(Severity::Warning, check, what.into(), advice);
    }

    fn add(&mut self, severity: Severity, check: Check, what: String, advice: &str) {
        self.findings.push(Finding {
            severity,
            check,
            whom: self.whom.clone(),
            what,
            advice: advice.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::figures::Figures;

    fn index(name: &str, network: &str, contacts: usize, strangers: u32) -> Facts {
        let contact = json!({ "failed": false });
        let text =
            format!("atoll_dht_datagrams_dropped_total{{reason=\"other_network\"}} {strangers}\n");
        Facts {
            kind: Kind::Dht,
            name: name.to_owned(),
            answer: Answer::Ready,
            shut: Vec::new(),
            skew: Some(Duration::ZERO),
            state: json!({ "network": network, "contacts": vec![contact; contacts] }),
            figures: Figures::parse(&text),
            room: None,
        }
    }

    fn words(findings: &[Finding]) -> Vec<(Severity, Check, &str)> {
        let word = |one: &'_ Finding| (one.severity, one.check);
        findings
            .iter()
            .map(|one| (word(one).0, word(one).1, &*one.whom))
            .collect()
    }

    #[test]
    fn a_node_that_is_well_has_no_findings() {
        assert_eq!(judge(&[index("a", "1", 2, 0), index("b", "1", 2, 0)]), []);
    }

    #[test]
    fn the_node_with_another_secret_is_named_and_not_the_others() {
        let facts = [
            index("a", "1", 1, 0),
            index("b", "1", 1, 0),
            index("c", "9", 0, 0),
        ];
        let findings = judge(&facts);
        assert_eq!(
            words(&findings),
            [
                (Severity::Wrong, Check::Secret, "dht c"),
                (Severity::Wrong, Check::Peers, "dht c"),
            ]
        );
    }

    #[test]
    fn a_lone_node_learns_of_its_secret_from_what_it_drops() {
        let findings = judge(&[index("c", "9", 0, 12)]);
        assert_eq!(
            words(&findings),
            [(Severity::Wrong, Check::Secret, "dht c")]
        );
        let findings = judge(&[index("a", "1", 3, 12)]);
        assert_eq!(
            words(&findings),
            [(Severity::Warning, Check::Secret, "dht a")]
        );
    }

    #[test]
    fn disk_clock_ports_and_silence_are_found() {
        let proxy = Facts {
            kind: Kind::Proxy,
            shut: vec![("TCP 192.0.2.1:80".to_owned(), "refused".to_owned())],
            skew: Some(SKEW_MAX + Duration::from_secs(1)),
            state: json!({
                "disk": { "failing": { "what": "full", "error": "ENOSPC", "for_s": 3 } },
                "index": { "registered": false },
                "peers_blamed": [{ "peer": "192.0.2.2:81", "reason": "digest" }],
            }),
            room: Some(Room {
                dir: "/var/cache/atoll".to_owned(),
                free_percent: FREE_LEAST_PERCENT - 1,
            }),
            ..index("a", "1", 0, 0)
        };
        let gone = Facts {
            answer: Answer::Gone("refused".to_owned()),
            ..index("b", "1", 1, 0)
        };
        let findings = judge(&[proxy, gone]);
        let checks: Vec<_> = findings.iter().map(|one| one.check).collect();
        assert_eq!(
            checks,
            [
                Check::Daemon,
                Check::Port,
                Check::Clock,
                Check::Disk,
                Check::Disk,
                Check::Peers,
                Check::Peers,
            ]
        );
        assert!(findings.iter().all(|one| !one.advice.is_empty()));
    }

    #[test]
    fn an_agent_that_does_not_answer_is_wrong() {
        let findings = judge_agent(&Agent::Gone("no socket".to_owned()));
        assert_eq!(
            words(&findings),
            [(Severity::Wrong, Check::Daemon, "agent")]
        );
    }
}
