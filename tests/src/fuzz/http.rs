//! Fuzz targets of what clients and origins send to a proxy.

use bytes::BytesMut;
use common::clock::WallTime;
use http::header::{DATE, HeaderMap, HeaderName, HeaderValue, RANGE};
use http::{Method, StatusCode};
use proxy::engine::head::{Progress, Scanner};
use proxy::engine::http::cache_status::{CACHE_STATUS, CacheStatus, Handling, append};
use proxy::engine::http::conditional::Selected;
use proxy::engine::http::control::{Directives, RequestDirectives};
use proxy::engine::http::fresh::{self, FreshPolicy, Heat};
use proxy::engine::http::range::{self, ContentRange, RANGES_MAX, Ranges};
use proxy::engine::http::vary::Vary;
use proxy::engine::http::{accept, date};
use proxy::engine::lenient::reader::Close;
use proxy::engine::lenient::{Event, Reader};

/// A response, after a byte that says how it is cut: the cuts change nothing but the pieces.
pub fn responses(bytes: &[u8]) {
    let Some((cut, stream)) = bytes.split_first() else {
        return;
    };
    let is_head = cut & 0x80 != 0;
    let piece = usize::from(cut & 0x7f).max(1);
    let whole = response(is_head, [stream].into_iter());
    let pieces = response(is_head, stream.chunks(piece));
    assert_eq!(whole, pieces, "cut every {piece} bytes");
}

/// Its statuses, its body and how it ended.
fn response<'a>(
    is_head: bool,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<u16>, Vec<u8>, String) {
    let (mut reader, mut buf) = (Reader::new(is_head), BytesMut::new());
    let (mut heads, mut body) = (Vec::new(), Vec::new());
    for piece in pieces {
        buf.extend_from_slice(piece);
        loop {
            match reader.next(&mut buf) {
                Ok(None) => break,
                Ok(Some(Event::Interim(head) | Event::Head(head))) => {
                    heads.push(head.status.as_u16());
                }
                Ok(Some(Event::Data(data))) => {
                    assert!(!data.is_empty());
                    body.extend_from_slice(&data);
                }
                Ok(Some(Event::End)) => return (heads, body, "whole".into()),
                Err(unclear) => return (heads, body, unclear.as_str().into()),
            }
        }
    }
    let closed = reader.close(Close::Clean).map_err(|why| why.as_str());
    (heads, body, format!("{closed:?}"))
}

/// The head of a request, after a byte that says how it is cut: the cuts do not change the verdict.
pub fn requests(bytes: &[u8]) {
    let Some((cut, stream)) = bytes.split_first() else {
        return;
    };
    let piece = usize::from(*cut).max(1);
    let whole = Scanner::default().scan(stream);
    if let Progress::Complete { len, .. } = whole {
        assert!(len <= stream.len());
    }
    let mut scanner = Scanner::default();
    let ends = (0..stream.len()).step_by(piece).map(|at| at + piece);
    let step = |end: usize| scanner.scan(&stream[..end.min(stream.len())]);
    let pieces = ends.map(step).find(|progress| *progress != Progress::More);
    assert_eq!(
        pieces.unwrap_or(Progress::More),
        whole,
        "cut every {piece} bytes"
    );
}

/// Lines of header fields, as of a request and of a response: what caching makes of them is bounded
/// and agrees with itself.
pub fn fields(bytes: &[u8]) {
    let headers = headers(bytes);
    let (policy, received) = (FreshPolicy::default(), WallTime::from_unix(1_700_000_000));
    let directives = Directives::of(&headers);
    drop(RequestDirectives::of(&headers));
    let longest = 1 << 31;
    for heat in [Heat::Quiet, Heat::Hot] {
        for status in [StatusCode::OK, StatusCode::NOT_FOUND] {
            let lifetime = fresh::lifetime(&headers, status, &directives, received, &policy, heat);
            assert!(lifetime.duration.as_secs() <= longest, "{lifetime:?}");
        }
    }
    assert!(fresh::age_value(&headers).as_secs() <= longest);
    if let Some(time) = date::field(&headers, &DATE) {
        let again = date::parse(date::format(time).as_bytes());
        assert_eq!(again, Some(time), "a date is not what was written");
    }
    let vary = Vary::of(&headers);
    if let Some(key) = vary.key(&headers) {
        assert!(
            vary.matches(key, &headers),
            "a request does not fit its own variant"
        );
    }
    let offers = ["text/html", "text/plain"];
    assert!(accept::preferred(&headers, &offers).is_none_or(|at| at < offers.len()));
}

/// A Range, or a Content-Range, after eight bytes of length: what is sent exists, and little of it.
pub fn ranges(bytes: &[u8]) {
    let Some((length, text)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    let length = u64::from_be_bytes(*length);
    if let Some(ContentRange::Part { range, complete }) = ContentRange::parse(text) {
        assert!(range.start < range.end && complete.is_none_or(|all| range.end <= all));
    }
    let Ok(value) = HeaderValue::from_bytes(text) else {
        return;
    };
    let request = HeaderMap::from_iter([(RANGE, value)]);
    let selected = Selected {
        status: StatusCode::OK,
        headers: &HeaderMap::new(),
    };
    let sent = match range::resolve(&Method::GET, &request, selected, length) {
        Ranges::Whole(_) | Ranges::Unsatisfiable => return,
        Ranges::Single(range) => vec![range],
        Ranges::Multi(ranges) => ranges,
    };
    assert!((1..=RANGES_MAX).contains(&sent.len()));
    assert!(
        sent.iter()
            .all(|range| range.start < range.end && range.end <= length)
    );
}

/// Members of structured fields: what is kept of them stays readable with ours behind it.
pub fn structured(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let targeted = HeaderName::from_static("cdn-cache-control");
    let twice = HeaderMap::from_iter([(targeted, value.clone())]);
    assert_eq!(Directives::of(&twice), Directives::of(&twice));
    let mut headers = HeaderMap::from_iter([(CACHE_STATUS, value)]);
    let own = CacheStatus {
        cache: "n1.nyud.test",
        handling: Handling::Hit,
        ttl: None,
        detail: std::str::from_utf8(bytes).ok(),
    };
    let own = CacheStatus {
        detail: own
            .detail
            .map(|detail| &detail[..detail.floor_char_boundary(40)]),
        ..own
    };
    append(&mut headers, &own);
    let kept = headers.get_all(CACHE_STATUS).iter().count();
    if headers.values().map(HeaderValue::len).sum::<usize>() <= 2_048 {
        append(&mut headers, &own);
        let again = headers.get_all(CACHE_STATUS).iter().count();
        assert_eq!(again, kept + 1, "our member made the list unreadable");
    }
}

/// The fields that lines of `name: value` make, without those that are none.
fn headers(bytes: &[u8]) -> HeaderMap {
    let field = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        Some((name, value))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in bytes
        .split(|byte| *byte == b'\n')
        .filter_map(field)
        .take(100)
    {
        headers.append(name, value);
    }
    headers
}
