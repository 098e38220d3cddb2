//! The store as a process finds it: the lock, and the index made again from what is on disk.
//!
//! Reads the indexes of the segments and no record: a million objects are 64 MB. What nobody here can
//! read is put aside and said so; what no record speaks of, such as a body whose process died before it
//! had one, is removed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use common::clock::Moment;

use super::disk::Disk;
use crate::engine::purge::book::{self, Recalled};
use crate::engine::shelf::Shelf;
use crate::engine::shelf::elapsed::Stamp;
use crate::engine::shelf::entry::{self, ENTRY_LEN, Large, NoHead};
use crate::engine::shelf::replay::{Found, Tally};

/// Longest index that is read: that of a segment of the smallest records with some to spare. A longer
/// one is not ours.
const INDEX_MAX: u64 = 1 << 30;

/// What was found.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Held for as long as the store is used.
    pub(crate) lock: File,
    pub(crate) shelf: Shelf,
    /// The data files, open for reading.
    pub(crate) segments: BTreeMap<u32, Arc<File>>,
    pub(crate) next_segment: u32,
    pub(crate) next_large: u64,
    pub(crate) tally: Tally,
    /// Orders to purge that were given before.
    pub(crate) recalled: Recalled,
    /// Files that were put aside.
    pub(crate) aside: u64,
}

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// Two would write over each other.
    #[error("{dir} is used by another process{by}; give each its own store.dir")]
    InUse {
        /// The directory.
        dir: String,
        /// Which process, if it said.
        by: String,
    },
    /// The disk does not let us.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Opens the store of `budget` bytes, at `now`.
pub(crate) fn open(
    disk: &Disk,
    budget: u64,
    now: (Moment, &Stamp),
) -> Result<Recovered, OpenError> {
    let lock = lock(disk.root())?;
    disk.make()?;
    let mut recovered = Recovered {
        lock,
        shelf: Shelf::new(budget),
        segments: BTreeMap::new(),
        next_segment: 0,
        next_large: 0,
        tally: Tally::default(),
        recalled: orders(disk, now)?,
        aside: 0,
    };
    let larges = larges(disk, &mut recovered)?;
    // A number that an entry speaks of is not given again, though its file may be gone: the entry would be
    // taken for the new file's after the next start.
    let next_large = Cell::new(recovered.next_large);
    let has = |large: Large| {
        next_large.set(next_large.get().max(large.id.saturating_add(1)));
        larges.get(&large.id) == Some(&large.bytes)
    };
    let segments = segments(disk, &mut recovered)?;
    for segment in segments {
        let taken = take(disk, &mut recovered, segment, now, has);
        if let Err(error) = taken {
            tracing::warn!(segment, %error, "a segment of the disk store cannot be read");
            put_aside(disk, &mut recovered, segment);
        }
    }
    recovered.next_large = next_large.get();
    recovered.shelf.take_loose();
    for id in larges.keys().filter(|id| !recovered.shelf.has_file(**id)) {
        disk.remove(&disk.large(*id))?;
    }
    Ok(recovered)
}

/// The orders that earlier processes wrote down.
fn orders(disk: &Disk, now: (Moment, &Stamp)) -> io::Result<Recalled> {
    let mut bytes = Vec::new();
    match File::open(disk.orders()) {
        Ok(file) => file.take(book::FILE_MAX).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let recalled = book::read(&bytes, now);
    if recalled.damaged {
        tracing::warn!(
            "orders to purge were damaged on disk: all that is kept there is validated before it is used"
        );
    }
    Ok(recalled)
}

/// Takes the lock and writes down who has it.
fn lock(root: &Path) -> Result<File, OpenError> {
    let path = root.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // A bound of its own: it is somebody else's file.
            let read = (&mut file).take(20).read_to_string(&mut pid);
            let by = read.ok().and_then(|_| pid.trim().parse::<u32>().ok());
            return Err(OpenError::InUse {
                dir: root.display().to_string(),
                by: by.map(|pid| format!(" ({pid})")).unwrap_or_default(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

/// The large bodies that are there, with their lengths.
fn larges(disk: &Disk, recovered: &mut Recovered) -> io::Result<BTreeMap<u64, u64>> {
    let mut larges = BTreeMap::new();
    for file in fs::read_dir(disk.larges())? {
        let file = file?;
        let Some(id) = number(file.file_name().as_os_str(), "") else {
            continue;
        };
        recovered.next_large = recovered.next_large.max(id + 1);
        larges.insert(id, file.metadata()?.len());
    }
    Ok(larges)
}

/// The segments that are there, first written first. Data without index holds nothing that is known.
fn segments(disk: &Disk, recovered: &mut Recovered) -> io::Result<Vec<u32>> {
    let mut files: BTreeMap<u32, (bool, bool)> = BTreeMap::new();
    for file in fs::read_dir(disk.segments())? {
        let name = file?.file_name();
        if let Some(segment) = number(&name, ".seg").and_then(|n| u32::try_from(n).ok()) {
            files.entry(segment).or_default().0 = true;
        }
        if let Some(segment) = number(&name, ".idx").and_then(|n| u32::try_from(n).ok()) {
            files.entry(segment).or_default().1 = true;
        }
    }
    if let Some((last, _)) = files.last_key_value() {
        recovered.next_segment = last.saturating_add(1);
    }
    let mut whole = Vec::new();
    for (segment, both) in files {
        if both == (true, true) {
            whole.push(segment);
        } else {
            disk.remove(&disk.data(segment))?;
            disk.remove(&disk.index(segment))?;
        }
    }
    Ok(whole)
}

fn number(name: &OsStr, ending: &str) -> Option<u64> {
    let digits = name.to_str()?.strip_suffix(ending)?;
    let plain = digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| plain)
}

fn take(
    disk: &Disk,
    recovered: &mut Recovered,
    segment: u32,
    now: (Moment, &Stamp),
    has: impl Fn(Large) -> bool,
) -> io::Result<()> {
    let data = File::open(disk.data(segment))?;
    let mut index = Vec::new();
    File::open(disk.index(segment))?
        .take(INDEX_MAX)
        .read_to_end(&mut index)?;
    let stamp = match entry::read_head(&index, segment) {
        Ok(stamp) => stamp,
        Err(NoHead::Version) => return Err(io::Error::other("it is of another version")),
        // Cut off before the first entry, or damaged: nothing in it is known.
        Err(NoHead::Damaged) if index.len() <= ENTRY_LEN => {
            disk.remove(&disk.index(segment))?;
            return disk.remove(&disk.data(segment));
        }
        Err(NoHead::Damaged) => return Err(io::Error::other("its head is damaged")),
    };
    let found = Found {
        segment,
        stamp,
        data: data.metadata()?.len(),
        index: &index[ENTRY_LEN..],
    };
    let tally = recovered.shelf.replay(now, found, has);
    recovered.tally.taken += tally.taken;
    recovered.tally.damaged += tally.damaged;
    recovered.tally.missing += tally.missing;
    recovered.segments.insert(segment, Arc::new(data));
    Ok(())
}

/// Moves the files of a segment out of the way. Where that cannot be done they stay, and are not read.
fn put_aside(disk: &Disk, recovered: &mut Recovered, segment: u32) {
    recovered.aside += 1;
    let aside = disk.aside();
    let moved = fs::create_dir_all(&aside).and_then(|()| {
        for path in [disk.index(segment), disk.data(segment)] {
            if let Some(name) = path.file_name() {
                fs::rename(&path, aside.join(name))?;
            }
        }
        Ok(())
    });
    match moved {
        Ok(()) => tracing::warn!(segment, to = %aside.display(), "it was put aside"),
        Err(error) => tracing::warn!(segment, %error, "it cannot be put aside"),
    }
}
