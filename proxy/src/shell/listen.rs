//! Accept loops: connections with a bound, a deadline for every header, and a polite end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::shell::signals::Shutdown;
use http::{Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::context::Context;
use super::downstream::{self, Outgoing};
use super::line::Line;
use super::peer;

/// Connections waiting to be accepted: a crowd arrives at once.
const BACKLOG: i32 = 1_024;

/// Largest request head in bytes (64 KiB); hyper answers 431 beyond it.
const HEAD_MAX: usize = 64 << 10;

/// Most header fields; hyper answers 431 beyond it.
const FIELDS_MAX: usize = 100;

/// Which door a connection came through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Door {
    /// Clients.
    Client,
    /// Other proxies.
    Peer,
}

/// Bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) connections: usize,
    pub(crate) header: Duration,
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

/// Serves `listener` until the process drains, then finishes what is under way.
pub(crate) async fn serve(
    ctx: Arc<Context>,
    listener: TcpListener,
    door: Door,
    bounds: Bounds,
    mut shutdown: Shutdown,
) {
    let permits = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.draining() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                // Out of descriptors, most likely: give others a moment to return some.
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            ctx.metrics.connection_refused();
            continue;
        };
        let (ctx, shutdown) = (Arc::clone(&ctx), shutdown.clone());
        connections.spawn(async move {
            ctx.metrics.connection_opened();
            connection(Arc::clone(&ctx), stream, door, bounds, shutdown).await;
            ctx.metrics.connection_closed();
            drop(permit);
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
    stream: TcpStream,
    door: Door,
    bounds: Bounds,
    mut shutdown: Shutdown,
) {
    let local_port = stream.local_addr().map_or(80, |addr| addr.port());
    let line = Line::new(stream, ctx.clock, bounds.send);
    let (reset, ends_with_body) = (line.reset_mark(), Arc::new(AtomicBool::new(false)));
    let open_ended = Arc::clone(&ends_with_body);
    let service = service_fn(move |request: Request<Incoming>| {
        let (ctx, open_ended) = (Arc::clone(&ctx), Arc::clone(&open_ended));
        async move {
            let old = request.version() < Version::HTTP_11;
            let response = answer(ctx, door, local_port, request).await;
            let no_length = response.body().size_hint().exact().is_none();
            open_ended.store(old && no_length, Ordering::Relaxed);
            Ok::<Response<Outgoing>, Infallible>(response)
        }
    });
    let server = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header)
        .max_headers(FIELDS_MAX)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(line), service);
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
        reset.set(ends_with_body.load(Ordering::Relaxed));
        tracing::debug!(%error, ?door, "a connection ended early");
    }
}

async fn answer(
    ctx: Arc<Context>,
    door: Door,
    local_port: u16,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    match door {
        Door::Client => downstream::serve(ctx, local_port, request).await,
        Door::Peer => peer::serve(ctx, request).await,
    }
}
