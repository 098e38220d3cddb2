//! The index in memory: where the records of a URL are, and what of a place has to be counted elsewhere.

use super::Shelf;
use super::entry::{Large, Name, Put, Spot, Variant};
use super::place::{Place, Places};
use crate::engine::store::VARIANTS_MAX;

impl Shelf {
    pub(super) fn large_of(&self, name: Name, variant: Variant) -> Option<Large> {
        let mut places = self.names.get(&name)?.all().iter();
        let place = places.find(|place| place.variant == variant)?;
        self.larges.get(&place.spot).map(|(_, large)| *large)
    }

    pub(super) fn insert(&mut self, put: &Put, segment: u32, fresh_until: u64) {
        let place = Place {
            spot: Spot {
                segment,
                offset: put.offset,
            },
            length: put.length,
            fresh_until: u32::try_from(fresh_until).unwrap_or(u32::MAX),
            variant: put.variant,
            used: false,
        };
        self.hold(put.large);
        self.remove_variant(put.name, put.variant);
        self.make_room_for_variant(put.name);
        if let Some(large) = put.large {
            self.larges.insert(place.spot, (put.name, large));
        }
        let of = self.segments.entry(segment).or_default();
        of.live += 1;
        of.large += put.large.map_or(0, |large| large.bytes);
        self.objects += 1;
        match self.names.get_mut(&put.name) {
            None => {
                self.names.insert(put.name, Places::One(place));
            }
            Some(places) => {
                let all = places.all().iter().copied().chain([place]).collect();
                *places = Places::Several(all);
            }
        }
    }

    /// One miss reads all that is kept of a URL: of many variants the one written first makes room.
    fn make_room_for_variant(&mut self, name: Name) {
        let places = self.names.get(&name).map(Places::all).unwrap_or_default();
        if places.len() >= VARIANTS_MAX
            && let Some(oldest) = places.first()
        {
            self.forget(name, Some(oldest.variant));
        }
    }

    pub(super) fn at(&self, name: Name, spot: Spot) -> Option<&Place> {
        let places = self.names.get(&name)?.all();
        places.iter().find(|place| place.spot == spot)
    }

    pub(super) fn remove_variant(&mut self, name: Name, variant: Variant) {
        let Some(places) = self.names.get_mut(&name) else {
            return;
        };
        let Some(place) = places.all().iter().find(|place| place.variant == variant) else {
            return;
        };
        let place = *place;
        match places {
            Places::One(_) => {
                self.names.remove(&name);
            }
            Places::Several(several) => {
                let others = several.iter().filter(|other| other.variant != variant);
                let others: Box<[_]> = others.copied().collect();
                *places = match others[..] {
                    [last] => Places::One(last),
                    _ => Places::Several(others),
                };
            }
        }
        self.objects -= 1;
        let large = self.larges.remove(&place.spot).map(|(_, large)| large);
        if let Some(segment) = self.segments.get_mut(&place.spot.segment) {
            segment.live = segment.live.saturating_sub(1);
            let bytes = large.map_or(0, |large| large.bytes);
            segment.large = segment.large.saturating_sub(bytes);
        }
        self.let_go(large);
    }
}
