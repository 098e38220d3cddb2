//! Listeners: connections with a bound, a deadline for every header, and a polite end.

mod connection;
mod dismissal;
pub(in crate::shell) mod http1;
mod http2;
mod place;
mod porter;
pub(in crate::shell) mod spoken;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::shell::signals::Shutdown;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

pub(crate) use self::place::Crowd;
use self::porter::Porter;
use super::context::Context;
use super::line::Terms;
use super::tls::Secure;
use crate::engine::http2::Limits;
use crate::engine::net::Net;

/// Connections waiting to be accepted: a crowd arrives at once.
const BACKLOG: i32 = 1_024;

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
    /// How a client's reading is judged; without that a few thousand slow readers are all that a
    /// node can serve.
    pub(crate) terms: Arc<Terms>,
    /// Time for answers under way when the process ends.
    pub(crate) drain: Duration,
    /// The same, when another process serves in this one's place.
    pub(crate) finish: Duration,
    /// How TLS is spoken here; `None` where it is not.
    pub(crate) secure: Option<Arc<Secure>>,
    /// The bounds of HTTP/2; `None` where it is not spoken.
    pub(crate) http2: Option<Limits>,
    /// Whether there is a plain door beside the careful one.
    pub(crate) plain: bool,
}

/// Binds a listener for connections on these `terms`.
pub(crate) fn bind(addr: SocketAddr, terms: &Terms) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    terms.impose(&socket);
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A listener that was handed over, for connections on these `terms`.
pub(crate) fn take(listener: std::net::TcpListener, terms: &Terms) -> std::io::Result<TcpListener> {
    let socket = Socket::from(listener);
    terms.impose(&socket);
    TcpListener::from_std(socket.into())
}

/// A door and who may be inside; several doors may lead to one crowd.
#[derive(Debug)]
pub(crate) struct Doorway {
    pub(crate) listener: TcpListener,
    pub(crate) door: Door,
    pub(crate) crowd: Crowd,
    pub(crate) bounds: Bounds,
}

/// Serves an doorway until the process drains, then finishes what is under way. To be spawned: its
/// turns are meant to alternate with those of the connections.
pub(crate) async fn serve(ctx: Arc<Context>, doorway: Doorway, mut shutdown: Shutdown) {
    let (drain, finish) = (doorway.bounds.drain, doorway.bounds.finish);
    let mut porter = Porter::new(ctx, doorway, shutdown.clone());
    loop {
        tokio::select! {
            () = porter.turn() => {}
            () = shutdown.draining() => break,
        }
    }
    let guests = porter.close();
    let drain = if shutdown.is_relieved() {
        finish
    } else {
        drain
    };
    tokio::select! {
        () = guests.gone() => {}
        () = tokio::time::sleep(drain) => tracing::warn!("connections were still open at the deadline"),
        () = shutdown.abandoned() => {}
    }
}
