//! `nodes` near a client: hints by prefix, found and followed.

use std::net::{IpAddr, SocketAddr};

use common::netaddr::Prefix;

use super::world::{SITES, World, addr, ms, number, secs};
use crate::engine::{Answer, Config, Wish};
use crate::hints::{Hint, key};

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));

/// Twelve nodes at three sites whose clusters have formed; all but node 3 run `http`.
fn sites(seed: u64) -> World {
    let mut world = World::new(seed);
    world.sins.sites = Some(SITES);
    world.grow(12, &Config::default());
    for n in (0..12).filter(|n| *n != 3) {
        let service = ("http".to_owned(), SocketAddr::new(addr(n).ip(), 80));
        world.command(n, Wish::Register { service });
    }
    world.run(secs(120));
    world
}

fn hint(world: &mut World, n: usize, rtt: u64) {
    let hint = Hint {
        addr: addr(n),
        rtt: ms(rtt),
    };
    let value = hint.encode();
    let stored = world.put(n, key(Prefix::of(CLIENT)), &value, secs(3_600));
    assert!(matches!(stored, Answer::Stored { .. }), "{stored:?}");
}

fn near(world: &mut World, asked: usize, count: usize, service: Option<&str>) -> Vec<usize> {
    let wish = Wish::Nodes {
        level: 2,
        count,
        near: Some("198.51.100.200".parse().unwrap()),
        service: service.map(str::to_owned),
    };
    match world.ask(asked, wish) {
        Answer::Nodes(nodes) => nodes.into_iter().map(|node| number(node.addr)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hint_leads_to_the_members_of_the_hinted_cluster_across_the_world() {
    let mut world = sites(1);
    hint(&mut world, 2, 8);
    // Node 0 is an ocean away from site 2, where the client is.
    let found = near(&mut world, 0, 4, None);
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|n| n % 3 == 2), "{found:?}");
}

#[test]
fn a_node_that_measured_counts_as_nearer_than_its_neighbours() {
    let mut world = sites(7);
    hint(&mut world, 2, 8);
    let wish = Wish::Nodes {
        level: 2,
        count: 12,
        near: Some(CLIENT),
        service: None,
    };
    let Answer::Nodes(nodes) = world.ask(0, wish) else {
        panic!("no nodes");
    };
    let placed: Vec<_> = nodes
        .iter()
        .filter_map(|node| Some((number(node.addr), node.near?)))
        .collect();
    assert_eq!(placed[0], (2, ms(8)));
    // Half of the 20 ms that the innermost clusters span.
    assert!(
        placed.len() > 1
            && placed[1..]
                .iter()
                .all(|(n, near)| n % 3 == 2 && *near == ms(18)),
        "{placed:?}"
    );
    assert!(
        nodes
            .iter()
            .filter(|node| number(node.addr) % 3 != 2)
            .all(|node| node.near.is_none())
    );
}

#[test]
fn without_a_hint_near_changes_nothing() {
    let mut world = sites(2);
    let found = near(&mut world, 0, 4, None);
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|n| n % 3 == 0), "{found:?}");
}

#[test]
fn the_nearest_hint_comes_first_and_only_who_runs_the_service_counts() {
    let mut world = sites(3);
    hint(&mut world, 1, 90);
    hint(&mut world, 0, 9);
    // Node 5 is at site 2; node 3, at the hinted site 0, runs nothing.
    let found = near(&mut world, 5, 3, Some("http"));
    assert!(found.iter().all(|n| n % 3 == 0 && *n != 3), "{found:?}");
    let found = near(&mut world, 5, 20, Some("http"));
    assert_eq!(found.len(), 11, "all that run it: {found:?}");
    assert!(found[..3].iter().all(|n| n % 3 == 0), "{found:?}");
}

#[test]
fn a_dead_hinted_node_is_not_named_and_costs_no_answer() {
    let mut world = sites(4);
    hint(&mut world, 2, 8);
    world.kill(2);
    let found = near(&mut world, 0, 4, None);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(!found.contains(&2), "{found:?}");
}

#[test]
fn this_nodes_own_hint_leads_to_its_own_cluster() {
    let mut world = sites(5);
    hint(&mut world, 4, 3);
    let found = near(&mut world, 4, 4, None);
    assert!(
        found.contains(&4) && found.iter().all(|n| n % 3 == 1),
        "{found:?}"
    );
}

#[test]
fn searches_beyond_the_bound_are_answered_without_hints() {
    let mut world = sites(6);
    hint(&mut world, 2, 8);
    let wish = || Wish::Nodes {
        level: 2,
        count: 2,
        near: Some(CLIENT),
        service: None,
    };
    let tickets: Vec<_> = (0..80).map(|_| world.command(0, wish())).collect();
    let mut plain = 0;
    for ticket in tickets {
        let Answer::Nodes(nodes) = world.answer(ticket) else {
            panic!("not nodes")
        };
        plain += usize::from(nodes.iter().all(|node| number(node.addr).is_multiple_of(3)));
    }
    assert_eq!(plain, 80 - 64);
}
