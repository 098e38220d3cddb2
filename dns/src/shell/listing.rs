//! What `atoll-dns keys` prints: the records that the parent of a zone is given.

use std::fmt::Write as _;
use std::path::Path;

use common::shell::cli::StartError;

use super::keyfile;
use crate::engine::zone::Zones;

/// Makes a key in `file`; the text says what to do with it.
///
/// # Errors
/// The file exists or cannot be written.
pub fn create(file: &Path) -> Result<String, StartError> {
    keyfile::create(file).map_err(|error| StartError::Runtime(error.to_string()))?;
    Ok(format!(
        "key written to {file}; set zone.keys = [\"active={file}\"], or published= beside an active one\n",
        file = file.display()
    ))
}

/// The DS and DNSKEY records of every key of `zones`, as a zone file has them.
#[must_use]
pub fn show(zones: &Zones) -> String {
    let mut text = String::new();
    for zone in zones.iter() {
        let origin = zone.origin();
        let Some(ring) = zone.ring() else {
            let _ = writeln!(text, "; {origin} is not signed: zone.keys is empty");
            continue;
        };
        for key in ring.keys() {
            let _ = writeln!(text, "; {origin} key {}, {}", key.tag, key.role);
            let _ = writeln!(text, "{origin} 3600 IN DS {}", key.ds);
            let _ = writeln!(text, "{origin} 3600 IN DNSKEY {}", key.dnskey());
        }
    }
    text
}
