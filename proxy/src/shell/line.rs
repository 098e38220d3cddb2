//! A client's connection: cut when it takes too little for too long, reset where an end would be
//! taken for the end of the page, and asked at its end how far the client was.

use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::round_trip;
use crate::engine::uptake::{TooSlow, Uptake};

/// Bytes that wait in the kernel unsent before it takes no more: small enough to see how fast a
/// client reads, large enough to keep a fast one busy between two turns.
#[cfg(target_os = "linux")]
const UNSENT_MOST: u32 = 32 << 10;

/// A client that took less, in bytes, was no visitor: name servers check every proxy all day long,
/// and what they are told is shorter.
const VISIT_LEAST: u64 = 1 << 10;

/// What outlives a connection: whether it is to end with a reset, and how far its client was.
#[derive(Clone, Default, Debug)]
pub(super) struct Parting(Arc<Marks>);

#[derive(Default, Debug)]
struct Marks {
    reset: AtomicBool,
    /// In microseconds; 0 while nothing is known.
    round_trip: AtomicU64,
}

impl Parting {
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
    clock: SystemClock,
    uptake: Uptake,
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes that the kernel took.
    written: u64,
    parting: Parting,
}

impl Line {
    /// `patience` is the window over which a client's reading is judged.
    pub(super) fn new(stream: TcpStream, clock: SystemClock, patience: Duration) -> Self {
        let socket = SockRef::from(&stream);
        // Small answers go out at once; failing to say so only costs time.
        drop(stream.set_nodelay(true));
        #[cfg(target_os = "linux")]
        if let Err(error) = socket
            .set_tcp_user_timeout(Some(patience))
            .and_then(|()| socket.set_tcp_notsent_lowat(UNSENT_MOST))
        {
            tracing::debug!(%error, "no deadline for a client that does not read");
        }
        #[cfg(not(target_os = "linux"))]
        drop(socket);
        Self {
            stream,
            clock,
            uptake: Uptake::new(patience),
            timer: None,
            written: 0,
            parting: Parting::default(),
        }
    }

    /// What will be known of this connection when it has ended.
    pub(super) fn parting(&self) -> Parting {
        self.parting.clone()
    }

    /// Keeps account of a write.
    fn account(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.timer = None;
                self.written = self.written.saturating_add(bytes as u64);
                let now = if self.uptake.is_waiting() {
                    self.clock.moment()
                } else {
                    Moment::ZERO
                };
                let took = self.uptake.took(now, bytes as u64);
                Poll::Ready(took.map(|()| bytes).map_err(timed_out))
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => self.wait(cx).map(Err),
        }
    }

    /// Waits for the end of the window.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let now = self.clock.moment();
            let until = self.uptake.blocked(now);
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep(until.since(now))));
            std::task::ready!(timer.as_mut().poll(cx));
            self.timer = None;
            if let Err(slow) = self.uptake.judge(self.clock.moment()) {
                return Poll::Ready(timed_out(slow));
            }
        }
    }
}

fn timed_out(slow: TooSlow) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, slow)
}

impl Drop for Line {
    fn drop(&mut self) {
        let marks = &self.parting.0;
        if self.written >= VISIT_LEAST
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

/// A stream that may take bytes straight from a file, without a way through this process.
pub(super) trait FromFile {
    /// Whether it does.
    fn takes_files(&self) -> bool {
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

/// What is encrypted goes through the process.
impl<T> FromFile for tokio_rustls::server::TlsStream<T> {}

#[cfg(test)]
impl FromFile for tokio::io::DuplexStream {}

#[cfg(not(target_os = "linux"))]
impl FromFile for Line {}

#[cfg(target_os = "linux")]
impl FromFile for Line {
    fn takes_files(&self) -> bool {
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
        Pin::new(&mut self.stream).poll_read(cx, buf)
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
