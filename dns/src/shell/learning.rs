//! Runs the learner: its timers, one task per lookup, its editions to those who answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use common::rng::Generator;
use common::shell::signals::Shutdown;
use common::telemetry::{Kind, Metric, Sample};
use dht::client::Client;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::geography::Geography;
use super::published::Published;
use super::{explain, index, lock};
use crate::engine::checker::Checker;
use crate::engine::near::Network;
use crate::engine::near::learner::{Found, Learner, Output};
use crate::engine::output::Candidate;
use crate::engine::proxy::Proxy;

/// Lists of networks on their way from the receiving threads; beyond it they are dropped, and come
/// again.
pub const LISTS_MAX: usize = 64;

/// For one lookup.
const DEADLINE: Duration = Duration::from_secs(2);

/// What a lookup reports: who it was about, what came of it, and which proxies it mentioned.
type Report = (IpAddr, Found, Vec<Candidate>);

/// Everything it takes.
#[derive(Clone, Debug)]
pub struct Learning {
    /// The engine; the admin pages read it.
    pub learner: Arc<Mutex<Learner>>,
    /// Is told of proxies that the index mentions.
    pub checker: Arc<Mutex<Checker>>,
    /// Where editions go.
    pub published: Arc<Published>,
    /// The local index, if there is one.
    pub client: Option<Client>,
    /// Where clients are whom nobody has measured.
    pub geography: Arc<Geography>,
    /// The clock.
    pub clock: SystemClock,
}

impl Learning {
    /// Runs until the process drains. `seen` brings the networks that questions came for.
    pub async fn run(self, mut seen: mpsc::Receiver<Vec<Network>>, mut shutdown: Shutdown) {
        let (reports, mut inbox) = mpsc::channel(LISTS_MAX);
        loop {
            let wake = Instant::from_std(self.clock.instant(self.drain(&reports)));
            tokio::select! {
                biased;
                () = shutdown.draining() => return,
                Some(report) = inbox.recv() => self.found(&report),
                Some(list) = seen.recv() => {
                    let (now, mut learner) = (self.clock.moment(), lock(&self.learner));
                    list.into_iter().for_each(|network| learner.handle_seen(now, network));
                }
                () = sleep_until(wake) => lock(&self.learner).handle_timeout(self.clock.moment()),
            }
        }
    }

    fn found(&self, (client, found, mentions): &Report) {
        let now = self.clock.moment();
        // They are verified like any other before an answer names them.
        lock(&self.checker).handle_mentions(now, mentions);
        if *found == Found::Nothing {
            let guess = self.geography.guess(now, *client, || self.live());
            lock(&self.learner).handle_found(now, *client, &guess);
        } else {
            lock(&self.learner).handle_found(now, *client, found);
        }
    }

    /// The proxies that are alive.
    fn live(&self) -> Vec<SocketAddr> {
        let checker = lock(&self.checker);
        let live = checker.proxies().filter(|proxy| proxy.is_live());
        live.map(|proxy: &Proxy| proxy.http).collect()
    }

    /// Does what the learner wants done; returns when to wake it.
    fn drain(&self, reports: &mpsc::Sender<Report>) -> Moment {
        loop {
            let output = lock(&self.learner).poll_output(self.clock.moment());
            match output {
                Output::Ask { client, wide } => self.ask(client, wide, reports.clone()),
                Output::Publish(places) => self.published.publish_places(places),
                Output::Wake(at, timer) => {
                    tracing::trace!(?at, ?timer, "learner sleeps");
                    return at;
                }
            }
        }
    }

    fn ask(&self, client: IpAddr, wide: bool, reports: mpsc::Sender<Report>) {
        let index = self.client.clone();
        tokio::spawn(async move {
            let (found, mentions) = match index {
                Some(index) => index::near(&index, client, wide, DEADLINE).await,
                None => (Found::Nothing, Vec::new()),
            };
            // Only a learner that ended does not listen.
            drop(reports.send((client, found, mentions)).await);
        });
    }
}

/// What the admin pages show of it.
#[derive(Clone, Debug)]
pub struct Learnt {
    /// The engine.
    pub learner: Arc<Mutex<Learner>>,
    /// What answers are made from.
    pub published: Arc<Published>,
    /// For explanations.
    pub rng: Arc<Mutex<Generator>>,
}

impl Learnt {
    /// The page at `path`, if it is one about nearness.
    #[must_use]
    pub fn page(&self, now: Moment, path: &str, query: &str) -> Option<Value> {
        let snapshot = self.published.current();
        (path == "/explain").then(|| explain::page(&snapshot, &mut lock(&self.rng), now, query))
    }

    /// How much is known.
    #[must_use]
    pub fn state(&self) -> Value {
        let (known, unknown, waiting) = lock(&self.learner).sizes();
        json!({ "known": known, "unknown": unknown, "waiting": waiting })
    }

    /// The numbers.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        near_metrics(&self.learner)
    }
}

fn near_metrics(learner: &Mutex<Learner>) -> Vec<Metric> {
    let (stats, (known, unknown, waiting)) = {
        let learner = lock(learner);
        (learner.stats(), learner.sizes())
    };
    let size = |kind: &'static str, count: usize| Sample {
        labels: vec![("kind", kind.to_owned())],
        value: u64::try_from(count).unwrap_or(u64::MAX),
    };
    vec![
        Metric::counters(
            "atoll_dns_lookups",
            "Lookups of client networks in the index, by what they found",
            "outcome",
            [
                ("hinted", stats.hinted),
                ("guessed", stats.guessed),
                ("nothing", stats.nothing),
                ("gone", stats.gone),
                ("overdue", stats.overdue),
                ("crowded", stats.crowded),
            ],
        ),
        Metric {
            name: "atoll_dns_client_networks",
            help: "Client networks with a place, looked up in vain, and waiting",
            kind: Kind::Gauge,
            samples: vec![
                size("known", known),
                size("unknown", unknown),
                size("waiting", waiting),
            ],
        },
        Metric::plain(
            "atoll_dns_place_editions",
            "Tables of client networks handed to those who answer",
            Kind::Counter,
            stats.editions,
        ),
    ]
}
