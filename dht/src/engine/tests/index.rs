//! The index as its clients see it: put, get, claim, withdraw, nodes.

use common::ids::Key;

use super::world::{World, addr, ms, secs};
use crate::engine::{Answer, Config, Wish};
use crate::refusal::Refusal;

fn claim(key: Key, value: &[u8]) -> Wish {
    Wish::Claim {
        key,
        value: value.to_vec(),
        ttl: secs(20),
    }
}

fn nodes(count: usize, service: Option<&str>) -> Wish {
    Wish::Nodes {
        level: 0,
        count,
        near: None,
        service: service.map(str::to_owned),
    }
}

#[test]
fn a_node_alone_is_a_whole_index() {
    let mut world = World::of(1, 1);
    let key = Key::of(b"k");
    let before = world.now;
    assert_eq!(
        world.put(0, key, b"v", secs(60)),
        Answer::Stored { copies: 1 }
    );
    assert_eq!(world.found(0, key), Some(b"v".to_vec()));
    assert_eq!(
        world.ask(0, claim(Key::of(b"other"), b"mine")),
        Answer::Granted
    );
    assert_eq!(world.now, before, "everything was answered at once");
    assert_eq!(
        world.ask(0, Wish::Withdraw { key }),
        Answer::Withdrawn { copies: 1 }
    );
    assert_eq!(world.found(0, key), None);
}

#[test]
fn what_one_node_puts_every_other_gets() {
    let mut world = World::of(2, 20);
    for n in 0..20 {
        let key = Key::of(format!("key {n}").as_bytes());
        let value = format!("value {n}").into_bytes();
        assert_eq!(
            world.put(n, key, &value, secs(60)),
            Answer::Stored { copies: 2 }
        );
        for reader in [0, 7, 13, 19] {
            assert_eq!(
                world.found(reader, key),
                Some(value.clone()),
                "{reader} reads {n}"
            );
        }
    }
}

#[test]
fn a_value_lies_at_the_closest_nodes_and_ends_with_its_time() {
    let mut world = World::of(3, 20);
    let key = Key::of(b"k");
    world.put(5, key, b"v", secs(30));
    let closest = world.closest(key);
    let holders: Vec<_> = closest
        .iter()
        .filter(|n| world.node(**n).sizes().keys > 0)
        .copied()
        .collect();
    for n in &closest[..2] {
        assert!(holders.contains(n));
    }
    let ttl = world.get(9, key)[0].ttl;
    assert!(ttl <= secs(30) && ttl > secs(29));
    world.run(secs(31));
    assert_eq!(world.found(9, key), None);
}

#[test]
fn values_of_many_publishers_live_under_one_key() {
    let mut world = World::of(4, 10);
    let key = Key::of(b"k");
    for n in 0..6 {
        world.put(n, key, &[u8::try_from(n).unwrap()], secs(60));
    }
    world.put(0, key, b"renewed", secs(60));
    let values = world.get(9, key);
    assert!(!values.is_empty());
    let publishers: std::collections::BTreeSet<_> =
        values.iter().map(|value| value.publisher).collect();
    assert_eq!(
        publishers.len(),
        values.len(),
        "one value of each publisher"
    );
}

#[test]
fn of_two_simultaneous_claims_one_is_granted_and_the_other_finds_it() {
    for seed in 0..20 {
        let mut world = World::of(seed, 12);
        let key = Key::of(b"cold object");
        let one = world.command(3, claim(key, b"three"));
        let two = world.command(8, claim(key, b"eight"));
        let answers = [world.answer(one), world.answer(two)];
        let granted = answers.iter().filter(|a| **a == Answer::Granted).count();
        assert_eq!(granted, 1, "seed {seed}: {answers:?}");
        let winner: &[u8] = if answers[0] == Answer::Granted {
            b"three"
        } else {
            b"eight"
        };
        let taken = answers.iter().find_map(|answer| match answer {
            Answer::Taken { values } => Some(values),
            _ => None,
        });
        assert_eq!(taken.unwrap()[0].bytes, winner, "seed {seed}");
    }
}

#[test]
fn a_claim_is_found_later_by_everyone_and_by_its_owner_again() {
    let mut world = World::of(5, 8);
    let key = Key::of(b"k");
    assert_eq!(world.ask(2, claim(key, b"two")), Answer::Granted);
    assert_eq!(world.ask(2, claim(key, b"two")), Answer::Granted);
    assert!(matches!(
        world.ask(6, claim(key, b"six")),
        Answer::Taken { .. }
    ));
    world.ask(2, Wish::Withdraw { key });
    assert_eq!(world.ask(6, claim(key, b"six")), Answer::Granted);
}

#[test]
fn a_claim_goes_on_when_the_closest_node_has_died_unnoticed() {
    let mut world = World::of(6, 10);
    let key = Key::of(b"k");
    let closest = world.closest(key);
    world.kill(closest[0]);
    let claimant = *closest.last().unwrap();
    assert_eq!(world.ask(claimant, claim(key, b"v")), Answer::Granted);
    world.run(secs(1));
    assert_eq!(world.found(closest[5], key), Some(b"v".to_vec()));
}

#[test]
fn works_with_a_fifth_of_all_datagrams_lost_and_some_doubled() {
    let mut world = World::of(7, 20);
    world.sins.loss = 20;
    world.sins.twice = 10;
    let mut found = 0;
    for n in 0..50 {
        let key = Key::of(format!("lossy {n}").as_bytes());
        if matches!(
            world.put(n % 20, key, b"v", secs(60)),
            Answer::Stored { .. }
        ) {
            found += usize::from(world.found((n + 7) % 20, key).is_some());
        }
    }
    assert!(found >= 49, "{found} of 50 found");
}

#[test]
fn duplicates_change_nothing() {
    let mut world = World::of(8, 10);
    world.sins.twice = 100;
    let key = Key::of(b"k");
    assert_eq!(world.ask(1, claim(key, b"v")), Answer::Granted);
    assert!(matches!(
        world.ask(2, claim(key, b"w")),
        Answer::Taken { .. }
    ));
    assert_eq!(world.get(3, key).len(), 1);
}

#[test]
fn services_are_told_and_forgotten_within_a_second_or_two() {
    let mut world = World::of(9, 5);
    for n in 0..5 {
        let service = ("http".to_owned(), addr(100 + n));
        world.ask(n, Wish::Register { service });
    }
    world.run(secs(2));
    let Answer::Nodes(found) = world.ask(0, nodes(10, Some("http"))) else {
        panic!()
    };
    assert_eq!(found.len(), 5);
    let me = found.iter().find(|node| node.addr == addr(0)).unwrap();
    assert_eq!((me.rtt, me.services[0].1), (None, addr(100)));
    let service = ("http".to_owned(), addr(103));
    world.ask(3, Wish::Deregister { service });
    world.run(secs(2));
    let Answer::Nodes(found) = world.ask(0, nodes(10, Some("http"))) else {
        panic!()
    };
    assert!(found.len() == 4 && found.iter().all(|node| node.addr != addr(3)));
}

#[test]
fn nodes_are_walked_for_when_too_few_are_known() {
    let mut world = World::of(10, 40);
    let Answer::Nodes(found) = world.ask(7, nodes(16, None)) else {
        panic!()
    };
    assert_eq!(found.len(), 16);
    let refused = world.ask(
        7,
        Wish::Nodes {
            level: 3,
            count: 1,
            near: None,
            service: None,
        },
    );
    assert_eq!(refused, Answer::Refused(Refusal::Level));
}

#[test]
fn a_ping_tells_time_and_services_or_that_nobody_answers() {
    let mut world = World::of(11, 3);
    world.ask(
        1,
        Wish::Register {
            service: ("dns".to_owned(), addr(53)),
        },
    );
    let Answer::Pong { rtt, services } = world.ask(0, Wish::Ping { addr: addr(1) }) else {
        panic!()
    };
    assert!(rtt >= ms(10) && rtt <= ms(20));
    assert_eq!(services, [("dns".to_owned(), addr(53))]);
    let sent = world.log.len();
    let nobody = world.ask(0, Wish::Ping { addr: addr(99) });
    assert_eq!(nobody, Answer::Refused(Refusal::Unreachable));
    let attempts = world.log[sent..]
        .iter()
        .filter(|sent| sent.to == addr(99))
        .count();
    assert_eq!(attempts, 2);
}

#[test]
fn too_many_commands_are_refused_as_busy() {
    let mut world = World::new(12);
    let mut config = Config {
        seeds: vec![addr(1)],
        ..Config::default()
    };
    config.lookup.tasks = 3;
    world.add(0, config);
    world.add(1, Config::default());
    world.run(secs(2));
    let wish = || Wish::Get {
        key: Key::of(b"k"),
        want: 1,
    };
    let tickets: Vec<_> = (0..5).map(|_| world.command(0, wish())).collect();
    let answers: Vec<_> = tickets
        .into_iter()
        .map(|ticket| world.answer(ticket))
        .collect();
    let busy = Answer::Refused(Refusal::Busy);
    assert_eq!(answers.iter().filter(|answer| **answer == busy).count(), 2);
}

#[test]
fn too_many_pings_are_refused_as_busy() {
    let mut world = World::new(15);
    let mut config = Config::default();
    config.lookup.tasks = 2;
    world.add(0, config);
    let tickets: Vec<_> = (0..10)
        .map(|n| world.command(0, Wish::Ping { addr: addr(50 + n) }))
        .collect();
    let answers: Vec<_> = tickets
        .into_iter()
        .map(|ticket| world.answer(ticket))
        .collect();
    let busy = Answer::Refused(Refusal::Busy);
    assert_eq!(answers.iter().filter(|answer| **answer == busy).count(), 2);
}

#[test]
fn too_many_services_are_refused() {
    let mut world = World::of(13, 1);
    for n in 0..16 {
        let service = (format!("s{n}"), addr(n));
        assert_eq!(world.ask(0, Wish::Register { service }), Answer::Registered);
    }
    let service = ("one-more".to_owned(), addr(16));
    let refused = world.ask(0, Wish::Register { service });
    assert_eq!(refused, Answer::Refused(Refusal::ServicesFull));
}

#[test]
fn a_value_too_long_or_without_time_is_refused_by_name() {
    let mut world = World::of(14, 4);
    let key = Key::of(b"k");
    let long = world.put(0, key, &[0; 257], secs(1));
    assert_eq!(long, Answer::Refused(Refusal::ValueTooLong));
    let none = world.put(0, key, b"v", secs(0));
    assert_eq!(none, Answer::Refused(Refusal::TtlZero));
}
