//! One connection: the socket as a [`Line`], and what speaks over it.
//!
//! What a future is given when it is made has its room in it twice, as an argument and as a variable;
//! there may be thousands that only wait. So connections in the clear are put together before their
//! future is made, and what few of them need is boxed.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use common::shell::signals::Shutdown;
use tokio::net::TcpStream;

use super::http1;
use super::place::Place;
use super::spoken::Spoken;
use super::{Bounds, Door, http2};
use crate::engine::http::key::Scheme;
use crate::shell::context::Context;
use crate::shell::downstream::Entry;
use crate::shell::line::{Line, Parting};
use crate::shell::tls::{Ahead, Secure};

/// A client as it came: its connection, its address, where it came to, and what was read of its request
/// already.
pub(super) struct Came {
    pub(super) stream: TcpStream,
    pub(super) client: IpAddr,
    pub(super) local_port: u16,
    pub(super) read: Vec<u8>,
    pub(super) place: Place,
}

/// What is to be done when a connection is over and gone.
pub(super) struct Last {
    ctx: Arc<Context>,
    /// `None` if it was no client's.
    parting: Option<Parting>,
    place: Place,
}

impl Drop for Last {
    fn drop(&mut self) {
        self.ctx.metrics.connection_closed();
        if let Some(parting) = &self.parting {
            self.ctx.measured(self.place.client(), parting.round_trip());
        }
    }
}

/// What speaks over the connection that `came`, and what is to be done when it does no more.
pub(super) fn speak(
    ctx: &Arc<Context>,
    came: Came,
    door: Door,
    bounds: &Bounds,
) -> (Spoken<Line>, Last) {
    let client = came.client;
    let measured = door == Door::Client && ctx.measures();
    let parting = if measured {
        Parting::default()
    } else {
        Parting::silent()
    };
    let entry = Entry {
        scheme: Scheme::Http,
        local_port: came.local_port,
        client: client.to_canonical(),
        shown: None,
    };
    let terms = Arc::clone(&bounds.terms);
    let spoken = Spoken {
        stream: Line::new(came.stream, terms, parting.clone()),
        read: came.read,
        parting: parting.clone(),
        entry: Arc::new(entry),
        door,
    };
    ctx.metrics.connection_opened();
    let last = Last {
        ctx: Arc::clone(ctx),
        parting: measured.then_some(parting),
        place: came.place,
    };
    (spoken, last)
}

/// Shakes hands, and serves a connection to its end. Boxed: a handshake needs room.
pub(super) fn over_tls(
    ctx: Arc<Context>,
    (spoken, last): (Spoken<Line>, impl Send + 'static),
    secure: Arc<Secure>,
    bounds: Arc<Bounds>,
    shutdown: Shutdown,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if let Some((spoken, http2)) = shaken(&ctx, spoken, &secure).await {
            match bounds.http2.filter(|_| http2) {
                Some(limits) => {
                    Box::pin(http2::serve(ctx, spoken, limits, &bounds, shutdown)).await;
                    drop(last);
                }
                None => Box::pin(http1::serve(ctx, spoken, bounds, shutdown, last)).await,
            }
        }
    })
}

/// Shakes hands. What is spoken then, and whether that is HTTP/2.
async fn shaken(
    ctx: &Context,
    spoken: Spoken<Line>,
    secure: &Secure,
) -> Option<(Spoken<impl http1::Stream + use<>>, bool)> {
    let accepted = secure.accept(Ahead::new(spoken.stream, spoken.read)).await;
    ctx.metrics.handshake(match &accepted {
        Ok(accepted) => accepted.end,
        Err(end) => *end,
    });
    let accepted = accepted.ok()?;
    let http2 = accepted.is_http2();
    let spoken = Spoken {
        stream: accepted.stream,
        read: Vec::new(),
        parting: spoken.parting,
        entry: Arc::new(Entry {
            scheme: Scheme::Https,
            shown: Some(accepted.shown),
            ..Entry::clone(&spoken.entry)
        }),
        door: spoken.door,
    };
    Some((spoken, http2))
}

#[cfg(test)]
#[cfg(target_pointer_width = "64")]
mod tests {
    use super::super::porter::Guest;
    use super::*;

    fn made_by<C, S, B, D, L, F>(_: impl FnOnce(C, S, B, D, L) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_is_a_task_of_640_bytes() {
        let serve = |ctx, spoken: Spoken<Line>, bounds, shutdown, last: (Last, Guest)| {
            http1::serve(ctx, spoken, bounds, shutdown, last)
        };
        let size = made_by(serve);
        // The runtime adds 104, and rounds up to 128.
        assert!(size + 104 <= 640, "{size}");
    }
}
