//! Bodies of any size that nobody has to hold: byte `n` is known from `n` alone.
//!
//! The bytes repeat after a prime number of them, so that no block of a power of two, shifted or
//! swapped, fits where another belongs.

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use common::rng::Generator;

/// Length of the period: the largest prime below 1 MiB.
const PERIOD: usize = 1_048_573;

/// Longest piece given at once.
const PIECE: u64 = 64 << 10;

fn table() -> &'static Bytes {
    static TABLE: OnceLock<Bytes> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut bytes = Vec::with_capacity(PERIOD + 8);
        let mut random = Generator::from_seed(0x00A7_011A);
        while bytes.len() < PERIOD {
            bytes.extend_from_slice(&random.u64().to_le_bytes());
        }
        bytes.truncate(PERIOD);
        Bytes::from(bytes)
    })
}

/// The beginning of `range`: at most 64 KiB, not empty unless the range is.
#[must_use]
pub fn piece(range: Range<u64>) -> Bytes {
    let at = usize::try_from(range.start % PERIOD as u64).unwrap();
    let wanted = range.end.saturating_sub(range.start).min(PIECE);
    let length = usize::try_from(wanted).unwrap().min(PERIOD - at);
    table().slice(at..at + length)
}

/// All of `range` at once, for small bodies.
#[must_use]
pub fn whole(range: Range<u64>) -> Bytes {
    let mut bytes = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let next = piece(at..range.end);
        at += next.len() as u64;
        bytes.extend_from_slice(&next);
    }
    Bytes::from(bytes)
}

/// Whether `bytes` are those of the pattern from `offset` on.
#[must_use]
pub fn matches(offset: u64, bytes: &[u8]) -> bool {
    let (mut at, mut rest) = (offset, bytes);
    while !rest.is_empty() {
        let expected = piece(at..at + rest.len() as u64);
        if rest[..expected.len()] != expected[..] {
            return false;
        }
        at += expected.len() as u64;
        rest = &rest[expected.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_whole_and_are_recognised() {
        let range = 1_000_000..1_200_000;
        let bytes = whole(range.clone());
        assert_eq!(bytes.len(), 200_000);
        assert!(matches(range.start, &bytes));
        assert!(!matches(range.start + 1, &bytes));
        assert!(matches(1_100_000, &bytes[100_000..]));
        assert!(piece(5..5).is_empty());
    }

    #[test]
    fn no_block_stands_in_for_another() {
        let block = |n: u64| whole(n << 16..(n + 1) << 16);
        assert!((1..40).all(|n| block(n) != block(0)));
    }
}
