//! This node's own requests: sending them, again if need be, and what silence tells about the other
//! node. What replies tell is next door ([`replies`]).

mod replies;

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{Key, NodeId, TxId};
use common::trace::{Context, SpanId};
use common::wire::header::{self, Header, body_room};

use super::command::Ticket;
use super::liveness::Verdict;
use super::message::{Ask, CONTACTS_MAX, Request, encode_request};
use super::node::Node;
use super::output::{Event, Output};
use super::relay::Asker;
use super::routing::{Entry, Table};
use super::rpc::{Call, CallId, Due};
use super::rtt::Rtt;
use super::serve::CONTACTS_NEAR;
use super::traced::Hop;
use super::work::TaskId;
use crate::refusal::Refusal;

/// Least patience with a ping for upkeep: nobody waits for it, and a verdict of death follows.
const PROBE_PATIENCE: Duration = Duration::from_millis(150);

/// Probes under way at once; a mention beyond that is dropped, more will come.
const PROBES_MAX: usize = 32;

/// A node that was asked anything within this time is not probed on a mention.
const PROBED_LATELY: Duration = Duration::from_secs(2);

/// Body of a ping to a node whose token is not held: room for a pong with two services over IPv4,
/// or one over IPv6. More of them come with the next pong.
const PING_PADDED: usize = 72;

/// Body of a find, an offer and a get likewise: room for a token and as many contacts as such a
/// reply has, of the family of addresses that this node has; in the reply to a get also for the
/// largest value, or four pointers.
const REPLY_REST: usize = 24;
const REPLY_VALUES: usize = 312;
const CONTACT_V4: usize = 12;
const CONTACT_V6: usize = 24;

/// Time between two probes of nodes for which the world's table has no room but, perhaps, the
/// place of a farther one: a new node looks around, an old one keeps an eye open. This part of a
/// node's age, between a least and a most.
const SCOUT_SHARE: u32 = 16;
const SCOUT_FIRST: Duration = Duration::from_secs(1);
const SCOUT_LAST: Duration = Duration::from_secs(30);

/// The same for a node that is alone in its innermost cluster, of those in the cluster around it: one
/// or two of them may be near, and nobody else will say so.
const SCOUT_AROUND: Duration = Duration::from_secs(2);

/// Requests that may be under way, per task that may be; one in [`UPKEEP_SHARE`] of them is kept
/// for upkeep. What walks ask at once is within it, and so is what the ended ones left behind.
const CALLS_PER_TASK: usize = 4;
const UPKEEP_SHARE: usize = 16;

/// Least patience with a relayed request: the introducer tries twice.
const DETOUR_PATIENCE: Duration = Duration::from_millis(500);

/// What a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// A step of a task.
    Task(TaskId),
    /// Upkeep.
    Probe,
    /// A client's ping, with its deadline.
    Ping(Ticket, Moment),
    /// A step of a task towards this node, asked through who named it.
    Detour(TaskId, NodeId),
    /// A client's search for nodes near somebody.
    Near(Ticket),
    /// Another node's request.
    Relay(Asker),
    /// Whether an own value is there.
    Check(Key),
    /// A value handed on; `again`: with the token that the first refusal brought.
    Hand {
        /// Whether it is the second try.
        again: bool,
    },
}

impl Node {
    /// Asks `to`; the answer or its absence comes back for `purpose`.
    ///
    /// # Errors
    ///
    /// `Busy`: as many requests are under way as may be. Nothing is sent and nothing comes back.
    pub(super) fn ask(
        &mut self,
        now: Moment,
        to: Entry,
        level: u8,
        ask: Ask,
        purpose: Purpose,
    ) -> Result<(), Refusal> {
        if self.calls.len() >= self.calls_max(&purpose) {
            self.stats.busy += 1;
            return Err(Refusal::Busy);
        }
        self.peers.meet(to.id, to.addr);
        let attempts = match purpose {
            Purpose::Ping(..) | Purpose::Near(_) | Purpose::Relay(_) | Purpose::Detour(..) => 2,
            Purpose::Task(_) | Purpose::Probe | Purpose::Check(_) | Purpose::Hand { .. } => {
                self.config.rpc.attempts.max(1)
            }
        };
        let call = self.calls.start(now, (to, level, ask), purpose, attempts);
        self.attempt(now, call);
        Ok(())
    }

    /// Requests that may be under way when one more of this purpose begins. What walks may not use
    /// is for upkeep: a node that stopped pinging because its clients are many would lose contacts.
    fn calls_max(&self, purpose: &Purpose) -> usize {
        let all = CALLS_PER_TASK * self.config.lookup.tasks.max(1);
        match purpose {
            Purpose::Task(_) | Purpose::Detour(..) | Purpose::Ping(..) | Purpose::Near(_) => {
                all - all / UPKEEP_SHARE
            }
            Purpose::Probe | Purpose::Relay(_) | Purpose::Check(_) | Purpose::Hand { .. } => all,
        }
    }

    /// Pings `to` for upkeep, unless that is under way already.
    pub(super) fn probe(&mut self, now: Moment, to: Entry) {
        if self.probes.len() < PROBES_MAX && !self.probes.contains(&to.id) {
            self.tell(now, to);
        }
    }

    /// Pings `to` so that it learns what is new here, however many pings are under way: those tell
    /// what was true when they left.
    pub(super) fn tell(&mut self, now: Moment, to: Entry) {
        if to.id == self.own.id {
            return;
        }
        self.probes.insert(to.id);
        let services = self.services.clone();
        let asked = self.ask(now, to, 0, Ask::Ping { services }, Purpose::Probe);
        if asked.is_err() {
            self.probes.remove(&to.id);
        }
    }

    /// A node nobody here has heard yet, or that counts as failed, showed itself or was mentioned:
    /// worth a ping if there would be room for it.
    pub(super) fn consider(&mut self, now: Moment, id: NodeId, addr: SocketAddr, level: u8) {
        let lately = |at: Option<Moment>| at.is_some_and(|at| now.since(at) < PROBED_LATELY);
        let peer = self.peers.at(id);
        let tabled = |level: u8| peer.is_some_and(|peer| peer.tabled >> level & 1 == 1);
        let wanted = |level: u8| {
            let room = self.table_at(level).is_some_and(|table| table.has_room(id));
            room && !tabled(level)
        };
        if id == self.own.id || peer.is_some_and(|peer| lately(peer.asked)) {
            return;
        }
        let wants = wanted(0) || level > 0 && wanted(level);
        let unmeasured = peer.is_none_or(|peer| peer.rtt.mean().is_none());
        let around = self.is_alone_inside() && level + 1 >= self.innermost();
        if wants {
            self.probe(now, Entry { id, addr });
        } else if unmeasured && around && now >= self.scout_around {
            self.scout_around = now + SCOUT_AROUND;
            self.probe(now, Entry { id, addr });
        } else if unmeasured && now >= self.scout {
            let age = now.since(self.born);
            let wait = (age / SCOUT_SHARE).clamp(SCOUT_FIRST, SCOUT_LAST);
            self.scout = now + wait;
            self.probe(now, Entry { id, addr });
        }
    }

    /// Whether nobody is known in the innermost cluster, though others may be near.
    fn is_alone_inside(&self) -> bool {
        let level = self.innermost();
        level > 0 && self.table_at(level).is_some_and(Table::is_empty)
    }

    fn attempt(&mut self, now: Moment, id: CallId) {
        let Some(call) = self.calls.at(id) else {
            return;
        };
        let (to, level, attempts, purpose) = (call.to, call.level, call.attempts, call.purpose);
        let timeout = self.patience(now, call);
        let peer = self.peers.at(to.id);
        let token = peer.and_then(|peer| peer.token(now));
        let rtt = peer.map(|peer| peer.rtt).unwrap_or_default();
        let late = match purpose {
            Purpose::Task(_) if attempts == 0 => {
                Some(rtt.late(&self.config.rpc, self.usual(level)))
            }
            _ => None,
        };
        let behalf = Self::behalf(&purpose);
        let ask = call.ask.clone();
        let kind = ask.kind();
        let tx = TxId(self.rng.u64());
        let trace = self.trace_of(&purpose).map(|context| Context {
            parent: SpanId(tx.0),
            ..context
        });
        let request = Request {
            level,
            token,
            behalf,
            trace,
            ask,
        };
        if let Some(bytes) = self.seal_request(now, to.id, tx, &request) {
            self.stats.sent.count(kind);
            self.stats.retransmissions += u64::from(attempts > 0);
            self.stats.bytes_sent += bytes.len() as u64;
            self.output(Output::Transmit { to: to.addr, bytes });
        }
        if let Some(peer) = self.peers.at_mut(to.id) {
            peer.asked = Some(now);
        }
        self.calls.sent(now, id, tx, (timeout, late));
    }

    /// What is usual of nodes that are not measured: inside a cluster they are near.
    const fn usual(&self, level: u8) -> &Rtt {
        if level == 0 {
            &self.usual
        } else {
            &Rtt::UNMEASURED
        }
    }

    /// How long the next attempt of a call is worth waiting for.
    fn patience(&self, now: Moment, call: &Call<Purpose>) -> Duration {
        let attempts = call.attempts;
        let rtt = self.peers.at(call.to.id).map(|peer| peer.rtt);
        let rtt = rtt.unwrap_or_default();
        let timeout = rtt.timeout(&self.config.rpc, self.usual(call.level), attempts);
        match call.purpose {
            Purpose::Probe | Purpose::Check(_) | Purpose::Hand { .. } => {
                timeout.max(PROBE_PATIENCE)
            }
            // Half of what is left for the first attempt, all of it for the second.
            Purpose::Ping(_, deadline) => {
                let left = deadline.since(now);
                if attempts == 0 { left / 2 } else { left }
            }
            Purpose::Task(_) if attempts + 1 >= call.attempts_max => {
                let verdict = call.began + self.config.rpc.verdict_floor;
                timeout.max(verdict.since(now))
            }
            // The asker waits: the answer is worth no more than the link's own patience.
            Purpose::Task(_) | Purpose::Near(_) | Purpose::Relay(_) => timeout,
            // Two links and their patience.
            Purpose::Detour(..) => timeout.saturating_mul(3).max(DETOUR_PATIENCE),
        }
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
        let contact = if self.own.addr.is_ipv4() {
            CONTACT_V4
        } else {
            CONTACT_V6
        };
        let room = |contacts: usize| REPLY_REST + contacts * contact;
        let pad_to = match (&request.token, &request.ask) {
            (None, Ask::Ping { .. }) => PING_PADDED,
            (None, Ask::Find { .. }) => room(CONTACTS_NEAR),
            (None, Ask::Offer { .. }) => room(CONTACTS_MAX),
            (None, Ask::Get { .. }) => room(CONTACTS_MAX) + REPLY_VALUES,
            // A write without a token is refused in fewer bytes than it has.
            (
                None,
                Ask::Put { .. } | Ask::Claim { .. } | Ask::Withdraw { .. } | Ask::Hand { .. },
            )
            | (None, Ask::Relay { .. } | Ask::Probe { .. } | Ask::Sync { .. })
            | (Some(_), _) => 0,
        };
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

    /// Retransmits or gives up what is due.
    pub(super) fn handle_due_calls(&mut self, now: Moment) {
        while let Some(due) = self.calls.due(now) {
            match due {
                Due::Late(id) => {
                    let late = self.calls.at(id).map(|call| (call.purpose, call.to.id));
                    // Where one answer is awaited already, this one is late for the same reason.
                    let first = self.calls.is_oldest(id);
                    if let (Some((Purpose::Task(task), peer)), true) = (late, first) {
                        self.stats.hedged += 1;
                        self.task_slow(now, task, peer);
                    }
                }
                Due::Retry(id) => {
                    let slow = self.calls.at(id).map(|call| (call.purpose, call.to.id));
                    self.attempt_again(now, id);
                    if let Some((Purpose::Task(task), peer)) = slow {
                        self.task_slow(now, task, peer);
                    }
                }
                Due::Failed(call) => self.unanswered(now, &call),
            }
        }
    }

    /// The next attempt of a call, if it is the oldest to its peer. Of the others, those that a
    /// task still waits for go on waiting.
    fn attempt_again(&mut self, now: Moment, id: CallId) {
        let Some(call) = self.calls.at(id) else {
            return;
        };
        if self.calls.is_oldest(id) {
            return self.attempt(now, id);
        }
        match call.purpose {
            Purpose::Task(task) if !self.tasks.contains_key(&task) => self.calls.abandon(now, id),
            Purpose::Task(_) | Purpose::Check(_) | Purpose::Hand { .. } | Purpose::Probe => {
                let timeout = self.patience(now, call);
                self.calls.pass(now, id, timeout);
            }
            // Somebody else waits, and not for long.
            Purpose::Ping(..) | Purpose::Near(_) | Purpose::Relay(_) | Purpose::Detour(..) => {
                self.attempt(now, id);
            }
        }
    }

    fn unanswered(&mut self, now: Moment, call: &Call<Purpose>) {
        let id = call.to.id;
        self.stats.timeouts += 1;
        self.hopped(&call.purpose, |context| Hop {
            context,
            id: None,
            to: call.to.addr,
            level: call.level,
            began: call.began,
            reply: None,
        });
        // A client may be too impatient for its failed ping to say anything.
        let patient = now.since(call.began) >= self.config.rpc.verdict_floor;
        if patient && self.peers.failure(now, id, call.began) == Verdict::Failed {
            self.lost(now, call.to);
        }
        match call.purpose {
            Purpose::Task(task) => {
                if !self.detour(now, (call.to, call.level, &call.ask), task) {
                    self.task_failed(now, task, id);
                }
            }
            Purpose::Detour(task, far) => self.task_failed(now, task, far),
            Purpose::Relay(asker) => self.relayed(now, asker, None),
            Purpose::Check(key) => self.checked(now, key, id, None),
            // Whoever died in turn is replaced when its neighbours notice.
            Purpose::Hand { .. } => {}
            Purpose::Probe => {
                self.probes.remove(&id);
                let doubtful = self
                    .peers
                    .at(id)
                    .is_some_and(|p| p.is_tabled() && !p.has_failed());
                if doubtful {
                    // The second opinion at once: a death is to be known in a second or two.
                    self.probe(now, call.to);
                }
            }
            Purpose::Ping(ticket, _) => self.refuse(ticket, Refusal::Unreachable),
            Purpose::Near(ticket) => self.near_answered(now, ticket, id, None),
        }
    }

    fn lost(&mut self, now: Moment, entry: Entry) {
        self.keep.lost(now, entry.id, &mut self.rng);
        for level in 1..=self.innermost() {
            self.untable_at(level, entry.id);
        }
        if !self.untable_at(0, entry.id) {
            return;
        }
        self.neighbour_changed(now, entry.id);
        self.stats.contacts_failed += 1;
        self.event(Event::ContactFailed(entry.id, entry.addr));
        self.contact_lost(now);
    }
}
