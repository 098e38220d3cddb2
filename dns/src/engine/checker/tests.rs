//! Scenarios in virtual time: what happens to proxies, and when the set says so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::*;
use crate::engine::config::PROXIES_MAX;

const RTT: Duration = Duration::from_millis(5);
const TICK: Duration = Duration::from_millis(1);
/// A proxy that died is out of the answers after this.
pub(super) const GONE_WITHIN: Duration = Duration::from_secs(3);

#[test]
fn a_network_that_starts_is_live_within_half_a_second() {
    let mut world = World::new(5, true);
    world.run(Duration::from_millis(500));
    assert_eq!(world.named().len(), 5);
    assert_eq!(world.checker.readiness(), Ok(()));
}

#[test]
fn fixed_proxies_need_no_index() {
    let mut world = World::new(3, false);
    world.run(Duration::from_millis(500));
    assert_eq!(world.named().len(), 3);
    assert_eq!(world.checker.stats().pings_answered, 0);
}

#[test]
fn a_killed_proxy_is_gone_within_three_seconds_whenever_it_dies() {
    for after in 0..40 {
        let mut world = World::new(5, true);
        world.run(Duration::from_millis(2_000 + 50 * after));
        world.condition(2, Condition::Killed);
        world.run(GONE_WITHIN);
        assert_eq!(world.named().len(), 4, "killed {after} steps in");
        assert!(!world.named().contains(&ip(2)));
    }
}

#[test]
fn a_hung_proxy_is_gone_within_three_seconds_whenever_it_hangs() {
    for after in 0..40 {
        // Its index lives, so that only HTTP can tell.
        let mut world = World::new(5, true);
        world.run(Duration::from_millis(2_000 + 50 * after));
        world.condition(2, Condition::Hung);
        world.run(GONE_WITHIN);
        assert!(!world.named().contains(&ip(2)), "hung {after} steps in");
    }
}

#[test]
fn a_dead_machine_is_gone_within_three_seconds_by_pings_alone() {
    let mut world = World::new(5, true);
    world.config_http_every(Duration::from_secs(3_600));
    world.run(Duration::from_secs(2));
    world.condition(2, Condition::Dark);
    world.run(GONE_WITHIN);
    assert!(!world.named().contains(&ip(2)));
    assert_eq!(world.fault(2), Some(Fault::PingMissed));
}

#[test]
fn one_lost_ping_takes_nobody_out() {
    let mut world = World::new(5, true);
    world.run(Duration::from_secs(2));
    world.lose_pings = 5;
    world.run(Duration::from_secs(5));
    assert_eq!(world.checker.stats().taken_out.len(), 0);
    assert_eq!(world.checker.stats().pings_failed, 5);
}

#[test]
fn a_pong_without_the_service_takes_it_out_at_once() {
    let mut world = World::new(5, true);
    world.config_http_every(Duration::from_secs(3_600));
    world.run(Duration::from_secs(2));
    world.condition(2, Condition::Killed);
    world.run(Duration::from_millis(1_100));
    assert_eq!(world.fault(2), Some(Fault::ServiceGone));
}

#[test]
fn each_way_of_failing_has_its_name() {
    let rows = [
        (Condition::Hung, Fault::Timeout),
        (Condition::Sick(Fault::Status), Fault::Status),
        (Condition::Sick(Fault::Body), Fault::Body),
        (Condition::Sick(Fault::Broken), Fault::Broken),
        (Condition::Draining, Fault::Draining),
        (Condition::Sick(Fault::NotPublic), Fault::NotPublic),
    ];
    for (condition, fault) in rows {
        let mut world = World::new(2, true);
        world.run(Duration::from_secs(1));
        world.condition(1, condition);
        world.run(GONE_WITHIN);
        assert_eq!(world.fault(1), Some(fault));
        assert_eq!(world.checker.stats().taken_out.get(&fault), Some(&1));
    }
}

#[test]
fn a_proxy_returns_after_two_successes_of_each_kind() {
    let mut world = World::new(3, true);
    world.run(Duration::from_secs(1));
    world.condition(1, Condition::Killed);
    world.run(GONE_WITHIN);
    world.condition(1, Condition::Well);
    let before = world.fetched(1);
    while !world.named().contains(&ip(1)) {
        world.run(TICK);
        assert!(world.now < Moment::from_millis(20_000), "it never returned");
    }
    assert_eq!(world.fetched(1) - before, 2);
}

#[test]
fn an_index_that_is_gone_leaves_the_set_and_http_decides() {
    let mut world = World::new(5, true);
    world.run(Duration::from_secs(1));
    for index in [LocalIndex::Gone, LocalIndex::Hung] {
        world.index = index;
        world.run(Duration::from_secs(60));
        assert_eq!(world.named().len(), 5, "{index:?}");
    }
    world.index = LocalIndex::Gone;
    world.run(Duration::from_secs(2));
    world.condition(1, Condition::Killed);
    world.run(GONE_WITHIN);
    assert_eq!(world.named().len(), 4);
    world.condition(1, Condition::Well);
    world.run(Duration::from_secs(5));
    assert_eq!(world.named().len(), 5, "it returns by HTTP alone");
    assert_eq!(world.checker.index_answers(), Some(false));
}

#[test]
fn when_all_are_lost_those_alive_last_stand_in() {
    let mut world = World::new(6, true);
    world.run(Duration::from_secs(1));
    world.condition(5, Condition::Dark);
    world.run(Duration::from_secs(10));
    for n in 0..5 {
        world.condition(n, Condition::Dark);
    }
    world.run(GONE_WITHIN);
    let set = world.checker.published();
    assert!(!set.anyone() && set.lost.is_some());
    // All five that were lost together, and not the one that had died before.
    assert_eq!(set.v4.len(), 5);
    assert!(!set.v4.addresses().any(|v4| v4 == ip(5)));
    let why = world.checker.readiness().unwrap_err();
    assert!(why.contains("none of 6 known proxies"), "{why}");
}

#[test]
fn proxies_whose_process_is_gone_do_not_stand_in() {
    let mut world = World::new(2, true);
    world.config_http_every(Duration::from_secs(3_600));
    world.run(Duration::from_secs(1));
    world.condition(0, Condition::Killed);
    world.condition(1, Condition::Killed);
    world.run(GONE_WITHIN);
    assert_eq!(*world.checker.published(), LiveSet::default());
}

#[test]
fn a_starved_prober_declares_nobody_dead() {
    for starved_ms in [1_500, 5_000, 30_000] {
        let mut world = World::new(5, true);
        world.run(Duration::from_millis(2_345));
        world.starve(Duration::from_millis(starved_ms));
        world.run(Duration::from_secs(10));
        assert_eq!(world.checker.stats().starved, 1);
        assert_eq!(world.checker.stats().taken_out.len(), 0, "{starved_ms} ms");
    }
}

#[test]
fn grace_ends_and_the_truly_dead_are_found_out() {
    let mut world = World::new(5, true);
    world.run(Duration::from_millis(2_345));
    world.condition(3, Condition::Killed);
    world.starve(Duration::from_secs(5));
    world.run(Duration::from_secs(1) + GONE_WITHIN);
    assert_eq!(world.named().len(), 4);
}

#[test]
fn checks_that_this_machine_could_not_make_count_against_nobody() {
    let mut world = World::new(5, true);
    world.run(Duration::from_secs(1));
    world.no_descriptors = true;
    world.run(Duration::from_secs(30));
    assert_eq!(world.named().len(), 5);
    assert!(world.checker.stats().pages_void > 0);
}

#[test]
fn a_result_that_never_comes_is_not_waited_for() {
    let mut world = World::new(1, true);
    world.run(Duration::from_secs(1));
    world.drop_results = true;
    world.run(Duration::from_secs(3));
    world.drop_results = false;
    world.run(Duration::from_secs(3));
    assert_eq!(world.named().len(), 1);
    assert!(world.checker.under_way(Kind::Http) <= 1);
}

#[test]
fn checks_under_way_stay_within_the_bound_and_everybody_gets_a_turn() {
    // 300 hung proxies want 375 checks a second at 800 ms each: far more than 64 at once.
    let config = CheckConfig {
        concurrency: 64,
        ..CheckConfig::default()
    };
    let mut world = World::with(config, 300, false);
    for n in 0..300 {
        world.condition(n, Condition::Hung);
    }
    world.run(Duration::from_secs(20));
    assert_eq!(world.most_under_way, 64);
    let turns: Vec<_> = (0..300).map(|n| world.fetched(n)).collect();
    let (least, most) = (turns.iter().min().unwrap(), turns.iter().max().unwrap());
    assert!(*least > 0 && most - least <= 2, "{least} to {most} turns");
    assert!(
        world.checker.stats().starved == 0,
        "a shortage is no starvation"
    );
}

#[test]
fn refuses_more_proxies_than_it_keeps_and_unusable_addresses() {
    let mut checker = Checker::new(
        CheckConfig::default(),
        true,
        Generator::from_seed(1),
        Moment::ZERO,
    );
    let index = "192.0.2.1:1".parse().unwrap();
    let candidate = |n: usize| Candidate {
        http: SocketAddr::new(
            IpAddr::from(u32::try_from(0x0a00_0000 + n).unwrap().to_be_bytes()),
            80,
        ),
        index,
        rtt: None,
    };
    let all: Vec<_> = (0..PROXIES_MAX + 3).map(candidate).collect();
    checker.handle_candidates(Moment::ZERO, &all);
    assert_eq!(
        (checker.known(), checker.stats().pool_full),
        (PROXIES_MAX, 3)
    );
    for text in ["0.0.0.0:80", "224.0.0.1:80", "192.0.2.1:0"] {
        let http = text.parse().unwrap();
        checker.handle_candidates(
            Moment::ZERO,
            &[Candidate {
                http,
                index,
                rtt: None,
            }],
        );
    }
    assert_eq!(checker.stats().unusable, 3);
}

#[test]
fn dead_proxies_that_nobody_mentions_are_forgotten_and_live_ones_kept() {
    let mut world = World::new(3, true);
    world.run(Duration::from_secs(1));
    world.mentioned = BTreeSet::from([0]);
    world.condition(1, Condition::Killed);
    world.run(Duration::from_secs(80));
    let known: Vec<_> = world
        .checker
        .proxies()
        .map(|proxy| proxy.http.ip())
        .collect();
    assert_eq!(known, [ip(0), ip(2)]);
}

#[test]
fn one_seed_makes_one_history() {
    let history = || {
        let mut world = World::new(20, true);
        world.run(Duration::from_secs(2));
        world.condition(7, Condition::Killed);
        world.run(Duration::from_secs(5));
        world.log
    };
    assert_eq!(history(), history());
}

/// How a proxy's machine is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Condition {
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
enum LocalIndex {
    Answers,
    Gone,
    Hung,
}

/// What a check will report.
#[derive(Clone, Copy, Debug)]
enum Result {
    Ping(SocketAddr, PingOutcome),
    Http(SocketAddr, HttpOutcome),
    Candidates,
    IndexGone,
}

/// A checker and the world it sees.
pub(super) struct World {
    pub(super) checker: Checker,
    pub(super) now: Moment,
    conditions: Vec<Condition>,
    index: LocalIndex,
    mentioned: BTreeSet<usize>,
    /// How far the local index says that all are.
    pub(super) rtt: Duration,
    /// Questions for candidates answered so far.
    refreshed: usize,
    lose_pings: u32,
    no_descriptors: bool,
    drop_results: bool,
    results: BTreeMap<(Moment, u64), Result>,
    wake: Moment,
    sequence: u64,
    pub(super) fetched: BTreeMap<SocketAddr, u64>,
    pub(super) most_under_way: usize,
    pub(super) log: Vec<(Moment, Output)>,
}

impl World {
    /// `count` proxies that are well, known through the index or by the configuration.
    pub(super) fn new(count: usize, indexed: bool) -> Self {
        Self::with(CheckConfig::default(), count, indexed)
    }

    pub(super) fn with(config: CheckConfig, count: usize, indexed: bool) -> Self {
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

    fn config_http_every(&mut self, every: Duration) {
        let config = CheckConfig {
            http_every: every,
            ..self.checker.config.clone()
        };
        self.checker = Checker::new(config, true, Generator::from_seed(7), self.now);
        self.results.clear();
        self.drain();
    }

    pub(super) fn condition(&mut self, n: usize, condition: Condition) {
        self.conditions[n] = condition;
    }

    pub(super) fn named(&self) -> BTreeSet<IpAddr> {
        let set = self.checker.published();
        let all = set.v4.addresses();
        all.filter(|_| set.anyone()).collect()
    }

    pub(super) fn fault(&self, n: usize) -> Option<Fault> {
        match self.checker.pool.proxy(http(n))?.standing {
            Standing::Out { fault, .. } => Some(fault),
            Standing::Unverified | Standing::Live { .. } => None,
        }
    }

    fn fetched(&self, n: usize) -> u64 {
        self.fetched.get(&http(n)).copied().unwrap_or(0)
    }

    /// Lets `time` pass, event by event.
    pub(super) fn run(&mut self, time: Duration) {
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
    fn starve(&mut self, time: Duration) {
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

    pub(super) fn drain(&mut self) {
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

pub(super) fn ip(n: usize) -> IpAddr {
    let low = u32::try_from(n).unwrap() + 1;
    IpAddr::from((0xc000_0200 + low).to_be_bytes())
}

pub(super) fn http(n: usize) -> SocketAddr {
    SocketAddr::new(ip(n), 80)
}

pub(super) fn number(proxy: SocketAddr) -> usize {
    let IpAddr::V4(v4) = proxy.ip() else {
        panic!("all are of IPv4");
    };
    usize::try_from(v4.to_bits() - 0xc000_0200).unwrap() - 1
}
