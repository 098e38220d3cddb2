//! The parts that the proxy is made of, out of its configuration. What can fail because of that fails here.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use common::clock::SystemClock;
use common::rng::Generator;
use common::shell::cli::StartError;
use common::shell::secret;
use common::shell::supervisor::Supervisor;
use common::telemetry::MetricTable;
use common::wire::GENERATION;
use prometheus_client::registry::Registry;

use crate::engine::beginnings;
use crate::engine::config::{Access, Config, Index};
use crate::engine::flow::Flow;
use crate::shell::access::AccessLog;
use crate::shell::body::SpillRule;
use crate::shell::change;
use crate::shell::connect::{Connector, tls};
use crate::shell::context::{Context, Parts};
use crate::shell::hints::Hints;
use crate::shell::index::IndexLink;
use crate::shell::inspect::gauges;
use crate::shell::metrics::Metrics;
use crate::shell::purge::Desk;
use crate::shell::reload::Blocked;
use crate::shell::resolve::Resolver;
use crate::shell::room::Room;
use crate::shell::share::Shares;
use crate::shell::slices::Extents;
use crate::shell::spill::SpillSpace;
use crate::shell::store::DiskStore;
use crate::shell::store::disk::Machine;
use crate::shell::store::recover::OpenError;
use crate::shell::traces::Traces;
use crate::shell::upstream::{Client, Patience};

/// How far back moments reach: as far as an Age can say (RFC 9111 §1.2.2).
const PAST: Duration = Duration::from_secs(1 << 31);

/// What the spill room exceeds the disk budget by where nothing outlives the process: bodies under
/// way beside those kept, in percent.
const UNDER_WAY_PERCENT: u64 = 25;

pub(in crate::shell) fn context(
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
        traces: Traces::new(
            &mut rng.child(),
            (config.export, config.identity.name()),
            clock,
        ),
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
        if let Some(socket) = &old.socket {
            client = client.beside(socket.clone());
        }
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
