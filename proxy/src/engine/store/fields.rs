//! The fields of a kept response in one piece of memory.
//!
//! A header map costs some hundred bytes for each field, and the names and dates that nearly every
//! response has say nothing anew each time. Here a field is one byte for its name if it is a usual one,
//! one or two for the length of its value, and the value; a date of the usual form takes four bytes, and a line
//! that many responses have one in all.
//! What comes [out](Fields::to_headers) is what went in, field by field and in order.

mod usual;

use std::borrow::Cow;

use bytes::Bytes;
use common::clock::WallTime;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use self::usual::{USUAL, line_at, place_of};
use crate::engine::http::date;
use crate::engine::http::field::Named;

/// Stands for a name that is written out: its length as a number, and its bytes.
const OTHER: u8 = u8::MAX;

/// Fields whose values are dates.
static DATES: [HeaderName; 3] = [header::DATE, header::EXPIRES, header::LAST_MODIFIED];

/// See the module.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Fields(Box<[u8]>);

/// A value as it is kept.
#[derive(Clone, Copy)]
enum Kept<'a> {
    Bytes(&'a [u8]),
    Date(u32),
    /// A usual line's, with its name.
    Line(usize),
}

impl<'a> Kept<'a> {
    fn of(name: &HeaderName, value: &'a [u8]) -> Self {
        if let Some(place) = place_of(name, value) {
            return Self::Line(place);
        }
        let time = if DATES.contains(name) {
            date::parse(value)
        } else {
            None
        };
        // Only what comes out again byte for byte.
        let exact = time.filter(|time| date::format(*time).as_bytes() == value);
        let seconds = exact.and_then(|time| u32::try_from(time.unix()).ok());
        seconds.map_or(Self::Bytes(value), Self::Date)
    }

    fn written(self) -> Cow<'a, [u8]> {
        match self {
            Self::Bytes(bytes) => Cow::Borrowed(bytes),
            Self::Date(seconds) => {
                let date = date::format(WallTime::from_unix(seconds.into()));
                Cow::Owned(date.as_bytes().to_vec())
            }
            Self::Line(place) => Cow::Borrowed(value_at(place).as_bytes()),
        }
    }
}

/// Seven bits to a byte, the lowest first; the highest bit says that more follow.
fn put_number(mut number: usize, mut put: impl FnMut(&[u8])) {
    while number >= 0x80 {
        put(&[u8::try_from(number & 0x7f).unwrap_or(0) | 0x80]);
        number >>= 7;
    }
    put(&[u8::try_from(number).unwrap_or(0)]);
}

fn value_at(place: usize) -> &'static str {
    line_at(place).map_or("", |(_, value)| value)
}

fn put_name(name: &HeaderName, mut put: impl FnMut(&[u8])) {
    match USUAL.iter().position(|usual| usual == name) {
        Some(at) => put(&[u8::try_from(at).unwrap_or(OTHER)]),
        None => {
            put(&[OTHER]);
            put_number(name.as_str().len(), &mut put);
            put(name.as_str().as_bytes());
        }
    }
}

/// The number before a value is twice its length, or this if it is a date.
const DATED: usize = 1;

fn put_all(headers: &HeaderMap, mut put: impl FnMut(&[u8])) {
    for (name, value) in headers {
        match Kept::of(name, value.as_bytes()) {
            Kept::Line(place) => put(&[u8::try_from(USUAL.len() + place).unwrap_or(OTHER)]),
            Kept::Bytes(bytes) => {
                put_name(name, &mut put);
                put_number(bytes.len() << 1, &mut put);
                put(bytes);
            }
            Kept::Date(seconds) => {
                put_name(name, &mut put);
                put_number(DATED, &mut put);
                put(&seconds.to_le_bytes());
            }
        }
    }
}

impl Fields {
    /// These fields.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut length = 0;
        put_all(headers, |bytes| length += bytes.len());
        let mut packed = Vec::with_capacity(length);
        put_all(headers, |bytes| packed.extend_from_slice(bytes));
        Self(packed.into_boxed_slice())
    }

    /// The fields as they were.
    #[must_use]
    pub fn to_headers(&self) -> HeaderMap {
        // One copy, of which every value is a part.
        let shared = Bytes::copy_from_slice(&self.0);
        let mut headers = HeaderMap::with_capacity(self.len());
        for (name, value) in Lines(&shared) {
            let value = match value {
                Kept::Bytes(bytes) => HeaderValue::from_maybe_shared(shared.slice_ref(bytes)),
                Kept::Date(_) => HeaderValue::from_bytes(&value.written()),
                Kept::Line(place) => Ok(HeaderValue::from_static(value_at(place))),
            };
            let name = match name {
                Name::Usual(name) => Ok(name.clone()),
                Name::Other(name) => HeaderName::from_bytes(name),
            };
            // Both were taken from a map.
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.append(name, value);
            }
        }
        headers
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        Lines(&self.0).count()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes that they take.
    #[must_use]
    pub const fn weight(&self) -> usize {
        self.0.len()
    }
}

impl Named for Fields {
    fn values(&self, name: &HeaderName) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let lines = Lines(&self.0).filter(move |(line, _)| match line {
            Name::Usual(usual) => *usual == name,
            Name::Other(other) => *other == name.as_str().as_bytes(),
        });
        lines.map(|(_, value)| value.written())
    }
}

/// A name as it is kept.
enum Name<'a> {
    Usual(&'static HeaderName),
    Other(&'a [u8]),
}

/// What is left of packed fields.
struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<usize> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let [byte] = *self.take(1)? else { return None };
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
            shift += 7;
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (Name<'a>, Kept<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let [first] = *self.take(1)? else { return None };
        let name = match (USUAL.get(usize::from(first)), first) {
            (Some(usual), _) => Name::Usual(usual),
            (None, OTHER) => {
                let length = self.number()?;
                Name::Other(self.take(length)?)
            }
            (None, line) => {
                let place = usize::from(line) - USUAL.len();
                let (name, _) = line_at(place)?;
                return Some((Name::Usual(name), Kept::Line(place)));
            }
        };
        let form = self.number()?;
        let value = if form == DATED {
            let seconds = self.take(4)?.first_chunk()?;
            Kept::Date(u32::from_le_bytes(*seconds))
        } else {
            Kept::Bytes(self.take(form >> 1)?)
        };
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::usual::LINES;
    use super::*;
    use crate::engine::store::object::tests::headers;

    #[test]
    fn what_comes_out_is_what_went_in_and_in_order() {
        let long = "v".repeat(20_000);
        let name = "x".repeat(300);
        let map = headers(&[
            ("server", "nginx"),
            ("x-own", "1"),
            ("date", "Sat, 21 Nov 2026 20:00:00 GMT"),
            ("set-cookie", "a=1"),
            ("x-own", "2"),
            ("set-cookie", "b=2"),
            ("expires", "0"),
            ("last-modified", "Sunday, 06-Nov-94 08:49:37 GMT"),
            (&name, &long),
            ("x-empty", ""),
        ]);
        let fields = Fields::of(&map);
        let back = fields.to_headers();
        let lines = |map: &HeaderMap| -> Vec<_> {
            map.iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        };
        assert_eq!(lines(&back), lines(&map));
        assert_eq!((fields.len(), fields.is_empty()), (map.len(), false));
        let own: Vec<_> = fields.values(&HeaderName::from_static("x-own")).collect();
        assert_eq!(own, [&b"1"[..], b"2"]);
        let date: Vec<_> = fields.values(&header::DATE).collect();
        assert_eq!(date, [&b"Sat, 21 Nov 2026 20:00:00 GMT"[..]]);
        assert!(Fields::of(&HeaderMap::new()).is_empty());
    }

    #[test]
    fn what_a_web_server_says_of_a_file_takes_little() {
        let map = headers(&[
            ("server", "nginx/1.26.3"),
            ("date", "Sat, 21 Nov 2026 20:00:00 GMT"),
            ("content-type", "text/html"),
            ("content-length", "4096"),
            ("last-modified", "Sat, 14 Nov 2026 08:12:31 GMT"),
            ("etag", "\"6736b0df-1000\""),
            ("expires", "Sun, 22 Nov 2026 20:00:00 GMT"),
            ("cache-control", "max-age=86400"),
            ("accept-ranges", "bytes"),
        ]);
        assert!(Fields::of(&map).weight() < 75);
    }

    #[test]
    fn every_usual_line_is_one_byte_and_comes_back() {
        let all = LINES
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |v| (name, *v)));
        let mut number = 0;
        for (name, value) in all {
            let map = headers(&[(name.as_str(), value), ("x-own", "1")]);
            let fields = Fields::of(&map);
            let own = Fields::of(&headers(&[("x-own", "1")])).weight();
            assert_eq!((fields.to_headers(), fields.weight()), (map, own + 1));
            assert_eq!(fields.values(name).next().unwrap(), value.as_bytes());
            number += 1;
        }
        assert!(USUAL.len() + number < usize::from(OTHER));
    }

    proptest! {
        #[test]
        fn any_fields_come_back(lines in proptest::collection::vec(
            ("(date|expires|vary|[a-z][a-z-]{0,20})", "[ -~]{0,200}"), 0..20
        )) {
            let mut map = HeaderMap::new();
            for (name, value) in &lines {
                let name: HeaderName = name.parse().unwrap();
                map.append(name, HeaderValue::from_str(value).unwrap());
            }
            prop_assert_eq!(Fields::of(&map).to_headers(), map);
        }
    }
}
