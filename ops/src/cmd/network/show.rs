//! How moves look to people, and to programs: what would change, who cannot go, how far each node is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Fleet, StatusArgs};
use crate::engine::network::diff::{diff, text};
use crate::engine::network::plan::{self, Lot, Planned};
use crate::engine::network::refusal::Refusal;
use crate::engine::network::seen::{Arrival, NodeSeen};
use crate::engine::network::stand::{Stand, setting};
use crate::engine::network::{Releases, Step};
use crate::outcome::{Exit, Failure, Outcome};
use crate::render::{Align, Table};
use crate::say;

/// Without a call for longer than this a node counts as silent, in milliseconds: several calls were due.
const SILENT_MS: u64 = 120_000;

/// Nodes of a refusal that are named for each reason. The rest is counted.
const NAMED: usize = 8;

/// What would be ordered.
pub(super) fn plan(planned: &[Planned], as_json: bool) -> String {
    if as_json {
        let all: Vec<(&Planned, Option<String>)> = planned.iter().map(|one| (one, None)).collect();
        return outcome(&all);
    }
    let mut lines = String::new();
    for one in planned {
        let from = one.from.map_or("-", Step::as_str);
        let name = &one.node.name;
        match (&one.lot, &one.node.desired) {
            (Lot::Move(change), Some(before)) => {
                lines.push_str(&format!("{name}: {from}; would be ordered\n"));
                lines.push_str(&text(&diff(&before.daemons, &change.daemons)));
            }
            (Lot::LeftOut(why), _) => {
                lines.push_str(&format!("{name}: left out: {}\n", why.what()))
            }
            _ => lines.push_str(&format!("{name}: {from} already\n")),
        }
    }
    lines.trim_end().to_owned()
}

/// Says who takes no part.
pub(super) fn left_out(planned: &[Planned]) {
    for one in planned {
        if let Lot::LeftOut(why) = one.lot {
            say::note(&format!("{} is left out: {}", one.node.name, why.what()));
        }
    }
}

/// What was planned for each node, and what did not come of it, as JSON.
pub(super) fn outcome(all: &[(&Planned, Option<String>)]) -> String {
    let one = |(planned, failed): &(&Planned, Option<String>)| {
        let (lot, why) = match (&planned.lot, failed) {
            (_, Some(why)) => ("failed", json!(why)),
            (Lot::Move(_), None) => ("moved", Value::Null),
            (Lot::Already, None) => ("already", Value::Null),
            (Lot::Beyond, None) => ("beyond", Value::Null),
            (Lot::LeftOut(why), None) => ("left_out", json!(why.as_str())),
            (Lot::Refused(why), None) => ("refused", json!(why.as_str())),
        };
        let changes = match (&planned.lot, &planned.node.desired) {
            (Lot::Move(change), Some(before)) => json!(diff(&before.daemons, &change.daemons)),
            _ => json!([]),
        };
        let node = &planned.node;
        json!({ "node": node.name, "key": node.key, "cluster": node.cluster, "from": planned.from, "lot": lot,
            "why": why, "changes": changes })
    };
    let all: Vec<Value> = all.iter().map(one).collect();
    serde_json::to_string_pretty(&json!({ "nodes": all })).unwrap_or_default()
}

/// Nodes by what speaks against their going on.
fn grouped<'a>(refused: &[(&'a str, &'a Refusal)]) -> Vec<(String, &'a Refusal)> {
    let mut groups: BTreeMap<String, (Vec<&str>, &Refusal)> = BTreeMap::new();
    for (name, reason) in refused {
        let group = groups.entry(reason.what());
        group.or_insert((Vec::new(), reason)).0.push(name);
    }
    let one = |(what, (names, reason)): (String, (Vec<&str>, &'a Refusal))| {
        let more = names.len().saturating_sub(NAMED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let named: Vec<&str> = names.into_iter().take(NAMED).collect();
        (format!("{}{more}: {what}", named.join(", ")), reason)
    };
    groups.into_iter().map(one).collect()
}

/// Nobody was ordered anything, because of these.
pub(super) fn refusal(refused: &[(&str, &Refusal)]) -> Failure {
    let groups = grouped(refused);
    for (who, reason) in groups.iter().skip(1) {
        say::note(&format!("{who} ({}): {}", reason.as_str(), reason.advice()));
    }
    let first = groups.into_iter().next();
    let (what, advice) = first.map_or((String::new(), ""), |(who, reason)| {
        (
            format!("{who} ({}); nothing was ordered", reason.as_str()),
            reason.advice(),
        )
    });
    Failure::failed(what, advice)
}

/// What is waited for before anybody is ordered anything, in a line.
pub(super) fn waits(refused: &[(&str, &Refusal)]) -> String {
    let groups: Vec<String> = grouped(refused).into_iter().map(|(who, _)| who).collect();
    format!("waiting: {}", groups.join("; "))
}

/// Shows how far each node is.
pub(super) async fn status(args: &StatusArgs) -> Outcome {
    let mut fleet = Fleet::read(&args.controller).await?;
    let nodes = fleet.choose(&args.nodes, &args.cluster)?;
    let rows: Vec<Row> = nodes
        .iter()
        .map(|node| Row::of(node, &fleet.releases))
        .collect();
    if args.json {
        let all: Vec<Value> = rows.iter().map(Row::json).collect();
        let all = json!({ "nodes": all });
        say::result(&serde_json::to_string_pretty(&all).unwrap_or_default());
    } else {
        say::result(&table(&rows));
    }
    let well = rows.iter().all(|row| row.there);
    Ok(if well { Exit::Ok } else { Exit::Degraded })
}

/// How the old index of a node leaves, where it says so.
fn leaving(node: &NodeSeen, stand: &Stand<'_>) -> String {
    let Some(leaving) = node.leaving(stand.old.0) else {
        return String::new();
    };
    let count = leaving.straggler_count;
    match (&leaving.left, leaving.asked_per_ks) {
        (Some(why), _) => format!("the old index has left ({why})"),
        (None, _) if count > 0 => {
            let more = count.saturating_sub(leaving.stragglers.len() as u64);
            let more = match more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("stragglers: {}{more}", leaving.stragglers.join(", "))
        }
        (None, None) => "the old index looks who is left".to_owned(),
        (None, Some(_)) if stand.step == Step::Drained => {
            "the old index is still asked, or quiet for not long enough".to_owned()
        }
        (None, Some(_)) => String::new(),
    }
}

/// A node's line.
struct Row {
    name: String,
    cluster: String,
    step: Option<Step>,
    there: bool,
    /// What is waited for, or why it is at no step.
    notes: String,
    old: String,
    new: String,
}

impl Row {
    fn of(node: &NodeSeen, releases: &Releases) -> Self {
        let (there, mut notes) = match node.arrival(None) {
            Arrival::There => (true, String::new()),
            Arrival::OnItsWay(wait) => (false, wait.text()),
            Arrival::FellBack(daemon) => (false, format!("fell back: {daemon} did not stay up")),
        };
        let silent = node.seen_ms_ago.is_none_or(|ago| ago > SILENT_MS);
        let there = there && !silent;
        let stand = plan::stand(node, releases).map(|(stand, _)| stand);
        match &stand {
            _ if silent => "has not called of late".clone_into(&mut notes),
            Err(Lot::LeftOut(why)) => why.what().clone_into(&mut notes),
            Err(Lot::Refused(why)) => notes = why.what(),
            Ok(stand) if there => notes = leaving(node, stand),
            _ => {}
        }
        let index = |stand: &Stand<'_>, new: bool| {
            let found = if new { stand.new } else { Some(stand.old) };
            found.map_or_else(
                || "-".to_owned(),
                |(name, wanted)| {
                    let at = setting(wanted, releases, "udp.listen").unwrap_or("-");
                    format!("{name} {} {at}", wanted.release)
                },
            )
        };
        let stand = stand.ok();
        let either = |new| {
            stand
                .as_ref()
                .map_or_else(|| "-".to_owned(), |stand| index(stand, new))
        };
        Self {
            name: node.name.clone(),
            cluster: node.cluster.clone(),
            step: stand.map(|stand| stand.step),
            there,
            notes,
            old: either(false),
            new: either(true),
        }
    }

    fn json(&self) -> Value {
        json!({ "node": self.name, "cluster": self.cluster, "step": self.step, "there": self.there,
            "notes": self.notes, "index": self.old, "new_index": self.new })
    }
}

/// The nodes for people, and how many are at each step.
fn table(rows: &[Row]) -> String {
    let mut table = Table::new(&[
        ("node", Align::Left),
        ("cluster", Align::Left),
        ("step", Align::Left),
        ("index", Align::Left),
        ("new index", Align::Left),
        ("notes", Align::Left),
    ]);
    let mut counts: BTreeMap<Step, usize> = BTreeMap::new();
    for row in rows {
        if let Some(step) = row.step {
            *counts.entry(step).or_default() += 1;
        }
        table.row([
            row.name.clone(),
            row.cluster.clone(),
            row.step.map_or("-", Step::as_str).to_owned(),
            row.old.clone(),
            row.new.clone(),
            row.notes.clone(),
        ]);
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(step, n)| format!("{n} {}", step.as_str()))
        .collect();
    format!("{}\n\n{}", table.to_text(), counts.join(", "))
}
