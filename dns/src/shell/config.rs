//! The configuration of `atoll-dns`, validated, made of its settings.
//!
//! What the keys are, and mean, stands in [`super::keys`].

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use common::config::{FromSetting, Settings, Span};
use common::name::Zone;
use common::shell::log::{Filter, Format};

use crate::engine::config::{
    ADDRESSES_MAX, AnswerConfig, CheckConfig, NameServer, Resort, ZoneConfig,
};
use crate::engine::live::LiveSet;
use crate::engine::zone::ZoneData;

/// The configuration of the daemon.
#[derive(Clone, Debug)]
pub struct Config {
    /// The zone.
    pub zone: ZoneData,
    /// The zone's name.
    pub zone_name: Zone,
    /// How answers look.
    pub answer: AnswerConfig,
    /// How proxies are verified.
    pub check: CheckConfig,
    /// Where to listen; at least one address.
    pub listen: Vec<SocketAddr>,
    /// UDP questions being answered at once.
    pub udp_inflight: usize,
    /// TCP connections at once.
    pub tcp_connections: usize,
    /// Patience with a TCP connection.
    pub tcp_idle: Duration,
    /// Socket of the local index.
    pub index: Option<PathBuf>,
    /// Where the admin pages are served.
    pub admin: Option<SocketAddr>,
    /// Name of this node.
    pub node: String,
    /// How log lines look.
    pub log_format: Format,
    /// Which log lines are written.
    pub log_filter: Filter,
}

/// Makes the configuration. `None` only if `settings` holds at least one mistake.
pub fn build(settings: &mut Settings) -> Option<Config> {
    let zone: Zone = settings.value("zone");
    let listen: Vec<SocketAddr> = settings.value("dns.listen");
    if listen.is_empty() {
        settings.reject("dns.listen", "at least one address is needed");
    }
    let answer = answer(settings);
    let check = check(settings);
    let zone_data = zone_data(settings, &zone, &listen);
    let level: String = settings.value("log.level");
    let log_filter = log_filter(settings, &level)?;
    Some(Config {
        zone: zone_data?,
        zone_name: zone,
        answer,
        check,
        listen,
        udp_inflight: at_least_one(settings, "dns.udp_inflight"),
        tcp_connections: at_least_one(settings, "dns.tcp_connections"),
        tcp_idle: settings.value::<Span>("dns.tcp_idle").0,
        index: settings.optional("index.socket"),
        admin: settings.optional("admin.listen"),
        node: settings.value("node.name"),
        log_format: settings.value("log.format"),
        log_filter,
    })
}

fn answer(settings: &mut Settings) -> AnswerConfig {
    let count = settings.value("answer.count");
    if !(1..=ADDRESSES_MAX).contains(&count) {
        settings.reject("answer.count", "between 1 and 16 addresses fit an answer");
    }
    let resorts: Vec<String> = settings.value("answer.when_empty");
    let mut when_empty = Vec::new();
    for resort in resorts {
        match resort.as_str() {
            "last" => when_empty.push(Resort::LastVerified),
            "anchors" => when_empty.push(Resort::Anchors),
            other => {
                let message = format!("\"{other}\" is neither last nor anchors");
                settings.reject("answer.when_empty", message);
            }
        }
    }
    AnswerConfig {
        ttl: seconds(settings, "answer.ttl"),
        count,
        anchors: LiveSet::new(settings.value::<Vec<IpAddr>>("answer.anchors"), None),
        when_empty,
        last_for: settings.value::<Span>("answer.last_for").0,
    }
}

fn check(settings: &mut Settings) -> CheckConfig {
    let mut span = |path| {
        let span = settings.value::<Span>(path).0;
        if span < Duration::from_millis(10) {
            settings.reject(path, "at least 10ms, or checking is all this machine does");
        }
        span
    };
    CheckConfig {
        ping_every: span("check.ping_every"),
        http_every: span("check.http_every"),
        timeout: span("check.timeout"),
        concurrency: at_least_one(settings, "check.concurrency"),
        fixed: settings.value("check.fixed"),
    }
}

fn at_least_one(settings: &mut Settings, path: &'static str) -> usize {
    let number: usize = settings.value(path);
    if number == 0 {
        settings.reject(path, "at least 1 is needed");
    }
    number
}

/// DNS counts TTLs in whole seconds, up to 68 years (RFC 2181 §8).
fn seconds(settings: &mut Settings, path: &'static str) -> u32 {
    let span = settings.value::<Span>(path).0;
    let whole = u32::try_from(span.as_secs()).ok().filter(|s| *s <= 1 << 31);
    match whole {
        Some(whole) if span.subsec_nanos() == 0 => whole,
        _ => {
            settings.reject(path, "a whole number of seconds is needed");
            0
        }
    }
}

fn zone_data(settings: &mut Settings, zone: &Zone, listen: &[SocketAddr]) -> Option<ZoneData> {
    let entries: Vec<String> = settings.value("zone.ns");
    let servers = match read_servers(&entries, zone, listen) {
        Ok(servers) => servers,
        Err(message) => {
            settings.reject("zone.ns", message);
            Vec::new()
        }
    };
    let hostmaster: String = settings.value("zone.hostmaster");
    let config = ZoneConfig {
        zone: zone.clone(),
        servers,
        hostmaster: if hostmaster.is_empty() {
            format!("hostmaster@{zone}")
        } else {
            hostmaster
        },
        serial: settings.value("zone.serial"),
        services: settings.value("zone.services"),
        negative_ttl: seconds(settings, "answer.negative_ttl"),
    };
    match ZoneData::new(&config) {
        Ok(data) => Some(data),
        Err(error) => {
            settings.reject("zone.ns", error);
            None
        }
    }
}

/// `name=address` entries, those of one name together.
fn read_servers(
    entries: &[String],
    zone: &Zone,
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

/// The filter of `level`, with hickory kept to errors: it writes a line for each answer and a
/// warning for each odd source address, which anybody can send.
fn log_filter(settings: &mut Settings, level: &str) -> Option<Filter> {
    let quiet = "hickory_server=error,hickory_net=error,hickory_proto=error";
    let text = if level.contains("hickory") {
        level.to_owned()
    } else {
        format!("{level},{quiet}")
    };
    // The message names what the operator wrote, not what was added.
    if let Err(message) = Filter::from_text(level) {
        settings.reject("log.level", message);
    }
    Filter::from_text(&text).ok()
}

#[cfg(test)]
mod tests {
    use common::config::Sources;

    use super::super::keys::KEYS;
    use super::*;

    fn built(sets: &[&str]) -> Result<Config, String> {
        let sets: Vec<_> = sets.iter().map(|text| (*text).to_owned()).collect();
        let sources = Sources {
            sets: &sets,
            ..Sources::default()
        };
        let mut settings = Settings::resolve(KEYS, &sources);
        let config = build(&mut settings);
        settings.finish().map_err(|error| error.to_string())?;
        Ok(config.expect("no mistake, so there is one"))
    }

    #[test]
    fn the_zone_is_all_that_must_be_set() {
        let config = built(&["zone=nyud.test"]).unwrap();
        assert_eq!(config.zone.ns().count(), 2);
        assert_eq!(config.listen.len(), 1);
        assert!(built(&[]).unwrap_err().contains("zone: it has no default"));
    }

    #[test]
    fn every_key_is_read_and_its_example_parses() {
        let mut settings = Settings::resolve(KEYS, &Sources::default());
        drop(build(&mut settings));
        assert_eq!(settings.unread(), Vec::<&str>::new());
        let sets: Vec<_> = KEYS
            .iter()
            .map(|key| format!("{}={}", key.path, key.example))
            .collect();
        let sets: Vec<_> = sets.iter().map(String::as_str).collect();
        built(&sets).unwrap();
    }

    #[test]
    fn name_servers_are_relative_full_or_foreign() {
        let ns =
            "zone.ns=ns1=192.0.2.53,ns1=2001:db8::53,ns.far.nyud.test=192.0.2.54,ns.example.net";
        let config = built(&["zone=nyud.test", ns]).unwrap();
        assert_eq!(
            (config.zone.ns().count(), config.zone.glue().count()),
            (3, 3)
        );
        assert!(config.zone.is_server("ns.far"));
    }

    #[test]
    fn mistakes_say_what_to_do() {
        let rows = [
            ("dns.listen=0.0.0.0:53", "zone.ns: must be set"),
            ("zone.ns=ns1", "needs an address"),
            ("zone.ns=ns1=x", "not an IP address"),
            ("answer.count=0", "between 1 and 16"),
            ("answer.ttl=1500ms", "whole number of seconds"),
            ("answer.when_empty=first", "neither last nor anchors"),
            ("check.http_every=1ms", "at least 10ms"),
            ("check.concurrency=0", "at least 1"),
            ("dns.listen=", "at least one address"),
            ("log.level=dns=loud", "not a level"),
            ("dns.lisen=127.0.0.1:53", "did you mean \"dns.listen\""),
        ];
        for (set, expected) in rows {
            let error = built(&["zone=nyud.test", set]).unwrap_err();
            assert!(error.contains(expected), "{set}: {error}");
        }
    }
}
