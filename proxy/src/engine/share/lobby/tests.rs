//! The lobby in virtual time.

use super::*;

const MS: Duration = Duration::from_millis(1);

/// Visitors by site and number.
type Visitor = (&'static str, u32);

fn come(
    lobby: &mut Lobby<Visitor>,
    now: Moment,
    site: &'static str,
    numbers: std::ops::Range<u32>,
) {
    for n in numbers {
        assert_eq!(lobby.came(now, site, false, (site, n)), None);
    }
}

#[test]
fn a_burst_that_is_over_in_a_moment_presses_nobody() {
    let mut lobby = Lobby::<Visitor>::new();
    let mut now = Moment::ZERO;
    for _ in 0..100 {
        for outside in [true, true, false] {
            now = now + MS * 40;
            lobby.looked(now, outside);
            assert!(!lobby.is_pressed());
        }
    }
}

#[test]
fn a_queue_that_stands_presses_until_it_has_been_gone_for_a_while() {
    let mut lobby = Lobby::new();
    // A long time without anybody is no time in which somebody stood.
    let began = Moment::ZERO + CALM;
    lobby.looked(began, true);
    lobby.looked(began + INTERVAL - MS, true);
    assert!(!lobby.is_pressed());
    let mut now = began + INTERVAL;
    lobby.looked(now, true);
    assert!(lobby.is_pressed());
    // Nobody outside, yet somebody waits here.
    come(&mut lobby, now, "a.com", 0..1);
    now = now + CALM * 2;
    lobby.looked(now, false);
    assert!(lobby.is_pressed());
    assert_eq!(lobby.call(), Some(("a.com", 0)));
    lobby.looked(now + CALM - MS, false);
    assert!(lobby.is_pressed());
    lobby.looked(now + CALM, false);
    assert!(!lobby.is_pressed());
}

#[test]
fn sites_take_turns_whatever_their_crowds() {
    let mut lobby = Lobby::new();
    come(&mut lobby, Moment::ZERO, "greedy.com", 0..1_000);
    come(&mut lobby, Moment::ZERO, "modest.com", 0..3);
    let first: Vec<_> = std::iter::from_fn(|| lobby.call()).take(7).collect();
    let sites: Vec<_> = first.iter().map(|(site, _)| *site).collect();
    let (g, m) = ("greedy.com", "modest.com");
    assert_eq!(sites, [g, m, g, m, g, m, g]);
    assert_eq!(first[6], (g, 3), "in the order in which they came");
    assert_eq!(lobby.waiting(), 996);
}

#[test]
fn who_wants_a_page_that_is_kept_goes_first_at_its_site() {
    let mut lobby = Lobby::new();
    come(&mut lobby, Moment::ZERO, "a.com", 0..2);
    assert_eq!(lobby.came(Moment::ZERO, "a.com", true, ("a.com", 9)), None);
    let order: Vec<_> = std::iter::from_fn(|| lobby.call())
        .map(|(_, n)| n)
        .collect();
    assert_eq!(order, [9, 0, 1]);
}

#[test]
fn nobody_waits_longer_than_allowed() {
    let mut lobby = Lobby::new();
    come(&mut lobby, Moment::ZERO, "a.com", 0..2);
    let later = Moment::ZERO + MS;
    come(&mut lobby, later, "a.com", 2..3);
    come(&mut lobby, later, "b.com", 0..1);
    assert_eq!(lobby.late(Moment::ZERO + WITHIN - MS), []);
    assert_eq!(
        lobby.late(Moment::ZERO + WITHIN),
        [("a.com", 0), ("a.com", 1)]
    );
    assert_eq!(lobby.call(), Some(("a.com", 2)));
    assert_eq!(lobby.late(later + WITHIN), [("b.com", 0)]);
    assert_eq!((lobby.waiting(), lobby.call()), (0, None));
    come(&mut lobby, later, "b.com", 1..2);
    assert_eq!(lobby.call(), Some(("b.com", 1)), "it has its turn again");
}

#[test]
fn who_comes_when_all_places_are_taken_crowds_out_the_largest_crowd() {
    let mut lobby = Lobby::new();
    let most = u32::try_from(WAITING_MAX).unwrap();
    come(&mut lobby, Moment::ZERO, "greedy.com", 0..most);
    let out = lobby.came(Moment::ZERO, "modest.com", false, ("modest.com", 0));
    assert_eq!(out, Some(("greedy.com", most - 1)));
    let out = lobby.came(Moment::ZERO, "greedy.com", false, ("greedy.com", most));
    assert_eq!(out, Some(("greedy.com", most - 2)));
    assert_eq!(lobby.waiting(), WAITING_MAX);
    assert_eq!(lobby.late(Moment::ZERO + WITHIN).len(), WAITING_MAX);
    assert_eq!(lobby.waiting(), 0);
}

#[test]
fn at_twice_what_can_be_served_no_turn_is_lost_and_the_modest_site_loses_nobody() {
    // A turn serves 16 in 4 ms; 32 come meanwhile, one of them to the modest site.
    let mut lobby = Lobby::new();
    let (mut now, mut served, mut modest, mut refused) = (Moment::ZERO, 0, 0, 0);
    for turn in 0..1_000 {
        now = now + MS * 4;
        come(&mut lobby, now, "greedy.com", 0..31);
        come(&mut lobby, now, "modest.com", turn..turn + 1);
        refused += lobby.late(now).len();
        for _ in 0..16 {
            let next = lobby.call();
            served += u32::from(next.is_some());
            modest += u32::from(next.is_some_and(|(site, _)| site == "modest.com"));
        }
        lobby.looked(now, false);
    }
    assert_eq!((served, modest), (16_000, 1_000));
    assert_eq!(32_000, 16_000 + refused + lobby.waiting());
    // As many wait as are served in the time allowed, so a pause of the crowd costs nothing.
    assert!(
        (380..=820).contains(&lobby.waiting()),
        "{}",
        lobby.waiting()
    );
}
