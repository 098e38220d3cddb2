//! The ready file: where a running cluster is, for scripts and for `atoll status`.
//!
//! Written aside and renamed once all is healthy, so whoever sees it sees all of it; removed when
//! the cluster ends. Besides the file asked for there is a copy in a directory of the user's own,
//! where `atoll status` and `atoll crowd` look by themselves.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::layout::{Kind, Planned};
use crate::outcome::Failure;

/// Version of the file's format. Raised when a reader of the old one would be misled.
pub const SCHEMA: u32 = 1;

/// Largest ready file read, in bytes: a thousand nodes take 300 KiB.
const FILE_MAX: u64 = 4 << 20;

/// A running cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadyFile {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The zone served.
    pub zone: String,
    /// The demo origin's URL, if it runs one.
    pub origin: Option<String>,
    /// The processes.
    pub processes: Vec<Entry>,
}

/// One process of a running cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its kind.
    pub kind: Kind,
    /// Its name, unique within its kind.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// Its public address.
    pub addr: SocketAddr,
    /// Its admin pages.
    pub admin: SocketAddr,
    /// A proxy's address for other proxies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<SocketAddr>,
    /// An index daemon's socket for its siblings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// Its log file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
}

impl Entry {
    /// The entry of `planned`, running as `pid`.
    #[must_use]
    pub fn of(planned: &Planned, pid: u32) -> Self {
        Self {
            kind: planned.kind,
            name: planned.name.clone(),
            pid,
            addr: planned.addr,
            admin: planned.admin,
            peer: planned.peer,
            socket: planned.socket.clone(),
            log: Some(planned.log.clone()),
        }
    }
}

impl ReadyFile {
    /// Reads the file named, or the one that a running `atoll dev` of this user left.
    ///
    /// # Errors
    /// There is none, or it is of another format.
    pub fn load(path: Option<&Path>) -> Result<Self, Failure> {
        let found = path.map(Path::to_owned).or_else(default_path);
        let Some(found) = found.filter(|found| found.exists()) else {
            let named = path.map_or_else(String::new, |path| format!(" ({})", path.display()));
            let advice = "start a cluster with `atoll dev`, or name its --ready-file";
            return Err(Failure::unreachable(
                format!("no running cluster found{named}"),
                advice,
            ));
        };
        let shown = found.display();
        let advice = "name the file that `atoll dev --ready-file` wrote";
        let file = read(&found)
            .map_err(|error| Failure::failed(format!("cannot read {shown}: {error}"), advice))?;
        if file.schema != SCHEMA {
            let what = format!(
                "{shown} has schema {}, this program reads {SCHEMA}",
                file.schema
            );
            return Err(Failure::failed(
                what,
                "use the `atoll` that started the cluster",
            ));
        }
        Ok(file)
    }

    /// The processes of one kind, in order.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        self.processes
            .iter()
            .filter(move |entry| entry.kind == kind)
    }

    /// The text of the file.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn read(path: &Path) -> io::Result<ReadyFile> {
    if fs::metadata(path)?.len() > FILE_MAX {
        return Err(io::Error::other("too large for a ready file"));
    }
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// A ready file on disk; removed when dropped.
#[derive(Debug)]
pub struct Published {
    path: PathBuf,
    text: String,
}

impl Published {
    /// Writes `text` aside and renames it to `path`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(path: &Path, text: &str) -> io::Result<Self> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".{}", std::process::id()));
        fs::write(&aside, text)?;
        fs::rename(&aside, path)?;
        Ok(Self {
            path: path.to_owned(),
            text: text.to_owned(),
        })
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // Another cluster may have put its own there since.
        if fs::read_to_string(&self.path).is_ok_and(|text| text == self.text) {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Where a cluster of this user leaves its copy: `$XDG_RUNTIME_DIR/atoll/dev.json`, else in a
/// directory of the user's own among the temporary files.
#[must_use]
pub fn default_path() -> Option<PathBuf> {
    let own = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|dir| dir.is_dir());
    let user = rustix::process::getuid().as_raw();
    let dir = own.map_or_else(
        || std::env::temp_dir().join(format!("atoll-user-{user}")),
        |dir| dir.join("atoll"),
    );
    // Made by somebody else, it could lead us to processes of theirs.
    let safe = match fs::metadata(&dir) {
        Ok(found) => found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0,
        Err(_) => fs::DirBuilder::new().mode(0o700).create(&dir).is_ok(),
    };
    safe.then(|| dir.join("dev.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ReadyFile {
        let addr = |text: &str| text.parse().unwrap();
        let entry = |kind, name: &str, pid, at: &str, admin: &str| Entry {
            kind,
            name: name.to_owned(),
            pid,
            addr: addr(at),
            admin: addr(admin),
            peer: None,
            socket: None,
            log: None,
        };
        let proxy = entry(
            Kind::Proxy,
            "node1",
            11,
            "127.0.0.11:8080",
            "127.0.0.11:8082",
        );
        let index = entry(Kind::Dht, "node1", 10, "127.0.0.11:8083", "127.0.0.11:8084");
        ReadyFile {
            schema: SCHEMA,
            zone: "nyud.test".to_owned(),
            origin: Some("http://127.0.0.10:8087".to_owned()),
            processes: vec![
                Entry {
                    peer: Some(addr("127.0.0.11:8081")),
                    ..proxy
                },
                Entry {
                    socket: Some(PathBuf::from("/tmp/atoll-x/node1/index.sock")),
                    ..index
                },
                entry(Kind::Dns, "ns1", 12, "127.0.0.2:8085", "127.0.0.2:8086"),
                entry(
                    Kind::Origin,
                    "origin",
                    9,
                    "127.0.0.10:8087",
                    "127.0.0.10:8088",
                ),
            ],
        }
    }

    #[test]
    fn the_format_is_the_golden_one() {
        assert_eq!(sample().to_text(), include_str!("ready_file/golden.json"));
    }

    #[test]
    fn the_file_appears_whole_reads_back_and_goes_with_its_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready.json");
        let published = Published::write(&path, &sample().to_text()).unwrap();
        assert_eq!(ReadyFile::load(Some(&path)).unwrap(), sample());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        drop(published);
        assert!(!path.exists());
    }

    #[test]
    fn another_clusters_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready.json");
        let first = Published::write(&path, "one").unwrap();
        let second = Published::write(&path, "two").unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_of_another_schema_or_none_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready.json");
        let missing = ReadyFile::load(Some(&path)).unwrap_err();
        assert_eq!(missing.exit, crate::outcome::Exit::Unreachable);
        fs::write(
            &path,
            ReadyFile {
                schema: 99,
                ..sample()
            }
            .to_text(),
        )
        .unwrap();
        assert!(
            ReadyFile::load(Some(&path))
                .unwrap_err()
                .what
                .contains("schema 99")
        );
        fs::write(&path, "{").unwrap();
        assert!(
            ReadyFile::load(Some(&path))
                .unwrap_err()
                .what
                .contains("cannot read")
        );
    }
}
