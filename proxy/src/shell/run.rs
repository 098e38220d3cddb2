//! The order of starting and stopping.
//!
//! Everything that can fail because of the configuration fails before the first client is
//! accepted: secret, roots, spill directory, listeners. On the first signal the proxy leaves the
//! index, finishes what is under way, and ends; on the second it ends at once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use common::clock::SystemClock;
use common::rng::Generator;
use common::shell::admin;
use common::shell::cli::{StartError, bind_error};
use common::shell::inherited::Inherited;
use common::shell::secret;
use common::shell::signals::{Phase, Shutdown};
use common::shell::supervisor::Supervisor;
use common::telemetry::MetricTable;
use common::wire::GENERATION;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::access::AccessLog;
use super::body::SpillRule;
use super::change;
use super::connect::{Connector, tls};
use super::context::{Context, Parts};
use super::hints::{self, Hints};
use super::index::{self, IndexLink};
use super::inspect::{Window, gauges};
use super::line::Terms;
use super::listen::{self, Bounds, Crowd, Door, Doorway};
use super::metrics::Metrics;
use super::purge::Desk;
use super::reload::{self, Again, Blocked, Watched};
use super::resolve::Resolver;
use super::room::Room;
use super::share::Shares;
use super::slices::Extents;
use super::spill::SpillSpace;
use super::store::DiskStore;
use super::store::disk::Machine;
use super::store::recover::OpenError;
use super::tls::Secure;
use super::traces::Traces;
use super::upstream::{Client, Patience};
use crate::engine::beginnings;
use crate::engine::config::{Access, Config, Https, Index};
use crate::engine::flow::Flow;

/// Peer connections at once.
const PEER_CONNECTIONS_MAX: usize = 4_096;

/// For answers under way when the process ends.
const DRAIN: Duration = Duration::from_secs(30);

/// For what waits to be written to disk when the process ends.
const STORE_STOP: Duration = Duration::from_secs(5);

/// How far back moments reach: as far as an Age can say (RFC 9111 §1.2.2).
const PAST: Duration = Duration::from_secs(1 << 31);

/// What the spill room exceeds the disk budget by where nothing outlives the process: bodies under
/// way beside those kept, in percent.
const UNDER_WAY_PERCENT: u64 = 25;

/// Runs the proxy until it is told to stop. On SIGHUP it takes over what it can of `again`.
///
/// # Errors
/// It could not start; the text says what to do.
pub fn run(config: Config, again: Again) -> Result<(), StartError> {
    // Before there are other threads.
    let (inherited, supervisor) = (Inherited::from_env(), Arc::new(Supervisor::from_env()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Runtime(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(serve(config, again, (inherited, supervisor)))
}

/// Takes as many descriptors as the system allows: usual limits are below what the bounds on
/// connections add up to.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// A shutdown that drains `grace` later than `first` does. Meanwhile the node is not ready. Where another
/// process serves there is nothing for others to learn.
fn after_grace(mut first: Shutdown, ctx: Arc<Context>, grace: Duration) -> Shutdown {
    let (handle, later) = Shutdown::manual();
    tokio::spawn(async move {
        first.draining().await;
        if first.is_relieved() {
            handle.relieve();
            first.abandoned().await;
            return handle.advance(Phase::Abandoned);
        }
        ctx.drain(true);
        let mut again = first.clone();
        tokio::select! {
            () = tokio::time::sleep(grace) => {}
            () = again.abandoned() => {}
        }
        handle.advance(Phase::Draining);
        first.abandoned().await;
        handle.advance(Phase::Abandoned);
    });
    later
}

struct Doors {
    http: TcpListener,
    https: Option<(TcpListener, Arc<Secure>)>,
    peer: Option<TcpListener>,
}

struct Listeners {
    doors: Doors,
    admin: Option<TcpListener>,
}

#[expect(
    clippy::cognitive_complexity,
    reason = "what the log's macros hide counts"
)]
async fn serve(
    config: Config,
    again: Again,
    (mut inherited, supervisor): (Inherited, Arc<Supervisor>),
) -> Result<(), StartError> {
    let (_handle, shutdown) = Shutdown::on_signals()
        .map_err(|error| StartError::Runtime(format!("cannot handle signals: {error}")))?;
    raise_descriptor_limit();
    let terms = Arc::new(Terms::new(config.listen.send_timeout));
    let listeners = bind(&config, &terms, (&mut inherited, &supervisor)).await?;
    supervisor.forget(&inherited.close());
    let bounds = Bounds {
        connections: config.listen.connections_max,
        per_client: config.listen.connections_per_client,
        exempt: config.listen.exempt.clone(),
        header: config.listen.header_timeout,
        terms,
        idle: config.listen.idle_timeout,
        drain: DRAIN,
        finish: config.listen.drain_finish,
        secure: None,
        http2: config.listen.http2,
        plain: config.listen.plain,
    };
    let block_file = config.listen.block_file.clone();
    let grace = config.listen.drain_grace;
    let (ctx, registry, rng) = context(config, &supervisor)?;
    // Serving goes on for a while after the first signal, so that others learn of it.
    let asked = shutdown.clone();
    let shutdown = after_grace(shutdown, Arc::clone(&ctx), grace);
    tokio::spawn(change::places(Arc::clone(&ctx), asked));
    if let Some(listener) = listeners.admin {
        let window = Arc::new(Window(Arc::clone(&ctx)));
        tokio::spawn(admin::serve(listener, registry, window, shutdown.clone()));
    }
    tokio::spawn(Arc::clone(&ctx.client).prune());
    if let Some(file) = &block_file {
        let rules = ctx.blocked.load(file);
        let rules = rules.map_err(|error| StartError::Runtime(format!("block.file {error}")))?;
        tracing::info!(rules, "the block list was read");
    }
    let held = listeners.doors.https.as_ref();
    let watched = Watched {
        block: block_file,
        certificates: held.map(|(_, secure)| Arc::clone(secure.held())),
    };
    let watch = reload::watch(Arc::clone(&ctx), watched, again, Arc::clone(&supervisor));
    tokio::spawn(watch);
    talk_to_index(&ctx, rng, &shutdown);
    tracing::info!(zone = %ctx.zone, node = ctx.identity.name(), "serving");
    let access = ctx.access.clone();
    // Spawned like the connections, with which they take turns.
    let mut serving = JoinSet::new();
    for doorway in doorways(listeners.doors, bounds) {
        serving.spawn(listen::serve(Arc::clone(&ctx), doorway, shutdown.clone()));
    }
    supervisor.ready();
    tokio::spawn(change::live(
        Arc::clone(&ctx),
        Arc::clone(&supervisor),
        shutdown.clone(),
    ));
    // Others may be in the middle of a page of ours; each listener has a deadline of its own.
    while serving.join_next().await.is_some() {}
    if let Some(access) = access {
        access.close();
    }
    if let Some(store) = &ctx.store {
        // Blocks, and nothing else is left that it could keep from its work.
        store.stop(STORE_STOP);
    }
    tracing::info!("stopped");
    Ok(())
}

/// The doors. Who comes to one for clients counts at all of them.
fn doorways(doors: Doors, bounds: Bounds) -> Vec<Doorway> {
    let crowd = Crowd::new(&bounds);
    let mut doorways = Vec::new();
    if let Some(listener) = doors.peer {
        let bounds = Bounds {
            connections: PEER_CONNECTIONS_MAX,
            per_client: PEER_CONNECTIONS_MAX,
            http2: None,
            plain: false,
            ..bounds.clone()
        };
        doorways.push(Doorway {
            listener,
            door: Door::Peer,
            crowd: Crowd::new(&bounds),
            bounds,
        });
    }
    if let Some((listener, secure)) = doors.https {
        doorways.push(Doorway {
            listener,
            door: Door::Client,
            crowd: crowd.clone(),
            bounds: Bounds {
                secure: Some(secure),
                ..bounds.clone()
            },
        });
    }
    doorways.push(Doorway {
        listener: doors.http,
        door: Door::Client,
        crowd,
        bounds,
    });
    doorways
}

/// What is told to the index for as long as the process runs.
fn talk_to_index(ctx: &Arc<Context>, mut rng: Generator, shutdown: &Shutdown) {
    if ctx.index.is_some() {
        let (told, mut relieved) = (Arc::clone(ctx), shutdown.clone());
        let again = index::tell_again(Arc::clone(ctx), rng.child());
        tokio::spawn(async move {
            let telling = async {
                tokio::join!(
                    index::keep_pointers(Arc::clone(&told)),
                    hints::keep_telling(Arc::clone(&told)),
                    again,
                )
            };
            tokio::select! {
                _ = telling => {}
                // What is said from here on is the other process's to say.
                () = relieved.relieved() => {}
            }
        });
        tokio::spawn(index::keep_registered(
            Arc::clone(ctx),
            rng,
            shutdown.clone(),
        ));
    }
}

/// The sockets that were handed over, and whoever keeps copies.
type Sockets<'a> = (&'a mut Inherited, &'a Supervisor);

/// A listener that was handed over, or a new one; a copy of it is kept.
fn door(
    key: &str,
    addr: SocketAddr,
    terms: &Terms,
    (inherited, supervisor): (&mut Inherited, &Supervisor),
) -> Result<TcpListener, StartError> {
    let opened = match inherited.tcp(addr) {
        Some(listener) => listen::take(listener, terms),
        None => listen::bind(addr, terms),
    };
    let kept = opened.and_then(|listener| {
        supervisor.keep(key, &listener)?;
        Ok(listener)
    });
    kept.map_err(|error| bind_error(key, addr, &error))
}

async fn bind(
    config: &Config,
    terms: &Terms,
    (inherited, supervisor): Sockets<'_>,
) -> Result<Listeners, StartError> {
    let http = door(
        "http.listen",
        config.listen.http,
        terms,
        (inherited, supervisor),
    )?;
    let https = config.listen.https.as_ref();
    let https = https
        .map(|https| secure(https, terms, (inherited, supervisor)))
        .transpose()?;
    let peer = match &config.index {
        Some(index) => {
            let addr = index.peer_listen;
            Some(door("peer.listen", addr, terms, (inherited, supervisor))?)
        }
        None => None,
    };
    let admin = match config.listen.admin {
        Some(addr) => {
            let bound = admin::open(addr, inherited, supervisor).await;
            Some(bound.map_err(|error| bind_error("admin.listen", addr, &error))?)
        }
        None => None,
    };
    let doors = Doors { http, https, peer };
    Ok(Listeners { doors, admin })
}

fn secure(
    https: &Https,
    terms: &Terms,
    sockets: Sockets<'_>,
) -> Result<(TcpListener, Arc<Secure>), StartError> {
    let secure = Secure::new(https.certificates.clone(), https.terms);
    let secure =
        secure.map_err(|error| StartError::Runtime(format!("https.certificates: {error}")))?;
    let bound = door("https.listen", https.listen, terms, sockets)?;
    Ok((bound, Arc::new(secure)))
}

pub(super) fn context(
    config: Config,
    supervisor: &Supervisor,
) -> Result<(Arc<Context>, Arc<Registry>, Generator), StartError> {
    let mut rng = Generator::from_system()
        .map_err(|error| StartError::Runtime(format!("no entropy from the system: {error}")))?;
    // Pages that are on disk are older than this process.
    let clock = SystemClock::with_past(PAST);
    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    let access = config.access.clone();
    let access = access.map(|access| open(access, &metrics)).transpose()?;
    let extra = match &config.origin.ca_file {
        Some(path) => Some(std::fs::read(path).map_err(|error| {
            StartError::Runtime(format!("origin.ca_file {}: {error}", path.display()))
        })?),
        None => None,
    };
    let tls = tls(extra.as_deref())
        .map_err(|error| StartError::Runtime(format!("origin.ca_file: {error}")))?;
    let resolver = Resolver::new(&config.origin.resolvers);
    let timeout = config.origin.connect_timeout;
    let blocked = Blocked::default();
    let rules = (config.policy.clone(), blocked.clone());
    let connector = Connector::new(resolver, rules, tls, timeout);
    let patience = Patience {
        header: config.origin.header_timeout,
        body: config.origin.body_timeout,
    };
    let spill = spill(&config)?;
    let ctx = Context::new(Parts {
        store: store(&config, &spill, clock, &mut registry),
        spill,
        room: Arc::new(Room::new(
            config
                .store
                .budget
                .memory
                .saturating_add(beginnings::budget(config.store.budget).memory)
                .saturating_add(config.store.under_way),
        )),
        extents: Extents::new(config.slices),
        index: config.index.as_ref().map(link).transpose()?,
        client: Client::new(connector, clock, patience),
        blocked,
        purge: desk(&config)?,
        access,
        shares: Shares::new(config.share.clone()),
        traces: Traces::new(&mut rng.child()),
        flow: Flow::new(config.store.budget, config.fresh, rng.child()),
        zone: config.zone,
        identity: config.identity,
        policy: config.policy,
        interim: config.listen.interim,
        clock,
        connections_max: config.listen.connections_max,
        metrics,
        rng: rng.child(),
    });
    let watched = Arc::clone(&ctx);
    registry.register_collector(Box::new(MetricTable::new(move || gauges(&watched))));
    if let Some(store) = &ctx.store {
        ctx.flow().note_again();
        open_store(&ctx, store, rng.child(), supervisor)?;
    } else {
        supervisor.prepared();
    }
    Ok((ctx, Arc::new(registry), rng))
}

/// What outlives the process, if the operator named a place for it.
fn store(
    config: &Config,
    spill: &SpillRule,
    clock: SystemClock,
    registry: &mut Registry,
) -> Option<Arc<DiskStore>> {
    let dir = config.store.dir.as_deref()?;
    let (at, space) = ((dir, config.store.budget.disk), Arc::clone(&spill.space));
    Some(DiskStore::new(
        at,
        Box::new(Machine),
        space,
        clock,
        registry,
    ))
}

/// Reads what is on disk. A disk that fails is tried again later; another process is not.
fn open_store(
    ctx: &Arc<Context>,
    store: &Arc<DiskStore>,
    rng: Generator,
    supervisor: &Supervisor,
) -> Result<(), StartError> {
    let recovered = match change::taken_over(store, supervisor) {
        Ok(mut recovered) => {
            let mut shelf = std::mem::take(&mut recovered.shelf);
            shelf.switch(true);
            *ctx.flow().shelf() = shelf;
            ctx.flow().recall(recovered.recalled.clone());
            Some(recovered)
        }
        Err(OpenError::Io(error)) => {
            tracing::warn!(%error, "the disk store cannot be opened");
            None
        }
        Err(error @ OpenError::InUse { .. }) => {
            return Err(StartError::Runtime(format!("store.dir {error}")));
        }
    };
    let of: Weak<Context> = Arc::downgrade(ctx);
    store
        .start(of, recovered, rng)
        .map_err(|error| StartError::Runtime(format!("no thread for the disk store: {error}")))
}

fn open(access: Access, metrics: &Metrics) -> Result<Arc<AccessLog>, StartError> {
    let Access { form, file } = access;
    let name = file.as_ref().map(|file| file.display().to_string());
    AccessLog::start(form, file, metrics.access_dropped()).map_err(|error| {
        let name = name.unwrap_or_default();
        StartError::Runtime(format!("log.access_file {name}: {error}"))
    })
}

fn desk(config: &Config) -> Result<Desk, StartError> {
    let desk = Desk::new(config.listen.purge_tokens.clone());
    desk.load()
        .map_err(|error| StartError::Runtime(format!("purge.tokens_file {error}")))?;
    Ok(desk)
}

fn link(index: &Index) -> Result<IndexLink, StartError> {
    let secret =
        secret::load(&index.secret_file).map_err(|error| StartError::Runtime(error.to_string()))?;
    let mut client = dht::client::Client::new(index.socket.clone());
    let mut old_network = None;
    if let Some(old) = &index.old {
        client = client.beside(old.socket.clone());
        let secret = secret::load(&old.secret_file)
            .map_err(|error| StartError::Runtime(error.to_string()))?;
        old_network = Some(secret.network(old.generation.unwrap_or(GENERATION)));
    }
    let network = secret.network(GENERATION);
    Ok(IndexLink::new(
        client,
        (network, old_network),
        index.peer_advertise,
        index.advertise,
        index.hints.map(Hints::new),
    ))
}

fn spill(config: &Config) -> Result<SpillRule, StartError> {
    let dir: PathBuf = config.store.dir.clone().unwrap_or_else(std::env::temp_dir);
    std::fs::create_dir_all(&dir)
        .map_err(|error| StartError::Runtime(format!("store.dir {}: {error}", dir.display())))?;
    let disk = config.store.budget.disk;
    let broken = beginnings::budget(config.store.budget).disk;
    // What the disk store keeps it counts itself.
    let limit = if config.store.dir.is_some() {
        disk / 2
    } else {
        disk.saturating_add(disk / 100 * UNDER_WAY_PERCENT)
    };
    let limit = limit.saturating_add(broken);
    Ok(SpillRule {
        space: Arc::new(SpillSpace::new(dir, limit)),
        over: config.store.spill_over,
    })
}
