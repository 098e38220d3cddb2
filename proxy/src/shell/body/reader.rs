//! One who reads a body while it grows, as hyper wants to see it.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;
use tokio::time::{Timeout, timeout};

use super::{Next, SharedBody};
use crate::engine::reason::FailReason;

/// Bytes read from a file for one who has taken fewer: what is read waits in memory for its taker,
/// so a slow one gets no more at once than half of what it has shown to take.
pub(super) const FIRST_READ: u64 = 32 << 10;

/// How long a piece may take from the disk: somebody waits for it, and may ask elsewhere.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// A piece that is read from the disk.
type Loading = Timeout<JoinHandle<std::io::Result<Bytes>>>;

/// One who reads a body: hyper's view of it. `S` is held until the reader is done.
#[derive(Debug)]
pub(crate) struct Reader<S> {
    body: Arc<SharedBody>,
    id: u64,
    at: u64,
    /// Bytes given out.
    taken: u64,
    to: Option<u64>,
    loading: Option<Pin<Box<Loading>>>,
    /// What came before a break has been given out and its taker had a turn since.
    said_all: bool,
    _seat: S,
}

/// A body broke off under a reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the body broke off: {}", .0.as_str())]
pub(crate) struct Cut(pub(crate) FailReason);

impl<S> Reader<S> {
    /// The reader that `body` knows by `id`, of the bytes from the first to before the second.
    pub(super) const fn of(
        body: Arc<SharedBody>,
        id: u64,
        (at, to): (u64, Option<u64>),
        seat: S,
    ) -> Self {
        Self {
            body,
            id,
            at,
            taken: 0,
            to,
            loading: None,
            said_all: false,
            _seat: seat,
        }
    }

    fn took(&mut self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.at += bytes.len() as u64;
        self.taken += bytes.len() as u64;
        let mut inner = self.body.lock();
        if let Some(following) = inner.readers.get_mut(&self.id) {
            following.at = self.at;
        }
        inner.moved.notify_one();
        drop(inner);
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
                let loaded = std::task::ready!(loading.as_mut().poll(cx));
                self.loading = None;
                return match loaded {
                    Ok(Ok(Ok(bytes))) => self.took(bytes),
                    // The disk may be slow and the file right.
                    Err(_) => Poll::Ready(Some(Err(Cut(FailReason::BodyTimeout)))),
                    Ok(Ok(Err(_)) | Err(_)) => {
                        self.body.spoil();
                        Poll::Ready(Some(Err(Cut(FailReason::Damaged))))
                    }
                };
            }
            let next = {
                let mut inner = self.body.lock();
                let one = self.body.next_of_one(self.at, self.to);
                let next = one.unwrap_or_else(|| inner.next(self.at, self.to));
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
                    let read = tokio::task::spawn_blocking(move || spill.read(at, len));
                    self.loading = Some(Box::pin(timeout(READ_WITHIN, read)));
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
        let mut inner = self.body.lock();
        inner.readers.remove(&self.id);
        inner.moved.notify_one();
    }
}
