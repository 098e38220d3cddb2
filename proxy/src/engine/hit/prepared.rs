//! The head of the usual answer with a copy, as bytes: made once, with two gaps for the numbers that
//! change with time.
//!
//! The bytes are those that the careful door would send: its own fields, in its order, written the
//! way hyper writes them. Which answer is usual is [`deliver`](crate::engine::steps::deliver)'s to say.

use http::header::{AGE, CONTENT_LENGTH, DATE};
use http::{HeaderValue, StatusCode};

use crate::engine::http::cache_status::CACHE_STATUS;
use crate::engine::http::rewrite::Front;
use crate::engine::store::object::Ready;

/// See the module.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Length of the body that follows.
    pub length: u64,
    /// Where the client sees us; `None` if nothing in them depends on it.
    front: Option<Front>,
    /// Status line and fields, without the empty line.
    bytes: Box<[u8]>,
    /// Where the digits of Age belong.
    age: usize,
    /// Where those of the remaining lifetime do.
    ttl: usize,
}

/// Ends a head.
const END: &[u8] = b"\r\n";

/// Ends that of a connection's last answer.
const CLOSE: &[u8] = b"connection: close\r\n\r\n";

/// Bytes by which a head may be longer than what is prepared: two numbers and its end.
const GROWTH: usize = 2 * 20 + CLOSE.len();

impl Prepared {
    /// The head of an answer of this status and with the fields of `ready`. Of Cache-Status `said` is
    /// what comes before the remaining lifetime. `None` if it does not frame a body by its length, or
    /// does not tell its age, date and lifetime once each.
    pub(in crate::engine) fn of(
        status: StatusCode,
        ready: &Ready,
        said: &HeaderValue,
    ) -> Option<Self> {
        let (headers, length) = (&ready.headers, ready.length);
        let bodiless = [
            StatusCode::NO_CONTENT,
            StatusCode::RESET_CONTENT,
            StatusCode::NOT_MODIFIED,
        ];
        let once = |name| headers.get_all(name).iter().count() == 1;
        let framed = headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse() == Ok(length);
        let told = once(AGE) && once(CACHE_STATUS) && once(DATE) && once(CONTENT_LENGTH);
        if !framed || !told || status.is_informational() || bodiless.contains(&status) {
            return None;
        }
        let mut bytes = Vec::with_capacity(512);
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| bytes.extend_from_slice(part));
        let reason = status.canonical_reason().unwrap_or("<none>");
        put(&[
            b"HTTP/1.1 ",
            status.as_str().as_bytes(),
            b" ",
            reason.as_bytes(),
            END,
        ]);
        let (mut age, mut ttl) = (0, 0);
        for (name, value) in headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            if name == AGE {
                age = bytes.len();
            } else if *name == CACHE_STATUS {
                bytes.extend_from_slice(said.as_bytes());
                bytes.extend_from_slice(b"; ttl=");
                ttl = bytes.len();
            } else {
                bytes.extend_from_slice(value.as_bytes());
            }
            bytes.extend_from_slice(END);
        }
        Some(Self {
            length,
            front: ready.front,
            bytes: bytes.into(),
            age,
            ttl,
        })
    }

    /// Whether it is for a client that sees us at `front`.
    pub(in crate::engine) fn is_for(&self, front: Front) -> bool {
        self.front.is_none_or(|mine| mine == front)
    }

    /// Bytes that [`write`](Self::write) gives at most.
    #[must_use]
    pub const fn len_most(&self) -> usize {
        self.bytes.len() + GROWTH
    }

    /// Bytes that it costs to keep.
    #[must_use]
    pub const fn weight(&self) -> usize {
        self.bytes.len() + size_of::<Self>()
    }

    /// Gives the head piece by piece: of a copy of this age, with this much of its lifetime left, in
    /// seconds. `last`: the connection ends after it.
    pub fn write(&self, age: u64, ttl: i64, last: bool, mut put: impl FnMut(&[u8])) {
        let (age, ttl) = ((self.age, Number::of(age)), (self.ttl, Number::signed(ttl)));
        let (first, second) = if age.0 < ttl.0 {
            (age, ttl)
        } else {
            (ttl, age)
        };
        put(&self.bytes[..first.0]);
        put(first.1.digits());
        put(&self.bytes[first.0..second.0]);
        put(second.1.digits());
        put(&self.bytes[second.0..]);
        put(if last { CLOSE } else { END });
    }
}

/// A number in decimal. By hand: it is part of every answer, and the formatter costs several times
/// as much.
struct Number {
    digits: [u8; 20],
    from: usize,
}

impl Number {
    fn of(number: u64) -> Self {
        let (mut digits, mut from, mut rest) = ([0; 20], 20, number);
        while rest > 0 || from == digits.len() {
            from -= 1;
            digits[from] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        Self { digits, from }
    }

    fn signed(number: i64) -> Self {
        let mut this = Self::of(number.unsigned_abs());
        if number < 0 {
            // The least of them has 19 digits.
            this.from -= 1;
            this.digits[this.from] = b'-';
        }
        this
    }

    fn digits(&self) -> &[u8] {
        &self.digits[self.from..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::store::object::tests::headers;

    const FIELDS: &[(&str, &str)] = &[
        ("content-length", "5"),
        ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("etag", "\"a\""),
        ("age", "0"),
        ("cache-status", "n; hit; ttl=7"),
        ("via", "1.1 n"),
    ];

    fn prepared(status: u16, fields: &[(&str, &str)]) -> Option<Prepared> {
        let status = StatusCode::from_u16(status).unwrap();
        let said = HeaderValue::from_static("n; hit");
        let ready = Ready {
            length: 5,
            front: None,
            headers: headers(fields),
        };
        Prepared::of(status, &ready, &said)
    }

    fn written(prepared: &Prepared, age: u64, ttl: i64, last: bool) -> String {
        let mut out = Vec::new();
        prepared.write(age, ttl, last, |piece| out.extend_from_slice(piece));
        assert!(out.len() <= prepared.len_most());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_numbers_stand_where_they_belong() {
        let prepared = prepared(200, FIELDS).unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
                    etag: \"a\"\r\nage: 12\r\ncache-status: n; hit; ttl=-3\r\nvia: 1.1 n\r\n";
        assert_eq!(written(&prepared, 12, -3, false), format!("{head}\r\n"));
        let last = written(&prepared, u64::MAX, i64::MIN, true);
        assert!(last.contains("age: 18446744073709551615\r\n"), "{last}");
        assert!(last.contains("ttl=-9223372036854775808\r\n"), "{last}");
        assert!(
            last.ends_with("via: 1.1 n\r\nconnection: close\r\n\r\n"),
            "{last}"
        );
    }

    #[test]
    fn age_may_come_behind_the_lifetime() {
        let mut fields = FIELDS.to_vec();
        fields.swap(3, 4);
        let head = written(&prepared(404, &fields).unwrap(), 1, 2, false);
        assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
        assert!(
            head.contains("cache-status: n; hit; ttl=2\r\nage: 1\r\n"),
            "{head}"
        );
    }

    #[test]
    fn what_is_framed_in_another_way_is_not_prepared() {
        for status in [101, 204, 205, 304] {
            assert!(prepared(status, FIELDS).is_none(), "{status}");
        }
        for without in FIELDS
            .iter()
            .filter(|(name, _)| !["etag", "via"].contains(name))
        {
            let fields: Vec<_> = FIELDS
                .iter()
                .filter(|field| *field != without)
                .copied()
                .collect();
            assert!(prepared(200, &fields).is_none(), "without {without:?}");
            let twice = [FIELDS, &[*without]].concat();
            assert!(prepared(200, &twice).is_none(), "twice {without:?}");
        }
        let mut longer = FIELDS.to_vec();
        longer[0].1 = "6";
        assert!(prepared(200, &longer).is_none());
    }
}
