//! SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash of short messages, which RFC 9018 §4.4
//! prescribes for server cookies. Also spreads prefixes over the table of the rate limit, so that
//! nobody can aim at a slot.

/// The hash of `message` under `key`.
#[must_use]
pub fn siphash(key: &[u8; 16], message: &[u8]) -> u64 {
    let [k0, k1] = halves(key);
    let mut state = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let (words, rest) = message.as_chunks::<8>();
    for word in words {
        compress(&mut state, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    // The lowest byte of the length; the algorithm asks for no more.
    last[7] = message.len().to_le_bytes()[0];
    compress(&mut state, u64::from_le_bytes(last));
    state[2] ^= 0xff;
    for _ in 0..4 {
        round(&mut state);
    }
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

fn halves(key: &[u8; 16]) -> [u64; 2] {
    let number = u128::from_le_bytes(*key).to_le_bytes();
    let (words, _) = number.as_chunks::<8>();
    [0, 1].map(|n| words.get(n).copied().map_or(0, u64::from_le_bytes))
}

const fn compress(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    round(state);
    round(state);
    state[0] ^= word;
}

const fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_vectors_of_its_authors() {
        let key = std::array::from_fn(|n| u8::try_from(n).unwrap());
        let message: Vec<u8> = (0..15).collect();
        assert_eq!(siphash(&key, &message), 0xa129_ca61_49be_45e5);
        assert_eq!(siphash(&key, &[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(siphash(&key, &message[..8]), 0x93f5_f579_9a93_2462);
    }
}
