//! The one lock around the fair shares, and those who wait for a slot.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::clock::Moment;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::engine::http::key::PrimaryKey;
use crate::engine::reason::FailReason;
use crate::engine::share::slots::{NoTurn, Ticket, Turn};
use crate::engine::share::{Denied, Share, ShareConfig, site};

/// See the module.
#[derive(Debug)]
pub(crate) struct Shares {
    inner: Mutex<Inner>,
    /// Whether bytes are counted at all.
    counts: AtomicBool,
}

#[derive(Debug)]
struct Inner {
    share: Share,
    /// Whom to call when a ticket's turn has come; as many as may wait.
    waiting: HashMap<Ticket, oneshot::Sender<()>>,
}

/// A fetch's slot; given up with it.
#[derive(Debug)]
pub(crate) struct Slot {
    shares: Arc<Shares>,
    site: Box<str>,
    /// False for one that was never got.
    held: bool,
}

/// Whose bytes those of an answer are.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) shares: Arc<Shares>,
    pub(crate) site: Box<str>,
}

impl Shares {
    pub(crate) fn new(config: ShareConfig) -> Arc<Self> {
        let mut share = Share::new(config);
        let counts = AtomicBool::new(share.bytes().is_bounded());
        Arc::new(Self {
            inner: Mutex::new(Inner {
                share,
                waiting: HashMap::new(),
            }),
            counts,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A question to the engine.
    pub(crate) fn look<T>(&self, question: impl FnOnce(&mut Share) -> T) -> T {
        question(&mut self.lock().share)
    }

    /// Other bounds from now on.
    pub(crate) fn reset(&self, config: ShareConfig) {
        let mut inner = self.lock();
        inner.share.reset(config);
        let counts = inner.share.bytes().is_bounded();
        self.counts.store(counts, Ordering::Relaxed);
    }

    /// A request of `client`, for a page of `host` if it is one.
    pub(crate) fn ask(
        &self,
        now: Moment,
        client: IpAddr,
        host: Option<&str>,
    ) -> Result<(), Denied> {
        self.look(|share| share.ask(now, client, host))
    }

    /// Where the bytes of answers for `key` are to be counted, if they are.
    pub(crate) fn account(self: &Arc<Self>, key: &PrimaryKey) -> Option<Account> {
        let counts = self.counts.load(Ordering::Relaxed);
        counts.then(|| Account {
            shares: Arc::clone(self),
            site: site::of(key.host()).into(),
        })
    }

    /// A slot for a fetch from the origin of `key`, now or within the time allowed.
    pub(crate) async fn slot(self: &Arc<Self>, key: &PrimaryKey) -> Result<Slot, FailReason> {
        let site = site::of(key.host());
        let (ticket, called, within) = {
            let mut inner = self.lock();
            match inner.share.slots().ask(site) {
                Turn::Now => return Ok(self.taken(site)),
                Turn::Refused(why) => return Err(reason(why)),
                Turn::Wait(ticket) => {
                    let (call, called) = oneshot::channel();
                    inner.waiting.insert(ticket, call);
                    (ticket, called, inner.share.slot_within())
                }
            }
        };
        // Dropped at any time, it gives back what it has by then: a place in the queue, or a slot.
        let place = Place {
            slot: Some(self.taken(site)),
            ticket,
        };
        let _ = timeout(within, called).await;
        place.settle()
    }

    fn taken(self: &Arc<Self>, site: &str) -> Slot {
        Slot {
            shares: Arc::clone(self),
            site: site.into(),
            held: true,
        }
    }
}

const fn reason(why: NoTurn) -> FailReason {
    match why {
        NoTurn::Site => FailReason::SiteBusy,
        NoTurn::Node => FailReason::NodeBusy,
    }
}

/// A place in the queue, with the slot that it may have become.
struct Place {
    slot: Option<Slot>,
    ticket: Ticket,
}

impl Place {
    /// The slot, if the ticket has been called.
    fn settle(mut self) -> Result<Slot, FailReason> {
        let why = self.leave();
        match (why, self.slot.take()) {
            (None, Some(slot)) => Ok(slot),
            (why, _) => Err(reason(why.unwrap_or(NoTurn::Node))),
        }
    }

    /// Leaves the queue. Why there was no turn, if there was none; then there is no slot either.
    fn leave(&mut self) -> Option<NoTurn> {
        let slot = self.slot.as_ref()?;
        let mut inner = slot.shares.lock();
        inner.waiting.remove(&self.ticket);
        if !inner.share.slots().left(self.ticket) {
            return None;
        }
        let why = inner.share.slots().refusal();
        drop(inner);
        if let Some(mut slot) = self.slot.take() {
            slot.held = false;
        }
        Some(why)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.held {
            return;
        }
        let mut inner = self.shares.lock();
        if let Some(ticket) = inner.share.slots().done(&self.site)
            && let Some(call) = inner.waiting.remove(&ticket)
        {
            // Whoever has stopped listening finds out when leaving, and gives the slot back.
            let _ = call.send(());
        }
    }
}

impl Account {
    /// `bytes` of an answer went out; `whole` is its length, at its end.
    pub(crate) fn sent(&self, now: Moment, bytes: u64, whole: Option<u64>) {
        self.shares
            .look(|share| share.bytes().sent(now, &self.site, bytes, whole));
    }
}
