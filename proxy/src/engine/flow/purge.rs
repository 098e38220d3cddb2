//! Purging: an order is given, and then what is here is gone over, some of it at a time.
//!
//! From the first step on nothing that was asked for before is stored as fresh, and nobody joins a
//! fetch that began before; so what the later steps have not come to yet is all that is left of it.
//! What is on disk is forgotten there if its URL is named or in memory, and it goes for good; the rest is judged
//! when it is read, by the orders that are remembered.

use common::clock::Moment;

use super::{Filling, Flow};
use crate::engine::http::key::PrimaryKey;
use crate::engine::purge::book::Recalled;
use crate::engine::purge::order::{Order, Selector};
use crate::engine::purge::{Fate, LOOK_MAX, Tally};
use crate::engine::shelf::record;
use crate::engine::store::object::{self, Object, Received};

/// How far an order is carried out.
#[derive(Debug)]
pub struct Purging {
    order: Order,
    given: Moment,
    /// Places of the store that are still to be looked at: those before this one.
    left: usize,
    /// The URL that it names was looked up; its slices have to be looked for.
    direct: bool,
    tally: Tally,
}

impl Purging {
    /// What was done so far.
    #[must_use]
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    fn fate<B>(&self, object: &Object<B>) -> Fate {
        match object.asked() <= self.given && self.order.meets(&object.key, object.fields()) {
            // The URL itself was looked up first, and counts once.
            true if self.direct && !object.key.is_portion() => Fate::Spared,
            true if self.order.hard => Fate::Gone,
            true => Fate::Stale,
            false => Fate::Spared,
        }
    }
}

impl<B: Clone, F> Flow<B, F> {
    /// An order is given: what is on its way is cut off from whoever asks from now on. `None` if it
    /// was given before.
    pub fn order(&mut self, now: Moment, order: Order) -> Option<Purging> {
        if !self.orders.give(now, &order) {
            return None;
        }
        let meant = |filling: &Filling<B, F>| {
            // Without a head it cannot be told what tags it will bear.
            let head = filling.object.as_ref();
            head.is_none_or(|object| order.meets(&object.key, object.fields()))
        };
        match &order.selector {
            Selector::Url(key) if !self.sliced => {
                let fillings = self.fills.get_mut(key).into_iter().flatten();
                fillings.for_each(|filling| filling.purged = true);
            }
            selector => {
                let fills = self.fills.iter_mut();
                let fills = fills.filter(|(key, _)| selector.may_meet(key));
                for filling in fills.flat_map(|(_, fillings)| fillings) {
                    filling.purged |= meant(filling);
                }
            }
        }
        self.beginnings
            .purge(|object| order.meets(&object.key, object.fields()));
        Some(Purging {
            left: self.store.len(),
            given: now,
            direct: false,
            tally: Tally::default(),
            order,
        })
    }

    /// What an earlier process was ordered is in force from now on, for what is read from disk.
    pub fn recall(&mut self, recalled: Recalled) {
        self.orders.recall(recalled);
    }

    /// Goes over as much of what is here as a request may wait for. `None` when there is no more; else
    /// the URLs that have gone and whose pointers must be withdrawn.
    pub fn purge(&mut self, purging: &mut Purging) -> Option<Vec<PrimaryKey>> {
        if purging.left == 0 {
            return None;
        }
        let mut gone = Vec::new();
        if let (Selector::Url(key), false) = (&purging.order.selector, purging.direct) {
            let purged = self.store.purge(key, |object| purging.fate(object));
            purging.direct = true;
            purging.left = if self.sliced { self.store.len() } else { 0 };
            purging.tally.add(purged.tally);
            if purging.order.hard {
                self.shelf.forget(record::name_of(key), None);
            }
            // A pointer to a fetch of before leads nowhere either.
            if purging.order.hard && self.ledger.gone(key) {
                gone.push(key.clone());
            }
            return Some(gone);
        }
        // What went meanwhile went from the end, or was replaced by what stood there.
        let from = purging.left.min(self.store.len());
        purging.left = from.saturating_sub(LOOK_MAX);
        for at in (purging.left..from).rev() {
            let purged = self.store.purge_at(at, |object| purging.fate(object));
            purging.tally.add(purged.tally);
            let Some(key) = purged.key else { continue };
            if purging.order.hard {
                self.shelf.forget(record::name_of(&key), None);
            }
            if purged.gone && self.ledger.gone(&key) {
                gone.push(key);
            }
        }
        Some(gone)
    }

    /// Whether an order given of late, maybe since `object` was found, says that it may not be used again.
    #[must_use]
    pub fn is_purged(&self, object: &Object<B>) -> bool {
        self.orders.fate(object) == Fate::Gone
    }

    /// What the orders given of late mean for a response to a request for `key` that has just come
    /// from a peer.
    #[must_use]
    pub fn fate(&self, key: &PrimaryKey, received: &Received<'_>) -> Fate {
        let asked = object::birth::asked(received);
        self.orders.fate_of(key, received.headers, asked)
    }
}
