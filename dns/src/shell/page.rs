//! The check page as it comes in: judged from the first bytes, byte by byte, without a library.
//!
//! The name server makes hundreds of checks a second, each on a connection of its own. It asks one
//! fixed question and needs of the answer its status, three fields and the first two bytes of the
//! page; a whole HTTP client costs more than all else about a check that is not the kernel's
//! (docs/adr/0032-working-set.md). What this reader cannot read is broken for its purpose, and the
//! proxies it reads are ours.

use crate::engine::reason::Fault;

/// What the page starts with.
const BODY: &[u8] = b"ok";

/// Bytes of a head that are read at the most: ours have about 300.
pub const HEAD_MAX: usize = 4_096;

/// A proxy that says so asks to be left alone, whatever the status.
const DRAINING: &str = "atoll-draining";

/// A proxy that says 0 serves, but not the public.
const PUBLIC: &str = "atoll-public";

/// How much more a proxy could do, in percent; 0 is full. One that does not say has all to spare.
const SPARE: &str = "atoll-spare";

/// What the bytes so far come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judged {
    /// More is needed.
    Unfinished,
    /// The expected page, from a proxy that has so much to spare, in percent.
    Good(u8),
    /// Something else.
    Bad(Fault),
}

/// Judges the beginning of an answer.
#[must_use]
pub fn judge(bytes: &[u8]) -> Judged {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        let begins_well = bytes.starts_with(b"HTTP/1.") || b"HTTP/1.".starts_with(bytes);
        return if bytes.len() < HEAD_MAX && begins_well {
            Judged::Unfinished
        } else {
            Judged::Bad(Fault::Broken)
        };
    };
    let (head, rest) = bytes.split_at(end);
    let Ok(head) = std::str::from_utf8(head) else {
        return Judged::Bad(Fault::Broken);
    };
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(status);
    let (mut chunked, mut spare) = (false, 100);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            return Judged::Bad(Fault::Broken);
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case(DRAINING) && value != "0" {
            return Judged::Bad(Fault::Draining);
        }
        if name.eq_ignore_ascii_case(PUBLIC) && value == "0" {
            return Judged::Bad(Fault::NotPublic);
        }
        if name.eq_ignore_ascii_case(SPARE) {
            spare = value.parse().unwrap_or(100).min(100);
        }
        chunked |= name.eq_ignore_ascii_case("transfer-encoding");
    }
    match status {
        Some(200) => page(rest.get(4..).unwrap_or_default(), chunked, spare),
        Some(_) => Judged::Bad(Fault::Status),
        None => Judged::Bad(Fault::Broken),
    }
}

/// The status of an HTTP/1 answer.
fn status(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.")?;
    let mut words = rest.split(' ');
    let version = words.next()?;
    let code = words.next()?;
    let fits = version.len() == 1 && code.len() == 3;
    code.parse().ok().filter(|_| fits)
}

fn page(body: &[u8], chunked: bool, spare: u8) -> Judged {
    let start = if chunked {
        // Behind the line with the size of the first chunk.
        match body.windows(2).position(|two| two == b"\r\n") {
            Some(at) => body.get(at + 2..).unwrap_or_default(),
            None => return Judged::Unfinished,
        }
    } else {
        body
    };
    if start.starts_with(BODY) {
        Judged::Good(spare)
    } else if BODY.starts_with(start) {
        Judged::Unfinished
    } else {
        Judged::Bad(Fault::Body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged_from_their_beginning() {
        let rows: [(&[u8], Judged); 17] = [
            (b"", Judged::Unfinished),
            (b"HTT", Judged::Unfinished),
            (b"HTTP/1.1 200 OK\r\nx: y\r\n", Judged::Unfinished),
            (b"HTTP/1.1 200 OK\r\n\r\n", Judged::Unfinished),
            (b"HTTP/1.1 200 OK\r\n\r\no", Judged::Unfinished),
            (b"HTTP/1.1 200 OK\r\n\r\nok node", Judged::Good(100)),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nok node\n",
                Judged::Good(100),
            ),
            (
                b"HTTP/1.1 200 OK\r\nAtoll-Spare: 35\r\n\r\nok",
                Judged::Good(35),
            ),
            (
                b"HTTP/1.1 200 OK\r\natoll-spare: much\r\n\r\nok",
                Judged::Good(100),
            ),
            (b"HTTP/1.1 200 OK\r\n\r\nno", Judged::Bad(Fault::Body)),
            (b"HTTP/1.0 502 Bad\r\n\r\n", Judged::Bad(Fault::Status)),
            (
                b"HTTP/1.1 503 Busy\r\nAtoll-Draining: 1\r\n\r\n",
                Judged::Bad(Fault::Draining),
            ),
            (
                b"HTTP/1.1 200 OK\r\natoll-draining: 0\r\natoll-public: 0\r\n\r\nok",
                Judged::Bad(Fault::NotPublic),
            ),
            (b"what?\r\n\r\n", Judged::Bad(Fault::Broken)),
            (b"what?", Judged::Bad(Fault::Broken)),
            (b"HTTP/1.1 OK\r\n\r\nok", Judged::Bad(Fault::Broken)),
            (
                b"HTTP/1.1 200 OK\r\n\xff: \r\n\r\nok",
                Judged::Bad(Fault::Broken),
            ),
        ];
        for (bytes, judged) in rows {
            assert_eq!(judge(bytes), judged, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_head_without_end_is_not_waited_for() {
        let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
        head.resize(HEAD_MAX - 1, b'x');
        assert_eq!(judge(&head), Judged::Unfinished);
        head.push(b'x');
        assert_eq!(judge(&head), Judged::Bad(Fault::Broken));
    }
}
