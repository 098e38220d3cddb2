//! Runs the checker: its timers, one task per check, its live sets to the answering engine.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use common::clock::{Clock as _, Moment, SystemClock};
use common::name::Zone;
use common::shell::signals::Shutdown;
use dht::client::Client;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::published::Published;
use super::{fetch, index, lock};
use crate::engine::checker::Checker;
use crate::engine::config::CheckConfig;
use crate::engine::output::{Candidate, HttpOutcome, Output, PingOutcome};
use crate::engine::proxy::{Change, Standing};

/// What a task reports.
#[derive(Debug)]
enum Report {
    Candidates(Option<Vec<Candidate>>),
    Ping(SocketAddr, PingOutcome),
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
    /// The zone, for the check page's host.
    pub zone: Zone,
    /// The local index, if there is one.
    pub client: Option<Client>,
    /// The clock.
    pub clock: SystemClock,
}

impl Prober {
    /// Runs until the process drains.
    pub async fn run(self, mut shutdown: Shutdown) {
        // Room for the result of every check that can be under way: no task waits to report.
        let (reports, mut inbox) = mpsc::channel(2 * self.config.concurrency + 1);
        loop {
            let wake = Instant::from_std(self.clock.instant(self.drain(&reports)));
            tokio::select! {
                biased;
                () = shutdown.draining() => return,
                Some(report) = inbox.recv() => self.handle(report),
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
            Report::Ping(proxy, outcome) => checker.handle_ping(now, proxy, outcome),
            Report::Http(proxy, outcome) => checker.handle_http(now, proxy, outcome),
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
                Output::Changed(change) => log(change),
                Output::Refresh => self.refresh(reports.clone()),
                Output::Ping { proxy, index } => self.ping(proxy, index, reports.clone()),
                Output::Http { proxy } => self.fetch(proxy, reports.clone()),
            }
        }
    }

    fn refresh(&self, reports: mpsc::Sender<Report>) {
        let client = self.client.clone();
        tokio::spawn(async move {
            let candidates = match client {
                Some(client) => index::candidates(&client).await,
                None => None,
            };
            // Only a prober that ended does not listen.
            drop(reports.send(Report::Candidates(candidates)).await);
        });
    }

    fn ping(&self, proxy: SocketAddr, index: SocketAddr, reports: mpsc::Sender<Report>) {
        let (client, allowed) = (self.client.clone(), self.config.timeout);
        tokio::spawn(async move {
            let outcome = match client {
                Some(client) => index::ping(&client, index, proxy, allowed).await,
                None => PingOutcome::NoIndex,
            };
            drop(reports.send(Report::Ping(proxy, outcome)).await);
        });
    }

    fn fetch(&self, proxy: SocketAddr, reports: mpsc::Sender<Report>) {
        let (zone, allowed, clock) = (self.zone.clone(), self.config.timeout, self.clock);
        tokio::spawn(async move {
            let outcome = fetch::check(proxy, &zone, allowed, clock).await;
            drop(reports.send(Report::Http(proxy, outcome)).await);
        });
    }
}

fn log(change: Change) {
    let Change { proxy, from, to } = change;
    let before = from.as_str();
    match to {
        Standing::Live { .. } => tracing::info!(%proxy, before, "proxy is live"),
        Standing::Out { fault, .. } => tracing::warn!(%proxy, before, %fault, "proxy is out"),
        Standing::Unverified => tracing::debug!(%proxy, before, "proxy is to be verified"),
    }
}
