//! A disk that fails: what it failed with, how it is left alone, and how it comes back.

use std::io;
use std::time::Duration;

use common::clock::Clock as _;
use rustix::io::Errno;

use super::Writer;
use crate::engine::shelf::NotShelved;
use crate::engine::shelf::log::Log;
use crate::shell::store::recover::OpenError;
use crate::shell::store::{Failing, HasShelf, ask};

/// How long a store that was left to another process is not looked at: more than that one needs.
const LEFT_TO_ANOTHER: Duration = Duration::from_secs(5);

/// What is written to see whether the disk is back.
const PROBE: usize = 64 << 10;

impl Writer {
    /// Gives the disk up for a while. What was being written stays in memory only.
    pub(super) fn fail(&mut self, shelf: &dyn HasShelf, error: &io::Error) {
        let what = DiskFault::of(error);
        let undone = std::mem::take(&mut self.underway);
        self.close();
        for spill in undone.named {
            if let Some(id) = spill.id() {
                spill.unshelved();
                // If not even that can be done, it is done at the next start.
                let _ = self.store.disk.remove(&self.store.disk.large(id));
            }
        }
        ask(shelf, |shelf| {
            shelf.switch(false);
            for (ticket, ..) in &undone.puts {
                shelf.not_written(*ticket);
            }
            shelf.untold(undone.removals);
        });
        for _ in undone.puts {
            self.store.counters.not_written(NotShelved::Failed);
        }
        let wait = self.backoff.fail(&mut self.rng);
        let now = self.store.clock.moment();
        let since = self.store.failing().map_or(now, |failing| failing.since);
        self.retry = Some(now + wait);
        self.store.counters.failed(what);
        self.store.set_failing(Some(Failing {
            what,
            error: error.to_string(),
            since,
        }));
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let word = what.as_str();
        tracing::warn!(what = word, %error, wait_ms, "the disk store failed: memory only for a while");
    }

    /// Leaves the store to another process. Unless this one ends first, it is looked at again later: the
    /// other one may not have lived.
    pub(super) fn give_up(&mut self, shelf: &dyn HasShelf) {
        self.close();
        ask(shelf, |shelf| shelf.switch(false));
        self.retry = Some(self.store.clock.moment() + LEFT_TO_ANOTHER);
        // The last thing: from here on it is the other one's.
        self.lock = None;
        tracing::info!("the disk store was left to another process");
    }

    /// Tries whether the disk can be used again.
    pub(super) fn come_back(&mut self, shelf: &dyn HasShelf) -> io::Result<()> {
        if self.lock.is_none() {
            let recovered = match self.store.open() {
                Ok(recovered) => recovered,
                Err(OpenError::Io(error)) => return Err(error),
                Err(error @ OpenError::InUse { .. }) => return Err(io::Error::other(error)),
            };
            let next = (recovered.next_segment, recovered.next_large);
            self.log = Log::new(self.store.budget, next.0, next.1);
            self.lock = Some(recovered.lock);
            self.book.recall(&recovered.recalled);
            shelf.recall(recovered.recalled);
            let found = recovered.shelf;
            ask(shelf, |shelf| *shelf = found);
        }
        let full = self
            .store
            .failing()
            .is_some_and(|failing| failing.what == DiskFault::Full);
        let oldest = ask(shelf, |shelf| shelf.oldest()).flatten();
        if let Some(segment) = oldest.filter(|_| full && self.backoff.failures() > 1) {
            // It may be our own bytes that fill it: a budget larger than the disk.
            self.drop_segment(shelf, segment)?;
        }
        self.probe()
    }

    /// Writes a file, reads it back and removes it.
    fn probe(&self) -> io::Result<()> {
        let disk = &self.store.disk;
        let path = disk.segments().join("probe");
        disk.remove(&path)?;
        let file = disk.create(&path)?;
        let bytes = vec![0x5a; PROBE];
        let tried = disk
            .write_all(&file, &bytes, 0)
            .and_then(|()| disk.read(&file, PROBE, 0));
        disk.remove(&path)?;
        if tried? == bytes {
            Ok(())
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "what was written is not what is read",
            ))
        }
    }

    pub(super) fn came_back(&mut self, shelf: &dyn HasShelf) {
        self.retry = None;
        self.store.set_failing(None);
        ask(shelf, |shelf| shelf.switch(true));
        tracing::info!("the disk store is in use again");
    }
}

/// Whether the process, or the machine, has too many files open: that says nothing of the file.
pub(in crate::shell::store) fn is_out_of_files(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE))
}

/// Why the disk store is left alone for a while.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum DiskFault {
    /// There is no room, or none for us.
    Full,
    /// It can only be read.
    ReadOnly,
    /// We may not.
    Denied,
    /// The directory is gone.
    Vanished,
    /// What is read is not what was written.
    Lying,
    /// The process has as many files open as it may.
    Files,
    /// Something else: an error of input or output, most likely.
    Io,
}

impl DiskFault {
    /// What a disk means by `error`.
    pub(super) fn of(error: &io::Error) -> Self {
        if is_out_of_files(error) {
            return Self::Files;
        }
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::WriteZero => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Vanished,
            io::ErrorKind::InvalidData => Self::Lying,
            _ => Self::Io,
        }
    }

    /// The word for logs and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read_only",
            Self::Denied => "denied",
            Self::Vanished => "vanished",
            Self::Lying => "lying",
            Self::Files => "files",
            Self::Io => "io",
        }
    }
}
