//! What an origin is asked of an object that nothing is known of, when a client wants a range of it: that
//! range, widened to whole slices, so that of a large object no more is fetched than is needed.
//!
//! Most objects are small, and of those all is wanted, to be kept. Where the part turns out to be one of a small
//! object it is a beginning that is completed, or all of it is asked for again.

use http::HeaderMap;
use http::header::HeaderValue;

use super::SLICE;
use crate::engine::http::range::{self, Spec};

/// Slices asked for at first at most, where the client says where its range ends: the rest is fetched when
/// it is read.
pub const FIRST_MOST: u64 = 8;

/// The Range for the first request, if the client's fields ask for one. `None`: ask for the whole.
#[must_use]
pub fn ask(client: &HeaderMap) -> Option<HeaderValue> {
    match range::alone(client)? {
        // All of it: a stream that is cut while it passes costs fewer requests.
        Spec::From(0, None) => None,
        Spec::From(first, None) => Some(range::from_offset(first - first % SLICE)),
        Spec::From(first, Some(last)) => {
            let start = first - first % SLICE;
            let most = start.saturating_add(FIRST_MOST * SLICE);
            let end = last.saturating_add(1).min(most);
            Some(range::exactly(&(start..end.next_multiple_of_slice())))
        }
        // Where the last slice begins is unknown: one more than is asked for has its beginning.
        Spec::Last(count) if count <= FIRST_MOST * SLICE => {
            Some(range::last(count.next_multiple_of_slice() + SLICE))
        }
        Spec::Last(_) => None,
    }
}

trait NextMultiple {
    fn next_multiple_of_slice(self) -> u64;
}

impl NextMultiple for u64 {
    /// The end of the slice that ends at or after this byte, as far as there are numbers.
    fn next_multiple_of_slice(self) -> u64 {
        self.checked_next_multiple_of(SLICE).unwrap_or(Self::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::store::object::tests::headers;

    #[test]
    fn a_range_is_widened_to_slices_and_bounded() {
        let ask = |range: &str| {
            ask(&headers(&[("range", range)])).map(|value| value.to_str().unwrap().to_owned())
        };
        for (client, origin) in [
            ("bytes=0-", None),
            ("bytes=0-0", Some("bytes=0-1048575")),
            ("bytes=0-1048575", Some("bytes=0-1048575")),
            ("bytes=1048576-1048576", Some("bytes=1048576-2097151")),
            ("bytes=3000000-", Some("bytes=2097152-")),
            ("bytes=0-99999999", Some("bytes=0-8388607")),
            ("bytes=-5", Some("bytes=-2097152")),
            ("bytes=-99999999", None),
            ("bytes=0-1,5-6", None),
            ("lines=0-1", None),
            ("bytes=5-1", None),
            (
                "bytes=18446744073709551613-18446744073709551614",
                Some("bytes=18446744073708503040-18446744073709551614"),
            ),
        ] {
            assert_eq!(ask(client).as_deref(), origin, "{client}");
        }
        assert_eq!(super::ask(&HeaderMap::new()), None);
    }
}
