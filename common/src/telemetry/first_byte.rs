//! The bounds by which proxies count times to first byte, and agents read those counts.
//!
//! Doubling up to 3.2 ms, where hits are and a scan of few bounds costs a hit least; then by the root of two, so
//! that a median read from them is off by less than one half of what is worth stopping a release for.

/// Upper bounds of the buckets, in microseconds. There is one more bucket for what is slower.
pub const FIRST_BYTE_MICROS: [u64; 32] = [
    100, 200, 400, 800, 1_600, 3_200, 4_525, 6_400, 9_051, 12_800, 18_102, 25_600, 36_204, 51_200,
    72_408, 102_400, 144_815, 204_800, 289_631, 409_600, 579_262, 819_200, 1_158_524, 1_638_400,
    2_317_047, 3_276_800, 4_634_095, 6_553_600, 9_268_190, 13_107_200, 18_536_380, 26_214_400,
];

const _: () = {
    let mut at = 1;
    while at < FIRST_BYTE_MICROS.len() {
        assert!(FIRST_BYTE_MICROS[at - 1] < FIRST_BYTE_MICROS[at]);
        at += 1;
    }
};

/// The same in seconds, as metrics have them.
#[expect(clippy::cast_precision_loss, reason = "microseconds far below 2^52")]
pub fn first_byte_seconds() -> impl Iterator<Item = f64> {
    FIRST_BYTE_MICROS
        .into_iter()
        .map(|micros| micros as f64 / 1e6)
}
