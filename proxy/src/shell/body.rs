//! A body that one task writes and any number read while it grows.
//!
//! The fill owns the [`Writer`]; nobody owns the body. Readers start anywhere that is still held,
//! follow the end as it moves, and can tell a clean end from a break: a break becomes an error of
//! the client's connection and never a short page.
//!
//! What is held: small bodies stay in memory; beyond `spill_over` bytes a body goes to a file and
//! only its last piece stays in memory for those who follow closely. Where there is no room on disk
//! the body becomes a window: the writer waits for the slowest reader, a bounded time, then moves on
//! without it. So memory per body is bounded whatever its size, and a slow reader delays others by
//! at most [`writer::READER_STALL`] in the worst case and not at all in the usual one.
//!
//! All bodies share one [`Room`]: when it is short, bodies go to disk whatever their size and windows
//! hold one piece.
//!
//! Locks are held for pointer work only, never across an await or a file operation.

mod held;
mod one;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::Waker;

use bytes::Bytes;
use once_cell::race::OnceBox;
use tokio::sync::Notify;

use self::held::Held;
use self::one::One;
pub(crate) use self::reader::{Cut, Reader};
pub(crate) use self::writer::{SpillRule, Writer};
use super::room::Room;
use super::spill::Spill;
use crate::engine::pointer::Digest;
use crate::engine::reason::FailReason;
use crate::engine::store::Weight;

/// Bytes kept in memory at the end of a body that is spilled, and the most a window holds.
const TAIL: u64 = 1 << 20;

/// Most bytes read from a file at a time.
const FILE_READ: u64 = 256 << 10;

/// Bodies from this many bytes on are better sent from a file, if they are in one: measured, with
/// 100 KiB two thirds of what it costs to send from memory.
pub(crate) const BESIDE_LEAST: u64 = 64 << 10;

/// How a body ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// More may come.
    Growing,
    /// Every byte is here; this is their digest.
    Whole(Digest),
    /// It broke off.
    Broken(FailReason),
}

#[derive(Debug)]
struct Inner {
    /// Where the bytes from `base` to `len` are counted.
    room: Arc<Room>,
    /// Bytes from `base` to `len`.
    chunks: VecDeque<Bytes>,
    base: u64,
    len: u64,
    /// Bytes 0 to `.1`.
    spill: Option<(Arc<Spill>, u64)>,
    end: End,
    readers: BTreeMap<u64, Following>,
    next_reader: u64,
    /// Length the sender announced.
    announced: Option<u64>,
    /// A reader moved or left: the writer of a window may go on.
    moved: Arc<Notify>,
}

/// Where a reader is, and whom to wake when there is more.
#[derive(Debug)]
struct Following {
    at: u64,
    waker: Option<Waker>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct SharedBody {
    /// `None` while nobody needs more of it than there is in `one`.
    inner: Mutex<Option<Box<Inner>>>,
    /// All of it, once it is whole and one piece in memory: most who ask want no more.
    one: OnceLock<One>,
    /// A file in which the same bytes are, and where, beside those in memory. The disk store may let
    /// go of it at any time.
    beside: OnceBox<(Weak<File>, u64)>,
    /// What was read from its file was not what had been written: of no use any more.
    spoilt: AtomicBool,
}

/// How a body stands.
#[derive(Clone, Debug)]
pub(crate) struct Stand {
    /// Its whole length: as announced, or as it turned out.
    pub(crate) length: Option<u64>,
    /// Whether every byte is here.
    pub(crate) whole: bool,
    /// All of it, if it is whole and known to be one piece in memory.
    pub(crate) bytes: Option<Bytes>,
}

/// What there is of a whole body.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    /// Its length.
    pub(crate) length: u64,
    /// Its digest.
    pub(crate) digest: Digest,
    /// All of it, if it is in memory.
    pub(crate) pieces: Option<Vec<Bytes>>,
    /// The file that has all of it.
    pub(crate) file: Option<Arc<Spill>>,
}

/// What a reader gets at its position.
enum Next {
    Bytes(Bytes),
    File(Arc<Spill>, usize),
    Wait,
    End,
    Error(FailReason),
}

impl SharedBody {
    /// A new body and its writer. `announced` is the length that the sender gave.
    pub(crate) fn new(
        announced: Option<u64>,
        spill: Option<SpillRule>,
        room: &Arc<Room>,
    ) -> (Arc<Self>, Writer) {
        let inner = Inner::empty(Arc::clone(room), announced);
        let body = Arc::new(Self::with(inner));
        (Arc::clone(&body), Writer::of(body, spill))
    }

    /// A new body that begins with what there is of one that broke off, and its writer. `None` if not
    /// every byte of it is held. Only one may go on with a body: they write to the same file.
    pub(crate) fn going_on_from(
        broken: &Self,
        spill: Option<SpillRule>,
    ) -> Option<(Arc<Self>, Writer)> {
        broken.weight()?;
        let inner = {
            let from = broken.lock();
            from.room.hold(from.len - from.base);
            let mut inner = Inner::empty(Arc::clone(&from.room), from.announced);
            inner.chunks = from.chunks.clone();
            inner.base = from.base;
            inner.len = from.len;
            inner.spill = from.spill.clone();
            inner
        };
        let body = Arc::new(Self::with(inner));
        Some((Arc::clone(&body), Writer::of(body, spill)))
    }

    fn with(inner: Inner) -> Self {
        Self::made(Some(inner), OnceLock::new())
    }

    fn made(inner: Option<Inner>, one: OnceLock<One>) -> Self {
        Self {
            inner: Mutex::new(inner.map(Box::new)),
            one,
            beside: OnceBox::new(),
            spoilt: AtomicBool::new(false),
        }
    }

    /// A whole body of `length` in a file.
    pub(crate) fn filed(
        spill: Arc<Spill>,
        length: u64,
        digest: Digest,
        room: &Arc<Room>,
    ) -> Arc<Self> {
        let mut inner = Inner::empty(Arc::clone(room), Some(length));
        inner.base = length;
        inner.len = length;
        inner.spill = Some((spill, length));
        inner.end = End::Whole(digest);
        Arc::new(Self::with(inner))
    }

    /// What there is of a whole body: its pieces, if all of it is in memory; its file, if all of it is
    /// there; and its digest.
    pub(crate) fn content(self: &Arc<Self>) -> Option<Content> {
        // Looked at while nobody else can make the one piece of many.
        let inner = self.lock();
        if let Some(one) = self.one.get() {
            return Some(Content {
                length: one.bytes.len() as u64,
                digest: one.digest,
                pieces: Some(self.piece().into_iter().collect()),
                file: None,
            });
        }
        let End::Whole(digest) = inner.end else {
            return None;
        };
        let pieces = (inner.base == 0).then(|| inner.chunks.iter().cloned().collect());
        let file = inner.spill.as_ref();
        let file = file.filter(|(_, covered)| *covered == inner.len);
        Some(Content {
            length: inner.len,
            digest,
            pieces,
            file: file.map(|(spill, _)| Arc::clone(spill)),
        })
    }

    /// Its file does not hold what was written: nobody else is to be given it.
    pub(crate) fn spoil(&self) {
        self.spoilt.store(true, Ordering::Relaxed);
    }

    /// Whether its file was found not to hold what was written.
    pub(crate) fn is_spoilt(&self) -> bool {
        let file_is = || {
            let inner = self.lock();
            let file = inner.spill.as_ref();
            file.is_some_and(|(spill, _)| spill.is_spoilt())
        };
        self.spoilt.load(Ordering::Relaxed) || (self.one().is_none() && file_is())
    }

    fn lock(&self) -> Held<'_> {
        Held::of(self)
    }

    /// How it ended, if it has.
    pub(crate) fn end(&self) -> End {
        let one = self.one.get();
        one.map_or_else(|| self.lock().end, |one| End::Whole(one.digest))
    }

    /// Whether every byte is here.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.end(), End::Whole(_))
    }

    /// Its whole length: as announced, or as it turned out.
    pub(crate) fn length(&self) -> Option<u64> {
        if let Some(one) = self.one() {
            return Some(one.len() as u64);
        }
        let inner = self.lock();
        match inner.end {
            End::Whole(_) => Some(inner.len),
            End::Growing | End::Broken(_) => inner.announced,
        }
    }

    /// What an answer with it needs to know, at one look.
    pub(crate) fn stand(self: &Arc<Self>) -> Stand {
        let bytes = self.piece();
        if let Some(one) = &bytes {
            return Stand {
                length: Some(one.len() as u64),
                whole: true,
                bytes,
            };
        }
        let inner = self.lock();
        let whole = matches!(inner.end, End::Whole(_));
        Stand {
            length: if whole {
                Some(inner.len)
            } else {
                inner.announced
            },
            whole,
            bytes,
        }
    }

    /// Bytes that have come so far.
    pub(crate) fn received(&self) -> u64 {
        self.lock().len
    }

    /// Whether a reader can still start at the beginning.
    pub(crate) fn is_joinable(&self) -> bool {
        let inner = self.lock();
        let broken = matches!(inner.end, End::Broken(_));
        !broken && (inner.base == 0 || inner.covered_by_file() >= inner.base)
    }

    /// What keeping it costs, if every byte of it is held.
    pub(crate) fn weight(&self) -> Option<Weight> {
        if let Some(one) = self.one() {
            return Some(Weight {
                memory: one.len() as u64,
                disk: 0,
            });
        }
        let inner = self.lock();
        let in_memory = inner.len - inner.base;
        match inner.spill {
            Some((_, covered)) if covered == inner.len => Some(Weight {
                memory: in_memory,
                disk: covered,
            }),
            None if inner.base == 0 => Some(Weight {
                memory: in_memory,
                disk: 0,
            }),
            _ => None,
        }
    }

    /// All of it is in this file as well, from this byte on; only the first such place is kept. To be
    /// said by whoever wrote it there or found it right.
    pub(crate) fn is_beside(&self, file: Weak<File>, at: u64) {
        // Another place is as good.
        let _ = self.beside.set(Box::new((file, at)));
    }

    /// A file with the same bytes beside those in memory, and where in it they begin.
    pub(crate) fn beside(&self) -> Option<(Arc<File>, u64)> {
        let (file, at) = self.beside.get()?;
        Some((file.upgrade()?, *at))
    }

    /// The file that holds all of it, and its length, if it is whole and there is one.
    pub(crate) fn file(&self) -> Option<(Arc<Spill>, u64)> {
        let inner = self.lock();
        let whole = matches!(inner.end, End::Whole(_));
        let (spill, covered) = inner.spill.as_ref().filter(|_| whole)?;
        (*covered == inner.len).then(|| (Arc::clone(spill), *covered))
    }

    /// A reader of bytes `from` up to `to` (the end if `None`). `seat` is dropped with it.
    pub(crate) fn reader<S>(self: &Arc<Self>, from: u64, to: Option<u64>, seat: S) -> Reader<S> {
        let mut inner = self.lock();
        let id = inner.next_reader;
        inner.next_reader += 1;
        inner.readers.insert(
            id,
            Following {
                at: from,
                waker: None,
            },
        );
        drop(inner);
        Reader::of(Arc::clone(self), id, (from, to), seat)
    }
}

impl Inner {
    fn empty(room: Arc<Room>, announced: Option<u64>) -> Self {
        Self {
            room,
            chunks: VecDeque::new(),
            base: 0,
            len: 0,
            spill: None,
            end: End::Growing,
            readers: BTreeMap::new(),
            next_reader: 0,
            announced,
            moved: Arc::default(),
        }
    }

    /// The most that a window, or the end of a body on disk, holds at the moment.
    fn most_held(&self) -> u64 {
        if self.room.is_short() { 0 } else { TAIL }
    }

    fn covered_by_file(&self) -> u64 {
        self.spill.as_ref().map_or(0, |(_, covered)| *covered)
    }

    fn next(&self, at: u64, to: Option<u64>) -> Next {
        let end = to.unwrap_or(u64::MAX).min(self.len);
        if at < end {
            return self.held(at, end);
        }
        match self.end {
            _ if to.is_some_and(|to| at >= to) => Next::End,
            End::Growing => Next::Wait,
            End::Whole(_) => Next::End,
            End::Broken(reason) => Next::Error(reason),
        }
    }

    /// Bytes from `at` to at most `end`, both within what has been written.
    fn held(&self, at: u64, end: u64) -> Next {
        if at >= self.base {
            let mut start = self.base;
            for chunk in &self.chunks {
                let next = start + chunk.len() as u64;
                if at < next {
                    let from = usize::try_from(at - start).unwrap_or(usize::MAX);
                    let upto = usize::try_from(end.min(next) - start).unwrap_or(usize::MAX);
                    return Next::Bytes(chunk.slice(from..upto));
                }
                start = next;
            }
        }
        match &self.spill {
            Some((spill, covered)) if at < *covered => {
                let len = (end.min(*covered) - at).min(FILE_READ);
                Next::File(Arc::clone(spill), usize::try_from(len).unwrap_or(0))
            }
            _ => Next::Error(FailReason::ReaderTooSlow),
        }
    }

    fn wake_readers(&mut self) {
        for following in self.readers.values_mut() {
            if let Some(waker) = following.waker.take() {
                waker.wake();
            }
        }
    }

    /// Drops pieces from the front of memory while more than `keep` bytes remain after `limit`.
    fn trim(&mut self, keep: u64, limit: u64) {
        while let Some(chunk) = self.chunks.front() {
            let next = self.base + chunk.len() as u64;
            if self.len - next < keep || next > limit {
                break;
            }
            self.room.let_go(next - self.base);
            self.base = next;
            self.chunks.pop_front();
        }
    }

    fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.room.hold(bytes.len() as u64);
            self.len += bytes.len() as u64;
            self.chunks.push_back(bytes);
            let covered = self.covered_by_file();
            if covered > 0 {
                let keep = self.most_held();
                self.trim(keep, covered);
            }
        }
        self.wake_readers();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.room.let_go(self.len - self.base);
    }
}
