//! HTTP/1 over any stream: the guard with its deadlines, hyper, and the answers that go through it.

use std::convert::Infallible;
use std::error::Error as _;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll, ready};

use common::clock::{Clock as _, SystemClock};
use common::shell::signals::Shutdown;
use http::header::{CONNECTION, DATE};
use http::{HeaderValue, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::spoken::{Spoken, begins_http2, may_be_http2};
use super::{Bounds, Door, http2};
use crate::engine::head::HEAD_MAX;
use crate::engine::http::date;
use crate::engine::http2::Limits;
use crate::engine::share::Denied;
use crate::engine::steps::receive::Seen;
use crate::shell::context::Context;
use crate::shell::downstream::{self, Entry, Serving, Visit};
use crate::shell::guard::{Deadlines, Guard, Link};
use crate::shell::line::{FromFile, Parting};
use crate::shell::metered::{Duties, Metered};
use crate::shell::metrics::InFlight;
use crate::shell::peer;
use crate::shell::plain::PlainDoor;

/// What hyper reads, or takes of an answer beyond what has gone out, at most: a head that
/// [`guard`](crate::shell::guard) let through fits, and what a slow reader makes wait is little more.
const BUFFER_MAX: usize = HEAD_MAX + (8 << 10);

/// What HTTP/1 can be spoken over.
pub(in crate::shell) trait Stream:
    AsyncRead + AsyncWrite + FromFile + Unpin + Send
{
}

impl<S: AsyncRead + AsyncWrite + FromFile + Unpin + Send> Stream for S {}

/// Serves one connection to its end: through the plain door where there is one, and each request that
/// is not for it through the careful one. Who turns out to begin with HTTP/2, where that may be, gets
/// it. `last` is dropped when the connection is gone.
pub(in crate::shell) fn serve<S: Stream>(
    ctx: Arc<Context>,
    spoken: Spoken<S>,
    bounds: Arc<Bounds>,
    shutdown: Shutdown,
    last: impl Send,
) -> impl Future<Output = ()> + Send {
    let Spoken {
        stream,
        read,
        parting,
        entry,
        door,
    } = spoken;
    let mut way = Way {
        parting,
        door,
        bounds,
        shutdown,
    };
    // Made here and not in the future, which would have room for what it is made from too.
    let mut plain = PlainDoor::new(ctx, entry, (stream, read), way.bounds.idle);
    async move {
        let mut first = true;
        if let Some(all) = way.all_carefully(&mut plain) {
            all.await;
        }
        while plain.is_here() {
            tokio::select! {
                biased;
                handed = plain.serve() => if !handed {
                    break;
                },
                () = way.shutdown.draining(), if !plain.is_draining() => {
                    plain.drain(way.shutdown.is_relieved());
                    continue;
                }
            }
            let Some(carefully) = way.carefully(&mut plain, first) else {
                break;
            };
            let Some((stream, read)) = carefully.await else {
                break;
            };
            plain.take_back(stream, read);
            first = false;
        }
        if let Some(error) = plain.ended() {
            way.ended(plain.ctx(), &error);
        }
        drop(plain);
        drop(last);
    }
}

/// A connection that goes on, and what was read of it.
type GivenBack<S> = Option<(S, Vec<u8>)>;

/// What most connections never need, and should not hold room for.
type Rarely<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What does not change on a connection.
struct Way {
    parting: Parting,
    door: Door,
    bounds: Arc<Bounds>,
    shutdown: Shutdown,
}

impl Way {
    fn spoken<S: Stream>(&self, plain: &PlainDoor<S>, stream: S, read: Vec<u8>) -> Spoken<S> {
        Spoken {
            stream,
            read,
            parting: self.parting.clone(),
            entry: Arc::clone(plain.entry()),
            door: self.door,
        }
    }

    fn ended(&self, ctx: &Context, error: &std::io::Error) {
        if error.kind() == std::io::ErrorKind::TimedOut {
            ctx.metrics.connection_cut();
        }
        tracing::debug!(%error, door = ?self.door, "a connection ended early");
    }

    /// The bounds of HTTP/2, if a client may begin with it. Over TLS it was agreed on before.
    fn http2(&self) -> Option<Limits> {
        let in_the_clear = self.bounds.secure.is_none();
        self.bounds.http2.filter(|_| in_the_clear)
    }

    /// Has the request that `plain` hands on served, and whatever is not one. `None` if the connection
    /// is not there any more.
    fn carefully<'a, S: Stream + 'a>(
        &'a self,
        plain: &mut PlainDoor<S>,
        first: bool,
    ) -> Option<Rarely<'a, GivenBack<S>>> {
        let handed = plain.hand()?;
        let only = Only {
            first: handed.asked,
            seen: handed.seen,
            one: true,
        };
        let ctx = Arc::clone(plain.ctx());
        let spoken = self.spoken(plain, handed.stream, handed.read);
        Some(Box::pin(self.next(ctx, spoken, only, first)))
    }

    /// Has everything served without the plain door, if that is how it is.
    fn all_carefully<'a, S: Stream + 'a>(
        &'a self,
        plain: &mut PlainDoor<S>,
    ) -> Option<Rarely<'a, ()>> {
        if self.bounds.plain {
            return None;
        }
        let handed = plain.hand()?;
        let spoken = self.spoken(plain, handed.stream, handed.read);
        let ctx = Arc::clone(plain.ctx());
        Some(Box::pin(self.all_careful(ctx, spoken)))
    }

    /// Serves `only` the request that was handed on; the `first` may turn out to be none. Gives the
    /// connection back with what was read of it, if it goes on.
    async fn next<S: Stream>(
        &self,
        ctx: Arc<Context>,
        mut spoken: Spoken<S>,
        only: Only,
        first: bool,
    ) -> GivenBack<S> {
        if first && may_be_http2(&spoken.read) && self.turned(&mut spoken).await? {
            self.over_http2(ctx, spoken).await;
            return None;
        }
        careful(ctx, spoken, only, &self.bounds, self.shutdown.clone()).await
    }

    /// Serves everything through the careful door, or over HTTP/2.
    async fn all_careful<S: Stream>(&self, ctx: Arc<Context>, mut spoken: Spoken<S>) {
        match self.turned(&mut spoken).await {
            Some(false) => {
                let all = Only {
                    first: None,
                    seen: Seen::default(),
                    one: false,
                };
                let (bounds, shutdown) = (&self.bounds, self.shutdown.clone());
                drop(careful(ctx, spoken, all, bounds, shutdown).await);
            }
            Some(true) => self.over_http2(ctx, spoken).await,
            None => {}
        }
    }

    /// Whether it is HTTP/2 that is spoken. `None` if the client left, or never said a word.
    async fn turned<S: Stream>(&self, spoken: &mut Spoken<S>) -> Option<bool> {
        if self.http2().is_none() {
            return Some(false);
        }
        let begins = timeout(self.bounds.idle, begins_http2(spoken));
        begins.await.ok()?.ok()
    }

    async fn over_http2<S: Stream>(&self, ctx: Arc<Context>, spoken: Spoken<S>) {
        if let Some(limits) = self.http2() {
            let (bounds, shutdown) = (&self.bounds, self.shutdown.clone());
            Box::pin(http2::serve(ctx, spoken, limits, bounds, shutdown)).await;
        }
    }
}

/// What of a connection goes through the careful door.
struct Only {
    /// Whether its first request may be served, if the question was asked.
    first: Option<Result<(), Denied>>,
    /// What was seen on it.
    seen: Seen,
    /// Only one request does.
    one: bool,
}

/// Serves a connection to its end, or `only` the next request. Gives it back with what was read of it, if
/// it goes on.
async fn careful<S: AsyncRead + AsyncWrite + Unpin + Send>(
    ctx: Arc<Context>,
    spoken: Spoken<S>,
    only: Only,
    bounds: &Bounds,
    mut shutdown: Shutdown,
) -> GivenBack<S> {
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
    let mut guarded = Guard::new(stream, read, Arc::clone(&link), ctx.clock, deadlines);
    if only.one {
        guarded = guarded.once();
    }
    let all = !only.one;
    let answered = Arc::clone(&link);
    let answers = Answers {
        ctx: Arc::clone(&ctx),
        entry,
        door,
        link,
        open_ended: Arc::clone(&ends_with_body),
        seen: Mutex::new(only.seen),
        first: Mutex::new(only.first),
        ends: all.then(|| shutdown.clone()),
    };
    let service = service_fn(move |request: Request<Incoming>| answers.exchange(request));
    // Most fields are as many as hyper takes by itself: to name them costs it two tables a request.
    let mut server = http1::Builder::new()
        .max_buf_size(BUFFER_MAX)
        .serve_connection(TokioIo::new(guarded), service);
    let relieved = shutdown.clone();
    let (mut draining, mut told) = (pin!(shutdown.draining()), false);
    let ended = poll_fn(|cx| {
        loop {
            match Pin::new(&mut server).poll(cx) {
                Poll::Ready(ended) => return Poll::Ready(Some(ended)),
                Poll::Pending if answered.is_done() => return Poll::Ready(None),
                Poll::Pending => {}
            }
            if told || draining.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            told = true;
            if all && relieved.is_relieved() {
                // The next answer says that it is the last one: a request that is on its way is not lost.
                return Poll::Pending;
            }
            Pin::new(&mut server).graceful_shutdown();
        }
    });
    match ended.await {
        None => {
            let parts = server.into_parts();
            let (stream, held) = parts.io.into_inner().into_parts();
            // It was given one head and has read that: what it has left is nothing.
            Some((stream, [&*parts.read_buf, &held].concat()))
        }
        Some(Ok(())) => None,
        Some(Err(error)) => {
            // Where the connection's end is the body's, only a reset tells that it is not whole.
            parting.reset(ends_with_body.load(Ordering::Relaxed));
            if was_too_slow(&error) {
                ctx.metrics.connection_cut();
            }
            tracing::debug!(%error, ?door, "a connection ended early");
            None
        }
    }
}

/// What answers the requests of a connection.
struct Answers {
    ctx: Arc<Context>,
    entry: Arc<Entry>,
    door: Door,
    link: Arc<Link>,
    open_ended: Arc<AtomicBool>,
    seen: Mutex<Seen>,
    first: Mutex<Option<Result<(), Denied>>>,
    /// What makes an answer the last of many; `None` where there is only one.
    ends: Option<Shutdown>,
}

impl Answers {
    fn exchange(&self, request: Request<Incoming>) -> Exchange {
        let ctx = &self.ctx;
        let word = self.link.next();
        let visit = Visit {
            last: word.last,
            refused: word.refused,
            asked: lock(&self.first).take(),
        };
        let is_client = self.door == Door::Client;
        let way = Course {
            link: Arc::clone(&self.link),
            clock: ctx.clock,
            old: request.version() < Version::HTTP_11,
            open_ended: Arc::clone(&self.open_ended),
            in_flight: is_client.then(|| ctx.metrics.in_flight()),
            ends: self.ends.clone(),
        };
        let serving = match self.door {
            Door::Client => {
                let mut seen = lock(&self.seen);
                downstream::serve(ctx, &self.entry, visit, request, &mut seen, &way.link)
            }
            Door::Peer => {
                let serving = peer::serve(Arc::clone(ctx), request);
                Serving::Later(Box::pin(async { (serving.await, Duties::default()) }))
            }
        };
        Exchange {
            serving,
            way: Some(way),
        }
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a client was cut off because it took its answer too slowly.
fn was_too_slow(error: &hyper::Error) -> bool {
    let cause = error.source();
    let cause = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::TimedOut)
}

/// What an answer meets on its way to hyper.
struct Course {
    link: Arc<Link>,
    clock: SystemClock,
    /// The client speaks a version in which a body without length ends with the connection.
    old: bool,
    open_ended: Arc<AtomicBool>,
    in_flight: Option<InFlight>,
    ends: Option<Shutdown>,
}

/// A request being answered.
struct Exchange {
    serving: Serving,
    /// `None` once it has been answered.
    way: Option<Course>,
}

impl Future for Exchange {
    type Output = Result<Response<Metered>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let (mut response, mut duties) = ready!(Pin::new(&mut self.serving).poll(cx));
        let Some(way) = self.way.take() else {
            return Poll::Pending;
        };
        way.link.answered();
        if way.ends.is_some_and(|ends| ends.is_relieved()) {
            let fields = response.headers_mut();
            fields.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if !response.headers().contains_key(DATE) {
            // The HTTP library's own date stands still where the calendar is set back.
            let today = date::format(way.clock.wall());
            response.headers_mut().insert(DATE, today);
        }
        let no_length = response.body().size_hint().exact().is_none();
        way.open_ended
            .store(way.old && no_length, Ordering::Relaxed);
        duties.in_flight = way.in_flight;
        Poll::Ready(Ok(Metered::wrap(response, duties, way.link, way.clock)))
    }
}
