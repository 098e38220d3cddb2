//! How the daemon starts, with sockets of its own or its predecessor's, and how it ends. What it does in between is
//! [`turns`](super::turns)'s.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use common::rng::Generator;
use common::shell::cli::{StartError, bind_error};
use common::shell::inherited::Inherited;
use common::shell::signals::{Phase, Shutdown};
use common::shell::supervisor::Supervisor;
use common::shell::{admin, log, secret};
use common::telemetry::MetricTable;
use common::wire::GENERATION;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::address::advertised;
use super::capture::Captures;
use super::disk::Disk;
use super::local::Local;
use super::orders::Engine;
use super::retiring::{self, Retiring};
use super::settings::DaemonConfig;
use super::state::{About, Shared};
use super::traces::Traces;
use super::turns::Turns;
use super::udp::Udp;
use super::{metrics, peers, values};
use crate::engine::{self, Index};

/// Commands queued for the engine; more are refused as busy.
const ORDERS_MAX: usize = 1_024;

/// For a predecessor to end: it finishes what is under way for a second or two and writes a file.
const PREDECESSOR_ENDS: Duration = Duration::from_secs(20);

/// For a node in its predecessor's place to find others before local clients are heard, at most.
const JOIN_MAX: Duration = Duration::from_secs(1);

/// Between two looks whether it has.
const JOIN_LOOK: Duration = Duration::from_millis(5);

/// Runs the daemon until a signal ends it.
///
/// # Errors
/// It could not start; the text says why and what to do.
pub fn run(config: DaemonConfig) -> Result<(), StartError> {
    log::init(config.log_format, &config.log_level);
    // Before there are other threads.
    let (mut inherited, supervisor) = (Inherited::from_env(), Supervisor::from_env());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| StartError::Runtime(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        let signals = Shutdown::on_signals();
        let (handle, shutdown) =
            signals.map_err(|error| StartError::Runtime(format!("no signals: {error}")))?;
        let mut asked = shutdown.clone();
        tokio::spawn(async move {
            // One process alone can read what comes: who is asked for that is relieved.
            asked.asked_for_what_is_one(0).await;
            handle.relieve();
        });
        let daemon = Daemon::open(config, &mut inherited, supervisor).await?;
        Box::pin(daemon.run(shutdown)).await;
        Ok(())
    })
}

/// A daemon whose sockets are bound and which has not said a word yet.
#[derive(Debug)]
pub struct Daemon {
    udp: Udp,
    local: Option<Local>,
    admin: Option<TcpListener>,
    retire_beside: Option<PathBuf>,
    /// Whether local clients wait until others were found.
    joins: bool,
    shared: Arc<Shared>,
    supervisor: Arc<Supervisor>,
}

impl Daemon {
    /// Reads the secret and the remembered peers and binds every socket.
    ///
    /// # Errors
    /// The first of these that fails; the text says what to do.
    pub async fn bind(config: DaemonConfig) -> Result<Self, StartError> {
        Self::open(config, &mut Inherited::default(), Supervisor::none()).await
    }

    /// The same with sockets that were handed over. Where a predecessor serves this waits for its end: what
    /// comes meanwhile waits in the sockets.
    ///
    /// # Errors
    /// As [`bind`](Self::bind), or the predecessor does not end.
    pub async fn open(
        mut config: DaemonConfig,
        inherited: &mut Inherited,
        supervisor: Supervisor,
    ) -> Result<Self, StartError> {
        let runtime = |error: &dyn std::fmt::Display| StartError::Runtime(error.to_string());
        let secret = secret::load(&config.secret_file).map_err(|error| runtime(&error))?;
        let network = Arc::new(secret.network(config.engine.kind.generation(GENERATION)));
        let listen = config.udp_listen;
        let udp = open_udp(listen, (inherited, &supervisor))
            .map_err(|error| bind_error("udp.listen", listen, &error))?;
        let bound = udp
            .addr()
            .map_err(|error| bind_error("udp.listen", listen, &error))?;
        let admin = match config.admin_listen {
            Some(addr) => {
                let bound = admin::open(addr, inherited, &supervisor).await;
                Some(bound.map_err(|error| bind_error("admin.listen", addr, &error))?)
            }
            None => None,
        };
        let local = match &config.local_socket {
            Some(path) => Some(Local::bind(path, (inherited, &supervisor)).await?),
            None => None,
        };
        let addr = match config.udp_advertise {
            Some(addr) => addr,
            None => advertised(bound, &config.engine.seeds)?,
        };
        supervisor.forget(&inherited.close());
        alone(&supervisor).await?;
        if let Some(dir) = &config.state_dir {
            config.engine.remembered = peers::load(dir);
        }
        let mut rng = Generator::from_system().map_err(|error| runtime(&error))?;
        let clock = SystemClock::new();
        let traces = Traces::new(&mut rng, (config.export, &config.node_name), clock);
        let about = About {
            name: config.node_name,
            network: network.id().to_string(),
            socket: local
                .as_ref()
                .map_or_else(String::new, |local| local.path().display().to_string()),
        };
        let alone = config.engine.seeds.is_empty() && config.engine.remembered.is_empty();
        let joins = supervisor.has_predecessor() && !alone;
        let seen = (traces, Captures::new(Arc::clone(&network)));
        let mut node = engine::open(config.engine, network, addr, rng, clock.moment());
        if let Some(dir) = &config.state_dir {
            restore(&mut *node, dir, clock.moment());
        }
        tracing::info!(id = %node.id(), %addr, listen = %bound, "the index is up");
        let retiring = config.retire_beside.as_ref().map(|_| {
            let retiring = Retiring::new(config.retire, clock.moment());
            Arc::new(retiring)
        });
        let disk = Disk::at(config.state_dir);
        let shared = Arc::new(Shared::new((node, disk), clock, (about, retiring), seen));
        Ok(Self {
            udp,
            local,
            admin,
            retire_beside: config.retire_beside,
            joins,
            shared,
            supervisor: Arc::new(supervisor),
        })
    }

    /// The address other nodes reach this one at.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.shared.node().addr()
    }

    /// The address of the admin pages.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `shutdown` drains.
    pub async fn run(self, shutdown: Shutdown) {
        let (orders, taken) = mpsc::channel(ORDERS_MAX);
        let engine = Engine {
            trace: None,
            orders,
            shared: Arc::clone(&self.shared),
            shutdown: shutdown.clone(),
        };
        if let Some(listener) = self.admin {
            let shared = Arc::clone(&self.shared);
            let mut registry = Registry::default();
            let table = MetricTable::new(move || metrics::table(&shared));
            registry.register_collector(Box::new(table));
            let inspect = Arc::clone(&self.shared) as Arc<dyn admin::Inspect>;
            tokio::spawn(admin::serve(
                listener,
                Arc::new(registry),
                inspect,
                shutdown.clone(),
            ));
        }
        // Held even without a local socket: a queue without senders would end the loop's wait.
        let _engine = engine.clone();
        let joins = self.joins;
        let local = self
            .local
            .map(|local| tokio::spawn(serve(local, engine, shutdown.clone(), joins)));
        let (shared, supervisor) = (Arc::clone(&self.shared), Arc::clone(&self.supervisor));
        let retiring = shared.retiring().cloned();
        let turns = Turns::new((self.udp, taken), self.shared, self.supervisor);
        if let Some((retiring, beside)) = retiring.zip(self.retire_beside) {
            let known = Arc::clone(&shared);
            let here = move |service: &str| known.proxies(service);
            tokio::spawn(retiring::look(here, retiring, beside));
        }
        turns.run(shutdown.clone()).await;
        if shutdown.phase() == Phase::Running {
            // It has left the network; whoever looks is told so until it is removed.
            supervisor.live(shutdown, || true).await;
        }
        if let Some(local) = local {
            // It ends by itself, once the answers are out; a panic there is in the log already.
            drop(local.await);
        }
    }
}

/// The socket that was handed over, or a new one; a copy of it is kept.
fn open_udp(
    listen: SocketAddr,
    (inherited, supervisor): (&mut Inherited, &Supervisor),
) -> std::io::Result<Udp> {
    let udp = match inherited.udp(listen) {
        Some(socket) => Udp::of(socket)?,
        None => Udp::bind(listen)?,
    };
    supervisor.keep("udp.listen", udp.get())?;
    Ok(udp)
}

/// Waits until no other process of this node reads what comes.
async fn alone(supervisor: &Supervisor) -> Result<(), StartError> {
    supervisor.prepared();
    if supervisor.alone(PREDECESSOR_ENDS).await {
        return Ok(());
    }
    let text = "the index before this one does not end; end it, then start this one";
    Err(StartError::Runtime(text.to_owned()))
}

/// Takes what the process before this one wrote down.
fn restore(node: &mut dyn Index, dir: &Path, now: Moment) {
    let held = values::load(dir);
    let values = held.len();
    let restored = node.restore(now, held);
    if values > 0 {
        tracing::info!(
            values,
            restored,
            "what was stored here before is here again"
        );
    }
}

/// Serves local clients; in a predecessor's place once the node has found others, so that what is asked
/// is asked in the network.
async fn serve(local: Local, engine: Engine, shutdown: Shutdown, joins: bool) {
    let shared = Arc::clone(&engine.shared);
    let found = async {
        while joins && shared.node().known_peers().is_empty() {
            tokio::time::sleep(JOIN_LOOK).await;
        }
    };
    drop(tokio::time::timeout(JOIN_MAX, found).await);
    local.serve(engine, shutdown).await;
}
