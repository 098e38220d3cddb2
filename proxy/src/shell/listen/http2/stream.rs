//! One request of HTTP/2 on its way back: its head, and its body as fast as the client takes it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use common::clock::{Clock as _, SystemClock};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE,
};
use http::{Response, StatusCode};
use http_body::{Body as _, Frame};
use tokio::time::{Instant, timeout, timeout_at};

use super::LINGER;
use crate::engine::head::BODY_MAX;
use crate::engine::http::date;
use crate::engine::uptake::Uptake;
use crate::shell::body::Cut;
use crate::shell::downstream::{Served, Serving};
use crate::shell::guard::Link;
use crate::shell::metered::Metered;
use crate::shell::metrics::InFlight;

/// Answers up to this size go out at once, if the client's window is open for them.
pub(super) const SHORT: u64 = 16 << 10;

/// What is asked of the client's window at a time.
const PIECE: usize = 64 << 10;

/// Fields that speak of one connection, which HTTP/2 has no use for (RFC 9113 §8.2.2).
const OF_A_CONNECTION: [HeaderName; 5] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// How an answer ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StreamEnd {
    /// All of it went.
    Done,
    /// The client took its request back, or left.
    Left,
    /// The source broke off, and the client was told.
    Broken,
    /// The client took too little for too long.
    TooSlow,
}

/// A request that is to be answered.
pub(super) struct Exchange {
    pub(super) respond: SendResponse<Bytes>,
    /// The client wants no body.
    pub(super) head_only: bool,
    pub(super) link: Arc<Link>,
    pub(super) clock: SystemClock,
    pub(super) in_flight: InFlight,
    /// The window over which the client's reading is judged.
    pub(super) patience: Duration,
}

/// A body that is on its way.
pub(super) struct Rest {
    send: SendStream<Bytes>,
    body: Metered,
    clock: SystemClock,
    uptake: Uptake,
    /// Taken from the body, and not yet given on.
    next: Option<Bytes>,
}

/// Sends what is left of an answer, and then reads and drops what still comes of the request: there
/// are clients that take a reset for the answer.
pub(super) async fn finish(rest: Option<Rest>, body: Option<RecvStream>) -> StreamEnd {
    let end = match rest {
        Some(rest) => rest.finish().await,
        None => StreamEnd::Done,
    };
    if let (StreamEnd::Done, Some(body)) = (end, body) {
        // Whoever sends more has had his answer.
        drop(timeout(LINGER, drain(body)).await);
    }
    end
}

/// Reads to the end, or to as much as is read of any body.
async fn drain(mut body: RecvStream) {
    let mut dropped = 0;
    while dropped < BODY_MAX {
        let Some(Ok(data)) = body.data().await else {
            return;
        };
        dropped += data.len() as u64;
        if body.flow_control().release_capacity(data.len()).is_err() {
            return;
        }
    }
}

impl Exchange {
    /// Waits for the answer, unless the client stops waiting.
    pub(super) async fn wait(
        mut self,
        mut serving: Serving,
        body: Option<RecvStream>,
    ) -> StreamEnd {
        let respond = &mut self.respond;
        let served = poll_fn(|cx| match Pin::new(&mut serving).poll(cx) {
            Poll::Ready(served) => Poll::Ready(Some(served)),
            Poll::Pending => respond.poll_reset(cx).map(|_| None),
        });
        let Some(served) = served.await else {
            return StreamEnd::Left;
        };
        finish(self.answer(served), body).await
    }

    /// Sends the head, and the body if it is short. `None` if that was all.
    pub(super) fn answer(self, (mut response, duties): Served) -> Option<Rest> {
        for name in OF_A_CONNECTION {
            response.headers_mut().remove(name);
        }
        self.send((response, duties))
    }

    /// The same for an answer that says nothing of a connection.
    pub(super) fn send(mut self, (response, mut duties): Served) -> Option<Rest> {
        duties.in_flight = Some(self.in_flight);
        let response = Metered::wrap(response, duties, self.link, self.clock);
        let (mut head, body) = response.into_parts();
        let length = body.size_hint().exact();
        if !head.headers.contains_key(DATE) {
            head.headers.insert(DATE, date::format(self.clock.wall()));
        }
        let framed = !self.head_only && head.status != StatusCode::NOT_MODIFIED;
        if let Some(length) = length.filter(|_| framed)
            && !head.headers.contains_key(CONTENT_LENGTH)
        {
            head.headers
                .insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let over = self.head_only || body.is_end_stream();
        let head = Response::from_parts(head, ());
        // Whoever has left needs no answer.
        let send = self.respond.send_response(head, over).ok()?;
        let rest = Rest {
            send,
            body,
            clock: self.clock,
            uptake: Uptake::new(self.patience),
            next: None,
        };
        if over {
            return None;
        }
        rest.at_once(length)
    }
}

impl Rest {
    /// Sends all of it, if it is here and short and the client's window is open.
    fn at_once(mut self, length: Option<u64>) -> Option<Self> {
        let short = length.filter(|length| *length <= SHORT);
        let Some(length) = short.and_then(|length| usize::try_from(length).ok()) else {
            return Some(self);
        };
        self.send.reserve_capacity(length);
        if self.send.capacity() < length {
            return Some(self);
        }
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut self.body).poll_frame(&mut cx) {
            let data = frame.into_data().unwrap_or_default();
            if data.len() == length {
                drop(self.send.send_data(data, true));
                return None;
            }
            self.next = Some(data);
        }
        Some(self)
    }

    /// Sends what is left of it.
    async fn finish(mut self) -> StreamEnd {
        loop {
            let data = match self.next.take() {
                Some(data) => data,
                None => match self.more().await {
                    Ok(Some(data)) => data,
                    Ok(None) => {
                        drop(self.send.send_data(Bytes::new(), true));
                        return StreamEnd::Done;
                    }
                    Err(end) => return end,
                },
            };
            if let Err(end) = self.give(data).await {
                return end;
            }
        }
    }

    /// More of the body, unless the client leaves.
    async fn more(&mut self) -> Result<Option<Bytes>, StreamEnd> {
        let (body, send) = (&mut self.body, &mut self.send);
        let frame = poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(Ok(frame)),
            Poll::Pending => send.poll_reset(cx).map(|_| Err(StreamEnd::Left)),
        });
        let frame: Option<Result<Frame<Bytes>, Cut>> = frame.await?;
        match frame {
            None => Ok(None),
            Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
            Some(Err(_)) => {
                // RFC 9113 §8.1: so that a part is never taken for the whole.
                self.send.send_reset(Reason::INTERNAL_ERROR);
                Err(StreamEnd::Broken)
            }
        }
    }

    /// Sends `data` as the client's window opens.
    async fn give(&mut self, mut data: Bytes) -> Result<(), StreamEnd> {
        while !data.is_empty() {
            self.send.reserve_capacity(data.len().min(PIECE));
            let open = self.open().await?;
            let piece = data.split_to(open.min(data.len()));
            let took = self.uptake.took(self.clock.moment(), piece.len() as u64);
            took.map_err(|_| self.too_slow())?;
            let sent = self.send.send_data(piece, false);
            sent.map_err(|_| StreamEnd::Left)?;
        }
        Ok(())
    }

    /// How much may be sent; waits until that is something.
    async fn open(&mut self) -> Result<usize, StreamEnd> {
        loop {
            let open = self.send.capacity();
            if open > 0 {
                return Ok(open);
            }
            let until = self.uptake.blocked(self.clock.moment());
            let until = Instant::from_std(self.clock.instant(until));
            let send = &mut self.send;
            match timeout_at(until, poll_fn(|cx| send.poll_capacity(cx))).await {
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(_)) | None) => return Err(StreamEnd::Left),
                Err(_) => {
                    let judged = self.uptake.judge(self.clock.moment());
                    judged.map_err(|_| self.too_slow())?;
                }
            }
        }
    }

    fn too_slow(&mut self) -> StreamEnd {
        self.send.send_reset(Reason::CANCEL);
        StreamEnd::TooSlow
    }
}
