//! What fills tell the cache: that a head is here, that they are over, and what they leave: a response
//! kept in memory and on disk, or the knowledge that it is not to be shared.

use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;

use super::{FillId, Flow, UNSHAREABLE_FOR};
use crate::engine::announce::pointer_life;
use crate::engine::http::fresh::Heat;
use crate::engine::http::key::PrimaryKey;
use crate::engine::http::store::NoStoreReason;
use crate::engine::purge::Fate;
use crate::engine::shelf::{NotShelved, Ticket, record};
use crate::engine::store::Weight;
use crate::engine::store::admission::Candidate;
use crate::engine::store::object::Object;

/// A response that was offered to the disk again.
#[derive(Debug)]
pub struct Offered<B> {
    /// Which.
    pub object: Arc<Object<B>>,
    /// What its body weighs.
    pub weight: Weight,
    /// Whether it is to be written.
    pub ticket: Result<Ticket, NotShelved>,
}

impl<B, F: Clone> Flow<B, F> {
    /// The head of a shared fill is here: from now on only requests that it answers join it.
    pub fn headed(&mut self, key: &PrimaryKey, id: FillId, object: &Arc<Object<B>>) {
        let fillings = self.fills.get_mut(key).into_iter().flatten();
        for filling in fillings.filter(|filling| filling.id == id) {
            filling.object = Some(Arc::clone(object));
        }
    }

    /// The fill of a plan is over, whatever became of it; told exactly once per plan.
    pub fn over(&mut self, key: &PrimaryKey, id: FillId) {
        self.ended(key, id);
        self.running = self.running.saturating_sub(1);
    }

    /// Nobody is to join a shared fill any more.
    pub fn ended(&mut self, key: &PrimaryKey, id: FillId) {
        if let Some(fillings) = self.fills.get_mut(key) {
            let before = fillings.len();
            fillings.retain(|filling| filling.id != id);
            self.filling -= before - fillings.len();
            if fillings.is_empty() {
                self.fills.remove(key);
            }
        }
    }

    /// `object` was asked about at its origin, and what came instead of it is about to be kept: it
    /// goes, also where the new one is for other requests because Vary has changed.
    pub fn superseded(&mut self, object: &Arc<Object<B>>, by: &Object<B>) {
        self.store.remove_variant(object);
        let which = (record::name_of(&object.key), record::variant_of(object));
        // On disk the same variant is replaced as it is written: its file may hold the body of both.
        if which.1 != record::variant_of(by) || self.orders.fate(by) != Fate::Spared {
            self.shelf.forget(which.0, Some(which.1));
        }
    }

    /// What is kept of `key` may not be any more.
    pub fn forget(&mut self, key: &PrimaryKey) {
        self.beginnings.remove(key);
        self.store.remove(key);
        self.shelf.forget(record::name_of(key), None);
    }

    /// A response to `key` proved not to be shareable: for a while nobody queues for it. Not told of
    /// errors: one odd request would part a crowd, just when its site suffers.
    pub fn not_shareable(&mut self, now: Moment, key: &PrimaryKey, reason: NoStoreReason) {
        self.whys.not_kept(now, key, reason);
        // Without a lifetime it depends on the heat, which may be another one in a moment.
        if reason.is_lasting() && reason != NoStoreReason::NoLifetimeNoValidator {
            while self.unshareable.expire(now).is_some() {}
            self.unshareable
                .insert(key.clone(), reason, now + UNSHAREABLE_FOR);
        }
    }
}

impl<B: Clone, F: Clone> Flow<B, F> {
    /// Keeps a whole response, unless it was purged while it was on its way. Returns how long its
    /// pointer should live, if it should have one, and the URLs that had to go and whose pointers
    /// must be withdrawn.
    pub fn keep(
        &mut self,
        now: Moment,
        object: Arc<Object<B>>,
        weight: Weight,
    ) -> (Option<Duration>, Vec<PrimaryKey>) {
        let key = object.key.clone();
        self.unshareable.remove(&key);
        self.whys.kept(&key);
        let object = match self.orders.fate(&object) {
            Fate::Spared => object,
            // Better than nothing while the origin is away, worse than what came after it.
            Fate::Stale if !self.store.has(&key) => object.outdated(),
            Fate::Stale | Fate::Gone => return (None, Vec::new()),
        };
        let life = pointer_life(object.remaining(now, self.heat.of(now, key.host())));
        let gone = self.insert(object, weight);
        let kept = self.store.has(&key);
        (life.filter(|_| kept), gone)
    }

    /// Puts a response into memory. Gives the URLs that had to go and are not on disk either, and whose
    /// pointers must be withdrawn.
    fn insert(&mut self, object: Arc<Object<B>>, weight: Weight) -> Vec<PrimaryKey> {
        let mut gone = self.store.insert(object, weight);
        gone.retain(|key| !self.is_only_shelved(key) && self.ledger.gone(key));
        gone
    }

    /// Whether a response that was just kept is to be written to disk too; `weight` is that of its
    /// body.
    ///
    /// # Errors
    /// It is not.
    pub fn shelve(
        &mut self,
        now: Moment,
        object: &Object<B>,
        weight: Weight,
    ) -> Result<Ticket, NotShelved> {
        if self.orders.fate(object) != Fate::Spared {
            return Err(NotShelved::Purged);
        }
        let key = &object.key;
        let candidate = Candidate {
            key,
            bytes: weight.memory.max(weight.disk) + object.head_bytes(),
            fresh: object.remaining(now, Heat::Quiet),
            asked: self.store.asked(key),
            room: self.shelf.has_room(),
        };
        let which = (record::name_of(key), record::variant_of(object));
        self.shelf.offer(which, &candidate)
    }

    /// Has URLs that are found again be noted from now on: there is a disk that wants to know.
    pub fn note_again(&mut self) {
        self.store.note_again(true);
    }

    /// Offers to the disk what was found again since this was asked and is not there. In one step: what
    /// comes in its place later is offered later. `weigh` says what a body weighs.
    pub fn offer_again(
        &mut self,
        now: Moment,
        weigh: impl Fn(&B) -> Option<Weight>,
    ) -> Vec<Offered<B>> {
        let keys = self.store.take_again();
        let kept = keys.iter().flat_map(|key| self.store.kept(key));
        let shelf = &self.shelf;
        let missing = |object: &&Arc<Object<B>>| {
            !shelf.will_have(record::name_of(&object.key), record::variant_of(object))
        };
        let missing: Vec<_> = kept.filter(missing).map(Arc::clone).collect();
        let offered = missing.into_iter().filter_map(|object| {
            let weight = weigh(&object.body)?;
            let ticket = self.shelve(now, &object, weight);
            Some(Offered {
                object,
                weight,
                ticket,
            })
        });
        offered.collect()
    }

    /// A response that was read from disk is in memory from now on, unless something of its URL came
    /// there meanwhile, or it was purged: for good, or it is stale from now on. Gives the URLs whose pointers must be withdrawn.
    pub fn unshelved(&mut self, object: Arc<Object<B>>, weight: Weight) -> Vec<PrimaryKey> {
        if self.store.has_variant(&object) {
            return Vec::new();
        }
        let object = match self.orders.fate(&object) {
            Fate::Spared => object,
            Fate::Stale => object.outdated(),
            Fate::Gone => {
                let which = Some(record::variant_of(&object));
                self.shelf.forget(record::name_of(&object.key), which);
                let gone = !self.store.has(&object.key) && self.ledger.gone(&object.key);
                return gone.then(|| object.key.clone()).into_iter().collect();
            }
        };
        self.insert(object, weight)
    }
}
