//! The body of an answer on its way out: what went, and that it is over.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::body::Cut;
use super::downstream::Outgoing;
use super::guard::Link;

/// See the module.
pub(crate) struct Metered {
    inner: Outgoing,
    link: Arc<Link>,
}

impl Metered {
    pub(crate) const fn new(inner: Outgoing, link: Arc<Link>) -> Self {
        Self { inner, link }
    }
}

impl Body for Metered {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.link.served();
    }
}
