//! One connection: the socket as a [`Line`], and what speaks over it.

use std::net::IpAddr;
use std::sync::Arc;

use common::shell::signals::Shutdown;
use tokio::net::TcpStream;

use super::http1::{self, Spoken};
use super::{Bounds, Door};
use crate::engine::http::key::Scheme;
use crate::shell::context::Context;
use crate::shell::downstream::Entry;
use crate::shell::line::Line;
use crate::shell::tls::{Ahead, Secure};

/// A client as it came: its connection, its address, and what was read of its request already.
pub(super) struct Came {
    pub(super) stream: TcpStream,
    pub(super) client: IpAddr,
    pub(super) read: Vec<u8>,
}

/// Serves one connection to its end.
pub(super) async fn serve(
    ctx: Arc<Context>,
    came: Came,
    door: Door,
    bounds: Arc<Bounds>,
    shutdown: Shutdown,
) {
    let client = came.client;
    let entry = Entry {
        scheme: Scheme::Http,
        local_port: came.stream.local_addr().map_or(80, |addr| addr.port()),
        client: client.to_canonical(),
        shown: None,
    };
    let line = Line::new(came.stream, ctx.clock, bounds.send);
    let parting = line.parting();
    let spoken = Spoken {
        stream: line,
        read: came.read,
        parting: parting.clone(),
        entry,
        door,
    };
    // With it the connection itself is gone, and what is known of it is written down.
    match &bounds.secure {
        None => http1::serve(Arc::clone(&ctx), spoken, &bounds, shutdown).await,
        Some(secure) => over_tls(Arc::clone(&ctx), spoken, secure, &bounds, shutdown).await,
    }
    if door == Door::Client {
        ctx.measured(client, parting.round_trip());
    }
}

/// Shakes hands first.
async fn over_tls(
    ctx: Arc<Context>,
    spoken: Spoken<Line>,
    secure: &Secure,
    bounds: &Bounds,
    shutdown: Shutdown,
) {
    let accepted = secure.accept(Ahead::new(spoken.stream, spoken.read)).await;
    ctx.metrics.handshake(match &accepted {
        Ok(accepted) => accepted.end,
        Err(end) => *end,
    });
    let Ok(accepted) = accepted else { return };
    let spoken = Spoken {
        stream: accepted.stream,
        read: Vec::new(),
        parting: spoken.parting,
        entry: Entry {
            scheme: Scheme::Https,
            shown: Some(accepted.shown),
            ..spoken.entry
        },
        door: spoken.door,
    };
    http1::serve(ctx, spoken, bounds, shutdown).await;
}
