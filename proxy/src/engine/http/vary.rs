//! The secondary key: which variant of a resource a request asks for (RFC 9111 §4.1).
//!
//! A stored response is kept with its [`Vary`] and the [`VaryKey`] of the request that brought it;
//! it answers another request if that request has the same key under the same Vary. Among several
//! that match the caller takes the newest.
//!
//! Values are normalised only where the field's own definition makes two spellings the same: lines
//! are joined, space around commas goes, and in the fields of content negotiation case, and the
//! order in Accept-Encoding. Credentials count as absent, because no origin ever sees them here.

use http::header::{
    ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, HeaderMap, HeaderName, VARY,
};

use super::field;
use super::hop::is_credential;

/// What a response's Vary field says (RFC 9110 §12.5.5).
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub enum Vary {
    /// No field: the response answers every request for its key.
    #[default]
    None,
    /// It answers requests that agree in these fields, sorted and without repetition.
    Fields(Box<[HeaderName]>),
    /// It answers no other request: `*` stands in the list, or something that is no field name.
    Star,
}

impl Vary {
    /// Reads all Vary lines of a response.
    #[must_use]
    pub fn of(response: &HeaderMap) -> Self {
        let mut names = Vec::new();
        for member in field::members(response, &VARY) {
            match HeaderName::from_bytes(member) {
                // `*` is a valid field name to the grammar, hence the order of the arms.
                Ok(name) if name.as_str() == "*" => return Self::Star,
                Ok(name) => names.push(name),
                Err(_) => return Self::Star,
            }
        }
        if names.is_empty() {
            return Self::None;
        }
        names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        Self::Fields(names.into())
    }

    /// Whether it matches no request at all.
    #[must_use]
    pub const fn is_star(&self) -> bool {
        matches!(self, Self::Star)
    }

    /// The key of `request` under this Vary; `None` if nothing can match it.
    #[must_use]
    pub fn key(&self, request: &HeaderMap) -> Option<VaryKey> {
        match self {
            Self::Star => None,
            Self::None => Some(VaryKey::PLAIN),
            Self::Fields(names) => Some(VaryKey::of(names, request)),
        }
    }

    /// Whether a response with this Vary, stored under `key`, may answer `request`.
    #[must_use]
    pub fn matches(&self, key: VaryKey, request: &HeaderMap) -> bool {
        self.key(request) == Some(key)
    }
}

/// The values of the varying fields of one request, as a digest: small, comparable, and of the
/// same size whatever a client sends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VaryKey([u8; 16]);

impl VaryKey {
    /// The key of every request to a response without Vary.
    pub const PLAIN: Self = Self([0; 16]);

    /// The key that has these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn of(names: &[HeaderName], request: &HeaderMap) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut value = Vec::new();
        for name in names {
            value.clear();
            // RFC 9111 §4.1: absent in both matches; absent is not the same as empty.
            let present = !is_credential(name) && request.contains_key(name);
            if present {
                normalise(name, request, &mut value);
            }
            let length = u64::try_from(value.len()).unwrap_or(u64::MAX);
            hasher.update(name.as_str().as_bytes());
            hasher.update(&[b'\n', u8::from(present)]);
            hasher.update(&length.to_le_bytes());
            hasher.update(&value);
        }
        let mut digest = [0; 16];
        hasher.finalize_xof().fill(&mut digest);
        Self(digest)
    }
}

/// Writes the value of `name` in `request` in one spelling.
fn normalise(name: &HeaderName, request: &HeaderMap, out: &mut Vec<u8>) {
    if *name == ACCEPT_ENCODING {
        return normalise_codings(request, out);
    }
    let caseless = *name == ACCEPT_LANGUAGE || *name == ACCEPT_CHARSET;
    let spaceless = caseless || *name == ACCEPT;
    for member in field::members(request, name) {
        if !out.is_empty() {
            out.push(b',');
        }
        for byte in member
            .iter()
            .filter(|byte| !(spaceless && byte.is_ascii_whitespace()))
        {
            out.push(if caseless {
                byte.to_ascii_lowercase()
            } else {
                *byte
            });
        }
    }
}

/// Content codings: case and order mean nothing, `x-gzip` is `gzip`, and a weight of one is the
/// default (RFC 9110 §8.4.1, §12.4.2, §12.5.3).
fn normalise_codings(request: &HeaderMap, out: &mut Vec<u8>) {
    let mut codings: Vec<Vec<u8>> = field::members(request, &ACCEPT_ENCODING)
        .map(|member| {
            let solid = member.iter().filter(|byte| !byte.is_ascii_whitespace());
            let coding: Vec<u8> = solid.map(u8::to_ascii_lowercase).collect();
            let plain = [";q=1", ";q=1.", ";q=1.0", ";q=1.00", ";q=1.000"]
                .iter()
                .find_map(|weight| coding.strip_suffix(weight.as_bytes()))
                .unwrap_or(&coding);
            plain
                .strip_prefix(b"x-")
                .filter(|name| name.starts_with(b"gzip"))
                .unwrap_or(plain)
                .into()
        })
        .collect();
    codings.sort_unstable();
    codings.dedup();
    for coding in codings {
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(&coding);
    }
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;
    use proptest::prelude::*;

    use super::super::samples::{any_value, headers};
    use super::*;

    type Lines<'a> = &'a [(&'a str, &'a str)];

    fn vary(value: &str) -> Vary {
        Vary::of(&headers(&[("vary", value)]))
    }

    #[test]
    fn star_anywhere_matches_nothing() {
        for value in [
            "*",
            "accept, *",
            "*, accept",
            "accept ,\t* ,",
            "a b",
            "\"x\"",
        ] {
            assert!(vary(value).is_star(), "9111 4.1: {value}");
            assert_eq!(vary(value).key(&HeaderMap::new()), None);
        }
        let lines = headers(&[("vary", "accept"), ("vary", "*")]);
        assert!(Vary::of(&lines).is_star(), "9110 5.3: lines are one list");
    }

    #[test]
    fn an_absent_or_empty_field_matches_everything() {
        for map in [HeaderMap::new(), headers(&[("vary", " , ")])] {
            assert_eq!(Vary::of(&map), Vary::None);
        }
        assert!(Vary::None.matches(VaryKey::PLAIN, &headers(&[("accept", "x")])));
    }

    #[test]
    fn names_are_a_set_in_any_case() {
        assert_eq!(
            vary("Accept, user-agent"),
            vary("USER-AGENT,accept, accept"),
            "9110 5.1"
        );
    }

    #[rustfmt::skip]
    const VALUES: &[(&str, &str, Lines<'_>, Lines<'_>, bool)] = &[
        ("9111 4.1", "x-a", &[("x-a", "1")], &[("x-a", "1")], true),
        ("9111 4.1", "x-a", &[("x-a", "1")], &[("x-a", "2")], false),
        ("9111 4.1 case kept", "x-a", &[("x-a", "a")], &[("x-a", "A")], false),
        ("9111 4.1 absent", "x-a", &[], &[], true),
        ("9111 4.1 absent", "x-a", &[], &[("x-a", "1")], false),
        ("9111 4.1 absent is not empty", "x-a", &[], &[("x-a", "")], false),
        ("9111 4.1 lines", "x-a", &[("x-a", "1"), ("x-a", "2")], &[("x-a", "1, 2")], true),
        ("9111 4.1 space", "x-a", &[("x-a", "1 ,2")], &[("x-a", " 1,2")], true),
        ("9111 4.1 order", "x-a", &[("x-a", "1,2")], &[("x-a", "2,1")], false),
        ("other fields", "x-a", &[("x-b", "1")], &[("x-b", "2")], true),
        ("two fields", "x-a, x-b", &[("x-a", "1")], &[("x-b", "1")], false),
        ("two fields", "x-a, x-b", &[("x-a", "1"), ("x-b", "2")], &[("x-a", "12"), ("x-b", "")],
         false),
        ("9110 12.5.3", "accept-encoding", &[("accept-encoding", "gzip, br")],
         &[("accept-encoding", "BR,x-gzip;q=1.0")], true),
        ("9110 12.5.3 weight", "accept-encoding", &[("accept-encoding", "gzip")],
         &[("accept-encoding", "gzip;q=0")], false),
        ("9110 12.5.4", "accept-language", &[("accept-language", "en-GB, de;q=0.5")],
         &[("accept-language", "en-gb,de; q=0.5")], true),
        ("9110 12.5.4 order kept", "accept-language", &[("accept-language", "en,de")],
         &[("accept-language", "de,en")], false),
        ("stripped here", "cookie", &[("cookie", "a=b")], &[("cookie", "c=d")], true),
        ("stripped here", "authorization", &[("authorization", "x")], &[], true),
    ];

    #[test]
    fn values_agree_if_their_fields_say_so() {
        for (section, field, first, second, same) in VALUES {
            let vary = vary(field);
            let key = vary.key(&headers(first)).unwrap();
            assert_eq!(
                vary.matches(key, &headers(second)),
                *same,
                "{section}: {first:?} {second:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_request_matches_itself(value in any_value(), vary in any_value()) {
            let mut response = HeaderMap::new();
            response.insert(VARY, vary);
            let mut request = HeaderMap::new();
            request.append(ACCEPT_ENCODING, value.clone());
            request.append("x-a", value);
            request.append("x-a", HeaderValue::from_static("z"));
            for vary in [Vary::of(&response), self::vary("accept-encoding, x-a")] {
                if let Some(key) = vary.key(&request) {
                    prop_assert!(vary.matches(key, &request));
                }
            }
        }
    }
}
