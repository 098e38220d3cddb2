//! Status lines, interim heads, field lines.

use bytes::Bytes;

use super::{Case, HELLO, Want, case, framed, kept, refused, shown, under, with};

pub(super) fn status_lines() -> Vec<Case> {
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

pub(super) fn interims() -> Vec<Case> {
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

pub(super) fn field_lines() -> Vec<Case> {
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

pub(super) fn junk_lines() -> Vec<Case> {
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

pub(super) fn large_heads() -> Vec<Case> {
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
