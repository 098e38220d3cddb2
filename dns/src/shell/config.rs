//! The configuration of `atoll-dns`, validated, made of its settings.
//!
//! What the keys are, and mean, stands in [`super::keys`].

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use common::config::{FromSetting as _, Settings, Span};
use common::shell::log::{Filter, Format};

use super::bounded::{at_least_one, seconds};
use super::near_config::{self, Near};
use super::zone_config;
use crate::engine::config::{
    ADDRESSES_MAX, AnswerConfig, CheckConfig, MannersConfig, NSID_MAX, PROXIES_MAX, Resort,
};
use crate::engine::live::LiveSet;
use crate::engine::sign::cache::CacheConfig;
use crate::engine::watch::WatchConfig;
use crate::engine::zone::Zones;

/// The configuration of the daemon.
#[derive(Clone, Debug)]
pub struct Config {
    /// The zones.
    pub zones: Zones,
    /// Bounds on signatures.
    pub signatures: CacheConfig,
    /// How answers look.
    pub answer: AnswerConfig,
    /// How proxies are verified.
    pub check: CheckConfig,
    /// How it is learnt which are near.
    pub near: Near,
    /// How the delegation is watched.
    pub watch: Watching,
    /// Where to listen; at least one address.
    pub listen: Vec<SocketAddr>,
    /// Receiving threads.
    pub threads: usize,
    /// How strangers are treated, short of the secret of cookies.
    pub manners: MannersConfig,
    /// File with the secret of cookies.
    pub cookie_secret: Option<PathBuf>,
    /// TCP connections at once.
    pub tcp_connections: usize,
    /// Of those, at most so many from one neighbourhood.
    pub tcp_per_prefix: usize,
    /// Patience with a TCP connection.
    pub tcp_idle: Duration,
    /// Socket of the local index.
    pub index: Option<PathBuf>,
    /// Socket of the index of a network that this one takes the place of.
    pub old_index: Option<PathBuf>,
    /// Where the admin pages are served.
    pub admin: Option<SocketAddr>,
    /// Where replies are noted; `None`: nowhere.
    pub query_log: Option<PathBuf>,
    /// Name of this node.
    pub node: String,
    /// How log lines look.
    pub log_format: Format,
    /// Which log lines are written.
    pub log_filter: Filter,
}

/// How the delegation is watched, and how patiently.
#[derive(Clone, Debug)]
pub struct Watching {
    /// What the engine is told.
    pub engine: WatchConfig,
    /// For one question.
    pub timeout: Duration,
}

/// Shortest time between two looks at the delegation.
const WATCH_MIN: Duration = Duration::from_secs(1);

/// Most bytes of the name of a protocol: far more than any has (RFC 7301 §6).
const ALPN_MAX: usize = 32;

/// Makes the configuration. `None` only if `settings` holds at least one mistake.
pub fn build(settings: &mut Settings) -> Option<Config> {
    let listen: Vec<SocketAddr> = settings.value("dns.listen");
    if listen.is_empty() {
        settings.reject("dns.listen", "at least one address is needed");
    }
    let near = near_config::build(settings);
    let answer = answer(settings, &near);
    let mut check = check(settings, &near);
    let node: String = settings.value("node.name");
    check.server = server(&node, &listen);
    let zones = zone_config::build(settings, &listen);
    let level: String = settings.value("log.level");
    let log_filter = log_filter(settings, &level)?;
    Some(Config {
        zones: zones?,
        signatures: signatures(settings),
        watch: watch(settings),
        answer,
        check,
        near,
        listen,
        threads: threads(settings),
        manners: manners(settings),
        cookie_secret: settings.optional("dns.cookie_secret_file"),
        tcp_per_prefix: at_least_one(settings, "dns.tcp_per_prefix"),
        tcp_connections: at_least_one(settings, "dns.tcp_connections"),
        tcp_idle: settings.value::<Span>("dns.tcp_idle").0,
        index: settings.optional("index.socket"),
        old_index: settings.optional("index.old_socket"),
        admin: settings.optional("admin.listen"),
        query_log: query_log(settings),
        node,
        log_format: settings.value("log.format"),
        log_filter,
    })
}

fn answer(settings: &mut Settings, near: &Near) -> AnswerConfig {
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
        near_ttl: seconds(settings, "answer.near_ttl"),
        levels: near.levels,
        count,
        anchors: LiveSet::new(settings.value::<Vec<IpAddr>>("answer.anchors"), None),
        when_empty,
        last_for: settings.value::<Span>("answer.last_for").0,
        https: https(settings),
    }
}

fn watch(settings: &mut Settings) -> Watching {
    let every = settings.value::<Span>("watch.every").0;
    if every < WATCH_MIN {
        settings.reject(
            "watch.every",
            "at least 1s; parents are other people's servers",
        );
    }
    let timeout = settings.value::<Span>("watch.timeout").0;
    if timeout.is_zero() {
        settings.reject("watch.timeout", "more than nothing is needed");
    }
    let defaults = WatchConfig::default();
    Watching {
        engine: WatchConfig {
            every,
            parents: settings.value("watch.parent"),
            resolver: settings.optional("watch.resolver"),
            port: defaults.port,
        },
        timeout,
    }
}

fn signatures(settings: &mut Settings) -> CacheConfig {
    let entries = NonZeroUsize::new(at_least_one(settings, "zone.signatures"));
    CacheConfig {
        entries: entries.unwrap_or(NonZeroUsize::MIN),
        fresh_per_second: settings.value("zone.signatures_per_second"),
    }
}

/// The protocols of HTTPS records, if there are to be any.
fn https(settings: &mut Settings) -> Option<Vec<String>> {
    let wanted: bool = settings.value("answer.https");
    let protocols: Vec<String> = settings.value("answer.https_alpn");
    let fits = |protocol: &String| {
        (1..=ALPN_MAX).contains(&protocol.len()) && protocol.bytes().all(|b| b.is_ascii_graphic())
    };
    if !protocols.iter().all(fits) {
        settings.reject(
            "answer.https_alpn",
            "a protocol is a word such as h2 or http/1.1",
        );
    }
    wanted.then_some(protocols)
}

fn check(settings: &mut Settings, near: &Near) -> CheckConfig {
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
        proxies: proxies(settings),
        slow: settings.value::<Span>("check.slow").0,
        server: String::new(),
        fixed: settings.value("check.fixed"),
        levels: near.levels,
    }
}

/// Threads, at least one: as many as this machine has cores, unless a number is given.
fn threads(settings: &mut Settings) -> usize {
    match settings.value("dns.threads") {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

fn manners(settings: &mut Settings) -> MannersConfig {
    let nsid: String = settings.value("dns.nsid");
    if nsid.len() > NSID_MAX {
        let message = format!("at most {NSID_MAX} bytes, or replies grow long");
        settings.reject("dns.nsid", message);
    }
    MannersConfig {
        amplification: settings.value("limit.amplification"),
        replies_per_second: settings.value("limit.replies_per_second"),
        nsid: nsid.into_bytes(),
        secrets: None,
    }
}

/// The file of the query log, if there is to be one.
fn query_log(settings: &mut Settings) -> Option<PathBuf> {
    let form: String = settings.value("log.queries");
    let file: Option<PathBuf> = settings.optional("log.queries_file");
    match form.as_str() {
        "off" => None,
        "json" if file.is_some() => file,
        "json" => {
            settings.reject("log.queries_file", "log.queries = json needs a file");
            None
        }
        other => {
            let message = format!("\"{other}\" is neither off nor json");
            settings.reject("log.queries", message);
            None
        }
    }
}

/// What this server is called among the servers of the zone: by its name, or else by its address.
fn server(node: &str, listen: &[SocketAddr]) -> String {
    match listen.first() {
        Some(addr) if node.is_empty() => addr.to_string(),
        _ => node.to_owned(),
    }
}

fn proxies(settings: &mut Settings) -> usize {
    let proxies = at_least_one(settings, "check.proxies_max");
    if proxies > PROXIES_MAX {
        let message = format!("at most {PROXIES_MAX}: no more are known");
        settings.reject("check.proxies_max", message);
    }
    proxies
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
        assert_eq!(config.zones.first().ns().count(), 2);
        assert_eq!(config.listen.len(), 1);
        assert!(built(&[]).unwrap_err().contains("zone: it has no default"));
    }

    #[test]
    fn every_key_is_read_and_its_example_parses() {
        let mut settings = Settings::resolve(KEYS, &Sources::default());
        drop(build(&mut settings));
        assert_eq!(settings.unread(), Vec::<&str>::new());
        // Its example names files, which are read.
        let files = |path: &str| ["zone.keys", "near.map_file"].contains(&path);
        let sets: Vec<_> = KEYS
            .iter()
            .filter(|key| !files(key.path))
            .map(|key| format!("{}={}", key.path, key.example))
            .collect();
        let sets: Vec<_> = sets.iter().map(String::as_str).collect();
        built(&sets).unwrap();
    }

    #[test]
    fn mistakes_say_what_to_do() {
        let rows = [
            ("answer.https_alpn=h 2", "a word such as h2"),
            ("answer.count=0", "between 1 and 16"),
            ("answer.ttl=1500ms", "whole number of seconds"),
            ("answer.when_empty=first", "neither last nor anchors"),
            ("check.http_every=1ms", "at least 10ms"),
            ("check.concurrency=0", "at least 1"),
            ("near.inner=60ms", "near.inner: must be below near.outer"),
            ("near.lookups_per_second=0", "at least 1"),
            ("near.forget=1m", "must not be shorter than near.refresh"),
            ("near.refresh=1ms", "at least 1s"),
            ("check.proxies_max=0", "at least 1"),
            ("log.queries=json", "needs a file"),
            ("log.queries=yes", "neither off nor json"),
            ("check.proxies_max=10001", "at most 10000"),
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
