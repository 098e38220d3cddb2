//! Warrants: what an operator's request bears so that it is traced, whatever comes of it.
//!
//! The admin listener gives them out, and only the process that gave one out knows it again: it is signed
//! with a key made at the start that never leaves it. So nobody outside can switch tracing on, whatever
//! they read of the wire; one that is read there works once more within its minute, for the same trace.

use std::fmt;
use std::time::Duration;

use common::clock::Moment;
use common::trace::TraceId;
use data_encoding::HEXLOWER;

/// How long a warrant holds.
pub const HOLDS: Duration = Duration::from_secs(60);

/// Bytes: trace, moment, signature.
const LEN: usize = 16 + 8 + 32;

/// Why a warrant is refused. The request that bears it is served all the same, untraced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WarrantRefusal {
    /// It is not of the form of one.
    Malformed,
    /// This process did not sign it.
    Forged,
    /// It is older than a minute.
    Expired,
}

impl WarrantRefusal {
    /// All of them, each at its own number.
    pub const ALL: [Self; 3] = [Self::Malformed, Self::Forged, Self::Expired];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Forged => "forged",
            Self::Expired => "expired",
        }
    }
}

/// Signs warrants, and knows its own again.
pub struct Seal([u8; 32]);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// A seal with this key, which is random and known to nobody else.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// A warrant for `trace`.
    #[must_use]
    pub fn issue(&self, trace: TraceId, now: Moment) -> String {
        let words = words(trace, now.as_nanos());
        let mut bytes = words.to_vec();
        bytes.extend(blake3::keyed_hash(&self.0, &words).as_bytes());
        HEXLOWER.encode(&bytes)
    }

    /// The trace that `warrant` is for.
    ///
    /// # Errors
    /// It is none of ours, or too old.
    pub fn check(&self, warrant: &[u8], now: Moment) -> Result<TraceId, WarrantRefusal> {
        let mut bytes = [0; LEN];
        if warrant.len() != LEN * 2 || HEXLOWER.decode_mut(warrant, &mut bytes).is_err() {
            return Err(WarrantRefusal::Malformed);
        }
        let (words, signature) = bytes.split_at(24);
        let signature: [u8; 32] = signature
            .try_into()
            .map_err(|_| WarrantRefusal::Malformed)?;
        // Compared in constant time, which this type does.
        if blake3::keyed_hash(&self.0, words) != blake3::Hash::from_bytes(signature) {
            return Err(WarrantRefusal::Forged);
        }
        let (trace, at) = words.split_at(16);
        let trace = trace.try_into().map_err(|_| WarrantRefusal::Malformed)?;
        let at = at.try_into().map_err(|_| WarrantRefusal::Malformed)?;
        if now.since(Moment::from_nanos(u64::from_be_bytes(at))) > HOLDS {
            return Err(WarrantRefusal::Expired);
        }
        Ok(TraceId(trace))
    }
}

fn words(trace: TraceId, at: u64) -> [u8; 24] {
    let mut words = [0; 24];
    words[..16].copy_from_slice(&trace.0);
    words[16..].copy_from_slice(&at.to_be_bytes());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: TraceId = TraceId([7; 16]);

    #[test]
    fn a_warrant_holds_for_its_time_at_who_gave_it() {
        let seal = Seal::new([1; 32]);
        let given = Moment::from_millis(5_000);
        let warrant = seal.issue(TRACE, given);
        let check = |at| seal.check(warrant.as_bytes(), at);
        assert_eq!(check(given), Ok(TRACE));
        assert_eq!(check(given + HOLDS), Ok(TRACE));
        let late = given + HOLDS + Duration::from_millis(1);
        assert_eq!(check(late), Err(WarrantRefusal::Expired));
        let other = Seal::new([2; 32]).check(warrant.as_bytes(), given);
        assert_eq!(other, Err(WarrantRefusal::Forged));
    }

    #[test]
    fn not_one_digit_of_it_can_be_changed() {
        let seal = Seal::new([1; 32]);
        let warrant = seal.issue(TRACE, Moment::ZERO);
        for at in 0..warrant.len() {
            let mut bytes = warrant.clone().into_bytes();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(
                seal.check(&bytes, Moment::ZERO),
                Err(WarrantRefusal::Forged),
                "{at}"
            );
        }
        for text in ["", "00", "zz", &format!("{warrant}00"), &warrant[2..]] {
            assert_eq!(
                seal.check(text.as_bytes(), Moment::ZERO),
                Err(WarrantRefusal::Malformed)
            );
        }
    }
}
