//! Scenarios in virtual time: what happens to proxies, and when the set says so.

mod world;

use std::collections::BTreeSet;
use std::net::IpAddr;

pub(super) use self::world::{Condition, World, http, ip, number};
use self::world::{LocalIndex, TICK};
use super::*;
use crate::engine::config::PROXIES_MAX;

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
