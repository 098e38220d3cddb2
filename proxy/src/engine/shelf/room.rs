//! Room on disk: segments and files of large bodies, the bytes that they take, and which of them is to
//! go next. Everything is counted as the file system does, in whole blocks.

use super::entry::{Large, Name};
use super::{FILE_COST, Places, ROOM_QUARTERS, Segment, Shelf, on_disk};

impl Shelf {
    pub(super) fn hold(&mut self, large: Option<Large>) {
        if let Some(large) = large {
            let file = self.files.entry(large.id).or_insert((large, 0));
            file.1 += 1;
            if file.1 == 1 {
                self.used += on_disk(large.bytes) + FILE_COST;
            }
        }
    }

    pub(super) fn let_go(&mut self, large: Option<Large>) {
        let Some(large) = large else { return };
        let Some(file) = self.files.get_mut(&large.id) else {
            return;
        };
        file.1 = file.1.saturating_sub(1);
        if file.1 == 0 {
            self.files.remove(&large.id);
            self.used = self.used.saturating_sub(on_disk(large.bytes) + FILE_COST);
            self.loose.push(large);
        }
    }

    /// Files of which no record speaks any more: to be removed.
    pub fn take_loose(&mut self) -> Vec<Large> {
        let mut loose = std::mem::take(&mut self.loose);
        // A record written meanwhile may speak of it again.
        loose.retain(|large| !self.has_file(large.id));
        loose
    }

    /// A segment was begun; its two files are there.
    pub fn segment_begun(&mut self, segment: u32) {
        self.segments.entry(segment).or_default();
        self.used += 2 * FILE_COST;
    }

    /// So many bytes more are in the files of `segment`.
    pub fn segment_grew(&mut self, segment: u32, bytes: u64, removes: bool) {
        let of = self.segments.entry(segment).or_default();
        // The two files are rounded up, each by itself.
        let before = on_disk(of.bytes);
        of.bytes += bytes;
        of.removes |= removes;
        self.used += on_disk(of.bytes) - before;
    }

    /// The files of `segment` are gone, and with them what it still held.
    pub fn segment_gone(&mut self, segment: u32) {
        if let Some(of) = self.segments.remove(&segment) {
            self.used = self.used.saturating_sub(on_disk(of.bytes) + 2 * FILE_COST);
            if of.live > 0 {
                self.drop_all_of(segment);
            }
        }
    }

    fn drop_all_of(&mut self, segment: u32) {
        let held = |(name, places): (&Name, &Places)| {
            let here = places.all().iter();
            let here = here.filter(|place| place.spot.segment == segment);
            here.map(|place| (*name, place.variant)).collect::<Vec<_>>()
        };
        let gone: Vec<_> = self.names.iter().flat_map(held).collect();
        gone.into_iter()
            .for_each(|(name, variant)| self.remove_variant(name, variant));
    }

    /// Whether there is room that nobody has to make.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        // Well below what is left when a segment has gone: that room was made.
        self.used < self.budget / 4 * ROOM_QUARTERS
    }

    /// The segment that should go so that `more` bytes fit, if they do not.
    #[must_use]
    pub fn in_the_way(&self, more: u64) -> Option<u32> {
        let over = self.used.saturating_add(more) > self.budget;
        let oldest = self.segments.first_key_value();
        oldest.filter(|_| over).map(|(segment, _)| *segment)
    }

    /// The segment written longest ago.
    #[must_use]
    pub fn oldest(&self) -> Option<u32> {
        self.segments.first_key_value().map(|(segment, _)| *segment)
    }

    /// A segment, other than `newest`, that holds nothing of use.
    #[must_use]
    pub fn empty_segment(&self, newest: Option<u32>) -> Option<u32> {
        let oldest = self.oldest();
        let empty = |(id, of): &(&u32, &Segment)| {
            // What it says is gone might come back from an older one.
            of.live == 0 && Some(**id) != newest && (!of.removes || Some(**id) == oldest)
        };
        self.segments.iter().find(empty).map(|(id, _)| *id)
    }

    /// Bytes that the records of `segment` stand for, large bodies included.
    #[must_use]
    pub fn segment_bytes(&self, segment: u32) -> u64 {
        let of = self.segments.get(&segment);
        of.map_or(0, |of| of.bytes + of.large)
    }

    /// Whether records of this segment may be known.
    #[must_use]
    pub fn has_segment(&self, segment: u32) -> bool {
        self.segments.contains_key(&segment)
    }
}
