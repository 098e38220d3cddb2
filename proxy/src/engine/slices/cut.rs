//! Slices out of a body that passes by: which slice each piece of it belongs to.
//!
//! What stands before the first whole slice, or after the last, is passed over.

use std::ops::Range;

use bytes::Bytes;

use super::{SLICE, bytes_of, slice_of};

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    /// The byte that comes next.
    at: u64,
    /// The slices that come whole.
    slices: Range<u64>,
    /// Bytes of the whole object.
    total: u64,
}

/// Some bytes of a slice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Which slice.
    pub slice: u64,
    /// Its next bytes.
    pub bytes: Bytes,
    /// They are its last.
    pub last: bool,
}

impl Cut {
    /// Of a body that is `bytes` of an object of `total`.
    #[must_use]
    pub fn new(bytes: &Range<u64>, total: u64) -> Self {
        let first = slice_of(bytes.start) + u64::from(!bytes.start.is_multiple_of(SLICE));
        // The last one of an object is whole where the object ends.
        let end = if bytes.end >= total {
            total.div_ceil(SLICE)
        } else {
            slice_of(bytes.end)
        };
        Self {
            at: bytes.start,
            slices: first..end.max(first),
            total,
        }
    }

    /// The slices of it that come whole.
    #[must_use]
    pub const fn slices(&self) -> &Range<u64> {
        &self.slices
    }

    /// Takes the next piece off `body`. `None` when nothing in it is of use: more has to come.
    pub fn take(&mut self, body: &mut Bytes) -> Option<Piece> {
        while !body.is_empty() {
            let slice = slice_of(self.at);
            let of = bytes_of(slice, self.total);
            let left = of.end.saturating_sub(self.at);
            if left == 0 {
                // More than there is of the object: it is of nothing.
                body.clear();
                break;
            }
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(body.len());
            let bytes = body.split_to(take);
            self.at += bytes.len() as u64;
            if self.slices.contains(&slice) {
                return Some(Piece {
                    slice,
                    bytes,
                    last: self.at == of.end,
                });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_whole_slices_come_out() {
        let slices = |bytes: Range<u64>, total| Cut::new(&bytes, total).slices().clone();
        let half = SLICE / 2;
        assert_eq!(slices(0..3 * SLICE + 5, 3 * SLICE + 5), 0..4);
        assert_eq!(slices(0..3 * SLICE, 3 * SLICE), 0..3);
        assert_eq!(slices(SLICE..2 * SLICE, 3 * SLICE), 1..2);
        assert_eq!(slices(half..2 * SLICE + half, 3 * SLICE), 1..2);
        assert_eq!(slices(half..SLICE + half, 3 * SLICE), 1..1);
        assert_eq!(slices(SLICE..SLICE, 3 * SLICE), 1..1);
    }

    proptest! {
        #[test]
        fn every_byte_of_them_comes_in_its_place(
            start in 0..3 * SLICE, length in 0..4 * SLICE, total in 1..6 * SLICE, steps: Vec<u32>,
        ) {
            let end = (start + length).min(total);
            let range = start.min(end)..end;
            let mut cut = Cut::new(&range, total);
            let slices = cut.slices().clone();
            // Byte `n` is told by `n`, so that a shifted one shows.
            let body: Vec<u8> = range.map(|n| (n % 251) as u8).collect();
            let mut steps = steps.into_iter().map(|step| step as usize % 300_000 + 1);
            let (mut body, mut out, mut ended) = (Bytes::from(body), Vec::new(), Vec::new());
            while !body.is_empty() {
                let step = steps.next().unwrap_or(900_000).min(body.len());
                let mut read = body.split_to(step);
                while let Some(piece) = cut.take(&mut read) {
                    ended.extend(piece.last.then_some(piece.slice));
                    out.extend_from_slice(&piece.bytes);
                }
            }
            let whole = bytes_of(slices.start, total).start..bytes_of(slices.end, total).start;
            prop_assert_eq!(ended, slices.collect::<Vec<_>>());
            prop_assert!(out == whole.map(|n| (n % 251) as u8).collect::<Vec<_>>());
        }
    }
}
