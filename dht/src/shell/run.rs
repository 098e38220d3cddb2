//! The loop. Each turn has the same order and a budget:
//!
//! 1. do what the engine wants done;
//! 2. wait until something happens;
//! 3. read datagrams, at most so many, so that answers already here count before any timer;
//! 4. take commands, at most so many;
//! 5. let the engine's timers fire.

use std::collections::BTreeMap;
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
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::address::advertised;
use super::capture::Captures;
use super::local::Local;
use super::retiring::{self, Retiring};
use super::routes::{Engine, Order};
use super::settings::DaemonConfig;
use super::state::{About, Shared};
use super::traces::Traces;
use super::udp::Udp;
use super::{metrics, peers, values};
use crate::engine::capture::Way;
use crate::engine::{self, Answer, Command, Event, Index, Output, Ticket};
use crate::refusal::Refusal;

/// Datagrams read and commands taken per turn. At about 10 microseconds each a turn stays under a
/// few milliseconds.
const BUDGET: usize = 128;

/// Commands queued for the engine; more are refused as busy.
const ORDERS_MAX: usize = 1_024;

/// Time between two writings of the remembered peers.
const PEERS_EVERY: Duration = Duration::from_secs(30);

/// For a predecessor to end: it finishes what is under way for at most [`FINISH`] and writes a file.
const PREDECESSOR_ENDS: Duration = Duration::from_secs(20);

/// For answers under way when the daemon is to end: nobody waits longer for the index.
const FINISH: Duration = Duration::from_millis(1_500);

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
    state_dir: Option<PathBuf>,
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
        let traces = Traces::new(&mut rng);
        let clock = SystemClock::new();
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
        let shared = Arc::new(Shared::new(node, clock, (about, retiring), seen));
        Ok(Self {
            udp,
            local,
            admin,
            state_dir: config.state_dir,
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
        let turns = Turns {
            udp: self.udp,
            orders: taken,
            shared: self.shared,
            state_dir: self.state_dir,
            supervisor: self.supervisor,
            waiting: BTreeMap::new(),
            next_ticket: 0,
            wake: Moment::ZERO,
        };
        if let Some((retiring, beside)) = retiring.zip(self.retire_beside) {
            tokio::spawn(retiring::look(Arc::clone(&shared), retiring, beside));
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

/// The loop's own state.
struct Turns {
    udp: Udp,
    orders: mpsc::Receiver<Order>,
    shared: Arc<Shared>,
    state_dir: Option<PathBuf>,
    supervisor: Arc<Supervisor>,
    waiting: BTreeMap<Ticket, mpsc::Sender<Answer>>,
    next_ticket: u64,
    wake: Moment,
}

impl Turns {
    async fn run(mut self, mut shutdown: Shutdown) {
        let clock = self.shared.clock();
        let mut remember = interval(PEERS_EVERY);
        remember.set_missed_tick_behavior(MissedTickBehavior::Delay);
        remember.reset();
        let mut alive = interval(self.supervisor.every().unwrap_or(PEERS_EVERY));
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = interval(retiring::LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // When to end, once it has been said.
        let mut until = None;
        self.supervisor.ready();
        loop {
            self.drain();
            let over = |until: Moment| clock.moment() >= until || self.is_idle();
            if until.is_some_and(over) {
                break;
            }
            let wake = until.map_or(self.wake, |until| self.wake.min(until));
            let wake = clock.instant(wake).into();
            let mut first = None;
            tokio::select! {
                () = shutdown.draining(), if until.is_none() => {
                    until = Some(clock.moment() + FINISH);
                }
                _ = looks.tick(), if until.is_none() => if self.has_had_its_day() {
                    until = Some(clock.moment() + FINISH);
                },
                // The turn that says so is one that does the work.
                _ = alive.tick(), if until.is_none() => self.supervisor.sign(),
                order = self.orders.recv() => first = order,
                _ = self.udp.readable() => {}
                () = sleep_until(wake) => {}
                _ = remember.tick() => self.remember(),
            }
            self.read_datagrams(&clock);
            self.take_orders(&clock, first);
            let now = clock.moment();
            if now >= self.wake {
                self.shared.node().handle_timeout(now);
            }
        }
        if shutdown.phase() > Phase::Running && !shutdown.is_relieved() {
            self.supervisor.stopping();
        }
        self.end(clock.moment());
    }

    /// Tells those who still wait, and writes down what the process that comes next can use.
    fn end(&mut self, now: Moment) {
        for (_, answers) in std::mem::take(&mut self.waiting) {
            drop(answers.try_send(Answer::Refused(Refusal::ShuttingDown)));
        }
        self.remember();
        self.keep_values(now);
        tracing::info!("the index is down");
    }

    /// Whether this is the index of an old network that hardly anybody asks any more.
    fn has_had_its_day(&self) -> bool {
        let Some(retiring) = self.shared.retiring() else {
            return false;
        };
        let why = retiring.observe(self.shared.clock().moment(), self.shared.asked());
        if let Some(why) = why {
            tracing::warn!(
                why = why.as_str(),
                "this network has had its day: the index leaves it"
            );
        }
        why.is_some()
    }

    /// Whether no local client waits for anything.
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.orders.is_empty()
    }

    /// Writes down what others stored here, for the process that comes next.
    fn keep_values(&self, now: Moment) {
        let Some(dir) = &self.state_dir else { return };
        let held = self.shared.node().held(now);
        if let Err(error) = values::save(dir, &held) {
            tracing::warn!(dir = %dir.display(), %error, "values not kept");
        }
    }

    fn read_datagrams(&mut self, clock: &SystemClock) {
        let mut node = self.shared.node();
        let mut read = 0;
        let mut more = true;
        while more && read < BUDGET {
            // What is read at once arrived at once.
            let now = clock.moment();
            more = self.udp.receive(|from, bytes| {
                read += 1;
                if self.shared.captures.is_on() {
                    let way = (Way::In, from);
                    self.shared.captures.offer(*clock, way, bytes);
                }
                node.handle_datagram(now, from, bytes);
            });
        }
    }

    fn take_orders(&mut self, clock: &SystemClock, first: Option<Order>) {
        let mut next = first;
        for _ in 0..BUDGET {
            let Some(order) = next.take().or_else(|| self.orders.try_recv().ok()) else {
                return;
            };
            let ticket = Ticket(self.next_ticket);
            self.next_ticket += 1;
            self.waiting.insert(ticket, order.answers);
            let now = clock.moment();
            let command = Command {
                ticket,
                deadline: now + order.allowed,
                wish: order.wish,
            };
            let mut node = self.shared.node();
            if let Some(trace) = order.trace {
                node.trace(ticket, trace);
            }
            node.handle_command(now, command);
        }
    }

    /// Does what the engine wants done.
    fn drain(&mut self) {
        let mut node = self.shared.node();
        while let Some(output) = node.poll_output() {
            match output {
                Output::Transmit { to, bytes } => {
                    let captures = &self.shared.captures;
                    if captures.is_on() {
                        captures.offer(self.shared.clock(), (Way::Out, to), &bytes);
                    }
                    self.udp.send(to, bytes);
                }
                Output::Answer { ticket, answer } => answer_to(&mut self.waiting, ticket, answer),
                Output::Event(event) => {
                    if !self.shared.traces.took(&event, self.shared.clock()) {
                        tell(event);
                    }
                }
                Output::Wake(at, timer) => {
                    tracing::trace!(timer = timer.as_str(), "to be woken");
                    self.wake = at;
                }
            }
        }
        self.udp.flush();
    }

    fn remember(&self) {
        let Some(dir) = self.state_dir.clone() else {
            return;
        };
        let known = self.shared.node().known_peers();
        // A node alone keeps what it remembers: the others may come back.
        if known.is_empty() {
            return;
        }
        if let Err(error) = peers::save(&dir, known) {
            tracing::warn!(dir = %dir.display(), %error, "peers not remembered");
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

fn answer_to(waiting: &mut BTreeMap<Ticket, mpsc::Sender<Answer>>, ticket: Ticket, answer: Answer) {
    let last = answer.is_final();
    if let Some(client) = waiting.get(&ticket) {
        // A client that has gone, or that reads too slowly to be served, is its own affair.
        drop(client.try_send(answer));
    }
    if last {
        waiting.remove(&ticket);
    }
}

#[expect(
    clippy::cognitive_complexity,
    reason = "what the log's macros hide counts"
)]
fn tell(event: Event) {
    match event {
        Event::Joined(through) => tracing::info!(%through, "joined the network"),
        Event::ContactAdded(id, addr) => tracing::debug!(?id, %addr, "contact added"),
        Event::ContactFailed(id, addr) => tracing::info!(?id, %addr, "contact failed"),
        Event::ContactRestarted(id, addr) => tracing::info!(?id, %addr, "contact restarted"),
        Event::Alone => tracing::warn!("no contact is left"),
        Event::SeenElsewhere(seen) => {
            tracing::warn!(%seen, "others see this node elsewhere: is udp.advertise right?");
        }
        Event::Healed(key, copies) => tracing::debug!(?key, copies, "value put again"),
        Event::HealthChanged(health) => tracing::info!(health = health.as_str(), "health"),
        Event::ClusterChanged {
            level,
            cluster,
            size,
            why,
        } => {
            let why = why.as_str();
            tracing::info!(level, ?cluster, size, why, "in another cluster");
        }
        // They are in the ring.
        Event::Hop(_) | Event::Answered(_) => {}
        Event::Late(forgiven) => tracing::debug!(forgiven, "this node was late itself"),
    }
}
