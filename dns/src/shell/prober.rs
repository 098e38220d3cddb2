//! Runs the checker: its timers, one task per check, its live sets to the answering engine.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use common::shell::signals::Shutdown;
use dht::client::Client;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::published::Published;
use super::{fetch, index, lock};
use crate::engine::checker::Checker;
use crate::engine::config::CheckConfig;
use crate::engine::output::{Candidate, HttpOutcome, Output, PingOutcome, Target};
use crate::engine::proxy::{Change, Standing};

/// Between two looks at which proxies are near clients: new ones get seats every few seconds.
const WANTED_EVERY: Duration = Duration::from_secs(5);

/// What a task reports.
#[derive(Debug)]
enum Report {
    Candidates(Option<Vec<Candidate>>),
    Pings(Vec<(SocketAddr, PingOutcome)>),
    Http(SocketAddr, HttpOutcome),
}

/// Everything the prober needs.
#[derive(Clone, Debug)]
pub struct Prober {
    /// The engine; the admin pages read it.
    pub checker: Arc<Mutex<Checker>>,
    /// Where live sets go.
    pub published: Arc<Published>,
    /// How to check.
    pub config: CheckConfig,
    /// The request for the check page.
    pub request: Arc<[u8]>,
    /// The local index, if there is one.
    pub client: Option<Client>,
    /// How long the dead were named at most.
    pub detection: Histogram,
    /// The clock.
    pub clock: SystemClock,
}

impl Prober {
    /// Runs until the process drains.
    pub async fn run(self, mut shutdown: Shutdown) {
        // Room for the result of every check that can be under way: no task waits to report.
        let (reports, mut inbox) = mpsc::channel(2 * self.config.concurrency + 1);
        let mut told = self.clock.moment();
        loop {
            let wake = Instant::from_std(self.clock.instant(self.drain(&reports)));
            tokio::select! {
                biased;
                () = shutdown.draining() => return,
                Some(report) = inbox.recv() => {
                    self.handle(report);
                    self.tell_wanted(&mut told);
                }
                () = sleep_until(wake) => lock(&self.checker).handle_timeout(self.clock.moment()),
            }
        }
    }

    fn handle(&self, report: Report) {
        let now = self.clock.moment();
        let mut checker = lock(&self.checker);
        match report {
            Report::Candidates(Some(candidates)) => checker.handle_candidates(now, &candidates),
            Report::Candidates(None) => checker.handle_index_gone(now),
            Report::Pings(outcomes) => {
                for (proxy, outcome) in outcomes {
                    checker.handle_ping(now, proxy, outcome);
                }
            }
            Report::Http(proxy, outcome) => checker.handle_http(now, proxy, outcome),
        }
    }

    /// Tells the checker once in a while which proxies are near clients that ask.
    fn tell_wanted(&self, told: &mut Moment) {
        let now = self.clock.moment();
        if now.since(*told) < WANTED_EVERY {
            return;
        }
        *told = now;
        let snapshot = self.published.current();
        let wanted: Vec<_> = snapshot
            .places
            .proxies()
            .iter()
            .flatten()
            .copied()
            .collect();
        if !wanted.is_empty() {
            lock(&self.checker).handle_wanted(now, &wanted);
        }
    }

    /// Does what the checker wants done; returns when to wake it.
    fn drain(&self, reports: &mpsc::Sender<Report>) -> Moment {
        loop {
            let output = lock(&self.checker).poll_output(self.clock.moment());
            match output {
                Output::Wake(at, timer) => {
                    tracing::trace!(?at, ?timer, "prober sleeps");
                    return at;
                }
                Output::Publish(live) => self.published.publish_live(live),
                Output::Changed(change) => {
                    if let Some(unseen) = change.unseen {
                        self.detection.observe(unseen.as_secs_f64());
                    }
                    log(change);
                }
                Output::Refresh { count } => self.refresh(count, reports.clone()),
                Output::Pings(targets) => self.ping(targets, reports.clone()),
                Output::Http { proxy } => self.fetch(proxy, reports.clone()),
            }
        }
    }

    fn refresh(&self, count: usize, reports: mpsc::Sender<Report>) {
        let client = self.client.clone();
        tokio::spawn(async move {
            let candidates = match client {
                Some(client) => index::candidates(&client, count).await,
                None => None,
            };
            // Only a prober that ended does not listen.
            drop(reports.send(Report::Candidates(candidates)).await);
        });
    }

    fn ping(&self, targets: Vec<Target>, reports: mpsc::Sender<Report>) {
        let (client, allowed) = (self.client.clone(), self.config.timeout);
        tokio::spawn(async move {
            let outcomes = match client {
                Some(client) => index::pings(&client, &targets, allowed).await,
                None => vec![PingOutcome::NoIndex; targets.len()],
            };
            let proxies = targets.into_iter().map(|target| target.proxy);
            let outcomes = proxies.zip(outcomes).collect();
            drop(reports.send(Report::Pings(outcomes)).await);
        });
    }

    fn fetch(&self, proxy: SocketAddr, reports: mpsc::Sender<Report>) {
        let (request, allowed, clock) =
            (Arc::clone(&self.request), self.config.timeout, self.clock);
        tokio::spawn(async move {
            let outcome = fetch::check(proxy, &request, allowed, clock).await;
            drop(reports.send(Report::Http(proxy, outcome)).await);
        });
    }
}

#[expect(
    clippy::cognitive_complexity,
    reason = "what the log's macros hide counts"
)]
fn log(change: Change) {
    let Change {
        proxy, from, to, ..
    } = change;
    let before = from.as_str();
    match to {
        Standing::Live { .. } => tracing::info!(%proxy, before, "proxy is live"),
        Standing::Out { fault, .. } => tracing::warn!(%proxy, before, %fault, "proxy is out"),
        Standing::Unverified => tracing::info!(%proxy, before, "proxy is not checked any more"),
    }
}
