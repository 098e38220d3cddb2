//! The body of any answer of ours, as hyper takes it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;

use super::body::Cut;

/// See the module.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// Bytes that are all here: those not yet given on.
    Here(Bytes),
    /// Anything else.
    Coming(UnsyncBoxBody<Bytes, Cut>),
}

impl Outgoing {
    /// No bytes.
    pub(crate) const fn empty() -> Self {
        Self::Here(Bytes::new())
    }

    /// The bytes of `body` as they come.
    pub(crate) fn of(body: impl Body<Data = Bytes, Error = Cut> + Send + 'static) -> Self {
        Self::Coming(body.boxed_unsync())
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut *self {
            Self::Here(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Here(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Coming(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Here(bytes) => bytes.is_empty(),
            Self::Coming(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Here(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Coming(body) => body.size_hint(),
        }
    }
}
