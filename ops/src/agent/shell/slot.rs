//! Slots: fetching a release, checking it, finding those that are here.
//!
//! Everything is written aside (`slots/.VERSION`) and checked there, program by program against the
//! manifest; then the directory is renamed. So a slot is whole or is none. A program is checked again
//! right before it is started.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::BodyExt as _;

use super::call::Controller;
use super::home::Home;
use crate::engine::document::key::PublicKey;
use crate::engine::document::release::{Binary, Manifest};
use crate::engine::document::words::{Digest, Program, Version};
use crate::engine::document::{DOCUMENT_MAX, Signed};
use crate::release_dir::{MANIFEST, measure, read_manifest};

/// Longest silence in the middle of a body.
const SILENCE: Duration = Duration::from_secs(30);

/// The releases here, each as its manifest says; a slot that is not is removed.
pub(super) fn list(home: &Home, trust: &[PublicKey]) -> Vec<Signed<Manifest>> {
    let entries = fs::read_dir(home.slots()).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.file_name();
        let version = name.to_str().and_then(|name| Version::parse(name).ok());
        match version.and_then(|version| check(home, &version, trust).ok()) {
            Some(manifest) => found.push(manifest),
            None => {
                tracing::warn!(slot = %entry.path().display(), "not a whole release; removed");
                drop(fs::remove_dir_all(entry.path()));
            }
        }
    }
    found
}

/// The manifest of a slot, if the slot is what it says.
fn check(home: &Home, version: &Version, trust: &[PublicKey]) -> io::Result<Signed<Manifest>> {
    let dir = home.slot(version);
    let manifest = read_manifest(&dir, trust).map_err(io::Error::other)?;
    if manifest.body.version != *version {
        return Err(io::Error::other("the manifest is of another version"));
    }
    for (program, binary) in &manifest.body.binaries {
        check_program(&dir, *program, binary)?;
    }
    Ok(manifest)
}

fn check_program(dir: &Path, program: Program, binary: &Binary) -> io::Result<PathBuf> {
    let path = dir.join(program.as_str());
    if measure(&path)? == *binary {
        return Ok(path);
    }
    Err(io::Error::other(format!("{program:?} is damaged")))
}

/// The path of a program that is to be started, checked once more.
///
/// # Errors
/// It is not what its manifest says.
pub(super) fn program(
    home: &Home,
    version: &Version,
    program: Program,
    trust: &[PublicKey],
) -> io::Result<PathBuf> {
    let dir = home.slot(version);
    let manifest = read_manifest(&dir, trust).map_err(io::Error::other)?;
    let binary = manifest.body.binaries.get(&program);
    let binary = binary.ok_or_else(|| io::Error::other("the release has no such program"))?;
    check_program(&dir, program, binary)
}

/// Brings a release to its slot.
///
/// # Errors
/// It does not come, or is another one than `digest` names.
pub(super) async fn fetch(
    home: &Home,
    controller: &Controller,
    trust: &[PublicKey],
    (version, digest): (&Version, Digest),
) -> io::Result<Signed<Manifest>> {
    let aside = home.slots().join(format!(".{version}"));
    drop(fs::remove_dir_all(&aside));
    fs::create_dir(&aside)?;
    let limits = (DOCUMENT_MAX as u64, aside.join(MANIFEST));
    write(controller, &format!("/v1/releases/{version}"), limits).await?;
    let manifest = read_manifest(&aside, trust).map_err(io::Error::other)?;
    if manifest.digest != digest || manifest.body.version != *version {
        return Err(io::Error::other(
            "it is another release than the intent names",
        ));
    }
    for (program, binary) in &manifest.body.binaries {
        let path = aside.join(program.as_str());
        let from = format!("/v1/blobs/{}", binary.blake3);
        let got = write(controller, &from, (binary.length, path.clone())).await?;
        if got != *binary {
            return Err(io::Error::other(format!(
                "{program:?} is not what was signed"
            )));
        }
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    }
    let slot = home.slot(version);
    drop(fs::remove_dir_all(&slot));
    fs::rename(&aside, &slot)?;
    File::open(home.slots())?.sync_all()?;
    Ok(manifest)
}

/// Writes the body at `path` of the controller to a file, no more than the limit.
async fn write(
    controller: &Controller,
    path: &str,
    (most, to): (u64, PathBuf),
) -> io::Result<Binary> {
    let mut body = controller.get(path).await?;
    let mut file = File::create(to)?;
    let mut hasher = blake3::Hasher::new();
    let mut length = 0;
    loop {
        let frame = tokio::time::timeout(SILENCE, body.frame()).await;
        let Some(frame) = frame.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))? else {
            break;
        };
        let frame = frame.map_err(io::Error::other)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len() as u64;
        if length > most {
            return Err(io::Error::other("longer than it may be"));
        }
        hasher.update(&data);
        file.write_all(&data)?;
    }
    file.sync_all()?;
    let blake3 = Digest::finish(&hasher);
    Ok(Binary { blake3, length })
}

/// Removes a slot.
pub(super) fn forget(home: &Home, version: &Version) {
    // Renamed first, so that what is left of it is never taken for a slot.
    let aside = home.slots().join(format!(".{version}"));
    drop(fs::remove_dir_all(&aside));
    if fs::rename(home.slot(version), &aside).is_ok() {
        drop(fs::remove_dir_all(&aside));
    }
}
