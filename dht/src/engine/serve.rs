//! Answering the requests of other nodes, and this node's own to itself.
//!
//! A reply to an address that has not proven itself is never larger than its request: what does
//! not fit is left out, and if nothing fits there is no reply. Writes need a token, which every
//! reply carries.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{Key, NodeId};
use common::limits::DATAGRAM_MAX;
use common::wire::header::{self, FIXED_LEN, Header, LEVEL_LEN, TAG_LEN};

use super::admit::DropReason;
use super::message::{Ask, CONTACTS_MAX, Contact, Reply, Request, Say, encode_reply};
use super::node::Node;
use super::output::Output;
use crate::refusal::Refusal;

impl Node {
    /// A request that passed the gate.
    pub(super) fn serve(
        &mut self,
        now: Moment,
        from: SocketAddr,
        header: &Header,
        request: &Request,
        request_len: usize,
    ) -> Result<(), DropReason> {
        self.stats.received.count(request.ask.kind());
        let proven = request
            .token
            .is_some_and(|token| self.tokens.holds(now, from, &token));
        self.note_requester(now, header.sender, from, proven, &request.ask);
        let say = self.perform(now, (header.sender, from), proven, request);
        if let Say::Refused(refusal) = &say {
            self.stats.refused.count(*refusal);
        }
        let token = Some(self.tokens.issue(now, from));
        let reply = Reply {
            level: request.level,
            token,
            say,
        };
        let most = if proven {
            DATAGRAM_MAX
        } else {
            request_len.min(DATAGRAM_MAX)
        };
        self.reply(now, from, header, &reply, most)
    }

    fn reply(
        &mut self,
        now: Moment,
        to: SocketAddr,
        header: &Header,
        reply: &Reply,
        most: usize,
    ) -> Result<(), DropReason> {
        let levels = self.header_levels(now);
        let around = FIXED_LEN + TAG_LEN + LEVEL_LEN * levels.len();
        let body = most
            .checked_sub(around)
            .and_then(|room| encode_reply(reply, room));
        let body = body.ok_or(DropReason::Unpadded)?;
        let kind = reply.say.kind();
        let header = Header {
            kind: kind.code(),
            tx: header.tx,
            sender: self.own.id,
            receiver: Some(header.sender),
            levels,
        };
        let sealed = header::seal(&self.network, &header, &body);
        let bytes = sealed.map_err(|_| DropReason::Unpadded)?;
        debug_assert!(bytes.len() <= most, "a reply grew beyond its budget");
        self.stats.sent.count(kind);
        self.stats.bytes_sent += bytes.len() as u64;
        self.output(Output::Transmit { to, bytes });
        Ok(())
    }

    /// Does what is asked. `who` may be this very node.
    pub(super) fn perform(
        &mut self,
        now: Moment,
        (who, at): (NodeId, SocketAddr),
        proven: bool,
        request: &Request,
    ) -> Say {
        // One level: the world, in which every two nodes meet.
        if request.level != 0 {
            return Say::Refused(Refusal::Level);
        }
        match &request.ask {
            Ask::Ping { .. } => Say::Pong {
                seen: at,
                boot: self.boot,
                services: self.services.clone(),
            },
            Ask::Find { target } => Say::Nodes {
                contacts: self.contacts_near(now, target, who),
            },
            Ask::Get { key, want } => self.values(now, who, *key, usize::from(*want), None),
            Ask::Put { .. } | Ask::Claim { .. } | Ask::Withdraw { .. } if !proven => {
                Say::Refused(Refusal::Token)
            }
            Ask::Put { key, value, ttl } => self.hold(now, who, *key, (value, *ttl), Say::Stored),
            Ask::Claim { key, value, ttl } => {
                // One step: no other message comes between the look and the write.
                match self.values(now, who, *key, usize::MAX, Some(who)) {
                    Say::Values { values, .. } if values.is_empty() => {
                        self.hold(now, who, *key, (value, *ttl), Say::Granted)
                    }
                    taken => taken,
                }
            }
            Ask::Withdraw { key } => {
                self.store.withdraw(*key, who);
                Say::Withdrawn
            }
        }
    }

    fn hold(
        &mut self,
        now: Moment,
        who: NodeId,
        key: Key,
        (value, ttl): (&[u8], Duration),
        yes: Say,
    ) -> Say {
        match self.store.put(now, key, who, value, ttl) {
            Ok(()) => yes,
            Err(refusal) => Say::Refused(refusal),
        }
    }

    fn values(
        &self,
        now: Moment,
        who: NodeId,
        key: Key,
        want: usize,
        except: Option<NodeId>,
    ) -> Say {
        let mut values = self.store.values(now, key, except);
        let held = u8::try_from(values.len()).unwrap_or(u8::MAX);
        values.truncate(want.clamp(1, self.config.lookup.returned));
        // Every node takes every value it has room for, so none sheds load by saying so.
        Say::Values {
            values,
            held,
            loaded: false,
            contacts: self.contacts_near(now, &key, who),
        }
    }

    fn contacts_near(&self, now: Moment, target: &Key, except: NodeId) -> Vec<Contact> {
        let usable = |id| id != except && self.peers.at(id).is_some_and(|p| !p.has_failed());
        let near = self.table.closest(target, CONTACTS_MAX, usable);
        let contact = |entry: super::routing::Entry| {
            let heard = self.peers.at(entry.id).and_then(|peer| peer.heard)?;
            Some(Contact {
                addr: entry.addr,
                age: now.since(heard),
            })
        };
        near.into_iter().filter_map(contact).collect()
    }

    /// A request is a sign of life if it proves its address, and otherwise a reason to look.
    fn note_requester(
        &mut self,
        now: Moment,
        id: NodeId,
        addr: SocketAddr,
        proven: bool,
        ask: &Ask,
    ) {
        if !proven {
            self.consider(now, id, addr);
            return;
        }
        self.heard(now, id, addr);
        if let (Ask::Ping { services }, Some(peer)) = (ask, self.peers.at_mut(id)) {
            peer.services.clone_from(services);
        }
    }
}
