//! Steady load that takes note of everything that goes wrong: clients that keep their connection as long
//! as the server lets them, and clients that come anew for each page.
//!
//! A connection may end in two ways without being counted as wrong: an answer said so, or nobody had said
//! anything on it yet. A request that was sent and got no whole answer is wrong, whatever the reason.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{CONNECTION, HOST};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::{Ask, Page};
use crate::wait::pause;

/// For any answer; they are all kept.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two requests of one client.
const REST: Duration = Duration::from_millis(5);

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Requests answered on connections that were kept.
    pub kept_alive: u64,
    /// Those connections.
    pub connections: u64,
    /// Requests answered on connections of their own.
    pub fresh: u64,
    /// What went wrong.
    pub failed: Vec<String>,
}

/// The load, until it is stopped.
#[derive(Debug)]
pub struct Steady {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Seen>>,
}

impl Steady {
    /// Starts so many clients of each kind, which ask `to` for `pages` in turn and know their bodies.
    #[must_use]
    pub fn start(to: SocketAddr, pages: &[(Page, String)], keeping: usize, fresh: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let pages: Arc<[_]> = pages.into();
        let keeping = (0..keeping).map(|n| {
            let (pages, stop) = (Arc::clone(&pages), Arc::clone(&stop));
            tokio::spawn(async move { keep_asking(to, &pages, n, &stop).await })
        });
        let fresh = (0..fresh).map(|n| {
            let (pages, stop) = (Arc::clone(&pages), Arc::clone(&stop));
            tokio::spawn(async move { come_anew(to, &pages, n, &stop).await })
        });
        let clients = keeping.chain(fresh).collect();
        Self { stop, clients }
    }

    /// Ends it.
    pub async fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for client in self.clients {
            let seen = client.await.unwrap();
            all.kept_alive += seen.kept_alive;
            all.connections += seen.connections;
            all.fresh += seen.fresh;
            all.failed.extend(seen.failed);
        }
        all
    }
}

async fn come_anew(
    to: SocketAddr,
    pages: &[(Page, String)],
    first: usize,
    stop: &AtomicBool,
) -> Seen {
    let mut seen = Seen::default();
    for (page, body) in pages.iter().cycle().skip(first) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        match timeout(PATIENCE, Ask::of(to, page).try_fetch()).await {
            Ok(Ok(answer)) if answer.text() == *body && answer.broken.is_none() => seen.fresh += 1,
            other => seen.failed.push(format!("anew: {other:?}")),
        }
        pause(REST).await;
    }
    seen
}

async fn keep_asking(
    to: SocketAddr,
    pages: &[(Page, String)],
    first: usize,
    stop: &AtomicBool,
) -> Seen {
    let mut seen = Seen::default();
    let mut connection: Option<SendRequest<Empty<Bytes>>> = None;
    for (page, body) in pages.iter().cycle().skip(first) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut kept = match connection.take() {
            Some(kept) => kept,
            None => match open(to).await {
                Ok(fresh) => {
                    seen.connections += 1;
                    fresh
                }
                Err(error) => {
                    seen.failed.push(format!("connecting: {error}"));
                    continue;
                }
            },
        };
        match timeout(PATIENCE, ask(&mut kept, page, body)).await {
            Ok(Ok(goes_on)) => {
                seen.kept_alive += 1;
                connection = goes_on.then_some(kept);
            }
            other => seen.failed.push(format!("kept alive: {other:?}")),
        }
        pause(REST).await;
    }
    seen
}

async fn open(to: SocketAddr) -> Result<SendRequest<Empty<Bytes>>, String> {
    let stream = TcpStream::connect(to).await.map_err(|e| e.to_string())?;
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    tokio::spawn(connection);
    Ok(sender)
}

/// One request and its answer. Whether the connection goes on.
async fn ask(
    sender: &mut SendRequest<Empty<Bytes>>,
    page: &Page,
    body: &str,
) -> Result<bool, String> {
    sender.ready().await.map_err(|e| format!("closed: {e}"))?;
    let request = Request::get(&page.path).header(HOST, &page.host);
    let request = request.body(Empty::new()).unwrap();
    let answer = sender
        .send_request(request)
        .await
        .map_err(|e| format!("{e:?}"))?;
    let last = answer
        .headers()
        .get(CONNECTION)
        .is_some_and(|said| said.as_bytes().eq_ignore_ascii_case(b"close"));
    let got = answer.into_body().collect().await;
    let got = got.map_err(|e| format!("{e:?}"))?.to_bytes();
    if got == body.as_bytes() {
        Ok(!last)
    } else {
        Err(format!("{} bytes that are not the page", got.len()))
    }
}
