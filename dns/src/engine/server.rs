//! The answering half: one message in, one reply or silence out. Each receiving thread has one of
//! its own, so that nobody waits for anybody.
//!
//! A message goes this way: read (what cannot be read is told so, or gets silence), its cookie is
//! judged, the rate limit of its neighbourhood asked, the length of the reply bounded; then the
//! plain door answers, or the careful one.

use std::sync::Arc;

use common::clock::Moment;
use common::rng::Generator;
use hickory_proto::op::ResponseCode;

use super::answer;
use super::answer::admit::admit;
use super::answer::draw::Whereabouts;
use super::config::MannersConfig;
use super::cookie::Worth;
use super::exchange::{Arrival, Exchange};
use super::inquiry::{Inquiry, Transport};
use super::limiter::{Limiter, Verdict};
use super::message::header::Header;
use super::message::opt::Opt;
use super::message::read::{Message, Stub, Unreadable, read};
use super::message::{HEADER, budget, careful};
use super::near::Network;
use super::near::seen::Seen;
use super::plain::{self, Told};
use super::reason::{Reason, Silence};
use super::reply::Reply;
use super::sign::cache::{CacheConfig, SignatureCache};
use super::sign::{Now, sign};
use super::snapshot::Snapshot;
use super::stats::{AnswerStats, Door};

/// Bytes that an answer should have beside its question before anybody's name is told (an IPv6
/// address record).
const ANSWER_MIN: usize = 28;

/// The façade.
#[derive(Clone, Debug)]
pub struct Server {
    snapshot: Arc<Snapshot>,
    manners: Arc<MannersConfig>,
    limiter: Limiter,
    rng: Generator,
    stats: AnswerStats,
    seen: Seen,
    signatures: SignatureCache,
    careful_only: bool,
}

impl Server {
    /// A server that answers from `snapshot`.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>, manners: Arc<MannersConfig>, mut rng: Generator) -> Self {
        Self {
            snapshot,
            limiter: Limiter::new(manners.replies_per_second, rng.bytes()),
            manners,
            rng,
            stats: AnswerStats::default(),
            seen: Seen::default(),
            signatures: SignatureCache::new(CacheConfig::default()),
            careful_only: false,
        }
    }

    /// The same with `bounds` on signatures.
    #[must_use]
    pub fn with_signatures(mut self, bounds: CacheConfig) -> Self {
        self.signatures = SignatureCache::new(bounds);
        self
    }

    /// The same with the plain door shut: for comparing the doors.
    #[must_use]
    pub fn careful_only(mut self) -> Self {
        self.careful_only = true;
        self
    }

    /// Answers are made from `snapshot` from now on.
    pub fn publish(&mut self, snapshot: Arc<Snapshot>) {
        self.snapshot = snapshot;
    }

    /// Replies to `message` in `out`. Says why if it deserves silence; then `out` is empty.
    pub fn handle_message(
        &mut self,
        arrival: &Arrival,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<Silence> {
        out.clear();
        self.stats.received(arrival.transport);
        let silence = self.reply(arrival, message, out);
        if let Some(silence) = silence {
            self.stats.silent(silence);
        }
        silence
    }

    fn reply(&mut self, arrival: &Arrival, bytes: &[u8], out: &mut Vec<u8>) -> Option<Silence> {
        let message = match read(bytes) {
            Ok(message) => message,
            Err(Unreadable::Silence(silence)) => return Some(silence),
            Err(Unreadable::Malformed(stub)) => return self.malformed(arrival, stub, out),
        };
        let manners = Arc::clone(&self.manners);
        let asked = message.edns.as_ref().and_then(|edns| edns.cookie);
        let judged = asked.zip(manners.secrets.as_ref());
        let judged = judged.map(|(asked, ours)| ours.judge(&asked, arrival.from, arrival.wall));
        let (worth, cookie) = judged.unzip();
        if let Some(worth) = worth {
            self.stats.cookie(worth);
        }
        let proven = arrival.transport == Transport::Tcp || worth == Some(Worth::Good);
        let limit = budget::limit(
            arrival.transport,
            message.edns.as_ref(),
            bytes.len(),
            proven,
            manners.amplification,
        );
        let question = message.asked.map_or(0, |asked| asked.bytes.len());
        let mut exchange = Exchange {
            message: &message,
            arrival,
            limit,
            cookie,
            nsid: None,
        };
        let wanted = message.edns.is_some_and(|edns| edns.nsid_asked) && !manners.nsid.is_empty();
        if wanted {
            exchange.nsid = Some(&manners.nsid);
            let opt = exchange.opt(ResponseCode::NoError, None, None);
            let opt = opt.as_ref().map_or(0, Opt::len);
            if HEADER + question + opt + ANSWER_MIN > limit {
                exchange.nsid = None;
            }
        }
        match self.verdict(arrival, proven) {
            Verdict::Pass => self.answer(&exchange, out),
            Verdict::Slip => self.slip(&exchange, out),
            Verdict::Drop => return Some(Silence::Limited),
        }
        None
    }

    fn verdict(&mut self, arrival: &Arrival, proven: bool) -> Verdict {
        if proven {
            Verdict::Pass
        } else {
            self.limiter.reply_to(arrival.from, arrival.now)
        }
    }

    /// FORMERR: the header alone, since nothing else of the message is known.
    fn malformed(&mut self, arrival: &Arrival, stub: Stub, out: &mut Vec<u8>) -> Option<Silence> {
        if self.verdict(arrival, arrival.transport == Transport::Tcp) != Verdict::Pass {
            return Some(Silence::Limited);
        }
        let header = Header {
            code: ResponseCode::FormErr,
            authoritative: false,
            truncated: false,
            counts: [0; 4],
        };
        out.extend_from_slice(&header.bytes(stub));
        self.stats
            .count(None, ResponseCode::FormErr, Reason::Malformed);
        None
    }

    /// "Ask again by TCP", no longer than the question.
    fn slip(&mut self, exchange: &Exchange<'_>, out: &mut Vec<u8>) {
        let code = ResponseCode::NoError;
        let opt = exchange.opt(code, None, None);
        plain::truncated(exchange, opt.as_ref(), out);
        let qtype = exchange.message.asked.map(|asked| asked.qtype);
        self.stats.count(qtype, code, Reason::Limited);
    }

    fn answer(&mut self, exchange: &Exchange<'_>, out: &mut Vec<u8>) {
        let view = answer::View::new(&self.snapshot, exchange.arrival.now);
        let plain = if self.careful_only {
            None
        } else {
            plain::answer(&view, &mut self.rng, exchange, out)
        };
        let door = if plain.is_some() {
            Door::Plain
        } else {
            Door::Careful
        };
        let told = plain.unwrap_or_else(|| self.careful(exchange, out));
        if told.reason.is_a_choice() {
            let subnet = exchange.message.edns.and_then(|edns| edns.client_subnet);
            let network = Whereabouts::network(exchange.arrival.from, subnet);
            let now = exchange.arrival.now;
            network
                .into_iter()
                .for_each(|network| self.seen.saw(now, network));
        }
        self.stats.door(door);
        let qtype = exchange.message.asked.map(|asked| asked.qtype);
        self.stats.count(qtype, told.code, told.reason);
    }

    fn careful(&mut self, exchange: &Exchange<'_>, out: &mut Vec<u8>) -> Told {
        let view = answer::View::new(&self.snapshot, exchange.arrival.now);
        let inquiry = exchange.inquiry();
        let mut reply = match admit(&exchange.heading()) {
            Ok(()) => answer::answer(&view, &mut self.rng, &inquiry),
            Err(refusal) => refusal.reply(),
        };
        if reply.to_sign {
            let now = Now {
                moment: exchange.arrival.now,
                wall: exchange.arrival.wall,
            };
            reply = sign(&self.snapshot.zones, &mut self.signatures, now, reply);
            self.stats.signing = self.signatures.stats();
        }
        let Message { stub, .. } = *exchange.message;
        let question = inquiry.question.as_ref();
        // The second attempt writes no record, so nothing in it can fail.
        for _ in 0..2 {
            let mut opt = exchange.opt(reply.code, reply.scope, reply.extended_error);
            if let Some(opt) = &mut opt {
                opt.compact = reply.compact;
            }
            if careful::write(stub, question, &reply, opt.as_ref(), exchange.limit, out).is_ok() {
                break;
            }
            reply = Reply::refusal(ResponseCode::ServFail, Reason::Unsound, None);
        }
        Told {
            code: reply.code,
            reason: reply.reason,
        }
    }

    /// The reply to `inquiry`, without its message: for whoever wants to know what would be said.
    pub fn handle_inquiry(&mut self, now: Moment, inquiry: &Inquiry) -> Reply {
        let view = answer::View::new(&self.snapshot, now);
        let reply = answer::answer(&view, &mut self.rng, inquiry);
        let qtype = inquiry
            .question
            .as_ref()
            .map(|question| question.qtype.into());
        self.stats.count(qtype, reply.code, reply.reason);
        reply
    }

    /// The networks for which proxies were named, for the learner, if there are some and it is time.
    pub fn take_seen(&mut self, now: Moment) -> Option<Vec<Network>> {
        self.seen.take(now)
    }

    /// What was signed.
    #[must_use]
    pub const fn signatures(&self) -> &SignatureCache {
        &self.signatures
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

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> &AnswerStats {
        &self.stats
    }
}
