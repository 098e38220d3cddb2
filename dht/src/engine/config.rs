//! Every knob of the engine, with what it costs and what goes wrong at its ends.
//!
//! The daemon fills this from its settings, the simulator from a scenario. The engine trusts it:
//! relations between knobs are checked where the settings are read.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// How the nodes of a network find one another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum IndexKind {
    /// Everyone knows a few, in clusters; a key is found in a few hops.
    #[default]
    Sloppy,
    /// Everyone knows everyone; a key is found in one hop.
    Full,
}

impl IndexKind {
    /// The word in settings, on the state page and on the simulator's command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sloppy => "sloppy",
            Self::Full => "full",
        }
    }

    /// The wire generation of a network of this kind: the kinds never exchange a byte that either
    /// accepts.
    #[must_use]
    pub const fn generation(self, generation: u32) -> u32 {
        match self {
            Self::Sloppy => generation,
            Self::Full => generation | 1 << 31,
        }
    }
}

/// The word names no kind of index.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be sloppy or full")]
pub struct UnknownIndexKind;

impl FromStr for IndexKind {
    type Err = UnknownIndexKind;

    fn from_str(word: &str) -> Result<Self, UnknownIndexKind> {
        let known = [Self::Sloppy, Self::Full].into_iter();
        let named = known.into_iter().find(|kind| kind.as_str() == word);
        named.ok_or(UnknownIndexKind)
    }
}

/// How an engine behaves. `Config::default()` suits a node of a planet-wide network.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Config {
    /// How the nodes of the network find one another.
    pub kind: IndexKind,
    /// Nodes to join through. Empty: this node waits to be joined, and alone it is complete.
    pub seeds: Vec<SocketAddr>,
    /// Nodes known before a restart, tried beside the seeds.
    pub remembered: Vec<SocketAddr>,
    /// What the store holds at most.
    pub store: StoreConfig,
    /// How walks through the id space go.
    pub lookup: LookupConfig,
    /// Timing of requests.
    pub rpc: RpcConfig,
    /// How much others may ask.
    pub admit: AdmitConfig,
    /// How neighbours are kept.
    pub contacts: ContactConfig,
    /// The clusters inside the world.
    pub levels: LevelConfig,
    /// How everyone comes to know everyone; without effect in a sloppy index.
    pub full: FullConfig,
}

/// The clusters inside the world.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LevelConfig {
    /// Largest round trip to a near member, of level 1, 2 and so on inward; at most
    /// [`LEVELS_MAX`](common::limits::LEVELS_MAX) - 1 of them, each under the one before. None: the
    /// world is all there is. Every level costs 16 bytes per datagram and a routing table.
    pub thresholds: Vec<Duration>,
    /// Time between two looks at a settled membership. A young one is looked at more often, so that
    /// clusters form within minutes. Shorter follows the network faster and moves more.
    pub reconsider: Duration,
}

impl Default for LevelConfig {
    fn default() -> Self {
        Self {
            thresholds: vec![Duration::from_millis(60), Duration::from_millis(20)],
            reconsider: Duration::from_secs(300),
        }
    }
}

/// Bounds of the store of one node. Each is refused with its own reason when exceeded by values
/// that do not last longer than those held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreConfig {
    /// Values in all. A value costs about 200 bytes beside its own.
    pub values: usize,
    /// Bytes of values in all.
    pub bytes: usize,
    /// Values under one key. More would not fit the answers.
    pub values_per_key: usize,
    /// Values of one publisher, so that one node cannot fill another.
    pub values_per_publisher: usize,
    /// Longest time a value is held, whatever was asked.
    pub ttl_max: Duration,
    /// Values under a key that make a node full for it, if they last at least half as long as a
    /// new one (CORAL's l). More feed larger crowds from one node and take longer to fill.
    pub full: usize,
    /// Requests per minute and key beyond which a node is loaded (CORAL's beta). A key's closest
    /// node gets at most this times the logarithm of the network's size.
    pub beta: u32,
    /// A node that is full and loaded lets one store in this time pass on towards the key.
    pub leak_every: Duration,
    /// Keys whose rate of requests is remembered; about 150 bytes each.
    pub rates: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            values: 200_000,
            bytes: 32 << 20,
            values_per_key: 16,
            values_per_publisher: 50_000,
            ttl_max: Duration::from_secs(24 * 3_600),
            full: 4,
            beta: 12,
            leak_every: Duration::from_secs(5),
            rates: 16_384,
        }
    }
}

/// How walks through the id space go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LookupConfig {
    /// Bits of the key that a hop corrects (CORAL's b). More means fewer hops and more load at the
    /// key's closest node: beta * (2^b - 1) * log2(n) / b a minute.
    pub bits_per_hop: u32,
    /// Requests outstanding per walk. More is faster with dead nodes about, and costs traffic.
    pub window: usize,
    /// A walk ends when this many closest reachable nodes have answered. Fewer misses values when
    /// nodes come and go; more makes every miss slower.
    pub settle: usize,
    /// Nodes that store a value.
    pub replicas: usize,
    /// Values a node returns at most to one request.
    pub returned: usize,
    /// Commands and own walks under way at once; more are refused as busy.
    pub tasks: usize,
}

impl Default for LookupConfig {
    fn default() -> Self {
        Self {
            bits_per_hop: 1,
            window: 3,
            settle: 4,
            replicas: 2,
            returned: 4,
            tasks: 1_024,
        }
    }
}

/// Timing of requests between nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RpcConfig {
    /// Patience with a peer never measured. Less asks again where the answer is on its way, as most
    /// paths across an ocean and back take 200 ms; more finds the dead later.
    pub timeout_initial: Duration,
    /// Least patience, so that a scheduler's hiccup is no loss.
    pub timeout_floor: Duration,
    /// Most patience.
    pub timeout_cap: Duration,
    /// Attempts in all before a request has failed.
    pub attempts: u8,
    /// A request has failed no sooner than this after it began, however near the peer: on one
    /// machine the measured patience is shorter than a scheduler's pause, and a claim that goes
    /// past a living node is a second fetch from the origin. A dead node costs a walk this much.
    pub verdict_floor: Duration,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            timeout_initial: Duration::from_millis(300),
            timeout_floor: Duration::from_millis(20),
            timeout_cap: Duration::from_secs(1),
            attempts: 3,
            verdict_floor: Duration::from_millis(400),
        }
    }
}

/// How much others may ask of this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AdmitConfig {
    /// Datagrams per second from one neighbourhood (IPv4 /24, IPv6 /56) of addresses that have not
    /// proven themselves. A restart of many siblings behind one prefix must fit.
    pub strangers_per_second: u32,
    /// Datagrams per second from all such addresses together, so that they leave room for members.
    pub strangers_total_per_second: u32,
    /// Datagrams per second from one address that has proven itself.
    pub members_per_second: u32,
    /// Gets and claims per second under one key, with a burst of as many; more are refused as
    /// `key_rate`. Far above what the sloppy storage lets through to one node.
    pub key_gets_per_second: u32,
    /// Puts per second under one key, likewise.
    pub key_puts_per_second: u32,
    /// Limiters kept, at most; addresses that hash alike share one.
    pub limiters: usize,
    /// Requests remembered per generation of the replay filter; 24 bytes each. When a generation
    /// fills before its two minutes are over it rotates early, and that is counted.
    pub replays: usize,
}

impl Default for AdmitConfig {
    fn default() -> Self {
        Self {
            strangers_per_second: 2_000,
            strangers_total_per_second: 20_000,
            members_per_second: 20_000,
            key_gets_per_second: 20_000,
            key_puts_per_second: 500,
            limiters: 1_024,
            replays: 1 << 18,
        }
    }
}

/// How neighbours are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContactConfig {
    /// Contacts per bucket of the routing table (Kademlia's k).
    pub bucket: usize,
    /// Remote nodes remembered in all, in the table or not.
    pub peers: usize,
    /// A contact not heard from for this long is pinged, where nodes die and contacts are at most
    /// 16. Stretched in proportion with more of them, and up to 13 times more while all of them
    /// live, so that background traffic stays bounded.
    pub ping_idle: Duration,
    /// Time between two tests of the node's own work.
    pub self_test_every: Duration,
    /// Services that local clients may register.
    pub services: usize,
    /// Own values remembered so that they can be put again when a node that stored them dies.
    pub kept: usize,
}

impl Default for ContactConfig {
    fn default() -> Self {
        Self {
            bucket: 8,
            peers: 256,
            ping_idle: Duration::from_secs(5),
            self_test_every: Duration::from_secs(40),
            services: 16,
            kept: 50_000,
        }
    }
}

/// How everyone comes to know everyone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FullConfig {
    /// Nodes that store a value. Fewer lose values when nodes die together; each more is one more
    /// request per put and per miss.
    pub replicas: usize,
    /// Time between two probes of members in turn. Shorter notices deaths sooner and costs about
    /// 350 bytes each time; news travel with it.
    pub probe_every: Duration,
    /// Time between two comparisons with a random member of who is there. It repairs what gossip
    /// missed; 300 bytes when there is nothing to repair.
    pub sync_every: Duration,
    /// A suspect may object for this many probe intervals, times the decimal logarithm of the
    /// number of members. Fewer buries nodes that are only slow.
    pub suspicion: u32,
    /// Members known at most, about 200 bytes each; more are refused and counted.
    pub members: usize,
    /// Members whose round trip, token and failures are remembered, about 300 bytes each.
    pub peers: usize,
}

impl Default for FullConfig {
    fn default() -> Self {
        Self {
            replicas: 3,
            probe_every: Duration::from_secs(1),
            sync_every: Duration::from_secs(30),
            suspicion: 4,
            members: 20_000,
            peers: 1_024,
        }
    }
}
