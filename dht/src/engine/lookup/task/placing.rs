//! The second half of a task: whom a value is left with, and what that comes to.

use super::{Stage, Task};
use crate::engine::lookup::insert::Placement;
use crate::engine::lookup::{Goal, Report, Step};
use crate::engine::message::Ask;
use crate::engine::routing::Entry;
use crate::refusal::Refusal;

/// Closest nodes of the world that a value is withdrawn from.
const WITHDRAWN_AT: usize = 4;

/// Nodes that hold a value at each level inside the world.
const COPIES_INNER: usize = 1;

impl Task {
    /// Copies at every level walked, `held` having one already.
    pub(super) fn placement(&self, held: &[Entry]) -> Placement {
        let known = self.known.iter().copied();
        let mut placement = Placement::new().at(0, known, self.known.len());
        for level in (self.walk.level()..=self.span.innermost).rev() {
            let takes = |entry: &Entry| !self.avoided.contains(&entry.id);
            let queue: Vec<_> = self.walk.reached(level).filter(takes).collect();
            let copies = match level {
                0 if self.walk.is_halted() => 1,
                // All that may have been handed it.
                0 if self.goal == Goal::Withdraw => queue.len().min(WITHDRAWN_AT),
                0 => self.replicas,
                // A cluster of this node alone has nobody to look there.
                _ if !self.walk.has_company(level, self.own.id) => 0,
                _ => COPIES_INNER,
            };
            let here = queue
                .iter()
                .take(copies)
                .filter(|entry| held.contains(entry))
                .count();
            let queue = queue.into_iter().filter(|entry| !held.contains(entry));
            placement = placement.at(level, queue, copies - here);
        }
        placement
    }

    pub(super) fn advance_placement(&mut self) {
        let claims = matches!(self.stage, Stage::Placing(_));
        loop {
            let (Stage::Placing(placement) | Stage::Copying(placement)) = &mut self.stage else {
                return;
            };
            let Some((entry, level)) = placement.next() else {
                break;
            };
            let ask = self.place_ask(claims || level > 0);
            let step = if entry.id == self.own.id {
                Step::AskSelf(ask)
            } else {
                Step::Ask(entry, level, ask)
            };
            self.steps.push_back(step);
        }
        self.placed();
    }

    fn placed(&mut self) {
        let (Stage::Placing(placement) | Stage::Copying(placement)) = &self.stage else {
            return;
        };
        if !placement.is_over() {
            return;
        }
        let refusal = placement.refusal();
        self.places.extend_from_slice(placement.places());
        let shed = self.walk.is_halted() && !self.avoided.is_empty();
        let failure = refusal.unwrap_or(if shed {
            Refusal::Loaded
        } else {
            Refusal::Unreachable
        });
        let copying = matches!(self.stage, Stage::Copying(_));
        let report = match &self.goal {
            _ if copying => None,
            Goal::Withdraw => Some(Report::Withdrawn),
            Goal::Put { .. } if !self.places.is_empty() => Some(Report::Stored),
            _ => Some(Report::Refused(failure)),
        };
        self.finish(report);
    }

    /// What a placing task asks. `decides`: a claim is made as one, not copied.
    fn place_ask(&self, decides: bool) -> Ask {
        let key = self.key;
        match &self.goal {
            Goal::Claim { value, ttl } if decides => Ask::Claim {
                key,
                value: value.clone(),
                ttl: *ttl,
            },
            Goal::Put { value, ttl } | Goal::Claim { value, ttl } => Ask::Put {
                key,
                value: value.clone(),
                ttl: *ttl,
            },
            Goal::Withdraw | Goal::Get { .. } | Goal::Find => Ask::Withdraw { key },
        }
    }
}
