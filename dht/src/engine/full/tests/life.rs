//! What nodes do together: know one another, store, claim, notice deaths, hand over.

use std::time::Duration;

use common::ids::Key;

use super::world::{World, addr};
use crate::engine::health::Health;
use crate::engine::{Answer, Index, Wish};
use crate::refusal::Refusal;

const TTL: Duration = Duration::from_secs(600);

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn key(n: u8) -> Key {
    Key::of(&[n])
}

fn put(n: u8) -> Wish {
    Wish::Put {
        key: key(n),
        value: vec![n],
        ttl: TTL,
    }
}

fn claim(n: u8, value: u8) -> Wish {
    Wish::Claim {
        key: key(n),
        value: vec![value],
        ttl: TTL,
    }
}

fn found(world: &mut World, by: usize, n: u8) -> usize {
    let key = key(n);
    match world.ask(by, Wish::Get { key, want: 1 }) {
        Answer::Values { values, .. } => {
            assert!(values.iter().all(|value| value.bytes == [n]));
            values.len()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn everybody_comes_to_know_everybody_and_a_key_is_one_hop_away() {
    let mut world = World::of(30);
    world.run(seconds(8));
    assert_eq!(world.known(), vec![29; 30]);
    assert_eq!(world.ask(3, put(1)), Answer::Stored { copies: 3 });
    for by in 0..30 {
        assert_eq!(found(&mut world, by, 1), 1, "at {by}");
        assert_eq!(found(&mut world, by, 2), 0, "nobody put it");
    }
    let now = world.now;
    assert_eq!(world.node(5).health(now), Health::Healthy);
}

#[test]
fn of_two_who_claim_at_once_one_is_granted() {
    let mut world = World::of(12);
    world.run(seconds(8));
    for n in 0..20 {
        let tickets = [world.wish(1, claim(n, 1)), world.wish(2, claim(n, 2))];
        world.run(seconds(1));
        let answers = tickets.map(|ticket| world.answer(ticket));
        let granted = answers.iter().filter(|answer| **answer == Answer::Granted);
        assert_eq!(granted.count(), 1, "{answers:?}");
        let taken =
            |answer: &Answer| matches!(answer, Answer::Taken { values } if values.len() == 1);
        assert!(answers.iter().any(taken));
    }
    assert_eq!(
        world.ask(1, Wish::Withdraw { key: key(0) }),
        Answer::Withdrawn { copies: 3 }
    );
}

#[test]
fn a_lone_node_serves_itself() {
    let mut world = World::of(1);
    assert_eq!(world.ask(0, put(1)), Answer::Stored { copies: 1 });
    assert_eq!(found(&mut world, 0, 1), 1);
    assert_eq!(
        world.ask(0, Wish::Withdraw { key: key(1) }),
        Answer::Withdrawn { copies: 1 }
    );
    assert_eq!(found(&mut world, 0, 1), 0);
}

#[test]
fn a_death_is_noticed_and_what_the_dead_held_is_put_again() {
    let mut world = World::of(10);
    world.run(seconds(8));
    for n in 0..20 {
        world.ask(1, put(n));
    }
    for dead in 5..8 {
        world.nodes[dead] = None;
    }
    for n in 0..20 {
        assert_eq!(found(&mut world, 2, n), 1, "before anybody knows");
    }
    world.run(seconds(20));
    assert_eq!(world.known(), vec![6; 7]);
    let healed: u64 = world
        .nodes
        .iter()
        .flatten()
        .map(|node| node.stats().healed)
        .sum();
    assert!(healed > 0);
    // Each value is at three of the living again.
    let values: usize = world.nodes.iter().flatten().map(|n| n.sizes().values).sum();
    assert!(values >= 60, "{values}");
}

#[test]
fn a_newcomer_is_given_what_it_owns() {
    let mut world = World::of(4);
    world.run(seconds(8));
    for n in 0..30 {
        world.ask(1, put(n));
    }
    world.nodes.push(None);
    world.start(4);
    world.run(seconds(10));
    // It owns a key with three chances in five.
    let held = world.node(4).sizes().keys;
    assert!((9..=27).contains(&held), "{held}");
}

#[test]
fn who_lives_objects_to_being_suspected() {
    let mut world = World::of(6);
    world.run(seconds(8));
    // Two of five do not reach the last, nor it them.
    for n in 1..3 {
        world.cut.extend([(n, 5), (5, n)]);
    }
    world.run(seconds(60));
    let known = world.known();
    assert!(known.iter().all(|known| *known == 5), "{known:?}");
    let dead: u64 = (0..6).map(|n| world.node(n).stats().contacts_failed).sum();
    assert_eq!(dead, 0, "not even for a while");
}

#[test]
fn a_restarted_node_outbids_its_former_self() {
    let mut world = World::of(6);
    world.run(seconds(8));
    for n in 0..20 {
        world.ask(1, put(n));
    }
    world.start(4);
    world.run(seconds(10));
    assert_eq!(world.known(), vec![5; 6]);
    assert!(world.node(4).incarnation > 0);
    assert!(world.node(4).sizes().keys > 0, "given anew what it lost");
}

#[test]
fn two_halves_find_together_and_nobody_is_buried() {
    let mut world = World::of(8);
    world.run(seconds(8));
    let crossing = (0..4).flat_map(|a| (4..8).flat_map(move |b| [(a, b), (b, a)]));
    world.cut = crossing.collect();
    world.run(seconds(40));
    assert_eq!(world.known(), vec![3; 8]);
    world.cut.clear();
    world.run(seconds(100));
    assert_eq!(world.known(), vec![7; 8]);
}

#[test]
fn what_runs_at_a_node_is_known_everywhere() {
    let mut world = World::of(10);
    world.run(seconds(8));
    let service = ("http".to_owned(), addr(900));
    let registered = world.ask(
        3,
        Wish::Register {
            service: service.clone(),
        },
    );
    assert_eq!(registered, Answer::Registered);
    world.run(seconds(5));
    let wish = || Wish::Nodes {
        level: 0,
        count: 20,
        near: None,
        service: Some("http".to_owned()),
    };
    for by in 0..10 {
        let Answer::Nodes(nodes) = world.ask(by, wish()) else {
            panic!("no nodes");
        };
        assert_eq!(nodes.len(), 1, "at {by}");
        assert_eq!(nodes[0].services, std::slice::from_ref(&service));
    }
    world.ask(3, Wish::Deregister { service });
    world.run(seconds(5));
    assert_eq!(world.ask(7, wish()), Answer::Nodes(Vec::new()));
}

#[test]
fn levels_are_those_near_by_measured_round_trips() {
    let mut world = World::of(10);
    world.run(seconds(30));
    let Answer::Levels(levels) = world.ask(2, Wish::Levels) else {
        panic!("no levels");
    };
    // A round trip takes twice ten milliseconds and a little.
    let sizes: Vec<_> = levels.iter().map(|level| level.size).collect();
    assert_eq!(sizes, [10, 10, 1]);
    let wish = Wish::Nodes {
        level: 3,
        count: 1,
        near: None,
        service: None,
    };
    assert_eq!(world.ask(2, wish), Answer::Refused(Refusal::Level));
}

#[test]
fn who_is_found_before_it_finds_anybody_joins_all_the_same() {
    let mut world = World::of(2);
    // What the first node could hear of the second at the start is lost, and it has no seeds.
    world.run(seconds(3));
    world.cut = [(0, 1), (1, 0)].into();
    world.start(0);
    world.start(1);
    world.run(seconds(1));
    world.cut.clear();
    world.run(seconds(12));
    let now = world.now;
    for n in 0..2 {
        assert_eq!(world.node(n).health(now), Health::Healthy, "node {n}");
    }
}

#[test]
fn commands_wait_until_the_members_are_known() {
    let mut world = World::of(20);
    world.run(seconds(8));
    assert_eq!(world.ask(1, put(1)), Answer::Stored { copies: 3 });
    world.nodes.push(None);
    world.start(20);
    assert_eq!(found(&mut world, 20, 1), 1);
}

#[test]
fn more_members_than_may_be_known_are_refused_and_counted() {
    let mut world = World::of(1);
    world.config.full.members = 5;
    for n in 1..10 {
        world.nodes.push(None);
        world.start(n);
    }
    world.run(seconds(20));
    for n in 1..10 {
        assert!(world.node(n).sizes().contacts <= 5);
        assert!(world.node(n).stats().members_refused > 0);
    }
}

#[test]
fn more_commands_than_may_be_under_way_are_refused_as_busy() {
    let mut world = World::of(1);
    world.config.lookup.tasks = 4;
    for n in 1..4 {
        world.nodes.push(None);
        world.start(n);
    }
    world.run(seconds(8));
    let get = |n| Wish::Get {
        key: key(n),
        want: 9,
    };
    let tickets: Vec<_> = (0..6).map(|n| world.wish(1, get(n))).collect();
    world.run(seconds(3));
    let refused = |answer: &Answer| *answer == Answer::Refused(Refusal::Busy);
    let answers: Vec<_> = tickets.into_iter().map(|t| world.answer(t)).collect();
    assert!(
        answers.iter().filter(|answer| refused(answer)).count() >= 2,
        "{answers:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut world = World::of(8);
        world.run(seconds(5));
        let sent = world.nodes.iter().flatten().map(|n| n.stats().bytes_sent);
        sent.collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}
