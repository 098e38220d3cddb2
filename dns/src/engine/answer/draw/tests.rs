//! Whom an answer names, by where the asker is and what is known of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use common::name::Zone;

use super::*;
use crate::engine::answer::locate::Node;
use crate::engine::answer::select::{Pick, Selection, select};
use crate::engine::config::{AnswerConfig, NameServer, ZoneConfig};
use crate::engine::inquiry::Subnet;
use crate::engine::live::{LiveSet, Member};
use crate::engine::near::table::Table;
use crate::engine::snapshot::Snapshot;
use crate::engine::zone::{ZoneData, Zones};
use hickory_proto::rr::RecordType;

pub(in crate::engine::answer) const CLIENT: &str = "81.2.3.4";
const RESOLVER: &str = "9.9.9.9";

pub(in crate::engine::answer) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Proxy `n` of site `s`.
pub(in crate::engine::answer) fn proxy(s: u8, n: u8) -> IpAddr {
    IpAddr::from([192, 0, s, n])
}

pub(in crate::engine::answer) fn member(address: IpAddr, level: u8, weight: u8) -> Member {
    Member {
        address,
        level,
        weight,
    }
}

/// What answers are made from: who is alive, and how far proxies are from [`CLIENT`] in milliseconds.
pub(in crate::engine::answer) fn snapshot(live: &[Member], near: &[(IpAddr, u64)]) -> Snapshot {
    let mut table = Table::new(10, 10);
    if !near.is_empty() {
        let near = near
            .iter()
            .map(|(proxy, rtt)| (SocketAddr::new(*proxy, 80), Duration::from_millis(*rtt)));
        let near: Vec<_> = near.collect();
        table.learn(Moment::ZERO, Network::of(ip(CLIENT)), &near);
    }
    let places = table.edition(&crate::engine::near::places::Places::default());
    Snapshot::new(zones(), AnswerConfig::default())
        .with_live(LiveSet::of(live.iter().copied(), None))
        .with_places(Arc::new(places))
}

/// Some zone; no answer depends on which.
fn zones() -> Zones {
    let config = ZoneConfig {
        zone: Zone::parse("nyud.test").unwrap(),
        servers: vec![NameServer {
            name: "ns.example.net".to_owned(),
            addresses: Vec::new(),
        }],
        hostmaster: "hostmaster@nyud.test".to_owned(),
        serial: 1,
        services: Vec::new(),
        records: Vec::new(),
        negative_ttl: 30,
        signing: None,
    };
    Zones::new(vec![ZoneData::new(&config).unwrap()]).unwrap()
}

pub(in crate::engine::answer) fn asker(from: &str, subnet: Option<(&str, u8)>) -> Asker {
    Asker {
        room: 16,
        from: ip(from),
        subnet: subnet.map(|(address, source)| Subnet {
            address: ip(address),
            source,
        }),
    }
}

fn picks(snapshot: &Snapshot, asker: &Asker, qtype: RecordType) -> Vec<Pick> {
    let mut rng = Generator::from_seed(1);
    let view = View::new(snapshot, Moment::ZERO);
    let one = |_| match select(&view, &mut rng, Node::Proxied, qtype, asker) {
        Selection::Named(pick) => pick,
        other => panic!("{other:?}"),
    };
    (0..2_000).map(one).collect()
}

/// How often each address is named in 2,000 answers, and one of them.
fn ask(snapshot: &Snapshot, asker: &Asker) -> (BTreeMap<IpAddr, usize>, Pick) {
    let mut named = BTreeMap::new();
    let picks = picks(snapshot, asker, RecordType::A);
    for pick in &picks {
        for address in pick.addresses.iter() {
            *named.entry(*address).or_default() += 1;
        }
    }
    (named, picks[0])
}

fn hinted(near: &[(IpAddr, u64)]) -> Snapshot {
    let live: Vec<_> = (1..=9)
        .flat_map(|site| (1..=3).map(move |n| member(proxy(site, n), 0, 10)))
        .collect();
    snapshot(&live, near)
}

#[test]
fn the_inner_cluster_of_the_client_is_named_alone_and_may_be_kept_longer() {
    let near = [(proxy(1, 1), 4), (proxy(2, 1), 9), (proxy(3, 1), 35)];
    let (named, pick) = ask(&hinted(&near), &asker(CLIENT, None));
    assert_eq!(
        named.keys().copied().collect::<Vec<_>>(),
        [proxy(1, 1), proxy(2, 1)]
    );
    assert_eq!((pick.reason, pick.ttl), (Reason::Hinted2, 60));
}

#[test]
fn a_second_site_comes_from_farther_if_it_must_and_only_one_of_it() {
    let near = [
        (proxy(1, 1), 4),
        (proxy(1, 2), 5),
        (proxy(1, 3), 6),
        (proxy(2, 1), 35),
        (proxy(2, 2), 36),
    ];
    let snapshot = hinted(&near);
    for pick in picks(&snapshot, &asker(CLIENT, None), RecordType::A) {
        let sites = |site| {
            let of = |address: &&IpAddr| Site::of(**address) == Site::of(proxy(site, 0));
            pick.addresses.iter().filter(of).count()
        };
        assert_eq!((sites(1), sites(2), pick.addresses.len()), (3, 1, 4));
        assert_eq!((pick.reason, pick.ttl), (Reason::Hinted2, 30));
    }
}

#[test]
fn the_order_of_an_answer_tells_nothing_and_the_nearer_are_named_more_often() {
    let near: Vec<_> = (1..=8)
        .map(|site| (proxy(site, 1), u64::from(site) * 2))
        .collect();
    let (named, _) = ask(&hinted(&near), &asker(CLIENT, None));
    assert_eq!(named.len(), 8, "{named:?}");
    let counts: Vec<_> = (1..=8).map(|site| named[&proxy(site, 1)]).collect();
    assert!(
        counts.windows(2).all(|pair| pair[0] + 60 > pair[1]),
        "{counts:?}"
    );
    assert!(counts[0] > 4 * counts[7], "{counts:?}");
    let firsts = picks(&hinted(&near[..2]), &asker(CLIENT, None), RecordType::A);
    let first = firsts
        .iter()
        .filter(|pick| pick.addresses[0] == proxy(1, 1));
    assert!((900..1_100).contains(&first.count()));
}

#[test]
fn beside_two_that_are_enough_only_the_hardly_farther_are_named() {
    let near = [
        (proxy(1, 1), 2),
        (proxy(2, 1), 4),
        (proxy(3, 1), 15),
        (proxy(4, 1), 16),
    ];
    let answers = picks(&hinted(&near), &asker(CLIENT, None), RecordType::A);
    assert!(answers.iter().all(|pick| pick.addresses.len() <= 3));
    for pick in &answers {
        // Two of two sites, by weight; then whoever of the close is not yet among them.
        let has = |proxy| pick.addresses.contains(&proxy);
        assert!(has(proxy(1, 1)) && has(proxy(2, 1)), "{pick:?}");
    }
    // Four at about the same distance are all named, which spreads their load.
    let near = [8, 9, 10, 11].map(|rtt| (proxy(u8::try_from(rtt).unwrap() - 7, 1), rtt));
    let answers = picks(&hinted(&near), &asker(CLIENT, None), RecordType::A);
    assert!(answers.iter().all(|pick| pick.addresses.len() == 4));
}

#[test]
fn the_full_are_no_measure_of_who_is_close() {
    let live = [
        member(proxy(1, 1), 0, 0),
        member(proxy(2, 1), 0, 10),
        member(proxy(3, 1), 0, 10),
        member(proxy(4, 1), 0, 10),
    ];
    let near = [
        (proxy(1, 1), 1),
        (proxy(2, 1), 12),
        (proxy(3, 1), 13),
        (proxy(4, 1), 14),
    ];
    let snapshot = snapshot(&live, &near);
    for pick in picks(&snapshot, &asker(CLIENT, None), RecordType::A) {
        assert_eq!(pick.addresses.len(), 3);
        assert!(!pick.addresses.contains(&proxy(1, 1)));
    }
}

/// Of how many of 2,000 answers, in percent, `proxy` is part.
fn percent(snapshot: &Snapshot, proxies: &[IpAddr]) -> usize {
    let answers = picks(snapshot, &asker(CLIENT, None), RecordType::A);
    let has = |pick: &&Pick| pick.addresses.iter().any(|a| proxies.contains(a));
    answers.iter().filter(has).count() / 20
}

#[test]
fn whoever_is_near_enough_is_sent_nowhere_to_try_it() {
    let near = [(proxy(1, 1), 4), (proxy(2, 1), 9), (proxy(3, 1), 35)];
    assert_eq!(percent(&hinted(&near), &[proxy(3, 1)]), 0);
}

#[test]
fn whoever_is_near_some_tries_another_of_those_known_in_an_answer_of_four() {
    let near = [(proxy(1, 1), 30), (proxy(2, 1), 31), (proxy(3, 1), 90)];
    let snapshot = hinted(&near);
    assert!((21..29).contains(&percent(&snapshot, &[proxy(3, 1)])));
    let others: Vec<_> = (4..=9).map(|site| proxy(site, 1)).collect();
    assert_eq!(percent(&snapshot, &others), 0, "nobody spoke of them");
}

#[test]
fn whoever_is_near_nobody_tries_any_proxy_in_every_other_answer() {
    let near = [(proxy(1, 1), 90), (proxy(2, 1), 95), (proxy(3, 1), 240)];
    let snapshot = hinted(&near);
    let unheard: Vec<_> = (4..=9)
        .flat_map(|site| (1..=3).map(move |n| proxy(site, n)))
        .collect();
    // Of the 27 there are, 18 are of these sites, and two are never tried: they are named already.
    let tried = percent(&snapshot, &unheard);
    assert!((30..43).contains(&tried), "{tried}");
    // An answer of two addresses has none to spare.
    let mut two = snapshot;
    two.config = Arc::new(AnswerConfig {
        count: 2,
        ..AnswerConfig::default()
    });
    assert_eq!(percent(&two, &unheard), 0);
}

#[test]
fn the_dead_and_those_of_the_other_family_are_passed_over() {
    let live = [
        member(proxy(2, 1), 0, 10),
        member(proxy(3, 1), 0, 10),
        member(ip("2001:db8:1::1"), 0, 10),
        member(ip("2001:db8:2::1"), 0, 10),
    ];
    let near = [
        (proxy(1, 1), 2),
        (ip("2001:db8:1::1"), 3),
        (ip("2001:db8:2::1"), 4),
        (proxy(2, 1), 9),
        (proxy(3, 1), 12),
    ];
    let snapshot = snapshot(&live, &near);
    let (named, pick) = ask(&snapshot, &asker(CLIENT, None));
    assert_eq!(
        named.keys().copied().collect::<Vec<_>>(),
        [proxy(2, 1), proxy(3, 1)]
    );
    assert_eq!(pick.reason, Reason::Hinted2);
    let six = picks(&snapshot, &asker(CLIENT, None), RecordType::AAAA);
    assert!(six.iter().all(|pick| pick.addresses.len() == 2));
}

#[test]
fn whoever_is_nowhere_in_particular_gets_this_servers_own_surroundings() {
    let live = [
        member(proxy(1, 1), 2, 10),
        member(proxy(2, 1), 2, 10),
        member(proxy(3, 1), 1, 10),
        member(proxy(4, 1), 0, 10),
    ];
    let inner = snapshot(&live, &[]);
    let (named, pick) = ask(&inner, &asker("8.8.8.8", None));
    assert_eq!(
        named.keys().copied().collect::<Vec<_>>(),
        [proxy(1, 1), proxy(2, 1)]
    );
    assert_eq!(
        (pick.reason, pick.ttl, pick.scope),
        (Reason::Own2, 30, None)
    );
    let (named, pick) = ask(&snapshot(&live[1..], &[]), &asker("8.8.8.8", None));
    assert_eq!(named.len(), 2, "{named:?}");
    assert_eq!(pick.reason, Reason::Own2);
    assert!(!named.contains_key(&proxy(4, 1)));
    let (named, pick) = ask(&snapshot(&live[3..], &[]), &asker("8.8.8.8", None));
    assert_eq!((named.len(), pick.reason), (1, Reason::Live));
}

#[test]
fn load_follows_spare_capacity_and_the_full_are_left_alone() {
    let live = [
        member(proxy(1, 1), 0, 10),
        member(proxy(2, 1), 0, 5),
        member(proxy(3, 1), 0, 0),
    ];
    let mut one = snapshot(&live, &[]);
    one.config = Arc::new(AnswerConfig {
        count: 1,
        ..AnswerConfig::default()
    });
    let (named, _) = ask(&one, &asker(CLIENT, None));
    let (busy, idle) = (named[&proxy(2, 1)], named[&proxy(1, 1)]);
    assert!((1_233..1_433).contains(&idle), "{idle} of 2,000");
    assert_eq!(busy + idle, 2_000);
    let (named, _) = ask(&snapshot(&live[2..], &[]), &asker(CLIENT, None));
    assert_eq!(named.len(), 1, "if all are full, the full are named");
}

#[test]
fn rfc7871_7_2_1_the_network_counts_and_its_scope_is_told() {
    let near = [(proxy(1, 1), 4), (proxy(2, 1), 9)];
    let snapshot = hinted(&near);
    let rows = [
        (
            asker(RESOLVER, Some((CLIENT, 24))),
            Reason::Hinted2,
            Some(24),
        ),
        (
            asker(RESOLVER, Some((CLIENT, 32))),
            Reason::Hinted2,
            Some(24),
        ),
        (
            asker(RESOLVER, Some(("81.2.4.0", 24))),
            Reason::Live,
            Some(24),
        ),
        (
            asker(RESOLVER, Some(("2001:db8::", 56))),
            Reason::Live,
            Some(56),
        ),
        // Too wide to be anywhere: the resolver is told how much more it takes.
        (
            asker(RESOLVER, Some(("81.2.0.0", 16))),
            Reason::Live,
            Some(24),
        ),
        (
            asker(CLIENT, Some(("81.2.0.0", 16))),
            Reason::Live,
            Some(24),
        ),
        // §7.1.2: it declines to say, and is answered for itself.
        (asker(CLIENT, Some(("0.0.0.0", 0))), Reason::Hinted2, None),
        (asker(CLIENT, None), Reason::Hinted2, None),
        (asker(RESOLVER, None), Reason::Live, None),
    ];
    for (asker, reason, scope) in rows {
        let (_, pick) = ask(&snapshot, &asker);
        assert_eq!((pick.reason, pick.scope), (reason, scope), "{asker:?}");
    }
    let nobody = hinted(&[]);
    let (_, pick) = ask(&nobody, &asker(RESOLVER, Some((CLIENT, 24))));
    assert_eq!(pick.scope, None, "the same for everybody");
}

#[test]
fn many_proxies_of_unequal_weight_still_give_whole_answers_of_two_sites() {
    let member_of = |n: u32| {
        let [_, _, b, c] = n.to_be_bytes();
        // Nearly all weight is on one.
        member(
            IpAddr::from([10, 1, b, c]),
            0,
            if n == 7 { 10 } else { u8::from(n < 200) },
        )
    };
    let live: Vec<_> = (0..2_000).map(member_of).collect();
    let snapshot = snapshot(&live, &[]);
    for pick in picks(&snapshot, &asker(CLIENT, None), RecordType::A) {
        let mut addresses = pick.addresses.to_vec();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), 4);
    }
    let live: Vec<_> = (0..2_000)
        .map(|n| member(member_of(n).address, 0, 10))
        .collect();
    let snapshot = self::snapshot(&live, &[]);
    for pick in picks(&snapshot, &asker(CLIENT, None), RecordType::A) {
        let sites: std::collections::BTreeSet<_> = pick
            .addresses
            .iter()
            .map(|address| Site::of(*address))
            .collect();
        assert!(sites.len() >= 2 && pick.addresses.len() == 4);
    }
}
