//! Everything that answers are made from, as one value that never changes.
//!
//! Whoever answers holds it through an `Arc` and is handed a new one when something changed; so
//! nobody who answers ever waits for somebody who publishes.

use std::net::SocketAddr;
use std::sync::Arc;

use super::config::AnswerConfig;
use super::live::{Family, LiveSet, RowNumber, Side};
use super::near::places::{Places, ProxyNumber};
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
    /// Where client networks are.
    pub places: Arc<Places>,
    /// Which of those alive are the proxies of `places`.
    pub rows: Arc<Rows>,
}

/// The rows of the live set at which the proxies of the places are.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Rows {
    v4: Vec<RowNumber>,
    v6: Vec<RowNumber>,
}

impl Rows {
    /// Stands for no row.
    const NONE: RowNumber = RowNumber::MAX;

    fn join(live: &LiveSet, places: &Places) -> Self {
        let numbers = |side: &Side| {
            let row = |proxy: &Option<SocketAddr>| {
                let row = proxy.and_then(|proxy| side.number(proxy.ip()));
                row.unwrap_or(Self::NONE)
            };
            places.proxies().iter().map(row).collect()
        };
        Self {
            v4: numbers(&live.v4),
            v6: numbers(&live.v6),
        }
    }

    /// The row of `proxy` among the proxies of `family`; `None` if it is not alive or not of that
    /// family.
    #[must_use]
    pub fn number(&self, family: Family, proxy: ProxyNumber) -> Option<RowNumber> {
        let rows = match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        };
        let row = rows.get(proxy.index()).copied();
        row.filter(|row| *row != Self::NONE)
    }
}

impl Snapshot {
    /// A snapshot in which nobody is known.
    #[must_use]
    pub fn new(zones: Zones, config: AnswerConfig) -> Self {
        Self {
            zones: Arc::new(zones),
            config: Arc::new(config),
            live: Arc::default(),
            places: Arc::default(),
            rows: Arc::default(),
        }
    }

    /// The same with `live`.
    #[must_use]
    pub fn with_live(&self, live: impl Into<Arc<LiveSet>>) -> Self {
        let live = live.into();
        Self {
            rows: Arc::new(Rows::join(&live, &self.places)),
            live,
            ..self.clone()
        }
    }

    /// The same with `places`.
    #[must_use]
    pub fn with_places(&self, places: Arc<Places>) -> Self {
        Self {
            rows: Arc::new(Rows::join(&self.live, &places)),
            places,
            ..self.clone()
        }
    }
}
