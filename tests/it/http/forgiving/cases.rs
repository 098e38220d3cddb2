//! The cases: a name, the bytes an origin sends before it closes, and what has to come of it.
//!
//! Those that can say so say that they are fresh for a minute, so that keeping shows.

mod bodies;
mod heads;

use bytes::Bytes;

use self::bodies::{chunks, codings, lengths, statuses_and_bodies};
use self::heads::{field_lines, interims, junk_lines, large_heads, status_lines};

/// What has to come of a case.
#[derive(Clone, Debug)]
pub(super) enum Want {
    /// It comes through and is kept.
    Kept(u16, Bytes),
    /// It comes through and is not kept.
    Shown(u16, Bytes),
    /// The client's connection breaks after no more than this, and nothing is kept.
    Cut(Bytes),
    /// 502 with this reason.
    Refused(&'static str),
}

/// One deviation.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) raw: Bytes,
    pub(super) want: Want,
}

const HELLO: Bytes = Bytes::from_static(b"hello");

fn case(name: &'static str, raw: impl Into<Bytes>, want: Want) -> Case {
    Case {
        name,
        raw: raw.into(),
        want,
    }
}

fn kept(name: &'static str, raw: impl Into<Bytes>) -> Case {
    case(name, raw, Want::Kept(200, HELLO))
}

fn shown(name: &'static str, raw: impl Into<Bytes>) -> Case {
    case(name, raw, Want::Shown(200, HELLO))
}

fn refused(name: &'static str, reason: &'static str, raw: impl Into<Bytes>) -> Case {
    case(name, raw, Want::Refused(reason))
}

fn cut(name: &'static str, body: &'static str, raw: impl Into<Bytes>) -> Case {
    case(name, raw, Want::Cut(Bytes::from_static(body.as_bytes())))
}

/// A good response with one line of the head replaced or added.
fn with(line: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{line}\r\nContent-Length: 5\r\n\r\nhello"
    )
}

/// A good response under another status line.
fn under(line: &str) -> String {
    format!("{line}\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nhello")
}

/// A response whose framing is what `lines` say.
fn framed(lines: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{lines}\r\n\r\n{body}")
}

fn chunked(body: &str) -> String {
    framed("Transfer-Encoding: chunked", body)
}

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    [
        status_lines(),
        interims(),
        field_lines(),
        junk_lines(),
        large_heads(),
        lengths(),
        codings(),
        chunks(),
        statuses_and_bodies(),
    ]
    .concat()
}
