//! Settings of the proxy: the validated configuration made of its keys.

mod keys;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use common::config::{ByteSize, Settings, Span};
use common::name::Zone;

pub use self::keys::KEYS;
use super::access::{self, Form};
use super::certificates::Source;
use super::handshake::Terms;
use super::http::fresh::FreshPolicy;
use super::http::hop::Identity;
use super::http::interim::Forwarding;
use super::http2::Limits;
use super::net::Net;
use super::policy::Policy;
use super::share::ShareConfig;
use super::share::slots::SlotConfig;
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

/// A network that another one takes the place of, as long as both run on this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OldNetwork {
    /// Socket of its index daemon.
    pub socket: PathBuf,
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
            https: https(settings),
            http2: http2(settings),
            connections_max: settings.value("http.connections_max"),
            connections_per_client: settings.value("http.connections_per_client"),
            header_timeout: settings.value::<Span>("http.header_timeout").0,
            send_timeout: settings.value::<Span>("http.send_timeout").0,
            block_file: settings.optional("block.file"),
            purge_tokens: settings.optional("purge.tokens_file"),
            drain_grace: settings.value::<Span>("drain.grace").0,
            drain_finish: settings.value::<Span>("drain.finish").0,
            idle_timeout: settings.value::<Span>("http.idle_timeout").0,
            interim: settings.value("http.interim"),
            plain: settings.value("http.prepared"),
            exempt: settings.optional("client.exempt").unwrap_or_default(),
            admin: settings.optional("admin.listen"),
        };
        let exempt = listen.exempt.clone();
        let index = index(settings, &listen);
        let mut own = vec![listen.http];
        own.extend(listen.admin);
        own.extend(listen.https.as_ref().map(|https| https.listen));
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
            slices: SlicesConfig {
                from: settings.value::<ByteSize>("slices.from").0,
                ahead: settings.value("slices.ahead"),
            },
            share: share(settings, exempt),
            access: access(settings),
        }
    }
}

fn http2(settings: &mut Settings) -> Option<Limits> {
    let enabled: bool = settings.value("http2.enabled");
    let limits = Limits {
        streams: settings.value("http2.streams_max"),
        resets: settings.value("http2.resets_max"),
        frames: settings.value("http2.frames_max"),
    };
    if limits.streams == 0 {
        settings.reject(
            "http2.streams_max",
            "at least 1; to speak none, http2.enabled",
        );
    }
    enabled.then_some(limits)
}

fn https(settings: &mut Settings) -> Option<Https> {
    let listen: Option<SocketAddr> = settings.optional("https.listen");
    let certificates: Vec<Source> = settings.optional("https.certificates").unwrap_or_default();
    let terms = Terms {
        within: settings.value::<Span>("https.handshake_timeout").0,
        most: settings.value("https.handshakes_max"),
        minimum: settings.value("https.minimum"),
        http2: settings.value("http2.enabled"),
    };
    let listen = listen?;
    if certificates.is_empty() {
        settings.reject(
            "https.certificates",
            "must be set when https.listen is: a directory, or CHAIN:KEY",
        );
        return None;
    }
    Some(Https {
        listen,
        certificates,
        terms,
    })
}

fn access(settings: &mut Settings) -> Option<Access> {
    let access::Choice(form) = settings.value("log.access");
    let file = settings.optional("log.access_file");
    form.map(|form| Access { form, file })
}

fn share(settings: &mut Settings, exempt: Vec<Net>) -> ShareConfig {
    let bound = |bytes: ByteSize| Some(bytes.0).filter(|bytes| *bytes > 0);
    ShareConfig {
        client_per_second: settings.value("client.requests_per_second"),
        client_burst: settings.value("client.burst"),
        exempt,
        bytes_per_second: bound(settings.value("share.bytes_per_second")),
        bytes_per_day: bound(settings.value("share.bytes_per_day")),
        slots: SlotConfig {
            slots: settings.value("origin.fetches_max"),
            waiting: settings.value("origin.queue_max"),
        },
        slot_within: settings.value::<Span>("origin.queue_timeout").0,
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
    let hints = hints(settings);
    let old_socket: Option<PathBuf> = settings.optional("index.old_socket");
    let old_secret: Option<PathBuf> = settings.optional("network.old_secret_file");
    let old_generation: u32 = settings.value("network.old_generation");
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
    let old = old_socket.map(|socket| OldNetwork {
        socket,
        secret_file: old_secret.unwrap_or_else(|| secret_file.clone()),
        generation: Some(old_generation).filter(|generation| *generation != 0),
    });
    Some(Index {
        old,
        socket,
        advertise,
        peer_listen,
        peer_advertise,
        secret_file,
        hints,
    })
}

fn hints(settings: &mut Settings) -> Option<Hints> {
    let measure: bool = settings.value("near.measure");
    let ttl = settings.value::<Span>("near.hint_ttl").0;
    let per_minute: u32 = settings.value("near.hints_per_minute");
    if ttl < Duration::from_secs(60) {
        settings.reject(
            "near.hint_ttl",
            "at least 1m, or telling hints is all that happens",
        );
    }
    let pace = Duration::from_secs(60).checked_div(per_minute);
    pace.filter(|_| measure).map(|pace| Hints { ttl, pace })
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
    fn https_needs_certificates() {
        let error = build(&["zone=nyud.test", "https.listen=127.0.0.1:1"]).unwrap_err();
        assert!(error.contains("https.certificates"), "{error}");
        let all = [
            "zone=nyud.test",
            "https.listen=127.0.0.1:1",
            "https.certificates=/c.pem:/k.pem,/etc/tls",
        ];
        let (config, _) = build(&all).unwrap();
        assert_eq!(config.listen.https.unwrap().certificates.len(), 2);
        assert!(config.policy.own.contains(&"127.0.0.1:1".parse().unwrap()));
    }

    #[test]
    fn hints_can_be_slow_or_none() {
        let all = [
            "zone=nyud.test",
            "index.socket=/tmp/i",
            "network.secret_file=/s",
            "peer.listen=127.0.0.1:1",
        ];
        let hints = |set: &str| {
            let built = build(&[&all[..], &[set]].concat());
            built.map(|(config, _)| config.index.unwrap().hints)
        };
        let pace = Duration::from_millis(500);
        let ttl = Duration::from_secs(3_600);
        assert_eq!(hints("near.measure=true"), Ok(Some(Hints { ttl, pace })));
        assert_eq!(hints("near.measure=false"), Ok(None));
        assert_eq!(hints("near.hints_per_minute=0"), Ok(None));
        assert!(
            hints("near.hint_ttl=1s")
                .unwrap_err()
                .contains("at least 1m")
        );
    }

    #[test]
    fn every_example_parses() {
        for spec in KEYS {
            let set = format!("{}={}", spec.path, spec.example);
            let needed = [
                "zone=nyud.test",
                "https.certificates=/c",
                "peer.listen=127.0.0.1:1",
                "network.secret_file=/s",
            ];
            let sets: Vec<&str> = needed.into_iter().chain([set.as_str()]).collect();
            assert!(build(&sets).is_ok(), "{set}");
        }
    }
}
