//! The disk store: files and the threads that wait for them. What is where, and what goes, is the
//! engine's shelf's; the format is in docs/design/store.md.
//!
//! One thread writes; readers run on the runtime's threads for blocking work, a bounded number. No
//! thread that serves clients touches the disk. What is to be written waits in a bounded queue, and
//! what does not fit stays in memory only. A disk that fails is left alone for a while and tried again.
//!
//! | file | owns |
//! |---|---|
//! | [`disk`] | paths, and the door to the file system |
//! | [`recover`] | lock and index at the start |
//! | [`writer`] | the thread that writes, reclaims and comes back |
//! | [`reader`] | what is read back, and for whom |
//! | [`counters`] | what operators see |

mod counters;
pub(crate) mod disk;
pub(crate) mod reader;
pub(crate) mod recover;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use common::rng::Generator;
use nix::time::{ClockId, clock_gettime};
use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, oneshot, watch};

pub(crate) use self::counters::Counters;
use self::disk::{Disk, Medium};
use self::recover::{OpenError, Recovered};
use self::writer::{DiskFault, Told};
use super::fill::Response;
use super::spill::{Spill, SpillSpace};
use crate::engine::http::key::PrimaryKey;
use crate::engine::purge::ORDERS_MAX;
use crate::engine::purge::book::{self, Recalled};
use crate::engine::purge::order::Order;
use crate::engine::shelf::elapsed::{NO_BOOT, Stamp};
use crate::engine::shelf::{NotShelved, PENDING_MAX, Shelf, Ticket};

/// Bytes of bodies in memory that wait to be written; more are not written.
const QUEUE_BYTES: u64 = 32 << 20;

/// Loads from disk at once; a request that finds so many under way goes on without the disk.
const LOADS_MAX: usize = 64;

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Job {
    /// Write this.
    Put(Write),
    /// Look at what else there is to do.
    Look,
    /// Write what there is, and end.
    Stop(SyncSender<()>),
    /// Write what there is, and leave the store to another process for a while.
    GiveUp(SyncSender<()>),
}

/// A response to be written.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) ticket: Ticket,
    pub(super) object: Arc<Response>,
    /// Bytes of the queue that it takes.
    pub(super) queued: u64,
}

/// Who has the index of what is on disk, behind a lock.
pub(crate) trait HasShelf: Send + Sync {
    /// Does `act` under the lock. It must not block.
    fn with_shelf(&self, act: &mut dyn FnMut(&mut Shelf));

    /// Offers what was asked for again since to the disk.
    fn offer_again(&self) {}

    /// Hears of orders to purge that an earlier process wrote down.
    fn recall(&self, _: Recalled) {}
}

/// Asks `of`'s shelf something under its lock.
pub(super) fn ask<R>(of: &dyn HasShelf, question: impl FnOnce(&mut Shelf) -> R) -> Option<R> {
    let (mut question, mut answer) = (Some(question), None);
    of.with_shelf(&mut |shelf| answer = question.take().map(|question| question(shelf)));
    answer
}

/// Files that are in use.
#[derive(Debug, Default)]
struct Files {
    segments: BTreeMap<u32, Arc<File>>,
    /// Large bodies that somebody has a handle to.
    larges: HashMap<u64, Weak<Spill>>,
}

/// How the disk is.
#[derive(Clone, Debug)]
pub(crate) struct Failing {
    /// Of which kind it is.
    pub(crate) what: DiskFault,
    /// What the system said.
    pub(crate) error: String,
    /// Since when.
    pub(crate) since: Moment,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct DiskStore {
    disk: Disk,
    budget: u64,
    clock: SystemClock,
    boot: [u8; 16],
    space: Arc<SpillSpace>,
    jobs: SyncSender<Job>,
    inbox: Mutex<Option<Receiver<Job>>>,
    queued: AtomicU64,
    /// Orders that are to be written down.
    told: Mutex<Vec<Told>>,
    files: Mutex<Files>,
    loads: Mutex<HashMap<PrimaryKey, watch::Receiver<Option<reader::Loaded>>>>,
    readers: Arc<Semaphore>,
    /// Records read that were as they were written, and those that were not, of late.
    whole: AtomicU64,
    damaged: AtomicU64,
    failing: Mutex<Option<Failing>>,
    pub(crate) counters: Counters,
}

impl DiskStore {
    /// A store of `budget` bytes in `dir`. It is not [opened](Self::open) yet.
    pub(crate) fn new(
        (dir, budget): (&Path, u64),
        medium: Box<dyn Medium>,
        space: Arc<SpillSpace>,
        clock: SystemClock,
        registry: &mut Registry,
    ) -> Arc<Self> {
        let (jobs, inbox) = sync_channel(PENDING_MAX);
        Arc::new(Self {
            disk: Disk::new(dir, medium),
            budget,
            clock,
            boot: boot(),
            space,
            jobs,
            inbox: Mutex::new(Some(inbox)),
            queued: AtomicU64::new(0),
            told: Mutex::default(),
            files: Mutex::default(),
            loads: Mutex::default(),
            readers: Arc::new(Semaphore::new(LOADS_MAX)),
            whole: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            failing: Mutex::new(None),
            counters: Counters::new(registry),
        })
    }

    /// Where it is.
    pub(crate) fn dir(&self) -> String {
        self.disk.root().display().to_string()
    }

    /// Takes the directory and reads what is there.
    pub(crate) fn open(&self) -> Result<Recovered, OpenError> {
        let (now, stamp) = (self.clock.moment(), self.stamp());
        let recovered = recover::open(&self.disk, self.budget, (now, &stamp))?;
        self.files().segments.clone_from(&recovered.segments);
        self.counters.recovered(&recovered.tally, recovered.aside);
        let took = self.clock.moment().since(now);
        tracing::info!(
            objects = recovered.shelf.len(),
            bytes = recovered.shelf.used(),
            damaged = recovered.tally.damaged,
            missing = recovered.tally.missing,
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "the disk store was read"
        );
        Ok(recovered)
    }

    /// Has a thread write, for as long as `of` is there. `recovered` is `None` if the store could not
    /// be opened: that is tried again.
    pub(crate) fn start(
        self: &Arc<Self>,
        of: Weak<dyn HasShelf>,
        recovered: Option<Recovered>,
        rng: Generator,
    ) -> std::io::Result<()> {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(inbox) = { inbox }.take() else {
            return Ok(());
        };
        let writer = writer::Writer::new(Arc::clone(self), of, recovered, writer::RETRY, rng);
        let thread = std::thread::Builder::new().name("store".to_owned());
        thread.spawn(move || writer.run(&inbox)).map(drop)
    }

    /// Has a response written. `false` if too much waits already.
    pub(crate) fn put(&self, ticket: Ticket, object: &Arc<Response>, in_memory: u64) -> bool {
        let queued = self.queued.fetch_add(in_memory, Ordering::Relaxed) + in_memory;
        let write = Write {
            ticket,
            object: Arc::clone(object),
            queued: in_memory,
        };
        let fits = queued <= QUEUE_BYTES && self.jobs.try_send(Job::Put(write)).is_ok();
        if !fits {
            self.queued.fetch_sub(in_memory, Ordering::Relaxed);
            self.counters.not_written(NotShelved::Behind);
        }
        fits
    }

    /// Has an order to purge written down. The answer says whether it is.
    pub(crate) fn write_down(&self, order: &Order) -> oneshot::Receiver<bool> {
        let (done, wait) = oneshot::channel();
        let entry = book::encode(order, &self.stamp());
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // Orders are bounded in rate; more than are remembered are not written down.
        if told.len() < ORDERS_MAX {
            told.push(Told { entry, done });
        }
        drop(told);
        // With much to do it looks anyway.
        let _ = self.jobs.try_send(Job::Look);
        wait
    }

    fn take_told(&self) -> Vec<Told> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *told)
    }

    /// Writes what waits and ends the thread, within `patience`.
    pub(crate) fn stop(&self, patience: Duration) {
        let (done, over) = sync_channel(1);
        if self.jobs.try_send(Job::Stop(done)).is_ok() {
            // What is not written by then is not kept.
            let _ = over.recv_timeout(patience);
        }
    }

    /// Writes what waits, and leaves the store to another process. What is open stays readable. Should
    /// the other one not keep it, this one takes it back.
    pub(crate) fn give_up(&self) {
        let (done, over) = sync_channel(1);
        if self.jobs.send(Job::GiveUp(done)).is_ok() {
            let _ = over.recv();
        }
    }

    /// Bytes that wait to be written.
    pub(crate) fn queued(&self) -> u64 {
        self.queued.load(Ordering::Relaxed)
    }

    /// What is wrong with the disk, if anything is.
    pub(crate) fn failing(&self) -> Option<Failing> {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.clone()
    }

    fn set_failing(&self, failing: Option<Failing>) {
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = failing;
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This moment for other processes.
    pub(super) fn stamp(&self) -> Stamp {
        // The C library's way there, which works where the kernel's page of clocks is out of sight.
        let time = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from);
        Stamp {
            // Without that clock only the calendar tells.
            boot: if time.is_ok() { self.boot } else { NO_BOOT },
            since_boot: time.unwrap_or_default(),
            wall: self.clock.wall(),
        }
    }
}

/// The name of this boot of the machine.
fn boot() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).map_or(NO_BOOT, u128::to_be_bytes)
}
