//! More to do than there may be requests under way: refused by name, and upkeep goes on.

use super::world::{World, addr, ms, secs};
use crate::engine::config::LookupConfig;
use crate::engine::{Answer, Config, Wish};
use crate::refusal::Refusal;

/// Requests that may be under way with four tasks, and those of them that walks may use.
const CALLS: usize = 16;
const OF_WALKS: usize = 15;

fn small() -> World {
    let mut world = World::new(1);
    let config = Config {
        lookup: LookupConfig {
            tasks: 4,
            ..LookupConfig::default()
        },
        ..Config::default()
    };
    world.grow(6, &config);
    world.run(secs(10));
    world
}

#[test]
fn requests_beyond_those_that_may_be_under_way_are_refused_as_busy() {
    let mut world = small();
    let before = world.node(0).sizes().calls;
    let pings: Vec<_> = (0..40)
        .map(|n| {
            world.command(
                0,
                Wish::Ping {
                    addr: addr(700 + n),
                },
            )
        })
        .collect();
    assert_eq!(world.node(0).sizes().calls, OF_WALKS);
    let refused = (40 + before - OF_WALKS) as u64;
    assert_eq!(world.node(0).stats().busy, refused);
    let key = common::ids::Key::of(b"something");
    let get = world.command(0, Wish::Get { key, want: 1 });
    let answer = world.answer(get);
    assert_eq!(answer, Answer::Refused(Refusal::Busy));
    let busy = pings.into_iter().filter(|ticket| {
        let answer = world.answer(*ticket);
        answer == Answer::Refused(Refusal::Busy)
    });
    assert_eq!(busy.count() as u64, refused);
}

#[test]
fn what_walks_may_not_use_keeps_contacts() {
    let mut world = small();
    let contacts = world.node(0).sizes().contacts;
    for n in 0..2_000 {
        world.command_within(
            0,
            Wish::Ping {
                addr: addr(700 + n),
            },
            secs(2),
        );
        world.run(ms(20));
        assert!(world.node(0).sizes().calls <= CALLS);
    }
    assert_eq!(world.node(0).sizes().contacts, contacts);
    assert!(world.node(0).stats().busy > 0);
}
