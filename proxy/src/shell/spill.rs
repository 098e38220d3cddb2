//! Room on disk for bodies that are too large for memory: unlinked files within a byte budget.
//!
//! A spill file has no name, so nothing is left behind whatever happens to the process. Bytes are
//! reserved before they are written; without room the body passes through memory instead.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};

/// The room that all spill files share.
#[derive(Debug)]
pub(crate) struct SpillSpace {
    dir: PathBuf,
    limit: u64,
    used: AtomicU64,
}

impl SpillSpace {
    /// Room for `limit` bytes in `dir`.
    pub(crate) const fn new(dir: PathBuf, limit: u64) -> Self {
        Self {
            dir,
            limit,
            used: AtomicU64::new(0),
        }
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let room = |used: u64| used.checked_add(bytes).filter(|total| *total <= self.limit);
        match self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
        {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "the disk budget is used up",
            )),
        }
    }

    fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// One body's file. Grows at its end only; what is written never changes.
#[derive(Debug)]
pub(crate) struct Spill {
    file: File,
    space: Arc<SpillSpace>,
    reserved: AtomicU64,
}

impl Spill {
    /// A new empty file. Blocks.
    pub(crate) fn create(space: &Arc<SpillSpace>) -> io::Result<Self> {
        let file = tempfile::tempfile_in(&space.dir)?;
        Ok(Self {
            file,
            space: Arc::clone(space),
            reserved: AtomicU64::new(0),
        })
    }

    /// Writes `bytes` at `offset`. Blocks.
    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let len = bytes.len() as u64;
        self.space.reserve(len)?;
        self.reserved.fetch_add(len, Ordering::Relaxed);
        self.file.write_all_at(bytes, offset)
    }

    /// The file, to be sent from.
    pub(crate) const fn file(&self) -> &File {
        &self.file
    }

    /// Reads `len` bytes at `offset`, all of which have been written. Blocks.
    pub(crate) fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut bytes = BytesMut::zeroed(len);
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.freeze())
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        self.space.release(self.reserved.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_to_its_budget_and_gives_room_back() {
        let space = Arc::new(SpillSpace::new(std::env::temp_dir(), 10));
        let one = Spill::create(&space).unwrap();
        one.write(b"12345678", 0).unwrap();
        assert_eq!(one.read(2, 3).unwrap(), "345");
        let two = Spill::create(&space).unwrap();
        let error = two.write(b"abc", 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        drop(one);
        two.write(b"abc", 0).unwrap();
        assert_eq!(space.used(), 3);
    }
}
