//! A client's connection: cut when it takes too little for too long, reset where an end would be
//! taken for the end of the page, and asked at its end how far the client was.

mod reading;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use common::clock::{Clock as _, Moment};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::sleep;

pub(crate) use self::reading::Terms;
use self::reading::{LEAVES_WITHIN, Reading, takes_more};
use super::round_trip;
use crate::engine::uptake::TooSlow;

/// A client that took less, in bytes, was no visitor: name servers check every proxy all day long,
/// and what they are told is shorter.
const VISIT_LEAST: u64 = 1 << 10;

/// What outlives a connection: whether it is to end with a reset, and how far its client was.
#[derive(Clone, Default, Debug)]
pub(super) struct Parting(Arc<Marks>);

#[derive(Default, Debug)]
struct Marks {
    /// Nobody wants to know the round trip.
    silent: bool,
    reset: AtomicBool,
    /// In microseconds; 0 while nothing is known.
    round_trip: AtomicU64,
}

impl Parting {
    /// Of a connection of whose client nobody wants to know how far it is.
    pub(super) fn silent() -> Self {
        Self(Arc::new(Marks {
            silent: true,
            ..Marks::default()
        }))
    }

    /// Whether the connection has to end with a reset.
    pub(super) fn reset(&self, reset: bool) {
        self.0.reset.store(reset, Ordering::Relaxed);
    }

    /// The round trip to the client, once the connection has ended; zero if it is not known.
    pub(super) fn round_trip(&self) -> Duration {
        Duration::from_micros(self.0.round_trip.load(Ordering::Relaxed))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
    terms: Arc<Terms>,
    /// Bytes that the kernel took.
    written: u64,
    parting: Parting,
    /// What is known of a client that was waited for.
    reader: Option<Box<Reading>>,
}

impl Line {
    /// A connection that came through a listener on which these [terms](Terms::impose) were imposed.
    /// `parting` is what will be known of it when it has ended.
    pub(super) fn new(stream: TcpStream, terms: Arc<Terms>, parting: Parting) -> Self {
        #[cfg(not(target_os = "linux"))]
        drop(stream.set_nodelay(true));
        Self {
            stream,
            terms,
            written: 0,
            parting,
            reader: None,
        }
    }

    /// Keeps account of a write.
    fn account(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.written = self.written.saturating_add(bytes as u64);
                let Some(reader) = &mut self.reader else {
                    return Poll::Ready(Ok(bytes));
                };
                reader.timer = None;
                let now = if reader.uptake.is_waiting() {
                    self.terms.clock.moment()
                } else {
                    Moment::ZERO
                };
                let took = reader.uptake.took(now, bytes as u64);
                reader.suit(&self.stream, &self.terms);
                Poll::Ready(took.map(|()| bytes).map_err(timed_out))
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => self.wait(cx).map(Err),
        }
    }

    /// Waits for the end of the window.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let (patience, written) = (self.terms.patience, self.written);
        let reader = self
            .reader
            .get_or_insert_with(|| Box::new(Reading::new(patience, written)));
        loop {
            let now = self.terms.clock.moment();
            let until = reader.uptake.blocked(now);
            let timer = reader
                .timer
                .get_or_insert_with(|| Box::pin(sleep(until.since(now))));
            std::task::ready!(timer.as_mut().poll(cx));
            reader.timer = None;
            if let Err(slow) = reader.uptake.judge(self.terms.clock.moment()) {
                return Poll::Ready(timed_out(slow));
            }
        }
    }

    /// Nothing more goes out for now: what was granted to a quick client is taken back.
    fn rest(&mut self, cx: &mut Context<'_>) {
        let grants = |reader: &&mut Box<Reading>| {
            // Between two writes of one answer a stream is read from too.
            reader.room.is_some() && !reader.uptake.is_waiting()
        };
        let Some(reader) = self.reader.as_mut().filter(grants) else {
            return;
        };
        reader.leave(&self.stream);
        while !takes_more(&self.stream) {
            let timer = reader
                .timer
                .get_or_insert_with(|| Box::pin(sleep(LEAVES_WITHIN)));
            if timer.as_mut().poll(cx).is_pending() {
                return;
            }
            reader.timer = None;
        }
        reader.left();
    }
}

fn timed_out(slow: TooSlow) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, slow)
}

impl Drop for Line {
    fn drop(&mut self) {
        let marks = &self.parting.0;
        if self.written >= VISIT_LEAST
            && !marks.silent
            && let Some(rtt) = round_trip::of(&self.stream)
        {
            let micros = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX);
            marks.round_trip.store(micros, Ordering::Relaxed);
        }
        if marks.reset.load(Ordering::Relaxed) {
            // With nothing to linger for, closing sends RST. Failing to say so leaves a FIN.
            drop(self.stream.set_zero_linger());
        }
    }
}

/// A stream that may take bytes from a file by itself.
pub(super) trait FromFile {
    /// Whether to let go of it ends it as well as to shut it down before.
    fn ends_by_itself(&self) -> bool {
        false
    }

    /// Whether it does.
    fn takes_files(&self) -> bool {
        false
    }

    /// Whether that spares a copy, so that a file is better than the same bytes in memory.
    fn spares_a_copy(&self) -> bool {
        false
    }

    /// Sends at most `len` bytes of `file`, from `at` on. How many it took.
    fn poll_send_file(
        &mut self,
        _cx: &mut Context<'_>,
        _file: &File,
        _at: u64,
        _len: usize,
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

#[cfg(test)]
impl FromFile for tokio::io::DuplexStream {}

#[cfg(not(target_os = "linux"))]
impl FromFile for Line {}

#[cfg(target_os = "linux")]
impl FromFile for Line {
    fn ends_by_itself(&self) -> bool {
        true
    }

    fn takes_files(&self) -> bool {
        true
    }

    /// The bytes do not come through this process.
    fn spares_a_copy(&self) -> bool {
        true
    }

    fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        file: &File,
        at: u64,
        len: usize,
    ) -> Poll<io::Result<usize>> {
        let sent = loop {
            match self.stream.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
            let sent = self.stream.try_io(Interest::WRITABLE, || {
                let mut at = at;
                let sent = rustix::fs::sendfile(&self.stream, file, Some(&mut at), len);
                sent.map_err(io::Error::from)
            });
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => break Poll::Ready(sent),
            }
        };
        self.account(cx, sent)
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_pending() {
            self.rest(cx);
        }
        read
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.account(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.account(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
