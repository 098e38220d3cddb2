//! Replies, and what they teach of their senders and of the nodes that they mention.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use common::ids::NodeId;
use common::trace::SpanId;
use common::wire::header::{Header, LevelInfo};

use super::Purpose;
use crate::engine::admit::DropReason;
use crate::engine::command::{Answer, Ticket};
use crate::engine::message::{Contact, Reply, Say, Service};
use crate::engine::node::Node;
use crate::engine::output::Event;
use crate::engine::routing::Entry;
use crate::engine::traced::Hop;
use crate::refusal::Refusal;

impl Node {
    /// A reply to an attempt under way.
    pub(in crate::engine) fn replied(
        &mut self,
        now: Moment,
        from: SocketAddr,
        header: &Header,
        reply: Reply,
    ) -> Result<(), DropReason> {
        let Some((call, sent)) = self.calls.answered(now, header.tx, from) else {
            return self.replied_late(now, from, header, &reply);
        };
        let (id, rtt) = (call.to.id, now.since(sent));
        self.stats.received.count(reply.say.kind());
        if call.purpose == Purpose::Probe {
            self.probes.remove(&id);
        }
        let peer = self.peers.meet(id, from);
        if !matches!(call.purpose, Purpose::Detour(..)) {
            if peer.rtt.mean().is_none() && call.level == 0 {
                self.usual.sample(now, rtt);
            }
            peer.rtt.sample(now, rtt);
        }
        peer.given_token(now, reply.token);
        self.heard(now, id, from, &header.levels);
        if let Say::Pong {
            seen,
            boot,
            services,
        } = &reply.say
        {
            self.learn(now, (id, from), *seen, *boot, services);
        }
        if let Say::Nodes { contacts } | Say::Values { contacts, .. } = &reply.say {
            self.mentioned(now, (id, &header.levels), call.purpose, contacts);
        }
        let reply_kind = reply.say.kind();
        self.hopped(&call.purpose, |context| Hop {
            context,
            id: Some(SpanId(header.tx.0)),
            to: from,
            level: call.level,
            began: call.began,
            reply: Some(reply_kind),
        });
        match call.purpose {
            Purpose::Task(task) => self.task_answered(now, task, id, &reply.say),
            Purpose::Probe => self.calmer(),
            Purpose::Ping(ticket, _) => self.pinged(ticket, rtt, reply.say),
            Purpose::Near(ticket) => self.near_answered(now, ticket, id, Some(&reply.say)),
            Purpose::Relay(asker) => {
                self.relay_answered(now, (call.to, call.level, call.ask), asker, reply.say);
            }
            Purpose::Check(key) => self.checked(now, key, id, Some(&reply.say)),
            Purpose::Hand { again } => self.handed(now, call.to, call.ask, again, &reply.say),
            Purpose::Detour(task, far) => match reply.say {
                Say::Relayed(say) => {
                    if let Say::Nodes { contacts } | Say::Values { contacts, .. } = &*say {
                        let purpose = Purpose::Task(task);
                        self.mentioned(now, (id, &header.levels), purpose, contacts);
                    }
                    self.task_answered(now, task, far, &say);
                }
                _ => self.task_failed(now, task, far),
            },
        }
        Ok(())
    }

    /// A reply to an attempt nobody waits for any more: its sender lives, and is so far away.
    fn replied_late(
        &mut self,
        now: Moment,
        from: SocketAddr,
        header: &Header,
        reply: &Reply,
    ) -> Result<(), DropReason> {
        let answered = self.calls.answered_late(header.tx, from);
        let (to, sent) = answered.ok_or(DropReason::UnknownTransaction)?;
        self.stats.received.count(reply.say.kind());
        self.stats.late_replies += 1;
        let peer = self.peers.meet(to.id, from);
        // A relayed answer took two links.
        if !matches!(reply.say, Say::Relayed(_)) {
            if peer.rtt.mean().is_none() {
                self.usual.sample(now, now.since(sent));
            }
            peer.rtt.sample(now, now.since(sent));
        }
        if reply.token.is_some() {
            peer.given_token(now, reply.token);
        }
        self.heard(now, to.id, from, &header.levels);
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
    pub(in crate::engine) fn heard(
        &mut self,
        now: Moment,
        id: NodeId,
        addr: SocketAddr,
        levels: &[LevelInfo],
    ) {
        let peer = self.peers.meet(id, addr);
        let gone = peer.failed_at();
        peer.hear(now);
        let was_alone = self.table.is_empty();
        let new = self.enlist(now, Entry { id, addr }, levels);
        if let Some(gone) = gone {
            self.reunite(now, Entry { id, addr }, gone);
        }
        if !new {
            return;
        }
        self.event(Event::ContactAdded(id, addr));
        self.neighbour_changed(now, id);
        if was_alone {
            self.joined(now, addr);
        }
        // Known only by its request or by a walk: what runs there is still to be learnt.
        if self.peers.at(id).is_some_and(|peer| !peer.is_introduced()) {
            self.probe(now, Entry { id, addr });
        }
    }

    /// What a pong says of its sender and of us.
    fn learn(
        &mut self,
        now: Moment,
        (id, addr): (NodeId, SocketAddr),
        seen: SocketAddr,
        boot: u64,
        services: &[Service],
    ) {
        if seen != self.own.addr && self.seen_elsewhere != Some(seen) {
            self.seen_elsewhere = Some(seen);
            self.event(Event::SeenElsewhere(seen));
        }
        let Some(peer) = self.peers.at_mut(id) else {
            return;
        };
        peer.runs(services);
        let restarted = peer.booted(boot);
        if restarted {
            self.event(Event::ContactRestarted(id, addr));
            self.neighbour_changed(now, id);
            self.keep.lost(now, id, &mut self.rng);
        }
    }

    /// Third nodes were mentioned. Only candidates: none enters the table before it answered.
    fn mentioned(
        &mut self,
        now: Moment,
        (by, levels): (NodeId, &[LevelInfo]),
        purpose: Purpose,
        contacts: &[Contact],
    ) {
        for contact in contacts {
            let (id, addr) = (NodeId::of(contact.addr), contact.addr);
            let peer = self.peers.at(id);
            let counts = peer.is_none_or(|peer| peer.mention_counts(now, contact.age));
            // A claim must be decided where all others are. It goes by an older word as well, as the
            // one who mentions a dead node finds that out by relaying.
            if id == self.own.id || !(counts || self.is_claim(purpose)) {
                continue;
            }
            // What the mentioned node said itself is better than what its neighbour says, unless that
            // one heard it since: it may have moved.
            let fresh = |heard: Moment| heard + contact.age >= now;
            let said = peer.filter(|peer| peer.has_levels() && peer.heard.is_some_and(fresh));
            let shared = match said {
                Some(peer) => self.shared_with(peer),
                None => self.shared(levels, contact.level),
            };
            if let Purpose::Task(task) = purpose {
                let tries = self.tasks.get(&task).and_then(|running| running.tries());
                let level = match tries {
                    None => Some(shared),
                    Some((level, cluster)) => {
                        let there = levels.get(usize::from(level)).map(|l| l.cluster);
                        (there == Some(cluster) && contact.level >= level).then_some(level)
                    }
                };
                if let Some(level) = level {
                    let lead = self.lead(Entry { id, addr }, level, Some(by));
                    self.task_offered(task, lead);
                }
            }
            if counts {
                self.consider(now, id, addr, shared);
            }
        }
    }

    fn is_claim(&self, purpose: Purpose) -> bool {
        let Purpose::Task(task) = purpose else {
            return false;
        };
        self.tasks
            .get(&task)
            .is_some_and(|running| running.claims())
    }
}
