//! HTTP towards origins and peers: one request, its response's head, its body piece by piece.
//!
//! Keeps idle connections, a few per destination. A connection is used again only after an exchange
//! without any anomaly; the pool learns of it from hyper, which reports itself ready only then.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use common::clock::{Clock as _, Moment, SystemClock, WallTime};
use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, Method, Request, Response, response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::{sleep, timeout};

use super::connect::{Connector, Stream};
use crate::engine::http::key::PrimaryKey;
use crate::engine::idle::{Idle, Pace};
use crate::engine::reason::FailReason;

/// Between two looks for idle connections that have to be closed.
const PRUNE_EVERY: Duration = Duration::from_secs(5);

/// For the rest of a body that nobody wants, to save its connection.
const DISCARD_WITHIN: Duration = Duration::from_secs(2);

/// What a peer's head may take longer than an origin's: it may be waiting for the index and for a
/// connection first, and is not to blame for a slow origin.
const PEER_LONGER: Duration = Duration::from_secs(12);

/// Largest response head, in bytes.
const HEAD_MAX: usize = 256 << 10;

/// Whom a request goes to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Destination {
    /// The origin of a resource: `http://host:port`.
    Origin(PrimaryKey),
    /// Another proxy's peer port.
    Peer(SocketAddr),
}

impl Destination {
    fn pool_key(&self) -> String {
        match self {
            Self::Origin(key) => key.origin().to_owned(),
            Self::Peer(addr) => addr.to_string(),
        }
    }
}

type Sender = SendRequest<Empty<Bytes>>;

/// Time for the parts of an exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// From the request to the response's head.
    pub(crate) header: Duration,
    /// For the next piece of a body.
    pub(crate) body: Duration,
}

/// Sends requests.
#[derive(Debug)]
pub(crate) struct Client {
    connector: Connector,
    clock: SystemClock,
    patience: Patience,
    idle: Mutex<Idle<Sender>>,
}

/// A response whose body has yet to come.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// Its head.
    pub(crate) head: response::Parts,
    /// When the head had arrived.
    pub(crate) at: Moment,
    /// The calendar then.
    pub(crate) wall: WallTime,
    /// From sending the request to then.
    pub(crate) delay: Duration,
    /// Its body.
    pub(crate) body: UpstreamBody,
}

/// A body as it arrives.
#[derive(Debug)]
pub(crate) struct UpstreamBody {
    incoming: Incoming,
    patience: Duration,
    clock: SystemClock,
    pace: Pace,
    /// Fields after the body, once it is over.
    pub(crate) trailers: Option<HeaderMap>,
    /// Given back to the pool when the body ended well.
    back: Option<(Arc<Client>, String, Sender)>,
}

impl Client {
    pub(crate) fn new(connector: Connector, clock: SystemClock, patience: Patience) -> Arc<Self> {
        Arc::new(Self {
            connector,
            clock,
            patience,
            idle: Mutex::default(),
        })
    }

    /// Sends a request and waits for the response's head. A kept connection that turns out to be
    /// closed is replaced by a fresh one, once.
    pub(crate) async fn send(
        self: &Arc<Self>,
        to: &Destination,
        method: &Method,
        target: &str,
        headers: &HeaderMap,
    ) -> Result<Upstream, FailReason> {
        let pool_key = to.pool_key();
        if let Some(sender) = self.take_idle(&pool_key) {
            match self.exchange(sender, to, method, target, headers).await {
                Err(FailReason::Broken) => {}
                other => return other,
            }
        }
        let stream = match to {
            Destination::Origin(key) => self.connector.origin(key).await?,
            Destination::Peer(addr) => self.connector.peer(*addr).await?,
        };
        let sender = open(stream).await?;
        self.exchange(sender, to, method, target, headers).await
    }

    async fn exchange(
        self: &Arc<Self>,
        mut sender: Sender,
        to: &Destination,
        method: &Method,
        target: &str,
        headers: &HeaderMap,
    ) -> Result<Upstream, FailReason> {
        let patience = match to {
            Destination::Origin(_) => self.patience.header,
            Destination::Peer(_) => self.patience.header + PEER_LONGER,
        };
        let mut request = Request::new(Empty::new());
        *request.method_mut() = method.clone();
        *request.uri_mut() = target.parse().map_err(|_| FailReason::Malformed)?;
        *request.headers_mut() = headers.clone();
        let sent = self.clock.moment();
        let response = match timeout(patience, sender.send_request(request)).await {
            Ok(Ok(response)) if is_coded(response.headers()) => return Err(FailReason::Malformed),
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(reason(&error)),
            Err(_) => return Err(FailReason::HeaderTimeout),
        };
        let (at, wall) = (self.clock.moment(), self.clock.wall());
        Ok(self.upstream(response, at, wall, at.since(sent), &to.pool_key(), sender))
    }

    fn upstream(
        self: &Arc<Self>,
        response: Response<Incoming>,
        at: Moment,
        wall: WallTime,
        delay: Duration,
        pool_key: &str,
        sender: Sender,
    ) -> Upstream {
        let (head, incoming) = response.into_parts();
        let body = UpstreamBody {
            incoming,
            patience: self.patience.body,
            clock: self.clock,
            pace: Pace::default(),
            trailers: None,
            back: Some((Arc::clone(self), pool_key.to_owned(), sender)),
        };
        Upstream {
            head,
            at,
            wall,
            delay,
            body,
        }
    }

    fn take_idle(&self, pool_key: &str) -> Option<Sender> {
        let now = self.clock.moment();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(sender) = idle.take(now, pool_key) {
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    fn give_back(&self, pool_key: String, sender: Sender) {
        let now = self.clock.moment();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.put(now, pool_key, sender);
    }

    /// Closes connections that nobody has used for long, for ever.
    pub(crate) async fn prune(self: Arc<Self>) {
        loop {
            sleep(PRUNE_EVERY).await;
            let now = self.clock.moment();
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.prune(now, |sender| !sender.is_closed());
        }
    }
}

async fn open(stream: Stream) -> Result<Sender, FailReason> {
    // What broken servers send must still come through where its meaning is clear.
    let (sender, connection) = http1::Builder::new()
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .max_buf_size(HEAD_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| reason(&error))?;
    tokio::spawn(async move {
        // Its end is told to whoever waits for the response or the body.
        drop(connection.await);
    });
    Ok(sender)
}

/// Whether the body has a transfer coding beside chunks. None was asked for, and passed on without
/// its name it would be other bytes (RFC 9112 §6.1, §7.4).
fn is_coded(headers: &HeaderMap) -> bool {
    let plain = |coding: &[u8]| {
        let coding = coding.trim_ascii();
        [&b""[..], b"chunked", b"identity"]
            .iter()
            .any(|known| coding.eq_ignore_ascii_case(known))
    };
    let lines = headers.get_all(TRANSFER_ENCODING).iter();
    !lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .all(plain)
}

fn reason(error: &hyper::Error) -> FailReason {
    if error.is_parse() || error.is_parse_status() || error.is_parse_too_large() {
        FailReason::Malformed
    } else if error.is_timeout() {
        FailReason::HeaderTimeout
    } else {
        FailReason::Broken
    }
}

impl UpstreamBody {
    /// The next piece; `None` at a clean end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, FailReason> {
        loop {
            let asked = self.clock.moment();
            let next = timeout(self.patience, self.incoming.frame()).await;
            let waited = self.clock.moment().since(asked);
            match next {
                Err(_) => return Err(FailReason::BodyTimeout),
                Ok(Some(Err(_))) => return Err(FailReason::Truncated),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => {
                        self.pace.add(waited, bytes.len() as u64);
                        if self.pace.is_too_slow(self.patience) {
                            return Err(FailReason::BodyTimeout);
                        }
                        return Ok(Some(bytes));
                    }
                    Err(other) => self.trailers = other.into_trailers().ok(),
                },
                Ok(None) => {
                    self.return_connection();
                    return Ok(None);
                }
            }
        }
    }

    /// Reads a short body to its end, so that its connection can be used again.
    pub(crate) async fn discard(mut self) {
        let rest = async {
            for _ in 0..16 {
                if !matches!(self.next().await, Ok(Some(_))) {
                    return;
                }
            }
        };
        drop(timeout(DISCARD_WITHIN, rest).await);
    }

    fn return_connection(&mut self) {
        if let Some((client, pool_key, mut sender)) = self.back.take() {
            tokio::spawn(async move {
                // Ready only once the exchange is over on both sides and nothing was amiss.
                let ready = timeout(Duration::from_secs(1), sender.ready()).await;
                if matches!(ready, Ok(Ok(()))) {
                    client.give_back(pool_key, sender);
                }
            });
        }
    }
}
