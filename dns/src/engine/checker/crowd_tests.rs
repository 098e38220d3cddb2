//! Scenarios in virtual time: who is checked of many, who comes and goes, who is slow.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::tests::{Condition, GONE_WITHIN, World, http, ip, number};
use super::*;
use crate::engine::config::PROXIES_MAX;
use crate::engine::proxy::HOLD_MOST;
use crate::engine::share::Why;

const SECOND: Duration = Duration::from_secs(1);

/// A server that knows as many proxies as it can and checks a thousand.
fn crowd() -> World {
    let config = CheckConfig {
        server: "ns1".to_owned(),
        ..CheckConfig::default()
    };
    let mut world = World::with(config, PROXIES_MAX, true);
    // Far from this server, all of them.
    world.rtt = Duration::from_millis(100);
    world
}

/// So many seats for so many proxies.
fn few(seats: usize, count: usize) -> World {
    let config = CheckConfig {
        proxies: seats,
        ..CheckConfig::default()
    };
    let mut world = World::with(config, count, true);
    world.rtt = Duration::from_millis(100);
    world
}

#[test]
fn of_ten_thousand_a_thousand_are_checked_at_pace_and_evenly_and_only_those_named() {
    let mut world = crowd();
    world.run(5 * SECOND);
    assert_eq!(world.checker.known(), PROXIES_MAX);
    assert_eq!(world.checker.proxies().count(), 1_000);
    assert_eq!(world.named().len(), 1_000);
    let mut fetches = Vec::new();
    for _ in 0..100 {
        let before: u64 = world.fetched.values().sum();
        world.run(SECOND / 10);
        fetches.push(world.fetched.values().sum::<u64>() - before);
    }
    // 500 a second, and a little more since the period is jittered downwards only.
    let all: u64 = fetches.iter().sum();
    assert!((5_000..5_600).contains(&all), "{all} in ten seconds");
    assert!(
        fetches.iter().all(|n| (20..=100).contains(n)),
        "{fetches:?}"
    );
    assert!(world.most_under_way <= 256);
    let checked: Vec<_> = world.checker.proxies().map(|p| p.http.ip()).collect();
    assert!(world.named().iter().all(|ip| checked.contains(ip)));
}

#[test]
fn of_a_thousand_deaths_999_are_seen_within_three_seconds() {
    let mut world = crowd();
    world.run(5 * SECOND);
    let mut rng = Generator::from_seed(3);
    let mut died = BTreeMap::new();
    while died.len() < 1_000 {
        let live: Vec<_> = world.checker.proxies().filter(|p| p.is_live()).collect();
        let victim = live[rng.below(live.len())].http;
        let conditions = [
            Condition::Killed,
            Condition::Hung,
            Condition::Dark,
            Condition::Sick(Fault::Status),
        ];
        if let Entry::Vacant(place) = died.entry(victim) {
            place.insert(world.now);
            let n = number(victim);
            world.condition(n, conditions[rng.below(conditions.len())]);
        }
        world.run(rng.jitter(SECOND / 5));
    }
    world.run(2 * GONE_WITHIN);
    let mut took = BTreeMap::new();
    for (at, output) in &world.log {
        let Output::Changed(change) = output else {
            continue;
        };
        if let (Some(death), false) = (died.get(&change.proxy), change.to.as_str() == "live")
            && at >= death
        {
            took.entry(change.proxy).or_insert(at.since(*death));
        }
    }
    assert_eq!(took.len(), 1_000);
    let mut took: Vec<_> = took.into_values().collect();
    took.sort_unstable();
    let (median, most) = (took[500], took[998]);
    assert!(most <= GONE_WITHIN, "99.9 % took {most:?}");
    assert!(median < Duration::from_millis(1_500), "{median:?}");
}

#[test]
fn seats_do_not_change_hands_while_nothing_changes() {
    let mut world = few(20, 100);
    world.run(10 * SECOND);
    let checked: Vec<_> = world.checker.proxies().map(|p| p.http).collect();
    world.run(600 * SECOND);
    let then: Vec<_> = world.checker.proxies().map(|p| p.http).collect();
    assert_eq!(checked, then);
    assert_eq!(world.checker.stats().unseated, 0);
}

#[test]
fn proxies_that_clients_want_get_seats_a_few_at_a_time_and_lose_them_when_forgotten() {
    let mut world = few(50, 200);
    world.run(10 * SECOND);
    let unchecked: Vec<_> = world.checker.unchecked().map(|(http, _)| *http).collect();
    let wanted: Vec<_> = unchecked.into_iter().take(10).collect();
    let stranger = http(5_000);
    for _ in 0..6 {
        world.checker.handle_wanted(world.now, &wanted);
        world.checker.handle_wanted(world.now, &[stranger]);
        world.drain();
        // A fiftieth of the seats at a time: one.
        assert!(world.checker.stats().unseated <= 10);
        world.run(10 * SECOND);
    }
    assert_eq!(world.checker.stats().wanted_unknown, 6);
    let named = world.named();
    assert!(wanted.iter().all(|http| named.contains(&http.ip())));
    assert_eq!(named.len(), 50);
    let why = |world: &World| {
        let seats = world.checker.seats(world.now);
        let reasons = Why::ALL.iter().zip(seats.checked);
        let of = reasons.filter(|(why, _)| **why == Why::Wanted);
        of.map(|(_, count)| count).sum::<usize>()
    };
    assert_eq!(why(&world), 10);
    world.run(700 * SECOND);
    assert_eq!(why(&world), 0);
}

#[test]
fn fixed_proxies_come_first_and_an_unchecked_one_is_never_named() {
    let config = CheckConfig {
        proxies: 5,
        ..CheckConfig::default()
    };
    let mut world = World::with(config, 5, false);
    for n in 5..40 {
        world.checker.handle_candidates(
            world.now,
            &[Candidate {
                http: http(n),
                index: http(n),
                rtt: None,
            }],
        );
    }
    world.run(30 * SECOND);
    assert_eq!(world.named(), (0..5).map(ip).collect());
}

#[test]
fn the_dead_give_their_seats_to_others_after_a_minute() {
    let mut world = few(20, 30);
    world.run(5 * SECOND);
    let checked: Vec<_> = world.checker.proxies().map(|p| p.http).collect();
    for http in &checked[..5] {
        world.condition(number(*http), Condition::Dark);
    }
    world.run(30 * SECOND);
    assert_eq!(world.named().len(), 15);
    world.run(90 * SECOND);
    assert_eq!(world.named().len(), 20);
    assert_eq!(world.checker.stats().unseated, 5);
}

#[test]
fn a_proxy_that_comes_and_goes_stays_out_longer_each_time_and_returns_in_the_end() {
    let mut world = World::new(20, true);
    world.run(5 * SECOND);
    let mut waits = Vec::new();
    for _ in 0..9 {
        world.condition(3, Condition::Killed);
        world.run(GONE_WITHIN);
        world.condition(3, Condition::Well);
        let well = world.now;
        while !world.named().contains(&ip(3)) {
            world.run(SECOND / 10);
            assert!(world.now.since(well) < 2 * HOLD_MOST, "it never returned");
        }
        waits.push(world.now.since(well));
        world.run(5 * SECOND);
    }
    assert!(waits[0] < 5 * SECOND, "{waits:?}");
    assert!(waits[1] > 5 * SECOND, "{waits:?}");
    let grows = waits.windows(2).take(6).all(|pair| pair[0] < pair[1]);
    assert!(grows, "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= HOLD_MOST + 5 * SECOND));
}

#[test]
fn when_more_are_held_back_than_live_nobody_is() {
    let mut world = World::new(10, true);
    world.run(5 * SECOND);
    for _ in 0..6 {
        for n in 0..8 {
            world.condition(n, Condition::Killed);
        }
        world.run(GONE_WITHIN);
        for n in 0..8 {
            world.condition(n, Condition::Well);
        }
        world.run(10 * SECOND);
        assert!(world.named().len() >= 5, "{}", world.named().len());
    }
}

#[test]
fn a_proxy_that_turns_slow_is_out_and_returns_when_it_is_fast_again() {
    let mut world = World::new(10, true);
    world.run(10 * SECOND);
    world.condition(4, Condition::Slow(Duration::from_millis(300)));
    world.run(5 * SECOND);
    assert_eq!(world.fault(4), Some(Fault::Slow));
    assert_eq!(world.named().len(), 9);
    world.condition(4, Condition::Well);
    world.run(10 * SECOND);
    assert_eq!(world.named().len(), 10);
}

#[test]
fn one_slow_page_takes_nobody_out_and_neither_does_a_crowd() {
    let mut world = World::new(10, true);
    world.run(10 * SECOND);
    world.condition(4, Condition::Slow(Duration::from_millis(300)));
    while world.checker.stats().pages_slow == 0 {
        world.run(SECOND / 10);
    }
    world.condition(4, Condition::Well);
    world.run(10 * SECOND);
    assert_eq!(world.checker.stats().taken_out.len(), 0);

    // Everybody slows down together, as under a crowd.
    for step in 1..=6 {
        for n in 0..10 {
            world.condition(n, Condition::Slow(Duration::from_millis(100 * step)));
        }
        world.run(20 * SECOND);
    }
    assert_eq!(world.checker.stats().taken_out.len(), 0);
}

#[test]
fn a_far_proxy_is_not_slow() {
    let mut world = World::new(10, true);
    world.condition(4, Condition::Slow(Duration::from_millis(380)));
    world.run(30 * SECOND);
    // Its pings take 5 ms here, so all of it is its own; but it was never faster.
    assert_eq!(world.named().len(), 10);
}

#[test]
fn slowness_seen_by_a_process_that_was_late_itself_counts_for_nothing() {
    let mut world = World::new(10, true);
    world.run(10 * SECOND);
    world.condition(4, Condition::Slow(Duration::from_millis(300)));
    for _ in 0..100 {
        // Every page of that proxy is under way while this process pauses.
        world.run(Duration::from_millis(250));
        world.now = world.now + Duration::from_millis(150);
    }
    assert_eq!(world.checker.stats().taken_out.len(), 0);
}
