//! A standing's bytes on disk, and which of two copies counts.
//!
//! First line: what it is, the format's number, a sequence number, BLAKE3 of the sequence number and
//! what follows. Then the standing. A copy whose digest does not fit does not exist; of two that do,
//! the one with the higher number counts. The writer writes one copy aside, has it on the disk, renames
//! it, and only then turns to the other: so at every moment at least one copy is whole.

use super::standing::Standing;

/// First words of a record.
const FORMAT: &str = "atoll-agent-state 1";

/// Largest record read, in bytes: three documents, escaped.
pub const RECORD_MAX: u64 = 2 << 20;

/// Why a copy is not used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DamageReason {
    /// There is none.
    Missing,
    /// The first line is not that of a record.
    Head,
    /// The digest is of other bytes.
    Digest,
    /// The digest fits and the standing is not understood: a newer program wrote it.
    Content,
    /// It may be whole; the disk does not give it.
    Unreadable,
}

impl DamageReason {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Head => "head",
            Self::Digest => "digest",
            Self::Content => "content",
            Self::Unreadable => "unreadable",
        }
    }
}

/// The bytes of `standing`, the `sequence`th that is written.
#[must_use]
pub fn encode(sequence: u64, standing: &Standing) -> Vec<u8> {
    let json = standing.to_json();
    let digest = digest(sequence, &json);
    format!("{FORMAT} {sequence} {digest}\n{json}\n").into_bytes()
}

fn digest(sequence: u64, json: &str) -> blake3::Hash {
    blake3::hash(format!("{sequence}\n{json}").as_bytes())
}

/// Reads a copy.
///
/// # Errors
/// [`DamageReason`] says why it is not used.
pub fn decode(bytes: &[u8]) -> Result<(u64, Standing), DamageReason> {
    if bytes.is_empty() {
        return Err(DamageReason::Missing);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| DamageReason::Digest)?;
    let (first, rest) = text.split_once('\n').ok_or(DamageReason::Head)?;
    let words = first
        .strip_prefix(FORMAT)
        .and_then(|rest| rest.strip_prefix(' '));
    let (sequence, written) = words
        .and_then(|words| words.split_once(' '))
        .ok_or(DamageReason::Head)?;
    let sequence: u64 = sequence.parse().map_err(|_| DamageReason::Head)?;
    let json = rest.strip_suffix('\n').ok_or(DamageReason::Digest)?;
    if digest(sequence, json).to_hex().as_str() != written {
        return Err(DamageReason::Digest);
    }
    let standing = Standing::from_json(json).ok_or(DamageReason::Content)?;
    Ok((sequence, standing))
}

/// Which of two copies counts: its number and the standing; nothing if neither is whole.
#[must_use]
pub fn choose(copies: [&[u8]; 2]) -> Option<(u64, Standing)> {
    let whole = copies.into_iter().filter_map(|bytes| decode(bytes).ok());
    whole.max_by_key(|(sequence, _)| *sequence)
}
