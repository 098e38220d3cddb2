//! Release manifests: which bytes a version's programs have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::intent::{SettingsMap, settings_in_bounds};
use super::refusal::RefusalReason;
use super::words::{Digest, Program, Version};
use super::{Body, Kind};

/// Largest program, in bytes.
pub const PROGRAM_MAX: u64 = 1 << 30;

/// Bytes a second at the least while a program or a document is on its way; slower, it is given up.
pub const RATE_MIN: u64 = 64 << 10;

/// A version and its programs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Its version.
    pub version: Version,
    /// The wire generation its programs speak: those of one generation link up.
    pub generation: u32,
    /// Its programs.
    pub binaries: BTreeMap<Program, Binary>,
    /// Settings that daemons of this version have unless an intent says otherwise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<Program, SettingsMap>,
}

/// The bytes of a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Binary {
    /// Their BLAKE3.
    pub blake3: Digest,
    /// How many they are.
    pub length: u64,
}

impl Body for Manifest {
    const KIND: Kind = Kind::Release;
    const SCHEMA: u64 = 1;
    const FIELDS: &'static [&'static str] = &["version", "generation", "binaries", "settings"];

    fn check(&self) -> Result<(), RefusalReason> {
        let programs = self.binaries.values();
        let sized = programs
            .clone()
            .all(|binary| (1..=PROGRAM_MAX).contains(&binary.length));
        let settled = self.settings.values().all(settings_in_bounds);
        if programs.len() == 0 || !sized || !settled {
            return Err(RefusalReason::OutOfBounds);
        }
        Ok(())
    }
}
