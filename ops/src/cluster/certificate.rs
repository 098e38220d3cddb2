//! A certificate to throw away, so that a cluster on one machine can be tried over HTTPS: for the zone
//! and the names of one label in it, of an authority whose key is gone when it has signed.

use std::fs;
use std::io;
use std::path::Path;

use common::name::Zone;
use common::shell::private_file;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::layout::{authority_file, certificate_file};

/// Writes a new one, and its authority's certificate, to `dir`.
///
/// # Errors
/// It cannot be made or written.
pub(super) fn write(dir: &Path, zone: &Zone) -> io::Result<()> {
    let (certificate, authority) = make(zone).map_err(io::Error::other)?;
    let file = certificate_file(dir);
    // Of an earlier run in the same directory; nobody has a use for it.
    match fs::remove_file(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    private_file::create(&file, certificate.as_bytes())?;
    fs::write(authority_file(dir), authority)
}

/// Chain and key in one text, and the authority.
fn make(zone: &Zone) -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = "Atoll, a cluster to try";
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate()?;
    let authority = params.self_signed(&key)?;
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(vec![format!("*.{zone}"), zone.to_string()])?;
    let certificate = params.signed_by(&key, &issuer)?;
    let both = format!("{}{}", certificate.pem(), key.serialize_pem());
    Ok((both, authority.pem()))
}
