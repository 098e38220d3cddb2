//! Settings of the proxy: the table of keys and the validated configuration made of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use common::config::{ByteSize, KeySpec, Settings, Span};
use common::name::Zone;

use super::http::fresh::FreshPolicy;
use super::http::hop::Identity;
use super::policy::Policy;
use super::store::Budget;

const fn key(
    path: &'static str,
    default: &'static str,
    what: &'static str,
    why: &'static str,
) -> KeySpec {
    KeySpec {
        path,
        default: Some(default),
        example: default,
        what,
        why,
    }
}

/// Every key of the proxy.
pub static KEYS: &[KeySpec] = &[
    KeySpec {
        path: "zone",
        default: None,
        example: "nyud.net",
        what: "domain name",
        why: "The zone whose names are served: http://example.com.<zone>/.",
    },
    key(
        "node.name",
        "proxy",
        "word",
        "Name of this node in Via, Cache-Status and CDN-Loop; unique in the network.",
    ),
    key(
        "http.listen",
        "127.0.0.1:8080",
        "address and port",
        "Where clients connect.",
    ),
    key(
        "http.connections_max",
        "8192",
        "number",
        "Client connections at once; more are closed at once. Each idle one costs about 20 KB.",
    ),
    key(
        "http.header_timeout",
        "10s",
        "duration",
        "For a whole request header, counted from the last answer: so it ends idle connections too.",
    ),
    key(
        "http.send_timeout",
        "30s",
        "duration",
        "A client that takes less than 64 bytes per second over this time loses its connection. Too short and bad radio links lose pages; too long and slow readers hold memory.",
    ),
    KeySpec {
        path: "peer.listen",
        default: Some(""),
        example: "127.0.0.1:8081",
        what: "address and port",
        why: "Where other proxies of the network connect; empty for a proxy on its own.",
    },
    KeySpec {
        path: "peer.advertise",
        default: Some(""),
        example: "192.0.2.1:8081",
        what: "address and port",
        why: "The peer address that others are told; empty for peer.listen.",
    },
    KeySpec {
        path: "admin.listen",
        default: Some(""),
        example: "127.0.0.1:8082",
        what: "address and port",
        why: "Where /metrics, /healthz, /readyz and /state are served; empty for nowhere.",
    },
    KeySpec {
        path: "index.socket",
        default: Some(""),
        example: "/run/atoll/index.sock",
        what: "path",
        why: "Unix socket of the local index daemon; empty for a proxy without cooperation.",
    },
    KeySpec {
        path: "index.advertise",
        default: Some(""),
        example: "192.0.2.1:80",
        what: "address and port",
        why: "The client address that name servers are told; empty for http.listen.",
    },
    KeySpec {
        path: "network.secret_file",
        default: Some(""),
        example: "/etc/atoll/secret",
        what: "path",
        why: "File of mode 0600 with the network's secret; needed with peer.listen.",
    },
    key(
        "origin.allow_private",
        "false",
        "true or false",
        "Whether origins may be at loopback and private addresses. For demos and tests: with it, strangers reach your own network.",
    ),
    KeySpec {
        path: "origin.ca_file",
        default: Some(""),
        example: "/etc/atoll/roots.pem",
        what: "path",
        why: "PEM file of certificates to trust beside the system's when fetching by HTTPS.",
    },
    KeySpec {
        path: "origin.resolvers",
        default: Some(""),
        example: "192.0.2.53:53",
        what: "list of addresses and ports",
        why: "Resolvers for the names of origins; empty for the system's.",
    },
    key(
        "origin.connect_timeout",
        "3s",
        "duration",
        "For one connection to one address of an origin or peer.",
    ),
    key(
        "origin.header_timeout",
        "15s",
        "duration",
        "From the request to the origin's response header.",
    ),
    key(
        "origin.body_timeout",
        "30s",
        "duration",
        "For the next bytes of a body; a source that stalls longer is given up.",
    ),
    key(
        "cache.default_hot",
        "60s",
        "duration",
        "Lifetime of a page that says nothing about it while its site is in demand; while it is quiet, none. Too long and dynamic pages stand still.",
    ),
    key(
        "cache.stale_on_error",
        "24h",
        "duration",
        "How long past its end a copy may stand in for an origin that fails.",
    ),
    key(
        "store.memory",
        "256MiB",
        "bytes",
        "Memory for header fields and small bodies.",
    ),
    key(
        "store.disk",
        "8GiB",
        "bytes",
        "Disk for large bodies, and for what slow readers have not read yet.",
    ),
    key(
        "store.under_way",
        "128MiB",
        "bytes",
        "Memory for bodies on their way, beside what is kept. Beyond it they go to disk at once, and pages that may not be kept are refused for a while.",
    ),
    KeySpec {
        path: "store.dir",
        default: Some(""),
        example: "/var/lib/atoll/store",
        what: "path",
        why: "Where large bodies are spilled; empty for the system's temporary directory. Without room there, large bodies pass through and are not kept.",
    },
    key(
        "store.spill_over",
        "1MiB",
        "bytes",
        "Bodies larger than this go to disk.",
    ),
    key(
        "log.format",
        "human",
        "human or json",
        "How log lines look.",
    ),
    key(
        "log.level",
        "info",
        "level or list of target=level",
        "Which log lines are written.",
    ),
];

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
}

/// Listeners and their bounds.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Clients.
    pub http: SocketAddr,
    /// Client connections at once.
    pub connections_max: usize,
    /// For a whole request header.
    pub header_timeout: Duration,
    /// The window over which a client's reading is judged.
    pub send_timeout: Duration,
    /// The admin pages.
    pub admin: Option<SocketAddr>,
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
    /// Directory of spilled bodies.
    pub dir: Option<PathBuf>,
    /// Bodies larger than this are spilled.
    pub spill_over: u64,
    /// Memory for bodies on their way, beside what is kept.
    pub under_way: u64,
}

impl Config {
    /// Builds the configuration; mistakes are left in `settings`.
    ///
    /// # Panics
    /// Never: what stands in for a refused name is made of plain words.
    pub fn build(settings: &mut Settings) -> Self {
        let zone: Zone = settings.value("zone");
        let node: String = settings.value("node.name");
        let identity = Identity::new(zone.as_str(), &node, env!("CARGO_PKG_VERSION"))
            .unwrap_or_else(|error| {
                settings.reject("node.name", error);
                Identity::new("zone", "node", "0").expect("plain words make an identity")
            });
        let listen = Listen {
            http: settings.value("http.listen"),
            connections_max: settings.value("http.connections_max"),
            header_timeout: settings.value::<Span>("http.header_timeout").0,
            send_timeout: settings.value::<Span>("http.send_timeout").0,
            admin: settings.optional("admin.listen"),
        };
        let index = index(settings, &listen);
        let mut own = vec![listen.http];
        own.extend(listen.admin);
        // The addresses that others are told are ours too, whatever translates them.
        let ours = |index: &Index| [index.peer_listen, index.peer_advertise, index.advertise];
        own.extend(index.iter().flat_map(ours));
        let policy = Policy {
            allow_private: settings.value("origin.allow_private"),
            own,
        };
        Self {
            zone,
            identity,
            listen,
            index,
            origin: origin(settings),
            policy,
            fresh: FreshPolicy {
                default_hot: settings.value::<Span>("cache.default_hot").0,
                stale_on_error_max: settings.value::<Span>("cache.stale_on_error").0,
                ..FreshPolicy::default()
            },
            store: store(settings),
        }
    }
}

fn origin(settings: &mut Settings) -> Origin {
    Origin {
        ca_file: settings.optional("origin.ca_file"),
        resolvers: settings.optional("origin.resolvers").unwrap_or_default(),
        connect_timeout: settings.value::<Span>("origin.connect_timeout").0,
        header_timeout: settings.value::<Span>("origin.header_timeout").0,
        body_timeout: settings.value::<Span>("origin.body_timeout").0,
    }
}

fn store(settings: &mut Settings) -> StoreConfig {
    StoreConfig {
        budget: Budget {
            memory: settings.value::<ByteSize>("store.memory").0,
            disk: settings.value::<ByteSize>("store.disk").0,
        },
        dir: settings.optional("store.dir"),
        spill_over: settings.value::<ByteSize>("store.spill_over").0,
        under_way: settings.value::<ByteSize>("store.under_way").0,
    }
}

/// Cooperation needs three things together; one without the others is a mistake worth naming.
fn index(settings: &mut Settings, listen: &Listen) -> Option<Index> {
    let socket: Option<PathBuf> = settings.optional("index.socket");
    let peer_listen: Option<SocketAddr> = settings.optional("peer.listen");
    let secret_file: Option<PathBuf> = settings.optional("network.secret_file");
    let advertise: Option<SocketAddr> = settings.optional("index.advertise");
    let peer_advertise: Option<SocketAddr> = settings.optional("peer.advertise");
    let socket = socket?;
    let Some(peer_listen) = peer_listen else {
        settings.reject(
            "peer.listen",
            "must be set when index.socket is, so that peers can fetch",
        );
        return None;
    };
    let Some(secret_file) = secret_file else {
        let what = "must be set when index.socket is; make a secret with `atoll secret new`";
        settings.reject("network.secret_file", what);
        return None;
    };
    let advertise = advertise.unwrap_or(listen.http);
    let peer_advertise = peer_advertise.unwrap_or(peer_listen);
    for (path, addr) in [
        ("index.advertise", advertise),
        ("peer.advertise", peer_advertise),
    ] {
        if addr.ip().is_unspecified() {
            settings.reject(
                path,
                format_args!("{addr} is no address that others can connect to"),
            );
        }
    }
    Some(Index {
        socket,
        advertise,
        peer_listen,
        peer_advertise,
        secret_file,
    })
}

#[cfg(test)]
mod tests {
    use common::config::Sources;

    use super::*;

    fn build(sets: &[&str]) -> Result<(Config, Vec<&'static str>), String> {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let mut settings = Settings::resolve(
            KEYS,
            &Sources {
                sets: &sets,
                ..Sources::default()
            },
        );
        let config = Config::build(&mut settings);
        let unread = settings.unread();
        settings.finish().map_err(|error| error.to_string())?;
        Ok((config, unread))
    }

    #[test]
    fn a_zone_is_all_that_a_proxy_on_its_own_needs() {
        let (config, unread) = build(&["zone=nyud.test"]).unwrap();
        assert!(config.index.is_none());
        assert!(
            !config.policy.allow_private,
            "private origins are refused by default"
        );
        assert_eq!(
            unread,
            ["log.format", "log.level"],
            "read where the log is started"
        );
    }

    #[test]
    fn cooperation_without_secret_or_peer_port_is_a_mistake() {
        let error = build(&["zone=nyud.test", "index.socket=/tmp/i"]).unwrap_err();
        assert!(error.contains("peer.listen"), "{error}");
        let error = build(&[
            "zone=nyud.test",
            "index.socket=/tmp/i",
            "peer.listen=127.0.0.1:1",
        ]);
        assert!(error.unwrap_err().contains("atoll secret new"));
        let all = [
            "zone=nyud.test",
            "index.socket=/tmp/i",
            "network.secret_file=/s",
        ];
        let error = build(&[&all[..], &["peer.listen=0.0.0.0:1"]].concat()).unwrap_err();
        assert!(
            error.contains("no address that others can connect to"),
            "{error}"
        );
        let (config, _) = build(&[&all[..], &["peer.listen=127.0.0.1:1"]].concat()).unwrap();
        assert_eq!(
            config.index.unwrap().peer_advertise,
            "127.0.0.1:1".parse().unwrap()
        );
    }

    #[test]
    fn every_example_parses() {
        for spec in KEYS {
            let set = format!("{}={}", spec.path, spec.example);
            let needed = [
                "zone=nyud.test",
                "peer.listen=127.0.0.1:1",
                "network.secret_file=/s",
            ];
            let sets: Vec<&str> = needed.into_iter().chain([set.as_str()]).collect();
            assert!(build(&sets).is_ok(), "{set}");
        }
    }
}
