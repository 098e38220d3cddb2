//! What is kept: the index of whole responses, bounded in bytes. No files, no bodies' bytes.
//!
//! Demand is counted per URL; a URL's variants live and go together, and the [`demand`] decides which
//! goes when the room is used up. The body is an opaque handle of the shell's; its [`Weight`] says what
//! keeping it costs in memory and on disk, and each of the two has its own budget.

pub mod admission;
pub mod demand;
mod entry;
pub mod fields;
mod ghosts;
pub mod object;
pub mod purge;
mod taken;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use std::num::NonZeroUsize;

use common::clock::Moment;
use common::rng::Generator;
use http::HeaderMap;
use indexmap::IndexSet;
use indexmap::set::MutableValues as _;
use lru::LruCache;

use super::http::key::PrimaryKey;
use super::http::vary::Vary;
use demand::{DRAWN, Demand};
use entry::{Entry, Variant};
use object::{Door, Object};
use taken::taken;

/// Variants kept of one URL; the one stored longest ago goes first. More mean that Vary names
/// something that is different for everyone.
pub const VARIANTS_MAX: usize = 8;

/// Bytes that an entry costs beside its URL, its packed fields and its body: the object, the body's
/// handle, the table, and what the allocator adds to each. As measured (`bench -- http-memory`); a test
/// holds the account to within a tenth of what the process has.
const OVERHEAD: u64 = 356;

/// URLs that are looked at to find the hottest: those whose uses doubled last, and while they are not
/// as many, those that came. Enough to hold a node's busy ones, few enough to go through while requests
/// wait.
pub const RISING: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

/// URLs found again that are noted at a time: requests wait while they are offered to the disk.
pub const AGAIN_MAX: usize = 1_024;

/// Bytes of memory, and of disk, for each URL that is remembered when it is gone: what half of the
/// pages of a busy node are smaller than.
const REMEMBERED_PER: (u64, u64) = (8 << 10, 1 << 20);

/// URLs remembered: at least and at most, which takes 32 MiB.
const REMEMBERED: (u64, u64) = (1 << 10, 1 << 20);

/// Randomly seeded, as the order of nothing depends on it.
type Hashing = foldhash::fast::RandomState;

/// What keeping a response costs.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Weight {
    /// Bytes of the body in memory.
    pub memory: u64,
    /// Bytes of the body on disk.
    pub disk: u64,
}

/// Bytes that may be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// In memory, header fields and overhead included.
    pub memory: u64,
    /// On disk.
    pub disk: u64,
}

/// Which of several variants `request` selects: see [`Store::find`].
pub fn choose<'a, B>(
    newest_first: impl Iterator<Item = &'a Arc<Object<B>>>,
    request: &HeaderMap,
    is_fresh: impl Fn(&Object<B>) -> bool,
) -> Option<&'a Arc<Object<B>>> {
    let mut fitting = newest_first.filter(|object| object.answers(request));
    let newest = fitting.next()?;
    let chosen = if *newest.vary() == Vary::None {
        fitting.find(|object| *object.vary() != Vary::None && is_fresh(object))
    } else {
        None
    };
    Some(chosen.unwrap_or(newest))
}

/// The responses kept.
pub struct Store<B> {
    entries: IndexSet<Entry<B>, Hashing>,
    /// Those of them that take room on disk.
    on_disk: IndexSet<PrimaryKey, Hashing>,
    /// Those whose uses doubled, the last ones last.
    rising: LruCache<PrimaryKey, ()>,
    /// Those found again of which nothing was said yet, if anybody wants to know.
    again: Option<Vec<PrimaryKey>>,
    demand: Demand,
    budget: Budget,
    used: Weight,
    evictions: u64,
}

impl<B> std::fmt::Debug for Store<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("used", &self.used)
            .field("budget", &self.budget)
            .finish()
    }
}

impl<B> Store<B> {
    /// An empty store of this budget. `rng` draws those of which one has to go.
    #[must_use]
    pub fn new(budget: Budget, rng: Generator) -> Self {
        let (per_memory, per_disk) = REMEMBERED_PER;
        let remembered = budget.memory / per_memory + budget.disk / per_disk;
        let remembered = remembered.clamp(REMEMBERED.0, REMEMBERED.1);
        // Bounded by bytes, below, not by count.
        Self {
            entries: IndexSet::default(),
            on_disk: IndexSet::default(),
            rising: LruCache::new(RISING),
            again: None,
            demand: Demand::new(usize::try_from(remembered).unwrap_or(usize::MAX), rng),
            budget,
            used: Weight::default(),
            evictions: 0,
        }
    }

    /// The variant of `key` that `request` selects, marked as used. Of several it is the one
    /// received last; but a site that forgets Vary on its default answer does not mean that answer
    /// for everybody, so a fresh one with Vary comes before it (RFC 9111 §4.1).
    pub fn find(
        &mut self,
        key: &PrimaryKey,
        request: &HeaderMap,
        is_fresh: impl Fn(&Object<B>) -> bool,
    ) -> Option<Arc<Object<B>>> {
        let (at, entry) = self.entries.get_full(key.as_str())?;
        let object = entry.choose(request, is_fresh).map(Arc::clone);
        self.count(at, Door::Careful);
        object
    }

    /// The same for the resource at `url`, where the request's fields are asked for only if they
    /// matter. It counts as found only if `wanted` says so.
    pub fn find_at(
        &mut self,
        url: &str,
        request: impl FnOnce() -> HeaderMap,
        is_fresh: impl Fn(&Object<B>) -> bool,
        wanted: impl FnOnce(&Object<B>) -> bool,
    ) -> Option<Arc<Object<B>>> {
        let (at, entry) = self.entries.get_full(url)?;
        let object = match entry.variants() {
            [only] if *only.object.vary() == Vary::None => &only.object,
            _ => entry.choose(&request(), is_fresh)?,
        };
        if !wanted(object) {
            return None;
        }
        let object = Arc::clone(object);
        self.count(at, Door::Plain);
        Some(object)
    }

    /// The URL at this place was looked for and found, and is answered through this door.
    fn count(&mut self, at: usize, door: Door) {
        let kept = self.entries.len();
        if let Some(entry) = self.entries.get_index_mut2(at) {
            entry.found = entry.found.saturating_add(1);
            self.used.memory += entry.passes(door);
            self.demand.used(&mut entry.uses, kept);
            if entry.found.is_power_of_two() {
                let key = entry.key();
                self.rising.put(key.clone(), ());
                // One that finds no room here will be found again.
                let again = self.again.as_mut();
                if let Some(again) = again.filter(|again| again.len() < AGAIN_MAX) {
                    again.push(key.clone());
                }
            }
        }
    }

    /// What is kept of the resource at `url` was of use, though nobody asked for it by name.
    pub fn touch(&mut self, url: &str) {
        if let Some(at) = self.entries.get_index_of(url) {
            self.count(at, Door::Careful);
        }
    }

    /// Whether any variant of `key` is kept. Does not count as use.
    #[must_use]
    pub fn has(&self, key: &PrimaryKey) -> bool {
        self.entries.contains(key.as_str())
    }

    /// Whether `object` itself is kept.
    #[must_use]
    pub fn keeps(&self, object: &Arc<Object<B>>) -> bool {
        let entry = self.entries.get(object.key.as_str());
        entry.is_some_and(|entry| {
            let mut kept = entry.variants().iter();
            kept.any(|variant| Arc::ptr_eq(&variant.object, object))
        })
    }

    /// Whether a variant for the same requests as `object` is kept, or as many others as are kept of a
    /// URL.
    #[must_use]
    pub fn has_variant(&self, object: &Object<B>) -> bool {
        let entry = self.entries.get(object.key.as_str());
        entry.is_some_and(|entry| {
            let kept = entry.variants();
            kept.len() >= VARIANTS_MAX || kept.iter().any(|old| replaces(object, &old.object))
        })
    }

    /// Has URLs that are found for the first, second, fourth, ... time be noted from now on, or not.
    pub fn note_again(&mut self, on: bool) {
        self.again = on.then(Vec::new);
    }

    /// The URLs noted since this was asked; each may stand there twice.
    pub fn take_again(&mut self) -> Vec<PrimaryKey> {
        self.again.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// How often a URL is known to have been asked for before.
    #[must_use]
    pub fn asked(&self, key: &PrimaryKey) -> u64 {
        self.found(key).max(self.demand.remembered(key).into())
    }

    /// Every variant of `key` that is kept. Does not count as use.
    pub fn kept(&self, key: &PrimaryKey) -> impl Iterator<Item = &Arc<Object<B>>> {
        let entry = self.entries.get(key.as_str()).into_iter();
        entry.flat_map(|entry| entry.variants().iter().map(|variant| &variant.object))
    }

    /// How often a URL was looked for and found since something of it is kept.
    #[must_use]
    pub fn found(&self, key: &PrimaryKey) -> u64 {
        let entry = self.entries.get(key.as_str());
        entry.map_or(0, |entry| entry.found.into())
    }

    /// The variant of `key` received last. Does not count as use.
    #[must_use]
    pub fn latest(&self, key: &PrimaryKey) -> Option<&Arc<Object<B>>> {
        let variants = self.entries.get(key.as_str())?.variants();
        variants.last().map(|variant| &variant.object)
    }

    /// Keeps `object` in place of the variant it replaces, and returns the URLs that had to go for
    /// it: its own too, if nobody is expected to ask for it before the others. What is larger than the
    /// whole budget is not kept, nor what it would have replaced.
    pub fn insert(&mut self, object: Arc<Object<B>>, weight: Weight) -> Vec<PrimaryKey> {
        let key = object.key.clone();
        let weight = Weight {
            memory: taken(weight.memory) + OVERHEAD + object.head_bytes(),
            ..weight
        };
        if weight.memory > self.budget.memory || weight.disk > self.budget.disk {
            self.remove(&key);
            self.evictions += 1;
            return vec![key];
        }
        let kept = self.entries.len();
        if self.rising.len() < RISING.get() {
            self.rising.put(key.clone(), ());
        }
        let variant = Variant { object, weight };
        let at = self.entries.get_index_of(key.as_str());
        let (before, after) = match at.and_then(|at| self.entries.get_index_mut2(at)) {
            Some(entry) => {
                let before = entry.weight();
                if entry.retain(|old| !replaces(&variant.object, &old.object)) {
                    entry.push(variant, VARIANTS_MAX);
                } else {
                    entry.replace(variant);
                }
                (before, entry.weight())
            }
            None => {
                let entry = Entry::new(variant, self.demand.comes(&key, kept));
                let after = entry.weight();
                self.entries.insert(entry);
                (Weight::default(), after)
            }
        };
        self.weigh(&key, before, after);
        self.evict()
    }

    /// Takes this very variant out, if it is still there: something newer has taken its place.
    pub fn remove_variant(&mut self, object: &Arc<Object<B>>) {
        let key = &object.key;
        let at = self.entries.get_index_of(key.as_str());
        let Some(entry) = at.and_then(|at| self.entries.get_index_mut2(at)) else {
            return;
        };
        let before = entry.weight();
        if entry.retain(|old| !Arc::ptr_eq(&old.object, object)) {
            let after = entry.weight();
            self.weigh(key, before, after);
        } else {
            self.weigh(key, before, Weight::default());
            self.entries.swap_remove(key.as_str());
        }
    }

    /// Takes every variant of `key` out.
    pub fn remove(&mut self, key: &PrimaryKey) -> bool {
        let Some(entry) = self.entries.swap_take(key.as_str()) else {
            return false;
        };
        self.weigh(key, entry.weight(), Weight::default());
        true
    }

    fn evict(&mut self) -> Vec<PrimaryKey> {
        let mut gone = Vec::new();
        while self.used.memory > self.budget.memory {
            let Some(at) = self.least(self.entries.len(), |_, at| at, |weight| weight.memory)
            else {
                break;
            };
            self.evict_at(at, &mut gone);
        }
        while self.used.disk > self.budget.disk {
            let place = |store: &Self, at| {
                let key = store.on_disk.get_index(at);
                key.and_then(|key| store.entries.get_index_of(key.as_str()))
                    .unwrap_or(0)
            };
            let Some(at) = self.least(self.on_disk.len(), place, |weight| weight.disk) else {
                break;
            };
            self.evict_at(at, &mut gone);
        }
        gone
    }

    /// The place of the entry that is worth least, of a few drawn from `among` and found by `place`.
    fn least(
        &mut self,
        among: usize,
        place: impl Fn(&Self, usize) -> usize,
        gives_back: fn(Weight) -> u64,
    ) -> Option<usize> {
        let kept = self.entries.len();
        let mut least: Option<(usize, f64)> = None;
        for turn in 0..among.min(DRAWN) {
            let drawn = if among <= DRAWN {
                turn
            } else {
                self.demand.draw(among)
            };
            let at = place(self, drawn);
            let entry = self.entries.get_index(at)?;
            let bytes = gives_back(entry.weight());
            let worth = self.demand.worth(entry.uses, bytes, kept);
            if least.is_none_or(|(_, other)| worth < other) {
                least = Some((at, worth));
            }
        }
        least.map(|(at, _)| at)
    }

    fn evict_at(&mut self, at: usize, gone: &mut Vec<PrimaryKey>) {
        let Some(entry) = self.entries.swap_remove_index(at) else {
            return;
        };
        let key = entry.key().clone();
        self.demand.goes(&key, entry.uses);
        self.weigh(&key, entry.weight(), Weight::default());
        self.evictions += 1;
        gone.push(key);
    }

    /// What `key` takes has changed.
    fn weigh(&mut self, key: &PrimaryKey, before: Weight, after: Weight) {
        let moved = |used: u64, before: u64, after: u64| (used + after).saturating_sub(before);
        self.used.memory = moved(self.used.memory, before.memory, after.memory);
        self.used.disk = moved(self.used.disk, before.disk, after.disk);
        if after.disk > 0 {
            self.on_disk.insert(key.clone());
        } else if before.disk > 0 {
            self.on_disk.swap_remove(key);
        }
    }

    /// What is used now.
    #[must_use]
    pub const fn used(&self) -> Weight {
        self.used
    }

    /// URLs kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// URLs that had to go so far.
    #[must_use]
    pub const fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Of the [`RISING`] URLs those found most often, most first: for the state page.
    #[must_use]
    pub fn hottest(&self, now: Moment, most: usize) -> Vec<Kept> {
        let kept = |(key, ()): (&PrimaryKey, &())| self.entries.get(key.as_str());
        let mut rising: Vec<_> = self.rising.iter().filter_map(kept).collect();
        rising.sort_by_key(|entry| std::cmp::Reverse(entry.found));
        let row = |entry: &Entry<B>| Kept {
            key: entry.key().clone(),
            found: entry.found.into(),
            age: entry
                .variants()
                .last()
                .map(|variant| variant.object.age(now)),
            variants: entry.variants().len(),
            bytes: entry.weight().memory + entry.weight().disk,
        };
        rising.into_iter().take(most).map(row).collect()
    }
}

/// Whether one response answers the very requests that another does.
fn replaces<B>(new: &Object<B>, old: &Object<B>) -> bool {
    old.vary_key() == new.vary_key() && old.vary() == new.vary()
}

/// A URL that is kept, as the state page shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Which.
    pub key: PrimaryKey,
    /// How often it was looked for and found.
    pub found: u64,
    /// Age of the variant received last.
    pub age: Option<Duration>,
    /// Its variants.
    pub variants: usize,
    /// Bytes of all of them.
    pub bytes: u64,
}
