//! The configuration made of its settings; what is wrong is said of all of them at once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use common::config::{ByteSize, Settings, Span};
use common::name::Zone;

use super::{
    Access, Config, Hints, Https, Index, Listen, OldNetwork, Origin, SlicesConfig, StoreConfig,
};
use crate::engine::access;
use crate::engine::certificates::Source;
use crate::engine::handshake::Terms;
use crate::engine::http::fresh::FreshPolicy;
use crate::engine::http::hop::Identity;
use crate::engine::http2::Limits;
use crate::engine::net::Net;
use crate::engine::policy::Policy;
use crate::engine::share::ShareConfig;
use crate::engine::share::slots::SlotConfig;
use crate::engine::store::Budget;

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
            export: settings.optional("trace.export"),
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
    let generation = Some(old_generation).filter(|generation| *generation != 0);
    let is_one = old_socket.is_some() || old_secret.is_some() || generation.is_some();
    let old = is_one.then(|| OldNetwork {
        socket: old_socket,
        secret_file: old_secret.unwrap_or_else(|| secret_file.clone()),
        generation,
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
