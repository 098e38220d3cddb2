//! Bodies of the demo origin: bytes from a file or made up, with a stated length, at a rate.
//!
//! A task makes the chunks and a channel of two holds them, so a slow reader costs two chunks.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::mpsc;

use super::content::Content;
use super::state::State;

/// Bytes of a chunk. Smaller ones when a rate is set, so that it flows evenly.
const CHUNK: u64 = 64 << 10;

/// Chunks made ahead of the reader.
const AHEAD: usize = 2;

/// Chunks a second when a rate is set.
const PACE: u64 = 20;

/// Where bytes come from.
#[derive(Debug)]
pub enum Source {
    /// A text made for this answer.
    Text(Bytes),
    /// A file.
    File(File),
    /// Made up.
    Made(Content),
}

/// A body of known length.
#[derive(Debug)]
pub struct Stream {
    left: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Whole(Bytes),
    Chunks(mpsc::Receiver<io::Result<Bytes>>),
}

impl Stream {
    /// The bytes `range` of `source`, at most `rate` a second.
    #[must_use]
    pub fn new(source: Source, range: Range<u64>, rate: Option<u64>, state: Arc<State>) -> Self {
        let left = range.end.saturating_sub(range.start);
        match source {
            _ if left == 0 => Self::whole(Bytes::new()),
            Source::Text(text) => Self::whole(text),
            Source::File(_) | Source::Made(_) => {
                let (sender, chunks) = mpsc::channel(AHEAD);
                tokio::spawn(produce(source, range, rate, state, sender));
                Self {
                    left,
                    kind: Kind::Chunks(chunks),
                }
            }
        }
    }

    fn whole(text: Bytes) -> Self {
        Self {
            left: text.len() as u64,
            kind: Kind::Whole(text),
        }
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let chunk = match &mut this.kind {
            Kind::Whole(text) => Ok(std::mem::take(text)),
            Kind::Chunks(chunks) => match chunks.poll_recv(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(chunk)) => chunk,
                // The length was stated, so a missing chunk breaks the connection.
                Poll::Ready(None) => Err(io::ErrorKind::UnexpectedEof.into()),
            },
        };
        if let Ok(chunk) = &chunk {
            this.left = this.left.saturating_sub(chunk.len() as u64);
        }
        Poll::Ready(Some(chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

async fn produce(
    mut source: Source,
    range: Range<u64>,
    rate: Option<u64>,
    state: Arc<State>,
    chunks: mpsc::Sender<io::Result<Bytes>>,
) {
    let chunk_max = rate.map_or(CHUNK, |rate| (rate / PACE).clamp(1, CHUNK));
    let mut at = range.start;
    while at < range.end {
        let length = usize::try_from(chunk_max.min(range.end - at)).unwrap_or_default();
        let chunk = read(&mut source, at, length).await;
        let failed = chunk.is_err();
        if chunks.send(chunk).await.is_err() || failed {
            return;
        }
        at += length as u64;
        state.sent(length as u64);
        if let Some(rate) = rate {
            let micros = (length as u64).saturating_mul(1_000_000) / rate.max(1);
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
    }
}

async fn read(source: &mut Source, at: u64, length: usize) -> io::Result<Bytes> {
    let mut bytes = vec![0; length];
    match source {
        Source::Text(text) => return Ok(text.clone()),
        Source::Made(content) => content.fill(at, &mut bytes),
        Source::File(file) => {
            file.seek(io::SeekFrom::Start(at)).await?;
            file.read_exact(&mut bytes).await?;
        }
    }
    Ok(bytes.into())
}
