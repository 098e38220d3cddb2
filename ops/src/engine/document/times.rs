//! Times to first byte, counted in the buckets that proxies count by. Pure, and of one size whatever was counted.
//!
//! On paper they are a list of counts, one for each bucket from the shortest on; buckets after the last that has any are
//! left out. What is read from buckets is as coarse as they are: a quantile is placed inside its bucket as if the
//! times in it were spread evenly.

use common::telemetry::FIRST_BYTE_MICROS;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Buckets: one for each bound, and one for what is slower.
const BUCKETS: usize = FIRST_BYTE_MICROS.len() + 1;

/// How many requests took how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times([u64; BUCKETS]);

impl Default for Times {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

/// Where a share of all requests had their first byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quantile {
    /// The time, in microseconds; of the last bucket its lower end.
    pub micros: u64,
    /// Its bucket.
    pub bucket: usize,
}

impl Times {
    /// Counts `count` requests that took `micros`, or as long as the bucket whose upper bound that is.
    pub fn add(&mut self, micros: u64, count: u64) {
        let bucket = FIRST_BYTE_MICROS.partition_point(|bound| *bound < micros);
        if let Some(counted) = self.0.get_mut(bucket) {
            *counted = counted.saturating_add(count);
        }
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }

    /// How many were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.into_iter().fold(0, u64::saturating_add)
    }

    /// How many took longer than bucket number `bucket` goes.
    #[must_use]
    pub fn beyond(&self, bucket: usize) -> u64 {
        let slower = self.0.into_iter().skip(bucket + 1);
        slower.fold(0, u64::saturating_add)
    }

    /// Bucket by bucket, with another one's.
    #[must_use]
    pub fn with(&self, other: &Self, of: impl Fn(u64, u64) -> u64) -> Self {
        let mut all = *self;
        all.0
            .iter_mut()
            .zip(other.0)
            .for_each(|(count, other)| *count = of(*count, other));
        all
    }

    /// What time `percent` of all requests did not exceed; nothing where none was counted.
    #[must_use]
    pub fn quantile(&self, percent: u64) -> Option<Quantile> {
        let rank = (u128::from(self.total()) * u128::from(percent)).div_ceil(100);
        let (mut before, mut lower) = (0_u128, 0_u64);
        for (bucket, count) in self.0.into_iter().enumerate() {
            let count = u128::from(count);
            let upper = FIRST_BYTE_MICROS.get(bucket).copied().unwrap_or(lower);
            if count > 0 && before + count >= rank {
                let wide = u128::from(upper - lower) * (rank - before) / count;
                let micros = lower + u64::try_from(wide).unwrap_or_default();
                return Some(Quantile { micros, bucket });
            }
            before += count;
            lower = upper;
        }
        None
    }
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let last = self.0.iter().rposition(|count| *count > 0);
        let used = last.and_then(|last| self.0.get(..=last));
        used.unwrap_or_default().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = Vec::<u64>::deserialize(from)?;
        let mut times = Self::default();
        let room = times.0.get_mut(..read.len());
        let room = room.ok_or_else(|| serde::de::Error::custom("more buckets than there are"))?;
        room.copy_from_slice(&read);
        Ok(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(counts: &[(u64, u64)]) -> Times {
        let mut times = Times::default();
        for (micros, count) in counts {
            times.add(*micros, *count);
        }
        times
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_of_its_request() {
        let times = of(&[(90, 50), (10_000, 40), (60_000_000, 10)]);
        let bucket = |percent| times.quantile(percent).unwrap().bucket;
        assert_eq!((bucket(50), bucket(51), bucket(90)), (0, 9, 9));
        assert_eq!(
            times.quantile(95).unwrap().micros,
            26_214_400,
            "at least that"
        );
        assert_eq!(times.quantile(50).unwrap().micros, 100);
        assert_eq!(times.quantile(90).unwrap().micros, 12_800);
        assert_eq!(
            (times.total(), times.beyond(9), times.beyond(32)),
            (100, 10, 0)
        );
        assert_eq!(Times::default().quantile(50), None);
    }

    #[test]
    fn counts_beyond_all_reason_do_not_overflow() {
        let times = of(&[(1, u64::MAX), (10_000, u64::MAX)]);
        assert_eq!(times.total(), u64::MAX);
        assert_eq!(times.quantile(50).unwrap().bucket, 0);
    }

    #[test]
    fn they_are_written_as_short_as_they_are_and_never_read_longer() {
        let times = of(&[(90, 1), (300, 2)]);
        let written = serde_json::to_string(&times).unwrap();
        assert_eq!(written, "[1,0,2]");
        let read = |text: &str| serde_json::from_str::<Times>(text).ok();
        assert_eq!(read(&written), Some(times));
        assert_eq!(read("[]"), Some(Times::default()));
        assert_eq!(read(&format!("[0{}]", ",0".repeat(BUCKETS))), None);
    }
}
