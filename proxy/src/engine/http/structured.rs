//! The part of structured fields that is needed here (RFC 9651): writing items and parameters for
//! Cache-Status and Proxy-Status, telling whether a received list is one, and reading dictionaries
//! of cache directives.

use std::borrow::Cow;

use http::header::HeaderValue;

use super::field::{is_token_byte, unquote};

/// The greatest integer a structured field can state, either way (RFC 9651 §3.3.1).
const INTEGER_MAX: i64 = 999_999_999_999_999;

/// Writes `text` as a token if it is one, else as a string.
pub(super) fn push_item(out: &mut String, text: &str) {
    if is_sf_token(text) {
        out.push_str(text)
    } else {
        push_string(out, text)
    }
}

/// Writes `text` as a string. What a string cannot hold becomes a question mark (RFC 9651 §3.3.3).
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => out.push('?'),
        }
    }
    out.push('"');
}

/// Writes `number`, brought into the range of structured integers.
pub(super) fn push_integer(out: &mut String, number: i64) {
    // By hand: it is part of every answer, and the formatter costs several times as much.
    let number = number.clamp(-INTEGER_MAX, INTEGER_MAX);
    if number < 0 {
        out.push('-');
    }
    let mut rest = number.unsigned_abs();
    let mut digits = [0_u8; 20];
    let mut from = digits.len();
    while rest > 0 || from == digits.len() {
        from -= 1;
        digits[from] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    out.extend(digits[from..].iter().map(|digit| char::from(*digit)));
}

/// What the functions above have written, as a field value.
pub(super) fn into_value(items: String) -> HeaderValue {
    HeaderValue::try_from(items).expect("structured items are visible ASCII")
}

/// Whether `text` is a token as structured fields have them (RFC 9651 §3.3.4).
fn is_sf_token(text: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'*';
    let other = |byte| is_token_byte(byte) || byte == b':' || byte == b'/';
    text.bytes().next().is_some_and(first) && text.bytes().all(other)
}

/// Whether `value` is a list of items with parameters (RFC 9651 §4.2.1), without inner lists,
/// which neither field allows.
pub(super) fn is_list(value: &[u8]) -> bool {
    let mut cursor = Cursor(value.trim_ascii());
    if cursor.0.is_empty() {
        return true;
    }
    loop {
        if cursor.item().is_none() {
            return false;
        }
        cursor.0 = cursor.0.trim_ascii_start();
        if cursor.0.is_empty() {
            return true;
        }
        if !cursor.eat(b',') {
            return false;
        }
        cursor.0 = cursor.0.trim_ascii_start();
    }
}

/// A value in a dictionary, as far as cache directives tell values apart (RFC 9213 §2.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Bare<'a> {
    /// Nothing, or `?1`.
    True,
    /// An integer.
    Integer(i64),
    /// A string, out of its quotes.
    Text(Cow<'a, [u8]>),
    /// Anything else: a token, a decimal, `?0`, bytes, an inner list.
    Other,
}

/// The members of a dictionary, in order and with repetitions; parameters are checked and dropped.
/// `None` if it is no dictionary (RFC 9651 §4.2.2).
pub(super) fn dictionary(value: &[u8]) -> Option<Vec<(&[u8], Bare<'_>)>> {
    let mut cursor = Cursor(value.trim_ascii());
    let mut members = Vec::new();
    while !cursor.0.is_empty() {
        let key = cursor.key()?;
        let bare = if cursor.eat(b'=') {
            cursor.value()?
        } else {
            Bare::True
        };
        cursor.parameters()?;
        members.push((key, bare));
        cursor.0 = cursor.0.trim_ascii_start();
        if cursor.0.is_empty() {
            break;
        }
        if !cursor.eat(b',') {
            return None;
        }
        cursor.0 = cursor.0.trim_ascii_start();
        if cursor.0.is_empty() {
            return None;
        }
    }
    Some(members)
}

/// What remains to be read. Every step returns `None` if the input is not what it should be.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn eat(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Skips bytes while `accept` says so; the number skipped.
    fn skip(&mut self, accept: impl Fn(u8) -> bool) -> usize {
        let count = self.0.iter().take_while(|byte| accept(**byte)).count();
        self.0 = self.0.get(count..).unwrap_or_default();
        count
    }

    fn item(&mut self) -> Option<()> {
        self.bare_item()?;
        self.parameters()
    }

    fn parameters(&mut self) -> Option<()> {
        while self.eat(b';') {
            self.skip(|byte| byte == b' ');
            self.key()?;
            if self.eat(b'=') {
                self.bare_item()?;
            }
        }
        Some(())
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        let all = self.0;
        let first = all.first()?;
        if !(first.is_ascii_lowercase() || *first == b'*') {
            return None;
        }
        let in_key = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte)
        };
        let length = self.skip(in_key);
        all.get(..length)
    }

    /// The value of a dictionary's member: an item or an inner list, without its parameters.
    fn value(&mut self) -> Option<Bare<'a>> {
        if self.eat(b'(') {
            return self.inner_list().map(|()| Bare::Other);
        }
        let all = self.0;
        self.bare_item()?;
        let text = all.get(..all.len() - self.0.len())?;
        Some(match text {
            b"?1" => Bare::True,
            [b'"', ..] => unquote(text).map_or(Bare::Other, Bare::Text),
            [b'-' | b'0'..=b'9', ..] => {
                let number = str::from_utf8(text).ok()?.parse();
                number.map_or(Bare::Other, Bare::Integer)
            }
            _ => Bare::Other,
        })
    }

    fn inner_list(&mut self) -> Option<()> {
        loop {
            self.skip(|byte| byte == b' ');
            if self.eat(b')') {
                return Some(());
            }
            self.item()?;
            if !matches!(self.0.first()?, b' ' | b')') {
                return None;
            }
        }
    }

    fn bare_item(&mut self) -> Option<()> {
        match *self.0.first()? {
            b'"' => self.string(),
            b'?' => {
                self.eat(b'?');
                (self.eat(b'0') || self.eat(b'1')).then_some(())
            }
            b':' => {
                self.eat(b':');
                self.skip(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
                self.eat(b':').then_some(())
            }
            b'-' | b'0'..=b'9' => self.number(),
            b'*' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.skip(|byte| is_token_byte(byte) || byte == b':' || byte == b'/');
                Some(())
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<()> {
        self.eat(b'-');
        let whole = self.skip(|byte| byte.is_ascii_digit());
        if self.eat(b'.') {
            let fraction = self.skip(|byte| byte.is_ascii_digit());
            return ((1..=12).contains(&whole) && (1..=3).contains(&fraction)).then_some(());
        }
        (1..=15).contains(&whole).then_some(())
    }

    fn string(&mut self) -> Option<()> {
        self.eat(b'"');
        loop {
            self.skip(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\');
            if self.eat(b'"') {
                return Some(());
            }
            if !self.eat(b'\\') || !(self.eat(b'"') || self.eat(b'\\')) {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(text: &str) -> String {
        let mut out = String::new();
        push_item(&mut out, text);
        out
    }

    #[test]
    fn text_is_a_token_where_it_can_be() {
        let rows: &[(&str, &str, &str)] = &[
            ("9651 3.3.4", "n1.nyud.test", "n1.nyud.test"),
            ("9651 3.3.4", "a:b/c", "a:b/c"),
            ("9651 3.3.4 first", "1a", "\"1a\""),
            ("9651 3.3.3", "a b", "\"a b\""),
            ("9651 3.3.3", "a\"b\\c", "\"a\\\"b\\\\c\""),
            ("9651 3.3.3 no control", "a\r\nb\u{e9}", "\"a??b?\""),
            ("9651 3.3.3 empty", "", "\"\""),
        ];
        for (section, text, expected) in rows {
            assert_eq!(item(text), *expected, "{section}");
        }
    }

    #[test]
    fn integers_stay_in_range() {
        let mut out = String::new();
        push_integer(&mut out, i64::MIN);
        assert_eq!(out, "-999999999999999", "9651 3.3.1");
    }

    #[test]
    fn lists_are_told_from_junk() {
        let good = [
            "",
            "a",
            "a; hit",
            "a;hit, \"b c\"; fwd=stale;ttl=-5 ,\tc",
            "a; x=\"\\\"\"; y=?1; z=1.5",
            "a;b=:aGk=:",
            "*a",
        ];
        let bad = [
            ",",
            "a,",
            "a b",
            "a; Hit",
            "a;",
            "a; x=",
            "\"a",
            "\"\\a\"",
            "(a b)",
            "a;x=1.",
            "a;x=-",
            "a;x=1234567890123456",
            "?2",
            "\u{e9}",
        ];
        for value in good {
            assert!(is_list(value.as_bytes()), "9651 4.2.1: {value}");
        }
        for value in bad {
            assert!(!is_list(value.as_bytes()), "9651 4.2.1: {value}");
        }
    }

    #[test]
    fn dictionaries_are_told_from_junk() {
        let keys = |value: &'static str| {
            let members = dictionary(value.as_bytes())?;
            let keys = members.iter().map(|(key, _)| str::from_utf8(key).unwrap());
            Some(keys.collect::<Vec<_>>().join(" "))
        };
        for (value, expected) in [
            ("", Some("")),
            ("a", Some("a")),
            (
                "a=1, b=\"x, y\";p ,\tc=(x \"y\" 1);q=2, *d-e.f_1=?0",
                Some("a b c *d-e.f_1"),
            ),
            ("a=()", Some("a")),
            ("a,", None),
            (",a", None),
            ("a b", None),
            ("A=1", None),
            ("a =1", None),
            ("a= 1", None),
            ("a=(x", None),
            ("a=(x,y)", None),
            ("a=\"x", None),
        ] {
            assert_eq!(keys(value).as_deref(), expected, "9651 4.2.2: {value}");
        }
        let typed = dictionary(b"a, b=?1, c=-5, d=\"x\\\"\", e=x, f=1.5, g=?0").unwrap();
        let values: Vec<_> = typed.into_iter().map(|(_, value)| value).collect();
        let text = Bare::Text(Cow::Borrowed(&b"x\""[..]));
        let (other, number) = (Bare::Other, Bare::Integer(-5));
        let expected = [
            Bare::True,
            Bare::True,
            number,
            text,
            other.clone(),
            other.clone(),
            other,
        ];
        assert_eq!(values, expected);
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = (is_list(&bytes), dictionary(&bytes));
        }

        #[test]
        fn what_is_written_can_be_read(text in ".{0,40}", number in any::<i64>()) {
            let mut out = item(&text);
            out.push_str("; n=");
            push_integer(&mut out, number);
            prop_assert!(is_list(out.as_bytes()));
        }
    }
}
