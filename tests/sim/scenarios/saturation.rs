//! `saturation`: one value, more and more gets for it, and nodes that take time for each datagram.
//! Beyond what the holders can take, they should still do what they can, and nobody should take
//! them for dead.

use std::time::Duration;

use super::{Scenario, Stage};
use crate::checkers::Goodput;

/// See the head of this file.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "saturation",
    what: "ever more gets for one value, of nodes that take time (--service-time, 1,000 us)",
    nodes: 100,
    seconds: 10,
    settle: 60,
    ops: 0,
    lasts: |plan| (plan.seconds + 10) * LOADS.len() as u64 + 10,
    run,
};

/// Gets a second as multiples of what one node can take, in tenths, and the phase of each.
const LOADS: [usize; 6] = [5, 10, 20, 40, 80, 160];
const PHASES: [&str; 6] = [
    "load 0.5", "load 1", "load 2", "load 4", "load 8", "load 16",
];

/// Time a node works on a datagram, unless asked otherwise.
const SERVICE: Duration = Duration::from_millis(1);

/// Between two loads queues empty and nodes recover.
const REST: Duration = Duration::from_secs(5);

fn run(stage: &mut Stage) {
    stage.watch_basics(0.0);
    let service = &mut stage.world.net.sins.service;
    if service.is_zero() {
        *service = SERVICE;
    }
    let capacity = 1.0 / service.as_secs_f64();
    let key = stage.key();
    let goodput = Goodput::new(key, &PHASES, capacity, &stage.world);
    stage.world.watch(Box::new(goodput));
    stage.join();
    stage.world.phase("put");
    let (now, publisher) = (stage.world.now, stage.anyone());
    stage.put_own(now, publisher, key, Duration::from_secs(3_600));
    stage.run(super::stage::PATIENCE);
    let second = Duration::from_secs(1).as_micros();
    let service = stage.world.net.sins.service.as_micros().max(1);
    let capacity = usize::try_from(second / service).unwrap_or(usize::MAX);
    for (load, phase) in LOADS.into_iter().zip(PHASES) {
        stage.world.phase(phase);
        let span = stage.span();
        let seconds = usize::try_from(stage.plan.seconds).unwrap_or(usize::MAX);
        for _ in 0..capacity * load * seconds / 10 {
            let (at, host) = (stage.sometime(span), stage.anyone());
            stage.get(at, host, key);
        }
        stage.run(span);
        stage.world.phase("rest");
        stage.run(REST + super::stage::PATIENCE);
    }
}
