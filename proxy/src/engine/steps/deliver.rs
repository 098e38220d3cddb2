//! Deliver: the head of the answer to a client, and which bytes of the body follow it.
//!
//! Order of RFC 9110 §13.2.2: preconditions first, ranges after. Several ranges at once are sent
//! from whole bodies only; from one that still grows the whole is sent, as RFC 9110 §14.2 allows.

mod usual;

use std::ops::Range;

use common::clock::Moment;
use common::name::Zone;
use http::header::{AGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Version};

use crate::engine::http::cache_status::{self, CACHE_STATUS, CacheStatus, Handling};
use crate::engine::http::conditional::{self, Outcome, Role, Selected};
use crate::engine::http::fresh::Heat;
use crate::engine::http::hop::{self, Identity};
use crate::engine::http::multipart::{self, Multipart};
use crate::engine::http::range::{self, Ranges};
use crate::engine::http::rewrite::{self, Front, View};
use crate::engine::slices::TOTAL;
use crate::engine::store::object::Object;

/// Everything an answer is made of beside the object.
#[derive(Clone, Debug)]
pub struct Delivery<'a> {
    /// Now.
    pub now: Moment,
    /// How hot the site is.
    pub heat: Heat,
    /// The client's method.
    pub method: &'a Method,
    /// The client's fields.
    pub request: &'a HeaderMap,
    /// Length of the whole body, if it is known.
    pub length: Option<u64>,
    /// Whether all of the body is here.
    pub whole: bool,
    /// Whether the origin made or confirmed it for this very request.
    pub validated: bool,
    /// What this cache did.
    pub handling: Handling,
    /// More about it.
    pub detail: Option<&'a str>,
    /// What the caches before this one did, as they said it.
    pub before: &'a [HeaderValue],
    /// Who we are.
    pub identity: &'a Identity,
    /// Our zone.
    pub zone: &'a Zone,
    /// Where the client sees us.
    pub front: Front,
}

/// Which bytes follow the head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// None.
    Empty,
    /// All.
    Whole,
    /// These.
    Part(Range<u64>),
    /// Several of them, with what stands between.
    Parts(Multipart),
}

/// A finished head and what follows.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// Fields.
    pub headers: HeaderMap,
    /// The bytes.
    pub content: Content,
}

impl Delivery<'_> {
    /// The answer with `object`.
    #[must_use]
    pub fn answer<B>(&self, object: &Object<B>) -> Answer {
        // Nothing of what the request says can change it.
        if !conditional::is_conditional(self.request)
            && let Some(answer) = self.usual(object)
        {
            return answer;
        }
        let headers = object.headers();
        let selected = Selected {
            status: object.status,
            headers: &headers,
        };
        let mut answer =
            match conditional::evaluate(self.method, self.request, selected, Role::Cache) {
                Outcome::NotModified => Answer {
                    status: StatusCode::NOT_MODIFIED,
                    headers: conditional::not_modified_headers(&headers),
                    content: Content::Empty,
                },
                Outcome::PreconditionFailed => Answer {
                    status: StatusCode::PRECONDITION_FAILED,
                    headers: length_only(0),
                    content: Content::Empty,
                },
                Outcome::Proceed => match self.usual(object) {
                    Some(answer) => return answer,
                    None => self.selected(selected, object.key.as_str()),
                },
            };
        self.mark(&mut answer.headers, object);
        if *self.method == Method::HEAD {
            answer.content = Content::Empty;
        }
        answer
    }

    fn selected(&self, selected: Selected<'_>, key: &str) -> Answer {
        let mut headers = selected.headers.clone();
        // RFC 9110 §8.6: a HEAD that was forwarded tells the length of a body that is not here.
        let forwarded_head = *self.method == Method::HEAD && self.handling != Handling::Hit;
        let Some(length) = self.length.filter(|_| !forwarded_head) else {
            // A length that says nothing certain must not frame the body.
            if !forwarded_head {
                headers.remove(CONTENT_LENGTH);
            }
            return Answer {
                status: selected.status,
                headers,
                content: Content::Whole,
            };
        };
        match range::resolve(self.method, self.request, selected, length) {
            Ranges::Multi(ranges) if self.whole => {
                let seed = [key.as_bytes(), self.identity.name().as_bytes()].concat();
                let parts = multipart::layout(&ranges, length, &headers, &seed);
                headers.insert(CONTENT_TYPE, parts.kind.clone());
                headers.insert(CONTENT_LENGTH, parts.length.into());
                Answer {
                    status: StatusCode::PARTIAL_CONTENT,
                    headers,
                    content: Content::Parts(parts),
                }
            }
            Ranges::Whole(_) | Ranges::Multi(_) => {
                // RFC 9110 §8.6: not in a 204.
                if selected.status == StatusCode::NO_CONTENT {
                    headers.remove(CONTENT_LENGTH);
                } else {
                    headers.insert(CONTENT_LENGTH, length.into());
                }
                Answer {
                    status: selected.status,
                    headers,
                    content: Content::Whole,
                }
            }
            Ranges::Single(part) => {
                headers.insert(CONTENT_RANGE, range::part(&part, length));
                headers.insert(CONTENT_LENGTH, (part.end - part.start).into());
                let status = StatusCode::PARTIAL_CONTENT;
                Answer {
                    status,
                    headers,
                    content: Content::Part(part),
                }
            }
            Ranges::Unsatisfiable => {
                let mut headers = length_only(0);
                headers.insert(CONTENT_RANGE, range::unsatisfied(length));
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                Answer {
                    status,
                    headers,
                    content: Content::Empty,
                }
            }
        }
    }

    /// Age, what the caches did, where links lead, and who passed it on.
    fn mark<B>(&self, headers: &mut HeaderMap, object: &Object<B>) {
        // RFC 9111 §4, §5.1: an Age says that the origin was not asked for this request.
        if !self.validated || object.aged {
            headers.insert(AGE, object.age(self.now).as_secs().into());
        }
        if self.validated {
            // RFC 9211 §2, RFC 9209 §2: what others said on the way here is kept.
            headers.extend(object.told().cloned().unwrap_or_default());
        }
        for member in self.before {
            headers.append(CACHE_STATUS, member.clone());
        }
        cache_status::append(headers, &self.own(object));
        rewrite::rewrite(
            headers,
            object.key.scheme(),
            View {
                zone: self.zone,
                front: self.front,
            },
        );
        // Between proxies only.
        headers.remove(TOTAL);
        hop::to_client(headers, Version::HTTP_11, self.identity);
    }

    /// What this cache did.
    fn own<B>(&self, object: &Object<B>) -> CacheStatus<'_> {
        CacheStatus {
            cache: self.identity.name(),
            handling: self.handling,
            ttl: Some(object.standing(self.now, self.heat).ttl()),
            detail: self.detail,
        }
    }
}

fn length_only(length: u64) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_LENGTH, length.into())])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::http::key::Scheme;
    use crate::engine::store::object::tests::{headers, object};

    fn deliver(request: &[(&str, &str)], method: &Method, response: &[(&str, &str)]) -> Answer {
        let (zone, request) = (Zone::parse("nyud.net").unwrap(), headers(request));
        let identity = Identity::new("nyud.net", "n1", "0.1.0").unwrap();
        let delivery = Delivery {
            now: Moment::ZERO + Duration::from_secs(7),
            heat: Heat::Quiet,
            method,
            request: &request,
            length: Some(100),
            whole: true,
            validated: false,
            handling: Handling::Hit,
            detail: None,
            before: &[],
            identity: &identity,
            zone: &zone,
            front: Front {
                scheme: Scheme::Http,
                port: 8080,
            },
        };
        delivery.answer(&object("/p", response, &[], 0))
    }

    const STORED: [(&str, &str); 4] = [
        ("cache-control", "max-age=60"),
        ("etag", "\"v1\""),
        ("content-type", "text/plain"),
        ("location", "http://other.org/x"),
    ];

    #[test]
    fn tells_age_and_what_it_did_and_keeps_links_inside() {
        let answer = deliver(&[], &Method::GET, &STORED);
        let field = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
        assert_eq!(
            (answer.status, answer.content.clone()),
            (StatusCode::OK, Content::Whole)
        );
        assert_eq!(field("age"), "7");
        assert_eq!(field("cache-status"), "n1.nyud.net; hit; ttl=53");
        assert_eq!(field("location"), "http://other.org.nyud.net:8080/x");
        assert_eq!(field("content-length"), "100");
        assert!(field("via").contains("n1.nyud.net"));
    }

    #[test]
    fn the_usual_answer_is_the_same_however_often_it_is_given() {
        let (zone, request) = (Zone::parse("nyud.net").unwrap(), HeaderMap::new());
        let identity = Identity::new("nyud.net", "n1", "0.1.0").unwrap();
        let delivery = |seconds, (scheme, port), detail| Delivery {
            now: Moment::ZERO + Duration::from_secs(seconds),
            heat: Heat::Quiet,
            method: &Method::GET,
            request: &request,
            length: Some(100),
            whole: true,
            validated: false,
            handling: Handling::Hit,
            detail,
            before: &[],
            identity: &identity,
            zone: &zone,
            front: Front { scheme, port },
        };
        let plain = (Scheme::Http, 8080);
        // With a link and without.
        for stored in [&STORED[..], &STORED[..3]] {
            let kept = object("/p", stored, &[], 0);
            for (seconds, front, detail) in [
                (7, plain, None),
                (8, plain, None),
                (90, plain, Some("while_revalidate")),
                (91, (Scheme::Http, 80), None),
                (91, (Scheme::Https, 443), None),
            ] {
                let delivery = delivery(seconds, front, detail);
                let again = delivery.answer(&kept);
                let first = delivery.answer(&object("/p", stored, &[], 0));
                assert_eq!(again.headers, first.headers);
                assert_eq!((again.status, again.content), (first.status, first.content));
            }
        }
    }

    #[test]
    fn a_client_that_has_it_gets_304_and_no_body() {
        let answer = deliver(&[("if-none-match", "\"v1\"")], &Method::GET, &STORED);
        assert_eq!(
            (answer.status, answer.content),
            (StatusCode::NOT_MODIFIED, Content::Empty)
        );
        // RFC 9111 §4.3.2: If-Match is the origin's to judge.
        let answer = deliver(&[("if-match", "\"v0\"")], &Method::GET, &STORED);
        assert_eq!(answer.status, StatusCode::OK);
    }

    #[test]
    fn sends_the_part_that_was_asked_for() {
        let answer = deliver(&[("range", "bytes=10-19")], &Method::GET, &STORED);
        assert_eq!(
            (answer.status, answer.content),
            (StatusCode::PARTIAL_CONTENT, Content::Part(10..20))
        );
        assert_eq!(answer.headers["content-range"], "bytes 10-19/100");
        let answer = deliver(&[("range", "bytes=100-")], &Method::GET, &STORED);
        assert_eq!(answer.status, StatusCode::RANGE_NOT_SATISFIABLE);
        let answer = deliver(&[("range", "bytes=0-1,50-51")], &Method::GET, &STORED);
        assert_eq!(answer.content, Content::Part(0..52), "nearly touching");
    }

    #[test]
    fn sends_several_parts_in_one_answer() {
        let answer = deliver(&[("range", "bytes=98-99,0-1")], &Method::GET, &STORED);
        let Content::Parts(parts) = &answer.content else {
            panic!("{:?}", answer.content);
        };
        let ranges: Vec<_> = parts.parts.iter().map(|part| part.range.clone()).collect();
        assert_eq!(ranges, [98..100, 0..2]);
        assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(answer.headers["content-type"], parts.kind);
        assert_eq!(answer.headers["content-length"], parts.length.to_string());
        assert!(
            !answer.headers.contains_key("content-range"),
            "9110 15.3.7.2"
        );
    }

    #[test]
    fn head_has_the_length_and_no_body() {
        let answer = deliver(&[], &Method::HEAD, &STORED);
        assert_eq!(
            (answer.status, answer.content),
            (StatusCode::OK, Content::Empty)
        );
        assert_eq!(answer.headers["content-length"], "100");
    }
}
