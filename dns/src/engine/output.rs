//! What the checker wants done, and what the shell reports back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;

use super::live::LiveSet;
use super::proxy::Change;
use super::reason::Fault;
use super::timers::Timer;

/// One wish of the checker, or when to wake it. `Wake` comes last and means: nothing else for now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Ping all of these and report each with `handle_ping`. At most
    /// [`PINGS_TOGETHER`](super::timers::PINGS_TOGETHER).
    Pings(Vec<Target>),
    /// Fetch the check page from `proxy` and report with `handle_http`.
    Http {
        /// The proxy's HTTP address.
        proxy: SocketAddr,
    },
    /// Ask the local index for candidates and report with `handle_candidates` or
    /// `handle_index_gone`.
    Refresh {
        /// For so many; see [`appetite`](super::appetite).
        count: usize,
    },
    /// Answers are to be made from this set from now on.
    Publish(Arc<LiveSet>),
    /// A proxy's standing changed: for the log.
    Changed(Change),
    /// Call `handle_timeout` at this moment. The timer says why, for the log.
    Wake(Moment, Timer),
}

/// Whom to ping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    /// Whom this is about: the proxy's HTTP address.
    pub proxy: SocketAddr,
    /// Its index daemon.
    pub index: SocketAddr,
}

/// A proxy that the index knows of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Candidate {
    /// Where it serves HTTP.
    pub http: SocketAddr,
    /// Where its index daemon answers pings.
    pub index: SocketAddr,
    /// How far that is from the local index, as far as it knows.
    pub rtt: Option<Duration>,
}

/// What came of a ping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PingOutcome {
    /// The index answered.
    Pong {
        /// Round-trip time.
        rtt: Duration,
        /// Whether it still lists the proxy among its services.
        listed: bool,
    },
    /// The local index says that the other one does not answer.
    Silent,
    /// Nothing came in time. Whether the other index is silent or the local one, only the rest of
    /// the evidence can tell.
    Late,
    /// The local index is not there: nothing was learnt about the other one.
    NoIndex,
}

/// What came of an HTTP request for the check page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HttpOutcome {
    /// Status 200 and the expected page.
    Served {
        /// From connecting to the end of the page.
        took: Duration,
        /// The proxy asks to be left alone.
        draining: bool,
        /// How much more it could do, in percent; 0 is full.
        spare: u8,
    },
    /// It failed, and the proxy is to blame.
    Failed(Fault),
    /// This machine could not even try (no descriptors, no memory, no network of its own): nothing
    /// was learnt about the proxy.
    Ourselves,
}
