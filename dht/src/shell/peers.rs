//! The file of remembered peers: written aside and renamed, read leniently.
//!
//! A damaged or foreign file is a warning and a start without it: seeds still work.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use common::shell::aside::{self, Outlives};
use serde::{Deserialize, Serialize};

/// Version of the document.
const SCHEMA: u32 = 1;

/// Peers written, at most.
const PEERS_MAX: usize = 256;

/// Largest file read, in bytes.
const FILE_MAX: u64 = 1 << 20;

const FILE: &str = "peers.json";

#[derive(Debug, Serialize, Deserialize)]
struct PeersDoc {
    schema: u32,
    peers: Vec<SocketAddr>,
}

/// The peers remembered in `dir`; none if the file is missing or not understood.
pub(super) fn load(dir: &Path) -> Vec<SocketAddr> {
    let path = dir.join(FILE);
    match read(&path) {
        Ok(peers) => peers,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "remembered peers not read; going on without");
            Vec::new()
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<SocketAddr>> {
    if fs::metadata(path)?.len() > FILE_MAX {
        return Err(io::Error::other("larger than any file of peers"));
    }
    parse(&fs::read(path)?)
}

/// The peers in the text of such a file, at most 256.
///
/// # Errors
/// It is not a file of peers, or one of another schema.
pub fn parse(text: &[u8]) -> io::Result<Vec<SocketAddr>> {
    let doc: PeersDoc = serde_json::from_slice(text)?;
    if doc.schema != SCHEMA {
        return Err(io::Error::other("of another schema"));
    }
    let mut peers = doc.peers;
    peers.truncate(PEERS_MAX);
    Ok(peers)
}

/// Remembers `peers` in `dir`, which is made if it is missing. A crash at any moment leaves the
/// old file or the new one.
///
/// # Errors
/// What the file system said.
pub(super) fn save(dir: &Path, mut peers: Vec<SocketAddr>) -> io::Result<()> {
    peers.truncate(PEERS_MAX);
    fs::create_dir_all(dir)?;
    let bytes = serde_json::to_vec_pretty(&PeersDoc {
        schema: SCHEMA,
        peers,
    })?;
    aside::replace(&dir.join(FILE), &bytes, Outlives::Power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("state");
        let peers = vec![
            "192.0.2.1:7400".parse().unwrap(),
            "[2001:db8::1]:1".parse().unwrap(),
        ];
        assert!(load(&dir).is_empty());
        save(&dir, peers.clone()).unwrap();
        assert_eq!(load(&dir), peers);
        save(&dir, Vec::new()).unwrap();
        assert!(load(&dir).is_empty());
    }

    #[test]
    fn a_damaged_or_foreign_file_is_no_peers() {
        let dir = tempfile::tempdir().unwrap();
        for text in [
            "",
            "{",
            r#"{"schema":2,"peers":["192.0.2.1:1"]}"#,
            r#"{"schema":1}"#,
        ] {
            fs::write(dir.path().join(FILE), text).unwrap();
            assert!(load(dir.path()).is_empty(), "{text}");
        }
    }
}
