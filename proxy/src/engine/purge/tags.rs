//! The tags of a response: the words of `Cache-Tag`, between commas, and of `Surrogate-Key`, between
//! spaces. They are read where a purge looks for them, from the fields that are kept anyway.

use http::header::HeaderName;

use crate::engine::http::field::Named;

/// Tags of one response that are read.
pub const TAGS_MAX: usize = 256;

/// Longest tag, in bytes.
pub const TAG_BYTES_MAX: usize = 1_024;

/// Bytes of the fields that are read of one response.
pub const FIELD_BYTES_MAX: usize = 16 * 1_024;

const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// Whether a response with these fields bears `tag`, byte for byte. With more or longer tags than are
/// read it counts as bearing every one: to fetch it again costs less than to keep what was purged.
#[must_use]
pub fn bears(fields: &impl Named, tag: &str) -> bool {
    let (mut known, mut bytes, mut found) = (0, 0, false);
    for (name, separators) in [(CACHE_TAG, &b", \t"[..]), (SURROGATE_KEY, b" \t")] {
        for value in fields.values(&name) {
            bytes += value.len();
            if bytes > FIELD_BYTES_MAX {
                return true;
            }
            let words = value.split(|byte| separators.contains(byte));
            for word in words.filter(|word| !word.is_empty()) {
                known += 1;
                if known > TAGS_MAX || word.len() > TAG_BYTES_MAX {
                    return true;
                }
                found |= word == tag.as_bytes();
            }
        }
    }
    found
}
