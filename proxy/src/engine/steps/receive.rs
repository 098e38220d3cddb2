//! Receive: which resource a request asks for, or why it is refused.
//!
//! Strict where laxity would let one message be read in two ways (two Host fields, a tunnel),
//! lenient where it would not (odd case, a missing Host beside an absolute target).

use common::name::{Host, Name, NameError, Zone};
use http::header::{HOST, HeaderMap};
use http::{Method, Uri};

use crate::engine::certificates::Shown;
use crate::engine::head::TARGET_MAX;
use crate::engine::http::key::{PrimaryKey, Scheme, is_no_serve};
use crate::engine::policy::Policy;
use crate::engine::reason::RefuseReason;

/// Largest header fields of a request, in bytes on the wire. The parser's own bound holds between two
/// reads only, so that a head of up to twice this size gets past it.
pub const FIELDS_BYTES_MAX: usize = 64 * 1_024;

/// What a request asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// A page of a site.
    Page {
        /// Which.
        key: PrimaryKey,
        /// The port the client sees us at, for links we make.
        port: u16,
    },
    /// A page of Atoll itself: the service's name (empty for the apex).
    Service(String),
    /// The page at its own site, because its URL says so.
    Home(PrimaryKey),
    /// What may be asked for (OPTIONS).
    Options,
}

/// What is the same for all requests of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Entrance<'a> {
    /// How the client reached us.
    pub scheme: Scheme,
    /// Where.
    pub local_port: u16,
    /// What it was shown; `None` over plain HTTP.
    pub shown: Option<&'a Shown>,
    /// Our zone.
    pub zone: &'a Zone,
    /// Which origins may be asked.
    pub policy: &'a Policy,
}

/// What the last authority of a connection turned out to name: most requests name the same again,
/// and to find out costs more than all the rest of the judgement.
#[derive(Clone, Default, Debug)]
pub struct Seen(Option<Place>);

#[derive(Clone, Debug)]
struct Place {
    authority: Box<str>,
    /// The key of a page there.
    page: PrimaryKey,
    port: u16,
}

/// What an authority names.
enum Named<'a> {
    Site(&'a Place),
    Service(String),
}

/// Judges a request's head. `seen` is what was seen on the same connection.
///
/// # Errors
/// Why it is refused.
pub fn judge(
    entrance: &Entrance<'_>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    seen: &mut Seen,
) -> Result<Asked, RefuseReason> {
    // Each field comes with a colon, a space and a line end.
    let fields = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4);
    if fields.sum::<usize>() > FIELDS_BYTES_MAX {
        return Err(RefuseReason::FieldsTooLarge);
    }
    match *method {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => return Ok(Asked::Options),
        Method::CONNECT => return Err(RefuseReason::Tunnel),
        _ => return Err(RefuseReason::Method),
    }
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    if target.len() > TARGET_MAX {
        return Err(RefuseReason::UrlTooLong);
    }
    let authority = authority(uri, headers)?;
    match entrance.named(authority, seen)? {
        Named::Site(place) => {
            let key = place.page.sibling(target);
            if key.came_back() {
                return Err(RefuseReason::Loop);
            }
            Ok(if key.is_no_serve() {
                Asked::Home(key)
            } else {
                let port = place.port;
                Asked::Page { key, port }
            })
        }
        Named::Service(name) => Ok(Asked::Service(name)),
    }
}

/// Where the page at `target` of the site that `authority` names is kept: its URL goes to `url`. `None`
/// if a request for it is answered in any other way than with the page.
pub fn locate<'a>(
    entrance: &Entrance<'_>,
    authority: &str,
    target: &str,
    seen: &'a mut Seen,
    url: &mut String,
) -> Option<Located<'a>> {
    let Ok(Named::Site(place)) = entrance.named(authority, seen) else {
        return None;
    };
    place.page.write_sibling(target, url);
    // Whoever came back has the mark twice.
    (!is_no_serve(url.as_bytes())).then_some(Located {
        site: &place.page,
        port: place.port,
    })
}

/// What of a page's place its URL does not tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Located<'a> {
    /// The key of a page of its site.
    pub site: &'a PrimaryKey,
    /// The port the client sees us at.
    pub port: u16,
}

impl Entrance<'_> {
    fn named<'a>(&self, authority: &str, seen: &'a mut Seen) -> Result<Named<'a>, RefuseReason> {
        let known = seen.0.take();
        if let Some(place) = known.filter(|place| *place.authority == *authority) {
            return Ok(Named::Site(seen.0.insert(place)));
        }
        let (host, port) = split_authority(authority, self.local_port)?;
        let name = self.zone.classify(host);
        if name.is_ok() && self.shown.is_some_and(|shown| !shown.admits(host)) {
            return Err(RefuseReason::Misdirected);
        }
        match name {
            Ok(Name::Site(site)) => {
                let (scheme, site_port) = effective(self.scheme, site.port);
                if self.policy.check_port(site_port).is_err() {
                    return Err(RefuseReason::Port);
                }
                let page = match site.host {
                    Host::Domain(name) => PrimaryKey::new(scheme, &name, site_port, "/"),
                    Host::Ipv4(ip) => PrimaryKey::new(scheme, &ip.to_string(), site_port, "/"),
                };
                Ok(Named::Site(seen.0.insert(Place {
                    authority: authority.into(),
                    page,
                    port,
                })))
            }
            Ok(Name::Service(name)) => Ok(Named::Service(name)),
            Ok(Name::Apex) => Ok(Named::Service(String::new())),
            Ok(Name::Hashed(_)) => Err(RefuseReason::HashedName),
            Err(NameError::OutsideZone) => Err(RefuseReason::NotOurs),
            Err(error) => Err(RefuseReason::BadName(error)),
        }
    }
}

/// The origin's scheme and port: those of the client, unless 80 or 443 are named.
fn effective(scheme: Scheme, port: Option<u16>) -> (Scheme, u16) {
    match port {
        Some(80) => (Scheme::Http, 80),
        Some(443) => (Scheme::Https, 443),
        Some(port) => (scheme, port),
        None => (scheme, scheme.default_port()),
    }
}

/// The authority asked: of an absolute target, else of the one Host field (RFC 9112 §3.2.2).
fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, RefuseReason> {
    let mut hosts = headers.get_all(HOST).iter();
    let first = hosts.next();
    if hosts.next().is_some() {
        return Err(RefuseReason::ManyHosts);
    }
    if let Some(authority) = uri.authority() {
        return Ok(authority.as_str());
    }
    let host = first
        .ok_or(RefuseReason::NoHost)?
        .to_str()
        .map_err(|_| RefuseReason::BadHost)?;
    if host.is_empty() {
        Err(RefuseReason::NoHost)
    } else {
        Ok(host)
    }
}

/// Host and port of an authority; user information has no business here, nor has what can stand in
/// no name at all (RFC 3986 §3.2.2, RFC 9112 §3.2).
fn split_authority(authority: &str, local_port: u16) -> Result<(&str, u16), RefuseReason> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:".contains(&byte);
    if !authority.bytes().all(allowed) {
        return Err(RefuseReason::BadHost);
    }
    match authority.rsplit_once(':') {
        None => Ok((authority, local_port)),
        Some((host, _)) if host.contains(':') => Err(RefuseReason::BadHost),
        Some((host, "")) => Ok((host, local_port)),
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
            Ok((host, port.parse().map_err(|_| RefuseReason::BadHost)?))
        }
        Some(_) => Err(RefuseReason::BadHost),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::store::object::tests::headers;

    fn ask(method: &str, uri: &str, fields: &[(&str, &str)]) -> Result<String, RefuseReason> {
        let zone = Zone::parse("nyud.net").unwrap();
        let method: Method = method.parse().unwrap();
        let (uri, headers) = (uri.parse().unwrap(), headers(fields));
        let policy = Policy::default();
        let entrance = Entrance {
            scheme: Scheme::Http,
            local_port: 8080,
            shown: None,
            zone: &zone,
            policy: &policy,
        };
        let mut seen = Seen::default();
        let asked = judge(&entrance, &method, &uri, &headers, &mut seen);
        // What was seen before changes nothing.
        let again = judge(&entrance, &method, &uri, &headers, &mut seen);
        assert_eq!(asked, again);
        let asked = asked?;
        Ok(match asked {
            Asked::Page { key, port } => format!("{key} at {port}"),
            Asked::Service(name) => format!("service {name}"),
            Asked::Home(key) => format!("home {key}"),
            Asked::Options => "options".into(),
        })
    }

    fn get(host: &str, uri: &str) -> Result<String, RefuseReason> {
        ask("GET", uri, &[("host", host)])
    }

    #[test]
    fn both_forms_of_a_name_ask_for_the_same_page() {
        let want = Ok("http://www.example.com/a?b=%2F at 8080".to_owned());
        assert_eq!(get("www.example.com.nyud.net", "/a?b=%2F"), want);
        assert_eq!(get("WWW-Example-Com.nyud.net:8080", "/a?b=%2F"), want);
        assert_eq!(
            get(
                "other.example.nyud.net",
                "http://www.example.com.nyud.net/a?b=%2F"
            ),
            want
        );
        let url = "http://www.example.com.nyud.net:8080/a?b=%2F";
        assert_eq!(ask("GET", url, &[]), want, "absolute target without Host");
    }

    #[test]
    fn the_name_tells_port_and_scheme_of_the_origin() {
        for (host, want) in [
            (
                "example.com.8000.nyud.net",
                "http://example.com:8000/ at 8080",
            ),
            ("example.com.443.nyud.net", "https://example.com/ at 8080"),
            ("example-com-80.nyud.net:81", "http://example.com/ at 81"),
            ("192.0.2.1.8000.nyud.net", "http://192.0.2.1:8000/ at 8080"),
            ("nyud.net", "service "),
            ("status.nyud.net", "service status"),
        ] {
            assert_eq!(get(host, "/").as_deref(), Ok(want), "{host}");
        }
        let home = get("example.com.nyud.net", "/p?coral-no-serve");
        assert_eq!(
            home.as_deref(),
            Ok("home http://example.com/p?coral-no-serve")
        );
    }

    #[test]
    fn refuses_what_is_no_page_of_a_site() {
        let ours = [("host", "example.com.nyud.net")];
        for (got, want) in [
            (ask("POST", "/", &ours), RefuseReason::Method),
            (
                ask("CONNECT", "example.com:443", &ours),
                RefuseReason::Tunnel,
            ),
            (ask("GET", "/", &[]), RefuseReason::NoHost),
            (ask("GET", "/", &[("host", "")]), RefuseReason::NoHost),
            (
                ask("GET", "/", &[ours[0], ours[0]]),
                RefuseReason::ManyHosts,
            ),
            (get("a@example.com.nyud.net", "/"), RefuseReason::BadHost),
            (get("a b.example.com", "/"), RefuseReason::BadHost),
            (get("example.com.nyud.net:http", "/"), RefuseReason::BadHost),
            (get("example.com", "/"), RefuseReason::NotOurs),
            (get("127.0.0.1:8080", "/"), RefuseReason::NotOurs),
            (
                get("a..b.nyud.net", "/"),
                RefuseReason::BadName(NameError::EmptyLabel),
            ),
            (get("example.com.22.nyud.net", "/"), RefuseReason::Port),
            (get("example.com.6379.nyud.net", "/"), RefuseReason::Port),
            (
                get(
                    "example.com.nyud.net",
                    &format!("/{}", "a".repeat(TARGET_MAX)),
                ),
                RefuseReason::UrlTooLong,
            ),
        ] {
            assert_eq!(got, Err(want));
        }
        let large = ("x-large", &*"a".repeat(FIELDS_BYTES_MAX));
        assert_eq!(
            ask("GET", "/", &[ours[0], large]),
            Err(RefuseReason::FieldsTooLarge)
        );
        assert_eq!(ask("OPTIONS", "*", &[]).as_deref(), Ok("options"));
    }

    proptest! {
        #[test]
        fn no_host_makes_it_panic(host in "[ -~]{0,80}") {
            let _ = get(&host, "/");
            let _ = get(&format!("{host}.nyud.net"), "/");
        }
    }
}
