//! Slots in virtual time: greedy sites, slow sites, floods.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const CONFIG: SlotConfig = SlotConfig {
    slots: 20,
    waiting: 40,
};

/// A site in a play: fetches it is asked for per second, and how long each takes, in ms.
#[derive(Clone, Copy)]
struct Site {
    name: &'static str,
    per_second: u64,
    takes: u64,
}

/// Plays ten seconds; who waits gives up after 500 ms. Gives successes and attempts of each.
fn play(config: SlotConfig, sites: &[Site]) -> BTreeMap<&'static str, (u64, u64)> {
    let mut slots = Slots::new(config);
    let mut ends: BTreeSet<(u64, u64, &'static str, u64)> = BTreeSet::new();
    let mut waiting: BTreeMap<Ticket, (u64, Site)> = BTreeMap::new();
    let mut outcome: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
    let mut serial = 0;
    for now in 0..10_000 {
        while let Some((at, n, name, takes)) = ends.first().copied().filter(|end| end.0 <= now) {
            ends.remove(&(at, n, name, takes));
            if let Some((_, site)) = slots.done(name).and_then(|ticket| waiting.remove(&ticket)) {
                serial += 1;
                outcome.entry(site.name).or_default().0 += 1;
                ends.insert((now + site.takes, serial, site.name, site.takes));
            }
        }
        let late: Vec<_> = waiting
            .iter()
            .filter(|(_, (since, _))| now - since > 500)
            .collect();
        for ticket in late
            .into_iter()
            .map(|(ticket, _)| *ticket)
            .collect::<Vec<_>>()
        {
            assert!(slots.left(ticket));
            waiting.remove(&ticket);
        }
        for site in sites {
            let due = (now + 1) * site.per_second / 1_000 - now * site.per_second / 1_000;
            for _ in 0..due {
                let tried = outcome.entry(site.name).or_default();
                tried.1 += 1;
                match slots.ask(site.name) {
                    Turn::Now => {
                        tried.0 += 1;
                        serial += 1;
                        ends.insert((now + site.takes, serial, site.name, site.takes));
                    }
                    Turn::Wait(ticket) => {
                        waiting.insert(ticket, (now, *site));
                    }
                    Turn::Refused(_) => {}
                }
            }
        }
        assert!(slots.running() <= config.slots && slots.waiting() <= config.waiting);
        assert_eq!(slots.waiting(), waiting.len());
        assert!(slots.sites.len() <= config.slots + config.waiting);
    }
    outcome
}

const fn site(name: &'static str, per_second: u64, takes: u64) -> Site {
    Site {
        name,
        per_second,
        takes,
    }
}

#[test]
fn one_site_at_ten_times_its_share_leaves_the_others_success_unchanged() {
    let mild = [
        site("b", 20, 100),
        site("c", 20, 100),
        site("d", 10, 200),
        site("e", 20, 50),
    ];
    let alone = play(CONFIG, &mild);
    // A quarter of the slots would be its share: it wants fifty.
    let beside = play(CONFIG, &[&mild[..], &[site("a", 500, 100)]].concat());
    for mild in &mild {
        assert_eq!(beside[mild.name], alone[mild.name], "{}", mild.name);
        assert_eq!(alone[mild.name].0, alone[mild.name].1);
    }
    let (granted, asked) = beside["a"];
    assert!(granted * 3 < asked && granted > 500, "{granted} of {asked}");
}

#[test]
fn a_site_that_hangs_holds_half_at_most() {
    let outcome = play(CONFIG, &[site("dead", 100, 9_000), site("b", 50, 100)]);
    assert_eq!(outcome["b"].0, outcome["b"].1);
    assert!(outcome["dead"].0 <= 20, "{:?}", outcome["dead"]);
}

#[test]
fn many_greedy_sites_leave_room_for_a_newcomer() {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let mut sites: Vec<_> = names.map(|name| site(name, 200, 100)).to_vec();
    sites.push(site("mild", 5, 50));
    let outcome = play(CONFIG, &sites);
    assert_eq!(outcome["mild"].0, outcome["mild"].1);
    let served = names.map(|name| outcome[name].0);
    let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
    // Two slots or three each: they are not divisible.
    assert!(least * 3 >= most * 2 - most / 10, "{served:?}");
}

#[test]
fn refusals_say_whether_it_is_the_site_or_the_node() {
    let mut slots = Slots::new(SlotConfig {
        slots: 4,
        waiting: 2,
    });
    assert_eq!([slots.ask("a"), slots.ask("a")], [Turn::Now, Turn::Now]);
    let Turn::Wait(ticket) = slots.ask("a") else {
        panic!("one may wait");
    };
    assert_eq!(
        slots.ask("a"),
        Turn::Refused(NoTurn::Site),
        "the queue is shared as well"
    );
    assert_eq!(slots.ask("b"), Turn::Now);
    assert_eq!(slots.done("b"), None, "a has half already");
    assert_eq!(slots.done("a"), Some(ticket));
    assert!(!slots.left(ticket), "it was called");
    // A newcomer finds a slot until the last is gone.
    assert_eq!([slots.ask("b"), slots.ask("c")], [Turn::Now, Turn::Now]);
    assert_eq!(slots.refusal(), NoTurn::Node);
}

#[test]
fn a_flood_is_refused_and_leaves_nothing_behind() {
    let mut slots = Slots::new(CONFIG);
    let mut tickets = Vec::new();
    let mut running = Vec::new();
    for n in 0..10_000 {
        let site = format!("site{n}");
        match slots.ask(&site) {
            Turn::Now => running.push(site),
            Turn::Wait(ticket) => tickets.push(ticket),
            Turn::Refused(reason) => assert_eq!(reason, NoTurn::Node),
        }
    }
    assert_eq!((running.len(), tickets.len()), (20, 40));
    for ticket in tickets {
        assert!(slots.left(ticket));
    }
    for site in running {
        assert_eq!(slots.done(&site), None);
    }
    assert!(slots.sites.is_empty());
    assert_eq!((slots.running(), slots.waiting()), (0, 0));
}
