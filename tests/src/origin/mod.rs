//! An origin in this process that does what a test tells it to, and remembers what it was asked.
//!
//! Speaks HTTP/1.1 over plain sockets or TLS, byte by byte, so that it can do it wrong. Replies are
//! made by the test's own functions, one per path, from the request and how often the path was
//! asked for. What is asked for and has no function is a 404.

mod reply;
mod serve;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use common::clock::Moment;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub use reply::{Gate, Reply};

use crate::client::Page;
use crate::place::{Place, host};
use crate::wait;

/// Where a zone's names end, in all tests.
pub const ZONE: &str = "nyud.test";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Which request for this path it is, from 1.
    pub nth: usize,
}

impl Request {
    /// The first value of a field.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(field, _)| field == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

type Route = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

#[derive(Default)]
struct Script {
    routes: Mutex<HashMap<String, Route>>,
    seen: Mutex<Vec<Request>>,
    /// When the first byte of a body went out, by target.
    began: Mutex<HashMap<String, Moment>>,
}

impl Script {
    /// Notes a request and finds its reply.
    fn answer(&self, mut request: Request) -> Reply {
        let mut seen = self.seen.lock().unwrap();
        let same = |old: &&Request| old.target == request.target;
        request.nth = seen.iter().filter(same).count() + 1;
        seen.push(request.clone());
        drop(seen);
        let routes = self.routes.lock().unwrap();
        let route = routes.get(&request.target).cloned();
        drop(routes);
        route.map_or_else(|| Reply::status(404, "not here"), |route| route(&request))
    }

    fn body_begins(&self, target: &str) {
        let mut began = self.began.lock().unwrap();
        began.entry(target.to_owned()).or_insert_with(wait::now);
    }
}

/// See the module.
pub struct Origin {
    /// Where it listens.
    pub addr: SocketAddr,
    script: Arc<Script>,
    tls: Option<TlsAcceptor>,
    task: Option<JoinHandle<()>>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Origin {
    /// An origin on the place's address for origins.
    pub async fn start(place: &Place) -> Self {
        Self::start_at(SocketAddr::new(place.ip(host::ORIGIN), 0), None).await
    }

    /// An origin at `addr`, with TLS if there is an acceptor.
    pub async fn start_at(addr: SocketAddr, tls: Option<TlsAcceptor>) -> Self {
        let mut origin = Self {
            addr,
            script: Arc::default(),
            tls,
            task: None,
        };
        origin.come_back().await;
        origin
    }

    /// Answers requests for `target` with what `reply` makes of them.
    pub fn serves(&self, target: &str, reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        let mut routes = self.script.routes.lock().unwrap();
        routes.insert(target.to_owned(), Arc::new(reply));
    }

    /// Stops listening and breaks all connections: connecting is refused.
    pub async fn die(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // Its connections are gone when it is.
            let _ = task.await;
        }
    }

    /// Listens again where it did.
    pub async fn come_back(&mut self) {
        let bound = wait::some("the origin's address is free", wait::SOON, async || {
            TcpListener::bind(self.addr).await.ok()
        });
        let listener = bound.await;
        self.addr = listener.local_addr().unwrap();
        let (script, tls) = (Arc::clone(&self.script), self.tls.clone());
        self.task = Some(tokio::spawn(accept(listener, script, tls)));
    }

    /// The page `path` of this origin as a client of the CDN names it.
    #[must_use]
    pub fn page(&self, path: &str) -> Page {
        Page::new(&coralised(self.addr), path)
    }

    /// All requests for `target`, oldest first.
    #[must_use]
    pub fn seen(&self, target: &str) -> Vec<Request> {
        let seen = self.script.seen.lock().unwrap();
        let same = |request: &&Request| request.target == target;
        seen.iter().filter(same).cloned().collect()
    }

    /// How often `target` was asked for.
    #[must_use]
    pub fn count(&self, target: &str) -> usize {
        self.seen(target).len()
    }

    /// How often anything whose path begins like this was asked for.
    #[must_use]
    pub fn count_under(&self, start: &str) -> usize {
        let seen = self.script.seen.lock().unwrap();
        let under = |request: &&Request| request.target.starts_with(start);
        seen.iter().filter(under).count()
    }

    /// How often anything was asked for.
    #[must_use]
    pub fn count_all(&self) -> usize {
        self.script.seen.lock().unwrap().len()
    }

    /// When the first byte of a body for `target` went out.
    #[must_use]
    pub fn began(&self, target: &str) -> Option<Moment> {
        self.script.began.lock().unwrap().get(target).copied()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// The coralised host of an origin at an address.
#[must_use]
pub fn coralised(addr: SocketAddr) -> String {
    format!("{}.{}.{ZONE}", addr.ip(), addr.port())
}

async fn accept(listener: TcpListener, script: Arc<Script>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (script, tls) = (Arc::clone(&script), tls.clone());
        connections.spawn(async move {
            match tls {
                None => serve::connection(stream, &script).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve::connection(stream, &script).await;
                    }
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
