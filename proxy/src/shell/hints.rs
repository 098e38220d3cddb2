//! Tells the index how far clients are: what the engine makes of it is [`crate::engine::distances`].

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::clock::Moment;
use common::telemetry::{Kind, Metric};
use tokio::time::sleep;

use super::context::Context;
use crate::engine::config;
use crate::engine::distances::{Distances, Unkept};

/// For the index to take one hint.
const DEADLINE: Duration = Duration::from_secs(3);

/// Between two looks at what is due, at most.
const TICK: Duration = Duration::from_millis(250);

/// How far clients are, and what came of telling it.
#[derive(Debug)]
pub(crate) struct Hints {
    distances: Mutex<Distances>,
    tick: Duration,
    told: AtomicU64,
    failed: AtomicU64,
    kept: AtomicU64,
    unkept: [AtomicU64; Unkept::ALL.len()],
}

impl Hints {
    pub(crate) fn new(config: config::Hints) -> Self {
        Self {
            distances: Mutex::new(Distances::new(config.ttl, config.pace)),
            tick: TICK.min(config.pace),
            told: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            kept: AtomicU64::new(0),
            unkept: Default::default(),
        }
    }

    /// The table. Held for one question, never across an await.
    pub(crate) fn distances(&self) -> MutexGuard<'_, Distances> {
        self.distances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection of `client` is over.
    pub(crate) fn measured(&self, now: Moment, client: IpAddr, rtt: Duration) {
        let counter = match self.distances().measured(now, client, rtt) {
            Ok(()) => &self.kept,
            Err(why) => &self.unkept[why as usize],
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let unkept = Unkept::ALL.map(|why| (why.as_str(), read(&self.unkept[why as usize])));
        let measured = [("kept", read(&self.kept))].into_iter().chain(unkept);
        let (known, crowded) = {
            let distances = self.distances();
            (distances.len() as u64, distances.crowded())
        };
        vec![
            Metric::counters(
                "atoll_proxy_round_trips",
                "Client connections by what became of their measured round trip",
                "outcome",
                measured,
            ),
            Metric::counters(
                "atoll_proxy_hints",
                "Hints of how far clients are, by whether the index took them",
                "outcome",
                [
                    ("told", read(&self.told)),
                    ("failed", read(&self.failed)),
                    ("crowded", crowded),
                ],
            ),
            Metric::plain(
                "atoll_proxy_client_networks",
                "Client networks whose distance is known",
                Kind::Gauge,
                known,
            ),
        ]
    }
}

/// Tells hints as they come due, for ever.
pub(crate) async fn keep_telling(ctx: Arc<Context>) {
    let Some(link) = &ctx.index else { return };
    let Some(hints) = &link.hints else { return };
    loop {
        sleep(hints.tick).await;
        loop {
            let due = hints.distances().due(ctx.now());
            let Some(hint) = due else { break };
            let told = link
                .client
                .hint(hint.client, hint.rtt, hint.ttl, DEADLINE)
                .await;
            let counter = match told {
                Ok(_) => &hints.told,
                Err(error) => {
                    tracing::debug!(%error, "a hint did not reach the index");
                    hints.distances().untold(hint.client);
                    &hints.failed
                }
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}
