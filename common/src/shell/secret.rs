//! Reading and writing the file of the network's secret.

use std::io;
use std::path::{Path, PathBuf};

use super::private_file::{self, PrivateFileError};
use crate::wire::secret::{NetworkSecret, SecretError};

/// A secret is one line; whatever is longer is another file.
const FILE_MAX: u64 = 4_096;

/// Why a secret file was refused. Says what to do, never what the file contains.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The file could not be opened, read or written.
    #[error("secret file {path}: {source}; make one with `atoll secret new --out {path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read or write it.
    #[error(
        "secret file {path} has mode {mode:04o}, so others can read it: run `chmod 600 {path}`"
    )]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The content is not a secret.
    #[error("secret file {path}: {source}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SecretError,
    },
}

/// Reads the network secret in `path`.
///
/// # Errors
/// The file is missing, open to others, or not a secret.
pub fn load(path: &Path) -> Result<NetworkSecret, SecretFileError> {
    let path_of = || path.to_owned();
    let bytes = private_file::read(path, FILE_MAX).map_err(|error| match error {
        PrivateFileError::Io(source) => SecretFileError::Io {
            path: path_of(),
            source,
        },
        PrivateFileError::Mode(mode) => SecretFileError::Mode {
            path: path_of(),
            mode,
        },
    })?;
    // What is no text is no secret either, and says so in the same words.
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    NetworkSecret::parse(text).map_err(|source| SecretFileError::Content {
        path: path_of(),
        source,
    })
}

/// Writes `secret` to the new file `path` with mode 0600. An existing file is never replaced.
///
/// # Errors
/// The file exists or cannot be written.
pub fn create(path: &Path, secret: &NetworkSecret) -> Result<(), SecretFileError> {
    let written = private_file::create(path, secret.to_text().as_bytes());
    written.map_err(|source| SecretFileError::Io {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::rng::Generator;

    #[test]
    fn reads_its_own_file_and_refuses_one_that_others_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let secret = NetworkSecret::generate(&mut Generator::from_seed(1));
        create(&path, &secret).unwrap();
        assert_eq!(load(&path).unwrap().network(1).id(), secret.network(1).id());
        assert!(matches!(
            create(&path, &secret),
            Err(SecretFileError::Io { .. })
        ));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = load(&path).err().unwrap();
        assert!(matches!(refused, SecretFileError::Mode { mode: 0o640, .. }));
        assert!(refused.to_string().contains("chmod 600"));
    }

    #[test]
    fn a_missing_or_foreign_file_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let missing = load(&dir.path().join("none")).err().unwrap();
        assert!(missing.to_string().contains("atoll secret new"));
        let path = dir.path().join("foreign");
        fs::write(&path, "hello").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(load(&path), Err(SecretFileError::Content { .. })));
    }
}
