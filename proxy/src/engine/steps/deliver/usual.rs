//! The answer to nearly every request: all of a copy. It is made once, as fields and as bytes, and after
//! that only what changes with time is written anew.

use http::Method;
use http::header::{AGE, RANGE};

use super::{Answer, Content, Delivery};
use crate::engine::hit::prepared::Prepared;
use crate::engine::http::cache_status::{CACHE_STATUS, CacheStatus, Handling};
use crate::engine::http::conditional::Selected;
use crate::engine::http::rewrite;
use crate::engine::store::object::{Object, Ready};

impl Delivery<'_> {
    /// It as bytes, for a request without any field that would make it another. `None` if
    /// there is no such answer.
    #[must_use]
    pub fn prepared<'o, B>(&self, object: &'o Object<B>) -> Option<&'o Prepared> {
        let length = self.length.filter(|_| self.whole)?;
        let prepared = object.prepared(|| {
            let ready = self.ready(object, length)?;
            let said = CacheStatus {
                cache: self.identity.name(),
                handling: Handling::Hit,
                ttl: None,
                detail: None,
            };
            Prepared::of(object.status, &ready, &said.value())
        });
        prepared.filter(|prepared| prepared.length == length && prepared.is_for(self.front))
    }

    /// It, if this request is one of those.
    pub(super) fn usual<B>(&self, object: &Object<B>) -> Option<Answer> {
        let is_usual = self.whole
            && self.handling == Handling::Hit
            && !self.validated
            && self.before.is_empty()
            && !self.request.contains_key(RANGE);
        let length = self.length.filter(|_| is_usual)?;
        let ready = object
            .ready(|| self.ready(object, length))
            .filter(|ready| ready.length == length && ready.is_for(self.front))?;
        let mut headers = ready.headers.clone();
        headers.insert(AGE, object.age(self.now).as_secs().into());
        headers.insert(CACHE_STATUS, self.own(object).value());
        Some(Answer {
            status: object.status,
            headers,
            content: match *self.method {
                Method::HEAD => Content::Empty,
                _ => Content::Whole,
            },
        })
    }

    /// What that answer is made from: itself, as it is made otherwise. `None` if something else is
    /// said in the fields that are to be written anew.
    fn ready<B>(&self, object: &Object<B>, length: u64) -> Option<Ready> {
        let selected = Selected {
            status: object.status,
            headers: &object.headers(),
        };
        let mut headers = self.selected(selected, object.key.as_str()).headers;
        let leads_on = rewrite::FIELDS
            .iter()
            .any(|name| headers.contains_key(name));
        self.mark(&mut headers, object);
        let members = headers.get_all(CACHE_STATUS).iter().count();
        (members == 1).then_some(Ready {
            length,
            front: leads_on.then_some(self.front),
            headers,
        })
    }
}

#[cfg(test)]
mod tests {
    use common::clock::Moment;
    use common::name::Zone;
    use http::HeaderMap;

    use super::*;
    use crate::engine::http::fresh::Heat;
    use crate::engine::http::hop::Identity;
    use crate::engine::http::key::Scheme;
    use crate::engine::http::rewrite::Front;
    use crate::engine::store::object::tests::object;

    const FRONT: Front = Front {
        scheme: Scheme::Http,
        port: 80,
    };

    #[test]
    fn the_bytes_are_those_of_the_fields() {
        let (zone, request) = (Zone::parse("nyud.net").unwrap(), HeaderMap::new());
        let identity = Identity::new("nyud.net", "n1", "0.1.0").unwrap();
        let at = |seconds: u64, front| Delivery {
            now: Moment::from_millis(seconds * 1_000),
            heat: Heat::Quiet,
            method: &Method::GET,
            request: &request,
            length: Some(100),
            whole: true,
            validated: false,
            handling: Handling::Hit,
            detail: None,
            before: &[],
            identity: &identity,
            zone: &zone,
            front,
        };
        let stored = [
            ("cache-control", "max-age=60"),
            ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("age", "3"),
            ("vary", "a"),
            ("vary", "b"),
            ("location", "http://other.org/x"),
        ];
        let object = object("/p", &stored, &[], 0);
        for seconds in [0, 9, 50] {
            let delivery = at(seconds, FRONT);
            let mut bytes = Vec::new();
            let prepared = delivery.prepared(&object).unwrap();
            let standing = object.standing(delivery.now, Heat::Quiet);
            let age = object.age(delivery.now).as_secs();
            prepared.write(age, standing.ttl(), false, |piece| {
                bytes.extend_from_slice(piece)
            });
            let mut fields = "HTTP/1.1 200 OK\r\n".to_owned();
            for (name, value) in &delivery.answer(&object).headers {
                fields.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
            }
            assert_eq!(String::from_utf8(bytes).unwrap(), fields + "\r\n");
        }
        // Its links lead to the port it was made for.
        let other = Front { port: 81, ..FRONT };
        assert!(at(0, other).prepared(&object).is_none());
    }
}
