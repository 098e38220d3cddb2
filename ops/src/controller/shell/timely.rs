//! Bodies and connections that get on: whoever neither sends nor takes anything is not waited for.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::engine::document::DOCUMENT_MAX;
use crate::engine::document::release::RATE_MIN;

/// How long somebody has been waited for.
struct Stall {
    silence: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: bool,
}

impl Stall {
    fn new(silence: Duration) -> Self {
        Self {
            silence,
            timer: Box::pin(sleep(silence)),
            waiting: false,
        }
    }

    /// `poll`, or an error once it was pending for too long.
    fn bound<T>(&mut self, poll: Poll<T>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if let Poll::Ready(value) = poll {
            self.waiting = false;
            return Poll::Ready(Ok(value));
        }
        if !self.waiting {
            self.waiting = true;
            self.timer.as_mut().reset(Instant::now() + self.silence);
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// A body with a bound on each silence, and on the whole by its length. A body that does not say its length
/// has the time of a document.
pub(super) struct TimelyBody {
    body: Body,
    stall: Stall,
    end: Pin<Box<Sleep>>,
}

impl TimelyBody {
    pub(super) fn of(body: Body, silence: Duration) -> Body {
        let length = http_body::Body::size_hint(&body).exact();
        let length = length.unwrap_or(DOCUMENT_MAX as u64);
        Body::new(Self {
            body,
            stall: Stall::new(silence),
            end: Box::pin(sleep(silence + Duration::from_secs(length / RATE_MIN))),
        })
    }
}

impl http_body::Body for TimelyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.end.as_mut().poll(context).is_ready() {
            let late = io::Error::from(io::ErrorKind::TimedOut);
            return Poll::Ready(Some(Err(axum::Error::new(late))));
        }
        let frame = Pin::new(&mut self.body).poll_frame(context);
        match ready!(self.stall.bound(frame, context)) {
            Ok(frame) => Poll::Ready(frame),
            Err(late) => Poll::Ready(Some(Err(axum::Error::new(late)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        http_body::Body::size_hint(&self.body)
    }
}

/// A connection whose other end has to take what is written. Its silence is another matter: it may wait
/// for news.
pub(super) struct Timely<S> {
    stream: S,
    stall: Stall,
}

impl<S> Timely<S> {
    pub(super) fn new(stream: S, silence: Duration) -> Self {
        let stall = Stall::new(silence);
        Self { stream, stall }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timely<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, to)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timely<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.stall.bound(written, context).map(Result::flatten)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.stall.bound(flushed, context).map(Result::flatten)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.stall.bound(shut, context).map(Result::flatten)
    }
}
