//! The stream below HTTP/2: what comes is shown to the purse, what goes is gathered.
//!
//! h2 flushes after each frame of data. So that ten short answers are one record and one system call,
//! flushing waits until the connection is [let go](Gauge::let_go). And it reads again before each request that
//! it gives on: what had nothing to read is not asked again in the same turn.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use common::clock::{Clock as _, Moment, SystemClock};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::engine::http2::Limits;
use crate::engine::http2::purse::{Flood, Purse};

/// Bytes that are gathered: one record of TLS.
const GATHERED_MAX: usize = 16 << 10;

/// Bytes read and dropped of a client that was cut, so that it gets to read why.
const DROPPED_MAX: usize = 256 << 10;

/// What the stream and its owner tell each other.
#[derive(Clone, Debug)]
pub(super) struct Gauge(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    purse: Mutex<Purse>,
    /// A turn of the connection is under way.
    turn: AtomicBool,
    /// A flush waits for more.
    held: AtomicBool,
    /// In this turn there is nothing more to read, and whoever waits for more will be woken.
    dry: AtomicBool,
}

impl Gauge {
    pub(super) fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared {
            purse: Mutex::new(Purse::new(limits)),
            turn: AtomicBool::new(false),
            held: AtomicBool::new(false),
            dry: AtomicBool::new(false),
        }))
    }

    fn purse(&self) -> MutexGuard<'_, Purse> {
        let purse = self.0.purse.lock();
        purse.unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn of the connection begins, in which all is done with one waker. What is sent waits.
    pub(super) fn begin(&self) {
        self.0.turn.store(true, Ordering::Relaxed);
        self.0.held.store(true, Ordering::Relaxed);
        self.0.dry.store(false, Ordering::Relaxed);
    }

    /// What is sent goes out.
    pub(super) fn let_go(&self) {
        self.0.held.store(false, Ordering::Relaxed);
    }

    /// The turn is over.
    pub(super) fn end(&self) {
        self.let_go();
        self.0.turn.store(false, Ordering::Relaxed);
        self.0.dry.store(false, Ordering::Relaxed);
    }

    fn is_dry(&self) -> bool {
        self.0.dry.load(Ordering::Relaxed)
    }

    fn ran_dry(&self) {
        let turn = self.0.turn.load(Ordering::Relaxed);
        self.0.dry.store(turn, Ordering::Relaxed);
    }

    fn is_held(&self) -> bool {
        self.0.held.load(Ordering::Relaxed)
    }

    /// See [`Purse::flood`].
    pub(super) fn flood(&self) -> Option<Flood> {
        self.purse().flood()
    }

    /// See [`Purse::block_since`].
    pub(super) fn block_since(&self) -> Option<Moment> {
        self.purse().block_since()
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Counted<S> {
    inner: S,
    gauge: Gauge,
    clock: SystemClock,
    /// Gathered, and not yet written.
    out: Vec<u8>,
    dropped: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Counted<S> {
    pub(super) const fn new(inner: S, gauge: Gauge, clock: SystemClock) -> Self {
        Self {
            inner,
            gauge,
            clock,
            out: Vec::new(),
            dropped: 0,
        }
    }

    /// Writes all that was gathered.
    fn let_go(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut done = 0;
        let written = loop {
            if done == self.out.len() {
                break Poll::Ready(Ok(()));
            }
            match Pin::new(&mut self.inner).poll_write(cx, &self.out[done..]) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => done += written,
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        if done == self.out.len() {
            // An idle connection holds no buffer.
            self.out = Vec::new();
        } else {
            self.out.drain(..done);
        }
        self.gauge.purse().took(done as u64);
        written
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.gauge.flood().is_some() {
            // Whoever owns the connection is about to end it.
            return Poll::Pending;
        }
        if this.gauge.is_dry() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buf);
        if read.is_pending() {
            this.gauge.ran_dry();
        }
        ready!(read)?;
        let read = &buf.filled()[before..];
        this.gauge.purse().sent(this.clock.moment(), read);
        if this.gauge.flood().is_some() {
            buf.set_filled(before);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let all: usize = pieces.iter().map(|piece| piece.len()).sum();
        if this.out.len() + all > GATHERED_MAX {
            ready!(this.let_go(cx))?;
        }
        if all > GATHERED_MAX {
            let written = Pin::new(&mut this.inner).poll_write_vectored(cx, pieces);
            let written = ready!(written)?;
            this.gauge.purse().took(written as u64);
            return Poll::Ready(Ok(written));
        }
        for piece in pieces {
            this.out.extend_from_slice(piece);
        }
        Poll::Ready(Ok(all))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gauge.is_held() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.let_go(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.let_go(cx))?;
        ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
        // With bytes of the client unread, the system would take ours back.
        let mut piece = [0; 4 << 10];
        while self.dropped < DROPPED_MAX {
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut piece))?;
            if piece.filled().is_empty() {
                break;
            }
            self.dropped += piece.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}
