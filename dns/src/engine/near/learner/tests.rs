//! What the learner looks up, keeps, forgets and publishes, in virtual time.

use std::net::Ipv4Addr;

use super::*;
use crate::engine::near::places::{NEAR_MAX, Place};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn network(n: u32) -> Network {
    Network::of(Ipv4Addr::from_bits(n << 8).into())
}

fn proxy(n: u32) -> SocketAddr {
    (Ipv4Addr::from_bits(0x0a00_0000 + n), 80).into()
}

/// A learner, its time, and an index that answers whatever the test says.
struct World {
    learner: Learner,
    now: Moment,
    asked: Vec<(Moment, IpAddr)>,
    editions: usize,
}

impl World {
    fn new(config: NearConfig) -> Self {
        Self {
            learner: Learner::new(config),
            now: Moment::ZERO,
            asked: Vec::new(),
            editions: 0,
        }
    }

    fn see(&mut self, network: Network) {
        self.learner.handle_seen(self.now, network);
    }

    /// Runs for `long`, with an index that answers at once.
    fn run(&mut self, long: Duration, mut index: impl FnMut(Network) -> Found) {
        let end = self.now + long;
        loop {
            match self.learner.poll_output(self.now) {
                Output::Ask { client, .. } => {
                    self.asked.push((self.now, client));
                    let found = index(Network::of(client));
                    if !matches!(&found, Found::Near(near) if near.is_empty()) {
                        self.learner.handle_found(self.now, client, &found);
                    }
                }
                Output::Publish(_) => self.editions += 1,
                Output::Wake(at, _) => {
                    assert!(at > self.now || at == self.now && at < end, "{at:?}");
                    if at > end {
                        self.now = end;
                        return;
                    }
                    self.now = at;
                    self.learner.handle_timeout(self.now);
                }
            }
        }
    }

    fn place(&self, network: Network) -> Option<Vec<(SocketAddr, Duration)>> {
        let places = self.learner.published();
        let place = places.place(network)?;
        let near = place.near().iter();
        Some(
            near.map(|near| (places.proxy(near.proxy).unwrap(), near.rtt()))
                .collect(),
        )
    }
}

/// No proxies at all: no answer.
fn near(proxies: &[(u32, u64)]) -> Found {
    let near = proxies.iter().map(|(n, rtt)| (proxy(*n), ms(*rtt)));
    Found::Near(near.collect())
}

#[test]
fn a_network_is_looked_up_after_it_was_seen_and_published_soon() {
    let mut world = World::new(NearConfig::default());
    world.see(network(7));
    assert_eq!(world.place(network(7)), None);
    world.run(ms(200), |_| near(&[(1, 9), (2, 30)]));
    assert_eq!(
        world.place(network(7)).unwrap(),
        [(proxy(1), ms(9)), (proxy(2), ms(30))]
    );
    assert_eq!(world.asked, [(Moment::ZERO, network(7).address())]);
    assert_eq!(world.place(network(8)), None);
}

#[test]
fn it_is_looked_up_again_only_if_it_is_still_asked_for() {
    let mut world = World::new(NearConfig::default());
    world.see(network(1));
    world.see(network(2));
    world.run(secs(10), |_| near(&[(1, 9)]));
    world.see(network(2));
    world.run(secs(600), |_| near(&[(2, 5)]));
    assert_eq!(world.place(network(1)).unwrap()[0].0, proxy(1), "as it was");
    assert_eq!(world.place(network(2)).unwrap()[0].0, proxy(2), "refreshed");
    assert_eq!(world.asked.len(), 3);
    // Asked for late, it is looked up at once.
    world.see(network(1));
    world.run(secs(1), |_| near(&[(2, 5)]));
    assert_eq!(world.place(network(1)).unwrap()[0].0, proxy(2));
    world.run(secs(4_000), |_| near(&[(2, 5)]));
    assert_eq!(
        world.learner.sizes(),
        (0, 0, 0),
        "nobody asks: all is forgotten"
    );
    assert!(world.learner.published().is_empty());
}

#[test]
fn whoever_asked_once_is_looked_up_once_more_before_asking_again() {
    let mut world = World::new(NearConfig::default());
    world.see(network(1));
    world.run(secs(1), |_| Found::Nothing);
    // A resolver keeps its answer for thirty seconds; a proxy has measured its clients meanwhile.
    world.run(secs(28), |_| near(&[(1, 9)]));
    assert_eq!(world.place(network(1)).unwrap()[0].0, proxy(1));
    world.see(network(2));
    world.run(secs(300), |_| Found::Nothing);
    assert_eq!(world.asked.len(), 4, "once more, and never again unasked");
}

#[test]
fn lookups_in_vain_come_ever_more_rarely() {
    let mut world = World::new(NearConfig::default());
    for _ in 0..2_000 {
        world.see(network(1));
        world.run(secs(1), |_| Found::Nothing);
    }
    let gaps: Vec<_> = world
        .asked
        .windows(2)
        .map(|pair| pair[1].0.since(pair[0].0).as_secs())
        .collect();
    assert_eq!(gaps, [20, 40, 80, 160, 320, 640, 640]);
    assert_eq!(world.learner.sizes().1, 1);
}

#[test]
fn a_place_outlives_lookups_in_vain_for_as_long_as_a_hint() {
    let mut world = World::new(NearConfig::default());
    world.see(network(1));
    world.run(secs(1), |_| near(&[(1, 9)]));
    for _ in 0..350 {
        world.see(network(1));
        world.run(secs(10), |_| Found::Nothing);
    }
    assert!(world.place(network(1)).is_some(), "not yet an hour old");
    for _ in 0..100 {
        world.see(network(1));
        world.run(secs(10), |_| Found::Nothing);
    }
    assert_eq!(world.place(network(1)), None);
    assert_eq!(world.learner.sizes(), (0, 1, 0));
}

#[test]
fn an_index_that_is_gone_takes_nothing_away() {
    let mut world = World::new(NearConfig::default());
    world.see(network(1));
    world.run(secs(1), |_| near(&[(1, 9)]));
    for _ in 0..1_000 {
        world.see(network(1));
        world.run(secs(10), |_| Found::Gone);
    }
    assert!(world.place(network(1)).is_some());
    assert!(world.learner.stats().gone > 100);
}

#[test]
fn lookups_keep_their_pace_and_their_number() {
    let config = NearConfig::default();
    let mut world = World::new(config.clone());
    for n in 0..500 {
        world.see(network(n));
    }
    world.run(secs(1), |_| near(&[(1, 9)]));
    assert_eq!(world.asked.len(), 51, "one per 20 ms");
    let mut world = World::new(config);
    for n in 0..500 {
        world.see(network(n));
    }
    world.run(secs(9), |_| near(&[]));
    assert_eq!(world.asked.len(), 16, "as many at once as may be");
    world.run(secs(2), |_| near(&[]));
    assert_eq!(world.learner.stats().overdue, 16);
    assert_eq!(world.asked.len(), 32, "what never comes back makes room");
}

#[test]
fn networks_beyond_the_queue_are_counted_and_come_again() {
    let mut world = World::new(NearConfig::default());
    for n in 0..2_000 {
        world.see(network(n));
        world.see(network(n));
    }
    assert_eq!(
        world.learner.stats().crowded,
        2 * (2_000 - WAITING_MAX as u64)
    );
    world.run(secs(30), |_| near(&[(1, 9)]));
    assert_eq!(world.learner.sizes().0, WAITING_MAX);
    world.see(network(1_999));
    world.run(secs(1), |_| near(&[(1, 9)]));
    assert!(world.place(network(1_999)).is_some());
}

#[test]
fn networks_that_do_not_exist_push_out_nobody_who_has_a_place() {
    let config = NearConfig {
        networks: 10,
        networks_unknown: 20,
        ..NearConfig::default()
    };
    let mut world = World::new(config);
    let answer = |network_asked: Network| {
        if (0..10).any(|n| network(n) == network_asked) {
            near(&[(1, 9)])
        } else {
            Found::Nothing
        }
    };
    for n in 0..10 {
        world.see(network(n));
    }
    world.run(secs(1), answer);
    for n in 100..1_000 {
        world.see(network(n));
    }
    world.run(secs(60), answer);
    assert_eq!(world.learner.sizes(), (10, 20, 0));
    assert!((0..10).all(|n| world.place(network(n)).is_some()));
    // One more that has a place takes that of the one asked for least recently.
    for n in 1..10 {
        world.see(network(n));
    }
    world.see(network(50));
    world.run(secs(1), |_| near(&[(2, 9)]));
    assert_eq!(world.learner.sizes().0, 10);
    assert_eq!(world.place(network(0)), None);
    assert!(world.place(network(50)).is_some() && world.place(network(1)).is_some());
}

#[test]
fn only_the_nearest_are_kept_and_numbers_are_given_back() {
    let mut world = World::new(NearConfig::default());
    world.see(network(1));
    let many: Vec<_> = (0..20).map(|n| (n, u64::from(n))).collect();
    world.run(secs(1), |_| near(&many));
    let place = world.place(network(1)).unwrap();
    assert_eq!(place.len(), NEAR_MAX);
    assert_eq!(place[7], (proxy(7), ms(7)));
    // Others take its proxies' places, in the same few numbers.
    for round in 0..50 {
        world.see(network(1));
        world.run(secs(301), |_| near(&[(1_000 + round, 3)]));
        assert_eq!(
            world.place(network(1)).unwrap(),
            [(proxy(1_000 + round), ms(3))]
        );
    }
    assert!(world.learner.published().proxies().len() <= NEAR_MAX + 1);
}

#[test]
fn what_is_found_together_goes_out_in_one_edition() {
    let mut world = World::new(NearConfig::default());
    for n in 0..100 {
        world.see(network(n));
    }
    world.run(secs(3), |_| near(&[(1, 9)]));
    assert!(world.editions <= 12, "{}", world.editions);
    assert_eq!(world.learner.published().len(), 100);
}

/// A guess by the map.
fn guess(proxies: &[(u32, u64)]) -> Found {
    match near(proxies) {
        Found::Near(near) => Found::Guessed(near),
        other => other,
    }
}

#[test]
fn a_guess_is_answered_from_until_somebody_measures_and_never_after() {
    let mut world = World::new(NearConfig::default());
    let is_guess = |world: &World| {
        let place = world.learner.published().place(network(1));
        place.map(Place::is_guessed)
    };
    world.see(network(1));
    world.run(secs(1), |_| guess(&[(1, 9)]));
    assert_eq!(world.place(network(1)).unwrap()[0].0, proxy(1));
    assert_eq!(is_guess(&world), Some(true));
    assert_eq!(world.learner.sizes(), (0, 1, 0), "still looked up in vain");
    // It is looked up again unasked, as any that nobody knows.
    world.run(secs(30), |_| near(&[(2, 12)]));
    assert_eq!(world.place(network(1)).unwrap()[0].0, proxy(2));
    assert_eq!(is_guess(&world), Some(false));
    world.see(network(1));
    world.run(secs(600), |_| guess(&[(1, 9)]));
    assert_eq!(
        is_guess(&world),
        Some(false),
        "a measurement outlives a guess"
    );
    assert_eq!(
        world.learner.stats().guessed,
        2,
        "asked twice, taken over once"
    );
}

#[test]
fn guesses_push_out_no_measurement_and_are_bounded_themselves() {
    let mut world = World::new(NearConfig {
        networks: 2,
        networks_unknown: 2,
        ..NearConfig::default()
    });
    for n in 1..=2 {
        world.see(network(n));
    }
    world.run(secs(1), |_| near(&[(1, 9)]));
    for n in 3..=6 {
        world.see(network(n));
    }
    world.run(secs(2), |_| guess(&[(2, 9)]));
    let known = (1..=6).filter(|n| world.place(network(*n)).is_some());
    assert_eq!(known.collect::<Vec<_>>(), [1, 2, 5, 6]);
    assert_eq!(world.learner.published().len(), 4);
}
