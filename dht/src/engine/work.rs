//! Tasks under way: who waits for which, and what its steps become.

use std::time::Duration;

use common::clock::Moment;
use common::ids::{ClusterId, Key, NodeId};

use super::command::{Answer, Ticket};
use super::exchange::Purpose;
use super::liveness::Peer;
use super::lookup::{Goal, Lead, Report, Span, Step, Task};
use super::message::Say;
use super::node::Node;
use super::output::{Event, Output};
use crate::refusal::Refusal;
use crate::value::Value;

/// Nodes a walk starts from. More than settle it, so that a dead one does not strand it.
pub(super) const START: usize = 8;

/// Time a walk of this node's own has.
pub(super) const OWN_DEADLINE: Duration = Duration::from_secs(10);

/// Which task.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct TaskId(u64);

/// Who waits for a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// A local client.
    Client(Ticket),
    /// A local client that wants nodes, once the walk has found more.
    Nodes(Ticket, u8, usize, Option<String>),
    /// The lookup of hints for a search for nodes near a client.
    Hints(Ticket),
    /// The put of the self-test.
    TestPut,
    /// The get of the self-test, with what it found so far.
    TestGet(Vec<Vec<u8>>),
    /// A value whose storing node died.
    Heal(Key),
    /// Nobody: the walk itself refreshes the table.
    Refresh,
    /// The trial of a cluster at a level.
    Trial(u8, ClusterId),
}

/// A task under way.
#[derive(Clone, Debug)]
pub(super) struct Running {
    task: Task,
    owner: Owner,
    began: Moment,
    deadline: Moment,
}

impl Running {
    /// Who named `id` to this task.
    pub(super) fn introducer(&self, id: NodeId) -> Option<NodeId> {
        self.task.introducer(id)
    }

    /// Who waits for it.
    pub(super) const fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Whether it is a claim.
    pub(super) const fn claims(&self) -> bool {
        matches!(self.task.goal(), Goal::Claim { .. })
    }

    /// The cluster that the task measures, if it is for that.
    pub(super) const fn tries(&self) -> Option<(u8, ClusterId)> {
        match self.owner {
            Owner::Trial(level, cluster) => Some((level, cluster)),
            _ => None,
        }
    }
}

impl Node {
    /// Begins a walk through this node's own store as well.
    pub(super) fn begin(&mut self, now: Moment, key: Key, goal: Goal, owner: (Owner, Moment)) {
        let span = self.span_of(&goal);
        self.begin_task(now, (key, span), goal, owner, true);
    }

    /// A search for nodes is about the world; everything else begins next door.
    fn span_of(&self, goal: &Goal) -> Span {
        match goal {
            Goal::Find => Span::WORLD,
            Goal::Get { .. } | Goal::Put { .. } | Goal::Claim { .. } | Goal::Withdraw => {
                self.span()
            }
        }
    }

    /// Begins a walk of this node's own, through others only if `others`.
    pub(super) fn begin_own(
        &mut self,
        now: Moment,
        key: Key,
        goal: Goal,
        owner: Owner,
        others: bool,
    ) {
        let span = self.span_of(&goal);
        self.begin_task(now, (key, span), goal, (owner, now + OWN_DEADLINE), !others);
    }

    /// Begins a walk of this node's own over the levels of `span` only.
    pub(super) fn begin_within(
        &mut self,
        now: Moment,
        key: Key,
        span: Span,
        goal: Goal,
        owner: Owner,
    ) {
        self.begin_task(now, (key, span), goal, (owner, now + OWN_DEADLINE), true);
    }

    pub(super) fn begin_task(
        &mut self,
        now: Moment,
        (key, span): (Key, Span),
        goal: Goal,
        owner: (Owner, Moment),
        with_self: bool,
    ) {
        let start = self.start_of(&key, span, START);
        let (config, own) = (self.config.lookup, self.own);
        let task = Task::new(&config, (key, span), own, with_self, goal, start);
        self.start(now, task, owner);
    }

    pub(super) fn start(&mut self, now: Moment, task: Task, (owner, deadline): (Owner, Moment)) {
        if self.tasks.len() >= self.config.lookup.tasks {
            self.report(now, owner, 0, Report::Refused(Refusal::Busy));
            return;
        }
        self.stats.lookups.count(task.lookup());
        let id = TaskId(self.next_task);
        self.next_task += 1;
        let running = Running {
            task,
            owner,
            began: now,
            deadline,
        };
        self.tasks.insert(id, Box::new(running));
        self.deadlines.insert((deadline, id));
        self.run(now, id);
    }

    pub(super) fn task_answered(&mut self, now: Moment, id: TaskId, from: NodeId, say: &Say) {
        if let Some(running) = self.tasks.get_mut(&id) {
            running.task.answered(from, say);
            self.run(now, id);
        }
    }

    pub(super) fn task_offered(&mut self, id: TaskId, lead: Lead) {
        if let Some(running) = self.tasks.get_mut(&id) {
            running.task.offer(lead);
        }
    }

    pub(super) fn task_failed(&mut self, now: Moment, id: TaskId, peer: NodeId) {
        if let Some(running) = self.tasks.get_mut(&id) {
            running.task.failed(peer);
            self.run(now, id);
        }
    }

    /// A request of a task could not be made: that is the whole task's end.
    fn task_refused(&mut self, id: TaskId, asked: Result<(), Refusal>) {
        if let (Err(refusal), Some(running)) = (asked, self.tasks.get_mut(&id)) {
            running.task.refused(refusal);
        }
    }

    pub(super) fn task_slow(&mut self, now: Moment, id: TaskId, peer: NodeId) {
        if let Some(running) = self.tasks.get_mut(&id) {
            running.task.slow(peer);
            self.run(now, id);
        }
    }

    /// Ends tasks whose deadline has come.
    pub(super) fn handle_due_tasks(&mut self, now: Moment) {
        while let Some(&(at, id)) = self.deadlines.first() {
            if at > now {
                return;
            }
            self.deadlines.pop_first();
            if let Some(running) = self.tasks.get_mut(&id) {
                running.task.expire();
                self.run(now, id);
            }
        }
    }

    /// Does the steps of a task until it waits or is over.
    fn run(&mut self, now: Moment, id: TaskId) {
        loop {
            let Some(running) = self.tasks.get_mut(&id) else {
                return;
            };
            match running.task.poll() {
                None => return,
                Some(Step::Ask(to, level, ask)) => {
                    // One that failed here and lives by the word of another is asked through that
                    // one at once: for a pair that cannot reach each other, waiting is in vain.
                    let failed = self.peers.at(to.id).is_some_and(Peer::has_failed);
                    if !(failed && self.detour(now, (to, level, &ask), id)) {
                        let asked = self.ask(now, to, level, ask, Purpose::Task(id));
                        self.task_refused(id, asked);
                    }
                }
                Some(Step::AskSelf(ask)) => {
                    let say = self.perform_self(now, ask);
                    self.self_answered(id, &say);
                }
                Some(Step::Report(report)) => {
                    let copies = running.task.places().len();
                    let owner = running.owner.clone();
                    self.report_for(now, id, (owner, copies), report);
                }
                Some(Step::Over) => return self.end(now, id),
            }
        }
    }

    fn self_answered(&mut self, id: TaskId, say: &Say) {
        let own = self.own.id;
        if let Some(running) = self.tasks.get_mut(&id) {
            running.task.answered(own, say);
        }
    }

    fn report_for(
        &mut self,
        now: Moment,
        id: TaskId,
        (owner, copies): (Owner, usize),
        report: Report,
    ) {
        // The self-test's get collects until it is told the last of it.
        if let (
            Owner::TestGet(found),
            Report::Values {
                values,
                last: false,
            },
        ) = (&owner, &report)
        {
            let mut found = found.clone();
            found.extend(values.iter().map(|value| value.bytes.clone()));
            if let Some(running) = self.tasks.get_mut(&id) {
                running.owner = Owner::TestGet(found);
            }
            return;
        }
        let report = self.shed(now, id, report);
        self.report(now, owner, copies, report);
    }

    /// A put that hot nodes turned away has come to something if the same value is held from
    /// before and lasts.
    fn shed(&self, now: Moment, id: TaskId, report: Report) -> Report {
        let running = self.tasks.get(&id).map(|running| &running.task);
        let (Report::Refused(Refusal::Loaded), Some(task)) = (&report, running) else {
            return report;
        };
        let Goal::Put { value, ttl } = task.goal() else {
            return report;
        };
        let lasts = self.keep.at(now, task.key()).is_some_and(|own| {
            own.value == *value && own.until <= now + *ttl && own.until.since(now) >= *ttl / 2
        });
        if lasts { Report::Stored } else { report }
    }

    /// A task is over: own values are remembered where they were placed.
    fn end(&mut self, now: Moment, id: TaskId) {
        let Some(running) = self.tasks.remove(&id) else {
            return;
        };
        let Running {
            task,
            owner,
            began,
            deadline,
        } = *running;
        self.deadlines.remove(&(deadline, id));
        let remembered = matches!(owner, Owner::Client(_) | Owner::Heal(_));
        if let (true, Goal::Put { value, ttl } | Goal::Claim { value, ttl }) =
            (remembered && !task.places().is_empty(), task.goal())
        {
            let until = began + (*ttl).min(self.config.store.ttl_max);
            self.keep
                .placed(now, task.key(), value.clone(), until, task.places());
        }
        if *task.goal() == Goal::Find {
            self.walked = Some(now);
        }
    }

    fn report(&mut self, now: Moment, owner: Owner, copies: usize, report: Report) {
        match (owner, report) {
            (Owner::Client(ticket), report) => {
                let answer = answer_of(report, copies);
                self.answer(ticket, answer);
            }
            (Owner::Nodes(ticket, level, count, service), _) => {
                let nodes = self.live_nodes(now, level, count, service.as_deref());
                self.answer(ticket, Answer::Nodes(nodes));
            }
            (Owner::Hints(ticket), Report::Values { values, last }) => {
                self.hints_found(now, ticket, &values, last);
            }
            (Owner::Hints(ticket), _) => self.hints_found(now, ticket, &[], true),
            (Owner::TestPut, report) => {
                let next = self.test.put_done(now, report == Report::Stored);
                match next {
                    Some(key) => {
                        let goal = Goal::Get { want: 1 };
                        self.test_walk(now, key, goal, Owner::TestGet(Vec::new()));
                    }
                    None => self.stats.tests_failed += 1,
                }
                self.judge(now);
            }
            (Owner::TestGet(mut found), report) => {
                if let Report::Values { values, .. } = report {
                    found.extend(values.into_iter().map(|value: Value| value.bytes));
                }
                match self.test.get_done(now, &found) {
                    Some(true) => self.stats.tests_passed += 1,
                    Some(false) => self.stats.tests_failed += 1,
                    None => {}
                }
                self.judge(now);
            }
            (Owner::Heal(key), Report::Stored) => {
                self.stats.healed += 1;
                self.event(Event::Healed(key, copies));
            }
            (Owner::Trial(level, cluster), _) => self.trial_walked(now, level, cluster),
            // What cannot be healed now is renewed by its client in time.
            (Owner::Heal(_) | Owner::Refresh, _) => {}
        }
    }

    pub(super) fn answer(&mut self, ticket: Ticket, answer: Answer) {
        if let Answer::Refused(refusal) = &answer {
            self.stats.refused_here.count(*refusal);
        }
        if answer.is_final() {
            self.traced.remove(&ticket);
        }
        self.output(Output::Answer { ticket, answer });
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, refusal: Refusal) {
        self.answer(ticket, Answer::Refused(refusal));
    }
}

fn answer_of(report: Report, copies: usize) -> Answer {
    match report {
        Report::Values { values, last } => Answer::Values { values, last },
        Report::Stored => Answer::Stored { copies },
        Report::Granted => Answer::Granted,
        Report::Taken(values) => Answer::Taken { values },
        Report::Withdrawn => Answer::Withdrawn { copies },
        Report::Walked => Answer::Nodes(Vec::new()),
        Report::Refused(refusal) => Answer::Refused(refusal),
    }
}
