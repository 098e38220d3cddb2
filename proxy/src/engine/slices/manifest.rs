//! What a large object is, and when it may be kept in slices at all.

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG,
    EXPIRES, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::TOTAL;
use crate::engine::http::conditional;
use crate::engine::http::key::{Portion, PrimaryKey};
use crate::engine::http::range::ContentRange;
use crate::engine::http::vary::VaryKey;
use crate::engine::store::object::Object;

/// What a slice's own head repeats of its manifest's: what identifies its bytes, what purges look for, how
/// long it lives.
const OF_SLICES: [HeaderName; 7] = [
    ETAG,
    LAST_MODIFIED,
    CONTENT_ENCODING,
    CACHE_CONTROL,
    EXPIRES,
    HeaderName::from_static("cache-tag"),
    HeaderName::from_static("surrogate-key"),
];

/// What ties the slices of one version of an object together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// The object.
    pub key: PrimaryKey,
    /// Bytes of all of it.
    pub total: u64,
    /// Digest of what its version is told by: sixteen hexadecimal digits.
    pub tag: Box<str>,
    /// Its strong validator, for If-Range.
    pub validator: HeaderValue,
}

/// Why an answer is not kept in slices.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NotSliced {
    /// The operator wants none.
    Off,
    /// It is neither a whole nor a part of one.
    Status,
    /// Its length is unknown.
    Length,
    /// It is small enough to be kept as one.
    Small,
    /// Nothing in it would tell two versions apart beyond doubt.
    NoValidator,
    /// Its origin does not say that it knows ranges of bytes.
    NoRanges,
}

impl NotSliced {
    /// All of them, for documents and tests.
    pub const ALL: [Self; 6] = [
        Self::Off,
        Self::Status,
        Self::Length,
        Self::Small,
        Self::NoValidator,
        Self::NoRanges,
    ];

    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Status => "status",
            Self::Length => "length",
            Self::Small => "small",
            Self::NoValidator => "no_validator",
            Self::NoRanges => "no_ranges",
        }
    }
}

/// Whether an answer of this status and these fields, whose whole body has `length`, is kept in slices.
/// Objects of more than `from` bytes are; none if that is zero. Gives the length of all of it.
///
/// # Errors
/// It is not.
pub fn is_sliced(
    status: StatusCode,
    headers: &HeaderMap,
    length: Option<u64>,
    from: u64,
) -> Result<u64, NotSliced> {
    if from == 0 {
        return Err(NotSliced::Off);
    }
    let total = match status {
        StatusCode::OK => length,
        StatusCode::PARTIAL_CONTENT => match ContentRange::of(headers) {
            Some(ContentRange::Part { complete, .. }) => complete,
            Some(ContentRange::Unsatisfied { .. }) | None => None,
        },
        _ => return Err(NotSliced::Status),
    };
    let total = total.ok_or(NotSliced::Length)?;
    if total <= from {
        return Err(NotSliced::Small);
    }
    if conditional::resume_validator(headers).is_none() {
        return Err(NotSliced::NoValidator);
    }
    // A part has shown that it does.
    if status == StatusCode::OK && !accepts_ranges(headers) {
        return Err(NotSliced::NoRanges);
    }
    Ok(total)
}

fn accepts_ranges(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT_RANGES).iter();
    let mut units = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    units.any(|unit| unit.trim_ascii().eq_ignore_ascii_case(b"bytes"))
}

/// Makes the head of an answer that is kept in slices that of a manifest of `total` bytes.
pub fn mark(headers: &mut HeaderMap, total: u64) {
    headers.remove(CONTENT_RANGE);
    headers.insert(CONTENT_LENGTH, total.into());
    headers.insert(TOTAL, total.into());
}

/// The length that a kept head says it is the manifest of.
#[must_use]
pub fn total_of(headers: &HeaderMap) -> Option<u64> {
    headers.get(TOTAL)?.to_str().ok()?.parse().ok()
}

impl Manifest {
    /// The manifest that `object` is, if it is one.
    #[must_use]
    pub fn of<B>(object: &Object<B>) -> Option<Self> {
        let total = object.sliced()?;
        let headers = object.headers();
        let validator = conditional::resume_validator(&headers)?;
        let tag = tag(&headers, &validator, total, object.vary_key());
        Some(Self {
            key: object.key.clone(),
            total,
            tag,
            validator,
        })
    }

    /// The key of its slice `n`.
    #[must_use]
    pub fn slice(&self, n: u64) -> PrimaryKey {
        self.key.portion(&self.tag, Portion::Slice(n))
    }
}

/// The head of a slice of `manifest` whose bytes came in an answer with the fields `answer`: Date and Age
/// are that message's.
#[must_use]
pub fn slice_headers(manifest: &HeaderMap, answer: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in OF_SLICES {
        for value in manifest.get_all(&name) {
            headers.append(&name, value.clone());
        }
    }
    for (name, from) in [
        (DATE, manifest),
        (DATE, answer),
        (http::header::AGE, answer),
    ] {
        if let Some(value) = from.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers
}

/// What a version is called: two that could differ in a byte have different ones.
fn tag(headers: &HeaderMap, validator: &HeaderValue, total: u64, vary: VaryKey) -> Box<str> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&total.to_le_bytes());
    hasher.update(vary.as_bytes());
    let coding = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
    for text in [validator.as_bytes(), coding.unwrap_or_default()] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    let mut eight = [0; 8];
    hasher.finalize_xof().fill(&mut eight);
    data_encoding::HEXLOWER.encode(&eight).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::store::object::tests::{headers, object};

    const FROM: u64 = 8 << 20;

    #[test]
    fn only_what_is_large_and_can_be_told_apart_is_kept_in_slices() {
        let whole = [("etag", "\"a\""), ("accept-ranges", "bytes")];
        let part = |range| [("etag", "\"a\""), ("content-range", range)];
        let (ok, partial) = (StatusCode::OK, StatusCode::PARTIAL_CONTENT);
        let judge =
            |status, fields: &[_], length, from| is_sliced(status, &headers(fields), length, from);
        assert_eq!(judge(ok, &whole, Some(FROM + 1), FROM), Ok(FROM + 1));
        assert_eq!(judge(ok, &whole, Some(FROM), FROM), Err(NotSliced::Small));
        assert_eq!(judge(ok, &whole, None, FROM), Err(NotSliced::Length));
        assert_eq!(judge(ok, &whole, Some(FROM + 1), 0), Err(NotSliced::Off));
        let silent = &whole[..1];
        assert_eq!(
            judge(ok, silent, Some(1 << 40), FROM),
            Err(NotSliced::NoRanges)
        );
        let weak = [("etag", "W/\"a\""), ("accept-ranges", "bytes")];
        assert_eq!(
            judge(ok, &weak, Some(1 << 40), FROM),
            Err(NotSliced::NoValidator)
        );
        let not_found = StatusCode::NOT_FOUND;
        assert_eq!(
            judge(not_found, &whole, Some(1 << 40), FROM),
            Err(NotSliced::Status)
        );
        let large = part("bytes 5-9/9000000");
        assert_eq!(judge(partial, &large, Some(5), FROM), Ok(9_000_000));
        let unknown = part("bytes 5-9/*");
        assert_eq!(
            judge(partial, &unknown, Some(5), FROM),
            Err(NotSliced::Length)
        );
        let dated = [
            ("last-modified", "Sat, 01 Jan 2000 00:00:00 GMT"),
            ("date", "Sat, 01 Jan 2000 00:00:30 GMT"),
            ("accept-ranges", "bytes"),
        ];
        // RFC 9110 §8.8.2.2: it may have been changed twice within that time.
        assert_eq!(
            judge(ok, &dated, Some(1 << 40), FROM),
            Err(NotSliced::NoValidator)
        );
    }

    #[test]
    fn versions_that_could_differ_have_different_tags() {
        let manifest = |fields: &[(&str, &str)], request: &[(&str, &str)]| {
            Manifest::of(&*object("/p", fields, request, 0))
        };
        let first = [("etag", "\"a\""), ("atoll-total", "100")];
        let tag = |fields: &[_], request: &[_]| manifest(fields, request).unwrap().tag;
        assert_eq!(tag(&first, &[]), tag(&first, &[("accept", "x")]));
        let varies = [
            ("etag", "\"a\""),
            ("atoll-total", "100"),
            ("vary", "accept"),
        ];
        let others = [
            tag(&[("etag", "\"b\""), ("atoll-total", "100")], &[]),
            tag(&[("etag", "\"a\""), ("atoll-total", "101")], &[]),
            tag(&[first[0], first[1], ("content-encoding", "gzip")], &[]),
            tag(&varies, &[("accept", "x")]),
        ];
        for (n, other) in others.iter().enumerate() {
            assert!(
                *other != tag(&first, &[]) && !others[..n].contains(other),
                "{n}"
            );
        }
        assert_eq!(manifest(&first[..1], &[]), None, "an ordinary response");
        assert_eq!(
            manifest(&first[1..], &[]),
            None,
            "nothing ties its slices together"
        );
    }

    #[test]
    fn a_slice_bears_the_tags_of_its_object_and_the_age_of_its_message() {
        let manifest = headers(&[
            ("etag", "\"a\""),
            ("cache-tag", "film"),
            ("content-type", "video/mp4"),
            ("date", "old"),
            ("atoll-total", "100"),
        ]);
        let answer = headers(&[("date", "new"), ("age", "5"), ("etag", "\"a\"")]);
        let slice = slice_headers(&manifest, &answer);
        let expected = [
            ("etag", "\"a\""),
            ("cache-tag", "film"),
            ("date", "new"),
            ("age", "5"),
        ];
        assert_eq!(slice, headers(&expected));
    }
}
