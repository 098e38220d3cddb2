//! This node's own requests: sending them, again if need be, and what their replies or their
//! silence tell about the other node.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{NodeId, TxId};
use common::wire::header::{self, Header, body_room};

use super::node::Member;
use super::task::TaskId;
use crate::engine::admit::DropReason;
use crate::engine::command::{Answer, Ticket};
use crate::engine::liveness::Verdict;
use crate::engine::message::{Ask, Path, Reply, Request, Say, encode_request};
use crate::engine::output::{Event, Output};
use crate::engine::routing::Entry;
use crate::engine::rpc::{Call, CallId, Due};
use crate::engine::rtt::Rtt;
use crate::refusal::Refusal;

/// Least patience with a probe: nobody waits for it, and a suspicion follows.
const PROBE_PATIENCE: Duration = Duration::from_millis(150);

/// Body of a probe to a node whose token is not held: room for its word of itself and a token.
const PROBE_PADDED: usize = 112;

/// Body of a get likewise: room for a value or two.
const GET_PADDED: usize = 320;

/// Least patience with a relayed request: the relay tries twice.
const RELAY_PATIENCE: Duration = Duration::from_millis(500);

/// What a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// A step of a task.
    Task(TaskId),
    /// To see whether a member lives, and to exchange news.
    Probe,
    /// To hear from a third node whether that one lives.
    Inquiry(Entry),
    /// A client's ping, with its deadline.
    Ping(Ticket, Moment),
    /// To compare who is known under a prefix.
    Sync(Path),
    /// To give it a value it should store.
    Hand,
    /// Another node's request: whose, and as which transaction.
    Relay(Entry, TxId),
}

/// A purpose, and whether the request has been sent anew with a token already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Errand {
    pub(super) purpose: Purpose,
    again: bool,
}

impl Member {
    /// Asks `to`; the answer or its absence comes back for `purpose`.
    pub(super) fn ask(&mut self, now: Moment, to: Entry, ask: Ask, purpose: Purpose) {
        let errand = Errand {
            purpose,
            again: false,
        };
        self.ask_for(now, to, ask, errand);
    }

    fn ask_for(&mut self, now: Moment, to: Entry, ask: Ask, errand: Errand) {
        self.peers.meet(to.id, to.addr);
        let attempts = match errand.purpose {
            Purpose::Ping(..) | Purpose::Relay(..) | Purpose::Inquiry(_) => 2,
            Purpose::Task(_) | Purpose::Probe | Purpose::Sync(_) | Purpose::Hand => {
                self.config.rpc.attempts.max(1)
            }
        };
        let call = self.calls.start(now, (to, 0, ask), errand, attempts);
        self.attempt(now, call);
    }

    fn attempt(&mut self, now: Moment, id: CallId) {
        let Some(call) = self.calls.at(id) else {
            return;
        };
        let (to, attempts, purpose) = (call.to, call.attempts, call.purpose.purpose);
        let peer = self.peers.at(to.id);
        let token = peer.and_then(|peer| peer.token(now));
        let rtt = peer.map(|peer| peer.rtt).unwrap_or_default();
        let mut timeout = rtt.timeout(&self.config.rpc, &Rtt::UNMEASURED, attempts);
        match purpose {
            Purpose::Probe | Purpose::Sync(_) => timeout = timeout.max(PROBE_PATIENCE),
            // Half of what is left for the first attempt, all of it for the second.
            Purpose::Ping(_, deadline) => {
                let left = deadline.since(now);
                timeout = if attempts == 0 { left / 2 } else { left };
            }
            Purpose::Task(_) if attempts + 1 >= call.attempts_max => {
                let verdict = call.began + self.config.rpc.verdict_floor;
                timeout = timeout.max(verdict.since(now));
            }
            Purpose::Task(_) | Purpose::Relay(..) | Purpose::Hand => {}
            Purpose::Inquiry(_) => timeout = timeout.saturating_mul(3).max(RELAY_PATIENCE),
        }
        let late = match purpose {
            Purpose::Task(_) if attempts == 0 => Some(rtt.late(&self.config.rpc, &Rtt::UNMEASURED)),
            _ => None,
        };
        let request = Request {
            level: 0,
            token,
            behalf: None,
            trace: None,
            ask: call.ask.clone(),
        };
        let tx = TxId(self.rng.u64());
        if let Some(bytes) = self.seal_request(to.id, tx, &request) {
            self.stats.sent.count(request.ask.kind());
            self.stats.retransmissions += u64::from(attempts > 0);
            self.stats.bytes_sent += bytes.len() as u64;
            self.output(Output::Transmit { to: to.addr, bytes });
        }
        if let Some(peer) = self.peers.at_mut(to.id) {
            peer.asked = Some(now);
        }
        self.calls.sent(now, id, tx, (timeout, late));
    }

    /// The datagram of a request; padded when no token is held, so that the reply may be as large.
    fn seal_request(&self, to: NodeId, tx: TxId, request: &Request) -> Option<Vec<u8>> {
        let pad_to = match (&request.token, &request.ask) {
            (None, Ask::Probe { .. } | Ask::Ping { .. }) => PROBE_PADDED,
            (None, Ask::Get { .. }) => GET_PADDED,
            // Writes without a token are refused in fewer bytes than they have, a sync says that
            // there is a difference and is sent anew.
            _ => 0,
        };
        let body = encode_request(request, body_room(0), pad_to).ok()?;
        let header = Header {
            kind: request.ask.kind().code(),
            tx,
            sender: self.own.id,
            receiver: Some(to),
            levels: Vec::new(),
        };
        header::seal(&self.network, &header, &body).ok()
    }

    /// A reply to an attempt under way.
    pub(super) fn replied(
        &mut self,
        now: Moment,
        from: SocketAddr,
        header: &Header,
        reply: Reply,
    ) -> Result<(), DropReason> {
        let answered = self.calls.answered(now, header.tx, from);
        let (call, sent) = answered.ok_or(DropReason::UnknownTransaction)?;
        let rtt = now.since(sent);
        self.stats.received.count(reply.say.kind());
        self.heard(now, call.to);
        if let Some(peer) = self.peers.at_mut(call.to.id) {
            peer.rtt.sample(now, rtt);
            if let Some(token) = reply.token {
                peer.given_token(now, Some(token));
            }
        }
        let tokenless = matches!(reply.say, Say::Refused(Refusal::Token));
        if tokenless && !call.purpose.again {
            // The refusal brought the token.
            let errand = Errand {
                again: true,
                ..call.purpose
            };
            self.ask_for(now, call.to, call.ask, errand);
            return Ok(());
        }
        self.answered(now, &call, reply.say, rtt);
        Ok(())
    }

    fn answered(&mut self, now: Moment, call: &Call<Errand>, say: Say, rtt: Duration) {
        let to = call.to;
        match (call.purpose.purpose, say) {
            (Purpose::Task(task), say) => self.task_answered(now, task, to, &say),
            (Purpose::Probe, Say::Ack { seen, rumours }) => {
                self.note_seen(seen);
                self.hear_all(now, to, &rumours, true);
                self.met(now, to);
            }
            (Purpose::Inquiry(about), say) => {
                let lives = matches!(&say, Say::Relayed(say) if matches!(**say, Say::Ack { .. }));
                self.inquired(now, about, lives);
            }
            (
                Purpose::Sync(path),
                Say::Differ {
                    differing,
                    listed,
                    rumours,
                },
            ) => {
                self.compared(now, to, path, (differing, listed), &rumours);
            }
            (Purpose::Sync(_), _) => self.sync_failed(now, to),
            (Purpose::Ping(ticket, _), say) => {
                let answer = match say {
                    Say::Pong { services, .. } => Answer::Pong { rtt, services },
                    Say::Refused(refusal) => Answer::Refused(refusal),
                    _ => Answer::Refused(Refusal::Other),
                };
                self.answer(ticket, answer);
            }
            (Purpose::Relay(asker, tx), say) => self.relayed(now, asker, tx, Some(say)),
            (Purpose::Probe | Purpose::Hand, _) => {}
        }
    }

    /// A node was heard at its address, by a reply or by a request that proved itself.
    pub(super) fn heard(&mut self, now: Moment, from: Entry) {
        self.peers.meet(from.id, from.addr);
        self.peers.heard(now, from.id);
    }

    pub(super) fn note_seen(&mut self, seen: SocketAddr) {
        if seen != self.own.addr && self.seen_elsewhere != Some(seen) {
            self.seen_elsewhere = Some(seen);
            self.event(Event::SeenElsewhere(seen));
        }
    }

    /// Retransmits or gives up what is due.
    pub(super) fn handle_due_calls(&mut self, now: Moment) {
        while let Some(due) = self.calls.due(now) {
            match due {
                Due::Late(id) => self.hedge(now, id),
                Due::Retry(id) => {
                    self.attempt(now, id);
                    self.hedge(now, id);
                }
                Due::Failed(call) => self.unanswered(now, &call),
            }
        }
    }

    fn hedge(&mut self, now: Moment, id: CallId) {
        let call = self.calls.at(id);
        if let Some(Purpose::Task(task)) = call.map(|call| call.purpose.purpose) {
            self.task_slow(now, task);
        }
    }

    fn unanswered(&mut self, now: Moment, call: &Call<Errand>) {
        let to = call.to;
        self.stats.timeouts += 1;
        // A client may be too impatient for its failed ping to say anything.
        if now.since(call.began) >= self.config.rpc.verdict_floor {
            let verdict = self.peers.failure(now, to.id, call.began);
            if verdict != Verdict::Known {
                self.inquire(now, to);
            }
        }
        match call.purpose.purpose {
            Purpose::Task(task) => self.task_failed(now, task, to),
            Purpose::Probe | Purpose::Hand => {}
            Purpose::Inquiry(about) => self.inquired(now, about, false),
            Purpose::Ping(ticket, _) => self.refuse(ticket, Refusal::Unreachable),
            Purpose::Sync(_) => self.sync_failed(now, to),
            Purpose::Relay(asker, tx) => self.relayed(now, asker, tx, None),
        }
    }

    pub(super) fn answer(&mut self, ticket: Ticket, answer: Answer) {
        if let Answer::Refused(refusal) = &answer {
            self.stats.refused_here.count(*refusal);
        }
        self.output(Output::Answer { ticket, answer });
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, refusal: Refusal) {
        self.answer(ticket, Answer::Refused(refusal));
    }
}
