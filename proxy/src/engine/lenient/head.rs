//! The head of a response: where it begins, where it ends, and its status line (RFC 9112 §4).

use http::header::{CONNECTION, CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, StatusCode, Version};

use super::framing::{self, Framing};
use super::{Form, Unclear, fields};

/// Largest head in bytes, blank lines before it included.
pub const HEAD_MAX: usize = 256 << 10;

/// A head that is whole.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its status.
    pub status: StatusCode,
    /// The version it claims; what came after 1.1 counts as 1.1 (RFC 9110 §2.5).
    pub version: Version,
    /// Its fields, without those that do not hold for the body.
    pub headers: HeaderMap,
    /// How it was formed.
    pub form: Form,
    /// Where its body ends.
    pub framing: Framing,
}

/// What bytes begin with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// Too few to tell.
    Short,
    /// A status line, after this many bytes of blank.
    Status(usize),
    /// A page without any head, as HTTP/0.9 sent it.
    Page,
    /// Neither.
    Neither,
}

/// How a status line begins: HTTP in any case, and the streaming servers that say ICY for HTTP/1.0.
const STATUS_LINES: [&[u8]; 2] = [b"HTTP/", b"ICY "];

/// How a page begins whose meaning is clear without a head. Anything else may be another protocol's
/// greeting, or a head too broken to be read, which must not be shown as a page.
const PAGES: [&[u8]; 2] = [b"<!DOCTYPE HTML", b"<HTML"];

/// What `bytes`, the first of a connection, begin with.
#[must_use]
pub fn opening(bytes: &[u8]) -> Opening {
    let blank = |byte: &u8| b" \t\r\n".contains(byte);
    let start = bytes.iter().take_while(|byte| blank(byte)).count();
    let rest = &bytes[start..];
    let begins = |word: &&[u8]| {
        let common = word.len().min(rest.len());
        rest[..common].eq_ignore_ascii_case(&word[..common])
    };
    let whole = |word: &&[u8]| begins(word) && rest.len() >= word.len();
    if STATUS_LINES.iter().any(&whole) {
        Opening::Status(start)
    } else if PAGES.iter().any(whole) {
        Opening::Page
    } else if STATUS_LINES.iter().chain(&PAGES).any(begins) {
        Opening::Short
    } else {
        Opening::Neither
    }
}

/// Finds the end of a head in bytes that arrive bit by bit, without looking at any of them twice.
#[derive(Clone, Copy, Default, Debug)]
pub struct EndFinder {
    seen: usize,
    line_start: usize,
}

impl EndFinder {
    /// The offset after the empty line that ends the head in `bytes`, whose status line begins at
    /// `start`. The same bytes and more must be given at each call.
    pub fn find(&mut self, bytes: &[u8], start: usize) -> Option<usize> {
        self.line_start = self.line_start.max(start);
        self.seen = self.seen.max(start);
        while let Some(offset) = bytes[self.seen..].iter().position(|byte| *byte == b'\n') {
            let end = self.seen + offset;
            let line = &bytes[self.line_start..end];
            self.seen = end + 1;
            if line.is_empty() || line == b"\r" {
                return Some(self.seen);
            }
            self.line_start = self.seen;
        }
        self.seen = bytes.len();
        None
    }
}

/// Reads a whole head that begins with its status line and ends with its empty line.
///
/// # Errors
/// It is [`Unclear`].
pub fn read(bytes: &[u8], is_head: bool) -> Result<Head, Unclear> {
    let mut form = Form::default();
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (line, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
    if line.contains(&0) {
        return Err(Unclear::ControlByte);
    }
    let (version, status) = status_line(fields::text_of(line, &mut form)?, &mut form)?;
    let mut headers = fields::read(without_last_line(rest), &mut form)?;
    let framing = if status.is_informational() {
        Framing::None
    } else {
        framing::decide(is_head, status, version, &mut headers, &mut form)?
    };
    Ok(Head {
        status,
        version,
        headers,
        form,
        framing,
    })
}

/// The head that a page without one stands under.
#[must_use]
pub fn of_page() -> Head {
    let kind = HeaderValue::from_static("text/html");
    Head {
        status: StatusCode::OK,
        version: Version::HTTP_09,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, kind)]),
        form: Form {
            odd: true,
            doubtful: true,
        },
        framing: Framing::UntilClose,
    }
}

impl Head {
    /// Whether the origin leaves the connection open and nothing speaks against using it again.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        let says = |word: &[u8]| {
            let lines = self.headers.get_all(CONNECTION).iter();
            lines
                .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
                .any(|token| token.trim_ascii().eq_ignore_ascii_case(word))
        };
        let by_version = match self.version {
            Version::HTTP_11 => !says(b"close"),
            _ => says(b"keep-alive") && !says(b"close"),
        };
        by_version && !self.form.odd && self.framing != Framing::UntilClose
    }
}

/// The field lines without the empty one at their end.
fn without_last_line(lines: &[u8]) -> &[u8] {
    let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
    lines.strip_suffix(b"\r").unwrap_or(lines)
}

/// Version and status. The reason phrase means nothing and is not looked at.
fn status_line(line: &[u8], form: &mut Form) -> Result<(Version, StatusCode), Unclear> {
    let (version, rest) = match line.get(..5) {
        Some(name) if name.eq_ignore_ascii_case(b"HTTP/") => {
            if name != b"HTTP/" {
                form.odd();
            }
            version(&line[5..], form).ok_or(Unclear::Status)?
        }
        _ => {
            form.odd();
            (Version::HTTP_10, line.get(3..).unwrap_or_default())
        }
    };
    let digits = rest.trim_ascii_start();
    let apart = rest.first().is_some_and(|byte| b" \t".contains(byte));
    let alone = digits.get(3).is_none_or(|byte| !byte.is_ascii_digit());
    match digits.get(..3).map(StatusCode::from_bytes) {
        Some(Ok(status)) if apart && alone => Ok((version, status)),
        _ => Err(Unclear::Status),
    }
}

/// The version in `1.1`, `1.0`, `2`, `1.2`, and what follows it.
fn version<'a>(text: &'a [u8], form: &mut Form) -> Option<(Version, &'a [u8])> {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
    let (number, rest) = text.split_at(end);
    let version = match number {
        b"1.1" => Version::HTTP_11,
        b"1.0" => Version::HTTP_10,
        [b'0'..=b'9', b'.', b'0'..=b'9'] | [b'0'..=b'9'] => {
            form.odd();
            let old = number.first() == Some(&b'0');
            if old {
                Version::HTTP_10
            } else {
                Version::HTTP_11
            }
        }
        _ => return None,
    };
    Some((version, rest))
}
