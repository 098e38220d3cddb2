//! The zones, made of their settings. All zones of a server have the same name servers, services and
//! records, unless a record's owner is a full name of one of them.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::config::{FromSetting as _, Settings, Span};
use common::name::Zone;

use super::bounded::seconds;
use super::keyfile;
use crate::engine::config::{NameServer, ZoneConfig};
use crate::engine::sign::ring::{ParentSignal, Role, SigningConfig};
use crate::engine::sign::signer::Signer;
use crate::engine::zone::records::is_for_other;
use crate::engine::zone::{ZoneData, Zones};

/// Shortest and longest life of signatures. Half of it is left when one is used for the last time, and
/// that must outlive the longest TTL of the zone's own data.
const LIFE_MIN: Duration = Duration::from_secs(2 * 3_600);
const LIFE_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Makes the zones. `None` only if `settings` holds at least one mistake.
pub fn build(settings: &mut Settings, listen: &[SocketAddr]) -> Option<Zones> {
    let names: Vec<Zone> = settings.value("zone");
    let entries: Vec<String> = settings.value("zone.ns");
    let hostmaster: String = settings.value("zone.hostmaster");
    let serial = settings.value("zone.serial");
    let services: Vec<String> = settings.value("zone.services");
    let records: Vec<String> = settings.value("zone.records");
    let signing = signing(settings);
    let negative_ttl = seconds(settings, "answer.negative_ttl");
    let (mut zones, mut said) = (Vec::new(), Vec::new());
    for zone in &names {
        let servers = read_servers(&entries, zone, &names, listen);
        let servers = servers.unwrap_or_else(|message| {
            say(settings, &mut said, "zone.ns", message);
            Vec::new()
        });
        let config = ZoneConfig {
            zone: zone.clone(),
            servers,
            hostmaster: match hostmaster.as_str() {
                "" => format!("hostmaster@{zone}"),
                given => given.to_owned(),
            },
            serial,
            services: services.clone(),
            records: records
                .iter()
                .filter(|line| !is_for_other(line, zone, &names))
                .cloned()
                .collect(),
            signing: signing.clone(),
            negative_ttl,
        };
        match ZoneData::new(&config) {
            Ok(data) => zones.push(data),
            Err(errors) => {
                for error in errors {
                    say(settings, &mut said, error.key(), error.to_string());
                }
            }
        }
    }
    match Zones::new(zones) {
        Ok(zones) => Some(zones),
        Err(error) => {
            if said.is_empty() {
                settings.reject("zone", error);
            }
            None
        }
    }
}

/// The keys, if the zones are to be signed.
fn signing(settings: &mut Settings) -> Option<SigningConfig> {
    let entries: Vec<String> = settings.value("zone.keys");
    let life = settings.value::<Span>("zone.signature_life").0;
    if !(LIFE_MIN..=LIFE_MAX).contains(&life) {
        settings.reject("zone.signature_life", "between 2h and 30d");
    }
    let parent = match settings.value::<String>("zone.cds").as_str() {
        "keys" => ParentSignal::Keys,
        "none" => ParentSignal::None,
        "delete" => ParentSignal::Delete,
        other => {
            let message = format!("\"{other}\" is none of keys, none and delete");
            settings.reject("zone.cds", message);
            ParentSignal::None
        }
    };
    let mut keys = Vec::new();
    for entry in &entries {
        match read_key(entry) {
            Ok(key) => keys.push(key),
            Err(message) => settings.reject("zone.keys", message),
        }
    }
    (!keys.is_empty()).then_some(SigningConfig { keys, life, parent })
}

fn read_key(entry: &str) -> Result<(Role, Arc<dyn Signer>), String> {
    let form = || format!("\"{entry}\" is not of the form active=/path/to/key.pem");
    let (role, path) = entry.split_once('=').ok_or_else(form)?;
    let role = Role::ALL
        .into_iter()
        .find(|known| known.as_str() == role.trim());
    let role = role.ok_or_else(|| {
        format!("\"{entry}\" begins with none of active=, published= and retired=")
    })?;
    let key = keyfile::load(Path::new(path.trim())).map_err(|error| error.to_string())?;
    Ok((role, Arc::new(key)))
}

/// A mistake that several zones share is said once.
fn say(settings: &mut Settings, said: &mut Vec<String>, key: &'static str, message: String) {
    if !said.contains(&message) {
        settings.reject(key, &message);
        said.push(message);
    }
}

/// `name=address` entries, those of one name together. A server that lies in another of `zones` has
/// its addresses there and none here.
fn read_servers(
    entries: &[String],
    zone: &Zone,
    zones: &[Zone],
    listen: &[SocketAddr],
) -> Result<Vec<NameServer>, String> {
    if entries.is_empty() {
        return default_servers(zone, listen);
    }
    let mut servers: Vec<NameServer> = Vec::new();
    for entry in entries {
        let (name, address) = match entry.split_once('=') {
            Some((name, address)) => (name.trim(), Some(IpAddr::from_text(address.trim())?)),
            None => (entry.trim(), None),
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let name = if name.contains('.') {
            name
        } else {
            format!("{name}.{zone}")
        };
        let elsewhere = zones
            .iter()
            .any(|other| other != zone && other.contains(&name));
        let address = address.filter(|_| !elsewhere);
        match servers.iter_mut().find(|server| server.name == name) {
            Some(server) => server.addresses.extend(address),
            None => servers.push(NameServer {
                name,
                addresses: address.into_iter().collect(),
            }),
        }
    }
    Ok(servers)
}

/// Two servers (RFC 1034 §4.1 asks for two) at the addresses where this one listens.
fn default_servers(zone: &Zone, listen: &[SocketAddr]) -> Result<Vec<NameServer>, String> {
    let addresses: Vec<IpAddr> = listen.iter().map(SocketAddr::ip).collect();
    if addresses.iter().any(IpAddr::is_unspecified) {
        return Err(
            "must be set when dns.listen names no address of its own: ns1=192.0.2.53".to_owned(),
        );
    }
    let server = |(n, ip): (usize, &IpAddr)| NameServer {
        name: format!("ns{}.{zone}", n + 1),
        addresses: vec![*ip],
    };
    let around = addresses.iter().cycle().take(addresses.len().max(2));
    Ok(around.enumerate().map(server).collect())
}

#[cfg(test)]
mod tests {
    use common::config::Sources;

    use super::super::config;
    use super::super::keys::KEYS;
    use super::*;

    fn built(file: &str, sets: &[&str]) -> Result<Zones, String> {
        let sets: Vec<_> = sets.iter().map(|text| (*text).to_owned()).collect();
        let sources = Sources {
            file: Some(("atoll.toml", file)),
            sets: &sets,
            ..Sources::default()
        };
        let mut settings = Settings::resolve(KEYS, &sources);
        let config = config::build(&mut settings);
        settings.finish().map_err(|error| error.to_string())?;
        Ok(config.expect("no mistake, so there is one").zones)
    }

    #[test]
    fn name_servers_are_relative_full_or_foreign() {
        let ns =
            "zone.ns=ns1=192.0.2.53,ns1=2001:db8::53,ns.far.nyud.test=192.0.2.54,ns.example.net";
        let zones = built("", &["zone=nyud.test", ns]).unwrap();
        let zone = zones.first();
        assert_eq!((zone.ns().count(), zone.glue().count()), (3, 3));
        assert!(zone.is_server("ns.far"));
    }

    #[test]
    fn one_file_sets_the_zones_and_their_data() {
        let file = r#"
            [zone]
            name = ["nyud.test", "cdn.example"]
            ns = ["ns1=192.0.2.53", "ns2.nyud.test=192.0.2.54"]
            records = [
                '@ CAA 0 issue "ca.example"',
                'mail.nyud.test A 192.0.2.5',
                '_dmarc TXT "v=DMARC1; p=none, really"',
            ]
        "#;
        let zones = built(file, &[]).unwrap();
        let (one, two) = (zones.first(), zones.iter().nth(1).unwrap());
        assert_eq!((one.glue().count(), two.glue().count()), (2, 1));
        assert_eq!((one.ns().count(), two.ns().count()), (2, 2));
        assert_eq!((one.static_count(), two.static_count()), (3, 2));
    }

    #[test]
    fn mistakes_say_what_to_do_and_come_together() {
        let rows = [
            ("dns.listen=0.0.0.0:53", "zone.ns: must be set"),
            ("zone.ns=ns1", "needs an address"),
            ("zone.ns=ns1=x", "not an IP address"),
            ("zone=nyud.test,a.nyud.test", "lies in zone"),
            ("zone=nyud.test,nyud.test", "lies in zone"),
            (
                "zone.records=www A 192.0.2.1",
                "take it out of zone.services",
            ),
            ("zone.records=mail A 192.0.2.500", "an IPv4 address"),
            ("zone.keys=/etc/key", "not of the form active=/path"),
            ("zone.keys=signing=/etc/key", "none of active="),
            (
                "zone.keys=active=/no/such/key",
                "atoll-dns keys new /no/such/key",
            ),
            ("zone.signature_life=1h", "between 2h and 30d"),
            ("zone.cds=all", "none of keys, none and delete"),
        ];
        for (set, expected) in rows {
            let error = built("", &["zone=nyud.test", set]).unwrap_err();
            assert!(error.contains(expected), "{set}: {error}");
        }
        let two = "zone.records=@ A 192.0.2.1,mail NS ns1";
        let error = built("", &["zone=nyud.test,cdn.example", two]).unwrap_err();
        assert_eq!(error.lines().count(), 2, "each once: {error}");
    }
}
