//! Rollouts in virtual time, over nodes that behave and nodes that do not.

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use self::world::{World, keys, plan};
use super::gate::{FailReason, Measures, Verdict, judge};
use super::member::{AsideReason, Place};
use super::plan::{Candidate, Plan};
use super::{Command, PauseReason, Phase, StopReason};

const HOURS: Duration = Duration::from_secs(12 * 3_600);

#[test]
fn all_nodes_get_the_release_wave_by_wave() {
    let mut world = World::new(&[("eu", 60), ("us", 40)]);
    world.pass(HOURS);
    assert_eq!(world.rollout.phase(), Phase::Done);
    assert_eq!(world.on_new(), 100);
    // The canary alone, and a soak between all.
    assert_eq!(world.sizes, [1, 5, 25, 60, 100]);
}

#[test]
fn of_one_cluster_a_tenth_changes_at_a_time_and_at_least_one() {
    for (clusters, most) in [(&[("eu", 60)][..], 6), (&[("eu", 9), ("us", 3)], 1)] {
        let mut world = World::new(clusters);
        world.pass(HOURS);
        assert_eq!(world.rollout.phase(), Phase::Done, "{clusters:?}");
        assert_eq!(world.most_at_once, most, "{clusters:?}");
    }
}

#[test]
fn errors_on_one_request_in_twenty_stop_it_in_the_canary() {
    let mut world = World::new(&[("eu", 60), ("us", 40)]);
    world.errors_percent = 5;
    world.pass(HOURS);
    let reason = StopReason::Gate(FailReason::Errors);
    assert_eq!(world.rollout.phase(), Phase::RolledBack(reason));
    assert_eq!((world.on_new(), world.ever_on_new()), (0, 1));
    assert!(
        world.back_after.unwrap() < Duration::from_secs(60),
        "{:?}",
        world.back_after
    );
}

#[test]
fn half_of_the_requests_slower_stops_it_though_the_mean_is_the_same() {
    let mut world = World::new(&[("eu", 60)]);
    world.requests_each = 40;
    world.times = |new, _| match new {
        false => &[(10_000, 3), (200_000, 1)],
        true => &[(10_000, 1), (40_000, 2), (140_000, 1)],
    };
    world.pass(HOURS);
    let reason = StopReason::Gate(FailReason::FirstByte);
    assert_eq!(world.rollout.phase(), Phase::RolledBack(reason));
    assert_eq!(world.ever_on_new(), 1);
    // Sums alone do not tell.
    let mut blind = World::new(&[("eu", 60)]);
    (blind.requests_each, blind.times, blind.old_agents) = (40, world.times, true);
    blind.pass(HOURS);
    assert_eq!(blind.rollout.phase(), Phase::Done);
}

#[test]
fn a_slow_site_at_one_untouched_node_neither_stops_a_release_nor_hides_one() {
    // Its mean alone is three times that of all others together.
    let mut world = World::new(&[("eu", 60)]);
    world.times = |new, number| match (new, number) {
        (_, 7) => &[(2_000_000, 1)],
        (true, _) => &[(30_000, 1)],
        (false, _) => &[(10_000, 1)],
    };
    world.pass(HOURS);
    let reason = StopReason::Gate(FailReason::FirstByte);
    assert_eq!(world.rollout.phase(), Phase::RolledBack(reason));
    let mut world = World::new(&[("eu", 60)]);
    world.times = |_, number| match number {
        7 => &[(2_000_000, 1)],
        _ => &[(10_000, 1)],
    };
    world.pass(Duration::from_secs(700));
    assert_eq!(world.rollout.phase(), Phase::Wave(1), "the canary passed");
}

#[test]
fn one_request_of_four_ten_times_slower_stops_it() {
    let mut world = World::new(&[("eu", 60)]);
    world.requests_each = 40;
    world.times = |new, _| match new {
        false => &[(10_000, 1)],
        true => &[(10_000, 3), (100_000, 1)],
    };
    world.pass(HOURS);
    let reason = StopReason::Gate(FailReason::FirstByteTail);
    assert_eq!(world.rollout.phase(), Phase::RolledBack(reason));
}

#[test]
fn a_canary_that_never_starts_has_failed_at_its_deadline() {
    let mut world = World::new(&[("eu", 60)]);
    world.starts = false;
    world.pass(HOURS);
    let reason = StopReason::Gate(FailReason::NeverStarted);
    assert_eq!(world.rollout.phase(), Phase::RolledBack(reason));
    assert_eq!(world.ever_on_new(), 0);
}

#[test]
fn a_node_that_came_back_by_itself_stops_it() {
    let mut world = World::new(&[("eu", 60)]);
    world.falls_back = true;
    world.pass(HOURS);
    let reason = StopReason::Gate(FailReason::FellBack);
    assert_eq!(world.rollout.phase(), Phase::RolledBack(reason));
}

#[test]
fn too_little_to_go_by_pauses_it_until_somebody_says_so() {
    let mut world = World::new(&[("eu", 60)]);
    world.requests_each = 0;
    world.pass(HOURS);
    let paused = Phase::Paused(0, PauseReason::Inconclusive);
    assert_eq!((world.rollout.phase(), world.on_new()), (paused, 1));
    assert!(world.rollout.command(Command::Resume));
    world.requests_each = 10;
    world.pass(HOURS);
    assert_eq!((world.rollout.phase(), world.on_new()), (Phase::Done, 60));
}

#[test]
fn a_pause_begins_nothing_new_and_a_halt_stays() {
    let mut world = World::new(&[("eu", 60)]);
    world.pass(Duration::from_secs(60));
    assert!(world.rollout.command(Command::Pause));
    world.pass(HOURS);
    assert_eq!(world.on_new(), 1);
    assert!(world.rollout.command(Command::Resume));
    world.pass(Duration::from_secs(1_200));
    assert!(world.rollout.command(Command::Halt));
    let there = world.on_new();
    assert!(!world.rollout.command(Command::Resume));
    world.pass(HOURS);
    assert_eq!(
        (world.rollout.phase(), world.on_new()),
        (Phase::Halted, there)
    );
}

#[test]
fn a_rollback_takes_everybody_back_at_once_and_without_a_canary() {
    let mut world = World::new(&[("eu", 60)]);
    world.pass(HOURS);
    assert!(world.rollout.command(Command::RollBack));
    world.pass(Duration::from_secs(60));
    assert_eq!(world.rollout.phase(), Phase::RolledBack(StopReason::Asked));
    assert_eq!(world.on_new(), 0);
}

#[test]
fn it_goes_on_without_nodes_that_are_held() {
    let mut world = World::new(&[("eu", 30)]);
    let held = keys(30)[7];
    world.held.insert(held);
    world.pass(HOURS);
    assert_eq!((world.rollout.phase(), world.on_new()), (Phase::Done, 29));
    let place = |world: &World| world.rollout.members()[&held].place();
    assert_eq!(place(&world), Place::Aside(AsideReason::Held));
}

#[test]
fn three_nodes_are_a_rollout_too() {
    let home = keys(3).into_iter().map(|key| (key, "home".to_owned()));
    let three = plan(home.collect());
    let sizes: Vec<usize> = three.waves().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 1, 1]);
    assert!(plan(BTreeMap::new()).waves().is_empty());
}

#[test]
fn the_canary_is_who_is_named_and_who_is_not_well_comes_last() {
    let keys = keys(20);
    let node = |key: &_| {
        let (cluster, well) = ("eu".to_owned(), *key != keys[0]);
        (*key, Candidate { cluster, well })
    };
    let plan = Plan::of(keys.iter().map(node).collect(), Some(keys[7]));
    assert_eq!(plan.waves()[0], [keys[7]]);
    assert_eq!(plan.waves().last().unwrap().last(), Some(&keys[0]));
}

#[test]
fn a_canary_that_falls_silent_stops_it() {
    let mut world = World::new(&[("eu", 60)]);
    world.dies = true;
    world.pass(HOURS);
    let reason = StopReason::Gate(FailReason::Down);
    // Whoever cannot be reached is not waited for.
    assert_eq!(world.rollout.phase(), Phase::RolledBack(reason));
    assert_eq!(world.ever_on_new(), 1);
}

#[test]
fn nodes_that_were_dead_before_stop_nothing_and_get_it_when_they_are_back() {
    let mut world = World::new(&[("eu", 60)]);
    let members = world.rollout.members().iter();
    let mut early = members.filter(|(_, member)| member.written.wave == 1);
    let dead = *early.next().unwrap().0;
    world.silent.insert(dead);
    world.pass(HOURS / 4);
    assert_eq!(world.on_new(), 59, "{:?}", world.rollout.phase());
    let place = |world: &World| world.rollout.members()[&dead].place();
    assert_eq!(place(&world), Place::Aside(AsideReason::Absent));
    let mut world = World::new(&[("eu", 60)]);
    world.silent.insert(dead);
    world.pass(Duration::from_secs(800));
    assert_eq!(place(&world), Place::Aside(AsideReason::Absent));
    world.silent.clear();
    world.pass(HOURS / 4);
    assert_eq!((world.on_new(), place(&world)), (60, Place::Runs));
}

/// How long a rollout takes, of which controllers see so much each.
fn done_after(life: Option<Duration>) -> Duration {
    let mut world = World::new(&[("eu", 60), ("us", 40)]);
    let mut took = Duration::ZERO;
    while !world.rollout.phase().is_over() {
        let some = life.unwrap_or(Duration::from_secs(10));
        world.pass(some);
        took += some;
        if life.is_some() {
            world.restart();
        }
        assert!(took < HOURS, "{:?}", world.rollout.phase());
    }
    assert_eq!((world.rollout.phase(), world.on_new()), (Phase::Done, 100));
    assert_eq!(world.most_at_once, 6);
    took
}

#[test]
fn controllers_that_live_for_a_minute_finish_soaks_of_ten() {
    let undisturbed = done_after(None);
    for seconds in [60, 700] {
        let took = done_after(Some(Duration::from_secs(seconds)));
        // Each loses a step of ten seconds at most, and the time until it is called.
        let most = undisturbed * 5 / 4 + Duration::from_secs(seconds);
        assert!(took <= most, "{seconds}: {took:?} of {undisturbed:?}");
    }
}

#[test]
fn a_node_that_never_starts_has_failed_though_no_controller_lives_as_long_as_its_deadline() {
    let mut world = World::new(&[("eu", 60)]);
    world.starts = false;
    let mut lives = 0;
    while !world.rollout.phase().is_over() && lives < 100 {
        world.pass(Duration::from_secs(60));
        world.restart();
        lives += 1;
    }
    let reason = StopReason::Gate(FailReason::NeverStarted);
    assert_eq!(world.rollout.phase(), Phase::RolledBack(reason));
    assert!((5..=8).contains(&lives), "{lives}");
}

#[test]
fn nobody_is_watched_by_a_controller_that_it_never_called() {
    let mut world = World::new(&[("eu", 60)]);
    world.pass(Duration::from_secs(120));
    assert_eq!(world.on_new(), 1, "the canary is watched");
    let soaked = |world: &World| world.rollout.soaked(world.now());
    let before = soaked(&world).unwrap();
    // It may be dead for all that these know.
    for _ in 0..1_000 {
        world.restart();
    }
    assert!(soaked(&world).unwrap() <= before);
    assert_eq!(world.rollout.phase(), Phase::Wave(0));
}

#[test]
fn what_means_nothing_where_it_is_is_refused() {
    let mut world = World::new(&[("eu", 3)]);
    assert!(!world.rollout.command(Command::Resume));
    world.pass(HOURS);
    assert_eq!(world.rollout.phase(), Phase::Done);
    for command in [Command::Pause, Command::Resume, Command::Halt] {
        assert!(!world.rollout.command(command), "{command:?}");
    }
}

/// Ten untouched nodes.
fn control() -> Measures {
    Measures {
        nodes: 10,
        requests: 100_000,
        errors: 100,
        first_bytes: 100_000,
        first_byte_micros: 100_000 * 10_000,
        lookups: 10_000,
        lookups_failed: 10,
        ..Measures::default()
    }
}

/// One changed node that is as good.
fn canary() -> Measures {
    Measures {
        nodes: 1,
        requests: 10_000,
        errors: 10,
        first_bytes: 10_000,
        first_byte_micros: 10_000 * 10_000,
        lookups: 1_000,
        lookups_failed: 1,
        ..Measures::default()
    }
}

#[test]
fn the_gate_fails_on_what_is_worse_and_on_nothing_else() {
    type Change = fn(&mut Measures);
    let verdict = |change: Change| {
        let mut changed = canary();
        change(&mut changed);
        judge(&changed, &control())
    };
    let worse: [(Change, FailReason); 7] = [
        (|one| one.errors = 500, FailReason::Errors),
        (|one| one.crashes = 3, FailReason::Crashes),
        (
            |one| one.first_byte_micros = 10_000 * 16_000,
            FailReason::FirstByte,
        ),
        (|one| one.lookups_failed = 100, FailReason::Index),
        (|one| one.down = 1, FailReason::Down),
        (|one| one.injected_failed = 3, FailReason::Injected),
        (|one| one.injected_other = 1, FailReason::Body),
    ];
    for (change, reason) in worse {
        assert_eq!(verdict(change), Verdict::Fail(reason));
    }
    let no_worse: [Change; 5] = [
        |one| one.injected_failed = 2,
        |_| {},
        |one| one.errors = 20,
        |one| one.crashes = 1,
        |one| one.first_byte_micros = 10_000 * 14_000,
    ];
    for (at, change) in no_worse.into_iter().enumerate() {
        assert_eq!(verdict(change), Verdict::Pass, "number {at}");
    }
    let few = verdict(|one| (one.requests, one.errors) = (12, 1));
    assert_eq!(few, Verdict::Inconclusive);
    let alone = judge(&canary(), &Measures::default());
    assert_eq!(alone, Verdict::Inconclusive, "nobody to compare with");
    let dead = |down| Measures {
        nodes: 10,
        down,
        ..canary()
    };
    let verdict = |down| judge(&dead(down), &Measures::default());
    assert_eq!(verdict(1), Verdict::Inconclusive, "one may die by itself");
    assert_eq!(verdict(2), Verdict::Fail(FailReason::Down));
    let looping = Measures {
        crashes: 9,
        ..canary()
    };
    let alone = judge(&looping, &Measures::default());
    assert_eq!(
        alone,
        Verdict::Fail(FailReason::Crashes),
        "crashes need nobody"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever nodes do: never more of a cluster at once than may be, and it comes to an end or waits for a
    /// person.
    #[test]
    fn a_rollout_never_changes_too_many_and_never_hangs(
        sizes in prop::collection::vec(1..40_usize, 1..4),
        seed in any::<u64>(),
        trouble in 0..4_u8,
    ) {
        let names = ["a", "b", "c"];
        let clusters: Vec<(&str, usize)> = names.into_iter().zip(sizes).collect();
        let mut world = World::new(&clusters);
        world.trouble(seed, trouble);
        world.pass(HOURS / 2);
        for (cluster, most) in &world.at_once_by_cluster {
            prop_assert!(*most <= world.allowed(cluster), "{} in {}", most, cluster);
        }
        let phase = world.rollout.phase();
        prop_assert!(!matches!(phase, Phase::Wave(_) | Phase::Back(_)), "{phase:?}");
    }
}
