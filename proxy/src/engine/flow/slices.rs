//! Slices of large objects: what is here of one, what is under way, and what of them the index is told.
//!
//! A slice is a response under a key of its own, kept like any other. It is never stale: it is of one
//! version for ever, and its manifest says whether that version may be shown.

use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use http::HeaderMap;

use super::{FILLS_MAX, FillId, Filling, Flow, PeerLookup, Renewal};
use crate::engine::http::key::{Portion, PrimaryKey};
use crate::engine::purge::Fate;
use crate::engine::slices::extent;
use crate::engine::store::object::Object;

/// Life of a pointer to an extent: slices come and go one by one, so it is told again every few minutes.
pub const EXTENT_LIFE: Duration = Duration::from_secs(600);

/// Large objects remembered as ones that cannot be had in slices; the one that would be forgotten first makes
/// room.
pub(super) const WHOLE_ONLY_MAX: usize = 4_096;

/// How long they are: a site does not learn ranges within minutes.
const WHOLE_ONLY_FOR: Duration = Duration::from_secs(600);

/// How long peers are not believed about a large object that has changed: they find out as they are asked for
/// what they do not have.
const CHANGED_FOR: Duration = Duration::from_secs(60);

/// What a reader of a slice gets.
#[derive(Debug)]
pub enum SliceLookup<B, F> {
    /// It is here.
    Here(Arc<Object<B>>),
    /// This fill, under way, brings it.
    Join(F),
    /// This new fill will; the caller starts it.
    Start(F, FillId),
    /// It is on disk: to be read, and then looked up again.
    Shelved,
    /// As many fills are under way as are carried.
    Busy,
}

impl<B, F: Clone> Flow<B, F> {
    /// What a reader of the slice `key` gets; `read` is what was read of it from disk just before.
    pub fn slice(
        &mut self,
        key: &PrimaryKey,
        read: Option<&[Arc<Object<B>>]>,
        fill: impl FnOnce() -> F,
    ) -> SliceLookup<B, F> {
        self.sliced = true;
        // Its manifest is asked for once for all of them, and none is of use without it.
        if let Some((_, Portion::Slice(n))) = key.as_portion()
            && n.is_multiple_of(extent::EXTENT)
        {
            self.store.touch(key.url());
        }
        if let Some(object) = self.held_slice(key, read.unwrap_or_default()) {
            return SliceLookup::Here(object);
        }
        if let Some(under_way) = self.slice_under_way(key) {
            return SliceLookup::Join(under_way);
        }
        if read.is_none() && self.is_only_shelved(key) {
            return SliceLookup::Shelved;
        }
        if self.running >= FILLS_MAX {
            return SliceLookup::Busy;
        }
        let fill = fill();
        let id = self.register(key, fill.clone());
        SliceLookup::Start(fill, id)
    }

    /// The same for a peer: it never causes a fetch.
    pub fn slice_for_peer(
        &mut self,
        key: &PrimaryKey,
        read: Option<&[Arc<Object<B>>]>,
    ) -> PeerLookup<B, F> {
        if let Some(object) = self.held_slice(key, read.unwrap_or_default()) {
            return PeerLookup::Hit(object);
        }
        match self.slice_under_way(key) {
            Some(under_way) => PeerLookup::Join(under_way),
            None if read.is_none() && self.is_only_shelved(key) => PeerLookup::Shelved,
            None => PeerLookup::Nothing,
        }
    }

    /// A slice that passes by in a body is to be kept: from now on those who look for it join its `fill`.
    /// `None` if it is here, or somebody else brings it.
    pub fn slice_passes(&mut self, key: &PrimaryKey, fill: F) -> Option<FillId> {
        self.sliced = true;
        let known = self.store.has(key) || self.fills.contains_key(key);
        let wanted = !known && !self.is_only_shelved(key) && self.running < FILLS_MAX;
        wanted.then(|| self.register(key, fill))
    }

    fn register(&mut self, key: &PrimaryKey, fill: F) -> FillId {
        let id = self.fresh_id();
        let filling = Filling {
            id,
            fill,
            request: HeaderMap::new(),
            object: None,
            purged: false,
        };
        self.fills.entry(key.clone()).or_default().push(filling);
        self.filling += 1;
        id
    }

    fn held_slice(&mut self, key: &PrimaryKey, read: &[Arc<Object<B>>]) -> Option<Arc<Object<B>>> {
        let found = self.store.find(key, &HeaderMap::new(), |_| true);
        let found = found.or_else(|| read.last().cloned());
        // One that was made stale by a purge is as good as its manifest, which was too.
        found.filter(|object| self.orders.fate(object) != Fate::Gone)
    }

    fn slice_under_way(&self, key: &PrimaryKey) -> Option<F> {
        let fillings = self.fills.get(key)?;
        let filling = fillings.iter().find(|filling| !filling.purged)?;
        Some(filling.fill.clone())
    }

    /// The origin of `manifest` sends the whole where it is asked for a part: for a while the object is fetched
    /// as one.
    pub fn ignores_ranges(&mut self, now: Moment, manifest: &Object<B>) {
        let key = &manifest.key;
        while self.whole_only.expire(now).is_some() {}
        self.whole_only
            .insert(key.clone(), (), now + WHOLE_ONLY_FOR);
        self.forget(key);
    }

    /// Whether `key` may be had in slices, as far as is known.
    #[must_use]
    pub fn may_be_sliced(&self, now: Moment, key: &PrimaryKey) -> bool {
        self.whole_only.at(key, now).is_none()
    }

    /// The origin has another version than `manifest` by now, or none: it goes, and whoever reads what is here
    /// of it may go on. For a while only the origin is believed about it.
    pub fn has_changed(&mut self, now: Moment, manifest: &Object<B>)
    where
        B: Clone,
    {
        let key = &manifest.key;
        let purged = self.store.purge(key, |kept| {
            let same = kept.sliced() == manifest.sliced() && kept.fields() == manifest.fields();
            if same { Fate::Gone } else { Fate::Spared }
        });
        // What is kept is another one by now.
        if purged.tally.gone == 0 && self.store.has(key) {
            return;
        }
        self.shelf.forget(super::record::name_of(key), None);
        while self.changed.expire(now).is_some() {}
        self.changed.insert(key.clone(), (), now + CHANGED_FOR);
    }

    /// Whether `key` was found to have changed a short while ago.
    #[must_use]
    pub fn has_changed_lately(&self, now: Moment, key: &PrimaryKey) -> bool {
        self.changed.at(key, now).is_some()
    }
}

impl<B, F> Flow<B, F> {
    /// Which slices of the extent that `key` is, or lies in, are here. `None` if it is neither.
    #[must_use]
    pub fn held_of(&self, key: &PrimaryKey) -> Option<(PrimaryKey, u16)> {
        let (tag, portion) = key.as_portion()?;
        let e = match portion {
            Portion::Slice(n) => extent::of(n),
            Portion::Extent(e) => e,
        };
        let mut held = 0;
        for n in extent::slices(e) {
            let slice = key.portion(tag, Portion::Slice(n));
            if self.store.has(&slice) || self.is_only_shelved_at(&slice) {
                held |= extent::bit(n);
            }
        }
        Some((key.portion(tag, Portion::Extent(e)), held))
    }

    pub(super) fn renewal_of_extent(&self, key: &PrimaryKey) -> Renewal<B> {
        let Some((_, held)) = self.held_of(key) else {
            return Renewal::Withdraw;
        };
        if held != 0 {
            return Renewal::Parts(held, EXTENT_LIFE);
        }
        let Some((tag, Portion::Extent(e))) = key.as_portion() else {
            return Renewal::Withdraw;
        };
        let fetched = |n| {
            self.fills
                .contains_key(&key.portion(tag, Portion::Slice(n)))
        };
        match extent::slices(e).any(fetched) {
            true => Renewal::Fetching,
            false => Renewal::Withdraw,
        }
    }

    fn is_only_shelved_at(&self, key: &PrimaryKey) -> bool {
        !self.shelf.is_empty() && self.shelf.has(super::record::name_of(key))
    }
}

#[cfg(test)]
mod tests {
    use common::rng::Generator;

    use super::*;
    use crate::engine::http::fresh::FreshPolicy;
    use crate::engine::purge::order::{Order, OrderId};
    use crate::engine::slices::manifest::Manifest;
    use crate::engine::store::object::tests::object;
    use crate::engine::store::{Budget, Weight};

    fn flow() -> Flow<u32, u32> {
        let budget = Budget {
            memory: 1 << 30,
            disk: 0,
        };
        Flow::new(budget, FreshPolicy::default(), Generator::from_seed(1))
    }

    fn film() -> Arc<Object<u32>> {
        let fields = [
            ("etag", "\"a\""),
            ("atoll-total", "99000000"),
            ("cache-tag", "films"),
        ];
        object("/film", &fields, &[], 0)
    }

    /// A flow that keeps the film and its slices 3 and 17.
    fn kept() -> (Flow<u32, u32>, Manifest) {
        let (mut flow, film) = (flow(), film());
        let manifest = Manifest::of(&*film).unwrap();
        flow.keep(Moment::ZERO, film, Weight::default());
        for n in [3, 17] {
            let slice = object(
                "/film",
                &[("etag", "\"a\""), ("cache-tag", "films")],
                &[],
                7,
            );
            let mut slice = Arc::into_inner(slice).unwrap();
            slice.key = manifest.slice(n);
            assert!(matches!(
                flow.slice(&slice.key, None, || 1),
                SliceLookup::Start(1, _)
            ));
            flow.keep(Moment::ZERO, Arc::new(slice), Weight::default());
        }
        (flow, manifest)
    }

    #[test]
    fn one_fetch_for_a_slice_and_then_it_is_here() {
        let (mut flow, manifest) = kept();
        let key = manifest.slice(5);
        let SliceLookup::Start(1, id) = flow.slice(&key, None, || 1) else {
            panic!("the first one fetches it");
        };
        assert!(matches!(flow.slice(&key, None, || 2), SliceLookup::Join(1)));
        assert!(matches!(
            flow.slice_for_peer(&key, None),
            PeerLookup::Join(1)
        ));
        assert_eq!(
            flow.slice_passes(&key, 3),
            None,
            "somebody brings it already"
        );
        flow.over(&key, id);
        assert!(matches!(
            flow.slice_for_peer(&key, None),
            PeerLookup::Nothing
        ));
        let here = flow.slice(&manifest.slice(3), None, || 2);
        assert!(matches!(here, SliceLookup::Here(object) if object.body == 7));
    }

    #[test]
    fn the_index_is_told_which_slices_of_an_extent_are_here() {
        let (flow, manifest) = kept();
        let (extent, held) = flow.held_of(&manifest.slice(17)).unwrap();
        assert_eq!(
            (extent.as_portion().unwrap().1, held),
            (Portion::Extent(1), 0b10)
        );
        assert!(matches!(
            flow.renewal(Moment::ZERO, &extent),
            Renewal::Parts(0b10, _)
        ));
        let (empty, none) = flow.held_of(&manifest.slice(40)).unwrap();
        assert_eq!(none, 0);
        assert!(matches!(
            flow.renewal(Moment::ZERO, &empty),
            Renewal::Withdraw
        ));
        assert_eq!(flow.held_of(&manifest.key), None);
    }

    #[test]
    fn a_purge_takes_every_slice_whatever_it_names() {
        for text in [
            "hard url http://example.com/film",
            "hard prefix http://example.com/f",
            "hard site example.com",
            "hard tag example.com films",
        ] {
            let (mut flow, manifest) = kept();
            let order = Order::parse(OrderId([1; 16]), text).unwrap();
            let mut purging = flow.order(Moment::ZERO, order).unwrap();
            while flow.purge(&mut purging).is_some() {}
            assert_eq!(purging.tally().gone, 3, "{text}");
            assert!(flow.store().is_empty(), "{text}");
            assert!(matches!(
                flow.slice(&manifest.slice(3), None, || 1),
                SliceLookup::Start(..)
            ));
        }
    }

    #[test]
    fn a_changed_manifest_goes_with_what_peers_say_of_it_and_another_stays() {
        let (mut flow, manifest) = kept();
        let other = object("/film", &[("etag", "\"b\""), ("atoll-total", "5")], &[], 0);
        flow.has_changed(Moment::ZERO, &other);
        let key = &manifest.key;
        assert!(flow.store().has(key) && !flow.has_changed_lately(Moment::ZERO, key));
        flow.has_changed(Moment::ZERO, &film());
        assert!(!flow.store().has(key) && flow.has_changed_lately(Moment::ZERO, key));
        assert!(!flow.has_changed_lately(Moment::ZERO + CHANGED_FOR, key));
        assert!(matches!(
            flow.slice(&manifest.slice(3), None, || 1),
            SliceLookup::Here(_)
        ));
    }

    #[test]
    fn a_manifest_is_of_use_with_every_extent_that_is_read() {
        let (mut flow, manifest) = kept();
        let found = |flow: &Flow<u32, u32>| flow.store().found(&manifest.key);
        let before = found(&flow);
        for n in 16..48 {
            flow.slice(&manifest.slice(n), None, || 1);
        }
        assert_eq!(found(&flow), before + 2);
    }

    #[test]
    fn what_cannot_be_parted_is_not_in_slices_for_a_while() {
        let (mut flow, manifest) = kept();
        assert!(flow.may_be_sliced(Moment::ZERO, &manifest.key));
        flow.ignores_ranges(Moment::ZERO, &film());
        assert!(!flow.may_be_sliced(Moment::ZERO, &manifest.key));
        assert!(!flow.store().has(&manifest.key));
        assert!(flow.may_be_sliced(Moment::ZERO + WHOLE_ONLY_FOR, &manifest.key));
    }
}
