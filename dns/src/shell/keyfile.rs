//! Key files (PKCS#8 in PEM, as `openssl genpkey` writes them), and signing with what is in them.
//!
//! The key never leaves this module.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use common::shell::private_file::{self, PrivateFileError};
use data_encoding::BASE64;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::engine::sign::signer::{PUBLIC_KEY, SIGNATURE, Signer};

/// A key is a few hundred bytes; whatever is longer is another file.
const FILE_MAX: u64 = 16_384;

/// Characters of a line of PEM (RFC 7468 §2).
const LINE: usize = 64;

/// Why a key file was refused. Says what to do, never what the file contains.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file could not be opened, read or written.
    #[error("key file {path}: {source}; make one with `atoll-dns keys new {path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read or write it.
    #[error("key file {path} has mode {mode:04o}, so others can read it: run `chmod 600 {path}`")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The content is no such key.
    #[error(
        "key file {path} holds no ECDSA P-256 key in PEM (PKCS#8); make one with `atoll-dns keys new FILE`"
    )]
    Content {
        /// The file.
        path: PathBuf,
    },
    /// The library makes no key.
    #[error("no key could be made: the system has no entropy")]
    Entropy,
}

/// A private key in memory.
pub struct FileKey(EcdsaKeyPair);

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(..)")
    }
}

impl Signer for FileKey {
    fn public_key(&self) -> [u8; PUBLIC_KEY] {
        let mut key = [0; PUBLIC_KEY];
        // Behind a byte that says that both coordinates follow (RFC 6605 §4).
        for (to, from) in key
            .iter_mut()
            .zip(self.0.public_key().as_ref().iter().skip(1))
        {
            *to = *from;
        }
        key
    }

    fn sign(&self, message: &[u8]) -> Option<[u8; SIGNATURE]> {
        let signature = self.0.sign(&SystemRandom::new(), message).ok()?;
        signature.as_ref().try_into().ok()
    }
}

/// Reads the key in `path`.
///
/// # Errors
/// The file is missing, open to others, or not a key.
pub fn load(path: &Path) -> Result<FileKey, KeyFileError> {
    let text = private_file::read(path, FILE_MAX).map_err(|error| match error {
        PrivateFileError::Io(source) => KeyFileError::Io {
            path: path.to_owned(),
            source,
        },
        PrivateFileError::Mode(mode) => KeyFileError::Mode {
            path: path.to_owned(),
            mode,
        },
    })?;
    read(&text).ok_or_else(|| KeyFileError::Content {
        path: path.to_owned(),
    })
}

fn read(text: &[u8]) -> Option<FileKey> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(text).ok()?;
    let der = der.secret_pkcs8_der();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
    pair.ok().map(FileKey)
}

/// Makes a key in the new file `path` with mode 0600. An existing file is never replaced.
///
/// # Errors
/// The file exists or cannot be written, or there is no entropy.
pub fn create(path: &Path) -> Result<FileKey, KeyFileError> {
    let random = SystemRandom::new();
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
    let text = Zeroizing::new(pem(made.map_err(|_| KeyFileError::Entropy)?.as_ref()));
    private_file::create(path, text.as_bytes()).map_err(|source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    })?;
    load(path)
}

fn pem(der: &[u8]) -> String {
    let encoded = Zeroizing::new(BASE64.encode(der));
    let mut text = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    for line in encoded.as_bytes().chunks(LINE) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    text
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_key_that_was_made_is_read_and_signs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("zone.pem");
        let made = create(&path).unwrap();
        let read = load(&path).unwrap();
        assert_eq!(made.public_key(), read.public_key());
        let signature = read.sign(b"message").unwrap();
        let mut point = vec![4];
        point.extend_from_slice(&made.public_key());
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        assert!(public.verify(b"message", &signature).is_ok());
    }

    #[test]
    fn refuses_what_is_open_to_others_what_exists_and_what_is_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("zone.pem");
        create(&path).unwrap();
        assert!(matches!(create(&path), Err(KeyFileError::Io { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = load(&path).unwrap_err();
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(
            &path,
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        )
        .unwrap();
        assert!(matches!(load(&path), Err(KeyFileError::Content { .. })));
        let missing = load(&dir.path().join("none")).unwrap_err();
        assert!(
            missing.to_string().contains("atoll-dns keys new"),
            "{missing}"
        );
    }
}
