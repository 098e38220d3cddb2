//! The start and the end of the daemon.
//!
//! Everything is bound before anything is served, so that a daemon that cannot do its work says so
//! and exits. At the end nothing new is taken and what was begun is answered.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::clock::{Clock as _, SystemClock};
use common::name::Zone;
use common::rng::Generator;
use common::shell::cli::{StartError, bind_error};
use common::shell::inherited::Inherited;
use common::shell::signals::{Phase, Shutdown, ShutdownHandle};
use common::shell::supervisor::Supervisor;
use common::shell::{admin, log};
use dht::client::Client;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::admin::View;
use super::answering::{Answering, Tally, Told};
use super::change::{self, Gate, GateKeeper, Pulse};
use super::check_metrics;
use super::config::{Config, Watching};
use super::cookie_secret;
use super::fetch;
use super::geography::Geography;
use super::learning::{LISTS_MAX, Learning, Learnt};
use super::places::Places;
use super::prober::Prober;
use super::published::Published;
use super::query_log::QueryLog;
use super::reload::{Again, Reloading, Reloads};
use super::sockets::{self, Pair};
use super::traffic::Traffic;
use super::watch::Watcher;
use super::worker::Worker;
use super::zone_pages::ZonePages;
use crate::engine::checker::Checker;
use crate::engine::config::{CheckConfig, NearConfig};
use crate::engine::cookie::Secrets;
use crate::engine::named::Named;
use crate::engine::near::Network;
use crate::engine::near::learner::Learner;
use crate::engine::snapshot::Snapshot;
use crate::engine::watch::Watch;
use crate::engine::zone::Zones;

/// For tasks to end after they were told to.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// A daemon whose sockets are bound.
#[derive(Debug)]
pub struct Bound {
    config: Config,
    sockets: Vec<Vec<Pair>>,
    admin: Option<TcpListener>,
    again: Option<(Again, Signal)>,
    supervisor: Arc<Supervisor>,
}

/// Runs the daemon until a signal ends it. On SIGHUP it takes over what it can of `again`.
///
/// # Errors
/// It cannot start; the text says what to do.
pub fn run(config: Config, again: Again) -> Result<(), StartError> {
    log::init(config.log_format, &config.log_filter);
    // Before there are other threads.
    let (mut inherited, supervisor) = (Inherited::from_env(), Supervisor::from_env());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Runtime(format!("cannot start threads: {error}")))?;
    runtime.block_on(async {
        let signals = Shutdown::on_signals();
        let (handle, shutdown) = signals
            .map_err(|error| StartError::Runtime(format!("cannot handle signals: {error}")))?;
        let bound = Bound::open(config, &mut inherited, supervisor).await?;
        let bound = bound.reloading(again)?;
        bound.serve(&handle, shutdown).await
    })
}

impl Bound {
    /// Binds every socket.
    ///
    /// # Errors
    /// One of the addresses is taken or not ours.
    pub async fn new(config: Config) -> Result<Self, StartError> {
        Self::open(config, &mut Inherited::default(), Supervisor::none()).await
    }

    /// The same, with sockets that were handed over.
    ///
    /// # Errors
    /// One of the other addresses is taken or not ours.
    pub async fn open(
        config: Config,
        inherited: &mut Inherited,
        supervisor: Supervisor,
    ) -> Result<Self, StartError> {
        let mut sockets = Vec::with_capacity(config.listen.len());
        for addr in &config.listen {
            let bound = sockets::take(*addr, config.threads, inherited);
            let kept = bound.and_then(|pairs| {
                for pair in &pairs {
                    supervisor.keep("dns.listen.udp", &pair.udp)?;
                    supervisor.keep("dns.listen.tcp", &pair.tcp)?;
                }
                Ok(pairs)
            });
            sockets.push(kept.map_err(|error| bind_error("dns.listen", *addr, &error))?);
        }
        let admin = match config.admin {
            Some(addr) => {
                let bound = admin::open(addr, inherited, &supervisor).await;
                Some(bound.map_err(|error| bind_error("admin.listen", addr, &error))?)
            }
            None => None,
        };
        supervisor.forget(&inherited.close());
        Ok(Self {
            config,
            sockets,
            admin,
            again: None,
            supervisor: Arc::new(supervisor),
        })
    }

    /// The same, and on SIGHUP it takes over what it can of `again`.
    ///
    /// # Errors
    /// The process cannot handle that signal.
    pub fn reloading(mut self, again: Again) -> Result<Self, StartError> {
        let hangup = signal(SignalKind::hangup())
            .map_err(|error| StartError::Runtime(format!("cannot handle SIGHUP: {error}")))?;
        self.again = Some((again, hangup));
        Ok(self)
    }

    /// Where questions are answered.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let firsts = self.sockets.iter().filter_map(|pairs| pairs.first());
        firsts
            .filter_map(|pair| pair.udp.local_addr().ok())
            .collect()
    }

    /// Where the admin pages are.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref()?.local_addr().ok()
    }

    /// Serves until `shutdown` says to drain, then ends within a few seconds.
    ///
    /// # Errors
    /// The system has no entropy to start with.
    #[expect(
        clippy::cognitive_complexity,
        reason = "what the log's macros hide counts"
    )]
    pub async fn serve(
        self,
        handle: &ShutdownHandle,
        mut shutdown: Shutdown,
    ) -> Result<(), StartError> {
        let addresses = self.addresses();
        let node = self.config.node.clone();
        let zones = zone_names(&self.config.zones);
        tracing::info!(?addresses, ?zones, node, "answering");
        let mut tasks = self.start(&shutdown)?;
        shutdown.draining().await;
        let ended = async { while tasks.join_next().await.is_some() {} };
        tokio::select! {
            () = ended => {}
            () = tokio::time::sleep(DRAIN_MAX) => tracing::warn!("some tasks did not end in time"),
            () = shutdown.abandoned() => {}
        }
        // The admin listener shows the drain to its end.
        handle.advance(Phase::Abandoned);
        tracing::info!("ended");
        Ok(())
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one list of what is started, in its order"
    )]
    fn start(self, shutdown: &Shutdown) -> Result<JoinSet<()>, StartError> {
        let Self {
            config,
            sockets,
            admin,
            again,
            supervisor,
        } = self;
        let (keeper, gate) = change::gate(!supervisor.has_predecessor());
        let mut pulses = Vec::new();
        let clock = SystemClock::new();
        let mut rng = Generator::from_system()
            .map_err(|error| StartError::Runtime(format!("no entropy: {error}")))?;
        let first = config.zones.first().grammar().clone();
        let published = Arc::new(Published::new(Snapshot::new(config.zones, config.answer)));
        let mut tasks = JoinSet::new();
        let zones = Arc::clone(&published.current().zones);
        let watch = start_watch(&mut tasks, &zones, config.watch, &mut rng, clock, shutdown);
        let traffic = Arc::new(Traffic::default());
        let tally = Tally::new(config.threads);
        let log = query_log(config.query_log, &traffic, &mut tasks)?;
        let mut named = Vec::new();
        let secrets = secrets(config.cookie_secret.as_deref(), &mut rng)?;
        let manners = Arc::new(config.manners.with_secrets(secrets));
        let places = Places::new(config.tcp_connections, config.tcp_per_prefix);
        let client = config.index.map(|socket| {
            let client = Client::new(socket);
            match config.old_index {
                Some(old) => client.beside(old),
                None => client,
            }
        });
        // Without an index and a map there is nobody to ask.
        let learns = client.is_some() || config.near.map.is_some();
        let (teller, seen) = learns.then(|| mpsc::channel(LISTS_MAX)).unzip();
        let geography = Arc::new(Geography::new(config.near.map));
        let workers = by_thread(sockets, config.threads).into_iter();
        for (sockets, counted) in workers.zip(tally.places()) {
            let worker = Worker {
                sockets,
                traffic: Arc::clone(&traffic),
                places: places.clone(),
                tcp_idle: config.tcp_idle,
                gate: gate.clone(),
                pulse: Pulse::default(),
            };
            pulses.push(worker.pulse.clone());
            let told = Told {
                counted,
                named: Arc::new(Mutex::new(Named::new(rng.child()))),
                log: log.clone(),
                learner: teller.clone(),
            };
            named.push(Arc::clone(&told.named));
            let (published, manners) = (Arc::clone(&published), Arc::clone(&manners));
            let (rng, bounds) = (rng.child(), config.signatures);
            let answering = move || Answering::new(published, manners, bounds, rng, told, clock);
            let ended = worker.start(answering, shutdown.clone());
            tasks.spawn(until_ended(ended)?);
        }
        let zones = keep_zones(&mut tasks, (&published, &geography), watch, again, shutdown);
        let (indexed, now) = (client.is_some(), clock.moment());
        let checker = Checker::new(config.check.clone(), indexed, rng.child(), now);
        let view = View {
            detection: check_metrics::detection(),
            named: named.into(),
            checker: Arc::new(Mutex::new(checker)),
            near: learnt(config.near.learner, published, rng),
            tally,
            traffic,
            zones,
            node: config.node,
            clock,
        };
        Background {
            config: config.check,
            zone: first,
            client,
            geography,
            seen,
        }
        .start(&mut tasks, &view, shutdown);
        begin(
            (keeper, gate),
            (supervisor, pulses),
            (admin, view),
            shutdown,
        );
        Ok(tasks)
    }
}

/// Begins to answer, as soon as that is this process's to do, and to show itself.
fn begin(
    (keeper, gate): (GateKeeper, Gate),
    (supervisor, pulses): (Arc<Supervisor>, Vec<Pulse>),
    (admin, view): (Option<TcpListener>, View),
    shutdown: &Shutdown,
) {
    let checker = Arc::clone(&view.checker);
    let ready = move || {
        let checker = checker.lock().unwrap_or_else(PoisonError::into_inner);
        checker.readiness().is_ok()
    };
    // Neither has anything to finish.
    tokio::spawn(change::take_over(keeper, Arc::clone(&supervisor), ready));
    tokio::spawn(change::live(supervisor, pulses, shutdown.clone()));
    serve_pages(admin, view, gate, shutdown);
}

/// Takes the zones over anew when told to, and shows them.
fn keep_zones(
    tasks: &mut JoinSet<()>,
    (published, geography): (&Arc<Published>, &Arc<Geography>),
    watch: Option<Arc<Mutex<Watch>>>,
    again: Option<(Again, Signal)>,
    shutdown: &Shutdown,
) -> ZonePages {
    let reloads = Reloads::default();
    if let Some((again, hangup)) = again {
        let reloading = Reloading {
            again,
            published: Arc::clone(published),
            geography: Arc::clone(geography),
            watch: watch.clone(),
            reloads: reloads.clone(),
        };
        tasks.spawn(reloading.run(hangup, shutdown.clone()));
    }
    ZonePages {
        published: Arc::clone(published),
        reloads,
        watch,
    }
}

/// What is learnt of clients, before anything is.
fn learnt(config: NearConfig, published: Arc<Published>, rng: Generator) -> Learnt {
    Learnt {
        learner: Arc::new(Mutex::new(Learner::new(config))),
        published,
        rng: Arc::new(Mutex::new(rng)),
    }
}

/// What goes on beside answering.
struct Background {
    config: CheckConfig,
    zone: Zone,
    client: Option<Client>,
    geography: Arc<Geography>,
    seen: Option<mpsc::Receiver<Vec<Network>>>,
}

impl Background {
    /// Starts it, on what `view` shows.
    fn start(self, tasks: &mut JoinSet<()>, view: &View, shutdown: &Shutdown) {
        if let Some(seen) = self.seen {
            let learning = Learning {
                learner: Arc::clone(&view.near.learner),
                checker: Arc::clone(&view.checker),
                published: Arc::clone(&view.near.published),
                client: self.client.clone(),
                geography: self.geography,
                clock: view.clock,
            };
            tasks.spawn(learning.run(seen, shutdown.clone()));
        }
        let prober = Prober {
            detection: view.detection.clone(),
            checker: Arc::clone(&view.checker),
            published: Arc::clone(&view.near.published),
            config: self.config,
            request: fetch::request(&self.zone).into(),
            client: self.client,
            clock: view.clock,
        };
        tasks.spawn(prober.run(shutdown.clone()));
    }
}

/// Starts the delegation watch, if there is somebody to ask.
fn start_watch(
    tasks: &mut JoinSet<()>,
    zones: &Arc<Zones>,
    config: Watching,
    rng: &mut Generator,
    clock: SystemClock,
    shutdown: &Shutdown,
) -> Option<Arc<Mutex<Watch>>> {
    if !config.engine.is_on() {
        return None;
    }
    let watch = Watch::new(
        config.engine,
        Arc::clone(zones),
        rng.child(),
        clock.moment(),
    );
    let watch = Arc::new(Mutex::new(watch));
    let watcher = Watcher {
        watch: Arc::clone(&watch),
        timeout: config.timeout,
        clock,
    };
    tasks.spawn(watcher.run(rng.child(), shutdown.clone()));
    Some(watch)
}

fn zone_names(zones: &Zones) -> Vec<String> {
    zones
        .iter()
        .map(|zone| zone.grammar().to_string())
        .collect()
}

/// The sockets of each thread: one pair of every address, or several if there are more than threads.
fn by_thread(addresses: Vec<Vec<Pair>>, threads: usize) -> Vec<Vec<Pair>> {
    let mut all: Vec<Vec<Pair>> = (0..threads).map(|_| Vec::new()).collect();
    for pairs in addresses {
        for (number, pair) in pairs.into_iter().enumerate() {
            if let Some(thread) = all.get_mut(number % threads.max(1)) {
                thread.push(pair);
            }
        }
    }
    all
}

/// The secret of cookies: the configured one, or one of this process's own.
fn secrets(file: Option<&Path>, rng: &mut Generator) -> Result<Secrets, StartError> {
    match file {
        None => Ok(Secrets::Rolling(rng.bytes())),
        Some(path) => cookie_secret::load(path)
            .map_err(|error| StartError::Runtime(format!("dns.cookie_secret_file: {error}"))),
    }
}

/// Serves the admin pages, if they are to be served. They show the drain to its end, so that nobody
/// waits for them.
fn serve_pages(listener: Option<TcpListener>, view: View, gate: Gate, shutdown: &Shutdown) {
    if let Some(listener) = listener {
        let registry = Arc::new(view.registry());
        let pages = admin::serve(listener, registry, Arc::new(view), shutdown.clone());
        tokio::spawn(async move {
            gate.opened().await;
            pages.await;
        });
    }
}

/// The end of a thread that was started.
fn until_ended(
    started: std::io::Result<oneshot::Receiver<()>>,
) -> Result<impl Future<Output = ()>, StartError> {
    let failed = |error| StartError::Runtime(format!("cannot start a thread: {error}"));
    let end = started.map_err(failed)?;
    Ok(async move { drop(end.await) })
}

/// The query log, if there is to be one. Its last lines are waited for with the other tasks.
fn query_log(
    file: Option<PathBuf>,
    traffic: &Traffic,
    tasks: &mut JoinSet<()>,
) -> Result<Option<QueryLog>, StartError> {
    let Some(file) = file else {
        return Ok(None);
    };
    let shown = file.display().to_string();
    let started = QueryLog::start(file, Arc::clone(&traffic.unlogged));
    let failed = |error| StartError::Runtime(format!("log.queries_file {shown}: {error}"));
    let (log, end) = started.map_err(failed)?;
    tasks.spawn(until_ended(Ok(end))?);
    Ok(Some(log))
}
