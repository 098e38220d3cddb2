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
    let entry = Entry {
        scheme: Scheme::Http,
        local_port: came.stream.local_addr().map_or(80, |addr| addr.port()),
        client: came.client.to_canonical(),
    };
    let line = Line::new(came.stream, ctx.clock, bounds.send);
    let parting = line.parting();
    let spoken = Spoken {
        stream: line,
        read: came.read,
        parting: parting.clone(),
        entry: Arc::new(entry),
        door,
    };
    // With it the connection itself is gone, and what is known of it is written down.
    http1::serve(Arc::clone(&ctx), spoken, &bounds, shutdown).await;
    if door == Door::Client {
        ctx.measured(came.client, parting.round_trip());
    }
}
