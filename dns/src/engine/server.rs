//! The answering half: one inquiry in, one reply out. Each receiving thread has one of its own.

use std::sync::Arc;

use common::clock::Moment;
use common::rng::Generator;

use super::answer::{self, Reply};
use super::inquiry::Inquiry;
use super::snapshot::Snapshot;
use super::stats::AnswerStats;

/// The façade.
#[derive(Clone, Debug)]
pub struct Server {
    snapshot: Arc<Snapshot>,
    rng: Generator,
    stats: AnswerStats,
}

impl Server {
    /// A server that answers from `snapshot`.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>, rng: Generator) -> Self {
        Self {
            snapshot,
            rng,
            stats: AnswerStats::default(),
        }
    }

    /// Answers are made from `snapshot` from now on.
    pub fn publish(&mut self, snapshot: Arc<Snapshot>) {
        self.snapshot = snapshot;
    }

    /// The reply to `inquiry`. Always one: what deserves silence does not get here.
    pub fn handle_inquiry(&mut self, now: Moment, inquiry: &Inquiry) -> Reply {
        let view = answer::View::new(&self.snapshot, now);
        let reply = answer::answer(&view, &mut self.rng, inquiry);
        let qtype = inquiry.question.as_ref().map(|question| question.qtype);
        self.stats.count(qtype, reply.code, reply.reason);
        reply
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> &AnswerStats {
        &self.stats
    }
}
