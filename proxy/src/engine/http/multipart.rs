//! Several ranges in one answer: `multipart/byteranges` (RFC 9110 §14.6, §15.3.7.2).
//!
//! Decides what stands between the parts and how long the whole is; the bytes of the parts are the
//! shell's. The number of parts is bounded by [`RANGES_MAX`](super::range::RANGES_MAX), and parts
//! that overlap or touch have been joined before, so an answer is never much longer than the
//! representation.

use std::ops::Range;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use super::range;

/// One part: what stands before its bytes, and which they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Delimiter and header fields of the part.
    pub head: Vec<u8>,
    /// Its bytes in the representation.
    pub range: Range<u64>,
}

/// The content of an answer with several parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Multipart {
    /// The parts in order.
    pub parts: Vec<Part>,
    /// What closes the last one.
    pub tail: Vec<u8>,
    /// Content-Type of the answer, with the boundary.
    pub kind: HeaderValue,
    /// Length of the whole content in bytes.
    pub length: u64,
}

/// Lays out `ranges` of a representation of `complete` bytes with these stored `headers`.
///
/// The boundary is made of `seed`, which should tell representations apart. It needs no secret: an
/// origin that writes it into its own content confuses its own readers, and clients go by the
/// lengths in Content-Range anyway.
#[must_use]
pub fn layout(ranges: &[Range<u64>], complete: u64, headers: &HeaderMap, seed: &[u8]) -> Multipart {
    let digest = blake3::hash(seed).to_hex();
    let boundary = &digest.as_str()[..BOUNDARY_LENGTH];
    let mut parts = Vec::with_capacity(ranges.len());
    let mut length = 0;
    for range in ranges {
        let mut head = Vec::with_capacity(HEAD_USUAL);
        if !parts.is_empty() {
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        if let Some(kind) = headers.get(CONTENT_TYPE) {
            push_field(&mut head, b"Content-Type", kind);
        }
        push_field(&mut head, b"Content-Range", &range::part(range, complete));
        head.extend_from_slice(b"\r\n");
        length += head.len() as u64 + (range.end - range.start);
        let range = range.clone();
        parts.push(Part { head, range });
    }
    let tail = format!("\r\n--{boundary}--\r\n").into_bytes();
    length += tail.len() as u64;
    Multipart {
        parts,
        tail,
        kind: kind(boundary),
        length,
    }
}

fn kind(boundary: &str) -> HeaderValue {
    HeaderValue::try_from(format!("multipart/byteranges; boundary={boundary}"))
        .expect("hexadecimal digits make a token")
}

/// Characters of the boundary: 96 bits, of at most 70 characters (RFC 2046 §5.1.1).
const BOUNDARY_LENGTH: usize = 24;

/// Bytes of a part's head with a usual Content-Type.
const HEAD_USUAL: usize = 120;

fn push_field(out: &mut Vec<u8>, name: &[u8], value: &HeaderValue) {
    for piece in [name, b": ", value.as_bytes(), b"\r\n"] {
        out.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::headers;
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn parts_say_what_they_are_and_the_length_is_right() {
        let stored = headers(&[("content-type", "text/plain")]);
        let content = layout(&[0..2, 90..100], 100, &stored, b"x");
        let kind = content.kind.to_str().unwrap();
        let boundary = kind
            .strip_prefix("multipart/byteranges; boundary=")
            .unwrap();
        assert_eq!(
            text(&content.parts[0].head),
            format!(
                "--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/100\r\n\r\n"
            )
        );
        assert!(text(&content.parts[1].head).starts_with(&format!("\r\n--{boundary}\r\n")));
        assert!(text(&content.parts[1].head).contains("Content-Range: bytes 90-99/100\r\n"));
        assert_eq!(text(&content.tail), format!("\r\n--{boundary}--\r\n"));
        let heads: usize = content.parts.iter().map(|part| part.head.len()).sum();
        let whole = heads + 12 + content.tail.len();
        assert_eq!(content.length, whole as u64, "9110 15.3.7.2");
    }

    #[test]
    fn without_a_type_there_is_none_to_repeat() {
        let content = layout(&[0..1, 90..91], 100, &HeaderMap::new(), b"x");
        assert!(!text(&content.parts[0].head).contains("Content-Type"));
        let other = layout(&[0..1, 90..91], 100, &HeaderMap::new(), b"y");
        assert_ne!(content.kind, other.kind);
    }
}
