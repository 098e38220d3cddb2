//! The checker: keeps the set of proxies that may be named, from first-hand evidence alone.
//!
//! Callers use it in three groups: `handle_*` when something happened, `poll_output` after every
//! such call until it says `Wake`, and the rest (`view`) to look. Dispatch only: what the evidence
//! means is [`super::proxy`]'s affair, when to check is [`super::probe`]'s, whom to check is
//! [`super::share`]'s.
//!
//! Two kinds of silence are not held against a proxy. If the local index is gone, pings teach
//! nothing, and HTTP alone decides. If this process was starved (its own wake-up came late), checks
//! that were under way then, or begin within one period after, may only succeed: a starved prober
//! must not declare everybody dead.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use common::rng::Generator;

use super::appetite::Appetite;
use super::config::CheckConfig;
use super::live::LiveSet;
use super::output::{Candidate, HttpOutcome, Output, PingOutcome, Target};
use super::pace::Pace;
use super::pool::{Mention, Pool};
use super::probe::{Kind, Schedule};
use super::proxy::{Change, Proxy, Standing, Terms};
use super::reason::Fault;
use super::stats::CheckStats;
use super::timers::{
    FORGET_EVERY, HASTY_AFTER, PINGS_TOGETHER, REFRESH_EVERY, STARVED_AFTER, TEND_EVERY, TOGETHER,
    Timer, WEIGHTS_EVERY,
};

mod tend;
mod view;

pub use tend::Seats;

/// What is known about the local index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Index {
    /// None is configured.
    Unused,
    /// It answered the last question.
    Answering {
        /// When it last answered anything.
        heard: Moment,
    },
    /// It did not answer the last question, or was never asked.
    Gone,
}

/// The façade.
#[derive(Clone, Debug)]
pub struct Checker {
    config: CheckConfig,
    pool: Pool,
    pings: Schedule,
    fetches: Schedule,
    index: Index,
    /// When to ask for candidates; `None` while a question is under way.
    refresh_at: Option<Moment>,
    /// For how many.
    appetite: Appetite,
    forget_at: Moment,
    tend_at: Moment,
    /// When seats may be dealt again; they are only dealt while there are too few.
    deal_at: Moment,
    /// What the tending found last.
    tended: tend::Tended,
    /// The last `Wake` given out: coming later than that shows starvation.
    promised: Option<Moment>,
    /// Failures of checks begun before this moment are void.
    grace_until: Moment,
    /// Pages under way before this moment show nobody to be slow.
    hasty_until: Moment,
    published: Arc<LiveSet>,
    /// Somebody came or went since: the next output is a new set.
    changed: bool,
    /// Weights or levels changed since: a new set can wait for a while.
    stale: bool,
    publish_at: Moment,
    rng: Generator,
    outputs: VecDeque<Output>,
    stats: CheckStats,
}

impl Checker {
    /// A checker that knows the fixed proxies, and asks an index for more if there is one.
    #[must_use]
    pub fn new(config: CheckConfig, index: bool, rng: Generator, now: Moment) -> Self {
        let schedule =
            |every| Schedule::new(every, config.timeout, config.proxies, config.concurrency);
        let mut checker = Self {
            pings: schedule(config.ping_every),
            fetches: schedule(config.http_every),
            pool: Pool::new(config.server.clone(), config.proxies),
            index: if index { Index::Gone } else { Index::Unused },
            refresh_at: index.then_some(now),
            appetite: Appetite::default(),
            forget_at: now + FORGET_EVERY,
            tend_at: now + TEND_EVERY,
            deal_at: now,
            tended: tend::Tended::default(),
            promised: None,
            grace_until: Moment::ZERO,
            hasty_until: Moment::ZERO,
            published: Arc::default(),
            changed: false,
            stale: false,
            publish_at: now,
            rng,
            outputs: VecDeque::new(),
            stats: CheckStats::default(),
            config,
        };
        for http in checker.config.fixed.clone() {
            let mention = checker.pool.fix(http, now);
            checker.take_up(http, mention, now);
        }
        checker.fill_seats(now);
        checker
    }

    /// The index answered with these proxies. It names some at random, so that a proxy it does not
    /// name is not gone.
    pub fn handle_candidates(&mut self, now: Moment, candidates: &[Candidate]) {
        self.notice_starvation(now);
        self.index = Index::Answering { heard: now };
        self.refresh_at = Some(now + REFRESH_EVERY);
        let new = self.mentioned(now, candidates);
        self.appetite.fed(candidates.len(), new, self.pool.len());
    }

    /// The index mentioned these when it was asked who is near a client.
    pub fn handle_mentions(&mut self, now: Moment, candidates: &[Candidate]) {
        self.notice_starvation(now);
        self.mentioned(now, candidates);
    }

    /// Enters them all; says how many were not known before.
    fn mentioned(&mut self, now: Moment, candidates: &[Candidate]) -> usize {
        let mut new = 0;
        for candidate in candidates {
            let mention = self.pool.mention(*candidate, now);
            new += usize::from(mention == Mention::New);
            self.take_up(candidate.http, mention, now);
        }
        self.fill_seats(now);
        new
    }

    /// These proxies are near clients that ask: they are checked before others, for as long as this
    /// is said again every few minutes. Those that the index never mentioned are passed over.
    pub fn handle_wanted(&mut self, now: Moment, proxies: &[SocketAddr]) {
        self.notice_starvation(now);
        for proxy in proxies {
            if !self.pool.want(*proxy, now) {
                self.stats.wanted_unknown += 1;
            }
        }
        self.deal_if_due(now);
    }

    /// The index did not answer. The set stays as it is; HTTP checks go on.
    pub fn handle_index_gone(&mut self, now: Moment) {
        self.notice_starvation(now);
        self.stats.index_gone += 1;
        self.index = Index::Gone;
        self.appetite.unanswered();
        self.refresh_at = Some(now + REFRESH_EVERY);
    }

    /// A ping of `proxy`'s index came to this.
    pub fn handle_ping(&mut self, now: Moment, proxy: SocketAddr, outcome: PingOutcome) {
        self.notice_starvation(now);
        let Some(began) = self.pings.finish(proxy) else {
            return;
        };
        let listed = match self.judge_ping(began, outcome) {
            PingOutcome::Pong { listed, .. } => listed,
            PingOutcome::Silent => false,
            PingOutcome::Late | PingOutcome::NoIndex => {
                self.stats.pings_void += 1;
                self.pings.retry(proxy, &mut self.rng, now);
                return;
            }
        };
        if matches!(outcome, PingOutcome::Pong { .. } | PingOutcome::Silent) {
            self.index = Index::Answering { heard: now };
        }
        if !listed && began < self.grace_until {
            self.stats.pings_void += 1;
            self.pings.retry(proxy, &mut self.rng, now);
            return;
        }
        self.pings.again(proxy, began, &mut self.rng, now);
        let terms = self.terms();
        let Some(entry) = self.pool.proxy_mut(proxy) else {
            return;
        };
        let before = entry.member();
        let (change, fault) = match outcome {
            PingOutcome::Pong { rtt, listed: true } => {
                entry.pong(rtt, &self.config.levels, now);
                (entry.settle(terms, now), None)
            }
            PingOutcome::Pong { .. } => (entry.unlisted(now), Some(Fault::ServiceGone)),
            PingOutcome::Silent | PingOutcome::Late | PingOutcome::NoIndex => {
                (entry.ping_missed(now), Some(Fault::PingMissed))
            }
        };
        self.stale |= entry.is_live() && entry.member() != before;
        match fault {
            None => self.stats.pings_answered += 1,
            Some(fault) => {
                self.stats.pings_failed += 1;
                *self.stats.failures.entry(fault).or_default() += 1;
            }
        }
        self.changed(change);
    }

    /// What a ping says: a late one is the other index's silence only if the local index was heard
    /// since the ping began.
    fn judge_ping(&mut self, began: Moment, outcome: PingOutcome) -> PingOutcome {
        match (outcome, self.index) {
            (PingOutcome::NoIndex, Index::Answering { .. } | Index::Gone) => {
                self.index = Index::Gone;
                PingOutcome::NoIndex
            }
            (PingOutcome::Late, Index::Answering { heard }) if heard >= began => {
                PingOutcome::Silent
            }
            (other, _) => other,
        }
    }

    /// An HTTP check of `proxy` came to this.
    pub fn handle_http(&mut self, now: Moment, proxy: SocketAddr, outcome: HttpOutcome) {
        self.notice_starvation(now);
        let Some(began) = self.fetches.finish(proxy) else {
            return;
        };
        let fault = match outcome {
            HttpOutcome::Served { draining: true, .. } => Some(Fault::Draining),
            HttpOutcome::Served { .. } => None,
            HttpOutcome::Failed(fault) => Some(fault),
            HttpOutcome::Ourselves => {
                self.stats.pages_void += 1;
                self.fetches.retry(proxy, &mut self.rng, now);
                return;
            }
        };
        let failed = fault.is_some_and(|fault| !fault.is_wish());
        if failed && began < self.grace_until {
            self.stats.pages_void += 1;
            self.fetches.retry(proxy, &mut self.rng, now);
            return;
        }
        self.fetches.again(proxy, began, &mut self.rng, now);
        let change = match (fault, outcome) {
            (None, HttpOutcome::Served { took, spare, .. }) => {
                self.served(proxy, (took, spare), began, now)
            }
            (fault, _) => {
                let fault = fault.unwrap_or(Fault::Broken);
                self.stats.pages_failed += 1;
                *self.stats.failures.entry(fault).or_default() += 1;
                let entry = self.pool.proxy_mut(proxy);
                entry.and_then(|entry| entry.refused(fault, now))
            }
        };
        self.changed(change);
    }

    /// The page came: in good time, or too late to be called good.
    fn served(
        &mut self,
        proxy: SocketAddr,
        (took, spare): (Duration, u8),
        began: Moment,
        now: Moment,
    ) -> Option<Change> {
        self.stats.pages_served += 1;
        let (terms, others) = (self.terms(), self.tended.serving);
        let most = self.config.slow;
        let entry = self.pool.proxy_mut(proxy)?;
        let serving = Pace::serving(took, entry.ping_rtt);
        let in_time = began >= self.hasty_until && now.since(began) <= took + HASTY_AFTER;
        if in_time && entry.pace.is_slow(serving, others, most) {
            self.stats.pages_slow += 1;
            return entry.served_slowly(took, now);
        }
        let before = entry.member();
        entry.served(took, spare, now);
        self.stale |= entry.is_live() && entry.member() != before;
        entry.settle(terms, now)
    }

    /// What counts towards a return at present.
    const fn terms(&self) -> Terms {
        Terms {
            pings_count: matches!(self.index, Index::Answering { .. }),
            holds_waived: self.tended.held > self.tended.live,
        }
    }

    /// The moment of the last `Wake` has come.
    pub fn handle_timeout(&mut self, now: Moment) {
        self.notice_starvation(now);
        self.pings.give_up_overdue(&mut self.rng, now);
        self.fetches.give_up_overdue(&mut self.rng, now);
        if now >= self.forget_at {
            self.forget_at = now + FORGET_EVERY;
            for proxy in self.pool.forget(now) {
                self.pings.leave(proxy);
                self.fetches.leave(proxy);
            }
        }
        if now >= self.tend_at {
            self.tend_at = now + TEND_EVERY;
            self.tend(now);
        }
    }

    /// The next thing to do; call until it says `Wake`, which stays valid until the next call of
    /// any `handle_*`.
    pub fn poll_output(&mut self, now: Moment) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        if let Some(set) = self.edition(now) {
            return Output::Publish(set);
        }
        if self.refresh_at.is_some_and(|at| at <= now) {
            self.refresh_at = None;
            let count = self.appetite.count();
            return Output::Refresh { count };
        }
        let targets = self.pings_due(now);
        if !targets.is_empty() {
            return Output::Pings(targets);
        }
        if let Some(proxy) = self.fetches.start(now) {
            return Output::Http { proxy };
        }
        let (at, timer) = self.next_wake();
        self.promised = Some(at);
        Output::Wake(at, timer)
    }

    /// The pings to make now: once one is due, all that soon will be.
    fn pings_due(&mut self, now: Moment) -> Vec<Target> {
        let mut targets = Vec::new();
        let mut by = now;
        while targets.len() < PINGS_TOGETHER
            && let Some(proxy) = self.pings.start_before(by, now)
        {
            by = now + TOGETHER;
            match self.pool.proxy(proxy).and_then(|proxy| proxy.index) {
                Some(index) => targets.push(Target { proxy, index }),
                None => self.pings.leave(proxy),
            }
        }
        targets
    }

    fn next_wake(&self) -> (Moment, Timer) {
        let check = self
            .pings
            .next_due()
            .into_iter()
            .chain(self.fetches.next_due())
            .min();
        let overdue = self
            .pings
            .next_overdue()
            .into_iter()
            .chain(self.fetches.next_overdue())
            .min();
        let timers = [
            (check, Timer::Check),
            (overdue, Timer::Overdue),
            (self.refresh_at, Timer::Refresh),
            (self.stale.then_some(self.publish_at), Timer::Weights),
            (Some(self.tend_at), Timer::Tend),
        ];
        let armed = timers
            .into_iter()
            .filter_map(|(at, timer)| Some((at?, timer)));
        armed.fold((self.forget_at, Timer::Forget), std::cmp::min)
    }

    /// Every input passes here first: one that comes later than the promised wake-up by more than
    /// the limit came to a process that did not run.
    fn notice_starvation(&mut self, now: Moment) {
        let late = self
            .promised
            .take()
            .map_or(Duration::ZERO, |at| now.since(at));
        if late > HASTY_AFTER {
            self.hasty_until = now;
        }
        if late > STARVED_AFTER {
            self.stats.starved += 1;
            self.grace_until = now + self.config.ping_every;
            self.pool.forgive();
        }
    }

    fn changed(&mut self, change: Option<Change>) {
        let Some(change) = change else {
            return;
        };
        match change.to {
            Standing::Live { .. } => self.stats.taken_in += 1,
            Standing::Out { fault, .. } => *self.stats.taken_out.entry(fault).or_default() += 1,
            Standing::Unverified => {}
        }
        self.outputs.push_back(Output::Changed(change));
        self.changed = true;
    }

    /// The set to answer from, if it is another than the last.
    fn edition(&mut self, now: Moment) -> Option<Arc<LiveSet>> {
        let due = self.changed || (self.stale && now >= self.publish_at);
        if !due {
            return None;
        }
        (self.changed, self.stale) = (false, false);
        self.tended.live = self.pool.live();
        self.publish_at = now + WEIGHTS_EVERY;
        let set = self.pool.live_set(self.config.detection(), now);
        if set == *self.published {
            return None;
        }
        self.published = Arc::new(set);
        Some(Arc::clone(&self.published))
    }
}

#[cfg(test)]
mod crowd_tests;
#[cfg(test)]
mod tests;
