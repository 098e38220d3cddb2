//! What goes from the disk store: what is forgotten, spoilt or let go with its segment, and what of it
//! the disk has to be told, so that a restart does not bring it back. What room that gives is
//! `room`'s.

use common::clock::Moment;

use super::entry::{Name, Put, Spot, Variant};
use super::{Fate, Places, REMOVALS_MAX, Shelf, Ticket, seconds};

impl Shelf {
    /// This variant, or all of the URL, is gone.
    pub fn forget(&mut self, name: Name, variant: Option<Variant>) {
        let meant = |(of, which): &(Name, Variant)| *of == name && is_meant(variant, *which);
        let given_up = self.pending.extract_if(|key, _| meant(key));
        let files: Vec<_> = given_up.map(|(_, pending)| pending.replaces).collect();
        files.into_iter().for_each(|large| self.let_go(large));
        if self.drop_from_index(name, variant) {
            self.remove_from_disk(name, variant);
        }
    }

    /// Whether there was anything.
    pub(super) fn drop_from_index(&mut self, name: Name, variant: Option<Variant>) -> bool {
        let places = self.names.get(&name).map(Places::all).unwrap_or_default();
        let gone = places.iter().map(|place| place.variant);
        let gone: Vec<_> = gone.filter(|which| is_meant(variant, *which)).collect();
        gone.iter()
            .for_each(|which| self.remove_variant(name, *which));
        !gone.is_empty()
    }

    /// What is at `spot` cannot be used. Whether the index knew it.
    pub fn spoilt(&mut self, name: Name, spot: Spot) -> bool {
        let variant = self.at(name, spot).map(|place| place.variant);
        if variant.is_some() {
            self.forget(name, variant);
        }
        variant.is_some()
    }

    /// What the disk is to be told is gone, in order. A write that follows may bring it back.
    pub fn take_removals(&mut self) -> Vec<(Name, Option<Variant>)> {
        self.removals.drain(..).collect()
    }

    /// Those that were written are not known to be on disk: to be told again.
    pub fn untold(&mut self, removals: Vec<(Name, Option<Variant>)>) {
        for (name, variant) in removals {
            self.remove_from_disk(name, variant);
        }
    }

    /// Whether the disk is to be told that something is gone.
    #[must_use]
    pub fn has_removals(&self) -> bool {
        !self.removals.is_empty()
    }

    /// How many were not told because there were too many.
    #[must_use]
    pub const fn removals_lost(&self) -> u64 {
        self.removals_lost
    }

    /// The body in file `id` cannot be used. Whether the index knew of it.
    pub fn spoilt_file(&mut self, id: u64) -> bool {
        let larges = self.larges.iter();
        let bad = larges.filter(|(_, (_, large))| large.id == id);
        let bad: Vec<_> = bad.map(|(spot, (name, _))| (*name, *spot)).collect();
        let known = bad.iter().filter(|(name, spot)| self.spoilt(*name, *spot));
        known.count() > 0
    }

    /// What becomes of `put`, whose `segment` is about to go.
    pub fn reclaim(&mut self, now: Moment, put: &Put, segment: u32) -> Fate {
        let spot = Spot {
            segment,
            offset: put.offset,
        };
        let Some(place) = self.at(put.name, spot).copied() else {
            return Fate::Dead;
        };
        if self.admission.stays_on_disk(place.used) {
            let left = u64::from(place.fresh_until).saturating_sub(seconds(now));
            return Fate::Moves(u32::try_from(left).unwrap_or(u32::MAX));
        }
        self.remove_variant(put.name, place.variant);
        Fate::Gone
    }

    /// The record at `spot` goes with its segment after all.
    pub fn not_moved(&mut self, name: Name, spot: Spot) {
        if let Some(place) = self.at(name, spot).copied() {
            self.remove_variant(name, place.variant);
        }
    }

    /// A record that the index does not know may be on disk; a newer one says so itself.
    pub(super) fn must_be_told_gone(&mut self, ticket: Ticket) {
        let newer = self.pending.contains_key(&(ticket.name, ticket.variant));
        let places = self.names.get(&ticket.name);
        let known = places.is_some_and(|places| {
            let mut all = places.all().iter();
            all.any(|place| place.variant == ticket.variant)
        });
        if !newer && !known {
            self.remove_from_disk(ticket.name, Some(ticket.variant));
        }
    }

    fn remove_from_disk(&mut self, name: Name, variant: Option<Variant>) {
        if self.removals.len() >= REMOVALS_MAX {
            self.removals.pop_front();
            self.removals_lost += 1;
        }
        self.removals.push_back((name, variant));
    }
}

fn is_meant(variant: Option<Variant>, which: Variant) -> bool {
    variant.is_none_or(|variant| variant == which)
}
