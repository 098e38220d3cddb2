//! Intents: what one node is to run, and whether a node may follow one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::key::PublicKey;
use super::refusal::RefusalReason;
use super::words::{DaemonName, Digest, Program, RunState, Version};
use super::{Body, Kind, Signed};

/// Most releases of an intent: two networks side by side need two, each with one to return to.
pub const RELEASES_MAX: usize = 8;

/// Most daemons of an intent.
pub const DAEMONS_MAX: usize = 32;

/// Most settings of one daemon.
pub const SETTINGS_MAX: usize = 128;

/// Longest name of a setting, in bytes.
const SETTING_NAME_MAX: usize = 64;

/// Longest value of a setting, in bytes.
const SETTING_VALUE_MAX: usize = 1_024;

/// Settings by name, as a daemon's `--set` takes them.
pub type SettingsMap = BTreeMap<String, String>;

/// What one node is to run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Intent {
    /// The node, by its key.
    pub node: PublicKey,
    /// Grows with every intent for this node.
    pub serial: u64,
    /// The releases it runs, each with the digest of its manifest.
    pub releases: BTreeMap<Version, Digest>,
    /// Its daemons.
    pub daemons: BTreeMap<DaemonName, Wanted>,
    /// Whether an older version than before is meant.
    #[serde(default, skip_serializing_if = "is_false")]
    pub downgrade: bool,
}

/// One daemon as it is to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wanted {
    /// Its program.
    pub program: Program,
    /// The release whose program it runs.
    pub release: Version,
    /// What it is to do.
    pub state: RunState,
    /// Its settings, over those of the release.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: SettingsMap,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// The last serial: the largest number that every reader of JSON has exactly (RFC 8259, section 6).
pub const SERIAL_MAX: u64 = (1 << 53) - 1;

/// Whether names and values are such as a daemon's command line takes.
#[must_use]
pub fn settings_in_bounds(settings: &SettingsMap) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._".contains(&byte);
    let name = |name: &str| (1..=SETTING_NAME_MAX).contains(&name.len()) && name.bytes().all(plain);
    let value = |value: &str| value.len() <= SETTING_VALUE_MAX && !value.contains('\0');
    let each = |(key, text): (&String, &String)| name(key) && value(text);
    settings.len() <= SETTINGS_MAX && settings.iter().all(each)
}

impl Body for Intent {
    const KIND: Kind = Kind::Intent;
    const SCHEMA: u64 = 1;
    const FIELDS: &'static [&'static str] = &["node", "serial", "releases", "daemons", "downgrade"];

    fn check(&self) -> Result<(), RefusalReason> {
        let settled = self
            .daemons
            .values()
            .all(|daemon| settings_in_bounds(&daemon.settings));
        let many = self.releases.len() > RELEASES_MAX || self.daemons.len() > DAEMONS_MAX;
        if many || !settled || self.serial > SERIAL_MAX {
            return Err(RefusalReason::OutOfBounds);
        }
        Ok(())
    }
}

impl Intent {
    /// The daemons that are to serve.
    pub fn running(&self) -> impl Iterator<Item = (&DaemonName, &Wanted)> {
        let daemons = self.daemons.iter();
        daemons.filter(|(_, wanted)| wanted.state == RunState::Run)
    }
}

/// What an intent that may be followed is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    /// Another one than before.
    New,
    /// The one that was accepted before.
    Known,
}

/// Whether `node`, which accepted `last` before, may follow `intent`.
///
/// # Errors
/// It is for another node, is not newer, or asks for what nobody can mean.
pub fn judge(
    intent: &Signed<Intent>,
    node: &PublicKey,
    last: Option<&Signed<Intent>>,
) -> Result<News, RefusalReason> {
    let wish = &intent.body;
    if wish.node != *node {
        return Err(RefusalReason::NotForThisNode);
    }
    if let Some(last) = last {
        match wish.serial.cmp(&last.body.serial) {
            std::cmp::Ordering::Less => return Err(RefusalReason::OlderSerial),
            std::cmp::Ordering::Equal if intent.digest == last.digest => return Ok(News::Known),
            std::cmp::Ordering::Equal => return Err(RefusalReason::ConflictingSerial),
            std::cmp::Ordering::Greater => {}
        }
    }
    if wish.releases.is_empty() {
        return Err(RefusalReason::NoReleases);
    }
    let listed = |wanted: &Wanted| wish.releases.contains_key(&wanted.release);
    if !wish.daemons.values().all(listed) {
        return Err(RefusalReason::UnlistedRelease);
    }
    let last = last.map(|last| &last.body);
    if last.is_some_and(|last| last.running().next().is_some()) && wish.running().next().is_none() {
        return Err(RefusalReason::StopsEverything);
    }
    let older = |(name, wanted): (&DaemonName, &Wanted)| {
        let before = last.and_then(|last| last.daemons.get(name));
        before.is_some_and(|before| wanted.release < before.release)
    };
    if !wish.downgrade && wish.daemons.iter().any(older) {
        return Err(RefusalReason::Downgrade);
    }
    Ok(News::New)
}
