//! A node that was restarted within the time in which deaths are noticed has lost what it stored.

use common::ids::Key;

use super::world::{World, addr, secs};
use crate::engine::{Config, Event};

#[test]
fn a_quick_restart_is_noticed_and_brings_values_back() {
    let mut world = World::of(4, 12);
    let keys: Vec<_> = (0..20_u8).map(|n| Key::of(&[n])).collect();
    for key in &keys {
        world.put(1, *key, b"value", secs(3_600));
    }
    world.run(secs(5));
    // All that hold the first key, one after the other, each back within two seconds.
    let holders = world.closest(keys[0]);
    for holder in holders.iter().copied().filter(|n| *n > 1).take(6) {
        world.kill(holder);
        world.run(secs(1));
        let seeds = vec![addr(0)];
        world.add(
            holder,
            Config {
                seeds,
                ..Config::default()
            },
        );
        world.run(secs(6));
        let restarted =
            |event: &Event| matches!(event, Event::ContactRestarted(_, at) if *at == addr(holder));
        assert!(world.events.iter().any(|(_, event)| restarted(event)));
    }
    assert_eq!(world.found(0, keys[0]), Some(b"value".to_vec()));
}
