//! Hot keys spread and broken links are gone around.

use common::ids::Key;

use super::world::{World, addr, ms, secs};
use crate::engine::message::Kind;
use crate::engine::{Answer, Config, Wish};

/// One place, so that only digits count.
fn flat(seed: u64, n: usize) -> World {
    let mut world = World::new(seed);
    let mut config = Config::default();
    config.levels.thresholds.clear();
    world.grow(n, &config);
    world.run(secs(30));
    world
}

/// Every node puts and gets one key twice a second: the most that flows into the closest node, and
/// into the median one, in a minute, stays within beta times the digits of the network.
#[test]
fn a_hot_key_loads_its_closest_node_by_the_logarithm_of_the_network() {
    let n = 64;
    let mut world = flat(1, n);
    let key = Key::of(b"hot");
    let puts = |world: &World, n: usize| world.node(n).stats().received.of(Kind::Put);
    let mut before = vec![0; n];
    for minute in 0..3 {
        for (n, before) in before.iter_mut().enumerate() {
            *before = puts(&world, n);
        }
        for _ in 0..120 {
            for n in 0..n {
                let value = vec![u8::try_from(n).unwrap()];
                let ttl = secs(3_600);
                world.command(n, Wish::Put { key, value, ttl });
                world.command(n, Wish::Get { key, want: 1 });
            }
            world.run(ms(500));
            world.answers.clear();
            world.log.clear();
        }
        let mut load: Vec<_> = (0..n).map(|n| puts(&world, n) - before[n]).collect();
        let closest = load[world.closest(key)[0]];
        load.sort_unstable();
        let bound = 12 * u64::from(n.next_power_of_two().trailing_zeros());
        assert!(
            closest <= bound,
            "minute {minute}: {closest} puts, at most {bound}"
        );
        assert!(load[n / 2] <= 24, "minute {minute}: median {}", load[n / 2]);
    }
    let asked: u64 = (0..n)
        .map(|n| world.node(n).stats().sent.of(Kind::Get))
        .sum();
    let gets = u64::try_from(3 * 120 * n).unwrap();
    assert!(asked < 2 * gets, "{asked} requests for {gets} gets");
}

#[test]
fn a_crowded_key_keeps_its_long_pointers() {
    let mut world = flat(2, 32);
    let key = Key::of(b"hot");
    world.put(3, key, b"long", secs(3_600));
    for round in 0..20 {
        for n in 0..32 {
            let value = vec![round, u8::try_from(n).unwrap()];
            let ttl = secs(20);
            if n != 3 {
                world.command(n, Wish::Put { key, value, ttl });
            }
        }
        world.run(secs(1));
    }
    world.run(secs(30));
    assert_eq!(world.found(9, key), Some(b"long".to_vec()));
}

#[test]
fn a_withdrawn_value_is_gone_wherever_it_spread() {
    let mut world = World::of(3, 20);
    let key = Key::of(b"k");
    world.put(4, key, b"v", secs(600));
    world.run(secs(2));
    world.ask(4, Wish::Withdraw { key });
    for reader in 0..20 {
        assert_eq!(world.found(reader, key), None, "node {reader}");
    }
}

/// A claimant that cannot reach the key's closest node claims there all the same, through who
/// named it, and so finds the other claimant.
#[test]
fn a_pair_that_cannot_reach_each_other_is_relayed() {
    for seed in 0..8 {
        let mut world = flat(20 + seed, 24);
        let key = Key::of(b"cold");
        let closest = world.closest(key);
        let (root, cut, free) = (closest[0], closest[20], closest[22]);
        world.broken.insert((root, cut));
        let claim = |n: usize| Wish::Claim {
            key,
            value: n.to_be_bytes().to_vec(),
            ttl: secs(20),
        };
        assert_eq!(world.ask(cut, claim(cut)), Answer::Granted, "seed {seed}");
        let answer = world.ask(free, claim(free));
        let Answer::Taken { values } = answer else {
            panic!("seed {seed}: {answer:?}")
        };
        let publisher = common::ids::NodeId::of(addr(cut));
        assert_eq!(
            values[0].publisher, publisher,
            "the relay is not the publisher"
        );
    }
}

/// Everybody claims one key at once, so that it is hot before it is decided, and the nodes next to
/// its closest one count that one as dead because they cannot reach it.
#[test]
fn a_crowd_of_claimants_has_one_winner_whoever_cannot_reach_the_closest_node() {
    for seed in 0..4 {
        let n = 40;
        let mut world = flat(40 + seed, n);
        let keys: Vec<_> = (0..4u8).map(|n| Key::of(&[n])).collect();
        for key in &keys {
            let closest = world.closest(*key);
            for cut in [1, 2, 7, 30] {
                world.broken.insert((closest[0], closest[cut]));
            }
        }
        world.run(secs(60));
        for key in keys {
            let claim = |n: usize| Wish::Claim {
                key,
                value: n.to_be_bytes().to_vec(),
                ttl: secs(20),
            };
            let tickets: Vec<_> = (0..n).map(|n| world.command(n, claim(n))).collect();
            let answers = tickets.into_iter().map(|ticket| world.answer(ticket));
            let granted = answers.filter(|answer| *answer == Answer::Granted).count();
            assert_eq!(granted, 1, "seed {seed}, {key}");
        }
    }
}

#[test]
fn a_tenth_of_all_pairs_may_be_broken() {
    let mut world = flat(4, 30);
    for a in 0..30 {
        for b in 0..a {
            if (a * 7 + b * 13) % 11 == 0 {
                world.broken.insert((a, b));
            }
        }
    }
    world.run(secs(60));
    let mut found = 0;
    for n in 0..100 {
        let key = Key::of(format!("k{n}").as_bytes());
        world.put(n % 30, key, b"v", secs(600));
        found += usize::from(world.found((n * 7 + 3) % 30, key).is_some());
    }
    assert!(found >= 99, "{found} of 100");
}

#[test]
fn a_late_answer_is_hedged_before_it_is_given_up() {
    let mut world = World::of(5, 20);
    world.sins.loss = 15;
    for n in 0..30 {
        let key = Key::of(format!("k{n}").as_bytes());
        world.ask(n % 20, Wish::Get { key, want: 1 });
    }
    assert!(world.nodes.values().any(|node| node.stats().hedged > 0));
}

#[test]
fn walks_take_few_hops() {
    let mut world = flat(6, 128);
    let before: u64 = world
        .nodes
        .values()
        .map(|n| n.stats().sent.of(Kind::Get))
        .sum();
    for n in 0..128 {
        let key = Key::of(format!("nothing {n}").as_bytes());
        world.ask(n, Wish::Get { key, want: 1 });
    }
    let after: u64 = world
        .nodes
        .values()
        .map(|n| n.stats().sent.of(Kind::Get))
        .sum();
    let mean = (after - before) / 128;
    assert!(mean <= 10, "{mean} requests per miss");
}
