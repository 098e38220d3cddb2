//! Who is believed to be there.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use common::ids::NodeId;

use crate::engine::full::roster::{Change, Roster};
use crate::engine::message::{FANOUT, Path, Rumour, Standing};

const PATIENCE: Duration = Duration::from_secs(4);

fn at(seconds: u64) -> Moment {
    Moment::from_millis(seconds * 1_000)
}

fn rumour(n: u8, incarnation: u32, standing: Standing) -> Rumour {
    Rumour {
        addr: SocketAddr::from(([10, 0, 0, n], 1)),
        incarnation,
        run: 1,
        standing,
        services: Vec::new(),
    }
}

fn hear(roster: &mut Roster, told: &Rumour) -> Change {
    roster.hear(at(0), NodeId::of(told.addr), told, PATIENCE)
}

fn standing(roster: &Roster, n: u8) -> Option<Standing> {
    let id = NodeId::of(rumour(n, 0, Standing::Alive).addr);
    roster.at(id).map(|record| record.standing)
}

#[test]
fn the_higher_incarnation_is_believed_and_with_equal_ones_the_worse_standing() {
    use Standing::{Alive, Dead, Suspect};
    let mut roster = Roster::new(8);
    let told = [
        (5, Alive, Change::Joined, Alive),
        (5, Alive, Change::Same, Alive),
        (4, Suspect, Change::Stale, Alive),
        (5, Suspect, Change::Suspected, Suspect),
        (5, Alive, Change::Stale, Suspect),
        (6, Alive, Change::Told, Alive),
        (6, Suspect, Change::Suspected, Suspect),
        (6, Dead, Change::Died, Dead),
        (6, Alive, Change::Stale, Dead),
        (7, Alive, Change::Joined, Alive),
    ];
    for (incarnation, said, change, becomes) in told {
        let heard = hear(&mut roster, &rumour(1, incarnation, said));
        assert_eq!(heard, change, "{incarnation} {said:?}");
        assert_eq!(standing(&roster, 1), Some(becomes));
    }
    assert_eq!((roster.living(), roster.len()), (1, 1));
}

#[test]
fn word_of_a_death_makes_a_suspect_first() {
    let mut roster = Roster::new(8);
    hear(&mut roster, &rumour(1, 0, Standing::Alive));
    let change = hear(&mut roster, &rumour(1, 0, Standing::Dead));
    assert_eq!(change, Change::Suspected);
    assert_eq!(standing(&roster, 1), Some(Standing::Suspect));
}

#[test]
fn a_suspect_dies_when_it_has_not_objected_in_time() {
    let mut roster = Roster::new(8);
    hear(&mut roster, &rumour(1, 0, Standing::Alive));
    let id = NodeId::of(rumour(1, 0, Standing::Alive).addr);
    assert!(roster.suspect(at(10), id, PATIENCE));
    assert!(!roster.suspect(at(11), id, PATIENCE), "once only");
    assert_eq!(roster.expire(at(13)), None);
    roster.postpone(Duration::from_secs(5));
    assert_eq!(roster.expire(at(18)), None, "this node was late itself");
    assert_eq!(roster.expire(at(19)).map(|dead| dead.id), Some(id));
    assert_eq!((roster.living(), roster.len()), (0, 1));
    assert_eq!(roster.expire(at(5_000)), None);
    assert!(roster.is_empty(), "the long dead are forgotten");
}

#[test]
fn another_run_with_a_higher_incarnation_is_a_restart() {
    let mut roster = Roster::new(8);
    hear(&mut roster, &rumour(1, 3, Standing::Alive));
    let mut anew = rumour(1, 0, Standing::Alive);
    anew.run = 2;
    assert_eq!(hear(&mut roster, &anew), Change::Stale, "it is told of 3");
    anew.incarnation = 4;
    assert_eq!(hear(&mut roster, &anew), Change::Restarted);
}

#[test]
fn a_full_roster_forgets_the_dead_for_the_living_and_else_refuses() {
    let mut roster = Roster::new(2);
    for n in [1, 2] {
        hear(&mut roster, &rumour(n, 0, Standing::Alive));
    }
    let third = rumour(3, 0, Standing::Alive);
    assert_eq!(hear(&mut roster, &third), Change::Full);
    hear(&mut roster, &rumour(1, 0, Standing::Suspect));
    assert_eq!(hear(&mut roster, &third), Change::Full, "suspects live");
    hear(&mut roster, &rumour(1, 0, Standing::Dead));
    assert_eq!(hear(&mut roster, &third), Change::Joined);
    assert_eq!((roster.living(), roster.len()), (2, 2));
}

#[test]
fn sums_are_equal_where_the_same_is_known_and_only_there() {
    let own = [200, 201].map(|n| rumour(n, 0, Standing::Alive));
    let mut rosters = [Roster::new(100), Roster::new(100)];
    for n in 0..60 {
        for roster in &mut rosters {
            hear(roster, &rumour(n, 0, Standing::Alive));
        }
    }
    let sums = |rosters: &[Roster; 2], path| [0, 1].map(|n| rosters[n].sums(path, &own[n]));
    hear(&mut rosters[0], &own[1]);
    hear(&mut rosters[1], &own[0]);
    let [ours, theirs] = sums(&rosters, Path::ROOT);
    assert_eq!(ours, theirs);
    hear(&mut rosters[1], &rumour(7, 1, Standing::Alive));
    let [ours, theirs] = sums(&rosters, Path::ROOT);
    let id = NodeId::of(rumour(7, 0, Standing::Alive).addr);
    let digit = Path::ROOT.digit_of(&id).unwrap();
    let differ: Vec<_> = (0..FANOUT).filter(|n| ours[*n] != theirs[*n]).collect();
    assert_eq!(differ, [digit]);
    let list = rosters[1].list(Path::ROOT, digit, &own[1], 2_000).unwrap();
    assert!(
        list.iter()
            .any(|r| r.addr == rumour(7, 0, Standing::Alive).addr)
    );
    assert_eq!(rosters[1].list(Path::ROOT, digit, &own[1], 16), None);
}

#[test]
fn turns_come_to_every_living_member() {
    let mut roster = Roster::new(100);
    for n in 0..20 {
        hear(&mut roster, &rumour(n, 0, Standing::Alive));
    }
    for said in [Standing::Suspect, Standing::Dead] {
        hear(&mut roster, &rumour(3, 0, said));
    }
    let (mut turn, mut met) = (NodeId::ZERO, std::collections::BTreeSet::new());
    for _ in 0..19 {
        turn = roster.after(turn).unwrap().id;
        met.insert(turn);
    }
    assert_eq!(met.len(), 19);
    assert!(met.iter().all(|id| roster.lives(*id)));
}
