//! What is kept: the index of whole responses, bounded in bytes. No files, no bodies' bytes.
//!
//! Recency is per URL; a URL's variants live and go together. The body is an opaque handle of the
//! shell's; its [`Weight`] says what keeping it costs in memory and on disk, and each of the two has
//! its own budget.

pub mod object;

use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use http::HeaderMap;
use lru::LruCache;

use super::http::key::PrimaryKey;
use super::http::vary::Vary;
use object::Object;

/// Variants kept of one URL; the one stored longest ago goes first. More mean that Vary names
/// something that is different for everyone.
pub const VARIANTS_MAX: usize = 8;

/// Bytes that an entry costs beside its header fields and body: keys, lists, allocator.
const OVERHEAD: u64 = 1_024;

/// URLs that are looked at to find the hottest: enough to hold a node's busy ones, few enough to go
/// through while requests wait.
pub const RECENT: usize = 1_000;

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

struct Entry<B> {
    variants: Vec<(Arc<Object<B>>, Weight)>,
    /// How often it was looked for and found.
    found: u64,
}

impl<B> Entry<B> {
    fn choose(
        &self,
        request: &HeaderMap,
        is_fresh: impl Fn(&Object<B>) -> bool,
    ) -> Option<&Arc<Object<B>>> {
        let newest_first = self.variants.iter().rev().map(|(object, _)| object);
        let mut fitting = newest_first.filter(|object| object.answers(request));
        let newest = fitting.next()?;
        let chosen = if newest.vary == Vary::None {
            fitting.find(|object| object.vary != Vary::None && is_fresh(object))
        } else {
            None
        };
        Some(chosen.unwrap_or(newest))
    }
}

/// The responses kept.
pub struct Store<B> {
    entries: LruCache<PrimaryKey, Entry<B>>,
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
    /// An empty store of this budget.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        // Bounded by bytes, below, not by count.
        Self {
            entries: LruCache::unbounded(),
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
        let entry = self.entries.get_mut(key)?;
        entry.found = entry.found.saturating_add(1);
        entry.choose(request, is_fresh).map(Arc::clone)
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
        let entry = self.entries.get_mut(url)?;
        let object = match &*entry.variants {
            [(only, _)] if only.vary == Vary::None => only,
            _ => entry.choose(&request(), is_fresh)?,
        };
        if !wanted(object) {
            return None;
        }
        let object = Arc::clone(object);
        entry.found = entry.found.saturating_add(1);
        Some(object)
    }

    /// Whether any variant of `key` is kept. Does not count as use.
    #[must_use]
    pub fn has(&self, key: &PrimaryKey) -> bool {
        self.entries.contains(key)
    }

    /// The variant of `key` received last. Does not count as use.
    #[must_use]
    pub fn latest(&self, key: &PrimaryKey) -> Option<&Arc<Object<B>>> {
        self.entries
            .peek(key)?
            .variants
            .last()
            .map(|(object, _)| object)
    }

    /// Keeps `object` in place of the variant it replaces, and returns the URLs that had to go for
    /// it. An object larger than the whole budget goes itself, at once.
    pub fn insert(&mut self, object: Arc<Object<B>>, weight: Weight) -> Vec<PrimaryKey> {
        let key = object.key.clone();
        let weight = Weight {
            memory: weight.memory + OVERHEAD + object.head_bytes(),
            ..weight
        };
        let mut entry = self.entries.pop(&key).unwrap_or(Entry {
            variants: Vec::new(),
            found: 0,
        });
        let replaces = |old: &Object<B>| old.vary_key == object.vary_key && old.vary == object.vary;
        if let Some(at) = entry.variants.iter().position(|(old, _)| replaces(old)) {
            self.subtract(entry.variants.remove(at).1);
        }
        if entry.variants.len() == VARIANTS_MAX {
            self.subtract(entry.variants.remove(0).1);
        }
        entry.variants.push((object, weight));
        self.used.memory += weight.memory;
        self.used.disk += weight.disk;
        self.entries.push(key, entry);
        self.evict()
    }

    /// Takes this very variant out, if it is still there: something newer has taken its place.
    pub fn remove_variant(&mut self, object: &Arc<Object<B>>) {
        let Some(entry) = self.entries.peek_mut(&object.key) else {
            return;
        };
        let same = |(old, _): &(Arc<Object<B>>, Weight)| Arc::ptr_eq(old, object);
        if let Some(at) = entry.variants.iter().position(same) {
            let (_, weight) = entry.variants.remove(at);
            let empty = entry.variants.is_empty();
            self.subtract(weight);
            if empty {
                self.entries.pop(&object.key);
            }
        }
    }

    /// Takes every variant of `key` out.
    pub fn remove(&mut self, key: &PrimaryKey) -> bool {
        match self.entries.pop(key) {
            Some(entry) => {
                entry
                    .variants
                    .iter()
                    .for_each(|(_, weight)| self.subtract(*weight));
                true
            }
            None => false,
        }
    }

    fn evict(&mut self) -> Vec<PrimaryKey> {
        let mut gone = Vec::new();
        while self.used.memory > self.budget.memory || self.used.disk > self.budget.disk {
            let Some((key, entry)) = self.entries.pop_lru() else {
                break;
            };
            entry
                .variants
                .iter()
                .for_each(|(_, weight)| self.subtract(*weight));
            self.evictions += 1;
            gone.push(key);
        }
        gone
    }

    const fn subtract(&mut self, weight: Weight) {
        self.used.memory = self.used.memory.saturating_sub(weight.memory);
        self.used.disk = self.used.disk.saturating_sub(weight.disk);
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

    /// Of the [`RECENT`] URLs used last those found most often, most first: for the state page.
    #[must_use]
    pub fn hottest(&self, now: Moment, most: usize) -> Vec<Kept> {
        let mut recent: Vec<_> = self.entries.iter().take(RECENT).collect();
        recent.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.found));
        let row = |(key, entry): (&PrimaryKey, &Entry<B>)| Kept {
            key: key.clone(),
            found: entry.found,
            age: entry.variants.last().map(|(object, _)| object.age(now)),
            variants: entry.variants.len(),
            bytes: entry
                .variants
                .iter()
                .map(|(_, weight)| weight.memory + weight.disk)
                .sum(),
        };
        recent.into_iter().take(most).map(row).collect()
    }
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

#[cfg(test)]
mod tests {
    use super::object::tests::object;
    use super::*;

    const BUDGET: Budget = Budget {
        memory: 10_000,
        disk: 50_000,
    };

    fn weight(memory: u64, disk: u64) -> Weight {
        Weight { memory, disk }
    }

    fn found(store: &mut Store<u32>, path: &str, encoding: &str) -> Option<u32> {
        let wanted = object(path, &[], &[], 0);
        let mut request = HeaderMap::new();
        request.insert("accept-encoding", encoding.parse().unwrap());
        store
            .find(&wanted.key, &request, |_| true)
            .map(|object| object.body)
    }

    #[test]
    fn the_hottest_are_those_found_most_often_among_those_used_last() {
        let mut store = Store::new(Budget {
            memory: u64::MAX,
            disk: 0,
        });
        let path = |n: usize| format!("/{n}");
        for n in 0..RECENT + 5 {
            store.insert(object(&path(n), &[], &[], 0), weight(10, 0));
        }
        for times in 0..3 {
            found(&mut store, &path(7 + times), "");
            found(&mut store, &path(9), "");
        }
        let hottest = store.hottest(Moment::from_millis(0), 2);
        let row = |kept: &Kept| (kept.key.path_and_query().to_owned(), kept.found);
        let rows: Vec<_> = hottest.iter().map(row).collect();
        assert_eq!(rows[0], ("/9".to_owned(), 4));
        assert_eq!((rows.len(), rows[1].1), (2, 1));
        assert_eq!(
            store.hottest(Moment::from_millis(0), usize::MAX).len(),
            RECENT
        );
    }

    #[test]
    fn evicts_the_least_recently_used_when_over_budget() {
        let mut store = Store::new(BUDGET);
        for (n, path) in ["/a", "/b", "/c"].into_iter().enumerate() {
            let n = u32::try_from(n).unwrap();
            assert!(
                store
                    .insert(object(path, &[], &[], n), weight(1_500, 0))
                    .is_empty()
            );
        }
        assert_eq!(found(&mut store, "/a", ""), Some(0));
        let gone = store.insert(object("/d", &[], &[], 3), weight(1_500, 0));
        assert_eq!(
            gone.iter()
                .map(PrimaryKey::path_and_query)
                .collect::<Vec<_>>(),
            ["/b"]
        );
        assert_eq!(found(&mut store, "/b", ""), None);
        assert_eq!(store.evictions(), 1);
    }

    #[test]
    fn one_variant_goes_without_the_others() {
        let mut store = Store::new(BUDGET);
        let vary = [("vary", "accept-encoding")];
        let gzip = object("/v", &vary, &[("accept-encoding", "gzip")], 1);
        let br = object("/v", &vary, &[("accept-encoding", "br")], 2);
        store.insert(Arc::clone(&gzip), weight(10, 0));
        store.insert(Arc::clone(&br), weight(10, 0));
        store.remove_variant(&gzip);
        assert_eq!(found(&mut store, "/v", "gzip"), None);
        assert_eq!(found(&mut store, "/v", "br"), Some(2));
        store.remove_variant(&gzip);
        store.remove_variant(&br);
        assert!(store.is_empty() && store.used() == Weight::default());
    }

    #[test]
    fn an_answer_that_forgot_vary_is_the_last_choice() {
        let mut store = Store::new(BUDGET);
        let vary = [("vary", "accept-encoding")];
        let gzip = [("accept-encoding", "gzip")];
        store.insert(object("/v", &vary, &gzip, 1), weight(10, 0));
        store.insert(object("/v", &[], &[], 2), weight(10, 0));
        assert_eq!(found(&mut store, "/v", "gzip"), Some(1), "9111 4.1");
        assert_eq!(found(&mut store, "/v", "br"), Some(2));
    }

    #[test]
    fn what_exceeds_the_whole_budget_is_not_kept() {
        let mut store = Store::new(BUDGET);
        store.insert(object("/small", &[], &[], 1), weight(10, 0));
        let gone = store.insert(object("/huge", &[], &[], 2), weight(0, 60_000));
        assert!(gone.iter().any(|key| key.path_and_query() == "/huge"));
        assert_eq!(found(&mut store, "/huge", ""), None);
        assert!(store.used().disk <= BUDGET.disk);
    }

    #[test]
    fn keeps_one_object_per_variant_and_a_bounded_number() {
        let mut store = Store::new(BUDGET);
        let vary = [("vary", "accept-encoding")];
        store.insert(
            object("/v", &vary, &[("accept-encoding", "gzip")], 1),
            weight(10, 0),
        );
        store.insert(
            object("/v", &vary, &[("accept-encoding", "br")], 2),
            weight(10, 0),
        );
        store.insert(
            object("/v", &vary, &[("accept-encoding", "gzip")], 3),
            weight(10, 0),
        );
        assert_eq!(found(&mut store, "/v", "gzip"), Some(3));
        assert_eq!(found(&mut store, "/v", "br"), Some(2));
        assert_eq!(found(&mut store, "/v", "zstd"), None);
        for n in 10..30 {
            let coding = format!("c{n}");
            let request = [("accept-encoding", coding.as_str())];
            store.insert(object("/v", &vary, &request, n), weight(10, 0));
        }
        assert_eq!(
            store.entries.peek_lru().unwrap().1.variants.len(),
            VARIANTS_MAX
        );
        let one = store.used().memory;
        assert!(store.remove(&object("/v", &[], &[], 0).key));
        assert!(
            one > 0 && store.used() == Weight::default(),
            "all weight is given back"
        );
    }
}
