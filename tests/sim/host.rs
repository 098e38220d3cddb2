//! One place in the world and the engine that runs there, what is sent between such places, and
//! what can be made to happen to them.

use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use common::wire::secret::Network;
use dht::engine::{Config, Index, Wish};

use crate::clock::NodeClock;

/// A datagram under way.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    /// The node that has the address it was sent from.
    pub(crate) from: usize,
    /// The node that has the address it was sent to.
    pub(crate) to: usize,
    /// All of it.
    pub(crate) bytes: Vec<u8>,
}

/// What scenarios make happen.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A local client of a node wants something, for so long.
    Ask(usize, Wish, Duration),
    /// A node is gone without a word.
    Kill(usize),
    /// A node starts, or starts again if it runs: what it stored is lost, its contacts are not.
    Boot(usize),
    /// A datagram that no engine made: of an outsider, forged, or replayed.
    Inject(Parcel),
    /// A node gets no processor for a while, and again and again.
    Starve(usize),
}

/// A place for a node, and the node while there is one.
pub(crate) struct Host {
    /// The engine while the node is up.
    pub(crate) node: Option<Box<dyn Index>>,
    /// Whether it belongs to the network that is judged.
    pub(crate) member: bool,
    /// How it is configured, with what it remembers of earlier runs.
    pub(crate) config: Config,
    /// The network it is in.
    pub(crate) network: Arc<Network>,
    /// Its own clock.
    pub(crate) clock: NodeClock,
    /// How often it has started; a wake-up planned for an earlier run is void.
    pub(crate) boots: u32,
    /// When the engine wants to be woken, on the world's clock.
    pub(crate) wished: Moment,
    /// The earliest wake-up that is queued for it.
    pub(crate) queued: Moment,
    /// It gets no processor until then.
    pub(crate) starved_until: Moment,
    /// Datagrams that wait for that.
    pub(crate) waiting: usize,
    /// It has work in its buffer until then.
    pub(crate) busy_until: Moment,
}

impl Host {
    /// An empty place.
    pub(crate) const fn new(
        network: Arc<Network>,
        member: bool,
        config: Config,
        clock: NodeClock,
    ) -> Self {
        Self {
            node: None,
            member,
            config,
            network,
            clock,
            boots: 0,
            wished: Moment::NEVER,
            queued: Moment::NEVER,
            starved_until: Moment::ZERO,
            waiting: 0,
            busy_until: Moment::ZERO,
        }
    }
}
