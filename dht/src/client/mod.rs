//! The asynchronous client of the local index daemon: what the proxy and the name server import.
//!
//! Speaks the documents of [`crate::api`] over HTTP/1.1 on the daemon's Unix socket, with a bounded
//! pool of kept connections. Every call has a deadline; a daemon that is not there is
//! [`ClientError::Unreachable`] at once, and the next call finds it again when it is back. Nothing
//! is retried beyond one attempt on a fresh connection when a kept one turned out to be closed.

mod answer;
mod asking;
mod both;
mod conn;
mod session;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::ids::Key;
use common::trace::Context;

use crate::api::{LevelDoc, LevelsResponse, ServiceDoc};
use answer::read;
use conn::Pool;

pub use self::answer::{Claim, ClientError, Found, NodeView, Pong};
pub use crate::api::{IN_BOTH, PINGS_MAX};
pub use crate::refusal::Refusal;
pub use crate::value::Value;
pub use session::ServiceSession;

/// Which nodes are looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Search<'a> {
    /// In clusters of this level; 0 is the world.
    pub level: u8,
    /// So many at most.
    pub count: usize,
    /// Those that hints place near this client come first.
    pub near: Option<IpAddr>,
    /// Only nodes that run this service.
    pub service: Option<&'a str>,
}

impl<'a> Search<'a> {
    /// Anybody in the world.
    #[must_use]
    pub const fn all(count: usize) -> Self {
        Self {
            level: 0,
            count,
            near: None,
            service: None,
        }
    }

    /// Whoever in the world runs this service.
    #[must_use]
    pub const fn of(service: &'a str, count: usize) -> Self {
        Self {
            service: Some(service),
            ..Self::all(count)
        }
    }
}

/// A handle to the index daemon behind a Unix socket. Clones share one connection pool.
#[derive(Clone)]
pub struct Client {
    pool: Arc<Pool>,
    trace: Option<Context>,
    /// The index of the network that this one's takes the place of.
    old: Option<Arc<Self>>,
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

    /// The index of the old network alone, if this one is beside one.
    #[must_use]
    pub fn old(&self) -> Option<Self> {
        self.old.as_deref().cloned()
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

    /// Tells both; that one of them heard it is enough.
    async fn tell<'a, T>(&'a self, tell: impl Fn(&'a Self) -> T) -> Result<u32, ClientError>
    where
        T: Future<Output = Result<u32, ClientError>>,
    {
        let Some(old) = &self.old else {
            return tell(self).await;
        };
        let (new, old) = tokio::join!(tell(self), tell(old));
        both::told(new, old)
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
        self.tell(|index| index.put_here(key, value, ttl, deadline))
            .await
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

    /// Takes this node's value under `key` back. Returns how many nodes were told.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn withdraw(&self, key: Key, deadline: Duration) -> Result<u32, ClientError> {
        self.tell(|index| index.withdraw_here(key, deadline)).await
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
        self.tell(|index| index.hint_here(client, rtt, ttl, deadline))
            .await
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

    /// Live nodes in random order, filled up from the levels around, nearest first, where the cluster of
    /// that level has fewer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn nodes(
        &self,
        search: Search<'_>,
        deadline: Duration,
    ) -> Result<Vec<NodeView>, ClientError> {
        let Some(old) = &self.old else {
            return self.nodes_here(search, deadline).await;
        };
        let (new, old) = tokio::join!(
            self.nodes_here(search, deadline),
            old.nodes_here(search, deadline),
        );
        both::nodes(new, old)
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

    /// Registers a service of this machine, such as (`http`, the proxy's public address), for as
    /// long as the session lives. When it is closed, call again. This alone goes to one network: whoever is in two
    /// registers in each, so that one that is away does not end what stands in the other.
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
        ServiceSession::open(&self.pool, &doc).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("socket", &self.pool.socket())
            .finish_non_exhaustive()
    }
}
