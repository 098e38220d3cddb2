//! The answering half: one inquiry in, one reply out. Each receiving thread has one of its own.

use std::sync::Arc;

use common::clock::Moment;
use common::rng::Generator;

use super::answer::{self, Reply};
use super::inquiry::Inquiry;
use super::sign::cache::{CacheConfig, SignatureCache};
use super::sign::{Now, sign};
use super::snapshot::Snapshot;
use super::stats::AnswerStats;

/// The façade.
#[derive(Clone, Debug)]
pub struct Server {
    snapshot: Arc<Snapshot>,
    rng: Generator,
    stats: AnswerStats,
    signatures: SignatureCache,
}

impl Server {
    /// A server that answers from `snapshot`.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>, rng: Generator) -> Self {
        Self {
            snapshot,
            rng,
            stats: AnswerStats::default(),
            signatures: SignatureCache::new(CacheConfig::default()),
        }
    }

    /// The same with `bounds` on signatures.
    #[must_use]
    pub fn with_signatures(mut self, bounds: CacheConfig) -> Self {
        self.signatures = SignatureCache::new(bounds);
        self
    }

    /// Answers are made from `snapshot` from now on.
    pub fn publish(&mut self, snapshot: Arc<Snapshot>) {
        self.snapshot = snapshot;
    }

    /// The same as [`handle_inquiry`](Self::handle_inquiry), with signatures for whoever wants them.
    pub fn handle_inquiry_at(&mut self, now: Now, inquiry: &Inquiry) -> Reply {
        let reply = self.handle_inquiry(now.moment, inquiry);
        if reply.to_sign {
            sign(&self.snapshot.zones, &mut self.signatures, now, reply)
        } else {
            reply
        }
    }

    /// The reply to `inquiry`. Always one: what deserves silence does not get here.
    pub fn handle_inquiry(&mut self, now: Moment, inquiry: &Inquiry) -> Reply {
        let view = answer::View::new(&self.snapshot, now);
        let reply = answer::answer(&view, &mut self.rng, inquiry);
        let qtype = inquiry.question.as_ref().map(|question| question.qtype);
        self.stats.count(qtype, reply.code, reply.reason);
        reply
    }

    /// What was signed.
    #[must_use]
    pub const fn signatures(&self) -> &SignatureCache {
        &self.signatures
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> &AnswerStats {
        &self.stats
    }
}
