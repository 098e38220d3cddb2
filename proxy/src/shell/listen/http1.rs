//! HTTP/1 over any stream: the guard with its deadlines, hyper, and the answers that go through it.

use std::convert::Infallible;
use std::error::Error as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{self, Poll, ready};

use common::clock::SystemClock;
use common::shell::signals::Shutdown;
use http::{Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Bounds, Door};
use crate::engine::head::HEAD_MAX;
use crate::engine::steps::receive::Seen;
use crate::shell::context::Context;
use crate::shell::downstream::{self, Entry, Serving, Visit};
use crate::shell::guard::{Deadlines, Guard, Link};
use crate::shell::line::Parting;
use crate::shell::metered::{Duties, Metered};
use crate::shell::metrics::InFlight;
use crate::shell::peer;

/// What hyper reads, or takes of an answer beyond what has gone out, at most: a head that
/// [`guard`](crate::shell::guard) let through fits, and what a slow reader makes wait is little more.
const BUFFER_MAX: usize = HEAD_MAX + (8 << 10);

/// A connection on which HTTP/1 is spoken.
pub(super) struct Spoken<S> {
    pub(super) stream: S,
    /// What was read of it already.
    pub(super) read: Vec<u8>,
    pub(super) parting: Parting,
    pub(super) entry: Entry,
    pub(super) door: Door,
}

/// Serves one connection to its end.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(
    ctx: Arc<Context>,
    spoken: Spoken<S>,
    bounds: &Bounds,
    mut shutdown: Shutdown,
) {
    let Spoken {
        stream,
        read,
        parting,
        entry,
        door,
    } = spoken;
    let ends_with_body = Arc::new(AtomicBool::new(false));
    let deadlines = Deadlines {
        idle: bounds.idle,
        head: bounds.header,
    };
    let link = Arc::new(Link::default());
    let guarded = Guard::new(stream, read, Arc::clone(&link), ctx.clock, deadlines);
    let clock = ctx.clock;
    let (open_ended, shared) = (Arc::clone(&ends_with_body), Arc::clone(&ctx));
    let seen = Mutex::new(Seen::default());
    let service = service_fn(move |request: Request<Incoming>| {
        let word = link.next();
        let visit = Visit {
            last: word.last,
            refused: word.refused,
        };
        let way = Way {
            link: Arc::clone(&link),
            clock,
            old: request.version() < Version::HTTP_11,
            open_ended: Arc::clone(&open_ended),
            in_flight: (door == Door::Client).then(|| ctx.metrics.in_flight()),
        };
        let serving = match door {
            Door::Client => {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                downstream::serve(&ctx, &entry, visit, request, &mut seen, &way.link)
            }
            Door::Peer => {
                let serving = peer::serve(Arc::clone(&ctx), request);
                Serving::Later(Box::pin(async { (serving.await, Duties::default()) }))
            }
        };
        Exchange {
            serving,
            way: Some(way),
        }
    });
    // Most fields are as many as hyper takes by itself: to name them costs it two tables a request.
    let server = http1::Builder::new()
        .max_buf_size(BUFFER_MAX)
        .serve_connection(TokioIo::new(guarded), service);
    let mut server = std::pin::pin!(server);
    let ended = tokio::select! {
        ended = &mut server => ended,
        () = shutdown.draining() => {
            server.as_mut().graceful_shutdown();
            server.await
        }
    };
    if let Err(error) = ended {
        // Where the connection's end is the body's, only a reset tells that it is not whole.
        parting.reset(ends_with_body.load(Ordering::Relaxed));
        if was_too_slow(&error) {
            shared.metrics.connection_cut();
        }
        tracing::debug!(%error, ?door, "a connection ended early");
    }
}

/// Whether a client was cut off because it took its answer too slowly.
fn was_too_slow(error: &hyper::Error) -> bool {
    let cause = error.source();
    let cause = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::TimedOut)
}

/// What an answer meets on its way to hyper.
struct Way {
    link: Arc<Link>,
    clock: SystemClock,
    /// The client speaks a version in which a body without length ends with the connection.
    old: bool,
    open_ended: Arc<AtomicBool>,
    in_flight: Option<InFlight>,
}

/// A request being answered.
struct Exchange {
    serving: Serving,
    /// `None` once it has been answered.
    way: Option<Way>,
}

impl Future for Exchange {
    type Output = Result<Response<Metered>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let (response, mut duties) = ready!(Pin::new(&mut self.serving).poll(cx));
        let Some(way) = self.way.take() else {
            return Poll::Pending;
        };
        way.link.answered();
        let no_length = response.body().size_hint().exact().is_none();
        way.open_ended
            .store(way.old && no_length, Ordering::Relaxed);
        duties.in_flight = way.in_flight;
        Poll::Ready(Ok(Metered::wrap(response, duties, way.link, way.clock)))
    }
}
