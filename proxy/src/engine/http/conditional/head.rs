//! What the answer to a HEAD says of a stored response (RFC 9111 §4.3.5).

use http::header::{CONTENT_LENGTH, ETAG, HeaderMap, LAST_MODIFIED};

use crate::engine::http::field;

/// Whether a 200 to a HEAD describes the stored response, whose body has `length` bytes: every
/// validator that it carries is the stored one, and so is its Content-Length.
///
/// If so the stored header is updated with [`merge`](super::merge); if not, what is stored counts as
/// stale.
#[must_use]
pub fn head_confirms(head: &HeaderMap, stored: &HeaderMap, length: Option<u64>) -> bool {
    let same = |name| {
        head.get(name)
            .is_none_or(|value| stored.get(name) == Some(value))
    };
    let same_length = head.get(CONTENT_LENGTH).is_none_or(|value| {
        let stated = field::digits(value.as_bytes());
        stated.is_some() && stated == length
    });
    same(&ETAG) && same(&LAST_MODIFIED) && same_length
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::headers;
    use super::*;

    #[test]
    fn every_validator_received_has_to_be_the_stored_one() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let stored = headers(&[("etag", "\"a\""), ("last-modified", date)]);
        for (head, expected) in [
            (&[][..], true),
            (&[("etag", "\"a\""), ("content-length", "5")], true),
            (&[("last-modified", date)], true),
            (&[("etag", "\"b\"")], false),
            (&[("etag", "\"a\""), ("content-length", "6")], false),
            (&[("content-length", "five")], false),
            (&[("last-modified", "Mon, 07 Nov 1994 08:49:37 GMT")], false),
        ] {
            assert_eq!(
                head_confirms(&headers(head), &stored, Some(5)),
                expected,
                "{head:?}"
            );
        }
        let none = HeaderMap::new();
        assert!(
            !head_confirms(&stored, &none, Some(5)),
            "9111 4.3.5: it has none"
        );
    }
}
