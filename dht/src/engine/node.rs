//! The façade: one node of the index.
//!
//! Owns the rooms and only dispatches between them: `serve` answers others' requests, `exchange`
//! sends this node's and takes the replies, `desk` takes commands, `work` runs walks, `upkeep` does what
//! timers ask, `levels` moves between clusters, `relay` goes around broken links, `view` shows. Rooms never call each other; what one says to another passes here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use common::ids::NodeId;
use common::limits::LEVELS_MAX;
use common::rng::Generator;
use common::trace::Context;
use common::wire::header::{self, Header};
use common::wire::secret::Network;

use super::admit::{DropReason, Limits, ReplayFilter};
use super::cluster::Membership;
use super::command::{Command, Ticket};
use super::config::Config;
use super::exchange::Purpose;
use super::hand::Hands;
use super::health::{Health, SelfTest};
use super::keep::Keep;
use super::liveness::Peers;
use super::message::{self, Message, Service};
use super::near::Search;
use super::output::{Event, Output};
use super::routing::{Entry, Table};
use super::rpc::Calls;
use super::rtt::Rtt;
use super::stats::Stats;
use super::store::{Spill, Store};
use super::timers::Timer;
use super::token::Tokens;
use super::upkeep::Schedule;
use super::work::{Running, TaskId};

/// A timer fired this late means that this node was starved, not that others are dead.
const LATE: Duration = Duration::from_millis(100);

/// What a request gets as grace when this node was late itself.
const GRACE: Duration = Duration::from_millis(200);

/// Outputs that room is kept for.
const OUTPUTS_USUAL: usize = 8;

/// Codes of replies have this bit.
const REPLY_BIT: u8 = 0x80;

/// One node of the index. See the module above for the loop its caller runs.
pub struct Node {
    pub(super) config: Config,
    pub(super) network: Arc<Network>,
    pub(super) own: Entry,
    pub(super) boot: u64,
    pub(super) born: Moment,
    pub(super) rng: Generator,
    pub(super) peers: Peers,
    pub(super) table: Table,
    pub(super) size: u32,
    pub(super) memberships: Vec<Membership>,
    pub(super) relays: usize,
    /// Round trips of nodes of the world when they were measured for the first time.
    pub(super) usual: Rtt,
    pub(super) scout: Moment,
    /// When a node of the cluster around may be probed by one that is alone inside.
    pub(super) scout_around: Moment,
    pub(super) store: Store,
    pub(super) spill: Spill,
    pub(super) tokens: Tokens,
    pub(super) replays: ReplayFilter,
    pub(super) limits: Limits,
    pub(super) calls: Calls<Purpose>,
    pub(super) probes: BTreeSet<NodeId>,
    /// Boxed, as a map makes room for eleven at once and mostly there is none.
    pub(super) tasks: BTreeMap<TaskId, Box<Running>>,
    pub(super) deadlines: BTreeSet<(Moment, TaskId)>,
    pub(super) next_task: u64,
    pub(super) near: BTreeMap<Ticket, Search>,
    pub(super) traced: BTreeMap<Ticket, Context>,
    pub(super) walked: Option<Moment>,
    pub(super) keep: Keep,
    pub(super) hands: Hands,
    pub(super) test: SelfTest,
    pub(super) health: Health,
    pub(super) services: Vec<Service>,
    pub(super) seen_elsewhere: Option<SocketAddr>,
    pub(super) schedule: Schedule,
    pub(super) stats: Stats,
    outputs: VecDeque<Output>,
    wake: Option<(Moment, Timer)>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("own", &self.own)
            .field("contacts", &self.table.len())
            .field("calls", &self.calls.len())
            .field("tasks", &self.tasks.len())
            .finish_non_exhaustive()
    }
}

impl Node {
    /// A node that others reach at `addr`, in `network`. Its id follows from the address.
    /// Everything random about it comes from `rng`.
    #[must_use]
    pub fn new(
        config: Config,
        network: Arc<Network>,
        addr: SocketAddr,
        mut rng: Generator,
        now: Moment,
    ) -> Self {
        let id = NodeId::of(addr);
        let tokens = Tokens::new(rng.child(), now);
        let limits = Limits::new(config.admit, rng.bytes(), now);
        let boot = rng.u64();
        let place = (id, config.contacts.bucket);
        let thresholds = config.levels.thresholds.iter().take(LEVELS_MAX - 1);
        let memberships = thresholds
            .map(|threshold| Membership::new(*threshold, place, &mut rng, now))
            .collect();
        Self {
            network,
            own: Entry { id, addr },
            boot,
            born: now,
            rng,
            peers: Peers::new(config.contacts.peers),
            table: Table::new(id, config.contacts.bucket),
            size: 1,
            memberships,
            relays: 0,
            usual: Rtt::UNMEASURED,
            scout: now,
            scout_around: now,
            store: Store::new(config.store),
            spill: Spill::new(
                config.store.beta,
                config.store.leak_every,
                config.store.rates,
            )
            .limited(
                config.admit.key_gets_per_second,
                config.admit.key_puts_per_second,
            ),
            tokens,
            replays: ReplayFilter::new(config.admit.replays, now),
            limits,
            calls: Calls::new(),
            probes: BTreeSet::new(),
            tasks: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            next_task: 0,
            near: BTreeMap::new(),
            traced: BTreeMap::new(),
            walked: None,
            keep: Keep::new(config.contacts.kept),
            hands: Hands::default(),
            test: SelfTest::new(config.contacts.self_test_every),
            health: Health::Alone,
            services: Vec::new(),
            seen_elsewhere: None,
            schedule: Schedule::new(now),
            stats: Stats::default(),
            outputs: VecDeque::new(),
            wake: None,
            config,
        }
    }

    /// A datagram arrived from `from`. Anything that is not a well-formed message of a member of
    /// the network is counted and has no other effect.
    pub fn handle_datagram(&mut self, now: Moment, from: SocketAddr, datagram: &[u8]) {
        self.stats.bytes_received += datagram.len() as u64;
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let handled = match self.admit(now, from, datagram) {
            Ok((header, Message::Request(request))) => {
                self.serve(now, from, &header, &request, datagram.len())
            }
            Ok((header, Message::Reply(reply))) => self.replied(now, from, &header, reply),
            Err(reason) => Err(reason),
        };
        if let Err(reason) = handled {
            self.stats.dropped.count(reason);
        }
    }

    /// A local client wants something.
    pub fn handle_command(&mut self, now: Moment, command: Command) {
        self.command(now, command);
    }

    /// A wished-for moment has come. Harmless at any other time.
    pub fn handle_timeout(&mut self, now: Moment) {
        if self.wake.is_some_and(|(at, _)| now.since(at) > LATE) {
            let forgiven = self.calls.forgive(now, GRACE);
            self.stats.forgiven += forgiven;
            if forgiven > 0 {
                self.event(Event::Late(forgiven));
            }
        }
        self.wake = None;
        self.handle_due_calls(now);
        self.handle_due_tasks(now);
        self.handle_due_searches(now);
        self.handle_schedule(now);
    }

    /// The next effect; `None` when there are no more for now. The last one is a
    /// [`Output::Wake`] whenever the moment to be woken at has changed.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        if self.outputs.capacity() > OUTPUTS_USUAL {
            // What a burst needed is given back.
            self.outputs = VecDeque::new();
        }
        let wake = self.next_wake();
        if wake == self.wake {
            return None;
        }
        self.wake = wake;
        wake.map(|(at, timer)| Output::Wake(at, timer))
    }

    /// The checks of the gate, in their order; see `admit`.
    fn admit(
        &mut self,
        now: Moment,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<(Header, Message), DropReason> {
        let opened = header::open(&self.network, datagram).map_err(DropReason::Header);
        let (header, body) = opened?;
        let sender = self.peers.at(header.sender);
        // The address of a remembered node is the one that its id follows from.
        let known = sender.is_some_and(|peer| peer.addr() == from);
        if !known && header.sender != NodeId::of(from) || header.sender == self.own.id {
            return Err(DropReason::Sender);
        }
        if header
            .receiver
            .is_some_and(|receiver| receiver != self.own.id)
        {
            return Err(DropReason::Receiver);
        }
        if header.kind & REPLY_BIT != 0 {
            // Asked for, so neither replayed nor too much: a transaction is answered once.
            if !self.calls.expects(header.tx, from) {
                return Err(DropReason::UnknownTransaction);
            }
        } else {
            if !self.replays.is_new(now, header.sender, header.tx) {
                return Err(DropReason::Replay);
            }
            let proven = sender.is_some_and(|peer| peer.heard.is_some());
            if !self.limits.admits(now, from, proven) {
                return Err(DropReason::RateLimited);
            }
        }
        let message = message::decode(header.kind, body).map_err(|_| DropReason::Body)?;
        Ok((header, message))
    }

    fn next_wake(&self) -> Option<(Moment, Timer)> {
        let schedule = &self.schedule;
        let timers = [
            (self.calls.next_due(), Timer::Rpc),
            (self.deadlines.first().map(|(at, _)| *at), Timer::Deadline),
            (self.next_search(), Timer::Deadline),
            (schedule.ping, Timer::Ping),
            (Some(schedule.join), Timer::Join),
            (schedule.refresh, Timer::Refresh),
            (self.test.next_due(), Timer::SelfTest),
            (schedule.announce, Timer::Announce),
            (self.next_look(), Timer::Look),
            (self.keep.next_due(), Timer::Heal),
            (self.keep.next_check(), Timer::Check),
            (self.hands.next_due(), Timer::Hand),
            (
                self.store
                    .next_end()
                    .map(|at| at + super::upkeep::EXPIRE_GRAIN),
                Timer::Expire,
            ),
        ];
        timers
            .into_iter()
            .filter_map(|(at, timer)| Some((at?, timer)))
            .min()
    }

    pub(super) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn event(&mut self, event: Event) {
        self.output(Output::Event(event));
    }
}
