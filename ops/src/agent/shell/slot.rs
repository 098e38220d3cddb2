//! Slots: fetching a release, checking it, finding those that are here.
//!
//! Everything is written aside (`slots/.VERSION`) and checked there, program by program against the
//! manifest; then the directory is renamed. So a slot is whole or is none. A program is checked again
//! right before it is started. Trust counts when a release comes: what is in force is known by its digest.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use tokio::time::Instant;

use super::call::Controller;
use super::home::Home;
use crate::engine::document::key::PublicKey;
use crate::engine::document::refusal::RefusalReason;
use crate::engine::document::release::{Binary, Manifest, RATE_MIN};
use crate::engine::document::words::{Digest, Program, Version};
use crate::engine::document::{DOCUMENT_MAX, Signed};
use crate::release_dir::{MANIFEST, NoManifest, measure, open_manifest, read_manifest};

/// How slowly a body may come.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Longest silence in the middle of it.
    silence: Duration,
    /// Least rate of the whole, not counting one such silence.
    bytes_per_second: u64,
}

/// How slowly programs may come.
const PACE: Pace = Pace {
    silence: Duration::from_secs(30),
    bytes_per_second: RATE_MIN,
};

/// Why a slot is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SlotReason {
    /// It could not be looked at; it may be as it should be.
    #[error("unreadable: {0}")]
    Unreadable(io::Error),
    /// It is not what its manifest or the intent says.
    #[error("damaged")]
    Damaged,
    /// A newer program wrote its manifest.
    #[error("not_understood: {}", .0.as_str())]
    NotUnderstood(RefusalReason),
    /// Signed by a key that is not trusted, and never in force here.
    #[error("stranger")]
    Stranger,
}

impl SlotReason {
    /// What is not there is missing for good; any other error may pass.
    fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Damaged,
            _ => Self::Unreadable(error),
        }
    }

    const fn refused(reason: RefusalReason) -> Self {
        if matches!(reason, RefusalReason::Stranger) {
            return Self::Stranger;
        }
        let newer = matches!(
            reason,
            RefusalReason::UnknownFormat
                | RefusalReason::UnknownSchema
                | RefusalReason::UnknownCritical
                | RefusalReason::OutOfBounds
        );
        if newer {
            Self::NotUnderstood(reason)
        } else {
            Self::Damaged
        }
    }
}

/// What slots are judged by.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    /// The releases that came into force: they are known by their digests, whoever is trusted today.
    pub(super) followed: BTreeMap<Version, Digest>,
    /// Who may sign any other release.
    pub(super) trust: Vec<PublicKey>,
}

impl Judge {
    /// The manifest of a slot.
    fn manifest(&self, home: &Home, version: &Version) -> Result<Signed<Manifest>, SlotReason> {
        let followed = self.followed.get(version);
        let known = |signer: &PublicKey| followed.is_some() || self.trust.contains(signer);
        let manifest = open_manifest(&home.slot(version), known);
        let manifest = manifest.map_err(|why| match why {
            NoManifest::Unreadable(error) => SlotReason::of(error),
            NoManifest::Refused(reason) => SlotReason::refused(reason),
        })?;
        let other = followed.is_some_and(|digest| manifest.digest != *digest);
        if other || manifest.body.version != *version {
            return Err(SlotReason::Damaged);
        }
        Ok(manifest)
    }

    /// The manifest of a slot that is what its manifest says, program by program.
    fn check(&self, home: &Home, version: &Version) -> Result<Signed<Manifest>, SlotReason> {
        let manifest = self.manifest(home, version)?;
        for (program, binary) in &manifest.body.binaries {
            check_program(&home.slot(version), *program, binary)?;
        }
        Ok(manifest)
    }
}

/// The releases here, each as its manifest says. What was left half made is removed, and a slot that is proven not
/// to be whole; one that cannot be looked at now is left alone.
pub(super) fn list(home: &Home, judge: &Judge) -> Vec<Signed<Manifest>> {
    let entries = fs::read_dir(home.slots()).into_iter().flatten().flatten();
    let (aside, slots): (Vec<String>, Vec<String>) = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .partition(|name| name.starts_with('.'));
    for name in aside {
        drop(fs::remove_dir_all(home.slots().join(name)));
    }
    // Anything else was not put there by an agent.
    let versions = slots.iter().filter_map(|name| Version::parse(name).ok());
    versions
        .filter_map(|version| usable(home, judge, &version))
        .collect()
}

/// The manifest of a slot that can be used; a slot that is proven not to be whole is removed.
fn usable(home: &Home, judge: &Judge, version: &Version) -> Option<Signed<Manifest>> {
    let reason = match judge.check(home, version) {
        Ok(manifest) => return Some(manifest),
        Err(reason) => reason,
    };
    let removed = matches!(reason, SlotReason::Damaged);
    tracing::warn!(%version, %reason, removed, "a release on the disk is not used");
    if removed {
        forget(home, version);
    }
    None
}

fn check_program(dir: &Path, program: Program, binary: &Binary) -> Result<PathBuf, SlotReason> {
    let path = dir.join(program.as_str());
    if measure(&path).map_err(SlotReason::of)? == *binary {
        return Ok(path);
    }
    Err(SlotReason::Damaged)
}

/// The path of a program that is to be started, checked once more.
///
/// # Errors
/// It is not what its manifest says.
pub(super) fn program(
    home: &Home,
    version: &Version,
    program: Program,
    judge: &Judge,
) -> io::Result<PathBuf> {
    let manifest = judge.manifest(home, version).map_err(io::Error::other)?;
    let binary = manifest.body.binaries.get(&program);
    let binary = binary.ok_or_else(|| io::Error::other("the release has no such program"))?;
    check_program(&home.slot(version), program, binary).map_err(io::Error::other)
}

/// The release of an intent, if it is in its slot after all: what could not be looked at may be whole.
pub(super) fn here(
    home: &Home,
    judge: &Judge,
    (version, digest): (&Version, Digest),
) -> Option<Signed<Manifest>> {
    let found = judge.check(home, version).ok();
    found.filter(|manifest| manifest.digest == digest)
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
    settle(&aside, &home.slot(version))?;
    File::open(home.slots())?.sync_all()?;
    Ok(manifest)
}

/// Puts what was written aside in its slot. What is there takes its place in one step, so that at no
/// moment there is neither.
fn settle(aside: &Path, slot: &Path) -> io::Result<()> {
    if renameat_with(CWD, aside, CWD, slot, RenameFlags::EXCHANGE).is_ok() {
        drop(fs::remove_dir_all(aside));
        return Ok(());
    }
    // Nothing is there, or this file system cannot exchange.
    drop(fs::remove_dir_all(slot));
    fs::rename(aside, slot)
}

/// Writes the body at `path` of the controller to a file, no more than the limit.
async fn write(
    controller: &Controller,
    path: &str,
    (most, to): (u64, PathBuf),
) -> io::Result<Binary> {
    let body = controller.get(path).await?;
    receive((body, most), File::create(to)?, PACE).await
}

/// Writes a body of at most so many bytes to a file, within the time that they need at the least rate.
async fn receive<B>((mut body, most): (B, u64), mut file: File, pace: Pace) -> io::Result<Binary>
where
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    let whole = Duration::from_secs(most / pace.bytes_per_second);
    let end = Instant::now() + pace.silence + whole;
    let mut hasher = blake3::Hasher::new();
    let mut length = 0;
    loop {
        let late = end.min(Instant::now() + pace.silence);
        let frame = tokio::time::timeout_at(late, body.frame()).await;
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

#[cfg(test)]
mod tests;
