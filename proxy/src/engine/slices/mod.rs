//! Large objects in slices: what one is made of, which of it a request needs, what each answer means, and
//! where each slice comes from (docs/design/slices.md).
//!
//! An object that is larger than the operator says, has a strong validator and an origin that knows ranges is
//! kept as a *manifest*, its head under its URL without a body, and *slices* of 1 MiB, each a response of its
//! own. What ties them together is a *tag*, a digest of everything that two versions could differ in as
//! far as their heads tell. Slices of another tag have other keys, so no mixture can be put together from
//! what is kept; and what comes in is judged against the manifest before its first byte is taken.
//!
//! | file | owns |
//! |---|---|
//! | [`manifest`] | what an object is, and when it may be kept so |
//! | [`first`] | what an origin is asked of an object that nothing is known of |
//! | [`answer`] | what an answer means |
//! | [`cut`] | slices out of a body that passes by |
//! | [`window`] | which slices are looked for now |
//! | [`quest`] | where one comes from, and where next |
//! | [`extent`] | whom the index names for sixteen of them |
//!
//! What is fetched, kept and told is the shell's `slices`.

pub mod answer;
pub mod cut;
pub mod extent;
pub mod first;
pub mod manifest;
pub mod quest;
#[cfg(test)]
mod tests;
pub mod window;

use std::ops::Range;

use http::header::HeaderName;

/// Bytes of a slice. Half a second of a good line: a seek in a video wastes little, and a request is
/// repaid by what it carries.
pub const SLICE: u64 = 1 << 20;

/// The field by which a kept head says that it is a manifest, and of how many bytes. It crosses between
/// proxies and never reaches a client.
pub const TOTAL: HeaderName = HeaderName::from_static("atoll-total");

/// The slice that byte `at` is in.
#[must_use]
pub const fn slice_of(at: u64) -> u64 {
    at / SLICE
}

/// The bytes of slice `n` of an object of `total`; empty beyond its end.
#[must_use]
pub fn bytes_of(n: u64, total: u64) -> Range<u64> {
    let start = n.saturating_mul(SLICE).min(total);
    start..start.saturating_add(SLICE).min(total)
}

/// The slices that hold `bytes`.
#[must_use]
pub fn slices_of(bytes: &Range<u64>) -> Range<u64> {
    if bytes.is_empty() {
        return 0..0;
    }
    slice_of(bytes.start)..slice_of(bytes.end - 1) + 1
}
