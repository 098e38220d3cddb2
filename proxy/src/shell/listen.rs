//! Accept loops: connections with a bound, a deadline for every header, and a polite end.

use std::convert::Infallible;
use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll, ready};
use std::time::Duration;

use common::clock::SystemClock;
use common::netaddr::Prefix;
use common::shell::signals::Shutdown;
use http::{Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::context::Context;
use super::downstream::{self, Serving, Visit};
use super::guard::{Deadlines, Guard, Link};
use super::line::Line;
use super::metered::{Duties, Metered};
use super::metrics::InFlight;
use super::peer;
use crate::engine::head::HEAD_MAX;
use crate::engine::net::Net;
use crate::engine::share::connections::Connections;
use crate::engine::steps::receive::Seen;

/// Connections waiting to be accepted: a crowd arrives at once.
const BACKLOG: i32 = 1_024;

/// What hyper reads, or takes of an answer beyond what has gone out, at most: a head that
/// [`guard`](super::guard) let through fits, and what a slow reader makes wait is little more.
const BUFFER_MAX: usize = HEAD_MAX + (8 << 10);

/// Which door a connection came through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Door {
    /// Clients.
    Client,
    /// Other proxies.
    Peer,
}

/// Bounds of a listener.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) connections: usize,
    /// Of one client neighbourhood.
    pub(crate) per_client: usize,
    /// To whom that does not apply.
    pub(crate) exempt: Vec<Net>,
    pub(crate) header: Duration,
    pub(crate) idle: Duration,
    /// The window over which a client has to take enough of what it asked for; without it a few
    /// thousand slow readers are all that a node can serve.
    pub(crate) send: Duration,
    /// Time for answers under way when the process ends.
    pub(crate) drain: Duration,
}

/// Binds a listener.
pub(crate) fn bind(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Connections of each client, shared by the tasks that hold them.
type Crowd = Arc<Mutex<Connections>>;

/// A connection's place among those of its client; given up with it.
struct Place {
    crowd: Crowd,
    client: Prefix,
}

impl Place {
    /// A place for one more connection of `client`, if it may have one.
    fn take(crowd: &Crowd, client: IpAddr, bounds: &Bounds) -> Option<Self> {
        let exempt = bounds.exempt.iter().any(|net| net.contains(client));
        let most = if exempt {
            usize::MAX
        } else {
            bounds.per_client
        };
        let place = Self {
            crowd: Arc::clone(crowd),
            client: Prefix::of(client),
        };
        let came = place.lock().came(place.client, most);
        if came {
            Some(place)
        } else {
            // It has no place that it could give up.
            std::mem::forget(place);
            None
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lock().left(self.client);
    }
}

/// Serves `listener` until the process drains, then finishes what is under way.
pub(crate) async fn serve(
    ctx: Arc<Context>,
    listener: TcpListener,
    door: Door,
    bounds: Bounds,
    mut shutdown: Shutdown,
) {
    let bounds = Arc::new(bounds);
    let permits = Arc::new(Semaphore::new(bounds.connections));
    let crowd = Crowd::default();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.draining() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                // Out of descriptors, most likely: give others a moment to return some.
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            ctx.metrics.connection_refused("full");
            continue;
        };
        let Some(place) = Place::take(&crowd, from.ip(), &bounds) else {
            ctx.metrics.connection_refused("client");
            continue;
        };
        let (ctx, shutdown) = (Arc::clone(&ctx), shutdown.clone());
        let bounds = Arc::clone(&bounds);
        connections.spawn(async move {
            ctx.metrics.connection_opened();
            let line = (stream, from.ip());
            connection(Arc::clone(&ctx), line, door, bounds, shutdown).await;
            ctx.metrics.connection_closed();
            drop((permit, place));
        });
    }
    drop(listener);
    let over = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = over => {}
        () = sleep(bounds.drain) => tracing::warn!("connections were still open at the deadline"),
        () = shutdown.abandoned() => {}
    }
}

async fn connection(
    ctx: Arc<Context>,
    (stream, client): (TcpStream, IpAddr),
    door: Door,
    bounds: Arc<Bounds>,
    mut shutdown: Shutdown,
) {
    let local_port = stream.local_addr().map_or(80, |addr| addr.port());
    let line = Line::new(stream, ctx.clock, bounds.send);
    let (parting, ends_with_body) = (line.parting(), Arc::new(AtomicBool::new(false)));
    let deadlines = Deadlines {
        idle: bounds.idle,
        head: bounds.header,
    };
    let link = Arc::new(Link::default());
    let guarded = Guard::new(line, Arc::clone(&link), ctx.clock, deadlines);
    let clock = ctx.clock;
    let (open_ended, shared) = (Arc::clone(&ends_with_body), Arc::clone(&ctx));
    let seen = Mutex::new(Seen::default());
    let service = service_fn(move |request: Request<Incoming>| {
        let word = link.next();
        let visit = Visit {
            local_port,
            client: client.to_canonical(),
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
                downstream::serve(Arc::clone(&ctx), visit, request, &mut seen, &way.link)
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
    let talk = async {
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
    };
    // With it the connection itself is gone, and what is known of it is written down.
    talk.await;
    if door == Door::Client {
        shared.measured(client, parting.round_trip());
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
