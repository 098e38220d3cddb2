//! What all tasks of the process share.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use common::name::Zone;
use common::rng::Generator;

use super::access::AccessLog;
use super::body::{SharedBody, SpillRule};
use super::fill::{Fill, Response};
use super::index::IndexLink;
use super::metrics::Metrics;
use super::purge::Desk;
use super::reload::Blocked;
use super::room::Room;
use super::share::Shares;
use super::slices::Extents;
use super::store::{DiskStore, HasShelf};
use super::traces::Traces;
use super::upstream::Client;
use crate::engine::flow::{FillId, Flow};
use crate::engine::http::hop::Identity;
use crate::engine::http::interim::Forwarding;
use crate::engine::http::key::PrimaryKey;
use crate::engine::policy::Policy;
use crate::engine::purge::book::Recalled;
use crate::engine::share;
use crate::engine::shelf::{NotShelved, Shelf, Ticket};
use crate::engine::store::Weight;

/// The engine with the shell's handles.
pub(crate) type SharedFlow = Flow<Arc<SharedBody>, Arc<Fill>>;

/// See the module.
pub(crate) struct Context {
    pub(crate) zone: Zone,
    pub(crate) identity: Identity,
    pub(crate) policy: Policy,
    /// Who gets interim responses.
    pub(crate) interim: Forwarding,
    pub(crate) clock: SystemClock,
    pub(crate) client: Arc<Client>,
    /// `None` for a proxy on its own.
    pub(crate) index: Option<IndexLink>,
    pub(crate) spill: SpillRule,
    /// `None` if nothing is to outlive the process.
    pub(crate) store: Option<Arc<DiskStore>>,
    /// Memory for bodies.
    pub(crate) room: Arc<Room>,
    /// What is known of the slices of large objects elsewhere.
    pub(crate) extents: Extents,
    pub(crate) metrics: Metrics,
    pub(crate) shares: Arc<Shares>,
    pub(crate) blocked: Blocked,
    /// Who may purge.
    pub(crate) purge: Desk,
    pub(crate) traces: Traces,
    /// `None` if it is off.
    pub(crate) access: Option<Arc<AccessLog>>,
    connections_max: usize,
    draining: AtomicBool,
    flow: Mutex<SharedFlow>,
    rng: Mutex<Generator>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("zone", &self.zone)
            .finish_non_exhaustive()
    }
}

/// The parts of a [`Context`] that are made elsewhere.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) zone: Zone,
    pub(crate) identity: Identity,
    pub(crate) policy: Policy,
    pub(crate) interim: Forwarding,
    pub(crate) clock: SystemClock,
    pub(crate) client: Arc<Client>,
    pub(crate) index: Option<IndexLink>,
    pub(crate) spill: SpillRule,
    pub(crate) store: Option<Arc<DiskStore>>,
    pub(crate) room: Arc<Room>,
    pub(crate) extents: Extents,
    pub(crate) metrics: Metrics,
    pub(crate) shares: Arc<Shares>,
    pub(crate) blocked: Blocked,
    pub(crate) purge: Desk,
    pub(crate) traces: Traces,
    pub(crate) access: Option<Arc<AccessLog>>,
    pub(crate) connections_max: usize,
    pub(crate) flow: SharedFlow,
    pub(crate) rng: Generator,
}

impl Context {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            zone: parts.zone,
            identity: parts.identity,
            policy: parts.policy,
            interim: parts.interim,
            clock: parts.clock,
            client: parts.client,
            index: parts.index,
            spill: parts.spill,
            store: parts.store,
            room: parts.room,
            extents: parts.extents,
            metrics: parts.metrics,
            shares: parts.shares,
            blocked: parts.blocked,
            purge: parts.purge,
            traces: parts.traces,
            access: parts.access,
            connections_max: parts.connections_max,
            draining: AtomicBool::new(false),
            flow: Mutex::new(parts.flow),
            rng: Mutex::new(parts.rng),
        })
    }

    /// The engine. Held for one question, never across an await.
    pub(crate) fn flow(&self) -> MutexGuard<'_, SharedFlow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a response written to disk, if it is to be.
    pub(crate) fn shelve(
        &self,
        object: &Arc<Response>,
        offered: Result<Ticket, NotShelved>,
        weight: Weight,
    ) {
        let Some(store) = &self.store else { return };
        match offered {
            Ok(ticket) if store.put(ticket, object, weight.memory) => {}
            Ok(ticket) => self.flow().shelf().not_written(ticket),
            Err(reason) => store.counters.not_written(reason),
        }
    }

    /// Sees to it that nobody joins the fill `id` of `key` any more, if nobody waits for it.
    pub(crate) fn ended_unwatched(&self, fill: &Fill, key: &PrimaryKey, id: FillId) -> bool {
        if !fill.is_unwatched() {
            return false;
        }
        // Seats are taken under the same lock, so that nobody joins what is being given up.
        let mut flow = self.flow();
        let unwatched = fill.is_unwatched();
        if unwatched {
            flow.ended(key, id);
        }
        unwatched
    }

    /// The monotonic clock.
    pub(crate) fn now(&self) -> Moment {
        self.clock.moment()
    }

    /// Asks that nobody be sent here any more, or takes it back. Whoever comes is served all the same.
    pub(crate) fn drain(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
    }

    /// Whether nobody should be sent here.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// How much more could be sent here, in percent of all; nothing makes this node full, and name
    /// servers then name others if there are any.
    pub(crate) fn spare(&self) -> u8 {
        let connections = usize::try_from(self.metrics.crowd().1).unwrap_or(0);
        let room = share::spare(connections, self.connections_max);
        room.min(self.shares.look(|share| share.bytes().spare()))
    }

    /// Whether somebody wants to know how far clients are.
    pub(crate) fn measures(&self) -> bool {
        let link = self.index.as_ref();
        link.is_some_and(|link| link.hints.is_some())
    }

    /// A client's connection is over, and the kernel had measured `rtt` on it.
    pub(crate) fn measured(&self, client: IpAddr, rtt: Duration) {
        if let Some(hints) = self.index.as_ref().and_then(|link| link.hints.as_ref()) {
            hints.measured(self.now(), client, rtt);
        }
    }

    /// Sixteen random bytes.
    pub(crate) fn nonce(&self) -> [u8; 16] {
        self.rng
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes()
    }
}

impl HasShelf for Context {
    fn with_shelf(&self, act: &mut dyn FnMut(&mut Shelf)) {
        act(self.flow().shelf());
    }

    fn recall(&self, recalled: Recalled) {
        self.flow().recall(recalled);
    }

    fn offer_again(&self) {
        let offered = self.flow().offer_again(self.now(), |body| body.weight());
        for one in offered {
            self.shelve(&one.object, one.ticket, one.weight);
        }
    }
}
