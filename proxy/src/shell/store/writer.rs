//! The thread that writes: takes what waits, writes it together, makes room, and when the disk fails
//! leaves it alone for a while and comes back.
//!
//! The order of writes is what makes a crash harmless: a large body has its name before its record, a
//! record is written before its entry, an index goes before its data. Nothing is synced: what the
//! machine loses with its power is found out by the checks, and fetched again.

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use common::backoff::Backoff;
use common::clock::{Clock as _, Moment};
use common::rng::Generator;

use super::counters::ReadOutcome;
use super::recover::{OpenError, Recovered};
use super::{DiskStore, Failing, HasShelf, Job, Write, ask};
use crate::engine::http::fresh::Heat;
use crate::engine::shelf::blocks::Check;
use crate::engine::shelf::entry::{ENTRY_LEN, Entry, Large, Name, Put, Spot, Variant, entries};
use crate::engine::shelf::log::{About, Batch, Log};
use crate::engine::shelf::record::{self, BodyOf};
use crate::engine::shelf::{Fate, MOVED_MOST, NotShelved, Ticket};
use crate::shell::body::Content;
use crate::shell::spill::Spill;

/// How long it sleeps when nothing waits; so long may the disk not know that something is gone.
const TICK: Duration = Duration::from_millis(250);

/// Bytes that are written together.
const BATCH: usize = 1 << 20;

/// Bodies in files that are no longer than this are copied into a segment.
const SMALL_FILE: u64 = 256 << 10;

/// Entries that are judged under one hold of the lock.
const JUDGED: usize = 256;

/// What is written to see whether the disk is back.
const PROBE: usize = 64 << 10;

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
}

/// See the module.
#[derive(Debug)]
pub(super) struct Writer {
    store: Arc<DiskStore>,
    shelf: Weak<dyn HasShelf>,
    log: Log,
    open: Option<Open>,
    underway: Underway,
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
        let lock = recovered.map(|recovered| recovered.lock);
        Self {
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
                Ok(Job::Put(write)) => Some(write),
                Ok(Job::Stop(done)) => {
                    if self.retry.is_none() {
                        let _ = self.turn(&*shelf, None, inbox);
                    }
                    // The lock is free before it is said.
                    drop(self);
                    let _ = done.send(());
                    return;
                }
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.work(&*shelf, first, inbox);
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
        self.drop_damaged(shelf);
        self.tell_removals(shelf)?;
        let mut next = first;
        while let Some(write) = next {
            self.add(shelf, &write)?;
            if self.log.collected() >= BATCH {
                self.flush(shelf)?;
            }
            next = match inbox.try_recv() {
                Ok(Job::Put(write)) => Some(write),
                // Whoever stops it waits for what was before.
                Ok(Job::Stop(done)) => {
                    self.flush(shelf)?;
                    let _ = done.send(());
                    None
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
        self.underway.removals.extend(&removals);
        for (name, variant) in removals {
            self.room_for(shelf, ENTRY_LEN as u64)?;
            self.log.gone(name, variant);
        }
        Ok(())
    }

    // ---- records

    /// Adds a response to what is written next.
    fn add(&mut self, shelf: &dyn HasShelf, write: &Write) -> io::Result<()> {
        let content = write.object.body.content();
        let body = match content.as_ref().map(|content| self.body_of(content)) {
            Some(Ok(Some(body))) => body,
            Some(Ok(None)) => {
                self.drop_write(shelf, write, NotShelved::TooLarge);
                return Ok(());
            }
            None => {
                self.drop_write(shelf, write, NotShelved::NotWhole);
                return Ok(());
            }
            Some(Err(error)) => {
                self.drop_write(shelf, write, NotShelved::Failed);
                return Err(error);
            }
        };
        let put = self.add_record(shelf, write, &body, content.map_or([0; 32], |c| c.digest));
        self.unqueue(write);
        match put {
            Ok(Some((put, segment))) => {
                self.underway.puts.push((write.ticket, put, segment));
                Ok(())
            }
            Ok(None) => {
                ask(shelf, |shelf| shelf.not_written(write.ticket));
                self.store.counters.not_written(NotShelved::TooLarge);
                Ok(())
            }
            Err(error) => {
                ask(shelf, |shelf| shelf.not_written(write.ticket));
                self.store.counters.not_written(NotShelved::Failed);
                Err(error)
            }
        }
    }

    fn add_record(
        &mut self,
        shelf: &dyn HasShelf,
        write: &Write,
        body: &Body,
        digest: [u8; 32],
    ) -> io::Result<Option<(Put, u32)>> {
        let (now, object) = (self.store.clock.moment(), &write.object);
        let (of, pieces, large) = match body {
            Body::Inline(pieces, length) => (BodyOf::Inline(*length), &pieces[..], None),
            Body::Large(large, checks) => (BodyOf::Large(*large, checks), &[][..], Some(*large)),
        };
        // Its head is as long in any segment.
        let stamp = self.store.stamp();
        let body_len: usize = pieces.iter().map(Bytes::len).sum();
        let mut head = record::encode(object, (0, &stamp, now), &digest, of);
        let length = (head.len() + body_len) as u64;
        if length > self.log.record_most() {
            return Ok(None);
        }
        self.make_room(shelf, length + large.map_or(0, |large| large.bytes))?;
        self.room_for(shelf, length)?;
        let Some(segment) = self.log.segment() else {
            return Ok(None);
        };
        record::seal(&mut head, segment);
        let fresh = object.remaining(now, Heat::Quiet).as_secs();
        let about = About {
            name: write.ticket.name,
            variant: write.ticket.variant,
            large,
            fresh: u32::try_from(fresh).unwrap_or(u32::MAX),
        };
        let parts = pieces.iter().map(|piece| &piece[..]);
        let parts: Vec<_> = [&head[..]].into_iter().chain(parts).collect();
        Ok(self.log.put(now, &about, &parts).map(|put| (put, segment)))
    }

    /// How a body goes to disk. `None` if it cannot.
    fn body_of(&mut self, content: &Content) -> io::Result<Option<Body>> {
        let length = content.length;
        // Room for the head is a part of what a record may have.
        let fits = length <= self.log.record_most() / 2;
        match (&content.pieces, &content.file) {
            (Some(pieces), _) if fits => Ok(Some(Body::Inline(pieces.clone(), length))),
            (_, Some(file)) if fits && length <= SMALL_FILE => {
                let len = usize::try_from(length).unwrap_or(usize::MAX);
                let read = file.read(0, len)?;
                Ok(Some(Body::Inline(vec![read], length)))
            }
            (_, Some(file)) => self.named(file, length),
            (Some(pieces), None) => {
                let file = Arc::new(Spill::create(&self.store.space)?);
                let mut at = 0;
                for piece in pieces {
                    file.write(piece, at)?;
                    at += piece.len() as u64;
                }
                self.named(&file, length)
            }
            (None, None) => Ok(None),
        }
    }

    /// Gives a body in a file a name, unless it has one.
    fn named(&mut self, file: &Arc<Spill>, length: u64) -> io::Result<Option<Body>> {
        let Some(checks) = file.checks(length) else {
            return Ok(None);
        };
        if let Some(id) = file.id() {
            return Ok(Some(Body::Large(Large { id, bytes: length }, checks)));
        }
        let id = self.log.next_large();
        match self.store.disk.link(file.file(), id) {
            Ok(()) => {}
            // A file system without files that get their name later, or a file that lost its own.
            Err(error) if is_no_fault(&error) => {
                tracing::debug!(%error, "a large body cannot be given a name");
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        file.shelved(id);
        let mut files = self.store.files();
        files.larges.retain(|_, spill| spill.strong_count() > 0);
        files.larges.insert(id, Arc::downgrade(file));
        drop(files);
        self.underway.named.push(Arc::clone(file));
        Ok(Some(Body::Large(Large { id, bytes: length }, checks)))
    }

    fn unqueue(&self, write: &Write) {
        self.store.queued.fetch_sub(write.queued, Ordering::Relaxed);
    }

    fn drop_write(&self, shelf: &dyn HasShelf, write: &Write, why: NotShelved) {
        self.unqueue(write);
        self.store.counters.not_written(why);
        ask(shelf, |shelf| shelf.not_written(write.ticket));
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

    fn write(&mut self, batch: &Batch) -> io::Result<()> {
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

    // ---- room

    /// Lets the oldest segments go until `more` bytes fit.
    fn make_room(&mut self, shelf: &dyn HasShelf, more: u64) -> io::Result<()> {
        let collected = self.log.collected() as u64;
        while let Some(segment) =
            ask(shelf, |shelf| shelf.in_the_way(more + collected)).unwrap_or_default()
        {
            self.reclaim(shelf, segment)?;
        }
        Ok(())
    }

    fn reclaim(&mut self, shelf: &dyn HasShelf, segment: u32) -> io::Result<()> {
        if self.log.segment() == Some(segment) {
            self.flush(shelf)?;
            self.close();
        }
        // One that cannot be read says nothing of what is to stay.
        let index = std::fs::read(self.store.disk.index(segment)).unwrap_or_default();
        let index = index.get(ENTRY_LEN..).unwrap_or_default();
        let puts = entries(index, segment).filter_map(|entry| match entry {
            Some(Entry::Put(put)) => Some(put),
            Some(Entry::Gone(..)) | None => None,
        });
        let puts: Vec<_> = puts.collect();
        let mut may_move = self.log.segment_most() / MOVED_MOST;
        let now = self.store.clock.moment();
        for some in puts.chunks(JUDGED) {
            let judged = ask(shelf, |shelf| {
                let fate = |put: &Put| shelf.reclaim(now, put, segment);
                some.iter().map(fate).collect::<Vec<_>>()
            });
            for (put, fate) in some.iter().zip(judged.unwrap_or_default()) {
                let Fate::Moves(fresh) = fate else { continue };
                let length = u64::from(put.length);
                let fits = length <= may_move;
                may_move = may_move.saturating_sub(length);
                self.move_record(shelf, put, (segment, fresh), fits)?;
            }
        }
        self.flush(shelf)?;
        self.store.counters.reclaimed();
        self.drop_segment(shelf, segment)
    }

    /// Writes a record of `segment` again, if it `fits` and is whole; else it goes too.
    fn move_record(
        &mut self,
        shelf: &dyn HasShelf,
        put: &Put,
        (segment, fresh): (u32, u32),
        fits: bool,
    ) -> io::Result<()> {
        let spot = Spot {
            segment,
            offset: put.offset,
        };
        let bytes = if fits {
            self.store.record(spot, put.length)
        } else {
            None
        };
        let Some(bytes) = bytes else {
            ask(shelf, |shelf| shelf.not_moved(put.name, spot));
            return Ok(());
        };
        self.room_for(shelf, bytes.len() as u64)?;
        let Some(to) = self.log.segment() else {
            return Ok(());
        };
        let about = About {
            name: put.name,
            variant: put.variant,
            large: put.large,
            fresh,
        };
        let now = self.store.clock.moment();
        let moved = record::moved(&bytes, segment, to);
        let again = moved.and_then(|bytes| self.log.put(now, &about, &[&bytes]));
        self.underway.moves.extend(again.map(|put| (spot, put, to)));
        Ok(())
    }

    fn drop_segment(&self, shelf: &dyn HasShelf, segment: u32) -> io::Result<()> {
        let disk = &self.store.disk;
        disk.remove(&disk.index(segment))?;
        disk.remove(&disk.data(segment))?;
        self.store.files().segments.remove(&segment);
        ask(shelf, |shelf| shelf.segment_gone(segment));
        self.remove_loose(shelf)
    }

    fn remove_loose(&self, shelf: &dyn HasShelf) -> io::Result<()> {
        let loose = ask(shelf, |shelf| shelf.take_loose()).unwrap_or_default();
        for large in loose {
            let reader = self.store.files().larges.remove(&large.id);
            if let Some(spill) = reader.and_then(|spill| spill.upgrade()) {
                spill.unshelved();
            }
            self.store.disk.remove(&self.store.disk.large(large.id))?;
        }
        Ok(())
    }

    /// Removes segments that hold nothing of use.
    fn tidy(&self, shelf: &dyn HasShelf) -> io::Result<()> {
        let newest = self.log.segment();
        while let Some(segment) =
            ask(shelf, |shelf| shelf.empty_segment(newest)).unwrap_or_default()
        {
            self.drop_segment(shelf, segment)?;
        }
        Ok(())
    }

    // ---- a disk that fails

    /// Gives the disk up for a while. What was being written stays in memory only.
    fn fail(&mut self, shelf: &dyn HasShelf, error: &io::Error) {
        let what = DiskFault::of(error);
        let undone = std::mem::take(&mut self.underway);
        self.close();
        for spill in undone.named {
            if let Some(id) = spill.id() {
                spill.unshelved();
                // If not even that can be done, it is done at the next start.
                let _ = self.store.disk.remove(&self.store.disk.large(id));
            }
        }
        ask(shelf, |shelf| {
            shelf.switch(false);
            for (ticket, ..) in &undone.puts {
                shelf.not_written(*ticket);
            }
            shelf.untold(undone.removals);
        });
        for _ in undone.puts {
            self.store.counters.not_written(NotShelved::Failed);
        }
        let wait = self.backoff.fail(&mut self.rng);
        let now = self.store.clock.moment();
        let since = self.store.failing().map_or(now, |failing| failing.since);
        self.retry = Some(now + wait);
        self.store.counters.failed(what);
        self.store.set_failing(Some(Failing {
            what,
            error: error.to_string(),
            since,
        }));
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let word = what.as_str();
        tracing::warn!(what = word, %error, wait_ms, "the disk store failed: memory only for a while");
    }

    /// Tries whether the disk can be used again.
    fn come_back(&mut self, shelf: &dyn HasShelf) -> io::Result<()> {
        if self.lock.is_none() {
            let recovered = match self.store.open() {
                Ok(recovered) => recovered,
                Err(OpenError::Io(error)) => return Err(error),
                Err(error @ OpenError::InUse { .. }) => return Err(io::Error::other(error)),
            };
            let next = (recovered.next_segment, recovered.next_large);
            self.log = Log::new(self.store.budget, next.0, next.1);
            self.lock = Some(recovered.lock);
            let found = recovered.shelf;
            ask(shelf, |shelf| *shelf = found);
        }
        let full = self
            .store
            .failing()
            .is_some_and(|failing| failing.what == DiskFault::Full);
        let oldest = ask(shelf, |shelf| shelf.oldest()).flatten();
        if let Some(segment) = oldest.filter(|_| full && self.backoff.failures() > 1) {
            // It may be our own bytes that fill it: a budget larger than the disk.
            self.drop_segment(shelf, segment)?;
        }
        self.probe()
    }

    /// Writes a file, reads it back and removes it.
    fn probe(&self) -> io::Result<()> {
        let disk = &self.store.disk;
        let path = disk.segments().join("probe");
        disk.remove(&path)?;
        let file = disk.create(&path)?;
        let bytes = vec![0x5a; PROBE];
        let tried = disk
            .write_all(&file, &bytes, 0)
            .and_then(|()| disk.read(&file, PROBE, 0));
        disk.remove(&path)?;
        if tried? == bytes {
            Ok(())
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "what was written is not what is read",
            ))
        }
    }

    fn came_back(&mut self, shelf: &dyn HasShelf) {
        self.retry = None;
        self.store.set_failing(None);
        ask(shelf, |shelf| shelf.switch(true));
        tracing::info!("the disk store is in use again");
    }
}

/// Whether a body could not be given a name for a reason that lies in the file, not in the disk.
fn is_no_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::CrossesDevices | io::ErrorKind::Unsupported
    )
}

/// Why the disk store is left alone for a while.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum DiskFault {
    /// There is no room, or none for us.
    Full,
    /// It can only be read.
    ReadOnly,
    /// We may not.
    Denied,
    /// The directory is gone.
    Vanished,
    /// What is read is not what was written.
    Lying,
    /// Something else: an error of input or output, most likely.
    Io,
}

impl DiskFault {
    /// What a disk means by `error`.
    pub(super) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::WriteZero => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Vanished,
            io::ErrorKind::InvalidData => Self::Lying,
            _ => Self::Io,
        }
    }

    /// The word for logs and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read_only",
            Self::Denied => "denied",
            Self::Vanished => "vanished",
            Self::Lying => "lying",
            Self::Io => "io",
        }
    }
}
