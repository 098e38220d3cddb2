//! The grammar that header fields share: lists, quoted strings, numbers (RFC 9110 §5.6).
//!
//! Works on bytes, because a field value need not be text, and borrows from the header map. Knows
//! no field by name.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName};

/// Fields that can be asked for by name, however they are kept.
pub trait Named {
    /// The values of all lines of the field `name`, in order.
    fn values(&self, name: &HeaderName) -> impl Iterator<Item = Cow<'_, [u8]>>;
}

impl Named for HeaderMap {
    fn values(&self, name: &HeaderName) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let lines = self.get_all(name).into_iter();
        lines.map(|value| Cow::Borrowed(value.as_bytes()))
    }
}

/// Largest number of seconds a field can state; greater ones count as this (RFC 9111 §1.2.2).
pub(super) const DELTA_SECONDS_MAX: u64 = 1 << 31;

/// The members of a comma-separated list, trimmed, without the empty ones (RFC 9110 §5.6.1.2).
///
/// Commas inside a quoted string separate nothing. A quoted string that never ends is none: from
/// there on every comma separates, so that a stray quote cannot hide a `no-store` behind it.
#[derive(Clone, Debug)]
pub(super) struct Members<'a> {
    rest: &'a [u8],
    quotes_count: bool,
}

impl<'a> Members<'a> {
    pub(super) const fn of(value: &'a [u8]) -> Self {
        Self {
            rest: value,
            quotes_count: true,
        }
    }

    /// Offset of the comma that ends the first member, or the length if it is the last one.
    fn end(&mut self) -> usize {
        if self.quotes_count {
            match unquoted_comma(self.rest) {
                Ok(end) => return end,
                // The rest of the value is scanned once more at most: quotes mean nothing from
                // here on.
                Err(NeverEndingQuote) => self.quotes_count = false,
            }
        }
        self.rest
            .iter()
            .position(|byte| *byte == b',')
            .unwrap_or(self.rest.len())
    }
}

struct NeverEndingQuote;

/// Offset of the first comma outside quotes, or the length if there is none.
fn unquoted_comma(value: &[u8]) -> Result<usize, NeverEndingQuote> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b',' if !quoted => return Ok(at),
            _ => {}
        }
    }
    if quoted {
        Err(NeverEndingQuote)
    } else {
        Ok(value.len())
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = self.end();
            let (member, rest) = self.rest.split_at(end);
            self.rest = rest.get(1..).unwrap_or_default();
            let member = member.trim_ascii();
            if !member.is_empty() {
                return Some(member);
            }
        }
        None
    }
}

/// The members of all lines of the list field `name`, in order.
pub(super) fn members<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| Members::of(value.as_bytes()))
}

/// Whether `byte` may stand in a token (RFC 9110 §5.6.2).
#[inline]
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Whether `bytes` are a token: one or more token bytes (RFC 9110 §5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

/// The content of a quoted string, or the argument itself when it carries no quotes.
///
/// `None` for a quoted string that ends too early or too late (RFC 9110 §5.6.4).
pub(super) fn unquote(argument: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(open) = argument.strip_prefix(b"\"") else {
        return Some(Cow::Borrowed(argument));
    };
    let inner = open.strip_suffix(b"\"")?;
    if !inner.contains(&b'\\') {
        return (!inner.contains(&b'"')).then_some(Cow::Borrowed(inner));
    }
    let mut content = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return None,
            b'\\' => content.push(*bytes.next()?),
            _ => content.push(*byte),
        }
    }
    Some(Cow::Owned(content))
}

/// A run of digits as a number, saturating; `None` if there is none or anything else.
pub(super) fn digits(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}

/// Delta-seconds (RFC 9111 §1.2.2): digits alone, capped at [`DELTA_SECONDS_MAX`].
///
/// A sign, a fraction, a space or anything else makes it `None`; what that means is the caller's.
pub(super) fn delta_seconds(bytes: &[u8]) -> Option<Duration> {
    digits(bytes).map(|seconds| Duration::from_secs(seconds.min(DELTA_SECONDS_MAX)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(value: &str) -> Vec<&str> {
        Members::of(value.as_bytes())
            .map(|member| str::from_utf8(member).unwrap())
            .collect()
    }

    #[test]
    fn lists_split_at_commas_outside_quotes() {
        let rows: &[(&str, &str, &[&str])] = &[
            ("9110 5.6.1", "a, b ,c", &["a", "b", "c"]),
            ("9110 5.6.1.2", ", ,a,,\t,", &["a"]),
            ("9110 5.6.4", r#"a="x, y", b"#, &[r#"a="x, y""#, "b"]),
            ("9110 5.6.4", r#"a="x\", y", b"#, &[r#"a="x\", y""#, "b"]),
            (
                "never-ending quote",
                r#"a="x, no-store"#,
                &[r#"a="x"#, "no-store"],
            ),
            (
                "never-ending quote",
                r#"a="\", no-store"#,
                &[r#"a="\""#, "no-store"],
            ),
            ("empty", "", &[]),
        ];
        for (why, value, expected) in rows {
            assert_eq!(split(value), *expected, "{why}: {value}");
        }
    }

    #[test]
    fn quoted_strings_lose_their_quotes_and_escapes() {
        let rows: &[(&str, Option<&str>)] = &[
            ("plain", Some("plain")),
            (r#""a b""#, Some("a b")),
            (r#""a\"b""#, Some("a\"b")),
            (r#""""#, Some("")),
            (r#"""#, None),
            (r#""a"b""#, None),
            (r#""a\""#, None),
            (r#""a"b"#, None),
        ];
        for (argument, expected) in rows {
            let content = unquote(argument.as_bytes());
            assert_eq!(
                content.as_deref(),
                expected.map(str::as_bytes),
                "{argument}"
            );
        }
    }

    #[test]
    fn delta_seconds_are_digits_alone_and_saturate() {
        let rows: &[(&str, Option<u64>)] = &[
            ("0", Some(0)),
            ("0060", Some(60)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", Some(1 << 31)),
            ("99999999999999999999999", Some(1 << 31)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            ("1 ", None),
            ("0x10", None),
        ];
        for (text, expected) in rows {
            assert_eq!(
                delta_seconds(text.as_bytes()),
                expected.map(Duration::from_secs),
                "{text}"
            );
        }
    }

    #[test]
    fn a_quote_that_never_ends_costs_one_extra_scan() {
        // Quadratic work on this input would take minutes, not milliseconds.
        let value = format!("\"{}", "\\\",".repeat(200_000));
        assert_eq!(Members::of(value.as_bytes()).count(), 200_000);
    }

    proptest! {
        #[test]
        fn splitting_any_bytes_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for member in Members::of(&bytes) {
                prop_assert!(!member.is_empty());
                let _ = unquote(member);
                let _ = delta_seconds(member);
            }
        }

        #[test]
        fn quoting_is_undone(content in "[ -~]{0,40}") {
            let quoted = format!("\"{}\"", content.replace('\\', "\\\\").replace('"', "\\\""));
            let unquoted = unquote(quoted.as_bytes());
            prop_assert_eq!(unquoted.as_deref(), Some(content.as_bytes()));
        }
    }
}
