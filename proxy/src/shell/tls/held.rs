//! The certificates in force: found by name during a handshake, read anew when their files change.
//!
//! What cannot be read or does not fit changes nothing: the certificate that was read from the same
//! files before stays in force, and its misfortune holds up no other. A chain and its key are
//! written one after the other, so that a look in between finds two that do not fit; the next look
//! finds the rest.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::load::{self, BadCertificate, Certificate};
use crate::engine::certificates::{Names, Pair, Shelf, Shown, Source};

/// See the module.
#[derive(Debug)]
pub(crate) struct Held {
    sources: Vec<Source>,
    provider: Arc<CryptoProvider>,
    set: RwLock<Arc<Set>>,
    /// Of the files that were looked at last.
    stamps: Mutex<Stamps>,
}

/// What tells one version of the files from another.
type Stamps = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

/// Never empty.
#[derive(Debug)]
struct Set {
    shelf: Shelf,
    all: Vec<Certificate>,
}

/// What a look at the files brought.
#[derive(Debug)]
pub(crate) struct Renewed {
    /// Certificates in force.
    pub(crate) held: usize,
    /// What is wrong with those that could not be read.
    pub(crate) mistakes: Vec<BadCertificate>,
}

impl Held {
    /// Reads all of `sources`.
    ///
    /// # Errors
    /// One of them is bad: at the start, all have to be good.
    pub(crate) fn read(
        sources: Vec<Source>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, BadCertificate> {
        let pairs = load::pairs(&sources)?;
        let stamps = stamps(&pairs);
        let all = pairs.into_iter().map(|pair| load::read(pair, &provider));
        let set = Set::new(all.collect::<Result<_, _>>()?);
        Ok(Self {
            sources,
            provider,
            set: RwLock::new(Arc::new(set)),
            stamps: Mutex::new(stamps),
        })
    }

    /// Looks at the files, and reads them anew if they have changed or if `told`. `None` if there is
    /// nothing new. Blocks for as long as the disk does.
    pub(crate) fn look(&self, told: bool) -> Option<Renewed> {
        let pairs = match load::pairs(&self.sources) {
            Ok(pairs) => pairs,
            Err(error) => return self.bad_once(error, told),
        };
        if !self.seen(stamps(&pairs)) && !told {
            return None;
        }
        let before = self.set();
        let (mut all, mut mistakes) = (Vec::new(), Vec::new());
        for pair in pairs {
            match load::read(pair.clone(), &self.provider) {
                Ok(certificate) => all.push(certificate),
                Err(error) => {
                    mistakes.push(error);
                    all.extend(before.all.iter().find(|kept| kept.pair == pair).cloned());
                }
            }
        }
        // Everything suddenly gone means that something is wrong.
        if !all.is_empty() {
            let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
            *set = Arc::new(Set::new(all));
        }
        let held = self.set().all.len();
        Some(Renewed { held, mistakes })
    }

    /// The sources themselves are bad: says so when it is new.
    fn bad_once(&self, error: BadCertificate, told: bool) -> Option<Renewed> {
        let held = self.set().all.len();
        (self.seen(Vec::new()) || told).then(|| Renewed {
            held,
            mistakes: vec![error],
        })
    }

    /// Takes note of what the files are. Whether that is new.
    fn seen(&self, stamps: Stamps) -> bool {
        let mut seen = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        let new = *seen != stamps;
        *seen = stamps;
        new
    }

    fn set(&self) -> Arc<Set> {
        Arc::clone(&self.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a client that asked for `name` is shown.
    pub(crate) fn shown(&self, name: Option<&str>) -> Shown {
        let set = self.set();
        let first = set.shelf.find(name).first();
        let names = first.and_then(|at| set.all.get(*at));
        Shown {
            asked: name.map(|name| name.to_ascii_lowercase().into()),
            names: names.map_or_else(Arc::default, |found| Arc::clone(&found.names)),
        }
    }
}

impl Set {
    fn new(all: Vec<Certificate>) -> Self {
        let shelf = Shelf::new(all.iter().map(|one| -> &Names { &one.names }));
        Self { shelf, all }
    }
}

impl ResolvesServerCert for Held {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let set = self.set();
        let found = set.shelf.find(hello.server_name());
        let mut found = found.iter().filter_map(|at| set.all.get(*at));
        let first = found.next()?;
        // Of several for one name, the first whose kind of key the client can check.
        let known = |one: &&Certificate| {
            let schemes = hello.signature_schemes();
            one.key.key.choose_scheme(schemes).is_some()
        };
        let chosen = [first].into_iter().chain(found).find(known);
        Some(Arc::clone(&chosen.unwrap_or(first).key))
    }
}

fn stamps(pairs: &[Pair]) -> Stamps {
    let files = pairs.iter().flat_map(|pair| [&pair.chain, &pair.key]);
    let stamp = |file: &PathBuf| {
        let about = std::fs::metadata(file).ok()?;
        Some((about.modified().ok()?, about.len()))
    };
    files.map(|file| (file.clone(), stamp(file))).collect()
}
