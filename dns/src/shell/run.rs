//! The start and the end of the daemon.
//!
//! Everything is bound before anything is served, so that a daemon that cannot do its work says so
//! and exits. At the end nothing new is taken and what was begun is answered.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::clock::{Clock as _, SystemClock};
use common::rng::Generator;
use common::shell::cli::{StartError, bind_error};
use common::shell::signals::{Phase, Shutdown, ShutdownHandle};
use common::shell::{admin, log};
use dht::client::Client;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::admin::View;
use super::config::Config;
use super::handler::{Handler, Traffic};
use super::prober::Prober;
use super::published::Published;
use super::tcp::{self, Tcp};
use super::udp;
use crate::engine::checker::Checker;
use crate::engine::server::Server;
use crate::engine::snapshot::Snapshot;
use crate::engine::zone::Zones;

/// For tasks to end after they were told to.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Attempts to find one free port for both transports when any port will do.
const ANY_PORT_ATTEMPTS: usize = 16;

/// A daemon whose sockets are bound.
#[derive(Debug)]
pub struct Bound {
    config: Config,
    sockets: Vec<(UdpSocket, TcpListener)>,
    admin: Option<TcpListener>,
}

/// Runs the daemon until a signal ends it.
///
/// # Errors
/// It cannot start; the text says what to do.
pub fn run(config: Config) -> Result<(), StartError> {
    log::init(config.log_format, &config.log_filter);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Runtime(format!("cannot start threads: {error}")))?;
    runtime.block_on(async {
        let signals = Shutdown::on_signals();
        let (handle, shutdown) = signals
            .map_err(|error| StartError::Runtime(format!("cannot handle signals: {error}")))?;
        let bound = Bound::new(config).await?;
        bound.serve(&handle, shutdown).await
    })
}

impl Bound {
    /// Binds every socket.
    ///
    /// # Errors
    /// One of the addresses is taken or not ours.
    pub async fn new(config: Config) -> Result<Self, StartError> {
        let mut sockets = Vec::with_capacity(config.listen.len());
        for addr in &config.listen {
            sockets.push(bind_both(*addr).await?);
        }
        let admin = match config.admin {
            Some(addr) => {
                let bound = admin::bind(addr).await;
                Some(bound.map_err(|error| bind_error("admin.listen", addr, &error))?)
            }
            None => None,
        };
        Ok(Self {
            config,
            sockets,
            admin,
        })
    }

    /// Where questions are answered.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let local = |(udp, _): &(UdpSocket, TcpListener)| udp.local_addr().ok();
        self.sockets.iter().filter_map(local).collect()
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

    fn start(self, shutdown: &Shutdown) -> Result<JoinSet<()>, StartError> {
        let Self {
            config,
            sockets,
            admin,
        } = self;
        let clock = SystemClock::new();
        let mut rng = Generator::from_system()
            .map_err(|error| StartError::Runtime(format!("no entropy: {error}")))?;
        let zones = config.zones;
        let (names, first) = (zone_names(&zones), zones.first().grammar().clone());
        let published = Arc::new(Published::new(Snapshot::new(zones, config.answer)));
        let server =
            Server::new(published.current(), rng.child()).with_signatures(config.signatures);
        let server = Arc::new(Mutex::new(server));
        let now = clock.moment();
        let checker = Checker::new(config.check.clone(), config.index.is_some(), rng, now);
        let checker = Arc::new(Mutex::new(checker));
        let traffic = Arc::new(Traffic::default());
        let view = View {
            checker: Arc::clone(&checker),
            server: Arc::clone(&server),
            traffic: Arc::clone(&traffic),
            zones: names,
            node: config.node,
            clock,
        };
        let handler = Handler::new(
            Arc::clone(&server),
            Arc::clone(&published),
            Arc::clone(&traffic),
            clock,
            config.udp_inflight,
        );
        let tcp = Tcp {
            handler: handler.clone(),
            traffic,
            places: Arc::new(Semaphore::new(config.tcp_connections)),
            idle: config.tcp_idle,
        };
        let prober = Prober {
            checker,
            published,
            config: config.check,
            zone: first,
            client: config.index.map(Client::new),
            clock,
        };
        let mut tasks = JoinSet::new();
        let (udp, listeners): (Vec<_>, Vec<_>) = sockets.into_iter().unzip();
        tasks.spawn(udp::serve(udp, handler, shutdown.clone()));
        for listener in listeners {
            tasks.spawn(tcp::serve(listener, tcp.clone(), shutdown.clone()));
        }
        tasks.spawn(prober.run(shutdown.clone()));
        if let Some(listener) = admin {
            let registry = Arc::new(view.registry());
            let pages = admin::serve(listener, registry, Arc::new(view), shutdown.clone());
            tokio::spawn(pages);
        }
        Ok(tasks)
    }
}

fn zone_names(zones: &Zones) -> Vec<String> {
    zones
        .iter()
        .map(|zone| zone.grammar().to_string())
        .collect()
}

/// Binds `addr` for both transports. If any port will do, both get the same.
async fn bind_both(addr: SocketAddr) -> Result<(UdpSocket, TcpListener), StartError> {
    let fail = |error: std::io::Error| bind_error("dns.listen", addr, &error);
    let mut attempts = if addr.port() == 0 {
        ANY_PORT_ATTEMPTS
    } else {
        1
    };
    loop {
        attempts -= 1;
        let socket = udp::bind(addr).map_err(fail)?;
        let same = socket.local_addr().map_err(fail)?;
        match TcpListener::bind(same).await {
            Ok(listener) => return Ok((socket, listener)),
            Err(_) if attempts > 0 => {}
            Err(error) => return Err(fail(error)),
        }
    }
}
