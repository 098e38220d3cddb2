//! This node's own requests: sending them, again if need be, and what their replies or their
//! silence tell about the other node.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{NodeId, TxId};
use common::limits::DATAGRAM_MAX;
use common::wire::header::{self, FIXED_LEN, Header, LEVEL_LEN, LevelInfo, TAG_LEN, body_room};

use super::admit::DropReason;
use super::command::{Answer, Ticket};
use super::liveness::Verdict;
use super::message::{Ask, CONTACTS_MAX, Contact, Reply, Request, Say, encode_request};
use super::node::Node;
use super::output::{Event, Output};
use super::routing::{Entry, Offer};
use super::rpc::{Call, CallId, Due};
use super::work::TaskId;
use crate::refusal::Refusal;

/// Least patience with a ping for upkeep: nobody waits for it, and a verdict of death follows.
const PROBE_PATIENCE: Duration = Duration::from_millis(150);

/// Probes under way at once; a mention beyond that is dropped, more will come.
const PROBES_MAX: usize = 32;

/// A node that was asked anything within this time is not probed on a mention.
const PROBED_LATELY: Duration = Duration::from_secs(2);

/// Size of a ping to a node whose token is not held: room for a few services in the pong.
const PING_PADDED: usize = 320;

/// Size of a find likewise: room for eight IPv6 contacts and a token.
const FIND_PADDED: usize = FIXED_LEN + TAG_LEN + LEVEL_LEN + 2 + CONTACTS_MAX * 23 + 19;

/// What a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// A step of a task.
    Task(TaskId),
    /// Upkeep.
    Probe,
    /// A client's ping, with its deadline.
    Ping(Ticket, Moment),
}

impl Node {
    /// Asks `to`; the answer or its absence comes back for `purpose`.
    pub(super) fn ask(&mut self, now: Moment, to: Entry, level: u8, ask: Ask, purpose: Purpose) {
        self.peers.meet(to.id, to.addr);
        let attempts = match purpose {
            Purpose::Ping(..) => 2,
            Purpose::Task(_) | Purpose::Probe => self.config.rpc.attempts.max(1),
        };
        let call = self.calls.start(now, (to, level, ask), purpose, attempts);
        self.attempt(now, call);
    }

    /// Pings `to` for upkeep, unless that is under way already.
    pub(super) fn probe(&mut self, now: Moment, to: Entry) {
        if to.id == self.own.id || self.probes.len() >= PROBES_MAX || !self.probes.insert(to.id) {
            return;
        }
        let services = self.services.clone();
        self.ask(now, to, 0, Ask::Ping { services }, Purpose::Probe);
    }

    /// A node nobody here has heard yet, or that counts as failed, showed itself or was mentioned:
    /// worth a ping if there would be room for it.
    pub(super) fn consider(&mut self, now: Moment, id: NodeId, addr: SocketAddr) {
        let lately = |at: Option<Moment>| at.is_some_and(|at| now.since(at) < PROBED_LATELY);
        let known = self
            .peers
            .at(id)
            .is_some_and(|p| p.tabled || lately(p.asked));
        if !known && self.table.has_room(id) {
            self.probe(now, Entry { id, addr });
        }
    }

    fn attempt(&mut self, now: Moment, id: CallId) {
        let Some(call) = self.calls.at(id) else {
            return;
        };
        let (to, attempts, purpose) = (call.to, call.attempts, call.purpose);
        let peer = self.peers.at(to.id);
        let token = peer.and_then(|peer| peer.token(now));
        let rtt = peer.map(|peer| peer.rtt).unwrap_or_default();
        let mut timeout = rtt.timeout(&self.config.rpc, attempts);
        match purpose {
            Purpose::Probe => timeout = timeout.max(PROBE_PATIENCE),
            // Half of what is left for the first attempt, all of it for the second.
            Purpose::Ping(_, deadline) => {
                let left = deadline.since(now);
                timeout = if attempts == 0 { left / 2 } else { left };
            }
            Purpose::Task(_) if attempts + 1 >= call.attempts_max => {
                let verdict = call.began + self.config.rpc.verdict_floor;
                timeout = timeout.max(verdict.since(now));
            }
            Purpose::Task(_) => {}
        }
        let (level, ask) = (call.level, call.ask.clone());
        let kind = ask.kind();
        let request = Request { level, token, ask };
        let tx = TxId(self.rng.u64());
        if let Some(bytes) = self.seal_request(now, to.id, tx, &request) {
            self.stats.sent.count(kind);
            self.stats.retransmissions += u64::from(attempts > 0);
            self.stats.bytes_sent += bytes.len() as u64;
            self.output(Output::Transmit { to: to.addr, bytes });
        }
        if let Some(peer) = self.peers.at_mut(to.id) {
            peer.asked = Some(now);
        }
        self.calls.sent(now, id, tx, timeout);
    }

    /// The datagram of a request; padded when no token is held, so that the reply may be as large.
    fn seal_request(
        &self,
        now: Moment,
        to: NodeId,
        tx: TxId,
        request: &Request,
    ) -> Option<Vec<u8>> {
        let levels = self.header_levels(now);
        let around = FIXED_LEN + TAG_LEN + LEVEL_LEN * levels.len();
        let padded = match (&request.token, &request.ask) {
            (None, Ask::Ping { .. }) => PING_PADDED,
            (None, Ask::Find { .. }) => FIND_PADDED,
            (None, Ask::Get { .. }) => DATAGRAM_MAX,
            // A write without a token is refused in fewer bytes than it has.
            (None, Ask::Put { .. } | Ask::Claim { .. } | Ask::Withdraw { .. }) | (Some(_), _) => 0,
        };
        let pad_to = padded.saturating_sub(around);
        let body = encode_request(request, body_room(levels.len()), pad_to).ok()?;
        let kind = request.ask.kind().code();
        let header = Header {
            kind,
            tx,
            sender: self.own.id,
            receiver: Some(to),
            levels,
        };
        header::seal(&self.network, &header, &body).ok()
    }

    /// What every datagram says of this node's clusters.
    pub(super) fn header_levels(&self, now: Moment) -> Vec<LevelInfo> {
        let age_s = u32::try_from(now.since(self.born).as_secs()).unwrap_or(u32::MAX);
        vec![LevelInfo {
            size: self.size,
            age_s,
            ..LevelInfo::default()
        }]
    }

    /// A reply to an attempt under way.
    pub(super) fn replied(
        &mut self,
        now: Moment,
        from: SocketAddr,
        header: &Header,
        reply: Reply,
    ) -> Result<(), DropReason> {
        let answered = self.calls.answered(header.tx, from);
        let (call, sent) = answered.ok_or(DropReason::UnknownTransaction)?;
        let (id, rtt) = (call.to.id, now.since(sent));
        self.stats.received.count(reply.say.kind());
        if call.purpose == Purpose::Probe {
            self.probes.remove(&id);
        }
        self.heard(now, id, from);
        if let Some(peer) = self.peers.at_mut(id) {
            peer.rtt.sample(rtt);
            if let Some(token) = reply.token {
                peer.keep_token(now, token);
            }
        }
        if let Say::Pong {
            seen,
            boot,
            services,
        } = &reply.say
        {
            self.learn(now, (id, from), *seen, *boot, services);
        }
        if let Say::Nodes { contacts } | Say::Values { contacts, .. } = &reply.say {
            self.mentioned(now, call.purpose, contacts);
        }
        match call.purpose {
            Purpose::Task(task) => self.task_answered(now, task, id, &reply.say),
            Purpose::Probe => {}
            Purpose::Ping(ticket, _) => self.pinged(ticket, rtt, reply.say),
        }
        Ok(())
    }

    fn pinged(&mut self, ticket: Ticket, rtt: Duration, say: Say) {
        let answer = match say {
            Say::Pong { services, .. } => Answer::Pong { rtt, services },
            Say::Refused(refusal) => Answer::Refused(refusal),
            _ => Answer::Refused(Refusal::Other),
        };
        self.answer(ticket, answer);
    }

    /// A node was heard at its address, by a reply or by a request that proved itself.
    pub(super) fn heard(&mut self, now: Moment, id: NodeId, addr: SocketAddr) {
        self.peers.meet(id, addr);
        self.peers.heard(now, id);
        let peers = &self.peers;
        let failed = |id| peers.at(id).is_none_or(|peer| peer.has_failed());
        let was_alone = self.table.is_empty();
        match self.table.offer(Entry { id, addr }, failed) {
            Offer::Known | Offer::Full => return,
            Offer::Added => {}
            Offer::Replaced(old) => self.untable(old),
        }
        if let Some(peer) = self.peers.at_mut(id) {
            peer.tabled = true;
        }
        self.size = self.table.size_estimate();
        self.event(Event::ContactAdded(id, addr));
        if was_alone {
            self.joined(now, addr);
        }
        // Known only by its request or by a walk: what runs there is still to be learnt.
        if self.peers.at(id).is_some_and(|peer| peer.boot.is_none()) {
            self.probe(now, Entry { id, addr });
        }
    }

    fn untable(&mut self, id: NodeId) {
        if let Some(peer) = self.peers.at_mut(id) {
            peer.tabled = false;
        }
    }

    /// What a pong says of its sender and of us.
    fn learn(
        &mut self,
        now: Moment,
        (id, addr): (NodeId, SocketAddr),
        seen: SocketAddr,
        boot: u64,
        services: &[super::message::Service],
    ) {
        if seen != self.own.addr && self.seen_elsewhere != Some(seen) {
            self.seen_elsewhere = Some(seen);
            self.event(Event::SeenElsewhere(seen));
        }
        let Some(peer) = self.peers.at_mut(id) else {
            return;
        };
        peer.services = services.to_vec();
        let restarted = peer.boot.replace(boot).is_some_and(|before| before != boot);
        if restarted {
            self.event(Event::ContactRestarted(id, addr));
            self.keep.lost(now, id, &mut self.rng);
        }
    }

    /// Third nodes were mentioned. Only candidates: none enters the table before it answered.
    fn mentioned(&mut self, now: Moment, purpose: Purpose, contacts: &[Contact]) {
        for contact in contacts {
            let id = NodeId::of(contact.addr);
            let peer = self.peers.at(id);
            let counts = peer.is_none_or(|peer| peer.mention_counts(now, contact.age));
            if id == self.own.id || !counts {
                continue;
            }
            let entry = Entry {
                id,
                addr: contact.addr,
            };
            if let Purpose::Task(task) = purpose {
                self.task_offered(task, entry);
            }
            self.consider(now, id, contact.addr);
        }
    }

    /// Retransmits or gives up what is due.
    pub(super) fn handle_due_calls(&mut self, now: Moment) {
        while let Some(due) = self.calls.due(now) {
            match due {
                Due::Retry(id) => {
                    let slow = self.calls.at(id).map(|call| (call.purpose, call.to.id));
                    self.attempt(now, id);
                    if let Some((Purpose::Task(task), peer)) = slow {
                        self.task_slow(now, task, peer);
                    }
                }
                Due::Failed(call) => self.unanswered(now, &call),
            }
        }
    }

    fn unanswered(&mut self, now: Moment, call: &Call<Purpose>) {
        let id = call.to.id;
        self.stats.timeouts += 1;
        // A client may be too impatient for its failed ping to say anything.
        let patient = now.since(call.began) >= self.config.rpc.verdict_floor;
        if patient && self.peers.failure(now, id, call.began) == Verdict::Failed {
            self.lost(now, call.to);
        }
        match call.purpose {
            Purpose::Task(task) => self.task_failed(now, task, id),
            Purpose::Probe => {
                self.probes.remove(&id);
                let doubtful = self
                    .peers
                    .at(id)
                    .is_some_and(|p| p.tabled && !p.has_failed());
                if doubtful {
                    // The second opinion at once: a death is to be known in a second or two.
                    self.probe(now, call.to);
                }
            }
            Purpose::Ping(ticket, _) => self.refuse(ticket, Refusal::Unreachable),
        }
    }

    fn lost(&mut self, now: Moment, entry: Entry) {
        self.keep.lost(now, entry.id, &mut self.rng);
        self.untable(entry.id);
        if !self.table.remove(entry.id) {
            return;
        }
        self.size = self.table.size_estimate();
        self.stats.contacts_failed += 1;
        self.event(Event::ContactFailed(entry.id, entry.addr));
        if self.table.is_empty() {
            self.left_alone(now);
        }
    }
}
