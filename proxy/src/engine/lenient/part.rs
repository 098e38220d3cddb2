//! A part where the whole was asked for (RFC 9110 §15.3.7).
//!
//! The beginning of a body of known length is a whole that breaks off early: it is shown at once
//! and the rest asked for, as after any break. Any other part is of no use to who asked.

use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap};

use super::Unclear;
use crate::engine::http::range::ContentRange;

/// Makes a 206 that nobody asked for the 200 that was meant. Gives the length of the whole.
///
/// # Errors
/// [`Unclear::Part`]: it is not the beginning, or of unknown length, or several parts.
pub fn as_whole(status: &mut StatusCode, headers: &mut HeaderMap) -> Result<u64, Unclear> {
    match ContentRange::of(headers) {
        Some(ContentRange::Part {
            range,
            complete: Some(length),
        }) if range.start == 0 => {
            *status = StatusCode::OK;
            headers.remove(CONTENT_RANGE);
            headers.remove(CONTENT_LENGTH);
            Ok(length)
        }
        _ => Err(Unclear::Part),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_beginning_of_known_length_will_do() {
        for (stated, length) in [
            ("bytes 0-9/10", Ok(10)),
            ("bytes 0-4/10", Ok(10)),
            ("bytes 5-9/10", Err(Unclear::Part)),
            ("bytes 0-4/*", Err(Unclear::Part)),
            ("bytes */10", Err(Unclear::Part)),
            ("lines 0-4/10", Err(Unclear::Part)),
        ] {
            let mut headers =
                HeaderMap::from_iter([(CONTENT_RANGE, HeaderValue::from_static(stated))]);
            let mut status = StatusCode::PARTIAL_CONTENT;
            assert_eq!(as_whole(&mut status, &mut headers), length, "{stated}");
            assert_eq!(status == StatusCode::OK, length.is_ok(), "{stated}");
        }
        let mut status = StatusCode::PARTIAL_CONTENT;
        let none = as_whole(&mut status, &mut HeaderMap::new());
        assert_eq!(none, Err(Unclear::Part));
    }
}
