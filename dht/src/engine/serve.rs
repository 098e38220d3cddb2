//! Answering the requests of other nodes, and this node's own to itself.
//!
//! A reply to an address that has not proven itself is never larger than its request: what does
//! not fit is left out, and if nothing fits there is no reply. Writes need a token, which every
//! reply carries unless the request bore it.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{Key, NodeId, TxId};
use common::limits::DATAGRAM_MAX;
use common::wire::header::{self, FIXED_LEN, Header, LevelInfo, TAG_LEN, levels_len};

use super::admit::DropReason;
use super::liveness::Peer;
use super::message::{Ask, CONTACTS_MAX, Contact, Reply, Request, Say, encode_reply};
use super::node::Node;
use super::output::{Event, Output};
use super::routing::Entry;
use super::traced::Answered;
use crate::refusal::Refusal;
use crate::value::Value;

/// Contacts in a reply: of a find; of a walk for a key, closest of its level, on the way there,
/// closest of each level around.
pub(super) const CONTACTS_NEAR: usize = 8;
const CONTACTS_CLOSEST: usize = 5;
const CONTACTS_TOWARD: usize = 3;
const CONTACTS_OUTER: usize = 3;

/// Who asks.
#[derive(Clone, Copy, Debug)]
struct Who<'a> {
    id: NodeId,
    at: SocketAddr,
    /// Whether it has proven that it receives there.
    proven: bool,
    /// Its clusters, by its own word.
    levels: &'a [LevelInfo],
}

/// Nodes picked for a reply, each once and without the one who asks.
struct Picked {
    except: NodeId,
    entries: Vec<Entry>,
}

impl Picked {
    fn new(except: NodeId) -> Self {
        Self {
            except,
            entries: Vec::with_capacity(CONTACTS_MAX),
        }
    }

    /// Up to `count` of `entries` that are not there yet, within the room of a reply.
    fn add(&mut self, entries: impl IntoIterator<Item = Entry>, count: usize) {
        let most = (self.entries.len() + count).min(CONTACTS_MAX);
        for entry in entries {
            if self.entries.len() >= most {
                return;
            }
            if self.is_new(entry.id) {
                self.entries.push(entry);
            }
        }
    }

    fn is_new(&self, id: NodeId) -> bool {
        id != self.except && self.entries.iter().all(|picked| picked.id != id)
    }
}

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
        let (token, proven) = self.tokens.renew(now, from, request.token.as_ref());
        self.note_requester(now, header, from, proven, &request.ask);
        let who = Who {
            id: header.sender,
            at: from,
            proven,
            levels: &header.levels,
        };
        let say = match (&request.ask, request.behalf) {
            (Ask::Relay { .. }, _) | (_, Some(_)) if !proven => Say::Refused(Refusal::Token),
            (Ask::Relay { to, ask }, None) => {
                match self.relay(now, from, header, (request.level, *to, ask)) {
                    Some(say) => say,
                    None => return Ok(()),
                }
            }
            (Ask::Relay { .. }, Some(_)) => Say::Refused(Refusal::Other),
            (_, None) => self.perform(now, who, request),
            (_, Some(addr)) => {
                let id = NodeId::of(addr);
                self.perform(now, Who { id, ..who }, request)
            }
        };
        if let Say::Refused(refusal) = &say {
            self.stats.refused.count(*refusal);
        }
        if let Some(peer) = self.peers.at_mut(header.sender) {
            peer.served = Some(now.into());
        }
        if let Some(context) = request.trace {
            let (asked, reply) = (request.ask.kind(), say.kind());
            self.event(Event::Answered(Answered {
                context,
                from,
                asked,
                reply,
            }));
        }
        let reply = Reply {
            level: request.level,
            // Whoever bears it already need not be given it again.
            token: (request.token != Some(token)).then_some(token),
            say,
        };
        let most = if proven {
            DATAGRAM_MAX
        } else {
            request_len.min(DATAGRAM_MAX)
        };
        self.reply(now, from, (header.tx, header.sender), &reply, most)
    }

    pub(super) fn reply(
        &mut self,
        now: Moment,
        to: SocketAddr,
        (tx, receiver): (TxId, NodeId),
        reply: &Reply,
        most: usize,
    ) -> Result<(), DropReason> {
        let mut levels = self.header_levels(now);
        let fit = |levels: usize| {
            let around = FIXED_LEN + TAG_LEN + levels_len(levels);
            encode_reply(reply, most.checked_sub(around)?)
        };
        let body = fit(levels.len()).or_else(|| {
            // Better a reply without a word on clusters than none.
            levels.clear();
            fit(0)
        });
        let body = body.ok_or(DropReason::Unpadded)?;
        let kind = reply.say.kind();
        let header = Header {
            kind: kind.code(),
            tx,
            sender: self.own.id,
            receiver: Some(receiver),
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

    /// Does what is asked.
    fn perform(&mut self, now: Moment, who: Who<'_>, request: &Request) -> Say {
        let level = request.level;
        match &request.ask {
            Ask::Ping { .. } => Say::Pong {
                seen: who.at,
                boot: self.boot,
                services: self.services.clone(),
            },
            // Anyone may look into a cluster: that is how it is measured before it is joined.
            Ask::Find { target } => match self.table_at(level) {
                Some(_) => Say::Nodes {
                    contacts: self.contacts_near(now, level, target, who.id),
                },
                None => Say::Refused(Refusal::Level),
            },
            _ if !self.shares(level, who.levels) => Say::Refused(Refusal::Level),
            Ask::Put { .. } | Ask::Claim { .. } | Ask::Withdraw { .. } | Ask::Hand { .. }
                if !who.proven =>
            {
                Say::Refused(Refusal::Token)
            }
            ask => self.perform_on_key(now, (who.id, level), ask),
        }
    }

    /// What this node asks of itself: at all levels, and without counting as load.
    pub(super) fn perform_self(&mut self, now: Moment, ask: Ask) -> Say {
        let (own, level) = (self.own.id, self.innermost());
        match ask {
            Ask::Get { key, .. } => {
                let values = self.store.values(now, key, None);
                self.found(now, own, (key, level), values, (false, false))
            }
            Ask::Offer { key, .. } => {
                self.found(now, own, (key, level), Vec::new(), (false, false))
            }
            ask => self.perform_on_key(now, (own, level), &ask),
        }
    }

    fn perform_on_key(&mut self, now: Moment, (who, level): (NodeId, u8), ask: &Ask) -> Say {
        match ask {
            Ask::Get { key, want } => {
                let loaded = match self.spill.asked(now, *key) {
                    Ok(loaded) => loaded,
                    Err(refusal) => return Say::Refused(refusal),
                };
                let mut values = self.store.values(now, *key, None);
                let want = usize::from(*want).clamp(1, self.config.lookup.returned);
                let held = values.len();
                values.truncate(want);
                let flags = (loaded, false, false);
                self.found_of(now, who, (*key, level), values, flags, held)
            }
            Ask::Offer { key, ttl } => {
                let loaded = self.spill.offered(now, *key);
                let crowded = self.spill.is_crowded(now, *key);
                let full = self.is_full(now, *key, *ttl, who, crowded)
                    || crowded && !self.spill.lets_in(now, *key);
                let held = self.store.values(now, *key, Some(who)).len();
                let own = self.store.until(now, *key, who).is_some();
                let flags = (loaded, full, own);
                self.found_of(now, who, (*key, level), Vec::new(), flags, held)
            }
            Ask::Put { key, value, ttl } => {
                let crowded = match who {
                    who if who == self.own.id => false,
                    _ => match self.spill.stores(now, *key) {
                        Ok(crowded) => crowded,
                        Err(refusal) => return Say::Refused(refusal),
                    },
                };
                if crowded && self.is_full(now, *key, *ttl, who, crowded) {
                    return Say::Refused(Refusal::Loaded);
                }
                self.hold(now, who, *key, (value, *ttl), Say::Stored)
            }
            Ask::Claim { key, value, ttl } => {
                // One step: no other message comes between the look and the write.
                let loaded = match self.spill.asked(now, *key) {
                    Ok(loaded) => loaded,
                    Err(refusal) => return Say::Refused(refusal),
                };
                let values = self.store.values(now, *key, Some(who));
                if values.is_empty() {
                    self.hold(now, who, *key, (value, *ttl), Say::Granted)
                } else {
                    self.found(now, who, (*key, level), values, (loaded, false))
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
            } => self.take_over(now, *key, *publisher, (value, *ttl)),
            // The last two belong to the index in which everybody knows everybody.
            Ask::Ping { .. }
            | Ask::Find { .. }
            | Ask::Relay { .. }
            | Ask::Probe { .. }
            | Ask::Sync { .. } => Say::Refused(Refusal::Other),
        }
    }

    /// Whether `key` has its values without a new one of `who` for `ttl`. Where stores come too
    /// fast, a value of `who` that is held and lasts counts as well: then it need not be renewed.
    fn is_full(&self, now: Moment, key: Key, ttl: Duration, who: NodeId, crowded: bool) -> bool {
        let lasts = |until: Moment| until <= now + ttl && until.since(now) >= ttl / 2;
        self.store.is_full(now, key, ttl, Some(who))
            || crowded
                && self.store.until(now, key, who).is_some_and(lasts)
                && self.store.is_full(now, key, ttl, None)
    }

    /// A neighbour hands on a value of `publisher`.
    fn take_over(
        &mut self,
        now: Moment,
        key: Key,
        publisher: NodeId,
        (value, ttl): (&[u8], Duration),
    ) -> Say {
        let held = self.store.until(now, key, publisher);
        if held.is_some_and(|until| until >= now + ttl) {
            return Say::Stored;
        }
        if publisher == self.own.id && self.keep.at(now, key).is_none() {
            // Taken back here, and not yet everywhere.
            return Say::Refused(Refusal::Other);
        }
        self.hold(now, publisher, key, (value, ttl), Say::Stored)
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

    fn found(
        &self,
        now: Moment,
        who: NodeId,
        at: (Key, u8),
        mut values: Vec<Value>,
        flags: (bool, bool),
    ) -> Say {
        let held = values.len();
        values.truncate(self.config.lookup.returned);
        let (loaded, full) = flags;
        self.found_of(now, who, at, values, (loaded, full, false), held)
    }

    fn found_of(
        &self,
        now: Moment,
        who: NodeId,
        (key, level): (Key, u8),
        mut values: Vec<Value>,
        (loaded, full, own): (bool, bool, bool),
        held: usize,
    ) -> Say {
        values.iter_mut().for_each(|value| value.level = level);
        let contacts = if who == self.own.id {
            Vec::new()
        } else {
            self.contacts_toward(now, level, &key, who)
        };
        Say::Values {
            values,
            held: u8::try_from(held).unwrap_or(u8::MAX),
            loaded,
            full,
            own,
            contacts,
        }
    }

    /// The closest nodes of one level.
    fn contacts_near(&self, now: Moment, level: u8, target: &Key, except: NodeId) -> Vec<Contact> {
        let mut picked = Picked::new(except);
        self.pick_closest(&mut picked, level, target, CONTACTS_NEAR);
        self.contacts_of(now, &picked)
    }

    /// The closest nodes of a level, some on the way for the digit-wise step, the nearest by round
    /// trip first, and the closest of every level around it, so that a walk that goes outward need
    /// not ask again.
    fn contacts_toward(&self, now: Moment, level: u8, key: &Key, except: NodeId) -> Vec<Contact> {
        let mut picked = Picked::new(except);
        self.pick_closest(&mut picked, level, key, CONTACTS_CLOSEST);
        let table = self.table_at(level);
        let toward = table.into_iter().flat_map(|table| table.toward(key));
        // Most of them are among the closest, so that few are left to be put in order.
        let mut toward: Vec<_> = toward
            .filter(|entry| picked.is_new(entry.id))
            .map(|entry| {
                let rtt = self.peers.at(entry.id).and_then(|peer| peer.rtt.mean());
                (rtt.unwrap_or(Duration::MAX), entry)
            })
            .collect();
        toward.sort_unstable();
        picked.add(toward.into_iter().map(|(_, entry)| entry), CONTACTS_TOWARD);
        for outer in (0..level).rev() {
            self.pick_closest(&mut picked, outer, key, CONTACTS_OUTER);
        }
        self.contacts_of(now, &picked)
    }

    fn pick_closest(&self, picked: &mut Picked, level: u8, target: &Key, count: usize) {
        if let Some(table) = self.table_at(level) {
            let near = table.closest(target, count + 1);
            picked.add(near, count);
        }
    }

    fn contacts_of(&self, now: Moment, picked: &Picked) -> Vec<Contact> {
        let contact = |entry: &Entry| {
            let peer = self.peers.at(entry.id)?;
            Some(Contact {
                addr: entry.addr,
                age: now.since(peer.heard?),
                level: self.shared_with(peer),
            })
        };
        picked.entries.iter().filter_map(contact).collect()
    }

    /// A request is a sign of life if it proves its address, and otherwise a reason to look.
    fn note_requester(
        &mut self,
        now: Moment,
        header: &Header,
        addr: SocketAddr,
        proven: bool,
        ask: &Ask,
    ) {
        let id = header.sender;
        if !proven {
            let shared = self.shared(&header.levels, u8::MAX);
            let forgot = |peer: &Peer| peer.is_tabled() && peer.holds_token(now);
            if self.peers.at(id).is_some_and(forgot) {
                // It was restarted, and lost what it stored. What its pong says will tell.
                self.probe(now, Entry { id, addr });
            } else {
                self.consider(now, id, addr, shared);
            }
            return;
        }
        self.heard(now, id, addr, &header.levels);
        if let (Ask::Ping { services }, Some(peer)) = (ask, self.peers.at_mut(id)) {
            peer.runs(services);
        }
    }
}
