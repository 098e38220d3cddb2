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
//! at most [`READER_STALL`] in the worst case and not at all in the usual one.
//!
//! All bodies share one [`Room`]: when it is short, bodies go to disk whatever their size and windows
//! hold one piece.
//!
//! Locks are held for pointer work only, never across an await or a file operation.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::room::Room;
use super::spill::{Spill, SpillSpace};
use crate::engine::pointer::Digest;
use crate::engine::reason::FailReason;
use crate::engine::store::Weight;

/// Bytes kept in memory at the end of a body that is spilled, and the most a window holds.
const TAIL: u64 = 1 << 20;

/// Most bytes read from a file at a time.
const FILE_READ: u64 = 256 << 10;

/// Bytes read from a file for one who has taken fewer: what is read waits in memory for its taker,
/// so a slow one gets no more at once than half of what it has shown to take.
const FIRST_READ: u64 = 32 << 10;

/// How long the writer of a window waits for a reader that does not read.
const READER_STALL: Duration = Duration::from_secs(10);

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
    inner: Mutex<Inner>,
    /// Length the sender announced.
    announced: Option<u64>,
    /// A reader moved or left: the writer of a window may go on.
    moved: Notify,
}

/// How a body stands.
#[derive(Clone, Debug)]
pub(crate) struct Stand {
    /// Its whole length: as announced, or as it turned out.
    pub(crate) length: Option<u64>,
    /// Whether every byte is here.
    pub(crate) whole: bool,
    /// All of it, if it is whole and one piece in memory.
    pub(crate) bytes: Option<Bytes>,
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
        let inner = Inner::empty(Arc::clone(room));
        let body = Arc::new(Self::with(inner, announced));
        (
            Arc::clone(&body),
            Writer {
                body,
                spill,
                ended: false,
            },
        )
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
            let mut inner = Inner::empty(Arc::clone(&from.room));
            inner.chunks = from.chunks.clone();
            inner.base = from.base;
            inner.len = from.len;
            inner.spill = from.spill.clone();
            inner
        };
        let body = Arc::new(Self::with(inner, broken.announced));
        let writer = Writer {
            body: Arc::clone(&body),
            spill,
            ended: false,
        };
        Some((body, writer))
    }

    fn with(inner: Inner, announced: Option<u64>) -> Self {
        Self {
            inner: Mutex::new(inner),
            announced,
            moved: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in a critical section can leave the numbers half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it ended, if it has.
    pub(crate) fn end(&self) -> End {
        self.lock().end
    }

    /// Whether every byte is here.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.end(), End::Whole(_))
    }

    /// Its whole length: as announced, or as it turned out.
    pub(crate) fn length(&self) -> Option<u64> {
        let inner = self.lock();
        match inner.end {
            End::Whole(_) => Some(inner.len),
            End::Growing | End::Broken(_) => self.announced,
        }
    }

    /// What an answer with it needs to know, at one look.
    pub(crate) fn stand(&self) -> Stand {
        let inner = self.lock();
        let whole = matches!(inner.end, End::Whole(_));
        let in_memory = whole && inner.base == 0 && inner.chunks.len() == 1;
        Stand {
            length: if whole {
                Some(inner.len)
            } else {
                self.announced
            },
            whole,
            bytes: inner.chunks.front().filter(|_| in_memory).cloned(),
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

    /// Makes one piece of what is in memory and will stay. One piece is cheaper to send, any number of
    /// times, than many; and a piece as it came is a view of the connection's buffer, which may be a
    /// thousand times as large.
    pub(crate) fn compact(&self) {
        let mut inner = self.lock();
        if inner.spill.is_none() && inner.base == 0 {
            let mut joined = BytesMut::with_capacity(usize::try_from(inner.len).unwrap_or(0));
            inner
                .chunks
                .iter()
                .for_each(|chunk| joined.extend_from_slice(chunk));
            inner.chunks = VecDeque::from([joined.freeze()]);
        }
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
        Reader {
            body: Arc::clone(self),
            id,
            at: from,
            taken: 0,
            to,
            loading: None,
            said_all: false,
            _seat: seat,
        }
    }
}

impl Inner {
    const fn empty(room: Arc<Room>) -> Self {
        Self {
            room,
            chunks: VecDeque::new(),
            base: 0,
            len: 0,
            spill: None,
            end: End::Growing,
            readers: BTreeMap::new(),
            next_reader: 0,
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

/// When and where a body is spilled.
#[derive(Clone, Debug)]
pub(crate) struct SpillRule {
    /// The room.
    pub(crate) space: Arc<SpillSpace>,
    /// Bodies up to this many bytes stay in memory.
    pub(crate) over: u64,
}

/// The one who writes a body. Dropped before the end, the body is broken.
#[derive(Debug)]
pub(crate) struct Writer {
    body: Arc<SharedBody>,
    spill: Option<SpillRule>,
    ended: bool,
}

impl Writer {
    /// Appends bytes; waits only when the body is a window whose readers are behind.
    pub(crate) async fn push(&mut self, bytes: Bytes) {
        self.prepare(&bytes).await;
        self.body.lock().push(bytes);
    }

    /// Makes room for `bytes`, which come next. Nobody sees anything of them yet.
    pub(crate) async fn prepare(&mut self, bytes: &Bytes) {
        if bytes.is_empty() {
            return;
        }
        let (len, short) = {
            let inner = self.body.lock();
            (inner.len, inner.room.is_short())
        };
        let total = len + bytes.len() as u64;
        let spills = |rule: &SpillRule| short || total > rule.over;
        if self.spill.as_ref().is_some_and(spills) {
            self.spill_up_to_now(bytes).await;
        } else if self.spill.is_none() {
            self.make_room(bytes.len() as u64).await;
        }
    }

    /// Writes what is in memory and `next` to the file, or gives up on the file for good.
    async fn spill_up_to_now(&mut self, next: &Bytes) {
        let Some(rule) = self.spill.clone() else {
            return;
        };
        let (file, mut pieces, from) = {
            let inner = self.body.lock();
            match &inner.spill {
                Some((spill, covered)) => (Some(Arc::clone(spill)), Vec::new(), *covered),
                None => (None, inner.chunks.iter().cloned().collect(), 0),
            }
        };
        pieces.push(next.clone());
        let written = tokio::task::spawn_blocking(move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(Spill::create(&rule.space)?),
            };
            let mut at = from;
            for piece in pieces {
                file.write(&piece, at)?;
                at += piece.len() as u64;
            }
            Ok::<_, std::io::Error>((file, at))
        });
        match written.await {
            Ok(Ok(spilled)) => self.body.lock().spill = Some(spilled),
            Ok(Err(error)) => {
                tracing::warn!(%error, "no room to spill a body: it passes through memory only");
                self.spill = None;
                self.make_room(next.len() as u64).await;
            }
            Err(_) => self.spill = None,
        }
    }

    /// Waits until a window has room for `bytes` more, or the readers in the way have stalled.
    async fn make_room(&self, bytes: u64) {
        let fits = || {
            let mut inner = self.body.lock();
            let most = inner.most_held();
            if inner.len - inner.base + bytes <= most {
                return true;
            }
            let (base, covered) = (inner.base, inner.covered_by_file());
            // Whoever has been left behind before is not waited for again; until the first reader
            // comes, everything is.
            let can_go_on = |at: &u64| *at >= base || *at < covered;
            let positions = inner.readers.values().map(|following| following.at);
            let slowest = positions.filter(can_go_on).min().unwrap_or(u64::MAX);
            let slowest = if inner.next_reader == 0 { 0 } else { slowest };
            inner.trim(0, slowest);
            inner.len - inner.base + bytes <= most.max(bytes)
        };
        let wait = async {
            loop {
                let moved = self.body.moved.notified();
                if fits() {
                    return;
                }
                moved.await;
            }
        };
        if tokio::time::timeout(READER_STALL, wait).await.is_err() {
            let mut inner = self.body.lock();
            let keep = inner.most_held() / 2;
            inner.trim(keep, u64::MAX);
            // Whoever stands before what is left finds out at its next read.
            inner.wake_readers();
        }
    }

    /// The body is whole with `last`, which was [prepared](Self::prepare) for, and this is its digest.
    pub(crate) fn finish(mut self, last: Bytes, digest: Digest) {
        self.ended = true;
        let mut inner = self.body.lock();
        inner.end = End::Whole(digest);
        inner.push(last);
    }

    /// The body broke off for `reason`.
    pub(crate) fn break_off(mut self, reason: FailReason) {
        self.ended = true;
        self.end(reason);
    }

    fn end(&self, reason: FailReason) {
        let mut inner = self.body.lock();
        inner.end = End::Broken(reason);
        inner.wake_readers();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.ended {
            self.end(FailReason::Abandoned);
        }
    }
}

/// One who reads a body: hyper's view of it. `S` is held until the reader is done.
#[derive(Debug)]
pub(crate) struct Reader<S> {
    body: Arc<SharedBody>,
    id: u64,
    at: u64,
    /// Bytes given out.
    taken: u64,
    to: Option<u64>,
    loading: Option<JoinHandle<std::io::Result<Bytes>>>,
    /// What came before a break has been given out and its taker had a turn since.
    said_all: bool,
    _seat: S,
}

/// A body broke off under a reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the body broke off: {}", .0.as_str())]
pub(crate) struct Cut(pub(crate) FailReason);

impl<S> Reader<S> {
    fn took(&mut self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.at += bytes.len() as u64;
        self.taken += bytes.len() as u64;
        if let Some(following) = self.body.lock().readers.get_mut(&self.id) {
            following.at = self.at;
        }
        self.body.moved.notify_one();
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

impl<S: Unpin> Body for Reader<S> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        loop {
            if let Some(loading) = &mut self.loading {
                let loaded = std::task::ready!(Pin::new(loading).poll(cx));
                self.loading = None;
                return match loaded {
                    Ok(Ok(bytes)) => self.took(bytes),
                    Ok(Err(_)) | Err(_) => Poll::Ready(Some(Err(Cut(FailReason::ReaderTooSlow)))),
                };
            }
            let next = {
                let mut inner = self.body.lock();
                let next = inner.next(self.at, self.to);
                if let (Next::Wait, Some(me)) = (&next, inner.readers.get_mut(&self.id)) {
                    me.waker = Some(cx.waker().clone());
                }
                next
            };
            match next {
                Next::Bytes(bytes) => return self.took(bytes),
                Next::File(spill, len) => {
                    let (at, most) = (self.at, (self.taken / 2).max(FIRST_READ));
                    let len = len.min(usize::try_from(most).unwrap_or(usize::MAX));
                    self.loading = Some(tokio::task::spawn_blocking(move || spill.read(at, len)));
                }
                Next::Wait => return Poll::Pending,
                Next::End => return Poll::Ready(None),
                // hyper drops what it has not sent yet at an error: first it gets a turn to send.
                Next::Error(_) if !self.said_all => {
                    self.said_all = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Next::Error(reason) => return Poll::Ready(Some(Err(Cut(reason)))),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        let end = self.to.or_else(|| self.body.length());
        end.map_or_else(SizeHint::new, |end| {
            SizeHint::with_exact(end.saturating_sub(self.at))
        })
    }
}

impl<S> Drop for Reader<S> {
    fn drop(&mut self) {
        self.body.lock().readers.remove(&self.id);
        self.body.moved.notify_one();
    }
}

#[cfg(test)]
mod tests;
