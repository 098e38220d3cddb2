//! Connections to the daemon's Unix socket, kept for reuse up to a bound.
//!
//! Moves bytes; knows no document. A kept connection that turns out to be closed is replaced by a
//! fresh one, once: the daemon may have restarted in between.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::ClientError;

/// Connections kept when idle. More may be open while more calls are under way.
const IDLE_MAX: usize = 32;

/// Largest answer read, in bytes: a full table of nodes with their services.
const ANSWER_MAX: usize = 1 << 20;

pub(super) type Sender = SendRequest<Full<Bytes>>;

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

/// The pool behind a client.
#[derive(Debug)]
pub(super) struct Pool {
    socket: PathBuf,
    idle: Mutex<Vec<Sender>>,
}

impl Pool {
    pub(super) const fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            idle: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// One request and its whole answer within `allowed`.
    pub(super) async fn exchange(
        &self,
        method: &'static str,
        path: &str,
        body: Vec<u8>,
        allowed: Duration,
    ) -> Result<Answer, ClientError> {
        let body = Bytes::from(body);
        let attempt = Box::pin(self.attempt(method, path, body));
        timeout(allowed, attempt)
            .await
            .unwrap_or(Err(ClientError::Deadline))
    }

    async fn attempt(
        &self,
        method: &'static str,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        while let Some(mut kept) = self.take() {
            if kept.ready().await.is_err() {
                continue;
            }
            match kept
                .send_request(request(method, path, body.clone())?)
                .await
            {
                Ok(response) => return self.finish(kept, response).await,
                // Closed while idle: the daemon saw nothing of this request.
                Err(error) if error.is_canceled() || error.is_incomplete_message() => break,
                Err(error) => return Err(unreachable(&error)),
            }
        }
        let mut fresh = self.connect().await?;
        let sent = fresh.send_request(request(method, path, body)?).await;
        self.finish(fresh, sent.map_err(|error| unreachable(&error))?)
            .await
    }

    async fn finish(
        &self,
        sender: Sender,
        response: Response<Incoming>,
    ) -> Result<Answer, ClientError> {
        let status = response.status().as_u16();
        let whole = Limited::new(response.into_body(), ANSWER_MAX)
            .collect()
            .await;
        let body = whole
            .map_err(|error| ClientError::Unreachable(error.to_string()))?
            .to_bytes();
        self.keep(sender);
        Ok(Answer { status, body })
    }

    /// A new connection; its driver ends with it.
    pub(super) async fn connect(&self) -> Result<Sender, ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|e| unreachable(&e))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| unreachable(&e))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(%error, "connection to the index ended");
            }
        });
        Ok(sender)
    }

    fn take(&self) -> Option<Sender> {
        self.idle().pop()
    }

    fn keep(&self, sender: Sender) {
        let mut idle = self.idle();
        // Over the bound the connection is closed: a burst does not hold sockets for ever.
        if !sender.is_closed() && idle.len() < IDLE_MAX {
            idle.push(sender);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Sender>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn request(
    method: &'static str,
    path: &str,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, ClientError> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, "index")
        .body(Full::new(body))
        .map_err(|error| ClientError::Protocol(error.to_string()))
}

pub(super) fn unreachable(error: &impl ToString) -> ClientError {
    ClientError::Unreachable(error.to_string())
}
