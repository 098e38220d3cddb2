//! One command under way: whom to ask next and when it is over. Pure bookkeeping; `work` sends.
//!
//! Candidates are the key's owners and, should some not answer, the members next in weight. A get
//! asks one owner and the others when that has nothing, is late or silent; it ends in vain when as
//! many have answered as there are owners. A put asks as many as are to store. A claim asks one at a
//! time, the heaviest owner first, because two who claim at once must meet.

use std::collections::VecDeque;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{Key, NodeId};

use crate::engine::command::Ticket;
use crate::engine::message::{Ask, Say};
use crate::engine::routing::Entry;
use crate::refusal::Refusal;
use crate::value::Value;

/// Which task.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct TaskId(pub(super) u64);

/// Who waits for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// A client.
    Client(Ticket),
    /// Nobody: copies of a granted claim.
    Copies,
    /// The node's test of its own work, which puts and then gets.
    TestPut,
    TestGet,
    /// Upkeep: a value is put where it belongs now.
    Heal,
}

/// What is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Goal {
    Get { want: usize },
    Put { value: Vec<u8>, until: Moment },
    Claim { value: Vec<u8>, until: Moment },
    Withdraw,
}

/// What a task has come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Ask this one.
    Ask(Entry, Ask),
    /// These values were found, and more may follow.
    Found(Vec<Value>),
    /// It is over.
    Over(Outcome),
}

/// How it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// A get, in vain or not: all that was found has been reported.
    Done,
    /// Stored, granted or withdrawn at these.
    Placed(Vec<NodeId>),
    /// A claim: others have the key.
    Taken(Vec<Value>),
    /// Nobody did it.
    Refused(Refusal),
}

/// A command under way.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) key: Key,
    pub(super) goal: Goal,
    pub(super) owner: Owner,
    pub(super) deadline: Moment,
    candidates: VecDeque<Entry>,
    open: Vec<NodeId>,
    done: Vec<NodeId>,
    values: Vec<Value>,
    taken: Vec<Value>,
    refusal: Option<Refusal>,
    replicas: usize,
    width: usize,
}

impl Task {
    pub(super) fn new(
        (key, goal): (Key, Goal),
        (owner, deadline): (Owner, Moment),
        candidates: Vec<Entry>,
        replicas: usize,
    ) -> Self {
        let width = match goal {
            Goal::Get { .. } | Goal::Claim { .. } => 1,
            Goal::Put { .. } => replicas,
            Goal::Withdraw => candidates.len(),
        };
        Self {
            key,
            goal,
            owner,
            deadline,
            candidates: candidates.into(),
            open: Vec::new(),
            done: Vec::new(),
            values: Vec::new(),
            taken: Vec::new(),
            refusal: None,
            replicas,
            width,
        }
    }

    /// A granted claim's copies: those it has count.
    pub(super) fn copies(mut self, placed: Vec<NodeId>, deadline: Moment) -> Option<Self> {
        let Goal::Claim { value, until } = self.goal else {
            return None;
        };
        self.goal = Goal::Put { value, until };
        self.deadline = deadline;
        (self.owner, self.done, self.width) = (Owner::Copies, placed, self.replicas);
        Some(self)
    }

    /// What to do next; ask until `None`.
    pub(super) fn next(&mut self, now: Moment) -> Option<Step> {
        if let Goal::Get { want } = self.goal
            && self.values.len() >= want
        {
            return Some(Step::Over(Outcome::Done));
        }
        if !self.taken.is_empty() {
            return Some(Step::Over(Outcome::Taken(std::mem::take(&mut self.taken))));
        }
        if self.done.len() + self.open.len() < self.width
            && let Some(to) = self.candidates.pop_front()
        {
            self.open.push(to.id);
            return Some(Step::Ask(to, self.ask(now)));
        }
        self.open.is_empty().then(|| Step::Over(self.outcome()))
    }

    /// What a get has found.
    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    /// What it came to if it ends at this moment.
    pub(super) fn outcome(&mut self) -> Outcome {
        let refusal = self.refusal.unwrap_or(Refusal::Unreachable);
        match self.goal {
            Goal::Get { .. } if !self.done.is_empty() || !self.values.is_empty() => Outcome::Done,
            // Nobody holds anything of this node's.
            Goal::Withdraw => Outcome::Placed(std::mem::take(&mut self.done)),
            Goal::Get { .. } => Outcome::Refused(refusal),
            _ if self.done.is_empty() => Outcome::Refused(refusal),
            Goal::Put { .. } | Goal::Claim { .. } => {
                Outcome::Placed(std::mem::take(&mut self.done))
            }
        }
    }

    fn ask(&self, now: Moment) -> Ask {
        let key = self.key;
        let left = |until: Moment| until.since(now).max(Duration::from_millis(1));
        match &self.goal {
            Goal::Get { want } => Ask::Get {
                key,
                want: u8::try_from(*want).unwrap_or(u8::MAX),
            },
            Goal::Put { value, until } => Ask::Put {
                key,
                value: value.clone(),
                ttl: left(*until),
            },
            Goal::Claim { value, until } => Ask::Claim {
                key,
                value: value.clone(),
                ttl: left(*until),
            },
            Goal::Withdraw => Ask::Withdraw { key },
        }
    }

    /// `from` said this. Gives what is newly found.
    pub(super) fn answered(&mut self, from: NodeId, say: &Say) -> Option<Step> {
        if !self.close(from) {
            return None;
        }
        match (&self.goal, say) {
            (Goal::Get { want }, Say::Values { values, .. }) => {
                let want = *want;
                self.done.push(from);
                let new = |value: &&Value| {
                    let known = self.values.iter();
                    known.clone().all(|it| it.publisher != value.publisher)
                };
                let new: Vec<_> = values.iter().filter(new).cloned().collect();
                self.values.extend(new.iter().cloned());
                if self.values.len() < want {
                    self.width = self.replicas;
                }
                (!new.is_empty()).then_some(Step::Found(new))
            }
            (Goal::Put { .. }, Say::Stored)
            | (Goal::Claim { .. }, Say::Granted)
            | (Goal::Withdraw, Say::Withdrawn) => {
                self.done.push(from);
                None
            }
            (Goal::Claim { .. }, Say::Values { values, .. }) if !values.is_empty() => {
                self.taken.clone_from(values);
                None
            }
            (_, Say::Refused(refusal)) => {
                self.refusal = Some(*refusal);
                None
            }
            _ => None,
        }
    }

    /// `from` did not answer.
    pub(super) fn failed(&mut self, from: NodeId) {
        if self.close(from) && matches!(self.goal, Goal::Get { .. }) {
            self.width = self.replicas;
        }
    }

    /// Somebody is late: a get asks one more beside.
    pub(super) fn slow(&mut self) {
        if matches!(self.goal, Goal::Get { .. }) {
            let busy = self.open.len() + self.done.len();
            self.width = self.width.max((busy + 1).min(self.replicas));
        }
    }

    fn close(&mut self, from: NodeId) -> bool {
        let at = self.open.iter().position(|id| *id == from);
        at.map(|at| self.open.swap_remove(at)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use common::ids::NodeId;

    use super::*;

    const NOW: Moment = Moment::ZERO;

    fn entry(n: u16) -> Entry {
        let addr = std::net::SocketAddr::from(([10, 0, 0, 1], n));
        Entry {
            id: NodeId::of(addr),
            addr,
        }
    }

    fn task(goal: Goal) -> Task {
        let candidates = (1..=6).map(entry).collect();
        let who = (Owner::Heal, Moment::NEVER);
        Task::new((Key::of(b"k"), goal), who, candidates, 3)
    }

    fn asked(task: &mut Task) -> Vec<Entry> {
        let mut asked = Vec::new();
        while let Some(Step::Ask(to, _)) = task.next(NOW) {
            asked.push(to);
        }
        asked
    }

    fn values(publishers: &[u8]) -> Say {
        let value = |n: &u8| Value {
            bytes: vec![*n],
            ttl: Duration::from_secs(1),
            publisher: NodeId::from_bytes([*n; 20]),
            level: 0,
        };
        Say::Values {
            values: publishers.iter().map(value).collect(),
            held: 0,
            loaded: false,
            full: false,
            own: false,
            contacts: Vec::new(),
        }
    }

    fn claim() -> Goal {
        let (value, until) = (b"v".to_vec(), Moment::NEVER);
        Goal::Claim { value, until }
    }

    #[test]
    fn a_get_asks_one_and_ends_with_what_it_has() {
        let mut task = task(Goal::Get { want: 1 });
        assert_eq!(asked(&mut task), [entry(1)]);
        let found = task.answered(entry(1).id, &values(&[7]));
        assert!(matches!(found, Some(Step::Found(new)) if new.len() == 1));
        assert_eq!(task.next(NOW), Some(Step::Over(Outcome::Done)));
    }

    #[test]
    fn a_get_in_vain_hears_as_many_as_there_are_owners() {
        let mut task = task(Goal::Get { want: 1 });
        asked(&mut task);
        task.answered(entry(1).id, &values(&[]));
        assert_eq!(asked(&mut task), [entry(2), entry(3)]);
        task.answered(entry(2).id, &values(&[]));
        task.failed(entry(3).id);
        assert_eq!(asked(&mut task), [entry(4)]);
        task.answered(entry(4).id, &values(&[]));
        assert_eq!(task.next(NOW), Some(Step::Over(Outcome::Done)));
    }

    #[test]
    fn a_get_for_more_does_not_report_a_publisher_twice() {
        let mut task = task(Goal::Get { want: 3 });
        asked(&mut task);
        task.answered(entry(1).id, &values(&[7]));
        asked(&mut task);
        let found = task.answered(entry(2).id, &values(&[7, 8]));
        assert!(matches!(found, Some(Step::Found(new)) if new.len() == 1));
    }

    #[test]
    fn a_late_owner_is_hedged() {
        let mut task = task(Goal::Get { want: 1 });
        asked(&mut task);
        task.slow();
        assert_eq!(asked(&mut task), [entry(2)]);
    }

    #[test]
    fn a_claim_asks_one_at_a_time_and_meets_who_has_it() {
        let mut task = task(claim());
        assert_eq!(asked(&mut task), [entry(1)]);
        task.slow();
        assert!(asked(&mut task).is_empty());
        task.failed(entry(1).id);
        assert_eq!(asked(&mut task), [entry(2)]);
        task.answered(entry(2).id, &values(&[7]));
        let over = task.next(NOW);
        assert!(matches!(over, Some(Step::Over(Outcome::Taken(all))) if all.len() == 1));
    }

    #[test]
    fn a_granted_claim_goes_on_as_copies() {
        let mut task = task(claim());
        asked(&mut task);
        task.answered(entry(1).id, &Say::Granted);
        let Some(Step::Over(Outcome::Placed(at))) = task.next(NOW) else {
            panic!("not granted");
        };
        let mut copies = task.copies(at, Moment::NEVER).unwrap();
        assert_eq!(asked(&mut copies), [entry(2), entry(3)]);
    }

    #[test]
    fn a_put_that_all_refuse_says_why() {
        let (value, until) = (b"v".to_vec(), Moment::NEVER);
        let mut task = task(Goal::Put { value, until });
        while let Some(Step::Ask(to, _)) = task.next(NOW) {
            task.answered(to.id, &Say::Refused(Refusal::StoreFull));
        }
        let over = Step::Over(Outcome::Refused(Refusal::StoreFull));
        assert_eq!(task.next(NOW), Some(over));
    }
}
