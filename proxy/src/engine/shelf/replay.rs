//! The index after a restart, from the indexes of the segments.
//!
//! Segments in the order of their numbers, entries in the order they stand: the last word about a
//! variant holds. What points beyond the data that is there, or at a file that is not, is not taken;
//! what it replaced is gone all the same, since something newer was known to exist.

use common::clock::Moment;

use super::elapsed::Stamp;
use super::entry::{self, ENTRY_LEN, Entry, Large, Put};
use super::{Shelf, seconds};

/// What was found of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Its number.
    pub segment: u32,
    /// When it was begun.
    pub stamp: Stamp,
    /// Bytes in its data file, the head included.
    pub data: u64,
    /// Its index without the head.
    pub index: &'a [u8],
}

/// What became of its entries.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// Taken into the index.
    pub taken: u64,
    /// Damaged or cut off.
    pub damaged: u64,
    /// Their record or file is not there.
    pub missing: u64,
}

impl Shelf {
    /// Takes the entries of a segment. `now` is this moment and its stamp; `has` says whether the file
    /// of a large body is there, whole.
    pub fn replay(
        &mut self,
        (now, stamp): (Moment, &Stamp),
        found: Found<'_>,
        has: impl Fn(Large) -> bool,
    ) -> Tally {
        let mut tally = Tally::default();
        let since = found.stamp.elapsed(stamp).as_secs();
        self.segment_begun(found.segment);
        let mut removes = false;
        for entry in entry::entries(found.index, found.segment) {
            match entry {
                Some(Entry::Put(put)) => {
                    let end = u64::from(put.offset) + u64::from(put.length);
                    // Asked of every file that is spoken of, so that whoever counts hears of all numbers.
                    let filed = put.large.is_none_or(&has);
                    let there = end <= found.data && filed;
                    if there {
                        tally.taken += 1;
                        let until = fresh_until(now, since, &put);
                        self.insert(&put, found.segment, until);
                    } else {
                        tally.missing += 1;
                        self.remove_variant(put.name, put.variant);
                        removes = true;
                    }
                }
                Some(Entry::Gone(name, variant)) => {
                    removes = true;
                    self.drop_from_index(name, variant);
                }
                None => tally.damaged += 1,
            }
        }
        // What a file costs by itself covers its head.
        let data = found.data.saturating_sub(ENTRY_LEN as u64);
        let bytes = data + found.index.len() as u64;
        self.segment_grew(found.segment, bytes, removes);
        tally
    }
}

/// Until which second of this process's clock a record is fresh whose segment was begun `since` ago.
fn fresh_until(now: Moment, since: u64, put: &Put) -> u64 {
    let age = since.saturating_sub(put.at.into());
    let left = u64::from(put.fresh).saturating_sub(age);
    if left == 0 { 0 } else { seconds(now) + left }
}
