//! A release's directory: its programs, and the manifest that says what they are.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::engine::document::key::PublicKey;
use crate::engine::document::refusal::RefusalReason;
use crate::engine::document::release::{Binary, Manifest};
use crate::engine::document::words::Digest;
use crate::engine::document::{DOCUMENT_MAX, Signed};
use crate::outcome::Failure;

/// The manifest's name in a release's directory.
pub const MANIFEST: &str = "manifest";

/// Bytes hashed at a time.
const PIECE: usize = 64 << 10;

/// Why there is no manifest to go by.
#[derive(Debug)]
pub enum NoManifest {
    /// The file cannot be read: nothing is known of it.
    Unreadable(io::Error),
    /// What the file says is refused.
    Refused(RefusalReason),
}

/// The manifest in `dir`, signed by one of `trusted`.
///
/// # Errors
/// It cannot be read, or is refused.
pub fn read_manifest(dir: &Path, trusted: &[PublicKey]) -> Result<Signed<Manifest>, Failure> {
    read(dir, |signer| trusted.contains(signer))
}

/// The manifest in `dir`, whoever signed it: for whom it is no more than a message to hand on.
///
/// # Errors
/// It cannot be read, or is refused.
pub fn read_unjudged(dir: &Path) -> Result<Signed<Manifest>, Failure> {
    read(dir, |_| true)
}

/// The manifest in `dir`, if its signer is `known`.
///
/// # Errors
/// [`NoManifest`] tells what is wrong with the file from what is wrong with its reading.
pub fn open_manifest(
    dir: &Path,
    known: impl FnOnce(&PublicKey) -> bool,
) -> Result<Signed<Manifest>, NoManifest> {
    let mut bytes = Vec::new();
    let most = DOCUMENT_MAX as u64 + 1;
    let read =
        File::open(dir.join(MANIFEST)).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map_err(NoManifest::Unreadable)?;
    Signed::read_of_anyone(&bytes, known).map_err(NoManifest::Refused)
}

fn read(dir: &Path, known: impl FnOnce(&PublicKey) -> bool) -> Result<Signed<Manifest>, Failure> {
    let path = dir.join(MANIFEST);
    open_manifest(dir, known).map_err(|why| match why {
        NoManifest::Unreadable(error) => unreadable(&path, &error),
        NoManifest::Refused(reason) => {
            let what = format!("{} is refused ({})", path.display(), reason.as_str());
            Failure::failed(what, reason.advice())
        }
    })
}

/// The failure to read a release's file.
#[must_use]
pub fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let what = format!("cannot read {}: {error}", path.display());
    Failure::failed(what, "name the directory of a release")
}

/// The digest and length of a file.
///
/// # Errors
/// It cannot be read.
pub fn measure(path: &Path) -> io::Result<Binary> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE];
    let mut length = 0;
    loop {
        let got = file.read(&mut piece)?;
        if got == 0 {
            let blake3 = Digest::finish(&hasher);
            return Ok(Binary { blake3, length });
        }
        length += got as u64;
        hasher.update(piece.get(..got).unwrap_or_default());
    }
}
