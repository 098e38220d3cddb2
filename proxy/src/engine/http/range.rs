//! Ranges: which bytes of a representation are asked for, or arrive (RFC 9110 §14).
//!
//! Ranges here are half-open, `start..end` in bytes. What cannot be understood, or costs more than
//! it is worth, is answered with the whole, as §14.2 allows, and the reason is kept. How parts are
//! delivered is [`multipart`](super::multipart)'s business.

use std::ops::Range;

use http::header::{CONTENT_RANGE, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE};
use http::{Method, StatusCode};

use super::conditional::{EntityTag, Selected, strong_modified};
use super::date;
use super::field::{Members, digits};

/// Most ranges in one request that are honoured; real clients send one, PDF readers a handful.
pub const RANGES_MAX: usize = 16;

/// Most pairs of overlapping ranges; §14.2 and §17.15 name more than two as a sign of abuse.
pub const OVERLAPS_MAX: usize = 2;

/// Ranges closer than this many bytes become one: about what the head of a part costs (§15.3.7.2).
const GAP_MIN: u64 = 80;

/// Which bytes to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ranges {
    /// All of them, in a 200.
    Whole(WholeReason),
    /// One range, in a 206.
    Single(Range<u64>),
    /// Several, in a multipart 206, in the order asked for.
    Multi(Vec<Range<u64>>),
    /// None of those asked for exist: 416 with [`unsatisfied`].
    Unsatisfiable,
}

/// Why the whole is sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WholeReason {
    /// Nothing else was asked for.
    NoRange,
    /// Ranges are defined for GET alone (§14.2).
    Method,
    /// Ranges are defined for what would be a 200 alone (§14.2).
    Status,
    /// If-Range names another representation, or none for sure (§13.1.5).
    IfRange,
    /// There are several Range lines.
    Repeated,
    /// The unit is not bytes (§14.2).
    Unit,
    /// The ranges cannot be read (§14.1.1).
    Malformed,
    /// There are more than [`RANGES_MAX`].
    TooMany,
    /// More than [`OVERLAPS_MAX`] pairs overlap.
    Overlapping,
    /// The representation is empty, and all of it was asked for (§14.1.2).
    Empty,
}

impl WholeReason {
    /// Name for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRange => "no-range",
            Self::Method => "method",
            Self::Status => "status",
            Self::IfRange => "if-range",
            Self::Repeated => "repeated",
            Self::Unit => "unit",
            Self::Malformed => "malformed",
            Self::TooMany => "too-many",
            Self::Overlapping => "overlapping",
            Self::Empty => "empty",
        }
    }
}

/// One range-spec (§14.1.1, §14.1.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spec {
    /// From the first position to the last, or to the end.
    From(u64, Option<u64>),
    /// The last so many bytes.
    Last(u64),
}

/// Which bytes of a complete stored representation of `length` bytes a request gets.
///
/// Preconditions have been evaluated before (§13.2.2); If-Range is evaluated here.
#[must_use]
pub fn resolve(
    method: &Method,
    request: &HeaderMap,
    selected: Selected<'_>,
    length: u64,
) -> Ranges {
    match requested(method, request, selected) {
        Ok(specs) => within(&specs, length),
        Err(reason) => Ranges::Whole(reason),
    }
}

fn requested(
    method: &Method,
    request: &HeaderMap,
    selected: Selected<'_>,
) -> Result<Vec<Spec>, WholeReason> {
    let mut lines = request.get_all(RANGE).iter();
    let line = lines.next().ok_or(WholeReason::NoRange)?;
    if *method != Method::GET {
        return Err(WholeReason::Method);
    }
    if selected.status != StatusCode::OK {
        return Err(WholeReason::Status);
    }
    if lines.next().is_some() {
        return Err(WholeReason::Repeated);
    }
    if !if_range_holds(request, selected.headers) {
        return Err(WholeReason::IfRange);
    }
    parse(line.as_bytes())
}

/// The one range that a request asks for, if it asks for exactly one in a way that is honoured.
#[must_use]
pub fn alone(request: &HeaderMap) -> Option<Spec> {
    let mut lines = request.get_all(RANGE).iter();
    let (line, none) = (lines.next()?, lines.next());
    let specs = parse(line.as_bytes()).ok().filter(|_| none.is_none())?;
    match specs.as_slice() {
        [spec] => Some(*spec),
        _ => None,
    }
}

/// Reads `bytes=...`; the whole field is invalid if one range in it is (§14.1.1).
fn parse(value: &[u8]) -> Result<Vec<Spec>, WholeReason> {
    let equals = value
        .iter()
        .position(|byte| *byte == b'=')
        .ok_or(WholeReason::Malformed)?;
    let (unit, set) = value.split_at(equals);
    if !unit.trim_ascii_start().eq_ignore_ascii_case(b"bytes") {
        return Err(WholeReason::Unit);
    }
    let mut specs = Vec::new();
    for member in Members::of(set.get(1..).unwrap_or_default()) {
        if specs.len() == RANGES_MAX {
            return Err(WholeReason::TooMany);
        }
        specs.push(spec(member).ok_or(WholeReason::Malformed)?);
    }
    if specs.is_empty() {
        Err(WholeReason::Malformed)
    } else {
        Ok(specs)
    }
}

fn spec(member: &[u8]) -> Option<Spec> {
    let dash = member.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (&member[..dash], &member[dash + 1..]);
    if first.is_empty() {
        return digits(last).map(Spec::Last);
    }
    let first = digits(first)?;
    if last.is_empty() {
        return Some(Spec::From(first, None));
    }
    let last = digits(last)?;
    (first <= last).then_some(Spec::From(first, Some(last)))
}

/// Cuts the ranges to the length, drops those beyond it and joins those that touch.
fn within(specs: &[Spec], length: u64) -> Ranges {
    if length == 0 && specs.iter().any(|spec| matches!(spec, Spec::Last(1..))) {
        return Ranges::Whole(WholeReason::Empty);
    }
    let mut ranges: Vec<_> = specs
        .iter()
        .filter_map(|spec| bytes_of(*spec, length))
        .collect();
    if overlaps(&ranges) > OVERLAPS_MAX {
        return Ranges::Whole(WholeReason::Overlapping);
    }
    if ranges.len() > 1 {
        ranges = coalesce(ranges);
    }
    match ranges.as_slice() {
        [] => Ranges::Unsatisfiable,
        [one] => Ranges::Single(one.clone()),
        _ => Ranges::Multi(ranges),
    }
}

/// The bytes a spec means, if there are any (§14.1.2).
fn bytes_of(spec: Spec, length: u64) -> Option<Range<u64>> {
    let range = match spec {
        Spec::From(first, last) => {
            first..last.map_or(length, |last| last.saturating_add(1).min(length))
        }
        Spec::Last(count) => length.saturating_sub(count)..length,
    };
    (range.start < range.end).then_some(range)
}

/// Pairs of ranges that share bytes. There are at most 120 pairs.
fn overlaps(ranges: &[Range<u64>]) -> usize {
    let overlap = |a: &Range<u64>, b: &Range<u64>| a.start < b.end && b.start < a.end;
    let after = |at: usize| ranges.iter().skip(at + 1);
    ranges
        .iter()
        .enumerate()
        .map(|(at, a)| after(at).filter(|b| overlap(a, b)).count())
        .sum()
}

/// Joins ranges that overlap or nearly touch; a joined range stands where the first of it stood.
fn coalesce(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let near = |a: &Range<u64>, b: &Range<u64>| {
        a.start < b.end.saturating_add(GAP_MIN) && b.start < a.end.saturating_add(GAP_MIN)
    };
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for mut range in ranges {
        let mut slot = joined.len();
        while let Some(at) = joined.iter().position(|other| near(other, &range)) {
            let other = joined.remove(at);
            range = range.start.min(other.start)..range.end.max(other.end);
            slot = slot.min(at);
        }
        joined.insert(slot, range);
    }
    joined
}

/// Whether If-Range, if there is one, names the stored representation for sure (§13.1.5): an entity
/// tag by strong comparison, a date by exact match with a strong Last-Modified.
fn if_range_holds(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let mut lines = request.get_all(IF_RANGE).iter();
    let Some(value) = lines.next() else {
        return true;
    };
    if lines.next().is_some() {
        return false;
    }
    if let Some(date) = date::parse(value.as_bytes()) {
        return strong_modified(stored) == Some(date)
            && date::field(stored, &LAST_MODIFIED) == Some(date);
    }
    match (EntityTag::parse(value.as_bytes()), EntityTag::of(stored)) {
        (Some(asked), Some(held)) => asked.strong_eq(&held),
        _ => false,
    }
}

/// What a received Content-Range says (§14.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ContentRange {
    /// The content is these bytes of a representation.
    Part {
        /// The bytes, never empty.
        range: Range<u64>,
        /// The length of the whole, if known.
        complete: Option<u64>,
    },
    /// None of the bytes asked for exist (in a 416).
    Unsatisfied {
        /// The length of the whole.
        complete: u64,
    },
}

impl ContentRange {
    /// The Content-Range of a message; `None` if there is none, several, or one that is invalid, in
    /// which case the content must not be joined to anything (§14.4).
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(CONTENT_RANGE).iter();
        let line = lines.next()?;
        if lines.next().is_some() {
            None
        } else {
            Self::parse(line.as_bytes())
        }
    }

    /// Reads one value. Other units than bytes, a last position before the first or not before the
    /// complete length, and numbers that do not fit 64 bits are invalid.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (unit, rest) = value.trim_ascii().split_at_checked(b"bytes ".len())?;
        if !unit.eq_ignore_ascii_case(b"bytes ") {
            return None;
        }
        let rest = rest.trim_ascii_start();
        let slash = rest.iter().position(|byte| *byte == b'/')?;
        let (positions, complete) = (&rest[..slash], &rest[slash + 1..]);
        let complete = if complete == b"*" {
            None
        } else {
            Some(exact(complete)?)
        };
        if positions == b"*" {
            return complete.map(|complete| Self::Unsatisfied { complete });
        }
        let dash = positions.iter().position(|byte| *byte == b'-')?;
        let (first, last) = (exact(&positions[..dash])?, exact(&positions[dash + 1..])?);
        let valid = first <= last && complete.is_none_or(|complete| last < complete);
        valid.then(|| Self::Part {
            range: first..last + 1,
            complete,
        })
    }
}

/// Digits whose value, and the one after it, fit 64 bits.
fn exact(bytes: &[u8]) -> Option<u64> {
    digits(bytes).filter(|number| *number < u64::MAX)
}

/// Content-Range of a part: `bytes 0-4/10` (§14.4). `range` must not be empty.
#[must_use]
pub fn part(range: &Range<u64>, complete: u64) -> HeaderValue {
    debug_assert!(
        range.start < range.end,
        "an empty part has no Content-Range"
    );
    ascii(format!(
        "bytes {}-{}/{complete}",
        range.start,
        range.end.saturating_sub(1)
    ))
}

/// Content-Range of a 416: `bytes */10` (§14.4, §15.5.17).
#[must_use]
pub fn unsatisfied(complete: u64) -> HeaderValue {
    ascii(format!("bytes */{complete}"))
}

/// The Range that asks for everything from `offset` on: `bytes=5-` (§14.1.2).
#[must_use]
pub fn from_offset(offset: u64) -> HeaderValue {
    ascii(format!("bytes={offset}-"))
}

/// The Range that asks for `range`: `bytes=0-4` (§14.1.2). `range` must not be empty.
#[must_use]
pub fn exactly(range: &Range<u64>) -> HeaderValue {
    debug_assert!(
        range.start < range.end,
        "an empty range cannot be asked for"
    );
    ascii(format!(
        "bytes={}-{}",
        range.start,
        range.end.saturating_sub(1)
    ))
}

/// The Range that asks for the last `count` bytes: `bytes=-5` (§14.1.2).
#[must_use]
pub fn last(count: u64) -> HeaderValue {
    ascii(format!("bytes=-{count}"))
}

fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("digits and punctuation")
}

#[cfg(test)]
mod tests;
