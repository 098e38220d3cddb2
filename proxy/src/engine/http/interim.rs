//! Interim responses (RFC 9110 §15.2): who gets to see one, and what of it.
//!
//! A proxy must forward them; some clients take one for the answer. So the setting says to whom they
//! go, and by default those get them that cannot be harmed (docs/adr/0026). Not here: how one is
//! written between the answers of a connection.

use common::config::FromSetting;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName};
use http::{StatusCode, Version};

use super::hop;

/// Which clients interim responses are forwarded to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Forwarding {
    /// Those that are known to read past what they do not want: browsers of today, which say in
    /// Sec-Fetch-Mode that they are one (W3C Fetch Metadata).
    #[default]
    Known,
    /// All that speak HTTP/1.1.
    All,
    /// Nobody.
    Nobody,
}

impl FromSetting for Forwarding {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "known" => Ok(Self::Known),
            "all" => Ok(Self::All),
            "none" => Ok(Self::Nobody),
            other => Err(format!("\"{other}\" is none of known, all, none")),
        }
    }
}

/// Sent by browsers, and by no script on a page (its name is forbidden to them).
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

impl Forwarding {
    /// Whether a client that speaks `version` and asked with `request` gets interim responses. One
    /// of HTTP/1.0 never does (RFC 9110 §15.2).
    #[must_use]
    pub fn reaches(self, version: Version, request: &HeaderMap) -> bool {
        version == Version::HTTP_11
            && match self {
                Self::Known => request.contains_key(SEC_FETCH_MODE),
                Self::All => true,
                Self::Nobody => false,
            }
    }
}

/// What a client gets of an interim response, as bytes of HTTP/1.1. `None` for one that is not for
/// it: 100 answers an expectation, 101 a wish that was not passed on.
///
/// Fields of the connection and of the domain go, as from any answer; so does a length, since there is
/// no body (RFC 9110 §8.6).
#[must_use]
pub fn encode(status: StatusCode, mut headers: HeaderMap) -> Option<Vec<u8>> {
    let passes = status.is_informational()
        && !matches!(
            status,
            StatusCode::CONTINUE | StatusCode::SWITCHING_PROTOCOLS
        );
    if !passes {
        return None;
    }
    hop::strip_to_client(&mut headers);
    headers.remove(CONTENT_LENGTH);
    let mut bytes = Vec::with_capacity(128);
    bytes.extend_from_slice(b"HTTP/1.1 ");
    bytes.extend_from_slice(status.as_str().as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    bytes.extend_from_slice(b"\r\n");
    for (name, value) in &headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::http::samples::headers;

    #[test]
    fn who_is_known_gets_it_and_who_is_old_never_does() {
        let (browser, script) = (headers(&[("sec-fetch-mode", "navigate")]), HeaderMap::new());
        let rows = [
            (Forwarding::Known, true, false),
            (Forwarding::All, true, true),
            (Forwarding::Nobody, false, false),
        ];
        for (forwarding, to_browser, to_script) in rows {
            assert_eq!(forwarding.reaches(Version::HTTP_11, &browser), to_browser);
            assert_eq!(forwarding.reaches(Version::HTTP_11, &script), to_script);
            assert!(!forwarding.reaches(Version::HTTP_10, &browser));
        }
        assert_eq!(Forwarding::from_text("known"), Ok(Forwarding::default()));
        assert!(Forwarding::from_text("some").is_err());
    }

    #[test]
    fn what_is_the_hops_or_the_domains_stays_here() {
        let sent = headers(&[
            ("link", "</a.css>; rel=preload"),
            ("set-cookie", "a=b"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("content-length", "4"),
        ]);
        let hint = encode(StatusCode::EARLY_HINTS, sent).unwrap();
        let expected = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";
        assert_eq!(String::from_utf8(hint).unwrap(), expected);
        for status in [100, 101, 200] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(encode(status, HeaderMap::new()), None, "{status}");
        }
    }
}
