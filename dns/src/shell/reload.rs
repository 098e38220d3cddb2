//! What changes while the server runs: on SIGHUP the zones, their keys, how answers look and the map are
//! read anew, and hold for the next question. Nobody who answers waits for it.
//!
//! What cannot be read or understood changes nothing, and is said loudly: the last good state goes on.
//! Sockets, checks, limits and the first zone's name change with a restart alone.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::shell::signals::Shutdown;
use common::telemetry::Metric;
use tokio::signal::unix::Signal;

use super::config::Config;
use super::geography::Geography;
use super::lock;
use super::published::Published;
use crate::engine::watch::Watch;
use crate::engine::zone::{ZoneData, Zones};

/// Builds the configuration anew, from where it came at the start. Reads files.
#[derive(Clone)]
pub struct Again(Arc<dyn Fn() -> Result<Config, String> + Send + Sync>);

impl Again {
    /// One that does `build`.
    pub fn new(build: impl Fn() -> Result<Config, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(build))
    }
}

impl fmt::Debug for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Again(..)")
    }
}

/// How often it was done.
#[derive(Clone, Debug, Default)]
pub struct Reloads(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    done: AtomicU64,
    failed: AtomicU64,
}

impl Reloads {
    /// The numbers.
    #[must_use]
    pub fn metric(&self) -> Metric {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Metric::counters(
            "atoll_dns_reloads",
            "Configurations read anew, by whether they were taken over",
            "outcome",
            [
                ("done", read(&self.0.done)),
                ("failed", read(&self.0.failed)),
            ],
        )
    }
}

/// Everything it takes.
#[derive(Debug)]
pub struct Reloading {
    /// Where the configuration comes from.
    pub again: Again,
    /// What answers are made from.
    pub published: Arc<Published>,
    /// Where clients are.
    pub geography: Arc<Geography>,
    /// The delegation watch, if there is one.
    pub watch: Option<Arc<Mutex<Watch>>>,
    /// Counts.
    pub reloads: Reloads,
}

impl Reloading {
    /// Takes the configuration over at each `hangup`, until the process drains.
    #[expect(
        clippy::cognitive_complexity,
        reason = "what the log's macros hide counts"
    )]
    pub async fn run(self, mut hangup: Signal, mut shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = shutdown.draining() => return,
                told = hangup.recv() => if told.is_none() { return },
            }
            let Again(build) = self.again.clone();
            let built = tokio::task::spawn_blocking(move || build()).await;
            let built = built.unwrap_or_else(|error| Err(error.to_string()));
            let outcome = match built.and_then(|config| self.take_over(config)) {
                Ok(zones) => {
                    tracing::info!(
                        zones,
                        "zone.* with its keys, answer.* and near.map_file were read anew; other settings change with a restart"
                    );
                    &self.reloads.0.done
                }
                Err(error) => {
                    tracing::warn!(
                        %error,
                        "the configuration is bad: the last good one stays in force"
                    );
                    &self.reloads.0.failed
                }
            };
            outcome.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take_over(&self, config: Config) -> Result<usize, String> {
        let old = Arc::clone(&self.published.current().zones);
        may_follow(&old, &config.zones)?;
        let zones = Arc::new(config.zones);
        self.published
            .publish_zones(Arc::clone(&zones), Arc::new(config.answer));
        self.geography.replace(config.near.map);
        let count = zones.iter().count();
        if let Some(watch) = &self.watch {
            lock(watch).replace(zones);
        }
        Ok(count)
    }
}

/// Whether `new` can follow `old` in a running server.
fn may_follow(old: &Zones, new: &Zones) -> Result<(), String> {
    let (was, is) = (old.first().grammar(), new.first().grammar());
    if was.as_str() != is.as_str() {
        return Err(format!(
            "the first zone was {was} and is {is}: proxies are checked by its name, restart the server"
        ));
    }
    for zone in new.iter() {
        let before = old.iter().find(|other| other.origin() == zone.origin());
        if let Some(tag) = before.and_then(|before| confused(before, zone)) {
            return Err(format!(
                "a key of {} has the tag {tag} of another that signed it until now, and signatures \
                 are kept by tag: make another key, or restart the server",
                zone.grammar()
            ));
        }
    }
    Ok(())
}

/// The tag that two different keys of the editions of a zone share.
fn confused(old: &ZoneData, new: &ZoneData) -> Option<u16> {
    let keys = |zone: &ZoneData| zone.ring().map_or(Vec::new(), |ring| ring.keys().to_vec());
    let before = keys(old);
    let same_tag = |key: &crate::engine::sign::ring::Key| {
        let others = before.iter();
        let mut others = others.filter(|other| other.tag == key.tag);
        others.any(|other| other.dnskey() != key.dnskey())
    };
    keys(new)
        .iter()
        .find(|key| same_tag(key))
        .map(|key| key.tag)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use common::config::{Settings, Sources};

    use super::*;
    use crate::engine::snapshot::Snapshot;
    use crate::shell::{config, keyfile, keys};

    fn built(zone: &str, more: &[&str]) -> Result<Config, String> {
        let mut sets = vec![format!("zone={zone}")];
        sets.extend(more.iter().map(|text| (*text).to_owned()));
        let sources = Sources {
            sets: &sets,
            ..Sources::default()
        };
        let mut settings = Settings::resolve(keys::KEYS, &sources);
        let config = config::build(&mut settings);
        settings.finish().map_err(|error| error.to_string())?;
        Ok(config.expect("no mistake, so there is one"))
    }

    fn reloading() -> Reloading {
        let config = built("nyud.test", &[]).unwrap();
        let first = Snapshot::new(config.zones, config.answer);
        Reloading {
            again: Again::new(|| Err("never called".to_owned())),
            published: Arc::new(Published::new(first)),
            geography: Arc::new(Geography::new(None)),
            watch: None,
            reloads: Reloads::default(),
        }
    }

    #[test]
    fn records_answers_and_further_zones_are_taken_over_and_what_is_known_stays() {
        let reloading = reloading();
        let mut seen = 0;
        drop(reloading.published.newer(&mut seen));
        let live = Arc::clone(&reloading.published.current().live);
        let sets = ["zone.records=mail A 192.0.2.5", "answer.count=2"];
        let config = built("nyud.test,other.test", &sets).unwrap();
        assert_eq!(reloading.take_over(config), Ok(2));
        let now = reloading.published.newer(&mut seen).unwrap();
        assert_eq!((now.config.count, now.zones.first().static_count()), (2, 1));
        assert!(Arc::ptr_eq(&now.live, &live));
    }

    #[test]
    fn another_first_zone_is_refused_and_changes_nothing() {
        let reloading = reloading();
        let mut seen = 0;
        drop(reloading.published.newer(&mut seen));
        let refused = reloading.take_over(built("other.test,nyud.test", &[]).unwrap());
        assert!(refused.unwrap_err().contains("restart the server"));
        assert!(reloading.published.newer(&mut seen).is_none());
    }

    /// Two keys that share a tag, as one pair in 65,536 does: the files, and the tag.
    fn confusable(dir: &Path) -> (String, String, u16) {
        let mut seen = BTreeMap::new();
        for n in 0..10_000 {
            let file = dir.join(format!("{n}.pem"));
            keyfile::create(&file).unwrap();
            let set = format!("zone.keys=active={}", file.display());
            let config = built("nyud.test", &[&set]).unwrap();
            let tag = config.zones.first().ring().unwrap().keys()[0].tag;
            if let Some(other) = seen.insert(tag, set.clone()) {
                return (other, set, tag);
            }
        }
        panic!("ten thousand keys with a tag of their own each, of 65,536");
    }

    #[test]
    fn another_key_with_the_tag_of_one_that_signed_is_refused_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other, tag) = confusable(dir.path());
        let reloading = reloading();
        let signed = |set: &str| built("nyud.test", &[set]).unwrap();
        assert_eq!(reloading.take_over(signed(&one)), Ok(1));
        let mut seen = 0;
        drop(reloading.published.newer(&mut seen));
        let refused = reloading.take_over(signed(&other)).unwrap_err();
        assert!(
            refused.contains(&format!("the tag {tag} of another")),
            "{refused}"
        );
        assert!(reloading.published.newer(&mut seen).is_none());
        // The key itself may come again.
        assert_eq!(reloading.take_over(signed(&one)), Ok(1));
    }
}
