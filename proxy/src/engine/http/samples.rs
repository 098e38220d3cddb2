//! What the tests of this folder share: header maps from literals, and values nobody sane sends.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};

/// A header map with these lines, in this order; a name may repeat.
pub(in crate::engine) fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a literal field name");
        map.append(
            name,
            HeaderValue::from_bytes(value.as_bytes()).expect("a literal value"),
        );
    }
    map
}

/// Any value the HTTP library lets through: random bytes, and pieces of real syntax in any order.
pub(super) fn any_value() -> impl Strategy<Value = HeaderValue> {
    let piece = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        proptest::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
    ];
    vec(piece, 0..24).prop_filter_map("bytes HTTP allows in a value", |pieces| {
        HeaderValue::from_bytes(&pieces.concat()).ok()
    })
}

/// Fragments that steer random input into the parsers' branches.
const PIECES: &[&str] = &[
    ",",
    ", ",
    ";",
    "=",
    "\"",
    "\\",
    "*",
    "-",
    "/",
    ":",
    " ",
    "\t",
    "W/",
    "bytes",
    "bytes=",
    "bytes 0-1/2",
    "no-store",
    "no-cache",
    "private",
    "max-age",
    "s-maxage",
    "max-age=60",
    "public",
    "must-understand",
    "stale-if-error",
    "4294967296",
    "99999999999999999999",
    "0",
    "1",
    "60",
    "\"etag\"",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "http://",
    "https://",
    "//",
    "[::1]",
    "a.example",
    "@",
    "#f",
    "?q",
    "%",
    "gzip",
    "q=0",
    "close",
    "nyud.test",
    "node=n1",
    "1.1 atoll",
    "hit",
];
