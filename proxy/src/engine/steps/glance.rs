//! A look at the head of a request, before anything is spent on it: which page does it want?
//!
//! For the [`lobby`](crate::engine::share::lobby), where most who come are sent away again. A head that
//! is not whole, not plain, or wants anything but a page is no business of it: who sent that is let
//! in, and answered where all answers are made. What is found is not trusted further: who is let in
//! is judged again, by the same rules.

use http::header::{HOST, HeaderMap, HeaderValue, REFERER, USER_AGENT};
use http::{Method, Uri, Version};

use super::receive::{self, Asked, Entrance, Seen};
use crate::engine::head::{Progress, Scanner};
use crate::engine::http::key::PrimaryKey;

/// What of a head is needed to know the page, and to write a line of the access log.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET or HEAD.
    pub method: Method,
    /// The target as it was sent.
    pub uri: Uri,
    /// HTTP/1.1 or 1.0.
    pub version: Version,
    /// Host, Referer and User-Agent; no others.
    pub headers: HeaderMap,
}

/// The page that `head`, all that was sent so far, asks for. `None` if it is no page, or not plain.
#[must_use]
pub fn page(entrance: &Entrance<'_>, head: &[u8], seen: &mut Seen) -> Option<PrimaryKey> {
    let Request {
        method,
        uri,
        headers,
        ..
    } = request(head)?;
    match receive::judge(entrance, &method, &uri, &headers, seen) {
        Ok(Asked::Page { key, .. }) => Some(key),
        Ok(Asked::Service(_) | Asked::Home(_) | Asked::Options) | Err(_) => None,
    }
}

/// The request that `head` is, if it is one whole GET or HEAD without a body and nothing after it.
#[must_use]
pub fn request(head: &[u8]) -> Option<Request> {
    match Scanner::default().scan(head) {
        Progress::Complete { len, body: false } if len == head.len() => {}
        _ => return None,
    }
    // The scanner has seen that the lines are what they should be.
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut lines = lines.by_ref().map(|line| line.trim_ascii_end());
    let first = lines.find(|line| !line.is_empty())?;
    let mut parts = first.split(|byte| *byte == b' ');
    let method = match parts.next()? {
        b"GET" => Method::GET,
        b"HEAD" => Method::HEAD,
        _ => return None,
    };
    let uri = Uri::try_from(parts.next()?).ok()?;
    let version = match parts.next()? {
        b"HTTP/1.0" => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let mut headers = HeaderMap::new();
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':');
        let Some((name, value)) = at.and_then(|at| Some((line.get(..at)?, line.get(at + 1..)?)))
        else {
            continue;
        };
        // Compared by length first: nearly all fields are neither.
        let name = match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => HOST,
            7 if name.eq_ignore_ascii_case(b"referer") => REFERER,
            10 if name.eq_ignore_ascii_case(b"user-agent") => USER_AGENT,
            _ => continue,
        };
        headers.append(name, HeaderValue::from_bytes(value.trim_ascii()).ok()?);
    }
    Some(Request {
        method,
        uri,
        version,
        headers,
    })
}

#[cfg(test)]
mod tests {
    use common::name::Zone;

    use super::*;
    use crate::engine::http::key::Scheme;
    use crate::engine::policy::Policy;

    fn glance(head: &str) -> Option<String> {
        let zone = Zone::parse("nyud.net").unwrap();
        let policy = Policy::default();
        let entrance = Entrance {
            scheme: Scheme::Http,
            local_port: 8080,
            shown: None,
            zone: &zone,
            policy: &policy,
        };
        let key = page(&entrance, head.as_bytes(), &mut Seen::default());
        key.map(|key| key.as_str().to_owned())
    }

    #[test]
    fn a_plain_head_tells_its_page() {
        for head in [
            "GET /a?b HTTP/1.1\r\nHost: example.com.nyud.net\r\n\r\n",
            "HEAD /a?b HTTP/1.0\nAccept: */*\nhOST:example.com.nyud.net:8080 \n\n",
            "\r\nGET http://example.com.nyud.net/a?b HTTP/1.1\r\nHost: x\r\n\r\n",
        ] {
            assert_eq!(
                glance(head).as_deref(),
                Some("http://example.com/a?b"),
                "{head}"
            );
        }
    }

    #[test]
    fn what_is_not_whole_or_plain_or_no_page_is_left_to_others() {
        for head in [
            "",
            "GET / HTTP/1.1\r\nHost: example.com.nyud.net\r\n",
            "GET / HTTP/1.1\r\nHost: example.com.nyud.net\r\n\r\nGET",
            "GET / HTTP/1.1\r\nHost: example.com.nyud.net\r\nContent-Length: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: example.com.nyud.net\r\nHost: a.nyud.net\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: example.com.nyud.net\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: check.nyud.net\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: elsewhere.net\r\n\r\n",
            "GET /?coral-no-serve HTTP/1.1\r\nHost: example.com.nyud.net\r\n\r\n",
            "GET /\0 HTTP/1.1\r\nHost: example.com.nyud.net\r\n\r\n",
        ] {
            assert_eq!(glance(head), None, "{head}");
        }
    }

    #[test]
    fn the_fields_of_the_log_are_there_and_no_others() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\nCookie: c\r\nReferer: d\r\n\r\n";
        let request = request(head).unwrap();
        assert_eq!(request.headers.len(), 3);
        assert_eq!(request.headers[USER_AGENT], "b");
    }
}
