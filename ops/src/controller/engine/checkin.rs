//! A node's report comes in: what changed, and what the node is told.

use common::clock::Moment;

use super::reason::DeskReason;
use super::{Desk, EventKind, Row, STRANGERS_MAX, event};
use crate::engine::document::Signed;
use crate::engine::document::intent::Intent;
use crate::engine::document::report::Report;

impl Desk {
    /// Takes a report in, and gives the rows that follow from it. They are applied already.
    ///
    /// # Errors
    /// The node is not enrolled or not the report's signer, or the report was here before.
    pub fn report(&mut self, report: &Signed<Report>, now: Moment) -> Result<Vec<Row>, DeskReason> {
        let said = &report.body;
        let Some(node) = self.nodes.get_mut(&said.node) else {
            self.meet(report, now);
            return Err(DeskReason::UnknownNode);
        };
        if report.signer != said.node {
            return Err(DeskReason::UnknownNode);
        }
        let before = node.report.replace(said.clone());
        let replayed = before
            .as_ref()
            .is_some_and(|before| (before.boot, before.count) >= (said.boot, said.count));
        if replayed {
            node.report = before;
            return Err(DeskReason::Replayed);
        }
        node.seen = Some(now);
        let ours = node
            .row
            .intent
            .as_ref()
            .map_or(0, |intent| intent.body.serial);
        let mut rows = changes(before.as_ref(), said, ours);
        rows.push(Row::Observed(Box::new(said.clone())));
        Ok(rows)
    }

    /// The order that a node has yet to accept.
    #[must_use]
    pub fn news(&self, report: &Report) -> Option<&Signed<Intent>> {
        let intent = self.nodes.get(&report.node)?.row.intent.as_ref()?;
        (report.accepted != Some(intent.body.serial)).then_some(intent)
    }

    /// Remembers who called without being enrolled. Where there is no room, the one that called longest ago
    /// is forgotten: a node that waits to be enrolled calls again.
    fn meet(&mut self, report: &Signed<Report>, now: Moment) {
        let key = report.body.node;
        if report.signer != key {
            return;
        }
        self.strangers.insert(key, (report.body.name.clone(), now));
        if self.strangers.len() > STRANGERS_MAX {
            let others = self.strangers.iter().filter(|(other, _)| **other != key);
            let oldest = others.min_by_key(|(_, (_, seen))| *seen);
            let oldest = oldest.map(|(oldest, _)| *oldest);
            oldest.and_then(|oldest| self.strangers.remove(&oldest));
        }
    }
}

/// The events between two reports of a node, of which the controller ordered up to serial `ours`.
fn changes(before: Option<&Report>, after: &Report, ours: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut say = |kind, detail: String| rows.push(event(after.node, kind, detail));
    let was = |field: fn(&Report) -> Option<u64>| before.and_then(field);
    if let Some(serial) = after.in_force
        && was(|report| report.in_force) != Some(serial)
    {
        say(EventKind::InForce, format!("intent {serial}"));
    }
    if let Some(accepted) = after.accepted.filter(|accepted| *accepted > ours)
        && was(|report| report.accepted) != Some(accepted)
    {
        say(
            EventKind::Ahead,
            format!("accepted intent {accepted}, ordered were {ours}"),
        );
    }
    if let Some(fallen) = &after.fallen
        && before.and_then(|before| before.fallen.as_ref()) != Some(fallen)
    {
        let detail = format!("{} {} did not stay up", fallen.daemon, fallen.release);
        say(EventKind::FellBack, detail);
    }
    if let Some(reason) = after.refused
        && before.and_then(|before| before.refused) != Some(reason)
    {
        say(EventKind::Refused, reason.as_str().to_owned());
    }
    match (before.and_then(|before| before.held.as_ref()), &after.held) {
        (None, Some(why)) => say(EventKind::Held, why.clone()),
        (Some(_), None) => say(EventKind::Resumed, String::new()),
        (None, None) | (Some(_), Some(_)) => {}
    }
    for (name, daemon) in &after.daemons {
        let same_agent = before.filter(|before| before.boot == after.boot);
        let counted = same_agent.and_then(|before| before.daemons.get(name));
        let more = daemon
            .crashes
            .saturating_sub(counted.map_or(0, |counted| counted.crashes));
        if more > 0 {
            say(
                EventKind::Crashed,
                format!("{name} {} {more}x", daemon.release),
            );
        }
    }
    rows
}
