//! The bytes of a request's head, judged before any parser makes a request of them.
//!
//! A parser that repairs what it reads (drops a Content-Length beside a Transfer-Encoding, joins
//! folded lines) hides exactly what smuggling is made of, so the raw bytes are looked at first: where
//! the head ends, and whether anybody on the way could have read it differently. What is merely odd
//! (bare LF, empty lines before the request) passes. Field values are not interpreted beyond the
//! framing ones; that is the parser's and [`receive`](super::steps::receive)'s business.
//!
//! After anything but a plain head without a body the connection has to be closed, so that no byte
//! after it is ever taken for a request.

pub mod fault;

use memchr::memchr3_iter;

use super::reason::RefuseReason;
use fault::HeadFault;

/// Longest target, in bytes.
pub const TARGET_MAX: usize = 8 * 1_024;

/// Largest head, in bytes: 64 KiB.
pub const HEAD_MAX: usize = 64 << 10;

/// Most header fields.
pub const FIELDS_MAX: usize = 100;

/// Largest body that a request may announce: it is read and dropped.
pub const BODY_MAX: u64 = 64 << 10;

/// What a request line has beside its target: method, spaces, version.
const LINE_EXTRA: usize = 64;

/// How far a head has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It is not complete yet.
    More,
    /// It ends before byte `len`.
    Complete {
        /// Bytes of the head with its empty line.
        len: usize,
        /// Whether a body follows.
        body: bool,
    },
    /// It is refused, whatever would have come.
    Refused(RefuseReason),
}

/// Looks at a head as it arrives; each byte is looked at once.
#[derive(Clone, Debug, Default)]
pub struct Scanner {
    /// Bytes looked at.
    at: usize,
    /// Where the line under way begins.
    line: usize,
    /// Header fields so far.
    fields: usize,
    request: Option<RequestLine>,
    length: Option<u64>,
    chunked: bool,
}

#[derive(Clone, Copy, Debug)]
struct RequestLine {
    /// HTTP/1.0, which has no transfer codings.
    old: bool,
    /// GET, HEAD or OPTIONS: a method that is answered here.
    answered: bool,
}

impl Scanner {
    /// Looks at `head`, which begins with what was given before.
    pub fn scan(&mut self, head: &[u8]) -> Progress {
        let from = self.at;
        let rest = head.get(from..).unwrap_or_default();
        for found in memchr3_iter(b'\r', b'\n', 0, rest) {
            let at = from + found;
            match (head[at], head.get(at + 1)) {
                (0, _) => return refused(HeadFault::Nul),
                (b'\r', Some(b'\n')) => {}
                (b'\r', Some(_)) => return refused(HeadFault::BareCr),
                (b'\r', None) => {
                    self.at = at;
                    return self.bounds(head.len());
                }
                _ => match self.line(&head[self.line..at]) {
                    Err(reason) => return Progress::Refused(reason),
                    Ok(true) => return self.complete(at + 1),
                    Ok(false) => self.line = at + 1,
                },
            }
        }
        self.at = head.len();
        self.bounds(head.len())
    }

    /// Whether what is here so far is within bounds.
    const fn bounds(&self, len: usize) -> Progress {
        if self.request.is_none() && len - self.line > TARGET_MAX + LINE_EXTRA {
            return Progress::Refused(RefuseReason::UrlTooLong);
        }
        if len > HEAD_MAX {
            return Progress::Refused(RefuseReason::FieldsTooLarge);
        }
        Progress::More
    }

    /// One line without its LF. Whether it ends the head.
    fn line(&mut self, line: &[u8]) -> Result<bool, RefuseReason> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.request.is_none() {
            // RFC 9112 §2.2: empty lines before a request are skipped.
            if !line.is_empty() {
                self.request = Some(request_line(line)?);
            }
            return Ok(false);
        }
        if line.is_empty() {
            return Ok(true);
        }
        self.fields += 1;
        if self.fields > FIELDS_MAX {
            return Err(RefuseReason::FieldsTooLarge);
        }
        self.field(line).map_err(RefuseReason::Head)?;
        Ok(false)
    }

    fn field(&mut self, line: &[u8]) -> Result<(), HeadFault> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(HeadFault::Folded);
        }
        let colon = line.iter().position(|byte| !is_token(*byte));
        let Some(colon) = colon.filter(|at| *at > 0) else {
            return Err(HeadFault::FieldName);
        };
        let (name, value) = line.split_at(colon);
        match value.first() {
            Some(b':') => {}
            Some(b' ' | b'\t') if value.trim_ascii_start().starts_with(b":") => {
                return Err(HeadFault::SpaceBeforeColon);
            }
            _ => return Err(HeadFault::FieldName),
        }
        let value = trim(&value[1..]);
        // Compared by length first: nearly all fields are neither.
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.coding(value),
            _ => Ok(()),
        }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        if self.length.is_some() {
            return Err(HeadFault::Lengths);
        }
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(value).ok().filter(|_| digits);
        let length = text.and_then(|text| text.parse().ok());
        self.length = Some(length.ok_or(HeadFault::Length)?);
        self.framing()
    }

    fn coding(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        let old = self.request.is_some_and(|request| request.old);
        if self.chunked || old || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(HeadFault::Coding);
        }
        self.chunked = true;
        self.framing()
    }

    const fn framing(&self) -> Result<(), HeadFault> {
        if self.chunked && self.length.is_some() {
            Err(HeadFault::LengthAndCoding)
        } else {
            Ok(())
        }
    }

    fn complete(&self, len: usize) -> Progress {
        let length = self.length.unwrap_or(0);
        let answered = self.request.is_some_and(|request| request.answered);
        if len > HEAD_MAX {
            Progress::Refused(RefuseReason::FieldsTooLarge)
        } else if answered && length > BODY_MAX {
            Progress::Refused(RefuseReason::BodyTooLarge)
        } else {
            Progress::Complete {
                len,
                body: self.chunked || length > 0,
            }
        }
    }
}

const fn refused(fault: HeadFault) -> Progress {
    Progress::Refused(RefuseReason::Head(fault))
}

fn request_line(line: &[u8]) -> Result<RequestLine, RefuseReason> {
    let fault = RefuseReason::Head;
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(fault(HeadFault::RequestLine));
    };
    let named = !method.is_empty() && method.iter().all(|byte| is_token(*byte));
    let written = !target.is_empty() && target.iter().all(|byte| *byte > b' ' && *byte != 0x7f);
    if !named || !written {
        return Err(fault(HeadFault::RequestLine));
    }
    if target.len() > TARGET_MAX + 512 {
        // An absolute target has scheme and host beside what is bounded elsewhere.
        return Err(RefuseReason::UrlTooLong);
    }
    let old = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ if version.starts_with(b"HTTP/") => return Err(fault(HeadFault::Version)),
        _ => return Err(fault(HeadFault::RequestLine)),
    };
    if target == b"*" && method != b"OPTIONS" {
        return Err(fault(HeadFault::Asterisk));
    }
    let answered = matches!(method, b"GET" | b"HEAD" | b"OPTIONS");
    Ok(RequestLine { old, answered })
}

/// RFC 9110 §5.6.2.
const fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 128_u8 {
            table[byte as usize] = byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'!' | b'#'
                        | b'$'
                        | b'%'
                        | b'&'
                        | b'\''
                        | b'*'
                        | b'+'
                        | b'-'
                        | b'.'
                        | b'^'
                        | b'_'
                        | b'`'
                        | b'|'
                        | b'~'
                );
            byte += 1;
        }
        table
    };
    TOKEN[byte as usize]
}

/// Without optional white space (RFC 9110 §5.6.3): space and tab, nothing else.
fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte));
    let end = value.iter().rposition(|byte| !blank(byte));
    match (start, end) {
        (Some(start), Some(end)) => &value[start..=end],
        _ => &[],
    }
}

#[cfg(test)]
mod tests;
