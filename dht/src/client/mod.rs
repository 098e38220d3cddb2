//! The asynchronous client of the local index daemon: what the proxy and the name server import.
//!
//! Speaks the documents of [`crate::api`] over HTTP/1.1 on the daemon's Unix socket, with a bounded
//! pool of kept connections. Every call has a deadline; a daemon that is not there is
//! [`ClientError::Unreachable`] at once, and the next call finds it again when it is back. Nothing
//! is retried beyond one attempt on a fresh connection when a kept one turned out to be closed.

mod both;
mod conn;
mod session;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::ids::{Key, NodeId};
use common::trace::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::{
    BytesDoc, ClaimResponse, ErrorDoc, GetRequest, HintRequest, KeyDoc, LevelDoc, LevelsResponse,
    NodesRequest, NodesResponse, PingDoc, PingRequest, PingResponse, PingsRequest, PingsResponse,
    PutRequest, PutResponse, ServiceDoc, ValueDoc, ValuesDoc, WithdrawRequest, WithdrawResponse,
    micros, millis,
};
use conn::Pool;

pub use crate::api::PINGS_MAX;
pub use crate::refusal::Refusal;
pub use crate::value::Value;
pub use session::ServiceSession;

/// Time beyond the caller's deadline that the daemon has to get its answer across the socket.
/// The daemon ends the command at the deadline itself; this only covers the way back.
const TRANSPORT_GRACE: Duration = Duration::from_millis(100);

/// A handle to the index daemon behind a Unix socket. Clones share one connection pool.
#[derive(Clone)]
pub struct Client {
    pool: Arc<Pool>,
    trace: Option<Context>,
    /// The index of the network that this one's takes the place of.
    old: Option<Arc<Self>>,
}

/// Why a call gave nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClientError {
    /// No daemon answers at the socket, or it went away during the call.
    #[error("the index daemon cannot be reached: {0}")]
    Unreachable(String),
    /// The deadline passed.
    #[error("the index gave no answer within the deadline")]
    Deadline,
    /// The index said no.
    #[error("the index refused: {0}")]
    Refused(Refusal),
    /// The daemon answered something this client does not understand.
    #[error("the index answered out of protocol: {0}")]
    Protocol(String),
}

/// What a get found. No values is an answer too: nobody reachable has the key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// The values, in the order in which the walk met them: those of inner levels first. Each says
    /// its level. May exceed what was wanted: a node returns all it has room for.
    pub values: Vec<Value>,
}

/// What a claim came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// The key is the caller's until the TTL ends: fetch, and renew or withdraw.
    Granted,
    /// Others have it or are fetching it: their values, never empty.
    Found(Vec<Value>),
}

/// A live node of the index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeView {
    /// Its id.
    pub id: NodeId,
    /// Address of its index.
    pub addr: SocketAddr,
    /// Smoothed round-trip time; `None` for the asked node itself.
    pub rtt: Option<Duration>,
    /// How far the client asked about is from it by the hints: as its publisher measured, or for
    /// other members of the publisher's cluster half the cluster's width more. `None` where no hint
    /// leads to it.
    pub near: Option<Duration>,
    /// What runs there: kind of service and public address.
    pub services: Vec<(String, SocketAddr)>,
}

/// Answer to a first-hand ping.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pong {
    /// Round-trip time of this ping.
    pub rtt: Duration,
    /// What runs there: kind of service and public address.
    pub services: Vec<(String, SocketAddr)>,
}

impl Client {
    /// A client of the daemon at `socket`. Nothing is opened before the first call.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self {
            pool: Arc::new(Pool::new(socket)),
            trace: None,
            old: None,
        }
    }

    /// The same index, for calls that are part of a trace; one that knows nothing of traces answers all
    /// the same.
    #[must_use]
    pub fn traced(&self, trace: Option<Context>) -> Self {
        let old = self.old.as_ref();
        Self {
            pool: Arc::clone(&self.pool),
            trace,
            old: old.map(|old| Arc::new(old.traced(trace))),
        }
    }

    /// The same beside the daemon at `old`, which is of a network that does not speak with this one's: what is
    /// put goes to both, and what is asked is asked of this one first.
    #[must_use]
    pub fn beside(mut self, old: PathBuf) -> Self {
        self.old = Some(Arc::new(Self::new(old)));
        self
    }

    /// Asks both, and gives what both said; the old one need not answer if `enough` says so of the new one's.
    async fn both<A>(
        new: impl Future<Output = A>,
        old: impl Future<Output = A>,
        enough: impl FnOnce(&A) -> bool,
    ) -> (A, Option<A>) {
        let (mut new, mut old) = (std::pin::pin!(new), std::pin::pin!(old));
        let mut early = None;
        let first = loop {
            tokio::select! {
                biased;
                first = &mut new => break first,
                answer = &mut old, if early.is_none() => early = Some(answer),
            }
        };
        if enough(&first) {
            return (first, None);
        }
        let second = match early {
            Some(early) => early,
            None => old.await,
        };
        (first, Some(second))
    }

    /// Values under `key`; ends as soon as `want` are found, and at `deadline` with what there is.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get(
        &self,
        key: Key,
        want: usize,
        deadline: Duration,
    ) -> Result<Found, ClientError> {
        self.get_within(key, want, 0, deadline).await
    }

    /// As [`get`](Self::get), but asks no level outside `outermost`: above 0 no request leaves this
    /// node's cluster of that level.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with [`Refusal::Level`] if there is no such level; otherwise see
    /// [`ClientError`].
    pub async fn get_within(
        &self,
        key: Key,
        want: usize,
        outermost: u8,
        deadline: Duration,
    ) -> Result<Found, ClientError> {
        let Some(old) = &self.old else {
            return self.get_here(key, want, outermost, deadline).await;
        };
        let new = self.get_here(key, want, outermost, deadline);
        let old = old.get_here(key, want, outermost, deadline);
        match Self::both(new, old, both::is_enough).await {
            (new, None) => new,
            (new, Some(old)) => both::found(new, old),
        }
    }

    async fn get_here(
        &self,
        key: Key,
        want: usize,
        outermost: u8,
        deadline: Duration,
    ) -> Result<Found, ClientError> {
        let want = u8::try_from(want).unwrap_or(u8::MAX);
        let deadline_ms = millis(deadline);
        let request = GetRequest {
            key: KeyDoc::of(key),
            want,
            deadline_ms,
            outermost,
            stream: false,
        };
        let doc: ValuesDoc = self.post("/v1/get", &request, deadline).await?;
        Ok(Found {
            values: values(doc.values)?,
        })
    }

    /// Puts `value` under `key` for `ttl`, replacing this node's earlier value there. Returns how
    /// many nodes stored it (at least one).
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn put(
        &self,
        key: Key,
        value: &[u8],
        ttl: Duration,
        deadline: Duration,
    ) -> Result<u32, ClientError> {
        let Some(old) = &self.old else {
            return self.put_here(key, value, ttl, deadline).await;
        };
        let (new, old) = tokio::join!(
            self.put_here(key, value, ttl, deadline),
            old.put_here(key, value, ttl, deadline),
        );
        both::told(new, old)
    }

    async fn put_here(
        &self,
        key: Key,
        value: &[u8],
        ttl: Duration,
        deadline: Duration,
    ) -> Result<u32, ClientError> {
        let request = put_request(key, value, ttl, deadline);
        let doc: PutResponse = self.post("/v1/put", &request, deadline).await?;
        Ok(doc.copies)
    }

    /// Returns the values others have under `key` or, if there are none, puts `value` there for
    /// `ttl`; one atomic step at the key's node, so of two who claim at once one is granted.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn claim(
        &self,
        key: Key,
        value: &[u8],
        ttl: Duration,
        deadline: Duration,
    ) -> Result<Claim, ClientError> {
        let new = self.claim_here(key, value, ttl, deadline).await;
        match &self.old {
            Some(old) if !matches!(new, Ok(Claim::Found(_))) => {
                let old = old.claim_here(key, value, ttl, deadline).await;
                both::claimed(new, old)
            }
            Some(_) | None => new,
        }
    }

    async fn claim_here(
        &self,
        key: Key,
        value: &[u8],
        ttl: Duration,
        deadline: Duration,
    ) -> Result<Claim, ClientError> {
        let request = put_request(key, value, ttl, deadline);
        let doc: ClaimResponse = self.post("/v1/claim", &request, deadline).await?;
        match (doc.granted, values(doc.values)?) {
            (true, _) => Ok(Claim::Granted),
            (false, found) if !found.is_empty() => Ok(Claim::Found(found)),
            (false, _) => Err(ClientError::Protocol(
                "a claim neither granted nor found".into(),
            )),
        }
    }

    /// Takes this node's value under `key` back. Returns how many nodes were told.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn withdraw(&self, key: Key, deadline: Duration) -> Result<u32, ClientError> {
        let Some(old) = &self.old else {
            return self.withdraw_here(key, deadline).await;
        };
        let (new, old) = tokio::join!(
            self.withdraw_here(key, deadline),
            old.withdraw_here(key, deadline),
        );
        both::told(new, old)
    }

    async fn withdraw_here(&self, key: Key, deadline: Duration) -> Result<u32, ClientError> {
        let request = WithdrawRequest {
            key: KeyDoc::of(key),
            deadline_ms: millis(deadline),
        };
        let doc: WithdrawResponse = self.post("/v1/withdraw", &request, deadline).await?;
        Ok(doc.copies)
    }

    /// Tells the index that this node measured `rtt` to a client at `client`, for `ttl`: a hint
    /// that clients of its prefix are near. Returns how many nodes stored it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn hint(
        &self,
        client: IpAddr,
        rtt: Duration,
        ttl: Duration,
        deadline: Duration,
    ) -> Result<u32, ClientError> {
        let Some(old) = &self.old else {
            return self.hint_here(client, rtt, ttl, deadline).await;
        };
        let (new, old) = tokio::join!(
            self.hint_here(client, rtt, ttl, deadline),
            old.hint_here(client, rtt, ttl, deadline),
        );
        both::told(new, old)
    }

    async fn hint_here(
        &self,
        client: IpAddr,
        rtt: Duration,
        ttl: Duration,
        deadline: Duration,
    ) -> Result<u32, ClientError> {
        let request = HintRequest {
            client,
            rtt_us: micros(rtt),
            ttl_ms: millis(ttl),
            deadline_ms: millis(deadline),
        };
        let doc: PutResponse = self.post("/v1/hint", &request, deadline).await?;
        Ok(doc.copies)
    }

    /// The daemon's state page, for people and tools; its fields are no promise.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn state(&self, deadline: Duration) -> Result<serde_json::Value, ClientError> {
        let answer = self
            .pool
            .exchange("GET", "/v1/state", Vec::new(), deadline)
            .await?;
        read(answer.status, &answer.body)
    }

    /// Up to `count` live nodes of `level` in random order, filled up from the levels around it,
    /// nearest first, where the cluster has fewer; only those that run `service` if one is named.
    /// With `near`, those that hints place near that client come first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn nodes(
        &self,
        level: u8,
        count: usize,
        near: Option<IpAddr>,
        service: Option<&str>,
        deadline: Duration,
    ) -> Result<Vec<NodeView>, ClientError> {
        let Some(old) = &self.old else {
            return self.nodes_here(level, count, near, service, deadline).await;
        };
        let (new, old) = tokio::join!(
            self.nodes_here(level, count, near, service, deadline),
            old.nodes_here(level, count, near, service, deadline),
        );
        both::nodes(new, old)
    }

    async fn nodes_here(
        &self,
        level: u8,
        count: usize,
        near: Option<IpAddr>,
        service: Option<&str>,
        deadline: Duration,
    ) -> Result<Vec<NodeView>, ClientError> {
        let request = NodesRequest {
            level,
            count: u16::try_from(count).unwrap_or(u16::MAX),
            near,
            service: service.map(str::to_owned),
            deadline_ms: millis(deadline),
        };
        let doc: NodesResponse = self.post("/v1/nodes", &request, deadline).await?;
        let view = |node: crate::api::NodeDoc| NodeView {
            id: node.id,
            addr: node.addr,
            rtt: node.rtt_us.map(Duration::from_micros),
            near: node.near_us.map(Duration::from_micros),
            services: services(node.services),
        };
        Ok(doc.nodes.into_iter().map(view).collect())
    }

    /// The levels this node takes part in, level 0 first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn levels(&self, deadline: Duration) -> Result<Vec<LevelDoc>, ClientError> {
        let answer = self
            .pool
            .exchange("GET", "/v1/levels", Vec::new(), deadline)
            .await?;
        let doc: LevelsResponse = read(answer.status, &answer.body)?;
        Ok(doc.levels)
    }

    /// One first-hand ping of the index at `addr`, with at most two attempts.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with [`Refusal::Unreachable`] if it does not answer; otherwise see
    /// [`ClientError`].
    pub async fn ping(&self, addr: SocketAddr, deadline: Duration) -> Result<Pong, ClientError> {
        let Some(old) = &self.old else {
            return self.ping_here(addr, deadline).await;
        };
        let (new, old) = (
            self.ping_here(addr, deadline),
            old.ping_here(addr, deadline),
        );
        match Self::both(new, old, Result::is_ok).await {
            (new, None) => new,
            (new, Some(old)) => both::pong(new, old),
        }
    }

    async fn ping_here(&self, addr: SocketAddr, deadline: Duration) -> Result<Pong, ClientError> {
        let request = PingRequest {
            addr,
            deadline_ms: millis(deadline),
        };
        let doc: PingResponse = self.post("/v1/ping", &request, deadline).await?;
        Ok(pong(doc))
    }

    /// As [`ping`](Self::ping) for several indexes, at most [`PINGS_MAX`], in one request: the results
    /// in their order, when the last ping has ended.
    ///
    /// # Errors
    /// See [`ClientError`]: of the request as a whole, or of one ping in its place.
    pub async fn pings(
        &self,
        addrs: Vec<SocketAddr>,
        deadline: Duration,
    ) -> Result<Vec<Result<Pong, ClientError>>, ClientError> {
        let Some(old) = &self.old else {
            return self.pings_here(addrs, deadline).await;
        };
        let (new, old) = (
            self.pings_here(addrs.clone(), deadline),
            old.pings_here(addrs, deadline),
        );
        let all = |new: &Result<Vec<_>, _>| {
            let pongs = new.as_ref();
            pongs.is_ok_and(|pongs| pongs.iter().all(Result::is_ok))
        };
        match Self::both(new, old, all).await {
            (Ok(new), Some(Ok(old))) => {
                let each = new.into_iter().zip(old);
                Ok(each.map(|(new, old)| both::pong(new, old)).collect())
            }
            (Err(_), Some(Ok(pongs))) => Ok(pongs),
            (new, _) => new,
        }
    }

    async fn pings_here(
        &self,
        addrs: Vec<SocketAddr>,
        deadline: Duration,
    ) -> Result<Vec<Result<Pong, ClientError>>, ClientError> {
        let asked = addrs.len();
        let request = PingsRequest {
            addrs,
            deadline_ms: millis(deadline),
        };
        let doc: PingsResponse = self.post("/v1/pings", &request, deadline).await?;
        if doc.pings.len() != asked {
            let message = format!("{} results of {asked} pings", doc.pings.len());
            return Err(ClientError::Protocol(message));
        }
        let result = |doc| match doc {
            PingDoc::Pong(doc) => Ok(pong(doc)),
            PingDoc::Refused { error } => Err(refused(&error, || format!("refused as {error}"))),
        };
        Ok(doc.pings.into_iter().map(result).collect())
    }

    /// Registers a service of this machine, such as (`http`, the proxy's public address), for as
    /// long as the session lives. When it is closed, call again.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn service(
        &self,
        name: &str,
        addr: SocketAddr,
    ) -> Result<ServiceSession, ClientError> {
        let doc = ServiceDoc {
            name: name.to_owned(),
            addr,
        };
        let session = ServiceSession::open(&self.pool, &doc).await;
        let Some(old) = &self.old else {
            return session;
        };
        // Whoever looks in the old network only finds it there.
        let there = ServiceSession::open(&old.pool, &doc).await;
        match (session, there) {
            (Ok(session), Ok(there)) => Ok(session.with(there)),
            (Ok(session), Err(_)) | (Err(_), Ok(session)) => Ok(session),
            (Err(error), Err(_)) => Err(error),
        }
    }

    async fn post<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &'static str,
        request: &Q,
        deadline: Duration,
    ) -> Result<A, ClientError> {
        let body = encode(request)?;
        let allowed = deadline.saturating_add(TRANSPORT_GRACE);
        let traced = self.trace.map(|trace| format!("{path}?trace={trace}"));
        let path = traced.as_deref().unwrap_or(path);
        let answer = self.pool.exchange("POST", path, body, allowed).await?;
        read(answer.status, &answer.body)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("socket", &self.pool.socket())
            .finish_non_exhaustive()
    }
}

fn put_request(key: Key, value: &[u8], ttl: Duration, deadline: Duration) -> PutRequest {
    PutRequest {
        key: KeyDoc::of(key),
        bytes: BytesDoc::of(value),
        ttl_ms: millis(ttl),
        deadline_ms: millis(deadline),
    }
}

fn values(docs: Vec<ValueDoc>) -> Result<Vec<Value>, ClientError> {
    let read = docs
        .into_iter()
        .map(Value::try_from)
        .collect::<Result<_, _>>();
    read.map_err(|error| ClientError::Protocol(error.to_string()))
}

fn services(docs: Vec<ServiceDoc>) -> Vec<(String, SocketAddr)> {
    docs.into_iter().map(|doc| (doc.name, doc.addr)).collect()
}

fn encode<Q: Serialize>(request: &Q) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(request).map_err(|error| ClientError::Protocol(error.to_string()))
}

/// The document of a good answer, or the error a bad one stands for.
fn read<A: DeserializeOwned>(status: u16, body: &[u8]) -> Result<A, ClientError> {
    if status == 200 {
        return serde_json::from_slice(body).map_err(|e| ClientError::Protocol(e.to_string()));
    }
    let doc: ErrorDoc = serde_json::from_slice(body)
        .map_err(|_| ClientError::Protocol(format!("status {status} without a reason")))?;
    let unknown = || format!("status {status}: {}", doc.message);
    Err(refused(&doc.error, unknown))
}

/// The error that the word of a refusal stands for.
fn refused(word: &str, unknown: impl FnOnce() -> String) -> ClientError {
    match word.parse() {
        Ok(Refusal::Deadline) => ClientError::Deadline,
        Ok(refusal) => ClientError::Refused(refusal),
        Err(_) => ClientError::Protocol(unknown()),
    }
}

fn pong(doc: PingResponse) -> Pong {
    Pong {
        rtt: Duration::from_micros(doc.rtt_us),
        services: services(doc.services),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_reason_and_a_deadline_is_its_own_error() {
        let body = |refusal| serde_json::to_vec(&ErrorDoc::of(refusal)).unwrap();
        let full = read::<PutResponse>(503, &body(Refusal::StoreFull));
        assert_eq!(full, Err(ClientError::Refused(Refusal::StoreFull)));
        let late = read::<PutResponse>(504, &body(Refusal::Deadline));
        assert_eq!(late, Err(ClientError::Deadline));
        let odd = read::<PutResponse>(500, b"<html>");
        assert!(matches!(odd, Err(ClientError::Protocol(_))));
    }
}
