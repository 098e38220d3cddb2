//! What each command of a local client begins, or is answered at once.

use std::time::Duration;

use common::clock::Moment;
use common::ids::{Key, NodeId};
use common::netaddr::Prefix;

use super::command::{Answer, Command, Ticket, Wish};
use super::exchange::Purpose;
use super::lookup::{Goal, Span, Task};
use super::message::{Ask, Service};
use super::near::Wanted;
use super::node::Node;
use super::routing::Entry;
use super::work::{Owner, START};
use crate::refusal::Refusal;

/// What was stored less long ago lies where it was put; later its neighbours may have it too, and
/// a withdrawal looks for it there.
const HANDED_ON_AFTER: Duration = Duration::from_secs(10);

/// A walk for more nodes within this time of the last one finds nothing new.
const WALKED_LATELY: Duration = Duration::from_secs(5);

impl Node {
    pub(super) fn command(&mut self, now: Moment, command: Command) {
        let Command {
            ticket,
            deadline,
            wish,
        } = command;
        let client = (Owner::Client(ticket), deadline);
        match wish {
            Wish::Get { key, want } => {
                self.begin(now, key, Goal::Get { want: want.max(1) }, client);
            }
            Wish::GetWithin {
                key,
                want,
                outermost,
            } => {
                let goal = Goal::Get { want: want.max(1) };
                let innermost = self.innermost();
                if outermost > innermost {
                    return self.refuse(ticket, Refusal::Level);
                }
                let span = Span {
                    innermost,
                    outermost,
                };
                self.begin_task(now, (key, span), goal, client, true);
            }
            Wish::Put { key, value, ttl } => match self.keep.stands(now, key, &value, ttl) {
                Some(copies) => self.answer(ticket, Answer::Stored { copies }),
                None => self.begin(now, key, Goal::Put { value, ttl }, client),
            },
            Wish::Claim { key, value, ttl } => {
                self.begin(now, key, Goal::Claim { value, ttl }, client);
            }
            Wish::Withdraw { key } => self.withdraw(now, key, client),
            Wish::Nodes {
                level,
                count,
                near,
                service,
            } => {
                let wanted = Wanted {
                    level,
                    count,
                    service,
                };
                let client = (ticket, deadline);
                match near {
                    Some(ip) => self.nodes_near(now, client, Prefix::of(ip), wanted),
                    None => self.nodes_wanted(now, client, wanted),
                }
            }
            Wish::Levels => {
                let levels = self.levels(now);
                self.answer(ticket, Answer::Levels(levels));
            }
            Wish::Ping { addr } => self.ping_wanted(now, (ticket, deadline), addr),
            Wish::Register { service } => self.register(now, ticket, service),
            Wish::Deregister { service } => {
                if let Some(at) = self.services.iter().position(|held| *held == service) {
                    self.services.remove(at);
                    self.announce_soon(now);
                }
                self.answer(ticket, Answer::Deregistered);
            }
        }
    }

    fn register(&mut self, now: Moment, ticket: Ticket, service: Service) {
        if self.services.len() >= self.config.contacts.services {
            self.refuse(ticket, Refusal::ServicesFull);
            return;
        }
        self.services.push(service);
        self.announce_soon(now);
        self.answer(ticket, Answer::Registered);
    }

    fn ping_wanted(
        &mut self,
        now: Moment,
        (ticket, deadline): (Ticket, Moment),
        addr: std::net::SocketAddr,
    ) {
        let id = NodeId::of(addr);
        let services = self.services.clone();
        if id == self.own.id {
            let rtt = Duration::ZERO;
            self.answer(ticket, Answer::Pong { rtt, services });
        } else {
            let ask = Ask::Ping { services };
            let purpose = Purpose::Ping(ticket, deadline);
            if let Err(refusal) = self.ask(now, Entry { id, addr }, 0, ask, purpose) {
                self.refuse(ticket, refusal);
            }
        }
    }

    pub(super) fn nodes_wanted(
        &mut self,
        now: Moment,
        (ticket, deadline): (Ticket, Moment),
        wanted: Wanted,
    ) {
        let Wanted {
            level,
            count,
            service,
        } = wanted;
        let Some(table) = self.table_at(level) else {
            self.refuse(ticket, Refusal::Level);
            return;
        };
        let empty = table.is_empty();
        let nodes = self.live_nodes(now, level, count, service.as_deref());
        let lately = self.walked.is_some_and(|at| now.since(at) < WALKED_LATELY);
        if nodes.len() >= count || lately || empty {
            self.answer(ticket, Answer::Nodes(nodes));
            return;
        }
        let target = Key::from_bytes(self.rng.bytes());
        let span = Span {
            innermost: level,
            outermost: level,
        };
        let owner = (Owner::Nodes(ticket, level, count, service), deadline);
        self.begin_task(now, (target, span), Goal::Find, owner, true);
    }

    fn withdraw(&mut self, now: Moment, key: Key, owner: (Owner, Moment)) {
        self.store.withdraw(key, self.own.id);
        let Some(own) = self.keep.withdrawn(key) else {
            // Put before a restart, perhaps: look where it would be.
            return self.begin(now, key, Goal::Withdraw, owner);
        };
        let dead = |id| {
            self.peers
                .at(id)
                .is_some_and(super::liveness::Peer::has_failed)
        };
        let mut places = own.places;
        places.retain(|place| place.id == self.own.id || !dead(place.id));
        let (config, span) = (self.config.lookup, self.span());
        let task = if now.since(own.stored) < HANDED_ON_AFTER {
            Task::withdraw_from(&config, key, self.own, places)
        } else {
            let start = self.start_of(&key, span, START);
            Task::withdraw_everywhere(&config, (key, span), self.own, places, start)
        };
        self.start(now, task, owner);
    }
}
