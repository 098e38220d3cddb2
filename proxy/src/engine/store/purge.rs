//! Purging what is kept: one URL, or a look at some of all.

use indexmap::set::MutableValues as _;

use super::entry::Variant;
use super::object::Object;
use super::{Store, Weight};
use crate::engine::http::key::PrimaryKey;
use crate::engine::purge::{Fate, Tally};

/// What a purge did to one URL.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Purged {
    /// Responses that changed.
    pub tally: Tally,
    /// The URL, if any did.
    pub key: Option<PrimaryKey>,
    /// Whether nothing is left of it.
    pub gone: bool,
}

impl<B: Clone> Store<B> {
    /// Does to each variant of `key` what `fate` says.
    pub fn purge(&mut self, key: &PrimaryKey, fate: impl Fn(&Object<B>) -> Fate) -> Purged {
        let at = self.entries.get_index_of(key.as_str());
        at.map(|at| self.purge_at(at, fate)).unwrap_or_default()
    }

    /// The same to the URL at place `at`, of [`len`](Store::len). Who goes from the last place to the
    /// first misses none: only what was looked at moves, to the place of what has gone.
    pub fn purge_at(&mut self, at: usize, fate: impl Fn(&Object<B>) -> Fate) -> Purged {
        let mut tally = Tally::default();
        let Some(entry) = self.entries.get_index_mut2(at) else {
            return Purged::default();
        };
        let before = entry.weight();
        let left = entry.retain(|Variant { object, .. }| match fate(object) {
            Fate::Spared => true,
            Fate::Stale => {
                tally.stale += 1;
                *object = object.outdated();
                true
            }
            Fate::Gone => {
                tally.gone += 1;
                false
            }
        });
        if tally == Tally::default() {
            return Purged::default();
        }
        let after = if left {
            entry.weight()
        } else {
            Weight::default()
        };
        let (key, gone) = (entry.key().clone(), !left);
        self.weigh(&key, before, after);
        if gone {
            self.entries.swap_remove_index(at);
        }
        Purged {
            tally,
            key: Some(key),
            gone,
        }
    }
}
