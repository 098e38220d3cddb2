//! The plain door of a client's connection: reads requests, answers those that need nothing but bytes
//! made before, and hands every other one on to the careful door.
//!
//! What is plain, and what answers it, the [engine](crate::engine::hit) says. Here are the bytes: read
//! and written through buffers of the turn that an idle connection does not hold, answers to requests
//! that came together sent together. Whoever gets a request that is handed on gets all bytes from its
//! first on, and may give the connection back.

mod file;
mod look;
mod sending;

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Turn, Poll, ready};
use std::time::Duration;

use common::clock::Moment;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use self::look::Notes;
use self::sending::Sending;
use super::context::Context;
use super::downstream::Entry;
use super::line::FromFile;
use super::ready::AskedFor;
use crate::engine::hit::HandReason;
use crate::engine::hit::request::PLAIN_MAX;
use crate::engine::steps::receive::Seen;

/// Bytes read at a time.
const READ: usize = PLAIN_MAX;

/// The largest body that is copied behind its head. Up to here one copy is cheaper than a second piece
/// for the kernel to look at.
const SMALL_MAX: usize = 16 << 10;

/// The largest head that is answered with here.
const HEAD_ROOM: usize = 8 << 10;

/// Answers that go out together.
const WRITE: usize = 48 << 10;

/// See the module.
pub(crate) struct PlainDoor<S> {
    ctx: Arc<Context>,
    entry: Arc<Entry>,
    /// `None` while the careful door has it.
    stream: Option<S>,
    seen: Seen,
    /// Bytes that were read and not answered. They begin with a request.
    held: Vec<u8>,
    /// Whether that request may be served, if the question was asked.
    asked: AskedFor,
    sending: Option<Box<Sending>>,
    /// No request comes after what is being sent.
    ending: bool,
    /// The process ends: no request comes after the next answer.
    draining: bool,
    /// And the client is waited for, as far as it has nothing under way.
    lingering: bool,
    idle: Duration,
    /// When the last answer went.
    since: Moment,
    timer: Option<Pin<Box<Sleep>>>,
    /// What ended the connection.
    error: Option<Box<io::Error>>,
}

/// What becomes of a connection here.
#[derive(Debug)]
enum Left {
    /// It is over, and was closed if that could be done.
    Over(io::Result<()>),
    /// Its next request is not for this door.
    Hand,
}

/// What is handed on.
#[derive(Debug)]
pub(crate) struct Handed<S> {
    pub(crate) stream: S,
    /// What was read of it, from the request on.
    pub(crate) read: Vec<u8>,
    /// Whether that request may be served, if the question was asked.
    pub(crate) asked: AskedFor,
    pub(crate) seen: Seen,
}

/// Why the gathering of answers stops.
enum Stop {
    /// Every request was answered.
    Empty,
    /// There is no room for another answer.
    Full,
    /// A body follows that goes out by itself.
    Large(sending::Tail),
    /// The connection ends after these.
    Last,
    Hand(HandReason),
}

impl<S: AsyncRead + AsyncWrite + FromFile + Unpin + Send> PlainDoor<S> {
    /// `read` is what was read of `stream` already.
    pub(crate) fn new(
        ctx: Arc<Context>,
        entry: Arc<Entry>,
        (stream, read): (S, Vec<u8>),
        idle: Duration,
    ) -> Self {
        let since = ctx.now();
        Self {
            ctx,
            entry,
            stream: Some(stream),
            seen: Seen::default(),
            held: read,
            asked: None,
            sending: None,
            ending: false,
            draining: false,
            lingering: false,
            idle,
            since,
            timer: None,
            error: None,
        }
    }

    pub(crate) const fn ctx(&self) -> &Arc<Context> {
        &self.ctx
    }

    /// What is the same for all requests of the connection.
    pub(crate) const fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// Whether it has the connection.
    pub(crate) const fn is_here(&self) -> bool {
        self.stream.is_some()
    }

    /// Serves until the connection is over, or a request comes that is to be handed on. Whether it is
    /// that.
    pub(crate) fn serve(&mut self) -> impl Future<Output = bool> + Send {
        std::future::poll_fn(|cx| {
            Poll::Ready(match ready!(self.poll(cx)) {
                Left::Hand => true,
                Left::Over(ended) => {
                    self.error = ended.err().map(Box::new);
                    false
                }
            })
        })
    }

    /// Why the connection ended early, if it did.
    pub(crate) fn ended(&mut self) -> Option<Box<io::Error>> {
        self.error.take()
    }

    /// The next answer is the last. Without a request under way the connection ends, or its next request
    /// is waited for: one that crosses the end of a connection on its way is lost.
    pub(crate) const fn drain(&mut self, lingering: bool) {
        self.draining = true;
        self.lingering = lingering;
    }

    /// Whether it was told so.
    pub(crate) const fn is_draining(&self) -> bool {
        self.draining
    }

    /// Gives up the connection, for the request that is to be handed on.
    pub(crate) fn hand(&mut self) -> Option<Handed<S>> {
        self.timer = None;
        Some(Handed {
            stream: self.stream.take()?,
            read: std::mem::take(&mut self.held),
            asked: self.asked.take(),
            seen: self.seen.clone(),
        })
    }

    /// Takes it back.
    pub(crate) fn take_back(&mut self, stream: S, read: Vec<u8>) {
        self.stream = Some(stream);
        self.held = read;
        self.since = self.ctx.now();
    }

    fn poll(&mut self, cx: &mut Turn<'_>) -> Poll<Left> {
        loop {
            if let Some(error) = ready!(self.send(cx)) {
                return Poll::Ready(Left::Over(Err(error)));
            }
            let Some(stream) = self.stream.as_mut() else {
                return Poll::Ready(Left::Over(Ok(())));
            };
            let idle = self.held.is_empty();
            if self.ending || (self.draining && idle && !self.lingering) {
                return if stream.ends_by_itself() {
                    Poll::Ready(Left::Over(Ok(())))
                } else {
                    Pin::new(stream).poll_shutdown(cx).map(Left::Over)
                };
            }
            if !idle {
                let held = std::mem::take(&mut self.held);
                if let Some(left) = self.answer(cx, &held) {
                    return Poll::Ready(left);
                }
                continue;
            }
            let mut space = [const { MaybeUninit::uninit() }; READ];
            let mut read = ReadBuf::uninit(&mut space);
            match Pin::new(stream).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if read.filled().is_empty() => self.ending = true,
                Poll::Ready(Ok(())) => {
                    if let Some(left) = self.answer(cx, read.filled()) {
                        return Poll::Ready(left);
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Left::Over(Err(error))),
                Poll::Pending => {
                    ready!(self.wait(cx));
                    self.ending = true;
                }
            }
        }
    }

    /// Goes on with what did not go out at once.
    fn send(&mut self, cx: &mut Turn<'_>) -> Poll<Option<io::Error>> {
        let (Some(sending), Some(stream)) = (&mut self.sending, &mut self.stream) else {
            return Poll::Ready(None);
        };
        let sent = ready!(sending.poll(cx, stream));
        self.sending = None;
        self.since = self.ctx.now();
        Poll::Ready(sent.err())
    }

    /// Answers the requests in `bytes`, as far as they go. What remains is held.
    fn answer(&mut self, cx: &mut Turn<'_>, bytes: &[u8]) -> Option<Left> {
        let mut space = [const { MaybeUninit::uninit() }; WRITE];
        let mut out = ReadBuf::uninit(&mut space);
        let mut rest = bytes;
        loop {
            out.clear();
            let mut notes = Notes::new(self.ctx.now());
            let stop = self.gather(&mut rest, &mut out, &mut notes);
            self.since = notes.began();
            notes.made(&self.ctx);
            let large = matches!(stop, Stop::Large(_));
            let sent = if large {
                Ok(0)
            } else {
                self.write(cx, out.filled())
            };
            let sent = match sent {
                Ok(sent) => sent,
                Err(error) => {
                    notes.over(&self.ctx, false);
                    return Some(Left::Over(Err(error)));
                }
            };
            self.ending = matches!(stop, Stop::Last) || (large && notes.last());
            if large || sent < out.filled().len() {
                rest.clone_into(&mut self.held);
                let tail = match stop {
                    Stop::Large(tail) => Some(tail),
                    Stop::Empty | Stop::Full | Stop::Last | Stop::Hand(_) => None,
                };
                let sending = Sending::new(&self.ctx, &out.filled()[sent..], tail, notes);
                self.sending = Some(Box::new(sending));
                return None;
            }
            notes.over(&self.ctx, true);
            match stop {
                Stop::Full => {}
                Stop::Empty | Stop::Last | Stop::Large(_) => return None,
                Stop::Hand(reason) => {
                    rest.clone_into(&mut self.held);
                    self.ctx.metrics.careful(reason);
                    return Some(Left::Hand);
                }
            }
        }
    }

    /// Writes as much of `bytes` as goes out at once, and sees to it that it is on its way. Less than
    /// all means that there is more to do.
    fn write(&mut self, cx: &mut Turn<'_>, bytes: &[u8]) -> io::Result<usize> {
        let Some(stream) = self.stream.as_mut() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let mut sent = 0;
        while sent < bytes.len() {
            match Pin::new(&mut *stream).poll_write(cx, &bytes[sent..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(more)) => sent += more,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        Ok(sent)
    }

    /// Nothing can be read: waits for as long as one may. Whether that is over.
    fn wait(&mut self, cx: &mut Turn<'_>) -> Poll<()> {
        let due = Instant::from_std(self.ctx.clock.instant(self.since + self.idle));
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        // It is put off only when it fires: most waits end long before.
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}
