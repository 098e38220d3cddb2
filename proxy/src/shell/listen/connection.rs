//! One connection: the socket as a [`Line`], and what speaks over it.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use common::shell::signals::Shutdown;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::http1::{self, Spoken};
use super::{Bounds, Door, http2};
use crate::engine::http::key::Scheme;
use crate::engine::http2::purse::PREFACE;
use crate::shell::context::Context;
use crate::shell::downstream::Entry;
use crate::shell::line::Line;
use crate::shell::tls::{Ahead, Secure};

/// Bytes read to see which version is spoken: what most send first fits.
const FIRST_READ: usize = 2 << 10;

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
        entry: Arc::new(entry),
        door,
    };
    // With it the connection itself is gone, and what is known of it is written down.
    match &bounds.secure {
        None => in_the_clear(Arc::clone(&ctx), spoken, &bounds, shutdown).await,
        Some(secure) => {
            // A handshake needs room that plain connections should not hold.
            let talk = over_tls(Arc::clone(&ctx), spoken, secure, &bounds, shutdown);
            Box::pin(talk).await;
        }
    }
    if door == Door::Client {
        ctx.measured(client, parting.round_trip());
    }
}

/// Looks first which version is spoken, where that is to be seen from the first bytes only.
async fn in_the_clear(
    ctx: Arc<Context>,
    mut spoken: Spoken<Line>,
    bounds: &Bounds,
    shutdown: Shutdown,
) {
    let Some(limits) = bounds.http2 else {
        return http1::serve(ctx, spoken, bounds, shutdown).await;
    };
    match timeout(bounds.idle, begins_http2(&mut spoken)).await {
        Ok(Ok(true)) => {
            // Few speak it without TLS, and the others should not hold room for it.
            Box::pin(http2::serve(ctx, spoken, limits, bounds, shutdown)).await;
        }
        Ok(Ok(false)) => http1::serve(ctx, spoken, bounds, shutdown).await,
        // It left, or never said a word.
        Ok(Err(_)) | Err(_) => {}
    }
}

/// Reads as much as tells whether the client begins as only HTTP/2 does (RFC 9113 §3.3).
async fn begins_http2(spoken: &mut Spoken<Line>) -> io::Result<bool> {
    loop {
        let read = &spoken.read;
        let known = read.len().min(PREFACE.len());
        if read[..known] != PREFACE[..known] {
            return Ok(false);
        }
        if known == PREFACE.len() {
            return Ok(true);
        }
        // Most send a whole request, which is not to be cut.
        spoken.read.reserve(FIRST_READ);
        if spoken.stream.read_buf(&mut spoken.read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
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
    let limits = bounds.http2.filter(|_| accepted.is_http2());
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
    match limits {
        Some(limits) => http2::serve(ctx, spoken, limits, bounds, shutdown).await,
        None => http1::serve(ctx, spoken, bounds, shutdown).await,
    }
}
