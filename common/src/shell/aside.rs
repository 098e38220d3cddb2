//! Files that are replaced as a whole: written aside and renamed, so that who reads one finds the old one or the
//! new one, never a part. Of two who write the same file at once nothing is promised.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// What a file is to outlive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outlives {
    /// The process that writes it.
    Process,
    /// The power: when the call returns the file is on the disk.
    Power,
}

/// Puts a file of `bytes` at `path`, in the place of the one that is there.
///
/// # Errors
/// What the file system said; the old file is still there, or the new one is.
pub fn replace(path: &Path, bytes: &[u8], outlives: Outlives) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".aside");
    let put = put(path, Path::new(&aside), bytes, outlives);
    if put.is_err() {
        // On a full disk every half takes room.
        drop(fs::remove_file(&aside));
    }
    put
}

fn put(path: &Path, aside: &Path, bytes: &[u8], outlives: Outlives) -> io::Result<()> {
    let mut file = File::create(aside)?;
    file.write_all(bytes)?;
    if outlives == Outlives::Process {
        return fs::rename(aside, path);
    }
    file.sync_all()?;
    fs::rename(aside, path)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    File::open(dir.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for (outlives, text) in [(Outlives::Power, "long ago"), (Outlives::Process, "now")] {
            replace(&path, text.as_bytes(), outlives).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        // What a writer that was killed left is in nobody's way.
        fs::write(dir.path().join("file.aside"), "lef").unwrap();
        replace(&path, b"then", Outlives::Power).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let nowhere = dir.path().join("gone/file");
        assert!(replace(&nowhere, b"then", Outlives::Power).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "then");
        // What cannot take its place does not stay either.
        let in_the_way = dir.path().join("dir");
        fs::create_dir(&in_the_way).unwrap();
        assert!(replace(&in_the_way, b"then", Outlives::Process).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
