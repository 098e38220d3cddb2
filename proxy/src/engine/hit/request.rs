//! A plain request, read from its bytes: GET or HEAD of an origin-form target over HTTP/1.1, one
//! Host, no body, and no field but those known to change nothing on a hit beyond what Vary names.
//!
//! Every request that is plain passes the [scanner](crate::engine::head) and means the same to the
//! careful door; most that pass there are not plain. Nothing is repaired, and nothing is copied.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr;

use super::HandReason;
use crate::engine::head::FIELDS_MAX;
use crate::engine::head::TARGET_MAX;

/// The longest head that is looked at: larger ones are rare, and the careful door has its own bound.
pub const PLAIN_MAX: usize = 16 << 10;

/// See the module. All parts are views of the head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plain<'a> {
    /// HEAD instead of GET.
    pub head_only: bool,
    /// Path and query as they were sent.
    pub target: &'a str,
    /// The Host field's value.
    pub host: &'a str,
    /// The client asks for the connection's end after the answer.
    pub close: bool,
    /// Bytes of the head, its empty line included.
    pub len: usize,
    /// The field lines, with their ends.
    lines: &'a [u8],
}

impl<'a> Plain<'a> {
    /// The request at the beginning of `bytes`.
    ///
    /// # Errors
    /// Why it is not plain.
    pub fn read(bytes: &'a [u8]) -> Result<Self, HandReason> {
        let bytes = &bytes[..bytes.len().min(PLAIN_MAX)];
        let (head_only, rest) = if let Some(rest) = bytes.strip_prefix(b"GET ") {
            (false, rest)
        } else if let Some(rest) = bytes.strip_prefix(b"HEAD ") {
            (true, rest)
        } else {
            return Err(not_served(bytes));
        };
        let (line, mut rest) = line(rest)?;
        let target = line.strip_suffix(b" HTTP/1.1").ok_or(HandReason::Form)?;
        let target = target_of(target)?;
        let lines = rest;
        let (mut host, mut close, mut fields) = (None, false, 0);
        loop {
            let (line, after) = self::line(rest)?;
            if line.is_empty() {
                return Ok(Self {
                    head_only,
                    target,
                    host: host.ok_or(HandReason::Place)?,
                    close,
                    len: bytes.len() - after.len(),
                    lines: &lines[..lines.len() - rest.len()],
                });
            }
            rest = after;
            fields += 1;
            if fields > FIELDS_MAX {
                return Err(HandReason::Form);
            }
            let (name, value) = field(line)?;
            match meaning(name) {
                Meaning::None => {}
                Meaning::Host if host.is_none() => host = Some(text(value)?),
                Meaning::Connection if value.eq_ignore_ascii_case(b"keep-alive") => {}
                Meaning::Connection if value.eq_ignore_ascii_case(b"close") => close = true,
                Meaning::Host | Meaning::Connection | Meaning::Other => {
                    return Err(HandReason::Field);
                }
            }
        }
    }

    /// Its fields, for what needs more than a look: Vary, and the access log.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut rest = self.lines;
        while let Ok((line, after)) = line(rest) {
            rest = after;
            // Both have been read before.
            if let Ok((name, value)) = field(line)
                && let Ok(name) = HeaderName::from_bytes(name)
                && let Ok(value) = HeaderValue::from_bytes(value)
            {
                headers.append(name, value);
            }
        }
        headers
    }
}

/// What is not GET or HEAD: some other method, or no request of ours at all.
fn not_served(bytes: &[u8]) -> HandReason {
    let begins = |method: &[u8]| method.starts_with(bytes) || bytes.starts_with(method);
    if begins(b"GET ") || begins(b"HEAD ") {
        HandReason::Partial
    } else if bytes.first().is_some_and(u8::is_ascii_uppercase) {
        HandReason::Method
    } else {
        HandReason::Form
    }
}

/// The first line of `bytes` without its end, which is CRLF, and what follows it.
fn line(bytes: &[u8]) -> Result<(&[u8], &[u8]), HandReason> {
    let at = memchr(b'\n', bytes).ok_or(HandReason::Partial)?;
    let (line, after) = bytes.split_at(at);
    let line = line.strip_suffix(b"\r").ok_or(HandReason::Form)?;
    Ok((line, &after[1..]))
}

/// A target in origin form, of characters that nobody reads in two ways (RFC 3986 §3.3, §3.4).
pub(in crate::engine) fn target_of(target: &[u8]) -> Result<&str, HandReason> {
    const PLAIN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = b'!';
        while byte <= b'~' {
            table[byte as usize] = byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'/' | b'?'
                        | b'%'
                        | b'-'
                        | b'.'
                        | b'_'
                        | b'~'
                        | b'!'
                        | b'$'
                        | b'&'
                        | b'\''
                        | b'('
                        | b')'
                        | b'*'
                        | b'+'
                        | b','
                        | b';'
                        | b'='
                        | b':'
                        | b'@'
                );
            byte += 1;
        }
        table
    };
    let plain = target.iter().all(|byte| PLAIN[usize::from(*byte)]);
    if !plain || target.first() != Some(&b'/') || target.len() > TARGET_MAX {
        return Err(HandReason::Form);
    }
    text(target)
}

fn text(bytes: &[u8]) -> Result<&str, HandReason> {
    std::str::from_utf8(bytes).map_err(|_| HandReason::Form)
}

/// Name and value of a field line; the value is visible ASCII and spaces.
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), HandReason> {
    let at = memchr(b':', line).ok_or(HandReason::Form)?;
    let (name, value) = (&line[..at], &line[at + 1..]);
    let mut value = value.strip_prefix(b" ").unwrap_or(value);
    // One space is what everybody sends; to trim in general costs more.
    while let [b' ', rest @ ..] | [rest @ .., b' '] = value {
        value = rest;
    }
    // Without an early end it is done many bytes at a time.
    let odd = |odd, byte: &u8| odd | !matches!(*byte, b' '..=b'~');
    if value.iter().fold(false, odd) {
        return Err(HandReason::Form);
    }
    Ok((name, value))
}

/// What a field does to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meaning {
    /// Nothing on a hit, unless Vary names it.
    None,
    Host,
    Connection,
    /// Something, or who knows.
    Other,
}

/// Whether a field of this name changes nothing on a hit, unless Vary names it.
pub(in crate::engine) fn changes_nothing(name: &[u8]) -> bool {
    meaning(name) == Meaning::None
}

/// Compared by length first. What is not listed has a meaning.
fn meaning(name: &[u8]) -> Meaning {
    let none = |known: &[&[u8]]| {
        let known = known.iter().any(|known| name.eq_ignore_ascii_case(known));
        if known { Meaning::None } else { Meaning::Other }
    };
    match name.len() {
        3 => none(&[b"dnt"]),
        4 if name.eq_ignore_ascii_case(b"host") => Meaning::Host,
        6 => none(&[b"accept", b"cookie", b"origin"]),
        7 => none(&[b"referer", b"sec-gpc"]),
        8 => none(&[b"priority"]),
        9 => none(&[b"sec-ch-ua", b"save-data"]),
        10 if name.eq_ignore_ascii_case(b"connection") => Meaning::Connection,
        10 => none(&[b"user-agent", b"keep-alive"]),
        14 => none(&[
            b"accept-charset",
            b"sec-fetch-dest",
            b"sec-fetch-mode",
            b"sec-fetch-site",
            b"sec-fetch-user",
        ]),
        15 => none(&[b"accept-encoding", b"accept-language"]),
        16 => none(&[b"sec-ch-ua-mobile"]),
        18 => none(&[b"sec-ch-ua-platform"]),
        25 => none(&[b"upgrade-insecure-requests"]),
        _ => Meaning::Other,
    }
}

#[cfg(test)]
mod tests;
