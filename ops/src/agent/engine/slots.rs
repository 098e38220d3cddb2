//! The releases on a node's disk, each in a slot of its own, and those on their way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::backoff::Backoff;
use common::clock::Moment;
use common::rng::Generator;

use crate::engine::document::Signed;
use crate::engine::document::intent::{Intent, Wanted};
use crate::engine::document::release::Manifest;
use crate::engine::document::words::{Digest, Version};

/// Wait after the first failure.
const RETRY_MIN: Duration = Duration::from_secs(2);

/// Longest wait between two tries.
const RETRY_MAX: Duration = Duration::from_secs(300);

/// One release.
#[derive(Debug)]
enum Slot {
    Here(Box<Signed<Manifest>>),
    Coming(Backoff),
    Failed(Backoff, Moment),
}

/// The releases of a node.
#[derive(Debug, Default)]
pub struct Slots(BTreeMap<Version, Slot>);

impl Slots {
    /// A release is here.
    pub fn arrived(&mut self, manifest: Signed<Manifest>) {
        let version = manifest.body.version.clone();
        self.0.insert(version, Slot::Here(Box::new(manifest)));
    }

    /// A release did not come.
    pub fn failed(&mut self, version: &Version, now: Moment, rng: &mut Generator) {
        let mut backoff = match self.0.get(version) {
            Some(Slot::Coming(backoff) | Slot::Failed(backoff, _)) => *backoff,
            Some(Slot::Here(_)) | None => Backoff::new(RETRY_MIN, RETRY_MAX),
        };
        let at = now + backoff.fail(rng);
        self.0.insert(version.clone(), Slot::Failed(backoff, at));
    }

    /// Whether `intent` names a release that is here by another digest: two releases of one version.
    #[must_use]
    pub fn conflict(&self, intent: &Intent) -> bool {
        let other = |(version, digest): (&Version, &Digest)| matches!(self.0.get(version), Some(Slot::Here(manifest)) if manifest.digest != *digest);
        intent.releases.iter().any(other)
    }

    /// Whether this release is to be fetched; from then on it is on its way.
    pub fn begin(&mut self, version: &Version, now: Moment) -> bool {
        let backoff = match self.0.get(version) {
            None => Backoff::new(RETRY_MIN, RETRY_MAX),
            Some(Slot::Failed(backoff, at)) if *at <= now => *backoff,
            Some(Slot::Failed(..) | Slot::Coming(_) | Slot::Here(_)) => return false,
        };
        self.0.insert(version.clone(), Slot::Coming(backoff));
        true
    }

    /// Whether every release of `intent` is here, the very one, with all programs.
    #[must_use]
    pub fn hold_all(&self, intent: &Intent) -> bool {
        let here = |(version, digest): (&Version, &Digest)| matches!(self.0.get(version), Some(Slot::Here(manifest)) if manifest.digest == *digest);
        intent.releases.iter().all(here)
            && intent
                .daemons
                .values()
                .all(|wanted| self.command(wanted).is_some())
    }

    /// The arguments of a daemon, if its program is here.
    #[must_use]
    pub fn command(&self, wanted: &Wanted) -> Option<Vec<String>> {
        let Some(Slot::Here(manifest)) = self.0.get(&wanted.release) else {
            return None;
        };
        let manifest = &manifest.body;
        manifest.binaries.get(&wanted.program)?;
        let mut settings = manifest.settings.get(&wanted.program).cloned();
        let settings = settings.get_or_insert_default();
        settings.extend(wanted.settings.clone());
        let set =
            |(name, value): (&String, &String)| ["--set".to_owned(), format!("{name}={value}")];
        Some(settings.iter().flat_map(set).collect())
    }

    /// A setting of a daemon, as its command line has it.
    #[must_use]
    pub fn setting(&self, wanted: &Wanted, name: &str) -> Option<String> {
        if let Some(value) = wanted.settings.get(name) {
            return Some(value.clone());
        }
        let Some(Slot::Here(manifest)) = self.0.get(&wanted.release) else {
            return None;
        };
        let settings = manifest.body.settings.get(&wanted.program)?;
        settings.get(name).cloned()
    }

    /// Forgets every release that is here and not `needed`.
    pub fn forget_all_but(&mut self, needed: impl Fn(&Version) -> bool) -> Vec<Version> {
        let gone = |(version, slot): (&Version, &Slot)| {
            (matches!(slot, Slot::Here(_)) && !needed(version)).then(|| version.clone())
        };
        let gone: Vec<Version> = self.0.iter().filter_map(gone).collect();
        // What is on its way is forgotten when it comes: never is one fetched twice at a time.
        self.0
            .retain(|version, slot| needed(version) || matches!(slot, Slot::Coming(_)));
        gone
    }

    /// The releases that are here.
    #[must_use]
    pub fn here(&self) -> BTreeSet<Version> {
        let here = self
            .0
            .iter()
            .filter(|(_, slot)| matches!(slot, Slot::Here(_)));
        here.map(|(version, _)| version.clone()).collect()
    }

    /// When the next is to be tried again.
    #[must_use]
    pub fn wake(&self) -> Option<Moment> {
        let failed = self.0.values().filter_map(|slot| match slot {
            Slot::Failed(_, at) => Some(*at),
            Slot::Here(_) | Slot::Coming(_) => None,
        });
        failed.min()
    }
}
