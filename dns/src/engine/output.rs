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
    /// Ping the index at `index` and report with `handle_ping`.
    Ping {
        /// Whom this is about: the proxy's HTTP address.
        proxy: SocketAddr,
        /// Whom to ping.
        index: SocketAddr,
    },
    /// Fetch the check page from `proxy` and report with `handle_http`.
    Http {
        /// The proxy's HTTP address.
        proxy: SocketAddr,
    },
    /// Ask the local index for candidates and report with `handle_candidates` or
    /// `handle_index_gone`.
    Refresh,
    /// Answers are to be made from this set from now on.
    Publish(Arc<LiveSet>),
    /// A proxy's standing changed: for the log.
    Changed(Change),
    /// Call `handle_timeout` at this moment. The timer says why, for the log.
    Wake(Moment, Timer),
}

/// A proxy that the index knows of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Candidate {
    /// Where it serves HTTP.
    pub http: SocketAddr,
    /// Where its index daemon answers pings.
    pub index: SocketAddr,
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
