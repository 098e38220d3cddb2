//! Clusters in virtual time: three sites, 5 ms inside, 40 ms within a continent, 150 ms across.

use std::collections::{BTreeMap, BTreeSet};

use common::ids::{ClusterId, Key};

use super::world::{SITES, World, addr, ms, number, secs};
use crate::engine::cluster::Moved;
use crate::engine::message::{Ask, Message, decode};
use crate::engine::{Answer, Config, Event, Wish};

/// `n` nodes at three sites, run for `time`.
fn sites(seed: u64, n: usize, time: u64) -> World {
    let mut world = World::new(seed);
    world.sins.sites = Some(SITES);
    world.grow(n, &Config::default());
    world.run(secs(time));
    world
}

fn cluster(world: &World, n: usize, level: usize) -> ClusterId {
    world.node(n).memberships()[level - 1].cluster
}

/// Clusters of a level: members by id.
fn clusters(world: &World, level: usize) -> BTreeMap<ClusterId, Vec<usize>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for at in world.nodes.keys() {
        let n = number(*at);
        all.entry(cluster(world, n, level)).or_default().push(n);
    }
    all
}

fn changes(world: &World) -> usize {
    let moved = |(_, event): &&(_, Event)| matches!(event, Event::ClusterChanged { .. });
    world.events.iter().filter(moved).count()
}

#[test]
fn sites_become_clusters_and_continents_the_clusters_around_them() {
    for seed in 0..3 {
        let world = sites(seed, 30, 120);
        let inner = clusters(&world, 2);
        assert_eq!(inner.len(), 3, "seed {seed}: {inner:?}");
        for members in inner.values() {
            assert!(members.len() == 10 && members.iter().all(|n| n % 3 == members[0] % 3));
        }
        let outer = clusters(&world, 1);
        assert_eq!(outer.len(), 2, "seed {seed}: {outer:?}");
        let sizes: BTreeSet<_> = outer.values().map(Vec::len).collect();
        assert_eq!(sizes, BTreeSet::from([10, 20]), "seed {seed}");
        for node in world.nodes.values() {
            let sizes: Vec<_> = node.memberships().iter().map(|m| m.size).collect();
            assert!((8..=13).contains(&sizes[1]), "{sizes:?}");
        }
    }
}

#[test]
fn clusters_once_formed_do_not_change() {
    let mut world = sites(5, 9, 300);
    let before = (changes(&world), clusters(&world, 1), clusters(&world, 2));
    world.run(secs(4_000));
    let after = (changes(&world), clusters(&world, 1), clusters(&world, 2));
    assert_eq!(before, after);
}

#[test]
fn near_nodes_share_all_levels_within_seconds() {
    let mut world = World::new(6);
    world.sins.latency = ms(0);
    world.grow(5, &Config::default());
    world.run(secs(5));
    for level in [1, 2] {
        assert_eq!(clusters(&world, level).len(), 1);
    }
}

#[test]
fn a_node_without_neighbours_stays_alone_and_lives_at_the_next_level() {
    let mut world = World::new(7);
    world.sins.sites = Some([[5, 40, 150], [40, 5, 150], [150, 150, 200]]);
    world.grow(12, &Config::default());
    world.run(secs(120));
    // Site 2's nodes are far even from each other.
    let lonely = clusters(&world, 2).into_values().filter(|m| m.len() == 1);
    let lonely: BTreeSet<_> = lonely.flatten().collect();
    assert_eq!(lonely, BTreeSet::from([2, 5, 8, 11]));
    let key = Key::of(b"k");
    world.put(5, key, b"v", secs(600));
    assert_eq!(world.found(2, key), Some(b"v".to_vec()));
    let wish = Wish::Nodes {
        level: 2,
        count: 4,
        near: None,
        service: None,
    };
    let Answer::Nodes(nodes) = world.ask(2, wish) else {
        panic!()
    };
    assert_eq!(nodes.len(), 4, "filled up from the levels around");
}

#[test]
fn a_copy_in_the_own_cluster_is_found_without_leaving_it() {
    let mut world = sites(8, 30, 120);
    let mut found = 0;
    for n in 0..20 {
        let key = Key::of(format!("object {n}").as_bytes());
        let (publisher, reader) = (3 * (n % 10), 3 * ((n + 3) % 10));
        world.put(publisher, key, b"v", secs(600));
        world.run(secs(1));
        let (sent, began) = (world.log.len(), world.now);
        let values = world.get(reader, key);
        assert_eq!(values[0].level, 2, "object {n}");
        assert!(world.now.since(began) <= ms(25), "object {n}");
        let asked = world.log[sent..]
            .iter()
            .filter(|sent| sent.from == addr(reader));
        for sent in asked {
            let (header, body) =
                common::wire::header::open(&super::world::network(7, 1), &sent.bytes).unwrap();
            if let Ok(Message::Request(request)) = decode(header.kind, body) {
                let about = matches!(request.ask, Ask::Get { .. });
                assert!(
                    !about || number(sent.to).is_multiple_of(3),
                    "object {n} left the cluster"
                );
                found += usize::from(about);
            }
        }
    }
    assert!(found <= 40, "{found} requests for 20 gets");
}

#[test]
fn values_say_at_which_level_they_were_found_and_a_get_may_stay_inside() {
    let mut world = sites(9, 30, 120);
    let afar = |key: &Key| world.closest(*key)[..3].iter().all(|n| n % 3 == 2);
    let mut keys = (0..999u16).map(|n| Key::of(&n.to_be_bytes()));
    let key = keys.find(afar).unwrap();
    world.put(2, key, b"v", secs(600));
    assert_eq!(world.get(0, key)[0].level, 0);
    let within = |outermost| Wish::GetWithin {
        key,
        want: 1,
        outermost,
    };
    let none = Answer::Values {
        values: Vec::new(),
        last: true,
    };
    let reader = world
        .closest(key)
        .into_iter()
        .rfind(|n| n % 3 == 0)
        .unwrap();
    assert_eq!(world.ask(reader, within(2)), none);
    assert!(
        matches!(world.ask(reader, within(0)), Answer::Values { values, .. } if values.len() == 1)
    );
}

#[test]
fn claimants_of_every_site_meet_and_one_is_granted_from_the_first_second_on() {
    for (seed, time) in [(10, 2), (11, 4), (12, 8), (13, 120)] {
        let mut world = sites(seed, 30, 0);
        world.run(secs(time));
        for round in 0..4 {
            let key = Key::of(format!("cold {round}").as_bytes());
            let claim = |n: usize| Wish::Claim {
                key,
                value: n.to_be_bytes().to_vec(),
                ttl: secs(20),
            };
            let tickets: Vec<_> = (0..30).map(|n| world.command(n, claim(n))).collect();
            let answers: Vec<_> = tickets.into_iter().map(|t| world.answer(t)).collect();
            let granted = answers.iter().filter(|a| **a == Answer::Granted).count();
            assert_eq!(granted, 1, "seed {seed} round {round}: {answers:?}");
        }
    }
}

#[test]
fn a_claim_is_left_inside_the_clusters_too() {
    let mut world = sites(14, 30, 120);
    let key = Key::of(b"cold");
    let value = b"fetching".to_vec();
    let ttl = secs(20);
    let claim = Wish::Claim { key, value, ttl };
    assert_eq!(world.ask(1, claim), Answer::Granted);
    world.run(secs(1));
    let inside = Wish::GetWithin {
        key,
        want: 1,
        outermost: 2,
    };
    for reader in [4, 13, 28] {
        let answer = world.ask(reader, inside.clone());
        assert!(matches!(answer, Answer::Values { values, .. } if values.len() == 1));
    }
}

#[test]
fn two_clusters_that_come_near_merge_and_one_that_is_torn_splits() {
    let mut world = World::new(15);
    world.sins.sites = Some(SITES);
    let mut config = Config::default();
    config.levels.reconsider = secs(20);
    world.grow(18, &config);
    world.run(secs(60));
    assert_eq!(clusters(&world, 2).len(), 3);
    // A new cable: the two sites of the continent are one place now.
    world.sins.sites = Some([[5, 12, 150], [12, 5, 150], [150, 150, 5]]);
    world.run(secs(300));
    let merged = clusters(&world, 2);
    assert_eq!(merged.len(), 2, "{merged:?}");
    // It breaks again.
    world.sins.sites = Some(SITES);
    let before = world.events.len();
    world.run(secs(1_500));
    let torn = clusters(&world, 2);
    for members in torn.values() {
        assert!(members.iter().all(|n| n % 3 == members[0] % 3), "{torn:?}");
    }
    let split = world.events[before..].iter().any(|(_, event)| {
        matches!(
            event,
            Event::ClusterChanged {
                why: Moved::Split | Moved::Nearer,
                ..
            }
        )
    });
    assert!(split);
}

#[test]
fn lookups_go_on_while_clusters_form() {
    let mut world = sites(16, 24, 0);
    let mut found = 0;
    for n in 0..60 {
        let key = Key::of(format!("early {n}").as_bytes());
        world.put(n % 24, key, b"v", secs(60));
        found += usize::from(world.found((n + 7) % 24, key).is_some());
    }
    assert!(found >= 59, "{found} of 60");
}

#[test]
fn without_levels_the_world_is_all_there_is() {
    let mut world = World::new(17);
    let mut config = Config::default();
    config.levels.thresholds.clear();
    world.grow(6, &config);
    world.run(secs(10));
    let Answer::Levels(levels) = world.ask(0, Wish::Levels) else {
        panic!()
    };
    assert_eq!(levels.len(), 1);
    let key = Key::of(b"k");
    world.put(1, key, b"v", secs(60));
    assert_eq!(world.found(4, key), Some(b"v".to_vec()));
}

#[test]
fn levels_are_told_with_cluster_size_and_age() {
    let mut world = sites(18, 12, 100);
    let Answer::Levels(levels) = world.ask(3, Wish::Levels) else {
        panic!()
    };
    let shown: Vec<_> = levels
        .iter()
        .map(|l| (l.level, l.threshold, l.size))
        .collect();
    let expected = [(0, None, 12), (1, Some(ms(60)), 8), (2, Some(ms(20)), 4)];
    assert_eq!(shown, expected);
    assert!(levels.iter().all(|l| l.age >= secs(90)), "{levels:?}");
    assert_eq!(levels[2].cluster, cluster(&world, 3, 2));
}
