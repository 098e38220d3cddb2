//! Which of several forms of an answer a client prefers (RFC 9110 §12.5.1).
//!
//! Only ranges that name a form count. A wildcard says that anything will do, and then the simplest
//! does; so what browsers, programs and people at a terminal send leads to what each of them shows.

use http::header::{ACCEPT, HeaderMap};

use super::field::members;

/// The index of the form in `offers`, media types in lower case, that the Accept of `request` names
/// with the highest weight; of equals the one it names first. `None` if it names none.
#[must_use]
pub fn preferred(request: &HeaderMap, offers: &[&str]) -> Option<usize> {
    let mut best = None;
    for member in members(request, &ACCEPT) {
        let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let range = parts.next().unwrap_or_default();
        let named = |offer: &&str| offer.as_bytes().eq_ignore_ascii_case(range);
        let Some(at) = offers.iter().position(named) else {
            continue;
        };
        let weight = parts.find_map(weight).unwrap_or(1_000);
        if weight > best.map_or(0, |(_, best)| best) {
            best = Some((at, weight));
        }
    }
    best.map(|(at, _)| at)
}

/// Thousandths of a `q` parameter; one that is no weight counts as none at all.
fn weight(parameter: &[u8]) -> Option<u16> {
    let (name, value) = parameter.split_at_checked(2)?;
    if !name.eq_ignore_ascii_case(b"q=") {
        return None;
    }
    let (whole, rest) = value.split_first()?;
    let digits = rest.strip_prefix(b".").unwrap_or(rest);
    let fits = digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit);
    match whole {
        b'1' if fits => Some(1_000),
        b'0' if fits => {
            let padded = digits.iter().chain(b"000").take(3);
            Some(padded.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
        }
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::headers;
    use super::*;

    const OFFERS: [&str; 3] = ["text/html", "application/problem+json", "text/plain"];

    #[test]
    fn the_form_that_is_named_with_the_highest_weight() {
        let rows: &[(&str, Option<usize>)] = &[
            ("", None),
            ("*/*", None),
            ("image/png, */*;q=0.5", None),
            ("text/*", None),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Some(0)),
            ("TEXT/HTML; charset=utf-8", Some(0)),
            ("application/problem+json", Some(1)),
            ("text/html;q=0.5, application/problem+json;q=0.51", Some(1)),
            ("text/html;q=0.5, text/plain; Q=0.9", Some(2)),
            ("text/plain, text/html", Some(2)),
            ("text/html;q=0", None),
            ("text/html;q=0.000, text/plain;q=0.001", Some(2)),
            ("text/html;q=2, text/plain;q=0.1", Some(2)),
            ("text/html;q=x, text/plain;q=0.1", Some(2)),
            ("text/htmlx, xtext/html", None),
        ];
        for (accept, expected) in rows {
            let request = headers(&[("accept", accept)]);
            assert_eq!(preferred(&request, &OFFERS), *expected, "{accept}");
        }
        assert_eq!(preferred(&HeaderMap::new(), &OFFERS), None);
        let lines = headers(&[("accept", "text/plain;q=0.1"), ("accept", "text/html")]);
        assert_eq!(preferred(&lines, &OFFERS), Some(0));
    }
}
