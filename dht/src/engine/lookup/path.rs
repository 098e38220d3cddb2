//! The digit-by-digit rule of routing: where the next hop should lie.
//!
//! A pure function of ids. A walk that jumps to the closest node it knows sends everybody who
//! wants a hot key to the same node and its surroundings (tree saturation). Correcting only `b`
//! bits a hop leads every walk over many intermediate nodes that can answer or absorb it
//! (IPTPS'03 "Sloppy hashing", NSDI'04 §3).

use common::ids::Key;

/// Bits of an id.
const ID_BITS: u32 = 160;

/// Leading bits that `a` and `b` share.
#[must_use]
pub(super) fn shared_bits(a: &Key, b: &Key) -> u32 {
    a.distance(b).leading_zeros()
}

/// The first `bits` bits of `key`, then the remaining low bits of `from`.
#[must_use]
pub(super) fn splice(key: &Key, from: &Key, bits: u32) -> Key {
    let mut spliced = *from.as_bytes();
    let pairs = spliced.iter_mut().zip(key.as_bytes());
    for (n, (own, wanted)) in pairs.enumerate() {
        let before = u32::try_from(8 * n).unwrap_or(u32::MAX);
        let taken = bits.saturating_sub(before).min(8);
        let mask = !(0xff_u16 >> taken).to_be_bytes()[1];
        *own = (*wanted & mask) | (*own & !mask);
    }
    Key::from_bytes(spliced)
}

/// The next point on the way from `at` to `key` and how many leading bits it shares with the key
/// at least: as many digits of `digit` bits as are needed to change anything. `None` at the key.
#[must_use]
pub(super) fn next_point(key: &Key, at: &Key, digit: u32) -> Option<(Key, u32)> {
    let shared = shared_bits(key, at);
    if shared >= ID_BITS {
        return None;
    }
    let digit = digit.max(1);
    let bits = (shared / digit + 1) * digit;
    Some((splice(key, at, bits), bits.min(ID_BITS)))
}

#[cfg(test)]
mod tests {
    use common::ids::ID_LEN;
    use proptest::prelude::*;

    use super::*;

    /// A key that ends in these bits, the rest zero.
    fn low(bits: u8) -> Key {
        let mut bytes = [0; ID_LEN];
        bytes[ID_LEN - 1] = bits;
        Key::from_bytes(bytes)
    }

    /// The paper's figure: towards key 4 (0100) from 14 (1110) in a space of four bits, at XOR
    /// distance 10; each step halves the distance at least: 10, then under 8, under 4, …
    #[test]
    fn halves_the_distance_like_the_example_of_the_paper() {
        let (key, mut at) = (low(0b0100), low(0b1110));
        let mut points = Vec::new();
        while let Some((next, _)) = next_point(&key, &at, 1) {
            points.push(next);
            at = next;
        }
        assert_eq!(points, [low(0b0110), low(0b0100)]);
    }

    #[test]
    fn takes_the_top_bits_of_the_key_and_the_rest_of_the_node() {
        let (ones, zeros) = (Key::from_bytes([0xff; 20]), Key::ZERO);
        assert_eq!(splice(&ones, &zeros, 0), zeros);
        let mut eleven = [0; ID_LEN];
        (eleven[0], eleven[1]) = (0xff, 0b1110_0000);
        assert_eq!(splice(&ones, &zeros, 11), Key::from_bytes(eleven));
        assert_eq!(splice(&ones, &zeros, 160), ones);
    }

    #[test]
    fn corrects_whole_digits_of_several_bits() {
        let (key, at) = (Key::from_bytes([0b1010_1111; 20]), Key::ZERO);
        let (point, bits) = next_point(&key, &at, 3).unwrap();
        assert_eq!((bits, point.as_bytes()[0]), (3, 0b1010_0000));
        let (point, bits) = next_point(&key, &point, 3).unwrap();
        assert_eq!((bits, point.as_bytes()[0]), (6, 0b1010_1100));
    }

    proptest! {
        #[test]
        fn every_path_ends_at_the_key(key: [u8; 20], at: [u8; 20], digit in 1..6u32) {
            let (key, mut at) = (Key::from_bytes(key), Key::from_bytes(at));
            let mut steps = 0;
            while let Some((next, bits)) = next_point(&key, &at, digit) {
                prop_assert!(shared_bits(&key, &next) >= bits);
                prop_assert!(next.distance(&key) < at.distance(&key));
                at = next;
                steps += 1;
            }
            prop_assert!(at == key && steps <= 160);
        }
    }
}
