//! A small HTTP client for the daemons' admin pages, and for one request through a proxy.
//!
//! One request per connection, a deadline over all of it, a bound on the body. Not for load: the
//! crowd has clients of its own.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use tokio::net::TcpStream;

use crate::exchange;

/// Largest page read, in bytes. A metrics page of a node is under 100 KiB.
pub const PAGE_MAX: usize = 16 << 20;

/// For one page of a daemon on this machine; more than that is no answer to a person waiting.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Page {
    /// The body as a JSON document; null if it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody accepts connections there.
    #[error("no connection: {0}")]
    Connect(#[from] std::io::Error),
    /// The connection broke or what came over it was not HTTP.
    #[error("no answer: {0}")]
    Http(#[from] hyper::Error),
    /// The path or host does not fit a request.
    #[error("no request: {0}")]
    Request(#[from] http::Error),
    /// The body broke off or exceeded [`PAGE_MAX`].
    #[error("no whole body: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
}

/// For an order that a daemon carries out together with others.
const ORDER_DEADLINE: Duration = Duration::from_secs(30);

/// Posts an order to the daemon whose admin listener is `addr`; its words are in the field `name`.
///
/// # Errors
/// There is no whole answer within half a minute.
pub async fn order(
    addr: SocketAddr,
    path: &str,
    (name, words): (&str, &str),
) -> Result<Page, FetchError> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, addr.to_string())
        .header(header::CONNECTION, "close")
        .header(name, words)
        .body(Empty::<Bytes>::new())?;
    match tokio::time::timeout(ORDER_DEADLINE, answer(addr, request)).await {
        Ok(answer) => answer,
        Err(_) => Err(FetchError::Deadline(ORDER_DEADLINE)),
    }
}

/// Sends `request` to `addr` and reads the answer to its end.
///
/// # Errors
/// There is no whole answer within `deadline`.
pub async fn send(
    addr: SocketAddr,
    request: Request<Empty<Bytes>>,
    deadline: Duration,
) -> Result<Page, FetchError> {
    match tokio::time::timeout(deadline, answer(addr, request)).await {
        Ok(answer) => answer,
        Err(_) => Err(FetchError::Deadline(deadline)),
    }
}

/// Gets `path` of the daemon whose admin listener is `addr`.
///
/// # Errors
/// There is no whole answer within [`DEADLINE`].
pub async fn page(addr: SocketAddr, path: &str) -> Result<Page, FetchError> {
    fetch(addr, Method::GET, &addr.to_string(), path, DEADLINE).await
}

/// Sends one request to `addr` with `host` in its Host field and reads the answer to its end.
///
/// # Errors
/// There is no whole answer within `deadline`.
pub async fn fetch(
    addr: SocketAddr,
    method: Method,
    host: &str,
    path: &str,
    deadline: Duration,
) -> Result<Page, FetchError> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, host)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    match tokio::time::timeout(deadline, answer(addr, request)).await {
        Ok(answer) => answer,
        Err(_) => Err(FetchError::Deadline(deadline)),
    }
}

async fn answer(addr: SocketAddr, request: Request<Empty<Bytes>>) -> Result<Page, FetchError> {
    let stream = TcpStream::connect(addr).await?;
    let response = exchange::over(stream, request).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = Limited::new(response.into_body(), PAGE_MAX).collect().await;
    Ok(Page {
        status,
        headers,
        body: body.map_err(FetchError::Body)?.to_bytes(),
    })
}
