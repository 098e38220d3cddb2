//! Walks as offers and answers, expected next steps.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

fn entry(n: u16) -> Entry {
    let addr = SocketAddr::from(([192, 0, 2, 1], n));
    Entry {
        id: NodeId::of(addr),
        addr,
    }
}

fn lead(n: u16, level: u8) -> Lead {
    Lead {
        entry: entry(n),
        level,
        rtt: None,
        via: None,
    }
}

fn sorted(nodes: u16) -> Vec<Entry> {
    let mut all: Vec<_> = (0..nodes).map(entry).collect();
    all.sort_by_key(|e| e.id.distance(&Key::ZERO));
    all
}

/// A walk from the far end of the id space.
fn walk_at(level: u8, steps: Steps) -> Walk {
    let far = NodeId::from_bytes([0xff; 20]);
    Walk::new(&LookupConfig::default(), far, Key::ZERO, level, steps)
}

fn walk(nodes: u16) -> Walk {
    let mut walk = walk_at(0, Steps::Greedy);
    (0..nodes).for_each(|n| walk.offer(lead(n, 0)));
    walk
}

fn cold(walk: &mut Walk, id: NodeId) {
    walk.answered(id, Warmth::Cold);
}

#[test]
fn asks_the_closest_first_within_its_window_and_settles() {
    let (mut walk, all) = (walk(20), sorted(20));
    let first: Vec<_> = std::iter::from_fn(|| walk.next()).collect();
    assert_eq!(first, all[..3]);
    first.iter().for_each(|e| cold(&mut walk, e.id));
    assert!(!walk.is_settled());
    assert_eq!(walk.next(), Some(all[3]));
    cold(&mut walk, all[3].id);
    assert!(walk.is_settled());
    assert_eq!(walk.next(), None);
    assert_eq!(walk.reached(0).collect::<Vec<_>>(), all[..4]);
}

#[test]
fn a_slow_node_frees_the_window_but_holds_the_end() {
    let (mut walk, all) = (walk(20), sorted(20));
    while walk.next().is_some() {}
    walk.slow(all[0].id);
    assert_eq!(walk.next(), Some(all[3]));
    (1..4).for_each(|n| cold(&mut walk, all[n].id));
    assert_eq!(walk.next(), Some(all[4]));
    cold(&mut walk, all[4].id);
    assert!(!walk.is_settled());
    walk.failed(all[0].id);
    assert!(walk.is_settled());
}

#[test]
fn the_next_in_line_speaks_for_a_slow_one_that_holds_no_copy() {
    let (mut walk, all) = (walk(20), sorted(20));
    let copies = LookupConfig::default().replicas;
    while walk.next().is_some() {}
    walk.slow(all[copies].id);
    while walk.next().is_some() {}
    (0..copies).for_each(|n| cold(&mut walk, all[n].id));
    while walk.next().is_some() {}
    (copies + 1..4).for_each(|n| cold(&mut walk, all[n].id));
    assert!(!walk.is_settled(), "one fewer than settle it");
    assert_eq!(walk.next(), None, "the next in line is asked already");
    cold(&mut walk, all[4].id);
    assert!(walk.is_settled());
}

#[test]
fn a_slow_one_is_waited_for_if_nobody_is_next_in_line() {
    let (mut walk, all) = (walk(4), sorted(4));
    while walk.next().is_some() {}
    walk.slow(all[2].id);
    while walk.next().is_some() {}
    [0, 1, 3].iter().for_each(|n| cold(&mut walk, all[*n].id));
    assert!(!walk.is_settled());
    cold(&mut walk, all[2].id);
    assert!(walk.is_settled());
}

#[test]
fn the_innermost_cluster_is_asked_twice_before_a_cold_walk_leaves_it() {
    let mut walk = walk_at(2, Steps::Greedy);
    (0..9).for_each(|n| walk.offer(lead(n, 2)));
    let all = sorted(9);
    while walk.next().is_some() {}
    cold(&mut walk, all[0].id);
    assert!(!walk.is_settled());
    cold(&mut walk, all[1].id);
    assert!(walk.is_settled());
}

#[test]
fn the_first_step_splices_to_the_nearest_and_greedy_steps_follow_a_cold_answer() {
    let mut walk = walk_at(0, Steps::Both);
    for n in 0..40 {
        let rtt = Some(Duration::from_millis(if n == 7 { 2 } else { 90 }));
        walk.offer(Lead { rtt, ..lead(n, 0) });
    }
    let near = entry(7).id;
    let corrects = shared_bits(&near.as_key(), &Key::ZERO) >= 1;
    let first = walk.next().unwrap();
    assert!(
        !corrects || first.id == near,
        "the near one, if it corrects a bit"
    );
    assert!(shared_bits(&first.id.as_key(), &Key::ZERO) >= 1);
    assert_eq!(walk.next(), None, "the rest waits for what it says");
    cold(&mut walk, first.id);
    let second = walk.next().unwrap();
    let (a, b) = (
        first.id.distance(&Key::ZERO),
        second.id.distance(&Key::ZERO),
    );
    assert!(b < a, "digit by digit");
    assert_eq!(walk.next(), Some(sorted(40)[0]), "and greedily beside it");
}

#[test]
fn who_brings_a_value_splices_once_and_again_where_the_key_is_warm() {
    let mut walk = walk_at(0, Steps::SpliceFirst);
    (0..40).for_each(|n| walk.offer(lead(n, 0)));
    let (first, all) = (walk.next().unwrap(), sorted(40));
    assert_eq!(walk.next(), None, "the rest waits for what it says");
    cold(&mut walk, first.id);
    let jumps: Vec<_> = std::iter::from_fn(|| walk.next()).collect();
    assert_eq!(jumps, all[..3], "and then nothing on the way is asked");
    walk.answered(all[2].id, Warmth::Warm);
    walk.failed(all[0].id);
    walk.failed(all[1].id);
    let spliced = walk.next().unwrap();
    let (a, b) = (first.id.as_key(), spliced.id.as_key());
    assert!(shared_bits(&b, &Key::ZERO) > shared_bits(&a, &Key::ZERO));
    assert_eq!(walk.next(), None, "one at a time");
}

#[test]
fn a_warm_walk_never_jumps() {
    let mut walk = walk_at(0, Steps::Both);
    (0..200).for_each(|n| walk.offer(lead(n, 0)));
    let mut last = Key::from_bytes([0xff; 20]).distance(&Key::ZERO);
    let mut hops = 0;
    while let Some(next) = walk.next() {
        assert_eq!(walk.next(), None, "one at a time");
        let distance = next.id.distance(&Key::ZERO);
        assert!(distance < last);
        (last, hops) = (distance, hops + 1);
        walk.answered(next.id, Warmth::Warm);
    }
    assert!(walk.is_settled());
    assert!((3..=9).contains(&hops), "{hops} hops among 200 nodes");
}

#[test]
fn a_dead_splice_step_holds_nothing_up() {
    let mut walk = walk_at(0, Steps::Both);
    (0..40).for_each(|n| walk.offer(lead(n, 0)));
    let dead = walk.next().unwrap();
    walk.slow(dead.id);
    assert!(walk.next().is_some() && walk.next().is_some());
}

#[test]
fn goes_outward_over_the_same_candidates() {
    let mut walk = walk_at(2, Steps::Both);
    (0..3).for_each(|n| walk.offer(lead(n, 2)));
    (3..30).for_each(|n| walk.offer(lead(n, 0)));
    let mut inner = Vec::new();
    while !walk.is_settled() {
        let next = walk.next().unwrap();
        assert!(
            (0..3).any(|n| entry(n) == next),
            "no message leaves the cluster"
        );
        cold(&mut walk, next.id);
        inner.push(next);
    }
    assert_eq!(walk.reached(2).count(), inner.len());
    walk.outward();
    assert!(walk.is_settled(), "the same node is the closest of level 1");
    walk.outward();
    while !walk.is_settled() {
        let next = walk.next().unwrap();
        assert!(!inner.contains(&next), "nobody is asked twice");
        cold(&mut walk, next.id);
    }
}

#[test]
fn who_has_left_the_cluster_is_asked_again_outside_it() {
    let mut walk = walk_at(1, Steps::Greedy);
    walk.offer(lead(1, 1));
    assert_eq!(walk.next(), Some(entry(1)));
    walk.foreign(entry(1).id);
    assert!(walk.is_settled());
    walk.outward();
    assert!(!walk.is_settled());
    assert_eq!(walk.next(), Some(entry(1)));
    walk.foreign(entry(1).id);
    assert!(walk.is_settled(), "outside the world there is nothing");
}

#[test]
fn a_halted_walk_asks_nobody() {
    let mut walk = walk(5);
    walk.halt();
    assert!(walk.is_halted() && walk.next().is_none());
}

#[test]
fn a_walk_with_nobody_is_settled() {
    assert!(walk(0).is_settled());
    let mut one = walk(1);
    assert!(!one.is_settled());
    one.next();
    one.failed(entry(0).id);
    assert!(one.is_settled() && one.next().is_none());
}

#[test]
fn forgets_the_farthest_of_too_many() {
    let walk = walk(200);
    assert_eq!(walk.candidates.len(), CANDIDATES_MAX);
    assert_eq!(walk.candidates[0].lead.entry, sorted(200)[0]);
}

proptest! {
    #[test]
    fn every_walk_ends(
        nodes in 0..100u16, kind in 0..3usize, depth in 0..3u8,
        fates in proptest::collection::vec(0..5u8, 600)
    ) {
        let kinds = [Steps::Greedy, Steps::Both, Steps::SpliceFirst];
        let mut walk = walk_at(depth, kinds[kind]);
        for n in 0..nodes {
            walk.offer(lead(n, u8::try_from(n % 3).unwrap()));
        }
        let mut fates = fates.into_iter();
        let mut steps = 0;
        loop {
            if walk.is_settled() {
                if walk.level() == 0 { break }
                walk.outward();
                continue;
            }
            steps += 1;
            prop_assert!(steps < 800);
            let Some(entry) = walk.next() else { break };
            match fates.next() {
                Some(0) => walk.failed(entry.id),
                Some(1) => { walk.slow(entry.id); cold(&mut walk, entry.id); }
                Some(2) => walk.answered(entry.id, Warmth::Warm),
                Some(3) => walk.foreign(entry.id),
                _ => cold(&mut walk, entry.id),
            }
        }
        prop_assert!(walk.is_settled() && walk.level() == 0);
    }
}
