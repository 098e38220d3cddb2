//! Bytes made up from a seed: the same for the same path, anywhere, from any offset. Pure.
//!
//! The origin serves them, the crowd checks them, and neither keeps them: byte `i` of a content is
//! a function of the seed and `i` alone.

/// Bytes that one step of the generator makes.
const WORD: u64 = 8;

/// The size of a crowd's object unless asked otherwise, in bytes: 41 KiB, the file of CoralCDN's
/// flash-crowd experiment (Freedman et al., NSDI 2004, §6.2).
pub const CROWD_SIZE: u64 = 41 * 1024;

/// A content: its seed and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Content(u64);

impl Content {
    /// The content of `path`.
    #[must_use]
    pub fn of(path: &str) -> Self {
        // FNV-1a: a seed, not a secret.
        let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(hash)
    }

    /// The validator of this content cut to `len` bytes.
    #[must_use]
    pub fn etag(self, len: u64) -> String {
        format!("\"{:016x}-{len:x}\"", self.0)
    }

    /// Fills `out` with the bytes from `offset` on.
    pub fn fill(self, offset: u64, out: &mut [u8]) {
        let mut at = offset;
        let mut rest = out;
        while !rest.is_empty() {
            let word = self.word(at / WORD).to_le_bytes();
            let skip = usize::try_from(at % WORD).unwrap_or_default();
            let fresh = word.get(skip..).unwrap_or_default();
            let take = fresh.len().min(rest.len());
            let (now, later) = rest.split_at_mut(take);
            now.copy_from_slice(fresh.get(..take).unwrap_or_default());
            at += take as u64;
            rest = later;
        }
    }

    /// The first `len` bytes.
    #[must_use]
    pub fn whole(self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.fill(0, &mut bytes);
        bytes
    }

    /// Word `index`: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) at that position.
    const fn word(self, index: u64) -> u64 {
        let mut z = self
            .0
            .wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_equals_that_part_of_the_whole() {
        let content = Content::of("/big/1MiB");
        let whole = content.whole(1_000);
        for offset in [0_usize, 1, 7, 8, 9, 500, 993] {
            let mut part = vec![0; 7];
            content.fill(offset as u64, &mut part);
            assert_eq!(part, whole[offset..offset + 7], "{offset}");
        }
    }

    #[test]
    fn different_paths_have_different_contents() {
        let (one, two) = (Content::of("/crowd/a/0.bin"), Content::of("/crowd/a/1.bin"));
        assert_ne!(one.whole(64), two.whole(64));
        assert_ne!(one.etag(64), two.etag(64));
        assert_ne!(one.etag(64), one.etag(65));
    }
}
