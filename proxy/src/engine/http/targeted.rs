//! Cache directives meant for us alone: targeted fields (RFC 9213).
//!
//! The first field of [`TARGETS`] that is there, readable and not empty decides, and then
//! Cache-Control and Expires say nothing here, only to caches further on, to whom all of them are
//! passed. Unlike Cache-Control a targeted field is a dictionary of structured fields: names are in
//! lower case, of a repeated one the last counts, and one error makes the whole field void (§2.1).
//! A value of the wrong type counts as such an error, so that the field falls back to the stricter
//! reading instead of to no directive at all.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName};

use super::control::{Argument, Directives, Scope};
use super::field::DELTA_SECONDS_MAX;
use super::structured::{Bare, dictionary};

/// The fields looked for, the most specific first (§2.2): Atoll's own, then that of all CDNs.
pub const TARGETS: [HeaderName; 2] = [
    HeaderName::from_static("atoll-cache-control"),
    HeaderName::from_static("cdn-cache-control"),
];

/// Directives that may stand in a targeted field and mean something here: at most so many are
/// remembered while looking for repetitions.
const KNOWN_MAX: usize = 16;

/// A value that its directive cannot have.
struct WrongType;

/// The directives of the first valid targeted field, if there is one.
pub(super) fn directives(response: &HeaderMap) -> Option<Directives> {
    TARGETS.iter().find_map(|name| read(response, name))
}

fn read(response: &HeaderMap, name: &HeaderName) -> Option<Directives> {
    let mut lines = response.get_all(name).iter();
    let mut value = lines.next()?.as_bytes().to_vec();
    for line in lines {
        // RFC 9651 §4.2: lines are joined before they are parsed.
        value.extend_from_slice(b", ");
        value.extend_from_slice(line.as_bytes());
    }
    let members = dictionary(&value).filter(|members| !members.is_empty())?;
    let mut directives = Directives {
        targeted: true,
        ..Directives::default()
    };
    let mut seen = Vec::with_capacity(KNOWN_MAX);
    for (key, value) in members.iter().rev() {
        if seen.contains(key) {
            continue;
        }
        if add(&mut directives, key, value).ok()? {
            seen.push(*key);
        }
    }
    Some(directives)
}

/// Adds one member. `false` if it means nothing here.
fn add(directives: &mut Directives, key: &[u8], value: &Bare<'_>) -> Result<bool, WrongType> {
    match key {
        b"no-store" => directives.no_store = flag(value)?,
        b"must-revalidate" => directives.must_revalidate = flag(value)?,
        b"proxy-revalidate" => directives.proxy_revalidate = flag(value)?,
        b"no-transform" => directives.no_transform = flag(value)?,
        b"public" => directives.public = flag(value)?,
        b"must-understand" => directives.must_understand = flag(value)?,
        // RFC 8246 §2: an argument has no meaning.
        b"immutable" => directives.immutable = true,
        b"no-cache" => directives.no_cache = scope(value)?,
        b"private" => directives.private = scope(value)?,
        b"max-age" => directives.max_age = Some(seconds(value)?),
        b"s-maxage" => directives.s_maxage = Some(seconds(value)?),
        b"stale-while-revalidate" => directives.stale_while_revalidate = Some(seconds(value)?),
        b"stale-if-error" => directives.stale_if_error = Some(seconds(value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

const fn flag(value: &Bare<'_>) -> Result<bool, WrongType> {
    match value {
        Bare::True => Ok(true),
        Bare::Integer(_) | Bare::Text(_) | Bare::Other => Err(WrongType),
    }
}

fn scope(value: &Bare<'_>) -> Result<Scope, WrongType> {
    let mut scope = Scope::Absent;
    match value {
        Bare::True => scope.widen(&Argument::Absent),
        Bare::Text(names) => scope.widen(&Argument::Given(Cow::Borrowed(names))),
        Bare::Integer(_) | Bare::Other => return Err(WrongType),
    }
    Ok(scope)
}

fn seconds(value: &Bare<'_>) -> Result<Duration, WrongType> {
    let Bare::Integer(number) = value else {
        return Err(WrongType);
    };
    let number = u64::try_from(*number).map_err(|_| WrongType)?;
    Ok(Duration::from_secs(number.min(DELTA_SECONDS_MAX)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{any_value, headers};
    use super::*;

    fn lifetime(lines: &[(&str, &str)]) -> Option<u64> {
        let directives = Directives::of(&headers(lines));
        directives.max_age.map(|max| max.as_secs())
    }

    const CDN: &str = "cdn-cache-control";
    const ALL: (&str, &str) = ("cache-control", "max-age=1");

    #[test]
    fn the_most_specific_valid_field_decides_alone() {
        let own = ("atoll-cache-control", "max-age=3");
        assert_eq!(lifetime(&[ALL, (CDN, "max-age=2"), own]), Some(3));
        assert_eq!(lifetime(&[ALL, (CDN, "max-age=2")]), Some(2));
        assert_eq!(lifetime(&[ALL, (CDN, "none")]), None, "9213 3.1");
        let void = ("atoll-cache-control", "");
        assert_eq!(lifetime(&[ALL, (CDN, "max-age=2"), void]), Some(2));
    }

    #[test]
    fn one_error_makes_the_field_void() {
        for value in [
            "",
            "max-age=2,",
            "max-age=2, &&",
            "max-age= 2",
            "Max-Age=2",
            "max-age=\"2\"",
            "max-age=2.0",
            "max-age=-1",
            "max-age",
            "max-age=2, no-store=1",
            "max-age=2, private=a",
        ] {
            assert_eq!(lifetime(&[ALL, (CDN, value)]), Some(1), "9213 2.1: {value}");
        }
    }

    #[test]
    fn values_have_the_types_of_structured_fields() {
        for (value, expected) in [
            ("max-age=2;why=\"x\"", Some(2)),
            ("max-age=9, max-age=2", Some(2)),
            ("max-age=99999999999", Some(1 << 31)),
            ("max-age=2, new=(a b);c, other=:aGk=:", Some(2)),
        ] {
            assert_eq!(lifetime(&[ALL, (CDN, value)]), expected, "{value}");
        }
        let all = headers(&[(CDN, "no-cache=\"x-a, x-b\", private, immutable")]);
        let all = Directives::of(&all);
        assert!(all.no_cache.names(&HeaderName::from_static("x-b")));
        assert!(all.private.is_whole() && all.immutable && all.targeted);
        let two = headers(&[(CDN, "max-age=2"), (CDN, "no-store")]);
        assert!(Directives::of(&two).no_store, "lines are one field");
    }

    proptest! {
        #[test]
        fn reading_any_value_is_total(value in any_value()) {
            let mut response = HeaderMap::new();
            response.insert(TARGETS[1].clone(), value);
            let _ = Directives::of(&response);
        }
    }
}
