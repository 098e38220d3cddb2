//! A connection to a peer: hyper's client, strict, since peers run this program.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming as Body;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{Head, Incoming, Piece, Question};
use crate::engine::lenient::fields::FIELDS_MAX;
use crate::engine::lenient::head::HEAD_MAX;
use crate::engine::reason::FailReason;
use crate::shell::connect::Stream;

/// What peers add to the fields that an origin sent.
const OWN_FIELDS_MAX: usize = 50;

/// For an exchange to be over on both sides after the end of its body.
const SETTLED_WITHIN: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Link(SendRequest<Empty<Bytes>>);

impl Link {
    pub(super) async fn open(stream: Stream) -> Result<Self, FailReason> {
        // A peer passes on what an origin sent, so it may send as much and a little more.
        let (sender, connection) = http1::Builder::new()
            .max_headers(FIELDS_MAX + OWN_FIELDS_MAX)
            .max_buf_size(HEAD_MAX * 2)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| reason(&error))?;
        tokio::spawn(async move {
            // Its end is told to whoever waits for the response or the body.
            drop(connection.await);
        });
        Ok(Self(sender))
    }

    pub(super) fn is_open(&self) -> bool {
        !self.0.is_closed()
    }

    pub(super) async fn ask(
        mut self,
        question: Question<'_>,
    ) -> Result<(Head, Incoming), FailReason> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = question.method.clone();
        *request.uri_mut() = question.target.parse().map_err(|_| FailReason::Malformed)?;
        *request.headers_mut() = question.headers.clone();
        let response = self.0.send_request(request).await;
        let (head, body) = response.map_err(|error| reason(&error))?.into_parts();
        let head = Head {
            status: head.status,
            headers: head.headers,
            doubtful: false,
        };
        Ok((head, Incoming::Peer(self, body)))
    }

    /// Waits until it can carry another exchange; it is ready only if nothing was amiss.
    pub(super) async fn ready(mut self) -> Option<Self> {
        let ready = timeout(SETTLED_WITHIN, self.0.ready()).await;
        matches!(ready, Ok(Ok(()))).then_some(self)
    }
}

/// The next piece of a peer's body.
pub(super) async fn piece(body: &mut Body) -> Result<Piece, FailReason> {
    match body.frame().await {
        None => Ok(Piece::End),
        Some(Err(_)) => Err(FailReason::Truncated),
        Some(Ok(frame)) => match frame.into_data() {
            Ok(bytes) => Ok(Piece::Data(bytes)),
            Err(other) => Ok(Piece::Trailers(other.into_trailers().unwrap_or_default())),
        },
    }
}

fn reason(error: &hyper::Error) -> FailReason {
    if error.is_parse() || error.is_parse_status() || error.is_parse_too_large() {
        FailReason::Malformed
    } else {
        FailReason::Broken
    }
}
