//! A plain request of HTTP/2: one that the [plain door](crate::engine::hit) would take if the same came over
//! HTTP/1.1. What is plain is said there; here it is read from fields that h2 has taken apart.

use http::Method;
use http::request::Parts;

use crate::engine::head::FIELDS_MAX;
use crate::engine::hit::HandReason;
use crate::engine::hit::request::{changes_nothing, target_of};
use crate::engine::http::key::Scheme;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plain<'a> {
    /// HEAD instead of GET.
    pub head_only: bool,
    /// Path and query as they were sent.
    pub target: &'a str,
    /// Whom it is for.
    pub authority: &'a str,
}

impl<'a> Plain<'a> {
    /// `head`, which came over `scheme`.
    ///
    /// # Errors
    /// Why it is not plain.
    pub fn read(head: &'a Parts, scheme: Scheme) -> Result<Self, HandReason> {
        let head_only = match head.method {
            Method::GET => false,
            Method::HEAD => true,
            _ => return Err(HandReason::Method),
        };
        if head.uri.scheme_str() != Some(scheme.as_str()) || head.headers.len() > FIELDS_MAX {
            return Err(HandReason::Form);
        }
        let authority = head.uri.authority().ok_or(HandReason::Place)?.as_str();
        let target = head.uri.path_and_query().ok_or(HandReason::Form)?;
        let target = target_of(target.as_str().as_bytes())?;
        // A Host beside the authority is for others to compare.
        let mut names = head.headers.keys();
        if !names.all(|name| changes_nothing(name.as_str().as_bytes())) {
            return Err(HandReason::Field);
        }
        Ok(Self {
            head_only,
            target,
            authority,
        })
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn read(method: &str, uri: &str, fields: &[&str]) -> Result<String, HandReason> {
        let mut request = Request::builder().method(method).uri(uri);
        for name in fields {
            request = request.header(*name, "v");
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let plain = Plain::read(&head, Scheme::Https)?;
        let head_only = if plain.head_only { "only " } else { "" };
        Ok(format!(
            "{head_only}{} of {}",
            plain.target, plain.authority
        ))
    }

    #[test]
    fn what_a_browser_asks_is_plain() {
        let fields = [
            "user-agent",
            "accept",
            "accept-encoding",
            "cookie",
            "sec-fetch-mode",
        ];
        let page = read("GET", "https://a.nyud.net:8443/p%20?q=1", &fields);
        assert_eq!(page.as_deref(), Ok("/p%20?q=1 of a.nyud.net:8443"));
        let head = read("HEAD", "https://a.nyud.net/", &[]);
        assert_eq!(head.as_deref(), Ok("only / of a.nyud.net"));
    }

    #[test]
    fn what_may_be_answered_in_another_way_is_not() {
        let page = "https://a.nyud.net/p";
        for (method, uri, fields, why) in [
            ("POST", page, &[][..], HandReason::Method),
            ("GET", "http://a.nyud.net/p", &[], HandReason::Form),
            ("GET", "/p", &[], HandReason::Form),
            ("GET", "https://a.nyud.net/p[", &[], HandReason::Form),
            ("GET", page, &["host"], HandReason::Field),
            ("GET", page, &["range"], HandReason::Field),
            ("GET", page, &["if-none-match"], HandReason::Field),
            ("GET", page, &["cache-control"], HandReason::Field),
            ("GET", page, &["via"], HandReason::Field),
            ("GET", page, &["x-unheard-of"], HandReason::Field),
        ] {
            assert_eq!(
                read(method, uri, fields),
                Err(why),
                "{method} {uri} {fields:?}"
            );
        }
    }
}
