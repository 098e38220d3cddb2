//! What an agent says of itself: to its controller, and to its operator.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use common::clock::Moment;
use serde::{Deserialize, Serialize};

use super::Agent;
use super::life::Life;
use crate::engine::document::intent::Wanted;
use crate::engine::document::refusal::RefusalReason;
use crate::engine::document::report::{Observed, Report, SLOTS_MAX};
use crate::engine::document::words::{DaemonName, Program, RunState};

/// The setting that says where a daemon's pages are.
const ADMIN: &str = "admin.listen";

/// The setting that says where a proxy serves.
const HTTP: &str = "http.listen";

/// The setting that makes an index one that is to leave.
const RETIRE: &str = "retire.beside";

/// A daemon whose pages can be looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pages {
    /// The daemon.
    pub name: DaemonName,
    /// Its program.
    pub program: Program,
    /// Where its pages are.
    pub addr: SocketAddr,
    /// Whether it is an index that is to leave: then its state is worth a look.
    pub leaves: bool,
}

/// What an agent tells its operator.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct View {
    /// What it would report to its controller.
    pub report: Report,
    /// Whether all daemons of the intent in force were up for the time of probation.
    pub proven: bool,
    /// The serial of an intent whose releases are on their way.
    pub staged: Option<u64>,
    /// Since when the controller has not answered, in milliseconds; nothing if it never did.
    pub answered_ms_ago: Option<u64>,
    /// Why calls fail, and for how many milliseconds.
    pub failing: Option<(String, u64)>,
    /// Why the last document was refused, and how many milliseconds ago.
    pub refused: Option<(RefusalReason, u64)>,
    /// By how many seconds the controller's calendar was ahead of this node's when it last answered.
    #[serde(default)]
    pub controller_ahead_s: Option<i64>,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Agent {
    /// What is reported to the controller.
    pub(super) fn report(&self, now: Moment) -> Report {
        let standing = &self.standing;
        Report {
            node: self.config.node,
            boot: standing.boot,
            count: self.reports,
            name: self.config.name.clone(),
            agent: self.config.version.clone(),
            accepted: standing.accepted().map(|intent| intent.body.serial),
            in_force: standing.in_force().map(|intent| intent.body.serial),
            held: self.held.clone(),
            fallen: standing.fallen.clone(),
            refused: self.contact.refusal().map(|(reason, _)| reason),
            settled: Some(self.well_since.is_some()),
            daemons: self.observed(now),
            slots: self.slots.here().into_iter().take(SLOTS_MAX).collect(),
            counted: self.tally.total(),
            injected: self.tally.pages().clone(),
            wait_ms: millis(self.config.wait),
        }
    }

    /// Where a daemon that runs as `wanted` has its pages, if anywhere.
    fn pages_of(&self, wanted: &Wanted) -> Option<SocketAddr> {
        let addr: SocketAddr = self.slots.setting(wanted, ADMIN)?.parse().ok()?;
        // Where port 0 came to is known to the daemon alone.
        (addr.port() != 0).then_some(addr)
    }

    /// The daemons whose pages can be looked at.
    #[must_use]
    pub fn pages(&self) -> Vec<Pages> {
        let one = |(name, life): (&DaemonName, &Life)| {
            let wanted = life.runs()?;
            let retires = self.slots.setting(wanted, RETIRE);
            Some(Pages {
                name: name.clone(),
                program: wanted.program,
                addr: self.pages_of(wanted)?,
                leaves: wanted.program == Program::Dht && retires.is_some_and(|at| !at.is_empty()),
            })
        };
        self.lives.iter().filter_map(one).collect()
    }

    /// Where the node's own proxy can be asked for pages, once it is ready.
    #[must_use]
    pub fn own_proxy(&self) -> Option<SocketAddr> {
        let one = |(name, life): (&DaemonName, &Life)| {
            let wanted = life.runs().filter(|runs| runs.program == Program::Proxy)?;
            let ready = self.pages_of(wanted).is_none() || self.tally.is_ready(name);
            let mut addr: SocketAddr = self.slots.setting(wanted, HTTP)?.parse().ok()?;
            if addr.ip().is_unspecified() {
                let any: (IpAddr, IpAddr) =
                    (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
                addr.set_ip(if addr.is_ipv4() { any.0 } else { any.1 });
            }
            (ready && addr.port() != 0).then_some(addr)
        };
        self.lives.iter().find_map(one)
    }

    fn observed(&self, now: Moment) -> BTreeMap<DaemonName, Observed> {
        let one = |(name, life): (&DaemonName, &Life)| {
            let to_run = |wanted: &&Wanted| wanted.state == RunState::Run;
            let wanted = life.runs().or_else(|| self.wanted(name).filter(to_run))?;
            let (doing, since) = life.doing();
            let observed = Observed {
                program: wanted.program,
                release: wanted.release.clone(),
                doing,
                for_ms: millis(now.since(since)),
                crashes: life.crashes(),
                ready: self.pages_of(wanted).map(|_| self.tally.is_ready(name)),
                leaving: self.tally.leaving(name).cloned(),
            };
            Some((name.clone(), observed))
        };
        self.lives.iter().filter_map(one).collect()
    }

    /// What the operator is told.
    #[must_use]
    pub fn view(&self, now: Moment) -> View {
        let ago = |at: Moment| millis(now.since(at));
        let failing = self.contact.failing();
        let refused = self.contact.refusal();
        View {
            report: self.report(now),
            proven: self.standing.proven,
            staged: self
                .standing
                .staged
                .as_ref()
                .map(|intent| intent.body.serial),
            answered_ms_ago: self.contact.answered().map(ago),
            failing: failing.map(|(reason, since)| (reason.as_str().to_owned(), ago(since))),
            refused: refused.map(|(reason, at)| (reason, ago(at))),
            controller_ahead_s: self.contact.ahead_s(),
        }
    }
}
