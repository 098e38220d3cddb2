//! A record of the disk store: one response with everything that its reuse needs.
//!
//! ```text
//! magic 4 | head length 4 | body length 8 | BLAKE3 of the body 32 | check 16 | head | body
//! ```
//!
//! The check is BLAKE3 over the fields before it, the segment's number and the head; the body has the
//! digest that it came with, which peers and readers know it by, so nothing is hashed twice. Numbers
//! are little-endian. A record is read as a whole or not at all.

use std::ops::Range;
use std::time::Duration;

use common::clock::{Moment, WallTime};
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::blocks::{Blocks, Check};
use super::elapsed::Stamp;
use super::entry::{Large, Name, Variant};
use crate::engine::http::fresh::{Heat, Lifetime, LifetimeSource};
use crate::engine::http::key::PrimaryKey;
use crate::engine::http::vary::VaryKey;
use crate::engine::pointer::Digest;
use crate::engine::store::object::{Object, Restored};

/// Bytes before the head.
pub const PREFACE_LEN: usize = 64;

/// Longest head: header fields are bounded to 64 KiB where they are received and the URL to 8 KiB; the
/// rest is the checks of a large body, of which 4 GiB have a mebibyte.
pub const HEAD_MAX: usize = 32 << 20;

const MAGIC: [u8; 4] = *b"AtRc";

/// Bytes covered by the check, and where it stands.
const CHECK_AT: usize = 48;

/// What a body is, for its record.
#[derive(Clone, Copy, Debug)]
pub enum BodyOf<'a> {
    /// It follows the head; so many bytes.
    Inline(u64),
    /// It is in a file of its own, with these checks.
    Large(Large, &'a [Check]),
}

/// A record's preface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Preface {
    /// Bytes of the head.
    pub head: usize,
    /// Bytes of the body behind it.
    pub body: u64,
    /// The digest of the body, wherever it is.
    pub digest: Digest,
    check: [u8; 16],
}

/// A body as its record describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kept {
    /// These bytes of the record.
    Inline(Range<usize>),
    /// A file of its own, and the checks of its blocks.
    Large(Large, Vec<Check>),
}

/// A record that was read and is right.
#[derive(Debug)]
pub struct Record {
    /// The response.
    pub response: Restored,
    /// When it was written.
    pub stamp: Stamp,
    /// Its body's digest.
    pub digest: Digest,
    /// Its body.
    pub body: Kept,
}

/// What is wrong with a record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Damage {
    /// It ends too early.
    Short,
    /// Its head is not what was written.
    Head,
    /// Its head is what was written and makes no sense.
    Meaning,
    /// Its body is not what was written.
    Body,
    /// It is about another URL.
    Other,
}

impl Damage {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Head => "head",
            Self::Meaning => "meaning",
            Self::Body => "body",
            Self::Other => "other",
        }
    }
}

/// What a URL is called in the index.
#[must_use]
pub fn name_of(key: &PrimaryKey) -> Name {
    let bytes = *key.index_key().as_bytes();
    let half = |at: usize| {
        let eight = bytes.get(at..at + 8).and_then(|half| half.first_chunk());
        u64::from_le_bytes(*eight.unwrap_or(&[0; 8]))
    };
    Name([half(0), half(8)])
}

/// Which variant of its URL an object is, for the index.
#[must_use]
pub fn variant_of<B>(object: &Object<B>) -> Variant {
    let mut hasher = blake3::Hasher::new();
    hasher.update(object.vary_key().as_bytes());
    hasher.update(format!("{:?}", object.vary()).as_bytes());
    let mut four = [0; 4];
    hasher.finalize_xof().fill(&mut four);
    Variant(u32::from_le_bytes(four))
}

/// The preface and head of the record of `object` in `segment`; the body goes behind.
#[must_use]
pub fn encode<B>(
    object: &Object<B>,
    (segment, stamp, now): (u32, &Stamp, Moment),
    digest: &Digest,
    body: BodyOf<'_>,
) -> Vec<u8> {
    let mut out = vec![0; PREFACE_LEN];
    let large = matches!(body, BodyOf::Large(..));
    out.push(u8::from(object.aged) | u8::from(large) << 1);
    out.extend(object.status.as_u16().to_le_bytes());
    put_long(&mut out, object.key.as_str().as_bytes());
    out.extend(object.vary_key().as_bytes());
    put_millis(&mut out, object.age(now));
    out.extend(stamp.boot);
    put_millis(&mut out, stamp.since_boot);
    out.extend(stamp.wall.unix().to_le_bytes());
    for heat in [Heat::Quiet, Heat::Hot] {
        let lifetime = object.lifetime(heat);
        put_millis(&mut out, lifetime.duration);
        out.push(lifetime.source as u8);
    }
    let headers = object.headers();
    out.extend(u32::try_from(headers.len()).unwrap_or(0).to_le_bytes());
    for (name, value) in &headers {
        put_long(&mut out, name.as_str().as_bytes());
        put_long(&mut out, value.as_bytes());
    }
    if let BodyOf::Large(large, checks) = body {
        out.extend(large.id.to_le_bytes());
        out.extend(large.bytes.to_le_bytes());
        out.extend(checks.iter().flatten());
    }
    let body_len = match body {
        BodyOf::Inline(len) => len,
        BodyOf::Large(..) => 0,
    };
    let (preface, head) = out.split_at_mut(PREFACE_LEN);
    let head_len = u32::try_from(head.len()).unwrap_or(u32::MAX);
    preface[..4].copy_from_slice(&MAGIC);
    preface[4..8].copy_from_slice(&head_len.to_le_bytes());
    preface[8..16].copy_from_slice(&body_len.to_le_bytes());
    preface[16..CHECK_AT].copy_from_slice(digest);
    seal(&mut out, segment);
    out
}

/// Makes what [`encode`] gave the beginning of a record in `segment`.
pub fn seal(encoded: &mut [u8], segment: u32) {
    if let Some((preface, head)) = encoded.split_at_mut_checked(PREFACE_LEN) {
        let check = check_of(&preface[..CHECK_AT], head, segment);
        preface[CHECK_AT..].copy_from_slice(&check);
    }
}

/// A record of segment `from` as it is written in segment `to`: the same but for its check. `None` if
/// it is too short to be one.
#[must_use]
pub fn moved(record: &[u8], from: u32, to: u32) -> Option<Vec<u8>> {
    Record::read_head(record, from).ok()?;
    let preface = Preface::read(record).ok()?;
    let mut bytes = record.to_vec();
    seal(bytes.get_mut(..PREFACE_LEN + preface.head)?, to);
    Some(bytes)
}

fn check_of(before: &[u8], head: &[u8], segment: u32) -> Check {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&segment.to_le_bytes());
    hasher.update(before);
    hasher.update(head);
    let mut check = [0; 16];
    hasher.finalize_xof().fill(&mut check);
    check
}

fn put_long(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(bytes);
}

fn put_millis(out: &mut Vec<u8>, duration: Duration) {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    out.extend(millis.to_le_bytes());
}

impl Preface {
    /// The preface that `bytes` begin with.
    ///
    /// # Errors
    /// There is none.
    pub fn read(bytes: &[u8]) -> Result<Self, Damage> {
        let mut fields = Fields(bytes);
        let magic: [u8; 4] = fields.array().ok_or(Damage::Short)?;
        let head = fields.u32().ok_or(Damage::Short)? as usize;
        let body = fields.u64().ok_or(Damage::Short)?;
        let digest = fields.array().ok_or(Damage::Short)?;
        let check = fields.array().ok_or(Damage::Short)?;
        if magic != MAGIC || head > HEAD_MAX {
            return Err(Damage::Head);
        }
        Ok(Self {
            head,
            body,
            digest,
            check,
        })
    }
}

impl Record {
    /// The record that `bytes` are, of `segment`: preface, head and body, and nothing else.
    ///
    /// # Errors
    /// It is not as it was written.
    pub fn read(bytes: &[u8], segment: u32) -> Result<Self, Damage> {
        let record = Self::read_head(bytes, segment)?;
        if let Kept::Inline(range) = &record.body {
            let body = bytes.get(range.clone()).ok_or(Damage::Short)?;
            if blake3::hash(body) != record.digest {
                return Err(Damage::Body);
            }
        }
        Ok(record)
    }

    /// The same without a look at the body, which may be missing.
    ///
    /// # Errors
    /// Its head is not as it was written.
    pub fn read_head(bytes: &[u8], segment: u32) -> Result<Self, Damage> {
        let preface = Preface::read(bytes)?;
        let (before, rest) = bytes.split_at_checked(PREFACE_LEN).ok_or(Damage::Short)?;
        let head = rest.get(..preface.head).ok_or(Damage::Short)?;
        if check_of(&before[..CHECK_AT], head, segment) != preface.check {
            return Err(Damage::Head);
        }
        let body = PREFACE_LEN + preface.head;
        let length = usize::try_from(preface.body).map_err(|_| Damage::Short)?;
        let end = body.checked_add(length).ok_or(Damage::Short)?;
        let mut fields = Fields(head);
        parse(&mut fields, preface.digest, body..end)
            .filter(|_| fields.0.is_empty())
            .ok_or(Damage::Meaning)
    }
}

fn parse(fields: &mut Fields<'_>, digest: Digest, inline: Range<usize>) -> Option<Record> {
    let [flags] = fields.array()?;
    let status = StatusCode::from_u16(u16::from_le_bytes(fields.array()?)).ok()?;
    let url = std::str::from_utf8(fields.long()?).ok()?;
    let key = PrimaryKey::parse(url)?;
    let vary_key = VaryKey::from_bytes(fields.array()?);
    let age = fields.millis()?;
    let stamp = Stamp {
        boot: fields.array()?,
        since_boot: fields.millis()?,
        wall: WallTime::from_unix(i64::from_le_bytes(fields.array()?)),
    };
    let (quiet, hot) = (fields.lifetime()?, fields.lifetime()?);
    let count = fields.u32()?;
    let mut headers = HeaderMap::new();
    for _ in 0..count {
        let name = HeaderName::from_bytes(fields.long()?).ok()?;
        let value = HeaderValue::from_bytes(fields.long()?).ok()?;
        headers.try_append(name, value).ok()?;
    }
    let body = if flags & 2 == 0 {
        Kept::Inline(inline)
    } else {
        let large = Large {
            id: fields.u64()?,
            bytes: fields.u64()?,
        };
        let (checks, rest) = fields.0.as_chunks::<16>();
        if checks.len() as u64 != Blocks::count(large.bytes) || !rest.is_empty() {
            return None;
        }
        fields.0 = rest;
        Kept::Large(large, checks.to_vec())
    };
    let response = Restored {
        key,
        status,
        headers,
        vary_key,
        aged: flags & 1 != 0,
        age,
        quiet,
        hot,
    };
    Some(Record {
        response,
        stamp,
        digest,
        body,
    })
}

/// Fields one after another; `None` where they end.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn long(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()? as usize;
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn millis(&mut self) -> Option<Duration> {
        self.u64().map(Duration::from_millis)
    }

    fn lifetime(&mut self) -> Option<Lifetime> {
        let duration = self.millis()?;
        let [source] = self.array()?;
        let source = LifetimeSource::ALL.get(usize::from(source)).copied()?;
        Some(Lifetime { duration, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::store::object::tests::object;

    const STAMP: Stamp = Stamp {
        boot: [1; 16],
        since_boot: Duration::from_millis(77),
        wall: WallTime::from_unix(1_000_000),
    };

    fn written(body: &[u8]) -> Vec<u8> {
        let response = [
            ("cache-control", "max-age=60"),
            ("vary", "accept-encoding"),
            ("x-note", "one"),
            ("x-note", "two"),
        ];
        let object = object("/page?x=1", &response, &[("accept-encoding", "gzip")], 0);
        let now = Moment::ZERO + Duration::from_secs(10);
        let digest = *blake3::hash(body).as_bytes();
        let place = (3, &STAMP, now);
        let mut bytes = encode(&object, place, &digest, BodyOf::Inline(body.len() as u64));
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_response_comes_back_with_its_age_and_lifetime() {
        let bytes = written(b"hello");
        let record = Record::read(&bytes, 3).unwrap();
        assert_eq!(record.stamp, STAMP);
        let Kept::Inline(range) = record.body.clone() else {
            panic!("{record:?}");
        };
        assert_eq!(&bytes[range], b"hello");
        let later = Moment::ZERO + Duration::from_secs(5);
        let back = Object::restored(record.response, later, Duration::from_secs(20), 9_u32);
        assert_eq!(back.age(later), Duration::from_secs(30));
        assert_eq!(back.remaining(later, Heat::Quiet), Duration::from_secs(30));
        assert_eq!(back.key.as_str(), "http://example.com/page?x=1");
        let headers = back.headers();
        let notes: Vec<_> = headers.get_all("x-note").iter().collect();
        assert_eq!(notes, ["one", "two"]);
        let gzip = crate::engine::store::object::tests::headers(&[("accept-encoding", "gzip")]);
        assert!(back.answers(&gzip) && !back.answers(&HeaderMap::new()));
    }

    #[test]
    fn no_byte_can_change_and_none_be_missing() {
        let bytes = written(b"hello");
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Record::read(&damaged, 3).is_err(), "byte {at}");
            assert!(Record::read(&bytes[..at], 3).is_err(), "cut at {at}");
        }
        assert_eq!(Record::read(&bytes, 4).unwrap_err(), Damage::Head);
    }

    #[test]
    fn a_large_body_has_a_check_for_each_block() {
        let object = object("/large", &[], &[], 0);
        let large = Large {
            id: 5,
            bytes: super::super::blocks::BLOCK as u64 + 1,
        };
        let place = (3, &STAMP, Moment::ZERO);
        let two = [[1; 16], [2; 16]];
        let bytes = encode(&object, place, &[0; 32], BodyOf::Large(large, &two));
        let read = Record::read(&bytes, 3).unwrap();
        assert_eq!(read.body, Kept::Large(large, two.to_vec()));
        let bytes = encode(&object, place, &[0; 32], BodyOf::Large(large, &two[..1]));
        assert_eq!(Record::read(&bytes, 3).unwrap_err(), Damage::Meaning);
    }

    #[test]
    fn variants_and_urls_have_names_of_their_own() {
        let vary = [("vary", "accept-encoding")];
        let gzip = object("/a", &vary, &[("accept-encoding", "gzip")], 0);
        let br = object("/a", &vary, &[("accept-encoding", "br")], 0);
        assert_ne!(variant_of(&gzip), variant_of(&br));
        assert_eq!(name_of(&gzip.key), name_of(&br.key));
        assert_ne!(name_of(&gzip.key), name_of(&object("/b", &[], &[], 0).key));
    }
}
