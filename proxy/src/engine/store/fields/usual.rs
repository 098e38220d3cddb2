//! What is usual in the heads of responses: names, and whole lines. How they are written is [`fields`](super)' business.

use http::header::{self, HeaderName};

/// Names of one byte. Their order is that of memory alone, never of what is on disk.
pub(super) static USUAL: [HeaderName; 36] = [
    header::DATE,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::LAST_MODIFIED,
    header::ETAG,
    header::CACHE_CONTROL,
    header::EXPIRES,
    header::ACCEPT_RANGES,
    header::SERVER,
    header::VARY,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_DISPOSITION,
    header::CONTENT_LOCATION,
    header::CONTENT_SECURITY_POLICY,
    header::LINK,
    header::LOCATION,
    header::PRAGMA,
    header::VIA,
    header::AGE,
    header::ALT_SVC,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
    header::REFERRER_POLICY,
    header::STRICT_TRANSPORT_SECURITY,
    header::X_CONTENT_TYPE_OPTIONS,
    header::X_FRAME_OPTIONS,
    header::X_XSS_PROTECTION,
    HeaderName::from_static("x-powered-by"),
    HeaderName::from_static("x-cache"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("cache-tag"),
    HeaderName::from_static("surrogate-key"),
];

/// Lines that stand as one byte, counted on from the last name: what web servers say of files, mostly.
pub(super) static LINES: [(HeaderName, &[&str]); 9] = [
    (header::ACCEPT_RANGES, &["bytes"]),
    (
        header::CONTENT_TYPE,
        &[
            "text/html",
            "text/html; charset=utf-8",
            "text/html; charset=UTF-8",
            "text/css",
            "text/plain",
            "text/plain; charset=utf-8",
            "text/xml",
            "text/javascript",
            "application/javascript",
            "application/json",
            "application/octet-stream",
            "application/pdf",
            "font/woff2",
            "image/gif",
            "image/jpeg",
            "image/png",
            "image/svg+xml",
            "image/webp",
            "video/mp4",
        ],
    ),
    (header::SERVER, &["nginx", "Apache", "cloudflare"]),
    (header::VARY, &["Accept-Encoding"]),
    (header::CONTENT_ENCODING, &["gzip", "br"]),
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, &["*"]),
    (header::X_CONTENT_TYPE_OPTIONS, &["nosniff"]),
    (header::X_FRAME_OPTIONS, &["SAMEORIGIN", "DENY"]),
    (header::CACHE_CONTROL, &["no-cache"]),
];

/// Where in [`LINES`] this line is.
pub(super) fn place_of(name: &HeaderName, value: &[u8]) -> Option<usize> {
    let mut first = 0;
    for (usual, values) in &LINES {
        if usual == name {
            let at = values.iter().position(|usual| usual.as_bytes() == value);
            return at.map(|at| first + at);
        }
        first += values.len();
    }
    None
}

/// The line that is there.
pub(super) fn line_at(mut place: usize) -> Option<(&'static HeaderName, &'static str)> {
    for (name, values) in &LINES {
        if let Some(value) = values.get(place) {
            return Some((name, value));
        }
        place -= values.len();
    }
    None
}
