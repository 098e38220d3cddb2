//! Purging: what an operator or a site takes out before its time is over.
//!
//! [`order`] is what is to go, as text and as data, and [`book`] how it is written down; [`tags`] reads the tags of a response; [`token`]
//! says who may order what; [`receipt`] is what came of an order in the whole network. Here is what
//! has been ordered: whoever has a response that was asked for before such an order learns of it here,
//! also when the response arrives long after. No clock, no store, no network.
//!
//! There is no index from tags to pages: it would cost every page some hundred bytes, and an order,
//! which is rare and bounded in rate, may as well look at every page kept, some at a time.

pub mod book;
pub mod order;
pub mod receipt;
pub mod tags;
pub mod token;

use std::collections::VecDeque;

use common::clock::Moment;

use super::http::field::Named;
use super::http::key::PrimaryKey;
use super::store::object::Object;
use book::Recalled;
use order::{Order, OrderId};

/// Orders remembered. A response that was asked for before one that is forgotten counts as stale.
pub const ORDERS_MAX: usize = 1_024;

/// Pages that one look at what is kept goes over, so that requests wait for none longer than a
/// fraction of a millisecond.
pub const LOOK_MAX: usize = 1_024;

/// Orders that are carried out at once; more wait.
pub const AT_ONCE: usize = 4;

/// Orders of one client neighbourhood: sustained in a second, and at once. Wrong tokens count too.
pub const RATE: (u32, u32) = (10, 100);

/// What an order means for a response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Nothing.
    Spared,
    /// It has to be validated before it is used again.
    Stale,
    /// It may not be used again.
    Gone,
}

/// What was done to the pages here.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// Responses that are stale now.
    pub stale: u64,
    /// Responses that are gone now.
    pub gone: u64,
}

impl Tally {
    /// And that as well.
    pub const fn add(&mut self, more: Self) {
        self.stale += more.stale;
        self.gone += more.gone;
    }
}

/// The orders given of late, oldest first.
#[derive(Debug, Default)]
pub struct Orders {
    recent: VecDeque<(Moment, Order)>,
    /// When the last of those forgotten was given.
    forgotten: Option<Moment>,
}

impl Orders {
    /// An order is given. `false` if it was given before.
    pub fn give(&mut self, now: Moment, order: &Order) -> bool {
        if self.knows(order.id) {
            return false;
        }
        if self.recent.len() == ORDERS_MAX {
            let first = self.recent.pop_front().map(|(at, _)| at);
            self.forgotten = self.forgotten.max(first);
        }
        self.recent.push_back((now, order.clone()));
        true
    }

    /// What an earlier process was ordered counts here too.
    pub fn recall(&mut self, recalled: Recalled) {
        let own = std::mem::take(&mut self.recent);
        let before = recalled.orders.into_iter();
        self.forgotten = self.forgotten.max(recalled.forgotten);
        for (at, order) in before.chain(own) {
            if self.recent.len() == ORDERS_MAX {
                let first = self.recent.pop_front().map(|(at, _)| at);
                self.forgotten = self.forgotten.max(first);
            }
            self.recent.push_back((at, order));
        }
    }

    fn knows(&self, id: OrderId) -> bool {
        self.recent.iter().any(|(_, order)| order.id == id)
    }

    /// What the orders since it was asked for mean for a response.
    #[must_use]
    pub fn fate<B>(&self, object: &Object<B>) -> Fate {
        self.fate_of(&object.key, object.fields(), object.asked())
    }

    /// The same for a response to a request for `key` with these fields that was `asked` for then.
    #[must_use]
    pub fn fate_of(&self, key: &PrimaryKey, fields: &impl Named, asked: Moment) -> Fate {
        let since = self.recent.iter().rev().take_while(|(at, _)| *at >= asked);
        let mut fate = Fate::Spared;
        for (_, order) in since.filter(|(_, order)| order.meets(key, fields)) {
            if order.hard {
                return Fate::Gone;
            }
            fate = Fate::Stale;
        }
        match fate {
            Fate::Spared if self.forgotten.is_some_and(|at| at >= asked) => Fate::Stale,
            fate => fate,
        }
    }
}

#[cfg(test)]
mod tests;
