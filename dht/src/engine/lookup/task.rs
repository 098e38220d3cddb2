//! One task: its stages and what moves it from one to the next.
//!
//! Walking asks towards the key; placing asks the closest nodes reached to hold the value; a
//! granted claim is copied while its owner already has the answer.

use std::collections::{BTreeSet, VecDeque};

use common::ids::{Key, NodeId};

use super::insert::Placement;
use super::walk::Walk;
use super::{Goal, Report, Step};
use crate::engine::config::LookupConfig;
use crate::engine::message::{Ask, Say};
use crate::engine::routing::Entry;
use crate::engine::stats::Lookup;
use crate::refusal::Refusal;
use crate::value::Value;

/// Values asked for by the walk of a claim: one is enough to know that the key is taken, a few
/// give the loser a choice of whom to fetch from.
const CLAIM_WANTS: u8 = 4;

// Walking ⇒ (Placing | Over); Placing ⇒ (Copying | Over); Copying ⇒ Over
#[derive(Clone, Debug)]
enum Stage {
    Walking(Walk),
    Placing(Placement),
    /// A granted claim is copied in the background: the owner has its answer.
    Copying(Placement),
    Over,
}

/// A task.
#[derive(Clone, Debug)]
pub struct Task {
    key: Key,
    level: u8,
    own: Entry,
    replicas: usize,
    goal: Goal,
    stage: Stage,
    seen: BTreeSet<NodeId>,
    places: Vec<NodeId>,
    steps: VecDeque<Step>,
}

impl Task {
    /// A task that walks towards `key` from `start`. `with_self`: this node's own store counts.
    #[must_use]
    pub fn new(
        config: &LookupConfig,
        (key, level): (Key, u8),
        own: Entry,
        with_self: bool,
        goal: Goal,
        start: impl IntoIterator<Item = Entry>,
    ) -> Self {
        let mut walk = Walk::new(key, config.window, config.settle);
        start.into_iter().for_each(|entry| walk.offer(entry));
        if with_self {
            walk.settle_at(own);
        }
        let mut task = Self::at_stage(config, (key, level), own, goal, Stage::Walking(walk));
        let asks_self = with_self && matches!(task.goal, Goal::Get { .. } | Goal::Claim { .. });
        if asks_self {
            // The own store comes first: what it holds costs no packet.
            task.steps.push_back(Step::AskSelf(task.walk_ask()));
        } else {
            task.advance();
        }
        task
    }

    /// A withdrawal from nodes known to hold the value.
    #[must_use]
    pub fn withdraw_from(
        config: &LookupConfig,
        (key, level): (Key, u8),
        own: Entry,
        places: Vec<Entry>,
    ) -> Self {
        let all = places.len();
        let stage = Stage::Placing(Placement::new(places, all));
        let mut task = Self::at_stage(config, (key, level), own, Goal::Withdraw, stage);
        task.advance();
        task
    }

    fn at_stage(
        config: &LookupConfig,
        (key, level): (Key, u8),
        own: Entry,
        goal: Goal,
        stage: Stage,
    ) -> Self {
        Self {
            key,
            level,
            own,
            replicas: config.replicas.max(1),
            goal,
            stage,
            seen: BTreeSet::new(),
            places: Vec::new(),
            steps: VecDeque::new(),
        }
    }

    /// What it is for.
    #[must_use]
    pub const fn goal(&self) -> &Goal {
        &self.goal
    }

    /// Its key.
    #[must_use]
    pub const fn key(&self) -> Key {
        self.key
    }

    /// Its level.
    #[must_use]
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// For counting.
    #[must_use]
    pub const fn lookup(&self) -> Lookup {
        self.goal.lookup()
    }

    /// Where the value is placed, once the task is over.
    #[must_use]
    pub fn places(&self) -> &[NodeId] {
        &self.places
    }

    /// The next step; `None` until something comes back.
    pub fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// A node was mentioned.
    pub fn offer(&mut self, entry: Entry) {
        if let Stage::Walking(walk) = &mut self.stage {
            walk.offer(entry);
        }
    }

    /// `from`, possibly this node, replied.
    pub fn answered(&mut self, from: NodeId, say: &Say) {
        match &mut self.stage {
            Stage::Walking(walk) => {
                match say {
                    Say::Refused(_) => walk.failed(from),
                    _ => walk.answered(from),
                }
                if let Say::Values { values, .. } = say {
                    self.found(values);
                }
            }
            Stage::Placing(placement) | Stage::Copying(placement) => match say {
                Say::Stored | Say::Withdrawn => placement.placed(from),
                Say::Granted => {
                    placement.placed(from);
                    self.granted();
                }
                Say::Refused(refusal) => placement.refused(from, *refusal),
                Say::Values { values, .. } => self.found(values),
                // Not a reply to what was asked: as good as none.
                Say::Pong { .. } | Say::Nodes { .. } => placement.failed(from),
            },
            Stage::Over => {}
        }
        self.advance();
    }

    /// `id` did not answer.
    pub fn failed(&mut self, id: NodeId) {
        match &mut self.stage {
            Stage::Walking(walk) => walk.failed(id),
            Stage::Placing(placement) | Stage::Copying(placement) => placement.failed(id),
            Stage::Over => {}
        }
        self.advance();
    }

    /// `id` takes long.
    pub fn slow(&mut self, id: NodeId) {
        if let Stage::Walking(walk) = &mut self.stage {
            walk.slow(id);
        }
        self.advance();
    }

    /// Time is up: what there is counts.
    pub fn expire(&mut self) {
        self.steps.clear();
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        if let Stage::Placing(placement) | Stage::Copying(placement) = &stage {
            self.places = placement.places().to_vec();
        }
        let report = match (&self.goal, &stage) {
            (_, Stage::Over | Stage::Copying(_)) => None,
            (Goal::Get { .. }, _) if !self.seen.is_empty() => Some(Report::Values {
                values: Vec::new(),
                last: true,
            }),
            (Goal::Put { .. }, _) if !self.places.is_empty() => Some(Report::Stored),
            (Goal::Find, _) => Some(Report::Walked),
            _ => Some(Report::Refused(Refusal::Deadline)),
        };
        self.finish(report);
    }

    /// Values came in. Ends a claim if others have the key, and a get once there are enough.
    fn found(&mut self, values: &[Value]) {
        match &self.goal {
            Goal::Get { want } => {
                let new: Vec<_> = values
                    .iter()
                    .filter(|v| self.seen.insert(v.publisher))
                    .cloned()
                    .collect();
                let last = self.seen.len() >= *want;
                if last {
                    self.finish(Some(Report::Values { values: new, last }));
                } else if !new.is_empty() {
                    self.steps
                        .push_back(Step::Report(Report::Values { values: new, last }));
                }
            }
            Goal::Claim { .. } if !matches!(self.stage, Stage::Copying(_)) => {
                let own = self.own.id;
                let others: Vec<_> = values
                    .iter()
                    .filter(|v| v.publisher != own)
                    .cloned()
                    .collect();
                if !others.is_empty() {
                    self.finish(Some(Report::Taken(others)));
                }
            }
            Goal::Claim { .. } | Goal::Put { .. } | Goal::Withdraw | Goal::Find => {}
        }
    }

    // Placing ⇒ Copying
    fn granted(&mut self) {
        if let Stage::Placing(mut placement) = std::mem::replace(&mut self.stage, Stage::Over) {
            placement.want(self.replicas);
            self.stage = Stage::Copying(placement);
            self.steps.push_back(Step::Report(Report::Granted));
        }
    }

    /// Asks whom there is to ask; moves to the next stage when this one is through.
    fn advance(&mut self) {
        if let Stage::Walking(walk) = &mut self.stage {
            let mut next = Vec::new();
            while !walk.is_settled() {
                let Some(entry) = walk.next() else { break };
                next.push(entry);
            }
            let settled = walk.is_settled();
            let ask = self.walk_ask();
            self.steps
                .extend(next.into_iter().map(|entry| Step::Ask(entry, ask.clone())));
            if settled {
                self.settle();
            }
        }
        self.advance_placement();
    }

    // Walking ⇒ (Placing | Over)
    fn settle(&mut self) {
        let Stage::Walking(walk) = &self.stage else {
            return;
        };
        let reached: Vec<_> = walk.reached().collect();
        match &self.goal {
            Goal::Get { .. } => {
                self.finish(Some(Report::Values {
                    values: Vec::new(),
                    last: true,
                }));
            }
            Goal::Find => self.finish(Some(Report::Walked)),
            Goal::Put { .. } | Goal::Withdraw => {
                self.stage = Stage::Placing(Placement::new(reached, self.replicas));
            }
            Goal::Claim { .. } => self.stage = Stage::Placing(Placement::new(reached, 1)),
        }
    }

    fn advance_placement(&mut self) {
        if matches!(self.stage, Stage::Walking(_) | Stage::Over) {
            return;
        }
        let ask = self.place_ask();
        let (Stage::Placing(placement) | Stage::Copying(placement)) = &mut self.stage else {
            return;
        };
        while let Some(entry) = placement.next() {
            let own = entry.id == self.own.id;
            let step = if own {
                Step::AskSelf(ask.clone())
            } else {
                Step::Ask(entry, ask.clone())
            };
            self.steps.push_back(step);
        }
        if !placement.is_over() {
            return;
        }
        self.places = placement.places().to_vec();
        let failure = placement.refusal().unwrap_or(Refusal::Unreachable);
        let copying = matches!(self.stage, Stage::Copying(_));
        let report = match &self.goal {
            _ if copying => None,
            Goal::Withdraw => Some(Report::Withdrawn),
            Goal::Put { .. } if !self.places.is_empty() => Some(Report::Stored),
            _ => Some(Report::Refused(failure)),
        };
        self.finish(report);
    }

    // any ⇒ Over
    fn finish(&mut self, report: Option<Report>) {
        self.stage = Stage::Over;
        // Requests not yet sent are of no use any more; reports still are.
        self.steps.retain(|step| matches!(step, Step::Report(_)));
        self.steps.extend(report.map(Step::Report));
        self.steps.push_back(Step::Over);
    }

    fn walk_ask(&self) -> Ask {
        let key = self.key;
        match &self.goal {
            Goal::Get { want } => {
                let want = u8::try_from(*want).unwrap_or(u8::MAX).max(1);
                Ask::Get { key, want }
            }
            Goal::Claim { .. } => Ask::Get {
                key,
                want: CLAIM_WANTS,
            },
            Goal::Put { .. } | Goal::Withdraw | Goal::Find => Ask::Find { target: key },
        }
    }

    fn place_ask(&self) -> Ask {
        let key = self.key;
        match &self.goal {
            Goal::Claim { value, ttl } if matches!(self.stage, Stage::Placing(_)) => Ask::Claim {
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
