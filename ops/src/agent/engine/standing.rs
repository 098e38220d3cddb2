//! What an agent remembers: the intents it accepted, which one is in force, and whether it was proven.
//!
//! An intent goes through `staged` (accepted, its releases on their way), `current` (in force) and
//! `previous` (the one to return to). Only an intent that was proven becomes the one to return to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::document::intent::Intent;
use crate::engine::document::report::Fallen;
use crate::engine::document::words::{DaemonName, Digest, Version};
use crate::engine::document::{Body as _, Signed};

/// What an agent remembers.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Accepted, and not in force yet.
    pub staged: Option<Signed<Intent>>,
    /// The last one that came into force.
    pub current: Option<Signed<Intent>>,
    /// The last one before that which was proven.
    pub previous: Option<Signed<Intent>>,
    /// Whether all daemons of `current` were up for the time of probation.
    pub proven: bool,
    /// Why `previous` is in force instead of `current`, if it is.
    pub fallen: Option<Fallen>,
    /// The number of the agent's last start.
    pub boot: u64,
}

/// A standing as it is written: documents as their text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    staged: Option<String>,
    current: Option<String>,
    previous: Option<String>,
    proven: bool,
    fallen: Option<Fallen>,
    boot: u64,
}

impl Standing {
    /// The agent starts once more, at `calendar` seconds since 1970: a node that lost its state, and with it
    /// the numbers of its starts, still goes on with a higher one.
    #[must_use]
    pub fn begin(mut self, calendar: u64) -> Self {
        self.boot = self.boot.saturating_add(1).max(calendar);
        self
    }

    /// The intent in force.
    #[must_use]
    pub const fn in_force(&self) -> Option<&Signed<Intent>> {
        match (&self.fallen, &self.previous) {
            (Some(_), Some(previous)) => Some(previous),
            _ => self.current.as_ref(),
        }
    }

    /// The last intent that was accepted: the next one has to be newer.
    #[must_use]
    pub const fn accepted(&self) -> Option<&Signed<Intent>> {
        match &self.staged {
            Some(staged) => Some(staged),
            None => self.current.as_ref(),
        }
    }

    /// Every release that an intent here needs, with its manifest's digest.
    #[must_use]
    pub fn releases(&self) -> BTreeMap<Version, Digest> {
        let all = [&self.previous, &self.current, &self.staged];
        let all = all
            .into_iter()
            .flatten()
            .flat_map(|intent| &intent.body.releases);
        all.map(|(version, digest)| (version.clone(), *digest))
            .collect()
    }

    /// Every release that came into force and may again, with its manifest's digest. They were judged when
    /// they came, and stay what they are when their signer is no longer trusted for anything new.
    #[must_use]
    pub fn followed(&self) -> BTreeMap<Version, Digest> {
        let both = [&self.previous, &self.current].into_iter().flatten();
        let all = both.flat_map(|intent| intent.body.releases.clone());
        all.collect()
    }

    /// `intent` was accepted.
    #[must_use]
    pub fn accept(&self, intent: Signed<Intent>) -> Self {
        let mut next = self.clone();
        next.staged = Some(intent);
        next
    }

    /// The releases of the staged intent are here: it comes into force.
    ///
    /// What asks for the very daemons that the node fell back from does not bring them back.
    #[must_use]
    pub fn promote(&self) -> Self {
        let mut next = self.clone();
        let staged = next.staged.take();
        let again = match (&staged, &self.current) {
            (Some(staged), Some(current)) => staged.body.daemons == current.body.daemons,
            _ => false,
        };
        next.current = staged;
        if again {
            return next;
        }
        if self.proven && self.fallen.is_none() {
            next.previous.clone_from(&self.current);
        }
        next.proven = false;
        next.fallen = None;
        next
    }

    /// All daemons were up for the time of probation.
    #[must_use]
    pub fn prove(&self) -> Self {
        let mut next = self.clone();
        next.proven = true;
        next
    }

    /// Whether the intent in force is one that has yet to be proven.
    #[must_use]
    pub const fn on_probation(&self) -> bool {
        self.current.is_some() && self.fallen.is_none() && !self.proven
    }

    /// Whether there is an intent to return to, and the one in force is still on probation.
    #[must_use]
    pub const fn may_fall_back(&self) -> bool {
        self.previous.is_some() && self.on_probation()
    }

    /// `daemon` does not stay up as `release`: the intent before comes into force again.
    #[must_use]
    pub fn fall_back(&self, daemon: DaemonName, release: Version) -> Option<Self> {
        let from = self.current.as_ref()?.body.serial;
        let mut next = self.clone();
        next.fallen = Some(Fallen {
            from,
            daemon,
            release,
        });
        Some(next)
    }

    /// The text to write down.
    #[must_use]
    pub fn to_json(&self) -> String {
        let text = |intent: &Option<Signed<Intent>>| {
            intent.as_ref().map(|intent| intent.text().to_owned())
        };
        let written = Written {
            staged: text(&self.staged),
            current: text(&self.current),
            previous: text(&self.previous),
            proven: self.proven,
            fallen: self.fallen.clone(),
            boot: self.boot,
        };
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// Reads what [`to_json`](Self::to_json) wrote; `None` if it is anything else.
    ///
    /// Signatures are checked, and signers are not: what was accepted stays in force when its
    /// signer is no longer trusted for anything new.
    #[must_use]
    pub fn from_json(json: &str) -> Option<Self> {
        let written: Written = serde_json::from_str(json).ok()?;
        let read = |text: Option<String>| match text {
            None => Some(None),
            Some(text) => {
                let read = Signed::<Intent>::read_of_anyone(text.as_bytes(), |_| true).ok()?;
                read.body.check().ok()?;
                Some(Some(read))
            }
        };
        Some(Self {
            staged: read(written.staged)?,
            current: read(written.current)?,
            previous: read(written.previous)?,
            proven: written.proven,
            fallen: written.fallen,
            boot: written.boot,
        })
    }
}
