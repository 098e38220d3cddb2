//! One hop around a broken link: a node that others reach and this one does not (9 % of pairs in
//! some measurements) is asked through the node that named it.
//!
//! The asking node turns to the introducer once its own attempts have failed; the introducer asks
//! in its own name, says on whose behalf, and hands the answer back. Never two hops: a relayed
//! request cannot be a relay. A member thereby writes in another's name; members are trusted with
//! that, as they are with everything else the secret guards (docs/adr/0013).

use std::net::SocketAddr;

use common::clock::Moment;
use common::ids::{NodeId, TxId};
use common::wire::header::Header;

use super::exchange::Purpose;
use super::message::{Ask, Reply, Say};
use super::node::Node;
use super::routing::Entry;
use super::work::TaskId;
use crate::refusal::Refusal;

/// Requests relayed at once for others; more are refused as busy.
const RELAYS_MAX: usize = 64;

/// Who waits for a relayed answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Asker {
    addr: SocketAddr,
    id: NodeId,
    tx: TxId,
    level: u8,
    /// The far node was asked again with the token that its refusal brought.
    again: bool,
}

impl Node {
    /// A node does not answer here: asks it for `task` through who named it. Says whether there is
    /// such a way.
    pub(super) fn detour(
        &mut self,
        now: Moment,
        (far, level, ask): (Entry, u8, &Ask),
        task: TaskId,
    ) -> bool {
        let via = self
            .tasks
            .get(&task)
            .and_then(|running| running.introducer(far.id));
        let Some((id, peer)) = via.and_then(|id| Some((id, self.peers.at(id)?))) else {
            return false;
        };
        // Writes are not made again by another way than they were begun, unless nobody else could
        // have answered: a copy too many ends by itself.
        if peer.has_failed() || peer.token(now).is_none() {
            return false;
        }
        let to = Entry {
            id,
            addr: peer.addr(),
        };
        let ask = Ask::Relay {
            to: far.addr,
            ask: Box::new(ask.clone()),
        };
        let purpose = Purpose::Detour(task, far.id);
        let asked = self.ask(now, to, level, ask, purpose).is_ok();
        self.stats.detours += u64::from(asked);
        asked
    }

    /// Somebody wants a node asked. `None`: it is under way, and the reply follows.
    pub(super) fn relay(
        &mut self,
        now: Moment,
        from: SocketAddr,
        header: &Header,
        (level, to, ask): (u8, SocketAddr, &Ask),
    ) -> Option<Say> {
        let id = NodeId::of(to);
        let known = self.peers.at(id).is_some_and(|peer| peer.heard.is_some());
        let failed = self
            .peers
            .at(id)
            .is_none_or(super::liveness::Peer::has_failed);
        if id == self.own.id || !known || failed || matches!(ask, Ask::Relay { .. }) {
            return Some(Say::Refused(Refusal::Unreachable));
        }
        if self.relays >= RELAYS_MAX {
            return Some(Say::Refused(Refusal::Busy));
        }
        let asker = Asker {
            addr: from,
            id: header.sender,
            tx: header.tx,
            level,
            again: false,
        };
        let purpose = Purpose::Relay(asker);
        let asked = self.ask(now, Entry { id, addr: to }, level, ask.clone(), purpose);
        if let Err(refusal) = asked {
            return Some(Say::Refused(refusal));
        }
        self.relays += 1;
        self.stats.relayed += 1;
        None
    }

    /// The far node answered. For want of a token it refuses anything on behalf of another, and gives
    /// one with its refusal: it is asked once more.
    pub(super) fn relay_answered(
        &mut self,
        now: Moment,
        (far, level, ask): (Entry, u8, Ask),
        asker: Asker,
        say: Say,
    ) {
        if say == Say::Refused(Refusal::Token) && !asker.again {
            let asker = Asker {
                again: true,
                ..asker
            };
            let asked = self.ask(now, far, level, ask, Purpose::Relay(asker));
            if let Err(refusal) = asked {
                self.relayed(now, asker, Some(Say::Refused(refusal)));
            }
        } else {
            self.relayed(now, asker, Some(say));
        }
    }

    /// A relayed request was answered, or not.
    pub(super) fn relayed(&mut self, now: Moment, asker: Asker, say: Option<Say>) {
        self.relays = self.relays.saturating_sub(1);
        let say = match say {
            Some(say @ Say::Relayed(_)) => say,
            Some(say) => Say::Relayed(Box::new(say)),
            None => Say::Refused(Refusal::Unreachable),
        };
        let token = Some(self.tokens.issue(now, asker.addr));
        let reply = Reply {
            level: asker.level,
            token,
            say,
        };
        let (tx, id) = (asker.tx, asker.id);
        // The asker has proven its address: a relay needs its token.
        let most = common::limits::DATAGRAM_MAX;
        if let Err(reason) = self.reply(now, asker.addr, (tx, id), &reply, most) {
            self.stats.dropped.count(reason);
        }
    }

    /// For whom a request in flight asks, if not for this node.
    pub(super) const fn behalf(purpose: &Purpose) -> Option<SocketAddr> {
        match purpose {
            Purpose::Relay(asker) => Some(asker.addr),
            Purpose::Task(_)
            | Purpose::Probe
            | Purpose::Ping(..)
            | Purpose::Near(_)
            | Purpose::Detour(..)
            | Purpose::Check(_)
            | Purpose::Hand { .. } => None,
        }
    }
}
