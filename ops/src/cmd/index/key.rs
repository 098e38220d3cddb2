//! What a person may write for a key: the key itself, or the URL whose pointers are under it.

use common::ids::Key;
use common::name::Zone;

use crate::cmd::url::{self, UrlError};

/// A key, and the canonical URL it is of, if it was given as one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::cmd) struct Named {
    pub(in crate::cmd) key: Key,
    pub(in crate::cmd) url: Option<String>,
}

/// Reads 40 hexadecimal digits, or a URL, coralised under `zone` or not.
pub(in crate::cmd) fn parse(text: &str, zone: &Zone) -> Result<Named, UrlError> {
    if let Ok(key) = text.parse() {
        return Ok(Named { key, url: None });
    }
    let url = canonical(text, zone)?;
    Ok(Named {
        key: Key::of(url.as_bytes()),
        url: Some(url),
    })
}

/// The URL as the proxy hashes it: scheme, host in lower case, the port unless it is the scheme's
/// own, path and query byte for byte, no fragment.
fn canonical(text: &str, zone: &Zone) -> Result<String, UrlError> {
    let bare = text.split_once('#').map_or(text, |(bare, _)| bare);
    Ok(url::parse_under(bare, Some(zone))?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        let zone = Zone::parse("nyud.net").unwrap();
        parse(text, &zone).unwrap().url.unwrap_or_default()
    }

    #[test]
    fn a_url_is_written_as_the_proxy_hashes_it() {
        for (given, hashed) in [
            ("example.com", "http://example.com/"),
            ("HTTP://Example.COM:80/A?b#c", "http://example.com/A?b"),
            (
                "https://a.example.com:8443/p?q",
                "https://a.example.com:8443/p?q",
            ),
            ("http://192.0.2.1:8080/x", "http://192.0.2.1:8080/x"),
            ("http://example.com.nyud.net/a", "http://example.com/a"),
            (
                "http://example.com.8000.nyud.net:8080/a",
                "http://example.com:8000/a",
            ),
            ("https://example-com.nyud.net/a", "https://example.com/a"),
            ("https://example-com-80.nyud.net/a", "http://example.com/a"),
            ("http://example.com.443.nyud.net/a", "https://example.com/a"),
            (
                "http://192.0.2.1.8080.nyud.net/x",
                "http://192.0.2.1:8080/x",
            ),
        ] {
            assert_eq!(of(given), hashed, "{given}");
        }
    }

    #[test]
    fn forty_digits_are_the_key_itself() {
        let text = "00112233445566778899aabbccddeeff00112233";
        let zone = Zone::parse("nyud.net").unwrap();
        let named = parse(text, &zone).unwrap();
        assert_eq!((named.key.to_string(), named.url), (text.to_owned(), None));
        assert!(parse("ftp://example.com/", &zone).is_err());
        assert!(parse("http://www.nyud.net/", &zone).is_err(), "no site");
        let local = Zone::parse("nyud.test").unwrap();
        let named = parse("http://example.com.nyud.test:8080/a", &local).unwrap();
        assert_eq!(named.url.as_deref(), Some("http://example.com/a"));
    }
}
