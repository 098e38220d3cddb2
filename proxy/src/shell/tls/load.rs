//! Certificates and keys from their files.
//!
//! A key is read only if nobody but its owner may (`chmod 600`), and only together with a
//! certificate that it fits.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::shell::private_file::{self, PrivateFileError};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use webpki::EndEntityCert;

use crate::engine::certificates::{CERTIFICATES_MAX, Names, Pair, Source};

/// The most of a file that is read: a chain of RSA certificates is 8 KiB.
const FILE_MAX: u64 = 256 << 10;

/// Why a certificate is not used. Says what to do, never what a key is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadCertificate {
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    #[error("key file {0} has mode {1:04o}, so others can read it: run `chmod 600 {0}`")]
    Mode(PathBuf, u32),
    #[error("{0} holds no certificate in PEM form")]
    NoCertificate(PathBuf),
    #[error("{0} holds no private key in PEM form")]
    NoKey(PathBuf),
    #[error("the certificate in {chain} and the key in {key} are not usable together: {why}")]
    Unusable {
        chain: PathBuf,
        key: PathBuf,
        why: rustls::Error,
    },
    #[error("the certificate in {0} is for no DNS name")]
    NoNames(PathBuf),
    #[error(
        "{0} holds no certificate with a key: NAME.crt or NAME.pem and NAME.key, or NAME/fullchain.pem and NAME/privkey.pem"
    )]
    EmptyDirectory(PathBuf),
    #[error("more than {CERTIFICATES_MAX} certificates")]
    TooMany,
}

/// A certificate that can be shown.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) pair: Pair,
    pub(crate) names: Arc<Names>,
    pub(crate) key: Arc<CertifiedKey>,
}

/// The pairs that `sources` are at the moment, in order.
pub(crate) fn pairs(sources: &[Source]) -> Result<Vec<Pair>, BadCertificate> {
    let mut pairs = Vec::new();
    for source in sources {
        match source {
            Source::Pair(pair) => pairs.push(pair.clone()),
            Source::Path(path) if path.is_dir() => pairs.extend(inside(path)?),
            Source::Path(path) => pairs.push(Pair {
                chain: path.clone(),
                key: path.clone(),
            }),
        }
    }
    if pairs.len() > CERTIFICATES_MAX {
        return Err(BadCertificate::TooMany);
    }
    Ok(pairs)
}

/// The pairs in a directory, in the order of their names.
fn inside(dir: &Path) -> Result<Vec<Pair>, BadCertificate> {
    let failed = |error| BadCertificate::Io(dir.to_owned(), error);
    let mut pairs = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let (chain, key) = if path.is_dir() {
            (path.join("fullchain.pem"), path.join("privkey.pem"))
        } else if path
            .extension()
            .is_some_and(|kind| kind == "crt" || kind == "pem")
        {
            let key = path.with_extension("key");
            (path, key)
        } else {
            continue;
        };
        if chain.is_file() && key.is_file() {
            pairs.push(Pair { chain, key });
        }
        if pairs.len() > CERTIFICATES_MAX {
            return Err(BadCertificate::TooMany);
        }
    }
    if pairs.is_empty() {
        return Err(BadCertificate::EmptyDirectory(dir.to_owned()));
    }
    pairs.sort();
    Ok(pairs)
}

/// Reads a certificate and its key.
pub(crate) fn read(pair: Pair, provider: &CryptoProvider) -> Result<Certificate, BadCertificate> {
    let chain = chain(&pair.chain)?;
    let key = key(&pair.key)?;
    let names = names(&chain).ok_or_else(|| BadCertificate::NoNames(pair.chain.clone()))?;
    let certified = CertifiedKey::from_der(chain, key, provider);
    let certified = certified.map_err(|why| BadCertificate::Unusable {
        chain: pair.chain.clone(),
        key: pair.key.clone(),
        why,
    })?;
    Ok(Certificate {
        pair,
        names: Arc::new(names),
        key: Arc::new(certified),
    })
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadCertificate> {
    let failed = |error| BadCertificate::Io(path.to_owned(), error);
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_MAX).read_to_end(&mut text).map_err(failed)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.unwrap_or_default();
    if chain.is_empty() {
        return Err(BadCertificate::NoCertificate(path.to_owned()));
    }
    Ok(chain)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, BadCertificate> {
    let path_of = || path.to_owned();
    let text = private_file::read(path, FILE_MAX).map_err(|error| match error {
        PrivateFileError::Io(error) => BadCertificate::Io(path_of(), error),
        PrivateFileError::Mode(mode) => BadCertificate::Mode(path_of(), mode),
    })?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| BadCertificate::NoKey(path_of()))
}

/// The DNS names of the first of a chain; `None` if it has none or is none.
fn names(chain: &[CertificateDer<'_>]) -> Option<Names> {
    let certificate = EndEntityCert::try_from(chain.first()?).ok()?;
    let names = Names::new(certificate.valid_dns_names());
    (!names.is_empty()).then_some(names)
}
