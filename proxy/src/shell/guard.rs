//! The stream between a client's socket and hyper: hyper sees a head only after
//! [`head`](crate::engine::head) has judged its raw bytes, one whole head at a time.
//!
//! A head that is refused is replaced by a harmless one, so that the answer is made where all
//! answers are made; what was wrong is left in the [`Link`] for it. After such a head, and after one
//! with a body, hyper gets to read nothing more: no byte behind it is ever taken for a request (see
//! ADR 0022). The same place keeps the deadlines for the next head and for the rest of one.

mod link;
#[cfg(test)]
mod tests;

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

pub(crate) use self::link::Link;
use crate::engine::head::{BODY_MAX, Progress, Scanner};
use crate::engine::reason::RefuseReason;

/// What hyper gets to read in place of a head that is refused.
const HARMLESS: &[u8] = b"GET / HTTP/1.1\r\nHost: refused.invalid\r\nConnection: close\r\n\r\n";

/// Bytes taken from the socket at a time when a head does not come in one piece.
const PIECE: usize = 4 << 10;

/// For reading and dropping what a client still sends to a connection that is over: without it the
/// system would throw our answer away together with those bytes.
const LINGER: Duration = Duration::from_secs(1);

/// How long a client has for what it has to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// To begin the next request.
    pub(crate) idle: Duration,
    /// From the first byte of a head to its last.
    pub(crate) head: Duration,
}

/// What the guard waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Awaited {
    Nothing,
    Head,
    Rest,
    End,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Guard<S> {
    inner: S,
    link: std::sync::Arc<Link>,
    clock: SystemClock,
    deadlines: Deadlines,
    scanner: Scanner,
    /// Bytes read and not yet given on.
    held: Vec<u8>,
    /// Of these, as many as have been judged.
    judged: usize,
    /// The client sends no more, or has waited too long to.
    ended: bool,
    /// What it still sends is dropped.
    over: bool,
    heads: u64,
    awaited: Awaited,
    due: Moment,
    timer: Option<Pin<Box<Sleep>>>,
    dropped: u64,
    /// What is left of interim responses that have begun to go out.
    hints: Vec<u8>,
    /// Only one head is given on.
    single: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    /// `held` is what was read of the stream already.
    pub(crate) fn new(
        inner: S,
        held: Vec<u8>,
        link: std::sync::Arc<Link>,
        clock: SystemClock,
        deadlines: Deadlines,
    ) -> Self {
        Self {
            inner,
            link,
            clock,
            deadlines,
            scanner: Scanner::default(),
            held,
            judged: 0,
            ended: false,
            over: false,
            heads: 0,
            awaited: Awaited::Nothing,
            due: Moment::ZERO,
            timer: None,
            dropped: 0,
            hints: Vec::new(),
            single: false,
        }
    }

    /// Gives on one head and no more: see [`Link::is_done`].
    pub(crate) const fn once(mut self) -> Self {
        self.single = true;
        self
    }

    /// The stream, and what was read of it and not given on.
    pub(crate) fn into_parts(self) -> (S, Vec<u8>) {
        (self.inner, self.held)
    }

    /// One head was given on, and no other will be.
    const fn is_spent(&self) -> bool {
        self.single && self.heads > 0 && self.judged == 0
    }

    /// While the one request is being answered: only the stream's end is of interest, and not even
    /// that if the client has sent more already.
    fn look_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            self.ended |= !ready!(self.fill(cx))?;
        }
        if self.ended {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    /// Judges what is held. Whether there is now something to give on.
    fn judge(&mut self) -> bool {
        match self.scanner.scan(&self.held) {
            Progress::More => return false,
            Progress::Complete { len, body } => {
                self.passed(len);
                if body {
                    self.end_with(None);
                    self.held.truncate(len);
                }
            }
            Progress::Refused(reason) => self.refuse(reason),
        }
        true
    }

    fn passed(&mut self, len: usize) {
        self.heads += 1;
        self.judged = len;
        self.scanner = Scanner::default();
        self.awaited = Awaited::Nothing;
    }

    fn refuse(&mut self, reason: RefuseReason) {
        self.held.clear();
        self.held.extend_from_slice(HARMLESS);
        self.passed(HARMLESS.len());
        self.end_with(Some(reason));
    }

    fn end_with(&mut self, reason: Option<RefuseReason>) {
        self.over = true;
        if let Some(reason) = reason {
            // A connection ends once, so it is not set yet.
            let _ = self.link.refused.set(reason);
        }
        self.link.last.store(self.heads, Ordering::Release);
    }

    /// Gives on what has been judged, as far as it fits.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let len = self.judged.min(buf.remaining());
        buf.put_slice(&self.held[..len]);
        self.held.drain(..len);
        self.judged -= len;
        if self.held.is_empty() {
            // An idle connection holds no buffer.
            self.held = Vec::new();
        }
    }

    /// Nothing can be read: waits for what is due. Whether it is overdue.
    fn wait(&mut self, cx: &mut Context<'_>, awaited: Awaited) -> Poll<()> {
        if awaited == Awaited::Head && self.link.serving.load(Ordering::Relaxed) {
            // It is not idle, it is being answered: only its end is looked out for.
            self.awaited = Awaited::Nothing;
            return Poll::Pending;
        }
        if self.awaited != awaited {
            let patience = match awaited {
                Awaited::Nothing | Awaited::Head => self.deadlines.idle,
                Awaited::Rest => self.deadlines.head,
                Awaited::End => LINGER,
            };
            self.awaited = awaited;
            self.due = self.clock.moment() + patience;
        }
        let due = Instant::from_std(self.clock.instant(self.due));
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        // A timer that is early is put off only when it fires: most waits end long before.
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }

    /// Reads into `held`. Whether there was anything.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut piece = [const { MaybeUninit::uninit() }; PIECE];
        let mut piece = ReadBuf::uninit(&mut piece);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut piece))?;
        self.held.extend_from_slice(piece.filled());
        Poll::Ready(Ok(!piece.filled().is_empty()))
    }

    /// Reads a head straight to where it is wanted. It stays there if it is whole, plain and all
    /// there is; else everything is held.
    fn fill_directly(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let read = &buf.filled()[before..];
        if read.is_empty() {
            self.ended = true;
            return Poll::Ready(Ok(()));
        }
        match self.scanner.scan(read) {
            Progress::Complete { len, body: false } if len == read.len() => {
                self.passed(0);
            }
            _ => {
                self.scanner = Scanner::default();
                self.held.extend_from_slice(read);
                buf.set_filled(before);
                self.judge();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and drops what still comes. Ready at the end of it; pending also at the bound.
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.dropped < BODY_MAX {
            self.held.clear();
            if !ready!(self.fill(cx))? {
                return Poll::Ready(Ok(()));
            }
            self.dropped += self.held.len() as u64;
        }
        Poll::Pending
    }

    /// Writes what is left of hints that have begun to go out: nothing else may come between.
    fn finish_hints(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.hints.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.hints))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.hints.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Drops what still comes after our end, within bounds of bytes and time.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.drain(cx) {
            Poll::Pending if self.dropped < BODY_MAX => self.wait(cx, Awaited::End),
            _ => Poll::Ready(()),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.is_spent() && !this.over {
            return this.look_out(cx);
        }
        // What was held behind the head before.
        if this.judged == 0 && !this.held.is_empty() && this.awaited == Awaited::Nothing {
            this.judge();
        }
        loop {
            if this.judged > 0 {
                this.give(buf);
                return Poll::Ready(Ok(()));
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            if this.over {
                return this.drain(cx);
            }
            let (read, awaited) = if this.held.is_empty() {
                let before = buf.filled().len();
                let read = this.fill_directly(cx, buf);
                if read.is_ready() && buf.filled().len() > before {
                    return read;
                }
                (read, Awaited::Head)
            } else {
                let read = this.fill(cx).map_ok(|some| {
                    this.ended |= !some;
                    this.judge();
                });
                (read, Awaited::Rest)
            };
            match read {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    ready!(this.wait(cx, awaited));
                    match awaited {
                        Awaited::Rest => this.refuse(RefuseReason::HeadTimeout),
                        Awaited::Nothing | Awaited::Head | Awaited::End => this.ended = true,
                    }
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.finish_hints(cx))?;
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.finish_hints(cx))?;
        Pin::new(&mut self.inner).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// Whoever flushes has nothing left that it has not written, or it would not be a flush; and
    /// hints are there only while an answer is being made. So here, and only here, they come between
    /// two answers.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.link.hinted.load(Ordering::Relaxed) {
            let hints = self.link.take_hints();
            self.hints.extend_from_slice(&hints);
        }
        ready!(self.finish_hints(cx))?;
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        // What is over does not go back: what still comes on it is no request.
        if self.is_spent() && !self.over && self.link.is_answered() {
            self.link.done.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
        if self.link.is_over() {
            ready!(self.linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
