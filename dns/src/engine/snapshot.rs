//! Everything that answers are made from, as one value that never changes.
//!
//! Whoever answers holds it through an `Arc` and is handed a new one when something changed; so
//! nobody who answers ever waits for somebody who publishes.

use std::sync::Arc;

use super::config::AnswerConfig;
use super::live::LiveSet;
use super::zone::Zones;

/// What answers are made from. Its parts are shared between snapshots that agree in them.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The zones.
    pub zones: Arc<Zones>,
    /// How answers look.
    pub config: Arc<AnswerConfig>,
    /// Who is alive.
    pub live: Arc<LiveSet>,
}

impl Snapshot {
    /// A snapshot in which nobody is known.
    #[must_use]
    pub fn new(zones: Zones, config: AnswerConfig) -> Self {
        Self {
            zones: Arc::new(zones),
            config: Arc::new(config),
            live: Arc::default(),
        }
    }

    /// The same with `live`.
    #[must_use]
    pub fn with_live(&self, live: LiveSet) -> Self {
        Self {
            live: Arc::new(live),
            ..self.clone()
        }
    }
}
