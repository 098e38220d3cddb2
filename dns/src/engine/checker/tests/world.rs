//! Proxies, their machines and the local index, as the scenarios want them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::*;

const RTT: Duration = Duration::from_millis(5);
pub(super) const TICK: Duration = Duration::from_millis(1);

/// How a proxy's machine is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::engine::checker) enum Condition {
    Well,
    /// The process is gone; its index lives and lists it no longer.
    Killed,
    /// The process answers nothing; its index lives and lists it.
    Hung,
    /// The machine is gone.
    Dark,
    Sick(Fault),
    /// It serves, but takes its time.
    Slow(Duration),
    Draining,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LocalIndex {
    Answers,
    Gone,
    Hung,
}

/// What a check will report.
#[derive(Clone, Copy, Debug)]
pub(super) enum Result {
    Ping(SocketAddr, PingOutcome),
    Http(SocketAddr, HttpOutcome),
    Candidates,
    IndexGone,
}

/// A checker and the world it sees.
pub(in crate::engine::checker) struct World {
    pub(in crate::engine::checker) checker: Checker,
    pub(in crate::engine::checker) now: Moment,
    pub(super) conditions: Vec<Condition>,
    pub(super) index: LocalIndex,
    pub(super) mentioned: BTreeSet<usize>,
    /// How far the local index says that all are.
    pub(in crate::engine::checker) rtt: Duration,
    /// Questions for candidates answered so far.
    pub(super) refreshed: usize,
    pub(super) lose_pings: u32,
    pub(super) no_descriptors: bool,
    pub(super) drop_results: bool,
    pub(super) results: BTreeMap<(Moment, u64), Result>,
    pub(super) wake: Moment,
    pub(super) sequence: u64,
    pub(in crate::engine::checker) fetched: BTreeMap<SocketAddr, u64>,
    pub(in crate::engine::checker) most_under_way: usize,
    pub(in crate::engine::checker) log: Vec<(Moment, Output)>,
}

impl World {
    /// `count` proxies that are well, known through the index or by the configuration.
    pub(in crate::engine::checker) fn new(count: usize, indexed: bool) -> Self {
        Self::with(CheckConfig::default(), count, indexed)
    }

    pub(in crate::engine::checker) fn with(
        config: CheckConfig,
        count: usize,
        indexed: bool,
    ) -> Self {
        let fixed = if indexed { 0 } else { count };
        let config = CheckConfig {
            fixed: (0..fixed).map(http).collect(),
            ..config
        };
        let now = Moment::from_millis(1);
        let mut world = Self {
            checker: Checker::new(config, indexed, Generator::from_seed(7), now),
            now,
            conditions: vec![Condition::Well; count],
            index: LocalIndex::Answers,
            mentioned: (0..count).collect(),
            rtt: RTT,
            refreshed: 0,
            lose_pings: 0,
            no_descriptors: false,
            drop_results: false,
            results: BTreeMap::new(),
            wake: now,
            sequence: 0,
            fetched: BTreeMap::new(),
            most_under_way: 0,
            log: Vec::new(),
        };
        world.drain();
        world
    }

    pub(in crate::engine::checker) fn config_http_every(&mut self, every: Duration) {
        let config = CheckConfig {
            http_every: every,
            ..self.checker.config.clone()
        };
        self.checker = Checker::new(config, true, Generator::from_seed(7), self.now);
        self.results.clear();
        self.drain();
    }

    pub(in crate::engine::checker) fn condition(&mut self, n: usize, condition: Condition) {
        self.conditions[n] = condition;
    }

    pub(in crate::engine::checker) fn named(&self) -> BTreeSet<IpAddr> {
        let set = self.checker.published();
        let all = set.v4.addresses();
        all.filter(|_| set.anyone()).collect()
    }

    pub(in crate::engine::checker) fn fault(&self, n: usize) -> Option<Fault> {
        match self.checker.pool.proxy(http(n))?.standing {
            Standing::Out { fault, .. } => Some(fault),
            Standing::Unverified | Standing::Live { .. } => None,
        }
    }

    pub(in crate::engine::checker) fn fetched(&self, n: usize) -> u64 {
        self.fetched.get(&http(n)).copied().unwrap_or(0)
    }

    /// Lets `time` pass, event by event.
    pub(in crate::engine::checker) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let result = self.results.first_key_value().map(|(key, _)| key.0);
            let next = result.map_or(self.wake, |at| at.min(self.wake));
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            match result.filter(|at| *at <= self.wake) {
                Some(_) => self.deliver(),
                None => self.checker.handle_timeout(self.now),
            }
            self.drain();
        }
        self.now = end;
    }

    /// This process does not run for `time`; what its checks waited for is late, and timed out.
    pub(in crate::engine::checker) fn starve(&mut self, time: Duration) {
        self.now = self.now + time;
        for result in self.results.values_mut() {
            match result {
                Result::Ping(_, outcome) => *outcome = PingOutcome::Silent,
                Result::Http(_, outcome) => *outcome = HttpOutcome::Failed(Fault::Timeout),
                Result::Candidates | Result::IndexGone => {}
            }
        }
    }

    fn deliver(&mut self) {
        let Some((_, result)) = self.results.pop_first() else {
            return;
        };
        match result {
            Result::Ping(proxy, outcome) => self.checker.handle_ping(self.now, proxy, outcome),
            Result::Http(proxy, outcome) => self.checker.handle_http(self.now, proxy, outcome),
            Result::IndexGone => self.checker.handle_index_gone(self.now),
            Result::Candidates => {
                // All at first, then a part in turn, as a real index does.
                let part = if self.refreshed == 0 { usize::MAX } else { 500 };
                let from = self.refreshed * part.min(500) % self.mentioned.len().max(1);
                self.refreshed += 1;
                let around = self.mentioned.iter().chain(&self.mentioned);
                let candidates: Vec<_> = around
                    .skip(from)
                    .take(part.min(self.mentioned.len()))
                    .map(|n| Candidate {
                        http: http(*n),
                        index: SocketAddr::new(ip(*n), 4000),
                        rtt: Some(self.rtt),
                    })
                    .collect();
                self.checker.handle_candidates(self.now, &candidates);
            }
        }
    }

    pub(in crate::engine::checker) fn drain(&mut self) {
        loop {
            let output = self.checker.poll_output(self.now);
            self.most_under_way = self.most_under_way.max(self.checker.under_way(Kind::Http));
            match &output {
                Output::Wake(at, _) => {
                    self.wake = *at;
                    return;
                }
                Output::Pings(targets) => {
                    for target in targets {
                        self.ping(target.proxy);
                    }
                }
                Output::Http { proxy } => self.fetch(*proxy),
                Output::Refresh { .. } => match self.index {
                    LocalIndex::Answers => self.later(RTT, Result::Candidates),
                    LocalIndex::Gone => self.later(TICK, Result::IndexGone),
                    LocalIndex::Hung => self.later(Duration::from_millis(900), Result::IndexGone),
                },
                Output::Publish(_) | Output::Changed(_) => {}
            }
            self.log.push((self.now, output));
        }
    }

    fn ping(&mut self, proxy: SocketAddr) {
        let timeout = self.checker.config.timeout;
        let pong = |listed| (RTT, PingOutcome::Pong { rtt: RTT, listed });
        let (after, outcome) = match (self.index, self.conditions[number(proxy)]) {
            (LocalIndex::Gone, _) => (TICK, PingOutcome::NoIndex),
            (LocalIndex::Hung, _) => (timeout, PingOutcome::Late),
            _ if self.lose_pings > 0 => {
                self.lose_pings -= 1;
                (timeout, PingOutcome::Silent)
            }
            (LocalIndex::Answers, Condition::Dark) => (timeout, PingOutcome::Silent),
            (LocalIndex::Answers, Condition::Killed) => pong(false),
            (LocalIndex::Answers, _) => pong(true),
        };
        self.later(after, Result::Ping(proxy, outcome));
    }

    fn fetch(&mut self, proxy: SocketAddr) {
        *self.fetched.entry(proxy).or_default() += 1;
        let timeout = self.checker.config.timeout;
        let served = |draining| HttpOutcome::Served {
            took: RTT,
            draining,
            spare: 100,
        };
        let (after, outcome) = match self.conditions[number(proxy)] {
            _ if self.no_descriptors => (TICK, HttpOutcome::Ourselves),
            Condition::Well => (RTT, served(false)),
            Condition::Draining => (RTT, served(true)),
            Condition::Killed => (RTT, HttpOutcome::Failed(Fault::Connect)),
            Condition::Hung | Condition::Dark => (timeout, HttpOutcome::Failed(Fault::Timeout)),
            Condition::Sick(fault) => (RTT, HttpOutcome::Failed(fault)),
            Condition::Slow(took) => {
                let draining = false;
                let spare = 100;
                (
                    took,
                    HttpOutcome::Served {
                        took,
                        draining,
                        spare,
                    },
                )
            }
        };
        self.later(after, Result::Http(proxy, outcome));
    }

    fn later(&mut self, after: Duration, result: Result) {
        if !self.drop_results {
            self.sequence += 1;
            self.results
                .insert((self.now + after, self.sequence), result);
        }
    }
}

pub(in crate::engine::checker) fn ip(n: usize) -> IpAddr {
    let low = u32::try_from(n).unwrap() + 1;
    IpAddr::from((0xc000_0200 + low).to_be_bytes())
}

pub(in crate::engine::checker) fn http(n: usize) -> SocketAddr {
    SocketAddr::new(ip(n), 80)
}

pub(in crate::engine::checker) fn number(proxy: SocketAddr) -> usize {
    let IpAddr::V4(v4) = proxy.ip() else {
        panic!("all are of IPv4");
    };
    usize::try_from(v4.to_bits() - 0xc000_0200).unwrap() - 1
}
