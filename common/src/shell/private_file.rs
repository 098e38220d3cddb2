//! Files that their owner alone may read: read only if that is so, and written so.
//!
//! What is in them, and what a caller says when one is refused, is the caller's affair.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use zeroize::Zeroizing;

/// Why a file was not read.
#[derive(Debug)]
pub enum PrivateFileError {
    /// It could not be opened or read.
    Io(io::Error),
    /// Others may read or write it; these are its permission bits.
    Mode(u32),
}

/// The first `most` bytes of the file at `path`, wiped when dropped.
///
/// # Errors
/// The file cannot be read, or others can read it too.
pub fn read(path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let file = File::open(path).map_err(PrivateFileError::Io)?;
    // The mode of the file that is open, so that a swap in between gains nothing.
    let mode = file.metadata().map_err(PrivateFileError::Io)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::Mode(mode));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(PrivateFileError::Io)?;
    Ok(bytes)
}

/// Writes `bytes` to the new file `path` with mode 0600. An existing file is never replaced. The file is there
/// with all its bytes or not at all, whatever happens in between.
///
/// # Errors
/// The file exists or cannot be written.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".aside");
    let aside = Path::new(&aside);
    // What a writer that was killed left.
    drop(fs::remove_file(aside));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let placed = renameat_with(CWD, aside, CWD, path, RenameFlags::NOREPLACE);
    if placed.is_err() {
        drop(fs::remove_file(aside));
    }
    placed?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    File::open(dir.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_a_killed_writer_left_is_no_file_and_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("private");
        fs::write(dir.path().join("private.aside"), b"wo").unwrap();
        assert!(matches!(read(&path, 9), Err(PrivateFileError::Io(_))));
        create(&path, b"words").unwrap();
        assert_eq!(**read(&path, 9).unwrap(), *b"words");
    }

    #[test]
    fn only_its_owner_may_read_it_and_nothing_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("private");
        create(&path, b"words").unwrap();
        assert_eq!(**read(&path, 4).unwrap(), *b"word", "no more than asked");
        let again = create(&path, b"other").unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing is left aside"
        );
        for mode in [0o640, 0o604, 0o620] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(matches!(read(&path, 4), Err(PrivateFileError::Mode(seen)) if seen == mode));
        }
        let none = read(&dir.path().join("none"), 4).unwrap_err();
        assert!(matches!(none, PrivateFileError::Io(_)));
    }
}
