//! A body that goes from its file to a client over TLS: read, sealed and written a piece at a time.
//!
//! A piece is read into room of the turn and given away whole, so that nobody holds more of a body than
//! what is sealed and waits for the client. Whoever asks has seen to it that reading does not wait for a disk.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;

use crate::shell::line::FromFile;

/// Bytes of a piece: what rustls seals before it wants to be rid of some, four whole records.
const PIECE: usize = 64 << 10;

impl<S: AsyncRead + AsyncWrite + Unpin> FromFile for TlsStream<S> {
    fn takes_files(&self) -> bool {
        cfg!(target_os = "linux")
    }

    fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        file: &File,
        at: u64,
        len: usize,
    ) -> Poll<io::Result<usize>> {
        let mut stream = Pin::new(self);
        // What is sealed goes first. Then there is room for a whole piece, and none is read twice.
        ready!(stream.as_mut().poll_flush(cx))?;
        let mut room = [const { MaybeUninit::uninit() }; PIECE];
        let (piece, _) = rustix::io::pread(file, &mut room[..len.min(PIECE)], at)?;
        if piece.is_empty() {
            return Poll::Ready(Ok(0));
        }
        stream.poll_write(cx, piece)
    }
}
