//! Bodies in files of their own, within a byte budget: on their way, and for as long as they are kept.
//!
//! A file has no name while it is written, so nothing is left behind whatever happens to the process;
//! once its body is whole the disk store gives it one. Bytes are reserved before they are written;
//! without room the body passes through memory instead. What is read back is checked block by block.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use common::clock::Moment;

use crate::engine::shelf::blocks::{BLOCK, Blocks, Check};
use crate::engine::shelf::entry::Large;

/// Damaged files whose numbers wait for the disk store; more are found again when they are read.
const DAMAGED_MAX: usize = 1_024;

/// How long what the system had in memory is taken to be there still.
const CACHED_FOR: Duration = Duration::from_secs(1);

/// The room that all spill files share.
#[derive(Debug)]
pub(crate) struct SpillSpace {
    dir: PathBuf,
    limit: u64,
    used: AtomicU64,
    damaged: Mutex<Vec<u64>>,
}

impl SpillSpace {
    /// Room for `limit` bytes in `dir`.
    pub(crate) const fn new(dir: PathBuf, limit: u64) -> Self {
        Self {
            dir,
            limit,
            used: AtomicU64::new(0),
            damaged: Mutex::new(Vec::new()),
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

    fn damaged(&self, id: Option<u64>) {
        let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        if damaged.len() < DAMAGED_MAX {
            damaged.extend(id);
        }
    }

    /// The files found damaged since this was asked last.
    pub(crate) fn take_damaged(&self) -> Vec<u64> {
        let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut damaged)
    }
}

#[derive(Debug)]
struct State {
    blocks: Blocks,
    /// Bytes written, one after another; `None` if they were written in another order.
    written: Option<u64>,
    /// Its number in the disk store.
    id: Option<u64>,
    /// Bytes of the budget of bodies under way that it holds.
    reserved: u64,
    /// Which blocks were found right since it was opened; `None` of a file that was written here.
    found_right: Option<Vec<bool>>,
}

/// One body's file. Grows at its end only; what is written never changes.
#[derive(Debug)]
pub(crate) struct Spill {
    file: File,
    space: Arc<SpillSpace>,
    state: Mutex<State>,
    spoilt: AtomicBool,
    /// When all of it was found in the system's memory: nanoseconds of a [`Moment`], 0 for never.
    cached: AtomicU64,
}

impl Spill {
    /// A new empty file. Blocks.
    pub(crate) fn create(space: &Arc<SpillSpace>) -> io::Result<Self> {
        let file = tempfile::tempfile_in(&space.dir)?;
        let state = State {
            blocks: Blocks::default(),
            written: Some(0),
            id: None,
            reserved: 0,
            found_right: None,
        };
        Ok(Self::of(file, space, state))
    }

    /// The file of a whole body that the disk store has, with its checks.
    pub(crate) fn opened(
        file: File,
        space: &Arc<SpillSpace>,
        large: Large,
        checks: Vec<Check>,
    ) -> Self {
        let state = State {
            found_right: Some(vec![false; checks.len()]),
            blocks: Blocks::of(checks),
            written: Some(large.bytes),
            id: Some(large.id),
            reserved: 0,
        };
        Self::of(file, space, state)
    }

    fn of(file: File, space: &Arc<SpillSpace>, state: State) -> Self {
        Self {
            file,
            space: Arc::clone(space),
            state: Mutex::new(state),
            spoilt: AtomicBool::new(false),
            cached: AtomicU64::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes `bytes` at `offset`. Blocks.
    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let len = bytes.len() as u64;
        self.space.reserve(len)?;
        self.state().reserved += len;
        self.file.write_all_at(bytes, offset)?;
        // Only now: readers read to the end of a block as far as it is said to be written.
        let mut state = self.state();
        if state.written == Some(offset) {
            state.blocks.take(bytes);
            state.written = Some(offset + len);
        } else {
            state.written = None;
        }
        Ok(())
    }

    /// Reads `len` bytes at `offset`, all of which have been written, and checks the blocks that they
    /// are in. Blocks.
    pub(crate) fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let (written, ended, id) = {
            let state = self.state();
            (state.written, state.blocks.is_ended(), state.id)
        };
        let read = match written {
            Some(written) => self.read_checked((offset, len), written, ended),
            // Nothing is known of it but that it is ours and young.
            None => self.read_plain(offset, len),
        };
        if read.is_err() {
            self.spoilt.store(true, Ordering::Relaxed);
            self.space.damaged(id);
        }
        read
    }

    fn read_plain(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut bytes = BytesMut::zeroed(len);
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.freeze())
    }

    fn read_checked(
        &self,
        (offset, len): (u64, usize),
        written: u64,
        ended: bool,
    ) -> io::Result<Bytes> {
        let block = BLOCK as u64;
        let first = offset / block;
        let start = first * block;
        let end = (offset + len as u64).next_multiple_of(block).min(written);
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let bytes = self.read_plain(start, size(end - start))?;
        let mut state = self.state();
        for (n, block) in bytes.chunks(BLOCK).enumerate() {
            let n = size(first) + n;
            // A beginning of a block tells nothing, though the block may be whole meanwhile.
            let telling = ended || block.len() == BLOCK;
            if telling && !state.blocks.is_right(n, block) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a block is not what was written",
                ));
            }
            let right = state.found_right.as_mut();
            if let Some(right) = right.and_then(|right| right.get_mut(n)) {
                *right = true;
            }
        }
        drop(state);
        let from = size(offset - start);
        Ok(bytes.slice(from..from + len))
    }

    /// Whether the bytes from `start` to `end` may be sent from memory without being read: this process
    /// wrote them, or found them right.
    pub(crate) fn is_known(&self, start: u64, end: u64) -> bool {
        let state = self.state();
        let block = |at: u64| usize::try_from(at / BLOCK as u64).unwrap_or(usize::MAX);
        let known = |right: &Vec<bool>| {
            let blocks = right.get(block(start)..=block(end.saturating_sub(1)));
            blocks.is_some_and(|blocks| blocks.iter().all(|right| *right))
        };
        state.found_right.as_ref().is_none_or(known)
    }

    /// All of it was in the system's memory, and may be sent from there, when somebody began to look at `now`.
    pub(crate) fn found_cached(&self, now: Moment) {
        self.cached.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// Whether that was less than a second ago. What is asked for so often stays there, and to look again costs
    /// a call for each piece.
    pub(crate) fn was_cached(&self, now: Moment) -> bool {
        let at = self.cached.load(Ordering::Relaxed);
        at > 0 && now.since(Moment::from_nanos(at)) < CACHED_FOR
    }

    /// Whether something else was read from it than had been written.
    pub(crate) fn is_spoilt(&self) -> bool {
        self.spoilt.load(Ordering::Relaxed)
    }

    /// The checks of all of its `length` bytes, if they are known.
    pub(crate) fn checks(&self, length: u64) -> Option<Vec<Check>> {
        let mut state = self.state();
        (state.written == Some(length)).then(|| state.blocks.end().to_vec())
    }

    /// Whether it is the file of `large` with these checks.
    pub(crate) fn is_of(&self, large: Large, checks: &[Check]) -> bool {
        let mut state = self.state();
        let same = (state.id, state.written) == (Some(large.id), Some(large.bytes));
        same && state.blocks.end() == checks
    }

    /// Its number in the disk store, if it has one.
    pub(crate) fn id(&self) -> Option<u64> {
        self.state().id
    }

    /// The disk store has it from now on under this number, and counts its bytes.
    pub(crate) fn shelved(&self, id: u64) {
        let mut state = self.state();
        state.id = Some(id);
        self.space.release(std::mem::take(&mut state.reserved));
    }

    /// The disk store has let it go: whoever still reads it holds its bytes.
    pub(crate) fn unshelved(&self) {
        let mut state = self.state();
        state.id = None;
        state.reserved = state.written.unwrap_or(0);
        // Also beyond the limit: they are there.
        self.space.used.fetch_add(state.reserved, Ordering::Relaxed);
    }

    /// The file itself, to be given a name or sent from.
    pub(crate) const fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        self.space.release(self.state().reserved);
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
        two.shelved(5);
        assert_eq!((space.used(), two.id()), (0, Some(5)));
        two.unshelved();
        assert_eq!((space.used(), two.id()), (3, None));
        drop(two);
        assert_eq!(space.used(), 0);
    }

    #[test]
    fn what_is_still_being_written_can_be_read_at_any_time() {
        let space = Arc::new(SpillSpace::new(std::env::temp_dir(), 1 << 30));
        let spill = Spill::create(&space).unwrap();
        let said = AtomicU64::new(0);
        let piece = [5; 1_500];
        let total = 2_000 * piece.len() as u64;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..2_000 {
                    let at = n * piece.len() as u64;
                    spill.write(&piece, at).unwrap();
                    said.store(at + piece.len() as u64, Ordering::Release);
                }
            });
            while said.load(Ordering::Acquire) < total {
                let here = said.load(Ordering::Acquire);
                let at = here.saturating_sub(700);
                let len = usize::try_from(here - at).unwrap();
                assert_eq!(spill.read(at, len).unwrap().len(), len);
            }
        });
        assert!(!spill.is_spoilt());
    }

    #[test]
    fn what_is_not_as_it_was_written_is_not_read() {
        let space = Arc::new(SpillSpace::new(std::env::temp_dir(), 1 << 20));
        let spill = Spill::create(&space).unwrap();
        let body = vec![7; BLOCK + 1_000];
        spill.write(&body, 0).unwrap();
        let checks = spill.checks(body.len() as u64).unwrap();
        assert_eq!(spill.read(10, BLOCK + 100).unwrap(), body[10..BLOCK + 110]);
        spill.file.write_all_at(b"x", 20).unwrap();
        assert!(spill.read(10, 5).is_err(), "its block is damaged");
        assert_eq!(spill.read(BLOCK as u64, 5).unwrap(), body[..5]);
        assert!(space.take_damaged().is_empty());
        let large = Large {
            id: 3,
            bytes: body.len() as u64,
        };
        let again = Spill::opened(spill.file.try_clone().unwrap(), &space, large, checks);
        assert!(again.read(0, 1).is_err() && again.is_spoilt());
        assert!(again.read(BLOCK as u64, 5).is_ok());
        assert!(again.is_known(BLOCK as u64, BLOCK as u64 + 9) && !again.is_known(0, 9));
        assert!(spill.is_known(0, 9), "it was written here");
        again.file.set_len(BLOCK as u64 + 10).unwrap();
        assert!(again.read(BLOCK as u64, 5).is_err(), "its end is not there");
        assert_eq!(space.take_damaged(), [3, 3]);
    }
}
