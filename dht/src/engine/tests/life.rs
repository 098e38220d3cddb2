//! Joining, dying, healing, restarting; and that one seed makes one history.

use common::ids::Key;

use super::world::{World, addr, ms, network, secs};
use crate::engine::health::Health;
use crate::engine::{Answer, Config, Event, Wish};
use crate::refusal::Refusal;

#[test]
fn everyone_in_a_small_network_knows_everyone_and_is_healthy() {
    let world = World::of(1, 9);
    for n in 0..9 {
        let node = world.node(n);
        assert_eq!(node.sizes().contacts, 8, "node {n}");
        assert_eq!(node.health(world.now), Health::Healthy, "node {n}");
        assert!(node.is_ready(world.now));
    }
}

#[test]
fn joins_through_any_seed_and_goes_on_trying() {
    let mut world = World::new(2);
    let seeds = vec![addr(5), addr(6), addr(1)];
    world.add(
        0,
        Config {
            seeds,
            ..Config::default()
        },
    );
    world.run(secs(30));
    assert_eq!(world.node(0).health(world.now), Health::Alone);
    assert!(!world.node(0).is_ready(world.now));
    world.add(1, Config::default());
    world.run(secs(12));
    assert_eq!(world.node(0).health(world.now), Health::Healthy);
    assert!(world.node(1).is_ready(world.now));
}

#[test]
fn a_restarted_node_finds_back_through_remembered_peers_without_its_seed() {
    let mut world = World::of(3, 6);
    let remembered = world.node(4).known_peers();
    assert_eq!(remembered.len(), 5);
    world.kill(4);
    world.kill(0);
    world.run(secs(10));
    world.add(
        4,
        Config {
            seeds: vec![addr(0)],
            remembered,
            ..Config::default()
        },
    );
    world.run(secs(5));
    assert_eq!(world.node(4).sizes().contacts, 4);
    assert_eq!(world.node(4).health(world.now), Health::Healthy);
}

#[test]
fn values_are_put_again_when_a_node_that_stored_them_dies() {
    let mut world = World::of(4, 12);
    let key = Key::of(b"k");
    let closest = world.closest(key);
    let publisher = closest[11];
    world.put(publisher, key, b"v", secs(600));
    for round in 0..4 {
        let holder = world.closest(key)[0];
        world.kill(holder);
        world.run(secs(12));
        let reader = world.closest(key)[4];
        assert_eq!(
            world.found(reader, key),
            Some(b"v".to_vec()),
            "after death {round}"
        );
        let next = world.closest(key)[0];
        assert!(
            world.node(next).sizes().values > 0,
            "the closest holds it after {round}"
        );
    }
    assert!(
        world
            .events
            .iter()
            .any(|(_, event)| matches!(event, Event::Healed(k, 2) if *k == key))
    );
}

#[test]
fn values_are_put_again_when_a_node_that_stored_them_restarts_empty() {
    let mut world = World::of(5, 8);
    let key = Key::of(b"k");
    let closest = world.closest(key);
    world.put(closest[7], key, b"v", secs(600));
    for n in &closest[..2] {
        world.kill(*n);
        world.add(
            *n,
            Config {
                seeds: vec![addr(0), addr(1), addr(2)],
                ..Config::default()
            },
        );
    }
    world.run(secs(12));
    for n in &closest[..2] {
        assert!(world.node(*n).sizes().values > 0);
    }
}

#[test]
fn a_dead_contact_is_known_within_seconds_and_routed_around_at_once() {
    let mut world = World::of(6, 8);
    world.kill(3);
    let before = world.now;
    assert!(matches!(
        world.put(0, Key::of(b"x"), b"v", secs(60)),
        Answer::Stored { copies: 2 }
    ));
    assert!(world.now.since(before) < secs(2));
    world.run(secs(9));
    for node in world.nodes.values() {
        assert!(!node.known_peers().contains(&addr(3)));
    }
    let Answer::Nodes(nodes) = world.ask(
        0,
        Wish::Nodes {
            level: 0,
            count: 20,
            near: None,
            service: None,
        },
    ) else {
        panic!()
    };
    assert_eq!(nodes.len(), 7);
}

#[test]
fn a_third_of_the_nodes_may_die_at_once() {
    let mut world = World::of(7, 30);
    let keys: Vec<_> = (0..40)
        .map(|n| Key::of(format!("k{n}").as_bytes()))
        .collect();
    for (n, key) in keys.iter().enumerate() {
        // Publishers survive: what the dead published is theirs to renew.
        world.put(10 + n % 20, *key, b"v", secs(600));
    }
    (0..10).for_each(|n| world.kill(n));
    world.run(secs(60));
    let found = keys
        .iter()
        .filter(|key| world.found(15, **key).is_some())
        .count();
    assert_eq!(found, 40);
}

#[test]
fn the_halves_of_a_network_meet_again_through_their_seeds() {
    let mut world = World::of(8, 6);
    world.sins.loss = 100;
    world.run(secs(60));
    assert_eq!(world.node(3).sizes().contacts, 0);
    world.sins.loss = 0;
    world.run(secs(90));
    for n in 0..6 {
        assert_eq!(world.node(n).sizes().contacts, 5, "node {n}");
    }
}

#[test]
fn own_lateness_is_nobody_elses_death() {
    let mut world = World::of(9, 6);
    let contacts = world.node(2).sizes().contacts;
    let mut asleep = world.nodes.remove(&addr(2)).unwrap();
    // Its requests leave, and then it does not run for thirty seconds while answers come in.
    let now = world.now + secs(6);
    asleep.handle_timeout(now);
    let mut sent = 0;
    while let Some(output) = asleep.poll_output() {
        sent += usize::from(matches!(output, crate::engine::Output::Transmit { .. }));
    }
    assert!(sent > 0);
    let late = now + secs(30);
    asleep.handle_timeout(late);
    assert_eq!(asleep.sizes().contacts, contacts);
    assert!(asleep.stats().forgiven > 0);
    assert_eq!(asleep.stats().timeouts, 0);
}

#[test]
fn a_clients_impatience_is_nobodys_death() {
    let mut world = World::of(13, 3);
    world.sins.latency = ms(100);
    for _ in 0..5 {
        let ticket = world.command_within(0, Wish::Ping { addr: addr(1) }, ms(150));
        world.run(ms(190));
        let answers = world.answers.remove(&ticket);
        assert_eq!(answers, Some(vec![Answer::Refused(Refusal::Unreachable)]));
    }
    assert_eq!(world.node(0).sizes().contacts, 2);
}

#[test]
fn background_traffic_of_a_quiet_node_is_small() {
    let mut world = World::of(10, 20);
    world.run(secs(60));
    let before = world.node(4).stats().bytes_sent;
    world.run(secs(600));
    let per_second = (world.node(4).stats().bytes_sent - before) / 600;
    assert!(per_second < 3_000, "{per_second} B/s");
}

#[test]
fn another_generation_or_secret_never_joins() {
    for other in [network(7, 2), network(8, 1)] {
        let mut world = World::of(11, 3);
        let seeds = vec![addr(0), addr(1)];
        world.add_to(
            other,
            9,
            Config {
                seeds,
                ..Config::default()
            },
        );
        let sent = world.log.len();
        world.run(secs(60));
        assert_eq!(world.node(9).sizes().contacts, 0);
        assert_eq!(world.node(0).sizes().contacts, 2);
        let answered = world.log[sent..].iter().any(|sent| sent.to == addr(9));
        assert!(!answered, "silence is the answer");
    }
}

#[test]
fn one_seed_makes_one_history_to_the_byte() {
    let history = || {
        let mut world = World::of(12, 10);
        world.sins.loss = 10;
        for n in 0..10 {
            let key = Key::of(&[n]);
            world.command(
                usize::from(n),
                Wish::Claim {
                    key,
                    value: vec![n],
                    ttl: secs(20),
                },
            );
        }
        world.run(secs(20));
        world.kill(2);
        world.run(secs(20) + ms(1));
        world.log
    };
    let (one, two) = (history(), history());
    assert!(one.len() > 1_000);
    assert!(one == two);
}
