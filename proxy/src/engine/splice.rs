//! How one body is put together from the bytes of several sources, one after another.
//!
//! Decides what may be shown, where the next source has to begin, and whether what it sends belongs
//! to what is here. It holds no body: bytes pass through, counted and hashed.
//!
//! A client that was told a length takes the last byte for a clean end. So the piece that completes
//! an announced length is held back until the source has ended cleanly and the digest is right.

use bytes::Bytes;
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, IF_RANGE, LAST_MODIFIED,
    RANGE,
};

use super::http::conditional::{self, EntityTag};
use super::http::range::{self, ContentRange};
use super::pointer::Digest;
use super::reason::FailReason;

/// Bodies up to this many bytes cost less to finish than to ask for again.
pub const SMALL: u64 = 256 << 10;

/// What a source said it would let its body be checked by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Promise {
    /// Nothing: an origin.
    None,
    /// This digest of the whole.
    Digest(Digest),
    /// A digest after the body.
    Trailer,
}

/// Fields that say what the bytes are.
const DESCRIBING: [HeaderName; 3] = [CONTENT_TYPE, CONTENT_ENCODING, LAST_MODIFIED];

/// What a response's head says of its body.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    /// Its status code.
    pub status: StatusCode,
    /// Its fields.
    pub headers: &'a HeaderMap,
}

/// A body being put together.
#[derive(Clone, Debug)]
pub struct Splice {
    /// Of what was shown. Boxed: it is two kilobytes, and what it is a part of is moved about. `None`
    /// before the first piece; a body of one piece, as most are, needs none, and leaves no hole of that
    /// size between the pages that are kept.
    hasher: Option<Box<blake3::Hasher>>,
    /// Of the whole, once it is whole and came in one piece.
    whole: Option<Digest>,
    received: u64,
    announced: Option<u64>,
    /// Whether it may be kept and others may join.
    shared: bool,
}

/// What one source contributes.
#[derive(Clone, Debug)]
pub struct Intake {
    /// Bytes still to come that are here already.
    skip: u64,
    /// Hashes them, if there are any.
    again: Option<Box<blake3::Hasher>>,
    promise: Promise,
    /// The length of the whole by this source's own account: an end before it is none, even where
    /// the first source stated no length.
    whole: Option<u64>,
    /// The piece that completes the announced length.
    last: Bytes,
}

impl Splice {
    /// A body of `announced` bytes, if its length is known, which others may have if `shared`.
    #[must_use]
    pub fn new(announced: Option<u64>, shared: bool) -> Self {
        Self {
            hasher: None,
            whole: None,
            received: 0,
            announced,
            shared,
        }
    }

    /// Bytes shown so far.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Digest of what was shown so far.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let hasher = self.hasher.as_ref();
        let known = || {
            *hasher
                .map_or_else(|| blake3::hash(&[]), |hasher| hasher.finalize())
                .as_bytes()
        };
        self.whole.unwrap_or_else(known)
    }

    /// Whether it may be kept and others may join.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.shared
    }

    /// Nobody waits any more: a shareable object that is small, or more than half here, is finished
    /// all the same. The first client may have left with a 304 and a crowd be on its way.
    #[must_use]
    pub fn is_worth_finishing(&self) -> bool {
        let nearly = |length: u64| length <= SMALL || self.received * 2 > length;
        self.shared && self.announced.map_or(self.received <= SMALL, nearly)
    }

    /// Where the next source is asked to begin: at what is here if a strong validator of `shown`
    /// ties the rest to it, else at the beginning, which is then compared.
    #[must_use]
    pub fn offset(&self, shown: &HeaderMap) -> u64 {
        match conditional::resume_validator(shown) {
            Some(_) => self.received,
            None => 0,
        }
    }

    /// The fields that ask an origin for the rest of what was `shown`: a range where a strong validator
    /// ties it to what is here, else nothing: the whole again, whose beginning is then compared.
    pub fn ask_for_rest(&self, shown: &HeaderMap, request: &mut HeaderMap) {
        let validator = conditional::resume_validator(shown);
        if let Some(validator) = validator.filter(|_| self.received > 0) {
            request.insert(RANGE, range::from_offset(self.received));
            request.insert(IF_RANGE, validator);
        }
    }

    /// The first source's contribution.
    #[must_use]
    pub fn first(promise: Promise) -> Intake {
        Intake::new(0, promise, None)
    }

    /// How an origin's second answer joins on; `length` is what it says of itself.
    ///
    /// # Errors
    /// As [`join`](Self::join); a part that does not say which is malformed, and so is one of nobody
    /// knows how much: its end would say nothing.
    pub fn join_origin(
        &self,
        shown: Described<'_>,
        answer: Described<'_>,
        length: Option<u64>,
    ) -> Result<Intake, FailReason> {
        if answer.status != StatusCode::PARTIAL_CONTENT {
            return self.join(shown, answer, 0, length, Promise::None);
        }
        let whole = Described {
            status: shown.status,
            ..answer
        };
        match ContentRange::of(answer.headers) {
            Some(ContentRange::Part { range, complete })
                if complete.or(self.announced).is_some() =>
            {
                self.join(shown, whole, range.start, complete, Promise::None)
            }
            _ => Err(FailReason::Malformed),
        }
    }

    /// How an `answer` that begins at `offset` of a body of `length` joins on to what was `shown`.
    ///
    /// # Errors
    /// It is another object, or begins elsewhere.
    pub fn join(
        &self,
        shown: Described<'_>,
        answer: Described<'_>,
        offset: u64,
        length: Option<u64>,
        promise: Promise,
    ) -> Result<Intake, FailReason> {
        let (known, headers) = (shown.headers, answer.headers);
        let other_length = length.zip(self.announced).is_some_and(|(a, b)| a != b);
        if answer.status != shown.status || other_length {
            return Err(FailReason::Truncated);
        }
        let same = match offset {
            // From its beginning the bytes are compared, as far as any were shown; their description may
            // not contradict what was said of them, and before the first of them nothing else tells.
            0 => {
                !differ(EntityTag::of(known), EntityTag::of(headers))
                    && DESCRIBING.iter().all(|name| is_same(known, headers, name))
                    && (self.received > 0 || is_same(known, headers, &CACHE_CONTROL))
            }
            // RFC 9110 §15.3.7.3: the rest of another version must not be joined on, and some
            // servers send it whatever If-Range says.
            _ => offset == self.received && conditional::same_representation(known, headers),
        };
        if same {
            Ok(Intake::new(self.received - offset, promise, length))
        } else {
            Err(FailReason::Malformed)
        }
    }

    /// Takes a piece. Gives what of it may be shown now, which may be nothing.
    ///
    /// # Errors
    /// It repeats what is here and differs from it, or is more than was announced.
    pub fn take(&mut self, from: &mut Intake, piece: Bytes) -> Result<Bytes, FailReason> {
        let bytes = from.rest_of(piece, || self.digest())?;
        if bytes.is_empty() {
            return Ok(bytes);
        }
        let total = self.received + bytes.len() as u64;
        let too_long = |length: Option<u64>| length.is_some_and(|length| total > length);
        if !from.last.is_empty() || too_long(self.announced) || too_long(from.whole) {
            return Err(FailReason::Malformed);
        }
        if self.announced == Some(total) {
            from.last = bytes;
            return Ok(Bytes::new());
        }
        self.show(&bytes);
        Ok(bytes)
    }

    /// The source ended cleanly, with the digest it stated after the body, if any. Gives what was
    /// held back; the body is then whole.
    ///
    /// # Errors
    /// It was too short, or is not what the source said it was.
    pub fn end(&mut self, from: Intake, trailer: Option<Digest>) -> Result<Bytes, FailReason> {
        let total = self.received + from.last.len() as u64;
        let another = |length: Option<u64>| length.is_some_and(|length| length != total);
        if from.skip > 0 || another(self.announced) || another(from.whole) {
            return Err(FailReason::Truncated);
        }
        let stated = match from.promise {
            Promise::None => None,
            Promise::Digest(digest) => Some(digest),
            // Cut off before its trailer, or a member that does not keep to the protocol.
            Promise::Trailer => Some(trailer.ok_or(FailReason::Truncated)?),
        };
        let digest = match &self.hasher {
            None => blake3::hash(&from.last),
            Some(hasher) => {
                let mut hasher = hasher.clone();
                hasher.update(&from.last);
                hasher.finalize()
            }
        };
        if stated.is_some_and(|stated| digest != stated) {
            return Err(FailReason::Digest);
        }
        self.whole = Some(*digest.as_bytes());
        self.received = total;
        Ok(from.last)
    }

    fn show(&mut self, bytes: &Bytes) {
        self.hasher.get_or_insert_default().update(bytes);
        self.received += bytes.len() as u64;
    }
}

impl Intake {
    fn new(skip: u64, promise: Promise, whole: Option<u64>) -> Self {
        Self {
            skip,
            again: (skip > 0).then(Box::default),
            promise,
            whole,
            last: Bytes::new(),
        }
    }

    /// What of `bytes` is new. `known` is the digest of what was shown before.
    fn rest_of(
        &mut self,
        mut bytes: Bytes,
        known: impl FnOnce() -> Digest,
    ) -> Result<Bytes, FailReason> {
        if self.skip == 0 {
            return Ok(bytes);
        }
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX);
        let old = bytes.split_to(skip.min(bytes.len()));
        let again = self.again.get_or_insert_default();
        again.update(&old);
        self.skip -= old.len() as u64;
        // Only a beginning that is the same to the byte makes the rest belong to it. Nothing wrong
        // has been shown: another source may have the right one.
        if self.skip == 0 && again.finalize() != known() {
            return Err(FailReason::Malformed);
        }
        Ok(bytes)
    }
}

fn differ(one: Option<EntityTag<'_>>, other: Option<EntityTag<'_>>) -> bool {
    one.zip(other)
        .is_some_and(|(one, other)| !one.weak_eq(&other))
}

fn is_same(known: &HeaderMap, other: &HeaderMap, name: &HeaderName) -> bool {
    known.get_all(name).iter().eq(other.get_all(name))
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_RANGE, ETAG, HeaderValue};

    use super::*;

    fn tagged(tag: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ETAG, HeaderValue::from_static(tag))])
    }

    /// A body three of whose bytes are here.
    fn splice(announced: Option<u64>) -> Splice {
        let mut splice = Splice::new(announced, true);
        let mut from = Splice::first(Promise::None);
        let shown = splice.take(&mut from, Bytes::from_static(b"abc"));
        assert_eq!(shown.unwrap(), "abc");
        splice
    }

    fn join(
        splice: &Splice,
        tag: &'static str,
        offset: u64,
        length: Option<u64>,
    ) -> Result<Intake, FailReason> {
        let (known, headers) = (tagged("\"a\""), tagged(tag));
        let of = |headers| Described {
            status: StatusCode::OK,
            headers,
        };
        splice.join(of(&known), of(&headers), offset, length, Promise::None)
    }

    #[test]
    fn the_last_piece_is_released_only_when_the_promise_is_kept() {
        let right = *blake3::hash(b"abcde").as_bytes();
        let end = |promise, last: &'static [u8]| {
            let mut splice = splice(Some(5));
            let mut from = Splice::first(promise);
            let shown = splice.take(&mut from, Bytes::from_static(last));
            assert_eq!(shown.unwrap(), "", "held back");
            splice.end(from, None)
        };
        assert_eq!(end(Promise::None, b"de").unwrap(), "de");
        assert_eq!(end(Promise::Digest(right), b"de").unwrap(), "de");
        assert_eq!(
            end(Promise::Digest([0; 32]), b"de"),
            Err(FailReason::Digest)
        );
        assert_eq!(end(Promise::Trailer, b"de"), Err(FailReason::Truncated));
        assert_eq!(end(Promise::None, b""), Err(FailReason::Truncated));
    }

    #[test]
    fn more_than_was_announced_is_no_end() {
        let mut splice = splice(Some(5));
        let mut from = Splice::first(Promise::None);
        splice.take(&mut from, Bytes::from_static(b"de")).unwrap();
        let more = splice.take(&mut from, Bytes::from_static(b"f"));
        assert_eq!(more, Err(FailReason::Malformed));
    }

    #[test]
    fn goes_on_only_with_the_same_version() {
        let splice = splice(Some(5));
        assert_eq!(splice.offset(&tagged("\"a\"")), 3);
        assert_eq!(splice.offset(&tagged("W/\"a\"")), 0);
        let skip = |tag, offset, length| join(&splice, tag, offset, length).map(|from| from.skip);
        assert_eq!(skip("\"a\"", 3, Some(5)), Ok(0));
        assert_eq!(skip("\"b\"", 3, Some(5)), Err(FailReason::Malformed));
        assert_eq!(skip("\"a\"", 2, Some(5)), Err(FailReason::Malformed));
        assert_eq!(skip("\"a\"", 3, Some(6)), Err(FailReason::Truncated));
        assert_eq!(skip("\"a\"", 0, None), Ok(3));
        assert_eq!(skip("\"b\"", 0, None), Err(FailReason::Malformed));
    }

    #[test]
    fn a_whole_again_is_compared_with_what_was_shown() {
        let again = |bytes: &'static [u8]| {
            let mut splice = splice(Some(5));
            let mut from = join(&splice, "\"a\"", 0, Some(5)).unwrap();
            splice.take(&mut from, Bytes::from_static(bytes))?;
            splice.end(from, None)
        };
        assert_eq!(again(b"abcde").unwrap(), "de");
        assert_eq!(again(b"xbcde"), Err(FailReason::Malformed));
        assert_eq!(again(b"ab"), Err(FailReason::Truncated));
    }

    #[test]
    fn what_only_the_second_source_says_of_the_length_holds() {
        let end = |offset, rest: &'static [u8]| {
            let mut splice = splice(None);
            let mut from = join(&splice, "\"a\"", offset, Some(5)).unwrap();
            splice.take(&mut from, Bytes::from_static(rest))?;
            splice.end(from, None)
        };
        for (offset, right, short, long) in [
            (3, &b"de"[..], &b"d"[..], &b"def"[..]),
            (0, b"abcde", b"abcd", b"abcdef"),
        ] {
            assert!(end(offset, right).is_ok());
            assert_eq!(end(offset, short), Err(FailReason::Truncated));
            assert_eq!(end(offset, long), Err(FailReason::Malformed));
        }
    }

    #[test]
    fn a_part_of_the_rest_is_not_the_rest() {
        let join = |announced, range: &'static str| {
            let tag = (ETAG, HeaderValue::from_static("\"a\""));
            let headers = HeaderMap::from_iter([
                tag.clone(),
                (CONTENT_RANGE, HeaderValue::from_static(range)),
            ]);
            let of = |status, headers| Described { status, headers };
            let shown = HeaderMap::from_iter([tag]);
            let mut splice = splice(announced);
            let mut from = splice.join_origin(
                of(StatusCode::OK, &shown),
                of(StatusCode::PARTIAL_CONTENT, &headers),
                Some(1),
            )?;
            splice.take(&mut from, Bytes::from_static(b"d"))?;
            splice.end(from, None)
        };
        assert!(join(None, "bytes 3-3/4").is_ok());
        assert_eq!(join(None, "bytes 3-3/5"), Err(FailReason::Truncated));
        assert_eq!(join(None, "bytes 3-3/*"), Err(FailReason::Malformed));
        assert_eq!(join(Some(4), "bytes 3-3/*").unwrap(), "d");
        assert_eq!(join(Some(5), "bytes 3-3/*"), Err(FailReason::Truncated));
    }

    #[test]
    fn before_the_first_byte_a_second_head_may_not_contradict_the_first() {
        let of = |fields: &[(HeaderName, &'static str)]| {
            let each = fields.iter().cloned();
            each.map(|(name, value)| (name, HeaderValue::from_static(value)))
                .collect::<HeaderMap>()
        };
        let first = of(&[(CONTENT_ENCODING, "gzip"), (CACHE_CONTROL, "max-age=3600")]);
        let join = |shown: &Splice, second: &HeaderMap| {
            let of = |headers| Described {
                status: StatusCode::OK,
                headers,
            };
            let joined = shown.join(of(&first), of(second), 0, None, Promise::None);
            joined.map(drop)
        };
        let (nothing, three) = (Splice::new(None, true), splice(None));
        assert_eq!(join(&nothing, &first), Ok(()));
        let other = of(&[(CONTENT_ENCODING, "gzip"), (CACHE_CONTROL, "no-store")]);
        assert_eq!(join(&nothing, &other), Err(FailReason::Malformed));
        assert_eq!(join(&three, &other), Ok(()), "its bytes are compared");
        let plain = of(&[(CACHE_CONTROL, "max-age=3600")]);
        assert_eq!(join(&nothing, &plain), Err(FailReason::Malformed));
        assert_eq!(join(&three, &plain), Err(FailReason::Malformed));
    }
}
