//! How one process takes the place of another.

use std::time::Duration;

use super::super::Event;
use super::documents::intent;
use super::world::World;
use crate::engine::document::words::{DaemonName, RunState, Version};

const SOON: Duration = Duration::from_secs(2);

/// A node that runs 1.0.0, whose processes can take each other's places.
fn speaking() -> World {
    let mut world = World::new(1);
    world.speaks();
    world.offers(intent(1, "1.0.0"));
    world.pass(Duration::from_secs(600));
    assert_eq!(world.runs(), ["proxy 1.0.0"]);
    world
}

fn took_over(version: &str) -> Event {
    let proxy = DaemonName::parse("proxy").unwrap();
    Event::TookOver(proxy, Version::parse(version).unwrap())
}

#[test]
fn the_one_before_serves_until_the_next_one_is_ready_and_then_finishes() {
    let mut world = speaking();
    world.offers(intent(2, "1.1.0"));
    world.pass(Duration::from_secs(45));
    assert_eq!(world.said(&took_over("1.1.0")), 1);
    assert_eq!(world.runs(), ["proxy 1.1.0"]);
    assert_eq!((world.starts, world.kills), (2, 0), "nobody was killed");
}

#[test]
fn one_that_never_is_ready_goes_and_nothing_has_changed() {
    let mut world = speaking();
    world.is_dumb("1.1.0");
    world.offers(intent(2, "1.1.0"));
    while world.starts < 2 {
        world.pass(Duration::from_millis(10));
    }
    world.pass(SOON);
    assert_eq!(
        world.runs(),
        ["proxy 1.0.0", "proxy 1.1.0"],
        "it has its time"
    );
    world.pass(Duration::from_secs(600));
    assert_eq!(world.runs(), ["proxy 1.0.0"]);
    let standing = world.agent().standing();
    assert_eq!(standing.fallen.as_ref().unwrap().from, 2);
    assert_eq!(world.kills, 1, "the one that serves went on all the time");
    assert_eq!(world.starts, 2, "and was not started anew");
}

#[test]
fn one_that_crashes_before_it_is_ready_leaves_the_one_before_in_its_place() {
    let mut world = speaking();
    world.breaks("1.1.0");
    world.is_dumb("1.1.0");
    world.offers(intent(2, "1.1.0"));
    world.pass(Duration::from_secs(600));
    assert_eq!(world.runs(), ["proxy 1.0.0"]);
    assert_eq!(world.agent().standing().fallen.as_ref().unwrap().from, 2);
    assert_eq!(world.kills, 0);
}

#[test]
fn one_that_does_not_finish_in_time_is_killed() {
    let mut world = speaking();
    world.deafens("proxy");
    world.offers(intent(2, "1.1.0"));
    world.pass(Duration::from_secs(600));
    assert_eq!(world.runs(), ["proxy 1.1.0"]);
    assert_eq!(world.kills, 1);
}

#[test]
fn a_version_may_be_replaced_while_the_one_before_it_finishes() {
    let mut world = speaking();
    world.deafens("proxy");
    world.offers(intent(2, "1.1.0"));
    world.pass(Duration::from_secs(32));
    world.offers(intent(3, "1.2.0"));
    world.pass(Duration::from_secs(32));
    assert_eq!(world.said(&took_over("1.2.0")), 1);
    world.pass(Duration::from_secs(600));
    assert_eq!(world.runs(), ["proxy 1.2.0"]);
}

#[test]
fn an_agent_that_was_killed_amid_a_change_ends_with_one_process() {
    for after in [1, 50, 150, 250, 400, 1_000, 10_000] {
        let mut world = speaking();
        world.offers(intent(2, "1.1.0"));
        while world.starts < 2 {
            world.pass(Duration::from_millis(10));
        }
        world.pass(Duration::from_millis(after));
        world.kill_agent();
        world.pass(Duration::from_secs(900));
        assert_eq!(world.runs(), ["proxy 1.1.0"], "killed after {after} ms");
    }
}

#[test]
fn sockets_are_kept_until_nobody_is_to_have_them() {
    let mut world = speaking();
    world.crash("proxy");
    world.pass(SOON);
    assert_eq!(
        world.releases_of_sockets, 0,
        "connections wait for the next one"
    );
    let mut stops = intent(2, "1.0.0");
    let proxy = stops.daemons.remove(&DaemonName::parse("proxy").unwrap());
    let mut other = proxy.unwrap();
    other.state = RunState::Run;
    stops
        .daemons
        .insert(DaemonName::parse("other").unwrap(), other);
    world.offers(stops);
    world.pass(Duration::from_secs(600));
    assert_eq!(world.runs(), ["other 1.0.0"]);
    assert_eq!(world.releases_of_sockets, 1);
}
