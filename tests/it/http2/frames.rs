//! A client that sends whatever frames it likes, over plain TCP.

use std::net::SocketAddr;

use harness::wait::{SOON, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Types of frames (RFC 9113 §6).
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// Flags.
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// Codes of errors (RFC 9113 §7).
pub(super) const NO_ERROR: u32 = 0;
pub(super) const PROTOCOL_ERROR: u32 = 1;
pub(super) const INTERNAL_ERROR: u32 = 2;
pub(super) const REFUSED_STREAM: u32 = 7;
pub(super) const CANCEL: u32 = 8;
pub(super) const ENHANCE_YOUR_CALM: u32 = 11;

/// A frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) content: Vec<u8>,
}

impl Frame {
    pub(super) fn new(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Self {
        Self {
            kind,
            flags,
            stream,
            content: content.to_vec(),
        }
    }

    /// A GET for `path` of `host`, with these fields beside.
    pub(super) fn get(stream: u32, host: &str, path: &str, fields: &[(&str, &str)]) -> Self {
        let own = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", host),
            (":path", path),
        ];
        let block = block(own.iter().chain(fields));
        Self::new(HEADERS, END_STREAM | END_HEADERS, stream, &block)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.content.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.content);
        bytes
    }

    /// The code of a reset or of a GOAWAY.
    pub(super) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.content[at..at + 4].try_into().unwrap())
    }
}

/// A header block without a table and without Huffman codes (RFC 7541 §6.2.2).
pub(super) fn block<'a>(fields: impl IntoIterator<Item = &'a (&'a str, &'a str)>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(text.len(), &mut block);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn length(length: usize, out: &mut Vec<u8>) {
    if length < 127 {
        out.push(u8::try_from(length).unwrap());
        return;
    }
    out.push(127);
    let mut left = length - 127;
    while left >= 128 {
        out.push(u8::try_from(left % 128 + 128).unwrap());
        left /= 128;
    }
    out.push(u8::try_from(left).unwrap());
}

/// See the module.
pub(super) struct Framed {
    stream: TcpStream,
    got: Vec<u8>,
}

impl Framed {
    /// Connects and says what HTTP/2 begins with, and these settings.
    pub(super) async fn connect(to: SocketAddr, settings: &[u8]) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        let mut framed = Self {
            stream,
            got: Vec::new(),
        };
        framed.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        framed.send(&[Frame::new(SETTINGS, 0, 0, settings)]).await;
        framed
    }

    /// Sends bytes. Who is cut off in between does not mind.
    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        let _ = within("the bytes go", SOON, self.stream.write_all(bytes)).await;
    }

    pub(super) async fn send(&mut self, frames: &[Frame]) {
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        self.raw(&bytes).await;
    }

    /// The next frame; `None` at the end of the connection.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.taken() {
                return Some(frame);
            }
            let read = self.stream.read_buf(&mut self.got);
            match within("a frame comes", SOON, read).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    fn taken(&mut self) -> Option<Frame> {
        let head: [u8; 9] = self.got.get(..9)?.try_into().unwrap();
        let [a, b, c, kind, flags, stream @ ..] = head;
        let end = 9 + u32::from_be_bytes([0, a, b, c]) as usize;
        let content = self.got.get(9..end)?.to_vec();
        self.got.drain(..end);
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            content,
        })
    }

    /// The next frame of this kind.
    pub(super) async fn until(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().await.expect("another frame before the end");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// The last GOAWAY before the end of the connection.
    pub(super) async fn end(&mut self) -> Option<Frame> {
        let mut last = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                last = Some(frame);
            }
        }
        last
    }
}
