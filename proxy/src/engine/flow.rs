//! The façade of the engine: what is kept, what is under way, and what a request gets of both.
//!
//! Owns the store, the fills under way, the heat, the origins' gates, the blame of peers and the
//! ledger of pointers, and only combines what they say. The shell holds one `Flow` behind one lock,
//! asks it a question at a time and carries the answer out; nothing here waits.
//!
//! Invariants: at most one shared fill per key and variant is under way; a fill is registered
//! before anyone can miss it and deregistered only after what it made can be found.
//!
//! `B` is the shell's handle to a body, `F` its handle to a fill.

mod explain;
pub mod fills;
mod lookup;
mod parts;
mod purge;
mod slices;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use common::expiring::ExpiringMap;
use common::rng::Generator;
use http::{HeaderMap, Method};

use super::announce::Ledger;
use super::beginnings::Beginnings;
use super::heat::HeatMap;
use super::http::control::RequestDirectives;
use super::http::fresh::{FreshPolicy, Heat};
use super::http::key::PrimaryKey;
use super::http::store::NoStoreReason;
use super::http::verdict::{self, RevalidateReason, StaleReason, Verdict};
use super::origin::Gates;
use super::peers::Blame;
use super::purge::{Fate, Orders};
use super::reason::FailReason;
use super::shelf::{Shelf, record};
use super::store::object::Object;
use super::store::{Budget, Store, choose};
use super::why::Whys;
use super::words::Words;
pub use lookup::{Ask, Lookup, Miss, PeerLookup, Plan, Renewal};
use slices::WHOLE_ONLY_MAX;
pub use slices::{EXTENT_LIFE, SliceLookup};

/// Keys remembered as not shareable; the one that would be forgotten first makes room.
pub const UNSHAREABLE_MAX: usize = 50_000;

/// How long a key is remembered as not shareable: long enough for a crowd, short enough that a
/// site which starts to allow caching is noticed.
pub const UNSHAREABLE_FOR: Duration = Duration::from_secs(120);

/// Fills under way at once, shared or not; beyond that a miss is refused as busy.
pub const FILLS_MAX: usize = 8_192;

/// Patience with the index while a site is quiet: most URLs are asked for once, and nobody should
/// wait for the world to say no.
pub const PATIENCE_QUIET: Duration = Duration::from_millis(150);

/// Patience while it is hot: then a second origin fetch is what we exist to prevent.
pub const PATIENCE_HOT: Duration = Duration::from_millis(1_500);

/// Names a fill within one `Flow`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FillId(u64);

struct Filling<B, F> {
    id: FillId,
    fill: F,
    /// The fields of the request that began it: which variant it will be, once Vary is known.
    request: HeaderMap,
    /// What it will answer with, once the head is here.
    object: Option<Arc<Object<B>>>,
    /// What it may answer with was purged meanwhile: nobody joins it any more.
    purged: bool,
}

/// See the module.
pub struct Flow<B, F> {
    store: Store<B>,
    shelf: Shelf,
    fills: HashMap<PrimaryKey, Vec<Filling<B, F>>>,
    filling: usize,
    /// Plans given out and not over.
    running: usize,
    next_id: u64,
    unshareable: ExpiringMap<PrimaryKey, NoStoreReason>,
    whys: Whys,
    heat: HeatMap,
    gates: Gates<FailReason>,
    blame: Blame,
    ledger: Ledger,
    words: Words,
    beginnings: Beginnings<B>,
    orders: Orders,
    policy: FreshPolicy,
    /// Whether there ever was a large object in slices, which a purge of its URL has to look for.
    sliced: bool,
    /// Large objects whose origins turned out not to know ranges: fetched as a whole.
    whole_only: ExpiringMap<PrimaryKey, ()>,
    /// Large objects that were found to have changed: peers may still have the old one, and say that it is
    /// fresh.
    changed: ExpiringMap<PrimaryKey, ()>,
}

impl<B, F> std::fmt::Debug for Flow<B, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flow")
            .field("store", &self.store)
            .field("filling", &self.filling)
            .finish()
    }
}

impl<B, F: Clone> Flow<B, F> {
    /// An empty cache. `rng` draws those of which one has to go when it is full.
    #[must_use]
    pub fn new(budget: Budget, policy: FreshPolicy, rng: Generator) -> Self {
        Self {
            store: Store::new(budget, rng),
            shelf: Shelf::default(),
            fills: HashMap::new(),
            filling: 0,
            running: 0,
            next_id: 0,
            unshareable: ExpiringMap::new(UNSHAREABLE_MAX),
            whys: Whys::default(),
            heat: HeatMap::default(),
            gates: Gates::default(),
            blame: Blame::default(),
            ledger: Ledger::default(),
            words: Words::default(),
            beginnings: Beginnings::new(budget),
            orders: Orders::default(),
            policy,
            sliced: false,
            whole_only: ExpiringMap::new(WHOLE_ONLY_MAX),
            changed: ExpiringMap::new(WHOLE_ONLY_MAX),
        }
    }

    // ---- asked by the shell for a client

    /// What a client's request gets. Counts towards the site's heat.
    pub fn lookup(&mut self, now: Moment, ask: Ask<'_>, fill: impl FnOnce() -> F) -> Lookup<B, F> {
        let heat = self.heat.count(now, ask.key.host());
        self.look((now, heat), ask, None, fill)
    }

    /// The same for a request that was looked up before: what is on disk is not to be read, or was,
    /// and is this; it may have found no room in memory.
    pub fn lookup_again(
        &mut self,
        now: Moment,
        ask: Ask<'_>,
        read: &[Arc<Object<B>>],
        fill: impl FnOnce() -> F,
    ) -> Lookup<B, F> {
        let heat = self.heat.of(now, ask.key.host());
        self.look((now, heat), ask, Some(read), fill)
    }

    /// The variant that a request selects in memory, or else among those `read` from disk just before.
    fn find(
        &mut self,
        ask: Ask<'_>,
        read: &[Arc<Object<B>>],
        is_fresh: impl Fn(&Object<B>) -> bool,
    ) -> Option<Arc<Object<B>>> {
        let found = self.store.find(ask.key, ask.headers, &is_fresh);
        // Of what has gone from the disk meanwhile something newer is known.
        if found.is_some() || read.is_empty() || !self.is_only_shelved(ask.key) {
            return found;
        }
        let read = read.iter().rev();
        let read = read.filter(|object| self.orders.fate(object) == Fate::Spared);
        choose(read, ask.headers, is_fresh).map(Arc::clone)
    }

    fn look(
        &mut self,
        (now, heat): (Moment, Heat),
        ask: Ask<'_>,
        read: Option<&[Arc<Object<B>>]>,
        fill: impl FnOnce() -> F,
    ) -> Lookup<B, F> {
        let directives = RequestDirectives::of(ask.headers);
        let is_fresh = |object: &Object<B>| object.standing(now, heat).is_fresh();
        let found = self.find(ask, read.unwrap_or_default(), is_fresh);
        let verdict = found
            .as_ref()
            .map(|o| verdict::judge(&o.standing(now, heat), &directives));
        let (stale, miss) = match (found, verdict) {
            (Some(object), Some(Verdict::Fresh)) => return Lookup::hit(object, heat),
            (Some(object), Some(Verdict::StaleUsable(reason))) => {
                return self.stale_hit(ask, object, (reason, heat), fill);
            }
            (_, Some(Verdict::NotForwardable(_))) => return Lookup::OnlyIfCached,
            (Some(object), Some(Verdict::MustRevalidate(why))) => (Some(object), Miss::Stale(why)),
            _ if read.is_none() && self.is_only_shelved(ask.key) => return Lookup::Shelved,
            _ if directives.only_if_cached => return Lookup::OnlyIfCached,
            _ if self.store.has(ask.key) => (None, Miss::Vary),
            _ => (None, Miss::Uri),
        };
        self.miss(now, ask, stale, miss, fill)
    }

    /// A fresh copy of the resource at `url`, of the site `host`, for a request without a word of its
    /// own about freshness; its `fields` are asked for only if they matter. Counts for nothing where
    /// there is none, or none that is `usable`: then the request is to be looked up in full.
    pub fn hit(
        &mut self,
        now: Moment,
        url: &str,
        host: &str,
        fields: impl FnOnce() -> HeaderMap,
        usable: impl FnOnce(&Object<B>, Heat) -> bool,
    ) -> Option<(Arc<Object<B>>, Heat)> {
        let (store, none) = (&mut self.store, RequestDirectives::default());
        self.heat.count_if(now, host, |heat| {
            let is_fresh = |object: &Object<B>| object.standing(now, heat).is_fresh();
            let answers = |object: &Object<B>| {
                let verdict = verdict::judge(&object.standing(now, heat), &none);
                let whole = object.sliced().is_none();
                verdict == Verdict::Fresh && whole && usable(object, heat)
            };
            let object = store.find_at(url, fields, is_fresh, answers)?;
            Some((object, heat))
        })
    }

    fn stale_hit(
        &mut self,
        ask: Ask<'_>,
        object: Arc<Object<B>>,
        (reason, heat): (StaleReason, Heat),
        fill: impl FnOnce() -> F,
    ) -> Lookup<B, F> {
        let wanted = reason == StaleReason::WhileRevalidate && self.joinable(ask).is_none();
        let background = if wanted && self.running < FILLS_MAX {
            let miss = Miss::Stale(RevalidateReason::Expired);
            Some(self.start(ask, Some(Arc::clone(&object)), miss, fill))
        } else {
            None
        };
        Lookup::Hit {
            object,
            heat,
            stale: Some(reason),
            background,
        }
    }

    fn miss(
        &mut self,
        now: Moment,
        ask: Ask<'_>,
        stale: Option<Arc<Object<B>>>,
        miss: Miss,
        fill: impl FnOnce() -> F,
    ) -> Lookup<B, F> {
        if ask.method != Method::GET {
            // What is here may stand in for a failing origin, or be confirmed by what it says.
            return self.alone_beside(stale, Miss::Method, fill);
        }
        if let Some(reason) = self.unshareable.at(ask.key, now) {
            let miss = Miss::Unshareable(*reason);
            return self.alone_beside(stale, miss, fill);
        }
        // A reload must reach the origin, but a crowd of reloads needs one answer for all.
        if let Some(under_way) = self.joinable(ask) {
            return Lookup::Join(under_way, miss);
        }
        if RequestDirectives::of(ask.headers).no_store {
            // What comes of it is not kept: nobody should wait for it.
            let miss = Miss::Unshareable(NoStoreReason::RequestNoStore);
            return self.alone_beside(stale, miss, fill);
        }
        if self.running >= FILLS_MAX {
            return Lookup::Busy;
        }
        let (fill, plan) = self.start(ask, stale, miss, fill);
        Lookup::Start(fill, plan)
    }

    /// A fill of the asker's own, which nobody joins and whose answer is not kept.
    pub fn alone(&mut self, miss: Miss, fill: impl FnOnce() -> F) -> Lookup<B, F> {
        self.alone_beside(None, miss, fill)
    }

    /// The same, with a copy to fall back on.
    fn alone_beside(
        &mut self,
        stale: Option<Arc<Object<B>>>,
        miss: Miss,
        fill: impl FnOnce() -> F,
    ) -> Lookup<B, F> {
        if self.running >= FILLS_MAX {
            return Lookup::Busy;
        }
        let plan = Plan {
            id: self.fresh_id(),
            shared: false,
            stale,
            miss,
        };
        Lookup::Start(fill(), plan)
    }

    /// A fill under way that will, or may, answer `ask`. Before its head is here it is judged by
    /// the Vary of other responses for the same URL; where there is none, hope is all there is.
    fn joinable(&self, ask: Ask<'_>) -> Option<F> {
        let fillings = self.fills.get(ask.key)?;
        let fillings = || fillings.iter().filter(|filling| !filling.purged);
        let heads = fillings().filter_map(|filling| filling.object.as_ref());
        let known = heads.last().or_else(|| self.store.latest(ask.key));
        let fits = |filling: &&Filling<B, F>| match (&filling.object, known) {
            (Some(object), _) => object.answers(ask.headers),
            (None, Some(known)) => {
                let key = known.vary().key(&filling.request);
                key.is_some_and(|key| known.vary().matches(key, ask.headers))
            }
            (None, None) => true,
        };
        fillings().find(fits).map(|filling| filling.fill.clone())
    }

    fn start(
        &mut self,
        ask: Ask<'_>,
        stale: Option<Arc<Object<B>>>,
        miss: Miss,
        fill: impl FnOnce() -> F,
    ) -> (F, Plan<B>) {
        let (id, fill) = (self.fresh_id(), fill());
        let filling = Filling {
            id,
            fill: fill.clone(),
            request: ask.headers.clone(),
            object: None,
            purged: false,
        };
        self.fills.entry(ask.key.clone()).or_default().push(filling);
        self.filling += 1;
        (
            fill,
            Plan {
                id,
                shared: true,
                stale,
                miss,
            },
        )
    }

    const fn fresh_id(&mut self) -> FillId {
        self.running += 1;
        self.next_id += 1;
        FillId(self.next_id)
    }

    /// Whether a page is kept or under way, so that it costs little to serve. Counts for nothing.
    #[must_use]
    pub fn knows(&self, key: &PrimaryKey) -> bool {
        self.store.has(key) || self.fills.contains_key(key) || self.is_only_shelved(key)
    }

    /// Whether a page is on disk, and nothing of it in memory.
    fn is_only_shelved(&self, key: &PrimaryKey) -> bool {
        !self.shelf.is_empty() && !self.store.has(key) && self.shelf.has(record::name_of(key))
    }

    // ---- asked by the shell for a peer

    /// What a peer's request gets: a fresh copy, a stale one if it says so, a fill under way.
    pub fn lookup_for_peer(&mut self, now: Moment, ask: Ask<'_>, stale: bool) -> PeerLookup<B, F> {
        if self.is_only_shelved(ask.key) {
            return PeerLookup::Shelved;
        }
        self.lookup_again_for_peer(now, ask, stale, &[])
    }

    /// The same for a request that was looked up before: what is on disk was read, or cannot be.
    pub fn lookup_again_for_peer(
        &mut self,
        now: Moment,
        ask: Ask<'_>,
        stale: bool,
        read: &[Arc<Object<B>>],
    ) -> PeerLookup<B, F> {
        let heat = self.heat.of(now, ask.key.host());
        let is_fresh = |object: &Object<B>| object.standing(now, heat).is_fresh();
        if let Some(object) = self.find(ask, read, is_fresh) {
            let standing = object.standing(now, heat);
            let defaults = RequestDirectives::default();
            let good = verdict::judge(&standing, &defaults) == Verdict::Fresh;
            if good || (stale && verdict::on_error(&standing, &defaults, &self.policy).is_ok()) {
                return PeerLookup::Hit(object);
            }
        }
        self.joinable(ask)
            .map_or(PeerLookup::Nothing, PeerLookup::Join)
    }
}

#[cfg(test)]
mod tests;
