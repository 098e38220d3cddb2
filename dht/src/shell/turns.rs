//! The loop. Each turn has the same order and a budget:
//!
//! 1. do what the engine wants done;
//! 2. wait until something happens;
//! 3. read datagrams, at most so many, so that answers already here count before any timer;
//! 4. take commands, at most so many;
//! 5. let the engine's timers fire.
//!
//! Where its sockets come from is [`run`](super::run())'s.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use common::shell::signals::{Phase, Shutdown};
use common::shell::supervisor::Supervisor;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::orders::Order;
use super::retiring;
use super::state::Shared;
use super::udp::Udp;
use crate::engine::capture::Way;
use crate::engine::{Answer, Command, Event, Output, Ticket};
use crate::refusal::Refusal;

/// Datagrams read and commands taken per turn. At about 10 microseconds each a turn stays under a
/// few milliseconds.
const BUDGET: usize = 128;

/// Time between two writings of the remembered peers.
const PEERS_EVERY: Duration = Duration::from_secs(30);

/// For answers under way when the daemon is to end: nobody waits longer for the index.
const FINISH: Duration = Duration::from_millis(1_500);

/// The loop's own state.
pub(super) struct Turns {
    udp: Udp,
    orders: mpsc::Receiver<Order>,
    shared: Arc<Shared>,
    supervisor: Arc<Supervisor>,
    waiting: BTreeMap<Ticket, mpsc::Sender<Answer>>,
    next_ticket: u64,
    wake: Moment,
    /// Peers that are being written down.
    remembering: Option<JoinHandle<()>>,
}

impl Turns {
    pub(super) fn new(
        (udp, orders): (Udp, mpsc::Receiver<Order>),
        shared: Arc<Shared>,
        supervisor: Arc<Supervisor>,
    ) -> Self {
        Self {
            udp,
            orders,
            shared,
            supervisor,
            waiting: BTreeMap::new(),
            next_ticket: 0,
            wake: Moment::ZERO,
            remembering: None,
        }
    }

    /// Turns until the daemon is to end, or is of no more use.
    pub(super) async fn run(mut self, mut shutdown: Shutdown) {
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
                _ = remember.tick() => self.remember_aside(),
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
        if self.shared.disk.is_there() {
            let held = self.shared.node().held(now);
            self.shared.disk.keep(&held, now);
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

    /// Peers to remember. A node alone keeps what it remembers: the others may come back.
    fn to_remember(&self) -> Option<Vec<SocketAddr>> {
        if !self.shared.disk.is_there() {
            return None;
        }
        let known = self.shared.node().known_peers();
        (!known.is_empty()).then_some(known)
    }

    /// At the end. What is still being written is as good.
    fn remember(&self) {
        if self.is_remembering() {
            return;
        }
        if let Some(known) = self.to_remember() {
            let now = self.shared.clock().moment();
            self.shared.disk.remember(known, now);
        }
    }

    fn is_remembering(&self) -> bool {
        let before = self.remembering.as_ref();
        before.is_some_and(|before| !before.is_finished())
    }

    /// The same while others are answered: a disk may take seconds. One that takes longer than until the next
    /// time is waited for by nobody.
    fn remember_aside(&mut self) {
        if self.is_remembering() {
            return;
        }
        let known = self.to_remember();
        self.remembering = known.map(|known| {
            let shared = Arc::clone(&self.shared);
            spawn_blocking(move || shared.disk.remember(known, shared.clock().moment()))
        });
    }
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
