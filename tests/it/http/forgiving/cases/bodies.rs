//! What frames a body, and what status and body say together.

use bytes::Bytes;

use super::{Case, HELLO, Want, case, chunked, cut, framed, kept, refused, shown, under, with};

pub(super) fn lengths() -> Vec<Case> {
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

pub(super) fn codings() -> Vec<Case> {
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

pub(super) fn chunks() -> Vec<Case> {
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

pub(super) fn statuses_and_bodies() -> Vec<Case> {
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
