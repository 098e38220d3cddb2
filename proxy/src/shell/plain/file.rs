//! A body that goes from its file to the client, where it can without a way through this process.
//!
//! The system takes what it has in memory at once and makes whoever asks wait for the rest, so each
//! piece is first looked for there, and fetched by a thread that may wait.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::task::{Context as Turn, Poll, ready};

use common::clock::Moment;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::shell::body::{BESIDE_LEAST, SharedBody};
use crate::shell::line::FromFile;
use crate::shell::spill::Spill;

/// Bytes looked for at a time: a disk reads no less at its best, and to look costs two calls.
const PIECE: u64 = 1 << 20;

/// Bytes between two that are looked for: what a system reads ahead at once.
const PROBED: usize = 128 << 10;

/// A file with a body.
enum Source {
    /// Which is all there is in it.
    Spill(Arc<Spill>),
    /// Which begins here, and is in memory as well.
    Beside(Arc<File>, u64),
}

/// See the module.
pub(super) struct FileBody {
    source: Source,
    len: u64,
    /// Bytes before this are in memory, or were a moment ago.
    here: u64,
    /// When this began, if everything before that was in memory without being read.
    found: Option<Moment>,
    loading: Option<JoinHandle<io::Result<()>>>,
}

impl FileBody {
    /// The first `len` bytes of a file.
    pub(super) fn new(spill: Arc<Spill>, len: u64, now: Moment) -> Self {
        let cached = spill.was_cached(now);
        Self {
            source: Source::Spill(spill),
            len,
            here: if cached { len } else { 0 },
            // What was not looked for was not found.
            found: (!cached).then_some(now),
            loading: None,
        }
    }

    /// A body that is in memory too, if its file's bytes are at hand as well: else those in memory are
    /// sooner sent. `len` is not more than a piece.
    pub(super) fn beside(body: &SharedBody, len: u64) -> Option<Self> {
        if !(BESIDE_LEAST..=PIECE).contains(&len) {
            return None;
        }
        let (file, at) = body.beside()?;
        let here = are_here(&file, at, at + len);
        here.then_some(Self {
            source: Source::Beside(file, at),
            len,
            here: len,
            found: None,
            loading: None,
        })
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
        let (file, at) = match &self.source {
            Source::Spill(spill) => (spill.file(), at),
            Source::Beside(file, from) => (&**file, from + at),
        };
        let sent = ready!(stream.poll_send_file(cx, file, at, most))?;
        if sent == 0 {
            // The file is shorter than it was.
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        Poll::Ready(Ok(sent as u64))
    }

    /// Waits until the piece at `at` is in memory.
    fn poll_here(&mut self, cx: &mut Turn<'_>, at: u64) -> Poll<io::Result<()>> {
        let end = self.len.min(at + PIECE);
        let Source::Spill(spill) = &self.source else {
            return Poll::Ready(Ok(()));
        };
        if let Some(loading) = &mut self.loading {
            let loaded = ready!(std::pin::Pin::new(loading).poll(cx));
            self.loading = None;
            loaded.map_err(io::Error::other)??;
        } else if !(spill.is_known(at, end) && are_here(spill.file(), at, end)) {
            self.found = None;
            let spill = Arc::clone(spill);
            let len = usize::try_from(end - at).unwrap_or(0);
            self.loading = Some(spawn_blocking(move || spill.read(at, len).map(drop)));
            return self.poll_here(cx, at);
        }
        self.here = end;
        if let Some(began) = self.found.filter(|_| end == self.len) {
            spill.found_cached(began);
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether the bytes from `start` to `end` can be read without a wait for the disk, by one in so many: pages come
/// and go in runs.
fn are_here(file: &File, start: u64, end: u64) -> bool {
    let mut probes = (start..end).step_by(PROBED).chain([end.saturating_sub(1)]);
    probes.all(|at| is_here(file, at))
}

/// Whether the byte at `at` can be read without a wait for the disk. Where the system does not say, it
/// is taken to be.
#[cfg(target_os = "linux")]
fn is_here(file: &File, at: u64) -> bool {
    use std::io::IoSliceMut;

    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    preadv2(file, &mut bytes, at, ReadWriteFlags::NOWAIT) != Err(Errno::AGAIN)
}

/// Whether the byte at `at` can be read without a wait for the disk.
#[cfg(not(target_os = "linux"))]
const fn is_here(_: &File, _: u64) -> bool {
    true
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::FileExt as _;
    use std::task::Waker;

    use super::*;
    use crate::shell::room::Room;
    use crate::shell::spill::SpillSpace;

    /// Takes bytes as a socket would.
    struct Taker(Vec<u8>);

    impl FromFile for Taker {
        fn poll_send_file(
            &mut self,
            _: &mut Turn<'_>,
            file: &File,
            at: u64,
            len: usize,
        ) -> Poll<io::Result<usize>> {
            let mut piece = vec![0; len.min(10_000)];
            file.read_exact_at(&mut piece, at).unwrap();
            self.0.extend_from_slice(&piece);
            Poll::Ready(Ok(piece.len()))
        }
    }

    #[tokio::test]
    async fn a_body_that_is_on_disk_too_goes_from_there_for_as_long_as_it_is() {
        let page = b"0123456789".repeat(10_000);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[b"before".as_slice(), &page, b"behind"].concat())
            .unwrap();
        let file = Arc::new(file);
        let room = Arc::new(Room::new(1 << 30));
        let body = SharedBody::whole(page.clone().into(), [0; 32], &room);
        let len = page.len() as u64;
        assert!(FileBody::beside(&body, len).is_none());
        body.is_beside(Arc::downgrade(&file), 6);
        assert!(FileBody::beside(&body, BESIDE_LEAST - 1).is_none(), "small");
        let mut from = FileBody::beside(&body, len).unwrap();
        let (mut taker, mut cx) = (Taker(Vec::new()), Turn::from_waker(Waker::noop()));
        while (taker.0.len() as u64) < len {
            let at = taker.0.len() as u64;
            let sent = from.poll_send(&mut cx, &mut taker, at);
            assert!(matches!(sent, Poll::Ready(Ok(1..))));
        }
        assert!(taker.0 == page);
        drop((file, from));
        assert!(FileBody::beside(&body, len).is_none(), "the store let go");
    }

    #[tokio::test]
    async fn a_file_found_in_memory_is_not_looked_for_again_within_a_second() {
        let space = Arc::new(SpillSpace::new(std::env::temp_dir(), 1 << 30));
        let spill = Arc::new(Spill::create(&space).unwrap());
        let page = b"0123456789".repeat(110_000);
        spill.write(&page, 0).unwrap();
        let len = page.len() as u64;
        let at = |millis: u64| Moment::from_nanos((5_000 + millis) * 1_000_000);
        let send = |now: Moment| {
            let mut body = FileBody::new(Arc::clone(&spill), len, now);
            let looks = body.here == 0;
            let (mut taker, mut cx) = (Taker(Vec::new()), Turn::from_waker(Waker::noop()));
            while (taker.0.len() as u64) < len {
                let at = taker.0.len() as u64;
                let sent = body.poll_send(&mut cx, &mut taker, at);
                assert!(matches!(sent, Poll::Ready(Ok(1..))));
            }
            assert!(taker.0 == page);
            looks
        };
        assert!(send(at(0)), "nobody has looked");
        assert!(!send(at(900)));
        assert!(send(at(1_100)), "who did not look found nothing");
        assert!(!send(at(1_200)));
    }
}
