//! What did not go out at once: the rest of some answers, or a large body behind its head.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Turn, Poll, ready};

use tokio::io::AsyncWrite;

use super::file::FileBody;
use super::look::Notes;
use crate::shell::context::Context;
use crate::shell::fill::Response as Object;
use crate::shell::line::FromFile;
use crate::shell::metered::TELL_EVERY;
use crate::shell::metrics::InFlight;
use crate::shell::share::Account;

/// See the module.
pub(super) struct Sending {
    ctx: Arc<Context>,
    /// What goes before the body.
    head: Vec<u8>,
    /// Of that, what has gone.
    gone: usize,
    tail: Option<Tail>,
    notes: Option<Notes>,
    whole: bool,
}

/// Where a body is.
pub(super) enum Body {
    /// In memory, in one piece.
    Memory(Arc<Object>),
    /// In a file.
    File(FileBody),
}

/// A body that goes out by itself.
pub(super) struct Tail {
    body: Body,
    /// Bytes that have gone.
    sent: u64,
    /// Of these, as many as the account knows of.
    told: u64,
    account: Option<Account>,
    _in_flight: InFlight,
}

impl Tail {
    /// `body`, counted for `account`.
    pub(super) const fn new(body: Body, account: Option<Account>, in_flight: InFlight) -> Self {
        Self {
            body,
            sent: 0,
            told: 0,
            account,
            _in_flight: in_flight,
        }
    }

    /// What has not gone, where it is in memory.
    fn rest(&self) -> &[u8] {
        let Body::Memory(object) = &self.body else {
            return &[];
        };
        let body = object.body.one().unwrap_or_default();
        let sent = usize::try_from(self.sent).unwrap_or(usize::MAX);
        body.get(sent..).unwrap_or_default()
    }

    /// The file it is in, if not all of it has gone.
    fn file(&mut self) -> Option<&mut FileBody> {
        match &mut self.body {
            Body::File(file) if self.sent < file.len() => Some(file),
            Body::File(_) | Body::Memory(_) => None,
        }
    }

    fn went(&mut self, ctx: &Context, bytes: u64) {
        self.sent += bytes;
        if self.sent - self.told >= TELL_EVERY {
            self.tell(ctx, false);
        }
    }

    fn tell(&mut self, ctx: &Context, over: bool) {
        if let Some(account) = &self.account {
            let (more, sent) = (self.sent - self.told, self.sent);
            account.sent(ctx.now(), more, over.then_some(sent));
            self.told = self.sent;
        }
    }
}

impl Sending {
    /// `head` and then `tail`, of which `notes` tell.
    pub(super) fn new(ctx: &Arc<Context>, head: &[u8], tail: Option<Tail>, notes: Notes) -> Self {
        Self {
            ctx: Arc::clone(ctx),
            head: head.to_vec(),
            gone: 0,
            tail,
            notes: Some(notes),
            whole: false,
        }
    }

    /// Sends all of it.
    pub(super) fn poll<S: AsyncWrite + FromFile + Unpin>(
        &mut self,
        cx: &mut Turn<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<()>> {
        loop {
            let head = &self.head[self.gone..];
            let body = self.tail.as_ref().map_or(&[][..], Tail::rest);
            if head.is_empty() && body.is_empty() {
                if let Some(tail) = &mut self.tail
                    && let (at, Some(file)) = (tail.sent, tail.file())
                {
                    let more = ready!(file.poll_send(cx, stream, at))?;
                    tail.went(&self.ctx, more);
                    continue;
                }
                ready!(Pin::new(stream).poll_flush(cx))?;
                self.whole = true;
                return Poll::Ready(Ok(()));
            }
            let stream = Pin::new(&mut *stream);
            let sent = if head.is_empty() {
                stream.poll_write(cx, body)
            } else if body.is_empty() || !stream.is_write_vectored() {
                stream.poll_write(cx, head)
            } else {
                let both = [IoSlice::new(head), IoSlice::new(body)];
                stream.poll_write_vectored(cx, &both)
            };
            let sent = ready!(sent)?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_head = sent.min(head.len());
            self.gone += of_head;
            if let Some(tail) = &mut self.tail {
                tail.went(&self.ctx, (sent - of_head) as u64);
            }
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let Some(mut notes) = self.notes.take() else {
            return;
        };
        if let Some(tail) = &mut self.tail {
            tail.tell(&self.ctx, true);
            notes.sent(tail.sent);
        }
        notes.over(&self.ctx, self.whole);
    }
}
