//! Traces of clients' commands: which are traced, and what is told of their steps.
//!
//! A traced command's requests bear the trace as an extension that older nodes skip. Who asked and who
//! answered each tell one event of it; spans are made of them where clocks and rings are, in the shell.

use std::net::SocketAddr;

use common::clock::Moment;
use common::trace::{Context, SpanId};

use super::command::Ticket;
use super::exchange::Purpose;
use super::message::Kind;
use super::node::Node;
use super::output::Event;
use super::work::{Owner, TaskId};

/// Commands traced at once; one more is carried out untraced.
pub(super) const TRACED_MAX: usize = 64;

/// A request of a traced command, over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hop {
    /// The trace, and the span in the client that caused it.
    pub context: Context,
    /// The span's name: the transaction of the attempt that was answered; `None` if none was.
    pub id: Option<SpanId>,
    /// Who was asked.
    pub to: SocketAddr,
    /// About which level.
    pub level: u8,
    /// When it was asked first.
    pub began: Moment,
    /// The kind of its reply; `None` if there was none.
    pub reply: Option<Kind>,
}

/// A request of another node's traced command, answered here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answered {
    /// The trace, and the request's span.
    pub context: Context,
    /// Who asked.
    pub from: SocketAddr,
    /// What was asked.
    pub asked: Kind,
    /// The kind of the reply.
    pub reply: Kind,
}

impl Node {
    /// The command of `ticket`, which comes next, is part of a trace.
    pub(super) fn trace_command(&mut self, ticket: Ticket, context: Context) {
        if self.traced.len() < TRACED_MAX {
            self.traced.insert(ticket, context);
        }
    }

    /// The trace that a request for `purpose` is part of.
    pub(super) fn trace_of(&self, purpose: &Purpose) -> Option<Context> {
        if self.traced.is_empty() {
            return None;
        }
        let (Purpose::Task(task) | Purpose::Detour(task, _)) = purpose else {
            return None;
        };
        self.trace_of_task(*task)
    }

    fn trace_of_task(&self, task: TaskId) -> Option<Context> {
        match self.tasks.get(&task)?.owner() {
            Owner::Client(ticket) => self.traced.get(ticket).copied(),
            _ => None,
        }
    }

    /// A request for `purpose` is over.
    pub(super) fn hopped(&mut self, purpose: &Purpose, hop: impl FnOnce(Context) -> Hop) {
        if let Some(context) = self.trace_of(purpose) {
            self.event(Event::Hop(hop(context)));
        }
    }
}
