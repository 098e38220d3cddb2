//! What an index engine is to its caller, whichever way it organises its nodes.
//!
//! The daemon and the simulator hold a `Box<dyn Index>`: what they do does not depend on whether
//! the nodes know a few neighbours each ([`Node`]) or all of one another. Commands, answers,
//! outputs, counters and bounds are the same, so the two can be compared on the same work.

use std::fmt;
use std::net::SocketAddr;

use common::clock::Moment;
use common::ids::NodeId;
use common::trace::Context;

use super::cluster::Membership;
use super::command::{Command, Ticket};
use super::config::IndexKind;
use super::health::Health;
use super::message::Service;
use super::node::Node;
use super::output::Output;
use super::stats::Stats;
use super::store::Held;
use super::view::{ContactView, Sizes};

/// One engine. See the module above for the loop its caller runs.
pub trait Index: fmt::Debug + Send {
    /// Which kind of index it is part of.
    fn kind(&self) -> IndexKind;

    /// This node's id.
    fn id(&self) -> NodeId;

    /// The address others reach this node at.
    fn addr(&self) -> SocketAddr;

    /// A datagram arrived from `from`. Anything that is not a well-formed message of a member of
    /// the network is counted and has no other effect.
    fn handle_datagram(&mut self, now: Moment, from: SocketAddr, datagram: &[u8]);

    /// A local client wants something.
    fn handle_command(&mut self, now: Moment, command: Command);

    /// The command of `ticket`, which comes next, is part of a trace. An index that does not tell of its
    /// steps carries it out all the same.
    fn trace(&mut self, ticket: Ticket, context: Context) {
        let _ = (ticket, context);
    }

    /// A wished-for moment has come. Harmless at any other time.
    fn handle_timeout(&mut self, now: Moment);

    /// The next effect; `None` when there are no more for now. The last one is a
    /// [`Output::Wake`] whenever the moment to be woken at has changed.
    fn poll_output(&mut self) -> Option<Output>;

    /// The counters.
    fn stats(&self) -> &Stats;

    /// Sizes of all tables.
    fn sizes(&self) -> Sizes;

    /// Contacts and lately failed nodes, in order of id.
    fn contacts(&self, now: Moment) -> Vec<ContactView>;

    /// The clusters above the world, level 1 first; none where nodes form no clusters.
    fn memberships(&self) -> &[Membership];

    /// Services registered by local clients.
    fn services(&self) -> &[Service];

    /// Where a contact last saw this node, if not at its own address.
    fn seen_elsewhere(&self) -> Option<SocketAddr>;

    /// Addresses worth remembering across a restart, the lately heard first.
    fn known_peers(&self) -> Vec<SocketAddr>;

    /// What others stored here, with what is left of it.
    fn held(&self, now: Moment) -> Vec<Held>;

    /// Takes what a process before this one [held](Self::held); within the bounds of the store. How many
    /// values it took.
    fn restore(&mut self, now: Moment, held: Vec<Held>) -> usize;

    /// What the node says of its work.
    fn health(&self, now: Moment) -> Health;

    /// Whether clients should rely on this node: its work was proven in the last minute, or it has
    /// nobody to join by its configuration and has not failed.
    fn is_ready(&self, now: Moment) -> bool;
}

impl Index for Node {
    fn kind(&self) -> IndexKind {
        IndexKind::Sloppy
    }

    fn id(&self) -> NodeId {
        self.id()
    }

    fn addr(&self) -> SocketAddr {
        self.addr()
    }

    fn handle_datagram(&mut self, now: Moment, from: SocketAddr, datagram: &[u8]) {
        self.handle_datagram(now, from, datagram);
    }

    fn handle_command(&mut self, now: Moment, command: Command) {
        self.handle_command(now, command);
    }

    fn trace(&mut self, ticket: Ticket, context: Context) {
        self.trace_command(ticket, context);
    }

    fn handle_timeout(&mut self, now: Moment) {
        self.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.poll_output()
    }

    fn stats(&self) -> &Stats {
        self.stats()
    }

    fn sizes(&self) -> Sizes {
        self.sizes()
    }

    fn contacts(&self, now: Moment) -> Vec<ContactView> {
        self.contacts(now)
    }

    fn memberships(&self) -> &[Membership] {
        self.memberships()
    }

    fn services(&self) -> &[Service] {
        self.services()
    }

    fn seen_elsewhere(&self) -> Option<SocketAddr> {
        self.seen_elsewhere()
    }

    fn known_peers(&self) -> Vec<SocketAddr> {
        self.known_peers()
    }

    fn held(&self, now: Moment) -> Vec<Held> {
        self.store.all(now)
    }

    fn restore(&mut self, now: Moment, held: Vec<Held>) -> usize {
        self.store.restore(now, held)
    }

    fn health(&self, now: Moment) -> Health {
        self.health(now)
    }

    fn is_ready(&self, now: Moment) -> bool {
        self.is_ready(now)
    }
}
