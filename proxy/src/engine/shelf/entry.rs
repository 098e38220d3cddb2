//! The small fixed records of the disk store: the head of a file, and an entry of a segment's index.
//!
//! Both are 64 bytes, little-endian, and end in eight bytes of BLAKE3 over the rest. An entry's check
//! also covers the number of its segment, so that an index beside the wrong data says nothing. As all
//! entries have one size, what follows a damaged one can still be read.

use std::time::Duration;

use common::clock::WallTime;

use super::elapsed::Stamp;

/// Bytes of a file's head, and of an entry.
pub const ENTRY_LEN: usize = 64;

/// The version of everything in the directory `v1`. Another one is another directory.
pub const VERSION: u32 = 1;

/// What segment files and their indexes begin with.
const MAGIC: [u8; 8] = *b"ATOLLSEG";

/// Bytes covered by the check.
const CHECKED: usize = ENTRY_LEN - 8;

/// What a URL is called in the index: the first sixteen bytes of its key. Two URLs do not share one
/// in practice, and the record says which URL it is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name(pub [u64; 2]);

/// Which variant of a URL, as far as the index needs to know: two that fall together replace each
/// other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Variant(pub u32);

/// Where a record is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Spot {
    /// The segment.
    pub segment: u32,
    /// The record's first byte in it.
    pub offset: u32,
}

/// A body in a file of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Large {
    /// The file's number.
    pub id: u64,
    /// Bytes in it.
    pub bytes: u64,
}

/// What an entry says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A record was written.
    Put(Put),
    /// The variant is gone, or every one of the URL's.
    Gone(Name, Option<Variant>),
}

/// A record that was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Put {
    /// Whose.
    pub name: Name,
    /// Which of its variants.
    pub variant: Variant,
    /// Its first byte in the segment.
    pub offset: u32,
    /// Bytes of it.
    pub length: u32,
    /// Its body, if that is in a file of its own.
    pub large: Option<Large>,
    /// Seconds from the segment's stamp until it was written.
    pub at: u32,
    /// Seconds for which it was still fresh then.
    pub fresh: u32,
}

/// Why bytes are no head of a file that can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoHead {
    /// Another version's.
    Version,
    /// Cut off, damaged, or something else altogether.
    Damaged,
}

fn check(bytes: &[u8], segment: u32) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&segment.to_le_bytes());
    hasher.update(bytes);
    let mut check = [0; 8];
    hasher.finalize_xof().fill(&mut check);
    check
}

/// `bytes` with the right check at their end, for `segment`.
#[must_use]
pub fn sealed(mut bytes: [u8; ENTRY_LEN], segment: u32) -> [u8; ENTRY_LEN] {
    let (body, end) = bytes.split_at_mut(CHECKED);
    end.copy_from_slice(&check(body, segment));
    bytes
}

fn is_sealed(bytes: &[u8; ENTRY_LEN], segment: u32) -> bool {
    let (body, end) = bytes.split_at(CHECKED);
    check(body, segment) == end
}

/// Fields of fixed size, one after another.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.0.split_first_chunk::<N>();
        // The fields of both layouts add up to less than a record.
        let (taken, rest) = taken.map_or(([0; N], &[][..]), |(taken, rest)| (*taken, rest));
        self.0 = rest;
        taken
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}

fn laid_out(fields: &[&[u8]]) -> [u8; ENTRY_LEN] {
    let mut bytes = [0; ENTRY_LEN];
    let mut at = 0;
    for field in fields {
        bytes[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    }
    bytes
}

/// The head of the files of `segment`, which was begun at `stamp`.
#[must_use]
pub fn head(segment: u32, stamp: &Stamp) -> [u8; ENTRY_LEN] {
    let since = u64::try_from(stamp.since_boot.as_millis()).unwrap_or(u64::MAX);
    let bytes = laid_out(&[
        &MAGIC,
        &VERSION.to_le_bytes(),
        &segment.to_le_bytes(),
        &stamp.boot,
        &since.to_le_bytes(),
        &stamp.wall.unix().to_le_bytes(),
    ]);
    sealed(bytes, segment)
}

/// When the segment whose files begin with `bytes` was begun.
///
/// # Errors
/// It is no such head.
pub fn read_head(bytes: &[u8], segment: u32) -> Result<Stamp, NoHead> {
    let head = bytes.first_chunk::<ENTRY_LEN>().ok_or(NoHead::Damaged)?;
    let mut fields = Fields(head);
    if fields.take() != MAGIC {
        return Err(NoHead::Damaged);
    }
    // Before the check: another version may be checked in another way.
    if fields.u32() != VERSION {
        return Err(NoHead::Version);
    }
    if fields.u32() != segment || !is_sealed(head, segment) {
        return Err(NoHead::Damaged);
    }
    Ok(Stamp {
        boot: fields.take(),
        since_boot: Duration::from_millis(fields.u64()),
        wall: WallTime::from_unix(i64::from_le_bytes(fields.take())),
    })
}

impl Entry {
    /// Its bytes in the index of `segment`.
    #[must_use]
    pub fn encode(&self, segment: u32) -> [u8; ENTRY_LEN] {
        const PUT: u8 = 1;
        const PUT_LARGE: u8 = 2;
        const GONE: u8 = 3;
        const ALL_GONE: u8 = 4;
        let name = |name: &Name| [name.0[0].to_le_bytes(), name.0[1].to_le_bytes()].concat();
        let bytes = match self {
            Self::Put(put) => {
                let kind = if put.large.is_some() { PUT_LARGE } else { PUT };
                let large = put.large.unwrap_or(Large { id: 0, bytes: 0 });
                laid_out(&[
                    &[kind, 0, 0, 0],
                    &name(&put.name),
                    &put.variant.0.to_le_bytes(),
                    &put.offset.to_le_bytes(),
                    &put.length.to_le_bytes(),
                    &large.id.to_le_bytes(),
                    &large.bytes.to_le_bytes(),
                    &put.at.to_le_bytes(),
                    &put.fresh.to_le_bytes(),
                ])
            }
            Self::Gone(of, variant) => {
                let kind = if variant.is_some() { GONE } else { ALL_GONE };
                let variant = variant.map_or(0, |variant| variant.0);
                laid_out(&[&[kind, 0, 0, 0], &name(of), &variant.to_le_bytes()])
            }
        };
        sealed(bytes, segment)
    }

    /// The entry of the index of `segment` that `bytes` are; `None` if they are damaged.
    #[must_use]
    pub fn decode(bytes: &[u8; ENTRY_LEN], segment: u32) -> Option<Self> {
        if !is_sealed(bytes, segment) {
            return None;
        }
        let mut fields = Fields(bytes);
        let [kind, ..] = fields.take::<4>();
        let name = Name([fields.u64(), fields.u64()]);
        let variant = Variant(fields.u32());
        match kind {
            1 | 2 => {
                let (offset, length) = (fields.u32(), fields.u32());
                let large = Large {
                    id: fields.u64(),
                    bytes: fields.u64(),
                };
                Some(Self::Put(Put {
                    name,
                    variant,
                    offset,
                    length,
                    large: (kind == 2).then_some(large),
                    at: fields.u32(),
                    fresh: fields.u32(),
                }))
            }
            3 => Some(Self::Gone(name, Some(variant))),
            4 => Some(Self::Gone(name, None)),
            _ => None,
        }
    }
}

/// The entries in `bytes`, an index without its head. What is damaged or cut off is `None`.
pub fn entries(bytes: &[u8], segment: u32) -> impl Iterator<Item = Option<Entry>> {
    bytes.chunks(ENTRY_LEN).map(move |chunk| {
        let whole = chunk.first_chunk::<ENTRY_LEN>();
        whole.and_then(|bytes| Entry::decode(bytes, segment))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(large: Option<Large>) -> Entry {
        Entry::Put(Put {
            name: Name([1, u64::MAX]),
            variant: Variant(7),
            offset: 64,
            length: 4_500,
            large,
            at: 9,
            fresh: 3_600,
        })
    }

    #[test]
    fn entries_come_back_as_they_were_and_only_in_their_own_segment() {
        let large = Large {
            id: 3,
            bytes: 1 << 33,
        };
        let all = [
            put(None),
            put(Some(large)),
            Entry::Gone(Name([5, 6]), Some(Variant(1))),
            Entry::Gone(Name([5, 6]), None),
        ];
        for entry in all {
            let bytes = entry.encode(4);
            assert_eq!(Entry::decode(&bytes, 4), Some(entry));
            assert_eq!(Entry::decode(&bytes, 5), None);
            for at in 0..ENTRY_LEN {
                let mut damaged = bytes;
                damaged[at] ^= 1;
                assert_eq!(Entry::decode(&damaged, 4), None, "byte {at}");
            }
        }
    }

    #[test]
    fn what_follows_a_damaged_entry_is_read() {
        let mut bytes = [put(None).encode(1), put(None).encode(1)].concat();
        bytes[3] ^= 1;
        bytes.extend([0; 10]);
        let read: Vec<_> = entries(&bytes, 1).collect();
        assert_eq!(read, [None, Some(put(None)), None]);
    }

    #[test]
    fn a_head_of_another_version_is_told_from_damage() {
        let stamp = Stamp {
            boot: [3; 16],
            since_boot: Duration::from_millis(1_500),
            wall: WallTime::from_unix(-5),
        };
        let bytes = head(9, &stamp);
        assert_eq!(read_head(&bytes, 9), Ok(stamp));
        assert_eq!(read_head(&bytes, 8), Err(NoHead::Damaged));
        assert_eq!(read_head(&bytes[..63], 9), Err(NoHead::Damaged));
        let mut other = bytes;
        other[8] = 2;
        assert_eq!(read_head(&other, 9), Err(NoHead::Version));
        other[0] = b'X';
        assert_eq!(read_head(&other, 9), Err(NoHead::Damaged));
    }
}
