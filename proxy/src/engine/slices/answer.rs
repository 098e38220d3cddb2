//! What an answer to a request for some bytes of one version means (RFC 9110 §14.4, §15.3.7).
//!
//! Bytes are taken only from an answer that says which they are, of which whole, and of which version; servers
//! that send a part whatever If-Range says are found out here.

use std::ops::Range;

use http::StatusCode;
use http::header::{ETAG, HeaderMap, LAST_MODIFIED};

use super::manifest::Manifest;
use crate::engine::http::conditional;
use crate::engine::http::range::ContentRange;
use crate::engine::reason::FailReason;

/// Whether an origin's answer of this `status` and `headers` begins with the first of the bytes `wanted` of
/// `manifest`, whose kept head is `known`. Gives the bytes that it has: perhaps fewer.
///
/// # Errors
/// It has nothing that may be taken: [`Changed`](FailReason::Changed) if the object is another one by now,
/// or gone; [`RangeIgnored`](FailReason::RangeIgnored) if it is the whole of the same; else what is
/// wrong with it.
pub fn judge(
    manifest: &Manifest,
    known: &HeaderMap,
    wanted: &Range<u64>,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Range<u64>, FailReason> {
    match status {
        StatusCode::PARTIAL_CONTENT => part(manifest, known, wanted, headers),
        StatusCode::OK if conditional::same_representation(known, headers) => {
            Err(FailReason::RangeIgnored)
        }
        StatusCode::RANGE_NOT_SATISFIABLE => match ContentRange::of(headers) {
            Some(ContentRange::Unsatisfied { complete }) if complete == manifest.total => {
                Err(FailReason::Malformed)
            }
            _ => Err(FailReason::Changed),
        },
        // It has other things to do, and may be itself again in a moment.
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Err(FailReason::ServerError(status))
        }
        status if status.is_server_error() => Err(FailReason::ServerError(status)),
        // Another whole, a redirect, a login page, or gone: what the next request is told.
        _ => Err(FailReason::Changed),
    }
}

fn part(
    manifest: &Manifest,
    known: &HeaderMap,
    wanted: &Range<u64>,
    headers: &HeaderMap,
) -> Result<Range<u64>, FailReason> {
    let Some(ContentRange::Part { range, complete }) = ContentRange::of(headers) else {
        return Err(FailReason::Malformed);
    };
    if complete.is_some_and(|complete| complete != manifest.total) {
        return Err(FailReason::Changed);
    }
    if !conditional::same_representation(known, headers) {
        let says = headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED);
        // One that does not say which version it is of proves nothing either way.
        return Err(match says {
            true => FailReason::Changed,
            false => FailReason::Malformed,
        });
    }
    if range.start != wanted.start || range.end > wanted.end {
        return Err(FailReason::Malformed);
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::store::object::tests::{headers, object};

    type Row = (
        &'static str,
        u16,
        &'static [(&'static str, &'static str)],
        Result<Range<u64>, FailReason>,
    );

    #[rustfmt::skip]
    const ROWS: &[Row] = &[
        ("9110 15.3.7", 206, &[("etag", "\"a\""), ("content-range", "bytes 10-19/100")], Ok(10..20)),
        ("9110 15.3.7 fewer", 206, &[("etag", "\"a\""), ("content-range", "bytes 10-14/100")], Ok(10..15)),
        ("9110 14.4 unknown whole", 206, &[("etag", "\"a\""), ("content-range", "bytes 10-19/*")], Ok(10..20)),
        ("9110 15.3.7.3", 206, &[("etag", "\"b\""), ("content-range", "bytes 10-19/100")], Err(FailReason::Changed)),
        ("other length", 206, &[("etag", "\"a\""), ("content-range", "bytes 10-19/101")], Err(FailReason::Changed)),
        ("no validator", 206, &[("content-range", "bytes 10-19/100")], Err(FailReason::Malformed)),
        ("weak", 206, &[("etag", "W/\"a\""), ("content-range", "bytes 10-19/100")], Err(FailReason::Changed)),
        ("other bytes", 206, &[("etag", "\"a\""), ("content-range", "bytes 0-19/100")], Err(FailReason::Malformed)),
        ("more bytes", 206, &[("etag", "\"a\""), ("content-range", "bytes 10-20/100")], Err(FailReason::Malformed)),
        ("several", 206, &[("etag", "\"a\"")], Err(FailReason::Malformed)),
        ("9110 14.2 ignored", 200, &[("etag", "\"a\"")], Err(FailReason::RangeIgnored)),
        ("9110 13.1.5", 200, &[("etag", "\"b\"")], Err(FailReason::Changed)),
        ("9110 15.5.17 shorter", 416, &[("content-range", "bytes */5")], Err(FailReason::Changed)),
        ("9110 15.5.17 odd", 416, &[("content-range", "bytes */100")], Err(FailReason::Malformed)),
        ("9110 15.5.13", 412, &[], Err(FailReason::Changed)),
        ("gone", 404, &[], Err(FailReason::Changed)),
        ("moved", 302, &[], Err(FailReason::Changed)),
        ("busy", 429, &[], Err(FailReason::ServerError(StatusCode::TOO_MANY_REQUESTS))),
        ("broken", 503, &[], Err(FailReason::ServerError(StatusCode::SERVICE_UNAVAILABLE))),
    ];

    #[test]
    fn bytes_are_taken_only_from_who_says_what_they_are() {
        let known = object("/p", &[("etag", "\"a\""), ("atoll-total", "100")], &[], 0);
        let manifest = Manifest::of(&*known).unwrap();
        for (why, status, fields, expected) in ROWS {
            let status = StatusCode::from_u16(*status).unwrap();
            let judged = judge(
                &manifest,
                &known.headers(),
                &(10..20),
                status,
                &headers(fields),
            );
            assert_eq!(judged, *expected, "{why}");
        }
    }
}
