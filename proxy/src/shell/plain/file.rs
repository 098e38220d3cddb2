//! A body that goes from its file to the client without a way through this process.
//!
//! The system takes what it has in memory at once and makes whoever asks wait for the rest, so each
//! piece is first looked for there, and fetched by a thread that may wait.

use std::io;
use std::sync::Arc;
use std::task::{Context as Turn, Poll, ready};

use tokio::task::{JoinHandle, spawn_blocking};

use crate::shell::line::FromFile;
use crate::shell::spill::Spill;

/// Bytes looked for at a time: a disk reads no less at its best, and to look costs two calls.
const PIECE: u64 = 1 << 20;

/// See the module.
pub(super) struct FileBody {
    spill: Arc<Spill>,
    len: u64,
    /// Bytes before this are in memory, or were a moment ago.
    here: u64,
    loading: Option<JoinHandle<io::Result<()>>>,
}

impl FileBody {
    /// The first `len` bytes of a file.
    pub(super) const fn new(spill: Arc<Spill>, len: u64) -> Self {
        Self {
            spill,
            len,
            here: 0,
            loading: None,
        }
    }

    /// Its length.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Sends some of it, from `at` on. How much.
    pub(super) fn poll_send<S: FromFile>(
        &mut self,
        cx: &mut Turn<'_>,
        stream: &mut S,
        at: u64,
    ) -> Poll<io::Result<u64>> {
        if at >= self.here {
            ready!(self.poll_here(cx, at))?;
        }
        let most = usize::try_from(self.here.min(self.len) - at).unwrap_or(usize::MAX);
        let sent = ready!(stream.poll_send_file(cx, self.spill.file(), at, most))?;
        if sent == 0 {
            // The file is shorter than it was.
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        Poll::Ready(Ok(sent as u64))
    }

    /// Waits until the piece at `at` is in memory.
    fn poll_here(&mut self, cx: &mut Turn<'_>, at: u64) -> Poll<io::Result<()>> {
        let end = self.len.min(at + PIECE);
        if let Some(loading) = &mut self.loading {
            let loaded = ready!(std::pin::Pin::new(loading).poll(cx));
            self.loading = None;
            loaded.map_err(io::Error::other)??;
        } else if !(self.spill.is_known(at, end)
            && is_here(&self.spill, at)
            && is_here(&self.spill, end - 1))
        {
            let spill = Arc::clone(&self.spill);
            let len = usize::try_from(end - at).unwrap_or(0);
            self.loading = Some(spawn_blocking(move || spill.read(at, len).map(drop)));
            return self.poll_here(cx, at);
        }
        self.here = end;
        Poll::Ready(Ok(()))
    }
}

/// Whether the byte at `at` can be read without a wait for the disk. Where the system does not say, it
/// is taken to be.
#[cfg(target_os = "linux")]
fn is_here(spill: &Spill, at: u64) -> bool {
    use std::io::IoSliceMut;

    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    preadv2(spill.file(), &mut bytes, at, ReadWriteFlags::NOWAIT) != Err(Errno::AGAIN)
}

/// Whether the byte at `at` can be read without a wait for the disk.
#[cfg(not(target_os = "linux"))]
const fn is_here(_: &Spill, _: u64) -> bool {
    true
}
