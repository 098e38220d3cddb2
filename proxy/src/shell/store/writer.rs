//! The thread that writes: takes what waits, writes it together, makes room, and when the disk fails
//! leaves it alone for a while and comes back.
//!
//! The order of writes is what makes a crash harmless: a large body has its name before its record, a
//! record is written before its entry, an index goes before its data. Nothing is synced: what the
//! machine loses with its power is found out by the checks, and fetched again.

mod failing;
mod orders;
mod records;
mod room;

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use common::backoff::Backoff;
use common::clock::{Clock as _, Moment};
use common::rng::Generator;

use super::counters::ReadOutcome;
use super::recover::Recovered;
use super::{DiskStore, HasShelf, Job, Write, ask};
use crate::engine::purge::book::Recalled;
use crate::engine::shelf::blocks::Check;
use crate::engine::shelf::entry::{ENTRY_LEN, Large, Name, Put, Spot, Variant};
use crate::engine::shelf::log::{Batch, Log};
use crate::engine::shelf::{NotShelved, Ticket};
use crate::shell::fill::Response;
use crate::shell::spill::Spill;
pub(crate) use failing::DiskFault;
pub(super) use failing::is_out_of_files;
use orders::Book;
pub(super) use orders::Told;

/// How long it sleeps when nothing waits; so long may the disk not know that something is gone.
const TICK: Duration = Duration::from_millis(250);

/// How long it lets others come when there is something to write: to be woken for each of many, and to
/// ask for the lock and the disk each time, costs more than the writing.
const GATHER: Duration = Duration::from_millis(5);

/// Bytes that are written together.
const BATCH: usize = 1 << 20;

/// How soon a disk that failed is tried again, and how late.
pub(super) const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The files of the segment being written.
#[derive(Debug)]
struct Open {
    data: Arc<File>,
    index: File,
}

/// A body, as it goes to disk.
enum Body {
    Inline(Vec<Bytes>, u64),
    Large(Large, Vec<Check>),
}

/// What is being written, and what has to be told of it.
#[derive(Debug, Default)]
struct Underway {
    puts: Vec<(Ticket, Put, u32)>,
    moves: Vec<(Spot, Put, u32)>,
    removals: Vec<(Name, Option<Variant>)>,
    /// Large bodies that got a name.
    named: Vec<Arc<Spill>>,
    /// Bodies that are in memory too, and where they will be in the segment.
    beside: Vec<(Arc<Response>, u64)>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Writer {
    store: Arc<DiskStore>,
    shelf: Weak<dyn HasShelf>,
    log: Log,
    open: Option<Open>,
    underway: Underway,
    book: Book,
    /// `None` while the store could not be opened.
    lock: Option<File>,
    backoff: Backoff,
    retry: Option<Moment>,
    rng: Generator,
}

impl Writer {
    pub(super) fn new(
        store: Arc<DiskStore>,
        shelf: Weak<dyn HasShelf>,
        recovered: Option<Recovered>,
        retry: (Duration, Duration),
        rng: Generator,
    ) -> Self {
        let next = |of: &Recovered| (of.next_segment, of.next_large);
        let (segment, large) = recovered.as_ref().map_or((0, 0), next);
        let (lock, recalled) = recovered
            .map(|recovered| (recovered.lock, recovered.recalled))
            .unzip();
        Self {
            book: Book::new(
                recalled
                    .map(|recalled: Recalled| recalled.entries)
                    .unwrap_or_default(),
            ),
            log: Log::new(store.budget, segment, large),
            retry: lock.is_none().then(|| store.clock.moment()),
            store,
            shelf,
            open: None,
            underway: Underway::default(),
            lock,
            backoff: Backoff::new(retry.0, retry.1),
            rng,
        }
    }

    /// Writes until it is told to stop or nobody is left to write for.
    pub(super) fn run(mut self, inbox: &Receiver<Job>) {
        loop {
            let job = inbox.recv_timeout(TICK);
            let Some(shelf) = self.shelf.upgrade() else {
                return;
            };
            let first = match job {
                Ok(Job::Put(write)) => {
                    // Nothing wakes it sooner.
                    std::thread::park_timeout(GATHER);
                    Some(write)
                }
                Ok(Job::Stop(done)) => {
                    if self.retry.is_none() {
                        let _ = self.turn(&*shelf, None, inbox);
                    }
                    // The lock is free before it is said.
                    drop(self);
                    let _ = done.send(());
                    return;
                }
                Ok(Job::GiveUp(done)) => {
                    if self.retry.is_none() {
                        let _ = self.turn(&*shelf, None, inbox);
                    }
                    self.give_up(&*shelf);
                    let _ = done.send(());
                    continue;
                }
                Ok(Job::Look) | Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.work(&*shelf, first, inbox);
            if self.retry.is_none() {
                shelf.offer_again();
            }
        }
    }

    /// One turn, whatever the disk does.
    pub(super) fn work(
        &mut self,
        shelf: &dyn HasShelf,
        first: Option<Write>,
        inbox: &Receiver<Job>,
    ) {
        if let Some(at) = self.retry {
            // They hear that it cannot be done now.
            let _ = self.write_orders();
            if let Some(write) = first {
                self.drop_write(shelf, &write, NotShelved::Off);
            }
            if self.store.clock.moment() < at {
                return;
            }
            return match self.come_back(shelf) {
                Ok(()) => self.came_back(shelf),
                Err(error) => self.fail(shelf, &error),
            };
        }
        if let Err(error) = self.turn(shelf, first, inbox) {
            self.fail(shelf, &error);
        }
    }

    /// Writes what waits.
    fn turn(
        &mut self,
        shelf: &dyn HasShelf,
        first: Option<Write>,
        inbox: &Receiver<Job>,
    ) -> io::Result<()> {
        self.write_orders()?;
        self.drop_damaged(shelf);
        if self.store.is_lying() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "most of what is read is not what was written",
            ));
        }
        self.tell_removals(shelf)?;
        let mut next = first;
        while let Some(write) = next {
            self.add(shelf, &write)?;
            if self.log.collected() >= BATCH {
                self.flush(shelf)?;
            }
            next = match inbox.try_recv() {
                Ok(Job::Put(write)) => Some(write),
                Ok(Job::Look) => {
                    self.write_orders()?;
                    None
                }
                // Whoever stops it waits for what was before.
                Ok(Job::Stop(done)) => {
                    self.flush(shelf)?;
                    let _ = done.send(());
                    None
                }
                Ok(Job::GiveUp(done)) => {
                    self.flush(shelf)?;
                    self.give_up(shelf);
                    let _ = done.send(());
                    return Ok(());
                }
                Err(_) => None,
            };
        }
        self.flush(shelf)?;
        self.tell_removals(shelf)?;
        self.flush(shelf)?;
        self.tidy(shelf)
    }

    fn drop_damaged(&self, shelf: &dyn HasShelf) {
        for id in self.store.space.take_damaged() {
            // Whoever finds it first counts it.
            let known = ask(shelf, |shelf| shelf.spoilt_file(id));
            if known == Some(true) {
                self.store.counters.read(ReadOutcome::Damaged);
                tracing::warn!(id, "a large body on disk is damaged and goes");
            }
        }
    }

    fn tell_removals(&mut self, shelf: &dyn HasShelf) -> io::Result<()> {
        let removals = ask(shelf, |shelf| shelf.take_removals()).unwrap_or_default();
        let mut left = removals.into_iter();
        while let Some((name, variant)) = left.next() {
            if let Err(error) = self.room_for(shelf, ENTRY_LEN as u64) {
                // Whatever of them is not logged is told again.
                self.underway.removals.push((name, variant));
                self.underway.removals.extend(left);
                return Err(error);
            }
            self.underway.removals.push((name, variant));
            self.log.gone(name, variant);
        }
        Ok(())
    }

    // ---- writing

    /// Sees to it that the open segment takes a record of `length`.
    fn room_for(&mut self, shelf: &dyn HasShelf, length: u64) -> io::Result<()> {
        let full = match self.log.segment() {
            Some(segment) => {
                let stands_for = ask(shelf, |shelf| shelf.segment_bytes(segment));
                !self.log.fits(length) || stands_for.unwrap_or(0) > self.log.segment_most()
            }
            None => true,
        };
        if full {
            self.flush(shelf)?;
            self.close();
            let now = self.store.clock.moment();
            self.log.begin(now, self.store.stamp());
        }
        Ok(())
    }

    fn close(&mut self) {
        self.log.close();
        self.open = None;
    }

    /// Writes what was collected, and tells the shelf.
    fn flush(&mut self, shelf: &dyn HasShelf) -> io::Result<()> {
        let Some(batch) = self.log.take() else {
            return Ok(());
        };
        self.write(&batch)?;
        let beside = std::mem::take(&mut self.underway.beside);
        self.point_to(beside);
        let bytes = (batch.data.len() + batch.index.len()) as u64;
        let done = std::mem::take(&mut self.underway);
        let now = self.store.clock.moment();
        self.store.counters.bytes(bytes);
        self.store.counters.moved(done.moves.len());
        done.puts.iter().for_each(|_| self.store.counters.written());
        ask(shelf, |shelf| {
            if batch.head.is_some() {
                shelf.segment_begun(batch.segment);
            }
            shelf.segment_grew(batch.segment, bytes, batch.removes);
            for (ticket, put, segment) in &done.puts {
                shelf.written(now, *ticket, put, *segment);
            }
            for (from, put, segment) in &done.moves {
                shelf.moved(*from, put, *segment);
            }
        });
        self.backoff.succeed();
        self.remove_loose(shelf)
    }

    /// Tells bodies where in the open segment they are.
    fn point_to(&self, written: Vec<(Arc<Response>, u64)>) {
        let Some(open) = &self.open else { return };
        for (object, at) in written {
            object.body.is_beside(Arc::downgrade(&open.data), at);
        }
    }

    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        let written = self.write_batch(batch);
        if written.is_err() && batch.head.is_some() {
            // The shelf has not heard of this segment: nobody else would count or remove it.
            let disk = &self.store.disk;
            self.store.files().segments.remove(&batch.segment);
            // What cannot be removed now is removed at the next start.
            let _ = disk.remove(&disk.index(batch.segment));
            let _ = disk.remove(&disk.data(batch.segment));
        }
        written
    }

    fn write_batch(&mut self, batch: &Batch) -> io::Result<()> {
        let disk = &self.store.disk;
        if let Some(head) = &batch.head {
            let data = Arc::new(disk.create(&disk.data(batch.segment))?);
            let index = disk.create(&disk.index(batch.segment))?;
            disk.write_all(&data, head, 0)?;
            disk.write_all(&index, head, 0)?;
            let mut files = self.store.files();
            files.segments.insert(batch.segment, Arc::clone(&data));
            drop(files);
            self.open = Some(Open { data, index });
        }
        let Some(open) = &self.open else {
            return Err(io::Error::other("no segment is open"));
        };
        disk.write_all(&open.data, &batch.data, batch.data_at)?;
        disk.write_all(&open.index, &batch.index, batch.index_at)
    }
}
