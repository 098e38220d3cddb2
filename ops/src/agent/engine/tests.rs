//! An agent in a world of its own: a disk, processes that crash on command, a controller that says
//! anything, and time that is moved by hand.

mod disk;
mod documents;
mod places;
mod world;

use std::time::Duration;

use proptest::prelude::*;

use self::documents::{intent, signed_by};
use self::world::World;
use super::contact::CallReason;
use super::{Event, Heard};
use crate::engine::document::Body as _;
use crate::engine::document::refusal::RefusalReason;
use crate::engine::document::report::SLOTS_MAX;
use crate::engine::document::words::RunState;

const LONG: Duration = Duration::from_secs(600);

/// A node that runs 1.0.0 by intent 1, proven.
fn settled() -> World {
    let mut world = World::new(1);
    world.offers(intent(1, "1.0.0"));
    world.pass(LONG);
    assert_eq!(world.runs(), ["proxy 1.0.0"]);
    assert!(world.agent().standing().proven);
    world
}

#[test]
fn a_node_runs_what_it_is_told_and_then_what_it_is_told_next() {
    let mut world = settled();
    world.offers(intent(2, "1.1.0"));
    world.pass(LONG);
    assert_eq!(world.runs(), ["proxy 1.1.0"]);
    let standing = world.agent().standing();
    assert_eq!(standing.in_force().unwrap().body.serial, 2);
    assert_eq!(standing.previous.as_ref().unwrap().body.serial, 1);
    assert_eq!(
        world.slots(),
        ["1.0.0", "1.1.0"],
        "the one before stays on the disk"
    );
    world.offers(intent(3, "1.2.0"));
    world.pass(LONG);
    assert_eq!(world.slots(), ["1.1.0", "1.2.0"]);
}

#[test]
fn whatever_the_controller_says_wrong_changes_nothing() {
    let good = || intent(2, "1.1.0");
    let mut stops = good();
    stops
        .daemons
        .values_mut()
        .for_each(|wanted| wanted.state = RunState::Stop);
    let mut none = good();
    none.releases.clear();
    let schema = signed_by(1, good()).replace("\"schema\":1", "\"schema\":2");
    for (text, reason) in [
        (signed_by(2, good()), RefusalReason::Stranger),
        (signed_by(1, intent(0, "1.1.0")), RefusalReason::OlderSerial),
        (
            signed_by(1, intent(1, "1.1.0")),
            RefusalReason::ConflictingSerial,
        ),
        (signed_by(1, stops), RefusalReason::StopsEverything),
        (signed_by(1, none), RefusalReason::NoReleases),
        (signed_by(1, intent(2, "0.9.0")), RefusalReason::Downgrade),
        (schema, RefusalReason::BadSignature),
        ("{}".to_owned(), RefusalReason::Unsigned),
        ("<html>".to_owned(), RefusalReason::Malformed),
    ] {
        let mut world = settled();
        let starts = world.starts;
        world.answers(text);
        world.pass(LONG);
        assert_eq!(world.runs(), ["proxy 1.0.0"], "{reason:?}");
        assert_eq!(world.starts, starts, "{reason:?}: nothing was started anew");
        assert_eq!(world.agent().contact().refusal().unwrap().0, reason);
        assert_eq!(
            world.said(&Event::Refused(reason)),
            1,
            "said once, not at each call"
        );
    }
}

#[test]
fn silence_changes_nothing_and_is_asked_less_and_less() {
    let mut world = settled();
    let calls = world.calls;
    world.fails(CallReason::Connect);
    world.pass(Duration::from_secs(3_600));
    assert_eq!(world.runs(), ["proxy 1.0.0"]);
    let calls = world.calls - calls;
    assert!(
        (60..140).contains(&calls),
        "{calls} calls in an hour of silence"
    );
    assert_eq!(
        world.agent().contact().failing().unwrap().0,
        CallReason::Connect
    );
}

#[test]
fn a_hold_wins_until_it_is_lifted() {
    let mut world = settled();
    world.hold(Some("looking into it"));
    world.offers(intent(2, "1.1.0"));
    world.pass(LONG);
    assert_eq!(world.runs(), ["proxy 1.0.0"]);
    assert_eq!(
        world.agent().contact().refusal().unwrap().0,
        RefusalReason::Held
    );
    world.crash("proxy");
    world.pass(Duration::from_secs(5));
    assert_eq!(
        world.runs(),
        ["proxy 1.0.0"],
        "what runs is still looked after"
    );
    world.hold(None);
    world.pass(LONG);
    assert_eq!(world.runs(), ["proxy 1.1.0"]);
}

#[test]
fn a_version_that_does_not_stay_up_is_left_for_the_one_before() {
    let mut world = settled();
    world.breaks("1.1.0");
    world.offers(intent(2, "1.1.0"));
    world.pass(LONG);
    assert_eq!(world.runs(), ["proxy 1.0.0"]);
    let fallen = world.agent().standing().fallen.clone().unwrap();
    assert_eq!(
        (fallen.from, fallen.release.to_string()),
        (2, "1.1.0".to_owned())
    );
    // The same again, with another number, is the same.
    let starts = world.starts;
    world.offers(intent(3, "1.1.0"));
    world.pass(LONG);
    assert_eq!(
        (world.runs(), world.starts),
        (vec!["proxy 1.0.0".to_owned()], starts)
    );
    world.offers(intent(4, "1.2.0"));
    world.pass(LONG);
    assert_eq!(world.runs(), ["proxy 1.2.0"]);
    assert_eq!(world.agent().standing().fallen, None);
    let previous = world.agent().standing().previous.clone().unwrap();
    assert_eq!(
        previous.body.serial, 1,
        "what was never proven is nothing to return to"
    );
}

#[test]
fn a_proven_version_that_crashes_later_is_started_again_and_kept() {
    let mut world = settled();
    world.offers(intent(2, "1.1.0"));
    world.pass(LONG);
    for _ in 0..10 {
        world.crash("proxy");
        world.pass(Duration::from_secs(31));
        assert_eq!(world.runs(), ["proxy 1.1.0"]);
    }
    assert_eq!(world.agent().standing().fallen, None);
}

#[test]
fn nothing_changes_until_the_release_is_on_the_disk() {
    let mut world = settled();
    world.withholds("1.1.0");
    world.offers(intent(2, "1.1.0"));
    world.pass(LONG);
    assert_eq!(world.runs(), ["proxy 1.0.0"]);
    assert!(world.fetches < 20, "{} tries in ten minutes", world.fetches);
    world.releases("1.1.0");
    world.pass(LONG);
    assert_eq!(world.runs(), ["proxy 1.1.0"]);
}

#[test]
fn another_release_under_a_version_that_is_here_is_refused() {
    let mut world = settled();
    let mut other = intent(2, "1.0.0");
    for digest in other.releases.values_mut() {
        *digest = crate::engine::document::words::Digest::of(b"other");
    }
    world.offers(other);
    world.pass(LONG);
    assert_eq!(
        world.agent().contact().refusal().unwrap().0,
        RefusalReason::OtherRelease
    );
}

#[test]
fn a_full_disk_means_going_on_as_before_without_a_frenzy() {
    let mut world = settled();
    world.disk_full(true);
    world.offers(intent(2, "1.1.0"));
    world.pass(LONG);
    assert_eq!(world.runs(), ["proxy 1.0.0"]);
    assert!(
        world.keeps < 60,
        "{} tries to write in ten minutes",
        world.keeps
    );
    assert_eq!(
        world.agent().contact().refusal().unwrap().0,
        RefusalReason::NotKept
    );
    world.disk_full(false);
    world.pass(LONG);
    assert_eq!(world.runs(), ["proxy 1.1.0"]);
}

#[test]
fn a_disk_that_has_room_again_is_no_trouble_any_more() {
    let mut world = settled();
    world.offers(intent(2, "1.1.0"));
    world.pass(Duration::from_secs(20));
    assert_eq!(world.runs(), ["proxy 1.1.0"]);
    // Nothing new comes while it is full: what is not kept is that the order was proven.
    world.is_quiet();
    world.disk_full(true);
    world.pass(LONG);
    let refusal = |world: &World| world.agent().contact().refusal().map(|(reason, _)| reason);
    assert_eq!(refusal(&world), Some(RefusalReason::NotKept));
    world.disk_full(false);
    world.pass(LONG);
    assert!(world.agent().standing().proven);
    assert_eq!(refusal(&world), None);
}

#[test]
fn daemons_outlive_their_agent_and_are_found_again() {
    let mut world = settled();
    let starts = world.starts;
    world.fails(CallReason::Connect);
    world.kill_agent();
    world.pass(LONG);
    assert_eq!(
        (world.runs(), world.starts),
        (vec!["proxy 1.0.0".to_owned()], starts)
    );
}

#[test]
fn what_is_on_the_disk_is_here_after_a_restart_whatever_the_controller_does() {
    let mut world = settled();
    world.offers(intent(2, "1.1.0"));
    world.pass(LONG);
    let fetches = world.fetches;
    world.fails(CallReason::Connect);
    world.kill_agent();
    world.crash("proxy");
    world.pass(Duration::from_secs(60));
    assert_eq!(world.runs(), ["proxy 1.1.0"]);
    assert_eq!(world.fetches, fetches, "nothing that is here is fetched");
}

#[test]
fn a_daemon_whose_program_is_gone_is_waited_for_asleep() {
    let mut world = settled();
    world.fails(CallReason::Connect);
    world.loses("1.0.0");
    world.kill_agent();
    world.crash("proxy");
    world.pass(LONG);
    assert!(world.runs().is_empty());
    world.is_quiet();
    world.pass(LONG);
    assert_eq!(world.runs(), ["proxy 1.0.0"]);
}

#[test]
fn a_node_that_lost_its_state_leaves_what_runs_alone_until_it_is_told() {
    let mut world = settled();
    let starts = world.starts;
    world.fails(CallReason::Connect);
    world.forgets();
    world.kill_agent();
    world.pass(LONG);
    assert_eq!(world.runs(), ["proxy 1.0.0"]);
    world.offers(intent(1, "1.0.0"));
    world.pass(LONG);
    assert_eq!(world.runs(), ["proxy 1.0.0"]);
    assert_eq!(world.starts, starts, "the same process all the time");
    world.fails(CallReason::Connect);
    world.forgets();
    world.kill_agent();
    world.crash("proxy");
    world.pass(LONG);
    assert!(world.runs().is_empty(), "nobody says what to run");
    world.offers(intent(2, "1.1.0"));
    world.pass(LONG);
    assert_eq!(world.runs(), ["proxy 1.1.0"]);
}

#[test]
fn orders_that_never_prove_themselves_do_not_fill_the_disk() {
    let mut world = World::new(1);
    for serial in 1..=40 {
        world.offers(intent(serial, &format!("1.{serial}.0")));
        world.pass(Duration::from_secs(20));
        assert_eq!(world.runs(), [format!("proxy 1.{serial}.0")]);
        assert!(!world.agent().standing().proven);
    }
    assert!(world.slots().len() <= 2, "{:?}", world.slots());
    assert_eq!(world.report().check(), Ok(()));
    // Orders in a hurry, each before the release of the one before came.
    for minor in 41..=80 {
        world.withholds(&format!("1.{minor}.0"));
        world.offers(intent(minor, &format!("1.{minor}.0")));
        world.pass(Duration::from_secs(20));
    }
    assert_eq!(world.runs(), ["proxy 1.40.0"]);
    assert_eq!(world.slots(), ["1.40.0"]);
    let standing = world.agent().standing();
    assert_eq!(standing.staged.as_ref().unwrap().body.serial, 80);
}

#[test]
fn a_disk_with_more_releases_than_a_report_may_name_is_reported() {
    let mut world = settled();
    world.fails(CallReason::Connect);
    for minor in 1..=SLOTS_MAX {
        world.finds(&format!("1.{minor}.0"));
    }
    world.forgets();
    world.kill_agent();
    assert_eq!(
        world.slots().len(),
        SLOTS_MAX + 1,
        "nobody says what is needed"
    );
    assert_eq!(world.report().check(), Ok(()));
}

#[test]
fn a_daemon_that_does_not_end_is_killed() {
    let mut world = settled();
    world.deafens("proxy");
    world.offers(intent(2, "1.1.0"));
    world.pass(LONG);
    assert_eq!(
        (world.runs(), world.kills),
        (vec!["proxy 1.1.0".to_owned()], 1)
    );
}

#[test]
fn a_node_that_was_told_nothing_yet_runs_nothing_and_asks() {
    let mut world = World::new(1);
    world.pass(Duration::from_secs(60));
    assert!(world.runs().is_empty() && world.calls > 1);
    world.agent_mut(|agent, now| agent.handle_heard(Heard::Document(b""), now));
    assert!(world.runs().is_empty());
}

/// One thing that may happen to a node.
#[derive(Clone, Debug)]
enum Fate {
    Offer(u64, u32),
    Nonsense(Vec<u8>),
    Silence,
    KillAgent,
    Crash,
    Full(bool),
    Hold(bool),
    Pass(u64),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        (0..12_u64, 0..6_u32).prop_map(|(serial, minor)| Fate::Offer(serial, minor)),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Fate::Nonsense),
        Just(Fate::Silence),
        Just(Fate::KillAgent),
        Just(Fate::Crash),
        any::<bool>().prop_map(Fate::Full),
        any::<bool>().prop_map(Fate::Hold),
        (1..400_u64).prop_map(Fate::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever happens in whatever order: a node that ran something runs something in the end, from
    /// an intent that its controller signed; and it never goes back in what it accepted.
    #[test]
    fn a_node_never_ends_with_nothing(fates in prop::collection::vec(fate(), 1..40)) {
        let mut world = settled();
        let mut accepted = 1;
        for fate in fates {
            match fate {
                Fate::Offer(serial, minor) => world.offers(intent(serial, &format!("1.{minor}.0"))),
                Fate::Nonsense(bytes) => world.answers(String::from_utf8_lossy(&bytes).into_owned()),
                Fate::Silence => world.fails(CallReason::Late),
                Fate::KillAgent => world.kill_agent(),
                Fate::Crash => world.crash("proxy"),
                Fate::Full(full) => world.disk_full(full),
                Fate::Hold(held) => world.hold(held.then_some("why")),
                Fate::Pass(seconds) => world.pass(Duration::from_secs(seconds)),
            }
            let now = world.agent().standing().accepted().unwrap().body.serial;
            prop_assert!(now >= accepted, "{} after {}", now, accepted);
            accepted = now;
        }
        world.disk_full(false);
        world.hold(None);
        world.is_quiet();
        world.pass(LONG);
        prop_assert_eq!(world.runs().len(), 1);
        let standing = world.agent().standing();
        let wanted = &standing.in_force().unwrap().body.daemons.values().next().unwrap().release;
        prop_assert_eq!(world.runs(), vec![format!("proxy {wanted}")]);
        prop_assert!(standing.staged.is_none());
    }
}
