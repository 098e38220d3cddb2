//! The body of any answer of ours, as hyper takes it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;

use super::body::{Cut, SharedBody};

/// See the module.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// Bytes that are all here.
    Here {
        /// Those not yet given on.
        bytes: Bytes,
        /// The body they are of: what it holds counts as held as long as this lives.
        _of: Option<Arc<SharedBody>>,
    },
    /// Anything else.
    Coming(UnsyncBoxBody<Bytes, Cut>),
}

impl Outgoing {
    /// No bytes.
    pub(crate) const fn empty() -> Self {
        Self::text(Bytes::new())
    }

    /// These bytes.
    pub(crate) const fn text(bytes: Bytes) -> Self {
        Self::Here { bytes, _of: None }
    }

    /// All `bytes` of a body.
    pub(crate) fn whole(body: &Arc<SharedBody>, bytes: Bytes) -> Self {
        Self::Here {
            bytes,
            _of: Some(Arc::clone(body)),
        }
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
            Self::Here { bytes, .. } if bytes.is_empty() => Poll::Ready(None),
            Self::Here { bytes, .. } => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Coming(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Here { bytes, .. } => bytes.is_empty(),
            Self::Coming(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Here { bytes, .. } => SizeHint::with_exact(bytes.len() as u64),
            Self::Coming(body) => body.size_hint(),
        }
    }
}
