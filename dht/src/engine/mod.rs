//! The index as a pure state machine.
//!
//! # Map
//!
//! [`index`] is what an engine is to its caller. [`node`] is the façade; `serve` answers others, `exchange` asks them, `desk` takes commands,
//! `work` runs their walks ([`lookup`]), `levels` keeps the memberships and `moves` changes them
//! ([`cluster`]), `relay` goes around broken links,
//! `near` finds nodes near a client, `upkeep` does what timers ask, `hand` gives values
//! to new neighbours, `tend` looks after own ones, `view` shows. The
//! rooms below know nothing of each other: [`store`] holds values, [`routing`] says who is where,
//! [`liveness`] who lives, [`rpc`] what is under way, [`admit`] what may come in, [`token`] who
//! proved its address, [`retire`] when a network has had its day, [`keep`] what this node's clients have put, [`health`] whether the node does
//! its work.
//! [`message`] is the language. [`full`] is another index over the same rooms, in which everybody
//! knows everybody; [`open`] makes either.
//!
//! # Absent on purpose
//!
//! Sockets, files, threads, tasks, locks, clocks, environment, global randomness: the same seed and
//! the same inputs give the same outputs to the byte.
//!
//! # The caller's loop
//!
//! Hand in what happened, then drain [`poll_output`](Node::poll_output) until it gives nothing.
//! Send what is to be sent, answer what is to be answered, and remember the last
//! [`Output::Wake`]: call [`handle_timeout`](Node::handle_timeout) at that moment.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use common::clock::Moment;
//! use common::ids::Key;
//! use common::rng::Generator;
//! use common::wire::secret::NetworkSecret;
//! use dht::engine::{Answer, Command, Config, Node, Output, Ticket, Wish};
//!
//! let network = Arc::new(NetworkSecret::from_bytes([7; 32]).network(1));
//! let (a, b) = ("192.0.2.1:7400".parse()?, "192.0.2.2:7400".parse()?);
//! let mut now = Moment::ZERO;
//! let seeded = Config { seeds: vec![b], ..Config::default() };
//! let mut nodes = [
//!     Node::new(seeded, Arc::clone(&network), a, Generator::from_seed(1), now),
//!     Node::new(Config::default(), network, b, Generator::from_seed(2), now),
//! ];
//! let (ticket, key) = (Ticket(1), Key::of(b"http://example.com/"));
//! let mut answer = None;
//! for step in 0..2_000 {
//!     if step == 1_000 {
//!         let (value, ttl) = (b"192.0.2.1:80".to_vec(), Duration::from_secs(20));
//!         let wish = Wish::Put { key, value, ttl };
//!         let deadline = now + Duration::from_secs(1);
//!         nodes[0].handle_command(now, Command { ticket, deadline, wish });
//!     }
//!     let mut sent = Vec::new();
//!     let mut wake = Moment::NEVER;
//!     for node in &mut nodes {
//!         node.handle_timeout(now);
//!         let from = node.addr();
//!         while let Some(output) = node.poll_output() {
//!             match output {
//!                 Output::Transmit { to, bytes } => sent.push((from, to, bytes)),
//!                 Output::Answer { answer: with, .. } => answer = Some(with),
//!                 Output::Event(_) => {}
//!                 Output::Wake(at, _) => wake = wake.min(at),
//!             }
//!         }
//!     }
//!     for (from, to, bytes) in sent {
//!         nodes.iter_mut().filter(|node| node.addr() == to).for_each(|node| {
//!             node.handle_datagram(now, from, &bytes);
//!         });
//!     }
//!     // A real caller sleeps until a datagram comes or `wake`; this one takes small steps.
//!     now = (now + Duration::from_millis(1)).min(wake.max(now + Duration::from_millis(1)));
//! }
//! assert_eq!(answer, Some(Answer::Stored { copies: 2 }));
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

pub mod admit;
pub mod capture;
pub mod cluster;
pub mod command;
pub mod config;
mod desk;
mod exchange;
pub mod full;
mod hand;
pub mod health;
pub mod index;
pub mod keep;
mod levels;
pub mod liveness;
pub mod lookup;
pub mod message;
mod moves;
mod near;
pub mod node;
pub mod output;
mod place;
mod relay;
pub mod retire;
pub mod routing;
pub mod rpc;
pub mod rtt;
mod second;
mod serve;
pub mod stats;
pub mod store;
mod tend;
pub mod timers;
pub mod token;
pub mod traced;
mod upkeep;
pub mod view;
mod work;

#[cfg(test)]
mod tests;

pub use command::{Answer, Command, LevelInfo, NodeInfo, Ticket, Wish};
pub use config::{Config, IndexKind};
pub use index::Index;
pub use node::Node;
pub use output::{Event, Output};

use std::net::SocketAddr;
use std::sync::Arc;

use common::clock::Moment;
use common::rng::Generator;
use common::wire::secret::Network;

/// An engine of the kind that `config` names, that others reach at `addr`, in `network`; see
/// [`IndexKind::generation`] for how networks of the two kinds are kept apart.
#[must_use]
pub fn open(
    config: Config,
    network: Arc<Network>,
    addr: SocketAddr,
    rng: Generator,
    now: Moment,
) -> Box<dyn Index> {
    match config.kind {
        IndexKind::Sloppy => Box::new(Node::new(config, network, addr, rng, now)),
        IndexKind::Full => Box::new(full::Member::new(config, network, addr, rng, now)),
    }
}
