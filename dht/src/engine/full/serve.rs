//! Answering the requests of other nodes, and this node's own to itself.
//!
//! A reply to an address that has not proven itself is never larger than its request: what does
//! not fit is left out, and if nothing fits there is no reply. Writes need a token, which every
//! reply carries.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{Key, NodeId, TxId};
use common::limits::DATAGRAM_MAX;
use common::wire::codec::addr_len;
use common::wire::header::{self, FIXED_LEN, Header, TAG_LEN};

use super::exchange::Purpose;
use super::node::Member;
use crate::engine::admit::DropReason;
use crate::engine::message::rumour::{RUMOURS_MAX, rumour_len};
use crate::engine::message::{Ask, FANOUT, Path, Reply, Request, Rumour, Say, encode_reply};
use crate::engine::output::Output;
use crate::engine::routing::Entry;
use crate::refusal::Refusal;

/// Requests relayed at once for others; more are refused as busy.
const RELAYS_MAX: usize = 64;

/// Level and token of a reply, and the count of a list.
const REPLY_REST: usize = 1 + 19 + 1;

impl Member {
    /// A request that passed the gate.
    pub(super) fn serve(
        &mut self,
        now: Moment,
        from: SocketAddr,
        header: &Header,
        request: Request,
        request_len: usize,
    ) -> Result<(), DropReason> {
        self.stats.received.count(request.ask.kind());
        let token = request.token;
        let proven = token.is_some_and(|token| self.tokens.holds(now, from, &token));
        let id = header.sender;
        let asker = Entry { id, addr: from };
        if proven {
            self.heard(now, asker);
        }
        let most = if proven {
            DATAGRAM_MAX
        } else {
            request_len.min(DATAGRAM_MAX)
        };
        let room = most.saturating_sub(FIXED_LEN + TAG_LEN + REPLY_REST);
        let say = match request.ask {
            _ if request.behalf.is_some() => Say::Refused(Refusal::Other),
            Ask::Relay { .. } if !proven => Say::Refused(Refusal::Token),
            Ask::Relay { to, ask } => match self.relay(now, (asker, header.tx), to, *ask) {
                Some(say) => say,
                None => return Ok(()),
            },
            Ask::Put { .. } | Ask::Claim { .. } | Ask::Withdraw { .. } | Ask::Hand { .. }
                if !proven =>
            {
                Say::Refused(Refusal::Token)
            }
            Ask::Probe { rumours } => self.probed(now, asker, &rumours, room),
            Ask::Sync { path, sums } => self.compare(path, &sums, room),
            Ask::Ping { .. } => Say::Pong {
                seen: from,
                boot: u64::from(self.run),
                services: self.services.clone(),
            },
            ask => self.perform(now, id, &ask),
        };
        self.reply(now, asker, header.tx, say, most)
    }

    fn reply(
        &mut self,
        now: Moment,
        to: Entry,
        tx: TxId,
        say: Say,
        most: usize,
    ) -> Result<(), DropReason> {
        if let Say::Refused(refusal) = &say {
            self.stats.refused.count(*refusal);
        }
        let token = Some(self.tokens.issue(now, to.addr));
        let kind = say.kind();
        let reply = Reply {
            level: 0,
            token,
            say,
        };
        let room = most.saturating_sub(FIXED_LEN + TAG_LEN);
        let body = encode_reply(&reply, room).ok_or(DropReason::Unpadded)?;
        let header = Header {
            kind: kind.code(),
            tx,
            sender: self.own.id,
            receiver: Some(to.id),
            levels: Vec::new(),
        };
        let sealed = header::seal(&self.network, &header, &body);
        let bytes = sealed.map_err(|_| DropReason::Unpadded)?;
        debug_assert!(bytes.len() <= most, "a reply grew beyond its budget");
        self.stats.sent.count(kind);
        self.stats.bytes_sent += bytes.len() as u64;
        self.output(Output::Transmit { to: to.addr, bytes });
        Ok(())
    }

    /// A probe: takes its news in, answers with own ones; what the sender has wrong comes first.
    fn probed(&mut self, now: Moment, by: Entry, rumours: &[Rumour], room: usize) -> Say {
        let corrections = self.hear_all(now, by, rumours, true);
        if self.schedule.probe.is_none() {
            // Found before it has found anybody: its answer will be the first.
            self.probe(now, by);
        }
        let mut told = vec![self.own_rumour()];
        let mut left = room.saturating_sub(addr_len(by.addr) + rumour_len(&told[0]));
        for rumour in corrections {
            if let Some(rest) = left.checked_sub(rumour_len(&rumour)) {
                left = rest;
                told.push(rumour);
            }
        }
        self.add_news(&mut told, left);
        Say::Ack {
            seen: by.addr,
            rumours: told,
        }
    }

    /// Where the members known here under a prefix differ from those of `theirs`.
    fn compare(&self, path: Path, theirs: &[u64; FANOUT], mut room: usize) -> Say {
        let own = self.own_rumour();
        let ours = self.roster.sums(path, &own);
        let (mut differing, mut listed, mut rumours) = (0, 0, Vec::new());
        room = room.saturating_sub(4);
        for digit in 0..FANOUT {
            if ours.get(digit) == theirs.get(digit) {
                continue;
            }
            match self.roster.list(path, digit, &own, room) {
                Some(list) if rumours.len() + list.len() <= RUMOURS_MAX => {
                    room -= list.iter().map(rumour_len).sum::<usize>();
                    rumours.extend(list);
                    listed |= 1 << digit;
                }
                _ => differing |= 1 << digit,
            }
        }
        Say::Differ {
            differing,
            listed,
            rumours,
        }
    }

    /// Asks `to` for another node; `None`: the reply follows. Only probes are relayed.
    fn relay(
        &mut self,
        now: Moment,
        (asker, tx): (Entry, TxId),
        to: SocketAddr,
        ask: Ask,
    ) -> Option<Say> {
        if !matches!(ask, Ask::Probe { .. }) {
            return Some(Say::Refused(Refusal::Other));
        }
        if self.relays >= RELAYS_MAX {
            return Some(Say::Refused(Refusal::Busy));
        }
        self.relays += 1;
        self.stats.relayed += 1;
        let id = NodeId::of(to);
        let mut rumours = vec![self.own_rumour()];
        rumours.extend(self.roster.rumour(id));
        let ask = Ask::Probe { rumours };
        self.ask(now, Entry { id, addr: to }, ask, Purpose::Relay(asker, tx));
        None
    }

    /// What was relayed is answered, or is not going to be.
    pub(super) fn relayed(&mut self, now: Moment, asker: Entry, tx: TxId, say: Option<Say>) {
        self.relays -= 1;
        let say = match say {
            // Its news have been taken in by nobody: the asker wants to know that it lives.
            Some(Say::Ack { seen, .. }) => Say::Relayed(Box::new(Say::Ack {
                seen,
                rumours: Vec::new(),
            })),
            _ => Say::Refused(Refusal::Unreachable),
        };
        // The asker's address was proven when it asked.
        if let Err(reason) = self.reply(now, asker, tx, say, DATAGRAM_MAX) {
            self.stats.dropped.count(reason);
        }
    }

    /// Does what is asked about a key by `who`, possibly this node.
    pub(super) fn perform(&mut self, now: Moment, who: NodeId, ask: &Ask) -> Say {
        match ask {
            Ask::Get { key, want } => {
                let want = usize::from(*want).clamp(1, self.config.lookup.returned);
                self.found(now, *key, None, want)
            }
            Ask::Put { key, value, ttl } => self.hold(now, who, *key, (value, *ttl), Say::Stored),
            Ask::Claim { key, value, ttl } => {
                // One step: no other message comes between the look and the write.
                if self.store.values(now, *key, Some(who)).is_empty() {
                    self.hold(now, who, *key, (value, *ttl), Say::Granted)
                } else {
                    self.found(now, *key, Some(who), self.config.lookup.returned)
                }
            }
            Ask::Withdraw { key } => {
                self.store.withdraw(*key, who);
                Say::Withdrawn
            }
            Ask::Hand {
                key,
                publisher,
                value,
                ttl,
            } => {
                // What the publisher said here itself lasts longer, and is later.
                let held = self.store.until(now, *key, *publisher);
                if held.is_some_and(|until| until >= now + *ttl) {
                    return Say::Stored;
                }
                self.hold(now, *publisher, *key, (value, *ttl), Say::Stored)
            }
            // What only the sloppy index asks, or what is not about a key.
            Ask::Ping { .. }
            | Ask::Find { .. }
            | Ask::Offer { .. }
            | Ask::Relay { .. }
            | Ask::Probe { .. }
            | Ask::Sync { .. } => Say::Refused(Refusal::Other),
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

    fn found(&self, now: Moment, key: Key, except: Option<NodeId>, want: usize) -> Say {
        let mut values = self.store.values(now, key, except);
        let held = u8::try_from(values.len()).unwrap_or(u8::MAX);
        values.truncate(want);
        Say::Values {
            values,
            held,
            loaded: false,
            full: false,
            own: false,
            contacts: Vec::new(),
        }
    }
}
