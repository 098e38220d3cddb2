//! HTTP dates to and from [`WallTime`] (RFC 9110 §5.6.7).
//!
//! All three forms are read, in any case (RFC 9111 §4.2); a wrong day of the week is forgiven,
//! because the rest of the date says which day is meant. Anything else that is off makes the date
//! unreadable, and a field that carries it counts as invalid. No clock is read here.

use std::time::{SystemTime, UNIX_EPOCH};

use common::clock::WallTime;
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Longest date of any form, in bytes: `Wednesday, 06-Nov-94 08:49:37 GMT` has 33.
const LENGTH_MAX: usize = 40;

const WEEKDAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];

/// Reads one date. `None` for anything that is none of the three forms, or before 1970.
#[must_use]
pub fn parse(value: &[u8]) -> Option<WallTime> {
    let text = str::from_utf8(value.trim_ascii()).ok()?;
    let exact = |text: &str| {
        let plain = httpdate::parse_http_date(text).ok();
        plain.or_else(|| parse_any_weekday(text))
    };
    let time = exact(text).or_else(|| exact(&in_usual_case(text)?))?;
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    i64::try_from(seconds).ok().map(WallTime::from_unix)
}

/// The date in the case that the grammar asks for: words begin with a capital, except GMT. `None` if
/// it is too long to be a date.
fn in_usual_case(text: &str) -> Option<String> {
    if text.len() > LENGTH_MAX {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.chars() {
        let within = out.ends_with(|c: char| c.is_ascii_alphabetic());
        out.push(if within {
            byte.to_ascii_lowercase()
        } else {
            byte.to_ascii_uppercase()
        });
    }
    Some(out.replace("Gmt", "GMT"))
}

/// The preferred form with a day of the week that does not fit the date.
fn parse_any_weekday(text: &str) -> Option<SystemTime> {
    let mut bytes: [u8; 29] = text.as_bytes().try_into().ok()?;
    if !WEEKDAYS.iter().any(|day| bytes.starts_with(*day)) {
        return None;
    }
    WEEKDAYS.iter().find_map(|day| {
        bytes[..3].copy_from_slice(*day);
        httpdate::parse_http_date(str::from_utf8(&bytes).ok()?).ok()
    })
}

/// The date of the field `name`, if there is exactly one value for it and it is readable.
///
/// Identical repetitions count as one; different ones make the field unreadable.
#[must_use]
pub fn field(headers: &HeaderMap, name: &HeaderName) -> Option<WallTime> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.any(|other| other != first) {
        return None;
    }
    parse(first.as_bytes())
}

/// Writes a date in the preferred form. Times outside 1970 to 9999 are moved to the nearer end.
#[must_use]
pub fn format(time: WallTime) -> HeaderValue {
    ascii(time.to_http())
}

fn ascii(date: String) -> HeaderValue {
    HeaderValue::try_from(date).expect("a formatted date is ASCII")
}

#[cfg(test)]
mod tests {
    use http::header::EXPIRES;
    use proptest::prelude::*;

    use super::super::samples::headers;
    use super::*;

    #[test]
    fn all_three_forms_mean_the_same_second() {
        let rows: &[(&str, &str, Option<i64>)] = &[
            (
                "9110 5.6.7",
                "Sun, 06 Nov 1994 08:49:37 GMT",
                Some(784_111_777),
            ),
            (
                "9110 5.6.7",
                "Sunday, 06-Nov-94 08:49:37 GMT",
                Some(784_111_777),
            ),
            ("9110 5.6.7", "Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            (
                "wrong day",
                "Mon, 06 Nov 1994 08:49:37 GMT",
                Some(784_111_777),
            ),
            (
                "9111 4.2 case",
                "sun, 06 NOV 1994 08:49:37 gmt",
                Some(784_111_777),
            ),
            (
                "9111 4.2 case",
                "SUNDAY, 06-nov-94 08:49:37 GMT",
                Some(784_111_777),
            ),
            ("no day", "Xxx, 06 Nov 1994 08:49:37 GMT", None),
            ("zone", "Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("9111 5.3", "0", None),
            ("9111 5.3", "-1", None),
            ("impossible", "Sun, 31 Feb 1994 08:49:37 GMT", None),
            ("empty", "", None),
        ];
        for (why, text, expected) in rows {
            assert_eq!(
                parse(text.as_bytes()).map(WallTime::unix),
                *expected,
                "{why}: {text}"
            );
        }
    }

    #[test]
    fn a_field_with_two_opinions_has_none() {
        let one = "Sun, 06 Nov 1994 08:49:37 GMT";
        let same = headers(&[("expires", one), ("expires", one)]);
        assert!(field(&same, &EXPIRES).is_some());
        let differ = headers(&[("expires", one), ("expires", "0")]);
        assert_eq!(field(&differ, &EXPIRES), None);
    }

    #[test]
    fn times_outside_the_range_of_dates_do_not_panic() {
        assert_eq!(
            format(WallTime::from_unix(i64::MIN)),
            "Thu, 01 Jan 1970 00:00:00 GMT"
        );
        assert_eq!(
            format(WallTime::from_unix(i64::MAX)),
            "Fri, 31 Dec 9999 23:59:59 GMT"
        );
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(seconds in 0_i64..253_402_300_800) {
            let time = WallTime::from_unix(seconds);
            prop_assert_eq!(parse(format(time).as_bytes()), Some(time));
        }

        #[test]
        fn reading_any_bytes_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(&bytes);
        }
    }
}
