//! One task: its stages and what moves it from one to the next.
//!
//! Walking asks towards the key, level by level outward; placing asks the closest nodes reached at
//! each level to hold the value; a granted claim is copied while its owner already has the answer.
//!
//! A claim is decided at the closest node of the world and only then left inside the clusters: two
//! claimants who each held an inner claim before the outer one was decided could each be told of
//! the other, and nobody would fetch (docs/adr/0011).

mod placing;

use std::collections::{BTreeSet, VecDeque};

use common::ids::{Key, NodeId};

use super::insert::Placement;
use super::walk::{Lead, Steps, Walk, Warmth};
use super::{Goal, Report, Span, Step};
use crate::engine::config::LookupConfig;
use crate::engine::message::{Ask, Say};
use crate::engine::routing::Entry;
use crate::engine::stats::Lookup;
use crate::refusal::Refusal;
use crate::value::Value;

/// Values asked for by the walk of a claim: one is enough to know that the key is taken, a few
/// give the loser a choice of whom to fetch from.
const CLAIM_WANTS: u8 = 4;

/// Nodes of the world beyond those that hold a copy that a put waits for: one to go to if one of them
/// refuses. A get waits for as many as settle a walk, because a copy may have been handed on.
const PUT_SPARE: usize = 1;

// Walking ⇒ (Placing | Over); Placing ⇒ (Copying | Over); Copying ⇒ Over
#[derive(Clone, Debug)]
enum Stage {
    Walking,
    Placing(Placement),
    /// A granted claim is copied in the background: the owner has its answer.
    Copying(Placement),
    Over,
}

/// A task.
#[derive(Clone, Debug)]
pub struct Task {
    key: Key,
    own: Entry,
    span: Span,
    replicas: usize,
    goal: Goal,
    walk: Walk,
    stage: Stage,
    /// Publishers whose values were reported.
    seen: BTreeSet<NodeId>,
    /// Nodes that take nothing: full and loaded on the way, or silent or unwilling when asked.
    avoided: BTreeSet<NodeId>,
    places: Vec<Entry>,
    /// Places of a value to withdraw, known beforehand.
    known: Vec<Entry>,
    steps: VecDeque<Step>,
}

impl Task {
    /// A task that walks towards `key` from `start` over the levels of `span`. `with_self`: this
    /// node's own store counts.
    #[must_use]
    pub fn new(
        config: &LookupConfig,
        (key, span): (Key, Span),
        own: Entry,
        with_self: bool,
        goal: Goal,
        start: impl IntoIterator<Item = Lead>,
    ) -> Self {
        let mut config = *config;
        if matches!(goal, Goal::Put { .. }) {
            config.settle = config.settle.min(config.replicas.max(1) + PUT_SPARE);
        }
        let kinds = match goal {
            Goal::Get { .. } | Goal::Claim { .. } => Steps::Both,
            Goal::Put { .. } => Steps::SpliceFirst,
            Goal::Withdraw | Goal::Find => Steps::Greedy,
        };
        let mut walk = Walk::new(&config, own.id, key, span.innermost, kinds);
        start.into_iter().for_each(|lead| walk.offer(lead));
        if with_self {
            walk.settle_at(own, span.innermost);
        }
        let mut task = Self {
            key,
            own,
            span,
            replicas: config.replicas.max(1),
            goal,
            walk,
            stage: Stage::Walking,
            seen: BTreeSet::new(),
            avoided: BTreeSet::new(),
            places: Vec::new(),
            known: Vec::new(),
            steps: VecDeque::new(),
        };
        let asks = matches!(
            task.goal,
            Goal::Get { .. } | Goal::Claim { .. } | Goal::Put { .. }
        );
        if with_self && asks {
            // The own store comes first: what it holds costs no packet.
            task.steps.push_back(Step::AskSelf(task.walk_ask()));
        } else {
            task.advance();
        }
        task
    }

    /// A withdrawal from nodes known to hold the value.
    #[must_use]
    pub fn withdraw_from(config: &LookupConfig, key: Key, own: Entry, places: Vec<Entry>) -> Self {
        let span = Span::WORLD;
        let mut task = Self::new(config, (key, span), own, false, Goal::Withdraw, []);
        let all = places.len();
        task.steps.clear();
        task.stage = Stage::Placing(Placement::new().at(0, places, all));
        task.advance();
        task
    }

    /// A withdrawal from nodes known to hold the value, and from the closest nodes all the same.
    #[must_use]
    pub fn withdraw_everywhere(
        config: &LookupConfig,
        (key, span): (Key, Span),
        own: Entry,
        places: Vec<Entry>,
        start: impl IntoIterator<Item = Lead>,
    ) -> Self {
        let mut task = Self::new(config, (key, span), own, true, Goal::Withdraw, start);
        task.known = places;
        task
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

    /// For counting.
    #[must_use]
    pub const fn lookup(&self) -> Lookup {
        self.goal.lookup()
    }

    /// Where the value is placed, once the task is over.
    #[must_use]
    pub fn places(&self) -> &[Entry] {
        &self.places
    }

    /// Who named `id`, and so may reach it where this node cannot.
    #[must_use]
    pub fn introducer(&self, id: NodeId) -> Option<NodeId> {
        self.walk.introducer(id)
    }

    /// The next step; `None` until something comes back.
    pub fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// A node was mentioned.
    pub fn offer(&mut self, lead: Lead) {
        if matches!(self.stage, Stage::Walking) {
            self.walk.offer(lead);
        }
    }

    /// `from`, possibly this node, replied.
    pub fn answered(&mut self, from: NodeId, say: &Say) {
        let copying = matches!(self.stage, Stage::Copying(_));
        match &mut self.stage {
            Stage::Walking => self.walked(from, say),
            Stage::Placing(placement) | Stage::Copying(placement) => match say {
                Say::Stored | Say::Withdrawn => placement.placed(from),
                Say::Granted => {
                    placement.placed(from);
                    self.granted();
                }
                Say::Refused(refusal) => {
                    if *refusal != Refusal::Token {
                        self.avoided.insert(from);
                    }
                    placement.refused(from, *refusal);
                }
                Say::Values { values, .. } if !copying => self.found(values),
                // The key is taken inside a cluster, by somebody who will find this claim outside.
                // Or not a reply to what was asked: as good as none.
                Say::Values { .. }
                | Say::Pong { .. }
                | Say::Nodes { .. }
                | Say::Relayed(_)
                | Say::Ack { .. }
                | Say::Differ { .. } => {
                    placement.failed(from);
                }
            },
            Stage::Over => {}
        }
        self.advance();
    }

    fn walked(&mut self, from: NodeId, say: &Say) {
        let Say::Values {
            values,
            held,
            loaded,
            full,
            ..
        } = say
        else {
            match say {
                Say::Refused(Refusal::Level) => self.walk.foreign(from),
                Say::Refused(_) => self.walk.failed(from),
                _ => self.walk.answered(from, Warmth::Cold),
            }
            return;
        };
        let own = self.own.id;
        let others = match self.goal {
            Goal::Put { .. } => *held > 0,
            _ => values.iter().any(|value| value.publisher != own),
        };
        // Who claims must meet whoever else does at the closest node, however many they are.
        let claims = matches!(self.goal, Goal::Claim { .. });
        let warmth = if others || *loaded && !claims {
            Warmth::Warm
        } else {
            Warmth::Cold
        };
        self.walk.answered(from, warmth);
        if matches!(self.goal, Goal::Put { .. }) && *full && *loaded {
            // The forward phase ends at the first node that is both. Either alone lets the put
            // pass: a full node's neighbours need refreshing, a loaded one may have room.
            self.avoided.insert(from);
            self.walk.halt();
        }
        self.found(values);
    }

    /// `id` did not answer.
    pub fn failed(&mut self, id: NodeId) {
        match &mut self.stage {
            Stage::Walking => self.walk.failed(id),
            Stage::Placing(placement) | Stage::Copying(placement) => {
                self.avoided.insert(id);
                placement.failed(id);
            }
            Stage::Over => {}
        }
        self.advance();
    }

    /// `id` takes long.
    pub fn slow(&mut self, id: NodeId) {
        if matches!(self.stage, Stage::Walking) {
            self.walk.slow(id);
        }
        self.advance();
    }

    /// Time is up: what there is counts.
    pub fn expire(&mut self) {
        self.cut_short(Refusal::Deadline);
    }

    /// This node can ask nobody else: what there is counts.
    pub fn refused(&mut self, refusal: Refusal) {
        self.cut_short(refusal);
    }

    fn cut_short(&mut self, why: Refusal) {
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
            _ => Some(Report::Refused(why)),
        };
        self.finish(report);
    }

    /// Values came in. Ends a claim if others have the key, and a get once there are enough; a get
    /// that has some asks nobody else.
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
                    self.walk.halt();
                    self.steps
                        .push_back(Step::Report(Report::Values { values: new, last }));
                }
            }
            Goal::Claim { .. } => {
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
            Goal::Put { .. } | Goal::Withdraw | Goal::Find => {}
        }
    }

    // Placing ⇒ Copying
    fn granted(&mut self) {
        if let Stage::Placing(placement) = std::mem::replace(&mut self.stage, Stage::Over) {
            let granted = placement.places().to_vec();
            self.places.clone_from(&granted);
            let placement = self.placement(&granted);
            self.stage = Stage::Copying(placement);
            self.steps.push_back(Step::Report(Report::Granted));
        }
    }

    /// Asks whom there is to ask; moves to the next stage when this one is through.
    fn advance(&mut self) {
        while matches!(self.stage, Stage::Walking) {
            let (level, ask) = (self.walk.level(), self.walk_ask());
            while !self.walk.is_settled() {
                let Some(entry) = self.walk.next() else { break };
                self.steps.push_back(Step::Ask(entry, level, ask.clone()));
            }
            let over = if self.walk.is_halted() {
                // What is under way may still add to a get; a put has seen enough.
                !matches!(self.goal, Goal::Get { .. }) || !self.walk.is_waiting()
            } else {
                self.walk.is_settled()
            };
            if !over {
                break;
            }
            if self.walk.is_halted() || level <= self.span.outermost {
                self.settle();
            } else {
                self.walk.outward();
            }
        }
        self.advance_placement();
    }

    // Walking ⇒ (Placing | Over)
    fn settle(&mut self) {
        match &self.goal {
            Goal::Get { .. } => {
                self.finish(Some(Report::Values {
                    values: Vec::new(),
                    last: true,
                }));
            }
            Goal::Find => self.finish(Some(Report::Walked)),
            Goal::Put { .. } | Goal::Withdraw => {
                self.stage = Stage::Placing(self.placement(&[]));
            }
            Goal::Claim { .. } => {
                let outermost = self.span.outermost;
                let closest = self.walk.reached(outermost);
                self.stage = Stage::Placing(Placement::new().at(outermost, closest, 1));
            }
        }
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
            Goal::Put { ttl, .. } => Ask::Offer { key, ttl: *ttl },
            Goal::Withdraw | Goal::Find => Ask::Find { target: key },
        }
    }
}
