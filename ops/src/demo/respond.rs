//! Status, header fields and the part of the content that answer a request. Pure.
//!
//! What RFC 9110 asks of an origin with strong validators: GET and HEAD, If-None-Match before
//! If-Modified-Since (§13.2.2), one byte range with If-Range (§14, §13.1.5). Several ranges at once
//! are answered with the whole, as a server may.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

/// How long caches may keep what this origin serves.
const CACHE_CONTROL: &str = "max-age=60";

/// What is served, whatever it is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resource {
    /// Its length in bytes.
    pub len: u64,
    /// Its strong validator, with quotes.
    pub etag: String,
    /// When it last changed, in whole seconds since the Unix epoch.
    pub modified: u64,
    /// Its media type.
    pub media_type: &'static str,
}

/// The head of an answer and the bytes that follow it.
#[derive(Clone, PartialEq, Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The header fields, Content-Length included.
    pub headers: HeaderMap,
    /// Which bytes of the resource follow; none for HEAD, 304, 416.
    pub body: Range<u64>,
}

/// The media type of a file name.
#[must_use]
pub fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match &*extension.to_ascii_lowercase() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "md" => "text/plain; charset=utf-8",
        "json" => "application/json",
        "xml" => "application/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "pdf" => "application/pdf",
        "mp4" => "video/mp4",
        "mp3" => "audio/mpeg",
        "gz" => "application/gzip",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

/// The answer to `method` with `headers` for `resource`.
#[must_use]
pub fn respond(method: &Method, headers: &HeaderMap, resource: &Resource) -> Head {
    if method != Method::GET && method != Method::HEAD {
        return not_allowed();
    }
    let mut head = Head {
        status: StatusCode::OK,
        headers: validators(resource),
        body: 0..0,
    };
    if unchanged(headers, resource) {
        head.status = StatusCode::NOT_MODIFIED;
        return head;
    }
    head.set(header::ACCEPT_RANGES, "bytes");
    head.set(header::CONTENT_TYPE, resource.media_type);
    let mut body = 0..resource.len;
    // A range is defined for GET alone (RFC 9110 §14.2).
    if method == Method::GET && range_holds(headers, resource) {
        match range(headers, resource.len) {
            Asked::Whole => {}
            Asked::Part(part) => {
                head.status = StatusCode::PARTIAL_CONTENT;
                let last = part.end.saturating_sub(1);
                let text = format!("bytes {}-{last}/{}", part.start, resource.len);
                head.set(header::CONTENT_RANGE, &text);
                body = part;
            }
            Asked::Nothing => {
                head.status = StatusCode::RANGE_NOT_SATISFIABLE;
                head.set(header::CONTENT_RANGE, &format!("bytes */{}", resource.len));
                head.set(header::CONTENT_LENGTH, "0");
                return head;
            }
        }
    }
    head.set(header::CONTENT_LENGTH, &(body.end - body.start).to_string());
    if method == Method::GET {
        head.body = body;
    }
    head
}

impl Head {
    fn set(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
    }
}

fn not_allowed() -> Head {
    let mut head = Head {
        status: StatusCode::METHOD_NOT_ALLOWED,
        headers: HeaderMap::new(),
        body: 0..0,
    };
    head.set(header::ALLOW, "GET, HEAD");
    head.set(header::CONTENT_LENGTH, "0");
    head
}

fn validators(resource: &Resource) -> HeaderMap {
    let mut head = Head {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: 0..0,
    };
    head.set(header::ETAG, &resource.etag);
    head.set(
        header::LAST_MODIFIED,
        &httpdate::fmt_http_date(date(resource.modified)),
    );
    head.set(header::CACHE_CONTROL, CACHE_CONTROL);
    head.headers
}

fn date(seconds: u64) -> SystemTime {
    // HTTP dates end with the year 9999.
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Whether the client's copy is still good (RFC 9110 §13.2.2, steps 3 and 4).
fn unchanged(headers: &HeaderMap, resource: &Resource) -> bool {
    if let Some(tags) = text(headers, header::IF_NONE_MATCH) {
        // Weak comparison (§8.8.3.2): ours are strong, theirs may have been weakened on the way.
        let same = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag) == resource.etag;
        return tags
            .split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || same(tag));
    }
    text(headers, header::IF_MODIFIED_SINCE)
        .and_then(|since| httpdate::parse_http_date(since).ok())
        .is_some_and(|since| date(resource.modified) <= since)
}

/// Whether If-Range, if there is one, matches: strongly (RFC 9110 §13.1.5).
fn range_holds(headers: &HeaderMap, resource: &Resource) -> bool {
    let Some(condition) = text(headers, header::IF_RANGE) else {
        return true;
    };
    if condition.starts_with('"') || condition.starts_with("W/") {
        return condition == resource.etag;
    }
    httpdate::parse_http_date(condition).is_ok_and(|when| when == date(resource.modified))
}

/// What a Range field asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Asked {
    /// Everything: no field, another unit, several ranges, or a malformed field.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that are not there.
    Nothing,
}

fn range(headers: &HeaderMap, len: u64) -> Asked {
    let Some(set) = text(headers, header::RANGE).and_then(|field| field.strip_prefix("bytes="))
    else {
        return Asked::Whole;
    };
    let Some((first, last)) = set.trim().split_once('-') else {
        return Asked::Whole;
    };
    let number = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse::<u64>())
    };
    match (first, last) {
        ("", suffix) => match number(suffix) {
            Some(Ok(0)) => Asked::Nothing,
            Some(Ok(count)) if len > 0 => Asked::Part(len.saturating_sub(count)..len),
            Some(Ok(_)) => Asked::Nothing,
            Some(Err(_)) | None => Asked::Whole,
        },
        (first, "") => match number(first) {
            Some(Ok(first)) if first < len => Asked::Part(first..len),
            Some(Ok(_)) => Asked::Nothing,
            Some(Err(_)) | None => Asked::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(Ok(first)), Some(Ok(last))) if first > last => Asked::Whole,
            (Some(Ok(first)), Some(Ok(last))) if first < len => {
                Asked::Part(first..last.saturating_add(1).min(len))
            }
            (Some(Ok(_)), Some(Ok(_))) => Asked::Nothing,
            _ => Asked::Whole,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource() -> Resource {
        Resource {
            len: 100,
            etag: "\"abc\"".to_owned(),
            modified: 1_000_000_000,
            media_type: media_type("a.txt"),
        }
    }

    fn ask(method: &Method, fields: &[(HeaderName, &str)]) -> Head {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        respond(method, &headers, &resource())
    }

    #[test]
    fn a_plain_get_has_all_that_caches_need() {
        let head = ask(&Method::GET, &[]);
        assert_eq!((head.status, head.body), (StatusCode::OK, 0..100));
        let field = |name: HeaderName| text(&head.headers, name).unwrap().to_owned();
        assert_eq!(field(header::CONTENT_LENGTH), "100");
        assert_eq!(field(header::ETAG), "\"abc\"");
        assert_eq!(
            field(header::LAST_MODIFIED),
            "Sun, 09 Sep 2001 01:46:40 GMT"
        );
        assert_eq!(field(header::CACHE_CONTROL), "max-age=60");
        assert_eq!(field(header::CONTENT_TYPE), "text/plain; charset=utf-8");
    }

    #[test]
    fn head_states_the_length_and_sends_nothing() {
        let head = ask(&Method::HEAD, &[(header::RANGE, "bytes=0-1")]);
        assert_eq!((head.status, head.body), (StatusCode::OK, 0..0));
        assert_eq!(head.headers[header::CONTENT_LENGTH], "100");
    }

    #[test]
    fn validators_decide_as_rfc_9110_13_2_2_orders() {
        let (tag, since) = (header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE);
        let same_date = "Sun, 09 Sep 2001 01:46:40 GMT";
        let older = "Sun, 09 Sep 2001 01:46:39 GMT";
        let cases: [(&[(HeaderName, &str)], u16); 8] = [
            (&[(tag.clone(), "\"abc\"")], 304),
            (&[(tag.clone(), "\"x\", W/\"abc\"")], 304),
            (&[(tag.clone(), "*")], 304),
            (&[(tag.clone(), "\"x\"")], 200),
            (&[(since.clone(), same_date)], 304),
            (&[(since.clone(), older)], 200),
            // The tag wins over the date.
            (&[(tag, "\"x\""), (since.clone(), same_date)], 200),
            (&[(since, "yesterday")], 200),
        ];
        for (fields, status) in cases {
            let head = ask(&Method::GET, fields);
            assert_eq!(head.status.as_u16(), status, "{fields:?}");
            if status == 304 {
                assert_eq!(head.body, 0..0);
                assert!(!head.headers.contains_key(header::CONTENT_LENGTH));
                assert!(head.headers.contains_key(header::ETAG));
            }
        }
    }

    #[test]
    fn one_range_is_served_and_others_are_not() {
        let cases = [
            ("bytes=0-9", 206, 0..10),
            ("bytes=90-", 206, 90..100),
            ("bytes=-5", 206, 95..100),
            ("bytes=-500", 206, 0..100),
            ("bytes=95-200", 206, 95..100),
            ("bytes=100-", 416, 0..0),
            ("bytes=-0", 416, 0..0),
            ("bytes=5-2", 200, 0..100),
            ("bytes=0-1,5-6", 200, 0..100),
            ("bytes=a-b", 200, 0..100),
            ("bytes=99999999999999999999-", 200, 0..100),
            ("lines=0-1", 200, 0..100),
        ];
        for (field, status, body) in cases {
            let head = ask(&Method::GET, &[(header::RANGE, field)]);
            assert_eq!((head.status.as_u16(), head.body), (status, body), "{field}");
        }
        let part = ask(&Method::GET, &[(header::RANGE, "bytes=0-9")]);
        assert_eq!(part.headers[header::CONTENT_RANGE], "bytes 0-9/100");
        assert_eq!(part.headers[header::CONTENT_LENGTH], "10");
        let none = ask(&Method::GET, &[(header::RANGE, "bytes=100-")]);
        assert_eq!(none.headers[header::CONTENT_RANGE], "bytes */100");
    }

    #[test]
    fn if_range_compares_strongly() {
        let cases = [
            ("\"abc\"", 206),
            ("W/\"abc\"", 200),
            ("\"x\"", 200),
            ("Sun, 09 Sep 2001 01:46:40 GMT", 206),
            ("Sun, 09 Sep 2001 01:46:41 GMT", 200),
        ];
        for (condition, status) in cases {
            let fields = [(header::RANGE, "bytes=0-9"), (header::IF_RANGE, condition)];
            assert_eq!(
                ask(&Method::GET, &fields).status.as_u16(),
                status,
                "{condition}"
            );
        }
    }

    #[test]
    fn other_methods_are_told_which_there_are() {
        let head = ask(&Method::POST, &[]);
        assert_eq!(head.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(head.headers[header::ALLOW], "GET, HEAD");
    }
}
