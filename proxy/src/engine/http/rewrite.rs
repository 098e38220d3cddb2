//! Redirects are led back into the zone (RFC 9110 §8.7, §10.2.2).
//!
//! A redirect to another site would take its visitors off the CDN, and off a site that is down
//! because of them. Only absolute references to plain http and https sites are changed; a relative
//! one is already right. Whatever cannot be expressed as a coralised name stays as it is: the
//! visitor then goes there directly.

use common::name::{Host, Name, NameError, Zone};
use http::header::{CONTENT_LOCATION, HeaderMap, HeaderName, HeaderValue, LOCATION};

use super::key::{Scheme, is_no_serve};

/// Where a client sees this proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Front {
    /// How it came.
    pub scheme: Scheme,
    /// The port that it connected to, as it names it.
    pub port: u16,
}

/// How a client sees this proxy.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The zone under which sites appear.
    pub zone: &'a Zone,
    /// Where.
    pub front: Front,
}

/// Why a reference is left as it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KeepReason {
    /// It is relative to the page, which is under the zone already.
    Relative,
    /// It names a user, and credentials do not go through here.
    UserInfo,
    /// Its host has no coralised name: an IPv6 address, a single label, a malformed name.
    Host,
    /// Its host is under the zone already.
    InsideZone,
    /// Its port is none, or means another scheme in a coralised name.
    Port,
    /// It asks not to be served from here.
    NoServe,
}

impl KeepReason {
    /// Name for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Relative => "relative",
            Self::UserInfo => "user-info",
            Self::Host => "host",
            Self::InsideZone => "inside-zone",
            Self::Port => "port",
            Self::NoServe => "no-serve",
        }
    }
}

/// The fields that are rewritten.
pub const FIELDS: [HeaderName; 2] = [LOCATION, CONTENT_LOCATION];

/// Rewrites Location and Content-Location of a response that came from an origin over `scheme`.
pub fn rewrite(headers: &mut HeaderMap, scheme: Scheme, view: View<'_>) {
    for name in FIELDS {
        if let Some(value) = headers.get_mut(name)
            && let Ok(new) = coralised(value, scheme, view)
        {
            *value = new;
        }
    }
}

/// The coralised form of an absolute reference. `scheme` is meant by one that names none
/// (`//host/path`, RFC 3986 §4.2).
///
/// # Errors
///
/// Why it stays as it is.
pub fn coralised(
    value: &HeaderValue,
    scheme: Scheme,
    view: View<'_>,
) -> Result<HeaderValue, KeepReason> {
    let value = value.as_bytes().trim_ascii();
    let (scheme, rest) = split_scheme(value, scheme).ok_or(KeepReason::Relative)?;
    let end = rest
        .iter()
        .position(|byte| b"/?#".contains(byte))
        .unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    if is_no_serve(
        target
            .split(|byte| *byte == b'#')
            .next()
            .unwrap_or_default(),
    ) {
        return Err(KeepReason::NoServe);
    }
    let authority = str::from_utf8(authority).map_err(|_| KeepReason::Host)?;
    if authority.contains('@') {
        return Err(KeepReason::UserInfo);
    }
    let (host, port) = split_port(authority)?;
    let Front {
        scheme: ours,
        port: our_port,
    } = view.front;
    let port = match ours {
        Scheme::Http => port_over_http(scheme, port)?,
        Scheme::Https => port_over_https(scheme, port)?,
    };
    let host = Host::parse(host).map_err(|_| KeepReason::Host)?;
    let name = view.name(&host, port)?;
    let mut out = format!("{ours}://{name}").into_bytes();
    if our_port != ours.default_port() {
        out.extend_from_slice(format!(":{our_port}").as_bytes());
    }
    out.extend_from_slice(target);
    HeaderValue::from_bytes(&out).map_err(|_| KeepReason::Host)
}

/// Cuts off `http://`, `https://` or `//`.
fn split_scheme(value: &[u8], own: Scheme) -> Option<(Scheme, &[u8])> {
    if let Some(rest) = value.strip_prefix(b"//") {
        return Some((own, rest));
    }
    let colon = value.iter().take(6).position(|byte| *byte == b':')?;
    let (name, rest) = value.split_at(colon);
    let scheme = Scheme::parse(str::from_utf8(name).ok()?)?;
    rest.strip_prefix(b"://").map(|rest| (scheme, rest))
}

/// Host and port of an authority; an empty port is none (RFC 3986 §3.2.3).
fn split_port(authority: &str) -> Result<(&str, Option<u16>), KeepReason> {
    match authority.split_once(':') {
        None => Ok((authority, None)),
        Some((host, "")) => Ok((host, None)),
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            let port = port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or(KeepReason::Port)?;
            Ok((host, Some(port)))
        }
        // More colons: an IPv6 address, or nothing sensible.
        Some(_) => Err(KeepReason::Host),
    }
}

impl View<'_> {
    /// The name under which a client finds a site: over https the one that a wildcard certificate
    /// covers, unless it is hashed, for nobody could find the way back from that.
    fn name(&self, host: &Host, port: Option<u16>) -> Result<String, KeepReason> {
        let name = match self.front.scheme {
            Scheme::Http => self.zone.dotted(host, port),
            Scheme::Https => self.zone.label(host, port),
        };
        let name = name.map_err(|error| match error {
            NameError::InsideZone => KeepReason::InsideZone,
            _ => KeepReason::Host,
        })?;
        match self.zone.classify(&name) {
            Ok(Name::Site(_)) => Ok(name),
            _ => Err(KeepReason::Host),
        }
    }
}

/// The port to write into the name for a client that comes over https, where the port 80 means http
/// and the port 443, or none, https; an http site on another port cannot be named.
const fn port_over_https(scheme: Scheme, port: Option<u16>) -> Result<Option<u16>, KeepReason> {
    match (scheme, port) {
        (Scheme::Https, None | Some(443)) => Ok(None),
        (Scheme::Http, None | Some(80)) => Ok(Some(80)),
        (Scheme::Https, Some(80)) | (Scheme::Http, Some(_)) => Err(KeepReason::Port),
        (Scheme::Https, Some(port)) => Ok(Some(port)),
    }
}

/// The port to write into the name for a client that comes over http, where the port 443 means https
/// and the port 80, or none, http; an https site on another port cannot be named.
const fn port_over_http(scheme: Scheme, port: Option<u16>) -> Result<Option<u16>, KeepReason> {
    match (scheme, port) {
        (Scheme::Http, None | Some(80)) => Ok(None),
        (Scheme::Https, None | Some(443)) => Ok(Some(443)),
        (Scheme::Http, Some(443)) | (Scheme::Https, Some(_)) => Err(KeepReason::Port),
        (Scheme::Http, Some(port)) => Ok(Some(port)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{any_value, headers};
    use super::*;

    fn zone() -> Zone {
        Zone::parse("nyud.net").unwrap()
    }

    const PLAIN: Front = Front {
        scheme: Scheme::Http,
        port: 80,
    };

    fn location(value: &str, port: u16) -> Result<String, KeepReason> {
        let scheme = Scheme::Http;
        location_at(value, Front { scheme, port })
    }

    fn location_at(value: &str, front: Front) -> Result<String, KeepReason> {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        let zone = zone();
        let view = View { zone: &zone, front };
        let new = coralised(&value, front.scheme, view)?;
        Ok(String::from_utf8(new.as_bytes().to_vec()).unwrap())
    }

    #[rustfmt::skip]
    const CORALISED: &[(&str, &str, u16, &str)] = &[
        ("9110 10.2.2", "http://www.example.com/a?b#c", 80,
         "http://www.example.com.nyud.net/a?b#c"),
        ("client port", "http://www.example.com/", 8080, "http://www.example.com.nyud.net:8080/"),
        ("origin port", "http://www.example.com:8080/", 80,
         "http://www.example.com.8080.nyud.net/"),
        ("default port", "http://www.example.com:80/", 80, "http://www.example.com.nyud.net/"),
        ("empty port", "http://www.example.com:/", 80, "http://www.example.com.nyud.net/"),
        ("https", "https://www.example.com/", 80, "http://www.example.com.443.nyud.net/"),
        ("https port", "https://www.example.com:443/", 80, "http://www.example.com.443.nyud.net/"),
        ("case", "HTTP://WWW.Example.COM/A", 80, "http://www.example.com.nyud.net/A"),
        ("IPv4", "http://192.0.2.1/", 80, "http://192.0.2.1.nyud.net/"),
        ("no path", "http://www.example.com", 80, "http://www.example.com.nyud.net"),
        ("query alone", "http://www.example.com?q", 80, "http://www.example.com.nyud.net?q"),
        ("3986 4.2", "//www.example.com/a", 80, "http://www.example.com.nyud.net/a"),
        ("space", " http://www.example.com/ ", 80, "http://www.example.com.nyud.net/"),
        ("beyond ASCII", "http://www.example.com/\u{e9}", 80,
         "http://www.example.com.nyud.net/\u{e9}"),
    ];

    #[test]
    fn absolute_references_to_sites_are_coralised() {
        for (why, value, port, expected) in CORALISED {
            assert_eq!(
                location(value, *port).as_deref(),
                Ok(*expected),
                "{why}: {value}"
            );
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        let rows: &[(&str, KeepReason)] = &[
            ("/a", KeepReason::Relative),
            ("a/b", KeepReason::Relative),
            ("?q", KeepReason::Relative),
            ("", KeepReason::Relative),
            ("ftp://www.example.com/", KeepReason::Relative),
            ("mailto:a@example.com", KeepReason::Relative),
            ("http:/www.example.com/", KeepReason::Relative),
            ("http:\\\\www.example.com\\", KeepReason::Relative),
            ("http://u:p@www.example.com/", KeepReason::UserInfo),
            ("http://[2001:db8::1]/", KeepReason::Host),
            ("http:///a", KeepReason::Host),
            ("http://intranet/", KeepReason::Host),
            ("http://a b.example.com/", KeepReason::Host),
            ("http://www.example.com\\.nyud.net/", KeepReason::Host),
            ("http://www.example.com:99999/", KeepReason::Port),
            ("http://www.example.com:0/", KeepReason::Port),
            ("http://www.example.com:443/", KeepReason::Port),
            ("https://www.example.com:8443/", KeepReason::Port),
            ("http://www.example.com.nyud.net/", KeepReason::InsideZone),
            (
                "http://www.example.com/?coral-no-serve#x",
                KeepReason::NoServe,
            ),
        ];
        for (value, reason) in rows {
            assert_eq!(location(value, 80), Err(*reason), "{value}");
        }
    }

    #[test]
    fn over_https_the_names_are_those_of_the_wildcard_certificate() {
        let over = |value, port| {
            let scheme = Scheme::Https;
            location_at(value, Front { scheme, port })
        };
        let long = format!("https://{}.com/", "a".repeat(62));
        #[rustfmt::skip]
        let rows: &[(&str, u16, Result<&str, KeepReason>)] = &[
            ("https://www.example.com/a?b", 443, Ok("https://www-example-com.nyud.net/a?b")),
            ("https://www.my-site.com/", 8443, Ok("https://www-my--site-com.nyud.net:8443/")),
            ("//www.example.com/", 443, Ok("https://www-example-com.nyud.net/")),
            ("http://www.example.com/", 443, Ok("https://www-example-com-80.nyud.net/")),
            ("https://www.example.com:8443/", 443, Ok("https://www-example-com-8443.nyud.net/")),
            ("http://www.example.com:8000/", 443, Err(KeepReason::Port)),
            ("https://www.example.com:80/", 443, Err(KeepReason::Port)),
            (&long, 443, Err(KeepReason::Host)),
            ("https://192.0.2.1/", 443, Err(KeepReason::Host)),
            ("https://www-example-com.nyud.net/", 443, Err(KeepReason::InsideZone)),
        ];
        for (value, port, expected) in rows {
            let got = over(value, *port);
            assert_eq!(got.as_deref(), expected.as_deref(), "{value}");
        }
    }

    #[test]
    fn both_fields_of_a_response_are_rewritten() {
        let mut map = headers(&[
            ("location", "http://www.example.com/"),
            ("content-location", "https://www.example.com/x"),
            ("link", "<http://www.example.com/>"),
        ]);
        rewrite(
            &mut map,
            Scheme::Http,
            View {
                zone: &zone(),
                front: PLAIN,
            },
        );
        assert_eq!(
            map[LOCATION], "http://www.example.com.nyud.net/",
            "9110 10.2.2"
        );
        assert_eq!(
            map[CONTENT_LOCATION], "http://www.example.com.443.nyud.net/x",
            "9110 8.7"
        );
        assert_eq!(map["link"], "<http://www.example.com/>");
    }

    proptest! {
        #[test]
        fn any_reference_is_handled(value in any_value()) {
            let zone = zone();
            for scheme in [Scheme::Http, Scheme::Https] {
                let view = View { zone: &zone, front: Front { scheme, port: 8080 } };
                if let Ok(new) = coralised(&value, Scheme::Https, view) {
                    prop_assert_eq!(
                        coralised(&new, Scheme::Https, view),
                        Err(KeepReason::InsideZone)
                    );
                }
            }
        }
    }
}
