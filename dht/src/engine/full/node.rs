//! The façade: one node of an index with full membership.
//!
//! Owns the rooms and only dispatches between them; see the module above for the map. The gate is
//! the sloppy node's: the same checks in the same order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use common::ids::NodeId;
use common::rng::Generator;
use common::wire::header::{self, Header};
use common::wire::secret::Network;

use super::exchange::Errand;
use super::gossip::News;
use super::hand::Hands;
use super::own::Owned;
use super::roster::Roster;
use super::spread::Syncing;
use super::task::{Task, TaskId};
use super::upkeep::Schedule;
use crate::engine::admit::{DropReason, Limits, ReplayFilter};
use crate::engine::command::Command;
use crate::engine::config::Config;
use crate::engine::health::{Health, SelfTest};
use crate::engine::liveness::Peers;
use crate::engine::message::{self, Message, Rumour, Service, Standing};
use crate::engine::output::{Event, Output};
use crate::engine::routing::Entry;
use crate::engine::rpc::Calls;
use crate::engine::stats::Stats;
use crate::engine::store::Store;
use crate::engine::timers::Timer;
use crate::engine::token::Tokens;

/// A timer fired this late means that this node was starved, not that others are dead.
const LATE: Duration = Duration::from_millis(100);

/// What a request gets as grace when this node was late itself.
const GRACE: Duration = Duration::from_millis(200);

/// Codes of replies have this bit.
const REPLY_BIT: u8 = 0x80;

/// One node of an index with full membership. The loop its caller runs is the same as
/// [`Node`](crate::engine::Node)'s.
pub struct Member {
    pub(super) config: Config,
    pub(super) network: Arc<Network>,
    pub(super) own: Entry,
    pub(super) incarnation: u32,
    pub(super) run: u32,
    pub(super) born: Moment,
    pub(super) rng: Generator,
    pub(super) roster: Roster,
    pub(super) news: News,
    pub(super) syncing: Option<Syncing>,
    pub(super) synced: bool,
    pub(super) peers: Peers,
    pub(super) inquiries: BTreeMap<NodeId, usize>,
    pub(super) relays: usize,
    pub(super) store: Store,
    pub(super) tokens: Tokens,
    pub(super) replays: ReplayFilter,
    pub(super) limits: Limits,
    pub(super) calls: Calls<Errand>,
    pub(super) tasks: BTreeMap<TaskId, Task>,
    pub(super) deadlines: BTreeSet<(Moment, TaskId)>,
    pub(super) next_task: u64,
    pub(super) held: Vec<Command>,
    pub(super) keep: Owned,
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

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("own", &self.own)
            .field("living", &self.roster.living())
            .field("calls", &self.calls.len())
            .field("tasks", &self.tasks.len())
            .finish_non_exhaustive()
    }
}

impl Member {
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
        Self {
            network,
            own: Entry { id, addr },
            incarnation: 0,
            run: u32::from_be_bytes(rng.bytes()),
            born: now,
            roster: Roster::new(config.full.members),
            news: News::new(rng.u64()),
            syncing: None,
            synced: false,
            peers: Peers::new(config.full.peers),
            inquiries: BTreeMap::new(),
            relays: 0,
            store: Store::new(config.store),
            tokens,
            replays: ReplayFilter::new(config.admit.replays, now),
            limits,
            calls: Calls::new(),
            tasks: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            next_task: 0,
            held: Vec::new(),
            keep: Owned::new(config.contacts.kept),
            hands: Hands::default(),
            test: SelfTest::new(config.contacts.self_test_every),
            health: Health::Alone,
            services: Vec::new(),
            seen_elsewhere: None,
            schedule: Schedule::new(now, &mut rng),
            stats: Stats::default(),
            outputs: VecDeque::new(),
            wake: None,
            rng,
            config,
        }
    }

    /// See [`Index::handle_datagram`](crate::engine::Index::handle_datagram).
    pub(super) fn receive(&mut self, now: Moment, from: SocketAddr, datagram: &[u8]) {
        self.stats.bytes_received += datagram.len() as u64;
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let handled = match self.admit(now, from, datagram) {
            Ok((header, Message::Request(request))) => {
                self.serve(now, from, &header, request, datagram.len())
            }
            Ok((header, Message::Reply(reply))) => self.replied(now, from, &header, reply),
            Err(reason) => Err(reason),
        };
        if let Err(reason) = handled {
            self.stats.dropped.count(reason);
        }
    }

    /// See [`Index::handle_timeout`](crate::engine::Index::handle_timeout).
    pub(super) fn wake_up(&mut self, now: Moment) {
        let late = self.wake.map_or(Duration::ZERO, |(at, _)| now.since(at));
        if late > LATE {
            // Whatever came meanwhile waits in the socket: nobody is to blame yet.
            self.roster.postpone(late + GRACE);
            let forgiven = self.calls.forgive(now, GRACE);
            self.stats.forgiven += forgiven;
            if forgiven > 0 {
                self.event(Event::Late(forgiven));
            }
        }
        self.wake = None;
        self.handle_due_calls(now);
        self.handle_due_tasks(now);
        self.handle_schedule(now);
    }

    /// See [`Index::poll_output`](crate::engine::Index::poll_output).
    pub(super) fn next_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
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
        if header.sender != NodeId::of(from) || header.sender == self.own.id {
            return Err(DropReason::Sender);
        }
        if header.receiver.is_some_and(|id| id != self.own.id) {
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
            let peer = self.peers.at(header.sender);
            let proven = peer.is_some_and(|peer| peer.heard.is_some());
            if !self.limits.admits(now, from, proven) {
                return Err(DropReason::RateLimited);
            }
        }
        let message = message::decode(header.kind, body).map_err(|_| DropReason::Body)?;
        Ok((header, message))
    }

    fn next_wake(&self) -> Option<(Moment, Timer)> {
        let schedule = &self.schedule;
        let sweep = self.store.next_end();
        let timers = [
            (self.calls.next_due(), Timer::Rpc),
            (self.deadlines.first().map(|(at, _)| *at), Timer::Deadline),
            (schedule.probe, Timer::Ping),
            (schedule.near, Timer::Refresh),
            (Some(schedule.join), Timer::Join),
            (schedule.sync, Timer::Sync),
            (self.roster.next_end(), Timer::Suspicion),
            (self.test.next_due(), Timer::SelfTest),
            (self.release_due(), Timer::Deadline),
            (self.keep.next_due(), Timer::Heal),
            (self.hands.due(), Timer::Hand),
            (
                sweep.map(|at| at + super::upkeep::EXPIRE_GRAIN),
                Timer::Expire,
            ),
        ];
        let armed = timers.into_iter();
        armed.filter_map(|(at, timer)| Some((at?, timer))).min()
    }

    /// What this node says of itself.
    pub(super) fn own_rumour(&self) -> Rumour {
        Rumour {
            addr: self.own.addr,
            incarnation: self.incarnation,
            run: self.run,
            standing: Standing::Alive,
            services: self.services.clone(),
        }
    }

    /// How long a suspect may object.
    pub(super) fn patience(&self) -> Duration {
        let digits = (self.roster.living() + 1).max(10).ilog2() * 3 / 10;
        let full = &self.config.full;
        full.probe_every * full.suspicion * digits.max(1)
    }

    pub(super) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn event(&mut self, event: Event) {
        self.output(Output::Event(event));
    }
}
