//! Carrying commands out: choosing a key's owners, sending what tasks want sent, and telling
//! whoever waits what came of it.

use std::time::Duration;

use common::clock::Moment;
use common::ids::{Key, NodeId};

use super::exchange::Purpose;
use super::node::Member;
use super::owners::owners;
use super::task::{Goal, Outcome, Owner, Step, Task, TaskId};
use crate::engine::command::Answer;
use crate::engine::message::Say;
use crate::engine::output::Event;
use crate::engine::routing::Entry;
use crate::refusal::Refusal;

/// A member never measured is taken to be this far away.
const UNMEASURED: Duration = Duration::from_millis(150);

/// Candidates per replica: as many owners may be silent as there are.
const CANDIDATES_PER_REPLICA: usize = 2;

/// Time that upkeep's own tasks have.
const OWN_DEADLINE: Duration = Duration::from_secs(10);

impl Member {
    /// Begins a task for a key at its owners.
    pub(super) fn begin(&mut self, now: Moment, key: Key, goal: Goal, who: (Owner, Moment)) {
        let candidates = match goal {
            // A test goes through others or proves nothing.
            _ if matches!(who.0, Owner::TestPut | Owner::TestGet) => self.writers(&key, true),
            Goal::Get { .. } => self.readers(&key, None),
            _ => self.writers(&key, false),
        };
        self.start(now, (key, goal), who, candidates);
    }

    /// Begins a task at these nodes.
    pub(super) fn start(
        &mut self,
        now: Moment,
        what: (Key, Goal),
        (owner, deadline): (Owner, Moment),
        candidates: Vec<Entry>,
    ) {
        if self.tasks.len() >= self.config.lookup.tasks {
            if let Owner::Client(ticket) = owner {
                self.refuse(ticket, Refusal::Busy);
            }
            return;
        }
        let replicas = self.config.full.replicas.max(1);
        self.stats.lookups.count(super::desk::lookup_of(&what.1));
        let task = Task::new(what, (owner, deadline), candidates, replicas);
        self.insert(now, task);
    }

    /// Begins a task of the node's own.
    pub(super) fn begin_own(&mut self, now: Moment, key: Key, goal: Goal, owner: Owner) {
        self.begin(now, key, goal, (owner, now + OWN_DEADLINE));
    }

    fn insert(&mut self, now: Moment, task: Task) {
        let id = TaskId(self.next_task);
        self.next_task += 1;
        self.deadlines.insert((task.deadline, id));
        self.tasks.insert(id, task);
        self.advance(now, id);
    }

    /// The key's owners and those next in weight, the heaviest first, but whoever failed here last.
    fn writers(&self, key: &Key, others_only: bool) -> Vec<Entry> {
        let replicas = self.config.full.replicas.max(1);
        let own = (!others_only).then_some(self.own.id);
        let members = self.roster.iter_living().map(|(id, _)| id).chain(own);
        let best = owners(key, members, CANDIDATES_PER_REPLICA * replicas);
        let entry = |id: NodeId| {
            if id == self.own.id {
                return Some(self.own);
            }
            self.roster.at(id).map(|record| record.entry(id))
        };
        let mut entries: Vec<_> = best.into_iter().filter_map(entry).collect();
        entries.sort_by_key(|entry| self.has_failed(entry.id));
        entries
    }

    /// The same, the nearest of the owners first; only those nearer than `within`.
    pub(super) fn readers(&self, key: &Key, within: Option<Duration>) -> Vec<Entry> {
        let replicas = self.config.full.replicas.max(1);
        let distance = |entry: &Entry| match self.peers.at(entry.id) {
            _ if entry.id == self.own.id => Duration::ZERO,
            peer => peer.and_then(|peer| peer.rtt.mean()).unwrap_or(UNMEASURED),
        };
        let ranked = self.writers(key, false).into_iter().enumerate();
        let mut ranked: Vec<_> = ranked
            .map(|(rank, entry)| {
                let failed = self.has_failed(entry.id);
                (failed, rank >= replicas, distance(&entry), rank, entry)
            })
            .filter(|(_, _, distance, ..)| within.is_none_or(|within| *distance < within))
            .collect();
        ranked
            .sort_by_key(|(failed, spare, distance, rank, _)| (*failed, *spare, *distance, *rank));
        ranked.into_iter().map(|(.., entry)| entry).collect()
    }

    pub(super) fn has_failed(&self, id: NodeId) -> bool {
        self.peers.at(id).is_some_and(|peer| peer.has_failed())
    }

    pub(super) fn task_answered(&mut self, now: Moment, id: TaskId, from: Entry, say: &Say) {
        let Some(task) = self.tasks.get_mut(&id) else {
            return;
        };
        if let Some(Step::Found(values)) = task.answered(from.id, say) {
            self.found_for(id, values);
        }
        self.advance(now, id);
    }

    pub(super) fn task_failed(&mut self, now: Moment, id: TaskId, to: Entry) {
        if let Some(task) = self.tasks.get_mut(&id) {
            task.failed(to.id);
            self.advance(now, id);
        }
    }

    pub(super) fn task_slow(&mut self, now: Moment, id: TaskId) {
        if let Some(task) = self.tasks.get_mut(&id) {
            task.slow();
            self.stats.hedged += 1;
            self.advance(now, id);
        }
    }

    fn advance(&mut self, now: Moment, id: TaskId) {
        while let Some(step) = self.tasks.get_mut(&id).and_then(|task| task.next(now)) {
            match step {
                Step::Ask(to, ask) if to.id == self.own.id => {
                    let say = self.perform(now, to.id, &ask);
                    let task = self.tasks.get_mut(&id);
                    let found = task.and_then(|task| task.answered(to.id, &say));
                    if let Some(Step::Found(values)) = found {
                        self.found_for(id, values);
                    }
                }
                Step::Ask(to, ask) => self.ask(now, to, ask, Purpose::Task(id)),
                Step::Found(values) => self.found_for(id, values),
                Step::Over(outcome) => {
                    if let Some(task) = self.tasks.remove(&id) {
                        self.deadlines.remove(&(task.deadline, id));
                        self.over(now, task, outcome);
                    }
                    return;
                }
            }
        }
    }

    fn found_for(&mut self, id: TaskId, values: Vec<crate::value::Value>) {
        if let Some(Owner::Client(ticket)) = self.tasks.get(&id).map(|task| task.owner) {
            let last = false;
            self.answer(ticket, Answer::Values { values, last });
        }
    }

    /// Ends tasks whose time is over with what they have.
    pub(super) fn handle_due_tasks(&mut self, now: Moment) {
        while let Some(&(deadline, id)) = self.deadlines.first() {
            if deadline > now {
                return;
            }
            self.deadlines.remove(&(deadline, id));
            if let Some(mut task) = self.tasks.remove(&id) {
                let outcome = match task.outcome() {
                    Outcome::Refused(Refusal::Unreachable) => Outcome::Refused(Refusal::Deadline),
                    // An owner's word is missing: that there is nothing is not known.
                    Outcome::Done if task.values().is_empty() => {
                        Outcome::Refused(Refusal::Deadline)
                    }
                    outcome => outcome,
                };
                self.over(now, task, outcome);
            }
        }
    }

    fn over(&mut self, now: Moment, task: Task, outcome: Outcome) {
        let owner = task.owner;
        if let (Outcome::Placed(at), Goal::Put { value, until } | Goal::Claim { value, until }) =
            (&outcome, &task.goal)
            && !matches!(owner, Owner::TestPut)
        {
            self.keep.placed(now, task.key, value.clone(), *until, at);
        }
        match owner {
            Owner::Client(ticket) => self.tell_client(now, ticket, task, outcome),
            Owner::TestPut => {
                let stored = matches!(outcome, Outcome::Placed(_));
                let next = self.test.put_done(now, stored);
                if let Some(key) = next {
                    self.test_get(now, key);
                }
                self.judge(now);
            }
            Owner::TestGet => self.tested(now, &task),
            Owner::Heal => {
                if let Outcome::Placed(at) = outcome {
                    self.stats.healed += 1;
                    self.event(Event::Healed(task.key, at.len()));
                }
            }
            Owner::Copies => {}
        }
    }

    fn tell_client(
        &mut self,
        now: Moment,
        ticket: crate::engine::command::Ticket,
        task: Task,
        outcome: Outcome,
    ) {
        let answer = match (&task.goal, outcome) {
            (_, Outcome::Done) => Answer::Values {
                values: Vec::new(),
                last: true,
            },
            (Goal::Put { .. }, Outcome::Placed(at)) => Answer::Stored { copies: at.len() },
            (Goal::Withdraw, Outcome::Placed(at)) => Answer::Withdrawn { copies: at.len() },
            (_, Outcome::Placed(at)) => {
                let deadline = now + OWN_DEADLINE;
                if let Some(copies) = task.copies(at, deadline) {
                    self.insert(now, copies);
                }
                Answer::Granted
            }
            (_, Outcome::Taken(values)) => Answer::Taken { values },
            (_, Outcome::Refused(refusal)) => Answer::Refused(refusal),
        };
        self.answer(ticket, answer);
    }
}
