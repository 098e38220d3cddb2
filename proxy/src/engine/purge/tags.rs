//! The tags of a response: the words of `Cache-Tag`, between commas, and of `Surrogate-Key`, between
//! spaces. They are read where a purge looks for them, from the fields that are kept anyway.

use http::HeaderMap;
use http::header::HeaderName;

/// Tags of one response that are read.
pub const TAGS_MAX: usize = 256;

/// Longest tag, in bytes.
pub const TAG_BYTES_MAX: usize = 1_024;

/// Bytes of the fields that are read of one response.
pub const FIELD_BYTES_MAX: usize = 16 * 1_024;

const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// The tags of one response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tags<'a> {
    /// These.
    Known(Vec<&'a [u8]>),
    /// More or longer ones than are read. Such a response counts as bearing every tag: to fetch it
    /// again costs less than to keep what was purged.
    TooMany,
}

impl<'a> Tags<'a> {
    /// Those of a response with these fields.
    #[must_use]
    pub fn of(headers: &'a HeaderMap) -> Self {
        let (mut known, mut bytes) = (Vec::new(), 0);
        for (name, separators) in [(CACHE_TAG, &b", \t"[..]), (SURROGATE_KEY, b" \t")] {
            for value in headers.get_all(name) {
                bytes += value.len();
                if bytes > FIELD_BYTES_MAX {
                    return Self::TooMany;
                }
                let words = value.as_bytes().split(|byte| separators.contains(byte));
                for word in words.filter(|word| !word.is_empty()) {
                    if known.len() == TAGS_MAX || word.len() > TAG_BYTES_MAX {
                        return Self::TooMany;
                    }
                    known.push(word);
                }
            }
        }
        Self::Known(known)
    }

    /// Whether `tag` is one of them, byte for byte.
    #[must_use]
    pub fn has(&self, tag: &str) -> bool {
        match self {
            Self::Known(known) => known.contains(&tag.as_bytes()),
            Self::TooMany => true,
        }
    }
}
