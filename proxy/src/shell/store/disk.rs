//! The files of the disk store, through one door that tests can make fail.
//!
//! ```text
//! store.dir/lock            held by the one process that uses the directory
//! store.dir/v1/00000007.seg records of segment 7
//! store.dir/v1/00000007.idx its index
//! store.dir/v1/large/0000002a  a large body
//! store.dir/v1/orders      orders to purge that are remembered
//! store.dir/v1/aside/       what another version, or nobody, wrote: never touched again
//! ```

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, linkat};

use crate::engine::purge::book;

/// What can be done to files. One implementation is the machine's; tests have others.
pub(crate) trait Medium: fmt::Debug + Send + Sync {
    /// A new file, for reading and writing.
    fn create(&self, path: &Path) -> io::Result<File>;
    /// Writes some of `bytes` at `at`.
    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<usize>;
    /// Reads some bytes at `at`.
    fn read_at(&self, file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize>;
    /// Gives a file without a name this one.
    fn link(&self, file: &File, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The machine's file system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine;

impl Medium for Machine {
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
    }

    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
        file.write_at(bytes, at)
    }

    fn read_at(&self, file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        file.read_at(bytes, at)
    }

    fn link(&self, file: &File, path: &Path) -> io::Result<()> {
        let own = format!("/proc/self/fd/{}", file.as_raw_fd());
        linkat(CWD, own, CWD, path, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

/// The directory of a store.
#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
    medium: Box<dyn Medium>,
}

impl Disk {
    pub(crate) fn new(dir: &Path, medium: Box<dyn Medium>) -> Self {
        Self {
            root: dir.to_owned(),
            medium,
        }
    }

    /// The directory of the operator.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    fn version(&self) -> PathBuf {
        self.root.join("v1")
    }

    /// Where segments are.
    pub(crate) fn segments(&self) -> PathBuf {
        self.version()
    }

    /// Where large bodies are.
    pub(crate) fn larges(&self) -> PathBuf {
        self.version().join("large")
    }

    /// Where goes what nobody here can read.
    pub(crate) fn aside(&self) -> PathBuf {
        self.version().join("aside")
    }

    /// The data of a segment.
    pub(crate) fn data(&self, segment: u32) -> PathBuf {
        self.version().join(format!("{segment:08x}.seg"))
    }

    /// The index of a segment.
    pub(crate) fn index(&self, segment: u32) -> PathBuf {
        self.version().join(format!("{segment:08x}.idx"))
    }

    /// A large body.
    pub(crate) fn large(&self, id: u64) -> PathBuf {
        self.larges().join(format!("{id:08x}"))
    }

    /// The orders to purge that are remembered.
    pub(crate) fn orders(&self) -> PathBuf {
        self.version().join(book::NAME)
    }

    /// Makes the directories.
    pub(crate) fn make(&self) -> io::Result<()> {
        fs::create_dir_all(self.larges())
    }

    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        match self.medium.create(path) {
            // Somebody removed the directories.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make()?;
                self.medium.create(path)
            }
            created => created,
        }
    }

    pub(crate) fn link(&self, file: &File, id: u64) -> io::Result<()> {
        self.medium.link(file, &self.large(id))
    }

    /// Removes a file; one that is not there is as good.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        match self.medium.remove(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Writes all of `bytes` at `at`, however little is taken at a time.
    pub(crate) fn write_all(&self, file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.medium.write_at(file, bytes, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = bytes.get(written..).unwrap_or_default();
                    at += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The `len` bytes at `at`.
    pub(crate) fn read(&self, file: &File, len: usize, at: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            let rest = bytes.get_mut(filled..).unwrap_or_default();
            match self.medium.read_at(file, rest, at + filled as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(bytes)
    }
}
