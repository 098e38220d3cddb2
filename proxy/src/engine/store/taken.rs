//! What the allocator takes for a piece of so many bytes. Not what the system has resident for it: pages
//! at the end of a large piece that were never written are not.
//!
//! mimalloc rounds up to four sizes for each power of two, and from [`LARGE`] on to whole slices of its
//! arenas (`mi_bin`, `mi_good_size`). Without this the budget would be exceeded by a tenth on average,
//! and by a quarter where all pages are of an unlucky size.

/// Pieces of more bytes stand alone.
const LARGE: u64 = 512 << 10;

/// What pieces that stand alone are multiples of.
const SLICE: u64 = 64 << 10;

/// What the smallest pieces are multiples of.
const WORDS: u64 = 16;

/// Bytes taken for a piece of `bytes`.
#[must_use]
pub(super) const fn taken(bytes: u64) -> u64 {
    let step = match bytes {
        0..=64 => WORDS,
        65..=LARGE => 1 << ((bytes - 1).ilog2() - 2),
        _ => SLICE,
    };
    bytes.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_rounded_up_to_four_sizes_for_each_power_of_two() {
        let sizes = [
            (0, 0),
            (1, 16),
            (64, 64),
            (65, 80),
            (128, 128),
            (129, 160),
            (4_096, 4_096),
            (4_097, 5_120),
            (5_121, 6_144),
            (7_169, 8_192),
            (LARGE, LARGE),
            (LARGE + 1, LARGE + SLICE),
            (1 << 20, 1 << 20),
        ];
        for (bytes, expected) in sizes {
            assert_eq!(taken(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn no_more_than_a_quarter_is_added_to_a_piece_of_more_than_64_bytes() {
        for bytes in (65..LARGE * 2).step_by(97) {
            assert!(taken(bytes) - bytes <= bytes / 4, "{bytes}");
        }
    }
}
