//! The cases: a name, the bytes an origin sends before it closes, and what has to come of it.
//!
//! Those that can say so say that they are fresh for a minute, so that keeping shows.

use bytes::Bytes;

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

fn status_lines() -> Vec<Case> {
    vec![
        kept("well formed", under("HTTP/1.1 200 OK")),
        kept("reason missing", under("HTTP/1.1 200")),
        kept(
            "reason missing, space before the line's end",
            under("HTTP/1.1 200 "),
        ),
        kept("reason with UTF-8", under("HTTP/1.1 200 Schön")),
        kept("several spaces", under("HTTP/1.1   200   OK")),
        kept("tabs for spaces", under("HTTP/1.1\t200\tOK")),
        kept("reason right after the status", under("HTTP/1.1 200OK")),
        kept("status with a decimal (IIS)", under("HTTP/1.1 200.5 OK")),
        kept("blank lines before", under("\r\n\n\r\nHTTP/1.1 200 OK")),
        kept("space before", under(" HTTP/1.1 200 OK")),
        kept("lower case", under("http/1.1 200 OK")),
        kept("HTTP/1.0", under("HTTP/1.0 200 OK")),
        kept("HTTP/1.2", under("HTTP/1.2 200 OK")),
        kept("HTTP/2.0", under("HTTP/2.0 200 OK")),
        kept("HTTP/2", under("HTTP/2 200")),
        kept("ICY", under("ICY 200 OK")),
        case(
            "status 999",
            under("HTTP/1.1 999 No"),
            Want::Kept(999, HELLO),
        ),
        refused(
            "status of two digits",
            "bad_status",
            under("HTTP/1.1 20 OK"),
        ),
        refused(
            "status of four digits",
            "bad_status",
            under("HTTP/1.1 2000 OK"),
        ),
        refused("status 099", "bad_status", under("HTTP/1.1 099 OK")),
        refused("negative status", "bad_status", under("HTTP/1.1 -200 OK")),
        refused("no status", "bad_status", under("HTTP/1.1 OK")),
        refused(
            "NUL in the reason",
            "control_byte",
            under("HTTP/1.1 200 O\0K"),
        ),
        refused(
            "bare CR in the reason",
            "control_byte",
            under("HTTP/1.1 200 OK\rX: y"),
        ),
        refused("another protocol's greeting", "not_http", "220 ready\r\n"),
        refused(
            "a head without status line",
            "not_http",
            "Content-Length: 5\r\n\r\nhello",
        ),
        refused("text without a head", "not_http", "hello"),
        case(
            "HTTP/0.9, plainly a page",
            "<html>hello</html>",
            Want::Shown(200, Bytes::from_static(b"<html>hello</html>")),
        ),
        refused("nothing", "broken", ""),
        refused(
            "a head that is cut",
            "broken",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
        ),
    ]
}

fn interims() -> Vec<Case> {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    vec![
        kept(
            "100 before",
            "HTTP/1.1 100 Continue\r\n\r\n".to_owned() + &under("HTTP/1.1 200 OK"),
        ),
        kept("102 and 103 before", {
            "HTTP/1.1 102 Wait\n\n".to_owned() + hints + &under("HTTP/1.1 200 OK")
        }),
        kept(
            "20 interim heads",
            hints.repeat(20) + &under("HTTP/1.1 200 OK"),
        ),
        refused(
            "21 interim heads",
            "too_many_interims",
            hints.repeat(21) + &under("HTTP/1.1 200 OK"),
        ),
        refused(
            "101 unasked",
            "switched_protocol",
            "HTTP/1.1 101 Switch\r\nUpgrade: x\r\n\r\n",
        ),
    ]
}

fn field_lines() -> Vec<Case> {
    vec![
        kept("LF line ends", with("X: y").replace('\r', "")),
        kept("mixed line ends", with("X: y\nY: z")),
        kept("folded line", with("X: y\r\n z\r\n\tz")),
        kept(
            "folded Cache-Control",
            framed("Cache-Control:\r\n public\r\nContent-Length: 5", "hello"),
        ),
        kept("fold before any field", under("HTTP/1.1 200 OK\r\n folded")),
        kept("spaces before the colon", with("X : y")),
        kept(
            "Content-Length with space before the colon",
            framed("Content-Length : 5", "hello"),
        ),
        kept("line without a colon", with("junk")),
        kept(
            "second status line among the fields",
            with("HTTP/1.1 200 OK"),
        ),
        kept("empty name", with(": y")),
        kept("illegal name", with("<b>Warning</b>: y")),
        kept(
            "wrong case",
            with("x-THING: y").replace("Content-Length", "cONTENT-lENGTH"),
        ),
        kept("value with Latin-1", {
            let mut raw = with("X: ~").into_bytes();
            raw.iter_mut()
                .filter(|byte| **byte == b'~')
                .for_each(|byte| *byte = 0xe9);
            raw
        }),
        kept("control byte in some value", with("X: a\u{1}b")),
    ]
}

fn junk_lines() -> Vec<Case> {
    vec![
        shown(
            "control byte in Cache-Control",
            with("Cache-Control: private\u{1}"),
        ),
        shown(
            "Cache-Control that is no field",
            with("Cache Control: private"),
        ),
        shown("Vary without a colon", with("Vary *")),
        refused(
            "control byte in Content-Length",
            "unreadable_framing",
            framed("Content-Length: 5\u{1}", "hello"),
        ),
        refused(
            "Content-Length that is no field",
            "unreadable_framing",
            with("Content Length: 3"),
        ),
        refused(
            "Transfer-Encoding that is no field",
            "unreadable_framing",
            with("Transfer-Encoding\u{b}: chunked"),
        ),
        refused("NUL in a value", "control_byte", with("X: a\0b")),
        refused(
            "bare CR in a value",
            "control_byte",
            with("X: a\rSet-Cookie: b"),
        ),
        refused(
            "bare CR at the end of a line",
            "control_byte",
            with("X: y\r"),
        ),
        kept("Date that is none", with("Date: yesterday")),
        kept(
            "Date in the far past",
            with("Date: Thu, 01 Jan 1970 00:00:00 GMT"),
        ),
        kept("no Date", with("X: y")),
    ]
}

fn large_heads() -> Vec<Case> {
    let fields = |count: usize| {
        (0..count)
            .map(|n| format!("X-{n}: y"))
            .collect::<Vec<_>>()
            .join("\r\n")
    };
    let long = |bytes: usize| format!("X: {}", "y".repeat(bytes));
    vec![
        kept("150 fields", with(&fields(150))),
        kept("900 fields", with(&fields(900))),
        refused("1,100 fields", "too_many_fields", with(&fields(1_100))),
        kept("a field of 60 KiB", with(&long(60 << 10))),
        kept("a field of 200 KiB", with(&long(200 << 10))),
        refused(
            "a head of 300 KiB",
            "head_too_large",
            with(&long(300 << 10)),
        ),
    ]
}

fn lengths() -> Vec<Case> {
    let length = |value: &str| framed(&format!("Content-Length: {value}"), "hello");
    vec![
        kept(
            "Content-Length twice the same",
            length("5\r\nContent-Length: 5"),
        ),
        kept("Content-Length as a list of the same", length("5, 5")),
        kept("Content-Length with leading zeros", length("005")),
        kept("no length, until close", framed("X: y", "hello")),
        kept(
            "no length, keep-alive, until close",
            framed("Connection: keep-alive", "hello"),
        ),
        kept("bytes after the body", length("5") + "extra"),
        kept(
            "a second response after the first",
            length("5") + &under("HTTP/1.1 404 No"),
        ),
        refused(
            "Content-Lengths that differ",
            "lengths_differ",
            length("5\r\nContent-Length: 6"),
        ),
        refused(
            "Content-Length as a list that differs",
            "lengths_differ",
            length("5, 6"),
        ),
        refused("empty Content-Length", "bad_length", length("")),
        refused("negative Content-Length", "bad_length", length("-5")),
        refused("Content-Length with a plus", "bad_length", length("+5")),
        refused("hexadecimal Content-Length", "bad_length", length("0x5")),
        refused(
            "Content-Length with a unit",
            "bad_length",
            length("5 bytes"),
        ),
        refused(
            "Content-Length beyond 64 bits",
            "bad_length",
            length("18446744073709551621"),
        ),
        cut("Content-Length too long", "hello", length("9")),
    ]
}

fn codings() -> Vec<Case> {
    let body = "5\r\nhello\r\n0\r\n\r\n";
    let te = |value: &str| format!("Transfer-Encoding: {value}");
    vec![
        kept("chunked", framed(&te("chunked"), body)),
        kept("Chunked in another case", framed(&te("CHUNKED"), body)),
        kept(
            "chunked beside a false Content-Length",
            framed("Content-Length: 3\r\nTransfer-Encoding: chunked", body),
        ),
        kept(
            "chunked beside a broken Content-Length",
            framed("Content-Length: x\r\nTransfer-Encoding: chunked", body),
        ),
        kept("identity", framed(&te("identity"), "hello")),
        kept(
            "identity with Content-Length",
            framed("Content-Length: 5\r\nTransfer-Encoding: identity", "hello"),
        ),
        kept(
            "empty Transfer-Encoding",
            framed("Content-Length: 5\r\nTransfer-Encoding:", "hello"),
        ),
        shown(
            "chunked said twice",
            framed(&te("chunked\r\nTransfer-Encoding: chunked"), body),
        ),
        shown(
            "chunked from HTTP/1.0",
            framed(&te("chunked"), body).replace("HTTP/1.1", "HTTP/1.0"),
        ),
        refused(
            "gzip, chunked",
            "transfer_coding",
            framed(&te("gzip, chunked"), body),
        ),
        refused(
            "chunked, gzip",
            "transfer_coding",
            framed(&te("chunked, gzip"), body),
        ),
        refused(
            "chunked with a parameter",
            "transfer_coding",
            framed(&te("chunked;q=1"), body),
        ),
        refused("xchunked", "transfer_coding", framed(&te("xchunked"), body)),
        kept(
            "gzip content that was not asked for",
            with("Content-Encoding: gzip"),
        ),
    ]
}

fn chunks() -> Vec<Case> {
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(5_000));
    vec![
        kept(
            "chunk extensions",
            chunked("5;a=b;c=\"d;e\"\r\nhello\r\n0;x\r\n\r\n"),
        ),
        kept("LF chunk lines", chunked("5\nhello\n0\n\n")),
        kept(
            "spaces around a chunk size",
            chunked(" 5  \r\nhello\r\n0\r\n\r\n"),
        ),
        kept(
            "leading zeros in a chunk size",
            chunked("0005\r\nhello\r\n00\r\n\r\n"),
        ),
        kept("trailers", chunked("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")),
        kept(
            "last chunk without its final line",
            chunked("5\r\nhello\r\n0\r\n"),
        ),
        kept(
            "bytes after the last chunk",
            chunked("5\r\nhello\r\n0\r\n\r\nextra"),
        ),
        cut("no last chunk", "hello", chunked("5\r\nhello\r\n")),
        cut(
            "last chunk without its line end",
            "hello",
            chunked("5\r\nhello\r\n0"),
        ),
        cut("cut within a chunk", "hel", chunked("5\r\nhel")),
        cut(
            "chunk size with 0x",
            "",
            chunked("0x5\r\nhello\r\n0\r\n\r\n"),
        ),
        cut(
            "negative chunk size",
            "",
            chunked("-5\r\nhello\r\n0\r\n\r\n"),
        ),
        cut(
            "chunk size that overflows",
            "",
            chunked("FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
        ),
        cut(
            "chunk longer than its size",
            "hello",
            chunked("5\r\nhello!\r\n0\r\n\r\n"),
        ),
        cut("extension of 5,000 bytes", "", chunked(&long)),
        cut("chunked that is not", "", chunked("hello")),
    ]
}

fn statuses_and_bodies() -> Vec<Case> {
    let none = Bytes::new();
    let part = |range: &str, body: &str| {
        format!(
            "HTTP/1.1 206 Part\r\nCache-Control: max-age=60\r\nContent-Range: bytes {range}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let made = |status: u16, rest: &str| {
        format!("HTTP/1.1 {status} X\r\nCache-Control: max-age=60\r\n{rest}")
    };
    vec![
        case(
            "204 with a body",
            made(204, "Content-Length: 5\r\n\r\nhello"),
            Want::Kept(204, none.clone()),
        ),
        case(
            "204 chunked",
            made(204, "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            Want::Kept(204, none.clone()),
        ),
        case(
            "205 with a body",
            made(205, "Content-Length: 5\r\n\r\nhello"),
            Want::Kept(205, HELLO),
        ),
        case(
            "empty body",
            made(200, "Content-Length: 0\r\n\r\n"),
            Want::Kept(200, none),
        ),
        refused("304 unasked", "unasked_not_modified", made(304, "\r\n")),
        kept("206 with all of it", part("0-4/5", "hello")),
        cut(
            "206 with the beginning, again and again",
            "hel",
            part("0-2/5", "hel"),
        ),
        refused("206 with the end", "unasked_part", part("3-4/5", "lo")),
        refused(
            "206 without Content-Range",
            "unasked_part",
            made(206, "Content-Length: 5\r\n\r\nhello"),
        ),
        refused("206 of several parts", "unasked_part", {
            made(
                206,
                "Content-Type: multipart/byteranges; boundary=x\r\nContent-Length: 5\r\n\r\nhello",
            )
        }),
    ]
}
