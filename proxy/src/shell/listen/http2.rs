//! HTTP/2 over any stream: requests as they come, each answered where all requests are, with the
//! bounds that a connection of many requests needs.
//!
//! The frames are h2's affair, what they may cost is the purse's. An answer that is here and short
//! goes out at once; any other has a task, which ends with the connection. A task holds no more of
//! its body than the client's window takes, and judges how fast that opens.

mod counted;
mod plain;
mod stream;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use common::clock::{Clock as _, Moment, SystemClock};
use common::shell::signals::Shutdown;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use self::counted::{Counted, Gauge};
use self::plain::Batch;
use self::stream::{Exchange, StreamEnd};
use super::Bounds;
use super::spoken::Spoken;
use crate::engine::http2::{Limits, request};
use crate::engine::steps::receive::{FIELDS_BYTES_MAX, Seen};
use crate::shell::context::Context;
use crate::shell::downstream::{self, Entry, Serving, Visit};
use crate::shell::guard::Link;
use crate::shell::tls::Ahead;

/// Bytes of one answer that wait in h2 for their turn on the connection.
const STREAM_BUFFER: usize = 64 << 10;

/// For a client to hear that a connection is over.
const LINGER: Duration = Duration::from_secs(1);

/// Looks at deadlines in the shortest of them.
const LOOKS: u32 = 4;

/// Serves one connection to its end.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(
    ctx: Arc<Context>,
    spoken: Spoken<S>,
    limits: Limits,
    bounds: &Bounds,
    shutdown: Shutdown,
) {
    let gauge = Gauge::new(limits);
    let stream = Ahead::new(spoken.stream, spoken.read);
    let stream = Counted::new(stream, gauge.clone(), ctx.clock);
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(FIELDS_BYTES_MAX).unwrap_or(u32::MAX))
        .max_send_buffer_size(STREAM_BUFFER)
        // Both are counted here, where exceeding them has a name.
        .max_pending_accept_reset_streams(limits.resets as usize + limits.streams as usize)
        .max_local_error_reset_streams(Some(limits.resets as usize));
    let connection = match timeout(bounds.header, builder.handshake(stream)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            tracing::debug!(%error, "no HTTP/2 connection");
            return;
        }
        Err(_) => return,
    };
    let now = ctx.now();
    let session = Session {
        clock: ctx.clock,
        ctx,
        entry: Entry::clone(&spoken.entry),
        bounds,
        gauge,
        connection,
        streams: JoinSet::new(),
        seen: Seen::default(),
        link: Arc::default(),
        busy_at: now,
        leaving: None,
        calmed: false,
    };
    session.run(shutdown).await;
}

/// One connection.
struct Session<'a, S> {
    ctx: Arc<Context>,
    clock: SystemClock,
    entry: Entry,
    bounds: &'a Bounds,
    gauge: Gauge,
    connection: Connection<Counted<S>, Bytes>,
    /// Answers that take their time.
    streams: JoinSet<StreamEnd>,
    seen: Seen,
    /// There are no interim responses here; those who answer want one all the same.
    link: Arc<Link>,
    /// When something was last under way.
    busy_at: Moment,
    /// The client has been told to ask no more, then.
    leaving: Option<Moment>,
    /// It was told to calm down.
    calmed: bool,
}

/// What came since the last look.
#[derive(Default)]
struct Came {
    requests: Vec<(Request<RecvStream>, SendResponse<Bytes>)>,
    over: Option<Result<(), h2::Error>>,
    flooded: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<'_, S> {
    async fn run(mut self, mut shutdown: Shutdown) {
        let shortest = self.bounds.header.min(self.bounds.idle).min(LINGER);
        let mut tick = interval((shortest / LOOKS).max(Duration::from_millis(10)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                came = next(&mut self.connection, &self.gauge, self.calmed) => {
                    if came.flooded {
                        self.calm();
                    }
                    // Who is cut gets nothing any more.
                    if !self.calmed && !came.requests.is_empty() {
                        self.take(came.requests);
                    }
                    if let Some(over) = came.over {
                        return self.over(over);
                    }
                }
                Some(ended) = self.streams.join_next(), if !self.streams.is_empty() => {
                    if let Ok(StreamEnd::TooSlow) = ended {
                        self.ctx.metrics.stream_cut();
                    }
                }
                _ = tick.tick() => if self.is_overdue() {
                    return;
                },
                () = shutdown.draining(), if self.leaving.is_none() => self.leave(),
            }
        }
    }

    /// Answers requests that came together, or has them answered.
    fn take(&mut self, requests: Vec<(Request<RecvStream>, SendResponse<Bytes>)>) {
        let (ctx, entry, link) = (&self.ctx, &self.entry, &self.link);
        let mut batch = Batch::new(ctx, entry, &mut self.seen);
        for (request, respond) in requests {
            let (mut head, body) = request.into_parts();
            let body = (!body.is_end_stream()).then_some(body);
            let exchange = Exchange {
                respond,
                head_only: head.method == http::Method::HEAD,
                link: Arc::clone(link),
                clock: self.clock,
                in_flight: ctx.metrics.in_flight(),
                patience: self.bounds.terms.patience(),
            };
            let mut asked = None;
            if self.bounds.plain && body.is_none() {
                match batch.answer(&head) {
                    Ok(served) => {
                        if let Some(rest) = exchange.send(served) {
                            self.streams.spawn(stream::finish(Some(rest), None));
                        }
                        continue;
                    }
                    Err(not_here) => asked = not_here,
                }
            }
            let visit = Visit {
                last: false,
                refused: request::plain(&mut head, entry.scheme).err(),
                asked,
            };
            let request = Request::from_parts(head, ());
            match downstream::serve(ctx, entry, visit, request, batch.seen(), link) {
                Serving::Now(Some(served)) => {
                    let rest = exchange.answer(served);
                    if rest.is_some() || body.is_some() {
                        self.streams.spawn(stream::finish(rest, body));
                    }
                }
                Serving::Now(None) => {}
                later @ Serving::Later(_) => {
                    self.streams.spawn(exchange.wait(later, body));
                }
            }
        }
        batch.over();
    }

    /// The client asks for nothing, and much of it.
    fn calm(&mut self) {
        if let Some(flood) = self.gauge.flood() {
            self.ctx.metrics.flooded(flood);
            let client = self.entry.client;
            tracing::debug!(%client, what = flood.as_str(), "an HTTP/2 connection was cut");
        }
        self.cut();
    }

    fn cut(&mut self) {
        self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        self.calmed = true;
        self.leaving = Some(self.clock.moment());
    }

    /// Asks the client to take its next request elsewhere.
    fn leave(&mut self) {
        self.connection.graceful_shutdown();
        self.leaving = Some(self.clock.moment());
    }

    /// Looks at the deadlines. Whether the connection has had its time.
    fn is_overdue(&mut self) -> bool {
        let now = self.clock.moment();
        if !self.streams.is_empty() || self.connection.has_streams() {
            self.busy_at = now;
        }
        let idle = now.since(self.busy_at);
        if let Some(since) = self.leaving {
            let over = self.calmed || idle > Duration::ZERO;
            return over && now.since(since) > LINGER;
        }
        let block = self.gauge.block_since().map(|since| now.since(since));
        if block.is_some_and(|after| after >= self.bounds.header) {
            self.cut();
        } else if idle >= self.bounds.idle {
            self.leave();
        }
        false
    }

    fn over(self, how: Result<(), h2::Error>) {
        let Err(error) = how else { return };
        let slow = error.get_io().map(std::io::Error::kind) == Some(std::io::ErrorKind::TimedOut);
        if slow {
            self.ctx.metrics.connection_cut();
        }
        tracing::debug!(%error, "an HTTP/2 connection ended early");
    }
}

/// Moves the connection on until something comes of it. All that it sends goes out together.
async fn next<S: AsyncRead + AsyncWrite + Unpin>(
    connection: &mut Connection<Counted<S>, Bytes>,
    gauge: &Gauge,
    calmed: bool,
) -> Came {
    poll_fn(|cx| {
        let mut came = Came::default();
        gauge.begin();
        let mut held = true;
        came.over = loop {
            match pin!(connection.accept()).poll(cx) {
                Poll::Ready(Some(Ok(request))) => came.requests.push(request),
                Poll::Ready(Some(Err(error))) => break Some(Err(error)),
                Poll::Ready(None) => break Some(Ok(())),
                Poll::Pending if held && came.requests.is_empty() => {
                    // Nobody adds anything: once more, to let it go.
                    held = false;
                    gauge.let_go();
                }
                Poll::Pending => break None,
            }
        };
        gauge.end();
        came.flooded = !calmed && gauge.flood().is_some();
        if came.requests.is_empty() && came.over.is_none() && !came.flooded {
            Poll::Pending
        } else {
            Poll::Ready(came)
        }
    })
    .await
}
