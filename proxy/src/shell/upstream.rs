//! HTTP towards origins and peers: one request, its response's head, its body piece by piece.
//!
//! Origins are read by the engine's own lenient reader (`origin`, docs/adr/0021), peers by hyper
//! (`link`): they run this very program. Idle connections are kept, a few per destination, and used
//! again only after an exchange without any anomaly.

mod link;
mod origin;
mod reach;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use common::clock::{Clock as _, Moment, SystemClock, WallTime};
use http::{HeaderMap, Method, StatusCode};
use tokio::time::{sleep, timeout};

use self::link::Link;
use self::origin::Wire;
use super::connect::Connector;
use crate::engine::http::key::PrimaryKey;
use crate::engine::idle::{Idle, Pace};
use crate::engine::lenient::Reader;
use crate::engine::reason::FailReason;

/// Between two looks for idle connections that have to be closed.
const PRUNE_EVERY: Duration = Duration::from_secs(5);

/// For the rest of a body that nobody wants, to save its connection.
const DISCARD_WITHIN: Duration = Duration::from_secs(2);

/// What a peer's head may take longer than an origin's: it may be waiting for the index and for a
/// connection first, and is not to blame for a slow origin.
const PEER_LONGER: Duration = Duration::from_secs(12);

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

/// A request without a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) method: &'a Method,
    /// Path and query.
    pub(crate) target: &'a str,
    pub(crate) headers: &'a HeaderMap,
    /// Whoever is to hear of interim responses.
    pub(crate) hints: Option<&'a Hints>,
}

/// Where interim responses go, as bytes for a client. What it has no room for is not heard of.
pub(crate) type Hints = tokio::sync::mpsc::Sender<Vec<u8>>;

/// Time for the parts of an exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// From the request to the response's head.
    pub(crate) header: Duration,
    /// For the next piece of a body.
    pub(crate) body: Duration,
}

/// A connection that carries one exchange at a time.
#[derive(Debug)]
enum Connection {
    Origin(Wire),
    Peer(Link),
}

/// Sends requests.
#[derive(Debug)]
pub(crate) struct Client {
    connector: Connector,
    clock: SystemClock,
    patience: Patience,
    idle: Mutex<Idle<Connection>>,
}

/// The head of a response.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// It was not formed well enough to be kept.
    pub(crate) doubtful: bool,
}

/// A response whose body has yet to come. It is handed on in a box: every step that it takes would have room
/// for another one.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// Its head.
    pub(crate) head: Head,
    /// When the head had arrived.
    pub(crate) at: Moment,
    /// The calendar then.
    pub(crate) wall: WallTime,
    /// From sending the request to then.
    pub(crate) delay: Duration,
    /// Its body.
    pub(crate) body: UpstreamBody,
}

/// Where the bytes of a body come from.
#[derive(Debug)]
enum Incoming {
    Origin(Wire, Reader),
    Peer(Link, hyper::body::Incoming),
    /// It ended, and its connection is gone or given back.
    Over,
}

/// A piece of a body.
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
}

/// A body as it arrives.
#[derive(Debug)]
pub(crate) struct UpstreamBody {
    incoming: Incoming,
    client: Arc<Client>,
    pool_key: String,
    pace: Pace,
    /// Fields after the body of a peer, once it is over.
    pub(crate) trailers: Option<HeaderMap>,
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
        question: Question<'_>,
    ) -> Result<Box<Upstream>, FailReason> {
        if let Some(connection) = self.take_idle(&to.pool_key()) {
            match self.exchange(connection, to, question).await {
                Err(FailReason::Broken) => {}
                other => return other,
            }
        }
        // Boxed, as most requests find a connection, and all of them would hold room for making one.
        let connection = match Box::pin(self.connect(to)).await {
            // What is kept in reserve is of more use now.
            Err(FailReason::NoSockets) if self.close_idle() => Box::pin(self.connect(to)).await?,
            other => other?,
        };
        self.exchange(connection, to, question).await
    }

    async fn connect(&self, to: &Destination) -> Result<Connection, FailReason> {
        Ok(match to {
            Destination::Origin(key) => {
                Connection::Origin(Wire::new(self.connector.origin(key).await?))
            }
            Destination::Peer(addr) => {
                Connection::Peer(Link::open(self.connector.peer(*addr).await?).await?)
            }
        })
    }

    async fn exchange(
        self: &Arc<Self>,
        connection: Connection,
        to: &Destination,
        question: Question<'_>,
    ) -> Result<Box<Upstream>, FailReason> {
        let patience = match to {
            Destination::Origin(_) => self.patience.header,
            Destination::Peer(_) => self.patience.header + PEER_LONGER,
        };
        let sent = self.clock.moment();
        let answered = async {
            match connection {
                Connection::Origin(wire) => wire.ask(question).await,
                Connection::Peer(link) => link.ask(question).await,
            }
        };
        let (head, incoming) = match timeout(patience, answered).await {
            Ok(answered) => answered?,
            Err(_) => return Err(FailReason::HeaderTimeout),
        };
        let at = self.clock.moment();
        Ok(Box::new(Upstream {
            head,
            at,
            wall: self.clock.wall(),
            delay: at.since(sent),
            body: UpstreamBody {
                incoming,
                client: Arc::clone(self),
                pool_key: to.pool_key(),
                pace: Pace::default(),
                trailers: None,
            },
        }))
    }

    fn take_idle(&self, pool_key: &str) -> Option<Connection> {
        let now = self.clock.moment();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut connection) = idle.take(now, pool_key) {
            if connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    fn give_back(&self, pool_key: String, connection: Connection) {
        let now = self.clock.moment();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.put(now, pool_key, connection);
    }

    /// Closes all idle connections. Whether there were any.
    fn close_idle(&self) -> bool {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let any = !idle.is_empty();
        *idle = Idle::default();
        any
    }

    /// Closes connections that nobody has used for long, for ever.
    pub(crate) async fn prune(self: Arc<Self>) {
        loop {
            sleep(PRUNE_EVERY).await;
            let now = self.clock.moment();
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.prune(now, Connection::is_quiet);
        }
    }
}

impl Connection {
    /// Whether it is open and nothing has come in that nobody asked for.
    fn is_quiet(&mut self) -> bool {
        match self {
            Self::Origin(wire) => wire.is_quiet(),
            Self::Peer(link) => link.is_open(),
        }
    }
}

impl UpstreamBody {
    /// The next piece; `None` at a clean end. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, FailReason> {
        let patience = self.client.patience.body;
        loop {
            let asked = self.client.clock.moment();
            let piece = timeout(patience, self.incoming.piece()).await;
            let waited = self.client.clock.moment().since(asked);
            match piece.map_err(|_| FailReason::BodyTimeout)?? {
                Piece::Data(bytes) => {
                    self.pace.add(waited, bytes.len() as u64);
                    if self.pace.is_too_slow(patience) {
                        return Err(FailReason::BodyTimeout);
                    }
                    return Ok(Some(bytes));
                }
                Piece::Trailers(fields) => self.trailers = Some(fields),
                Piece::End => {
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
        match std::mem::replace(&mut self.incoming, Incoming::Over) {
            Incoming::Origin(wire, reader) if wire.may_be_reused(&reader) => {
                let pool_key = std::mem::take(&mut self.pool_key);
                self.client.give_back(pool_key, Connection::Origin(wire));
            }
            Incoming::Peer(link, _) => {
                let client = Arc::clone(&self.client);
                let pool_key = std::mem::take(&mut self.pool_key);
                tokio::spawn(async move {
                    if let Some(link) = link.ready().await {
                        client.give_back(pool_key, Connection::Peer(link));
                    }
                });
            }
            Incoming::Origin(..) | Incoming::Over => {}
        }
    }
}

impl Incoming {
    async fn piece(&mut self) -> Result<Piece, FailReason> {
        match self {
            Self::Origin(wire, reader) => wire.piece(reader).await,
            Self::Peer(_, incoming) => link::piece(incoming).await,
            Self::Over => Ok(Piece::End),
        }
    }
}
