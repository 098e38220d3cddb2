//! Values outlive the nodes that store them, and are where they belong after the network changed.

use common::ids::{Key, NodeId};

use super::world::{World, addr, ms, secs};
use crate::engine::message::Kind;
use crate::engine::{Answer, Config, Wish};

/// One place, so that only the id space counts.
fn flat(seed: u64, n: usize) -> World {
    let mut world = World::new(seed);
    world.grow(n, &one_level());
    world.run(secs(30));
    world
}

fn one_level() -> Config {
    let mut config = Config::default();
    config.levels.thresholds.clear();
    config
}

fn keys(n: usize) -> Vec<Key> {
    let name = |n| Key::of(format!("k{n}").as_bytes());
    (0..n).map(name).collect()
}

fn holds(world: &World, n: usize, key: Key, publisher: usize) -> bool {
    let publisher = NodeId::of(addr(publisher));
    world.node(n).holds(world.now, key, publisher)
}

#[test]
fn who_comes_closer_is_handed_what_it_should_hold() {
    let mut world = flat(1, 40);
    let keys = keys(40);
    for (n, key) in keys.iter().enumerate() {
        world.put(n, *key, b"v", secs(600));
    }
    let puts = |world: &World| -> u64 {
        let nodes = world.nodes.values();
        nodes.map(|node| node.stats().sent.of(Kind::Put)).sum()
    };
    let before = puts(&world);
    let seeds = vec![addr(0)];
    let config = Config {
        seeds,
        ..one_level()
    };
    (40..60).for_each(|n| world.add(n, config.clone()));
    world.run(secs(10));
    for (n, key) in keys.iter().enumerate() {
        for place in &world.closest(*key)[..2] {
            assert!(holds(&world, *place, *key, n), "{place} lacks k{n}");
        }
    }
    let tests = 60 * 2 * 2;
    assert!(puts(&world) - before <= tests, "handed on, not put again");
}

/// The publisher is one of many, and most who store its values are not in its routing table.
#[test]
fn a_value_whose_places_all_die_at_once_is_put_again() {
    let mut world = flat(2, 90);
    let keys = keys(20);
    let publishers: Vec<_> = keys.iter().map(|key| world.closest(*key)[70]).collect();
    for (key, publisher) in keys.iter().zip(&publishers) {
        world.put(*publisher, *key, b"v", secs(3_600));
    }
    // Both places of each value, and so about a third of all.
    let mut dead: Vec<_> = keys
        .iter()
        .flat_map(|key| world.closest(*key)[..2].to_vec())
        .collect();
    dead.sort_unstable();
    dead.dedup();
    dead.retain(|n| !publishers.contains(n));
    assert!(dead.len() >= 20);
    dead.iter().for_each(|n| world.kill(*n));
    world.run(secs(60));
    for (key, publisher) in keys.iter().zip(&publishers) {
        assert_eq!(world.found(*publisher, *key), Some(b"v".to_vec()));
        let reader = world.closest(*key)[40];
        assert_eq!(world.found(reader, *key), Some(b"v".to_vec()));
    }
}

#[test]
fn values_of_the_other_side_are_found_after_a_partition() {
    let mut world = World::new(3);
    for n in 0..30 {
        let seeds = vec![addr(0), addr(1)];
        world.add(
            n,
            Config {
                seeds,
                ..one_level()
            },
        );
        world.run(ms(20));
    }
    world.run(secs(20));
    let all = || (0..30).flat_map(|a| (0..a).map(move |b| (a, b)));
    world.broken = all().filter(|(a, b)| a % 2 != b % 2).collect();
    world.run(secs(60));
    let keys = keys(30);
    for (n, key) in keys.iter().enumerate() {
        world.put(n, *key, b"v", secs(3_600));
    }
    world.broken.clear();
    world.run(secs(180));
    for (n, key) in keys.iter().enumerate() {
        let reader = (n + 7) % 30;
        assert_eq!(world.found(reader, *key), Some(b"v".to_vec()), "k{n}");
    }
}

/// Nobody but the seeds is looked for on the other side, and all its nodes count as failed here.
#[test]
fn two_sides_know_their_nearest_again_after_a_partition() {
    const N: usize = 80;
    let mut world = World::new(5);
    for n in 0..N {
        let seeds = vec![addr(0)];
        let config = Config {
            seeds,
            ..one_level()
        };
        world.add(n, config);
        world.run(ms(20));
    }
    world.run(secs(60));
    let all = || (0..N).flat_map(|a| (0..a).map(move |b| (a, b)));
    world.broken = all().filter(|(a, b)| a % 2 != b % 2).collect();
    world.run(secs(900));
    world.broken.clear();
    world.run(secs(400));
    for n in 0..N {
        let own = NodeId::of(addr(n)).as_key();
        let nearest = addr(world.closest(own)[1]);
        let table = &world.node(n).table;
        assert!(table.iter().any(|entry| entry.addr == nearest), "{n}");
    }
}

#[test]
fn a_withdrawal_reaches_those_it_was_handed_to() {
    let mut world = flat(4, 30);
    let key = Key::of(b"k");
    let closest = world.closest(key);
    world.put(closest[20], key, b"v", secs(600));
    world.kill(closest[0]);
    // A round of pings through all contacts of a quiet network.
    world.run(secs(60));
    assert!(holds(&world, closest[2], key, closest[20]), "handed on");
    world.ask(closest[20], Wish::Withdraw { key });
    for n in &closest[1..] {
        assert!(!holds(&world, *n, key, closest[20]), "node {n}");
    }
}

#[test]
fn a_quiet_network_hands_nothing_on_and_looks_seldom() {
    let mut world = flat(5, 16);
    for (n, key) in keys(16).iter().enumerate() {
        world.put(n, *key, b"v", secs(3_600));
    }
    world.run(secs(60));
    let count = |world: &World| {
        let stats = world.nodes.values().map(crate::engine::Node::stats);
        stats.fold((0, 0), |(handed, checks), stats| {
            (handed + stats.handed, checks + stats.checks)
        })
    };
    let before = count(&world);
    world.run(secs(1_200));
    let (handed, checks) = count(&world);
    assert_eq!(handed, before.0);
    let checks = checks - before.1;
    assert!((16..=48).contains(&checks), "{checks} in two rounds");
}

/// Publishers whose values a node holds renew them all the time, half of them with a new value: once
/// the key has filled its nodes, none is loaded beyond the bound of the closest.
#[test]
fn eager_publishers_load_no_node_beyond_the_bound() {
    let n = 48;
    let mut world = flat(6, n);
    let key = Key::of(b"hot");
    let puts = |world: &World| -> Vec<_> {
        let received = |n| world.node(n).stats().received.of(Kind::Put);
        (0..n).map(received).collect()
    };
    let mut before = Vec::new();
    for second in 0..90u8 {
        if second == 30 {
            before = puts(&world);
        }
        for n in (0..n).chain(0..n) {
            let changing = if n % 2 == 0 { second } else { 0 };
            let value = vec![u8::try_from(n).unwrap(), changing];
            let ttl = secs(20);
            world.command(n, Wish::Put { key, value, ttl });
        }
        world.run(secs(1));
        world.answers.clear();
        world.log.clear();
    }
    let load = puts(&world).into_iter().zip(before);
    let most = load.map(|(after, before)| after - before).max().unwrap();
    assert!(most <= 12 * 6, "{most} puts within a minute");
}

#[test]
fn a_put_of_what_was_just_stored_costs_nothing_and_a_changed_one_is_stored() {
    let mut world = flat(7, 20);
    let key = Key::of(b"k");
    let publisher = world.closest(key)[10];
    world.put(publisher, key, b"one", secs(60));
    let sent = world.log.len();
    let again = world.put(publisher, key, b"one", secs(60));
    assert_eq!(again, Answer::Stored { copies: 2 });
    assert_eq!(world.log.len(), sent);
    world.put(publisher, key, b"two", secs(60));
    let reader = world.closest(key)[5];
    assert_eq!(world.found(reader, key), Some(b"two".to_vec()));
    world.put(publisher, key, b"two", secs(10));
    world.run(secs(12));
    assert_eq!(world.found(reader, key), None, "a shorter one is honoured");
}
