//! Validators and preconditions: is it the same representation? (RFC 9110 §8.8, §13; RFC 9111
//! §4.3.)
//!
//! Three uses: answering a client's conditional request from a stored response, validating a
//! stored response at the origin and merging its 304, and making sure that bytes from elsewhere
//! continue the very representation they are to complete.
//!
//! An entity tag without quotes is no entity tag, but servers send such and clients echo them: it
//! is compared as an opaque weak one. Ranges are parsed in [`range`](super::range).

mod head;

use std::time::Duration;

use common::clock::WallTime;
use http::header::{
    CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_UNMODIFIED_SINCE, LAST_MODIFIED,
};
use http::{Method, StatusCode};

pub use head::head_confirms;

use super::control::Directives;
use super::date;
use super::store::Kept;

/// How far Last-Modified must lie before Date to be a strong validator (RFC 9110 §8.8.2.2 asks for
/// one second and for enough to cover two clocks; a minute is what RFC 7232 named).
const STRONG_AFTER: Duration = Duration::from_secs(60);

/// An entity tag (RFC 9110 §8.8.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntityTag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Reads one entity tag. `None` if there is nothing to read.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let (marked, rest) = match value
            .strip_prefix(b"W/")
            .or_else(|| value.strip_prefix(b"w/"))
        {
            Some(rest) => (true, rest),
            None => (false, value),
        };
        if let Some(opaque) = rest
            .strip_prefix(b"\"")
            .and_then(|rest| rest.strip_suffix(b"\""))
            && !opaque.contains(&b'"')
        {
            return Some(Self {
                weak: marked,
                opaque,
            });
        }
        // A bare star would mean "anything" wherever it is sent back.
        (!value.is_empty() && value != b"*").then_some(Self {
            weak: true,
            opaque: value,
        })
    }

    /// The tag of a stored response, if it has exactly one.
    #[must_use]
    pub fn of(headers: &'a HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(ETAG).iter();
        let first = values.next()?;
        if values.any(|other| other != first) {
            return None;
        }
        Self::parse(first.as_bytes())
    }

    /// Whether it identifies the bytes, not only the meaning, of a representation (§8.8.1).
    #[must_use]
    pub const fn is_strong(&self) -> bool {
        !self.weak
    }

    /// Strong comparison: both strong and equal (§8.8.3.2).
    #[must_use]
    pub fn strong_eq(&self, other: &EntityTag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Weak comparison: equal, however strong (§8.8.3.2).
    #[must_use]
    pub fn weak_eq(&self, other: &EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }
}

/// The entity tags of one list value. A backslash escapes nothing in them, unlike in quoted
/// strings, and a tag may contain commas (§8.8.3).
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = EntityTag<'a>;

    fn next(&mut self) -> Option<EntityTag<'a>> {
        while !self.0.is_empty() {
            let quote = self.0.iter().position(|byte| *byte == b'"');
            let comma = self
                .0
                .iter()
                .position(|byte| *byte == b',')
                .unwrap_or(self.0.len());
            let end = match quote.filter(|quote| *quote < comma) {
                None => comma,
                Some(open) => {
                    let close = self.0.iter().skip(open + 1).position(|byte| *byte == b'"');
                    let after = close.map_or(self.0.len(), |close| open + close + 2);
                    let tail = self.0.iter().skip(after).position(|byte| *byte == b',');
                    tail.map_or(self.0.len(), |tail| after + tail)
                }
            };
            let (tag, rest) = self.0.split_at(end);
            self.0 = rest.get(1..).unwrap_or_default();
            if let Some(tag) = EntityTag::parse(tag) {
                return Some(tag);
            }
        }
        None
    }
}

/// The stored response that was selected for a request.
#[derive(Clone, Copy, Debug)]
pub struct Selected<'a> {
    /// Its status code.
    pub status: StatusCode,
    /// Its header as stored.
    pub headers: &'a HeaderMap,
}

/// In which role preconditions are evaluated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// A cache: If-Match and If-Unmodified-Since are not its to judge (RFC 9111 §4.3.2).
    Cache,
    /// A gateway that stands for the origin server itself (RFC 9110 §3.7) and judges all.
    Gateway,
}

/// What preconditions make of a request (RFC 9110 §13.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Answer as if there were none.
    Proceed,
    /// 304: the client has it.
    NotModified,
    /// 412: it is not what the client supposes.
    PreconditionFailed,
}

/// Whether a request has any precondition, If-Range aside.
#[must_use]
pub fn is_conditional(request: &HeaderMap) -> bool {
    [
        IF_MATCH,
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_UNMODIFIED_SINCE,
    ]
    .iter()
    .any(|name| request.contains_key(name))
}

/// Evaluates a client's preconditions against the stored response (RFC 9110 §13.2, RFC 9111
/// §4.3.2). Preconditions count only on GET and HEAD and for a response that is 2xx; If-Range is
/// [`range`](super::range)'s.
#[must_use]
pub fn evaluate(
    method: &Method,
    request: &HeaderMap,
    selected: Selected<'_>,
    role: Role,
) -> Outcome {
    let applies = *method == Method::GET || *method == Method::HEAD;
    if !applies || !selected.status.is_success() {
        return Outcome::Proceed;
    }
    if role == Role::Gateway && !holds_for_origin(request, selected.headers) {
        return Outcome::PreconditionFailed;
    }
    let unchanged = if request.contains_key(IF_NONE_MATCH) {
        listed(request, &IF_NONE_MATCH, selected.headers, |a, b| {
            a.weak_eq(b)
        })
    } else {
        date::field(request, &IF_MODIFIED_SINCE).is_some_and(|since| {
            modified(selected.headers).is_some_and(|modified| modified <= since)
        })
    };
    if unchanged {
        Outcome::NotModified
    } else {
        Outcome::Proceed
    }
}

/// If-Match, or else If-Unmodified-Since (§13.1.1, §13.1.4, §13.2.2 steps 1 and 2).
fn holds_for_origin(request: &HeaderMap, stored: &HeaderMap) -> bool {
    if request.contains_key(IF_MATCH) {
        return listed(request, &IF_MATCH, stored, |a, b| a.strong_eq(b));
    }
    date::field(request, &IF_UNMODIFIED_SINCE)
        .zip(date::field(stored, &LAST_MODIFIED))
        .is_none_or(|(since, modified)| modified <= since)
}

/// Whether the field lists the stored tag, or is `*`.
fn listed(
    request: &HeaderMap,
    name: &HeaderName,
    stored: &HeaderMap,
    equal: impl Fn(&EntityTag<'_>, &EntityTag<'_>) -> bool,
) -> bool {
    let tag = EntityTag::of(stored);
    request.get_all(name).iter().any(|value| {
        value.as_bytes().trim_ascii() == b"*"
            || tag.is_some_and(|tag| Tags(value.as_bytes()).any(|other| equal(&tag, &other)))
    })
}

/// Last-Modified, or Date, which a stored response always has (RFC 9111 §4.3.2).
fn modified(stored: &HeaderMap) -> Option<WallTime> {
    if stored.contains_key(LAST_MODIFIED) {
        date::field(stored, &LAST_MODIFIED)
    } else {
        date::field(stored, &DATE)
    }
}

/// Adds the preconditions that validate a stored response at the origin (RFC 9111 §4.3.1).
///
/// Values go back exactly as they came, because some origins compare text. Returns whether there
/// was any validator; without one the request is an ordinary one.
pub fn add_validators(stored: &HeaderMap, request: &mut HeaderMap) -> bool {
    if let Some(tag) = stored.get(ETAG).filter(|_| EntityTag::of(stored).is_some()) {
        request.insert(IF_NONE_MATCH, tag.clone());
    }
    if let Some(modified) = stored.get(LAST_MODIFIED)
        && date::field(stored, &LAST_MODIFIED).is_some()
    {
        request.insert(IF_MODIFIED_SINCE, modified.clone());
    }
    request.contains_key(IF_NONE_MATCH) || request.contains_key(IF_MODIFIED_SINCE)
}

/// Why a 304 cannot be taken to confirm the stored response it was asked about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MismatchReason {
    /// It names another entity tag.
    EntityTag,
    /// It names no entity tag and another Last-Modified.
    LastModified,
}

impl MismatchReason {
    /// Name for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EntityTag => "entity-tag",
            Self::LastModified => "last-modified",
        }
    }
}

/// Whether a 304 confirms the stored response whose validators were sent (RFC 9111 §4.3.4).
///
/// Tags are compared weakly: servers that compress on the fly weaken the tag of the 200 and not
/// that of the 304. A 304 without validators confirms what was asked about.
///
/// # Errors
///
/// The validator that differs; the resource must then be fetched without preconditions.
pub fn confirms(not_modified: &HeaderMap, stored: &HeaderMap) -> Result<(), MismatchReason> {
    match (EntityTag::of(not_modified), EntityTag::of(stored)) {
        (Some(new), Some(old)) if new.weak_eq(&old) => return Ok(()),
        (Some(_), _) => return Err(MismatchReason::EntityTag),
        (None, _) => {}
    }
    let new = date::field(not_modified, &LAST_MODIFIED);
    match (new, date::field(stored, &LAST_MODIFIED)) {
        (Some(new), Some(old)) if new != old => Err(MismatchReason::LastModified),
        _ => Ok(()),
    }
}

/// Updates a stored header from a 304, or from the answer to a HEAD (RFC 9111 §3.2, §4.3.4,
/// §4.3.5).
///
/// Every field of the new header replaces all lines of that name, except those that are not stored
/// at all, and those that describe the bytes on hand: Content-Length, Content-Encoding,
/// Content-Range and ETag, which has just been found to match. Without a Date the time of receipt
/// becomes it, so that a new Expires has something of its own message to be compared with.
pub fn merge(stored: &mut HeaderMap, update: &HeaderMap, received: WallTime) {
    let directives = Directives::of(update);
    let kept = Kept::of(update, &directives);
    for name in update
        .keys()
        .filter(|name| kept.includes(name) && !describes_bytes(name))
    {
        stored.remove(name);
        for value in update.get_all(name) {
            stored.append(name, value.clone());
        }
    }
    if !update.contains_key(DATE) {
        stored.insert(DATE, date::format(received));
    }
}

fn describes_bytes(name: &HeaderName) -> bool {
    [CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_RANGE, ETAG].contains(name)
}

/// Fields that describe a content which a 304 does not have.
const OF_CONTENT: [HeaderName; 7] = [
    CONTENT_LENGTH,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_RANGE,
    CONTENT_DISPOSITION,
    HeaderName::from_static("content-md5"),
];

/// Fields of the stored response that a 304 to a client carries (RFC 9110 §15.4.5): those of the
/// content go, and with a tag at hand so does Last-Modified, which would say nothing more.
#[must_use]
pub fn not_modified_headers(stored: &HeaderMap) -> HeaderMap {
    let mut headers = stored.clone();
    for name in OF_CONTENT {
        headers.remove(name);
    }
    if headers.contains_key(ETAG) {
        headers.remove(LAST_MODIFIED);
    }
    headers
}

/// The strong validator of a response, as the value for If-Range (RFC 9110 §13.1.5).
///
/// `None` means that nothing proves two answers to be the same bytes, so that a broken transfer
/// cannot be resumed.
#[must_use]
pub fn resume_validator(headers: &HeaderMap) -> Option<HeaderValue> {
    if let Some(tag) = EntityTag::of(headers) {
        // RFC 9110 §13.1.5: with a tag at hand, a date may not be used in its place.
        return tag
            .is_strong()
            .then(|| headers.get(ETAG).cloned())
            .flatten();
    }
    strong_modified(headers).and_then(|_| headers.get(LAST_MODIFIED).cloned())
}

/// Last-Modified where it is a strong validator (RFC 9110 §8.8.2.2).
pub(super) fn strong_modified(headers: &HeaderMap) -> Option<WallTime> {
    let modified = date::field(headers, &LAST_MODIFIED)?;
    let date = date::field(headers, &DATE)?;
    (date.since(modified) >= STRONG_AFTER).then_some(modified)
}

/// Whether another response carries bytes of the stored representation, beyond doubt: equal strong
/// entity tags, or no tags at all and equal strong Last-Modified dates (RFC 9110 §15.3.7.3).
///
/// A content coding that differs belies the tag; one that is not repeated does not, because a 206
/// may leave it out (§15.3.7).
#[must_use]
pub fn same_representation(stored: &HeaderMap, other: &HeaderMap) -> bool {
    let coding = other.get(CONTENT_ENCODING);
    if coding.is_some() && coding != stored.get(CONTENT_ENCODING) {
        return false;
    }
    match (EntityTag::of(stored), EntityTag::of(other)) {
        (Some(a), Some(b)) => a.strong_eq(&b),
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => {
            let modified = strong_modified(stored);
            modified.is_some() && modified == date::field(other, &LAST_MODIFIED)
        }
    }
}

#[cfg(test)]
mod tests;
