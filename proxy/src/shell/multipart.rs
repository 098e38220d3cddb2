//! The body of an answer with several parts: text, bytes of a body, text, and so on.
//!
//! A part's bytes are looked for when it is its turn, so a client that leaves early costs no more
//! than it took. Only whole bodies are sent this way: from one that still grows, a part that lies
//! further back might be gone by then.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::body::{Cut, Reader, SharedBody};
use super::slices::{Large, Sliced};
use crate::engine::http::multipart::Multipart;

/// What comes next.
#[derive(Debug)]
enum Piece {
    Text(Bytes),
    Part(Range<u64>),
}

/// What the parts are parts of.
#[derive(Debug)]
enum Of {
    Body(Arc<SharedBody>),
    Slices(Large),
}

/// One who reads a part.
#[derive(Debug)]
enum Reading {
    Body(Reader<()>),
    Slices(Box<Sliced>),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Parts {
    of: Of,
    pieces: VecDeque<Piece>,
    reader: Option<Reading>,
    left: u64,
}

impl Parts {
    /// The content that `multipart` lays out, with bytes of `body`.
    pub(crate) fn new(body: &Arc<SharedBody>, multipart: Multipart) -> Self {
        Self::of(Of::Body(Arc::clone(body)), multipart)
    }

    /// The same with bytes of an object that is kept in slices.
    pub(crate) fn sliced(large: Large, multipart: Multipart) -> Self {
        Self::of(Of::Slices(large), multipart)
    }

    fn of(of: Of, multipart: Multipart) -> Self {
        let left = multipart.length;
        let parts = multipart.parts.into_iter();
        let mut pieces: VecDeque<_> = parts
            .flat_map(|part| [Piece::Text(part.head.into()), Piece::Part(part.range)])
            .collect();
        pieces.push_back(Piece::Text(multipart.tail.into()));
        Self {
            of,
            pieces,
            reader: None,
            left,
        }
    }

    fn send(&mut self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.left = self.left.saturating_sub(bytes.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        loop {
            if let Some(reader) = &mut self.reader {
                let polled = match reader {
                    Reading::Body(reader) => Pin::new(reader).poll_frame(cx),
                    Reading::Slices(reader) => Pin::new(&mut **reader).poll_frame(cx),
                };
                match std::task::ready!(polled) {
                    Some(Err(cut)) => return Poll::Ready(Some(Err(cut))),
                    Some(Ok(frame)) => {
                        if let Ok(bytes) = frame.into_data() {
                            return self.send(bytes);
                        }
                    }
                    None => self.reader = None,
                }
                continue;
            }
            match self.pieces.pop_front() {
                None => return Poll::Ready(None),
                Some(Piece::Text(text)) => return self.send(text),
                Some(Piece::Part(range)) => {
                    self.reader = Some(match &self.of {
                        Of::Body(body) => {
                            Reading::Body(body.reader(range.start, Some(range.end), ()))
                        }
                        Of::Slices(large) => {
                            Reading::Slices(Box::new(Sliced::new(large.clone(), range, None)))
                        }
                    });
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::engine::http::multipart::layout;
    use crate::shell::room::Room;

    #[tokio::test]
    async fn parts_come_in_order_between_their_heads() {
        let (body, mut writer) = SharedBody::new(Some(10), None, &Arc::new(Room::new(1 << 20)));
        writer.push(Bytes::from_static(b"0123456789")).await;
        writer.finish(Bytes::new(), [0; 32]);
        let content = layout(&[8..10, 0..2], 10, &HeaderMap::new(), b"x");
        let (length, tail) = (content.length, content.tail.clone());
        let parts = Parts::new(&body, content);
        assert_eq!(parts.size_hint().exact(), Some(length));
        let sent = parts.collect().await.unwrap().to_bytes();
        assert_eq!(sent.len() as u64, length);
        let text = str::from_utf8(&sent).unwrap();
        let (first, second) = (text.find("\r\n\r\n89\r\n"), text.find("\r\n\r\n01\r\n"));
        assert!(first.unwrap() < second.unwrap(), "{text}");
        assert!(sent.ends_with(&tail));
    }
}
