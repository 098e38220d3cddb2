//! A connection to an origin: writes a request, and feeds what comes back to the engine's reader.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::{BufMut as _, BytesMut};
use http::Method;
use http::header::{HOST, HeaderName, HeaderValue};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

use super::{Head, Incoming, Piece, Question};
use crate::engine::http::interim;
use crate::engine::lenient::reader::Close;
use crate::engine::lenient::{Event, Reader};
use crate::engine::reason::FailReason;
use crate::shell::connect::Stream;

/// Bytes read at a time at first; doubled whenever a read fills them.
const READ_LEAST: usize = 8 << 10;

/// Bytes read at a time at most: what one body under way may pin beyond what is counted.
const READ_MOST: usize = 128 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    buf: BytesMut,
    read_size: usize,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            buf: BytesMut::new(),
            read_size: READ_LEAST,
        }
    }

    /// Whether it is open and silent. What comes without having been asked for would be taken for
    /// the next response.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut cx = Context::from_waker(Waker::noop());
        let read = pin!(&mut self.stream).poll_read(&mut cx, &mut ReadBuf::new(&mut byte));
        matches!(read, Poll::Pending)
    }

    pub(super) fn may_be_reused(&self, reader: &Reader) -> bool {
        reader.may_be_reused(self.buf.len())
    }

    /// Sends a request and reads up to the end of the final response's head.
    pub(super) async fn ask(
        mut self,
        question: Question<'_>,
    ) -> Result<(Head, Incoming), FailReason> {
        let request = request(question).ok_or(FailReason::Malformed)?;
        // An origin may answer and close before it has read everything: its answer counts.
        drop(self.stream.write_all(&request).await);
        drop(self.stream.flush().await);
        let mut reader = Reader::new(question.method == Method::HEAD);
        loop {
            let event = reader.next(&mut self.buf).map_err(FailReason::Unclear)?;
            match event {
                Some(Event::Interim(head)) => {
                    let hint = question.hints.and_then(|hints| {
                        Some((hints, interim::encode(head.status, head.headers)?))
                    });
                    if let Some((hints, bytes)) = hint {
                        // A client that is gone, or does not read, does without.
                        drop(hints.try_send(bytes));
                    }
                }
                Some(Event::Head(head)) => {
                    let head = Head {
                        status: head.status,
                        headers: head.headers,
                        doubtful: head.form.doubtful,
                    };
                    return Ok((head, Incoming::Origin(self, reader)));
                }
                Some(Event::Data(_) | Event::End) => return Err(FailReason::Malformed),
                None => self.read_into(&mut reader).await?,
            }
        }
    }

    /// The next piece of the body. May be dropped and called again.
    pub(super) async fn piece(&mut self, reader: &mut Reader) -> Result<Piece, FailReason> {
        loop {
            let event = reader.next(&mut self.buf).map_err(FailReason::Unclear)?;
            match event {
                Some(Event::Data(bytes)) => return Ok(Piece::Data(bytes)),
                Some(Event::End) => return Ok(Piece::End),
                Some(Event::Interim(_) | Event::Head(_)) => return Err(FailReason::Malformed),
                None => self.read_into(reader).await?,
            }
        }
    }

    /// Reads more, or tells the reader that there is no more.
    async fn read_into(&mut self, reader: &mut Reader) -> Result<(), FailReason> {
        self.buf.reserve(self.read_size);
        let read = {
            let mut room = (&mut self.buf).limit(self.read_size);
            self.stream.read_buf(&mut room).await
        };
        match read {
            Ok(0) => reader.close(Close::Clean),
            Ok(read) => {
                if read == self.read_size {
                    self.read_size = (self.read_size * 2).min(READ_MOST);
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            // Over TLS also an end without close_notify.
            Err(_) => reader.close(Close::Cut),
        }
    }
}

/// A request's bytes. `None` if the target is not one line.
fn request(question: Question<'_>) -> Option<Vec<u8>> {
    let target = question.target.as_bytes();
    if target.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
        return None;
    }
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(question.method.as_str().as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(target);
    bytes.extend_from_slice(b" HTTP/1.1\r\n");
    // Host comes first (RFC 9110 §7.2), and names have the capitals that old servers look for.
    let hosts = question.headers.get_all(HOST);
    let others = question.headers.iter().filter(|(name, _)| *name != HOST);
    for (name, value) in hosts.iter().map(|value| (&HOST, value)).chain(others) {
        write_field(name, value, &mut bytes);
    }
    bytes.extend_from_slice(b"\r\n");
    Some(bytes)
}

fn write_field(name: &HeaderName, value: &HeaderValue, bytes: &mut Vec<u8>) {
    let mut starts = true;
    for byte in name.as_str().bytes() {
        bytes.push(if starts {
            byte.to_ascii_uppercase()
        } else {
            byte
        });
        starts = byte == b'-';
    }
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value.as_bytes());
    bytes.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn a_request_begins_with_its_host_and_stays_on_its_line() {
        let headers = HeaderMap::from_iter([
            (http::header::USER_AGENT, HeaderValue::from_static("x")),
            (HOST, HeaderValue::from_static("example.com")),
        ]);
        let ask = |target| {
            request(Question {
                method: &Method::GET,
                target,
                headers: &headers,
                hints: None,
            })
        };
        let sent = b"GET /a?b HTTP/1.1\r\nHost: example.com\r\nUser-Agent: x\r\n\r\n";
        assert_eq!(ask("/a?b").as_deref(), Some(&sent[..]));
        for split in ["/a b", "/a\r\nX: y", "/a\tb", "/\u{7f}"] {
            assert_eq!(ask(split), None, "{split:?}");
        }
    }
}
