//! What the engine can be told, validated. Where the values come from is the shell's affair.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::name::Zone;

use super::cookie::Secrets;
use super::live::LiveSet;
use super::sign::ring::SigningConfig;

/// The zone's own data.
#[derive(Clone, Debug)]
pub struct ZoneConfig {
    /// The zone.
    pub zone: Zone,
    /// Its name servers, the primary first; one to [`SERVERS_MAX`].
    pub servers: Vec<NameServer>,
    /// Mailbox of whoever runs the zone, `user@host` or as a domain name.
    pub hostmaster: String,
    /// Serial of the SOA record. Nobody transfers the zone, so nothing depends on it.
    pub serial: u32,
    /// Single labels that answer with live proxies although they name no site, such as `www`.
    pub services: Vec<String>,
    /// Static records, each `OWNER [TTL] TYPE DATA` ([`records`](super::zone::records)).
    pub records: Vec<String>,
    /// How it is signed; `None`: it is not.
    pub signing: Option<SigningConfig>,
    /// How long resolvers may remember that something does not exist, in seconds. Short, since a
    /// mistyped or new name should work soon.
    pub negative_ttl: u32,
}

/// Most name servers of a zone: as many as the root has, which still fit one datagram.
pub const SERVERS_MAX: usize = 13;

/// One name server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameServer {
    /// Full name, without the final dot.
    pub name: String,
    /// Its addresses; at least one if the name lies in the zone, else none.
    pub addresses: Vec<IpAddr>,
}

/// What an address answer looks like.
#[derive(Clone, Debug)]
pub struct AnswerConfig {
    /// Seconds a resolver may keep an answer. Every second more is a second in which clients try
    /// a proxy that has died; every second less is more queries.
    pub ttl: u32,
    /// Seconds a resolver may keep an answer all of whose addresses are of the asker's own cluster:
    /// nobody nearer will come up meanwhile.
    pub near_ttl: u32,
    /// What counts as near.
    pub levels: NearLevels,
    /// Addresses in one answer, at most [`ADDRESSES_MAX`]. Clients try the next when one does not
    /// answer.
    pub count: usize,
    /// Addresses to answer with when nobody is alive.
    pub anchors: LiveSet,
    /// What to try, in order, when nobody is alive; SERVFAIL comes after all of it.
    pub when_empty: Vec<Resort>,
    /// How long the last verified set stands in for nobody.
    pub last_for: Duration,
    /// Protocols over TLS (ALPN, RFC 7301) that HTTPS records tell browsers of; `None`: there are no
    /// HTTPS records. Only names that a wildcard certificate covers have them, since a browser that
    /// saw one uses TLS (RFC 9460 §9.5).
    pub https: Option<Vec<String>>,
}

/// Round trips by which near is told from far: those of the index's clusters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NearLevels {
    /// Below it two machines are of one inner cluster: level 2.
    pub inner: Duration,
    /// Below it of one outer cluster: level 1. The rest is the world.
    pub outer: Duration,
}

impl Default for NearLevels {
    fn default() -> Self {
        Self {
            inner: Duration::from_millis(20),
            outer: Duration::from_millis(60),
        }
    }
}

impl NearLevels {
    /// The level of what is `rtt` away.
    #[must_use]
    pub fn of(&self, rtt: Duration) -> u8 {
        u8::from(rtt < self.outer) + u8::from(rtt < self.inner)
    }
}

/// Most addresses of one answer: 16 of IPv6 still fit 512 bytes.
pub const ADDRESSES_MAX: usize = 16;

/// How strangers are treated, apart from what they are told.
#[derive(Clone, Debug)]
pub struct MannersConfig {
    /// How many times longer than a question its answer may be over UDP, while nothing proves the
    /// address it came from; 0: no bound but the size of a datagram. A larger factor serves whoever
    /// sends questions in the name of a victim.
    pub amplification: usize,
    /// Replies a second to each neighbourhood of unproven addresses, by each receiving thread; 0: no
    /// limit.
    pub replies_per_second: u32,
    /// What this server calls itself when asked (RFC 5001), at most 64 bytes; empty: nothing.
    pub nsid: Vec<u8>,
    /// What cookies are made with; `None`: none is given, and none is good.
    pub secrets: Option<Secrets>,
}

/// Longest name of a server in bytes: a reply that tells it is still not long.
pub const NSID_MAX: usize = 64;

impl MannersConfig {
    /// The same with cookies made with `secrets`.
    #[must_use]
    pub fn with_secrets(self, secrets: Secrets) -> Self {
        Self {
            secrets: Some(secrets),
            ..self
        }
    }
}

impl Default for MannersConfig {
    /// With a secret that everybody knows: for tests.
    fn default() -> Self {
        Self {
            amplification: 3,
            replies_per_second: 0,
            nsid: Vec::new(),
            secrets: Some(Secrets::Fixed {
                present: [0; 16],
                previous: None,
            }),
        }
    }
}

/// What to answer with when no proxy is alive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resort {
    /// The proxies that were alive last, for a while.
    LastVerified,
    /// The configured anchors.
    Anchors,
}

impl Default for AnswerConfig {
    fn default() -> Self {
        Self {
            ttl: 30,
            near_ttl: 60,
            levels: NearLevels::default(),
            count: 4,
            anchors: LiveSet::default(),
            when_empty: vec![Resort::LastVerified, Resort::Anchors],
            last_for: Duration::from_secs(30),
            https: None,
        }
    }
}

/// What is learnt of where clients are.
#[derive(Clone, Debug)]
pub struct NearConfig {
    /// Client networks whose place is remembered. One costs about 250 bytes.
    pub networks: usize,
    /// Client networks remembered as unknown, so that they are not looked up with every question.
    pub networks_unknown: usize,
    /// A network with a proxy nearer than this needs no better one.
    pub inner: Duration,
    /// Between two lookups of a network that is still asked for.
    pub refresh: Duration,
    /// A network that nobody asked for in so long is forgotten, and so is a place that could not be
    /// confirmed in so long.
    pub forget: Duration,
    /// Between two lookups, at least.
    pub pace: Duration,
    /// Lookups under way at once.
    pub concurrency: usize,
}

impl Default for NearConfig {
    fn default() -> Self {
        Self {
            networks: 100_000,
            networks_unknown: 20_000,
            inner: NearLevels::default().inner,
            refresh: Duration::from_secs(300),
            forget: Duration::from_secs(3_600),
            pace: Duration::from_millis(20),
            concurrency: 16,
        }
    }
}

/// How proxies are verified.
#[derive(Clone, Debug)]
pub struct CheckConfig {
    /// Between two pings of one proxy's index.
    pub ping_every: Duration,
    /// Between two HTTP requests to one proxy. With `timeout` it bounds how long a proxy that hangs
    /// without dying is still named: docs/adr/0002-name-server.md.
    pub http_every: Duration,
    /// For one check to succeed.
    pub timeout: Duration,
    /// Checks of each kind under way at once. At the bound, checks wait their turn in due order.
    pub concurrency: usize,
    /// Proxies checked at once; others are known and not named. At least one, at most
    /// [`PROXIES_MAX`].
    pub proxies: usize,
    /// What nobody may take for the check page, beyond two round trips, while others take much less.
    pub slow: Duration,
    /// What this server is called among the zone's servers: by it each takes a share of its own.
    pub server: String,
    /// Proxies known without an index; verified by HTTP alone.
    pub fixed: Vec<SocketAddr>,
    /// What counts as near to this server.
    pub levels: NearLevels,
}

impl Default for CheckConfig {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(1),
            http_every: Duration::from_secs(2),
            timeout: Duration::from_millis(800),
            concurrency: 256,
            proxies: 1_000,
            slow: Duration::from_millis(400),
            server: String::new(),
            fixed: Vec::new(),
            levels: NearLevels::default(),
        }
    }
}

impl CheckConfig {
    /// How long it may take to see that a proxy is dead, if checks are made when they are due.
    #[must_use]
    pub fn detection(&self) -> Duration {
        let pings = self.ping_every + self.ping_every;
        self.http_every.max(pings) + self.timeout
    }
}

/// Most proxies known at once, dead or alive. One costs about 200 bytes, and 1,500 while it is
/// checked; further ones are refused and counted.
pub const PROXIES_MAX: usize = 10_000;
