//! The validated configuration of the daemon, made of its [keys].

mod keys;

use std::net::SocketAddr;
use std::path::PathBuf;

use common::config::{ByteSize, FromSetting, Settings, Span};
use common::limits::LEVELS_MAX;
use common::shell::log::{Filter, Format};
use common::trace::otlp::Collector;

pub use self::keys::KEYS;
use crate::engine::config::{
    AdmitConfig, Config, ContactConfig, FullConfig, IndexKind, LevelConfig, LookupConfig,
    RpcConfig, StoreConfig,
};
use crate::engine::retire::Terms;

/// The configuration of the daemon.
#[derive(Clone, Debug)]
pub struct DaemonConfig {
    /// Where datagrams arrive.
    pub udp_listen: SocketAddr,
    /// Where others reach this node; `None`: at the bound address.
    pub udp_advertise: Option<SocketAddr>,
    /// Path of the local socket, if there is to be one.
    pub local_socket: Option<PathBuf>,
    /// Directory of the remembered peers, if any.
    pub state_dir: Option<PathBuf>,
    /// Socket of the index of the network that takes the place of this one's.
    pub retire_beside: Option<PathBuf>,
    /// When to leave then.
    pub retire: Terms,
    /// The secret's file.
    pub secret_file: PathBuf,
    /// Where the admin pages are, if anywhere.
    pub admin_listen: Option<SocketAddr>,
    /// The node's name for people.
    pub node_name: String,
    /// How log lines look.
    pub log_format: Format,
    /// Which log lines are written.
    pub log_level: Filter,
    /// Where kept spans go, if anywhere.
    pub export: Option<Collector>,
    /// How the engine behaves.
    pub engine: Config,
}

impl DaemonConfig {
    /// Reads `settings`; mistakes go back into them.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Self {
        let config = Self {
            udp_listen: settings.value("udp.listen"),
            udp_advertise: settings.optional("udp.advertise"),
            local_socket: settings.optional("local.socket"),
            state_dir: settings.optional("state.dir"),
            retire_beside: settings.optional("retire.beside"),
            retire: Terms {
                window: settings.value::<Span>("retire.window").0,
                quiet: settings.value::<Span>("retire.quiet").0,
                deadline: settings.value::<Span>("retire.deadline").0,
            },
            secret_file: settings.optional("network.secret_file").unwrap_or_default(),
            admin_listen: settings.optional("admin.listen"),
            node_name: settings.optional("node.name").unwrap_or_default(),
            log_format: settings.value("log.format"),
            log_level: settings.value("log.level"),
            export: settings.optional("trace.export"),
            engine: engine(settings),
        };
        config.check(settings);
        config
    }

    fn check(&self, settings: &mut Settings) {
        if self.secret_file.as_os_str().is_empty() {
            let advice = "it must be set; make a secret with `atoll secret new --out FILE`, once \
                          per network, and give the same file to every node";
            settings.reject("network.secret_file", advice);
        }
        let lookup = &self.engine.lookup;
        if !(1..=16).contains(&lookup.window) {
            settings.reject("lookup.window", "must be 1 to 16");
        }
        if !(1..=8).contains(&lookup.replicas) {
            settings.reject("lookup.replicas", "must be 1 to 8");
        }
        if lookup.settle < lookup.replicas || lookup.settle > 16 {
            settings.reject("lookup.settle", "must be lookup.replicas to 16");
        }
        if !(1..=8).contains(&lookup.bits_per_hop) {
            settings.reject("lookup.bits_per_hop", "must be 1 to 8");
        }
        if !(1..=16).contains(&self.engine.store.full) {
            settings.reject("store.full", "must be 1 to 16");
        }
        let levels = &self.engine.levels;
        let shrinking = levels.thresholds.is_sorted_by(|outer, inner| outer > inner);
        let positive = levels.thresholds.iter().all(|limit| !limit.is_zero());
        if levels.thresholds.len() >= LEVELS_MAX || !shrinking || !positive {
            let advice = "must be at most 7 durations, each under the one before";
            settings.reject("levels.thresholds", advice);
        }
        if !(1..=3_600).contains(&levels.reconsider.as_secs()) {
            settings.reject("levels.reconsider", "must be 1s to 1h");
        }
        if !(5..=3_600).contains(&self.retire.window.as_secs()) {
            settings.reject("retire.window", "must be 5s to 1h");
        }
        let full = &self.engine.full;
        if !(1..=8).contains(&full.replicas) {
            settings.reject("full.replicas", "must be 1 to 8");
        }
        if !(100..=60_000).contains(&full.probe_every.as_millis()) {
            settings.reject("full.probe_every", "must be 100ms to 1m");
        }
        let admit = &self.engine.admit;
        if admit.key_gets_per_second == 0 || admit.key_puts_per_second == 0 {
            let key = if admit.key_gets_per_second == 0 {
                "admit.key_gets"
            } else {
                "admit.key_puts"
            };
            settings.reject(key, "must be at least 1");
        }
        if !(1..=300).contains(&self.engine.contacts.ping_idle.as_secs()) {
            settings.reject("ping.idle", "must be 1s to 5m");
        }
        match self.udp_advertise {
            Some(addr) if addr.ip().is_unspecified() || addr.port() == 0 => {
                settings.reject(
                    "udp.advertise",
                    format!("{addr} is nowhere others can send to"),
                );
            }
            None if self.udp_listen.ip().is_unspecified() && self.engine.seeds.is_empty() => {
                let advice = "must be set when udp.listen is every address of the machine and \
                              join.seeds names nobody from whose direction it could be learnt";
                settings.reject("udp.advertise", advice);
            }
            _ => {}
        }
    }
}

impl FromSetting for IndexKind {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error| format!("{error}"))
    }
}

fn engine(settings: &mut Settings) -> Config {
    let store = StoreConfig {
        values: settings.value("store.values"),
        bytes: {
            let size: ByteSize = settings.value("store.bytes");
            usize::try_from(size.0).unwrap_or(usize::MAX)
        },
        values_per_publisher: settings.value("store.values_per_publisher"),
        ttl_max: settings.value::<Span>("store.ttl_max").0,
        full: settings.value("store.full"),
        beta: settings.value("store.beta"),
        ..StoreConfig::default()
    };
    let lookup = LookupConfig {
        bits_per_hop: settings.value("lookup.bits_per_hop"),
        window: settings.value("lookup.window"),
        settle: settings.value("lookup.settle"),
        replicas: settings.value("lookup.replicas"),
        tasks: settings.value("lookup.commands"),
        ..LookupConfig::default()
    };
    let admit = AdmitConfig {
        strangers_per_second: settings.value("admit.strangers"),
        members_per_second: settings.value("admit.members"),
        key_gets_per_second: settings.value("admit.key_gets"),
        key_puts_per_second: settings.value("admit.key_puts"),
        ..AdmitConfig::default()
    };
    let full = FullConfig {
        replicas: settings.value("full.replicas"),
        probe_every: settings.value::<Span>("full.probe_every").0,
        members: settings.value("full.members"),
        ..FullConfig::default()
    };
    let contacts = ContactConfig {
        ping_idle: settings.value::<Span>("ping.idle").0,
        ..ContactConfig::default()
    };
    let thresholds = settings.optional::<Vec<Span>>("levels.thresholds");
    let levels = LevelConfig {
        thresholds: thresholds
            .unwrap_or_default()
            .into_iter()
            .map(|span| span.0)
            .collect(),
        reconsider: settings.value::<Span>("levels.reconsider").0,
    };
    Config {
        kind: settings.value("index.kind"),
        full,
        levels,
        seeds: settings
            .optional::<Vec<SocketAddr>>("join.seeds")
            .unwrap_or_default(),
        remembered: Vec::new(),
        store,
        lookup,
        rpc: RpcConfig::default(),
        admit,
        contacts,
    }
}

#[cfg(test)]
mod tests {
    use common::config::Sources;

    use super::*;

    fn mistakes(sets: &[&str]) -> String {
        let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
        let mut settings = Settings::resolve(
            KEYS,
            &Sources {
                sets: &sets,
                ..Sources::default()
            },
        );
        drop(DaemonConfig::read(&mut settings));
        assert_eq!(
            settings.unread(),
            Vec::<&str>::new(),
            "a key without effect"
        );
        settings
            .finish()
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn only_the_secret_must_be_set() {
        assert_eq!(mistakes(&["network.secret_file=/s"]), "");
        assert!(mistakes(&[]).contains("atoll secret new"));
    }

    #[test]
    fn an_address_nobody_can_send_to_is_refused() {
        let secret = "network.secret_file=/s";
        let said = mistakes(&[secret, "udp.listen=0.0.0.0:7400"]);
        assert!(said.contains("udp.advertise: must be set"), "{said}");
        let said = mistakes(&[secret, "udp.advertise=0.0.0.0:7400"]);
        assert!(said.contains("nowhere"), "{said}");
        let both = [
            secret,
            "udp.listen=0.0.0.0:7400",
            "udp.advertise=192.0.2.1:7400",
        ];
        assert_eq!(mistakes(&both), "");
    }

    #[test]
    fn numbers_out_of_range_are_refused_together() {
        let said = mistakes(&[
            "network.secret_file=/s",
            "lookup.window=0",
            "lookup.replicas=9",
            "lookup.settle=1",
            "ping.idle=10m",
            "levels.thresholds=20ms,60ms",
            "levels.reconsider=2h",
            "lookup.bits_per_hop=0",
            "store.full=0",
            "full.replicas=0",
            "full.probe_every=1ms",
            "retire.window=4s",
            "index.kind=round",
        ]);
        for key in [
            "lookup.window",
            "lookup.replicas",
            "lookup.settle",
            "ping.idle",
            "levels.thresholds",
            "levels.reconsider",
            "lookup.bits_per_hop",
            "store.full",
            "full.replicas",
            "full.probe_every",
            "retire.window",
            "index.kind",
        ] {
            assert!(said.contains(key), "{key} in {said}");
        }
    }
}
