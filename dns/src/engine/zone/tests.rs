//! Which zones are made and which are refused, by the section that asks for it.

use common::name::Zone;

use super::*;
use crate::engine::config::{NameServer, ZoneConfig};

#[test]
fn refuses_a_zone_that_nobody_could_find() {
    let with = |servers: Vec<NameServer>| {
        let config = ZoneConfig {
            servers,
            ..config(&[])
        };
        ZoneData::new(&config).err()
    };
    assert_eq!(with(Vec::new()), Some(vec![ZoneError::Servers]));
    assert_eq!(
        with(vec![ns("ns1.nyud.test", &["192.0.2.1"]); 14]),
        Some(vec![ZoneError::Servers])
    );
    let nowhere = with(vec![ns("ns1.nyud.test", &[])]).unwrap();
    assert!(matches!(nowhere.as_slice(), [ZoneError::NoAddress(_), ..]));
    let foreign = with(vec![ns("ns.example.net", &["192.0.2.1"])]).unwrap();
    assert!(matches!(
        foreign.as_slice(),
        [ZoneError::ForeignAddress(_), ..]
    ));
    assert_eq!(with(vec![ns("ns.example.net", &[])]), None);
}

#[test]
fn records_that_contradict_each_other_are_refused_with_what_to_do() {
    let rows: &[(&[&str], &str)] = &[
        (&["@ A 192.0.2.1"], "take it out of zone.services"),
        (&["www CNAME x.example.net"], "take it out of zone.services"),
        (&["ns1 A 192.0.2.1"], "come from zone.ns"),
        (
            &["a CNAME b.example.net", "a TXT x"],
            "RFC 1034 section 3.6.2",
        ),
        (
            &["a CNAME b.example.net", "a CNAME c.example.net"],
            "RFC 2181 section 10.1",
        ),
        (&["a CNAME b", "@ MX 1 a"], "RFC 2181 section 10.3"),
        (&["a 60 TXT x", "a 61 TXT y"], "RFC 2181 section 5.2"),
        (&["a TXT x", "a TXT x"], "stands there twice"),
        (&["a CNAME b", "b CNAME a"], "lead back"),
        (&["a CNAME a"], "lead back"),
        (&["a TXT"], "strings in quotes"),
    ];
    for (records, expected) in rows {
        let errors = ZoneData::new(&config(records)).unwrap_err();
        let text: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert!(
            text.iter().any(|text| text.contains(expected)),
            "{records:?}: {text:?}"
        );
        assert!(errors.iter().all(|error| error.key() == "zone.records"));
    }
}

#[test]
fn records_that_stand_well_together_are_kept() {
    let good = [
        "@ TXT x",
        "@ MX 10 mail",
        "@ CAA 0 issue \"ca.example\"",
        "www TXT y",
        "ns1 TXT z",
        "mail A 192.0.2.5",
        "mail A 192.0.2.6",
        "mail AAAA 2001:db8::5",
        "_acme-challenge CNAME x.example.net",
    ];
    let zone = ZoneData::new(&config(&good)).unwrap();
    assert_eq!(zone.static_count(), good.len());
    assert!(zone.statics("mail").unwrap().replaces_proxies());
}

#[test]
fn every_mistake_is_reported_at_once() {
    let mut bad = config(&["@ A 192.0.2.1", "b NS x", "c CNAME c"]);
    bad.servers = vec![ns("ns1.nyud.test", &[])];
    let errors = ZoneData::new(&bad).unwrap_err();
    assert!(errors.len() >= 4, "{errors:?}");
}

#[test]
fn more_records_than_are_kept_are_refused() {
    let many: Vec<String> = (0..=error::RECORDS_MAX)
        .map(|n| format!("@ TXT {n}"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let errors = ZoneData::new(&config(&many)).unwrap_err();
    assert_eq!(errors, [ZoneError::TooMany(error::RECORDS_MAX + 1)]);
    let large: Vec<String> = (0..80).map(|n| format!("@ TXT {n:0>250}")).collect();
    let large: Vec<&str> = large.iter().map(String::as_str).collect();
    let errors = ZoneData::new(&config(&large)).unwrap_err();
    assert!(
        matches!(errors.as_slice(), [ZoneError::TooLarge(..)]),
        "{errors:?}"
    );
}

#[test]
fn zones_inside_each_other_are_refused_and_so_are_too_many() {
    let zones = |names: &[&str]| {
        let made = names.iter().map(|name| {
            let mut config = config(&[]);
            config.zone = Zone::parse(name).unwrap();
            config.servers = vec![ns("ns.example.net", &[])];
            ZoneData::new(&config).unwrap()
        });
        Zones::new(made.collect()).err()
    };
    assert_eq!(zones(&["a.test", "b.test"]), None);
    assert_eq!(zones(&[]), Some(ZonesError::Count));
    assert!(matches!(
        zones(&["a.test", "x.a.test"]),
        Some(ZonesError::Nested(..))
    ));
    let many: Vec<String> = (0..=zones::ZONES_MAX)
        .map(|n| format!("z{n}.test"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(zones(&many), Some(ZonesError::Count));
}

fn config(records: &[&str]) -> ZoneConfig {
    ZoneConfig {
        zone: Zone::parse("nyud.test").unwrap(),
        servers: vec![ns("ns1.nyud.test", &["192.0.2.53"])],
        hostmaster: "hostmaster@nyud.test".to_owned(),
        serial: 1,
        services: vec!["www".to_owned()],
        records: records.iter().map(|line| (*line).to_owned()).collect(),
        signing: None,
        negative_ttl: 30,
    }
}

fn ns(name: &str, addresses: &[&str]) -> NameServer {
    NameServer {
        name: name.to_owned(),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
    }
}
