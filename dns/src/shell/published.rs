//! The snapshot that answers are made from, on its way from the prober to those who answer.
//!
//! Whoever answers keeps an `Arc` of its own and looks at a number to see that there is a newer
//! one; the lock is taken only then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::lock;
use crate::engine::config::AnswerConfig;
use crate::engine::live::LiveSet;
use crate::engine::near::places::Places;
use crate::engine::snapshot::Snapshot;
use crate::engine::zone::Zones;

/// The snapshot that holds now.
#[derive(Debug)]
pub struct Published {
    current: Mutex<Arc<Snapshot>>,
    edition: AtomicU64,
}

impl Published {
    /// Publishes the first snapshot.
    #[must_use]
    pub fn new(first: Snapshot) -> Self {
        Self {
            current: Mutex::new(Arc::new(first)),
            edition: AtomicU64::new(1),
        }
    }

    /// The present snapshot.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&lock(&self.current))
    }

    /// Answers name the proxies of `live` from now on.
    pub fn publish_live(&self, live: Arc<LiveSet>) {
        let mut current = lock(&self.current);
        *current = Arc::new(current.with_live(live));
        self.edition.fetch_add(1, Ordering::Release);
    }

    /// Answers know of `places` from now on.
    pub fn publish_places(&self, places: Arc<Places>) {
        let mut current = lock(&self.current);
        *current = Arc::new(current.with_places(places));
        self.edition.fetch_add(1, Ordering::Release);
    }

    /// Answers are about `zones`, and look like `config` says, from now on.
    pub fn publish_zones(&self, zones: Arc<Zones>, config: Arc<AnswerConfig>) {
        let mut current = lock(&self.current);
        *current = Arc::new(Snapshot {
            zones,
            config,
            ..Snapshot::clone(&current)
        });
        self.edition.fetch_add(1, Ordering::Release);
    }

    /// The present snapshot, unless `seen` is its edition already; writes the edition to `seen`,
    /// which starts at 0.
    pub fn newer(&self, seen: &mut u64) -> Option<Arc<Snapshot>> {
        let edition = self.edition.load(Ordering::Acquire);
        if edition == *seen {
            return None;
        }
        *seen = edition;
        Some(self.current())
    }
}
