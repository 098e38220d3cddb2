//! `nodes` near a client: the hints about the client's prefix, then the members of the hinted
//! nodes' clusters, each pinged first-hand before it is named.
//!
//! Looking up ⇒ Asking ⇒ over. While hinted nodes are asked who is in their cluster, those they
//! name are pinged; the search ends when nothing is outstanding, when enough of the nearest have answered, or at
//! the client's deadline with what there is. Without a hint it is the plain `nodes`.

use std::collections::BTreeMap;
use std::time::Duration;

use common::clock::Moment;
use common::ids::NodeId;
use common::netaddr::Prefix;

use super::command::{Answer, NodeInfo, Ticket};
use super::exchange::Purpose;
use super::lookup::Goal;
use super::message::{Ask, Contact, Say};
use super::node::Node;
use super::routing::Entry;
use super::work::Owner;
use crate::hints::{self, Hint};
use crate::value::Value;

/// Searches at once; further ones are answered as if nothing were known of the client.
const SEARCHES_MAX: usize = 64;

/// Hints wanted of a lookup, and hinted nodes that are asked: the nearest.
const HINTS_WANTED: usize = 8;
const HINTED_MAX: usize = 3;

/// Nodes pinged for one search.
const PINGED_MAX: usize = 24;

/// What a client asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    pub(super) level: u8,
    pub(super) count: usize,
    pub(super) service: Option<String>,
}

impl Wanted {
    fn runs(&self, services: &[super::message::Service]) -> bool {
        let named = |wanted: &String| services.iter().any(|(name, _)| name == wanted);
        self.service.as_ref().is_none_or(named)
    }
}

/// A search under way.
#[derive(Clone, Debug)]
pub(super) struct Search {
    wanted: Wanted,
    deadline: Moment,
    hints: Vec<(Duration, Hint)>,
    /// Nodes pinged, and how far each is from the client by the best hint: what it measured itself,
    /// or what another of its cluster did and half the cluster's width.
    asked: BTreeMap<NodeId, Duration>,
    /// Half the width of the clusters asked for.
    spread: Duration,
    /// Those that have answered and run what is wanted.
    answered: Vec<NodeId>,
    outstanding: usize,
}

impl Search {
    /// Whether nobody is outstanding, or enough of the nearest cluster have answered: a farther
    /// one may be quicker to answer.
    fn is_done(&self) -> bool {
        let nearest = self.asked.values().min();
        let near = |id: &&NodeId| self.asked.get(id) == nearest;
        let enough = self.answered.iter().filter(near).count() >= self.wanted.count;
        self.outstanding == 0 || enough
    }
}

impl Node {
    /// Begins the search for nodes near the clients of `prefix`.
    pub(super) fn nodes_near(
        &mut self,
        now: Moment,
        (ticket, deadline): (Ticket, Moment),
        prefix: Prefix,
        wanted: Wanted,
    ) {
        if self.near.len() >= SEARCHES_MAX || self.table_at(wanted.level).is_none() {
            return self.nodes_wanted(now, (ticket, deadline), wanted);
        }
        let search = Search {
            wanted,
            deadline,
            hints: Vec::new(),
            asked: BTreeMap::new(),
            spread: Duration::ZERO,
            answered: Vec::new(),
            outstanding: 0,
        };
        self.near.insert(ticket, search);
        // Half of the time at most is for the lookup, the rest for asking.
        let lookup = now + deadline.since(now) / 2;
        let goal = Goal::Get { want: HINTS_WANTED };
        let owner = (Owner::Hints(ticket), lookup);
        self.begin(now, hints::key(prefix), goal, owner);
    }

    /// Hints came in; after the last of them the nearest hinted nodes are asked.
    pub(super) fn hints_found(
        &mut self,
        now: Moment,
        ticket: Ticket,
        values: &[Value],
        last: bool,
    ) {
        let Some(search) = self.near.get_mut(&ticket) else {
            return;
        };
        let hint = |value: &Value| {
            let hint = Hint::decode(&value.bytes)?;
            Some((hint.distance(value.ttl), hint))
        };
        search.hints.extend(values.iter().filter_map(hint));
        if !last {
            return;
        }
        let mut hints = std::mem::take(&mut search.hints);
        hints.sort_unstable_by_key(|(far, hint)| (*far, hint.addr));
        hints.truncate(HINTED_MAX);
        let level = match search.wanted.level {
            0 => self.innermost(),
            level => level,
        };
        let width = self
            .membership(level)
            .map_or(hints::RTT_MAX, |membership| membership.threshold);
        if let Some(search) = self.near.get_mut(&ticket) {
            search.spread = width / 2;
        }
        for (far, Hint { addr, .. }) in hints {
            let id = NodeId::of(addr);
            self.ping_near(now, ticket, Entry { id, addr }, far);
            if id == self.own.id {
                let members: Vec<_> = self
                    .table_at(level)
                    .into_iter()
                    .flat_map(super::routing::Table::iter)
                    .collect();
                for member in members {
                    self.ping_near(now, ticket, member, far + width / 2);
                }
            } else {
                let target = id.as_key();
                self.ask_near(now, ticket, Entry { id, addr }, level, Ask::Find { target });
            }
        }
        self.end_search_if_done(now, ticket);
    }

    /// Pings a candidate, once; this node itself needs none.
    fn ping_near(&mut self, now: Moment, ticket: Ticket, entry: Entry, far: Duration) {
        let own = entry.id == self.own.id;
        let Some(search) = self.near.get_mut(&ticket) else {
            return;
        };
        if let Some(known) = search.asked.get_mut(&entry.id) {
            *known = far.min(*known);
            return;
        }
        if search.asked.len() >= PINGED_MAX {
            return;
        }
        search.asked.insert(entry.id, far);
        if own {
            if search.wanted.runs(&self.services) {
                search.answered.push(entry.id);
            }
            return;
        }
        let services = self.services.clone();
        self.ask_near(now, ticket, entry, 0, Ask::Ping { services });
    }

    /// Asks for a search. Whoever cannot be asked is as good as silent.
    fn ask_near(&mut self, now: Moment, ticket: Ticket, to: Entry, level: u8, ask: Ask) {
        let asked = self.ask(now, to, level, ask, Purpose::Near(ticket));
        if let (Ok(()), Some(search)) = (asked, self.near.get_mut(&ticket)) {
            search.outstanding += 1;
        }
    }

    /// A node asked for a search has answered, or has not (`None`).
    pub(super) fn near_answered(
        &mut self,
        now: Moment,
        ticket: Ticket,
        id: NodeId,
        say: Option<&Say>,
    ) {
        let Some(search) = self.near.get_mut(&ticket) else {
            return;
        };
        search.outstanding = search.outstanding.saturating_sub(1);
        match say {
            Some(Say::Pong { services, .. }) => {
                if search.wanted.runs(services) && !search.answered.contains(&id) {
                    search.answered.push(id);
                }
            }
            Some(Say::Nodes { contacts }) => {
                let far = search.asked.get(&id).copied().unwrap_or(hints::RTT_MAX) + search.spread;
                for Contact { addr, .. } in contacts.clone() {
                    let id = NodeId::of(addr);
                    self.ping_near(now, ticket, Entry { id, addr }, far);
                }
            }
            // It has no such level, or is gone: its hint leads nowhere.
            Some(_) | None => {}
        }
        self.end_search_if_done(now, ticket);
    }

    fn end_search_if_done(&mut self, now: Moment, ticket: Ticket) {
        if self.near.get(&ticket).is_some_and(Search::is_done) {
            self.end_search(now, ticket);
        }
    }

    /// Answers: those near the client first, the nearest hinted cluster before the next, in random
    /// order within one; then what the plain `nodes` would say.
    fn end_search(&mut self, now: Moment, ticket: Ticket) {
        let Some(search) = self.near.remove(&ticket) else {
            return;
        };
        let wanted = search.wanted;
        if search.answered.is_empty() {
            return self.nodes_wanted(now, (ticket, search.deadline), wanted);
        }
        let mut near = search.answered;
        self.shuffle(&mut near);
        near.sort_by_key(|id| search.asked.get(id).copied());
        let placed = |id: &NodeId| {
            let near = search.asked.get(id).copied();
            Some(NodeInfo {
                near,
                ..self.node_info(*id)?
            })
        };
        let mut nodes: Vec<NodeInfo> = near.iter().filter_map(placed).collect();
        if nodes.len() < wanted.count {
            let service = wanted.service.as_deref();
            let mut others = self.live_nodes(now, wanted.level, usize::MAX, service);
            others.retain(|other| nodes.iter().all(|node| node.id != other.id));
            nodes.extend(others);
        }
        nodes.truncate(wanted.count);
        self.answer(ticket, Answer::Nodes(nodes));
    }

    fn node_info(&self, id: NodeId) -> Option<NodeInfo> {
        if id == self.own.id {
            return Some(NodeInfo {
                id,
                addr: self.own.addr,
                rtt: None,
                near: None,
                services: self.services.clone(),
            });
        }
        let peer = self.peers.at(id)?;
        Some(NodeInfo {
            id,
            addr: peer.addr(),
            rtt: peer.rtt.mean(),
            near: None,
            services: peer.services().to_vec(),
        })
    }

    /// The deadline of the search that must end first.
    pub(super) fn next_search(&self) -> Option<Moment> {
        self.near.values().map(|search| search.deadline).min()
    }

    /// Ends searches whose deadline has come with what they have.
    pub(super) fn handle_due_searches(&mut self, now: Moment) {
        let due =
            |(ticket, search): (&Ticket, &Search)| (search.deadline <= now).then_some(*ticket);
        let due: Vec<_> = self.near.iter().filter_map(due).collect();
        for ticket in due {
            self.end_search(now, ticket);
        }
    }
}
