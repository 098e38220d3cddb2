//! Rounds of the watch: what is asked, what is answered, which differences come out.

use std::collections::VecDeque;

use common::name::Zone;
use hickory_proto::rr::rdata::{A, NS, SOA};

use super::compare::Mismatch;
use super::*;
use crate::engine::config::{NameServer, ZoneConfig};

/// A world of servers: who answers what.
struct World {
    watch: Watch,
    now: Moment,
    /// What the parent says: name server and address.
    parent: Vec<(&'static str, &'static str)>,
    /// Addresses that answer for the zone.
    good: Vec<&'static str>,
    asked: Vec<Query>,
}

const PARENT: &str = "198.51.100.1:53";

impl World {
    fn new(config: WatchConfig) -> Self {
        let now = Moment::ZERO;
        Self {
            watch: Watch::new(config, Arc::new(zones()), Generator::from_seed(1), now),
            now,
            parent: vec![
                ("ns1.nyud.test.", "192.0.2.53"),
                ("ns2.nyud.test.", "192.0.2.54"),
            ],
            good: vec!["192.0.2.53", "192.0.2.54"],
            asked: Vec::new(),
        }
    }

    fn by_parent() -> Self {
        Self::new(WatchConfig {
            parents: vec![PARENT.parse().unwrap()],
            ..WatchConfig::default()
        })
    }

    /// Lets one round pass; the mismatches after it.
    fn round(&mut self) -> Vec<(Mismatch, String)> {
        let mut asked_something = false;
        loop {
            match self.watch.act(self.now) {
                Action::Wait(at) if asked_something => {
                    self.now = at;
                    break;
                }
                Action::Wait(at) => self.now = at,
                Action::Ask(queries) => {
                    assert!(queries.len() <= QUERIES_MAX);
                    asked_something = true;
                    let heard: Vec<_> = queries.iter().map(|query| self.answer(query)).collect();
                    self.asked.extend(queries);
                    drop(self.watch.handle_answers(self.now, &heard));
                }
            }
        }
        let (_, report) = self.watch.reports().next().unwrap();
        let report = report.map_or_else(Vec::new, |report| report.differences.clone());
        report.into_iter().map(|d| (d.mismatch, d.server)).collect()
    }

    fn answer(&self, query: &Query) -> Option<Heard> {
        let server = query.server.to_string();
        let name = query.name.to_ascii();
        match (server.as_str(), query.kind) {
            (PARENT, RecordType::NS) => Some(self.referral()),
            (PARENT, RecordType::DS) => Some(heard(Vec::new())),
            ("198.51.100.9:53", kind) if query.recursive => Some(resolved(&name, kind)),
            (_, RecordType::SOA) => {
                let ip = query.server.ip().to_string();
                self.good
                    .contains(&ip.as_str())
                    .then(|| heard(vec![soa("nyud.test.")]))
            }
            _ => None,
        }
    }

    fn referral(&self) -> Heard {
        let mut referral = heard(Vec::new());
        referral.authoritative = false;
        for (ns, ip) in &self.parent {
            let data = RData::NS(NS(name(ns)));
            referral
                .others
                .push(Record::from_rdata(name("nyud.test."), 60, data));
            if !ip.is_empty() {
                referral.others.push(address(ns, ip));
            }
        }
        referral
    }
}

/// What the resolver at 198.51.100.9 knows.
fn resolved(name_asked: &str, kind: RecordType) -> Heard {
    match (name_asked, kind) {
        ("test.", RecordType::SOA) => heard(vec![soa("test.")]),
        ("test.", RecordType::NS) => {
            let data = RData::NS(NS(name("a.nic.example.")));
            heard(vec![Record::from_rdata(name("test."), 60, data)])
        }
        ("a.nic.example.", RecordType::A) => heard(vec![address("a.nic.example.", "198.51.100.1")]),
        ("ns.far.example.", RecordType::A) => heard(vec![address("ns.far.example.", "192.0.2.99")]),
        _ => heard(Vec::new()),
    }
}

#[test]
fn a_delegation_that_fits_has_no_differences() {
    let mut world = World::by_parent();
    assert_eq!(world.round(), []);
    assert_eq!(world.watch.stats().complete, 1);
    // NS and DS at the parent, SOA at each server.
    assert_eq!(world.asked.len(), 4);
}

#[test]
fn every_difference_has_its_word() {
    let mut world = World::by_parent();
    world.parent = vec![
        ("ns1.nyud.test.", "192.0.2.99"),
        ("gone.nyud.test.", "192.0.2.77"),
    ];
    world.good = vec!["192.0.2.99"];
    let expected = [
        (Mismatch::Missing, "ns2.nyud.test"),
        (Mismatch::Extra, "gone.nyud.test"),
        (Mismatch::WrongGlue, "ns1.nyud.test"),
        (Mismatch::Lame, "gone.nyud.test"),
    ];
    let expected = expected.map(|(mismatch, server)| (mismatch, server.to_owned()));
    assert_eq!(world.round(), expected);
}

#[test]
fn changes_are_told_once_and_when_they_are_gone() {
    let mut world = World::by_parent();
    let told = |world: &mut World| {
        let mut told = None;
        while told.is_none() {
            match world.watch.act(world.now) {
                Action::Wait(at) => world.now = at,
                Action::Ask(queries) => {
                    let heard: Vec<_> = queries.iter().map(|query| world.answer(query)).collect();
                    told = world.watch.handle_answers(world.now, &heard);
                }
            }
        }
        told.map(|change| (change.found.len(), change.gone.len()))
            .unwrap()
    };
    world.good = vec!["192.0.2.53"];
    assert_eq!(told(&mut world), (1, 0));
    assert_eq!(told(&mut world), (0, 0));
    world.good.push("192.0.2.54");
    assert_eq!(told(&mut world), (0, 1));
}

#[test]
fn a_resolver_finds_the_parent_and_servers_elsewhere() {
    let mut world = World::new(WatchConfig {
        resolver: Some("198.51.100.9:53".parse().unwrap()),
        ..WatchConfig::default()
    });
    world.parent.push(("ns.far.example.", ""));
    let expected = [
        (Mismatch::Extra, "ns.far.example".to_owned()),
        (Mismatch::Lame, "ns.far.example".to_owned()),
    ];
    assert_eq!(world.round(), expected);
}

#[test]
fn a_parent_that_is_silent_changes_nothing_and_is_counted() {
    let mut world = World::by_parent();
    world.good = vec!["192.0.2.53"];
    let before = world.round();
    assert_eq!(before.len(), 1);
    world.watch.config.parents = vec!["198.51.100.2:53".parse().unwrap()];
    assert_eq!(world.round(), before);
    assert_eq!(world.watch.stats().unreachable, 1);
}

#[test]
fn rounds_are_apart_as_told_and_not_in_step() {
    let mut world = World::by_parent();
    let every = WatchConfig::default().every;
    let mut ends: VecDeque<Moment> = VecDeque::new();
    for _ in 0..20 {
        world.round();
        ends.push_back(world.now);
    }
    let gaps: Vec<_> = ends
        .iter()
        .zip(ends.iter().skip(1))
        .map(|(a, b)| b.since(*a))
        .collect();
    assert!(
        gaps.iter()
            .all(|gap| *gap <= every && *gap >= every * 9 / 10),
        "{gaps:?}"
    );
    assert!(gaps.windows(2).any(|pair| pair[0] != pair[1]));
}

fn heard(answers: Vec<Record>) -> Heard {
    Heard {
        code: ResponseCode::NoError,
        authoritative: true,
        answers,
        others: Vec::new(),
    }
}

fn soa(zone: &str) -> Record {
    let data = SOA::new(name("ns1.nyud.test."), name("h.nyud.test."), 1, 1, 1, 1, 1);
    Record::from_rdata(name(zone), 60, RData::SOA(data))
}

fn address(owner: &str, ip: &str) -> Record {
    Record::from_rdata(name(owner), 60, RData::A(A(ip.parse().unwrap())))
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn zones() -> Zones {
    let server = |n: u8| NameServer {
        name: format!("ns{n}.nyud.test"),
        addresses: vec![format!("192.0.2.{}", 52 + n).parse().unwrap()],
    };
    let config = ZoneConfig {
        zone: Zone::parse("nyud.test").unwrap(),
        servers: vec![server(1), server(2)],
        hostmaster: "hostmaster@nyud.test".to_owned(),
        serial: 1,
        services: Vec::new(),
        records: Vec::new(),
        signing: None,
        negative_ttl: 30,
    };
    Zones::new(vec![ZoneData::new(&config).unwrap()]).unwrap()
}
