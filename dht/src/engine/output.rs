//! Everything the engine wants done, as values.

use std::net::SocketAddr;

use common::clock::Moment;
use common::ids::{ClusterId, Key, NodeId};

use super::cluster::Moved;
use super::command::{Answer, Ticket};
use super::health::Health;
use super::timers::Timer;
use super::traced::{Answered, Hop};

/// One effect. Drain all of them after every call of the engine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send this datagram.
    Transmit {
        /// To whom.
        to: SocketAddr,
        /// The whole datagram.
        bytes: Vec<u8>,
    },
    /// Answer a command.
    Answer {
        /// Which.
        ticket: Ticket,
        /// With what.
        answer: Answer,
    },
    /// Something worth a line in the log.
    Event(Event),
    /// Call `handle_timeout` at this moment. Replaces every earlier wish of this kind.
    Wake(Moment, Timer),
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The first contact was made: the node is in the network.
    Joined(SocketAddr),
    /// A contact was added to the routing table.
    ContactAdded(NodeId, SocketAddr),
    /// A contact failed, by this node's own evidence.
    ContactFailed(NodeId, SocketAddr),
    /// A contact runs anew and has lost what it stored.
    ContactRestarted(NodeId, SocketAddr),
    /// The last contact is gone: the node is alone.
    Alone,
    /// A contact sees this node at another address than it advertises.
    SeenElsewhere(SocketAddr),
    /// An own value whose storing node died was put again at so many nodes.
    Healed(Key, usize),
    /// The verdict of the node's test of its own work changed.
    HealthChanged(Health),
    /// This node is in another cluster at a level from now on.
    ClusterChanged {
        /// The level.
        level: u8,
        /// The cluster.
        cluster: ClusterId,
        /// Members known, this node included.
        size: u32,
        /// Why.
        why: Moved,
    },
    /// A request of a traced command is over.
    Hop(Hop),
    /// A request of another node's traced command was answered.
    Answered(Answered),
    /// This node was late by its own fault, and so many requests were given grace.
    Late(u64),
}
