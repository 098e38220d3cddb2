//! What each command of a local client begins, or is answered at once.
//!
//! A node that has just started knows hardly anybody, and would look for keys at the wrong ones:
//! what its clients want of keys waits until it knows the members, or for a moment at the most.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{Key, NodeId};

use super::exchange::Purpose;
use super::node::Member;
use super::task::{Goal, Owner};
use crate::engine::command::{Answer, Command, Ticket, Wish};
use crate::engine::message::{Ask, Service};
use crate::engine::routing::Entry;
use crate::engine::stats::Lookup;
use crate::refusal::Refusal;

/// Requests under way per task allowed, beyond which clients' pings are refused as busy.
const CALLS_PER_TASK: usize = 4;

/// Longest time a command waits after the start until the members are known.
const HELD_FOR: Duration = Duration::from_millis(1_500);

/// The word for metrics.
pub(super) const fn lookup_of(goal: &Goal) -> Lookup {
    match goal {
        Goal::Get { .. } => Lookup::Get,
        Goal::Put { .. } => Lookup::Put,
        Goal::Claim { .. } => Lookup::Claim,
        Goal::Withdraw => Lookup::Withdraw,
    }
}

impl Member {
    /// See [`Index::handle_command`](crate::engine::Index::handle_command).
    pub(super) fn command(&mut self, now: Moment, command: Command) {
        let of_key = matches!(
            command.wish,
            Wish::Get { .. }
                | Wish::GetWithin { .. }
                | Wish::Put { .. }
                | Wish::Claim { .. }
                | Wish::Withdraw { .. }
        );
        if !of_key || !self.is_finding_out(now) {
            return self.carry_out(now, command);
        }
        if self.held.len() >= self.config.lookup.tasks {
            self.refuse(command.ticket, Refusal::Busy);
        } else {
            self.held.push(command);
        }
    }

    /// Whether the members are about to be known.
    fn is_finding_out(&self, now: Moment) -> bool {
        let somebody = !self.config.seeds.is_empty() || !self.config.remembered.is_empty();
        !self.synced && somebody && now.since(self.born) < HELD_FOR
    }

    /// When commands that wait are carried out at the latest.
    pub(super) fn release_due(&self) -> Option<Moment> {
        (!self.held.is_empty()).then(|| self.born + HELD_FOR)
    }

    /// Carries out the commands that waited.
    pub(super) fn release(&mut self, now: Moment) {
        for command in std::mem::take(&mut self.held) {
            self.carry_out(now, command);
        }
    }

    fn carry_out(&mut self, now: Moment, command: Command) {
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
            } => self.get_within(now, (key, want.max(1)), outermost, (ticket, deadline)),
            Wish::Put { key, value, ttl } => {
                let until = now + ttl;
                self.place(
                    now,
                    key,
                    Goal::Put { value, until },
                    ttl,
                    (ticket, deadline),
                );
            }
            Wish::Claim { key, value, ttl } => {
                let until = now + ttl;
                self.place(
                    now,
                    key,
                    Goal::Claim { value, until },
                    ttl,
                    (ticket, deadline),
                );
            }
            Wish::Withdraw { key } => self.withdraw(now, key, client),
            Wish::Nodes {
                level,
                count,
                near: _,
                service,
            } => {
                let answer = match self.live_nodes(level, count, service.as_deref()) {
                    Some(nodes) => Answer::Nodes(nodes),
                    None => Answer::Refused(Refusal::Level),
                };
                self.answer(ticket, answer);
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
                    self.speak(now);
                }
                self.answer(ticket, Answer::Deregistered);
            }
        }
    }

    fn place(
        &mut self,
        now: Moment,
        key: Key,
        goal: Goal,
        ttl: Duration,
        (ticket, deadline): (Ticket, Moment),
    ) {
        if ttl.is_zero() {
            return self.refuse(ticket, Refusal::TtlZero);
        }
        self.begin(now, key, goal, (Owner::Client(ticket), deadline));
    }

    /// Owners are anywhere: of those, only the near ones are asked.
    fn get_within(
        &mut self,
        now: Moment,
        (key, want): (Key, usize),
        outermost: u8,
        (ticket, deadline): (Ticket, Moment),
    ) {
        let Some(within) = self.threshold(outermost) else {
            return self.refuse(ticket, Refusal::Level);
        };
        let candidates = self.readers(&key, within);
        if candidates.is_empty() {
            let values = Vec::new();
            return self.answer(ticket, Answer::Values { values, last: true });
        }
        let client = (Owner::Client(ticket), deadline);
        self.start(now, (key, Goal::Get { want }), client, candidates);
    }

    fn withdraw(&mut self, now: Moment, key: Key, client: (Owner, Moment)) {
        self.store.withdraw(key, self.own.id);
        let Some(places) = self.keep.withdrawn(key) else {
            // Put before a restart, perhaps: look where it would be.
            return self.begin(now, key, Goal::Withdraw, client);
        };
        let reachable = |id: &NodeId| {
            if *id == self.own.id {
                return Some(self.own);
            }
            let record = self.roster.at(*id).filter(|record| record.lives())?;
            Some(record.entry(*id))
        };
        let places = places.iter().filter_map(reachable).collect();
        self.start(now, (key, Goal::Withdraw), client, places);
    }

    fn register(&mut self, now: Moment, ticket: Ticket, service: Service) {
        if self.services.len() >= self.config.contacts.services {
            return self.refuse(ticket, Refusal::ServicesFull);
        }
        self.services.push(service);
        self.speak(now);
        self.answer(ticket, Answer::Registered);
    }

    fn ping_wanted(&mut self, now: Moment, (ticket, deadline): (Ticket, Moment), addr: SocketAddr) {
        let id = NodeId::of(addr);
        let services = self.services.clone();
        if id == self.own.id {
            let rtt = Duration::ZERO;
            self.answer(ticket, Answer::Pong { rtt, services });
        } else if self.calls.len() >= CALLS_PER_TASK * self.config.lookup.tasks {
            self.refuse(ticket, Refusal::Busy);
        } else {
            let purpose = Purpose::Ping(ticket, deadline);
            self.ask(now, Entry { id, addr }, Ask::Ping { services }, purpose);
        }
    }
}
