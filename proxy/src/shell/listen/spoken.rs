//! A connection before it is known who speaks over it, and the look at its first bytes that tells.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::Door;
use crate::engine::http2::purse::PREFACE;
use crate::shell::downstream::Entry;
use crate::shell::line::Parting;

/// Bytes read to see which version is spoken: what most send first fits.
const FIRST_READ: usize = 2 << 10;

/// A connection on which HTTP is spoken.
pub(in crate::shell) struct Spoken<S> {
    pub(in crate::shell) stream: S,
    /// What was read of it already.
    pub(in crate::shell) read: Vec<u8>,
    pub(in crate::shell) parting: Parting,
    pub(in crate::shell) entry: Arc<Entry>,
    pub(in crate::shell) door: Door,
}

/// Whether a client that began with `read` may go on as only HTTP/2 does (RFC 9113 §3.3).
pub(super) fn may_be_http2(read: &[u8]) -> bool {
    let known = read.len().min(PREFACE.len());
    known > 0 && read[..known] == PREFACE[..known]
}

/// Reads as much as tells whether the client begins as only HTTP/2 does.
pub(super) async fn begins_http2<S: AsyncRead + Unpin>(spoken: &mut Spoken<S>) -> io::Result<bool> {
    loop {
        if !spoken.read.is_empty() && !may_be_http2(&spoken.read) {
            return Ok(false);
        }
        if spoken.read.len() >= PREFACE.len() {
            return Ok(true);
        }
        // Most send a whole request, which is not to be cut.
        spoken.read.reserve(FIRST_READ);
        if spoken.stream.read_buf(&mut spoken.read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
