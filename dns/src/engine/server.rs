//! The answering half: one inquiry in, one reply out.

use common::clock::Moment;
use common::rng::Generator;
use hickory_proto::op::OpCode;
use hickory_proto::rr::{DNSClass, Name, RecordType};

use super::answer::{self, Reply};
use super::config::AnswerConfig;
use super::live::LiveSet;
use super::stats::AnswerStats;
use super::zone::ZoneData;

/// A question. The name keeps the case it was asked in; comparisons ignore it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Name.
    pub name: Name,
    /// Type.
    pub qtype: RecordType,
    /// Class.
    pub qclass: DNSClass,
}

/// What matters of a message that asks something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inquiry {
    /// The operation.
    pub operation: OpCode,
    /// The EDNS version, if there is EDNS.
    pub edns_version: Option<u8>,
    /// The question, if there is exactly one.
    pub question: Option<Question>,
}

/// The façade.
#[derive(Clone, Debug)]
pub struct Server {
    zone: ZoneData,
    config: AnswerConfig,
    live: LiveSet,
    rng: Generator,
    stats: AnswerStats,
}

impl Server {
    /// A server that knows of no proxy yet.
    #[must_use]
    pub fn new(zone: ZoneData, config: AnswerConfig, rng: Generator) -> Self {
        Self {
            zone,
            config,
            live: LiveSet::default(),
            rng,
            stats: AnswerStats::default(),
        }
    }

    /// Answers are made from `live` from now on.
    pub fn publish(&mut self, live: LiveSet) {
        self.live = live;
    }

    /// The reply to `inquiry`. Always one: what deserves silence does not get here.
    pub fn handle_inquiry(&mut self, now: Moment, inquiry: &Inquiry) -> Reply {
        let view = answer::View {
            zone: &self.zone,
            config: &self.config,
            live: &self.live,
            now,
        };
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
