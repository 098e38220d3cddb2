//! A request of HTTP/2 as the rest of the proxy knows it: with a Host field and a plain target, so
//! that one request means the same in every version (RFC 9113 §8.3.1).

use http::header::{HOST, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Uri};

use crate::engine::http::key::Scheme;
use crate::engine::reason::RefuseReason;

/// The most fields of a request: as many as HTTP/1 may have here.
pub const FIELDS_MAX: usize = 100;

/// Makes `head`, which came over `scheme`, plain.
///
/// # Errors
/// It contradicts itself, or is for somebody else.
pub fn plain(head: &mut Parts, scheme: Scheme) -> Result<(), RefuseReason> {
    if head.headers.len() > FIELDS_MAX {
        return Err(RefuseReason::FieldsTooLarge);
    }
    if head.method == Method::CONNECT {
        return Ok(());
    }
    if head.uri.scheme_str() != Some(scheme.as_str()) {
        return Err(RefuseReason::Misdirected);
    }
    let Some(authority) = head.uri.authority() else {
        return Ok(());
    };
    let authority = authority.as_str();
    if !is_only(&head.headers, authority) {
        return Err(RefuseReason::ManyHosts);
    }
    let host = HeaderValue::from_str(authority).map_err(|_| RefuseReason::BadHost)?;
    head.headers.insert(HOST, host);
    let target = head.uri.path_and_query().cloned();
    head.uri = target.map_or_else(Uri::default, Uri::from);
    Ok(())
}

/// Whether every Host field says the same as `authority`.
fn is_only(headers: &HeaderMap, authority: &str) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    hosts.all(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn asked(uri: &str, hosts: &[&str]) -> Result<(String, String), RefuseReason> {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        plain(&mut head, Scheme::Https)?;
        let host = head
            .headers
            .get(HOST)
            .map_or("", |host| host.to_str().unwrap());
        Ok((host.to_owned(), head.uri.to_string()))
    }

    #[test]
    fn the_authority_becomes_the_host() {
        let want = Ok(("a.nyud.net:8443".to_owned(), "/p?q".to_owned()));
        assert_eq!(asked("https://a.nyud.net:8443/p?q", &[]), want);
        assert_eq!(
            asked("https://a.nyud.net:8443/p?q", &["A.nyud.net:8443"]),
            want
        );
        let twice = ["a.nyud.net:8443"; 2];
        assert_eq!(asked("https://a.nyud.net:8443/p?q", &twice), want);
    }

    #[test]
    fn contradictions_are_refused() {
        for (uri, hosts, why) in [
            (
                "https://a.nyud.net/",
                &["b.nyud.net"][..],
                RefuseReason::ManyHosts,
            ),
            ("http://a.nyud.net/", &[], RefuseReason::Misdirected),
            ("/", &["a.nyud.net"], RefuseReason::Misdirected),
        ] {
            assert_eq!(asked(uri, hosts), Err(why), "{uri}");
        }
        let mut request = Request::builder().uri("https://a.nyud.net/");
        for n in 0..=FIELDS_MAX {
            request = request.header(format!("x-{n}"), "");
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let many = plain(&mut head, Scheme::Https);
        assert_eq!(many, Err(RefuseReason::FieldsTooLarge));
    }
}
