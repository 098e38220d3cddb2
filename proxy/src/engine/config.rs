//! Settings of the proxy: what it runs with. Its keys are in `keys`, and how one is made of the other in `build`.

mod build;
mod keys;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use common::name::Zone;
use common::trace::otlp::Collector;

pub use self::keys::KEYS;
use super::access::Form;
use super::certificates::Source;
use super::handshake::Terms;
use super::http::fresh::FreshPolicy;
use super::http::hop::Identity;
use super::http::interim::Forwarding;
use super::http2::Limits;
use super::net::Net;
use super::policy::Policy;
use super::share::ShareConfig;
use super::store::Budget;

/// What the proxy runs with.
#[derive(Debug)]
pub struct Config {
    /// The zone served.
    pub zone: Zone,
    /// Who this node is in the marks it leaves.
    pub identity: Identity,
    /// Listeners.
    pub listen: Listen,
    /// The index and the network of peers; `None` for a proxy on its own.
    pub index: Option<Index>,
    /// Origins.
    pub origin: Origin,
    /// Where strangers' requests may go.
    pub policy: Policy,
    /// Freshness.
    pub fresh: FreshPolicy,
    /// The store.
    pub store: StoreConfig,
    /// Large objects.
    pub slices: SlicesConfig,
    /// Who gets how much.
    pub share: ShareConfig,
    /// The access log; `None` for none.
    pub access: Option<Access>,
    /// Where kept spans go; `None` for nowhere.
    pub export: Option<Collector>,
}

/// The access log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Access {
    /// How its lines look.
    pub form: Form,
    /// Where it goes; `None` for standard output.
    pub file: Option<PathBuf>,
}

/// Listeners and their bounds.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Clients.
    pub http: SocketAddr,
    /// Clients over TLS.
    pub https: Option<Https>,
    /// The bounds of HTTP/2; `None` if it is not spoken.
    pub http2: Option<Limits>,
    /// Client connections at once.
    pub connections_max: usize,
    /// Connections of one client at once.
    pub connections_per_client: usize,
    /// From the first byte of a request header to its last.
    pub header_timeout: Duration,
    /// The window over which a client's reading is judged.
    pub send_timeout: Duration,
    /// The block list.
    pub block_file: Option<PathBuf>,
    /// The tokens of those who may purge; `None` if nobody may over the clients' door.
    pub purge_tokens: Option<PathBuf>,
    /// For others to learn that this node is about to stop.
    pub drain_grace: Duration,
    /// For answers under way when another process serves in this one's place.
    pub drain_finish: Duration,
    /// For a request to begin.
    pub idle_timeout: Duration,
    /// Who gets interim responses.
    pub interim: Forwarding,
    /// Whether plain hits get prepared answers.
    pub plain: bool,
    /// Clients without bounds of their own.
    pub exempt: Vec<Net>,
    /// The admin pages.
    pub admin: Option<SocketAddr>,
}

/// Clients over TLS.
#[derive(Clone, Debug)]
pub struct Https {
    /// Where.
    pub listen: SocketAddr,
    /// What they are shown.
    pub certificates: Vec<Source>,
    /// How they are received.
    pub terms: Terms,
}

/// Cooperation.
#[derive(Clone, Debug)]
pub struct Index {
    /// Socket of the index daemon.
    pub socket: PathBuf,
    /// Client address that name servers are told.
    pub advertise: SocketAddr,
    /// Where peers connect.
    pub peer_listen: SocketAddr,
    /// The peer address others are told.
    pub peer_advertise: SocketAddr,
    /// File of the network's secret.
    pub secret_file: PathBuf,
    /// Whether and how often it is told how far clients are.
    pub hints: Option<Hints>,
    /// The network that this one takes the place of.
    pub old: Option<OldNetwork>,
}

/// A network that another one takes the place of, as long as anybody may be in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OldNetwork {
    /// Socket of its index daemon; `None` if that is not spoken with any more, though its members are still
    /// believed.
    pub socket: Option<PathBuf>,
    /// File of its secret.
    pub secret_file: PathBuf,
    /// Its wire generation; `None` for this program's own.
    pub generation: Option<u32>,
}

/// What the index is told of clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hints {
    /// How long a hint holds.
    pub ttl: Duration,
    /// Between two hints, at least.
    pub pace: Duration,
}

/// How origins are fetched from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Extra roots.
    pub ca_file: Option<PathBuf>,
    /// Resolvers; empty for the system's.
    pub resolvers: Vec<SocketAddr>,
    /// For one connection.
    pub connect_timeout: Duration,
    /// For the response header.
    pub header_timeout: Duration,
    /// For the next bytes.
    pub body_timeout: Duration,
}

/// What is kept, and where.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Bytes.
    pub budget: Budget,
    /// Directory of what outlives the process; `None` for the system's temporary one, and nothing does.
    pub dir: Option<PathBuf>,
    /// Bodies larger than this are spilled.
    pub spill_over: u64,
    /// Memory for bodies on their way, beside what is kept.
    pub under_way: u64,
}

/// How large objects are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlicesConfig {
    /// Those of more bytes than this are in slices; none if zero.
    pub from: u64,
    /// Slices fetched ahead of a reader.
    pub ahead: u64,
}

#[cfg(test)]
mod tests;
