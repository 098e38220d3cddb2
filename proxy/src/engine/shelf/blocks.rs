//! Checks of a body in a file of its own, one per block, so that a part of it can be read and checked
//! without the rest.
//!
//! BLAKE3 cut to sixteen bytes: fast here, and stronger than the disk needs. The digest of the whole
//! cannot stand in for it: a range of a large body would have to read all of it.

/// Bytes of a block: what is read too much for a byte in the middle, against sixteen bytes of memory
/// for each while the body is in use.
pub const BLOCK: usize = 64 << 10;

/// One block's check.
pub type Check = [u8; 16];

/// The checks of what was written so far.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    done: Vec<Check>,
    hasher: blake3::Hasher,
    /// Bytes in the hasher.
    begun: usize,
    /// No more bytes come: the last block may be short.
    ended: bool,
}

impl Blocks {
    /// The checks of a whole body, as they were read from disk.
    #[must_use]
    pub fn of(checks: Vec<Check>) -> Self {
        Self {
            done: checks,
            ended: true,
            ..Self::default()
        }
    }

    /// Blocks that a body of `bytes` has.
    #[must_use]
    pub const fn count(bytes: u64) -> u64 {
        bytes.div_ceil(BLOCK as u64)
    }

    /// Takes the bytes that come next.
    pub fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(BLOCK - self.begun));
            self.hasher.update(now);
            self.begun += now.len();
            if self.begun == BLOCK {
                self.close();
            }
            bytes = rest;
        }
    }

    /// Nothing more comes. The checks of all of it.
    pub fn end(&mut self) -> &[Check] {
        if self.begun > 0 {
            self.close();
        }
        self.ended = true;
        &self.done
    }

    /// Whether nothing more comes: the last block is known, however short.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    fn close(&mut self) {
        self.done.push(check(&self.hasher));
        self.hasher.reset();
        self.begun = 0;
    }

    /// Whether `bytes`, all of block `n`, are what was written. A block that is still being written
    /// cannot be told.
    #[must_use]
    pub fn is_right(&self, n: usize, bytes: &[u8]) -> bool {
        match self.done.get(n) {
            Some(known) => {
                let mut hasher = blake3::Hasher::new();
                hasher.update(bytes);
                check(&hasher) == *known
            }
            None => !self.ended,
        }
    }
}

fn check(hasher: &blake3::Hasher) -> Check {
    let mut check = [0; 16];
    hasher.finalize_xof().fill(&mut check);
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_is_checked_by_itself_however_it_was_written() {
        let body: Vec<u8> = (0..BLOCK * 2 + 100)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let mut blocks = Blocks::default();
        for piece in body.chunks(1_000) {
            blocks.take(piece);
        }
        assert!(blocks.is_right(2, b"not known yet"));
        let checks = blocks.end().to_vec();
        assert_eq!(checks.len() as u64, Blocks::count(body.len() as u64));
        let read = Blocks::of(checks);
        for (n, block) in body.chunks(BLOCK).enumerate() {
            assert!(read.is_right(n, block));
            let mut damaged = block.to_vec();
            damaged[50] ^= 1;
            assert!(!read.is_right(n, &damaged));
        }
        assert!(!read.is_right(3, b"beyond the end"));
    }
}
